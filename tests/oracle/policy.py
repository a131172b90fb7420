"""The policy page, sections 1 to 6, read literally: one function per rule.

`claims(messages, agreements, now)` answers what `makegood claims --json` would, without `settlement`.
`alarms(messages, agreements, now)` answers the alarms that the page asks for:

    contradiction               about = "<id of the message left out> contradicts <id of the one that stands>"
    charged_after_end           about = the cycle's id
    confirmation_exceeds_charge about = the dispute's id

Nothing here is quick, and everything is computed anew from all messages each time; only a text is read once. Money
is a `Fraction` in major units, an instant is a `datetime` in UTC, a stretch of time is a pair of instants, its end
excluded.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import ceil, floor
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
FOREVER = datetime.max.replace(tzinfo=UTC)

NO_MINOR_UNIT = [
    "BIF",
    "CLP",
    "DJF",
    "GNF",
    "ISK",
    "JPY",
    "KMF",
    "KRW",
    "PYG",
    "RWF",
    "UGX",
    "UYI",
    "VND",
    "VUV",
    "XAF",
    "XOF",
    "XPF",
]
THREE_DECIMALS = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]
FOUR_DECIMALS = ["CLF", "UYW"]

FREE_TEXT = {"description", "reason", "customer", "credentials"}
AMOUNTS = {"price", "tax", "amount", "claimed"}

DEFAULT_TERMS = {
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
    "approval": {"hold": "PT24H"},
}


def claims(messages: list[dict], agreements: list[dict], now: datetime) -> list[dict]:
    """Every claim row of every account among the messages, by account and claim id."""
    return [row for account in _accounts(messages) for row in assess(account, agreements, now)[0]]


def alarms(messages: list[dict], agreements: list[dict], now: datetime) -> list[dict]:
    """Every alarm of every account among the messages."""
    return [alarm for account in _accounts(messages) for alarm in assess(account, agreements, now)[1]]


# --- §2: time ---------------------------------------------------------------------------------------------------


@cache
def instant(text: str) -> datetime:
    """An RFC 3339 instant, in UTC, so that differences are elapsed time."""
    return datetime.fromisoformat(text).astimezone(UTC)


@cache
def exact(text: str) -> Fraction:
    """An amount as it is written, or an amount."""
    return Fraction(text)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """§2: the local date of an instant is taken in the account's zone."""
    return moment.astimezone(zone).date()


@cache
def midnight(day: date, zone: ZoneInfo) -> datetime:
    """§2: local midnight is the first instant of that date; of a skipped date, the instant of the skip."""
    first = datetime(day.year, day.month, day.day, tzinfo=zone, fold=0).astimezone(UTC)
    while local_date(first - timedelta(minutes=1), zone) >= day:  # the clock jumped over midnight from before it
        first -= timedelta(minutes=1)
    return first


def duration(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds."""
    found = re.fullmatch(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text)
    if not found:
        raise ValueError(f"{text} is not a duration this oracle can read")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


Stretch = tuple[datetime, datetime]


def union(stretches: list[Stretch]) -> list[Stretch]:
    """§3: stretches that overlap or touch are one."""
    merged: list[Stretch] = []
    for begin, end in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def within(stretches: list[Stretch], limits: Stretch) -> list[Stretch]:
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


def length(stretches: list[Stretch]) -> timedelta:
    return sum((end - begin for begin, end in stretches), timedelta(0))


def quotient(above, below) -> Fraction:
    """§1: a quotient whose divisor is 0 is 0. Durations are divided by the microsecond."""
    if isinstance(above, timedelta):
        above, below = above // timedelta(microseconds=1), below // timedelta(microseconds=1)
    return Fraction(above) / Fraction(below) if below else Fraction(0)


# --- §2: money --------------------------------------------------------------------------------------------------


def exponent(currency: str) -> int:
    """§2: the currency's ISO 4217 exponent."""
    if currency in NO_MINOR_UNIT:
        return 0
    if currency in THREE_DECIMALS:
        return 3
    return 4 if currency in FOUR_DECIMALS else 2


def round_money(amount: Fraction, currency: str, rounding: str) -> Fraction:
    """§2: half up, or half to even, at the currency's exponent."""
    scale = 10 ** exponent(currency)
    units = amount * scale
    whole = floor(units)
    rest = units - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and (rounding == "half_up" or whole % 2 == 1)):
        whole += 1
    return Fraction(whole, scale)


def show_money(amount: Fraction, currency: str) -> str:
    digits = exponent(currency)
    units = amount * 10**digits
    assert units.denominator == 1, f"{amount} {currency} is not a whole number of minor units"
    assert units >= 0, f"{amount} {currency} is less than nothing"
    text = str(units.numerator).rjust(digits + 1, "0")
    return text if digits == 0 else f"{text[:-digits]}.{text[-digits:]}"


