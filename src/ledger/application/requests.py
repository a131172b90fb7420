"""Requests that may be sent again: under one key of a caller one thing happens once, and is answered alike for ever.

What a request became is found by what is stored, its fact and the decisions that followed from it. Nothing that was
answered is kept, so an answer that was lost on its way, by whatever fault, is made again and says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ledger.application.acts import Act, perform
from ledger.application.ledger import Ledger
from ledger.application.statement import Refusal, Statement
from ledger.events import Decision, Fact
from ledger.events.event_ids import message_event_id
from ledger.store.database import StoreError, Transaction
from ledger.store.positions import Position
from ledger.store.reading.events import StoredEnvelope, account_events, find_event
from ledger.store.reading.heads import account_version
from ledger.store.writing import CarriedOut
from ledger.vault import may_be_same


class KeyReused(Exception):
    """The caller has given this key to another request before: a new request takes a new key."""


class VersionMoved(Exception):
    """The account is no longer as the caller has seen it: read it again, and decide by what it is now."""


class NotTaken(Exception):
    """Nothing of the request was recorded: one of its messages contradicts what was taken before."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for something, under which key of theirs, and a digest of what they ask."""

    caller: str
    key: str
    digest: str


@dataclass(frozen=True)
class Answered:
    """What became of a request: its facts, and the decisions that name one of them as their cause."""

    account: str
    account_version: int
    "The account's new version."
    envelopes: tuple[StoredEnvelope, ...]
    """The first is the fact that the request is known by."""

    @property
    def position(self) -> Position:
        """Where the last event of it stands."""
        return self.envelopes[-1].at

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """What it made known; one fact unless a link came with it."""
        return tuple(event for envelope in self.envelopes if isinstance(event := envelope.event(), Fact))

    @cached_property
    def decided(self) -> tuple[Decision, ...]:
        """What the ledger concluded from its facts, in order."""
        known = {fact.event_id for fact in self.facts}
        events = [envelope.event() for envelope in self.envelopes]
        return tuple(e for e in events if isinstance(e, Decision) and e.causation_id in known)


def digest_of(ledger: Ledger, asked: bytes) -> str:
    """The keyed digest of what a request asks, which tells another request under the same key; it may hold words."""
    return ledger.vault.digest_to_keep(b"request\x00" + asked)


Say = Callable[[Act], Sequence[Statement]]
"""Makes the messages of a request, the first of which it is known by; raises where it is to be refused."""


def keep_request(act: Act, request: Request, account: str, event_id: str) -> None:
    """Have an act keep that a request became this event of an account, by which it is answered from now on."""
    act.writes.request = CarriedOut(
        caller=request.caller,
        key=request.key,
        digest=request.digest,
        account=account,
        event_id=event_id,
        taken_at=act.now(),
    )


def carry_out(ledger: Ledger, request: Request, account: str, say: Say) -> tuple[Answered, bool]:
    """Carry a request about an account out, once: what became of it, and whether that was now. All of it is recorded,
    or nothing.

    Where it was carried out before nothing is even made of it. What `say` checks it checks in the state of the store
    that its messages are recorded in.

    Raises KeyReused, NotTaken, what `say` raises, Conflict where other writers were faster for too
    long, and Unavailable.
    """

    def decide(act: Act) -> bool:
        if carried_out(act.transaction, request) is not None:
            return False
        statements = say(act)
        for became in act.take(statements):
            if isinstance(became, Refusal):
                raise NotTaken(became)
            if became == "duplicate":
                raise _damaged("a request's message is recorded and the request is not")
        first = statements[0].message
        keep_request(act, request, account, message_event_id(first.source, first.id))
        return True

    new = perform(ledger, {account}, decide)
    answer = answered(ledger, request)
    if answer is None:
        raise _damaged("a request was recorded and is not there")
    return answer, new


def check_version(act: Act, account: str, seen: int | None) -> None:
    """Raises VersionMoved where a caller has seen another version of an account than the one that an act moves."""
    if seen is not None and account_version(act.transaction, account) != seen:
        raise VersionMoved("the account changed since it was read: read it again, then repeat the request")


def _damaged(what: str) -> StoreError:
    return StoreError(f"{what}: the store is damaged: restore it from a backup")


def answered(ledger: Ledger, request: Request) -> Answered | None:
    """What became of a request that was carried out before, None where it was not.

    Raises KeyReused where the caller asked something else under the key, and Unavailable.
    """
    with ledger.database.reading() as transaction:
        found = carried_out(transaction, request)
        if found is None:
            return None
        account, event_id, account_version = found
        fact = find_event(transaction, event_id)
        if fact is None:
            raise _damaged("a request is recorded and its fact is not")
        return Answered(
            account,
            account_version,
            tuple(account_events(transaction, account, fact.account_version, account_version)),
        )


def carried_out(transaction: Transaction, request: Request) -> tuple[str, str, int] | None:
    """Account, event id and the account's version after a request, None where it was not carried out.

    Raises KeyReused.
    """
    rows = transaction.rows(
        "SELECT digest, account, event_id, account_version FROM requests WHERE caller = ? AND key = ?",
        (request.caller, request.key),
    )
    if not rows:
        return None
    digest, account, event_id, account_version = rows[0]
    if not may_be_same(digest, request.digest):
        raise KeyReused("this key was used for another request: choose a new key for every request")
    return account, event_id, account_version
