"""Settlement (policy §7): how the claims of one invoice are made good, worked out for the whole invoice.

A pure function of what is known (what the invoice was charged and paid, and its claims in the policy's order) and of
what has gone out for each claim. It remembers nothing, so the same facts and the same things gone out settle alike.
Sums are gross where net and tax are not told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from ledger.events import Into, PartStatus, SettleAs, SettledPart, unchecked
from ledger.values import in_proportion, value, zero


@value
class GoneOut:
    """What has gone out for a claim under one id: a refund, or the used part of a credit.

    `net` and `tax` are those that it went out with; None for a refund that was reported with an amount only.
    `to_invoice` says whether a refund was returned to the payments of the invoice that is settled. What was
    `recovered` came back from a later credit, and is below 0.
    """

    into: Literal["refund", "credit", "recovered"]
    id: str
    gross: Decimal
    net: Decimal | None
    tax: Decimal | None
    to_invoice: bool = True


@value
class ClaimToSettle:
    """A claim as settlement sees it: what is granted (0 where nothing is any more), and what has gone out for it."""

    claim_id: str
    net: Decimal
    tax: Decimal
    settle_as: SettleAs
    gone_out: tuple[GoneOut, ...] = ()
    failed: frozenset[str] = frozenset()
    """Its refunds that the payment processor could not pay, or that bounced: they are owed again."""
    rejected: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    """Its refunds that a person rejected, with the net and tax that they were due with."""
    turned: Decimal = Decimal(0)
    """Up to which amount, gross, a person turned its failed refunds into credit."""
    written_off: Decimal = Decimal(0)
    """Up to which amount, gross, a person wrote off what went out too much for it."""

    @property
    def granted(self) -> Decimal:
        """`G`, gross."""
        return self.net + self.tax

    @property
    def out(self) -> Decimal:
        """`F`: all that has gone out for it."""
        return _total(each.gross for each in self.gone_out)

    @property
    def refunds_out(self) -> Decimal:
        """The refunds gone out to this invoice's payments."""
        return _total(g.gross for g in self.gone_out if g.into == "refund" and g.to_invoice)

    @property
    def credits_out(self) -> Decimal:
        """What of its credits was used."""
        return _total(g.gross for g in self.gone_out if g.into == "credit")


@value
class InvoiceToSettle:
    """What an invoice was charged (`C`) and paid in money (`M`) and from balance (`B`), and what of the credit for
    its excess was used (`E`). `refunded` is all that has gone out to its payments, for whichever claims."""

    invoice_id: str
    currency: str
    charged: Decimal
    paid_in_money: Decimal
    paid_from_balance: Decimal
    excess_used: Decimal
    refunded: Decimal

    @property
    def paid(self) -> Decimal:
        """`P`: what was paid on it and not used elsewhere."""
        return self.paid_in_money + self.paid_from_balance - self.excess_used


@value
class Settlement:
    """What follows for an invoice: its reduction, what it asks for, its excess, and the parts of each claim."""

    reduced: Decimal
    asks_for: Decimal
    excess: Decimal
    parts: Mapping[str, tuple[SettledPart, ...]]


@dataclass(slots=True)
class _Shares:
    """A claim's gross shares while they are being worked out."""

    claim: ClaimToSettle
    reduced: Decimal
    open: Decimal = Decimal(0)
    too_much: Decimal = Decimal(0)
    offset: Decimal = Decimal(0)
    refund: Decimal = Decimal(0)

    @property
    def credit(self) -> Decimal:
        """What goes back and not as a refund."""
        return self.open - self.refund


def settle(invoice: InvoiceToSettle, claims: Sequence[ClaimToSettle]) -> Settlement:
    """Settle an invoice's claims, given in the policy's order."""
    if not claims:
        owed = zero(invoice.currency) + invoice.charged - invoice.paid
        nothing = zero(invoice.currency)
        return Settlement(nothing, max(nothing, owed), max(nothing, -owed), {})
    to_reduce = _between_zero_and(_total(c.granted - c.out for c in claims), invoice.charged - invoice.paid)
    shares = _reduced(claims, to_reduce)
    _set_off(shares)
    excess = _set_off_against(max(Decimal(0), invoice.paid - invoice.charged), shares)
    _share_the_way_the_money_came(invoice, shares)
    nothing = zero(invoice.currency)
    return Settlement(
        reduced=nothing + to_reduce,
        asks_for=nothing + max(Decimal(0), invoice.charged - to_reduce - invoice.paid),
        excess=nothing + excess,
        parts={s.claim.claim_id: _parts(s, invoice.invoice_id, invoice.currency) for s in shares},
    )


