"""A refund that failed twice became a credit, and paid for the next charge."""

from __future__ import annotations

from tests.stories.conftest import Finance

REFUND = "refund/billing-error/dis-1/1"
CREDIT = "credit/billing-error/dis-1/1"


def test_it_is_retried_by_a_person_and_turned_into_credit_by_a_person(finance: Finance) -> None:
    says, door = finance.customer, finance.door
    finance.hears(
        says.account_registered(),
        says.charge_posted(price="100.00"),
        says.payment_captured("inv-chg-1", "100.00", payment_id="visa"),
        says.overcharge_confirmed(charge_id="chg-1", amount="10.00"),
    )
    finance.approves(REFUND)
    [first] = finance.pays_out()
    finance.hears(says.refund_failed(first["returns"][0]["return_id"]))
    assert finance.statuses() == {REFUND: ("failed", "10.00")}
    assert finance.pays_out() == [], "nobody retries but a person"

    door("refund", "retry", REFUND, "--as", "felix")
    [second] = finance.pays_out()
    assert (second["attempt"], second["approved_by"]) == (2, "anna")
    assert second["returns"][0]["return_id"] != first["returns"][0]["return_id"]
    finance.hears(says.refund_failed(REFUND))
    assert finance.statuses() == {REFUND: ("failed", "10.00")}

    door("refund", "to-credit", REFUND, "--as", "felix")
    assert finance.statuses() == {}
    assert finance.credits() == {CREDIT: "10.00"}
    finance.hears(says.charge_posted("chg-2", price="30.00"))
    assert finance.credits() == {CREDIT: "0.00"}
    [balance] = door.json("account", "acct-1")["balances"]
    assert (balance["owed"], balance["credit_used"], balance["refunded"]) == ("20.00", "10.00", "0.00")
    finance.is_in_order()
