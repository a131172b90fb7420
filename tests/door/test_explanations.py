"""An explanation names the facts that do not count, with what stands instead, and what became of each refund."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.events import RefundFailed, RefundSucceeded
from makegood.answers.course_of_refunds import course_of_refunds
from tests.door.conftest import Door
from tests.door.test_commands import ACCOUNT, CANCELLATION, CYCLE, PAYMENT, RESOLVED, STORY, SUBSCRIPTION, message
from tests.projections.stories import START, Story, gone_out, part
from tests.published import hold_to_type

LATER = "2026-06-01T00:00:00Z"
OUTAGE = {
    "outage_id": "o",
    "subscription_id": "s",
    "severity": "significant",
    "cause": "provider",
    "began_at": "2026-04-02T00:00:00Z",
    "reported_at": "2026-04-02T01:00:00Z",
}
REPORTED = message("m-6", "outage.reported", OUTAGE)


def left_out(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What does not count, why, and what stands instead."""
    return [(fact["id"], fact["because"], fact["stands"]["id"]) for fact in found["left_out"]]


def test_a_resolution_before_its_outage_began_is_named_with_the_report_that_stands(sandbox: Door, lines) -> None:
    too_early = message("m-7", "outage.resolved", RESOLVED | {"resolved_at": "2026-04-01T00:00:00Z"}, LATER)
    sandbox("ingest", lines(*STORY[:4], REPORTED, too_early))
    sandbox("advance", LATER)
    found = sandbox.json("explain", "disruption/c")
    hold_to_type("Explanation", found)
    [fact] = found["left_out"]
    assert left_out(found) == [("m-7", "contradiction", "m-6")]
    assert fact["summary"] == "Outage o of subscription s was resolved at 2026-04-01T00:00:00Z"
    history = {row["position"]: row["event_id"] for row in sandbox.json("history", "acct-1")}
    assert [history[each["position"]] for each in (fact, fact["stands"])] == [
        fact["event_id"],
        fact["stands"]["event_id"],
    ]
    told = sandbox("explain", "disruption/c")
    assert f"left out   {fact['summary']} (m-7 from /test, {fact['position']}) since " in told
    assert "stands     Outage o of subscription s was reported: significant, cause provider" in told

    gone = message("m-8", "fact.retracted", {"retracts": {"source": "/test", "id": "m-7"}}, LATER)
    sandbox("ingest", lines(gone))
    assert sandbox.json("explain", "disruption/c")["left_out"] == []


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        (message("x", "cycle.started", CYCLE["data"] | {"price": "60.00"}, LATER), "m-3"),
        (
            message("x", "cycle.started", CYCLE["data"] | {"cycle_id": "c-2", "starts_on": "2026-04-15"}, LATER),
            "m-3",
        ),
        (message("x", "payment.captured", PAYMENT["data"] | {"amount": "1.00"}, "2025-12-01T00:00:00Z"), "m-4"),
        (message("x", "subscription.registered", SUBSCRIPTION["data"] | {"plan": "other"}, LATER), "m-2"),
        (message("x", "account.registered", ACCOUNT["data"] | {"currency": "USD"}, LATER), "m-1"),
    ],
)
def test_everything_that_contradicts_what_a_claim_rests_on_is_named(
    sandbox: Door, lines, said: dict[str, Any], stands: str
) -> None:
    sandbox("ingest", lines(*STORY, said))
    assert left_out(sandbox.json("explain", "unused/c")) == [("x", "contradiction", stands)]


def test_what_contradicts_something_else_is_not(sandbox: Door, lines) -> None:
    other = CYCLE["data"] | {
        "cycle_id": "c-2",
        "starts_on": "2026-05-01",
        "ends_on": "2026-06-01",
        "invoice_id": "i-2",
    }
    again = message("x-2", "cycle.started", other | {"price": "60.00"}, LATER)
    sandbox("ingest", lines(*STORY, message("x-1", "cycle.started", other), again))
    assert left_out(sandbox.json("explain", "unused/c")) == []
    assert left_out(sandbox.json("explain", "unused/c-2")) == [("x-2", "contradiction", "x-1")]


