"""What is known of an account: its facts, indexed, with those that contradict others set aside (policy §1).

`AccountFacts.learn` takes one fact in and says what it touches, so that an assessment need only look there. The
result never depends on the order of learning: whatever depends on which of two facts is the later one is decided by
their messages' (time, id, source), and taken up anew when an earlier one turns up.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from ledger.agreement import Agreement, PublishedAgreement
from ledger.events import (
    CLAUSES,
    AccountRegistered,
    AgreementBound,
    BillingErrorReported,
    CancellationRequested,
    CancellationWithdrawn,
    ChargePosted,
    ComplaintFact,
    ComplaintOpened,
    CycleStarted,
    Fact,
    FactRetracted,
    GoodwillApproved,
    GoodwillProposed,
    GoodwillRejected,
    InstructionFact,
    Message,
    MessageKey,
    OutageReopened,
    OutageReported,
    OutageResolved,
    OverchargeConfirmed,
    OverchargeRejected,
    PaymentCaptured,
    PaymentFailed,
    RefundReport,
    RefundSucceeded,
    RefundSucceededV1,
    RetractedMessage,
    Retraction,
    SubscriptionRegistered,
    SubscriptionReinstated,
    SubscriptionSuspended,
    SubscriptionTerminated,
    message_key,
    retracted,
)
from ledger.policy.charges import Charge, Cycle, billing_cycle, one_off
from ledger.policy.outages import Outage, Outages
from ledger.values import END, Period, local_date, midnight, unit

F = TypeVar("F", bound=Fact)


@dataclass(slots=True)
class Touched:
    """What an assessment has to look at again."""

    everything: bool = False
    windows: dict[str, Period] = field(default_factory=dict)
    """By subscription: the time in which its cycles may be owed something else than before, or for other reasons."""
    charges: set[str] = field(default_factory=set)
    disputes: set[str] = field(default_factory=set)
    goodwill: set[str] = field(default_factory=set)
    """Goodwill credits."""
    invoices: set[str] = field(default_factory=set)
    """Invoices that were charged or paid otherwise than before."""
    payments: set[str] = field(default_factory=set)
    """Payments, by id: one may confirm that a credit was applied."""
    refunds: set[str] = field(default_factory=set)
    """Refunds that the payment processor reported on."""

    def window(self, subscription_id: str, period: Period) -> None:
        """Add a time of a subscription."""
        self.windows[subscription_id] = self.windows.get(subscription_id, period).hull(period)

    def joined(self, other: Touched) -> Touched:
        """What either of two touches."""
        both = Touched(
            self.everything or other.everything,
            dict(self.windows),
            self.charges | other.charges,
            self.disputes | other.disputes,
            self.goodwill | other.goodwill,
            self.invoices | other.invoices,
            self.payments | other.payments,
            self.refunds | other.refunds,
        )
        for subscription_id, period in other.windows.items():
            both.window(subscription_id, period)
        return both


EVERYTHING = Touched(everything=True)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two facts that cannot both hold; `left_out` is the later one, which the assessment does without."""

    kept: Fact
    left_out: Fact


@dataclass(frozen=True, slots=True)
class Waiting:
    """A recorded fact that cannot be assessed until its account knows what it is about."""

    fact: Fact
    waits_for: str


@dataclass(slots=True)
class SubscriptionFacts:
    """What is known of one subscription."""

    subscription_id: str
    registration: SubscriptionRegistered | None = None
    binding: AgreementBound | None = None
    terms: Agreement | None = None
    cycles: list[Cycle] = field(default_factory=list)
    outages: Outages = field(default_factory=Outages)
    requests: list[CancellationRequested] = field(default_factory=list)
    withdrawals: list[CancellationWithdrawn] = field(default_factory=list)
    interruptions: list[SubscriptionSuspended | SubscriptionReinstated] = field(default_factory=list)
    terminations: list[SubscriptionTerminated] = field(default_factory=list)

    def cycle_containing(self, day: date) -> Cycle | None:
        """The cycle in which a local date lies."""
        position = bisect_right(self.cycles, day, key=lambda cycle: cycle.starts_on)
        return self.cycles[position - 1] if position and self.cycles[position - 1].contains(day) else None

    def cycles_in(self, window: Period) -> list[Cycle]:
        """The cycles that share time with a window, or touch it, in order."""
        first = bisect_right(self.cycles, window.begin, key=lambda cycle: cycle.period.begin)
        while first and self.cycles[first - 1].period.end >= window.begin:
            first -= 1
        last = bisect_right(self.cycles, window.end, key=lambda cycle: cycle.period.begin)
        return self.cycles[first:last]

    def latest_ended(self, now: datetime) -> Cycle | None:
        """The last cycle whose end has passed: an open outage counts to its end (policy §3)."""
        position = bisect_right(self.cycles, now, key=lambda cycle: cycle.period.end)
        return self.cycles[position - 1] if position else None

    def drop_stale_binding(self, time_zone: str | None) -> None:
        """Terms hold for the registration and the zone that they were bound for; where an earlier one stands now,
        the subscription is bound anew, as if it had been known from the start."""
        binding = self.binding
        if binding is not None and (
            self.registration is None
            or binding.data.registration != self.registration.event_id
            or binding.data.time_zone != time_zone
        ):
            self.binding = self.terms = None

    def insert_cycle(self, cycle: Cycle) -> None:
        """Put a cycle in its place."""
        insort(self.cycles, cycle, key=lambda c: c.starts_on)


