"""The facts that a claim is assessed without, because another fact contradicts them (policy §1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ledger.events import (
    AccountRegistered,
    AlarmCleared,
    AlarmData,
    AlarmRaised,
    Fact,
    LedgerEvent,
    SubscriptionRegistered,
)
from ledger.store.reading.events import StoredEnvelope
from ledger.values import instant_to_text
from makegood.answers.explanation_types import LeftOutFact, StandingFact
from projections.alarms import LEAVING_OUT, identity
from projections.what_happened import what_happened

Recorded = tuple[StoredEnvelope, LedgerEvent]
"""An event of the account, and where it stands."""


@dataclass(frozen=True, slots=True)
class About:
    """The claim, or the excess of an invoice, that an explanation is about."""

    claim_id: str | None
    subscription_id: str | None
    charge_id: str | None
    invoice_id: str | None
    rests_on: Collection[str]
    """The event ids of all facts that some recorded step used."""


def left_out_facts(recorded: Sequence[Recorded], about: About) -> list[LeftOutFact]:
    """The facts that count for nothing now and have to do with it, each with the fact that stands instead.

    The alarms say so: each names the fact that stands, then the one that is left out.
    """
    by_message: dict[str, Recorded] = {}
    standing: dict[str, Recorded] = {}
    for envelope, event in recorded:
        match event:
            case Fact(data=data):
                by_message[f"{data.message.source} {data.message.id}"] = (envelope, event)
            case AlarmRaised(data=data) if data.alarm in LEAVING_OUT:
                standing[identity(data)] = (envelope, event)
            case AlarmCleared(data=data):
                standing.pop(identity(data), None)
    found = []
    for _, alarm in standing.values():
        stands, left_out = (by_message.get(named) for named in alarm.data.about[:2])
        if stands is not None and left_out is not None and _concerns(alarm.data, stands[1], left_out[1], about):
            found.append(_left_out(alarm, stands, left_out))
    return found


def _concerns(alarm: AlarmData, stands: LedgerEvent, left_out: LedgerEvent, about: About) -> bool:
    """Whether it would be decided or settled otherwise if the fact counted, as far as the two facts name it."""
    if isinstance(left_out, AccountRegistered) or {stands.event_id, left_out.event_id} & set(about.rests_on):
        return True
    if isinstance(left_out, SubscriptionRegistered):
        return left_out.data.subscription_id == about.subscription_id
    named: Mapping[str, str | None] = {
        "claim_id": about.claim_id,
        "charge_id": about.charge_id,
        "cycle_id": about.charge_id,
        "invoice_id": about.invoice_id,
    }
    return any(
        id_ is not None and getattr(of, field, None) == id_
        for field, id_ in named.items()
        for of in (alarm, left_out.data, stands.data)
    )


def _left_out(alarm: LedgerEvent, stands: Recorded, left_out: Recorded) -> LeftOutFact:
    return {
        **_named(left_out),
        "because": alarm.data.alarm,
        "since": instant_to_text(alarm.recorded_at),
        "stands": _named(stands),
    }


def _named(recorded: Recorded) -> StandingFact:
    envelope, event = recorded
    return {
        "position": f"{envelope.shard}:{envelope.position}",
        "event_id": event.event_id,
        "type": event.type,
        "summary": what_happened(event),
        "source": event.data.message.source,
        "id": event.data.message.id,
    }
