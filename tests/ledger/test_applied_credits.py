"""A credit pays for the account's next charges, the oldest credit first, and never below zero (policy §7)."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.books import WITHOUT_SHRINKING, Books, oracle_agreements
from tests.ledger.messages import Message, Upstream
from tests.oracle import histories
from tests.oracle.settlement import application_id
from tests.search import sample


class Customer(Upstream):
    """A customer of whom only charges, disputes and payments are told."""

    def credited(self, number: int, amount: str, *, price: str = "1000") -> list[Message]:
        """A charge that was paid before, and an overcharge on it, `dis-NUMBER`, that is made good by a credit."""
        charge_id = f"old-{number}"
        return [
            self.payment_captured(f"inv-{charge_id}", price),
            self.charge_posted(charge_id, price=price),
            self.overcharge_confirmed(f"dis-{number}", charge_id, amount=amount, settle_as="credit"),
        ]

    def lowered(self, number: int, amount: str) -> Message:
        """An earlier verdict turns up, of so much: it holds."""
        charge_id, earlier = f"old-{number}", f"2026-02-{number:02}T00:00:00Z"
        return self.overcharge_confirmed(f"dis-{number}", charge_id, amount=amount, settle_as="credit", time=earlier)


def applied(books: Books) -> list[tuple[str, str, str]]:
    """Of which dispute's credit how much was applied to which charge, in order."""
    return [
        (data["credit_id"].removeprefix("credit/billing-error/"), data["charge_id"], data["amount"])
        for data in applications(books)
    ]


def applications(books: Books) -> list[dict[str, Any]]:
    return [e["data"] for e in books.stored() if e["type"] == "credit-applied.v2"]


@pytest.mark.parametrize(
    ("currency", "credits", "charges", "expected"),
    [
        pytest.param("EUR", ["10.00"], ["25.00"], [("1", "new-1", "10.00")], id="all of it where enough is owed"),
        pytest.param("EUR", ["10.00"], ["4.00"], [("1", "new-1", "4.00")], id="never below zero: what is owed"),
        pytest.param(
            "EUR",
            ["10.00"],
            ["4.00", "4.00", "4.00"],
            [("1", "new-1", "4.00"), ("1", "new-2", "4.00"), ("1", "new-3", "2.00")],
            id="what is left goes to the next charges, until nothing is left",
        ),
        pytest.param(
            "EUR",
            ["3.00", "5.00"],
            ["6.00"],
            [("1", "new-1", "3.00"), ("2", "new-1", "3.00")],
            id="the oldest first: two credits on one charge, the younger partly used",
        ),
        pytest.param(
            "EUR",
            ["3.00", "5.00", "7.00"],
            ["6.00", "6.00"],
            [("1", "new-1", "3.00"), ("2", "new-1", "3.00"), ("2", "new-2", "2.00"), ("3", "new-2", "4.00")],
            id="three credits on two charges",
        ),
        pytest.param("EUR", ["10.00"], ["0.00"], [], id="a charge of nothing gets nothing"),
        pytest.param("EUR", [], ["5.00"], [], id="no credit, no application"),
        pytest.param("EUR", ["0.01"], ["0.02"], [("1", "new-1", "0.01")], id="a cent"),
        pytest.param("JPY", ["500"], ["800"], [("1", "new-1", "500")], id="yen have no decimals"),
        pytest.param(
            "KWD",
            ["1.005", "0.250"],
            ["1.250"],
            [("1", "new-1", "1.005"), ("2", "new-1", "0.245")],
            id="dinars have three",
        ),
    ],
)
def test_as_an_accountant_would_check_it(
    currency: str, credits: list[str], charges: list[str], expected: list[tuple[str, str, str]]
) -> None:
    upstream = Customer(currency=currency)
    told = [upstream.account_registered()]
    for number, amount in enumerate(credits, 1):
        told += upstream.credited(number, amount)
    told += [upstream.charge_posted(f"new-{number}", price=price) for number, price in enumerate(charges, 1)]
    books = Books.open()
    books.take(told)
    assert applied(books) == [(f"dis-{credit}/1", charge, amount) for credit, charge, amount in expected]