@dataclass(slots=True)
class DisputeFacts:
    """What is known of one dispute: reports, and verdicts in the account's currency."""

    reports: list[BillingErrorReported] = field(default_factory=list)
    verdicts: list[OverchargeConfirmed | OverchargeRejected] = field(default_factory=list)


@dataclass(slots=True)
class GoodwillFacts:
    """What is known of one goodwill credit."""

    proposals: list[GoodwillProposed] = field(default_factory=list)
    verdicts: list[GoodwillApproved | GoodwillRejected] = field(default_factory=list)


class AccountFacts:
    """Everything that is known of one account."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.retracted: dict[MessageKey, Retraction] = {}
        """The messages that count as never said, whether they came already or not."""
        self._said: dict[MessageKey, Fact] = {}
        """Every fact that came, those that are retracted too."""
        self._bindings: dict[tuple[str, str], tuple[AgreementBound, Agreement]] = {}
        """The terms that were bound, by the event id of their registration and the zone."""
        self._waiting: dict[str, Waiting] = {}
        """By the event id of the fact that waits."""
        self._waiting_for: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        """The same facts' event ids by what they wait for: its kind, then its id."""
        self._waiting_changes: dict[str, Waiting | None] = {}
        self._asked_anew: dict[str, Fact] = {}
        """The facts that may wait for something else than when that was last asked."""
        self._forget()

    def _forget(self) -> None:
        """Know no fact; what came, what is retracted, what was bound and what was told to wait is remembered."""
        self.registrations: list[AccountRegistered] = []
        self.subscriptions: dict[str, SubscriptionFacts] = {}
        self.charges: dict[str, Charge] = {}
        """The charges that stand and are assessed: those of a subscription once it is registered."""
        self.charged: dict[str, Charge] = {}
        """Every charge that stands, also where its subscription is not registered yet."""
        self.disputes: dict[str, DisputeFacts] = defaultdict(DisputeFacts)
        self.goodwill: dict[str, GoodwillFacts] = defaultdict(GoodwillFacts)
        self.payments: dict[str, PaymentCaptured] = {}
        self.invoices: dict[str, Invoice] = defaultdict(Invoice)
        self.contradictions: dict[str, Contradiction] = {}
        """By the event id of the fact left out."""
        self._charge_facts: dict[str, list[CycleStarted | ChargePosted]] = defaultdict(list)
        self._registrations_of: dict[str, list[SubscriptionRegistered]] = defaultdict(list)
        self._outage_reports: dict[str, list[OutageReported]] = defaultdict(list)
        self._outage_endings: dict[tuple[str, str], list[OutageResolved | OutageReopened]] = defaultdict(list)
        self._payment_facts: dict[str, list[PaymentCaptured | PaymentFailed]] = defaultdict(list)
        self._refund_reports: dict[str, list[RefundReport]] = defaultdict(list)
        self._reported_for: dict[str, set[str]] = defaultdict(set)
        self._complaints: dict[str, list[ComplaintFact]] = defaultdict(list)
        self._disputes_on: dict[str, set[str]] = defaultdict(set)
        self._facts: dict[str, Fact] = {}

    # --- what stands ---------------------------------------------------------------------------------------------

    @property
    def registration(self) -> AccountRegistered | None:
        """The registration that stands: the earliest by its message."""
        return min(self.registrations, key=lambda fact: fact.order, default=None)

    @property
    def time_zone(self) -> str | None:
        """The account's zone, once it is registered."""
        registration = self.registration
        return registration.data.time_zone if registration else None

    @property
    def currency(self) -> str | None:
        """The account's currency, once it is registered."""
        registration = self.registration
        return registration.data.currency if registration else None

    def charge_named(self, charge_id: str) -> Charge | None:
        """The charge under an id: the one that stands, else the first of those left out; None where none is known."""
        standing = self.charged.get(charge_id)
        if standing is not None or self.time_zone is None or charge_id not in self._charge_facts:
            return standing
        return _charge_of(min(self._charge_facts[charge_id], key=lambda fact: fact.order), self.time_zone)

    def disputes_on(self, charge_id: str) -> Iterable[str]:
        """The disputes whose reports or verdicts name a charge."""
        return self._disputes_on.get(charge_id, ())

    # --- learning ------------------------------------------------------------------------------------------------

    def learn(self, fact: Fact) -> Touched:
        """Take in one fact; each fact is learnt once, and one that is retracted counts for nothing."""
        self._said[message_key(fact)] = fact
        self._is_known("message", _message(fact.data.message))
        if isinstance(fact, FactRetracted):
            before = self.retracted
            self.retracted = retracted(f.retraction for f in self._said.values() if isinstance(f, FactRetracted))
            if not self._said.keys().isdisjoint(self.retracted.keys() ^ before.keys()):
                self._learn_anew()
                return EVERYTHING
        return Touched() if message_key(fact) in self.retracted else self._learn(fact)

    def _learn_anew(self) -> None:
        """Forget everything and learn what stands: others may have been left out for what never was."""
        self._forget()
        standing = [fact for key, fact in self._said.items() if key not in self.retracted]
        for fact in sorted(standing, key=_registrations_first):
            self._learn(fact)
        gone = [waiting.fact for waiting in self._waiting.values() if waiting.fact.event_id not in self._facts]
        self._ask_anew(*gone)
        for subscription in self.subscriptions.values():
            registration, zone = subscription.registration, self.time_zone
            if registration is not None and zone is not None:
                bound = self._bindings.get((registration.event_id, zone))
                subscription.binding, subscription.terms = bound or (None, None)

    def _learn(self, fact: Fact) -> Touched:
        self._facts[fact.event_id] = fact
        self._ask_anew(fact)
        match fact:
            case AccountRegistered():
                self.registrations.append(fact)
                self._take_up_anew()
                return EVERYTHING
            case CycleStarted() | ChargePosted():
                return self._learn_charge(fact)
            case OutageReported():
                return self._learn_outage(fact)
            case OutageResolved() | OutageReopened():
                return self._learn_ending(fact)
            case SubscriptionRegistered():
                return self._learn_registration(fact)
            case (
                CancellationRequested()
                | CancellationWithdrawn()
                | SubscriptionSuspended()
                | SubscriptionReinstated()
                | SubscriptionTerminated()
            ):
                return self._learn_course(fact)
            case BillingErrorReported() | OverchargeConfirmed() | OverchargeRejected():
                return self._learn_dispute(fact)
            case PaymentCaptured() | PaymentFailed():
                return self._learn_payment(fact)
            case RefundReport():
                return self._learn_refund_report(fact)
            case ComplaintFact():
                return self._learn_complaint(fact)
            case GoodwillProposed() | GoodwillApproved() | GoodwillRejected():
                return self._learn_goodwill(fact)
        return Touched()

    def bind(self, binding: AgreementBound, published: PublishedAgreement) -> Touched:
        """Take note of the terms that hold for a subscription."""
        subscription = self.subscriptions[binding.data.subscription_id]
        subscription.binding, subscription.terms = binding, published.terms
        self._bindings[binding.data.registration, binding.data.time_zone] = (binding, published.terms)
        self._ask_anew(*self._registrations_of[binding.data.subscription_id])
        return self._whole(subscription)

    def touched_by_time(self) -> Touched:
        """What may be owed otherwise because time passed, though no fact came: cycles with an outage still open."""
        touched = Touched()
        for subscription in self.subscriptions.values():
            ongoing = [outage.began_at for outage in subscription.outages.ongoing.values()]
            if ongoing:
                touched.window(subscription.subscription_id, Period(min(ongoing), END))
        return touched

    def unbound(self) -> list[SubscriptionRegistered]:
        """The standing registrations that no agreement is bound for, once the account's zone is known."""
        if self.time_zone is None:
            return []
        subscriptions = self.subscriptions.values()
        return [s.registration for s in subscriptions if s.registration is not None and s.binding is None]

    def _subscription(self, subscription_id: str) -> SubscriptionFacts:
        if subscription_id not in self.subscriptions:
            self.subscriptions[subscription_id] = SubscriptionFacts(subscription_id)
        return self.subscriptions[subscription_id]

    def _whole(self, subscription: SubscriptionFacts) -> Touched:
        touched = Touched()
        for charge in self.charges.values():
            if charge.subscription_id == subscription.subscription_id:
                touched.charges.add(charge.charge_id)
                touched.disputes.update(self.disputes_on(charge.charge_id))
        touched.goodwill = self._goodwill_where(lambda data: data.subscription_id == subscription.subscription_id)
        return touched

    def _learn_registration(self, fact: SubscriptionRegistered) -> Touched:
        registrations = self._registrations_of[fact.data.subscription_id]
        registrations.append(fact)
        self._ask_anew(*registrations)
        self._is_known("subscription", fact.data.subscription_id)
        subscription = self._subscription(fact.data.subscription_id)
        if len(registrations) > 1:
            subscription.registration = self._first_stands(registrations)
            subscription.drop_stale_binding(self.time_zone)
            return self._whole(subscription)
        subscription.registration = fact
        if self._charge_facts:
            self._take_up_anew()
        return self._whole(subscription)

    def _learn_course(
        self,
        fact: CancellationRequested
        | CancellationWithdrawn
        | SubscriptionSuspended
        | SubscriptionReinstated
        | SubscriptionTerminated,
    ) -> Touched:
        """What changes the course of a subscription: cancellation, suspension, termination."""
        subscription = self._subscription(fact.data.subscription_id)
        touched = Touched()
        match fact:
            case CancellationRequested():
                subscription.requests.append(fact)
                since = fact.data.requested_at
            case CancellationWithdrawn():
                subscription.withdrawals.append(fact)
                since = fact.data.withdrawn_at
            case SubscriptionSuspended():
                subscription.interruptions.append(fact)
                since = fact.data.suspended_at
            case SubscriptionReinstated():
                subscription.interruptions.append(fact)
                since = fact.data.reinstated_at
            case SubscriptionTerminated():
                subscription.terminations.append(fact)
                since = fact.data.terminated_at
        touched.window(subscription.subscription_id, Period(self._date_begins(since), END))
        return touched

    def _date_begins(self, instant: datetime) -> datetime:
        """Where the local date of an instant begins: what goes by dates concerns all of it (policy §5, §6).

        The date's cycle may have ended by the instant, in a night whose clocks go back over midnight.
        """
        zone = self.time_zone
        return midnight(local_date(instant, zone), zone) if zone is not None else instant

    # --- charges -------------------------------------------------------------------------------------------------

    def _learn_charge(self, fact: CycleStarted | ChargePosted) -> Touched:
        charge_id = _charge_id(fact)
        akin = self._charge_facts[charge_id]
        akin.append(fact)
        self.invoices[fact.data.invoice_id].charge_facts.append(fact)
        self._is_known("charge", _on_invoice(fact))
        touched = Touched(disputes=set(self.disputes_on(charge_id)), invoices={fact.data.invoice_id})
        zone = self.time_zone
        if zone is None:
            return touched
        charge = _charge_of(fact, zone)
        subscription = self._subscription(charge.subscription_id) if charge.subscription_id is not None else None
        if len(akin) > 1 or self._is_entangled(charge, subscription):
            self._take_up_anew()
            return EVERYTHING
        self._charge(charge)
        if subscription is not None and subscription.registration is None:
            return touched
        self._admit(charge)
        if isinstance(charge, Cycle) and subscription is not None:
            touched.window(subscription.subscription_id, charge.period)
            if subscription.requests:
                touched.window(subscription.subscription_id, Period(charge.period.begin, END))
        return touched

    def _is_entangled(self, charge: Charge, subscription: SubscriptionFacts | None) -> bool:
        """Whether the charge may contradict another, so that all must be judged again in their order."""
        if charge.currency != self.currency:
            return True
        if not isinstance(charge, Cycle) or subscription is None:
            return False
        if subscription.registration is None or self._has_cycle_left_out(subscription.subscription_id):
            return True
        return any(
            charge.starts_on < other.ends_on and other.starts_on < charge.ends_on
            for other in subscription.cycles_in(charge.period)
        )

    def _has_cycle_left_out(self, subscription_id: str) -> bool:
        return any(
            isinstance(c.left_out, CycleStarted) and c.left_out.data.subscription_id == subscription_id
            for c in self.contradictions.values()
        )

    def _charge(self, charge: Charge) -> None:
        self.charged[charge.charge_id] = charge
        self.invoices[charge.invoice_id].charges[charge.charge_id] = charge

    def _admit(self, charge: Charge) -> None:
        self.charges[charge.charge_id] = charge
        self._is_known("charge", charge.charge_id)
        if isinstance(charge, Cycle):
            self._subscription(charge.subscription_id).insert_cycle(charge)

    def _take_up_anew(self) -> None:
        """Judge all facts again in the order of their messages, because an earlier one may have turned up."""
        self._asked_anew = dict(self._facts)
        self.contradictions.clear()
        self.charges.clear()
        self.charged.clear()
        for invoice in self.invoices.values():
            invoice.charges.clear()
            invoice.payments.clear()
        for subscription in self.subscriptions.values():
            subscription.cycles.clear()
            subscription.outages = Outages()
        self._first_stands(self.registrations)
        for subscription_id, registrations in self._registrations_of.items():
            subscription = self._subscription(subscription_id)
            subscription.registration = self._first_stands(registrations)
            subscription.drop_stale_binding(self.time_zone)
        self._judge_charges()
        for outage_id in list(self._outage_reports):
            self._judge_outage(outage_id)
        for payment_id in list(self._payment_facts):
            self._judge_payment(payment_id)
        for refund_id in self._refund_reports:
            self._judge_refund(refund_id)
        for dispute_id in list(self.disputes):
            self._judge_dispute(dispute_id)
        for complaint_id in list(self._complaints):
            self._judge_complaint(complaint_id)
        for credit_id in list(self.goodwill):
            self._judge_goodwill(credit_id)

    def _judge_charges(self) -> None:
        registration = self.registration
        if registration is None:
            return
        kept_by_id: dict[str, Fact] = {}
        cycles_kept: dict[str, list[Cycle]] = defaultdict(list)
        for fact in sorted((f for akin in self._charge_facts.values() for f in akin), key=lambda f: f.order):
            if fact.data.currency != registration.data.currency:
                self._contradict(registration, fact)
                continue
            same_id = kept_by_id.get(_charge_id(fact))
            if same_id is not None:
                if not _says_the_same(same_id, fact):
                    self._contradict(same_id, fact)
                continue
            charge = _charge_of(fact, registration.data.time_zone)
            if isinstance(charge, Cycle):
                siblings = cycles_kept[charge.subscription_id]
                overlapped = next(
                    (c for c in siblings if charge.starts_on < c.ends_on and c.starts_on < charge.ends_on), None
                )
                if overlapped is not None:
                    self._contradict(overlapped.fact, fact)
                    continue
                siblings.append(charge)
            kept_by_id[charge.charge_id] = fact
            self._charge(charge)
            if charge.subscription_id is None or self._is_registered(charge.subscription_id):
                self._admit(charge)

    def _is_registered(self, subscription_id: str) -> bool:
        subscription = self.subscriptions.get(subscription_id)
        return subscription is not None and subscription.registration is not None

    # --- outages -------------------------------------------------------------------------------------------------

    def _learn_outage(self, fact: OutageReported) -> Touched:
        outage_id = fact.data.outage_id
        standing = self._standing_outage(outage_id)
        self._outage_reports[outage_id].append(fact)
        return self._outage_changed(outage_id, standing)

    def _learn_ending(self, fact: OutageResolved | OutageReopened) -> Touched:
        standing = self._standing_outage(fact.data.outage_id)
        self._outage_endings[fact.data.subscription_id, fact.data.outage_id].append(fact)
        return self._outage_changed(fact.data.outage_id, standing)

    def _outage_changed(self, outage_id: str, before: Outage | None) -> Touched:
        """Replace an outage by what stands now; touched is the time of both."""
        touched = Touched()
        if before is not None:
            subscription = self._subscription(before.report.data.subscription_id)
            subscription.outages.remove(before)
            touched.window(subscription.subscription_id, before.reaching(END))
        after = self._judge_outage(outage_id)
        self._is_known("outage", outage_id)
        if before is not None and after is not None:
            subscription_id = before.report.data.subscription_id
            if after.report.data.subscription_id != subscription_id:
                # What ended it on the subscription where it no longer stands waits again for its report there.
                self._ask_anew(*self._outage_endings.get((subscription_id, outage_id), ()))
        if after is not None:
            touched.window(after.report.data.subscription_id, after.reaching(END))
        return touched

    def _standing_outage(self, outage_id: str) -> Outage | None:
        reports = self._outage_reports.get(outage_id)
        if not reports:
            return None
        report = min(reports, key=lambda fact: fact.order)
        endings = [
            ending
            for ending in self._outage_endings.get((report.data.subscription_id, outage_id), ())
            if not _ends_before_it_began(ending, report)
        ]
        return Outage(report, max(endings, key=lambda fact: fact.order, default=None))

    def _judge_outage(self, outage_id: str) -> Outage | None:
        outage = self._standing_outage(outage_id)
        if outage is None:
            return None
        reports = self._outage_reports[outage_id]
        self._first_stands(reports)
        for subscription_id in {report.data.subscription_id for report in reports}:
            stands_here = subscription_id == outage.report.data.subscription_id
            for ending in self._outage_endings.get((subscription_id, outage_id), ()):
                self._contradict_no_more(ending)
                if stands_here and _ends_before_it_began(ending, outage.report):
                    self._contradict(outage.report, ending)
        self._subscription(outage.report.data.subscription_id).outages.add(outage)
        return outage

    # --- disputes, payments --------------------------------------------------------------------------------------

    def _learn_dispute(self, fact: BillingErrorReported | OverchargeConfirmed | OverchargeRejected) -> Touched:
        data = fact.data
        dispute = self.disputes[data.dispute_id]
        if isinstance(fact, BillingErrorReported):
            dispute.reports.append(fact)
        else:
            dispute.verdicts.append(fact)
        self._disputes_on[data.charge_id].add(data.dispute_id)
        self._judge_dispute(data.dispute_id)
        named = {f.data.charge_id for f in (*dispute.reports, *dispute.verdicts)}
        return Touched(charges=named, disputes={data.dispute_id})

    def _judge_dispute(self, dispute_id: str) -> None:
        dispute = self.disputes[dispute_id]
        self._first_stands([report for report in dispute.reports if not self._is_foreign(report)])
        for fact in (*dispute.reports, *dispute.verdicts):
            if self._is_foreign(fact) and self.registration is not None:
                self._contradict(self.registration, fact)

    def _is_foreign(self, fact: Fact) -> bool:
        """Whether a fact is in another currency than the account's, or has more digits than the account's has."""
        currency = getattr(fact.data, "currency", None)
        if self.currency is None:
            return False
        if currency is None and isinstance(fact, RefundSucceeded) and fact.data.amount is not None:
            return fact.data.amount != fact.data.amount.quantize(unit(self.currency))
        return currency is not None and currency != self.currency

    def dispute_report(self, dispute_id: str) -> BillingErrorReported | None:
        """The report that stands."""
        reports = [report for report in self.disputes[dispute_id].reports if not self._is_foreign(report)]
        return min(reports, key=lambda fact: fact.order, default=None)

    def dispute_verdict(self, dispute_id: str) -> OverchargeConfirmed | OverchargeRejected | None:
        """The verdict that holds: the first by its message (policy §4)."""
        verdicts = [verdict for verdict in self.disputes[dispute_id].verdicts if not self._is_foreign(verdict)]
        return min(verdicts, key=lambda fact: fact.order, default=None)

    def _learn_payment(self, fact: PaymentCaptured | PaymentFailed) -> Touched:
        standing = self.payments.get(fact.data.payment_id)
        self._payment_facts[fact.data.payment_id].append(fact)
        self.invoices[fact.data.invoice_id].payment_facts.append(fact)
        self._judge_payment(fact.data.payment_id)
        self._ask_anew(*self._payment_facts[fact.data.payment_id])
        paid = {
            fact.data.invoice_id,
            *(p.data.invoice_id for p in (standing, self.payments.get(fact.data.payment_id)) if p),
        }
        return Touched(invoices=paid, payments={fact.data.payment_id})

    def _judge_payment(self, payment_id: str) -> None:
        """Of the messages about a payment the latest holds; captures that differ from the latest are alarmed."""
        before = self.payments.pop(payment_id, None)
        if before is not None:
            self.invoices[before.data.invoice_id].payments.pop(payment_id, None)
        messages = []
        for fact in self._payment_facts[payment_id]:
            if not self._is_foreign(fact):
                messages.append(fact)
            elif self.registration is not None:
                self._contradict(self.registration, fact)
        captures = [fact for fact in messages if isinstance(fact, PaymentCaptured)]
        self._one_stands(captures, max(captures, key=_payment_order, default=None))
        holding = max(messages, key=_payment_order, default=None)
        if isinstance(holding, PaymentCaptured):
            self.payments[payment_id] = holding
            self.invoices[holding.data.invoice_id].payments[payment_id] = holding

    def has_failed(self, payment_id: str) -> bool:
        """Whether the message that holds about a payment says that it failed; False where none came."""
        return payment_id not in self.payments and any(
            isinstance(fact, PaymentFailed) for fact in self._payment_facts.get(payment_id, ())
        )

    # --- refunds ---------------------------------------------------------------------------------------------------

    def _learn_refund_report(self, fact: RefundReport) -> Touched:
        self._refund_reports[fact.data.refund_id].append(fact)
        claim_id = claim_of_refund(fact.data.refund_id)
        if claim_id is not None:
            self._reported_for[claim_id].add(fact.data.refund_id)
        self._judge_refund(fact.data.refund_id)
        self._ask_anew(*self._refund_reports[fact.data.refund_id])
        return Touched(refunds={fact.data.refund_id})

    def _is_reported_with_amount(self, refund_id: str) -> bool:
        """Whether what went out under an id, for what can be a claim, is known though it was never due."""
        return claim_of_refund(refund_id) is not None and any(
            isinstance(report, RefundSucceeded) and report.data.amount is not None and not self._is_foreign(report)
            for report in self._refund_reports[refund_id]
        )

    def _judge_refund(self, refund_id: str) -> None:
        for fact in self._refund_reports[refund_id]:
            if self._is_foreign(fact) and self.registration is not None:
                self._contradict(self.registration, fact)

    def refunds_reported(self) -> Iterable[str]:
        """The refunds that the payment processor reported on."""
        return self._refund_reports

    def refunds_reported_for(self, claim_id: str) -> Iterable[str]:
        """Those of one claim."""
        return self._reported_for.get(claim_id, ())

    def refund_word(self, refund_id: str) -> RefundWord | None:
        """What the payment processor says of a refund, by its latest report; None where it said nothing."""
        reports = [fact for fact in self._refund_reports.get(refund_id, ()) if not self._is_foreign(fact)]
        if not reports:
            return None
        reports.sort(key=lambda fact: fact.order)
        since_failure: list[RefundSucceeded | RefundSucceededV1] = []
        for report in reports:
            if isinstance(report, RefundSucceeded | RefundSucceededV1):
                since_failure.append(report)
            else:
                since_failure.clear()
        return RefundWord(tuple(since_failure), reports[-1])

    def references_that_differ(self, refund_id: str) -> Iterator[tuple[Fact, Fact]]:
        """The reports of success that name another reference than the first since the refund failed last."""
        word = self.refund_word(refund_id)
        if word is not None and word.succeeded:
            first, *others = word.succeeded
            for other in others:
                if other.data.processor_reference != first.data.processor_reference:
                    yield first, other

    # --- complaints, goodwill --------------------------------------------------------------------------------------

    def _learn_complaint(self, fact: ComplaintFact) -> Touched:
        complaint_id = fact.data.complaint_id
        self._complaints[complaint_id].append(fact)
        if not isinstance(fact, ComplaintOpened):
            return Touched()
        self._judge_complaint(complaint_id)
        self._is_known("complaint", complaint_id)
        return Touched(goodwill=self._goodwill_where(lambda data: data.complaint_id == complaint_id))

    def _judge_complaint(self, complaint_id: str) -> None:
        self._first_stands(self._openings(complaint_id))

    def _openings(self, complaint_id: str) -> list[ComplaintOpened]:
        return [fact for fact in self._complaints.get(complaint_id, ()) if isinstance(fact, ComplaintOpened)]

    def complaint(self, complaint_id: str) -> ComplaintOpened | None:
        """The opening of a complaint that stands."""
        return min(self._openings(complaint_id), key=lambda fact: fact.order, default=None)

    def _learn_goodwill(self, fact: GoodwillProposed | GoodwillApproved | GoodwillRejected) -> Touched:
        credit_id = fact.data.credit_id
        goodwill = self.goodwill[credit_id]
        if isinstance(fact, GoodwillProposed):
            goodwill.proposals.append(fact)
            self._is_known("goodwill", credit_id)
        else:
            goodwill.verdicts.append(fact)
        self._judge_goodwill(credit_id)
        return Touched(goodwill={credit_id})

    def _judge_goodwill(self, credit_id: str) -> None:
        proposals = self.goodwill[credit_id].proposals
        self._first_stands([proposal for proposal in proposals if not self._is_foreign(proposal)])
        for proposal in proposals:
            if self._is_foreign(proposal) and self.registration is not None:
                self._contradict(self.registration, proposal)

    def goodwill_proposal(self, credit_id: str) -> GoodwillProposed | None:
        """The proposal of a goodwill credit that stands: the first by its message."""
        known = self.goodwill.get(credit_id, GoodwillFacts())
        proposals = [proposal for proposal in known.proposals if not self._is_foreign(proposal)]
        return min(proposals, key=lambda fact: fact.order, default=None)

    def _goodwill_where(self, holds: Callable[[GoodwillProposed.Data], bool]) -> set[str]:
        """The goodwill credits of which some proposal says this."""
        return {id_ for id_, known in self.goodwill.items() if any(holds(p.data) for p in known.proposals)}

    # --- contradictions -------------------------------------------------------------------------------------------

    def _first_stands(self, akin: list[F]) -> F | None:
        """Of facts under one business id the first stands; those that say something else are left out."""
        first = min(akin, key=lambda fact: fact.order, default=None)
        self._one_stands(akin, first)
        return first

    def _one_stands(self, akin: Iterable[Fact], standing: Fact | None) -> None:
        for fact in akin:
            if standing is not None and fact is not standing and not _says_the_same(standing, fact):
                self._contradict(standing, fact)
            else:
                self._contradict_no_more(fact)

    def _contradict(self, kept: Fact, left_out: Fact) -> None:
        self._ask_anew(left_out)
        self.contradictions[left_out.event_id] = Contradiction(kept, left_out)

    def _contradict_no_more(self, fact: Fact) -> None:
        if self.contradictions.pop(fact.event_id, None) is not None:
            self._ask_anew(fact)

    # --- waiting --------------------------------------------------------------------------------------------------

    def waiting(
        self, refunds_due: AbstractSet[str] = frozenset(), instructions_known: AbstractSet[str] = frozenset()
    ) -> list[Waiting]:
        """Facts that wait for another, with what they wait for (policy §1)."""
        self._look_anew(refunds_due, instructions_known)
        return list(self._waiting.values())

    def waiting_changes(
        self, refunds_due: AbstractSet[str] = frozenset(), instructions_known: AbstractSet[str] = frozenset()
    ) -> dict[str, Waiting | None]:
        """What has changed about them since this was asked last: by event id what a fact waits for now, None where it
        waits no more."""
        self._look_anew(refunds_due, instructions_known)
        changes, self._waiting_changes = self._waiting_changes, {}
        return changes

    def _look_anew(self, refunds_due: AbstractSet[str], instructions_known: AbstractSet[str]) -> None:
        """Look at those that may wait for something else than before: a fact is taken up anew when it becomes known
        what it waits for, and when it comes to be left out or is left out no more."""
        for kind, known in (("refund", refunds_due), ("instruction", instructions_known)):
            for id_ in self._waiting_for[kind].keys() & known:
                self._is_known(kind, id_)
        asked, self._asked_anew = self._asked_anew, {}
        for event_id, fact in asked.items():
            before = self._waiting.get(event_id)
            stands = event_id in self._facts
            waits_for = self.waits_for(fact, refunds_due, instructions_known) if stands else None
            if waits_for == (before.waits_for if before is not None else None):
                continue
            if before is not None:
                self._wait_no_more(before)
            self._waiting_changes[event_id] = self._wait(Waiting(fact, waits_for)) if waits_for is not None else None

    def _wait(self, waiting: Waiting) -> Waiting:
        kind, _, id_ = waiting.waits_for.partition(" ")
        self._waiting[waiting.fact.event_id] = waiting
        self._waiting_for[kind][id_].add(waiting.fact.event_id)
        return waiting

    def _wait_no_more(self, waiting: Waiting) -> None:
        kind, _, id_ = waiting.waits_for.partition(" ")
        del self._waiting[waiting.fact.event_id]
        of_kind = self._waiting_for[kind]
        of_kind[id_].discard(waiting.fact.event_id)
        if not of_kind[id_]:
            del of_kind[id_]

    def _is_known(self, kind: str, id_: str) -> None:
        """Something has become known, or another one than before: whatever waits for it is asked anew."""
        self._ask_anew(*(self._waiting[event_id].fact for event_id in self._waiting_for[kind].get(id_, ())))

    def _ask_anew(self, *facts: Fact) -> None:
        self._asked_anew.update((fact.event_id, fact) for fact in facts)

    def waits_for(
        self, fact: Fact, refunds_due: Container[str] = (), instructions_known: Container[str] = ()
    ) -> str | None:
        """What a fact waits for, if for anything: its kind and its id.

        Whatever makes the answer another one calls `_is_known` with both, or `_ask_anew`.
        """
        if isinstance(fact, FactRetracted):
            named = fact.data.retracts
            return None if (named.source, named.id) in self._said else f"message {_message(named)}"
        if self.registration is None:
            return f"account {self.account_id}"
        subscription_id = getattr(fact.data, "subscription_id", None)
        if subscription_id is not None and not self._is_registered(subscription_id):
            return f"subscription {subscription_id}"
        match fact:
            case SubscriptionRegistered():
                subscription = self.subscriptions[fact.data.subscription_id]
                waits = subscription.binding is None and fact is subscription.registration
                return f"agreement {fact.data.agreement}" if waits else None
            case OutageResolved() | OutageReopened():
                outage = self._standing_outage(fact.data.outage_id)
                known = outage is not None and outage.report.data.subscription_id == fact.data.subscription_id
                return None if known else f"outage {fact.data.outage_id}"
            case BillingErrorReported() | OverchargeConfirmed() | OverchargeRejected():
                known = fact.data.charge_id in self.charges or fact.event_id in self.contradictions
                return None if known else f"charge {fact.data.charge_id}"
            case ComplaintFact():
                return self._waits_for_complaint(fact.data.complaint_id)
            case GoodwillProposed():
                left_out = fact.event_id in self.contradictions
                return None if left_out else self._waits_for_complaint(fact.data.complaint_id)
            case GoodwillApproved() | GoodwillRejected():
                known = self.goodwill_proposal(fact.data.credit_id) is not None
                return None if known else f"goodwill {fact.data.credit_id}"
            case PaymentCaptured():
                stands = self.payments.get(fact.data.payment_id) is fact
                charged = bool(self.invoices[fact.data.invoice_id].charge_facts)
                return f"charge {_on_invoice(fact)}" if stands and not charged else None
            case RefundReport():
                refund_id = fact.data.refund_id
                known = refund_id in refunds_due or self._is_reported_with_amount(refund_id)
                known = known or fact.event_id in self.contradictions
                return None if known else f"refund {fact.data.refund_id}"
            case InstructionFact():
                known = fact.data.instruction_id in instructions_known
                return None if known else f"instruction {fact.data.instruction_id}"
        return None

    def _waits_for_complaint(self, complaint_id: str) -> str | None:
        return None if self._openings(complaint_id) else f"complaint {complaint_id}"


