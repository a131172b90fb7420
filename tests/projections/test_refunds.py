"""Refunds: they follow their claim's parts, and meet the processor's results whenever those come."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from ledger.aggregates import billing_account
from ledger.events import (
    AlarmRaised,
    RefundFailed,
    RefundStatusChanged,
    RefundSucceeded,
    RefundSucceededV1,
    ReturnStanding,
)
from ledger.store.database import Database
from projections import refunds
from projections.alarms import LAW_BROKEN
from projections.follower import Follower
from projections.refunds import NOTHING_HELD, REFUNDS, Held, is_owed, shown
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
            "credit_id": None,
            "proposal": story.envelopes[1].leaf_hash,
            "approved_by": None,
            "approved_at": None,
            "submitted_at": None,
            "settled_at": None,
            "processor_reference": None,
            "returns": [],
            "waits_for": "approval",
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


# --- from when somebody decided about it --------------------------------------------------------------------------

OF_A_CREDIT = "refund/credit/disruption/cycle-1/1/1"


def stand(
    story: Story, before: str | None, after: str | None, net: str = "5.00", tax: str = "0.95", **more: Any
) -> None:
    """A refund of a claim stands otherwise from now on, or one of a credit where `more` names one."""
    of: dict[str, Any] = {
        "refund_id": REFUND,
        "claim_id": "unused/cycle-1",
        "credit_id": None,
        "charge_id": "cycle-1",
    }
    nothing: dict[str, Any] = dict.fromkeys(
        ("set_by", "approved_by", "approved_at", "submitted_at", "settled_at", "processor_reference")
    )
    said = {"before": before, "after": after, "net": Decimal(net), "tax": Decimal(tax), "currency": "EUR"}
    rest = {"attempt": 0, "returns": (), "held_by": None, "now": START}
    story.tell(RefundStatusChanged, **{**of, **nothing, **said, **rest, **more})


def returned(number: int, amount: str, status: str, reference: str | None = None) -> ReturnStanding:
    return ReturnStanding(
        return_id=f"ret-{number}",
        payment_id=f"pay-{number}",
        method="card",
        amount=Decimal(amount),
        status=status,  # type: ignore[arg-type]
        processor_reference=reference,
    )


APPROVED: dict[str, Any] = {"approved_by": "ada", "approved_at": START}
SUBMITTED: dict[str, Any] = {
    **APPROVED,
    "attempt": 1,
    "submitted_at": START + timedelta(hours=1),
    "returns": (returned(1, "4.00", "submitted"), returned(2, "1.95", "submitted")),
}


def test_a_refund_is_told_step_by_step_until_it_has_arrived() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00", "0.95"))
    stand(story, "due", "approved", **APPROVED)
    (approved,) = shown(story.folded(REFUNDS))
    assert (approved["status"], approved["approved_by"], approved["approved_at"]) == (
        "approved",
        "ada",
        "2026-03-01T09:00:00Z",
    )
    assert (approved["due_at"], approved["waits_for"], approved["returns"]) == (story.recorded_at(1), None, [])

    stand(story, "approved", "submitted", **SUBMITTED)
    story.settle(gone_out("refund", REFUND, "5.00", "0.95"))
    (submitted,) = shown(story.folded(REFUNDS))
    assert (submitted["status"], submitted["submitted_at"]) == ("submitted", "2026-03-01T10:00:00Z")
    assert (submitted["settled_at"], submitted["processor_reference"]) == (None, None)
    assert [(each["payment_id"], each["amount"], each["status"]) for each in submitted["returns"]] == [
        ("pay-1", "4.00", "submitted"),
        ("pay-2", "1.95", "submitted"),
    ]

    arrived = {
        **SUBMITTED,
        "settled_at": START + timedelta(days=1),
        "processor_reference": "psp-1",
        "returns": (returned(1, "4.00", "succeeded", "psp-1"), returned(2, "1.95", "succeeded", "psp-2")),
    }
    stand(story, "submitted", "succeeded", **arrived)
    (succeeded,) = shown(story.folded(REFUNDS))
    assert (succeeded["status"], succeeded["settled_at"]) == ("succeeded", "2026-03-02T09:00:00Z")
    assert (succeeded["processor_reference"], succeeded["waits_for"]) == ("psp-1", None)
    assert [each["processor_reference"] for each in succeeded["returns"]] == ["psp-1", "psp-2"]
    assert succeeded["due_at"] == story.recorded_at(1)


def test_it_is_approved_for_the_event_that_set_its_amount() -> None:
    """A new status sets no amount; another amount, another charge or another invoice does."""
    story = Story()
    proposals = []

    def settles(*parts: Any, **more: Any) -> None:
        story.settle(*parts, **more)
        (refund,) = shown(story.folded(REFUNDS))
        proposals.append((refund["proposal"], story.envelopes[-1].leaf_hash))

    settles(part("refund", REFUND, "5.00", "0.95"))
    (first, _) = proposals[0]
    settles(part("refund", REFUND, "5.00", "0.95"), part("credit", "c", "1.00"))
    settles(part("refund", REFUND, "5.00", "0.95", status="failed"))
    assert [proposal for proposal, _ in proposals] == [first] * 3

    for parts, more in (
        (part("refund", REFUND, "4.99", "0.96"), {}),
        (part("refund", REFUND, "4.99", "0.95"), {}),
        (part("refund", REFUND, "4.99", "0.95"), {"charge_id": "cycle-2"}),
        (part("refund", REFUND, "4.99", "0.95"), {"charge_id": "cycle-2", "invoice_id": "inv-2"}),
    ):
        settles(parts, **more)
        assert proposals[-1][0] == proposals[-1][1]


def test_an_approval_that_was_overtaken_is_gone_and_what_stands_is_proposed_anew() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00", "0.95"))
    stand(story, "due", "approved", **APPROVED)
    stand(story, "approved", "due", "4.00", "0.76")
    story.settle(part("refund", REFUND, "4.00", "0.76"))

    (refund,) = shown(story.folded(REFUNDS))
    assert (refund["status"], refund["total"], refund["approved_by"]) == ("due", "4.76", None)
    assert refund["proposal"] == story.envelopes[-1].leaf_hash


def test_what_is_owed_no_more_is_not_listed_until_its_claim_is_settled_so_again() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00"))
    stand(story, "due", "approved", **APPROVED)
    story.settle()
    assert [refund["status"] for refund in shown(story.folded(REFUNDS))] == ["approved"], (
        "what stands was not said yet"
    )
    stand(story, "approved", None)
    assert shown(story.folded(REFUNDS)) == []

    story.settle(part("refund", REFUND, "3.00"))
    (refund,) = shown(story.folded(REFUNDS))
    assert (refund["status"], refund["total"], refund["approved_by"]) == ("due", "3.00", None)


def test_a_refund_that_nobody_decides_about_any_more_follows_its_claim_again() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00", "0.95"))
    stand(story, "due", "approved", **APPROVED)
    stand(story, "approved", None)

    (refund,) = shown(story.folded(REFUNDS))
    assert (refund["status"], refund["total"], refund["due_at"]) == ("due", "5.95", story.recorded_at(1))
    assert (refund["approved_by"], refund["approved_at"]) == (None, None)


def test_a_rejected_refund_stays_listed_and_is_no_debt() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00", status="rejected"))

    (refund,) = shown(story.folded(REFUNDS))
    assert (refund["status"], refund["waits_for"], is_owed(refund)) == ("rejected", None, False)


def test_all_that_is_settled_under_one_id_is_one_refund() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "5.00", "0.95", status="rejected"), part("refund", REFUND, "1.00", "0.19"))

    (refund,) = shown(story.folded(REFUNDS))
    assert (refund["net"], refund["tax"], refund["total"], refund["status"]) == ("6.00", "1.14", "7.14", "due")


def test_the_refund_of_a_credit_is_there_by_what_is_said_of_it_alone() -> None:
    """It is left on its credit until it was submitted, so that nothing is owed twice."""
    story = Story()
    of: dict[str, Any] = {
        "refund_id": OF_A_CREDIT,
        "claim_id": "disruption/cycle-1",
        "credit_id": "credit/disruption/cycle-1/1",
    }
    owed = []
    for before, after, more in (
        (None, "due", {}),
        ("due", "approved", APPROVED),
        ("approved", "submitted", SUBMITTED),
        ("submitted", "failed", SUBMITTED),
    ):
        stand(story, before, after, **more, **of)
        (refund,) = shown(story.folded(REFUNDS))
        owed.append((refund["status"], is_owed(refund)))
        assert (refund["credit_id"], refund["claim_id"]) == ("credit/disruption/cycle-1/1", "disruption/cycle-1")
        assert (refund["due_at"], refund["proposal"]) == (story.recorded_at(1), story.envelopes[0].leaf_hash)
    assert owed == [("due", False), ("approved", False), ("submitted", True), ("failed", False)]

    stand(story, "failed", "due", "3.00", "0.00", **of)
    (refund,) = shown(story.folded(REFUNDS))
    assert refund["proposal"] == story.envelopes[-1].leaf_hash, "another amount, so another proposal"
    stand(story, "due", None, "3.00", "0.00", **of)
    assert shown(story.folded(REFUNDS)) == []


def test_every_refund_says_why_it_does_not_go_out_yet() -> None:
    def waits_for(status: str, held: Held = NOTHING_HELD, held_by: str | None = None) -> str | None:
        story = Story()
        stand(story, None, status, held_by=held_by)
        (refund,) = shown(story.folded(REFUNDS), held=held)
        return refund["waits_for"]

    aside, stopped = Held(set_aside={"acct-1"}), Held(stopped={"acct-1"})
    assert waits_for("due", aside) == "approval"
    assert waits_for("failed", aside) == "a retry"
    assert waits_for("approved", aside) == "a message set aside"
    assert waits_for("approved", stopped) == "a law that does not hold"
    assert waits_for("approved", Held({"acct-2"}, {"acct-2"})) is None
    assert waits_for("approved", held_by="contradiction") == "a contradiction"
    assert waits_for("approved", held_by="payment") == "a payment with enough left on it"
    assert [waits_for(status) for status in ("approved", "submitted", "succeeded", "rejected")] == [None] * 4


def test_a_list_knows_the_accounts_whose_payouts_wait(database: Database) -> None:
    story = Story()
    for account in ("acct-1", "acct-2", "acct-3"):
        story.settle(part("refund", REFUND, "5.00", "0.95"), account=account)
        stand(story, "due", "approved", **APPROVED, account=account)
    nothing = {"claim_id": None, "charge_id": None, "subscription_id": None, "now": START}
    story.tell(AlarmRaised, "acct-3", alarm=LAW_BROKEN, about=("returned",), **nothing)
    story.write(database)
    follower = Follower(database)
    follower.create()
    follower.catch_up()
    with database.writing() as transaction:
        aside = {"position": 1, "set_aside_id": "kept-1", "origin": "file:x:1", "reason": "why", "source": "/s"}
        aside |= {"id": "m-1", "account": "acct-2", "channel": "file", "set_aside_at": 1}
        transaction.insert("set_aside", tuple(aside), [tuple(aside.values())])
    assert [
        (refund["account_id"], refund["waits_for"]) for refund in refunds.listed(database, status="approved")
    ] == [
        ("acct-1", None),
        ("acct-2", "a message set aside"),
        ("acct-3", "a law that does not hold"),
    ]
    assert LAW_BROKEN == billing_account.LAW_BROKEN
