"""Works recorded decisions out again, from an account's facts and the texts of its agreements alone.

A reading of the published policy that shares no code with the ledger: one function per rule, named by its section.
It becomes a part of `verify.py`, and needs nothing but Python's standard library. Nothing here is quick: each
decision is worked out anew, at its own instant, from all facts that were recorded before it.

Money is a `Fraction` in major units, an instant is a `datetime` in UTC, and a `Stretch` of time is a pair of
instants, its end excluded.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil, floor
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

RULES = 2
"""The revision of the rules that stands here; decisions say theirs."""

DAY = timedelta(days=1)
FOREVER = datetime.max.replace(tzinfo=UTC)
NOTHING = Fraction(0)

DECIMALS = {
    code: decimals
    for decimals, codes in {
        0: "ADP BEF BIF BYB BYR CLP DJF ESP GNF GRD ISK ITL JPY KMF KRW LUF MGF PTE PYG ROL RWF TPE TRL UGX UYI VND "
        "VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for code in codes.split()
}
"""The decimals of the currencies that have not two."""

DEFAULT_TERMS: dict[str, dict[str, Any]] = {
    "proration": {"basis": "actual_days", "rounding": "half_up"},
    "disruption": {
        "significant_after": "PT24H",
        "report_within": "PT72H",
        "excluded_causes": ["customer_equipment", "force_majeure"],
        "floor": "monthly_30th",
        "settle_as": "credit",
    },
    "billing_error": {"settle_as": "refund"},
    "cancellation": {
        "unused_period": "from_request",
        "notice_days": 0,
        "minimum_term_days": 0,
        "settle_as": "refund",
        "fee": {},
    },
}

Terms = Mapping[str, Mapping[str, Any]]
Stretch = tuple[datetime, datetime]


def terms_from(text: str) -> Terms:
    """The terms of an agreement's text, with the defaults of what it leaves out."""
    told = tomllib.loads(text)
    return {table: {**defaults, **told.get(table, {})} for table, defaults in DEFAULT_TERMS.items()}


# --- time and money: §2 --------------------------------------------------------------------------------------------


def instant(text: str) -> datetime:
    """An instant in UTC, so that differences are elapsed time."""
    return datetime.fromisoformat(text).astimezone(UTC)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """The date of an instant in the account's zone."""
    return moment.astimezone(zone).date()


@lru_cache(maxsize=10_000)
def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local date; of a skipped date, the instant of the skip."""
    first = datetime(day.year, day.month, day.day, tzinfo=zone, fold=0).astimezone(UTC)
    while local_date(first - timedelta(minutes=1), zone) >= day:  # clocks were put forward from before midnight
        first -= timedelta(minutes=1)
    return first


def duration(text: str) -> timedelta:
    """A duration of fixed length in ISO 8601, such as PT72H."""
    found = re.fullmatch(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text, re.ASCII)
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0,) * 5
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches that overlap or touch are one (§3)."""
    merged: list[Stretch] = []
    for begin, end in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def within(stretches: Iterable[Stretch], limits: Stretch) -> list[Stretch]:
    """What of the stretches lies inside the limits."""
    cut = [(max(begin, limits[0]), min(end, limits[1])) for begin, end in stretches]
    return [(begin, end) for begin, end in cut if begin < end]


def without(stretches: list[Stretch], hole: Stretch) -> list[Stretch]:
    """What of the stretches lies outside the hole."""
    if hole[0] >= hole[1]:
        return stretches
    before = [(begin, min(end, hole[0])) for begin, end in stretches]
    after = [(max(begin, hole[1]), end) for begin, end in stretches]
    return [(begin, end) for begin, end in before + after if begin < end]


def length(stretches: Iterable[Stretch]) -> timedelta:
    """The elapsed time of stretches together."""
    return sum((end - begin for begin, end in stretches), timedelta(0))


def quotient(above: Fraction | int, below: Fraction | int) -> Fraction:
    """A quotient whose divisor is 0 is 0 (§1)."""
    return Fraction(above) / Fraction(below) if below else NOTHING


def time_quotient(above: timedelta, below: timedelta) -> Fraction:
    """The quotient of two stretches of time, by the microsecond."""
    return quotient(above // timedelta(microseconds=1), below // timedelta(microseconds=1))


def rounded_money(amount: Fraction, currency: str, rounding: str = "half_up") -> Fraction:
    """Half up, or half to even, at the currency's minor unit."""
    scale = 10 ** DECIMALS.get(currency, 2)
    whole = floor(amount * scale)
    rest = amount * scale - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and (rounding == "half_up" or whole % 2 == 1)):
        whole += 1
    return Fraction(whole, scale)


