"""Refunds, credits and overpaid claims: the rows say what the ledger itself decides by, in whatever order it came."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.application.account import Account
from ledger.application.acts import Act, perform
from ledger.application.due_work import do_due_work
from ledger.application.payouts import NoSuchRefund, RefundRefused, decidable_overpaid, rejectable
from projections import account_state, credits, overpaid, refunds
from projections.follower import Follower
from tests.ledger.books import WITHOUT_SHRINKING, Books
from tests.ledger.conftest import Opener, open_books
from tests.ledger.test_refunds import BY_HAND, IN_APRIL, REFUND, Desk
from tests.oracle import histories
from tests.search import sample

__all__ = ["open_books"]
CREDIT = "credit/billing-error/dis-1/1"


def caught_up(books: Books) -> Books:
    follower = Follower(books.database)
    follower.create()
    follower.catch_up()
    return books


def check_agreement(books: Books) -> None:
    """The rows are what the ledger would decide by."""
    database = caught_up(books).database
    rows = {row["refund_id"]: row for row in refunds.listed(database)}
    found = {credit["credit_id"]: credit for credit in credits.listed(database)}
    too_much = overpaid.listed(database)

    def ask(act: Act) -> None:
        account: Account = act.ledger.open_accounts(act.transaction, ["acct-1"])["acct-1"]
        for refund_id, row in rows.items():
            owed = account.refunds.owed(refund_id, act.now())
            assert owed is not None, row
            assert (row["net"], row["tax"]) == (str(owed.net), str(owed.tax)), row
            assert row["status"] == account.refunds.status(owed), row
            assert row["credit_id"] == owed.credit_id, row
            if row["status"] in ("due", "approved"):
                proposed = rejectable(act, "acct-1", refund_id, None, "boss")
                assert row.get("proposal") == proposed.proposal, row
        assert account.billing.settlements.open_refunds <= rows.keys()
        for credit in found.values():
            ways = [Decimal(credit["used"]), Decimal(credit["refunded"]), Decimal(credit["left"])]
            assert min(ways) >= 0, credit
            assert sum(ways) == Decimal(credit["total"]), credit
        left = {id_: credit for id_, credit in account.billing.credits.items() if credit.left}
        assert {id_: credit.left for id_, credit in left.items()} == {
            id_: Decimal(credit["left"]) for id_, credit in found.items() if Decimal(credit["left"])
        }
        for over in too_much:
            amount = Decimal(over["overpaid"]), over["currency"]
            assert decidable_overpaid(act, "acct-1", over["claim_id"]) == amount

    perform(books.ledger, {"acct-1"}, ask)


@settings(max_examples=sample(12), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=1_000_000))
def test_rows_are_what_the_ledger_decides_by_in_every_history(seed: int) -> None:
    chance = random.Random(f"payouts {seed}")
    messages = histories.history(seed, account="acct-1", instructed=True)
    agreements = tuple(histories.agreement_texts(money=True).values())
    desk = Desk(Books.open(agreements=agreements, now=histories.moment(seed, messages)))
    for message in messages:
        desk.books.take([message])
        if chance.random() < 0.6:
            _something(desk, chance)
    check_agreement(desk.books)
    for _ in range(6):
        _something(desk, chance)
        check_agreement(desk.books)
    desk.books.close()


def _something(desk: Desk, chance: random.Random) -> None:
    """Somebody decides something, or the payment processor answers, about a refund or credit that there is."""
    database = caught_up(desk.books).database
    told = refunds.listed(database)
    ids = [row["refund_id"] for row in told]
    submitted = [each["return_id"] for data in desk.submitted() for each in data["returns"]]
    left = [credit["credit_id"] for credit in credits.listed(database)]
    too_much = [row["claim_id"] for row in overpaid.listed(database)]
    people = ("approve", "approve", "submit", "submit", "reject", "retry", "to_credit", "refund_credit", "overpaid")
    what = chance.choice([*people, "succeeded", "succeeded", "failed", "time"])
    try:
        match what:
            case "submit":
                desk.submit()
            case "time":
                do_due_work(desk.books.ledger, desk.books.clock.at)
            case "refund_credit" if left:
                desk.refund_credit(chance.choice(left))
            case "overpaid" if too_much:
                kind = chance.choice(["overpaid.written_off", "overpaid.recovery_ordered"])
                desk.decide_overpaid(kind, chance.choice(too_much))
            case "succeeded" | "failed" if ids or submitted:
                getattr(desk, what)(chance.choice([*ids, *submitted, *submitted]))
            case "approve" | "reject" | "retry" | "to_credit" if ids:
                getattr(desk, what)(chance.choice(ids))
    except (RefundRefused, NoSuchRefund):
        pass


@pytest.fixture
def desk(open_books: Opener) -> Desk:
    return Desk(open_books(now=IN_APRIL, agreements=[BY_HAND]))


def test_a_refund_and_what_failed_of_it_are_two_rows_on_every_store(desk: Desk) -> None:
    desk.billed(("card", "a", "60.00"), ("bank", "b", "40.00"))
    desk.overcharged("10.00")
    desk.approve()
    desk.submit()
    a, b = (each["return_id"] for each in desk.submitted()[0]["returns"])
    desk.succeeded(a)
    desk.failed(b)
    first, rest = refunds.listed(caught_up(desk.books).database)
    assert (first["status"], first["total"], first["processor_reference"]) == ("succeeded", "6.00", "psp-77")
    assert [(each["payment_id"], each["amount"], each["status"]) for each in first["returns"]] == [
        ("a", "6.00", "succeeded"),
        ("b", "4.00", "failed"),
    ]
    assert (rest["status"], rest["total"], rest["waits_for"]) == ("failed", "4.00", "a retry")
    check_agreement(desk.books)


def test_balances_count_each_amount_once_while_a_credit_is_refunded(desk: Desk) -> None:
    """What the customer is owed in all, refunds and credits together, is the same at every step."""
    says = desk.customer
    desk.billed(("card", "pay-1", "100.00"))
    desk.tell(says.subscription_registered(), says.cycle_started("cyc-1", price="0.00"))
    desk.overcharged("10.00", settle_as="credit")
    desk.tell(says.subscription_terminated())
    seen = []

    def look() -> None:
        state = account_state.account(caught_up(desk.books).database, "acct-1").state
        [balance] = state["balances"]
        seen.append((balance["credit_left"], balance["refund_due"], balance["refunded"]))

    look()
    refund_id = desk.refund_credit(CREDIT)
    look()
    desk.approve(refund_id)
    look()
    desk.submit()
    look()
    desk.failed(refund_id)
    look()
    desk.retry(refund_id)
    desk.submit()
    desk.succeeded(refund_id)
    look()
    left, out, paid = ("10.00", "0.00", "0.00"), ("0.00", "10.00", "0.00"), ("0.00", "0.00", "10.00")
    assert seen == [left, left, left, out, left, paid]
    [credit] = credits.listed(desk.books.database)
    assert (credit["used"], credit["refunded"], credit["left"], credit["dormant_since"]) == (
        "0.00",
        "10.00",
        "0.00",
        None,
    )
    check_agreement(desk.books)


def test_a_rejected_refund_is_in_no_balance(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.overcharged("10.00")
    desk.reject(REFUND)
    state = account_state.account(caught_up(desk.books).database, "acct-1").state
    assert [(refund["status"], refund["total"]) for refund in state["refunds"]] == [("rejected", "10.00")]
    assert (state["balances"][0]["refund_due"], state["balances"][0]["refunded"]) == ("0.00", "0.00")
