"""The policy page's settlement, sections 7 and 8, read literally: one function per rule.

`settle(messages, agreements, now, later)` takes the messages one by one in order of arrival, all at the instant
`now`, and answers how each account stands once time has passed to `later`.

Everything is worked out anew after every message. Only what has gone out is remembered: `GoneOut`. Money is a
`Fraction` in major units. "Gross" is net and tax together; amounts without another word are gross.
"""

import re
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from math import floor
from zoneinfo import ZoneInfo

from . import policy
from .policy import Charge, Fact

NOTHING = Fraction(0)
HOLD = timedelta(hours=24)
CLAUSES = {  # by how a claim's id begins, in the order of §2
    "billing-error": "billing_error",
    "disruption": "service_disruption",
    "unused": "unused_period",
}
TERMS_OF = {"billing_error": "billing_error", "service_disruption": "disruption", "unused_period": "cancellation"}

Part = tuple[str, str, Fraction, Fraction, bool]  # into, id, net, tax, has gone out


@dataclass
class Settled:
    """How one account is settled.

    `claims` have their parts `(into, id, net, tax, gone_out)`; `invoices`, `excess_credits` and `balance` are plain
    dicts (see `invoice_rows`, `excess_rows` and `balance_of`). `activations` are the subscriptions whose activation
    is due at the end, `ever_activated` those for which it was due after any of the messages.
    """

    claims: dict[str, list[Part]] = field(default_factory=dict)
    invoices: dict[str, dict[str, Fraction]] = field(default_factory=dict)
    excess_credits: dict[str, tuple[Fraction, Fraction]] = field(default_factory=dict)
    balance: dict[str, Fraction] = field(default_factory=dict)
    activations: set[str] = field(default_factory=set)
    ever_activated: set[str] = field(default_factory=set)
    waiting_payments: set[str] = field(default_factory=set)


def settle(messages: list[dict], agreements: list[dict], now: datetime, later: datetime) -> dict[str, Settled]:
    """How every account among the messages, taken in this order, is settled at `later`."""
    accounts: dict[str, Settling] = {}
    for message in messages:
        accounts.setdefault(message["subject"], Settling(message["subject"], agreements, now)).take(message)
    return {id: accounts[id].at(later) for id in accounts}


class Settling:
    """One account that takes messages one by one, all at the instant `now`."""

    def __init__(self, account_id: str, agreements: list[dict], now: datetime):
        self.account_id, self.agreements, self.now = account_id, agreements, now
        self.said: list[dict] = []
        self.seen: set[tuple[str, str]] = set()
        self.gone_out = GoneOut()
        self.charges: set[str] = set()  # those known so far
        self.left: dict[str, Fraction] = {}  # of each credit
        self.activated: set[str] = set()

    def take(self, message: dict):
        """§7: anew after every fact; credits are applied in the decision that the message makes."""
        if (message["source"], message["id"]) in self.seen:
            return
        self.seen.add((message["source"], message["id"]))
        self.said.append(message)
        known = know(self.account_id, self.said, self.agreements, self.now)
        standing = settle_and_take(known, self.gone_out)
        credits_come_of_excess(standing, self.gone_out, timedelta(0))
        standing = apply_credits(standing, self.gone_out, self.charges, self.left)
        remember_credits(standing, self.gone_out)
        self.activated |= activations_due(standing)
        self.charges, self.left = set(known.charge_facts), credits_left(standing, self.gone_out)

    def at(self, later: datetime) -> Settled:
        """How it is settled once time has passed, all assessed anew."""
        gone_out = deepcopy(self.gone_out)
        standing = settle_and_take(know(self.account_id, self.said, self.agreements, later), gone_out)
        credits_come_of_excess(standing, gone_out, later - self.now)
        return Settled(
            {id: parts for id, parts in standing.parts.items() if parts},
            invoice_rows(standing),
            excess_rows(standing, gone_out),
            balance_of(standing, gone_out),
            activations_due(standing),
            self.activated | activations_due(standing),
            waiting_payments(standing),
        )


# --- what is known -----------------------------------------------------------------------------------------------


