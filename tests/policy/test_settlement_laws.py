"""§7's laws: of one invoice with whatever claims, and of whole lives, whatever order they are told in."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ledger.aggregates import BillingAccount, Cause
from ledger.aggregates.settlements import Credit
from ledger.events import AgreementBound, Fact, SettledPart
from ledger.policy.facts import EVERYTHING
from ledger.policy.settlement import ClaimToSettle, GoneOut, InvoiceToSettle, Settlement, proportion, settle
from ledger.values import CURRENCY_SCALES, ratio, unit
from tests.policy.case import Case
from tests.policy.lives import AGREEMENTS, Life

NOTHING = Decimal(0)


def gross(parts: Iterable[SettledPart], *into: str, status: str | None = None) -> Decimal:
    """All parts of some kinds together."""
    found = (p for p in parts if p.into in into and status in (None, p.status))
    return sum((p.net + p.tax for p in found), NOTHING)


def goes_back(parts: Iterable[SettledPart]) -> Decimal:
    """What has gone out and what is open."""
    return gross(parts, "refund", "credit")


def still_open(parts: Iterable[SettledPart]) -> list[SettledPart]:
    return [p for p in parts if p.into in ("refund", "credit") and p.status != "gone_out"]


# --- one invoice, whatever its claims and whatever has gone out ----------------------------------------------------

UNITS = st.integers(0, 40) | st.integers(0, 100_000)
FEW = st.integers(0, 12) | st.integers(0, 30_000)


@st.composite
def gone_out_for(draw: st.DrawFn, claim_id: str, currency: str) -> tuple[GoneOut, ...]:
    scale = CURRENCY_SCALES[currency]
    found = []
    for number in draw(st.lists(st.integers(1, 4), max_size=2, unique=True)):
        net, tax = (Decimal(draw(FEW)).scaleb(-scale) for _ in range(2))
        told = draw(st.booleans())
        if net + tax:
            known = (net, tax) if told else (None, None)
            found.append(GoneOut("refund", f"refund/{claim_id}/{number}", net + tax, *known, draw(st.booleans())))
    if draw(st.booleans()):
        net, tax = (Decimal(draw(FEW)).scaleb(-scale) for _ in range(2))
        if net + tax:
            found.append(GoneOut("credit", f"credit/{claim_id}/1", net + tax, net, tax))
    return tuple(found)


@st.composite
def invoices(draw: st.DrawFn, *, out: bool = True) -> tuple[InvoiceToSettle, list[ClaimToSettle]]:
    """An invoice and its claims; with `out` something has gone out, for some of them and for others."""
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
    scale = CURRENCY_SCALES[currency]

    def money(units: st.SearchStrategy[int]) -> Decimal:
        return Decimal(draw(units)).scaleb(-scale)

    claims = []
    for claim_id in "abcd"[: draw(st.integers(0, 4))]:
        gone = draw(gone_out_for(claim_id, currency)) if out else ()
        net, tax, way = money(FEW), money(FEW), draw(st.sampled_from(["refund", "refund", "credit"]))
        claims.append(ClaimToSettle(claim_id, net, tax, way, gone, frozenset({f"refund/{claim_id}/1"})))  # type: ignore[arg-type]
    for_others = money(FEW) if out and draw(st.booleans()) else money(st.just(0))
    in_money, from_balance = money(UNITS), money(UNITS)
    excess_used = money(FEW) if out and draw(st.booleans()) else money(st.just(0))
    paid_in_full = max(in_money + from_balance - excess_used, money(st.just(0)))
    return InvoiceToSettle(
        invoice_id="inv",
        currency=currency,
        charged=paid_in_full if draw(st.booleans()) else money(UNITS),
        paid_in_money=in_money,
        paid_from_balance=from_balance,
        excess_used=excess_used,
        refunded=sum((claim.refunds_out for claim in claims), for_others),
    ), claims


INVOICES = invoices()


@given(INVOICES)
def test_paid_and_asked_for_less_gone_back_is_charged_less_granted_less_overpaid(given_: tuple) -> None:
    of, claims = given_
    found = settle(of, claims)
    paid = of.paid_in_money + of.paid_from_balance
    back = sum(map(goes_back, found.parts.values()), of.excess_used + found.excess)
    overpaid = -sum((gross(parts, "overpaid") for parts in found.parts.values()), NOTHING)
    granted = sum((claim.granted for claim in claims), NOTHING)
    assert paid + found.asks_for - back == of.charged - granted - overpaid


@given(INVOICES)
def test_parts_add_up_to_their_claim_in_net_and_in_tax(given_: tuple) -> None:
    of, claims = given_
    parts = settle(of, claims).parts
    assert list(parts) == [claim.claim_id for claim in claims]
    for claim in claims:
        assert sum((p.net for p in parts[claim.claim_id]), NOTHING) == claim.net
        assert sum((p.tax for p in parts[claim.claim_id]), NOTHING) == claim.tax


@given(INVOICES)
def test_the_other_parts_take_tax_in_step_with_their_gross(given_: tuple) -> None:
    """The first k of them together are never further from their share of the tax than half a unit."""
    of, claims = given_
    for claim_id, parts in settle(of, claims).parts.items():
        [claim] = [c for c in claims if c.claim_id == claim_id]
        told = {g.id for g in claim.gone_out if g.net is not None}
        others = [p for p in parts if not (p.status == "gone_out" and p.id in told) and p.into != "correction"]
        gross_left = claim.granted - sum((g.gross for g in claim.gone_out if g.id in told), NOTHING)
        tax_left = claim.tax - sum((g.tax or NOTHING for g in claim.gone_out), NOTHING)
        gross_so_far = tax_so_far = Fraction(0)
        for part in others:
            gross_so_far += Fraction(part.net + part.tax)
            tax_so_far += Fraction(part.tax)
            exact = ratio(gross_so_far * Fraction(tax_left), gross_left)
            assert 2 * abs(tax_so_far - exact) <= Fraction(unit(of.currency))


@given(INVOICES)
def test_what_parts_there_may_be(given_: tuple) -> None:
    of, claims = given_
    found = settle(of, claims)
    assert found.reduced >= 0
    assert found.reduced <= max(of.charged - of.paid, NOTHING)
    assert found.asks_for >= 0
    assert found.excess >= 0
    scale = unit(of.currency).as_tuple().exponent
    assert {a.as_tuple().exponent for a in (found.reduced, found.asks_for, found.excess)} == {scale}
    assert sum((gross(parts, "invoice_reduction") for parts in found.parts.values()), NOTHING) == found.reduced
    for claim in claims:
        parts = found.parts[claim.claim_id]
        assert {a.as_tuple().exponent for p in parts for a in (p.net, p.tax)} <= {scale}
        assert all(p.net + p.tax > 0 for p in parts if p.into in ("invoice_reduction", "refund", "credit"))
        assert all(p.net + p.tax < 0 for p in parts if p.into == "overpaid")
        assert all(p.net + p.tax for p in parts if p.into == "offset")
        assert all(p.net + p.tax == 0 and p.tax for p in parts if p.into == "correction")
        assert max(Counter((p.id, p.status) for p in parts).values(), default=1) == 1
        out = {(g.into, g.id, g.gross) for g in claim.gone_out}
        assert {(p.into, p.id, p.net + p.tax) for p in parts if p.status == "gone_out"} == out
        failed = [p for p in parts if p.status == "failed"]
        assert all(p.into == "refund" and p.id in claim.failed for p in failed)


@given(INVOICES)
def test_offsets_cancel_with_what_the_excess_bears(given_: tuple) -> None:
    of, claims = given_
    found = settle(of, claims)
    offsets = sum((gross(parts, "offset") for parts in found.parts.values()), NOTHING)
    assert offsets + max(of.paid - of.charged, NOTHING) == found.excess


@given(INVOICES)
def test_no_claim_is_reduced_and_overpaid_at_once_and_none_overpaid_while_another_is_open(given_: tuple) -> None:
    of, claims = given_
    found = settle(of, claims)
    overpaid = [parts for parts in found.parts.values() if gross(parts, "overpaid")]
    assert not any(gross(parts, "invoice_reduction") for parts in overpaid)
    if overpaid:
        assert not any(map(still_open, found.parts.values()))
        assert not found.excess


@given(INVOICES)
def test_nobody_owes_what_was_granted(given_: tuple) -> None:
    """While anything is asked for, nothing is to go back and nothing is in excess."""
    of, claims = given_
    found = settle(of, claims)
    if found.asks_for:
        assert not any(map(still_open, found.parts.values()))
        assert not found.excess


@given(invoices(out=False))
def test_where_nothing_has_gone_out_nothing_is_overpaid_or_set_off(given_: tuple) -> None:
    of, claims = given_
    for parts in settle(of, claims).parts.values():
        assert {p.into for p in parts} <= {"invoice_reduction", "refund", "credit"}
        assert all(p.net >= 0 and p.tax >= 0 for p in parts)


@given(INVOICES)
def test_no_more_money_goes_back_than_came(given_: tuple) -> None:
    of, claims = given_
    parts = settle(of, claims).parts
    to_refund = sum((gross(still_open(p), "refund") for p in parts.values()), NOTHING)
    assert to_refund <= max(of.paid_in_money - of.refunded, NOTHING)
    by_credit = (claim.claim_id for claim in claims if claim.settle_as == "credit")
    assert not any(gross(still_open(parts[claim_id]), "refund") for claim_id in by_credit)


def shares(found: Settlement) -> object:
    """Where the invoice stands and what each claim's parts come to, whether gone out or not."""
    kinds = ("invoice_reduction", "offset", "refund", "credit", "overpaid")
    parts = {id_: {kind: gross(of, kind) for kind in kinds} for id_, of in found.parts.items()}
    return (found.reduced, found.asks_for, found.excess, parts)


