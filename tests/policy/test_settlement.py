"""§7 Settling a claim: what an invoice asks for, and what becomes of every claim on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest

from ledger.agreement import PublishedAgreement
from ledger.events import SettledPart
from ledger.policy.facts import EVERYTHING
from ledger.policy.settlement import (
    ClaimToSettle,
    GoneOut,
    InvoiceToSettle,
    Settlement,
    proportion,
    settle,
    settle_without_invoice,
)
from tests.policy.case import (
    Case,
    Said,
    Terms,
    account,
    agreement,
    approved,
    cancelled,
    charge,
    complaint,
    confirmed,
    cycle,
    dispute,
    outage,
    payment,
    payment_failed,
    proposed,
    refund_failed,
    refund_succeeded,
    rejected,
    reported,
    resolved,
    subscription,
    takes_back,
    terminated,
    withdrawn,
)

APRIL = cycle(tax="6.00")
"""30.00 and 6.00 tax: 36.00 in all, and a fifth of tax on whatever comes back."""
MAY = cycle("may", "2026-05-01", "2026-06-01", "31.00")
PAID = payment("36.00", payment_id="p")
DISPUTE = "billing-error/dispute"
UNUSED = "unused/april"
DISRUPTION = "disruption/april"
OUT = reported("out", "2026-04-10")
HALF = [cancelled("2026-04-16")]
"""Half of April is unused: 15.00 and 3.00 tax."""
CREDITED = {"billing_error.settle_as": "credit"}


def early(said: Said, day: int = 1) -> Said:
    """Said in December, before all else; the day tells several apart."""
    return said.at(f"2025-12-{day:02}T00:00:00Z", id=f"early-{day}")


def late(said: Said, day: int = 1) -> Said:
    """Said in June, after all else."""
    return said.at(f"2026-06-{day:02}T00:00:00Z", id=f"late-{day}")


@dataclass(frozen=True)
class Row:
    """A sentence of §7 with facts, and how every claim is settled by them.

    Claims are named in `gives` by their ids, all that are settled by anything: "reduced 5.00 + 1.00; refund/1 3.00";
    beside them invoices and credits, those that the sentence is about.
    """

    said: tuple[Said, ...]
    gives: Mapping[str, str]
    agreements: tuple[PublishedAgreement, ...]
    begun: tuple[Said, ...]
    later: str | None

    def case(self) -> Case:
        return Case(self.agreements).hear(self.begun, self.said)

    def holds(self) -> None:
        case = self.case()
        if self.later is not None:
            case.pass_time(self.later)
        claims = {id_ for id_, _ in case.billing.settlements.claims}
        assert {id_: word(case, id_) for id_ in {*claims, *self.gives}} == {
            **dict.fromkeys(claims, "?"),
            **self.gives,
        }
        anew = case.billing.settlements.differences(EVERYTHING, (), case.at)
        assert list(anew) == [], "settled anew from all that is known"
        if self.later is None and not remembers(case):
            other = Case(self.agreements)
            for message in reversed(case.messages):
                other.take(message)
            assert {id_: word(other, id_) for id_ in self.gives} == self.gives, "with the facts in the opposite order"


def word(case: Case, id_: str) -> str:
    """How a claim is settled, where an invoice stands, or what is left of a credit."""
    if id_.startswith("invoice-"):
        return case.invoice(id_)
    if id_.startswith(("credit/", "excess/")):
        return case.credits().get(id_, "nothing")
    return "; ".join(map(_brief, case.settled(id_))) or "nothing"


def _brief(part: str) -> str:
    into, id_, rest = part.split(" ", 2)
    named = {"invoice_reduction": "reduced", "refund": f"refund/{id_.rpartition('/')[2]}"}
    return f"{named.get(into, into)} {rest}".replace("gone_out", "gone out")


def remembers(case: Case) -> bool:
    """Whether what has gone out depends on when it did: a credit that was applied, a report without an amount."""
    reports = [message for message in case.messages if message["type"] == "voip.refund.succeeded.v1"]
    return bool(case.billing.settlements.outgoings.applications) or any("amount" not in r["data"] for r in reports)


def row(
    sentence: str,
    *said: Said | Iterable,
    gives: Mapping[str, str],
    terms: Terms | None = None,
    agreements: Sequence[PublishedAgreement] = (),
    begun: Sequence[Said] | None = None,
    later: str | None = None,
) -> object:
    """A row; the account and its subscription are registered already, unless `begun` says otherwise."""
    start = tuple(begun) if begun is not None else (account(), subscription())
    return pytest.param(
        Row((*_flat(said),), gives, tuple(agreements) or (agreement(terms),), start, later), id=sentence
    )


def _flat(said: Iterable[Said | Iterable]) -> Iterator[Said]:
    for one in said:
        yield from [one] if isinstance(one, Said) else _flat(one)


def rows(*given: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", given)


# --- what is paid -------------------------------------------------------------------------------------------------


@rows(
    row(
        "of the messages about one payment the one with the latest time holds: captured, then failed",
        [APRIL, PAID, late(payment_failed("p"))],
        gives={"invoice-april": "36.00 charged, 36.00 asked for"},
    ),
    row(
        "the one with the latest time: failed, then captured",
        [APRIL, payment_failed("p"), late(PAID)],
        gives={"invoice-april": "36.00 charged, 36.00 paid"},
    ),
    row(
        "the one with the latest time, though the failure was known first: neither paid nor refunded",
        [APRIL, late(payment_failed("p"), 2), late(PAID, 1), HALF],
        gives={
            "invoice-april": "36.00 charged, 18.00 reduced, 18.00 asked for",
            UNUSED: "reduced 15.00 + 3.00",
        },
    ),
    row(
        "at the same time a failure",
        [APRIL, PAID.at("2026-05-01T00:00:00Z", id="z"), payment_failed("p").at("2026-05-01T00:00:00Z", id="a")],
        gives={"invoice-april": "36.00 charged, 36.00 asked for"},
    ),
    row(
        "then the greater message id",
        [APRIL, PAID.at("2026-05-01T00:00:00Z", id="a")],
        [payment("20.00", payment_id="p").at("2026-05-01T00:00:00Z", id="z")],
        gives={"invoice-april": "36.00 charged, 20.00 paid, 16.00 asked for"},
    ),
    row(
        "the latest capture holds with its invoice",
        [APRIL, MAY, PAID, payment("31.00", "invoice-may", payment_id="p")],
        gives={
            "invoice-april": "36.00 charged, 36.00 asked for",
            "invoice-may": "31.00 charged, 31.00 paid",
        },
    ),
    row(
        "and with its method",
        [APRIL, PAID, payment("36.00", payment_id="p", method="balance"), confirmed("10.00")],
        gives={"invoice-april": "36.00 charged, 0.00 + 36.00 paid", DISPUTE: "credit 10.00 + 2.00"},
    ),
    row(
        "a failure that names another invoice is of the payment all the same",
        [APRIL, PAID, payment_failed("p", "invoice-other")],
        gives={"invoice-april": "36.00 charged, 36.00 asked for"},
    ),
    row(
        "a payment that failed was not paid; the others were",
        [APRIL, payment("20.00", payment_id="p"), payment("16.00", payment_id="q"), payment_failed("p")],
        gives={"invoice-april": "36.00 charged, 16.00 paid, 20.00 asked for"},
    ),
    row(
        "a payment in another currency is left out",
        [APRIL, payment("36.00", currency="USD"), confirmed("10.00")],
        gives={
            "invoice-april": "36.00 charged, 12.00 reduced, 24.00 asked for",
            DISPUTE: "reduced 10.00 + 2.00",
        },
    ),
    row(
        "a later capture in another currency takes no one's place",
        [APRIL, PAID, late(payment("36.00", payment_id="p", currency="USD"))],
        gives={"invoice-april": "36.00 charged, 36.00 paid"},
    ),
)
def test_what_is_paid(row: Row) -> None:
    row.holds()


def test_captures_that_differ_raise_an_alarm() -> None:
    """It names the one that holds, the latest, first; a failure differs from no capture."""
    case = Case().hear(account(), subscription(), APRIL, PAID.at(id="first"))
    case.hear(payment("30.00", payment_id="p").at(id="second"), payment_failed("p").at(id="third"))
    assert case.alarms() == {("contradiction", "second", "first", "no charge")}
    case.hear(payment("36.00", payment_id="p").at(id="z-third"))
    assert case.alarms() == {("contradiction", "z-third", "second", "no charge")}


# --- of an invoice ------------------------------------------------------------------------------------------------


@rows(
    row(
        "C: price and tax of its charges",
        [APRIL, charge(price="6.00", tax="1.00", invoice_id="invoice-april")],
        gives={"invoice-april": "43.00 charged, 43.00 asked for"},
    ),
    row(
        "C: one that is left out as a contradiction does not count",
        [APRIL, cycle("x", "2026-04-15", "2026-05-15", invoice_id="invoice-april")],
        gives={"invoice-april": "36.00 charged, 36.00 asked for"},
    ),
    row(
        "C: one in another currency does not count",
        [APRIL, charge("x", currency="USD", invoice_id="invoice-april")],
        gives={"invoice-april": "36.00 charged, 36.00 asked for"},
    ),
    row(
        "C: a charge that is told twice was made once",
        [APRIL, APRIL],
        gives={"invoice-april": "36.00 charged, 36.00 asked for"},
    ),
    row(
        "C: one that waits for its subscription does",
        [APRIL, charge(price="4.00", subscription_id="unheard-of", invoice_id="invoice-april")],
        gives={"invoice-april": "40.00 charged, 40.00 asked for"},
    ),
    row(
        "C: an invoice whose one charge is left out was charged nothing: what was paid on it is in excess",
        [APRIL, cycle("x", "2026-04-15", "2026-05-15", invoice_id="invoice-x"), payment("5.00", "invoice-x")],
        gives={"invoice-x": "5.00 paid, 5.00 in excess"},
    ),
    row(
        "a payment on an invoice without a charge waits and is no excess (contract §3b)",
        [APRIL, payment("5.00", "invoice-x")],
        gives={"invoice-x": "not charged"},
    ),
    row(
        "M: what was captured by card, bank or other",
        [APRIL],
        [
            payment(amount, method=method)
            for amount, method in (("20.00", "card"), ("10.00", "bank"), ("6.00", "other"))
        ],
        [confirmed("10.00")],
        gives={"invoice-april": "36.00 charged, 36.00 paid", DISPUTE: "refund/1 10.00 + 2.00"},
    ),
    row(
        "M: payments for another invoice do not count",
        [APRIL, MAY, payment("31.00", "invoice-may"), confirmed("10.00")],
        gives={
            "invoice-april": "36.00 charged, 12.00 reduced, 24.00 asked for",
            "invoice-may": "31.00 charged, 31.00 paid",
            DISPUTE: "reduced 10.00 + 2.00",
        },
    ),
    row(
        "B: what was paid on it from balance",
        [APRIL, payment("36.00", method="balance"), HALF],
        gives={"invoice-april": "36.00 charged, 0.00 + 36.00 paid", UNUSED: "credit 15.00 + 3.00"},
    ),
    row(
        "B: credits applied to it included",
        [APRIL, PAID, confirmed("10.00", settle_as="credit"), MAY, payment("19.00", "invoice-may")],
        gives={
            DISPUTE: "credit 10.00 + 2.00 gone out",
            "invoice-may": "31.00 charged, 19.00 + 12.00 paid",
        },
    ),
    row(
        "F: a refund that was submitted or succeeded has gone out",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(f"refund/{DISPUTE}/1")],
        gives={"invoice-april": "36.00 charged, 36.00 paid", DISPUTE: "refund/1 10.00 + 2.00 gone out"},
    ),
    row(
        "F: whose latest word is no failure",
        [
            APRIL,
            PAID,
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1"),
            refund_failed(f"refund/{DISPUTE}/1"),
        ],
        gives={"invoice-april": "36.00 charged, 36.00 paid", DISPUTE: "refund/1 10.00 + 2.00 failed"},
    ),
    row(
        "F: of its credits what was applied",
        [APRIL, PAID, confirmed("10.00", settle_as="credit"), charge(price="6.00")],
        gives={DISPUTE: "credit 5.00 + 1.00 gone out; credit 5.00 + 1.00", f"credit/{DISPUTE}/1": "6.00"},
    ),
)
def test_of_an_invoice(row: Row) -> None:
    row.holds()


@rows(
    row(
        "a cycle by its starts_on",
        [
            cycle("z", "2026-03-01", "2026-04-01", "10.00", invoice_id="invoice"),
            cycle("a", "2026-04-01", "2026-05-01", "10.00", invoice_id="invoice"),
            payment("8.00", "invoice", payment_id="p"),
            confirmed("10.00", "of-a", "a"),
            confirmed("10.00", "of-z", "z"),
        ],
        gives={
            "billing-error/of-z": "reduced 10.00",
            "billing-error/of-a": "reduced 2.00; refund/1 8.00",
        },
    ),
    row(
        "a one-off by the local date of its time: the day before in Los Angeles",
        [
            cycle("a", "2026-04-01", "2026-05-01", "10.00", invoice_id="invoice"),
            charge("z", "10.00", invoice_id="invoice").at("2026-04-01T06:59:59Z", id="z"),
            payment("8.00", "invoice", payment_id="p"),
            confirmed("10.00", "of-a", "a"),
            confirmed("10.00", "of-z", "z"),
        ],
        begun=[account("America/Los_Angeles"), subscription()],
        gives={
            "billing-error/of-z": "reduced 10.00",
            "billing-error/of-a": "reduced 2.00; refund/1 8.00",
        },
    ),
    row(
        "then by the charge id, where the dates are the same",
        [
            cycle("a", "2026-04-01", "2026-05-01", "10.00", invoice_id="invoice"),
            charge("z", "10.00", invoice_id="invoice").at("2026-04-01T07:00:00Z", id="z"),
            payment("8.00", "invoice", payment_id="p"),
            confirmed("10.00", "of-a", "a"),
            confirmed("10.00", "of-z", "z"),
        ],
        begun=[account("America/Los_Angeles"), subscription()],
        gives={
            "billing-error/of-a": "reduced 10.00",
            "billing-error/of-z": "reduced 2.00; refund/1 8.00",
        },
    ),
    row(
        "within a charge as in §2: overcharges, disruption, unused part",
        [APRIL, payment("33.00"), HALF, outage("2026-04-10", "2026-04-12"), confirmed("3.00")],
        gives={
            "invoice-april": "36.00 charged, 33.00 paid, 3.00 reduced",
            DISPUTE: "reduced 2.50 + 0.50; refund/1 0.50 + 0.10",
            DISRUPTION: "credit 1.80 + 0.36",
            UNUSED: "refund/1 13.50 + 2.70",
        },
    ),
    row(
        "an overcharge by the verdict that holds, whatever the dispute's id",
        [APRIL, payment("30.00", payment_id="p"), early(confirmed("10.00", "z")), confirmed("10.00", "a")],
        gives={
            "billing-error/z": "reduced 5.00 + 1.00; refund/1 5.00 + 1.00",
            "billing-error/a": "refund/1 10.00 + 2.00",
        },
    ),
    row(
        "one without a verdict after those, by claim id",
        [
            APRIL,
            PAID,
            dispute("a"),
            dispute("b"),
            rejected("c"),
            [refund_succeeded(f"refund/billing-error/{id_}/1", "6.00") for id_ in "abc"],
            confirmed("7.50", "granted"),
        ],
        gives={
            "billing-error/c": "offset -6.00; refund/1 6.00 gone out",
            "billing-error/a": "offset -3.00; refund/1 6.00 gone out; overpaid -3.00",
            "billing-error/b": "refund/1 6.00 gone out; overpaid -6.00",
            "billing-error/granted": "offset 7.50 + 1.50",
        },
    ),
    row(
        "those for which something has gone out though they are not granted any more",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(f"refund/{DISPUTE}/1", "12.00"), early(rejected())],
        gives={
            "invoice-april": "36.00 charged, 36.00 paid",
            DISPUTE: "refund/1 12.00 gone out; overpaid -12.00",
        },
    ),
    row(
        "or their charge counts no more: an earlier cycle takes its place",
        [
            APRIL,
            PAID,
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1", "12.00"),
            early(cycle("earlier", "2026-04-15", "2026-05-15")),
        ],
        gives={
            "invoice-april": "36.00 paid, 24.00 in excess",
            "invoice-earlier": "30.00 charged, 30.00 asked for",
            DISPUTE: "offset -12.00; refund/1 12.00 gone out",
        },
    ),
    row(
        "their charge counts no more: its currency is not the account's",
        [
            APRIL,
            PAID,
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1"),
            early(account(currency="USD")),
        ],
        gives={
            "invoice-april": "nothing",
            DISPUTE: "refund/1 10.00 + 2.00 gone out; overpaid -10.00 + -2.00",
        },
    ),
)
def test_its_claims_in_order(row: Row) -> None:
    row.holds()


# --- reduced ------------------------------------------------------------------------------------------------------


@rows(
    row(
        "R: what is granted comes off what is asked for, net and its tax",
        [APRIL, confirmed("10.00")],
        gives={
            "invoice-april": "36.00 charged, 12.00 reduced, 24.00 asked for",
            DISPUTE: "reduced 10.00 + 2.00",
        },
    ),
    row(
        "R: no more than C − P: only the rest is paid out",
        [APRIL, payment("30.00"), confirmed("10.00")],
        gives={
            "invoice-april": "36.00 charged, 30.00 paid, 6.00 reduced",
            DISPUTE: "reduced 5.00 + 1.00; refund/1 5.00 + 1.00",
        },
    ),
    row(
        "R: exactly as much is owed as is granted",
        [APRIL, payment("24.00"), confirmed("10.00")],
        gives={
            "invoice-april": "36.00 charged, 24.00 paid, 12.00 reduced",
            DISPUTE: "reduced 10.00 + 2.00",
        },
    ),
    row(
        "R: never below 0, where more was paid than charged",
        [APRIL, payment("40.00"), confirmed("10.00")],
        gives={"invoice-april": "36.00 charged, 40.00 paid, 4.00 in excess", DISPUTE: "refund/1 10.00 + 2.00"},
    ),
    row(
        "anew after every fact: a payment that comes later makes a refund of the reduction",
        [APRIL, confirmed("10.00"), PAID],
        gives={"invoice-april": "36.00 charged, 36.00 paid", DISPUTE: "refund/1 10.00 + 2.00"},
    ),
    row(
        "anew: a payment that comes later and pays what the invoice asks for",
        [APRIL, confirmed("10.00"), payment("24.00")],
        gives={
            "invoice-april": "36.00 charged, 24.00 paid, 12.00 reduced",
            DISPUTE: "reduced 10.00 + 2.00",
        },
    ),
    row(
        "anew: a charge that comes later is reduced by what was to be paid out",
        [APRIL, PAID, confirmed("10.00"), charge(price="7.00", invoice_id="invoice-april")],
        gives={
            "invoice-april": "43.00 charged, 36.00 paid, 7.00 reduced",
            DISPUTE: "reduced 5.83 + 1.17; refund/1 4.17 + 0.83",
        },
    ),
    row(
        "R: what has gone out is not reduced again: money that bounced after its refund went out is asked for again",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(f"refund/{DISPUTE}/1", "12.00"), payment_failed("p")],
        gives={
            "invoice-april": "36.00 charged, 36.00 asked for",
            DISPUTE: "refund/1 10.00 + 2.00 gone out",
        },
    ),
    row(
        "money that bounced before anything went out leaves the reduction",
        [APRIL, PAID, confirmed("10.00"), payment_failed("p")],
        gives={
            "invoice-april": "36.00 charged, 12.00 reduced, 24.00 asked for",
            DISPUTE: "reduced 10.00 + 2.00",
        },
    ),
    row(
        "one of two payments bounced after a refund went out: an overcharge still open comes off first",
        [
            APRIL,
            payment("18.00", payment_id="p"),
            payment("18.00", payment_id="q"),
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1", "12.00"),
            payment_failed("p"),
            confirmed("5.00", "second"),
        ],
        gives={
            "invoice-april": "36.00 charged, 18.00 paid, 6.00 reduced, 12.00 asked for",
            DISPUTE: "refund/1 10.00 + 2.00 gone out",
            "billing-error/second": "reduced 5.00 + 1.00",
        },
    ),
    row(
        "R is given to the claims in order, each up to G − F",
        [
            APRIL,
            payment("31.00", payment_id="p"),
            early(confirmed("10.00", "first")),
            refund_succeeded("refund/billing-error/first/1", "11.00"),
            confirmed("10.00", "second"),
        ],
        gives={
            "invoice-april": "36.00 charged, 31.00 paid, 5.00 reduced",
            "billing-error/first": "reduced 0.83 + 0.17; refund/1 9.17 + 1.83 gone out",
            "billing-error/second": "reduced 3.33 + 0.67; refund/1 6.67 + 1.33",
        },
    ),
    row(
        "one invoice of two subscriptions: what one is owed comes off what the other is charged",
        [
            subscription("other"),
            cycle("theirs", subscription_id="other", price="10.00", invoice_id="invoice-april"),
            APRIL,
            PAID,
            HALF,
        ],
        gives={
            "invoice-april": "46.00 charged, 36.00 paid, 10.00 reduced",
            UNUSED: "reduced 8.33 + 1.67; refund/1 6.67 + 1.33",
        },
    ),
    row(
        "unpaid and cancelled, then an overcharge: nothing was paid, so nothing goes back",
        [APRIL, cancelled("2026-04-07"), confirmed("18.00")],
        gives={
            "invoice-april": "36.00 charged, 33.12 reduced, 2.88 asked for",
            DISPUTE: "reduced 18.00 + 3.60",
            UNUSED: "reduced 9.60 + 1.92",
        },
    ),
    row(
        "unpaid, cancelled and withdrawn: the month is owed again",
        [APRIL, cancelled("2026-04-01"), withdrawn("2026-04-05")],
        gives={"invoice-april": "36.00 charged, 36.00 asked for"},
    ),
    row(
        "two confirmations that exceed the charge, the later known first: the earlier one stands",
        [APRIL, late(confirmed("30.00", "later"), 2), late(confirmed("18.00", "earlier"), 1)],
        gives={
            "invoice-april": "36.00 charged, 21.60 reduced, 14.40 asked for",
            "billing-error/earlier": "reduced 18.00 + 3.60",
        },
    ),
)
def test_reduced(row: Row) -> None:
    row.holds()


# --- too much went out --------------------------------------------------------------------------------------------


@rows(
    row(
        "what went out too much for one claim is set off against what is open of another",
        [APRIL, PAID, cancelled("2026-04-07"), refund_succeeded(f"refund/{UNUSED}/1"), confirmed("18.00")],
        gives={
            "invoice-april": "36.00 charged, 36.00 paid",
            DISPUTE: "offset 14.40 + 2.88; refund/1 3.60 + 0.72",
            UNUSED: "offset -14.40 + -2.88; refund/1 24.00 + 4.80 gone out",
        },
    ),
    row(
        "what remains is overpaid, and nothing is taken back by itself",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(f"refund/{DISPUTE}/1"), early(confirmed("7.00"))],
        gives={
            "invoice-april": "36.00 charged, 36.00 paid",
            DISPUTE: "refund/1 10.00 + 2.00 gone out; overpaid -3.00 + -0.60",
        },
    ),
    row(
        "overpaid though the invoice is asked for: what was refunded and is not granted was not paid back",
        [
            APRIL,
            payment("20.00", payment_id="p"),
            refund_succeeded(f"refund/{DISPUTE}/1", "12.00"),
            rejected(),
        ],
        gives={
            "invoice-april": "36.00 charged, 20.00 paid, 16.00 asked for",
            DISPUTE: "refund/1 12.00 gone out; overpaid -12.00",
        },
    ),
    row(
        "set off in order on both sides",
        [
            APRIL,
            PAID,
            [early(rejected("first"), 1), early(rejected("second"), 2)],
            [early(confirmed("2.50", "third"), 3), early(confirmed("5.00", "fourth"), 4)],
            refund_succeeded("refund/billing-error/first/1", "4.00"),
            refund_succeeded("refund/billing-error/second/1", "3.00"),
        ],
        gives={
            "billing-error/first": "offset -4.00; refund/1 4.00 gone out",
            "billing-error/second": "offset -3.00; refund/1 3.00 gone out",
            "billing-error/third": "offset 2.50 + 0.50",
            "billing-error/fourth": "offset 3.33 + 0.67; refund/1 1.67 + 0.33",
        },
    ),
    row(
        "then against the invoice's excess",
        [
            APRIL,
            payment("40.00", payment_id="p"),
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1"),
            early(confirmed("8.00")),
        ],
        gives={
            "invoice-april": "36.00 charged, 40.00 paid, 1.60 in excess",
            DISPUTE: "offset -2.00 + -0.40; refund/1 10.00 + 2.00 gone out",
        },
    ),
    row(
        "as far as that goes: what remains is overpaid",
        [
            APRIL,
            payment("40.00", payment_id="p"),
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1"),
            early(rejected()),
        ],
        gives={
            "invoice-april": "36.00 charged, 40.00 paid",
            DISPUTE: "offset -3.33 + -0.67; refund/1 10.00 + 2.00 gone out; overpaid -6.67 + -1.33",
        },
    ),
    row(
        "first against the other claims, then against the excess",
        [
            APRIL,
            payment("38.00", payment_id="p"),
            rejected(),
            refund_succeeded(f"refund/{DISPUTE}/1", "9.00"),
            confirmed("5.00", "second"),
        ],
        gives={
            "invoice-april": "36.00 charged, 38.00 paid",
            DISPUTE: "offset -8.00; refund/1 9.00 gone out; overpaid -1.00",
            "billing-error/second": "offset 5.00 + 1.00",
        },
    ),
    row(
        "a claim of another invoice bears nothing of it",
        [
            APRIL,
            MAY,
            PAID,
            payment("31.00", "invoice-may"),
            rejected(),
            refund_succeeded(f"refund/{DISPUTE}/1", "12.00"),
            confirmed("5.00", "second", "may"),
        ],
        gives={
            DISPUTE: "refund/1 12.00 gone out; overpaid -12.00",
            "billing-error/second": "refund/1 5.00",
        },
    ),
    row(
        "of a used credit only the unused rest is lowered; what remains is overpaid",
        [
            APRIL,
            PAID,
            confirmed("10.00", settle_as="credit"),
            charge(price="9.00"),
            early(confirmed("5.00", settle_as="credit")),
        ],
        gives={
            DISPUTE: "credit 7.50 + 1.50 gone out; overpaid -2.50 + -0.50",
            "invoice-headset": "9.00 charged, 0.00 + 9.00 paid",
        },
    ),
    row(
        "a refund is reported as arrived after its cancellation was withdrawn: it arrived, and is overpaid",
        [APRIL, PAID, HALF, withdrawn("2026-04-17"), refund_succeeded(f"refund/{UNUSED}/1")],
        gives={
            "invoice-april": "36.00 charged, 36.00 paid",
            UNUSED: "refund/1 15.00 + 3.00 gone out; overpaid -15.00 + -3.00",
        },
    ),
    row(
        "an increase first takes up what was overpaid",
        [APRIL, PAID, early(rejected(), 2), refund_succeeded(f"refund/{DISPUTE}/1", "12.00")],
        [early(confirmed("11.00"), 1)],
        gives={DISPUTE: "refund/1 10.00 + 2.00 gone out; refund/2 1.00 + 0.20"},
    ),
)
def test_too_much_went_out(row: Row) -> None:
    row.holds()


# --- in excess ----------------------------------------------------------------------------------------------------

HELD_LONG = {"approval.hold": "PT48H"}
OVER = payment("40.00", payment_id="over")
A_DAY_LATER = "2035-01-02T00:00:00Z"
ALMOST_A_DAY_LATER = "2035-01-01T23:59:59Z"


@rows(
    row(
        "X: what was paid and not charged",
        [APRIL, OVER],
        gives={"invoice-april": "36.00 charged, 40.00 paid, 4.00 in excess", "excess/invoice-april": "nothing"},
    ),
    row(
        "X: from balance too",
        [APRIL, payment("36.00"), payment("1.00", method="balance")],
        gives={"invoice-april": "36.00 charged, 36.00 + 1.00 paid, 1.00 in excess"},
    ),
    row(
        "not before the hold is over",
        [APRIL, OVER],
        gives={"invoice-april": "36.00 charged, 40.00 paid, 4.00 in excess", "excess/invoice-april": "nothing"},
        later=ALMOST_A_DAY_LATER,
    ),
    row(
        "once the hold is over it is a credit that belongs to no claim",
        [APRIL, OVER],
        gives={
            "invoice-april": "36.00 charged, 40.00 paid, 4.00 in excess, a credit of 4.00",
            "excess/invoice-april": "4.00",
        },
        later=A_DAY_LATER,
    ),
    row(
        "of the agreement of its first charge's subscription",
        [APRIL, OVER, charge(price="1.00", invoice_id="invoice-april").at("2026-04-01T00:00:00Z", id="z")],
        gives={"excess/invoice-april": "nothing"},
        terms=HELD_LONG,
        later=A_DAY_LATER,
    ),
    row(
        "and of no other charge's",
        [APRIL, OVER, charge(price="1.00", invoice_id="invoice-april").at("2026-03-31T00:00:00Z", id="z")],
        gives={"excess/invoice-april": "3.00"},
        terms=HELD_LONG,
        later=A_DAY_LATER,
    ),
    row(
        "PT24H without one",
        [charge(price="36.00"), payment("40.00", "invoice-headset")],
        gives={"excess/invoice-headset": "4.00"},
        terms=HELD_LONG,
        later=A_DAY_LATER,
    ),
    row(
        "an agreement may ask for no hold: a credit at once",
        [APRIL, OVER],
        gives={"invoice-april": "36.00 charged, 40.00 paid, 4.00 in excess, a credit of 4.00"},
        terms={"approval.hold": "PT0S"},
    ),
    row(
        "less what was set off",
        [APRIL, OVER, confirmed("10.00"), refund_succeeded(f"refund/{DISPUTE}/1"), early(confirmed("8.00"))],
        gives={
            "excess/invoice-april": "1.60",
            DISPUTE: "offset -2.00 + -0.40; refund/1 10.00 + 2.00 gone out",
        },
        later=A_DAY_LATER,
    ),
    row(
        "no part of it is a claim's, whatever goes back for that",
        [APRIL, OVER, confirmed("10.00")],
        gives={"excess/invoice-april": "4.00", DISPUTE: "refund/1 10.00 + 2.00"},
        later=A_DAY_LATER,
    ),
)
def test_in_excess(row: Row) -> None:
    row.holds()


@rows(
    row(
        "a currency that an earlier registration brings: the excess is a credit in that one",
        [APRIL, OVER, early(account())],
        gives={
            "invoice-april": "36.00 charged, 40.00 paid, 4.00 in excess, a credit of 4.00",
            "excess/invoice-april": "4.00",
        },
        begun=[account(currency="USD"), subscription()],
        terms={"approval.hold": "PT0S"},
    ),
    row(
        "a currency that an earlier registration brings: the credit is what is granted in that one",
        [complaint(), proposed("9.00", currency="USD"), approved(), charge(price="6.00", currency="USD")],
        [proposed("5.00"), early(account())],
        gives={
            "goodwill/credit": "credit 5.00; credit 6.00 gone out; overpaid -6.00",
            "credit/goodwill/credit/1": "5.00",
        },
        begun=[account(currency="USD"), subscription()],
    ),
)
def test_a_credit_of_a_currency_that_is_the_accounts_no_more_takes_no_other_ones_place(row: Row) -> None:
    row.holds()


def held(*said: Said | Sequence[Said]) -> Case:
    """April was paid with 4.00 too much, and the hold is over."""
    return Case().hear(account(), subscription(), APRIL, OVER, *said).pass_time(A_DAY_LATER)


def test_a_charge_or_a_payment_begins_the_hold_anew() -> None:
    case = Case().hear(account(), subscription(), APRIL, OVER).pass_time(ALMOST_A_DAY_LATER)
    case.hear(payment("1.00", payment_id="one-more")).pass_time(A_DAY_LATER)
    assert case.credits() == {}
    assert case.pass_time("2035-01-02T23:59:58Z").credits() == {}
    assert case.pass_time("2035-01-02T23:59:59Z").credits() == {"excess/invoice-april": "5.00"}


def test_a_failure_begins_the_hold_anew() -> None:
    case = Case().hear(account(), subscription(), APRIL, OVER, payment("1.00", payment_id="bounces"))
    case.pass_time(ALMOST_A_DAY_LATER).hear(payment_failed("bounces")).pass_time(A_DAY_LATER)
    assert case.credits() == {}
    assert case.pass_time("2035-01-02T23:59:59Z").credits() == {"excess/invoice-april": "4.00"}


def test_a_hold_that_is_over_is_told_beforehand() -> None:
    case = Case().hear(account(), subscription(), APRIL, OVER)
    assert case.billing.settlements.next_rested(case.at) == case.pass_time(A_DAY_LATER).at
    assert case.billing.settlements.next_rested(case.at) is None


def test_from_then_on_the_credit_follows_the_excess() -> None:
    """Without a hold of its own: more is paid, a payment bounces, all of it does."""
    case = held().hear(payment("2.00", payment_id="more"))
    assert case.credits() == {"excess/invoice-april": "6.00"}
    case.hear(payment_failed("more"), charge(price="3.00", invoice_id="invoice-april"))
    assert case.credits() == {"excess/invoice-april": "1.00"}
    assert case.hear(payment_failed("over")).credits() == {}
    assert case.invoice("invoice-april") == "39.00 charged, 39.00 asked for"
    assert case.hear(late(OVER)).credits() == {"excess/invoice-april": "1.00"}


def test_the_credit_for_an_excess_pays_for_the_next_charge() -> None:
    case = held().hear(charge(price="3.00"))
    assert case.invoice("invoice-headset") == "3.00 charged, 0.00 + 3.00 paid"
    april = "36.00 charged, 40.00 paid, 3.00 of the excess used, 1.00 in excess, a credit of 4.00"
    assert case.invoice("invoice-april") == april
    assert case.credits() == {"excess/invoice-april": "1.00"}


def test_where_more_of_it_was_used_than_the_excess_is_now_the_invoice_asks_for_it_again() -> None:
    case = held().hear(charge(price="3.00"), early(payment("30.00", payment_id="over")))
    assert case.credits() == {"excess/invoice-april": "1.00"}, "an earlier capture holds no more than a later one"
    case.hear(late(payment("38.50", payment_id="over")))
    april = "36.00 charged, 38.50 paid, 0.50 asked for, 3.00 of the excess used, a credit of 3.00"
    assert case.invoice("invoice-april") == april
    assert case.credits() == {}


def test_an_application_of_it_that_failed_gives_it_back() -> None:
    case = held().hear(charge(price="3.00"))
    [application] = case.billing.settlements.outgoings.applications
    case.hear(payment_failed(application, "invoice-headset"))
    assert case.credits() == {"excess/invoice-april": "4.00"}
    assert case.invoice("invoice-headset") == "3.00 charged, 3.00 asked for"


# --- how an open part goes back -----------------------------------------------------------------------------------


@rows(
    row(
        "as the confirmation asks: credit",
        [APRIL, PAID, confirmed("10.00", settle_as="credit")],
        gives={DISPUTE: "credit 10.00 + 2.00"},
    ),
    row(
        "as the confirmation asks: refund",
        [APRIL, PAID, confirmed("10.00", settle_as="refund")],
        gives={DISPUTE: "refund/1 10.00 + 2.00"},
        terms=CREDITED,
    ),
    row(
        "else as the agreement's settle_as: billing errors are refunded by default",
        [APRIL, PAID, confirmed("10.00")],
        gives={DISPUTE: "refund/1 10.00 + 2.00"},
    ),
    row(
        "else as the agreement's settle_as: billing errors may be credited",
        [APRIL, PAID, confirmed("10.00")],
        gives={DISPUTE: "credit 10.00 + 2.00"},
        terms=CREDITED,
    ),
    row(
        "for that clause: disruptions are credited by default",
        [APRIL, PAID, outage("2026-04-10", "2026-04-15")],
        gives={DISRUPTION: "credit 5.00 + 1.00"},
    ),
    row(
        "for that clause: disruptions may be refunded",
        [APRIL, PAID, outage("2026-04-10", "2026-04-15")],
        gives={DISRUPTION: "refund/1 5.00 + 1.00"},
        terms={"disruption.settle_as": "refund"},
    ),
    row(
        "for that clause: the unused part is refunded by default",
        [APRIL, PAID, HALF],
        gives={UNUSED: "refund/1 15.00 + 3.00"},
    ),
    row(
        "for that clause: the unused part may be credited",
        [APRIL, PAID, HALF],
        gives={UNUSED: "credit 15.00 + 3.00"},
        terms={"cancellation.settle_as": "credit"},
    ),
    row(
        "a charge without a subscription uses the defaults",
        [charge(price="15.00"), payment("15.00", "invoice-headset"), confirmed("5.00", charge_id="headset")],
        gives={DISPUTE: "refund/1 5.00"},
        terms=CREDITED,
    ),
    row(
        "of two verdicts of the same amount the earlier asks for credit, and holds",
        [APRIL, PAID, confirmed("10.00", settle_as="refund"), early(confirmed("10.00", settle_as="credit"))],
        gives={DISPUTE: "credit 10.00 + 2.00"},
    ),
    row(
        "an earlier registration is bound to other terms: what was to be refunded is credited",
        [APRIL, PAID, confirmed("10.00"), early(subscription(agreement="theirs"))],
        gives={DISPUTE: "credit 10.00 + 2.00"},
        agreements=[agreement(), agreement(CREDITED, name="theirs")],
    ),
    row(
        "terms that are known after the charge was paid and the overcharge confirmed",
        [APRIL, PAID, confirmed("10.00"), subscription()],
        gives={DISPUTE: "credit 10.00 + 2.00"},
        terms=CREDITED,
        begun=[account()],
    ),
    row(
        "what is declined is settled by nothing",
        [APRIL, PAID, confirmed("30.01")],
        gives={DISPUTE: "nothing"},
    ),
    row(
        "credits that exist survive a termination",
        [APRIL, PAID, outage("2026-04-10", "2026-04-15"), terminated("2026-04-16")],
        gives={DISRUPTION: "credit 5.00 + 1.00"},
    ),
)
def test_by_refund_or_by_credit(row: Row) -> None:
    row.holds()


TWENTY = charge("headset", "20.00", invoice_id="invoice-april")


def paid(card: str, balance: str) -> list[Said]:
    return [payment(card, payment_id="p"), payment(balance, payment_id="b", method="balance")]


@rows(
    row(
        "the way the money came: half from balance, half by card",
        [APRIL, paid("18.00", "18.00"), confirmed("10.00")],
        gives={
            "invoice-april": "36.00 charged, 18.00 + 18.00 paid",
            DISPUTE: "refund/1 5.00 + 1.00; credit 5.00 + 1.00",
        },
    ),
    row(
        "in proportion, half up: 0.10 × 1 ÷ 20 is 0.005",
        [TWENTY, paid("1.00", "19.00"), confirmed("0.10", charge_id="headset")],
        gives={DISPUTE: "refund/1 0.01; credit 0.09"},
    ),
    row(
        "and below the half down: 0.09 × 1 ÷ 20 is 0.0045",
        [TWENTY, paid("1.00", "19.00"), confirmed("0.09", charge_id="headset")],
        gives={DISPUTE: "credit 0.09"},
    ),
    row(
        "for the claim in all: of 20.00 what went out by credit is counted, and 5.00 are refunded",
        [
            TWENTY,
            paid("5.00", "15.00"),
            early(confirmed("8.00", charge_id="headset", settle_as="credit"), 2),
            charge("next", "8.00"),
            early(confirmed("20.00", charge_id="headset"), 1),
        ],
        gives={
            DISPUTE: "refund/1 5.00; credit 8.00 gone out; credit 7.00",
            "invoice-next": "8.00 charged, 0.00 + 8.00 paid",
        },
    ),
    row(
        "for the claim in all: what was refunded before counts, too much of it leaves credit only",
        [
            TWENTY,
            paid("10.00", "10.00"),
            early(rejected(charge_id="headset"), 2),
            refund_succeeded(f"refund/{DISPUTE}/1", "4.00"),
            early(confirmed("6.00", charge_id="headset"), 1),
        ],
        gives={DISPUTE: "refund/1 4.00 gone out; credit 2.00"},
    ),
    row(
        "for the claim in all: what was refunded before counts, too little of it is made up",
        [
            TWENTY,
            paid("10.00", "10.00"),
            early(rejected(charge_id="headset"), 2),
            refund_succeeded(f"refund/{DISPUTE}/1", "4.00"),
            early(confirmed("20.00", charge_id="headset"), 1),
        ],
        gives={DISPUTE: "refund/1 4.00 gone out; refund/2 6.00; credit 10.00"},
    ),
    row(
        "LM less the refunds of the refund-way claims before it, LB less their credits",
        [APRIL, paid("10.00", "26.00"), early(confirmed("15.00", "first")), confirmed("15.00", "second")],
        gives={
            "billing-error/first": "refund/1 4.17 + 0.83; credit 10.83 + 2.17",
            "billing-error/second": "refund/1 4.17 + 0.83; credit 10.83 + 2.17",
        },
    ),
    row(
        "a cent that one claim's rounding took is given to the next: 0.50 + 0.50 of 1.00 by card",
        [
            charge("headset", "2.01", invoice_id="invoice-april"),
            paid("1.00", "1.01"),
            early(confirmed("1.01", "first", "headset")),
            confirmed("1.00", "second", "headset"),
        ],
        gives={
            "billing-error/first": "refund/1 0.50; credit 0.51",
            "billing-error/second": "refund/1 0.50; credit 0.50",
        },
    ),
    row(
        "a claim that goes back by credit takes nothing of the money",
        [
            APRIL,
            paid("18.00", "18.00"),
            early(confirmed("15.00", "first", settle_as="credit")),
            confirmed("15.00", "second"),
        ],
        gives={
            "billing-error/first": "credit 15.00 + 3.00",
            "billing-error/second": "refund/1 7.50 + 1.50; credit 7.50 + 1.50",
        },
    ),
    row(
        "never above M less all that has gone out to this invoice's payments",
        [
            APRIL,
            paid("18.00", "18.00"),
            early(confirmed("10.00", "first", settle_as="credit")),
            refund_succeeded("refund/billing-error/first/1", "12.00"),
            confirmed("20.00", "second"),
        ],
        gives={
            "billing-error/first": "refund/1 10.00 + 2.00 gone out",
            "billing-error/second": "refund/1 5.00 + 1.00; credit 15.00 + 3.00",
        },
    ),
    row(
        "what was paid from balance goes back to the balance, on the day of the first payment",
        [cycle(price="31.00"), payment("31.00", method="balance"), cancelled("2026-04-01T06")],
        gives={"invoice-april": "31.00 charged, 0.00 + 31.00 paid", UNUSED: "credit 31.00"},
    ),
    row(
        "a payment that bounced is no way that money came",
        [
            APRIL,
            payment("18.00", payment_id="q"),
            payment("18.00", payment_id="b", method="balance"),
            confirmed("30.00"),
        ],
        [payment_failed("q")],
        gives={
            "invoice-april": "36.00 charged, 0.00 + 18.00 paid, 18.00 reduced",
            DISPUTE: "reduced 15.00 + 3.00; credit 15.00 + 3.00",
        },
    ),
    row(
        "a goodwill claim has no invoice: all of it is a credit",
        [APRIL, PAID, complaint(), proposed("10.00"), approved()],
        gives={"goodwill/credit": "credit 10.00", "invoice-april": "36.00 charged, 36.00 paid"},
    ),
    row(
        "of a goodwill credit what was used stays",
        [complaint(), proposed("10.00"), approved(), charge(price="6.00")],
        gives={
            "goodwill/credit": "credit 6.00 gone out; credit 4.00",
            "invoice-headset": "6.00 charged, 0.00 + 6.00 paid",
        },
    ),
    row(
        "a goodwill credit that falls away after it was used is overpaid",
        [complaint(), proposed("10.00"), approved(), charge(price="6.00"), early(account(currency="USD"))],
        gives={"goodwill/credit": "credit 6.00 gone out; overpaid -6.00", "invoice-headset": "nothing"},
    ),
    row(
        "an earlier verdict names another charge: the claim moves there, and its settlement with it",
        [APRIL, MAY, payment("31.00", "invoice-may"), confirmed("10.00"), early(confirmed("10.00", charge_id="may"))],
        gives={
            "invoice-april": "36.00 charged, 36.00 asked for",
            "invoice-may": "31.00 charged, 31.00 paid",
            DISPUTE: "refund/1 10.00",
        },
    ),
    row(
        "where a claim has moved to another invoice, what went out for it stays in its F",
        [
            APRIL,
            MAY,
            PAID,
            payment("31.00", "invoice-may"),
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1", "12.00"),
            early(confirmed("15.00", charge_id="may")),
        ],
        gives={
            "invoice-april": "36.00 charged, 36.00 paid",
            "invoice-may": "31.00 charged, 31.00 paid",
            DISPUTE: "refund/1 12.00 gone out; refund/2 3.00",
        },
    ),
    row(
        "a refund that we had not submitted counts with the invoice of its claim's charge",
        [APRIL, PAID, dispute(), refund_succeeded(f"refund/{DISPUTE}/1", "30.00"), confirmed("10.00", "second")],
        gives={
            DISPUTE: "offset -12.00; refund/1 30.00 gone out; overpaid -18.00",
            "billing-error/second": "offset 10.00 + 2.00",
        },
    ),
    row(
        "and where that is not known, with none: it is overpaid",
        [APRIL, OVER, dispute(charge_id="unheard-of"), refund_succeeded(f"refund/{DISPUTE}/1", "3.00")],
        gives={
            "invoice-april": "36.00 charged, 40.00 paid, 4.00 in excess",
            DISPUTE: "refund/1 3.00 gone out; overpaid -3.00",
        },
    ),
    row(
        "nor where nobody ever heard of the dispute",
        [APRIL, OVER, refund_succeeded(f"refund/{DISPUTE}/1", "3.00")],
        gives={DISPUTE: "refund/1 3.00 gone out; overpaid -3.00"},
    ),
    row(
        "until the charge becomes known: then it counts there",
        [refund_succeeded(f"refund/{DISRUPTION}/1", "3.00"), APRIL, OVER],
        gives={
            "invoice-april": "36.00 charged, 40.00 paid, 1.00 in excess",
            DISRUPTION: "offset -3.00; refund/1 3.00 gone out",
        },
    ),
)
def test_the_way_the_money_came(row: Row) -> None:
    row.holds()


# --- net and tax --------------------------------------------------------------------------------------------------


@rows(
    row(
        "the tax of a part: 2.00 × 0.01 ÷ 12.00 is nothing",
        [APRIL, payment("35.99"), confirmed("10.00")],
        gives={DISPUTE: "reduced 0.01; refund/1 9.99 + 2.00"},
    ),
    row(
        "half up: 2.00 × 0.03 ÷ 12.00 is 0.005",
        [APRIL, payment("35.97"), confirmed("10.00")],
        gives={DISPUTE: "reduced 0.02 + 0.01; refund/1 9.98 + 1.99"},
    ),
    row(
        "the first k of them together: three parts of a third of a cent of tax each",
        [
            cycle(tax="3.00"),
            payment("15.95", payment_id="p"),
            payment("15.95", payment_id="b", method="balance"),
            confirmed("3.00"),
        ],
        gives={DISPUTE: "reduced 1.00 + 0.10; refund/1 1.00 + 0.10; credit 1.00 + 0.10"},
    ),
    row(
        "what has gone out keeps net and tax that it went out with: a used credit those of its proportion",
        [APRIL, PAID, confirmed("10.00", settle_as="credit"), charge(price="0.03"), early(confirmed("5.00"))],
        gives={DISPUTE: "refund/1 4.98 + 0.99; credit 0.02 + 0.01 gone out"},
    ),
    row(
        "refunds reported without net and tax take the claim's: the smaller first",
        [
            APRIL,
            PAID,
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1", "0.03"),
            refund_succeeded(f"refund/{DISPUTE}/2", "0.01"),
        ],
        gives={DISPUTE: "refund/2 0.01 gone out; refund/1 0.02 + 0.01 gone out; refund/3 9.97 + 1.99"},
    ),
    row(
        "overpaid by absolute value: −0.03 of 12.00 with 2.00 tax",
        [
            APRIL,
            PAID,
            confirmed("10.00"),
            refund_succeeded(f"refund/{DISPUTE}/1"),
            early(confirmed("9.98")),
        ],
        gives={DISPUTE: "refund/1 10.00 + 2.00 gone out; overpaid -0.02"},
    ),
    row(
        "a cent of tax moves from one claim to another: their parts with it",
        [cycle(tax="0.05"), payment("30.05"), confirmed("10.00", "a"), early(confirmed("10.00", "b"))],
        gives={"billing-error/b": "refund/1 10.00 + 0.02", "billing-error/a": "refund/1 10.00 + 0.01"},
    ),
    row(
        "where only net and tax differ, a part correction of gross 0 takes it",
        [
            cycle(tax="0.05"),
            payment("30.05"),
            confirmed("10.00", "a"),
            refund_succeeded("refund/billing-error/a/1"),
            early(confirmed("9.99", "b"), 1),
            early(confirmed("10.01", "a"), 2),
        ],
        gives={
            "billing-error/b": "refund/1 9.99 + 0.02",
            "billing-error/a": "refund/1 10.00 + 0.02 gone out; correction 0.01 + -0.01",
        },
    ),
    row(
        "yen have no decimals",
        [cycle(price="3000", tax="300", currency="JPY"), payment("3295", currency="JPY")],
        [confirmed("100", currency="JPY")],
        gives={
            "invoice-april": "3300 charged, 3295 paid, 5 reduced",
            DISPUTE: "reduced 5; refund/1 95 + 10",
        },
        begun=[account(currency="JPY"), subscription()],
    ),
    row(
        "dinars have three",
        [cycle(price="3.000", tax="0.300", currency="KWD"), payment("3.295", currency="KWD")],
        [confirmed("0.100", currency="KWD")],
        gives={DISPUTE: "reduced 0.005; refund/1 0.095 + 0.010"},
        begun=[account(currency="KWD"), subscription()],
    ),
)
def test_net_and_tax(row: Row) -> None:
    row.holds()


# --- a refund's life ----------------------------------------------------------------------------------------------

FIRST, SECOND = f"refund/{DISPUTE}/1", f"refund/{DISPUTE}/2"


@rows(
    row(
        "a failed refund is owed again",
        [APRIL, PAID, confirmed("10.00"), refund_failed(FIRST)],
        gives={DISPUTE: "refund/1 10.00 + 2.00 failed"},
    ),
    row(
        "the latest time holds: one that bounced after it had arrived is owed again",
        [APRIL, PAID, confirmed("10.00"), late(refund_failed(FIRST), 2), late(refund_succeeded(FIRST, "12.00"), 1)],
        gives={DISPUTE: "refund/1 10.00 + 2.00 failed"},
    ),
    row(
        "the latest time holds: one that arrived after it had failed is not",
        [APRIL, PAID, confirmed("10.00"), late(refund_succeeded(FIRST, "12.00"), 2), late(refund_failed(FIRST), 1)],
        gives={DISPUTE: "refund/1 10.00 + 2.00 gone out"},
    ),
    row(
        "owed again with what is granted now",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST), refund_failed(FIRST), early(confirmed("8.00"))],
        gives={DISPUTE: "refund/1 8.00 + 1.60 failed"},
    ),
    row(
        "a refund that bounced is no refund any more where its claim fell",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST), refund_failed(FIRST), early(rejected())],
        gives={"invoice-april": "36.00 charged, 36.00 paid"},
    ),
    row(
        "a reported refund went out with the amount that the message names",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST, "7.00")],
        gives={DISPUTE: "refund/1 5.83 + 1.17 gone out; refund/2 4.17 + 0.83"},
    ),
    row(
        "or, where it names none, with what was last due under that id",
        [APRIL, PAID, confirmed("10.00"), early(confirmed("8.00"), 2), early(rejected(), 1), refund_succeeded(FIRST)],
        gives={DISPUTE: "refund/1 8.00 + 1.60 gone out; overpaid -8.00 + -1.60"},
    ),
    row(
        "reported before it was due: it went out with what was due first",
        [refund_succeeded(FIRST), APRIL, PAID, confirmed("10.00")],
        gives={DISPUTE: "refund/1 10.00 + 2.00 gone out"},
    ),
    row(
        "never due, and no amount named: nothing went out",
        [APRIL, PAID, rejected(), refund_succeeded(FIRST)],
        gives={"invoice-april": "36.00 charged, 36.00 paid"},
    ),
    row(
        "two reported before either was due: the second goes out when it is due",
        [APRIL, PAID, refund_succeeded(FIRST, "7.00"), refund_succeeded(SECOND), confirmed("10.00")],
        gives={DISPUTE: "refund/2 4.17 + 0.83 gone out; refund/1 5.83 + 1.17 gone out"},
    ),
    row(
        "of two reports the latest that names an amount says what went out",
        [APRIL, PAID, confirmed("10.00")],
        [late(refund_succeeded(FIRST, "9.00"), 2), late(refund_succeeded(FIRST, "7.00"), 1)],
        gives={DISPUTE: "refund/1 7.50 + 1.50 gone out; refund/2 2.50 + 0.50"},
    ),
    row(
        "more arrived than is owed: overpaid",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST, "15.00")],
        gives={DISPUTE: "refund/1 12.50 + 2.50 gone out; overpaid -2.50 + -0.50"},
    ),
    row(
        "an amount in another currency is left out",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST, "15.00", currency="USD")],
        gives={DISPUTE: "refund/1 10.00 + 2.00"},
    ),
    row(
        "an amount of 0.00 is nothing",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST, "0.00")],
        gives={DISPUTE: "refund/1 10.00 + 2.00"},
    ),
    row(
        "a report that names an amount says so whatever else is taken back: the registration, and then that",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST, "7.00")],
        [takes_back("registration").at(id="back"), takes_back("back").at("2026-06-01T00:00:00Z", id="and-again")],
        gives={DISPUTE: "refund/1 5.83 + 1.17 gone out; refund/2 4.17 + 0.83"},
        begun=[account().at(id="registration"), subscription()],
    ),
    row(
        "nobody is owed anything, and nothing has gone out, while the registration is taken back",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST, "7.00"), takes_back("registration")],
        gives={},
        begun=[account().at(id="registration"), subscription()],
    ),
    row(
        "ids may hold slashes: a report is of the claim that its id names",
        [charge("a/b", "36.00", invoice_id="in/voice"), payment("36.00", "in/voice")],
        [confirmed("9.00", "d/2026/1", "a/b", settle_as="credit"), confirmed("12.00", "d/2026", "a/b")],
        [refund_succeeded("refund/billing-error/d/2026/1", "7.00")],
        gives={
            "billing-error/d/2026/1": "credit 9.00",
            "billing-error/d/2026": "refund/1 7.00 gone out; refund/2 5.00",
        },
    ),
    row(
        "ids may hold slashes: a disruption's claim is of the whole charge id",
        [cycle("a/b", tax="6.00"), payment("36.00", "invoice-a/b"), outage("2026-04-10", "2026-04-15")],
        gives={"disruption/a/b": "credit 5.00 + 1.00"},
    ),
    row(
        "an increase goes on to the next: what went out is never joined",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded(FIRST), early(confirmed("12.00"))],
        gives={DISPUTE: "refund/1 10.00 + 2.00 gone out; refund/2 2.00 + 0.40"},
    ),
    row(
        "a report that speaks of no claim changes nothing",
        [APRIL, PAID, confirmed("10.00"), refund_succeeded("refund/1", "12.00")],
        gives={DISPUTE: "refund/1 10.00 + 2.00"},
    ),
)
def test_a_refunds_life(row: Row) -> None:
    row.holds()


def test_two_references_for_one_return_raise_an_alarm() -> None:
    case = Case().hear(account(), subscription(), APRIL, PAID, confirmed("10.00"))
    case.hear(refund_succeeded(FIRST).at(id="one"), refund_succeeded(FIRST, reference="psp-2").at(id="other"))
    assert case.alarms() == {("refund_references_differ", "one", "other", "no charge")}
    case.hear(refund_failed(FIRST).at(id="bounced"), refund_succeeded(FIRST, reference="psp-3").at(id="z-again"))
    assert case.alarms() == set(), "a refund that bounced is returned anew"


def test_what_goes_out_for_a_claim_step_by_step() -> None:
    """A disruption that grows and shrinks while refunds go out: each fact is settled by what has gone out then."""
    case = Case([agreement({"disruption.settle_as": "refund"})], now="2026-04-20T00:00:00Z")
    case.hear(account(), subscription(), APRIL, PAID, OUT, resolved("out", "2026-04-15"))
    assert word(case, DISRUPTION) == "refund/1 5.00 + 1.00"
    case.hear(refund_succeeded(f"refund/{DISRUPTION}/1"), resolved("out", "2026-04-12"))
    assert word(case, DISRUPTION) == "refund/1 5.00 + 1.00 gone out; overpaid -3.00 + -0.60"
    case.hear(resolved("out", "2026-04-17"))
    assert word(case, DISRUPTION) == "refund/1 5.00 + 1.00 gone out; refund/2 2.00 + 0.40"
    case.hear(resolved("out", "2026-04-18"))
    assert word(case, DISRUPTION) == "refund/1 5.00 + 1.00 gone out; refund/2 3.00 + 0.60"
    case.hear(refund_succeeded(f"refund/{DISRUPTION}/2"), resolved("out", "2026-04-19"))
    gone_out = "refund/1 5.00 + 1.00 gone out; refund/2 3.00 + 0.60 gone out"
    assert word(case, DISRUPTION) == f"{gone_out}; refund/3 1.00 + 0.20"
    case.hear(refund_failed(f"refund/{DISRUPTION}/1"))
    assert word(case, DISRUPTION) == "refund/2 3.00 + 0.60 gone out; refund/1 6.00 + 1.20 failed"
    case.hear(resolved("out", "2026-04-10"))
    assert word(case, DISRUPTION) == "refund/2 3.00 + 0.60 gone out; overpaid -3.00 + -0.60"
    assert DISRUPTION not in case.billing.claims, "the row is gone, what went out is remembered"


# --- a credit -----------------------------------------------------------------------------------------------------


@rows(
    row(
        "a credit pays for the account's next charges as far as their invoice asks for something",
        [APRIL, PAID, confirmed("10.00"), charge(price="5.00"), payment("1.00", "invoice-headset")],
        gives={
            DISPUTE: "credit 4.17 + 0.83 gone out; credit 5.83 + 1.17",
            "invoice-headset": "5.00 charged, 1.00 + 5.00 paid, 1.00 in excess",
        },
        terms=CREDITED,
    ),
    row(
        "as far as their invoice asks for something: what was paid already is not paid again",
        [APRIL, PAID, confirmed("10.00"), payment("1.00", "invoice-headset"), charge(price="5.00")],
        gives={
            DISPUTE: "credit 3.33 + 0.67 gone out; credit 6.67 + 1.33",
            "invoice-headset": "5.00 charged, 1.00 + 4.00 paid",
        },
        terms=CREDITED,
    ),
    row(
        "those that become known after it was granted, and no others",
        [charge(price="5.00"), APRIL, PAID, confirmed("10.00")],
        gives={DISPUTE: "credit 10.00 + 2.00", "invoice-headset": "5.00 charged, 5.00 asked for"},
        terms=CREDITED,
    ),
    row(
        "those that become known: one that waits for its subscription is known",
        [APRIL, PAID, confirmed("10.00"), charge(price="5.00", subscription_id="unheard-of")],
        gives={
            DISPUTE: "credit 4.17 + 0.83 gone out; credit 5.83 + 1.17",
            "invoice-headset": "5.00 charged, 0.00 + 5.00 paid",
        },
        terms=CREDITED,
    ),
    row(
        "oldest credit first",
        [APRIL, PAID, confirmed("5.00", "z"), confirmed("5.00", "a"), charge(price="8.00")],
        gives={
            "billing-error/z": "credit 5.00 + 1.00 gone out",
            "billing-error/a": "credit 1.67 + 0.33 gone out; credit 3.33 + 0.67",
            "invoice-headset": "8.00 charged, 0.00 + 8.00 paid",
        },
        terms=CREDITED,
    ),
    row(
        "a credit that grew is as old as it was",
        [
            APRIL,
            PAID,
            confirmed("5.00", "z"),
            confirmed("5.00", "a"),
            early(confirmed("7.50", "z")),
            charge(price="9.00"),
        ],
        gives={"billing-error/z": "credit 7.50 + 1.50 gone out", "billing-error/a": "credit 5.00 + 1.00"},
        terms=CREDITED,
    ),
    row(
        "a credit is used once, whatever comes next",
        [APRIL, PAID, confirmed("5.00"), charge("one", "4.00"), charge("two", "4.00"), charge("three", "4.00")],
        gives={
            DISPUTE: "credit 5.00 + 1.00 gone out",
            "invoice-two": "4.00 charged, 0.00 + 2.00 paid, 2.00 asked for",
            "invoice-three": "4.00 charged, 4.00 asked for",
        },
        terms=CREDITED,
    ),
    row(
        "what was used of it stays, and what is added is one credit with it",
        [APRIL, PAID, confirmed("5.00"), charge(price="6.00"), early(confirmed("10.00"))],
        gives={DISPUTE: "credit 5.00 + 1.00 gone out; credit 5.00 + 1.00", f"credit/{DISPUTE}/1": "6.00"},
        terms=CREDITED,
    ),
)
def test_a_credit(row: Row) -> None:
    row.holds()


def applied_to_a_headset() -> tuple[Case, str]:
    """A credit of 12.00, of which 6.00 paid for a headset; and the id of that application."""
    case = Case([agreement(CREDITED)]).hear(account(), subscription(), APRIL, PAID, confirmed("10.00"))
    case.hear(charge(price="6.00"))
    [application] = case.billing.settlements.outgoings.applications
    return case, application


HALF_USED = "credit 5.00 + 1.00 gone out; credit 5.00 + 1.00"


@pytest.mark.parametrize(
    ("said", "headset", "settled"),
    [
        pytest.param(
            [("6.00", "invoice-headset", "balance")],
            "6.00 charged, 0.00 + 6.00 paid",
            HALF_USED,
            id="it counts once",
        ),
        pytest.param(
            [("4.00", "invoice-headset", "balance")],
            "6.00 charged, 0.00 + 4.00 paid, 2.00 asked for",
            "credit 3.33 + 0.67 gone out; credit 6.67 + 1.33",
            id="with the message's amount",
        ),
        pytest.param(
            [("9.00", "invoice-headset", "balance")],
            "6.00 charged, 0.00 + 9.00 paid, 3.00 in excess",
            "credit 7.50 + 1.50 gone out; credit 2.50 + 0.50",
            id="with the message's amount, though it is more",
        ),
        pytest.param(
            [("0.00", "invoice-headset", "balance")],
            "6.00 charged, 6.00 asked for",
            "credit 10.00 + 2.00",
            id="an amount of 0.00 is nothing",
        ),
        pytest.param(
            [("6.00", "invoice-april", "balance")],
            "6.00 charged, 6.00 asked for",
            HALF_USED,
            id="on the invoice that the message names",
        ),
        pytest.param(
            [("6.00", "invoice-headset", "card")],
            "6.00 charged, 6.00 + 6.00 paid, 6.00 in excess",
            HALF_USED,
            id="a payment by card is another, whatever its id",
        ),
        pytest.param(
            [None],
            "6.00 charged, 6.00 asked for",
            "credit 10.00 + 2.00",
            id="one that failed gives the credit back",
        ),
        pytest.param(
            [("6.00", "invoice-headset", "balance"), None],
            "6.00 charged, 6.00 asked for",
            "credit 10.00 + 2.00",
            id="though it was confirmed before",
        ),
        pytest.param(
            [None, ("6.00", "invoice-headset", "balance")],
            "6.00 charged, 0.00 + 6.00 paid",
            HALF_USED,
            id="unless it is confirmed after it failed",
        ),
    ],
)
def test_a_payment_from_balance_that_names_an_application_is_that_application(
    said: list[tuple[str, str, str] | None], headset: str, settled: str
) -> None:
    case, application = applied_to_a_headset()
    for one in said:
        if one is None:
            case.hear(payment_failed(application, "invoice-headset"))
        else:
            amount, invoice_id, method = one
            case.hear(payment(amount, invoice_id, payment_id=application, method=method))
    assert case.invoice("invoice-headset") == headset
    assert word(case, DISPUTE) == settled
    assert list(case.billing.settlements.differences(EVERYTHING, (), case.at)) == []


def test_any_other_payment_from_balance_is_one_of_its_own() -> None:
    case, _ = applied_to_a_headset()
    case.hear(payment("6.00", "invoice-headset", payment_id="theirs", method="balance"))
    assert case.invoice("invoice-headset") == "6.00 charged, 0.00 + 12.00 paid, 6.00 in excess"
    assert word(case, DISPUTE) == HALF_USED


def test_a_failure_of_an_application_counts_though_it_names_another_invoice() -> None:
    case, application = applied_to_a_headset()
    case.hear(payment_failed(application, "invoice-april"))
    assert case.invoice("invoice-headset") == "6.00 charged, 6.00 asked for"
    assert word(case, DISPUTE) == "credit 10.00 + 2.00"


def test_a_credit_that_was_given_back_pays_for_the_next_charge_and_not_for_the_same_again() -> None:
    case, application = applied_to_a_headset()
    case.hear(payment_failed(application, "invoice-headset"), charge("phone", "9.00"))
    assert case.invoice("invoice-headset") == "6.00 charged, 6.00 asked for"
    assert case.invoice("invoice-phone") == "9.00 charged, 0.00 + 9.00 paid"
    assert word(case, DISPUTE) == "credit 7.50 + 1.50 gone out; credit 2.50 + 0.50"


def test_a_part_whose_tax_is_below_nothing_is_divided_like_any_other() -> None:
    """A credit went out with a third of tax; then an earlier charge turns out to have had none."""
    case = Case().hear(account(), charge("old", "10.00", tax="5.00"), payment("15.00", "invoice-old"))
    case.hear(confirmed("6.00", charge_id="old", settle_as="credit"), charge(price="8.00"))
    assert word(case, DISPUTE) == "credit 5.33 + 2.67 gone out; credit 0.67 + 0.33"
    case.hear(early(charge("old", "10.00"), 1), early(confirmed("9.00", charge_id="old", settle_as="credit"), 2))
    assert word(case, DISPUTE) == "credit 5.33 + 2.67 gone out; credit 3.67 + -2.67"
    case.hear(charge("phone", "5.00"))
    assert word(case, DISPUTE) == "credit 9.00 gone out"
    [*_, application] = case.billing.settlements.outgoings.applications
    case.hear(payment("0.50", "invoice-phone", payment_id=application, method="balance"))
    assert word(case, DISPUTE) == "credit 7.17 + 1.33 gone out; credit 1.83 + -1.33"


def test_a_refund_that_went_out_and_a_credit_that_was_used_are_both_what_went_out() -> None:
    """Half came by card and half from balance; each half went back its way, then the claim falls."""
    case = Case().hear(account(), subscription(), APRIL, paid("18.00", "18.00"), confirmed("10.00"))
    case.hear(refund_succeeded(FIRST), charge(price="6.00"))
    assert word(case, DISPUTE) == "refund/1 5.00 + 1.00 gone out; credit 5.00 + 1.00 gone out"
    case.hear(early(confirmed("2.50")))
    gone_out = "refund/1 5.00 + 1.00 gone out; credit 5.00 + 1.00 gone out"
    assert word(case, DISPUTE) == f"{gone_out}; overpaid -7.50 + -1.50"


# --- an invoice and its claims, without a life around them --------------------------------------------------------


def invoice(
    charged: str = "36.00", paid: str = "36.00", balance: str = "0.00", used: str = "0.00", refunded: str = "0.00"
) -> InvoiceToSettle:
    amounts = (Decimal(each) for each in (charged, paid, balance, used, refunded))
    return InvoiceToSettle("inv", "EUR", *amounts)


def owing(
    claim_id: str, granted: str, *out: GoneOut, way: str = "refund", failed: Iterable[str] = ()
) -> ClaimToSettle:
    """A claim of "10.00 + 2.00", of which something has gone out."""
    net, _, tax = granted.partition(" + ")
    return ClaimToSettle(claim_id, Decimal(net), Decimal(tax or "0.00"), way, out, frozenset(failed))  # type: ignore[arg-type]


def returned(id_: str, gross: str, *, here: bool = True) -> GoneOut:
    """A refund that went out: "10.00 + 2.00", or "12.00" of which nobody knows net and tax."""
    net, _, tax = gross.partition(" + ")
    if not tax:
        return GoneOut("refund", id_, Decimal(net), None, None, here)
    return GoneOut("refund", id_, Decimal(net) + Decimal(tax), Decimal(net), Decimal(tax), here)


def used(id_: str, gross: str) -> GoneOut:
    """Of a credit what was used."""
    net, _, tax = gross.partition(" + ")
    of_tax = Decimal(tax or "0.00")
    return GoneOut("credit", id_, Decimal(net) + of_tax, Decimal(net), of_tax)


def told(settlement: Settlement) -> list[str]:
    """The invoice and its claims' parts, as an accountant would write them down."""
    stands = f"reduced {settlement.reduced}, asks for {settlement.asks_for}, in excess {settlement.excess}"
    return [stands, *(f"{id_}: {part}" for id_, parts in settlement.parts.items() for part in map(_part, parts))]