class TestNext:
    """Next are the charges that become known after a credit was granted."""

    def test_one_that_was_known_before_gets_nothing(self, books: Books) -> None:
        upstream = Customer()
        books.take([upstream.account_registered(), upstream.charge_posted("open"), *upstream.credited(1, "5.00")])
        assert applied(books) == []
        books.take([upstream.charge_posted("next")])
        assert applied(books) == [("dis-1/1", "next", "5.00")]

    def test_tax_is_paid_too_and_what_was_paid_already_is_not(self) -> None:
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "50.00")])
        books.take([upstream.payment_captured("inv-next", "4.00"), upstream.charge_posted("next", tax="2.85")])
        assert applied(books) == [("dis-1/1", "next", "13.85")]

    def test_a_cycle_is_a_charge(self) -> None:
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), upstream.subscription_registered()])
        books.take([*upstream.credited(1, "50.00"), upstream.cycle_started()])
        assert applied(books) == [("dis-1/1", "cyc-1", "31.00")]

    def test_one_that_waits_for_its_subscription_is_a_charge_already(self) -> None:
        books = Books.open()
        upstream = Customer()
        registered = upstream.subscription_registered()
        books.take([upstream.account_registered(), *upstream.credited(1, "40.00"), upstream.cycle_started()])
        assert applied(books) == [("dis-1/1", "cyc-1", "31.00")]
        books.take([registered])
        assert applied(books) == [("dis-1/1", "cyc-1", "31.00")]

    def test_several_that_become_known_at_once_are_taken_in_the_order_of_their_messages(self) -> None:
        """A cycle that both overlap is taken back."""
        books = Books.open()
        upstream = Customer()
        both = upstream.cycle_started("both", ends_on="2026-05-01", price="0.00")
        cycles = [
            upstream.cycle_started("cyc-1"),
            upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01"),
        ]
        books.take([upstream.account_registered(), upstream.subscription_registered(), both])
        books.take([*upstream.credited(1, "40.00"), *reversed(cycles)])
        assert applied(books) == []
        books.take([upstream.fact_retracted(both)])
        assert applied(books) == [("dis-1/1", "cyc-1", "31.00"), ("dis-1/1", "cyc-2", "9.00")]

    def test_a_claim_on_the_charge_itself_takes_off_first(self) -> None:
        """What is not owed at all needs no credit."""
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "50.00")])
        books.take([upstream.overcharge_confirmed("dis-2", "next", amount="9.00"), upstream.charge_posted("next")])
        assert applied(books) == [("dis-1/1", "next", "6.00")]

    def test_a_credit_that_is_granted_by_the_same_fact_is_not_older_than_it(self) -> None:
        """The outage goes on into the second cycle, and only with that is it long enough in the first."""
        books = Books.open()
        upstream = Customer()
        books.take(
            [
                *upstream.customer(),
                upstream.outage_reported(began_at="2026-03-31T10:00:00Z"),
                upstream.charge_posted("headset", invoice_id="inv-cyc-2"),
                upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01"),
            ]
        )
        assert Decimal(books.amounts()["disruption/cyc-1"]) > 0
        assert applied(books) == []
        books.take([upstream.charge_posted("next")])
        assert [(credit, charge) for credit, charge, _ in applied(books)] == [("credit/disruption/cyc-1/1", "next")]

    def test_of_two_credits_that_one_fact_grants_that_on_the_earlier_charge_is_the_older(self, books: Books) -> None:
        """Not the one whose invoice has the smaller number."""
        upstream = Customer()
        books.take([upstream.account_registered(), upstream.subscription_registered()])
        for cycle_id, starts_on, ends_on in [("z", "2026-03-01", "2026-04-01"), ("a", "2026-04-01", "2026-05-01")]:
            books.take([upstream.payment_captured(f"inv-{cycle_id}")])
            books.take([upstream.cycle_started(cycle_id, starts_on=starts_on, ends_on=ends_on)])
        books.take([upstream.outage_reported(began_at="2026-03-30T00:00:00Z")])
        books.take([upstream.outage_resolved(resolved_at="2026-04-03T00:00:00Z")])
        assert min(Decimal(books.amounts()[f"disruption/{cycle_id}"]) for cycle_id in "az") > 1
        books.take([upstream.charge_posted("next", price="1.00")])
        assert applications(books)[0]["credit_id"] == "credit/disruption/z/1"

    def test_one_that_stands_again_is_not_next_once_more(self) -> None:
        """An earlier cycle overlaps it, and is itself left out for one that is earlier still."""
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), upstream.subscription_registered()])
        books.take([*upstream.credited(1, "15.00")])
        books.take([upstream.cycle_started("cyc-1", starts_on="2026-03-10", ends_on="2026-03-20")])
        assert applied(books) == [("dis-1/1", "cyc-1", "15.00")]
        books.take(upstream.credited(2, "5.00"))
        for number, (cycle_id, starts_on, ends_on) in enumerate(
            [("cyc-2", "2026-03-01", "2026-03-15"), ("cyc-3", "2026-02-15", "2026-03-05")]
        ):
            time = f"2026-02-{20 - number}T00:00:00Z"
            books.take([upstream.payment_captured(f"inv-{cycle_id}")])
            books.take([upstream.cycle_started(cycle_id, starts_on=starts_on, ends_on=ends_on, time=time)])
        assert {alarm["alarm"] for alarm in books.alarms()} == {"contradiction"}
        assert applied(books) == [("dis-1/1", "cyc-1", "15.00")]

    def test_another_content_under_its_id_makes_it_no_other(self) -> None:
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "50.00")])
        books.take([upstream.charge_posted("next", price="7.00", time="2026-03-02T00:00:00Z")])
        books.take([upstream.charge_posted("next", price="9.00", time="2026-03-01T00:00:00Z")])
        assert applied(books) == [("dis-1/1", "next", "7.00")]

    def test_a_message_again_applies_nothing_again(self, books: Books) -> None:
        upstream = Customer()
        told = [upstream.account_registered(), *upstream.credited(1, "50.00"), upstream.charge_posted("next")]
        books.take(told)
        before = books.content()
        books.another_process().take(told)
        assert books.content() == before

    def test_another_accounts_credit_is_none_of_it(self) -> None:
        books = Books.open()
        one, other = Customer("acct-1"), Customer("acct-2")
        books.take([one.account_registered(), *one.credited(1, "50.00"), other.account_registered()])
        books.take([other.charge_posted("next")])
        assert applied(books) == []


