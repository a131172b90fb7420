"""An account's history for auditors: every event in words, why it came, and what was owed after it (contract §3).

The amounts owed are the sums of the movements up to an event, so that after each they are what `makegood owed` tells
as known at its position.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict, Unpack

from ledger.events import CLAUSES, STORED_TYPES, ClaimAssessed, ClaimAssessedV1, claim_of, clause_of
from ledger.events.billing_account import Clause
from ledger.store.database import Transaction
from ledger.store.positions import Position as Place
from ledger.store.reading.events import StoredEnvelope, events_called, events_of_types
from ledger.store.reading.page import Listed, Page, in_memory
from makegood.access.sight import Sight
from makegood.answers.filters import FilterRefused, Filters
from makegood.house.one_state import one_state
from makegood.house.opening import House
from projections import audit_trail, moved
from projections.audit_trail import Kind, Wanted
from projections.owed import AmountsOwed
from projections.shown_values import Position
from projections.what_happened import what_happened

TIME_PASSED = "Time passed"
"""Why a decision came that followed from no fact, but from the timer."""
_TIMER = "timer"
_GOODWILL = "goodwill-"


class ClaimConcerned(TypedDict):
    """A claim that an event is about, with the terms that it was last decided under by then."""

    claim_id: Annotated[str, Field(examples=["unused/cyc-0006-2026-04-02"])]
    clause: Clause
    agreement: str | None
    agreement_version: int | None


class HistoryEntry(audit_trail.Entry):
    """One event in an account's history."""

    because: Annotated[
        str | None, Field(description="The cause in one sentence; null for events that follow from no other.")
    ]
    cause_position: Position | None
    claims: list[ClaimConcerned]
    owed: Annotated[
        list[AmountsOwed], Field(description="The amounts owed to the account after the event, by currency.")
    ]


class HistoryAsked(TypedDict, total=False):
    """The filters of a history.

    `type_` is a stored type, or its name without a version for all of them. `from_` and `to` are days in the
    provider's legal time zone, both included, on which events were recorded or, with `by_occurrence`, became true.
    """

    claim: str | None
    kind: Kind | None
    type_: str | None
    actor: str | None
    from_: date | None
    to: date | None
    by_occurrence: bool


def history(
    house: House, sight: Sight, account_id: str, *, page: Page | None = None, **asked: Unpack[HistoryAsked]
) -> Listed[HistoryEntry]:
    """An account's history in order, of the events that are asked for. Raises UnknownAccount and FilterRefused."""
    sight.check(account_id)
    wanted, claim = _wanted(house, sight, asked), asked.get("claim")
    with one_state(house) as still:
        if claim is None:
            entries = audit_trail.listed(still.database, account_id, wanted, page=page)
        else:
            about = [e for e in audit_trail.listed(still.database, account_id, wanted) if claim in claims_of(e)]
            entries = in_memory(about, lambda entry: (entry["version"],), page)
        with still.database.reading() as transaction:
            return entries.told(_explained(transaction, account_id, entries))


def _wanted(house: House, sight: Sight, asked: HistoryAsked) -> Wanted:
    days = Filters(from_=asked.get("from_"), to=asked.get("to")).narrowing(sight, house.settings.time_zone)
    type_ = asked.get("type_")
    return Wanted(
        asked.get("kind"),
        types_called(type_) if type_ is not None else None,
        asked.get("actor"),
        days.begin,
        days.end,
        "occurred_at" if asked.get("by_occurrence") else "recorded_at",
    )


def types_called(name: str) -> list[str]:
    """The stored types of a name, of all versions where it names none. Raises FilterRefused."""
    found = [type_ for type_ in STORED_TYPES if name in (type_, type_.rpartition(".")[0])]
    if not found:
        raise FilterRefused(
            "type", "no event is of this type: see the types that a history shows, such as claim-assessed.v2"
        )
    return found


def claims_of(entry: audit_trail.Entry) -> list[str]:
    """The claims that an event is about: by their ids, or by those of refunds and credits, which name theirs."""
    data = entry["data"]
    named = [data.get("claim_id"), data.get("of_claim_id"), *(each["claim_id"] for each in data.get("claims", ()))]
    for name in ("refund_id", "credit_id"):
        id_ = data.get(name)
        if isinstance(id_, str):
            of_goodwill = name == "credit_id" and entry["type"].startswith(_GOODWILL)
            named.append(f"goodwill/{id_}" if of_goodwill else claim_of(id_))
    return list(dict.fromkeys(each for each in named if each is not None and each.partition("/")[0] in CLAUSES))


# --- why, and what was owed ----------------------------------------------------------------------------------------


def _explained(transaction: Transaction, account_id: str, entries: Sequence[audit_trail.Entry]) -> list[HistoryEntry]:
    causes = events_called(transaction, sorted({entry["cause"] for entry in entries if entry["cause"] is not None}))
    owed = moved.owed_after(transaction, account_id, [_position(entry) for entry in entries])
    terms = _Terms(transaction, account_id)
    return [
        {
            **entry,
            "because": _because(entry, causes),
            "cause_position": _place(causes.get(entry["cause"] or "")),
            "claims": [terms.of(claim_id, entry["version"]) for claim_id in claims_of(entry)],
            "owed": owed[_position(entry)],
        }
        for entry in entries
    ]


def _position(entry: audit_trail.Entry) -> int:
    return int(entry["position"].partition(":")[2])


def _place(stored: StoredEnvelope | None) -> str | None:
    return str(Place(stored.shard, stored.position)) if stored is not None else None


def _because(entry: audit_trail.Entry, causes: dict[str, StoredEnvelope]) -> str | None:
    cause = causes.get(entry["cause"] or "")
    if cause is not None:
        return what_happened(cause.event()) if cause.type in STORED_TYPES else cause.type
    return TIME_PASSED if entry["channel"] == _TIMER and entry["cause"] is None else None


class _Terms:
    """The terms under which an account's claims were decided, by when."""

    def __init__(self, transaction: Transaction, account_id: str) -> None:
        self._decided: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        types = [ClaimAssessedV1.stored_as, ClaimAssessed.stored_as]
        for stored in events_of_types(transaction, account_id, types):
            data = stored.said()["data"]
            if data["terms"] is not None:
                self._decided.setdefault(data["claim_id"], []).append((stored.account_version, data["terms"]))

    def of(self, claim_id: str, version: int) -> ClaimConcerned:
        """The claim as an event tells of it that came at a version of the account."""
        by_then = [terms for decided, terms in self._decided.get(claim_id, ()) if decided <= version]
        last: dict[str, Any] = by_then[-1] if by_then else {}
        return {
            "claim_id": claim_id,
            "clause": clause_of(claim_id),
            "agreement": last.get("agreement"),
            "agreement_version": last.get("version"),
        }