# --- §1: facts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    type: str
    time: datetime
    id: str
    source: str
    data: dict

    @property
    def order(self):
        """§1: where times are the same the ids decide, by code point, then the sources."""
        return (self.time, self.id, self.source)

    @property
    def content(self):
        """What is compared when one business id comes twice: everything but free text, however it is spelled."""
        read = {key: instant if key.endswith("_at") else exact for key in self.data if key in AMOUNTS or "_at" in key}
        said = {key: read[key](value) if key in read else value for key, value in self.data.items()}
        return self.type, {key: value for key, value in said.items() if key not in FREE_TEXT}


@dataclass
class Charge:
    """§2: a cycle or a one-off."""

    id: str
    subscription_id: str | None
    price: Fraction
    tax: Fraction
    starts_on: date | None = None
    ends_on: date | None = None
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    prepaid: bool = False
    monthly_price: Fraction | None = None

    @property
    def is_cycle(self):
        return self.starts_on is not None

    @property
    def days(self) -> int:
        """§2: d, in calendar days, even where the zone skipped a date."""
        return (self.ends_on - self.starts_on).days

    @property
    def time(self) -> Stretch:
        return (self.begins_at, self.ends_at)


@dataclass
class Account:
    id: str
    facts: list[Fact]
    contradictions: list[tuple[Fact, Fact]] = field(default_factory=list)  # (left out, what stands)

    def of(self, *names: str) -> list[Fact]:
        return [fact for fact in self.facts if fact.type in names]

    def leave_out(self, later: Fact, standing: Fact):
        if (later, standing) not in self.contradictions:
            self.contradictions.append((later, standing))


def _accounts(messages: list[dict]) -> list[Account]:
    """Messages as facts, each (source, id) once, without those retracted, in the page's order, by account."""
    seen, facts = set(), {}
    for message in messages:
        if (message["source"], message["id"]) in seen:
            continue
        seen.add((message["source"], message["id"]))
        name = message["type"].removeprefix("voip.").removeprefix("makegood.").removesuffix(".v1")
        fact = Fact(name, instant(message["time"]), message["id"], message["source"], message["data"])
        facts.setdefault(message["subject"], []).append(fact)
    return [Account(id, sorted(never_retracted(facts[id]), key=lambda fact: fact.order)) for id in sorted(facts)]


def never_retracted(facts: list[Fact]) -> list[Fact]:
    """Contract §1: what its own source retracted was never so, whichever came first; a retraction can be, too."""
    retractions: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        if fact.type == "fact.retracted" and fact.source == fact.data["retracts"]["source"]:
            retractions.setdefault((fact.source, fact.data["retracts"]["id"]), []).append(fact)

    def was_never_said(fact: Fact, looked_at: tuple[Fact, ...] = ()) -> bool:
        """Retractions that go round in a circle concern nothing but each other: looking at them only has to end."""
        return any(
            retraction in looked_at or not was_never_said(retraction, (*looked_at, retraction))
            for retraction in retractions.get((fact.source, fact.id), [])
        )

    return [fact for fact in facts if not was_never_said(fact)]


def first_of_each(account: Account, facts: list[Fact], business_id: str | None) -> dict[str | None, Fact]:
    """§1: of one business id with two contents the later one is left out; the same content is mere repetition."""
    standing: dict[str | None, Fact] = {}
    for fact in facts:
        key = fact.data[business_id] if business_id else None
        if key not in standing:
            standing[key] = fact
        elif standing[key].content != fact.content:
            account.leave_out(fact, standing[key])
    return standing


def captures_of_each(account: Account, captures: list[Fact]) -> dict[str, Fact]:
    """§7: of captures of one payment the latest is the one that may hold; others that differ raise an alarm."""
    latest = {fact.data["payment_id"]: fact for fact in captures}
    for fact in captures:
        standing = latest[fact.data["payment_id"]]
        if fact.content != standing.content:
            account.leave_out(fact, standing)
    return latest


def refund_reports_with_currency(account: Account) -> list[Fact]:
    """A report need not name a currency: one that does not means the account's."""
    return [fact for fact in account.of("refund.succeeded") if fact.data.get("currency") is not None]


def of_right_currency(account: Account, registration: Fact, facts: list[Fact]) -> list[Fact]:
    """§1: a fact in a currency that is not the account's is left out."""
    kept = []
    for fact in facts:
        if fact.data["currency"] == registration.data["currency"]:
            kept.append(fact)
        else:
            account.leave_out(fact, registration)
    return kept


