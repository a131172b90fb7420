"""One account at work: its facts, its aggregates and its head, as one unit that facts are recorded against."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import BaseModel

from ledger.aggregates import (
    BillingAccount,
    Cause,
    Complaint,
    Erasure,
    LedgerAggregate,
    Notice,
    OwedRefunds,
    Subscription,
)
from ledger.aggregates.laws import broken_laws
from ledger.application.catalogue import Catalogue
from ledger.application.statement import Statement
from ledger.events import (
    ActivationDue,
    AgreementBound,
    ComplaintFact,
    Fact,
    LedgerEvent,
    NoticeEvent,
    RefundAct,
    RefundStatusChanged,
    RefundSubmitted,
    Sealed,
    SubjectErased,
    SubscriptionFact,
    SubscriptionStatusChanged,
    fact_data,
)
from ledger.instructions import Issued
from ledger.policy.activation import Activation, activations
from ledger.policy.assess import assess, contradictions
from ledger.policy.facts import EVERYTHING, AccountFacts, Touched, Waiting
from ledger.policy.facts.charge import Charge
from ledger.policy.standing import next_due, status_of
from ledger.store.writing import Head, HeadMove, WaitingChanges, WaitingFact
from ledger.values import local_date

TIMER = "/makegood/timer"
"""The actor of what happens because time passed."""
PAYOUTS = "/makegood/payouts"
"""The actor that submits approved refunds."""


@dataclass(slots=True)
class Memory:
    """What an account's events have made of it, and nothing else: all that a snapshot keeps."""

    facts: AccountFacts
    billing: BillingAccount
    refunds: OwedRefunds
    subscriptions: dict[str, Subscription]
    complaints: dict[str, Complaint]
    notices: dict[str, Notice]
    instructions: Issued

    @classmethod
    def empty(cls, account: str) -> Memory:
        """Before the first event."""
        facts = AccountFacts(account)
        billing = BillingAccount.empty(account, facts)
        return cls(facts, billing, OwedRefunds(facts, billing), {}, {}, {}, Issued())


