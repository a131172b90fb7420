"""Refunds: they follow their claim's parts, and meet the processor's results whenever those come."""

from ledger.events import RefundFailed, RefundSucceeded
from projections.refunds import REFUNDS, listed
from tests.projections.stories import START, Story, granted, part

REFUND = "refund/unused/cycle-1/1"


def test_a_refund_is_due_from_the_event_that_first_made_it_so() -> None:
    story = Story()
    small = granted("5.00", part("refund", REFUND, "5.00", "0.95"), tax="0.95")
    story.assess(None, small)
    story.assess(small, granted("9.31", part("refund", REFUND, "9.31", "1.77"), tax="1.77"))

    assert listed(story.folded(REFUNDS)) == [
        {
            "refund_id": REFUND,
            "claim_id": "unused/cycle-1",
            "account_id": "acct-1",
            "charge_id": "cycle-1",
            "net": "9.31",
            "tax": "1.77",
            "total": "11.08",
            "currency": "EUR",
            "status": "due",
            "due_at": story.recorded_at(1),
            "approved_at": None,
            "submitted_at": None,
            "settled_at": None,
            "processor_reference": None,
        }
    ]


def test_a_result_holds_whether_it_comes_before_the_refund_or_after_it() -> None:
    succeeded = {"refund_id": REFUND, "processor_reference": "psp-77", "succeeded_at": START}
    early, late = Story(), Story()
    early.tell(RefundSucceeded, **succeeded)
    early.assess(None, granted("5.00", part("refund", REFUND, "5.00")))
    late.assess(None, granted("5.00", part("refund", REFUND, "5.00")))
    late.tell(RefundSucceeded, **succeeded)

    for story in (early, late):
        (refund,) = listed(story.folded(REFUNDS))
        assert (refund["status"], refund["settled_at"]) == ("succeeded", "2026-03-01T09:00:00Z")
        assert refund["processor_reference"] == "psp-77"


def test_money_that_arrived_has_arrived_whatever_failed_before_or_after() -> None:
    story = Story()
    story.assess(None, granted("5.00", part("refund", REFUND, "5.00")))
    story.tell(RefundFailed, refund_id=REFUND)
    assert [refund["status"] for refund in listed(story.folded(REFUNDS))] == ["failed"]

    story.tell(RefundSucceeded, refund_id=REFUND, processor_reference="psp-77", succeeded_at=START)
    story.tell(RefundFailed, refund_id=REFUND)
    assert [refund["status"] for refund in listed(story.folded(REFUNDS))] == ["succeeded"]


def test_a_part_that_vanished_takes_its_refund_along_and_a_new_one_is_due_anew() -> None:
    story = Story()
    refunded = granted("5.00", part("refund", REFUND, "5.00"))
    credited = granted("5.00", part("credit", "credit/unused/cycle-1/1", "5.00"))
    story.assess(None, refunded)
    story.assess(refunded, credited)
    assert listed(story.folded(REFUNDS)) == []

    story.assess(credited, refunded)
    assert [refund["due_at"] for refund in listed(story.folded(REFUNDS))] == [story.recorded_at(3)]


def test_a_claim_that_fell_away_leaves_no_refund_due() -> None:
    story = Story()
    story.assess(None, granted("5.00", part("refund", REFUND, "5.00")))
    story.assess(granted("5.00", part("refund", REFUND, "5.00")), None)

    assert story.folded(REFUNDS)["refunds"] == []


def test_a_result_for_a_refund_nobody_owes_is_kept_but_not_listed() -> None:
    story = Story()
    story.tell(RefundFailed, refund_id="refund/unknown/1")

    assert listed(story.folded(REFUNDS)) == []
