"""An approval that was overtaken by a late fact: nothing goes out that nobody has approved as it is."""

from __future__ import annotations

from tests.stories.conftest import Finance

REFUND = "refund/unused/cyc-1/1"


def test_what_was_seen_is_what_is_approved(finance: Finance) -> None:
    says = finance.customer
    finance.hears(
        says.account_registered(),
        says.subscription_registered(),
        says.cycle_started(starts_on="2026-03-01", ends_on="2026-04-01", price="31.00"),
        says.payment_captured(),
        says.cancellation_requested(requested_at="2026-03-11T09:00:00Z"),
    )
    seen = finance.refund(REFUND)
    assert seen["total"] == "21.00"

    finance.hears(says.cancellation_requested(requested_at="2026-03-06T09:00:00Z"))
    finance.approves(REFUND, seen=seen["proposal"], exits=1)
    assert "26.00 EUR" in finance.door.errors, "it says what changed"
    assert finance.pays_out() == []

    finance.approves(REFUND)
    finance.hears(says.cancellation_withdrawn(withdrawn_at="2026-03-07T09:00:00Z"))
    assert finance.statuses() == {REFUND: ("due", "21.00")}, "the approval of 26.00 is taken back"
    assert finance.pays_out() == []

    finance.approves(REFUND)
    [request] = finance.pays_out()
    assert request["amount"] == "21.00"
    finance.hears(says.cancellation_requested(requested_at="2026-03-08T09:00:00Z"))
    assert finance.statuses() == {
        REFUND: ("submitted", "21.00"),
        "refund/unused/cyc-1/2": ("due", "3.00"),
    }, "from submission on its amount is fixed"
    finance.is_in_order()