def kept_charge_facts(account: Account, registration: Fact) -> list[Fact]:
    """§1: cycles and one-offs in order; the later of two that contradict each other is left out."""
    kept: list[Fact] = []
    for fact in of_right_currency(account, registration, account.of("cycle.started", "charge.posted")):
        same_id = [other for other in kept if charge_id(other) == charge_id(fact)]
        overlapped = [other for other in kept if cycles_overlap(other, fact)]
        if same_id:
            if same_id[0].content != fact.content:
                account.leave_out(fact, same_id[0])
        elif overlapped:
            account.leave_out(fact, overlapped[0])
        else:
            kept.append(fact)
    return kept


def charge_id(fact: Fact) -> str:
    return fact.data["cycle_id"] if fact.type == "cycle.started" else fact.data["charge_id"]


def cycles_overlap(one: Fact, other: Fact) -> bool:
    """Half-open ranges of dates of one subscription that share a date."""
    return (
        one.type == other.type == "cycle.started"
        and one.data["subscription_id"] == other.data["subscription_id"]
        and one.data["starts_on"] < other.data["ends_on"]
        and other.data["starts_on"] < one.data["ends_on"]
    )


def as_charge(fact: Fact, zone: ZoneInfo) -> Charge:
    data = fact.data
    charge = Charge(charge_id(fact), data.get("subscription_id"), exact(data["price"]), exact(data.get("tax") or "0"))
    if fact.type == "cycle.started":
        charge.starts_on, charge.ends_on = date.fromisoformat(data["starts_on"]), date.fromisoformat(data["ends_on"])
        charge.begins_at, charge.ends_at = midnight(charge.starts_on, zone), midnight(charge.ends_on, zone)
        charge.prepaid = data["prepaid"]
        if data.get("monthly_price") is not None:
            charge.monthly_price = exact(data["monthly_price"])
    return charge


def bound_terms(registered: Fact, zone: ZoneInfo, agreements: list[dict]) -> dict | None:
    """Contract §2: the latest valid_from not after the registration's local date, then the greatest number."""
    on = local_date(registered.time, zone)
    fitting = [
        agreement
        for agreement in agreements
        if agreement["name"] == registered.data["agreement"] and valid_from(agreement) <= on
    ]
    if not fitting:
        return None
    return with_defaults(max(fitting, key=lambda agreement: (valid_from(agreement), agreement["version"])))


def valid_from(agreement: dict) -> date:
    value = agreement["valid_from"]
    return date.fromisoformat(value) if isinstance(value, str) else value


def with_defaults(agreement: dict) -> dict:
    return {section: {**defaults, **agreement.get(section, {})} for section, defaults in DEFAULT_TERMS.items()}


# --- §1: assessment ---------------------------------------------------------------------------------------------


def assess(account: Account, agreements: list[dict], now: datetime) -> tuple[list[dict], list[dict]]:
    """§1: the claims and the alarms of one account, from its facts, the agreements and `now` alone."""
    registration = first_of_each(account, account.of("account.registered"), None).get(None)
    if registration is None:
        rows = disputes_without_account(account)
        proposals = first_of_each(account, account.of("goodwill.proposed"), "credit_id")
        credits, by_proposer = goodwill_rows(account, proposals, complaints={}, subscriptions={})
        rows += [finish(row, account, proposals[credit_id].data["currency"]) for credit_id, row in credits.items()]
        return sorted(rows, key=lambda row: row["claim_id"]), all_alarms(account, [], [], by_proposer)

    zone = ZoneInfo(registration.data["time_zone"])
    currency = registration.data["currency"]
    subscriptions = first_of_each(account, account.of("subscription.registered"), "subscription_id")
    terms = {id: bound_terms(fact, zone, agreements) for id, fact in subscriptions.items()}
    terms[None] = with_defaults({})  # §1: a charge without a subscription uses the agreement's defaults
    charges = {
        charge_id(fact): as_charge(fact, zone)
        for fact in kept_charge_facts(account, registration)
        if fact.data.get("subscription_id") in terms
    }
    of_right_currency(account, registration, refund_reports_with_currency(account))
    captures_of_each(account, of_right_currency(account, registration, account.of("payment.captured")))
    complaints = first_of_each(account, account.of("complaint.opened"), "complaint_id")

    rows, exceeding = billing_error_rows(account, registration, charges, terms)
    after_end = []
    for subscription_id in subscriptions:
        cycles = [c for c in charges.values() if c.is_cycle and c.subscription_id == subscription_id]
        cycles.sort(key=lambda cycle: cycle.starts_on)
        service = Service(account, subscription_id, zone, currency, cycles, terms[subscription_id], now)
        rows += service.rows(granted_by_charge(rows))
        after_end += service.charged_after_end()
    for charge in charges.values():
        add_tax(
            charge, [row for row in rows if row["charge_id"] == charge.id], terms[charge.subscription_id], currency
        )

    proposed = of_right_currency(account, registration, account.of("goodwill.proposed"))
    proposals = first_of_each(account, proposed, "credit_id")
    credits, by_proposer = goodwill_rows(account, proposals, complaints, subscriptions)
    finished = [finish(row, account, currency) for row in [*rows, *credits.values()]]
    return sorted(finished, key=lambda row: row["claim_id"]), all_alarms(account, exceeding, after_end, by_proposer)


