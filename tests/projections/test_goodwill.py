"""Goodwill credits as they are listed: the proposal that stands, and the verdict that holds, in whatever order."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from ledger.events import (
    AlarmRaised,
    ClaimState,
    ComplaintLinked,
    ComplaintOpened,
    GoodwillApproved,
    GoodwillProposed,
    GoodwillRejected,
)
from ledger.store.database import Database
from projections import account_state, claims, complaints, disputes, linked_goodwill
from projections import goodwill as goodwill_
from projections.alarms import ALARMS, left_out
from projections.claims import CLAIMS
from projections.follower import Follower
from projections.goodwill import GOODWILL
from projections.retractions import RETRACTIONS
from tests.projections.stories import START, Story, granted, part


def proposed(**other: Any) -> tuple[type, dict[str, Any]]:
    data = {"complaint_id": "cmp-1", "subscription_id": None, "currency": "EUR", "proposed_by": "ann"}
    return GoodwillProposed, {"amount": Decimal("5.00"), **data, **other}


APPROVED = (GoodwillApproved, {"decided_by": "bob"})
REJECTED = (GoodwillRejected, {"decided_by": "cem"})


def told(*facts: tuple[type, dict[str, Any]], order: tuple[int, ...] | None = None) -> Story:
    """Facts that were said an hour apart, and recorded in another order if one is given."""
    story = Story()
    for number in order or range(len(facts)):
        event, data = facts[number]
        story.tell(event, time=START + timedelta(hours=number), credit_id="gw-1", **data)
    return story


def credits_of(story: Story) -> list[dict[str, Any]]:
    state = {
        name: rows for each in (GOODWILL, CLAIMS, ALARMS, RETRACTIONS) for name, rows in story.folded(each).items()
    }
    return goodwill_.shown(state, left_out(state))


@pytest.mark.parametrize(
    ("facts", "status", "decided_by", "decided_at"),
    [
        ([proposed()], "proposed", None, None),
        ([proposed(), APPROVED], "approved", "bob", "2026-03-01T10:00:00Z"),
        ([proposed(), REJECTED], "rejected", "cem", "2026-03-01T10:00:00Z"),
        ([proposed(), REJECTED, APPROVED], "rejected", "cem", "2026-03-01T10:00:00Z"),
    ],
)
def test_in_whatever_order_its_facts_come(
    facts: list[Any], status: str, decided_by: str | None, decided_at: str | None
) -> None:
    for order in permutations(range(len(facts))):
        [credit] = credits_of(told(*facts, order=order))
        assert (credit["status"], credit["decided_by"], credit["decided_at"]) == (status, decided_by, decided_at)


def test_a_verdict_alone_is_not_listed() -> None:
    assert credits_of(told(APPROVED)) == []


@pytest.mark.parametrize("alarm", ["contradiction", "decided_by_proposer"])
def test_what_counts_for_nothing_is_left_out_as_the_assessment_says(alarm: str) -> None:
    """Here it is the first verdict: by the proposer, or by anybody in a fact that contradicts another."""
    story = told(proposed(), (GoodwillApproved, {"decided_by": "ann"}), REJECTED)
    about = ("/billing m-1", "/billing m-2")
    story.tell(AlarmRaised, alarm=alarm, about=about, claim_id=None, charge_id=None, subscription_id=None, now=START)
    [credit] = credits_of(story)
    assert (credit["status"], credit["decided_by"]) == ("rejected", "cem")


def test_it_is_shown_with_its_claim_and_its_complaints(database: Database) -> None:
    story = told(proposed(), APPROVED)
    on_no_charge: dict[str, Any] = {"claim_id": "goodwill/gw-1", "charge_id": None}
    story.assess(None, granted("5.00"), clause="complaint", **on_no_charge)
    story.settle(part("credit", "credit/goodwill/gw-1/1", "5.00"), invoice_id=None, **on_no_charge)
    for complaint_id in ("cmp-1", "cmp-2"):
        data = {"subscription_id": None, "channel": "phone", "category": "noise"}
        story.tell(ComplaintOpened, complaint_id=complaint_id, **data)
    story.tell(ComplaintLinked, complaint_id="cmp-2", kind="goodwill", linked_id="gw-1")
    pending = ClaimState(outcome="pending", reason=None, amount=Decimal(0), tax=Decimal(0), settle_as="refund")
    story.assess(None, pending, claim_id="billing-error/dis-1", clause="billing_error")
    story.tell(ComplaintLinked, complaint_id="cmp-2", kind="dispute", linked_id="dis-1")
    event, data = proposed(complaint_id="cmp-3")
    story.tell(event, "acct-2", credit_id="gw-1", **data)
    story.write(database)
    Follower(database).create()
    Follower(database).catch_up()

    one, other = linked_goodwill.listed(database)
    assert one == {
        "credit_id": "gw-1",
        "claim_id": "goodwill/gw-1",
        "account_id": "acct-1",
        "subscription_id": None,
        "complaint_id": "cmp-1",
        "status": "approved",
        "outcome": "granted",
        "amount": "5.00",
        "currency": "EUR",
        "proposed_by": "ann",
        "proposed_at": "2026-03-01T09:00:00Z",
        "decided_by": "bob",
        "decided_at": "2026-03-01T10:00:00Z",
        "complaint_ids": ["cmp-1", "cmp-2"],
    }
    assert (other["account_id"], other["outcome"], other["complaint_ids"]) == ("acct-2", None, [])
    assert linked_goodwill.listed(database, accounts=["acct-1"]) == [one]
    assert linked_goodwill.listed(database, still_open=True) == [other]
    [dispute] = disputes.listed(database, START)
    assert dispute["complaint_ids"] == ["cmp-2"]
    assert complaints.about(database, "acct-1", [("goodwill", "gw-1"), ("dispute", "dis-1")]) == [
        "cmp-1",
        "cmp-2",
    ]
    assert complaints.about(database, "acct-2", [("goodwill", "gw-1")]) == []
    assert [c["charge_id"] for c in claims.listed(database, clause="complaint")] == [None]
    found = complaints.find([database], START, "cmp-2")
    assert found is not None
    assert [link["kind"] for link in found["links"]] == ["goodwill", "dispute"]
    account = account_state.account(database, "acct-1").state
    assert account == account_state.account_recorded(account_state.recorded(database, "acct-1"), "acct-1")
    assert [credit["status"] for credit in account["goodwill"]] == ["approved"]