@given(INVOICES, st.data())
def test_submitting_a_refund_or_using_a_credit_moves_nothing_else(given_: tuple, data: st.DataObject) -> None:
    of, claims = given_
    before = settle(of, claims)
    candidates = [(claim, part) for claim in claims for part in still_open(before.parts[claim.claim_id])]
    if not candidates:
        return
    claim, part = data.draw(st.sampled_from(candidates))
    step = unit(of.currency)
    whole = part.net + part.tax
    amount = data.draw(st.just(whole) | st.integers(1, int(whole / step)).map(lambda units: units * step))
    net, tax = (part.net, part.tax)
    if amount != whole:
        net, tax = proportion(amount, claim.granted, claim.tax, of.currency)
    gone = GoneOut(part.into, part.id, amount, net, tax)  # type: ignore[arg-type]
    after_claims = [replace(c, gone_out=(*c.gone_out, gone)) if c is claim else c for c in claims]
    after_of = replace(of, refunded=of.refunded + amount) if part.into == "refund" else of
    assert shares(settle(after_of, after_claims)) == shares(before)


@given(INVOICES, st.randoms(use_true_random=False))
def test_in_what_order_things_went_out_makes_no_difference(given_: tuple, rng: random.Random) -> None:
    of, claims = given_
    shuffled = [replace(c, gone_out=tuple(rng.sample(c.gone_out, len(c.gone_out)))) for c in claims]
    one, other = settle(of, claims), settle(of, shuffled)
    assert shares(other) == shares(one)
    for claim_id, parts in one.parts.items():
        assert sorted(map(repr, other.parts[claim_id])) == sorted(map(repr, parts))