def settled(books: Books, number: int = 1) -> list[str]:
    """How a dispute is settled in the end: each part net, and what of its credit was used."""
    claims = [
        claim
        for e in books.stored()
        if e["type"] == "settlement-changed.v1"
        for claim in e["data"]["claims"]
        if claim["claim_id"] == f"billing-error/dis-{number}"
    ]
    return [
        f"{part['into']} {part['net']}{' used' if part['status'] == 'gone_out' else ''}"
        for part in claims[-1]["after"]
    ]


class TestUsed:
    """A claim has one credit; what was used of it stays, and what was granted too much is overpaid."""

    def test_a_decrease_lowers_the_unused_rest_and_the_remainder_is_overpaid(self, books: Books) -> None:
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "20.00")])
        books.take([upstream.charge_posted("next", price="15.00")])
        assert settled(books) == ["credit 15.00 used", "credit 5.00"]
        books.another_process().take([upstream.lowered(1, "12.00")])
        assert settled(books) == ["credit 15.00 used", "overpaid -3.00"]
        books.take([upstream.charge_posted("later")])
        assert applied(books) == [("dis-1/1", "next", "15.00")]

    def test_an_increase_is_added_to_the_same_credit(self) -> None:
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "20.00"), *upstream.credited(2, "20.00")])
        books.take([upstream.charge_posted("next", price="20.00"), upstream.lowered(1, "30.00")])
        assert settled(books) == ["credit 20.00 used", "credit 10.00"]
        books.take([upstream.charge_posted("later", price="15.00")])
        assert applied(books) == [
            ("dis-1/1", "next", "20.00"),
            ("dis-1/1", "later", "10.00"),
            ("dis-2/1", "later", "5.00"),
        ]

    def test_an_unused_credit_that_fell_away_is_applied_to_nothing(self) -> None:
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "20.00"), *upstream.credited(2, "3.00")])
        rejected = upstream.overcharge_rejected("dis-1", "old-1", time="2026-02-01T00:00:00Z")
        books.take([rejected, upstream.charge_posted("next")])
        assert applied(books) == [("dis-2/1", "next", "3.00")]

    def test_what_was_applied_is_not_owed_any_more(self) -> None:
        """A claim on an invoice that credits paid for is itself a credit, not a reduction."""
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "10.00")])
        books.take([upstream.charge_posted("next", price="15.00")])
        books.take([upstream.overcharge_confirmed("dis-2", "next", amount="8.00", settle_as="credit")])
        assert settled(books, 2) == ["invoice_reduction 5.00", "credit 3.00"]

    def test_it_takes_net_and_tax_in_its_claims_proportion_and_the_last_of_it_what_remains(self) -> None:
        """Of 10.00 and 1.90 tax: a third of the tax, and the rest of it."""
        books = Books.open()
        upstream = Customer()
        old = [
            upstream.payment_captured("inv-old", "119.00"),
            upstream.charge_posted("old", price="100.00", tax="19.00"),
            upstream.overcharge_confirmed("dis-1", "old", amount="10.00", settle_as="credit"),
        ]
        books.take([upstream.account_registered(), *old])
        for number in range(1, 4):
            books.take([upstream.charge_posted(f"new-{number}", price="4.00")])
        taken = [(data["amount"], data["net"], data["tax"]) for data in applications(books)]
        assert taken == [("4.00", "3.36", "0.64"), ("4.00", "3.36", "0.64"), ("3.90", "3.28", "0.62")]


