"""The one way to act on an account, or on the account `system`: read, decide, write (decision 0026).

An act is what a person does, or a part in its own name: it grants a role, opens a complaint, discards a message. What
it depends on is read and decided in one state of the store, and the heads of the accounts are compared as they are
set. Where another writer was faster it is decided about anew, and may be refused then: of two who do at once what can
be done once, one is told what stands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel

from ledger.aggregates import Cause, LedgerAggregate
from ledger.application.account import Account
from ledger.application.contention import Share, decide_in_parts
from ledger.application.ledger import Decided, Ledger
from ledger.application.record import Recording
from ledger.application.statement import Became, Statement
from ledger.audit import leaf_hash
from ledger.events import LedgerEvent
from ledger.store.database import CommitUnknown, Transaction
from ledger.store.reading.events import account_events
from ledger.store.writing import Head, HeadMove, Writes, read_heads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, and by which way they came in."""

    actor: str
    channel: str


@dataclass(slots=True)
class Act:
    """An act while it is decided about: what it reads, and what it is to write.

    Where no event is recorded nothing is written at all.
    """

    ledger: Ledger
    transaction: Transaction
    writes: Writes = field(default_factory=Writes)
    _accounts: dict[str, Account] = field(default_factory=dict)
    _events: list[LedgerEvent] = field(default_factory=list)

    def now(self) -> datetime:
        """The store's time."""
        return self.ledger.clock_in(self.transaction)()

    def take(self, statements: Sequence[Statement]) -> list[Became]:
        """Record messages with all that follows from them; what became of each. What is refused is not recorded."""
        recording = Recording(self.ledger, statements, self.writes, accounts=self._accounts)
        recording.take(self.transaction)
        self._events += recording.events
        return recording.each

    def account(self, account_id: str) -> Account:
        """An account as of this state of the store, opened once for the act."""
        if account_id not in self._accounts:
            self._accounts |= self.ledger.open_accounts(self.transaction, [account_id])
        return self._accounts[account_id]

    def have_decided(self, account_id: str, decide: Callable[[Account], T]) -> T:
        """Have an account decide, with all that follows; what `decide` answers."""
        account = self.account(account_id)
        answer = decide(account)
        self._events += account.collect()
        return answer

    def record(
        self,
        aggregate: LedgerAggregate,
        event_class: type[LedgerEvent],
        data: BaseModel,
        by: By,
        *,
        causation_id: str | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Record the next event of a stream that nothing else is decided by, so that its account is not loaded.

        `aggregate` is of the version that its stream has come to in this state of the store.
        """
        head, now = self._head(aggregate.account), self.now()
        cause = Cause(
            actor=by.actor,
            channel=by.channel,
            occurred_at=now,
            recorded_at=max(now, head.recorded_at or now),
            now=now,
            correlation_id=correlation_id,
            causation_id=causation_id,
        )
        self._events.append(aggregate.record(event_class, data, cause))

    def _head(self, account: str) -> Head:
        if account not in self.writes.heads:
            head = read_heads(self.transaction, [account])[account]
            self.writes.heads[account] = HeadMove(head, head.version)
        return self.writes.heads[account].head

    def decided(self) -> Decided | None:
        """What is to be written; None where it is nothing."""
        return Decided(self._accounts.values(), self._events, self.writes) if self._events else None


def perform(ledger: Ledger, about: Collection[str], decide: Callable[[Act], T]) -> T:
    """Act on accounts; what `decide` answers.

    `decide` may be called more than once, each time in another state of the store, and reads by its act's transaction
    only; what it raises ends the act, and nothing is written. Whether a commit took place whose answer was lost is
    found out by what is stored. Raises Conflict where other writers were faster for too long, and Unavailable.
    """
    performing = _Performing(ledger, about, decide)
    decide_in_parts(ledger, [Share(frozenset(about), ())], performing.attempt)
    return performing.answers[-1]


class _Performing(Generic[T]):
    """The attempts at one act."""

    def __init__(self, ledger: Ledger, about: Collection[str], decide: Callable[[Act], T]) -> None:
        self._ledger = ledger
        self._about = about
        self._decide = decide
        self._lost: list[tuple[list[Head], T]] = []
        """The heads and the answers of attempts of whose commit the answer was lost."""
        self.answers: list[T] = []

    def attempt(self, _: Sequence[Share[T]], held: bool) -> None:
        """Decide and write once."""
        acts: list[Act] = []

        def decide(transaction: Transaction) -> Decided | None:
            for heads, answer in self._lost:
                if _took_place(transaction, heads):
                    self.answers.append(answer)
                    return None
            acts.append(Act(self._ledger, transaction))
            self.answers.append(self._decide(acts[-1]))
            return acts[-1].decided()

        try:
            self._ledger.decide(decide, self._about if held else ())
        except CommitUnknown:
            moves = [move for act in acts for move in act.writes.heads.values()]
            heads = [move.head for move in moves if move.head.version > move.expected_version]
            if heads:
                self._lost.append((heads, self.answers[-1]))
            raise


def _took_place(transaction: Transaction, heads: Sequence[Head]) -> bool:
    """Whether what an attempt was to write is there: the last event of each account, and by its hash all before."""
    for head in heads:
        last = account_events(transaction, head.account, head.version, head.version)
        if not last or leaf_hash(last[0].envelope) != head.leaf_hash:
            return False
    return True
