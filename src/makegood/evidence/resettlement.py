"""Works out again how claims were settled, from the facts, what was granted, and what had gone out.

What was used of credits and excesses, and what was reported of refunds that were not submitted, is taken as it was
recorded; all else of an invoice's settlement is worked out at each event that changed it (§7): what it was charged
and paid, its reduction, what it asks for, its excess, and net and tax of each part of its claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any, NamedTuple

from makegood.evidence.recalculation import (
    DEFAULT_TERMS,
    NOTHING,
    OLDER_RULES,
    RULES,
    TAKEN_AS_RECORDED,
    Account,
    Fact,
    Recalculation,
    charge_id_of,
    in_figures,
    local_date,
    quotient,
    rounded_money,
)

REPORTED_FIRST = "a refund was reported to have arrived before it was submitted"
OTHER_CURRENCY = "the account has another currency by now"

TERMS_OF = {"billing-error": "billing_error", "disruption": "disruption", "unused": "cancellation"}
"""The table of an agreement for each kind of claim, in the order in which a charge's claims are settled (§2)."""

Part = tuple[str, str, Fraction, Fraction, bool]
"""The way a part goes, its id, net, tax, and whether it has gone out."""


class Attempt(NamedTuple):
    """What has gone out of a refund that was submitted once.

    Net and tax are those of the returns that went out as submitted; those that went out `otherwise` are gross.
    """

    invoice_id: str
    net: Fraction
    tax: Fraction
    otherwise: Fraction

    @property
    def gross(self) -> Fraction:
        """All of it."""
        return self.net + self.tax + self.otherwise


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
    """The refunds of which an amount only was reported."""
    elsewhere: Fraction
    """The refunds that were returned to payments of other invoices."""
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
    def refunded(self) -> Fraction:
        """The refunds that count with the invoice."""
        return self.gone("refund") - self.elsewhere

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


def give_back(lines: Sequence[Line], money: Fraction, balance: Fraction, refundable: Fraction, currency: str) -> None:
    """What is open goes back the way the money came, for the claims that are refunded.

    `refundable` is the money of which nothing has gone out again to the invoice's payments.
    """
    for line in lines:
        if line.way != "refund":
            continue
        of_money, of_balance = max(NOTHING, money), max(NOTHING, balance)
        whole = line.refunded + line.gone("credit") + line.open
        share = min(of_money, rounded_money(quotient(whole * of_money, of_money + of_balance), currency))
        line.refund = max(NOTHING, min(share - line.refunded - line.turned, line.open, refundable))
        refundable -= line.refund
        money -= line.refunded + line.refund
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
    return joined(parts)


def joined(parts: Iterable[Part]) -> list[Part]:
    """What goes one way under one id, as one part each."""
    sums: dict[tuple[str, str, bool], tuple[Fraction, Fraction]] = {}
    for into, id_, net, tax, gone in parts:
        before = sums.get((into, id_, gone), (NOTHING, NOTHING))
        sums[into, id_, gone] = (before[0] + net, before[1] + tax)
    return sorted((into, id_, net, tax, gone) for (into, id_, gone), (net, tax) in sums.items())