class TestConfirmed:
    """A payment from balance that bears an application's id *is* that application: it counts once."""

    def applied_to_next(self, books: Books, amount: str = "10.00") -> tuple[Customer, dict[str, Any]]:
        """A credit that is applied to a charge of 15.00, and how billing names it."""
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, amount), upstream.charge_posted("next")])
        [application] = applications(books)
        return upstream, {"payment_id": application["application_id"], "method": "balance"}

    def standing(self, books: Books) -> dict[str, str]:
        """What was paid on the next invoice, and what it asks for."""
        changed = [e["data"] for e in books.stored() if e["type"] == "settlement-changed.v1"]
        after = [data["after"] for data in changed if data["invoice_id"] == "inv-next"][-1]
        return {name: after[name] for name in ("paid_in_money", "paid_from_balance", "asks_for")}

    def test_it_changes_nothing_that_is_owed(self, books: Books) -> None:
        upstream, ours = self.applied_to_next(books)
        before = books.types()
        books.another_process().take([upstream.payment_captured("inv-next", "10.00", **ours)])
        assert books.types() == [*before, "payment-captured.v1"]
        assert self.standing(books) == {"paid_in_money": "0.00", "paid_from_balance": "10.00", "asks_for": "5.00"}
        books.take([upstream.overcharge_confirmed("dis-2", "next", amount="8.00", settle_as="credit")])
        assert settled(books, 2) == ["invoice_reduction 5.00", "credit 3.00"]

    def test_the_messages_amount_counts_and_the_rest_can_be_used_again(self, books: Books) -> None:
        upstream, ours = self.applied_to_next(books)
        books.another_process().take([upstream.payment_captured("inv-next", "6.00", **ours)])
        assert settled(books) == ["credit 6.00 used", "credit 4.00"]
        assert self.standing(books) == {"paid_in_money": "0.00", "paid_from_balance": "6.00", "asks_for": "9.00"}
        books.take([upstream.charge_posted("later")])
        assert applied(books)[1:] == [("dis-1/1", "later", "4.00")]

    def test_where_it_says_more_than_there_was_that_is_overpaid(self) -> None:
        books = Books.open()
        upstream, ours = self.applied_to_next(books)
        books.take([upstream.payment_captured("inv-next", "12.00", **ours)])
        assert settled(books) == ["credit 12.00 used", "overpaid -2.00"]
        assert self.standing(books) == {"paid_in_money": "0.00", "paid_from_balance": "12.00", "asks_for": "3.00"}

    @pytest.mark.parametrize("captured_first", [False, True])
    def test_one_that_failed_gives_the_credit_back_and_it_pays_for_the_next_charge(
        self, books: Books, captured_first: bool
    ) -> None:
        """Not again for the charge that it had failed to pay."""
        upstream, ours = self.applied_to_next(books)
        if captured_first:
            books.take([upstream.payment_captured("inv-next", "10.00", **ours)])
        books.another_process().take([upstream.payment_failed("inv-next", payment_id=ours["payment_id"])])
        assert settled(books) == ["credit 10.00"]
        assert self.standing(books) == {"paid_in_money": "0.00", "paid_from_balance": "0.00", "asks_for": "15.00"}
        books.take([upstream.charge_posted("later")])
        assert applied(books) == [("dis-1/1", "next", "10.00"), ("dis-1/1", "later", "10.00")]

    @pytest.mark.parametrize(
        ("method", "ours", "paid"),
        [
            pytest.param("balance", False, ("0.00", "15.00"), id="from balance, and none of ours"),
            pytest.param("card", True, ("5.00", "10.00"), id="with our id, and not from balance"),
        ],
    )
    def test_any_other_payment_is_one_besides(self, method: str, ours: bool, paid: tuple[str, str]) -> None:
        books = Books.open()
        upstream, application = self.applied_to_next(books)
        payment_id = application["payment_id"] if ours else "balance-77"
        books.take([upstream.payment_captured("inv-next", "5.00", payment_id=payment_id, method=method)])
        standing = self.standing(books)
        assert (standing["paid_in_money"], standing["paid_from_balance"], standing["asks_for"]) == (*paid, "0.00")
        books.take([upstream.overcharge_confirmed("dis-2", "next", amount="8.00", settle_as="credit")])
        assert settled(books, 2) == ["credit 8.00"]

    def test_its_id_follows_from_what_it_takes_from_and_what_it_pays_for(self) -> None:
        upstream = Customer()
        told = [upstream.account_registered(), *upstream.credited(1, "10.00"), *upstream.credited(2, "10.00")]
        told += [upstream.charge_posted("next"), upstream.charge_posted("later")]
        both = [Books.open(), Books.open()]
        both[0].take(told)
        both[1].take([told[0], upstream.complaint_opened(), *told[1:]], batch=1)
        ids = [[each["application_id"] for each in applications(books)] for books in both]
        assert ids[0] == ids[1]
        assert len(set(ids[0])) == len(ids[0]) == 3