def in_figures(amount: Fraction, currency: str) -> str:
    """An amount as events have it."""
    digits = DECIMALS.get(currency, 2)
    return str(Decimal(int(amount * 10**digits)).scaleb(-digits))


# --- facts: §1 -----------------------------------------------------------------------------------------------------


AMOUNTS = ("price", "tax", "monthly_price", "amount", "claimed")


@dataclass(frozen=True)
class Fact:
    """A message from upstream, as an event has it."""

    kind: str
    event_id: str
    time: datetime
    id: str
    source: str
    data: Mapping[str, Any] = field(hash=False)

    @property
    def order(self) -> tuple[datetime, str, str]:
        """Where times are the same the ids decide, by code point, then the sources."""
        return (self.time, self.id, self.source)

    @property
    def content(self) -> tuple[str, dict[str, Any]]:
        """What is compared when one business id comes twice; free text is not in an event."""
        said: dict[str, Any] = {}
        for name, value in self.data.items():
            if value is not None and name not in ("message", "sealed"):
                reads_as = instant if name.endswith("_at") else Fraction if name in AMOUNTS else None
                said[name] = reads_as(value) if reads_as is not None else value
        return self.kind, said


def fact_from(said: Mapping[str, Any]) -> Fact | None:
    """The fact of an event; None where it is a decision."""
    message = said["data"].get("message")
    if not isinstance(message, dict) or "source" not in message:
        return None
    kind = said["type"].rpartition(".v")[0]
    return Fact(kind, said["event_id"], instant(message["time"]), message["id"], message["source"], said["data"])


def never_retracted(facts: Sequence[Fact]) -> list[Fact]:
    """What its own source retracted was never so, whichever came first; a retraction can be, too."""
    retractions: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        if fact.kind == "fact-retracted" and fact.source == fact.data["retracts"]["source"]:
            retractions.setdefault((fact.source, fact.data["retracts"]["id"]), []).append(fact)

    def was_never_said(fact: Fact, looked_at: tuple[Fact, ...] = ()) -> bool:
        """Retractions that go round in a circle concern nothing but each other: looking at them only has to end."""
        return any(
            retraction in looked_at or not was_never_said(retraction, (*looked_at, retraction))
            for retraction in retractions.get((fact.source, fact.id), [])
        )

    return [fact for fact in facts if not was_never_said(fact)]


@dataclass
class Charge:
    """A cycle or a one-off (§2)."""

    id: str
    subscription_id: str | None
    price: Fraction
    tax: Fraction


@dataclass
class Cycle(Charge):
    """A billing cycle (§2)."""

    starts_on: date
    ends_on: date
    time: Stretch
    prepaid: bool
    own_monthly_price: Fraction | None

    @property
    def days(self) -> int:
        """In calendar days, even where the zone skipped a date."""
        return (self.ends_on - self.starts_on).days

    @property
    def monthly_price(self) -> Fraction:
        """The cycle's own, else its price, for cycles longer than 31 days of 30 days (§3)."""
        if self.own_monthly_price is not None:
            return self.own_monthly_price
        return self.price if self.days <= 31 else self.price * 30 / self.days

    def days_of_price(self, basis: str) -> int:
        """What a price is divided by: the days, or with `thirty_days` 30 for each month of 28 days or more (§3)."""
        if basis == "actual_days" or self.days < 28:
            return self.days
        return 30 * floor(Fraction(self.days) / Fraction("30.4375") + Fraction(1, 2))


def charge_id_of(fact: Fact) -> str:
    """The id of a cycle or a one-off."""
    return str(fact.data["cycle_id"] if fact.kind == "cycle-started" else fact.data["charge_id"])


def cycles_overlap(one: Fact, other: Fact) -> bool:
    """Whether two facts are cycles of one subscription that share a date."""
    return (
        one.kind == other.kind == "cycle-started"
        and one.data["subscription_id"] == other.data["subscription_id"]
        and one.data["starts_on"] < other.data["ends_on"]
        and other.data["starts_on"] < one.data["ends_on"]
    )


class Row(NamedTuple):
    """What a claim comes to."""

    clause: str
    subscription_id: str | None
    charge_id: str | None
    currency: str
    outcome: str
    reason: str | None
    amount: Fraction
    tax: Fraction
    settle_as: str