def settle_without_invoice(claim: ClaimToSettle, currency: str) -> tuple[SettledPart, ...]:
    """The parts of a claim that is on no invoice: all of it is a credit, and what went out too much is overpaid."""
    [shares] = _reduced([claim], Decimal(0))
    return _parts(shares, None, currency)


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def _between_zero_and(wanted: Decimal, limit: Decimal) -> Decimal:
    return min(max(Decimal(0), wanted), max(Decimal(0), limit))


def _reduced(claims: Iterable[ClaimToSettle], to_reduce: Decimal) -> list[_Shares]:
    """Give the reduction to the claims in order; what is left of each is open, or went out too much."""
    shares = []
    for claim in claims:
        left = claim.granted - claim.out
        part = _between_zero_and(left, to_reduce)
        to_reduce -= part
        shares.append(_Shares(claim, part, open=max(Decimal(0), left - part), too_much=max(Decimal(0), part - left)))
    return shares


def _set_off(shares: Sequence[_Shares]) -> None:
    """Set what went out too much for a claim off against what is open of the others, in order on both sides."""
    for overpaid in shares:
        for owed in shares:
            amount = min(overpaid.too_much, owed.open)
            overpaid.too_much -= amount
            overpaid.offset -= amount
            owed.open -= amount
            owed.offset += amount


def _set_off_against(excess: Decimal, shares: Sequence[_Shares]) -> Decimal:
    """Set the rest off against the invoice's excess; returns what is left of that."""
    for overpaid in shares:
        amount = min(overpaid.too_much, excess)
        overpaid.too_much -= amount
        overpaid.offset -= amount
        excess -= amount
    return excess


def _share_the_way_the_money_came(invoice: InvoiceToSettle, shares: Sequence[_Shares]) -> None:
    """Divide what is open of the claims that are refunded into refund and credit, as money and balance had paid."""
    money, from_balance = invoice.paid_in_money, invoice.paid_from_balance
    refundable = invoice.paid_in_money - invoice.refunded
    for share in shares:
        claim = share.claim
        if claim.settle_as != "refund":
            continue
        money_left, balance_left = max(Decimal(0), money), max(Decimal(0), from_balance)
        whole = claim.refunds_out + claim.credits_out + share.open
        in_money = in_proportion(whole, money_left, money_left + balance_left, invoice.currency, "half_up")
        in_money = min(money_left, in_money)
        share.refund = _between_zero_and(in_money - claim.refunds_out - claim.turned, min(share.open, refundable))
        refundable -= share.refund
        money -= claim.refunds_out + share.refund
        from_balance -= claim.credits_out + share.credit


_Untaxed = tuple[Into, str, Decimal, PartStatus]
"""A part of which net and tax are not known yet: the way it goes, its id, its gross, and its status."""


def _parts(share: _Shares, invoice_id: str | None, currency: str) -> tuple[SettledPart, ...]:
    """A claim's parts with net and tax: those that went out with theirs, and the others, which share what remains."""
    claim = share.claim
    told = [gone for gone in claim.gone_out if gone.net is not None]
    untold = sorted((gone for gone in claim.gone_out if gone.net is None), key=_smaller_first)
    others: list[_Untaxed] = []
    if share.reduced:
        others.append(("invoice_reduction", invoice_id or "", share.reduced, "open"))
    if share.offset:
        others.append(("offset", f"offset/{claim.claim_id}", share.offset, "open"))
    others += [(gone.into, gone.id, gone.gross, "gone_out") for gone in untold]
    if share.refund:
        due = open_refund_id(claim)
        others.append(("refund", due, share.refund, "failed" if due in claim.failed else "open"))
    if share.credit:
        others.append(("credit", credit_id(claim.claim_id), share.credit, "open"))
    if share.too_much:
        written_off = min(share.too_much, claim.written_off)
        others.append(("written_off", f"written-off/{claim.claim_id}", -written_off, "open"))
        others.append(("overpaid", overpaid_id(claim.claim_id), written_off - share.too_much, "open"))
    remaining_tax = claim.tax - _total(gone.tax or Decimal(0) for gone in told)
    remaining = claim.granted - _total(gone.gross for gone in told)
    nothing = zero(currency)
    parts = [_part(gone.into, gone.id, gone.net or nothing, gone.tax or nothing, "gone_out") for gone in told]
    parts += _in_step(others, remaining, remaining_tax, currency)
    if not remaining and remaining_tax:
        parts.append(_part("correction", f"correction/{claim.claim_id}", -remaining_tax, remaining_tax, "open"))
    of_ids = [
        _rejected(part) if claim.rejected.get(part.id) == (part.net, part.tax) else part for part in _joined(parts)
    ]
    return tuple(sorted(of_ids, key=lambda part: _ORDER.index(part.into)))