@dataclass
class Known:
    """One account's facts as the assessment has them, and its claims."""

    account: policy.Account
    registration: Fact | None
    zone: ZoneInfo | None = None
    currency: str = ""
    subscriptions: dict[str, Fact] = field(default_factory=dict)
    terms: dict[str | None, dict | None] = field(default_factory=dict)
    charge_facts: dict[str, Fact] = field(default_factory=dict)  # those that count
    left_out: dict[str, Fact] = field(default_factory=dict)  # of charges none of whose facts counts, the first
    rows: dict[str, dict] = field(default_factory=dict)  # the claims
    verdicts: dict[str, Fact] = field(default_factory=dict)
    disputes: dict[str, Fact] = field(default_factory=dict)
    payments: dict[str, Fact] = field(default_factory=dict)  # of each payment the message that holds
    reports: dict[str, list[Fact]] = field(default_factory=dict)  # of each refund its messages, in order

    def charge(self, charge_id: str) -> Charge:
        return policy.as_charge(self.charge_facts[charge_id], self.zone)


def know(account_id: str, said: list[dict], agreements: list[dict], now: datetime) -> Known:
    """Before its account is registered nothing of it is settled: there is no currency."""
    [account] = policy._accounts(said) or [policy.Account(account_id, [])]
    registration = policy.first_of_each(account, account.of("account.registered"), None).get(None)
    if registration is None:
        return Known(account, None)
    zone, currency = ZoneInfo(registration.data["time_zone"]), registration.data["currency"]
    subscriptions = policy.first_of_each(account, account.of("subscription.registered"), "subscription_id")
    terms: dict[str | None, dict | None] = {
        id: policy.bound_terms(fact, zone, agreements) for id, fact in subscriptions.items()
    }
    terms[None] = policy.with_defaults({})
    charge_facts = {policy.charge_id(fact): fact for fact in policy.kept_charge_facts(account, registration)}
    left_out: dict[str, Fact] = {}
    for fact in account.of("cycle.started", "charge.posted"):
        if policy.charge_id(fact) not in charge_facts:
            left_out.setdefault(policy.charge_id(fact), fact)
    confirmed = policy.of_right_currency(account, registration, account.of("overcharge.confirmed"))
    verdicts = sorted(confirmed + account.of("overcharge.rejected"), key=lambda fact: fact.order)
    disputes = policy.of_right_currency(account, registration, account.of("billing_error.reported"))
    return Known(
        account,
        registration,
        zone,
        currency,
        subscriptions,
        terms,
        charge_facts,
        left_out,
        {row["claim_id"]: row for row in policy.assess(account, agreements, now)[0]},
        policy.first_verdicts(verdicts),
        policy.first_of_each(account, disputes, "dispute_id"),
        payments_that_hold(account, registration),
        refund_reports(account, registration),
    )


def payments_that_hold(account: policy.Account, registration: Fact) -> dict[str, Fact]:
    """§7: the latest time holds; at the same time a failure, then the greater message id (then source)."""
    captures = policy.of_right_currency(account, registration, account.of("payment.captured"))
    holding: dict[str, Fact] = {}
    for fact in sorted(
        captures + account.of("payment.failed"),
        key=lambda fact: (fact.time, fact.type == "payment.failed", fact.id, fact.source),
    ):
        holding[fact.data["payment_id"]] = fact
    return holding


def refund_reports(account: policy.Account, registration: Fact) -> dict[str, list[Fact]]:
    """§7: the processor's messages about one refund; one in a foreign currency is left out."""
    foreign = policy.refund_reports_with_currency(account)
    for fact in policy.of_right_currency(account, registration, foreign):
        foreign.remove(fact)
    reports: dict[str, list[Fact]] = {}
    for fact in account.of("refund.succeeded", "refund.failed"):
        if fact not in foreign:
            reports.setdefault(fact.data["refund_id"], []).append(fact)
    return reports


# --- what has gone out -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Application:
    """A credit that paid for a charge, with the net and tax that went, and its claim as it was at that moment."""

    id: str
    credit_id: str
    charge_id: str
    invoice_id: str
    amount: Fraction
    net: Fraction
    tax: Fraction
    claim_amount: Fraction
    claim_tax: Fraction


@dataclass(frozen=True)
class Refund:
    """A refund that has gone out; one whose report named the amount has no tax of its own."""

    id: str
    claim_id: str
    amount: Fraction
    tax: Fraction | None

    @property
    def number(self) -> int:
        return int(self.id.rpartition("/")[2])


@dataclass
class GoneOut:
    """All that is remembered from one message to the next."""

    applications: list[Application] = field(default_factory=list)
    last_due: dict[str, tuple[Fraction, Fraction]] = field(default_factory=dict)  # by refund id: amount, tax
    taken: dict[str, tuple[Fraction, Fraction]] = field(default_factory=dict)  # likewise, once reported
    excess_credits: set[str] = field(default_factory=set)  # the invoices whose excess has become a credit
    came: dict[str, tuple] = field(default_factory=dict)  # by credit id: when it came into being