def test_a_refund_is_followed_from_when_it_was_due_to_when_it_bounced_and_was_paid_out(sandbox: Door, lines) -> None:
    refund = {"refund_id": "refund/unused/c/1"}
    bounced = message("r-1", "refund.failed", refund | {"reason": "the account was closed"}, "2026-04-12T00:00:00Z")
    arrived = refund | {"processor_reference": "psp-2", "succeeded_at": "2026-04-20T10:00:00Z"}
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION, CYCLE, PAYMENT, CANCELLATION))
    sandbox("ingest", lines(bounced))
    sandbox("ingest", lines(message("r-2", "refund.succeeded", arrived, "2026-04-20T10:00:00Z")))
    found = sandbox.json("explain", "refund/unused/c/1")
    hold_to_type("Explanation", found)
    [course] = found["refunds"]
    assert (course["refund_id"], course["status"], course["total"]) == ("refund/unused/c/1", "succeeded", "28.51")
    assert [(step["what"], step["amount"], step["processor_reference"]) for step in course["steps"]] == [
        ("due", "28.51", None),
        ("failed", "28.51", None),
        ("succeeded", "28.51", "psp-2"),
    ]
    assert [step["at"] for step in course["steps"][1:]] == ["2026-04-12T00:00:00Z", "2026-04-20T10:00:00Z"]
    told = sandbox("explain", "unused/c")
    assert "refunds    refund/unused/c/1: 28.51 EUR due since " in told
    assert "refund/unused/c/1: 28.51 EUR paid out at 2026-04-20T10:00:00Z, reference psp-2" in told


REFUND = "refund/unused/cycle-1/1"
ARRIVED = {"refund_id": REFUND, "processor_reference": "psp-1", "succeeded_at": START + timedelta(days=1)}


def steps(story: Story, *, never_said: set[tuple[str, str]] = frozenset()) -> list[tuple[str, str | None]]:  # type: ignore[assignment]
    recorded = [(envelope, envelope.event()) for envelope in story.envelopes]
    found = course_of_refunds(recorded, "unused/cycle-1", never_said)
    return [(step["what"], step["amount"]) for course in found for step in course["steps"]]


def became_more(story: Story) -> None:
    story.settle(part("refund", REFUND, "3.00"))


def was_set_off(story: Story) -> None:
    story.settle(part("offset", "offset/unused/cycle-1", "2.00"))


def became_a_credit(story: Story) -> None:
    story.settle(part("credit", "credit/unused/cycle-1/1", "2.00"))


def arrived_with_less(story: Story) -> None:
    story.tell(RefundSucceeded, **ARRIVED, amount=Decimal("1.50"), currency="EUR")
    story.settle(gone_out("refund", REFUND, "1.50"))


def arrived_and_came_back(story: Story) -> None:
    story.tell(RefundSucceeded, **ARRIVED, amount=None, currency=None)
    story.settle(gone_out("refund", REFUND, "2.00"))
    story.tell(RefundFailed, refund_id=REFUND)
    story.settle(part("refund", REFUND, "2.00", status="failed"))
    story.settle(part("refund", REFUND, "1.00", status="failed"))


@pytest.mark.parametrize(
    ("what", "then"),
    [
        (became_more, [("changed", "3.00")]),
        (was_set_off, [("set off", "2.00")]),
        (became_a_credit, [("no longer due", "2.00")]),
        (arrived_with_less, [("succeeded", "1.50")]),
        (arrived_and_came_back, [("succeeded", "2.00"), ("failed", "2.00"), ("changed", "1.00")]),
    ],
)
def test_each_way_of_a_refund_is_a_step(what: Callable[[Story], None], then: list[tuple[str, str]]) -> None:
    story = Story()
    story.settle(part("refund", REFUND, "2.00"))
    what(story)
    assert steps(story) == [("due", "2.00"), *then]


def test_a_report_before_the_refund_was_due_is_a_step_without_an_amount_unless_it_names_one() -> None:
    story = Story()
    story.tell(RefundSucceeded, **ARRIVED, amount=None, currency=None)
    story.settle(gone_out("refund", REFUND, "2.00"))
    assert steps(story) == [("succeeded", None)]


def test_a_report_that_was_taken_back_is_none_and_the_refund_is_due_again() -> None:
    story = Story()
    story.settle(part("refund", REFUND, "2.00"))
    story.tell(RefundSucceeded, **ARRIVED, amount=None, currency=None, message_id="r-1")
    story.settle(gone_out("refund", REFUND, "2.00"))
    story.settle(part("refund", REFUND, "2.00"))
    assert steps(story, never_said={("/billing", "r-1")}) == [("due", "2.00"), ("due", "2.00")]