class Account:
    """An account's facts in order, of which those that contradict earlier ones are left out, and its terms."""

    def __init__(
        self, facts: Sequence[Fact], bindings: Mapping[tuple[str, str], str], texts: Mapping[str, Terms]
    ) -> None:
        self._facts = sorted(never_retracted(facts), key=lambda fact: fact.order)
        registered = self.of("account-registered")
        self.registration = registered[0] if registered else None
        if self.registration is None:
            return
        self.zone = ZoneInfo(self.registration.data["time_zone"])
        self.currency: str = self.registration.data["currency"]
        self.subscriptions = first_of_each(self.of("subscription-registered"), "subscription_id")
        self.terms: dict[str | None, Terms | None] = {None: DEFAULT_TERMS}
        for subscription_id, fact in self.subscriptions.items():
            bound = bindings.get((fact.event_id, str(self.zone)))
            self.terms[subscription_id] = texts[bound] if bound is not None else None
        self.charge_facts = self._kept_charges()
        """Of each charge the fact that counts, also where its subscription is not known yet."""
        self.charges = {
            id_: self._charge(fact)
            for id_, fact in self.charge_facts.items()
            if fact.data.get("subscription_id") in self.terms
        }

    def of(self, *kinds: str) -> list[Fact]:
        """The facts of some kinds, in order."""
        return [fact for fact in self._facts if fact.kind in kinds]

    def all_charges(self) -> list[Fact]:
        """The facts of cycles and one-offs, those that are left out too."""
        return self.of("cycle-started", "charge-posted")

    def own(self, *kinds: str) -> list[Fact]:
        """Those in the account's currency; one in another contradicts its registration."""
        return [fact for fact in self.of(*kinds) if fact.data["currency"] == self.currency]

    def _kept_charges(self) -> dict[str, Fact]:
        """Cycles and one-offs in order; the later of two that contradict each other is left out."""
        kept: dict[str, Fact] = {}
        for fact in self.own("cycle-started", "charge-posted"):
            if charge_id_of(fact) not in kept and not any(cycles_overlap(other, fact) for other in kept.values()):
                kept[charge_id_of(fact)] = fact
        return kept

    def _charge(self, fact: Fact) -> Charge:
        data, id_ = fact.data, charge_id_of(fact)
        price, tax = Fraction(data["price"]), Fraction(data.get("tax") or "0")
        if fact.kind != "cycle-started":
            return Charge(id_, data.get("subscription_id"), price, tax)
        starts_on, ends_on = date.fromisoformat(data["starts_on"]), date.fromisoformat(data["ends_on"])
        time = (midnight(starts_on, self.zone), midnight(ends_on, self.zone))
        monthly = Fraction(data["monthly_price"]) if data.get("monthly_price") is not None else None
        return Cycle(id_, data["subscription_id"], price, tax, starts_on, ends_on, time, data["prepaid"], monthly)

    @cached_property
    def refund_reports(self) -> dict[str, list[Fact]]:
        """What the payment processor reports of each refund and return, in order, in amounts that the account has."""
        reports: dict[str, list[Fact]] = {}
        decimals = 10 ** DECIMALS.get(self.currency, 2)
        for fact in self.of("refund-succeeded", "refund-failed"):
            in_currency = fact.data.get("currency") in (None, self.currency)
            if in_currency and (Fraction(fact.data.get("amount") or "0") * decimals).denominator == 1:
                reports.setdefault(fact.data["refund_id"], []).append(fact)
        return reports

    def verdicts(self) -> dict[str, Fact]:
        """The first verdict on each dispute holds (§4)."""
        confirmed = self.own("overcharge-confirmed") if self.registration else self.of("overcharge-confirmed")
        facts = sorted(confirmed + self.of("overcharge-rejected"), key=lambda fact: fact.order)
        return first_of_each(facts, "dispute_id")

    def disputes(self) -> dict[str, Fact]:
        """The report of each dispute that stands (§1)."""
        reported = self.own("billing-error-reported") if self.registration else self.of("billing-error-reported")
        return first_of_each(reported, "dispute_id")


def first_of_each(facts: Iterable[Fact], business_id: str) -> dict[str, Fact]:
    """Of facts under one business id the first stands (§1)."""
    standing: dict[str, Fact] = {}
    for fact in facts:
        standing.setdefault(fact.data[business_id], fact)
    return standing


# --- claims: §1 ----------------------------------------------------------------------------------------------------


def assess(account: Account, now: datetime) -> dict[str, Row]:
    """What each claim of an account comes to, at an instant."""
    if account.registration is None:
        return {**disputes_without_account(account), **goodwill_rows(account)}
    rows = billing_error_rows(account)
    for subscription_id in account.subscriptions:
        rows |= Service(account, subscription_id, now).rows(granted_by_charge(rows))
    for charge in account.charges.values():
        rows |= with_tax(account, charge, rows)
    return rows | goodwill_rows(account)