def application_id(account_id: str, credit_id: str, charge_id: str) -> str:
    return sha256("\x00".join(("CreditApplied", account_id, credit_id, charge_id)).encode()).hexdigest()[:32]


def standing_applications(known: Known, gone_out: GoneOut) -> list[Application]:
    """§7: a payment from balance that names an application is that application; one that failed gives it back.

    Where the message has another amount, its tax is in the proportion that the claim had when the credit went out.
    """
    standing = []
    for application in gone_out.applications:
        payment = known.payments.get(application.id)
        if payment is None or (payment.type == "payment.captured" and payment.data["method"] != "balance"):
            standing.append(application)
        elif payment.type == "payment.captured":
            amount = policy.exact(payment.data["amount"])
            tax = application.tax
            if amount != application.amount:
                tax = half_up(
                    policy.quotient(amount * application.claim_tax, application.claim_amount), known.currency
                )
            invoice_id = payment.data["invoice_id"]
            standing.append(replace(application, invoice_id=invoice_id, amount=amount, net=amount - tax, tax=tax))
    return standing


def is_application(payment: Fact, gone_out: GoneOut) -> bool:
    return payment.data["method"] == "balance" and any(
        application.id == payment.data["payment_id"] for application in gone_out.applications
    )


def refunds_gone_out(known: Known, gone_out: GoneOut) -> list[Refund]:
    """§7: of the messages about one refund the latest holds; it went out with the amount named, or what was taken."""
    refunds = []
    for refund_id, reports in known.reports.items():
        claim_id = claim_of_refund(refund_id)
        if claim_id is None or reports[-1].type == "refund.failed":
            continue
        named = named_amount(reports)
        if named is not None and named > 0:
            refunds.append(Refund(refund_id, claim_id, named, None))
        elif named is None and refund_id in gone_out.taken:
            refunds.append(Refund(refund_id, claim_id, *gone_out.taken[refund_id]))
    return refunds


def named_amount(reports: list[Fact]) -> Fraction | None:
    """The amount that the latest success since the last failure names, of those that name one."""
    amount = None
    for report in reports:
        if report.type == "refund.failed":
            amount = None
        elif report.data.get("amount") is not None:
            amount = policy.exact(report.data["amount"])
    return amount


def claim_of_refund(refund_id: str) -> str | None:
    """`refund/CLAIM_ID/N`, N from 1."""
    found = re.fullmatch(r"refund/(.+)/([1-9][0-9]*)", refund_id)
    return found[1] if found else None


def settle_and_take(known: Known, gone_out: GoneOut) -> "Standing":
    """§7: a success that names no amount takes what was last due under its id, now or as soon as something is."""
    for refund_id in list(gone_out.taken):
        reports = known.reports.get(refund_id, [])
        if not reports or reports[-1].type == "refund.failed":
            del gone_out.taken[refund_id]
    while True:
        standing = work_out(known, gone_out)
        for lines in standing.lines.values():
            if lines.refund_open > 0:
                [part] = [part for part in standing.parts[lines.claim_id] if part[0] == "refund" and not part[4]]
                gone_out.last_due[part[1]] = (part[2] + part[3], part[3])
        waiting = [
            refund_id
            for refund_id, reports in known.reports.items()
            if reports[-1].type == "refund.succeeded"
            and named_amount(reports) is None
            and refund_id in gone_out.last_due
            and refund_id not in gone_out.taken
        ]
        if not waiting:
            return standing
        for refund_id in waiting:
            gone_out.taken[refund_id] = gone_out.last_due[refund_id]


# --- §7: an invoice ----------------------------------------------------------------------------------------------


@dataclass
class Lines:
    """One claim within the settlement of its invoice; the fields are the page's letters, in words."""

    claim_id: str
    order: tuple
    way: str  # refund or credit
    granted: Fraction  # G, gross
    granted_tax: Fraction
    refunds: list[Refund]  # what has gone out, together F
    uses: list[Application]
    reduced: Fraction = NOTHING  # R
    open: Fraction = NOTHING
    too_much: Fraction = NOTHING
    offset: Fraction = NOTHING  # below 0 at the claim that got too much
    refund_open: Fraction = NOTHING
    credit_open: Fraction = NOTHING
    overpaid: Fraction = NOTHING  # below 0

    @property
    def refunded(self) -> Fraction:
        return sum((refund.amount for refund in self.refunds), NOTHING)

    @property
    def used(self) -> Fraction:
        return sum((use.amount for use in self.uses), NOTHING)

    @property
    def gone_out(self) -> Fraction:
        """F."""
        return self.refunded + self.used