class Resettlement:
    """Works out an account's recorded settlements, beside its recorded claims and event by event."""

    def __init__(self, claims: Recalculation) -> None:
        self._claims = claims
        self._parts: dict[tuple[str, str], list[Part]] = {}
        """The parts of each claim in each currency, as they were recorded last."""
        self._applications: dict[str, Mapping[str, Any]] = {}
        self._submitted: dict[str, list[Mapping[str, Any]]] = {}
        self._attempts_before: dict[str, int] = {}
        """How often its refund had been submitted when a report was recorded, by the report's event."""
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
                self._submission(at, data)
                self._submitted.setdefault(data["refund_id"], []).append(data)
            case "refund-succeeded.v1" | "refund-succeeded.v2" | "refund-failed.v1":
                self._attempts_before[said["event_id"]] = len(self._submitted.get(data["refund_id"], []))
            case "settlement-changed.v1":
                self._settlement(at, data)

    def _submission(self, at: str, data: Mapping[str, Any]) -> None:
        """A claim's refund is submitted with the net and tax that it is due with, and its returns add up to them."""
        refund_id, currency = data["refund_id"], data["currency"]
        claim_id = claim_of_refund(refund_id)
        if claim_id is None or self._older:
            self._claims.leave_out(TAKEN_AS_RECORDED if claim_id is None else OLDER_RULES)
            return
        self._claims.decisions += 1
        parts = self._parts.get((claim_id, currency), [])
        due = [(net, tax) for into, id_, net, tax, gone in parts if (into, id_, gone) == ("refund", refund_id, False)]
        submitted = Fraction(data["net"]), Fraction(data["tax"])
        returned = tuple(sum((Fraction(each[of]) for each in data["returns"]), NOTHING) for of in ("net", "tax"))
        if data["rules"] != RULES:
            self._claims.differs(at, f"it was submitted by rules {data['rules']}, and {RULES} is what holds")
        if due != [submitted] or returned != submitted:
            said = f"{in_figures(submitted[0], currency)} and {in_figures(submitted[1], currency)} tax"
            self._claims.differs(at, f"{refund_id} was submitted with {said}, and is not due so, or not returned so")

    def _settlement(self, at: str, data: Mapping[str, Any]) -> None:
        for claim in data["claims"]:
            of = claim["claim_id"], data["currency"]
            recorded = self._parts.get(of, [])
            if not self._older and sorted(map(part_from, claim["before"])) != recorded:
                self._claims.differs(at, f"{claim['claim_id']} was not settled before as the event says")
            self._parts[of] = sorted(map(part_from, claim["after"]))
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
        on_it = {line.claim_id for line in lines}
        for claim in data["claims"]:
            goes_along = [part for part in map(part_from, claim["before"]) if part[0] in ("refund", "credit")]
            if claim["claim_id"] not in on_it and list(map(part_from, claim["after"])) not in ([], goes_along):
                what = "is not on the invoice, and takes something else along than its refunds and credits"
                self._claims.differs(at, f"{claim['claim_id']} {what}")
        for line in lines:
            worked_out = parts_of(line, invoice_id, currency)
            recorded = self._parts.get((line.claim_id, currency), [])
            if worked_out != recorded:
                said = f"was recorded as {parts_in_words(recorded, currency)}"
                what = f"and comes to {parts_in_words(worked_out, currency)}"
                self._claims.differs(at, f"the settlement of {line.claim_id} {said}, {what}")

    def _invoice(self, at: str, account: Account, data: Mapping[str, Any], lines: Sequence[Line]) -> None:
        """What an invoice was charged and paid, and what follows."""
        invoice_id, currency, after = data["invoice_id"], data["currency"], data["after"]
        on_it = [id_ for id_, fact in account.charge_facts.items() if fact.data["invoice_id"] == invoice_id]
        charges = [account.charge_facts[id_].data for id_ in on_it]
        is_named = any(fact.data["invoice_id"] == invoice_id for fact in account.all_charges())
        if after is None:
            if is_named:
                self._claims.differs(at, f"{invoice_id} has charges, and was recorded as without any")
            return
        charged = sum((Fraction(c["price"]) + Fraction(c.get("tax") or "0") for c in charges), NOTHING)
        money, balance = self._paid(account, invoice_id)
        returned = self._returned(account, invoice_id, lines)
        used = Fraction(after["excess_used"])
        reduced = settle(lines, charged, money, balance, used)
        excess = set_off(lines, max(NOTHING, money + balance - used - charged))
        give_back(lines, money, balance, money - returned, currency)
        worked_out = {
            "charged": charged,
            "paid_in_money": money,
            "paid_from_balance": balance,
            "reduced": reduced,
            "asks_for": max(NOTHING, charged - reduced - (money + balance - used)),
            "excess": excess if is_named else NOTHING,
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

    def _returned(self, account: Account, invoice_id: str, lines: Sequence[Line]) -> Fraction:
        """What has gone out to an invoice's payments, for whatever; of what was not submitted, that of its claims."""
        attempts = [attempt for refund_id in self._submitted for attempt in self._attempts(account, refund_id)]
        submitted = sum((attempt.gross for attempt in attempts if attempt.invoice_id == invoice_id), NOTHING)
        told = [(id_, net + tax) for line in lines for into, id_, net, tax, _ in line.told if into == "refund"]
        reported = [*told, *(each for line in lines for each in line.untold)]
        return submitted + sum((gross for id_, gross in reported if id_ not in self._submitted), NOTHING)

    # --- what the payment processor says of a submitted refund -------------------------------------------------

    def _reports(self, account: Account, refund_id: str) -> list[list[Fact]]:
        """The reports on the whole of a refund, by the attempt that each is about; the first are about none.

        It is the last attempt before the report was recorded. One that is not later than the failure by which an
        earlier attempt ended is about that one: it is an old answer that came again.
        """
        about: list[list[Fact]] = [[] for _ in range(len(self._submitted[refund_id]) + 1)]
        failed_at: dict[int, datetime] = {}
        reports = account.refund_reports.get(refund_id, [])
        for report in sorted(reports, key=lambda each: self._attempts_before[each.event_id]):
            number = self._attempts_before[report.event_id]
            while number and number - 1 in failed_at and report.time <= failed_at[number - 1]:
                number -= 1
            about[number].append(report)
            if report.kind == "refund-failed":
                failed_at[number] = max(report.time, failed_at.get(number, report.time))
        return about

    def _attempts(self, account: Account, refund_id: str) -> list[Attempt]:
        """What has gone out by each attempt to pay a refund, in the account's currency."""
        _, *about = self._reports(account, refund_id)
        return [
            attempt_from(account, submitted, whole)
            for submitted, whole in zip(self._submitted[refund_id], about, strict=True)
            if submitted["currency"] == account.currency
        ]

    # --- claims of an invoice ----------------------------------------------------------------------------------

    def _claims_with(self, account: Account, data: Mapping[str, Any]) -> list[str]:
        """The claims that are settled together, in order: those granted, and those for which something went out."""
        if data["invoice_id"] is None:
            return [claim["claim_id"] for claim in data["claims"]]
        settled = {id_ for id_, row in self._claims.recorded.items() if row and row["outcome"] == "granted"}
        in_currency = ((id_, parts) for (id_, of), parts in self._parts.items() if of == data["currency"])
        settled |= {id_ for id_, parts in in_currency if any(part[4] for part in parts)}
        on_it = [id_ for id_ in settled if invoice_of(account, id_) == data["invoice_id"]]
        return sorted(on_it, key=lambda claim_id: settlement_order(account, claim_id))

    def _line(self, account: Account, claim_id: str) -> Line:
        row = self._claims.recorded.get(claim_id)
        net, tax = (Fraction(row["amount"]), Fraction(row["tax"])) if row else (NOTHING, NOTHING)
        told: list[Part] = []
        untold: list[tuple[str, Fraction]] = []
        elsewhere = NOTHING
        for part in self._parts.get((claim_id, account.currency), []):
            into, id_, of_net, of_tax, gone = part
            if not gone or (into == "refund" and id_ in self._submitted):
                continue
            if into == "refund" and naming(account.refund_reports.get(id_, [])) is not None:
                untold.append((id_, of_net + of_tax))
            else:
                told.append(part)
        for id_ in filter(lambda each: claim_of_refund(each) == claim_id, self._submitted):
            for attempt in self._attempts(account, id_):
                if attempt.net + attempt.tax:
                    told.append(("refund", id_, attempt.net, attempt.tax, True))
                if attempt.otherwise:
                    untold.append((id_, attempt.otherwise))
                if attempt.invoice_id != invoice_of(account, claim_id):
                    elsewhere += attempt.gross
        return Line(
            claim_id,
            way_back(account, claim_id),
            net + tax,
            tax,
            told,
            untold,
            elsewhere,
            acts_amount(account, "refund-turned-into-credit", claim_id),
            acts_amount(account, "overpaid-written-off", claim_id),
        )

    def _why_not(self, account: Account, data: Mapping[str, Any]) -> str | None:
        """Why a settlement is not worked out; None where it is."""
        if self._older:
            return OLDER_RULES
        if account.registration is None or data["currency"] != account.currency:
            return OTHER_CURRENCY
        claims = self._claims_with(account, data)
        refunds = [refund_id for refund_id in self._submitted if claim_of_refund(refund_id) in claims]
        if any(has_arrived(self._reports(account, refund_id)[0]) for refund_id in refunds):
            return REPORTED_FIRST
        return None


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


def since_failure(reports: Sequence[Fact]) -> list[Fact]:
    """The reports of success since the last failure, in order."""
    since: list[Fact] = []
    for fact in reports:
        since = [*since, fact] if fact.kind == "refund-succeeded" else []
    return since


def has_arrived(reports: Sequence[Fact]) -> bool:
    """Whether the latest of some reports is one of success."""
    return bool(since_failure(reports))


def naming(reports: Sequence[Fact]) -> Fact | None:
    """The latest report of success since the last failure that names an amount."""
    return next((fact for fact in reversed(since_failure(reports)) if fact.data.get("amount") is not None), None)


def attempt_from(account: Account, submitted: Mapping[str, Any], whole: Sequence[Fact]) -> Attempt:
    """What has gone out of an attempt, by the reports on the whole of it and on its returns.

    Where the whole is reported with another amount, its first return bears the difference as far as it goes, then
    the next.
    """
    asked = {each["return_id"]: (Fraction(each["net"]), Fraction(each["tax"])) for each in submitted["returns"]}
    out: dict[str, Fraction] = {}
    of_whole: dict[str, Fact] = {}
    for return_id, (net, tax) in asked.items():
        reports = sorted([*account.refund_reports.get(return_id, []), *whole], key=lambda fact: fact.order)
        if reports and not has_arrived(reports):
            continue
        out[return_id] = net + tax
        named = naming(reports)
        if named is not None and named.data["refund_id"] == return_id:
            out[return_id] = Fraction(named.data["amount"])
        elif named is not None:
            of_whole[return_id] = named
    if of_whole:
        latest = max(of_whole.values(), key=lambda fact: fact.order)
        difference = Fraction(latest.data["amount"]) - sum(out.values(), NOTHING)
        for return_id in of_whole:
            bears = max(-out[return_id], difference)
            out[return_id] += bears
            difference -= bears
    as_asked = [asked[id_] for id_, gross in out.items() if gross == sum(asked[id_])]
    otherwise = sum((gross for id_, gross in out.items() if gross != sum(asked[id_])), NOTHING)
    net, tax = (sum(amounts, NOTHING) for amounts in zip(*as_asked, strict=True)) if as_asked else (NOTHING, NOTHING)
    return Attempt(submitted["invoice_id"], net, tax, otherwise)


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