def granted_by_charge(rows: Mapping[str, Row]) -> dict[str | None, Fraction]:
    """What has been granted on each charge."""
    granted: dict[str | None, Fraction] = {}
    for row in rows.values():
        granted[row.charge_id] = granted.get(row.charge_id, NOTHING) + row.amount
    return granted


def with_tax(account: Account, charge: Charge, rows: Mapping[str, Row]) -> dict[str, Row]:
    """Tax comes back in step: overcharges, whose rows are in their order, disruption, unused part (§2)."""
    taxed: dict[str, Row] = {}
    terms = account.terms[charge.subscription_id] or DEFAULT_TERMS
    net = returned = NOTHING
    for clause in ("billing_error", "service_disruption", "unused_period"):
        for claim_id, row in rows.items():
            if (row.charge_id, row.clause, row.outcome) == (charge.id, clause, "granted"):
                net += row.amount
                exact = quotient(charge.tax * net, charge.price)
                due = rounded_money(exact, account.currency, terms["proration"]["rounding"])
                taxed[claim_id] = row._replace(tax=due - returned)
                returned = due
    return taxed


# --- billing errors: §4 --------------------------------------------------------------------------------------------


def disputes_without_account(account: Account) -> dict[str, Row]:
    """Before its account is registered a dispute is pending, in the currency of its message."""
    reports, verdicts = account.disputes(), account.verdicts()
    rows = {}
    for dispute_id in reports.keys() | verdicts.keys():
        facts = [each[dispute_id] for each in (verdicts, reports) if dispute_id in each]
        currencies = [fact.data["currency"] for fact in facts if "currency" in fact.data]
        if currencies:
            way = facts[0].data.get("settle_as") or DEFAULT_TERMS["billing_error"]["settle_as"]
            charge_id = facts[0].data["charge_id"]
            rows[f"billing-error/{dispute_id}"] = Row(
                "billing_error", None, charge_id, currencies[0], "pending", None, NOTHING, NOTHING, way
            )
    return rows


def billing_error_rows(account: Account) -> dict[str, Row]:
    """A row for each dispute, in order of the verdicts' times, then ids."""
    verdicts = account.verdicts()
    deciding = {**account.disputes(), **verdicts}
    granted: dict[str, Fraction] = {}
    rows = {}
    for dispute_id, fact in sorted(deciding.items(), key=lambda each: each[1].order):
        charge = account.charges.get(fact.data["charge_id"])
        terms = account.terms[charge.subscription_id] if charge else None
        outcome, amount, reason = "pending", NOTHING, None
        if fact.kind == "overcharge-rejected":
            outcome, reason = "declined", "rejected"
        elif fact.kind == "overcharge-confirmed" and charge and terms:
            before, confirmed = granted.get(charge.id, NOTHING), Fraction(fact.data["amount"])
            if before + confirmed > charge.price:
                outcome, reason = "declined", "amount_exceeds_charge"
            else:
                outcome, amount = "granted", confirmed
                granted[charge.id] = before + amount
        way = fact.data.get("settle_as") or (terms or DEFAULT_TERMS)["billing_error"]["settle_as"]
        of = charge.subscription_id if charge else None
        rows[f"billing-error/{dispute_id}"] = Row(
            "billing_error", of, fact.data["charge_id"], account.currency, outcome, reason, amount, NOTHING, way
        )
    return rows


# --- goodwill: §8 --------------------------------------------------------------------------------------------------


def goodwill_rows(account: Account) -> dict[str, Row]:
    """A row for each credit that a person proposed; another person decides about it."""
    known: set[str | None] = {None}
    complaints: set[str] = set()
    proposed = account.of("goodwill-proposed")
    if account.registration is not None:
        known |= account.subscriptions.keys()
        complaints |= {fact.data["complaint_id"] for fact in account.of("complaint-opened")}
        proposed = account.own("goodwill-proposed")
    rows = {}
    for credit_id, proposal in first_of_each(proposed, "credit_id").items():
        said = proposal.data
        deciding = [
            fact
            for fact in account.of("goodwill-approved", "goodwill-rejected")
            if fact.data["credit_id"] == credit_id and fact.data["decided_by"] != said["proposed_by"]
        ]
        outcome, amount, reason = "pending", NOTHING, None
        if deciding and said["complaint_id"] in complaints and said.get("subscription_id") in known:
            if deciding[0].kind == "goodwill-approved":
                outcome, amount = "granted", Fraction(said["amount"])
            else:
                outcome, reason = "declined", "rejected"
        of, currency = said.get("subscription_id"), said["currency"]
        rows[f"goodwill/{credit_id}"] = Row(
            "complaint", of, None, currency, outcome, reason, amount, NOTHING, "credit"
        )
    return rows