@dataclass
class Invoice:
    """One invoice; the fields are the page's letters."""

    id: str
    c: Fraction = NOTHING
    m: Fraction = NOTHING
    b: Fraction = NOTHING
    e: Fraction = NOTHING
    r: Fraction = NOTHING
    x: Fraction = NOTHING
    claims: list[Lines] = field(default_factory=list)
    counts: bool = False  # has a charge that counts
    has_charge: bool = False  # or at least one that was left out

    @property
    def p(self) -> Fraction:
        return self.m + self.b - self.e

    @property
    def asks_for(self) -> Fraction:
        return max(NOTHING, self.c - self.r - self.p)


@dataclass
class Standing:
    """How everything stands after one settlement."""

    known: Known
    applications: list[Application] = field(default_factory=list)
    invoices: dict[str, Invoice] = field(default_factory=dict)
    lines: dict[str, Lines] = field(default_factory=dict)
    parts: dict[str, list[Part]] = field(default_factory=dict)


def work_out(known: Known, gone_out: GoneOut) -> Standing:
    """§7: every invoice of the account, and the claims that belong to none."""
    if known.registration is None:
        return Standing(known)
    standing = Standing(known, standing_applications(known, gone_out))
    invoices = standing.invoices
    add_charges(known, invoices)
    add_payments(known, gone_out, standing.applications, invoices)
    for lines in claims_to_settle(known, gone_out, standing.applications):
        standing.lines[lines.claim_id] = lines
        invoice_id = invoice_of_claim(known, lines.claim_id)
        if invoice_id is None:
            settle_without_invoice(lines)
        else:
            invoices.setdefault(invoice_id, Invoice(invoice_id)).claims.append(lines)
    for invoice in invoices.values():
        settle_invoice(invoice, known.currency)
    standing.parts = {id: parts_of(lines, known.currency) for id, lines in standing.lines.items()}
    return standing


def add_charges(known: Known, invoices: dict[str, Invoice]):
    """§7, `C`: price and tax of its charges; one that is left out does not count, one that waits does."""
    for charge_id, fact in known.charge_facts.items():
        invoice = invoices.setdefault(fact.data["invoice_id"], Invoice(fact.data["invoice_id"]))
        invoice.c += known.charge(charge_id).price + known.charge(charge_id).tax
        invoice.counts = invoice.has_charge = True
    for fact in known.account.of("cycle.started", "charge.posted"):
        invoices.setdefault(fact.data["invoice_id"], Invoice(fact.data["invoice_id"])).has_charge = True


def add_payments(known: Known, gone_out: GoneOut, applications: list[Application], invoices: dict[str, Invoice]):
    """§7, `M`, `B` and `E`; a payment that failed was not paid."""
    for payment in known.payments.values():
        if payment.type == "payment.failed" or is_application(payment, gone_out):
            continue
        invoice = invoices.setdefault(payment.data["invoice_id"], Invoice(payment.data["invoice_id"]))
        if payment.data["method"] == "balance":
            invoice.b += policy.exact(payment.data["amount"])
        else:
            invoice.m += policy.exact(payment.data["amount"])
    for application in applications:
        invoices.setdefault(application.invoice_id, Invoice(application.invoice_id)).b += application.amount
        if application.credit_id.startswith("excess/"):
            bearer = application.credit_id.removeprefix("excess/")
            invoices.setdefault(bearer, Invoice(bearer)).e += application.amount


def claims_to_settle(known: Known, gone_out: GoneOut, applications: list[Application]) -> list[Lines]:
    """§7, `G` and `F`: the granted ones, and those for which something has gone out, in order."""
    refunds = refunds_gone_out(known, gone_out)
    uses = [use for use in applications if use.amount > 0 and claim_of_credit(use.credit_id) is not None]
    claim_ids = {id for id, row in known.rows.items() if row["outcome"] == "granted"}
    claim_ids |= {refund.claim_id for refund in refunds} | {claim_of_credit(use.credit_id) for use in uses}
    found = []
    for claim_id in claim_ids:
        row = known.rows.get(claim_id)
        net = Fraction(row["amount"]) if row else NOTHING
        tax = Fraction(row["tax"]) if row else NOTHING
        found.append(
            Lines(
                claim_id,
                settlement_order(known, claim_id),
                way_back(known, claim_id),
                net + tax,
                tax,
                [refund for refund in refunds if refund.claim_id == claim_id],
                [use for use in uses if claim_of_credit(use.credit_id) == claim_id],
            )
        )
    return sorted(found, key=lambda lines: lines.order)


