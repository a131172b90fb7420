"""What messages that have not happened would change: decided like any others against the real store, not recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.application.account import Account
from ledger.application.conflict import conflicting, said_before, said_by
from ledger.application.ledger import Ledger
from ledger.application.record import Incoming, seen_before
from ledger.application.statement import Refusal, Statement
from ledger.events import ClaimAssessed, ClaimState


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """What would become of one claim: as it is recorded, as it would be, and the decision that it would end in."""

    account: str
    before: ClaimState | None
    last: ClaimAssessed.Data

    @property
    def after(self) -> ClaimState | None:
        """The claim as it would be."""
        return self.last.after

    @property
    def differs(self) -> bool:
        """Whether the row would read otherwise; by its text, because 0.00 EUR and 0.000 KWD are equal numbers."""
        before, after = (state and state.model_dump_json() for state in (self.before, self.after))
        return before != after


@dataclass(slots=True)
class Preview:
    """What would become of the messages, and of the claims."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: list[Refusal] = field(default_factory=list)
    changes: list[ClaimChange] = field(default_factory=list)


def preview(ledger: Ledger, incoming: Iterable[Incoming]) -> Preview:
    """Decide about messages in memory, in their order, and say what would differ; nothing is written anywhere.

    The accounts are read as of one state of the store and thrown away afterwards, so that nothing previewed can
    reach what is recorded later.
    """
    found = Preview()
    items = list(incoming)
    statements = [item for item in items if isinstance(item, Statement)]
    found.read, found.refused = len(items), [item for item in items if isinstance(item, Refusal)]
    with ledger.database.reading() as transaction:
        seen = seen_before(transaction, statements)
        said = {
            (s.message.source, s.message.id): said_before(transaction, ledger.vault, s)
            for s in statements
            if (s.message.source, s.message.id) in seen
        }
        accounts = ledger.open_accounts(transaction, sorted({s.account for s in statements}))
        clock = ledger.clock_in(transaction)
    changes: dict[tuple[str, str], ClaimChange] = {}
    for statement in statements:
        identity = (statement.message.source, statement.message.id)
        digest = ledger.vault.digest(statement.content)
        if identity in seen:
            if seen[identity] == digest:
                found.duplicates += 1
            else:
                found.refused.append(conflicting(statement, said[identity]))
            continue
        said[identity] = said_by(statement)
        seen[identity] = digest
        account = accounts[statement.account]
        account.record(statement, None, clock())
        found.accepted += 1
        _note(account, changes)
    found.changes = [change for _, change in sorted(changes.items()) if change.differs]
    return found


def _note(account: Account, changes: dict[tuple[str, str], ClaimChange]) -> None:
    for event in account.collect():
        if isinstance(event, ClaimAssessed):
            key = (event.account, event.data.claim_id)
            before = changes[key].before if key in changes else event.data.before
            changes[key] = ClaimChange(event.account, before, event.data)