def claim(claim_id, clause, subscription_id, charge_id, outcome, amount=Fraction(0), reason=None) -> dict:
    assert (amount > 0) == (outcome == "granted")
    assert (reason is not None) == (outcome == "declined")
    return {
        "claim_id": claim_id,
        "clause": clause,
        "subscription_id": subscription_id,
        "charge_id": charge_id,
        "outcome": outcome,
        "amount": amount,
        "tax": Fraction(0),
        "reason": reason,
    }


def finish(row: dict, account: Account, currency: str) -> dict:
    return {
        "claim_id": row["claim_id"],
        "clause": row["clause"],
        "account_id": account.id,
        "subscription_id": row["subscription_id"],
        "charge_id": row["charge_id"],
        "outcome": row["outcome"],
        "amount": show_money(row["amount"], currency),
        "tax": show_money(row["tax"], currency),
        "currency": currency,
        "reason": row["reason"],
    }


def granted_by_charge(rows: list[dict]) -> dict[str, Fraction]:
    """What has been granted on each charge so far: overcharges, where it is asked."""
    granted: dict[str, Fraction] = {}
    for row in rows:
        granted[row["charge_id"]] = granted.get(row["charge_id"], Fraction(0)) + row["amount"]
    return granted


def add_tax(charge: Charge, rows: list[dict], terms: dict | None, currency: str):
    """§2: tax comes back in step: overcharges (their rows come in order of time), disruption, unused part."""
    net = returned = Fraction(0)
    for clause in ("billing_error", "service_disruption", "unused_period"):
        for row in rows:
            if row["clause"] == clause and row["outcome"] == "granted":
                net += row["amount"]
                due = round_money(quotient(charge.tax * net, charge.price), currency, terms["proration"]["rounding"])
                row["tax"] = due - returned
                returned = due


def all_alarms(account, exceeding: list[str], after_end: list[str], by_proposer: list[str]) -> list[dict]:
    contradictions = [f"{later.id} contradicts {standing.id}" for later, standing in account.contradictions]
    named = (
        [("contradiction", about) for about in contradictions]
        + [("confirmation_exceeds_charge", about) for about in exceeding]
        + [("charged_after_end", about) for about in after_end]
        + [("decided_by_proposer", about) for about in by_proposer]
    )
    return [{"alarm": alarm, "account_id": account.id, "about": about} for alarm, about in sorted(named)]


# --- §4: billing error ------------------------------------------------------------------------------------------


def first_verdicts(facts: list[Fact]) -> dict[str, Fact]:
    """§4: the first verdict on a dispute, by time, then id, holds."""
    verdicts: dict[str, Fact] = {}
    for fact in facts:
        verdicts.setdefault(fact.data["dispute_id"], fact)
    return verdicts


def disputes_without_account(account: Account) -> list[dict]:
    """Before its account is registered a dispute is pending, in the currency of its message.

    A dispute that is only rejected has no currency, and no row until the account is known.
    """
    reports = first_of_each(account, account.of("billing_error.reported"), "dispute_id")
    verdicts = first_verdicts(account.of("overcharge.confirmed", "overcharge.rejected"))
    rows = []
    for dispute_id in sorted(reports.keys() | verdicts.keys()):
        messages = [fact for fact in (verdicts.get(dispute_id), reports.get(dispute_id)) if fact]
        currencies = [fact.data["currency"] for fact in messages if "currency" in fact.data]
        if currencies:
            charge = messages[0].data["charge_id"]
            row = claim(f"billing-error/{dispute_id}", "billing_error", None, charge, "pending")
            rows.append(finish(row, account, currencies[0]))
    return rows


