"""Double entry: the accounts of the journal, and between which of them each kind of movement books its amount.

Invoices, payments and the bank are kept in the provider's own books. The journal has what Makegood decides, and names
the accounts of those books where the two meet: receivables, bank and tax.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from ledger.events.billing_account import Clause
from projections.movement_kinds import MovementKind, Owed

Of = Literal["total", "net", "tax"]

RECEIVABLES = "Assets:Customers:Receivables"
OVERPAID = "Assets:Customers:Overpaid"
BANK = "Assets:Bank:Refunds"
UNSETTLED = "Liabilities:Customers:Unsettled"
REFUNDS_DUE = "Liabilities:Customers:Refunds:Due"
REFUNDS_SUBMITTED = "Liabilities:Customers:Refunds:Submitted"
CREDITS = "Liabilities:Customers:Credits"
EXCESS = "Liabilities:Customers:Excess"
RECOVERY = "Liabilities:Customers:Recovery"
TAX = "Liabilities:Tax"
REJECTED = "Income:Refunds-Rejected"
WRITTEN_OFF = "Expenses:Written-Off"
CLAIMS: Mapping[Clause, str] = {
    "service_disruption": "Income:Claims:Service-Disruption",
    "billing_error": "Income:Claims:Billing-Error",
    "unused_period": "Income:Claims:Unused-Period",
    "complaint": "Income:Claims:Complaint",
}
"""What claims take from the income, clause by clause."""
CLAIM = "Income:Claims"
"""Stands for the account of the movement's clause."""

ACCOUNTS: Mapping[str, str] = {
    RECEIVABLES: "What customers are asked for on their invoices, in the provider's books.",
    OVERPAID: "What went out to customers and is not owed to them any more, until it is recovered or written off.",
    BANK: "Money that reached customers; in the provider's books the bank or the payment processor.",
    UNSETTLED: "Claims granted, until they are settled; 0 whenever an account is settled.",
    REFUNDS_DUE: "Refunds that are owed and were not submitted, or failed.",
    REFUNDS_SUBMITTED: "Refunds that were submitted and have not arrived.",
    CREDITS: "Credits left.",
    EXCESS: "What customers paid on invoices in excess, until it is a credit.",
    RECOVERY: "What was kept back of credits for overpaid amounts; 0 whenever an account is settled.",
    TAX: "Tax on sales, of which claims take back their part; in the provider's books.",
    REJECTED: "Refunds rejected, less their tax.",
    WRITTEN_OFF: "Overpaid amounts that were given up.",
    **{account: f"Claims of the clause {clause}, less their tax." for clause, account in CLAIMS.items()},
}
"""Every account, and what it has."""

OWED_IN: Mapping[Owed, tuple[str, ...]] = {
    "refunds_due": (REFUNDS_DUE, REFUNDS_SUBMITTED),
    "credits_left": (CREDITS,),
    "excess": (EXCESS,),
    "overpaid": (OVERPAID,),
}
"""The accounts in which each of the amounts owed stands; `overpaid` on the side of what is had."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Between which accounts a movement is booked: those debited and those credited, each with what of its amount."""

    debit: Mapping[str, Of]
    credit: Mapping[str, Of]


def _entry(debit: str, credit: str) -> Entry:
    return Entry({debit: "total"}, {credit: "total"})


ENTRIES: Mapping[MovementKind, Entry] = {
    "granted": Entry({CLAIM: "net", TAX: "tax"}, {UNSETTLED: "total"}),
    "reduced": _entry(UNSETTLED, RECEIVABLES),
    "set_off": _entry(UNSETTLED, RECEIVABLES),
    "corrected": _entry(UNSETTLED, UNSETTLED),
    "refund_due": _entry(UNSETTLED, REFUNDS_DUE),
    "submitted": _entry(REFUNDS_DUE, REFUNDS_SUBMITTED),
    "refunded": _entry(REFUNDS_SUBMITTED, BANK),
    "rejected": Entry({REFUNDS_DUE: "total"}, {REJECTED: "net", TAX: "tax"}),
    "credited": _entry(UNSETTLED, CREDITS),
    "applied": _entry(CREDITS, RECEIVABLES),
    "kept_back": _entry(CREDITS, RECOVERY),
    "credit_refund_due": _entry(CREDITS, REFUNDS_DUE),
    "credit_refunded": _entry(REFUNDS_SUBMITTED, BANK),
    "paid_in_excess": _entry(RECEIVABLES, EXCESS),
    "excess_credited": _entry(EXCESS, CREDITS),
    "overpaid": _entry(OVERPAID, UNSETTLED),
    "recovered": _entry(RECOVERY, OVERPAID),
    "written_off": _entry(WRITTEN_OFF, OVERPAID),
}
"""A movement with a minus is booked the other way round. A refund that arrived and was never submitted is debited to
the refunds due. What is corrected comes to 0: it moves between the net and the tax of a claim."""


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount in an account: debits are positive."""

    account: str
    amount: Decimal


def postings(
    kind: MovementKind, clause: Clause | None, net: Decimal, tax: Decimal, *, submitted: bool
) -> Iterator[Posting]:
    """The postings of a movement, which add up to 0; those of nothing are left out where others remain.

    `submitted` says whether the refund that moved had been submitted.
    """
    parts: dict[Of, Decimal] = {"net": net, "tax": tax, "total": net + tax}
    entry = ENTRIES[kind]
    booked = [
        Posting(_account(account, clause, submitted=submitted), sign * parts[of] + 0)  # no -0.00
        for side, sign in ((entry.debit, 1), (entry.credit, -1))
        for account, of in side.items()
    ]
    yield from [posting for posting in booked if posting.amount] or booked


def _account(account: str, clause: Clause | None, *, submitted: bool) -> str:
    if account == CLAIM and clause is not None:
        return CLAIMS[clause]
    if account == REFUNDS_SUBMITTED and not submitted:
        return REFUNDS_DUE
    return account
