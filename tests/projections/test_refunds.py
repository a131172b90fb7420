"""Refunds: they follow their claim's parts, and meet the processor's results whenever those come."""

from datetime import timedelta
from decimal import Decimal

from ledger.events import RefundFailed, RefundSucceeded, RefundSucceededV1
from projections.refunds import REFUNDS, shown
from tests.projections.stories import START, Story, gone_out, granted_v1, part, part_v1

REFUND = "refund/unused/cycle-1/1"
SUCCEEDED = {"refund_id": REFUND, "processor_reference": "psp-77", "succeeded_at": START}
NO_AMOUNT = {"amount": None, "currency": None}


def test_a_refund_is_due_from_the_event_that_first_made_it_so() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00", "0.95"))
    story.settle(part("refund", REFUND, "9.31", "1.77"))

    assert shown(story.folded(REFUNDS)) == [
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


def test_a_refund_that_arrived_is_shown_with_when_and_with_its_reference() -> None:
    """Whether the report came before the refund was due, or after it."""
    early, late = Story(), Story()
    early.tell(RefundSucceeded, **SUCCEEDED, **NO_AMOUNT)
    early.settle(part("refund", REFUND, "5.00"))
    early.settle(gone_out("refund", REFUND, "5.00"))
    late.settle(part("refund", REFUND, "5.00"))
    late.tell(RefundSucceeded, **SUCCEEDED, **NO_AMOUNT)
    late.settle(gone_out("refund", REFUND, "5.00"))

    for story in (early, late):
        (refund,) = shown(story.folded(REFUNDS))
        assert (refund["status"], refund["settled_at"]) == ("succeeded", "2026-03-01T09:00:00Z")
        assert refund["processor_reference"] == "psp-77"


def test_what_went_out_is_shown_where_the_report_names_another_amount() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00", "0.95"))
    story.tell(RefundSucceeded, **SUCCEEDED, amount=Decimal("4.00"), currency="EUR")
    story.settle(
        gone_out("refund", REFUND, "3.36", "0.64"), part("refund", "refund/unused/cycle-1/2", "1.64", "0.31")
    )

    first, second = shown(story.folded(REFUNDS))
    assert (first["total"], first["status"], first["due_at"]) == ("4.00", "succeeded", story.recorded_at(1))
    assert (second["total"], second["status"], second["due_at"]) == ("1.95", "due", story.recorded_at(3))
    assert (second["settled_at"], second["processor_reference"]) == (None, None)


def test_a_refund_that_bounced_is_owed_again_and_follows_its_claim() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00"))
    story.tell(RefundSucceeded, **SUCCEEDED, **NO_AMOUNT)
    story.settle(gone_out("refund", REFUND, "5.00"))
    story.tell(RefundFailed, refund_id=REFUND)
    story.settle(part("refund", REFUND, "5.00", status="failed"))
    story.settle(part("refund", REFUND, "4.00", status="failed"))

    (refund,) = shown(story.folded(REFUNDS))
    assert (refund["status"], refund["total"], refund["due_at"]) == ("failed", "4.00", story.recorded_at(1))
    assert (refund["settled_at"], refund["processor_reference"]) == (None, None)


def test_a_refund_that_bounced_and_arrived_then_shows_the_latest_arrival() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00"))
    story.tell(RefundSucceeded, time=START, **SUCCEEDED, **NO_AMOUNT)
    story.tell(RefundFailed, time=START + timedelta(days=1), refund_id=REFUND)
    again = {"processor_reference": "psp-78", "succeeded_at": START + timedelta(days=2)}
    story.tell(RefundSucceeded, time=START + timedelta(days=2), **{**SUCCEEDED, **again}, **NO_AMOUNT)
    story.settle(gone_out("refund", REFUND, "5.00"))

    (refund,) = shown(story.folded(REFUNDS))
    assert (refund["settled_at"], refund["processor_reference"]) == ("2026-03-03T09:00:00Z", "psp-78")


def test_a_part_that_vanished_takes_its_refund_along_and_a_new_one_is_due_anew() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00"))
    story.settle(part("credit", "credit/unused/cycle-1/1", "5.00"))
    assert shown(story.folded(REFUNDS)) == []

    story.settle(part("refund", REFUND, "5.00"))
    assert [refund["due_at"] for refund in shown(story.folded(REFUNDS))] == [story.recorded_at(3)]


def test_a_claim_that_is_settled_no_more_leaves_no_refund_due() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00"))
    story.settle()

    assert story.folded(REFUNDS)["refunds"] == []


def test_an_older_refund_is_due_until_it_is_settled_anew_and_arrived_then() -> None:
    """Older versions did not record that a refund went out; the account is settled anew before anything else."""
    story = Story()
    story.assess_v1(None, granted_v1("5.00", part_v1("refund", REFUND, "5.00")))
    story.tell(RefundSucceededV1, **SUCCEEDED)
    story.settle(gone_out("refund", REFUND, "5.00"))

    (refund,) = shown(story.folded(REFUNDS))
    assert (refund["status"], refund["settled_at"]) == ("succeeded", "2026-03-01T09:00:00Z")
    assert (refund["due_at"], refund["processor_reference"]) == (story.recorded_at(1), "psp-77")


def test_a_result_for_a_refund_nobody_owes_is_kept_but_not_listed() -> None:
    story = Story()
    story.tell(RefundFailed, refund_id="refund/unknown/1")

    assert shown(story.folded(REFUNDS)) == []
