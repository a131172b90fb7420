"""Works out again how claims were settled, from the facts, what was granted, and what had gone out.

What went out (refunds, and what was used of credits and excesses) is taken as it was recorded; all else of an
invoice's settlement is worked out at each event that changed it (§7): what it was charged and paid, its reduction,
what it asks for, its excess, and net and tax of each part of its claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from makegood.evidence.recalculation import (
    DEFAULT_TERMS,
    NOTHING,
    OLDER_RULES,
    RULES,
    Account,
    Fact,
    Recalculation,
    charge_id_of,
    in_figures,
    local_date,
    quotient,
    rounded_money,
)

ELSEWHERE = "a claim left the invoice, or something went back to payments of another one"
OTHER_AMOUNT = "a submitted refund was reported with another amount, or the refund of a credit as failed"
OTHER_CURRENCY = "the account has another currency by now"
NO_CHARGE = "no charge is on the invoice"

TERMS_OF = {"billing-error": "billing_error", "disruption": "disruption", "unused": "cancellation"}
"""The table of an agreement for each kind of claim, in the order in which a charge's claims are settled (§2)."""

Part = tuple[str, str, Fraction, Fraction, bool]
"""The way a part goes, its id, net, tax, and whether it has gone out."""


@dataclass
class Line:
    """A claim within the settlement of its invoice; gross, and the page's letters in words."""

    claim_id: str
    way: str
    granted: Fraction
    tax: Fraction
    told: list[Part]
    """What has gone out with a net and tax of its own."""
    untold: list[tuple[str, Fraction]]
    """The refunds that were reported with an amount only."""
    turned: Fraction
    written_off: Fraction
    reduced: Fraction = NOTHING
    open: Fraction = NOTHING
    too_much: Fraction = NOTHING
    offset: Fraction = NOTHING
    refund: Fraction = NOTHING

    def gone(self, *ways: str) -> Fraction:
        """What has gone out for it, by these ways."""
        told = sum((net + tax for into, _, net, tax, _ in self.told if into in ways), NOTHING)
        return told + (sum((gross for _, gross in self.untold), NOTHING) if "refund" in ways else NOTHING)

    @property
    def gone_out(self) -> Fraction:
        """All that has gone out for it."""
        return self.gone("refund", "credit", "recovered")


def settle(lines: Sequence[Line], charged: Fraction, money: Fraction, balance: Fraction, used: Fraction) -> Fraction:
    """Settle the claims of an invoice, in their order; what it is reduced by."""
    paid = money + balance - used
    wanted = sum((line.granted - line.gone_out for line in lines), NOTHING)
    reduced = left = min(max(NOTHING, wanted), max(NOTHING, charged - paid))
    for line in lines:
        line.reduced = min(left, max(NOTHING, line.granted - line.gone_out))
        left -= line.reduced
        rest = line.granted - line.reduced - line.gone_out
        line.open, line.too_much = max(NOTHING, rest), max(NOTHING, -rest)
    for line in lines:
        for other in lines:
            amount = min(line.too_much, other.open)
            line.too_much -= amount
            line.offset -= amount
            other.open -= amount
            other.offset += amount
    return reduced


def set_off(lines: Sequence[Line], excess: Fraction) -> Fraction:
    """Set what went out too much off against an excess; what is left of that."""
    for line in lines:
        amount = min(line.too_much, excess)
        line.too_much -= amount
        line.offset -= amount
        excess -= amount
    return excess


def give_back(lines: Sequence[Line], money: Fraction, balance: Fraction, paid_out: Fraction, currency: str) -> None:
    """What is open goes back the way the money came, for the claims that are refunded.

    `paid_out` are credits that went out to the invoice's payments.
    """
    refundable = money - paid_out - sum((line.gone("refund") for line in lines), NOTHING)
    for line in lines:
        if line.way != "refund":
            continue
        of_money, of_balance = max(NOTHING, money), max(NOTHING, balance)
        whole = line.gone("refund", "credit") + line.open
        share = min(of_money, rounded_money(quotient(whole * of_money, of_money + of_balance), currency))
        wanted = share - line.gone("refund") - line.turned
        line.refund = max(NOTHING, min(wanted, line.open, refundable))
        refundable -= line.refund
        money -= line.gone("refund") + line.refund
        balance -= line.gone("credit") + line.open - line.refund