# --- whole lives ---------------------------------------------------------------------------------------------------

SEEDS = st.integers(0, 1_000_000_000)
MESSAGES = 30


def lived(seed: int, case: Case | None = None, *, reports_name_amounts: bool = False) -> Case:
    """A case after a whole life."""
    life = Life(seed, case or Case(AGREEMENTS), reports_name_amounts=reports_name_amounts)
    for _ in life.told(MESSAGES):
        pass
    return life.case


def with_time(seed: int) -> Iterable[Case]:
    """A case after each message of a life, between which now and then time passes."""
    rng = random.Random(seed)
    life = Life(seed, Case(AGREEMENTS))
    for case in life.told(MESSAGES):
        yield case
        if rng.random() < 0.1:
            yield case.pass_time((case.at + timedelta(hours=rng.choice([1, 23, 24, 25]))).isoformat())


def granted(case: Case, claim_id: str, currency: str) -> tuple[Decimal, Decimal]:
    claim = case.billing.claims.get(claim_id)
    if claim is None or claim.state.outcome != "granted" or claim.currency != currency:
        return NOTHING, NOTHING
    return claim.state.amount, claim.state.tax


@given(SEEDS)
def test_every_law_holds_after_every_message_of_a_life(seed: int) -> None:
    for case in with_time(seed):
        for invoice_id, currency in case.billing.settlements.invoices:
            if case.facts.invoices[invoice_id].charge_facts:
                an_invoice_is_lawful(case, invoice_id, currency)
        for claim_id, currency in case.billing.settlements.claims:
            a_claim_is_lawful(case, claim_id, currency)
        credits_are_lawful(case)


def an_invoice_is_lawful(case: Case, invoice_id: str, currency: str) -> None:
    settlements = case.billing.settlements
    standing = settlements.invoices[invoice_id, currency]
    on_it = [
        of.parts for (_, in_), of in settlements.claims.items() if (of.invoice_id, in_) == (invoice_id, currency)
    ]
    charges = case.facts.invoices[invoice_id].charges
    owed = [id_ for id_, row in case.billing.claims.items() if row.charge_id in charges]
    all_granted = sum((sum(granted(case, id_, currency)) for id_ in owed), NOTHING)
    back = sum(map(goes_back, on_it), standing.excess_used + standing.excess)
    overpaid = -sum((gross(parts, "overpaid") for parts in on_it), NOTHING)
    paid = standing.paid_in_money + standing.paid_from_balance
    assert standing.charged == sum((charge.price + charge.tax for charge in charges.values()), NOTHING)
    if case.facts.invoices[invoice_id].charge_facts:
        assert paid + standing.asks_for - back == standing.charged - all_granted - overpaid
    assert standing.reduced == sum((gross(parts, "invoice_reduction") for parts in on_it), NOTHING)
    assert standing.reduced <= standing.charged
    if standing.asks_for:
        assert not any(map(still_open, on_it))
        assert not standing.excess
    if standing.excess_credit is not None:
        assert standing.excess_credit == standing.excess_used + standing.excess