# --- one subscription: §3, §5 and §6 -------------------------------------------------------------------------------


@dataclass
class Outage:
    """An outage, and why it is not eligible; `resolved_at` is None while it goes on."""

    began_at: datetime
    resolved_at: datetime | None
    flaw: str | None


@dataclass
class UnusedPart:
    """What the claim for a cycle's unused part comes to before its amount is known (§5).

    `outcome` is None while it depends on the amount; `reason` then is the one for an amount of 0.
    """

    outcome: str | None
    reason: str | None
    starts_at: datetime = FOREVER
    days: int = 0


class Service:
    """A subscription with its cycles and the terms that hold for it, at an instant."""

    def __init__(self, account: Account, subscription_id: str, now: datetime) -> None:
        self._account, self._id, self._now = account, subscription_id, now
        self._zone, self._currency = account.zone, account.currency
        self._bound = account.terms[subscription_id] is not None
        self._terms = account.terms[subscription_id] or DEFAULT_TERMS
        cycles = [each for each in account.charges.values() if isinstance(each, Cycle)]
        self._cycles = [each for each in cycles if each.subscription_id == subscription_id]
        self._cycles.sort(key=lambda cycle: cycle.starts_on)
        terminations = [instant(fact.data["terminated_at"]) for fact in self._facts("subscription-terminated")]
        self._terminated_at = min(terminations, default=None)
        self._suspensions = self._find_suspensions()
        self._outages = self._find_outages()
        self._requests = sorted(
            self._facts("cancellation-requested"), key=lambda fact: (instant(fact.data["requested_at"]), fact.order)
        )

    def _facts(self, *kinds: str) -> list[Fact]:
        return [fact for fact in self._account.of(*kinds) if fact.data["subscription_id"] == self._id]

    def rows(self, overcharged: Mapping[str | None, Fraction]) -> dict[str, Row]:
        """The claims of its cycles; without an agreement they are pending."""
        unused = self._unused_parts()
        rows: dict[str, Row] = {}
        fee_left = Fraction(self._terms["cancellation"]["fee"].get(self._currency, "0"))
        for cycle in self._cycles:  # the fee is taken from the earliest first
            net_price = cycle.price - overcharged.get(cycle.id, NOTHING)
            disrupted = NOTHING
            if self._outages_of(cycle):
                row = self._disruption_row(cycle, net_price, unused.get(cycle.id))
                rows[f"disruption/{cycle.id}"], disrupted = row, row.amount
            if cycle.id in unused:
                row, fee_left = self._unused_row(cycle, unused[cycle.id], net_price, disrupted, fee_left)
                rows[f"unused/{cycle.id}"] = row
        if not self._bound:
            return {
                claim_id: row._replace(outcome="pending", reason=None, amount=NOTHING)
                for claim_id, row in rows.items()
            }
        return rows

    # --- §6 ---

    def _find_suspensions(self) -> list[Stretch]:
        """From suspended_at to reinstated_at; same instants in order of time, then id."""
        facts = self._facts("subscription-suspended", "subscription-reinstated")
        changes = [(instant(f.data.get("suspended_at") or f.data["reinstated_at"]), f.order, f.kind) for f in facts]
        suspensions: list[Stretch] = []
        since: datetime | None = None
        for at, _, kind in sorted(changes):
            if kind == "subscription-suspended" and since is None:
                since = at
            if kind == "subscription-reinstated" and since is not None:
                suspensions.append((since, at))
                since = None
        return suspensions if since is None else [*suspensions, (since, FOREVER)]

    # --- §3 ---

    def _find_outages(self) -> list[Outage]:
        outages = []
        for outage_id, report in first_of_each(self._account.of("outage-reported"), "outage_id").items():
            if report.data["subscription_id"] == self._id:
                began_at = instant(report.data["began_at"])
                outages.append(Outage(began_at, self._resolution(outage_id, began_at), self._flaw(report)))
        return outages

    def _resolution(self, outage_id: str, began_at: datetime) -> datetime | None:
        """The latest word holds; a resolution before the beginning is left out."""
        resolved_at = None
        for fact in self._facts("outage-resolved", "outage-reopened"):
            if fact.data["outage_id"] == outage_id:
                if fact.kind == "outage-reopened":
                    resolved_at = None
                elif instant(fact.data["resolved_at"]) >= began_at:
                    resolved_at = instant(fact.data["resolved_at"])
        return resolved_at

    def _flaw(self, report: Fact) -> str | None:
        """Why an outage is not eligible: severity first, then cause, then report."""
        terms, data = self._terms["disruption"], report.data
        if data["severity"] != "significant":
            return "not_significant"
        if data["cause"] in terms["excluded_causes"]:
            return "excluded_cause"
        if instant(data["reported_at"]) - instant(data["began_at"]) > duration(terms["report_within"]):
            return "reported_late"
        return None

    def _latest_passed_end(self) -> datetime | None:
        return max((cycle.time[1] for cycle in self._cycles if cycle.time[1] <= self._now), default=None)

    def _outages_of(self, cycle: Cycle) -> list[Outage]:
        """Those that share time with the cycle, before anything is deducted; an open one reaches to now."""
        reach = max(self._now, self._latest_passed_end() or self._now)
        return [o for o in self._outages if within([(o.began_at, o.resolved_at or reach)], cycle.time)]

    def _merged_outages(self) -> list[Stretch]:
        """Eligible outages that overlap or touch are one; an open one counts to the latest passed cycle end."""
        passed = self._latest_passed_end()
        eligible = (outage for outage in self._outages if outage.flaw is None)
        return union((each.began_at, each.resolved_at or passed or each.began_at) for each in eligible)

    def _counted(self, stretches: list[Stretch]) -> list[Stretch]:
        """Time of suspension or after termination does not count."""
        for suspension in self._suspensions:
            stretches = without(stretches, suspension)
        if self._terminated_at is not None:
            stretches = without(stretches, (self._terminated_at, FOREVER))
        return stretches

    def _credited_time(self, cycle: Cycle, unused: UnusedPart | None) -> timedelta:
        """All of it where the cycle is significant in total, else the parts significant by length; without the
        unused time that the cycle's other claim returns."""
        significant_after = duration(self._terms["disruption"]["significant_after"])
        outages = [self._counted([merged]) for merged in self._merged_outages()]
        in_total = sum((length(within(outage, cycle.time)) for outage in outages), timedelta(0)) > significant_after
        credited = [
            part
            for outage in outages
            if in_total or length(outage) > significant_after
            for part in within(outage, cycle.time)
        ]
        not_returned = ("not_prepaid", "service_violation", "terms", "minimum_term")
        if unused is not None and unused.outcome != "withdrawn" and unused.reason not in not_returned:
            credited = without(credited, (unused.starts_at, cycle.time[1]))
        return length(credited)

    def _disruption_row(self, cycle: Cycle, net_price: Fraction, unused: UnusedPart | None) -> Row:
        outages = self._outages_of(cycle)
        credited = self._credited_time(cycle, unused)
        amount = self._disruption_amount(cycle, net_price, credited)
        flaws = {outage.flaw for outage in outages}
        goes_on = any(outage.resolved_at is None and outage.flaw is None for outage in outages)
        outcome, reason = "declined", None
        if amount > 0:
            outcome = "granted"
        elif goes_on and cycle.time[1] > self._now:
            outcome = "pending"
        elif None in flaws:
            reason = "nothing_due" if credited else "below_threshold"
        else:
            reason = next(flaw for flaw in ("reported_late", "excluded_cause", "not_significant") if flaw in flaws)
        return self._row("service_disruption", "disruption", cycle, outcome, reason, amount)

    def _row(self, clause: str, table: str, cycle: Cycle, outcome: str, reason: str | None, amount: Fraction) -> Row:
        way = self._terms[table]["settle_as"]
        return Row(clause, self._id, cycle.id, self._currency, outcome, reason, amount, NOTHING, way)

    def _disruption_amount(self, cycle: Cycle, net_price: Fraction, credited: timedelta) -> Fraction:
        """min(N, round(max(prorata, floor)))."""
        begun_days = ceil(time_quotient(credited, DAY))
        basis = self._terms["proration"]["basis"]
        if basis == "exact_time":
            prorata = net_price * time_quotient(credited, cycle.time[1] - cycle.time[0])
        else:
            prorata = quotient(net_price * begun_days, cycle.days_of_price(basis))
        least = NOTHING
        if self._terms["disruption"]["floor"] == "monthly_30th":
            least = quotient(cycle.monthly_price * net_price, cycle.price) * begun_days / 30
        rounding = self._terms["proration"]["rounding"]
        return min(net_price, rounded_money(max(prorata, least), self._currency, rounding))

    # --- §5 ---

    def _requested_on(self, request: Fact) -> date:
        return local_date(instant(request.data["requested_at"]), self._zone)

    def _effective_on(self, request: Fact) -> date:
        """The end of the cycle that contains the request's date; where none does, that date."""
        day = self._requested_on(request)
        return next((cycle.ends_on for cycle in self._cycles if cycle.starts_on <= day < cycle.ends_on), day)

    def _is_withdrawn(self, request: Fact) -> bool:
        """requested_at < withdrawn_at < local midnight of effective_on."""
        requested_at = instant(request.data["requested_at"])
        latest = midnight(self._effective_on(request), self._zone)
        withdrawals = self._facts("cancellation-withdrawn")
        return any(requested_at < instant(each.data["withdrawn_at"]) < latest for each in withdrawals)

    def _cycles_of(self, request: Fact) -> list[Cycle]:
        """Each prepaid cycle that ends after the request's date, and the one that contains it, prepaid or not."""
        day = self._requested_on(request)
        return [cycle for cycle in self._cycles if cycle.ends_on > day and (cycle.prepaid or cycle.starts_on <= day)]

    def _unused_parts(self) -> dict[str, UnusedPart]:
        """Which cycles have a claim for their unused part, and what it comes to but for the amount (§5, §6)."""
        standing = next((each for each in self._requests if not self._is_withdrawn(each)), None)
        parts: dict[str, UnusedPart] = {}
        if standing is not None:
            parts = {cycle.id: self._unused_part(cycle, standing) for cycle in self._cycles_of(standing)}
        elif self._requests:
            parts = {cycle.id: UnusedPart("withdrawn", None) for cycle in self._cycles_of(self._requests[0])}
        if self._terminated_at is not None:
            terminated_on = local_date(self._terminated_at, self._zone)
            for cycle in self._cycles:
                stands = cycle.id in parts and parts[cycle.id].outcome != "withdrawn"
                if cycle.prepaid and cycle.ends_on > terminated_on and not stands:
                    parts[cycle.id] = UnusedPart("declined", "service_violation")
        return parts

    def _unused_part(self, cycle: Cycle, request: Fact) -> UnusedPart:
        reason = self._refusal(cycle, request)
        if reason:
            return UnusedPart("declined", reason)
        first_day = self._first_unused_day(request)
        days = max(0, (cycle.ends_on - max(first_day, cycle.starts_on)).days)
        kept = request.data.get("keep_service", False) and days == 0
        return UnusedPart(None, "service_kept" if kept else "nothing_due", self._unused_from(cycle, request), days)

    def _refusal(self, cycle: Cycle, request: Fact) -> str | None:
        """The reasons that do not depend on the amount, in order."""
        requested_at = instant(request.data["requested_at"])
        terms = self._terms["cancellation"]
        if not cycle.prepaid:
            return "not_prepaid"
        terminated = self._terminated_at is not None and self._terminated_at <= requested_at
        if terminated or any(begin <= requested_at < end for begin, end in self._suspensions):
            return "service_violation"
        if terms["unused_period"] == "none":
            return "terms"
        term_ends = self._cycles[0].starts_on + terms["minimum_term_days"] * DAY
        if terms["minimum_term_days"] > 0 and self._requested_on(request) < term_ends:
            return "minimum_term"
        return None

    def _first_unused_day(self, request: Fact) -> date:
        terms = self._terms["cancellation"]
        if terms["unused_period"] == "from_effective" or request.data.get("keep_service", False):
            return self._effective_on(request)
        return self._requested_on(request) + int(terms["notice_days"]) * DAY

    def _unused_from(self, cycle: Cycle, request: Fact) -> datetime:
        """Local midnight of the first unused day, or the request itself; never before the cycle."""
        terms = self._terms["cancellation"]
        to_the_second = (
            self._terms["proration"]["basis"] == "exact_time"
            and terms["unused_period"] == "from_request"
            and terms["notice_days"] == 0
            and not request.data.get("keep_service", False)
        )
        requested_at = instant(request.data["requested_at"])
        begin = requested_at if to_the_second else midnight(self._first_unused_day(request), self._zone)
        return max(begin, cycle.time[0])

    def _unused_row(
        self, cycle: Cycle, part: UnusedPart, net_price: Fraction, disrupted: Fraction, fee_left: Fraction
    ) -> tuple[Row, Fraction]:
        """The claim for one cycle, and what of the fee goes on to the next."""
        outcome, reason, amount = part.outcome, part.reason, NOTHING
        if outcome is None:
            before_fee = min(net_price - disrupted, self._unused_amount(cycle, part, net_price))
            fee = min(fee_left, before_fee)
            amount, fee_left = before_fee - fee, fee_left - fee
            outcome, reason = ("granted", None) if amount > 0 else ("declined", part.reason)
        return self._row("unused_period", "cancellation", cycle, outcome, reason, amount), fee_left

    def _unused_amount(self, cycle: Cycle, part: UnusedPart, net_price: Fraction) -> Fraction:
        """Before the fee and the limit, rounded."""
        basis = self._terms["proration"]["basis"]
        if basis == "exact_time":
            unused_time = max(cycle.time[1] - part.starts_at, timedelta(0))
            amount = net_price * time_quotient(unused_time, cycle.time[1] - cycle.time[0])
        else:
            amount = quotient(net_price * part.days, cycle.days_of_price(basis))
        return rounded_money(amount, self._currency, self._terms["proration"]["rounding"])


