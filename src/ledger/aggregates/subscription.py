"""A subscription: the terms bound to it, how it stands, and whether its activation was due."""

from __future__ import annotations

from datetime import date

from ledger.aggregates.recording import Cause, LedgerAggregate
from ledger.agreement import PublishedAgreement
from ledger.events import (
    ActivationDue,
    AgreementBound,
    LedgerEvent,
    Status,
    SubscriptionFact,
    SubscriptionRegistered,
    SubscriptionStatusChanged,
    unchecked,
)
from ledger.policy.activation import Activation
from ledger.values import stream_name

_changed = unchecked(SubscriptionStatusChanged.Data)


class Subscription(LedgerAggregate):
    """Records what happens to one subscription, which agreement holds for it, and each change of its status."""

    def __init__(self, account: str, subscription_id: str) -> None:
        super().__init__(stream_name("subscription", account, subscription_id), account)
        self.subscription_id = subscription_id
        self.facts = 0
        self.status: Status | None = None
        self.effective_on: date | None = None
        self.activated = False

    def bind(
        self, registration: SubscriptionRegistered, time_zone: str, published: PublishedAgreement, cause: Cause
    ) -> AgreementBound:
        """Bind the version of an agreement that holds (contract §2)."""
        data = AgreementBound.Data(
            subscription_id=self.subscription_id,
            agreement=published.terms.name,
            version=published.terms.version,
            sha256=published.sha256,
            registration=registration.event_id,
            time_zone=time_zone,
        )
        return self.record(AgreementBound, data, cause)

    def stand(self, status: Status, effective_on: date | None, cause: Cause) -> None:
        """Note how the subscription stands, where that changed."""
        if (status, effective_on) != (self.status, self.effective_on):
            data = _changed(
                subscription_id=self.subscription_id,
                before=self.status,
                after=status,
                effective_on=effective_on,
                now=cause.now,
            )
            self.record(SubscriptionStatusChanged, data, cause)

    def activate(self, activation: Activation, cause: Cause) -> None:
        """Have the customer told how to use the service, where that was not done before."""
        if not self.activated:
            data = ActivationDue.Data(
                subscription_id=self.subscription_id,
                registration=activation.registration.event_id,
                payment=activation.paid_by.event_id,
                invoice_id=activation.paid_by.data.invoice_id,
                now=cause.now,
            )
            self.record(ActivationDue, data, cause)

    def when(self, event: LedgerEvent) -> None:
        match event:
            case SubscriptionFact():
                self.facts += 1
            case SubscriptionStatusChanged():
                self.status, self.effective_on = event.data.after, event.data.effective_on
            case ActivationDue():
                self.activated = True