class Account:
    """Facts in, events out: record a message, let time pass, or assess everything anew.

    It begins without an event, or with the `memory` of those up to a snapshot: the others are then replayed.
    """

    def __init__(self, head: Head, catalogue: Catalogue, memory: Memory | None = None) -> None:
        self.head = head
        self.memory = memory = memory or Memory.empty(head.account)
        self.facts = memory.facts
        self.billing = memory.billing
        self.refunds = memory.refunds
        self._catalogue = catalogue
        self._subscriptions = memory.subscriptions
        self._complaints = memory.complaints
        self._notices = memory.notices
        self._instructions = memory.instructions
        self._approved: dict[str, datetime] = {}
        """The refunds that are stored as approved and not submitted."""
        self._considered: set[str] = set()
        """The charges that were known when something was decided last: those that come now are next (policy §7)."""
        self._new: list[LedgerEvent] = []
        self._events = 0
        self._read_version = head.version
        self._due_at = head.due_at
        self._recorded_at = head.recorded_at
        self._waiting_changes: dict[str, Waiting | None] = {}
        """Of the facts that wait, those that are stored otherwise, by event id."""
        self._awaited: set[str] = set()
        self._by_older_rules = False
        self.agreements_seen: dict[str, int] = {}
        """The agreements decided by, with how many versions were published when that was decided."""

    # --- remembering ---------------------------------------------------------------------------------------------

    def replay(self, events: Iterable[LedgerEvent], waiting: Mapping[str, str]) -> None:
        """Bring the account to where its stored events left it: all of them, or those after its snapshot.

        `waiting` is what is stored of the facts that wait: by event id, what each waits for.
        """
        for event in events:
            self.remember(event)
        self._considered = set(self.facts.charges.standing)
        self._by_older_rules = self.billing.settlements.is_by_older_rules
        self._awaited = self.agreements_awaited()
        self._approved = self.refunds.approved()
        self._ask_what_waits()
        waiting_now = self.facts.waiting(self.billing.refunds_due, self._instructions.ids)
        waits = {each.fact.event_id: each for each in waiting_now}
        self._waiting_changes = {
            **{event_id: None for event_id in waiting if event_id not in waits},
            **{event_id: each for event_id, each in waits.items() if waiting.get(event_id) != each.waits_for},
        }

    def remember(self, event: LedgerEvent) -> None:
        """Take in one stored event, the next of its stream."""
        self._mutate(event)
        self._instructions.follow(event)
        match event:
            case Fact():
                self.facts.learn(event)
            case RefundSubmitted():
                self.facts.submit(event)
            case AgreementBound():
                published = self._catalogue.version(event.data.agreement, event.data.version)
                self.facts.bind(event, published)

    def _aggregate(self, event: LedgerEvent) -> LedgerAggregate:
        match event:
            case SubscriptionFact() | AgreementBound() | SubscriptionStatusChanged() | ActivationDue():
                return self._subscription(event.data.subscription_id)
            case ComplaintFact():
                return self._complaint(event.data.complaint_id)
            case RefundAct() | RefundSubmitted() | RefundStatusChanged():
                return self.refunds.aggregate(event.data.refund_id)
            case NoticeEvent():
                return self._notice(event.data.notice_id)
            case SubjectErased():
                return Erasure.empty(self.head.account)
        return self.billing

    def _mutate(self, event: LedgerEvent) -> None:
        """A refund of a credit is remembered by the billing account as well, which settles the credit."""
        event.mutate(self._aggregate(event))
        if isinstance(event, RefundStatusChanged):
            self.billing.settlements.remember(event)

    def _subscription(self, subscription_id: str) -> Subscription:
        if subscription_id not in self._subscriptions:
            self._subscriptions[subscription_id] = Subscription.empty(self.head.account, subscription_id)
        return self._subscriptions[subscription_id]

    def _complaint(self, complaint_id: str) -> Complaint:
        if complaint_id not in self._complaints:
            self._complaints[complaint_id] = Complaint.empty(self.head.account, complaint_id)
        return self._complaints[complaint_id]

    def _notice(self, notice_id: str) -> Notice:
        if notice_id not in self._notices:
            self._notices[notice_id] = Notice.empty(self.head.account, notice_id)
        return self._notices[notice_id]

    # --- deciding ------------------------------------------------------------------------------------------------

    def record(self, statement: Statement, sealed: Sealed | None, now: datetime) -> None:
        """Record a message's fact and every difference it makes, after what had fallen due before it."""
        self.catch_up(now, now)
        data = fact_data(statement.fact, statement.message, sealed, statement.data)
        cause = Cause(
            actor=statement.actor,
            channel=statement.channel,
            occurred_at=statement.occurred_at,
            recorded_at=self._stamp(now),
            now=now,
            correlation_id=statement.correlation_id,
            traceparent=statement.traceparent,
        )
        self._take(self._home(statement), statement.fact, data, cause)

    def record_again(self, fact: Fact, now: datetime) -> None:
        """Record a fact that another account has recorded, by the same cause, and every difference it makes."""
        cause = Cause(
            actor=fact.actor,
            channel=fact.channel,
            occurred_at=fact.occurred_at,
            recorded_at=self._stamp(fact.recorded_at),
            now=now,
            correlation_id=fact.correlation_id,
            traceparent=fact.traceparent,
        )
        self._take(self._aggregate(fact), type(fact), fact.data, cause)

    def _take(self, aggregate: LedgerAggregate, fact_class: type[Fact], data: BaseModel, cause: Cause) -> None:
        fact = aggregate.record(fact_class, data, cause)
        self._collect(aggregate)
        due_before = self._activations(cause.now)
        touched = self.facts.learn(fact)
        cause = cause.of(fact)
        self._decide(touched, cause)
        self._activate(due_before, cause)

    def retell(self, fact: Fact, now: datetime) -> None:
        """Take in a fact that is recorded already, and decide about it anew, at another `now`.

        What follows became true, and was known, at `now`: no earlier decision is remembered. No activation follows,
        because nobody is to be written to.
        """
        told = Cause(
            actor=fact.actor,
            channel=fact.channel,
            occurred_at=fact.occurred_at,
            recorded_at=fact.recorded_at,
            now=now,
            correlation_id=fact.correlation_id,
            traceparent=fact.traceparent,
        )
        aggregate = self._aggregate(fact)
        again = aggregate.record(type(fact), fact.data, told)
        self._collect(aggregate)
        cause = replace(told, occurred_at=now, recorded_at=now, causation_id=again.event_id)
        self._decide(self.facts.learn(again), cause)

    def catch_up(self, until: datetime, recorded_at: datetime) -> None:
        """Do what has fallen due by an instant, in order, each with its own instant as `now`."""
        while self._due_at is not None and self._due_at <= until:
            self._pass_time(self._due_at, recorded_at, self.facts.touched_by_time())

    def assess_anew(self, now: datetime) -> None:
        """Assess everything at an instant: a sandbox's clock was set for the first time."""
        self._pass_time(now, now, EVERYTHING)

    def pass_time_again(self, instant: datetime, recorded_at: datetime, *, anew: bool) -> None:
        """Do what another account did because time had come to an instant; `anew` where it assessed everything."""
        self._pass_time(instant, recorded_at, EVERYTHING if anew else self.facts.touched_by_time())

    def _pass_time(self, instant: datetime, recorded_at: datetime, touched: Touched) -> None:
        cause = Cause(
            actor=TIMER, channel="timer", occurred_at=instant, recorded_at=self._stamp(recorded_at), now=instant
        )
        due_before = self._activations(instant)
        self._decide(touched, cause)
        self._activate(due_before, cause)

    def _decide(self, touched: Touched, cause: Cause) -> None:
        touched = self._bind(touched, cause)
        assessment = assess(self.facts, cause.now, touched)
        credits_before = dict(self.billing.credits)
        if self._by_older_rules:
            self.billing.settle_anew(cause)
            self._by_older_rules = False
        changed = self.billing.record_differences(assessment, contradictions(self.facts), cause)
        self.billing.settle(touched, changed, cause)
        self.billing.recover_overpaid(cause)
        self.billing.apply_credits(self._next_charges(), credits_before, cause)
        self._collect(self.billing)
        self._stand_refunds(touched, cause)
        zone = self.facts.time_zone
        if zone is not None:
            for known in self.facts.subscriptions.by_id.values():
                if known.registration is not None:
                    subscription = self._subscription(known.subscription_id)
                    subscription.stand(*status_of(known, zone, cause.now), cause)
                    self._collect(subscription)
        rested = self.billing.settlements.next_rested(cause.now)
        approved = self.refunds.next_approval(cause.now)
        self._due_at = min(filter(None, (next_due(self.facts, cause.now), rested, approved)), default=None)

    def _stand_refunds(self, touched: Touched, cause: Cause) -> None:
        for refund in self.refunds.stand(touched, cause):
            for event in refund.pending_events:
                if isinstance(event, RefundStatusChanged):
                    self.billing.settlements.remember(event)
            self._collect(refund)

    def submit(self, refund_ids: Iterable[str], now: datetime) -> list[str]:
        """Hand approved refunds over to be paid; those that were. The others have to wait."""
        self.catch_up(now, now)
        self.note_broken([each.law for each in broken_laws(self.facts, self.billing, now)], PAYOUTS, "payouts", now)
        if self.billing.laws_broken:
            return []
        return [refund_id for refund_id in refund_ids if self.submit_one(refund_id, now)]

    def submit_one(self, refund_id: str, now: datetime) -> bool:
        """Hand an approved refund over to be paid, with all that follows; whether that was done."""
        cause = Cause(actor=PAYOUTS, channel="payouts", occurred_at=now, recorded_at=self._stamp(now), now=now)
        event = self.refunds.submit(refund_id, cause)
        if event is None:
            return False
        self._collect(self.refunds.aggregate(refund_id))
        touched = self.facts.submit(event)
        self._decide(touched, cause.of(event))
        return True

    def note_broken(self, laws: Iterable[str], actor: str, channel: str, now: datetime) -> None:
        """Raise an alarm for the laws that do not hold, and clear the one for those that hold again.

        The payouts part only raises: it has looked at less than `makegood check` does.
        """
        cause = Cause(actor=actor, channel=channel, occurred_at=now, recorded_at=self._stamp(now), now=now)
        self.billing.note_broken(set(laws), cause, clears=actor != PAYOUTS)
        self._collect(self.billing)

    def resubmit(self, submitted: RefundSubmitted, now: datetime) -> None:
        """Take in that a refund was submitted, and decide anew, at another `now` (see `retell`)."""
        told = Cause(
            actor=submitted.actor,
            channel=submitted.channel,
            occurred_at=submitted.occurred_at,
            recorded_at=submitted.recorded_at,
            now=now,
        )
        refund = self.refunds.aggregate(submitted.data.refund_id)
        again = refund.record(RefundSubmitted, submitted.data, told)
        self._collect(refund)
        cause = replace(told, occurred_at=now, recorded_at=now, causation_id=again.event_id)
        self._decide(self.facts.submit(again), cause)

    def _activate(self, due_before: Container[str], cause: Cause) -> None:
        """Record the activations that became due now: what was due before and is not recorded is older than the
        record, and nobody is written to about it today."""
        for subscription_id, activation in self._activations(cause.now).items():
            if subscription_id not in due_before:
                subscription = self._subscription(subscription_id)
                subscription.activate(activation, cause)
                self._collect(subscription)

    def _activations(self, now: datetime) -> dict[str, Activation]:
        activated = {id_ for id_, subscription in self._subscriptions.items() if subscription.activated}
        return activations(self.facts, self.billing.settlements, now, apart_from=activated)

    def _next_charges(self) -> list[Charge]:
        """The charges that became known since the last decision, in the order of their messages.

        One that had been left out as a contradiction and stands again is not next to credits that it has had.
        """
        charges = self.facts.charges.standing
        if charges.keys() == self._considered:
            return []
        new = charges.keys() - self._considered - self.billing.paid_by_credit
        self._considered = set(charges)
        return sorted((charges[charge_id] for charge_id in new), key=lambda charge: charge.fact.order)

    def _bind(self, touched: Touched, cause: Cause) -> Touched:
        """Bind subscriptions whose registration, zone and agreement are now all known (contract §2)."""
        zone = self.facts.time_zone
        if zone is None:
            return touched
        for registration in self.facts.unbound():
            name = registration.data.agreement
            # Counted before it is looked at: other threads refresh the catalogue, and then the count shows it.
            self.agreements_seen.setdefault(name, self._catalogue.count(name))
            published = self._catalogue.bindable(name, local_date(registration.data.message.time, zone))
            if published is not None:
                subscription = self._subscription(registration.data.subscription_id)
                binding = subscription.bind(registration, zone, published, cause)
                self._collect(subscription)
                touched = touched.joined(self.facts.bind(binding, published))
        return touched

    def _home(self, statement: Statement) -> LedgerAggregate:
        if issubclass(statement.fact, SubscriptionFact):
            return self._subscription(str(statement.data["subscription_id"]))
        if issubclass(statement.fact, ComplaintFact):
            return self._complaint(str(statement.data["complaint_id"]))
        if issubclass(statement.fact, RefundAct):
            return self.refunds.aggregate(str(statement.data["refund_id"]))
        return self.billing

    def _stamp(self, now: datetime) -> datetime:
        """`recorded_at` never falls within an account, even where a sandbox's clock was set back."""
        self._recorded_at = max(now, self._recorded_at or now)
        return self._recorded_at

    def _collect(self, aggregate: LedgerAggregate) -> None:
        if not aggregate.pending_events:
            return
        events: Sequence[LedgerEvent] = aggregate.collect_events()
        for event in events:
            self._instructions.follow(event)
        self._new.extend(events)

    @property
    def due_at(self) -> datetime | None:
        """When time changes the account next."""
        return self._due_at

    # --- what is to be written -----------------------------------------------------------------------------------

    def collect(self) -> list[LedgerEvent]:
        """The events recorded since the account was loaded, in their order."""
        events, self._new = self._new, []
        self._events += len(events)
        return events

    def head_move(self) -> HeadMove:
        """The head as it was read and as it is to be; the event store counts the events into it."""
        head = self.head
        self.head = Head(head.account, head.shard, head.version, head.leaf_hash, self._recorded_at, self._due_at)
        return HeadMove(self.head, self._read_version)

    def head_has_moved(self) -> bool:
        """Whether anything was decided: a new event, or another instant at which the account falls due."""
        return self._events > 0 or self._due_at != self.head.due_at

    def settled(self) -> None:
        """The transaction is committed: what was written is what is read from here on."""
        self._read_version = self.head.version
        self._events = 0
        self._waiting_changes = {}
        self.agreements_seen.clear()

    def waiting_changes(self) -> WaitingChanges | None:
        """How the facts that wait differ from those that are stored; None where they do not."""
        self._ask_what_waits()
        if not self._waiting_changes:
            return None
        changed = [waiting for waiting in self._waiting_changes.values() if waiting is not None]
        return WaitingChanges(
            now=[
                WaitingFact(
                    event_id=w.fact.event_id,
                    type=w.fact.type,
                    source=w.fact.data.message.source,
                    id=w.fact.data.message.id,
                    waits_for=w.waits_for,
                    since=w.fact.recorded_at,
                )
                for w in changed
            ],
            no_more=[event_id for event_id, waiting in self._waiting_changes.items() if waiting is None],
        )

    def _ask_what_waits(self) -> None:
        self._waiting_changes |= self.facts.waiting_changes(self.billing.refunds_due, self._instructions.ids)

    def approved_if_changed(self) -> dict[str, datetime] | None:
        """The refunds that are approved and not submitted; None where they are those that are stored."""
        approved = self.refunds.approved()
        if approved == self._approved:
            return None
        self._approved = approved
        return approved

    def awaited_if_changed(self) -> set[str] | None:
        """The agreements that registered subscriptions wait for; None where they are those that are stored."""
        awaited = self.agreements_awaited()
        if awaited == self._awaited:
            return None
        self._awaited = awaited
        return awaited

    def agreements_awaited(self) -> set[str]:
        """The agreements that registered subscriptions wait for."""
        return {registration.data.agreement for registration in self.facts.unbound()}