def parts_of(line: Line, invoice_id: str | None, currency: str) -> list[Part]:
    """A claim's parts: what has gone out keeps its net and tax, the others share what remains, in order."""
    number = 1
    out = {id_ for into, id_, *_ in line.told if into == "refund"} | {id_ for id_, _ in line.untold}
    while f"refund/{line.claim_id}/{number}" in out:
        number += 1
    written_off = min(line.too_much, line.written_off)
    smaller_first = sorted(line.untold, key=lambda each: (each[1], int(each[0].rpartition("/")[2])))
    others = [
        ("invoice_reduction", invoice_id or "", line.reduced, False),
        ("offset", f"offset/{line.claim_id}", line.offset, False),
        *(("refund", id_, gross, True) for id_, gross in smaller_first),
        ("refund", f"refund/{line.claim_id}/{number}", line.refund, False),
        ("credit", f"credit/{line.claim_id}/1", line.open - line.refund, False),
        ("written_off", f"written-off/{line.claim_id}", -written_off, False),
        ("overpaid", f"overpaid/{line.claim_id}", written_off - line.too_much, False),
    ]
    remaining = line.granted - sum((net + tax for _, _, net, tax, _ in line.told), NOTHING)
    remaining_tax = line.tax - sum((tax for _, _, _, tax, _ in line.told), NOTHING)
    parts, together, given = list(line.told), NOTHING, NOTHING
    for into, id_, gross, gone in others:
        together += gross
        exact = quotient(together * remaining_tax, remaining)
        by_then = rounded_money(abs(exact), currency) * (1 if exact >= 0 else -1)
        if gross:
            parts.append((into, id_, gross - by_then + given, by_then - given, gone))
        given = by_then
    if not remaining and remaining_tax:
        parts.append(("correction", f"correction/{line.claim_id}", -remaining_tax, remaining_tax, False))
    return sorted(parts)