def a_claim_is_lawful(case: Case, claim_id: str, currency: str) -> None:
    settlements = case.billing.settlements
    parts = settlements.claims[claim_id, currency].parts
    assert parts
    net, tax = granted(case, claim_id, currency)
    assert (sum((p.net for p in parts), NOTHING), sum((p.tax for p in parts), NOTHING)) == (net, tax)
    assert not (gross(parts, "invoice_reduction") and gross(parts, "overpaid"))
    if not settlements.outgoings.of_claim(claim_id, currency, None):
        assert not gross(parts, "overpaid")
        assert gross(parts, "offset") >= 0


def credits_are_lawful(case: Case) -> None:
    """What is left of the credits is what is open of the claims, and of the excesses that have rested."""
    settlements = case.billing.settlements
    open_credits = {
        part.id: part.net + part.tax
        for of in settlements.claims.values()
        for part in still_open(of.parts)
        if part.into == "credit"
    }
    excesses = {
        f"excess/{invoice_id}": standing.excess
        for (invoice_id, _), standing in settlements.invoices.items()
        if standing.excess_credit is not None and standing.excess
    }
    left = {id_: credit.left for id_, credit in settlements.credits.items() if credit.left}
    assert left == open_credits | excesses


@given(SEEDS)
def test_what_a_message_touches_is_all_that_differs(seed: int) -> None:
    """The fast path's oracle: settling everything anew after a message finds nothing that was not recorded."""
    for case in with_time(seed):
        assert list(case.billing.settlements.differences(EVERYTHING, (), case.at)) == []


class Unapplied(Case):
    """A case whose credits pay for no charge: what went out does not depend on what was known when."""

    def _apply(self, credits: Mapping[str, Credit], cause: Cause) -> None:
        pass


def as_recorded(billing: BillingAccount) -> tuple[object, ...]:
    settlements = billing.settlements
    left = {id_: credit for id_, credit in settlements.credits.items() if credit.left}
    return settlements.claims, settlements.invoices, left, billing.claims


@given(SEEDS, st.randoms(use_true_random=False))
def test_the_same_facts_and_the_same_things_gone_out_settle_alike(seed: int, rng: random.Random) -> None:
    """In gross, in net and in tax, whatever order the messages came in; and when they come again."""
    one = lived(seed, Unapplied(AGREEMENTS), reports_name_amounts=True)
    other = Unapplied(AGREEMENTS)
    again = one.messages + rng.choices(one.messages, k=10)
    for message in rng.sample(again, len(again)):
        other.take(message)
    assert as_recorded(other.billing)[:3] == as_recorded(one.billing)[:3]


@given(SEEDS)
def test_a_file_that_is_read_twice_changes_nothing(seed: int) -> None:
    case = lived(seed)
    events = len(case.billing.pending_events)
    for message in list(case.messages):
        case.take(message)
    assert len(case.billing.pending_events) == events


@given(SEEDS, st.integers(0, MESSAGES))
def test_what_is_rebuilt_from_its_events_stands_and_goes_on_as_what_lived(seed: int, cut: int) -> None:
    messages = lived(seed).messages
    one = Case(AGREEMENTS)
    for message in messages[:cut]:
        one.take(message)
    one.pass_time((one.at + timedelta(hours=24)).isoformat())
    other = rebuilt(one)
    assert as_recorded(other.billing) == as_recorded(one.billing)
    for message in messages[cut:]:
        one.take(message)
        other.take(message)
    assert as_recorded(other.billing) == as_recorded(one.billing)
    assert list(other.billing.credits) == list(one.billing.credits), "the oldest first"


def rebuilt(case: Case) -> Case:
    """A case that knows only what was recorded."""
    again = Case(case.agreements, case.now)
    published = {(p.terms.name, p.terms.version): p for p in case.agreements}
    for event in case.billing.pending_events:
        event.mutate(again.billing)
        match event:
            case Fact():
                again.facts.learn(event)
            case AgreementBound():
                again.facts.bind(event, published[event.data.agreement, event.data.version])
    again.goes_on()
    return again