class TestExcess:
    """What was paid on an invoice in excess becomes a credit that belongs to no claim, and pays like any other."""

    PAID, RESTED = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC)

    def paid_twice(self, books: Books) -> Customer:
        """A charge of 15.00 that 35.00 were paid for."""
        upstream = Customer()
        books.clock.at = self.PAID
        books.take(
            [
                upstream.account_registered(),
                upstream.charge_posted("old"),
                upstream.payment_captured("inv-old", "35.00"),
            ]
        )
        return upstream

    def excess(self, books: Books) -> tuple[str | None, str]:
        """The credit for the excess of the old invoice, and what of it was used."""
        changed = [e["data"] for e in books.stored() if e["type"] == "settlement-changed.v1"]
        after = [data["after"] for data in changed if data["invoice_id"] == "inv-old"][-1]
        return after["excess_credit"], after["excess_used"]

    def test_it_pays_for_nothing_before_it_has_rested(self, books: Books) -> None:
        upstream = self.paid_twice(books)
        books.clock.at = self.RESTED - timedelta(microseconds=1)
        books.take([upstream.charge_posted("soon")])
        assert applied(books) == []
        assert self.excess(books) == (None, "0.00")
        books.clock.at = self.RESTED
        books.another_process().take([upstream.charge_posted("next", price="12.00")])
        assert applied(books) == [("excess/inv-old", "next", "12.00")]
        assert self.excess(books) == ("20.00", "12.00")

    def test_it_has_no_claim_and_no_tax(self) -> None:
        books = Books.open()
        upstream = self.paid_twice(books)
        books.clock.at = self.RESTED
        books.take([upstream.charge_posted("next", price="12.00", tax="2.00")])
        [application] = applications(books)
        assert (application["claim_id"], application["amount"]) == (None, "14.00")
        assert (application["net"], application["tax"]) == ("14.00", "0.00")

    def test_it_follows_the_excess_and_what_was_used_is_gone_from_its_invoice(self) -> None:
        """A charge that comes late to the old invoice needs more than is left there."""
        books = Books.open()
        upstream = self.paid_twice(books)
        books.clock.at = self.RESTED
        books.take([upstream.charge_posted("next", price="12.00")])
        books.take([upstream.charge_posted("late", price="11.00", invoice_id="inv-old")])
        assert self.excess(books) == ("12.00", "12.00")
        [*_, last] = [e["data"] for e in books.stored() if e["type"] == "settlement-changed.v1"]
        assert (last["invoice_id"], last["after"]["asks_for"]) == ("inv-old", "3.00")
        books.take([upstream.charge_posted("later")])
        assert applied(books) == [("excess/inv-old", "next", "12.00")]

    def test_it_takes_its_turn_by_age_among_the_others(self) -> None:
        books = Books.open()
        upstream = self.paid_twice(books)
        books.take(upstream.credited(1, "5.00"))
        books.clock.at = self.RESTED
        books.take(upstream.credited(2, "5.00"))
        books.take([upstream.charge_posted("next", price="26.00")])
        assert applied(books) == [
            ("dis-1/1", "next", "5.00"),
            ("excess/inv-old", "next", "20.00"),
            ("dis-2/1", "next", "1.00"),
        ]

    def test_an_application_that_failed_gives_it_back(self) -> None:
        books = Books.open()
        upstream = self.paid_twice(books)
        books.clock.at = self.RESTED
        books.take([upstream.charge_posted("next", price="12.00")])
        [application] = applications(books)
        books.take([upstream.payment_failed("inv-next", payment_id=application["application_id"])])
        assert self.excess(books) == ("20.00", "0.00")
        books.take([upstream.charge_posted("later", price="50.00")])
        assert applied(books)[1:] == [("excess/inv-old", "later", "20.00")]


