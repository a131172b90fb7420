"""What lists are found by says the same as what is shown: whatever came, in whatever order, and whatever counts."""

import random
from decimal import Decimal

import pytest

from ledger.events import (
    AlarmCleared,
    AlarmRaised,
    ComplaintOpened,
    ComplaintReopened,
    ComplaintResolved,
    CreditApplied,
    FactRetracted,
    GoodwillApproved,
    GoodwillProposed,
    GoodwillRejected,
    InstructionCarriedOut,
    InstructionRefused,
    OutageReopened,
    OutageReported,
    OutageResolved,
    RetractedMessage,
    SubscriptionStatusChanged,
)
from projections import alarms, complaints, goodwill, instructions, outages, retractions
from projections.alarms import ALARMS
from projections.claims import CLAIMS
from projections.complaints import COMPLAINTS
from projections.goodwill import GOODWILL
from projections.instructions import INSTRUCTIONS
from projections.outages import OUTAGES
from projections.projection import State
from projections.retractions import RETRACTIONS
from projections.shown_values import shown_instant
from tests.projections.stories import START, Story, granted

FOLDED = (ALARMS, CLAIMS, COMPLAINTS, GOODWILL, INSTRUCTIONS, OUTAGES, RETRACTIONS)


def said_at_random(seed: int) -> Story:
    """Facts about few complaints, outages, goodwill credits and instructions, some retracted or contradicted."""
    chance, story = random.Random(seed), Story()
    spoken: list[str] = []
    raised: list[dict] = []

    def tell(event: type, **data: object) -> None:
        message_id = f"m-{len(spoken)}"
        time = START.replace(hour=chance.randrange(24), minute=chance.randrange(60))
        story.tell(event, message_id=message_id, time=time, **data)
        spoken.append(message_id)

    ends = {"before": "active", "after": "cancelling", "now": START, "effective_on": START.date()}
    applied: set[str] = set()
    for number in range(50):
        complaint, credit = f"cmp-{chance.randrange(3)}", f"gw-{chance.randrange(3)}"
        outage = {"outage_id": f"out-{chance.randrange(3)}", "subscription_id": f"sub-{chance.randrange(2)}"}
        match chance.randrange(15):
            case 0:
                nothing = {"subscription_id": None, "sealed": None}
                tell(ComplaintOpened, complaint_id=complaint, channel="phone", category="billing", **nothing)
            case 1:
                tell(ComplaintResolved, complaint_id=complaint, resolution_code="explained", sealed=None)
            case 2:
                tell(ComplaintReopened, complaint_id=complaint, sealed=None)
            case 3:
                money = {"amount": Decimal("5.00"), "currency": "EUR", "subscription_id": None}
                tell(GoodwillProposed, credit_id=credit, complaint_id=complaint, proposed_by="ann", **money)
            case 4:
                tell(GoodwillApproved, credit_id=credit, decided_by="bob")
            case 5:
                tell(GoodwillRejected, credit_id=credit, decided_by="cem")
            case 6:
                story.tell(SubscriptionStatusChanged, subscription_id=f"sub-{number}", **ends)
            case 11 if (application := f"app-{chance.randrange(5)}") not in applied:
                applied.add(application)
                of = {"credit_id": "credit/1", "claim_id": "unused/c", "charge_id": "c-2", "invoice_id": "inv-2"}
                money = {"amount": Decimal("1.00"), "net": Decimal("1.00"), "tax": Decimal("0.00"), "currency": "EUR"}
                story.tell(CreditApplied, application_id=application, rules=1, now=START, **of, **money)
            case 12:
                at = {"began_at": START, "reported_at": START, "channel": None}
                tell(OutageReported, **outage, **at, severity="minor", cause="unknown")
                used = (f"event-0-{len(story.envelopes)}",)
                story.assess(None, granted("1.00"), claim_id="disruption/c", clause="service_disruption", facts=used)
            case 13:
                tell(OutageResolved, **outage, resolved_at=START)
            case 14:
                tell(OutageReopened, **outage)
            case 7:
                issued = story.folded(INSTRUCTIONS)["instructions"] if story.envelopes else ()
                ids = [row["instruction_id"] for row in issued]
                of = {"instruction_id": chance.choice([*ids, f"app-{chance.randrange(5)}"])}
                if chance.random() < 0.5:
                    tell(InstructionCarriedOut, **of, carried_out_at=START)
                else:
                    tell(InstructionRefused, **of)
            case 8 | 9 if spoken:
                gone = chance.choice([*spoken, f"m-{len(spoken) + chance.randrange(9)}"])
                tell(FactRetracted, retracts=RetractedMessage(source="/billing", id=gone), sealed=None)
            case 10 if raised and chance.random() < 0.5:
                story.tell(AlarmCleared, **raised.pop())
            case 10 if spoken:
                about = ("/billing m-0", f"/billing {chance.choice(spoken)}")
                alarm = chance.choice(["contradiction", "decided_by_proposer", "charged_after_end"])
                ids = {"claim_id": None, "charge_id": None, "subscription_id": None}
                raised.append({"alarm": alarm, "about": about, "now": START, **ids})
                story.tell(AlarmRaised, **raised[-1])
    return story


@pytest.mark.parametrize("seed", range(60))
def test_lists_are_found_by_what_is_shown(seed: int) -> None:
    story = said_at_random(seed)
    state: State = {name: rows for each in FOLDED for name, rows in story.folded(each).items()}
    left_out, gone = alarms.left_out(state), retractions.never_said(state)
    found = {(row["complaint_id"], bool(row["resolved"]), row["opened_at"]) for row in state["complaint_standings"]}
    shown = complaints.shown(state, left_out)
    assert {(each, resolved) for each, resolved, _ in found} == {
        (each["complaint_id"], each["status"] == "resolved") for each in shown
    }
    assert {shown_instant(opened_at) for *_, opened_at in found} == {each["opened_at"] for each in shown}
    assert {(row["credit_id"], bool(row["decided"])) for row in state["goodwill_standings"]} == {
        (each["credit_id"], each["status"] != "proposed") for each in goodwill.shown(state, left_out)
    }
    standing = outages.standing(state["outages"], left_out)
    assert {
        (row["outage_id"], row["subscription_id"], bool(row["resolved"])) for row in state["outage_standings"]
    } == {
        (outage_id, report["subscription_id"], ending is not None and ending["said"] == "resolved")
        for (_, outage_id), (report, ending) in standing.items()
    }
    assert {(row["instruction_id"], bool(row["answered"])) for row in state["instructions"]} == {
        (each["instruction_id"], each["status"] != "open") for each in instructions.shown(state, gone)
    }


def test_the_stories_have_everything_in_them() -> None:
    kept = (COMPLAINTS, GOODWILL, INSTRUCTIONS, OUTAGES)
    states = [said_at_random(seed).folded(each) for seed in range(60) for each in kept]
    rows: dict[str, int] = {}
    for state in states:
        for name, of in state.items():
            rows[name] = rows.get(name, 0) + len(of)
    assert all(rows.values()), rows
