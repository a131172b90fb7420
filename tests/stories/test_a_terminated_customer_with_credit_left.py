"""A terminated customer with credit left: it is dormant until somebody asks, then paid back like any refund."""

from __future__ import annotations

from tests.stories.conftest import Finance

CREDIT = "credit/billing-error/dis-1/1"
REFUND = f"refund/{CREDIT}/1"


def test_what_is_left_is_refunded_on_request(finance: Finance) -> None:
    says, door = finance.customer, finance.door
    finance.hears(
        says.account_registered(),
        says.subscription_registered(),
        says.cycle_started(starts_on="2026-03-01", ends_on="2026-04-01", price="31.00"),
        says.payment_captured(payment_id="visa"),
        says.overcharge_confirmed(charge_id="cyc-1", amount="6.00", settle_as="credit"),
    )
    door("credit", "refund", CREDIT, "--as", "felix", exits=1)
    assert "once the last subscription has ended" in door.errors
    finance.hears(says.subscription_terminated())
    [credit] = door.json("credits")
    assert (credit["left"], credit["dormant_since"] is not None) == ("6.00", True)

    asked = door.json("credit", "refund", CREDIT, "--as", "felix")
    assert (asked["refund_id"], asked["status"], asked["total"]) == (REFUND, "due", "6.00")
    [owed] = door.json("owed")["totals"]
    assert (owed["refunds_due"], owed["credits_left"], owed["total"]) == ("6.00", "0.00", "6.00"), "counted once"

    door("refund", "approve", REFUND, "--as", "felix", "--seen", asked["proposal"], exits=1)
    assert "another person must approve" in door.errors
    finance.approves(REFUND)
    [request] = finance.pays_out()
    assert [(r["payment_id"], r["amount"]) for r in request["returns"]] == [("visa", "6.00")]
    finance.hears(says.refund_succeeded(REFUND))
    assert finance.statuses() == {REFUND: ("succeeded", "6.00")}
    [credit] = door.json("credits")
    assert (credit["total"], credit["used"], credit["refunded"], credit["left"]) == ("6.00", "0.00", "6.00", "0.00")
    finance.is_in_order()