# --- laws ---------------------------------------------------------------------------------------------------------


def life(seed: int) -> list[Message]:
    """Credits, charges, payments, verdicts on what credits paid for, billing's words on applications, at random."""
    rng = random.Random(f"credits {seed}")
    upstream = Customer()
    told = [upstream.account_registered()]
    numbers = charges = 0
    for _ in range(rng.randint(4, 16)):
        what = rng.randrange(8)
        amount = f"{rng.randint(0, 30)}.{rng.randint(0, 99):02}"
        if what == 0 or not numbers:
            numbers += 1
            told += upstream.credited(numbers, f"{rng.randint(1, 30)}.{rng.randint(0, 99):02}")
        elif what == 1:
            number = rng.randint(1, numbers)
            verdict = upstream.lowered(number, f"{rng.randint(1, 30)}.50")
            verdict["time"] = f"2026-02-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:00:00Z"
            told.append(verdict)
        elif what == 2 and charges:
            dispute = f"dis-new-{rng.randint(1, charges)}"
            told.append(
                upstream.overcharge_confirmed(
                    dispute, f"new-{rng.randint(1, charges)}", amount=f"{rng.randint(1, 9)}.00", settle_as="credit"
                )
            )
        elif what == 3:
            told.append(upstream.payment_captured(f"inv-new-{rng.randint(1, charges + 1)}", amount))
        elif what in {4, 5} and charges:
            charge = rng.randint(1, charges)
            ours = application_id("acct-1", f"credit/billing-error/dis-{rng.randint(1, numbers)}/1", f"new-{charge}")
            about = {"payment_id": ours, "invoice_id": f"inv-new-{charge}"}
            if rng.random() < 0.5:
                told.append(upstream.payment_failed(**about))
            else:
                method = rng.choice(["balance", "balance", "card"])
                told.append(upstream.payment_captured(amount=amount, method=method, **about))
        else:
            charges += 1
            invoice = f"inv-new-{rng.randint(1, charges)}"
            told.append(upstream.charge_posted(f"new-{charges}", price=amount, tax="1.00", invoice_id=invoice))
    if rng.random() < 0.5:
        told += rng.sample(told, 2)
    if rng.random() < 0.3:
        moved = told.pop(rng.randrange(1, len(told)))
        told.insert(rng.randrange(1, len(told)), moved)
    return told


