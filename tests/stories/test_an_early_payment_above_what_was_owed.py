"""An early payment above what was owed: the excess rests, becomes a credit, and is paid back on request."""

from __future__ import annotations

from tests.stories.conftest import Finance

CREDIT = "excess/inv-chg-1"


def test_the_excess_is_the_customers(finance: Finance) -> None:
    says, door = finance.customer, finance.door
    finance.hears(
        says.account_registered(),
        says.payment_captured("inv-chg-1", "50.00", payment_id="visa"),
    )
    assert door.json("owed")["totals"] == [], "a payment on an invoice without a charge waits"
    finance.hears(says.charge_posted(price="38.00"))
    [owed] = door.json("owed")["totals"]
    assert (owed["excess"], owed["credits_left"], owed["total"]) == ("12.00", "0.00", "12.00")

    finance.waits_until("2026-04-02T09:00:01Z")
    [owed] = door.json("owed")["totals"]
    assert (owed["excess"], owed["credits_left"], owed["total"]) == ("0.00", "12.00", "12.00")

    refund = door.json("credit", "refund", CREDIT, "--as", "felix")["refund_id"]
    finance.approves(refund)
    [request] = finance.pays_out()
    assert (request["claim_id"], request["amount"]) == (None, "12.00")
    finance.hears(says.refund_succeeded(request["returns"][0]["return_id"]))
    assert finance.statuses() == {f"refund/{CREDIT}/1": ("succeeded", "12.00")}
    assert door.json("owed")["totals"] in ([], [{**owed, "credits_left": "0.00", "total": "0.00", "count": 0}])
    finance.is_in_order()