def claim_of_credit(credit_id: str) -> str | None:
    """`credit/CLAIM_ID/1`; the credit for an excess belongs to no claim."""
    return credit_id.removeprefix("credit/").removesuffix("/1") if credit_id.startswith("credit/") else None


def charge_of_claim(known: Known, claim_id: str) -> str | None:
    """§1, §4: the cycle, or the charge that the verdict that holds names, else the report."""
    kind, _, id = claim_id.partition("/")
    if kind in ("disruption", "unused"):
        return id
    if kind == "billing-error":
        fact = known.verdicts.get(id) or known.disputes.get(id)
        return fact.data["charge_id"] if fact else None
    return None


def fact_of_charge(known: Known, charge_id: str | None) -> Fact | None:
    """A charge that is left out still says when it was and which invoice it is of."""
    return known.charge_facts.get(charge_id) or known.left_out.get(charge_id)


def invoice_of_claim(known: Known, claim_id: str) -> str | None:
    fact = fact_of_charge(known, charge_of_claim(known, claim_id))
    return fact.data["invoice_id"] if fact else None


def charge_order(known: Known, fact: Fact) -> tuple[date, str]:
    """§7: a cycle's `starts_on`, a one-off's local date of its `time`; then the charge id."""
    if fact.type == "cycle.started":
        return date.fromisoformat(fact.data["starts_on"]), policy.charge_id(fact)
    return policy.local_date(fact.time, known.zone), policy.charge_id(fact)


def settlement_order(known: Known, claim_id: str) -> tuple:
    """§7: by charge; within one as in §2, an overcharge without a verdict after those that have one, by claim id.

    Claims of no charge that is known come last, by claim id.
    """
    fact = fact_of_charge(known, charge_of_claim(known, claim_id))
    if fact is None:
        return (1, claim_id)
    kind, _, id = claim_id.partition("/")
    verdict = known.verdicts.get(id) if kind == "billing-error" else None
    rank = list(CLAUSES).index(kind)
    within = (rank, verdict is None, verdict.order) if verdict else (rank, True, ())
    return (0, charge_order(known, fact), within, claim_id)


def way_back(known: Known, claim_id: str) -> str:
    """§7: as the confirmation asks, else as the agreement's `settle_as` for that clause; goodwill is a credit."""
    kind, _, id = claim_id.partition("/")
    if kind not in CLAUSES:
        return "credit"
    verdict = known.verdicts.get(id)
    if kind == "billing-error" and verdict and verdict.data.get("settle_as") is not None:
        return verdict.data["settle_as"]
    fact = fact_of_charge(known, charge_of_claim(known, claim_id))
    terms = known.terms.get(fact.data.get("subscription_id")) if fact else None
    return (terms or policy.with_defaults({}))[TERMS_OF[CLAUSES[kind]]]["settle_as"]


def settle_without_invoice(lines: Lines):
    """§7: a goodwill claim has no invoice, all of it is a credit; what went out for none is overpaid."""
    lines.open = lines.credit_open = max(NOTHING, lines.granted - lines.gone_out)
    lines.overpaid = min(NOTHING, lines.granted - lines.gone_out)


def settle_invoice(invoice: Invoice, currency: str):
    reduce(invoice)
    set_off(invoice)
    give_back(invoice, currency)


def reduce(invoice: Invoice):
    """§7, Reduced: what comes off, given to the claims in order, each up to what is granted and not gone out."""
    granted = sum((claim.granted for claim in invoice.claims), NOTHING)
    gone_out = sum((claim.gone_out for claim in invoice.claims), NOTHING)
    invoice.r = left = min(max(NOTHING, granted - gone_out), max(NOTHING, invoice.c - invoice.p))
    for claim in invoice.claims:
        claim.reduced = min(left, max(NOTHING, claim.granted - claim.gone_out))
        left -= claim.reduced
    assert left == 0