def _part(part: SettledPart) -> str:
    status = "" if part.status == "open" else f" {part.status}"
    return f"{part.into} {part.id} {part.net} + {part.tax}{status}"


@pytest.mark.parametrize(
    ("of", "claims", "gives"),
    [
        pytest.param(
            invoice(),
            [],
            ["reduced 0.00, asks for 0.00, in excess 0.00"],
            id="an invoice without claims",
        ),
        pytest.param(
            invoice(paid="30.00"),
            [owing("c", "10.00 + 2.00")],
            [
                "reduced 6.00, asks for 0.00, in excess 0.00",
                "c: invoice_reduction inv 5.00 + 1.00",
                "c: refund refund/c/1 5.00 + 1.00",
            ],
            id="every part has an id, and net and tax",
        ),
        pytest.param(
            invoice(paid="10.00", balance="10.00", used="4.00"),
            [],
            ["reduced 0.00, asks for 20.00, in excess 0.00"],
            id="P is M + B − E",
        ),
        pytest.param(
            invoice(paid="10.00", balance="10.00", used="4.00"),
            [owing("c", "19.00", way="credit")],
            ["reduced 19.00, asks for 1.00, in excess 0.00", "c: invoice_reduction inv 19.00 + 0.00"],
            id="what is granted comes off it",
        ),
        pytest.param(
            invoice(paid="40.00", balance="4.00", used="3.00"),
            [],
            ["reduced 0.00, asks for 0.00, in excess 5.00"],
            id="X is P − C: what was used of the excess is not in excess again",
        ),
        pytest.param(
            invoice(paid="0.00", used="4.00"),
            [],
            ["reduced 0.00, asks for 40.00, in excess 0.00"],
            id="money that bounced after the excess was used is asked for again",
        ),
        pytest.param(
            invoice(paid="30.00"),
            [owing("a", "0.00", returned("refund/a/1", "5.00")), owing("b", "12.00")],
            [
                "reduced 6.00, asks for 0.00, in excess 0.00",
                "a: offset offset/a -5.00 + 0.00",
                "a: refund refund/a/1 5.00 + 0.00 gone_out",
                "b: invoice_reduction inv 6.00 + 0.00",
                "b: offset offset/b 5.00 + 0.00",
                "b: refund refund/b/1 1.00 + 0.00",
            ],
            id="a claim of which too much went out is passed over by the reduction",
        ),
        pytest.param(
            invoice(paid="30.00"),
            [owing("a", "0.00", returned("refund/a/1", "9.00")), owing("b", "12.00")],
            [
                "reduced 3.00, asks for 3.00, in excess 0.00",
                "a: offset offset/a -9.00 + 0.00",
                "a: refund refund/a/1 9.00 + 0.00 gone_out",
                "b: invoice_reduction inv 3.00 + 0.00",
                "b: offset offset/b 9.00 + 0.00",
            ],
            id="no more is reduced than ΣG − ΣF, where one alone has more to come",
        ),
        pytest.param(
            invoice(),
            [
                owing("a", "0.00", returned("refund/a/1", "3.00")),
                owing("b", "2.00"),
                owing("c", "0.00", returned("refund/c/1", "1.00")),
                owing("d", "4.00"),
            ],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: offset offset/a -3.00 + 0.00",
                "a: refund refund/a/1 3.00 + 0.00 gone_out",
                "b: offset offset/b 2.00 + 0.00",
                "c: offset offset/c -1.00 + 0.00",
                "c: refund refund/c/1 1.00 + 0.00 gone_out",
                "d: offset offset/d 2.00 + 0.00",
                "d: refund refund/d/1 2.00 + 0.00",
            ],
            id="set off in order on both sides",
        ),
        pytest.param(
            invoice(paid="40.00"),
            [
                owing("a", "0.00", returned("refund/a/1", "3.00")),
                owing("b", "0.00", returned("refund/b/1", "3.00")),
            ],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: offset offset/a -3.00 + 0.00",
                "a: refund refund/a/1 3.00 + 0.00 gone_out",
                "b: offset offset/b -1.00 + 0.00",
                "b: refund refund/b/1 3.00 + 0.00 gone_out",
                "b: overpaid overpaid/b -2.00 + 0.00",
            ],
            id="against the excess, in order",
        ),
        pytest.param(
            invoice(paid="0.00", balance="36.00"),
            [owing("c", "12.00")],
            ["reduced 0.00, asks for 0.00, in excess 0.00", "c: credit credit/c/1 12.00 + 0.00"],
            id="nothing came by card: all of it is a credit",
        ),
        pytest.param(
            invoice(charged="0.00", paid="0.00"),
            [owing("c", "12.00")],
            ["reduced 0.00, asks for 0.00, in excess 0.00", "c: credit credit/c/1 12.00 + 0.00"],
            id="where LM + LB is 0 the refund share is 0",
        ),
        pytest.param(
            invoice(paid="12.00", balance="24.00"),
            [owing("a", "36.00"), owing("b", "6.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: refund refund/a/1 12.00 + 0.00",
                "a: credit credit/a/1 24.00 + 0.00",
                "b: credit credit/b/1 6.00 + 0.00",
            ],
            id="where LM + LB is 0 after the claims before it",
        ),
        pytest.param(
            invoice(charged="10.00", paid="3.00", balance="7.00"),
            [owing("c", "20.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: refund refund/c/1 3.00 + 0.00",
                "c: credit credit/c/1 17.00 + 0.00",
            ],
            id="the refund share is never above LM",
        ),
        pytest.param(
            invoice(paid="18.00", balance="18.00", refunded="15.00"),
            [owing("a", "0.00", returned("refund/a/1", "15.00")), owing("b", "30.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: offset offset/a -15.00 + 0.00",
                "a: refund refund/a/1 15.00 + 0.00 gone_out",
                "b: offset offset/b 15.00 + 0.00",
                "b: refund refund/b/1 2.14 + 0.00",
                "b: credit credit/b/1 12.86 + 0.00",
            ],
            id="LM is M less what went out for the claims before it: 15 × 3 ÷ 21",
        ),
        pytest.param(
            invoice(paid="10.00", balance="26.00"),
            [owing("a", "18.00"), owing("b", "2.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: refund refund/a/1 5.00 + 0.00",
                "a: credit credit/a/1 13.00 + 0.00",
                "b: refund refund/b/1 0.56 + 0.00",
                "b: credit credit/b/1 1.44 + 0.00",
            ],
            id="LM is less what is open of the claims before it too: 2 × 5 ÷ 18",
        ),
        pytest.param(
            invoice(paid="18.00", balance="18.00"),
            [owing("a", "12.00", used("credit/a/1", "10.00 + 2.00")), owing("b", "12.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: credit credit/a/1 10.00 + 2.00 gone_out",
                "a: correction correction/a 2.00 + -2.00",
                "b: refund refund/b/1 9.00 + 0.00",
                "b: credit credit/b/1 3.00 + 0.00",
            ],
            id="LB is B less what was used of the credits before it: 12 × 18 ÷ 24",
        ),
        pytest.param(
            invoice(paid="6.00", balance="12.00", charged="18.00"),
            [
                owing("a", "30.00", used("credit/a/1", "15.00 + 0.00"), returned("refund/a/1", "9.00")),
                owing("b", "3.00"),
            ],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: refund refund/a/1 9.00 + 0.00 gone_out",
                "a: credit credit/a/1 15.00 + 0.00 gone_out",
                "a: credit credit/a/1 6.00 + 0.00",
                "b: credit credit/b/1 3.00 + 0.00",
            ],
            id="neither LM nor LB is below 0",
        ),
        pytest.param(
            invoice(paid="10.00", balance="20.00", charged="30.00"),
            [owing("a", "12.00", returned("refund/a/1", "12.00")), owing("b", "12.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: refund refund/a/1 12.00 + 0.00 gone_out",
                "b: credit credit/b/1 12.00 + 0.00",
            ],
            id="LM below 0 counts as 0, and takes nothing of LB",
        ),
        pytest.param(
            invoice(paid="18.00", balance="18.00", refunded="12.00"),
            [owing("a", "24.00", returned("refund/a/1", "12.00"), way="credit"), owing("b", "24.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: refund refund/a/1 12.00 + 0.00 gone_out",
                "a: credit credit/a/1 12.00 + 0.00",
                "b: refund refund/b/1 6.00 + 0.00",
                "b: credit credit/b/1 18.00 + 0.00",
            ],
            id="never above M less all that has gone out to this invoice's payments",
        ),
        pytest.param(
            invoice(paid="18.00", balance="18.00", refunded="12.00"),
            [owing("a", "8.00"), owing("b", "12.00", way="credit"), owing("c", "10.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: refund refund/a/1 4.00 + 0.00",
                "a: credit credit/a/1 4.00 + 0.00",
                "b: credit credit/b/1 12.00 + 0.00",
                "c: refund refund/c/1 2.00 + 0.00",
                "c: credit credit/c/1 8.00 + 0.00",
            ],
            id="and the open refunds given before it, whichever claims they went out for",
        ),
        pytest.param(
            invoice(paid="6.00", balance="6.00", charged="12.00", refunded="9.00"),
            [owing("c", "4.00")],
            ["reduced 0.00, asks for 0.00, in excess 0.00", "c: credit credit/c/1 4.00 + 0.00"],
            id="never below 0, where more was returned than came",
        ),
        pytest.param(
            invoice(paid="18.00", balance="18.00"),
            [owing("c", "20.00", returned("refund/c/1", "8.00", here=False))],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: refund refund/c/1 8.00 + 0.00 gone_out",
                "c: refund refund/c/2 6.00 + 0.00",
                "c: credit credit/c/1 6.00 + 0.00",
            ],
            id="a refund to another invoice's payments is in F, not in w nor in its refunds gone out: 12 × 18 ÷ 36",
        ),
        pytest.param(
            invoice(paid="18.00", balance="18.00"),
            [owing("a", "8.00", returned("refund/a/1", "8.00", here=False)), owing("b", "12.00")],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: refund refund/a/1 8.00 + 0.00 gone_out",
                "b: refund refund/b/1 6.00 + 0.00",
                "b: credit credit/b/1 6.00 + 0.00",
            ],
            id="nor in the LM of the claims after it",
        ),
        pytest.param(
            invoice(),
            [owing("c", "12.00", failed=["refund/c/1"])],
            ["reduced 0.00, asks for 0.00, in excess 0.00", "c: refund refund/c/1 12.00 + 0.00 failed"],
            id="a refund that failed is open again",
        ),
        pytest.param(
            invoice(),
            [owing("c", "12.00", returned("refund/c/1", "5.00"), failed=["refund/c/3"])],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: refund refund/c/1 5.00 + 0.00 gone_out",
                "c: refund refund/c/2 7.00 + 0.00",
            ],
            id="the first by number that has not gone out",
        ),
        pytest.param(
            invoice(),
            [owing("c", "12.00", returned("refund/c/2", "5.00"), used("credit/c/1", "1.00"), failed=["refund/c/1"])],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: refund refund/c/2 5.00 + 0.00 gone_out",
                "c: refund refund/c/1 6.00 + 0.00 failed",
                "c: credit credit/c/1 1.00 + 0.00 gone_out",
            ],
            id="also where the second arrived before it",
        ),
        pytest.param(
            invoice(paid="30.00"),
            [
                owing(
                    "c",
                    "24.00 + 4.80",
                    returned("refund/c/1", "0.05"),
                    returned("refund/c/2", "0.02"),
                    returned("refund/c/3", "1.00 + 0.19"),
                    used("credit/c/1", "2.00 + 0.41"),
                )
            ],
            [
                "reduced 6.00, asks for 0.00, in excess 0.00",
                "c: invoice_reduction inv 5.00 + 1.00",
                "c: refund refund/c/3 1.00 + 0.19 gone_out",
                "c: refund refund/c/2 0.02 + 0.00 gone_out",
                "c: refund refund/c/1 0.04 + 0.01 gone_out",
                "c: refund refund/c/4 15.94 + 3.19",
                "c: credit credit/c/1 2.00 + 0.41 gone_out",
            ],
            id="tax in the order reduction, offset, refunds without net and tax (the smaller first), refund, credit",
        ),
        pytest.param(
            invoice(paid="36.00"),
            [
                owing("a", "0.00", returned("refund/a/1", "3.00")),
                owing("b", "10.00 + 2.00"),
            ],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "a: offset offset/a -3.00 + 0.00",
                "a: refund refund/a/1 3.00 + 0.00 gone_out",
                "b: offset offset/b 2.50 + 0.50",
                "b: refund refund/b/1 7.50 + 1.50",
            ],
            id="offsets cancel in gross, whatever each claim's tax is",
        ),
        pytest.param(
            invoice(),
            [owing("c", "9.97 + 2.00", returned("refund/c/1", "10.00 + 2.00"))],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: refund refund/c/1 10.00 + 2.00 gone_out",
                "c: overpaid overpaid/c -0.03 + 0.00",
            ],
            id="overpaid in net alone",
        ),
        pytest.param(
            invoice(paid="40.00"),
            [owing("c", "2.00 + 0.41", returned("refund/c/1", "10.00 + 2.00"), used("credit/c/1", "0.50"))],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: offset offset/c -3.37 + -0.63",
                "c: refund refund/c/1 10.00 + 2.00 gone_out",
                "c: credit credit/c/1 0.50 + 0.00 gone_out",
                "c: overpaid overpaid/c -5.13 + -0.96",
            ],
            id="tax by absolute value: −4.00 × −1.59 ÷ −10.09 is −0.63",
        ),
        pytest.param(
            invoice(paid="36.10"),
            [owing("c", "0.00", returned("refund/c/1", "0.18 + 0.02"))],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: offset offset/c -0.09 + -0.01",
                "c: refund refund/c/1 0.18 + 0.02 gone_out",
                "c: overpaid overpaid/c -0.09 + -0.01",
            ],
            id="half of what went out is set off against the excess",
        ),
        pytest.param(
            invoice(paid="36.05"),
            [owing("c", "0.00", returned("refund/c/1", "0.09 + 0.01"))],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: offset offset/c -0.04 + -0.01",
                "c: refund refund/c/1 0.09 + 0.01 gone_out",
                "c: overpaid overpaid/c -0.05 + 0.00",
            ],
            id="half up by absolute value: −0.005 is −0.01",
        ),
        pytest.param(
            invoice(),
            [owing("c", "10.01 + 1.99", returned("refund/c/1", "10.00 + 2.00"))],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: refund refund/c/1 10.00 + 2.00 gone_out",
                "c: correction correction/c 0.01 + -0.01",
            ],
            id="where only net and tax differ, a correction of gross 0 takes it",
        ),
        pytest.param(
            invoice(),
            [owing("c", "9.99 + 2.01", returned("refund/c/1", "10.00 + 2.00"))],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: refund refund/c/1 10.00 + 2.00 gone_out",
                "c: correction correction/c -0.01 + 0.01",
            ],
            id="either way",
        ),
        pytest.param(
            invoice(),
            [owing("c", "1.00 + 0.50", returned("refund/c/1", "1.00 + 0.20"), returned("refund/c/2", "0.30"))],
            [
                "reduced 0.00, asks for 0.00, in excess 0.00",
                "c: refund refund/c/1 1.00 + 0.20 gone_out",
                "c: refund refund/c/2 0.00 + 0.30 gone_out",
            ],
            id="what remains may be tax alone: a refund without net and tax takes it, and nothing is corrected",
        ),
    ],
)
def test_an_invoice_by_itself(of: InvoiceToSettle, claims: list[ClaimToSettle], gives: list[str]) -> None:
    assert told(settle(of, claims)) == gives


