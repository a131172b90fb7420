"""§8 Activation: once registered, and the first invoice paid. What is paid is §7's word."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ledger.policy.activation import activations
from tests.policy.case import (
    Case,
    Said,
    account,
    agreement,
    charge,
    confirmed,
    cycle,
    payment,
    payment_failed,
    subscription,
)

APRIL = cycle(tax="6.00")
PAID = payment("36.00", payment_id="p")
FREE = cycle("march", "2026-03-15", "2026-04-01", "0.00")
EARLIER = "2026-05-01T09:00:00Z"
LATER = "2026-05-01T10:00:00Z"


def activated(case: Case) -> dict[str, str]:
    """The subscriptions whose activation is due, each with the message that pays for its first invoice."""
    found = activations(case.facts, case.billing.settlements, case.at, apart_from=())
    return {id_: due.paid_by.data.message.id for id_, due in found.items()}


@pytest.mark.parametrize(
    ("said", "paid_by"),
    [
        pytest.param([APRIL, PAID.at(id="paid")], "paid", id="its first invoice's payment is captured"),
        pytest.param([PAID.at(id="paid"), APRIL], "paid", id="in whichever order"),
        pytest.param([APRIL], None, id="not before it is paid"),
        pytest.param([APRIL, payment("36.00", "invoice-other")], None, id="nor by another invoice's payment"),
        pytest.param(
            [APRIL, PAID.at(EARLIER, id="paid"), payment_failed("p").at(LATER, id="failed")],
            None,
            id="none for a payment that failed",
        ),
        pytest.param(
            [APRIL, payment_failed("p").at(LATER, id="failed"), PAID.at(EARLIER, id="paid")],
            None,
            id="also where the failure is known before the capture",
        ),
        pytest.param(
            [APRIL, payment_failed("p").at(EARLIER, id="failed"), PAID.at(LATER, id="paid")],
            "paid",
            id="one that was captured after it had failed stands",
        ),
        pytest.param(
            [
                APRIL,
                PAID.at(EARLIER, id="p"),
                payment("36.00", payment_id="q").at(LATER, id="q"),
                payment_failed("p").at(LATER, id="failed"),
            ],
            "q",
            id="of two payments the one that stands",
        ),
        pytest.param(
            [FREE.at(id="free"), APRIL], "free", id="a first invoice whose charges come to 0 counts as paid"
        ),
        pytest.param(
            [FREE, charge(price="1.00", invoice_id="invoice-march", subscription_id="sub")],
            None,
            id="not where another charge on it does not come to 0",
        ),
        pytest.param(
            [FREE, cycle("x", "2026-03-20", "2026-04-20", "9.00", invoice_id="invoice-march"), APRIL],
            "m-0003",
            id="what is left out as a contradiction is no charge of it",
        ),
        pytest.param(
            [cycle("left-out", price="0.00"), APRIL.at("2025-12-01T00:00:00Z", id="earlier")],
            None,
            id="an invoice whose only charge is left out is nobody's first",
        ),
        pytest.param(
            [APRIL, confirmed("30.00")],
            None,
            id="a claim that takes off all that is asked for pays nothing",
        ),
    ],
)
def test_an_activation_is_due_once_the_first_invoice_is_paid(said: list[Said], paid_by: str | None) -> None:
    case = Case().hear(account(), subscription(), said)
    assert activated(case) == ({"sub": paid_by} if paid_by is not None else {})


OLD = [charge("old", "50.00"), payment("50.00", "invoice-old")]


def credited(amount: str) -> Iterable[Said]:
    """A charge of nobody's was paid, and an overcharge on it is a credit."""
    return [*OLD, confirmed(amount, charge_id="old", settle_as="credit")]


@pytest.mark.parametrize(
    ("said", "due"),
    [
        pytest.param([*credited("36.00"), APRIL], True, id="applied credits pay it in full"),
        pytest.param([*credited("35.99"), APRIL], False, id="a cent is still asked for"),
        pytest.param(
            [*credited("30.00"), APRIL, confirmed("5.00", "second")],
            True,
            id="applied credits pay what a claim leaves of it",
        ),
        pytest.param([*credited("36.00"), *OLD], False, id="a credit that pays for nothing of it"),
    ],
)
def test_applied_credits_that_pay_a_first_invoice_in_full_count_as_its_payment(said: list[Said], due: bool) -> None:
    case = Case([agreement()]).hear(account(), subscription(), said)
    assert list(activated(case)) == (["sub"] if due else [])


def test_an_application_that_failed_pays_nothing_and_one_that_is_confirmed_is_no_payment_besides() -> None:
    case = Case().hear(account(), subscription(), credited("36.00"), APRIL.at(id="april"))
    [application] = case.billing.settlements.outgoings.applications
    assert activated(case) == {"sub": "april"}
    assert activated(case.hear(payment_failed(application).at(EARLIER, id="failed"))) == {}
    case.hear(payment("36.00", payment_id=application, method="balance").at(LATER, id="confirmed"))
    assert activated(case) == {"sub": "april"}
