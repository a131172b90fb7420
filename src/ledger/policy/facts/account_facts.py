"""All that is known of an account, kind by kind.

The result never depends on the order of learning: whatever depends on which of two facts is the later one is decided
by their messages' (time, id, source), and judged anew when an earlier one turns up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set as AbstractSet
from functools import cache
from types import UnionType
from typing import Any

from ledger.agreement import PublishedAgreement
from ledger.events import (
    AccountRegistered,
    AgreementBound,
    ComplaintFact,
    Fact,
    FactRetracted,
    InstructionFact,
    RefundReport,
    RefundSubmitted,
    SubscriptionRegistered,
)
from ledger.policy.facts.charge import ChargeFact
from ledger.policy.facts.charges import Charges
from ledger.policy.facts.complaints import Complaints
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.course import Course, CourseFact
from ledger.policy.facts.disputes import DisputeFact, Disputes
from ledger.policy.facts.goodwill_verdicts import GoodwillCredits, GoodwillFact
from ledger.policy.facts.instruction_answers import InstructionAnswers
from ledger.policy.facts.invoice import Invoice
from ledger.policy.facts.kind import Kind
from ledger.policy.facts.outages import OutageFact, OutageFacts
from ledger.policy.facts.payments import PaymentFact, Payments
from ledger.policy.facts.refund_acts import RefundActFact, RefundActs
from ledger.policy.facts.refunds import Refunds, Submissions
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.retractions import Retractions
from ledger.policy.facts.subscriptions import Bindings, Subscriptions
from ledger.policy.facts.touched import EVERYTHING, Touched
from ledger.policy.facts.waiting import Waiting, WaitingFacts
from ledger.values import END, Period


class AccountFacts:
    """Everything that is known of one account."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self._bindings: Bindings = {}
        self._submissions = Submissions()
        self._waiting = WaitingFacts()
        self._retractions = Retractions(self._waiting)
        self._know_nothing()

    def _know_nothing(self) -> None:
        """Know no fact; what came, was retracted, was bound, was submitted and was told to wait is remembered."""
        waiting = self._waiting
        self.contradictions = contradictions = Contradictions(waiting)
        self._account = account = RegisteredAccount(contradictions)
        self.invoices: defaultdict[str, Invoice] = defaultdict(Invoice)
        self.subscriptions = Subscriptions(account, self._bindings, contradictions, waiting)
        self._course = Course(account, self.subscriptions)
        self.charges = Charges(account, self.subscriptions, self.invoices, contradictions, waiting)
        self._outages = OutageFacts(self.subscriptions, contradictions, waiting)
        self.disputes = Disputes(account, self.charges, contradictions)
        self.payments = Payments(account, self.invoices, contradictions, waiting)
        self.refunds = Refunds(account, self._submissions, contradictions, waiting)
        self.refund_acts = RefundActs(self._submissions)
        self.complaints = Complaints(contradictions, waiting)
        self.goodwill = GoodwillCredits(account, self.complaints, contradictions, waiting)
        self._instructions = InstructionAnswers()
        self._kinds: tuple[Kind[Any], ...] = (
            account,
            self.subscriptions,
            self._course,
            self.charges,
            self._outages,
            self.disputes,
            self.payments,
            self.refunds,
            self.refund_acts,
            self.complaints,
            self.goodwill,
            self._instructions,
        )
        """In the order of `_KINDS`, in which they are judged: those that others depend on come first."""
        self._standing: dict[str, Fact] = {}
        """The facts that count, by event id."""

    # --- the account itself --------------------------------------------------------------------------------------

    @property
    def registration(self) -> AccountRegistered | None:
        """The registration that stands: the earliest by its message."""
        return self._account.registration

    @property
    def time_zone(self) -> str | None:
        """The account's zone, once it is registered."""
        return self._account.time_zone

    @property
    def currency(self) -> str | None:
        """The account's currency, once it is registered."""
        return self._account.currency

    # --- learning ------------------------------------------------------------------------------------------------

    def learn(self, fact: Fact) -> Touched:
        """Take in one fact; each fact is learnt once, and one that is retracted counts for nothing."""
        if self._retractions.learn(fact):
            self._learn_anew()
            return EVERYTHING
        return self._learn(fact) if self._retractions.counts(fact) else Touched()

    def counts(self, fact: Fact) -> bool:
        """Whether its source has not retracted a fact."""
        return self._retractions.counts(fact)

    def _learn_anew(self) -> None:
        """Forget everything and learn what stands: others may have been left out for what never was."""
        before = self._standing.values()
        self._know_nothing()
        for fact in sorted(self._retractions.standing(), key=_registrations_first):
            self._learn(fact)
        self._waiting.ask_anew(*before)

    def _learn(self, fact: Fact) -> Touched:
        self._standing[fact.event_id] = fact
        self._waiting.ask_anew(fact)
        touched = self._learn_by_kind(fact)
        if touched.everything:
            self._judge()
        return touched

    def _learn_by_kind(self, fact: Fact) -> Touched:
        kind = self._kind(fact)
        if kind is None:
            return Touched()
        touched = kind.learn(fact)
        if isinstance(fact, SubscriptionRegistered):
            self.charges.admit_those_of(fact.data.subscription_id)
        return touched

    def _kind(self, fact: Fact) -> Kind[Any] | None:
        """The kind of a fact; None for one that nothing is assessed by."""
        place = _place_of(type(fact))
        return self._kinds[place] if place is not None else None

    def _judge(self) -> None:
        """Judge all facts again in the order of their messages, because an earlier one may have turned up."""
        self._waiting.ask_anew(*self._standing.values())
        self.contradictions.forget()
        for kind in self._kinds:
            kind.judge()

    def bind(self, binding: AgreementBound, published: PublishedAgreement) -> Touched:
        """Take note of the terms that hold for a subscription."""
        return self.subscriptions.bind(binding, published)

    def submit(self, submitted: RefundSubmitted) -> Touched:
        """Take note that a refund was submitted."""
        return self.refunds.submit(submitted)

    def contradicted(self, charge_id: str | None, invoice_id: str | None) -> bool:
        """Whether two facts contradict each other that are about a charge, or about a payment on its invoice."""
        return any(
            (charge_id is not None and charge_id in (_of(fact, "charge_id"), _of(fact, "cycle_id")))
            or (invoice_id is not None and isinstance(fact, PaymentFact) and fact.data.invoice_id == invoice_id)
            for contradiction in self.contradictions
            for fact in (contradiction.kept, contradiction.left_out)
        )

    def unbound(self) -> list[SubscriptionRegistered]:
        """The standing registrations that no agreement is bound for, once the account's zone is known."""
        return self.subscriptions.unbound()

    def touched_by_time(self) -> Touched:
        """What may be owed otherwise because time passed, though no fact came: cycles with an outage still open."""
        touched = Touched()
        for subscription in self.subscriptions.by_id.values():
            ongoing = [outage.began_at for outage in subscription.outages.ongoing.values()]
            if ongoing:
                touched.window(subscription.subscription_id, Period(min(ongoing), END))
        return touched

    # --- waiting -------------------------------------------------------------------------------------------------

    def waiting(
        self, refunds_due: AbstractSet[str] = frozenset(), instructions_known: AbstractSet[str] = frozenset()
    ) -> list[Waiting]:
        """Facts that wait for another, with what they wait for (policy §1)."""
        self._look_anew(refunds_due, instructions_known)
        return self._waiting.all()

    def waiting_changes(
        self, refunds_due: AbstractSet[str] = frozenset(), instructions_known: AbstractSet[str] = frozenset()
    ) -> dict[str, Waiting | None]:
        """What has changed about them since this was asked last: by event id what a fact waits for now, None where it
        waits no more."""
        self._look_anew(refunds_due, instructions_known)
        return self._waiting.changes()

    def _look_anew(self, refunds_due: AbstractSet[str], instructions_known: AbstractSet[str]) -> None:
        """A fact that counts no more waits for nothing."""

        def waits_for(fact: Fact) -> str | None:
            return self.waits_for(fact) if fact.event_id in self._standing else None

        self._waiting.look_anew(waits_for, {"refund": refunds_due, "instruction": instructions_known})

    def waits_for(self, fact: Fact) -> str | None:
        """What a fact waits for, if for anything that other facts say: its kind and its id."""
        if isinstance(fact, FactRetracted):
            return self._retractions.waits_for(fact)
        if self._account.registration is None:
            return f"account {self.account_id}"
        subscription_id = getattr(fact.data, "subscription_id", None)
        if subscription_id is not None and not self.subscriptions.is_registered(subscription_id):
            return f"subscription {subscription_id}"
        kind = self._kind(fact)
        return kind.waits_for(fact) if kind is not None else None


_KINDS: tuple[type[Fact] | UnionType, ...] = (
    AccountRegistered,
    SubscriptionRegistered,
    CourseFact,
    ChargeFact,
    OutageFact,
    DisputeFact,
    PaymentFact,
    RefundReport,
    RefundActFact,
    ComplaintFact,
    GoodwillFact,
    InstructionFact,
)
"""The facts of each kind, in the order in which an account has the kinds."""


@cache
def _place_of(fact: type[Fact]) -> int | None:
    return next((place for place, of in enumerate(_KINDS) if issubclass(fact, of)), None)


def _registrations_first(fact: Fact) -> tuple[bool, bool]:
    """What others depend on is learnt first, so that they need not be taken up again when it comes."""
    return (not isinstance(fact, AccountRegistered), not isinstance(fact, SubscriptionRegistered))


def _of(fact: Fact, name: str) -> str | None:
    """What a fact names in a field, if it has it."""
    return getattr(fact.data, name, None)