@dataclass(slots=True)
class Invoice:
    """An invoice: the charges and payments that stand on it, and all the facts that name it."""

    charges: dict[str, Charge] = field(default_factory=dict)
    """Those of subscriptions that are not registered yet as well (policy §7)."""
    payments: dict[str, PaymentCaptured] = field(default_factory=dict)
    charge_facts: list[CycleStarted | ChargePosted] = field(default_factory=list)
    payment_facts: list[PaymentCaptured | PaymentFailed] = field(default_factory=list)

    @property
    def charge_ids(self) -> set[str]:
        """The ids of all charges that name it, those left out as contradictions included."""
        return {_charge_id(fact) for fact in self.charge_facts}

    @property
    def rests_since(self) -> datetime:
        """When a charge or payment of it was recorded last."""
        return max(fact.recorded_at for fact in (*self.charge_facts, *self.payment_facts))


@dataclass(frozen=True, slots=True)
class RefundWord:
    """What the payment processor's reports say of one refund."""

    succeeded: tuple[RefundSucceeded | RefundSucceededV1, ...]
    """The reports of success since it failed last, in order; none where the latest says that it failed."""
    latest: RefundReport

    @property
    def amount(self) -> Decimal | None:
        """What arrived, gross, by the last of them that names an amount; None where none does."""
        named = (r.data.amount for r in reversed(self.succeeded) if isinstance(r, RefundSucceeded))
        return next((amount for amount in named if amount is not None), None)


