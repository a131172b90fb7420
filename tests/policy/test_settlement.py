"""§7 Settling a claim, as far as it is built: invoice reductions, refunds, credits, and what is overpaid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import SettledPart
from ledger.policy.settlement import Owing, applied, balance, settle
from tests.policy.case import (
    Case,
    Said,
    Terms,
    account,
    agreement,
    cancelled,
    charge,
    confirmed,
    cycle,
    outage,
    payment,
    refund_succeeded,
    rejected,
    reported,
    resolved,
    subscription,
    terminated,
)

APRIL = cycle(tax="6.00")
"""30.00 and 6.00 tax: 36.00 in all, and a fifth of tax on whatever comes back."""
PAID = payment("36.00")
OVERCHARGED = "billing-error/dispute"
REFUND = "refund refund/billing-error/dispute"
REDUCED = "invoice_reduction invoice-april"


def said(*facts: Said | Sequence[Said], terms: Terms | None = None) -> Case:
    return Case([agreement(terms)]).hear(account(), subscription(), *facts)


@pytest.mark.parametrize(
    ("facts", "terms", "claim_id", "settled"),
    [
        pytest.param(
            [APRIL, PAID, confirmed("10.00", settle_as="credit")],
            {},
            OVERCHARGED,
            ["credit credit/billing-error/dispute/1 10.00 + 2.00"],
            id="what a confirmation asks for: credit",
        ),
        pytest.param(
            [APRIL, PAID, confirmed("10.00", settle_as="refund")],
            {"billing_error.settle_as": "credit"},
            OVERCHARGED,
            [f"{REFUND}/1 10.00 + 2.00"],
            id="what a confirmation asks for: refund",
        ),
        pytest.param(
            [APRIL, PAID, confirmed("10.00")],
            {},
            OVERCHARGED,
            [f"{REFUND}/1 10.00 + 2.00"],
            id="else the agreement's settle_as for that clause: billing errors are refunded by default",
        ),
        pytest.param(
            [APRIL, PAID, confirmed("10.00")],
            {"billing_error.settle_as": "credit"},
            OVERCHARGED,
            ["credit credit/billing-error/dispute/1 10.00 + 2.00"],
            id="billing errors may be credited",
        ),
        pytest.param(
            [APRIL, PAID, outage("2026-04-10", "2026-04-15")],
            {},
            "disruption/april",
            ["credit credit/disruption/april/1 5.00 + 1.00"],
            id="disruptions are credited by default",
        ),
        pytest.param(
            [APRIL, PAID, outage("2026-04-10", "2026-04-15")],
            {"disruption.settle_as": "refund"},
            "disruption/april",
            ["refund refund/disruption/april/1 5.00 + 1.00"],
            id="disruptions may be refunded",
        ),
        pytest.param(
            [APRIL, PAID, cancelled("2026-04-16")],
            {},
            "unused/april",
            ["refund refund/unused/april/1 15.00 + 3.00"],
            id="the unused part is refunded by default",
        ),
        pytest.param(
            [APRIL, PAID, cancelled("2026-04-16")],
            {"cancellation.settle_as": "credit"},
            "unused/april",
            ["credit credit/unused/april/1 15.00 + 3.00"],
            id="the unused part may be credited",
        ),
        pytest.param(
            [charge(price="15.00"), payment("15.00", "invoice-headset"), confirmed("5.00", charge_id="headset")],
            {"billing_error.settle_as": "credit"},
            OVERCHARGED,
            [f"{REFUND}/1 5.00"],
            id="a charge without a subscription uses the defaults",
        ),
        pytest.param(
            [APRIL, PAID, confirmed("30.01")],
            {},
            OVERCHARGED,
            [],
            id="what is declined is settled by nothing",
        ),
    ],
)
def test_a_claim_is_settled_as_asked_or_as_agreed(
    facts: list, terms: Terms, claim_id: str, settled: list[str]
) -> None:
    assert said(*facts, terms=terms).settled(claim_id) == settled


@pytest.mark.parametrize(
    ("facts", "settled"),
    [
        pytest.param(
            [APRIL, confirmed("10.00")],
            [f"{REDUCED} 10.00 + 2.00"],
            id="a grant (net and its tax) first reduces what is owed",
        ),
        pytest.param(
            [APRIL, payment("30.00"), confirmed("10.00")],
            [f"{REDUCED} 5.00 + 1.00", f"{REFUND}/1 5.00 + 1.00"],
            id="only the rest is paid out",
        ),
        pytest.param(
            [APRIL, payment("35.99"), confirmed("10.00")],
            [f"{REDUCED} 0.01", f"{REFUND}/1 9.99 + 2.00"],
            id="to the cent, the tax of a part rounded: 2.00 × 0.01 ÷ 12.00",
        ),
        pytest.param(
            [APRIL, payment("35.97"), confirmed("10.00")],
            [f"{REDUCED} 0.02 + 0.01", f"{REFUND}/1 9.98 + 1.99"],
            id="half up: 2.00 × 0.03 ÷ 12.00 = 0.005",
        ),
        pytest.param(
            [APRIL, PAID, confirmed("10.00")],
            [f"{REFUND}/1 10.00 + 2.00"],
            id="less captured payments: nothing is owed",
        ),
        pytest.param(
            [APRIL, payment("24.00"), confirmed("10.00")],
            [f"{REDUCED} 10.00 + 2.00"],
            id="exactly as much is owed as is granted",
        ),
        pytest.param(
            [APRIL, payment("20.00"), payment("16.00"), confirmed("10.00")],
            [f"{REFUND}/1 10.00 + 2.00"],
            id="all captured payments",
        ),
        pytest.param(
            [APRIL, payment("36.00", "invoice-other"), confirmed("10.00")],
            [f"{REDUCED} 10.00 + 2.00"],
            id="payments for another invoice do not count",
        ),
        pytest.param(
            [APRIL, payment("36.00", payment_id="p"), payment("36.00", payment_id="p"), confirmed("10.00")],
            [f"{REFUND}/1 10.00 + 2.00"],
            id="a payment that is told twice was made once",
        ),
        pytest.param(
            [APRIL, payment("50.00"), confirmed("10.00")],
            [f"{REFUND}/1 10.00 + 2.00"],
            id="never below 0: what was captured in excess is not reduced",
        ),
        pytest.param(
            [APRIL, charge(price="6.00", invoice_id="invoice-april"), PAID, confirmed("10.00")],
            [f"{REDUCED} 5.00 + 1.00", f"{REFUND}/1 5.00 + 1.00"],
            id="the sum of price and tax of all its charges",
        ),
        pytest.param(
            [APRIL, confirmed("25.00", "earlier"), confirmed("5.00")],
            [f"{REDUCED} 5.00 + 1.00"],
            id="less earlier reductions: 36.00 − 30.00 are still owed",
        ),
        pytest.param(
            [APRIL, payment("3.00"), confirmed("25.00", "earlier"), confirmed("5.00")],
            [f"{REDUCED} 2.50 + 0.50", f"{REFUND}/1 2.50 + 0.50"],
            id="less earlier reductions: 33.00 − 30.00 are still owed",
        ),
        pytest.param(
            [APRIL, confirmed("10.00"), PAID],
            [f"{REDUCED} 10.00 + 2.00"],
            id="at the moment a difference is recorded: a payment that comes later changes nothing",
        ),
        pytest.param(
            [confirmed("10.00"), PAID, APRIL],
            [f"{REFUND}/1 10.00 + 2.00"],
            id="settlement follows the order of recording: the payment came before the charge",
        ),
    ],
)
def test_a_grant_first_reduces_what_is_owed_on_its_invoice(facts: list, settled: list[str]) -> None:
    assert said(*facts).settled(OVERCHARGED) == settled


OUT = reported("out", "2026-04-10")
CREDIT = "credit credit/disruption/april"


@pytest.mark.parametrize(
    ("facts", "settled"),
    [
        pytest.param(
            [APRIL, PAID, OUT, resolved("out", "2026-04-15"), resolved("out", "2026-04-18")],
            [f"{CREDIT}/1 8.00 + 1.60"],
            id="an increase goes to what has not gone out",
        ),
        pytest.param(
            [APRIL, PAID, OUT, resolved("out", "2026-04-15"), resolved("out", "2026-04-12")],
            [f"{CREDIT}/1 2.00 + 0.40"],
            id="a decrease first lowers what is not yet submitted or used",
        ),
        pytest.param(
            [APRIL, PAID, OUT, resolved("out", "2026-04-15"), resolved("out", "2026-04-11")],
            [],
            id="down to nothing, which leaves no part",
        ),
        pytest.param(
            [APRIL, payment("33.00"), OUT, resolved("out", "2026-04-15"), resolved("out", "2026-04-13")],
            ["invoice_reduction invoice-april 2.50 + 0.50", f"{CREDIT}/1 0.50 + 0.10"],
            id="the last part first: the credit before the reduction",
        ),
        pytest.param(
            [APRIL, OUT, resolved("out", "2026-04-15"), resolved("out", "2026-04-12")],
            ["invoice_reduction invoice-april 2.00 + 0.40"],
            id="a reduction is taken back while its invoice is open",
        ),
        pytest.param(
            [APRIL, OUT, resolved("out", "2026-04-15"), payment("29.50"), resolved("out", "2026-04-12")],
            ["invoice_reduction invoice-april 2.00 + 0.40"],
            id="while anything is owed on it",
        ),
        pytest.param(
            [APRIL, OUT, resolved("out", "2026-04-15"), payment("30.00"), resolved("out", "2026-04-12")],
            ["invoice_reduction invoice-april 5.00 + 1.00", "overpaid overpaid/disruption/april -3.00 + -0.60"],
            id="not any more when the rest of the invoice was paid: then it is overpaid",
        ),
        pytest.param(
            [APRIL, OUT, resolved("out", "2026-04-15"), PAID, resolved("out", "2026-04-12")],
            ["invoice_reduction invoice-april 2.00 + 0.40"],
            id="but as far as more was captured than it asks for",
        ),
        pytest.param(
            [APRIL, OUT, resolved("out", "2026-04-15"), payment("31.20"), resolved("out", "2026-04-12")],
            ["invoice_reduction invoice-april 4.00 + 0.80", "overpaid overpaid/disruption/april -2.00 + -0.40"],
            id="and no further",
        ),
    ],
)
def test_a_claim_that_changes_changes_what_has_not_gone_out(facts: list, settled: list[str]) -> None:
    assert during_april(*facts).settled("disruption/april") == settled


def test_what_went_out_stays_and_is_shown_as_overpaid() -> None:
    case = said(APRIL, PAID, confirmed("10.00").at("2026-05-02T00:00:00Z"))
    case.hear(refund_succeeded("refund/billing-error/dispute/1"))
    case.hear(rejected().at("2026-05-01T00:00:00Z", id="earlier"))
    assert case.claims() == {OVERCHARGED: "declined: rejected"}
    assert case.settled(OVERCHARGED) == [
        f"{REFUND}/1 10.00 + 2.00",
        f"overpaid overpaid/{OVERCHARGED} -10.00 + -2.00",
    ]


def test_a_part_of_what_went_out_is_overpaid() -> None:
    case = refunded_disruption(days=5)
    case.hear(resolved("out", "2026-04-12"))
    assert case.settled("disruption/april") == [
        "refund refund/disruption/april/1 5.00 + 1.00",
        "overpaid overpaid/disruption/april -3.00 + -0.60",
    ]


def test_an_increase_first_takes_up_what_is_overpaid() -> None:
    case = refunded_disruption(days=5)
    case.hear(resolved("out", "2026-04-12"), resolved("out", "2026-04-14"))
    assert case.settled("disruption/april") == [
        "refund refund/disruption/april/1 5.00 + 1.00",
        "overpaid overpaid/disruption/april -1.00 + -0.20",
    ]
    case.hear(resolved("out", "2026-04-15"))
    assert case.settled("disruption/april") == ["refund refund/disruption/april/1 5.00 + 1.00"]


def test_after_a_refund_succeeded_an_increase_goes_on_to_the_next() -> None:
    case = refunded_disruption(days=5)
    case.hear(resolved("out", "2026-04-17"))
    first = "refund refund/disruption/april/1 5.00 + 1.00"
    assert case.settled("disruption/april") == [first, "refund refund/disruption/april/2 2.00 + 0.40"]
    case.hear(resolved("out", "2026-04-18"))
    assert case.settled("disruption/april") == [first, "refund refund/disruption/april/2 3.00 + 0.60"]
    case.hear(refund_succeeded("refund/disruption/april/2"), resolved("out", "2026-04-19"))
    assert case.settled("disruption/april")[2:] == ["refund refund/disruption/april/3 1.00 + 0.20"]


def test_a_decrease_takes_what_has_not_gone_out_before_anything_is_overpaid() -> None:
    case = refunded_disruption(days=5)
    case.hear(resolved("out", "2026-04-17"), resolved("out", "2026-04-12"))
    assert case.settled("disruption/april") == [
        "refund refund/disruption/april/1 5.00 + 1.00",
        "overpaid overpaid/disruption/april -3.00 + -0.60",
    ]


def test_a_refund_that_was_lowered_to_nothing_may_come_back_under_its_name() -> None:
    """The second refund was due, then not any more, then due again; nobody was paid under that name meanwhile."""
    case = refunded_disruption(days=5)
    case.hear(resolved("out", "2026-04-17"), resolved("out", "2026-04-15"), resolved("out", "2026-04-16"))
    assert case.settled("disruption/april")[1:] == ["refund refund/disruption/april/2 1.00 + 0.20"]


def test_a_row_that_falls_away_leaves_nothing() -> None:
    case = during_april(APRIL, PAID, OUT, resolved("out", "2026-04-15"), resolved("out", "2026-04-10"))
    assert "disruption/april" not in case.billing.claims


def test_a_row_that_falls_away_after_it_was_paid_out_is_remembered_as_overpaid() -> None:
    case = refunded_disruption(days=5)
    case.hear(resolved("out", "2026-04-10"))
    assert case.claims() == {}
    assert case.billing.claims["disruption/april"].state.outcome is None
    assert case.settled("disruption/april") == [
        "refund refund/disruption/april/1 5.00 + 1.00",
        "overpaid overpaid/disruption/april -5.00 + -1.00",
    ]
    case.hear(resolved("out", "2026-04-15"))
    assert case.settled("disruption/april") == ["refund refund/disruption/april/1 5.00 + 1.00"]


def test_a_cent_of_tax_that_moves_between_claims_moves_between_their_parts() -> None:
    """Tax in step: 0.05 × 10 ÷ 30 = 0.02 for the first overcharge by time, 0.01 for the second."""
    case = said(cycle(tax="0.05"), payment("30.05"), confirmed("10.00").at("2026-05-02T00:00:00Z"))
    assert case.settled(OVERCHARGED) == [f"{REFUND}/1 10.00 + 0.02"]
    case.hear(confirmed("10.00", "earlier").at("2026-05-01T00:00:00Z", id="earlier"))
    assert case.settled(OVERCHARGED) == [f"{REFUND}/1 10.00 + 0.01"]


def test_a_refund_that_succeeded_before_its_claim_was_heard_of_is_that_claims_first() -> None:
    case = said(refund_succeeded("refund/billing-error/dispute/1"), APRIL, PAID, confirmed("10.00"))
    assert case.settled(OVERCHARGED) == [f"{REFUND}/1 10.00 + 2.00"]


def test_credits_that_exist_survive_a_termination() -> None:
    case = during_april(APRIL, PAID, OUT, resolved("out", "2026-04-15"), terminated("2026-04-16"))
    assert case.settled("disruption/april") == [f"{CREDIT}/1 5.00 + 1.00"]


def during_april(*facts: Said | Sequence[Said], terms: Terms | None = None) -> Case:
    """On the 20th: an outage that is not resolved grants nothing yet."""
    return Case([agreement(terms)], now="2026-04-20T00:00:00Z").hear(account(), subscription(), *facts)


def refunded_disruption(*, days: int) -> Case:
    """A disruption that was refunded, and the refund arrived."""
    facts = (APRIL, PAID, OUT, resolved("out", f"2026-04-{10 + days}"))
    case = during_april(*facts, terms={"disruption.settle_as": "refund"})
    return case.hear(refund_succeeded("refund/disruption/april/1"))


# --- corners that take several steps to reach ---------------------------------------------------------------------

REDUCTION = SettledPart(into="invoice_reduction", id="inv", net=Decimal("5.00"), tax=Decimal("1.00"))
FIRST = SettledPart(into="refund", id="refund/c/1", net=Decimal("5.00"), tax=Decimal("1.00"))
SECOND = SettledPart(into="refund", id="refund/c/2", net=Decimal("3.00"), tax=Decimal("0.60"))


@pytest.mark.parametrize(
    ("before", "amount", "tax", "balance", "gone_out", "after"),
    [
        pytest.param(
            [REDUCTION, FIRST, SECOND],
            "13.01",
            "2.59",
            "0.00",
            {"refund/c/1"},
            ["inv 5.00 1.00", "refund/c/1 5.00 1.00", "refund/c/2 3.01 0.59"],
            id="a cent that moves from tax to net moves within the last part",
        ),
        pytest.param(
            [REDUCTION, FIRST],
            "8.00",
            "1.60",
            "1.00",
            {"refund/c/1"},
            ["inv 3.00 0.60", "refund/c/1 5.00 1.00"],
            id="a part that has gone out is passed over for one before it",
        ),
        pytest.param(
            [REDUCTION, SettledPart(into="refund", id="refund/c/1", net=Decimal("0.10"), tax=Decimal("0.01"))],
            "2.50",
            "0.50",
            "1.00",
            set(),
            ["inv 2.50 0.50"],
            id="a part that is taken whole leaves nothing, however its tax was shared",
        ),
        pytest.param(
            [REDUCTION, FIRST],
            "4.99",
            "1.01",
            "1.00",
            set(),
            ["inv 4.99 1.01"],
            id="a part that is taken whole leaves no cent of net against one of tax",
        ),
        pytest.param(
            [SettledPart(into="refund", id="refund/c/1", net=Decimal("5.00"), tax=Decimal("0.00"))],
            "4.99",
            "0.01",
            "0.00",
            set(),
            ["refund/c/1 4.99 0.01"],
            id="a cent that moves from net to tax, within a part that had no tax",
        ),
        pytest.param(
            [FIRST],
            "7.00",
            "0.50",
            "9.00",
            {"refund/c/1"},
            ["refund/c/1 5.00 1.00", "inv 2.00 -0.50"],
            id="an increase whose tax goes down reduces the invoice by the whole of both",
        ),
        pytest.param(
            [FIRST],
            "0.00",
            "0.00",
            "1.00",
            set(),
            [],
            id="nothing of nothing",
        ),
        pytest.param(
            [REDUCTION, FIRST, SECOND],
            "6.00",
            "1.20",
            "0.00",
            {"refund/c/1"},
            ["inv 5.00 1.00", "refund/c/1 5.00 1.00", "overpaid/c -4.00 -0.80"],
            id="what can be lowered is, and the rest is overpaid",
        ),
    ],
)
def test_a_change_step_by_step(
    before: list, amount: str, tax: str, balance: str, gone_out: set[str], after: list[str]
) -> None:
    owing = Owing("inv", Decimal(balance), gone_out.__contains__, lambda _: Decimal(0))
    parts = settle("c", tuple(before), Decimal(amount), Decimal(tax), "refund", "EUR", owing)
    assert [f"{part.id} {part.net} {part.tax}" for part in parts] == after


GRANTED = SettledPart(into="credit", id="credit/c/1", net=Decimal("10.00"), tax=Decimal("2.00"))


@pytest.mark.parametrize(
    ("amount", "tax", "used", "after"),
    [
        pytest.param("5.00", "1.00", "0.00", ["credit/c/1 5.00 1.00"], id="of which nothing was used: lowered"),
        pytest.param("5.00", "1.00", "6.00", ["credit/c/1 5.00 1.00"], id="half was used, half falls away: lowered"),
        pytest.param(
            "5.00",
            "1.00",
            "9.00",
            ["credit/c/1 7.50 1.50", "overpaid/c -2.50 -0.50"],
            id="only the unused rest is lowered, the remainder is overpaid",
        ),
        pytest.param(
            "0.00",
            "0.00",
            "12.00",
            ["credit/c/1 10.00 2.00", "overpaid/c -10.00 -2.00"],
            id="a credit that was used up is not lowered at all",
        ),
        pytest.param("15.00", "3.00", "0.00", ["credit/c/1 15.00 3.00"], id="an increase joins an unused credit"),
        pytest.param(
            "15.00",
            "3.00",
            "0.01",
            ["credit/c/1 10.00 2.00", "credit/c/2 5.00 1.00"],
            id="and opens the next one where a cent was used",
        ),
    ],
)
def test_a_used_credit_is_told_from_an_unused_one(amount: str, tax: str, used: str, after: list[str]) -> None:
    applied = {"credit/c/1": Decimal(used)}
    owing = Owing("inv", Decimal("0.00"), lambda _: False, lambda credit: applied.get(credit, Decimal(0)))
    parts = settle("c", (GRANTED,), Decimal(amount), Decimal(tax), "credit", "EUR", owing)
    assert [f"{part.id} {part.net} {part.tax}" for part in parts] == after


@pytest.mark.parametrize(
    ("left", "owed", "expected"),
    [
        pytest.param(["3.00", "5.00"], "6.00", ["a 3.00", "b 3.00"], id="the oldest first, the next for the rest"),
        pytest.param(["3.00", "5.00"], "3.00", ["a 3.00"], id="no more than is owed"),
        pytest.param(["3.00", "5.00"], "20.00", ["a 3.00", "b 5.00"], id="no more than is left"),
        pytest.param(["0.00", "5.00"], "2.00", ["b 2.00"], id="one that was used up is passed over"),
        pytest.param(["3.00"], "0.01", ["a 0.01"], id="a cent"),
        pytest.param(["3.00"], "0.00", [], id="nothing is owed"),
        pytest.param(["3.00"], "-4.00", [], id="more was captured than the invoice asks for"),
        pytest.param([], "4.00", [], id="no credits"),
    ],
)
def test_credits_pay_for_what_is_owed(left: list[str], owed: str, expected: list[str]) -> None:
    credits = [(name, Decimal(amount)) for name, amount in zip("abc", left, strict=False)]
    assert [f"{name} {amount}" for name, amount in applied(credits, Decimal(owed))] == expected


@pytest.mark.parametrize(
    ("payment_id", "method", "owed"),
    [
        pytest.param("ours", "balance", "29.00", id="a confirmation is no money besides what was applied"),
        pytest.param("theirs", "balance", "25.00", id="any other payment from balance is"),
        pytest.param("ours", "card", "25.00", id="and so is one by another way, whatever its id"),
    ],
)
def test_what_is_owed_counts_an_applied_credit_once(payment_id: str, method: str, owed: str) -> None:
    facts = said(APRIL, payment("4.00", payment_id=payment_id, method=method)).facts
    assert balance(facts.invoices["invoice-april"], Decimal("7.00"), {"ours"}) == Decimal(owed)


# --- laws of settling ---------------------------------------------------------------------------------------------

CENTS = st.integers(0, 20).map(lambda cents: Decimal(cents).scaleb(-2))
BALANCES = st.integers(-10, 20).map(lambda cents: Decimal(cents).scaleb(-2))
DIFFERENCES = st.lists(
    st.tuples(CENTS, CENTS, BALANCES, st.sampled_from(["refund", "credit"]), st.booleans(), CENTS), max_size=6
)


def gross(part: SettledPart) -> Decimal:
    return part.net + part.tax


@given(DIFFERENCES)
def test_parts_add_up_and_what_went_out_stays(differences: list) -> None:
    """Whatever a claim becomes, whatever is owed then, and whatever goes out or is used in between."""
    parts: tuple[SettledPart, ...] = ()
    gone_out: dict[str, Decimal] = {}
    used: dict[str, Decimal] = defaultdict(Decimal)
    for amount, tax, owed, settle_as, goes_out, uses in differences:
        before = {p.id: gross(p) for p in parts}
        reduced = sum(gross(p) for p in parts if p.into == "invoice_reduction")
        owing = Owing("inv", owed, gone_out.__contains__, used.__getitem__)
        parts = settle("c", parts, amount, tax, settle_as, "EUR", owing)
        assert sum(part.net for part in parts) == amount
        assert sum(part.tax for part in parts) == tax
        assert all(gross(p) <= 0 if p.into == "overpaid" else gross(p) >= 0 for p in parts)
        assert all(gross(p) == gone_out[p.id] for p in parts if p.id in gone_out)
        assert all(used[p.id] <= gross(p) for p in parts if p.into == "credit"), "what was used stays"
        joined = [p for p in parts if p.into == "credit" and gross(p) > before.get(p.id, Decimal(0))]
        assert not any(used[p.id] for p in joined), "an increase joins no credit that was used"
        assert all(gross(p) for p in parts if p.into != "overpaid"), "nothing is paid, credited or reduced by 0.00"
        assert gone_out.keys() <= {p.id for p in parts}
        assert len({p.id for p in parts}) == len(parts)
        grown = sum(gross(p) for p in parts if p.into == "invoice_reduction") - reduced
        assert grown <= max(owed, 0), "no more is reduced than is owed"
        if goes_out:
            gone_out |= {p.id: gross(p) for p in parts if p.into == "refund" and gross(p)}
            for p in parts:
                if p.into == "credit":
                    used[p.id] = min(gross(p), used[p.id] + uses)