class Reckoned:
    """What of each credit is left, and what each invoice still asks for, reckoned by hand from what is stored."""

    def __init__(self) -> None:
        self.left: dict[str, Decimal] = {}
        self.applications: dict[str, dict[str, Any]] = {}
        self._words: dict[str, dict[str, Any]] = {}
        self._charged: dict[str, Decimal] = defaultdict(Decimal)
        self._reduced: dict[str, dict[str, Decimal]] = defaultdict(dict)

    def follow(self, envelope: dict[str, Any]) -> None:
        data = envelope["data"]
        match envelope["type"]:
            case "charge-posted.v1":
                self._charged[data["invoice_id"]] += Decimal(data["price"]) + Decimal(data["tax"])
            case "payment-captured.v1" | "payment-failed.v1":
                # Of two words on one payment the later holds, whichever came first.
                self._words[data["payment_id"]] = max(self._words.get(data["payment_id"], data), data, key=_order)
            case "credit-applied.v2":
                self.applications[data["application_id"]] = data
                self.left[data["credit_id"]] -= self.amount(data)
            case "settlement-changed.v1":
                for claim in data["claims"]:
                    self._follow(claim)
                credit_id = f"excess/{data['invoice_id']}"
                if data["after"] is not None and data["after"]["excess_credit"] is not None:
                    self.left[credit_id] = Decimal(data["after"]["excess"])
                else:
                    self.left.pop(credit_id, None)

    def _follow(self, claim: dict[str, Any]) -> None:
        self._reduced[claim["claim_id"]] = {
            part["id"]: _gross(part) for part in claim["after"] if part["into"] == "invoice_reduction"
        }
        credits = [part for part in claim["after"] if part["into"] == "credit"]
        for part in claim["before"]:
            if part["into"] == "credit" and not credits:
                self.left.pop(part["id"], None)
        for part in credits:
            self.left.setdefault(part["id"], Decimal(0))
        for credit_id in {part["id"] for part in credits}:
            parts = [part for part in credits if part["id"] == credit_id]
            self.left[credit_id] = sum((_gross(p) for p in parts if p["status"] == "open"), Decimal(0))
            assert self.left[credit_id] >= 0
            used = sum((_gross(p) for p in parts if p["status"] == "gone_out"), Decimal(0))
            assert used == sum(self.amount(a) for a in self.applications.values() if a["credit_id"] == credit_id)

    def amount(self, application: dict[str, Any]) -> Decimal:
        """As billing says, where it says something; what failed is nothing."""
        word = self._words.get(application["application_id"])
        if word is None or word.get("method") == "card":
            return Decimal(application["amount"])
        return Decimal(word.get("amount", 0))

    def asked_for(self, invoice_id: str) -> Decimal:
        paid = [Decimal(word.get("amount", 0)) for word in self._words.values() if word["invoice_id"] == invoice_id]
        unconfirmed = [
            Decimal(application["amount"])
            for application in self.applications.values()
            if application["invoice_id"] == invoice_id
            and self._words.get(application["application_id"], {"method": "card"}).get("method") == "card"
        ]
        used_elsewhere = [
            self.amount(application)
            for application in self.applications.values()
            if application["credit_id"] == f"excess/{invoice_id}"
        ]
        reduced = [parts.get(invoice_id, Decimal(0)) for parts in self._reduced.values()]
        return self._charged[invoice_id] + sum(used_elsewhere) - sum(paid) - sum(unconfirmed) - sum(reduced)