class Resettlement:
    """Works out an account's recorded settlements, beside its recorded claims and event by event."""

    def __init__(self, claims: Recalculation) -> None:
        self._claims = claims
        self._parts: dict[str, list[Part]] = {}
        self._applications: dict[str, Mapping[str, Any]] = {}
        self._submitted: dict[str, list[Mapping[str, Any]]] = {}
        self._older = False

    def take(self, at: str, said: Mapping[str, Any]) -> None:
        """Take in the next event, after the claims did: what went out by it, or whether it follows."""
        data = said["data"]
        match said["type"]:
            case "claim-assessed.v1" | "credit-applied.v1":
                self._older = True
            case "credit-applied.v2":
                self._applications[data["application_id"]] = data
            case "refund-submitted.v1":
                self._submitted.setdefault(data["refund_id"], []).append(data)
            case "settlement-changed.v1":
                self._settlement(at, data)

    def _settlement(self, at: str, data: Mapping[str, Any]) -> None:
        for claim in data["claims"]:
            recorded = self._parts.get(claim["claim_id"], [])
            if not self._older and sorted(map(part_from, claim["before"])) != recorded:
                self._claims.differs(at, f"{claim['claim_id']} was not settled before as the event says")
            self._parts[claim["claim_id"]] = sorted(map(part_from, claim["after"]))
        account = self._claims.account()
        why = self._why_not(account, data)
        if why is not None:
            self._claims.leave_out(why)
            return
        self._claims.decisions += 1
        if data["rules"] != RULES:
            self._claims.differs(at, f"it was settled by rules {data['rules']}, and {RULES} is what holds")
        invoice_id, currency = data["invoice_id"], data["currency"]
        lines = [self._line(account, claim_id) for claim_id in self._claims_with(account, data)]
        if invoice_id is None:
            settle(lines, NOTHING, NOTHING, NOTHING, NOTHING)
        else:
            self._invoice(at, account, data, lines)
        for line in lines:
            worked_out, recorded = parts_of(line, invoice_id, currency), self._parts.get(line.claim_id, [])
            if worked_out != recorded:
                said = f"was recorded as {parts_in_words(recorded, currency)}"
                what = f"and comes to {parts_in_words(worked_out, currency)}"
                self._claims.differs(at, f"the settlement of {line.claim_id} {said}, {what}")

    def _invoice(self, at: str, account: Account, data: Mapping[str, Any], lines: Sequence[Line]) -> None:
        """What an invoice was charged and paid, and what follows."""
        invoice_id, currency, after = data["invoice_id"], data["currency"], data["after"]
        on_it = [id_ for id_, fact in account.charge_facts.items() if fact.data["invoice_id"] == invoice_id]
        charges = [account.charge_facts[id_].data for id_ in on_it]
        charged = sum((Fraction(c["price"]) + Fraction(c.get("tax") or "0") for c in charges), NOTHING)
        money, balance = self._paid(account, invoice_id)
        used = Fraction(after["excess_used"])
        reduced = settle(lines, charged, money, balance, used)
        excess = set_off(lines, max(NOTHING, money + balance - used - charged))
        give_back(lines, money, balance, self._paid_out(invoice_id), currency)
        worked_out = {
            "charged": charged,
            "paid_in_money": money,
            "paid_from_balance": balance,
            "reduced": reduced,
            "asks_for": max(NOTHING, charged - reduced - (money + balance - used)),
            "excess": excess,
        }
        for name, amount in worked_out.items():
            if Fraction(after[name]) != amount:
                figures = in_figures(amount, currency)
                self._claims.differs(at, f"`{name}` of {invoice_id} is {after[name]}, and comes to {figures}")

    def _paid(self, account: Account, invoice_id: str) -> tuple[Fraction, Fraction]:
        """What was paid on an invoice in money, and from balance, credits applied to it included."""
        holding: dict[str, Fact] = {}
        facts = account.own("payment-captured") + account.of("payment-failed")
        for fact in sorted(facts, key=lambda f: (f.time, f.kind == "payment-failed", f.id, f.source)):
            holding[fact.data["payment_id"]] = fact
        money = balance = NOTHING
        for fact in holding.values():
            if fact.kind == "payment-captured" and fact.data["invoice_id"] == invoice_id:
                if fact.data["method"] == "balance":
                    balance += Fraction(fact.data["amount"])
                else:
                    money += Fraction(fact.data["amount"])
        for id_, applied in self._applications.items():
            confirmed = holding.get(id_)
            is_told = confirmed is not None and (
                confirmed.kind == "payment-failed" or confirmed.data["method"] == "balance"
            )
            if applied["invoice_id"] == invoice_id and not is_told and applied["currency"] == account.currency:
                balance += Fraction(applied["amount"])
        return money, balance

    def _paid_out(self, invoice_id: str) -> Fraction:
        """The refunds of credits that were returned to an invoice's payments."""
        attempts = [each for id_, of in self._submitted.items() if claim_of_refund(id_) is None for each in of]
        here = (each for each in attempts if each["invoice_id"] == invoice_id)
        return sum((Fraction(each["net"]) + Fraction(each["tax"]) for each in here), NOTHING)

    # --- claims of an invoice ----------------------------------------------------------------------------------

    def _claims_with(self, account: Account, data: Mapping[str, Any]) -> list[str]:
        """The claims that are settled together, in order: those granted, and those for which something went out."""
        if data["invoice_id"] is None:
            return [claim["claim_id"] for claim in data["claims"]]
        settled = {id_ for id_, row in self._claims.recorded.items() if row and row["outcome"] == "granted"}
        settled |= {id_ for id_, parts in self._parts.items() if any(part[4] for part in parts)}
        on_it = [id_ for id_ in settled if invoice_of(account, id_) == data["invoice_id"]]
        return sorted(on_it, key=lambda claim_id: settlement_order(account, claim_id))

    def _line(self, account: Account, claim_id: str) -> Line:
        row = self._claims.recorded.get(claim_id)
        net, tax = (Fraction(row["amount"]), Fraction(row["tax"])) if row else (NOTHING, NOTHING)
        gone = [part for part in self._parts.get(claim_id, []) if part[4]]
        untold = [part for part in gone if part[0] == "refund" and self._is_untold(account, part[1])]
        return Line(
            claim_id,
            way_back(account, claim_id),
            net + tax,
            tax,
            [part for part in gone if part not in untold],
            [(id_, of_net + of_tax) for _, id_, of_net, of_tax, _ in untold],
            acts_amount(account, "refund-turned-into-credit", claim_id),
            acts_amount(account, "overpaid-written-off", claim_id),
        )

    def _is_untold(self, account: Account, refund_id: str) -> bool:
        """Whether a refund that we had not submitted was reported with an amount."""
        return refund_id not in self._submitted and named_amount(account, refund_id) is not None

    def _why_not(self, account: Account, data: Mapping[str, Any]) -> str | None:
        """Why a settlement is not worked out; None where it is."""
        invoice_id = data["invoice_id"]
        if self._older:
            return OLDER_RULES
        if account.registration is None or data["currency"] != account.currency:
            return OTHER_CURRENCY
        if invoice_id is not None and (
            data["after"] is None or invoice_id not in {fact.data["invoice_id"] for fact in account.all_charges()}
        ):
            return NO_CHARGE
        if any(invoice_of(account, claim["claim_id"]) != invoice_id for claim in data["claims"]):
            return ELSEWHERE
        for refund_id, attempts in self._submitted.items():
            claim_id = claim_of_refund(refund_id)
            for attempt in attempts:
                there = attempt["invoice_id"]
                home = invoice_of(account, claim_id) if claim_id is not None else there
                if invoice_id in (home, there) and home != there:
                    return ELSEWHERE
                if invoice_id == home and self._is_reported(account, refund_id, attempt, claim_id is None):
                    return OTHER_AMOUNT
        return None

    def _is_reported(self, account: Account, refund_id: str, attempt: Mapping[str, Any], failed: bool) -> bool:
        """Whether a submitted refund was reported with another amount or as failed in part, or where that is asked,
        as failed."""
        amounts = {each["return_id"]: Fraction(each["net"]) + Fraction(each["tax"]) for each in attempt["returns"]}
        amounts[refund_id] = sum(amounts.values(), NOTHING)
        reports = [f for f in account.of("refund-succeeded", "refund-failed") if f.data["refund_id"] in amounts]
        named = [f for f in reports if f.data.get("amount") is not None]
        has_failed = any(f.kind == "refund-failed" for f in reports)
        others = any(Fraction(f.data["amount"]) != amounts[f.data["refund_id"]] for f in named)
        return others or (has_failed and (failed or bool(named)))