def set_off(invoice: Invoice):
    """§7, Open and In excess: too much is set off against what is open, then against the excess."""
    invoice.x = max(NOTHING, invoice.p - invoice.c) if invoice.has_charge else NOTHING
    for claim in invoice.claims:
        rest = claim.granted - claim.reduced - claim.gone_out
        claim.open, claim.too_much = max(NOTHING, rest), max(NOTHING, -rest)
    for claim in invoice.claims:
        for other in invoice.claims:
            amount = min(claim.too_much, other.open)
            claim.too_much -= amount
            claim.offset -= amount
            other.open -= amount
            other.offset += amount
    for claim in invoice.claims:
        amount = min(claim.too_much, invoice.x)
        claim.too_much -= amount
        claim.offset -= amount
        invoice.x -= amount
        claim.overpaid = -claim.too_much


def give_back(invoice: Invoice, currency: str):
    """§7, How an open part goes back."""
    all_refunded = sum((claim.refunded for claim in invoice.claims), NOTHING)
    refunds_given = NOTHING  # open ones, before the claim
    refunds_before = credits_before = NOTHING  # gone out and open, of the refund-way claims before it
    for claim in invoice.claims:
        if claim.way == "refund":
            left_of_money = max(NOTHING, invoice.m - refunds_before)
            left_of_balance = max(NOTHING, invoice.b - credits_before)
            goes_back = claim.gone_out + claim.open
            share = half_up(policy.quotient(goes_back * left_of_money, left_of_money + left_of_balance), currency)
            share = min(left_of_money, share)
            claim.refund_open = min(
                max(NOTHING, share - claim.refunded),
                claim.open,
                max(NOTHING, invoice.m - all_refunded - refunds_given),
            )
            refunds_given += claim.refund_open
        claim.credit_open = claim.open - claim.refund_open
        if claim.way == "refund":
            refunds_before += claim.refunded + claim.refund_open
            credits_before += claim.used + claim.credit_open


def half_up(amount: Fraction, currency: str) -> Fraction:
    """§7: half up by absolute value, whatever the agreement's rounding."""
    scale = 10 ** policy.exponent(currency)
    whole = Fraction(floor(abs(amount) * scale + Fraction(1, 2)), scale)
    return whole if amount >= 0 else -whole


# --- §7: net and tax ---------------------------------------------------------------------------------------------


def parts_of(lines: Lines, currency: str) -> list[Part]:
    """§7, Net and tax: what has gone out keeps its own; the others share what remains, in order."""
    with_tax = [refund for refund in lines.refunds if refund.tax is not None]
    without_tax = [refund for refund in lines.refunds if refund.tax is None]
    remaining = lines.granted - sum((refund.amount for refund in with_tax), NOTHING) - lines.used
    remaining_tax = lines.granted_tax
    remaining_tax -= sum((refund.tax for refund in with_tax), NOTHING) + sum((use.tax for use in lines.uses), NOTHING)

    parts: list[Part] = [("refund", refund.id, refund.amount - refund.tax, refund.tax, True) for refund in with_tax]
    credit_id = f"credit/{lines.claim_id}/1"
    if lines.uses:
        used_tax = sum((use.tax for use in lines.uses), NOTHING)
        parts.append(("credit", credit_id, lines.used - used_tax, used_tax, True))

    others = [("invoice_reduction", None, lines.reduced, False), ("offset", None, lines.offset, False)]
    smaller_first = sorted(without_tax, key=lambda refund: (refund.amount, refund.number))
    others += [("refund", refund.id, refund.amount, True) for refund in smaller_first]
    others += [
        ("refund", open_refund_id(lines), lines.refund_open, False),
        ("credit", credit_id, lines.credit_open, False),
        ("overpaid", None, lines.overpaid, False),
    ]
    together = tax_given = NOTHING
    for into, id, amount, gone in others:
        if amount == 0:
            continue
        together += amount
        tax_by_then = half_up(policy.quotient(together * remaining_tax, remaining), currency)
        tax, tax_given = tax_by_then - tax_given, tax_by_then
        parts.append((into, id or f"{into}/{lines.claim_id}", amount - tax, tax, gone))
    assert together == remaining
    if tax_given != remaining_tax:
        difference = remaining_tax - tax_given
        parts.append(("correction", f"correction/{lines.claim_id}", -difference, difference, False))
    return parts


def open_refund_id(lines: Lines) -> str:
    """The lowest number from 1 of which nothing has gone out."""
    number = 1
    while number in {refund.number for refund in lines.refunds}:
        number += 1
    return f"refund/{lines.claim_id}/{number}"


# --- §7: the credit for an excess, and credits applied -----------------------------------------------------------