def _gross(part: dict[str, Any]) -> Decimal:
    return Decimal(part["net"]) + Decimal(part["tax"])


def _order(data: dict[str, Any]) -> tuple[datetime, bool, str]:
    message = data["message"]
    return (datetime.fromisoformat(message["time"]), "amount" not in data, message["id"])


@settings(max_examples=sample(50), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 1_000_000), pause=st.integers(0, 20))
def test_no_more_is_used_than_was_granted_and_no_invoice_is_paid_below_zero(seed: int, pause: int) -> None:
    """The oldest credit first, each once for a charge. After a while, what was paid in excess is a credit too."""
    books, told = Books.open(), life(seed)
    books.take(told[:pause])
    books.clock.at += timedelta(days=2)
    books.take(told[pause:])
    reckoned, before = Reckoned(), dict[str, Decimal]()
    for envelope in books.stored():
        data = envelope["data"]
        if envelope["causation_id"] is None:
            before = dict(reckoned.left)
        if envelope["type"] == "credit-applied.v2":
            amount, credit_id = Decimal(data["amount"]), data["credit_id"]
            assert 0 < amount <= min(reckoned.left[credit_id], before[credit_id])
            assert Decimal(data["net"]) + Decimal(data["tax"]) == amount
            to_it = {a["credit_id"] for a in reckoned.applications.values() if a["charge_id"] == data["charge_id"]}
            older = set(list(reckoned.left)[: list(reckoned.left).index(credit_id)]) - to_it
            assert not any(min(reckoned.left[each], before.get(each, 0)) for each in older)
            before[credit_id] -= reckoned.amount(data)
        reckoned.follow(envelope)
        if envelope["type"] == "credit-applied.v2":
            assert reckoned.asked_for(data["invoice_id"]) >= 0
    keys = [(data["credit_id"], data["charge_id"]) for data in applications(books)]
    assert len(set(keys)) == len(keys)


def test_what_the_law_is_about_comes_up_among_its_lives() -> None:
    """What never comes up is never tested."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        books = Books.open()
        books.take(life(seed))
        ours = {data["application_id"] for data in applications(books)}
        words = [e for e in books.stored() if e["data"].get("payment_id") in ours]
        seen.update(e["type"] + e["data"].get("method", "") for e in words)
        seen["applied"] += len(ours)
        books.clock.at += timedelta(days=2)
        books.take([Customer(source="/later").charge_posted("in-the-end", price="100.00")])
        seen["excess"] += any(data["claim_id"] is None for data in applications(books))
    assert min(seen[name] for name in ("payment-failed.v1", "payment-captured.v1balance", "excess")) >= 5, seen


@settings(max_examples=sample(20), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 1_000_000), batch=st.integers(1, 9))
def test_batches_and_processes_change_nothing(seed: int, batch: int) -> None:
    """One process that remembers, and one for each batch that loads what is stored, decide alike, to the byte."""
    told = life(seed)
    at_once, cold = Books.open(), Books.open()
    at_once.take(told)
    for start in range(0, len(told), batch):
        cold.another_process().take(told[start : start + batch])
    assert [_without_seal(e) for e in cold.stored()] == [_without_seal(e) for e in at_once.stored()]


@settings(max_examples=sample(8), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 100_000))
def test_histories_with_cycles_and_outages_too(seed: int) -> None:
    told = histories.history(seed, account="acct-1")
    at_once, cold = (Books.open(agreements=oracle_agreements()) for _ in range(2))
    at_once.take(told)
    for message in told:
        cold.another_process().take([message])
    assert [_without_seal(e) for e in cold.stored()] == [_without_seal(e) for e in at_once.stored()]


def _without_seal(envelope: dict[str, Any]) -> dict[str, Any]:
    """Nonces are drawn, so that seals and what is chained to them differ."""
    data = {name: value for name, value in envelope["data"].items() if name != "sealed"}
    return {**envelope, "data": data, "previous": None}