# --- recorded decisions --------------------------------------------------------------------------------------------


class Differs(NamedTuple):
    """A recorded decision that does not follow; `at` is where it stands."""

    at: str
    what: str


OLDER_RULES = "they were made by older rules"
TAKEN_AS_RECORDED = "what was used of credits is taken as it was recorded"


class Recalculation:
    """Works out an account's recorded decisions, event by event in their order.

    The agreement that a subscription was bound to is taken as it was recorded. `not_judged` counts the decisions
    about money that are not worked out, by the reason.
    """

    def __init__(self, texts: Mapping[str, Terms]) -> None:
        self.decisions = 0
        self.not_judged: dict[str, int] = {}
        self.differing: list[Differs] = []
        self._texts = texts
        self._facts: list[Fact] = []
        self._bindings: dict[tuple[str, str], str] = {}
        self.recorded: dict[str, Any] = {}
        """What each claim came to by the last decision about it."""
        self._says_rules = False
        self._known: tuple[object, Account] | None = None
        self._assessed: tuple[object, dict[str, Row]] = (None, {})

    def take(self, at: str, said: Mapping[str, Any]) -> None:
        """Take in the next event: what it adds to the facts, or whether it follows from them."""
        data = said["data"]
        fact = fact_from(said)
        if fact is not None:
            self._facts.append(fact)
            return
        match said["type"]:
            case "agreement-bound.v1":
                self._bindings[data["registration"], data["time_zone"]] = data["sha256"]
            case "claim-assessed.v1" if not self._says_rules:
                self.leave_out(OLDER_RULES)
            case "claim-assessed.v1":
                self.differs(at, f"{data['claim_id']} has the older form, after decisions that say their rules")
            case "claim-assessed.v2":
                self._says_rules = True
                self._claim(at, data)
            case "credit-applied.v1" | "credit-applied.v2" | "overpaid-recovered.v1":
                self.leave_out(TAKEN_AS_RECORDED)

    def leave_out(self, why: str) -> None:
        """Count a decision that is not worked out."""
        self.not_judged[why] = self.not_judged.get(why, 0) + 1

    def differs(self, at: str, what: str) -> None:
        """Note what does not follow."""
        self.differing.append(Differs(at, what))

    def account(self) -> Account:
        """The account by all facts taken in so far."""
        state = (len(self._facts), len(self._bindings))
        if self._known is None or self._known[0] != state:
            self._known = (state, Account(self._facts, self._bindings, self._texts))
        return self._known[1]

    def _rows(self, now: datetime) -> dict[str, Row]:
        """The claims by all facts taken in so far."""
        account = self.account()
        if self._assessed[0] != (account, now):
            self._assessed = ((account, now), assess(account, now))
        return self._assessed[1]

    def _claim(self, at: str, data: Mapping[str, Any]) -> None:
        """A claim comes to what the policy says, and came before to what was recorded then."""
        self.decisions += 1
        claim_id, before, after = data["claim_id"], data["before"], data["after"]
        if data["rules"] != RULES:
            self.differs(at, f"{claim_id} was decided by rules {data['rules']}, and {RULES} is what holds")
        if claim_id in self.recorded and self.recorded[claim_id] != before:
            self.differs(at, f"{claim_id} did not stand before as the event says")
        self.recorded[claim_id] = after
        row = self._rows(instant(data["now"])).get(claim_id)
        if row is None or after is None:
            if row is not None or after is not None:
                what = "there is no such claim" if row is None else f"it comes to {in_words(row)}"
                self.differs(at, f"{claim_id}: {what} by the facts")
            return
        recorded = Row(
            data["clause"],
            data["subscription_id"],
            data["charge_id"],
            data["currency"],
            after["outcome"],
            after["reason"],
            Fraction(after["amount"]),
            Fraction(after["tax"]),
            after["settle_as"],
        )
        if recorded != row:
            self.differs(at, f"{claim_id} was recorded as {in_words(recorded)}, and comes to {in_words(row)}")


def in_words(row: Row) -> str:
    """What a claim comes to, in words."""
    reason = f" ({row.reason})" if row.reason else ""
    amount, tax = in_figures(row.amount, row.currency), in_figures(row.tax, row.currency)
    on = f" on {row.charge_id}" if row.charge_id else ""
    return f"{row.outcome}{reason}, {amount} and {tax} tax {row.currency}{on}, as {row.settle_as}"
