"""What messages that have not happened would change: decided like any others against the real store, not recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ledger.aggregates.billing_account import RecordedClaim
from ledger.application.account import Account
from ledger.application.differing_content import conflicting, said_before, said_by
from ledger.application.ledger import Ledger
from ledger.application.record import Incoming, seen_before
from ledger.application.statement import Refusal, Statement
from ledger.events import ClaimAssessed, Decision, Fact, SettledPart, SubscriptionStatusChanged
from ledger.vault import may_be_same


@dataclass(frozen=True, slots=True)
class ClaimStanding:
    """A claim's row, if it has one, and how the claim is settled."""

    row: RecordedClaim | None
    settled: tuple[SettledPart, ...]


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """What would become of one claim, and the decision that its row would end in; None where none would be taken."""

    account: str
    claim_id: str
    before: ClaimStanding
    after: ClaimStanding
    decided: ClaimAssessed.Data | None


@dataclass(frozen=True, slots=True)
class Unmoving:
    """A fact that changes no claim: it counts for nothing, waits for another, or all claims stay as they are."""

    fact: Fact
    retracted: bool
    contradicts: Fact | None
    waits_for: str | None
    decided: tuple[Decision, ...]
    """What would be decided of it all the same."""


@dataclass(slots=True)
class Preview:
    """What would become of the messages, and of the claims."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: list[Refusal] = field(default_factory=list)
    changes: list[ClaimChange] = field(default_factory=list)
    statuses: list[SubscriptionStatusChanged] = field(default_factory=list)
    """The changes of subscriptions' status, in order."""
    unmoving: list[Unmoving] = field(default_factory=list)
    """The facts that would be recorded, where no claim changes by any."""


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
    stood = {account_id: _standings(account) for account_id, account in accounts.items()}
    decided: dict[tuple[str, str], ClaimAssessed.Data] = {}
    followed: list[tuple[Fact, tuple[Decision, ...]]] = []
    for statement in statements:
        identity = (statement.message.source, statement.message.id)
        digest = ledger.vault.digest_to_keep(statement.content)
        if identity in seen:
            if may_be_same(seen[identity], digest):
                found.duplicates += 1
            else:
                found.refused.append(conflicting(statement, said[identity]))
            continue
        said[identity] = said_by(statement)
        seen[identity] = digest
        account = accounts[statement.account]
        account.record(statement, None, clock())
        found.accepted += 1
        events = account.collect()
        for event in events:
            if isinstance(event, ClaimAssessed):
                decided[event.account, event.data.claim_id] = event.data
            if isinstance(event, SubscriptionStatusChanged):
                found.statuses.append(event)
        [fact] = [event for event in events if isinstance(event, Fact)]
        decisions = (event for event in events if isinstance(event, Decision))
        followed.append((fact, tuple(event for event in decisions if event.causation_id == fact.event_id)))
    for account_id, account in sorted(accounts.items()):
        found.changes += _changes(account_id, stood[account_id], _standings(account), decided)
    if not found.changes:
        found.unmoving = _unmoving(accounts, followed)
    return found


def _unmoving(
    accounts: Mapping[str, Account], followed: Iterable[tuple[Fact, tuple[Decision, ...]]]
) -> list[Unmoving]:
    """The facts with what became of them in their accounts."""
    waits_for: dict[str, str] = {}
    contradicts: dict[str, Fact] = {}
    for account in accounts.values():
        waiting = account.waiting_changes()
        waits_for |= {each.event_id: each.waits_for for each in waiting.now} if waiting is not None else {}
        contradicts |= {each.left_out.event_id: each.kept for each in account.facts.contradictions}
    return [
        Unmoving(
            fact,
            retracted=not accounts[fact.account].facts.counts(fact),
            contradicts=contradicts.get(fact.event_id),
            waits_for=waits_for.get(fact.event_id),
            decided=decided,
        )
        for fact, decided in followed
    ]


def _standings(account: Account) -> dict[str, ClaimStanding]:
    """Every claim of an account, those included that have no row any more though something went out for them."""
    settled: dict[str, tuple[SettledPart, ...]] = defaultdict(tuple)
    for (claim_id, _), recorded in account.billing.settlements.claims.items():
        settled[claim_id] += recorded.parts
    rows = account.billing.claims
    return {id_: ClaimStanding(rows.get(id_), settled[id_]) for id_ in {*rows, *settled}}


def _changes(
    account: str,
    before: Mapping[str, ClaimStanding],
    after: Mapping[str, ClaimStanding],
    decided: Mapping[tuple[str, str], ClaimAssessed.Data],
) -> Iterator[ClaimChange]:
    nothing = ClaimStanding(None, ())
    for claim_id in sorted({*before, *after}):
        was, is_ = before.get(claim_id, nothing), after.get(claim_id, nothing)
        if not _reads_alike(was, is_):
            yield ClaimChange(account, claim_id, was, is_, decided.get((account, claim_id)))


def _reads_alike(one: ClaimStanding, other: ClaimStanding) -> bool:
    """By its text, because 0.00 EUR and 0.000 KWD are equal numbers."""

    def text(standing: ClaimStanding) -> list[str]:
        state = [standing.row.state.model_dump_json()] if standing.row is not None else []
        return [*state, *(part.model_dump_json() for part in standing.settled)]

    return text(one) == text(other)