def part_from(said: Mapping[str, Any]) -> Part:
    """A part as an event has it."""
    return said["into"], said["id"], Fraction(said["net"]), Fraction(said["tax"]), said["status"] == "gone_out"


def parts_in_words(parts: Iterable[Part], currency: str) -> str:
    """Parts, in words."""
    said = [
        f"{into} {in_figures(net, currency)} and {in_figures(tax, currency)} tax{', gone out' if gone else ''}"
        for into, _, net, tax, gone in parts
    ]
    return "; ".join(said) or "nothing"


def claim_of_refund(refund_id: str) -> str | None:
    """The claim that a refund is for; None for what pays out a credit."""
    found = re.fullmatch(r"refund/((?:billing-error|disruption|unused|goodwill)/.+)/([0-9]+)", refund_id)
    return found[1] if found else None


def acts_amount(account: Account, kind: str, claim_id: str) -> Fraction:
    """What people decided about a claim, together."""
    return sum(
        (
            Fraction(fact.data["amount"])
            for fact in account.own(kind)
            if claim_id == (fact.data.get("claim_id") or claim_of_refund(fact.data.get("refund_id", "")))
        ),
        NOTHING,
    )


def named_amount(account: Account, refund_id: str) -> Fraction | None:
    """The amount that the latest report of success since the last failure names, of those that name one."""
    amount = None
    for fact in account.of("refund-succeeded", "refund-failed"):
        if fact.data["refund_id"] == refund_id and fact.data.get("currency") in (None, account.currency):
            if fact.kind == "refund-failed":
                amount = None
            elif fact.data.get("amount") is not None:
                amount = Fraction(fact.data["amount"])
    return amount


def charge_of(account: Account, claim_id: str) -> Fact | None:
    """The fact of a claim's charge: of a dispute's the one that its verdict names, else its report."""
    kind, _, id_ = claim_id.partition("/")
    if kind == "billing-error":
        of = account.verdicts().get(id_) or account.disputes().get(id_)
        id_ = of.data["charge_id"] if of is not None else ""
    elif kind == "goodwill":
        return None
    left_out = next((fact for fact in account.all_charges() if charge_id_of(fact) == id_), None)
    return account.charge_facts.get(id_) or left_out


def invoice_of(account: Account, claim_id: str) -> str | None:
    """The invoice that a claim is on; None for one that is on none."""
    fact = charge_of(account, claim_id)
    return fact.data["invoice_id"] if fact is not None else None


def settlement_order(account: Account, claim_id: str) -> tuple[Any, ...]:
    """By charge: a cycle's first day, a one-off's local date, then the id; within one as in §2."""
    fact = charge_of(account, claim_id)
    assert fact is not None, "only a claim on a charge is on an invoice"
    is_cycle = fact.kind == "cycle-started"
    day = date.fromisoformat(fact.data["starts_on"]) if is_cycle else local_date(fact.time, account.zone)
    kind, _, id_ = claim_id.partition("/")
    verdict = account.verdicts().get(id_) if kind == "billing-error" else None
    decided = (0, verdict.order) if verdict is not None else (1, ())
    return day, charge_id_of(fact), list(TERMS_OF).index(kind), decided, claim_id


def way_back(account: Account, claim_id: str) -> str:
    """As the confirmation asks, else as the agreement says for the clause; goodwill is a credit."""
    kind, _, id_ = claim_id.partition("/")
    if kind not in TERMS_OF:
        return "credit"
    verdict = account.verdicts().get(id_) if kind == "billing-error" else None
    if verdict is not None and verdict.data.get("settle_as") is not None:
        return str(verdict.data["settle_as"])
    fact = charge_of(account, claim_id)
    terms = account.terms.get(fact.data.get("subscription_id")) if fact is not None else None
    return str((terms or DEFAULT_TERMS)[TERMS_OF[kind]]["settle_as"])
