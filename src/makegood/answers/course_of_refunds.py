"""What became of a claim's refunds: due, succeeded, failed, set off or no longer due, each with when and by what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal

from ledger.events import (
    ClaimSettlement,
    LedgerEvent,
    RefundReport,
    RefundSucceeded,
    RefundSucceededV1,
    SettledPart,
    claims_settled,
    message_key,
)
from ledger.events.retraction import MessageKey
from ledger.store.reading.events import StoredEnvelope
from ledger.values import instant_to_text
from makegood.answers.explanation_types import RefundCourse, RefundStep, RefundStepKind
from projections.refunds import SHOWN_AS

Recorded = tuple[StoredEnvelope, LedgerEvent]


def course_of_refunds(
    recorded: Sequence[Recorded], claim_id: str, never_said: Collection[MessageKey]
) -> list[RefundCourse]:
    """Every refund that the claim ever had, by when it first was due or reported, with its steps in order.

    Reports of the payment processor that were retracted, the messages `never_said`, are no steps.
    """
    steps: dict[str, list[RefundStep]] = defaultdict(list)
    stands: dict[str, SettledPart] = {}
    for envelope, event in recorded:
        if isinstance(event, RefundReport):
            of_claim = event.data.refund_id.rpartition("/")[0] == f"refund/{claim_id}"
            if of_claim and message_key(event) not in never_said:
                steps[event.data.refund_id].append(_reported(envelope, event, stands))
            continue
        for claim in claims_settled(event):
            if claim.claim_id == claim_id:
                for refund_id, step in _settled(envelope, event, claim, stands):
                    steps[refund_id].append(step)
                stands = _refunds(claim.after)
    return [
        {
            "refund_id": refund_id,
            "status": SHOWN_AS[stands[refund_id].status] if refund_id in stands else None,
            "total": _total(stands[refund_id]) if refund_id in stands else None,
            "steps": of_it,
        }
        for refund_id, of_it in steps.items()
    ]


def _reported(envelope: StoredEnvelope, event: RefundReport, stands: Mapping[str, SettledPart]) -> RefundStep:
    """The payment processor's report; of one that names no amount it is the one that was due."""
    due = stands.get(event.data.refund_id)
    named = event.data.amount if isinstance(event, RefundSucceeded) else None
    step = _step(envelope, event, "failed", str(named) if named is not None else _total(due) if due else None)
    if isinstance(event, RefundSucceeded | RefundSucceededV1):
        step["what"] = "succeeded"
        step["at"] = instant_to_text(event.data.succeeded_at)
        step["processor_reference"] = event.data.processor_reference
    return step


def _settled(
    envelope: StoredEnvelope, event: LedgerEvent, claim: ClaimSettlement, before: Mapping[str, SettledPart]
) -> Iterator[tuple[str, RefundStep]]:
    """What a settlement makes due, changes or takes away. What went out or failed was reported before."""
    after = _refunds(claim.after)
    for refund_id, part in after.items():
        was = before.get(refund_id)
        if part.status == "open" and (was is None or was.status != "open"):
            yield refund_id, _step(envelope, event, "due", _total(part))
        elif was is not None and was.status == part.status and _total(was) != _total(part):
            yield refund_id, _step(envelope, event, "changed", _total(part))
    set_off = _set_off(claim.after) > _set_off(claim.before)
    for refund_id in before.keys() - after.keys():
        yield refund_id, _step(envelope, event, "set off" if set_off else "no longer due", _total(before[refund_id]))


def _step(envelope: StoredEnvelope, event: LedgerEvent, what: RefundStepKind, amount: str | None) -> RefundStep:
    return {
        "position": f"{envelope.shard}:{envelope.position}",
        "event_id": event.event_id,
        "what": what,
        "amount": amount,
        "at": instant_to_text(event.occurred_at if isinstance(event, RefundReport) else event.recorded_at),
        "processor_reference": None,
        "recorded_at": instant_to_text(event.recorded_at),
    }


def _refunds(parts: Sequence[SettledPart]) -> dict[str, SettledPart]:
    return {part.id: part for part in parts if part.into == "refund"}


def _set_off(parts: Sequence[SettledPart]) -> Decimal:
    return sum((part.net + part.tax for part in parts if part.into == "offset"), Decimal(0))


def _total(part: SettledPart) -> str:
    return str(part.net + part.tax)