@pytest.mark.parametrize(
    ("claim", "gives"),
    [
        pytest.param(owing("c", "10.00"), ["credit credit/c/1 10.00 + 0.00"], id="all of it is a credit"),
        pytest.param(
            owing("c", "10.00", used("credit/c/1", "6.00")),
            ["credit credit/c/1 6.00 + 0.00 gone_out", "credit credit/c/1 4.00 + 0.00"],
            id="of which some was used",
        ),
        pytest.param(
            owing("c", "0.00", returned("refund/c/1", "6.00 + 1.00")),
            ["refund refund/c/1 6.00 + 1.00 gone_out", "overpaid overpaid/c -6.00 + -1.00"],
            id="what went out too much is overpaid",
        ),
    ],
)
def test_a_claim_on_no_invoice(claim: ClaimToSettle, gives: list[str]) -> None:
    assert [_part(part) for part in settle_without_invoice(claim, "EUR")] == gives


@pytest.mark.parametrize(
    ("gross", "claim", "currency", "gives"),
    [
        pytest.param("6.00", ("12.00", "2.00"), "EUR", ("5.00", "1.00"), id="half of it"),
        pytest.param("0.03", ("12.00", "2.00"), "EUR", ("0.02", "0.01"), id="half up"),
        pytest.param("0.02", ("12.00", "2.00"), "EUR", ("0.02", "0.00"), id="below the half down"),
        pytest.param("5", ("110", "10"), "JPY", ("5", "0"), id="in yen"),
        pytest.param("0.50", ("1.00", "-2.67"), "EUR", ("1.84", "-1.34"), id="half up by absolute value"),
        pytest.param("5.00", ("0.00", "0.00"), "EUR", ("5.00", "0.00"), id="of no claim: no tax"),
    ],
)
def test_a_part_that_goes_out_takes_net_and_tax_in_its_claims_proportion(
    gross: str, claim: tuple[str, str], currency: str, gives: tuple[str, str]
) -> None:
    found = proportion(Decimal(gross), Decimal(claim[0]), Decimal(claim[1]), currency)
    assert tuple(map(str, found)) == gives