def credits_come_of_excess(standing: Standing, gone_out: GoneOut, rested: timedelta):
    """§7: an excess is a credit once no charge or payment of the invoice was recorded for `hold`."""
    for invoice in standing.invoices.values():
        if invoice.x > 0 and rested >= hold_of(standing.known, invoice):
            gone_out.excess_credits.add(invoice.id)


def hold_of(known: Known, invoice: Invoice) -> timedelta:
    """§7: of the agreement of its first charge's subscription; PT24H without one."""
    charges = [fact for fact in known.charge_facts.values() if fact.data["invoice_id"] == invoice.id]
    if not charges:
        return HOLD
    first = min(charges, key=lambda fact: charge_order(known, fact))
    terms = known.terms.get(first.data.get("subscription_id"))
    hold = terms["approval"]["hold"] if terms else "PT24H"
    return HOLD if hold.startswith("-") else policy.duration(hold)


def credits_left(standing: Standing, gone_out: GoneOut) -> dict[str, Fraction]:
    """What is left of each credit."""
    left = {
        f"credit/{lines.claim_id}/1": lines.credit_open for lines in standing.lines.values() if lines.credit_open > 0
    }
    for invoice in standing.invoices.values():
        if invoice.id in gone_out.excess_credits and invoice.x > 0:
            left[f"excess/{invoice.id}"] = invoice.x
    return left


def remember_credits(standing: Standing, gone_out: GoneOut):
    """The order in which credits first came into being; of one message invoice by invoice, by their first charges,
    those of claims before that of the excess, and last those of claims on no invoice. One that was gone and comes
    again is new."""
    stays = {*credits_left(standing, gone_out), *(use.credit_id for use in standing.applications if use.amount)}
    gone_out.came = {credit_id: came for credit_id, came in gone_out.came.items() if credit_id in stays}
    turn = 1 + max((came[0] for came in gone_out.came.values()), default=0)
    for credit_id in credits_left(standing, gone_out):
        if credit_id.startswith("excess/"):
            invoice_id, within = credit_id.removeprefix("excess/"), (1,)
        else:
            lines = standing.lines[claim_of_credit(credit_id)]
            invoice_id, within = invoice_of_claim(standing.known, lines.claim_id), (0, lines.order)
        gone_out.came.setdefault(credit_id, (turn, invoice_order(standing.known, invoice_id), within))


def invoice_order(known: Known, invoice_id: str | None) -> tuple:
    """By an invoice's first charge, also one that is left out; no invoice comes last."""
    named = [*known.charge_facts.values(), *known.left_out.values()]
    orders = [charge_order(known, fact) for fact in named if fact.data["invoice_id"] == invoice_id]
    return (0, min(orders), invoice_id) if orders else (1, "", invoice_id or "")


def apply_credits(
    standing: Standing, gone_out: GoneOut, known_before: set[str], left_before: dict[str, Fraction]
) -> Standing:
    """§7: credits granted before pay for charges that become known now, oldest first, as far as asked for."""
    known = standing.known
    new = known.charge_facts.keys() - known_before
    paid_for = {application.charge_id for application in gone_out.applications}
    oldest_first = sorted(left_before, key=lambda credit_id: gone_out.came[credit_id])
    for charge_id in sorted(new - paid_for, key=lambda charge_id: known.charge_facts[charge_id].order):
        invoice_id = known.charge_facts[charge_id].data["invoice_id"]
        for credit_id in oldest_first:
            left_now = credits_left(standing, gone_out).get(credit_id, NOTHING)
            asked_for = standing.invoices[invoice_id].asks_for
            amount = min(left_before[credit_id], left_now, asked_for)
            if amount > 0:
                gone_out.applications.append(apply(standing, credit_id, charge_id, invoice_id, amount))
                left_before[credit_id] -= amount
                standing = settle_and_take(known, gone_out)
                credits_come_of_excess(standing, gone_out, timedelta(0))
    return standing


def apply(standing: Standing, credit_id: str, charge_id: str, invoice_id: str, amount: Fraction) -> Application:
    """§7: a credit used in part takes tax in the claim's proportion at that moment; all of it, the tax it has."""
    known = standing.known
    id = application_id(known.account.id, credit_id, charge_id)
    claim_id = claim_of_credit(credit_id)
    if claim_id is None:
        return Application(id, credit_id, charge_id, invoice_id, amount, amount, NOTHING, amount, NOTHING)
    lines = standing.lines[claim_id]
    [part] = [part for part in standing.parts[claim_id] if part[0] == "credit" and not part[4]]
    tax = part[3]
    if amount < lines.credit_open:
        tax = half_up(policy.quotient(amount * lines.granted_tax, lines.granted), known.currency)
    return Application(
        id, credit_id, charge_id, invoice_id, amount, amount - tax, tax, lines.granted, lines.granted_tax
    )


