"""A credit pays for the account's next charges, the oldest credit first, and never below zero (policy §7)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.books import WITHOUT_SHRINKING, Books, oracle_agreements
from tests.ledger.messages import Message, Upstream
from tests.oracle import histories


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
    return [e["data"] for e in books.stored() if e["type"] == "credit-applied.v1"]


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

    def test_several_that_become_known_at_once_are_taken_in_the_order_of_their_messages(self) -> None:
        books = Books.open()
        upstream = Customer()
        registered = upstream.subscription_registered()
        cycles = [
            upstream.cycle_started("cyc-1"),
            upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01"),
        ]
        books.take([upstream.account_registered(), *upstream.credited(1, "40.00"), *reversed(cycles)])
        assert applied(books) == []
        books.take([registered])
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


class TestUsed:
    """A credit is not lowered as far as it was used; what was granted too much is overpaid."""

    def settled(self, books: Books, number: int = 1) -> list[str]:
        last = [
            e["data"]["after"]
            for e in books.stored()
            if e["type"] == "claim-assessed.v1" and e["data"]["claim_id"] == f"billing-error/dis-{number}"
        ][-1]
        return [f"{part['into']} {part['net']}" for part in last["settled"]]

    def test_a_decrease_lowers_the_unused_rest_and_the_remainder_is_overpaid(self, books: Books) -> None:
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "20.00")])
        books.take([upstream.charge_posted("next", price="15.00")])
        books.another_process().take([upstream.lowered(1, "12.00")])
        assert self.settled(books) == ["credit 15.00", "overpaid -3.00"]
        books.take([upstream.charge_posted("later")])
        assert applied(books) == [("dis-1/1", "next", "15.00")]

    def test_an_increase_opens_the_next_credit(self) -> None:
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "20.00")])
        books.take([upstream.charge_posted("next", price="15.00"), upstream.lowered(1, "30.00")])
        assert self.settled(books) == ["credit 20.00", "credit 10.00"]
        books.take([upstream.charge_posted("later", price="7.00")])
        assert applied(books) == [
            ("dis-1/1", "next", "15.00"),
            ("dis-1/1", "later", "5.00"),
            ("dis-1/2", "later", "2.00"),
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
        assert self.settled(books, 2) == ["invoice_reduction 5.00", "credit 3.00"]


class TestConfirmed:
    """Billing confirms an application by a payment from balance that bears its id: that is no money besides."""

    def test_it_changes_nothing_that_is_owed(self, books: Books) -> None:
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "10.00"), upstream.charge_posted("next")])
        [application] = applications(books)
        paid = {"payment_id": application["application_id"], "method": "balance"}
        books.another_process().take([upstream.payment_captured("inv-next", "10.00", **paid)])
        books.take([upstream.overcharge_confirmed("dis-2", "next", amount="8.00", settle_as="credit")])
        [reduced, rest] = books.stored()[-1]["data"]["after"]["settled"]
        assert (reduced["into"], reduced["net"]) == ("invoice_reduction", "5.00")
        assert (rest["into"], rest["net"]) == ("credit", "3.00")

    def test_a_first_invoice_that_a_credit_pays_for_is_paid_when_the_payment_says_so(self, books: Books) -> None:
        """Nobody waits for their password because they had a credit, and nobody gets it before billing agrees."""
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "31.00")])
        books.take([upstream.subscription_registered(), upstream.cycle_started()])
        [application] = applications(books)
        ours = application["application_id"]
        carried_out = {"instruction_id": ours, "carried_out_at": "2026-03-01T10:00:00Z"}
        books.take([upstream.says("instruction.carried_out", **carried_out)])
        assert "activation-due.v1" not in books.types()
        books.take([upstream.payment_captured("inv-cyc-1", "31.00", payment_id=ours, method="balance")])
        assert books.types()[-1] == "activation-due.v1"

    @pytest.mark.parametrize(("method", "ours"), [("balance", False), ("card", True)])
    def test_any_other_payment_is_money(self, method: str, ours: bool) -> None:
        books = Books.open()
        upstream = Customer()
        books.take([upstream.account_registered(), *upstream.credited(1, "10.00"), upstream.charge_posted("next")])
        [application] = applications(books)
        payment_id = application["application_id"] if ours else "balance-77"
        books.take([upstream.payment_captured("inv-next", "5.00", payment_id=payment_id, method=method)])
        books.take([upstream.overcharge_confirmed("dis-2", "next", amount="8.00", settle_as="credit")])
        [part] = books.stored()[-1]["data"]["after"]["settled"]
        assert (part["into"], part["net"]) == ("credit", "8.00")

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


# --- laws ---------------------------------------------------------------------------------------------------------


def life(seed: int) -> list[Message]:
    """Credits granted, lowered and raised, charges, payments and verdicts on what credits paid for, at random."""
    rng = random.Random(f"credits {seed}")
    upstream = Customer()
    told = [upstream.account_registered()]
    numbers = charges = 0
    for _ in range(rng.randint(4, 14)):
        what = rng.randrange(6)
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


def owed_after(stored: Sequence[dict[str, Any]]) -> dict[str, Decimal]:
    """What is owed on each invoice, reckoned by hand from what is stored."""
    ours = {e["data"]["application_id"] for e in stored if e["type"] == "credit-applied.v1"}
    owed: dict[str, Decimal] = defaultdict(Decimal)
    reduced: dict[str, list[tuple[str, Decimal]]] = {}
    paid: dict[str, dict[str, Any]] = {}
    for envelope in stored:
        data = envelope["data"]
        match envelope["type"]:
            case "charge-posted.v1":
                owed[data["invoice_id"]] += Decimal(data["price"]) + Decimal(data["tax"])
            case "payment-captured.v1" if data["payment_id"] not in ours:
                # Of two payments under one id the first by its message holds, whichever came first.
                paid[data["payment_id"]] = min(paid.get(data["payment_id"], data), data, key=_order)
            case "credit-applied.v1":
                owed[data["invoice_id"]] -= Decimal(data["amount"])
            case "claim-assessed.v1":
                reduced[data["claim_id"]] = [
                    (part["id"], Decimal(part["net"]) + Decimal(part["tax"]))
                    for part in (data["after"] or {"settled": ()})["settled"]
                    if part["into"] == "invoice_reduction"
                ]
    for payment in paid.values():
        owed[payment["invoice_id"]] -= Decimal(payment["amount"])
    for parts in reduced.values():
        for invoice_id, total in parts:
            owed[invoice_id] -= total
    return owed


def _order(data: dict[str, Any]) -> tuple[datetime, str, str]:
    message = data["message"]
    return (datetime.fromisoformat(message["time"]), message["id"], message["source"])


@settings(max_examples=150, deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 1_000_000))
def test_no_more_is_used_than_was_granted_and_no_invoice_is_paid_below_zero(seed: int) -> None:
    books = Books.open()
    books.take(life(seed))
    stored = books.stored()
    granted: dict[str, Decimal] = {}
    used: dict[str, Decimal] = defaultdict(Decimal)
    order: list[str] = []
    for number, envelope in enumerate(stored):
        data = envelope["data"]
        if envelope["type"] == "claim-assessed.v1":
            for state, before in ((data["before"], True), (data["after"], False)):
                for part in (state or {"settled": ()})["settled"]:
                    if part["into"] == "credit" and before:
                        granted.pop(part["id"])
                    elif part["into"] == "credit":
                        granted[part["id"]] = Decimal(part["net"]) + Decimal(part["tax"])
            order = [credit_id for credit_id in order if credit_id in granted]
            order += [credit_id for credit_id in granted if credit_id not in order]
            assert all(used[credit_id] <= granted.get(credit_id, Decimal(0)) for credit_id in used)
        elif envelope["type"] == "credit-applied.v1":
            amount, credit_id = Decimal(data["amount"]), data["credit_id"]
            assert amount > 0
            used[credit_id] += amount
            assert used[credit_id] <= granted[credit_id]
            assert owed_after(stored[: number + 1])[data["invoice_id"]] >= 0
            older = order[: order.index(credit_id)]
            causing = [e for e in stored[:number] if e["causation_id"] == envelope["causation_id"]]
            just_granted = {
                part["id"]
                for e in causing
                if e["type"] == "claim-assessed.v1"
                for part in (e["data"]["after"] or {"settled": ()})["settled"]
            }
            assert all(used[each] == granted[each] for each in older if each not in just_granted)
    keys = [(data["credit_id"], data["charge_id"]) for data in applications(books)]
    assert len(set(keys)) == len(keys)


@settings(max_examples=60, deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(0, 1_000_000), batch=st.integers(1, 9))
def test_batches_and_processes_change_nothing(seed: int, batch: int) -> None:
    """One process that remembers, and one for each batch that loads what is stored, decide alike, to the byte."""
    told = life(seed)
    at_once, cold = Books.open(), Books.open()
    at_once.take(told)
    for start in range(0, len(told), batch):
        cold.another_process().take(told[start : start + batch])
    assert [_without_seal(e) for e in cold.stored()] == [_without_seal(e) for e in at_once.stored()]


@settings(max_examples=40, deadline=None, phases=WITHOUT_SHRINKING)
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
