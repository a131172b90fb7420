"""Settlement (policy §7): how a granted claim is made good, and what becomes of that when the claim changes.

A grant first reduces what is owed on its invoice; only the rest is refunded or credited. A credit is applied to the
account's next charges. A decrease first lowers what has not gone out or been used yet; what has stays and is shown as
overpaid. Parts always add up to the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from ledger.events import SettleAs, SettledPart
from ledger.policy.known_facts import Invoice
from ledger.values import ratio, rounded, zero

Into = Literal["invoice_reduction", "refund", "credit", "overpaid"]


@dataclass(frozen=True, slots=True)
class Owing:
    """What settling a claim has to know of its surroundings."""

    invoice_id: str | None
    balance: Decimal
    """Price and tax of the invoice's charges less captured payments, less earlier reductions: what is owed on it
    where it is above 0, what was captured in excess where it is below."""
    has_gone_out: Callable[[str], bool]
    """Whether a refund, by its id, was paid out and cannot be lowered any more."""
    used: Callable[[str], Decimal]
    """How much of a credit, by its id, was applied to charges and cannot be lowered any more, gross."""

    def lowerable(self, part: SettledPart) -> Decimal:
        """How much of a part can still be lowered, gross, so that nobody has to pay a second time.

        A reduction can be taken back while its invoice is open, and as far as more was captured than it asked for.
        """
        gross = part.net + part.tax
        match part.into:
            case "invoice_reduction":
                return gross if self.balance > 0 else min(gross, -self.balance)
            case "credit":
                return gross - self.used(part.id)
            case "refund" if not self.has_gone_out(part.id):
                return gross
        return gross * 0

    def may_join(self, into: SettleAs, part_id: str) -> bool:
        """Whether an increase goes to this refund or credit, of which nothing has gone out or been used yet."""
        return not (self.has_gone_out(part_id) if into == "refund" else self.used(part_id))


def balance(invoice: Invoice, taken_off: Decimal, applications: Container[str]) -> Decimal:
    """What is owed on an invoice at this moment; below 0 where more was captured than it asks for (policy §7).

    `taken_off` are reductions and applied credits. A payment that confirms one of the `applications` is no money
    besides.
    """
    charged = sum(charge.price + charge.tax for charge in invoice.charges.values())
    captured = sum(
        payment.data.amount
        for payment in invoice.payments.values()
        if payment.data.method != "balance" or payment.data.payment_id not in applications
    )
    return charged - captured - taken_off


def applied(left: Iterable[tuple[str, Decimal]], owed: Decimal) -> Iterator[tuple[str, Decimal]]:
    """How much of each credit pays for what is owed, the oldest credit first and never more than is owed (policy §7).

    `left` says what is left of each credit, gross, in the order in which they were granted.
    """
    for credit_id, amount in left:
        part = min(amount, owed)
        if part > 0:
            yield credit_id, part
            owed -= part


def settle(
    claim_id: str,
    parts: tuple[SettledPart, ...],
    amount: Decimal,
    tax: Decimal,
    settle_as: SettleAs,
    currency: str,
    owing: Owing,
) -> tuple[SettledPart, ...]:
    """The parts that a claim of `amount` net and `tax` is settled by, given those it was settled by before."""
    net_change = amount - sum(part.net for part in parts)
    tax_change = tax - sum(part.tax for part in parts)
    if net_change + tax_change > 0:
        settled = _increased(claim_id, parts, net_change, tax_change, settle_as, currency, owing)
    elif net_change or tax_change:
        settled = _decreased(claim_id, parts, net_change, tax_change, currency, owing)
    else:
        return parts
    return tuple(part for part in settled if part.net or part.tax)


def _increased(
    claim_id: str,
    parts: tuple[SettledPart, ...],
    net: Decimal,
    tax: Decimal,
    settle_as: SettleAs,
    currency: str,
    owing: Owing,
) -> tuple[SettledPart, ...]:
    overpaid = -sum((part.net + part.tax for part in parts if part.into == "overpaid"), zero(currency))
    rooms: list[tuple[Decimal, Into, str]] = [(overpaid, "overpaid", f"overpaid/{claim_id}")]
    if owing.invoice_id is not None:
        rooms.append((max(owing.balance, zero(currency)), "invoice_reduction", owing.invoice_id))
    for room, into, part_id in rooms:
        part_net, part_tax = _share(net, tax, min(room, net + tax), currency)
        parts = _added(parts, into, part_id, part_net, part_tax)
        net, tax = net - part_net, tax - part_tax
    return _added(parts, settle_as, _open_id(claim_id, parts, settle_as, owing), net, tax)


def _decreased(
    claim_id: str, parts: tuple[SettledPart, ...], net: Decimal, tax: Decimal, currency: str, owing: Owing
) -> tuple[SettledPart, ...]:
    for part in reversed(parts):
        taken = min(owing.lowerable(part), -(net + tax))
        if taken <= 0:
            continue
        whole = taken == part.net + part.tax
        part_net, part_tax = (part.net, part.tax) if whole else _share(-net, -tax, taken, currency)
        parts = _added(parts, part.into, part.id, -part_net, -part_tax)
        net, tax = net + part_net, tax + part_tax
    left = [part for part in parts if part.net or part.tax]
    if not net + tax and left:
        # Cents moved between net and tax, or a part that went whole was shared otherwise: the last part takes them.
        return _added(parts, left[-1].into, left[-1].id, net, tax)
    return _added(parts, "overpaid", f"overpaid/{claim_id}", net, tax)


def _share(net: Decimal, tax: Decimal, gross: Decimal, currency: str) -> tuple[Decimal, Decimal]:
    """Split a gross part into net and tax in the proportion of the whole; the tax is rounded, the net is the rest."""
    if gross == net + tax:
        return net, tax
    part_tax = rounded(max(Fraction(0), ratio(Fraction(tax) * Fraction(gross), net + tax)), currency, "half_up")
    return gross - part_tax, part_tax


def _open_id(claim_id: str, parts: tuple[SettledPart, ...], into: SettleAs, owing: Owing) -> str:
    """The refund or credit that an increase goes to: the last one while nothing of it went out, else the next."""
    numbers = [int(part.id.rsplit("/", 1)[1]) for part in parts if part.into == into]
    latest = max(numbers, default=0)
    while latest and not owing.may_join(into, f"{into}/{claim_id}/{latest}"):
        latest += 1
    return f"{into}/{claim_id}/{max(latest, 1)}"


def _added(
    parts: tuple[SettledPart, ...], into: Into, part_id: str, net: Decimal, tax: Decimal
) -> tuple[SettledPart, ...]:
    if not net and not tax:
        return parts
    for index, part in enumerate(parts):
        if (part.into, part.id) == (into, part_id):
            changed = SettledPart(into=into, id=part_id, net=part.net + net, tax=part.tax + tax)
            return (*parts[:index], changed, *parts[index + 1 :])
    return (*parts, SettledPart(into=into, id=part_id, net=net, tax=tax))