# --- §8: activation ----------------------------------------------------------------------------------------------


def activations_due(standing: Standing) -> set[str]:
    """§8: registered, and its first invoice's payment is captured and stands; or nothing is left to pay on it."""
    known, due = standing.known, set()
    for subscription_id in known.subscriptions:
        first = first_charge(known, subscription_id)
        if first is not None and is_paid(standing, standing.invoices[first.data["invoice_id"]]):
            due.add(subscription_id)
    return due


def first_charge(known: Known, subscription_id: str) -> Fact | None:
    """The earliest cycle's invoice is the first; where there is no cycle, the earliest one-off's."""
    charges = [f for f in known.charge_facts.values() if f.data.get("subscription_id") == subscription_id]
    cycles = [fact for fact in charges if fact.type == "cycle.started"]
    return min(
        cycles or charges,
        key=lambda fact: (fact.data.get("starts_on", ""), fact.order),
        default=None,
    )


def is_paid(standing: Standing, invoice: Invoice) -> bool:
    """§8: by a captured payment that stands, whatever its amount; where its charges come to 0; by credits in full."""
    ours = {application.id for application in standing.applications}
    captured = any(
        payment.type == "payment.captured"
        and payment.data["invoice_id"] == invoice.id
        and not (payment.data["method"] == "balance" and payment.data["payment_id"] in ours)
        for payment in standing.known.payments.values()
    )
    credits = any(application.invoice_id == invoice.id for application in standing.applications)
    return captured or invoice.c == 0 or (credits and invoice.asks_for == 0)


# --- what is shown -----------------------------------------------------------------------------------------------


def waiting_payments(standing: Standing) -> set[str]:
    """Contract §3b: a payment on an invoice without a charge, not even one that is left out, waits."""
    return {
        payment_id
        for payment_id, payment in standing.known.payments.items()
        if payment.type == "payment.captured"
        and standing.known.registration is not None
        and not standing.invoices[payment.data["invoice_id"]].has_charge
    }


def invoice_rows(standing: Standing) -> dict[str, dict[str, Fraction]]:
    return {
        invoice.id: {
            "charged": invoice.c,
            "paid": invoice.m + invoice.b,
            "money": invoice.m,
            "balance": invoice.b,
            "excess_used": invoice.e,
            "reduced": invoice.r,
            "asks_for": invoice.asks_for,
            "excess": invoice.x,
        }
        for invoice in standing.invoices.values()
        if invoice.counts or invoice.claims or invoice.x or invoice.asks_for
    }


def excess_rows(standing: Standing, gone_out: GoneOut) -> dict[str, tuple[Fraction, Fraction]]:
    """§7: `E + X`, and what of it was used, of each invoice whose excess has become a credit."""
    return {
        invoice.id: (invoice.e + invoice.x, invoice.e)
        for invoice in standing.invoices.values()
        if invoice.id in gone_out.excess_credits and invoice.e + invoice.x > 0
    }


def balance_of(standing: Standing, gone_out: GoneOut) -> dict[str, Fraction]:
    """Contract §3b, in the account's currency; of an account that is not registered there is none."""
    if standing.known.registration is None:
        return {}
    invoices, claims = standing.invoices.values(), standing.lines.values()
    credits = excess_rows(standing, gone_out).values()
    applied = sum((application.amount for application in standing.applications), NOTHING)
    return {
        "charged": sum((invoice.c for invoice in invoices), NOTHING),
        "captured": sum((invoice.m + invoice.b for invoice in invoices), NOTHING) - applied,
        "reduced": sum((invoice.r for invoice in invoices), NOTHING),
        "owed": sum((invoice.asks_for for invoice in invoices), NOTHING),
        "captured_in_excess": sum(
            (invoice.x for invoice in invoices if invoice.id not in gone_out.excess_credits), NOTHING
        ),
        "refund_due": sum((claim.refund_open for claim in claims), NOTHING),
        "refunded": sum((claim.refunded for claim in claims), NOTHING),
        "credit_used": sum((claim.used for claim in claims), NOTHING) + sum((used for _, used in credits), NOTHING),
        "credit_left": sum((claim.credit_open for claim in claims), NOTHING)
        + sum((total - used for total, used in credits), NOTHING),
        "overpaid": -sum((claim.overpaid for claim in claims), NOTHING),
    }
