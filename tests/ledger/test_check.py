"""`makegood check`: each law, broken once by hand in a store, is found and named, and stops the account's payouts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from ledger.application.acts import By
from ledger.application.checking import Books as Checked
from ledger.application.checking import check_books, note_broken
from ledger.application.payouts import submit_approved
from ledger.store.reading.events import read_accounts
from tests.ledger.conftest import Opener
from tests.ledger.test_refunds import BY_HAND, IN_APRIL, REFUND, Desk


@pytest.fixture
def desk(open_books: Opener) -> Desk:
    """An account with all that the laws speak of: a reduction, refunds that went out, a credit partly used."""
    desk = Desk(open_books(now=IN_APRIL, agreements=[BY_HAND]))
    says = desk.customer
    desk.billed(("card", "a", "60.00"), ("card", "b", "40.00"))
    desk.overcharged("10.00")
    desk.approve()
    desk.submit()
    desk.tell(
        says.charge_posted("chg-2", price="50.00", invoice_id="inv-2"),
        says.payment_captured("inv-2", "50.00", payment_id="c"),
        says.overcharge_confirmed("dis-2", "chg-2", amount="9.00", settle_as="credit"),
        says.charge_posted("chg-3", price="4.00", invoice_id="inv-3"),
        says.charge_posted("chg-4", price="20.00", invoice_id="inv-4"),
        says.overcharge_confirmed("dis-4", "chg-4", amount="3.00"),
    )
    return desk


def checked(desk: Desk) -> Checked:
    with desk.books.database.real.reading() as transaction:
        events = [stored.event() for stored in read_accounts(transaction, ["acct-1"])["acct-1"]]
        catalogue = desk.books.ledger.catalogue(transaction)
    return check_books("acct-1", events, catalogue)


def laws(desk: Desk) -> set[str]:
    return {each.law for each in checked(desk).broken}


def edit(desk: Desk, type_: str, change: Callable[[dict[str, Any]], bool]) -> None:
    """Edit the stored event of a type for which the change says that it is the one: past the ledger, by hand."""
    for stored in desk.books.envelopes():
        envelope = json.loads(stored.envelope)
        if envelope["type"] == type_ and change(envelope["data"]):
            text = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode().hex()
            form = "X'{}'" if desk.books.database.url.startswith("sqlite") else "decode('{}', 'hex')"
            desk.books.database.tamper(
                f"UPDATE events SET envelope = {form.format(text)} WHERE position = {stored.position}"
            )
            return
    raise AssertionError(f"no event of type {type_} is the one")


def test_the_books_are_sound(desk: Desk) -> None:
    assert checked(desk).broken == []


def asks_for_more(data: dict[str, Any]) -> bool:
    found = data["invoice_id"] == "inv-4" and data["after"]["reduced"] == "3.00"
    if found:
        data["after"]["asks_for"] = "21.00"
    return found


def grants_more(data: dict[str, Any]) -> bool:
    data["after"]["amount"] = "10.01"
    return data["claim_id"] == "billing-error/dis-1"


def uses_more(data: dict[str, Any]) -> bool:
    data["amount"] = data["net"] = "5.00"
    return True


def returns_more(data: dict[str, Any]) -> bool:
    data["returns"][0]["net"] = "60.01"
    return True


def returns_twice(data: dict[str, Any]) -> bool:
    data["returns"][1]["return_id"] = data["returns"][0]["return_id"]
    return True


def attempts_later(data: dict[str, Any]) -> bool:
    data["attempt"] = 2
    return True


@pytest.mark.parametrize(
    ("type_", "change", "law"),
    [
        ("settlement-changed.v1", asks_for_more, "charged"),
        ("claim-assessed.v2", grants_more, "granted"),
        ("settlement-changed.v1", asks_for_more, "settled"),
        ("credit-applied.v2", uses_more, "credits"),
        ("refund-submitted.v1", returns_more, "returned"),
        ("refund-submitted.v1", returns_twice, "submitted once"),
        ("refund-submitted.v1", attempts_later, "submitted once"),
    ],
)
def test_each_law_is_found_and_named(desk: Desk, type_: str, change: Callable[..., bool], law: str) -> None:
    edit(desk, type_, change)
    assert law in laws(desk)
    for each in checked(desk).broken:
        assert each.expected != each.found
        assert re.fullmatch(r"(invoice|claim|credit|return|refund|payment) .+", each.about)


def test_a_law_that_does_not_hold_stops_the_payouts_until_it_does(desk: Desk) -> None:
    desk.tell(desk.customer.overcharge_confirmed("dis-5", "chg-1", amount="2.00"))
    refund_id = "refund/billing-error/dis-5/1"
    desk.approve(refund_id)
    ledger, by = desk.books.ledger, By("/makegood/cli/anna", "cli")
    note_broken(ledger, "acct-1", {"charged"}, by)
    assert [(alarm["alarm"], alarm["about"]) for alarm in desk.books.alarms()] == [("law_broken", ["charged"])]
    assert submit_approved(ledger) == 0
    desk.tell(desk.customer.payment_captured("inv-4", "1.00", payment_id="d"))
    assert len(desk.books.alarms()) == 1, "no assessment clears it"
    note_broken(ledger, "acct-1", {"charged"}, by)
    assert desk.data("alarm-raised.v1")[-1]["about"] == ["charged"]
    note_broken(ledger, "acct-1", set(), by)
    assert desk.books.alarms() == []
    assert submit_approved(ledger) == 1


def test_nothing_is_submitted_for_books_that_are_not_sound(desk: Desk) -> None:
    desk.tell(desk.customer.overcharge_confirmed("dis-5", "chg-1", amount="2.00"))
    desk.approve("refund/billing-error/dis-5/1")
    edit(desk, "settlement-changed.v1", asks_for_more)
    desk.books = desk.books.another_process()  # one that has not read the account before
    assert desk.submit() == 0
    assert {law for alarm in desk.books.alarms() for law in alarm["about"]} == {"charged", "settled"}
    assert REFUND in {each["refund_id"] for each in desk.submitted()}
