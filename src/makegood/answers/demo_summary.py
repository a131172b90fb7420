"""What the demo came to: messages, decisions and money by kind, and examples to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ledger.events import STORED_TYPES, Fact, RefundAct
from ledger.store.reading.events import how_many_by_type
from makegood.access.sight import EVERYTHING
from makegood.answers import owed
from makegood.answers.instructions import instructions
from makegood.answers.kept_messages import dead_letters
from makegood.answers.notices import notices
from makegood.house.opening import House
from projections import overpaid
from projections.accounts import listed_reductions
from projections.claims import Claim


@dataclass
class Summary:
    """What a demo came to: messages, claims and money by kind, and examples to look at."""

    published: int
    facts: Counter[str] = field(default_factory=Counter)
    acts: int = 0
    """What people decided about refunds: no message was published for it."""
    decisions: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    claims: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    money: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    accounts: int = 0
    to_explain: tuple[str, str] | None = None
    declined: tuple[str, str] | None = None
    left: list[str] = field(default_factory=list)


def summary_of(house: House, published: int) -> Summary:
    """What stands in a store after so many messages were published."""
    summary = Summary(published)
    with house.database.reading() as transaction:
        for type_, count in how_many_by_type(transaction).items():
            if issubclass(STORED_TYPES[type_], RefundAct):
                summary.acts += count
            elif issubclass(STORED_TYPES[type_], Fact):
                summary.facts[type_] = count
            else:
                summary.decisions += count
    for letter in dead_letters(house, {}):
        summary.refused[letter["reason"], letter["field"] or ""] += 1
    claims = owed.claims(house, EVERYTHING)
    summary.accounts = summary.facts["account-registered.v1"]
    for claim in claims:
        summary.claims[claim["clause"], claim["outcome"], claim["reason"] or ""] += 1
    _sum_money(house, claims, summary)
    summary.left = _left(house)
    granted = [c for c in claims if c["outcome"] == "granted" and c["settlement"] == "refund"]
    unused = [c for c in granted if c["clause"] == "unused_period"] or granted
    late = [c for c in claims if c["reason"] == "reported_late"]
    summary.to_explain = (unused[0]["account_id"], unused[0]["claim_id"]) if unused else None
    summary.declined = (late[0]["account_id"], late[0]["claim_id"]) if late else None
    return summary


def _left(house: House) -> list[str]:
    """What is to be told to customers, carried out elsewhere and seen to by people, and how to ask for it."""
    told: Counter[str] = Counter(
        instruction["kind"] for instruction in instructions(house, EVERYTHING, still_open=True)
    )
    mails: Counter[str] = Counter(notice["kind"] for notice in notices(house))
    complaints = owed.complaints(house, EVERYTHING, still_open=True)
    return [
        f"{sum(mails.values())} e-mails to customers waiting for a mail server ({_counted(mails)}): makegood notices",
        f"{sum(told.values())} instructions waiting for an answer ({_counted(told)}): makegood instructions --open",
        f"{len(complaints)} open complaints: makegood complaints --open",
    ]


def _sum_money(house: House, claims: Sequence[Claim], summary: Summary) -> None:
    def add(currency: str, name: str, amount: str) -> None:
        sums = summary.money.setdefault(currency, {})
        sums[name] = sums.get(name, Decimal(0)) + Decimal(amount)

    for claim in claims:
        if claim["outcome"] == "granted":
            add(claim["currency"], "net", claim["amount"])
            add(claim["currency"], "tax", claim["tax"])
    for refund in owed.refunds(house, EVERYTHING):
        add(refund["currency"], f"refunds {refund['status']}", refund["total"])
    for credit in owed.credits(house, EVERYTHING):
        if credit["claim_id"] is None:  # for an invoice's excess: nothing of it was granted
            add(credit["currency"], "paid in excess", credit["left"])
        else:
            add(credit["currency"], "credits used", credit["used"])
            add(credit["currency"], "credits left", credit["left"])
    for reduction in listed_reductions(house.database):
        add(reduction["currency"], "off invoices", reduction["total"])
    for claim_overpaid in overpaid.listed(house.database):
        add(claim_overpaid["currency"], "overpaid", claim_overpaid["overpaid"])


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(counts.items()))
