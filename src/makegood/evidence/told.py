"""What a pack says of an account in rows and words: its journal, its history, and how its claims came about.

All of it follows from the events in the pack; nothing of it is proof.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from io import StringIO
from typing import Any

from ledger.events import LedgerEvent, claims_settled
from ledger.store.positions import Reached
from ledger.store.reading.events import StoredEnvelope
from ledger.values import instant_to_text
from makegood.access.sight import EVERYTHING
from makegood.answers.another_time import house_then
from makegood.answers.explanation import explain_claim
from makegood.answers.explanation_types import Explanation
from makegood.answers.moments import Moment
from makegood.answers.words import WithoutWords
from makegood.exports.bookkeeping import postings
from makegood.exports.comma_separated import harmless
from makegood.exports.lists import EXPORTED
from makegood.exports.reading import pages
from makegood.house.opening import House
from projections.journal_entries import JournalEntry
from projections.what_happened import what_happened

JOURNAL = (
    "recorded_at",
    "occurred_at",
    "position",
    "event_id",
    "number",
    "kind",
    "claim_id",
    "item_id",
    "charge_id",
    "invoice_id",
    "book_account",
    "debit",
    "credit",
    "currency",
)
"""The columns of the journal: a row for each posting, so that debits and credits of an event's movement are equal."""
HISTORY = (
    "version",
    "position",
    "recorded_at",
    "occurred_at",
    "type",
    "actor",
    "channel",
    "event_id",
    "causation_id",
    "what",
)
"""The columns of the history: a row for each event."""


class AccountTold:
    """An account as its events up to some positions tell it, `recorded` being all of them."""

    def __init__(self, house: House, account: str, recorded: Sequence[StoredEnvelope], covered: Reached) -> None:
        self._account = account
        self._recorded = recorded
        self._events = [(each, each.event()) for each in recorded]
        with house_then(house, EVERYTHING, Moment(known_at=covered), account) as then:
            question = EXPORTED["journal"].question
            rows = pages(then, lambda asked, page: question(asked, EVERYTHING, account=account, page=page))
            self._moved: list[JournalEntry] = [row for page in rows for row in page]  # type: ignore[misc]
            worded = WithoutWords(then, then.database, then.now())
            self._explained = {
                claim_id: explain_claim(worded, recorded, claim_id, claim_id, account, words=False)
                for claim_id in self.claims(lambda event: True)
                if self._was_assessed(claim_id)
            }

    def claims(self, asked: Callable[[LedgerEvent], bool]) -> list[str]:
        """The claims that some of the events are about, in order."""
        found = {id_ for _, event in self._events if asked(event) for id_ in claims_of(event)}
        return sorted(found)

    def _was_assessed(self, claim_id: str) -> bool:
        """Whether a claim ever had a row: what was paid out may name one that never had."""
        return any(
            event.type.startswith("claim-assessed.") and event.data.claim_id == claim_id for _, event in self._events
        )

    def journal(self, claims: Iterable[str], *, all_claims: bool) -> str:
        """The account's movements as postings; those of some claims only, unless all are asked for."""
        wanted = set(claims)
        moved = (each for each in self._moved if all_claims or each["claim_id"] in wanted)
        return _csv(JOURNAL, (row for each in moved for row in _posted(each)))

    def history(self) -> str:
        """Every event with what it says, in words."""
        return _csv(HISTORY, (_happened(stored, event) for stored, event in self._events))

    def explanations(self, claims: Iterable[str]) -> list[Explanation]:
        """How some of the claims came about."""
        return [self._explained[claim_id] for claim_id in claims if claim_id in self._explained]


def claims_of(event: LedgerEvent) -> Iterator[str]:
    """The claims that an event decides about, or settles."""
    named = getattr(event.data, "claim_id", None)
    if isinstance(named, str):
        yield named
    yield from (claim.claim_id for claim in claims_settled(event))


def as_json(explanations: Sequence[Explanation]) -> str:
    """Explanations for programs."""
    return json.dumps(explanations, indent=1, ensure_ascii=False) + "\n"


def in_words(explanations: Sequence[Explanation]) -> str:
    """Explanations for people."""
    return "\n".join(line for each in explanations for line in (*_explained(each), "")) or "No claims.\n"


def _explained(claim: Explanation) -> Iterator[str]:
    stands = claim["claim"]
    yield f"Claim {claim['claim_id']} of account {claim['account_id']}"
    yield f"  {claim['policy']}"
    if stands is None:
        yield "  fell away"
    else:
        why = f", {stands['reason']}" if stands["reason"] else ""
        yield f"  {stands['outcome']}{why}: net {stands['amount']}, tax {stands['tax']} {claim['currency']}"
        for part in stands["settled"]:
            yield f"    {part['into']} {part['id']}: net {part['net']}, tax {part['tax']}, {part['status']}"
    if claim["agreement"] is not None:
        terms = claim["agreement"]
        yield f"  under agreement {terms['agreement']}, version {terms['version']}, SHA-256 {terms['sha256']}"
    if claim["formula"]:
        yield f"  formula: {claim['formula']}"
    yield from (f"  {line}" for line in claim["working"])
    yield from (f"  fact at {fact['position']}: {fact['type']}, event {fact['event_id']}" for fact in claim["facts"])
    for step in claim["steps"]:
        yield f"  {step['change']} at {step['position']}, recorded at {step['recorded_at']}, cause: {step['cause']}"


def _posted(moved: JournalEntry) -> Iterator[Mapping[str, Any]]:
    booked = postings(
        moved["kind"],
        moved["clause"],
        Decimal(moved["net"]),
        Decimal(moved["tax"]),
        submitted=moved["submitted"],
    )
    for posting in booked:
        side = "debit" if posting.amount >= 0 else "credit"
        yield {**moved, "book_account": posting.account, side: str(abs(posting.amount))}


def _happened(stored: StoredEnvelope, event: LedgerEvent) -> Mapping[str, Any]:
    return {
        "version": stored.account_version,
        "position": str(stored.at),
        "recorded_at": instant_to_text(event.recorded_at),
        "occurred_at": instant_to_text(event.occurred_at),
        "type": event.type,
        "actor": event.actor,
        "channel": event.channel,
        "event_id": event.event_id,
        "causation_id": event.causation_id,
        "what": what_happened(event),
    }


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else harmless(value) if isinstance(value, str) else value