def billing_error_rows(account: Account, registration: Fact, charges: dict[str, Charge], terms: dict):
    """§4: one row per dispute, in order of the verdict's time, then id; and the disputes that exceed their charge."""
    reported = of_right_currency(account, registration, account.of("billing_error.reported"))
    reports = first_of_each(account, reported, "dispute_id")
    confirmed = of_right_currency(account, registration, account.of("overcharge.confirmed"))
    verdicts = first_verdicts(sorted(confirmed + account.of("overcharge.rejected"), key=lambda fact: fact.order))
    deciding = sorted({**reports, **verdicts}.items(), key=lambda item: item[1].order)

    rows, exceeding, granted = [], [], {}
    for dispute_id, fact in deciding:
        charge = charges.get(fact.data["charge_id"])
        outcome, amount, reason = "pending", Fraction(0), None
        if fact.type == "overcharge.rejected":
            outcome, reason = "declined", "rejected"
        elif fact.type == "overcharge.confirmed" and charge and terms[charge.subscription_id]:
            before = granted.get(charge.id, Fraction(0))
            confirmed_amount = exact(fact.data["amount"])
            if before + confirmed_amount > charge.price:
                outcome, reason = "declined", "amount_exceeds_charge"
                exceeding.append(dispute_id)
            else:
                outcome, amount = "granted", confirmed_amount
                granted[charge.id] = before + amount
        subscription_id = charge.subscription_id if charge else None
        rows.append(
            claim(
                f"billing-error/{dispute_id}",
                "billing_error",
                subscription_id,
                fact.data["charge_id"],
                outcome,
                amount,
                reason,
            )
        )
    return rows, exceeding


# --- §8: goodwill -----------------------------------------------------------------------------------------------


def goodwill_rows(account: Account, proposals: dict[str, Fact], complaints: dict, subscriptions: dict):
    """§8: one row per credit, proposed by a person, approved by another; and what proposers decided themselves."""
    rows, by_proposer = {}, []
    decided = account.of("goodwill.approved", "goodwill.rejected")
    for credit_id, proposal in proposals.items():
        said = proposal.data
        verdicts = [fact for fact in decided if fact.data["credit_id"] == credit_id]
        own = [verdict for verdict in verdicts if verdict.data["decided_by"] == said["proposed_by"]]
        by_proposer += [f"{verdict.id} of {proposal.id}" for verdict in own]
        deciding = [verdict for verdict in verdicts if verdict not in own]
        subscription_id = said.get("subscription_id")
        waits = said["complaint_id"] not in complaints or subscription_id not in [None, *subscriptions]
        outcome, amount, reason = "pending", Fraction(0), None
        if deciding and not waits:
            if deciding[0].type == "goodwill.approved":
                outcome, amount = "granted", exact(said["amount"])
            else:
                outcome, reason = "declined", "rejected"
        rows[credit_id] = claim(f"goodwill/{credit_id}", "complaint", subscription_id, None, outcome, amount, reason)
    return rows, by_proposer


# --- §3, §5, §6: one subscription -------------------------------------------------------------------------------


@dataclass
class Outage:
    fact: Fact
    began_at: datetime
    resolved_at: datetime | None  # None while it goes on
    flaw: str | None  # why it is not eligible

    @property
    def is_open(self):
        return self.resolved_at is None


@dataclass
class UnusedPart:
    """§5: what one cycle's `unused_period` row says before its amount is known."""

    outcome: str | None  # None while it depends on the amount
    reason: str | None
    starts_at: datetime | None = None  # of the unused time
    days: int = 0  # u


