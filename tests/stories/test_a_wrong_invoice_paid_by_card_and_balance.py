"""A wrong invoice, paid by card and from balance: what comes back goes the way it came."""

from __future__ import annotations

from tests.stories.conftest import Finance

REFUND = "refund/billing-error/dis-1/1"
CREDIT = "credit/billing-error/dis-1/1"


def test_three_quarters_go_to_the_cards_and_one_to_the_balance(finance: Finance) -> None:
    says = finance.customer
    finance.hears(
        says.account_registered(),
        says.charge_posted(price="80.00", tax="20.00"),
        says.payment_captured("inv-chg-1", "50.00", payment_id="visa"),
        says.payment_captured("inv-chg-1", "25.00", payment_id="giro", method="bank"),
        says.payment_captured("inv-chg-1", "25.00", payment_id="old-credit", method="balance"),
        says.billing_error_reported(charge_id="chg-1"),
        says.overcharge_confirmed(charge_id="chg-1", amount="40.00"),
    )
    assert finance.statuses() == {REFUND: ("due", "37.50")}
    assert finance.credits() == {CREDIT: "12.50"}
    assert finance.refund(REFUND)["waits_for"] == "approval"

    finance.approves(REFUND)
    [request] = finance.pays_out()
    assert (request["amount"], request["attempt"], request["approved_by"]) == ("37.50", 1, "anna")
    assert {r["payment_id"]: r["amount"] for r in request["returns"]} == {"visa": "25.00", "giro": "12.50"}
    assert finance.pays_out() == [], "each attempt is asked for once"

    by_payment = {r["payment_id"]: r["return_id"] for r in request["returns"]}
    finance.hears(says.refund_succeeded(by_payment["visa"], processor_reference="v-1"))
    assert finance.statuses()[REFUND] == ("submitted", "37.50"), "refunded is said only when all of it arrived"
    finance.hears(says.refund_succeeded(by_payment["giro"], processor_reference="g-1"))
    refund = finance.refund(REFUND)
    assert (refund["status"], refund["approved_by"]) == ("succeeded", "anna")
    assert {(r["payment_id"], r["status"], r["processor_reference"]) for r in refund["returns"]} == {
        ("visa", "succeeded", "v-1"),
        ("giro", "succeeded", "g-1"),
    }
    [balance] = finance.door.json("account", "acct-1")["balances"]
    assert (balance["refunded"], balance["refund_due"], balance["credit_left"]) == ("37.50", "0.00", "12.50")
    finance.is_in_order()