def _joined(parts: Iterable[SettledPart]) -> Iterator[SettledPart]:
    """What has gone out under one id, in several returns or attempts, as one part."""
    joined: dict[tuple[str, PartStatus], SettledPart] = {}
    for part in parts:
        before = joined.get((part.id, part.status))
        if before is not None:
            part = _part(part.into, part.id, before.net + part.net, before.tax + part.tax, part.status)
        joined[part.id, part.status] = part
    return iter(joined.values())


def _rejected(part: SettledPart) -> SettledPart:
    """A refund that a person rejected is not open again until its amount changes."""
    return part if part.status == "gone_out" else part.model_copy(update={"status": "rejected"})


def _smaller_first(gone: GoneOut) -> tuple[Decimal, int]:
    return gone.gross, int(gone.id.rpartition("/")[2])


_ORDER: tuple[Into, ...] = (
    "invoice_reduction",
    "offset",
    "refund",
    "credit",
    "recovered",
    "written_off",
    "overpaid",
    "correction",
)


_settled_part = unchecked(SettledPart)


def _part(into: Into, id_: str, net: Decimal, tax: Decimal, status: PartStatus) -> SettledPart:
    return _settled_part(into=into, id=id_, net=net, tax=tax, status=status)


def _in_step(parts: Iterable[_Untaxed], whole: Decimal, tax: Decimal, currency: str) -> Iterator[SettledPart]:
    """Divide tax, so that the first k parts together have round(their gross × tax ÷ whole), by absolute value."""
    so_far, given = Decimal(0), zero(currency)
    for into, id_, gross, status in parts:
        if gross:
            so_far += gross
            of_tax = in_proportion(so_far, tax, whole, currency, "half_up") - given
            yield _part(into, id_, gross - of_tax, of_tax, status)
            given += of_tax


def proportion(gross: Decimal, claim_gross: Decimal, claim_tax: Decimal, currency: str) -> tuple[Decimal, Decimal]:
    """Net and tax of a part that goes out of a claim, in the claim's proportion at that moment."""
    tax = in_proportion(gross, claim_tax, claim_gross, currency, "half_up")
    return gross - tax, tax


def open_refund_id(claim: ClaimToSettle) -> str:
    """The refund that is due for a claim: the first by number that has not gone out.

    A refund that bounced is owed again under its own id; one that went out is never joined.
    """
    out = {gone.id for gone in claim.gone_out if gone.into == "refund"}
    number = 1
    while refund_id(claim.claim_id, number) in out:
        number += 1
    return refund_id(claim.claim_id, number)


def refund_id(claim_id: str, number: int) -> str:
    """A claim's refunds are numbered from 1."""
    return f"refund/{claim_id}/{number}"


def next_refund_id(id_: str) -> str:
    """The id that follows a refund's."""
    of, _, number = id_.rpartition("/")
    return f"{of}/{int(number) + 1}"


def refund_before(id_: str) -> str | None:
    """The id that a refund's follows; None for the first."""
    of, _, number = id_.rpartition("/")
    return f"{of}/{int(number) - 1}" if int(number) > 1 else None


def credit_id(claim_id: str) -> str:
    """A claim has one credit, which follows it; what was used of it stays."""
    return f"credit/{claim_id}/1"


def overpaid_id(claim_id: str) -> str:
    """The id of what went out too much for a claim."""
    return f"overpaid/{claim_id}"
