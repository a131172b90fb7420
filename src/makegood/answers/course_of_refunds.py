"""What became of refunds: due, approved, submitted, succeeded, failed and so on, each step with when and by what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal

from ledger.events import (
    ClaimSettlement,
    LedgerEvent,
    RefundReport,
    RefundStatus,
    RefundStatusChanged,
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
from projections.settled_parts import refund_parts

Recorded = tuple[StoredEnvelope, LedgerEvent]


def course_of_refunds(
    recorded: Sequence[Recorded], claim_id: str, never_said: Collection[MessageKey]
) -> list[RefundCourse]:
    """Every refund that the claim or its credits ever had, by when it first was due or reported, with its steps in
    order.

    Reports of the payment processor that were retracted, the messages `never_said`, are no steps, and neither are
    those about a refund that was submitted: of such a one each change of its status is a step.
    """
    steps: dict[str, list[RefundStep]] = defaultdict(list)
    parts: dict[str, SettledPart] = {}
    standing: dict[str, RefundStatusChanged.Data] = {}
    for envelope, event in recorded:
        if isinstance(event, RefundReport):
            of_claim = event.data.refund_id.rpartition("/")[0] == f"refund/{claim_id}"
            if of_claim and event.data.refund_id not in standing and message_key(event) not in never_said:
                steps[event.data.refund_id].append(_reported(envelope, event, parts))
        elif isinstance(event, RefundStatusChanged):
            if event.data.claim_id == claim_id:
                _stand(steps[event.data.refund_id], standing, envelope, event)
        else:
            for claim in claims_settled(event):
                if claim.claim_id == claim_id:
                    for refund_id, step in _settled(envelope, event, claim, parts):
                        steps[refund_id].append(step)
                    parts = refund_parts(claim.after)
    return [_course(refund_id, of_it, parts, standing) for refund_id, of_it in steps.items()]


def course_of_refunds_of_credit(recorded: Sequence[Recorded], credit_id: str) -> list[RefundCourse]:
    """Every refund of a credit that belongs to no claim, likewise."""
    steps: dict[str, list[RefundStep]] = defaultdict(list)
    standing: dict[str, RefundStatusChanged.Data] = {}
    for envelope, event in recorded:
        if isinstance(event, RefundStatusChanged) and event.data.credit_id == credit_id:
            _stand(steps[event.data.refund_id], standing, envelope, event)
    return [_course(refund_id, of_it, {}, standing) for refund_id, of_it in steps.items()]


def _course(
    refund_id: str,
    steps: list[RefundStep],
    parts: Mapping[str, SettledPart],
    standing: Mapping[str, RefundStatusChanged.Data],
) -> RefundCourse:
    stands, part = standing.get(refund_id), parts.get(refund_id)
    status: RefundStatus | None = SHOWN_AS[part.status] if part is not None else None
    total = _total(part) if part is not None else None
    if stands is not None:
        status, total = stands.after, str(stands.net + stands.tax)
    return {"refund_id": refund_id, "status": status, "total": total, "steps": steps}


def _stand(
    steps: list[RefundStep],
    standing: dict[str, RefundStatusChanged.Data],
    envelope: StoredEnvelope,
    event: RefundStatusChanged,
) -> None:
    """Add how a refund stands now, unless its claim's settlement said the same before."""
    data = event.data
    if data.after is not None:
        standing[data.refund_id] = data
    else:
        standing.pop(data.refund_id, None)
    what: RefundStepKind = data.after if data.after is not None else "no longer due"
    amount = str(data.net + data.tax)
    if steps and (steps[-1]["what"], steps[-1]["amount"]) == (what, amount):
        return
    step = _step(envelope, event, what, amount)
    if what == "approved":
        step["approved_by"] = data.approved_by
    if what == "succeeded" and data.settled_at is not None:
        step["at"] = instant_to_text(data.settled_at)
        step["processor_reference"] = data.processor_reference
    steps.append(step)


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
    after = refund_parts(claim.after)
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


def _set_off(parts: Sequence[SettledPart]) -> Decimal:
    return sum((part.net + part.tax for part in parts if part.into == "offset"), Decimal(0))


def _total(part: SettledPart) -> str:
    return str(part.net + part.tax)