class Service:
    """One subscription with its cycles and the terms it is bound to (None: not bound yet)."""

    def __init__(self, account, subscription_id, zone, currency, cycles, terms, now):
        self.account, self.id, self.zone, self.currency = account, subscription_id, zone, currency
        self.cycles, self.terms, self.now = cycles, terms, now
        self.suspensions = self.find_suspensions()
        self.terminated_at = self.find_termination()
        self.outages = self.find_outages()
        self.requests = self.find_requests()

    def facts(self, *names: str) -> list[Fact]:
        return [fact for fact in self.account.of(*names) if fact.data["subscription_id"] == self.id]

    def rows(self, overcharged: dict[str, Fraction]) -> list[dict]:
        unused = self.unused_parts()
        if self.terms is None:
            return self.rows_while_unbound(unused)
        disruption = {
            cycle.id: self.disruption_row(cycle, overcharged.get(cycle.id, Fraction(0)), unused.get(cycle.id))
            for cycle in self.cycles
            if self.outages_of(cycle)
        }
        rows = list(disruption.values())
        fee_left = Fraction(self.terms["cancellation"]["fee"].get(self.currency, "0"))
        for cycle in self.cycles:  # earliest first: so the fee is taken
            if cycle.id in unused:
                net_price = cycle.price - overcharged.get(cycle.id, Fraction(0))
                credited = disruption[cycle.id]["amount"] if cycle.id in disruption else Fraction(0)
                row, fee_left = self.unused_row(cycle, unused[cycle.id], net_price, net_price - credited, fee_left)
                rows.append(row)
        return rows

    def rows_while_unbound(self, unused: dict[str, UnusedPart]) -> list[dict]:
        """No agreement bound: the rows that the page asks for, all pending."""
        return [
            claim(f"disruption/{cycle.id}", "service_disruption", self.id, cycle.id, "pending")
            for cycle in self.cycles
            if self.outages_of(cycle)
        ] + [claim(f"unused/{id}", "unused_period", self.id, id, "pending") for id in unused]

    # --- §6 ---

    def find_suspensions(self) -> list[Stretch]:
        """§6: from suspended_at to reinstated_at, same instants in order of time, then id."""
        changes = [(instant(fact.data["suspended_at"]), fact) for fact in self.facts("subscription.suspended")]
        changes += [(instant(fact.data["reinstated_at"]), fact) for fact in self.facts("subscription.reinstated")]
        suspensions, since = [], None
        for at, fact in sorted(changes, key=lambda change: (change[0], change[1].order)):
            if fact.type == "subscription.suspended" and since is None:
                since = at
            if fact.type == "subscription.reinstated" and since is not None:
                suspensions.append((since, at))
                since = None
        if since is not None:
            suspensions.append((since, FOREVER))
        return suspensions

    def find_termination(self) -> datetime | None:
        """§6: the earliest termination holds."""
        return min((instant(f.data["terminated_at"]) for f in self.facts("subscription.terminated")), default=None)

    def was_suspended(self, moment: datetime) -> bool:
        return any(begin <= moment < end for begin, end in self.suspensions)

    # --- §3 ---

    def find_outages(self) -> list[Outage]:
        """§3: each outage with its end, as the latest resolution or reopening has it."""
        reports = first_of_each(self.account, self.account.of("outage.reported"), "outage_id")
        outages = []
        for outage_id, report in reports.items():
            if report.data["subscription_id"] == self.id:
                began_at = instant(report.data["began_at"])
                outages.append(
                    Outage(report, began_at, self.resolution(outage_id, report, began_at), self.flaw(report))
                )
        return outages

    def resolution(self, outage_id: str, report: Fact, began_at: datetime) -> datetime | None:
        """§3: the one with the latest time holds; §1: a resolution before the beginning is left out."""
        resolved_at = None
        for fact in self.facts("outage.resolved", "outage.reopened"):  # in order of time, then id
            if fact.data["outage_id"] != outage_id:
                continue
            if fact.type == "outage.reopened":
                resolved_at = None
            elif instant(fact.data["resolved_at"]) < began_at:
                self.account.leave_out(fact, report)
            else:
                resolved_at = instant(fact.data["resolved_at"])
        return resolved_at

    def flaw(self, report: Fact) -> str | None:
        """§3: why an outage is not eligible: severity first, then cause, then report."""
        if self.terms is None:
            return None
        terms, data = self.terms["disruption"], report.data
        if data["severity"] != "significant":
            return "not_significant"
        if data["cause"] in terms["excluded_causes"]:
            return "excluded_cause"
        if instant(data["reported_at"]) - instant(data["began_at"]) > duration(terms["report_within"]):
            return "reported_late"
        return None

    def latest_passed_end(self) -> datetime | None:
        return max((cycle.ends_at for cycle in self.cycles if cycle.ends_at <= self.now), default=None)

    def outages_of(self, cycle: Charge) -> list[Outage]:
        """§3: the outages that share time with the cycle, before anything is deducted; an open one reaches to now."""
        reach = max(self.now, self.latest_passed_end() or self.now)
        return [o for o in self.outages if within([(o.began_at, o.resolved_at or reach)], cycle.time)]

    def merged_outages(self) -> list[Stretch]:
        """§3: eligible outages that overlap or touch are one; an open one counts to the latest passed cycle end."""
        passed = self.latest_passed_end()
        return union(
            [
                (outage.began_at, outage.resolved_at or passed or outage.began_at)
                for outage in self.outages
                if outage.flaw is None
            ]
        )

    def counted(self, stretches: list[Stretch]) -> list[Stretch]:
        """§3: time of suspension or after termination does not count."""
        for suspension in self.suspensions:
            stretches = without(stretches, suspension)
        if self.terminated_at is not None:
            stretches = without(stretches, (self.terminated_at, FOREVER))
        return stretches

    def credited_time(self, cycle: Charge, unused: UnusedPart | None) -> timedelta:
        """§3: all of it where the cycle is significant in total, else the parts significant by length."""
        significant_after = duration(self.terms["disruption"]["significant_after"])
        outages = [self.counted([merged]) for merged in self.merged_outages()]
        in_total = sum((length(within(outage, cycle.time)) for outage in outages), timedelta(0)) > significant_after
        credited = [
            part
            for outage in outages
            if in_total or length(outage) > significant_after
            for part in within(outage, cycle.time)
        ]
        if self.is_returned_as_unused(unused):
            credited = without(credited, (unused.starts_at, cycle.ends_at))
        return length(credited)

    def is_returned_as_unused(self, unused: UnusedPart | None) -> bool:
        """§3: unused time is left out where the cycle's `unused_period` claim returns it, or would."""
        if unused is None or unused.outcome == "withdrawn":
            return False
        return unused.reason not in ("not_prepaid", "service_violation", "terms", "minimum_term")

    def disruption_row(self, cycle: Charge, overcharged: Fraction, unused: UnusedPart | None) -> dict:
        """§3: the outcome for a cycle that some outage overlaps."""
        outages = self.outages_of(cycle)
        credited = self.credited_time(cycle, unused)
        amount = self.disruption_amount(cycle, cycle.price - overcharged, credited)
        goes_on = any(outage.is_open and outage.flaw is None for outage in outages) and cycle.ends_at > self.now
        flaws = {outage.flaw for outage in outages}
        outcome, reason = "declined", None
        if amount > 0:
            outcome = "granted"
        elif goes_on:
            outcome = "pending"
        elif None in flaws:
            reason = "nothing_due" if credited else "below_threshold"
        else:
            reason = next(flaw for flaw in ("reported_late", "excluded_cause", "not_significant") if flaw in flaws)
        return claim(f"disruption/{cycle.id}", "service_disruption", self.id, cycle.id, outcome, amount, reason)

    def disruption_amount(self, cycle: Charge, net_price: Fraction, credited: timedelta) -> Fraction:
        """§3: min(N, round(max(prorata, floor)))."""
        k = ceil(quotient(credited, DAY))
        basis = self.terms["proration"]["basis"]
        if basis == "exact_time":
            prorata = net_price * quotient(credited, cycle.ends_at - cycle.begins_at)
        else:
            prorata = quotient(net_price * k, days_of_price(cycle, basis))
        least = Fraction(0)
        if self.terms["disruption"]["floor"] == "monthly_30th":
            least = quotient(monthly_price(cycle) * net_price, cycle.price) * k / 30
        return min(net_price, round_money(max(prorata, least), self.currency, self.terms["proration"]["rounding"]))

    # --- §5 ---

    def find_requests(self) -> list[Fact]:
        """§5: requests in order of requested_at, then time, then id."""
        return sorted(
            self.facts("cancellation.requested"), key=lambda fact: (instant(fact.data["requested_at"]), fact.order)
        )

    def requested_on(self, request: Fact) -> date:
        """§5: q."""
        return local_date(instant(request.data["requested_at"]), self.zone)

    def effective_on(self, request: Fact) -> date:
        """§5: the end of the cycle that contains q; where none does, q itself."""
        q = self.requested_on(request)
        return next((cycle.ends_on for cycle in self.cycles if cycle.starts_on <= q < cycle.ends_on), q)

    def is_withdrawn(self, request: Fact) -> bool:
        """§5: requested_at < withdrawn_at < local midnight of effective_on."""
        requested_at = instant(request.data["requested_at"])
        latest = midnight(self.effective_on(request), self.zone)
        return any(
            requested_at < instant(withdrawal.data["withdrawn_at"]) < latest
            for withdrawal in self.facts("cancellation.withdrawn")
        )

    def standing_request(self) -> Fact | None:
        """§5: of the requests still standing the earliest counts."""
        return next((request for request in self.requests if not self.is_withdrawn(request)), None)

    def cycles_of_request(self, request: Fact) -> list[Charge]:
        """§5: each prepaid cycle with ends_on > q, and the one that contains q if that is not prepaid."""
        q = self.requested_on(request)
        return [c for c in self.cycles if c.ends_on > q and (c.prepaid or c.starts_on <= q)]

    def unused_parts(self) -> dict[str, UnusedPart]:
        """§5 and §6: which cycles have an `unused_period` row, and what it says but for the amount."""
        standing = self.standing_request()
        parts: dict[str, UnusedPart] = {}
        if standing is not None:
            parts = {cycle.id: self.unused_part(cycle, standing) for cycle in self.cycles_of_request(standing)}
        elif self.requests:
            parts = {cycle.id: UnusedPart("withdrawn", None) for cycle in self.cycles_of_request(self.requests[0])}
        if self.terminated_at is not None:
            terminated_on = local_date(self.terminated_at, self.zone)
            for cycle in self.cycles:
                stands = cycle.id in parts and parts[cycle.id].outcome != "withdrawn"
                if cycle.prepaid and cycle.ends_on > terminated_on and not stands:
                    parts[cycle.id] = UnusedPart("declined", "service_violation")
        return parts

    def unused_part(self, cycle: Charge, request: Fact) -> UnusedPart:
        if self.terms is None:
            return UnusedPart(None, None)
        reason = self.refusal(cycle, request)
        if reason:
            return UnusedPart("declined", reason)
        first_day = self.first_unused_day(request)
        days = max(0, (cycle.ends_on - max(first_day, cycle.starts_on)).days)
        kept = request.data.get("keep_service", False) and days == 0
        return UnusedPart(None, "service_kept" if kept else "nothing_due", self.unused_from(cycle, request), days)

    def refusal(self, cycle: Charge, request: Fact) -> str | None:
        """§5: the reasons that do not depend on the amount, in order."""
        requested_at = instant(request.data["requested_at"])
        terms = self.terms["cancellation"]
        if not cycle.prepaid:
            return "not_prepaid"
        if self.was_suspended(requested_at) or (
            self.terminated_at is not None and self.terminated_at <= requested_at
        ):
            return "service_violation"
        if terms["unused_period"] == "none":
            return "terms"
        minimum_term_ends = self.cycles[0].starts_on + terms["minimum_term_days"] * DAY
        if terms["minimum_term_days"] > 0 and self.requested_on(request) < minimum_term_ends:
            return "minimum_term"
        return None

    def first_unused_day(self, request: Fact) -> date:
        """§5: by the agreement's `unused_period`."""
        terms = self.terms["cancellation"]
        if terms["unused_period"] == "from_effective" or request.data.get("keep_service", False):
            return self.effective_on(request)
        return self.requested_on(request) + terms["notice_days"] * DAY

    def unused_from(self, cycle: Charge, request: Fact) -> datetime:
        """§5: local midnight of the first unused day, or the request itself; never before the cycle."""
        terms = self.terms["cancellation"]
        to_the_second = (
            self.terms["proration"]["basis"] == "exact_time"
            and terms["unused_period"] == "from_request"
            and terms["notice_days"] == 0
            and not request.data.get("keep_service", False)
        )
        if to_the_second:
            return max(instant(request.data["requested_at"]), cycle.begins_at)
        return max(midnight(self.first_unused_day(request), self.zone), cycle.begins_at)

    def unused_row(self, cycle: Charge, part: UnusedPart, net_price: Fraction, left: Fraction, fee_left: Fraction):
        """§5: the row of one cycle, and what of the fee goes on to the next."""
        outcome, reason, amount = part.outcome, part.reason, Fraction(0)
        if outcome is None:
            before_fee = min(left, self.unused_amount(cycle, part, net_price))
            fee = min(fee_left, before_fee)
            amount, fee_left = before_fee - fee, fee_left - fee
            outcome, reason = ("granted", None) if amount > 0 else ("declined", part.reason)
        row = claim(f"unused/{cycle.id}", "unused_period", self.id, cycle.id, outcome, amount, reason)
        return row, fee_left

    def unused_amount(self, cycle: Charge, part: UnusedPart, net_price: Fraction) -> Fraction:
        """§5: before the fee and the cap, rounded."""
        basis = self.terms["proration"]["basis"]
        if basis == "exact_time":
            unused_time = max(cycle.ends_at - part.starts_at, timedelta(0))
            amount = net_price * quotient(unused_time, cycle.ends_at - cycle.begins_at)
        else:
            amount = quotient(net_price * part.days, days_of_price(cycle, basis))
        return round_money(amount, self.currency, self.terms["proration"]["rounding"])

    def charged_after_end(self) -> list[str]:
        """§5: a cycle that starts on or after effective_on raises an alarm."""
        request = self.standing_request()
        if request is None:
            return []
        return [cycle.id for cycle in self.cycles if cycle.starts_on >= self.effective_on(request)]


def days_of_price(cycle: Charge, basis: str) -> int:
    """§3: the divisor: d, or with `thirty_days` 30 for each of the m months of a cycle of 28 days or more."""
    if basis == "actual_days" or cycle.days < 28:
        return cycle.days
    months = Fraction(cycle.days) / Fraction("30.4375")
    return 30 * floor(months + Fraction(1, 2))  # a tie cannot happen: 32 × d is even, 487 × (2m + 1) is odd


def monthly_price(cycle: Charge) -> Fraction:
    """§3: the cycle's own, else its price, for cycles longer than 31 days of 30 days."""
    if cycle.monthly_price is not None:
        return cycle.monthly_price
    return cycle.price if cycle.days <= 31 else cycle.price * 30 / cycle.days