def _message(named: Message | RetractedMessage) -> str:
    return f"{named.id} from {named.source}"


def _on_invoice(fact: CycleStarted | ChargePosted | PaymentCaptured) -> str:
    """What a payment waits for: any charge on its invoice. No charge has an id with a space."""
    return f"on invoice {fact.data.invoice_id}"


def _charge_of(fact: CycleStarted | ChargePosted, time_zone: str) -> Charge:
    return billing_cycle(fact, time_zone) if isinstance(fact, CycleStarted) else one_off(fact)


def _registrations_first(fact: Fact) -> tuple[bool, bool]:
    """What others depend on is learnt first, so that they need not be taken up again when it comes."""
    return (not isinstance(fact, AccountRegistered), not isinstance(fact, SubscriptionRegistered))


def _charge_id(fact: CycleStarted | ChargePosted) -> str:
    return fact.data.cycle_id if isinstance(fact, CycleStarted) else fact.data.charge_id


def claim_of_refund(refund_id: str) -> str | None:
    """The claim that a refund is for, by its id, `refund/CLAIM/N`; None where it names none."""
    kind, _, rest = refund_id.partition("/")
    claim_id, _, number = rest.rpartition("/")
    of_a_claim = kind == "refund" and claim_id.partition("/")[0] in CLAUSES and claim_id.partition("/")[2]
    return claim_id if of_a_claim and number.isdecimal() else None


def _payment_order(fact: PaymentCaptured | PaymentFailed) -> tuple[datetime, bool, str, str]:
    """By what messages about one payment are taken: at the same time a failure holds, then the greater id (§7)."""
    time, message_id, source = fact.order
    return (time, isinstance(fact, PaymentFailed), message_id, source)


def _ends_before_it_began(ending: OutageResolved | OutageReopened, report: OutageReported) -> bool:
    return isinstance(ending, OutageResolved) and ending.data.resolved_at < report.data.began_at


_APART_FROM_CONTENT = {"message", "sealed"}


def _says_the_same(one: Fact, other: Fact) -> bool:
    """Whether two facts have one content. Free text does not count: it lies in the vault and moves no money."""
    return type(one) is type(other) and one.data.model_dump(exclude=_APART_FROM_CONTENT) == other.data.model_dump(
        exclude=_APART_FROM_CONTENT
    )
