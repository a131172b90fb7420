"""The 26 messages that upstream publishes (contract §1), one model for the `data` of each.

All have one shape: what the message is called, the fact that it becomes, which of its fields go into the vault, which
instant it is about, and its fields. A message that changes gets a new version beside the old one; what a version says
never changes, but optional fields may be added to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from consumers.upstream.fields import (
    CODED,
    NO_TAX,
    OPENS,
    Amount,
    CancelledBy,
    Changed,
    CodeOrWords,
    CodeOrWordsIfAny,
    Currency,
    Flag,
    FreeText,
    Identifier,
    Instant,
    LocalDate,
    NewIdentifier,
    NonEmptyText,
    OutageCause,
    PositiveAmount,
    RefundIdentifier,
    SecretReference,
    Severity,
    Tax,
    TelephoneNumbers,
    Text,
    TimeZone,
    Violation,
)
from consumers.upstream.findings import SENTENCES, Finding, broken
from ledger.events import (
    AccountRegistered,
    BillingErrorReported,
    CancellationRequested,
    CancellationWithdrawn,
    ChargePosted,
    ComplaintOpened,
    ComplaintReopened,
    ComplaintResolved,
    CustomerChanged,
    CycleStarted,
    Fact,
    FactRetracted,
    InstructionCarriedOut,
    InstructionRefused,
    OutageReopened,
    OutageReported,
    OutageResolved,
    OverchargeConfirmed,
    OverchargeRejected,
    PaymentCaptured,
    PaymentFailed,
    RefundFailed,
    RefundSucceeded,
    RetractedMessage,
    SettleAs,
    SubscriptionRegistered,
    SubscriptionReinstated,
    SubscriptionSuspended,
    SubscriptionTerminated,
)
from ledger.values import instant_to_text, is_code, is_made_id, is_own_name

MISSING = object()
"""Stands for what an optional field is never."""

MESSAGES: dict[str, type[MessageData]] = {}
"""Every message that upstream may publish, by its CloudEvents type."""


class Closed(BaseModel):
    """The rules of every object inside `data`: nothing is converted, nothing unknown is let in."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


class MessageData(Closed):
    """The `data` of one type of message."""

    registered_in: ClassVar[dict[str, type[MessageData]]] = MESSAGES
    """Whose messages these are: upstream's, or the door's own (door_messages.py)."""
    message_type: ClassVar[str]
    """The CloudEvents type."""
    becomes: ClassVar[type[Fact]]
    """The fact that the ledger records."""
    private: ClassVar[tuple[str, ...]] = ()
    """The fields with personal data, secrets' references or free text. They go into the vault only."""
    about: ClassVar[str | None] = None
    """The field with the instant at which the fact became true; None: the message's `time` (design rule 10)."""

    opens: ClassVar[tuple[str, ...]] = ()
    """The fields by which something becomes known: subscriptions, charges, outages and so on."""
    coded: ClassVar[tuple[str, ...]]
    """The fields of which only codes stand in the fact; free text in them goes into the vault."""
    public: ClassVar[tuple[str, ...]]
    """All other fields: those of the fact."""
    in_order: ClassVar[tuple[str, ...]]
    """All fields, sorted by name."""
    absent: ClassVar[dict[str, object]]
    """What stands for an optional field that a message does not have, by field."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.opens = tuple(name for name, field in cls.model_fields.items() if OPENS in field.metadata)
        cls.coded = tuple(name for name, field in cls.model_fields.items() if CODED in field.metadata)
        cls.public = tuple(name for name in cls.model_fields if name not in cls.private)
        cls.in_order = tuple(sorted(cls.model_fields))
        cls.absent = {name: field.default for name, field in cls.model_fields.items() if not field.is_required()}
        if not hasattr(cls, "message_type"):
            return  # what several messages have in common
        register = cls.registered_in
        if cls.message_type in register:
            raise TypeError(f"{cls.__name__} and {register[cls.message_type].__name__} are both {cls.message_type}")
        register[cls.message_type] = cls

    def for_fact(self) -> dict[str, object]:
        """The fields of the fact, all present: those of its `Data` but for `message` and `sealed`."""
        values = self.__dict__
        stated = {name: values[name] for name in self.public}
        for name in self._in_words():
            stated[name] = None
        return stated

    def for_vault(self) -> dict[str, object] | None:
        """What belongs in the vault, as JSON values; None where the message says nothing of the kind."""
        if not self.private and not self.coded:
            return None
        values = self.__dict__
        private = (*self.private, *self._in_words())
        kept = {name: _plain(values[name]) for name in private if values[name] is not None}
        return kept or None

    def _in_words(self) -> list[str]:
        """The fields in which free text stands in place of a code."""
        if not self.coded:
            return []
        values = self.__dict__
        return [name for name in self.coded if values[name] is not None and not is_code(values[name])]

    def stated(self) -> dict[str, object]:
        """What the message says, as JSON values by sorted names, without what it says by default: an optional field
        that is added later, or one spelled out with its default, changes nothing by which messages are compared.
        """
        values, absent = self.__dict__, self.absent
        return {
            name: value if type(value) is str else _plain(value)
            for name in self.in_order
            if (value := values[name]) != absent.get(name, MISSING)
        }

    def occurred_at(self, time: datetime) -> datetime:
        """When it became true, given the message's `time`."""
        if self.about is None:
            return time
        occurred_at: datetime = self.__dict__[self.about]
        return occurred_at

    def misplaced(self, source: str, message_id: str) -> Iterator[Finding]:
        """What is wrong with this data in a message of this source and id, though not with the data by itself."""
        if not is_own_name(source):
            yield from (
                Finding(f"data.{name}", SENTENCES["reserved_id"])
                for name in self.opens
                if is_made_id(self.__dict__[name])
            )


def _plain(value: object) -> object:
    """A value of a message as JSON has it, in its one spelling."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, datetime):  # before date, of which it is one
        return instant_to_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Closed):
        return dict(sorted(value.model_dump(exclude_none=True).items()))
    raise TypeError(f"no message holds a {type(value).__name__}")


class Customer(Closed):
    """The customer's name, e-mail address and language."""

    name: Text
    email: NonEmptyText
    locale: Text | None = None


class ChangedCustomer(Closed):
    """The customer data that changes at the message's `time`: at least one field."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: Changed = None
    email: Changed = None
    locale: Changed = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.model_fields_set:
            raise broken("nothing_changed")
        return self


class RetractedIdentity(Closed):
    """The message to retract."""

    source: Identifier
    id: Identifier


class AccountRegisteredV1(MessageData):
    """A customer account was registered."""

    message_type = "voip.account.registered.v1"
    becomes = AccountRegistered
    private = ("customer",)

    time_zone: TimeZone
    currency: Currency
    customer: Customer


class CustomerChangedV1(MessageData):
    """A customer's name, e-mail address or language changed. Fields left out stay unchanged."""

    message_type = "voip.customer.changed.v1"
    becomes = CustomerChanged
    private = ("customer",)

    customer: ChangedCustomer


class FactRetractedV1(MessageData):
    """An earlier message is retracted and counts as never sent. Only its own source can retract it.

    Both messages belong to the same account; they may arrive in either order.
    """

    message_type = "voip.fact.retracted.v1"
    becomes = FactRetracted
    private = ("reason",)

    retracts: RetractedIdentity
    reason: FreeText | None = None

    def for_fact(self) -> dict[str, object]:
        return {"retracts": RetractedMessage(source=self.retracts.source, id=self.retracts.id)}

    def misplaced(self, source: str, message_id: str) -> Iterator[Finding]:
        if self.retracts.source != source:
            yield Finding("data.retracts.source", SENTENCES["retracts_anothers"])
        elif self.retracts.id == message_id:
            yield Finding("data.retracts.id", SENTENCES["retracts_itself"])


class Credentials(Closed):
    """The customer's sign-in details; the secret itself is never sent."""

    username: Text
    server: Text
    secret_ref: SecretReference | None = None


class SubscriptionRegisteredV1(MessageData):
    """A subscription was registered."""

    message_type = "voip.subscription.registered.v1"
    becomes = SubscriptionRegistered
    private = ("numbers", "credentials")

    subscription_id: NewIdentifier
    agreement: Identifier
    plan: Text
    numbers: TelephoneNumbers = None
    credentials: Credentials | None = None


class CycleStartedV1(MessageData):
    """A billing cycle started and was charged."""

    message_type = "voip.cycle.started.v1"
    becomes = CycleStarted

    subscription_id: Identifier
    cycle_id: NewIdentifier
    starts_on: LocalDate
    ends_on: Annotated[LocalDate, Field(description="The first date after the cycle; later than starts_on.")]
    currency: Currency
    price: Amount
    tax: Tax = NO_TAX
    monthly_price: Amount | None = None
    invoice_id: Identifier
    prepaid: bool

    @field_validator("ends_on")
    @classmethod
    def _ends_after_it_starts(cls, ends_on: date, info: ValidationInfo) -> date:
        if "starts_on" in info.data and ends_on <= info.data["starts_on"]:
            raise broken("ends_on")
        return ends_on


class ChargePostedV1(MessageData):
    """A one-off charge was posted to an invoice."""

    message_type = "voip.charge.posted.v1"
    becomes = ChargePosted
    private = ("description",)

    charge_id: NewIdentifier
    subscription_id: Identifier | None = None
    currency: Currency
    price: Amount
    tax: Tax = NO_TAX
    invoice_id: Identifier
    description: FreeText


class PaymentCapturedV1(MessageData):
    """A payment for an invoice was captured."""

    message_type = "voip.payment.captured.v1"
    becomes = PaymentCaptured

    payment_id: NewIdentifier
    invoice_id: Identifier
    currency: Currency
    amount: Amount
    method: Literal["card", "bank", "balance", "other"]


class PaymentFailedV1(MessageData):
    """A payment for an invoice failed."""

    message_type = "voip.payment.failed.v1"
    becomes = PaymentFailed
    private = ("reason",)

    payment_id: NewIdentifier
    invoice_id: Identifier
    reason: FreeText


class OutageReportedV1(MessageData):
    """An outage of the service was reported."""

    message_type = "voip.outage.reported.v1"
    becomes = OutageReported
    about = "began_at"

    outage_id: NewIdentifier
    subscription_id: Identifier
    began_at: Instant
    reported_at: Instant
    severity: Severity
    cause: OutageCause
    channel: CodeOrWordsIfAny = None


class OutageResolvedV1(MessageData):
    """An outage was resolved."""

    message_type = "voip.outage.resolved.v1"
    becomes = OutageResolved
    about = "resolved_at"

    outage_id: Identifier
    subscription_id: Identifier
    resolved_at: Instant


class OutageReopenedV1(MessageData):
    """An outage was reopened: it had not been resolved."""

    message_type = "voip.outage.reopened.v1"
    becomes = OutageReopened

    outage_id: Identifier
    subscription_id: Identifier


class BillingErrorReportedV1(MessageData):
    """A customer disputed a charge."""

    message_type = "voip.billing_error.reported.v1"
    becomes = BillingErrorReported
    private = ("description",)
    about = "reported_at"

    dispute_id: NewIdentifier
    charge_id: Identifier
    currency: Currency
    claimed: Amount
    reported_at: Instant
    description: FreeText | None = None


class OverchargeConfirmedV1(MessageData):
    """The investigation of a dispute confirmed an overcharge."""

    message_type = "voip.overcharge.confirmed.v1"
    becomes = OverchargeConfirmed

    dispute_id: Identifier
    charge_id: Identifier
    currency: Currency
    amount: PositiveAmount
    settle_as: SettleAs | None = None


class OverchargeRejectedV1(MessageData):
    """The investigation of a dispute found the charge correct."""

    message_type = "voip.overcharge.rejected.v1"
    becomes = OverchargeRejected
    private = ("reason",)

    dispute_id: Identifier
    charge_id: Identifier
    reason: FreeText


class CancellationRequestedV1(MessageData):
    """The customer cancelled the subscription."""

    message_type = "voip.cancellation.requested.v1"
    becomes = CancellationRequested
    private = ("reason",)
    about = "requested_at"

    subscription_id: Identifier
    requested_at: Instant
    channel: CancelledBy
    reason: FreeText | None = None
    keep_service: Flag = False


class CancellationWithdrawnV1(MessageData):
    """The customer withdrew the cancellation."""

    message_type = "voip.cancellation.withdrawn.v1"
    becomes = CancellationWithdrawn
    about = "withdrawn_at"

    subscription_id: Identifier
    withdrawn_at: Instant


class SubscriptionSuspendedV1(MessageData):
    """The provider suspended the service for a violation."""

    message_type = "voip.subscription.suspended.v1"
    becomes = SubscriptionSuspended
    about = "suspended_at"

    subscription_id: Identifier
    suspended_at: Instant
    reason: Violation


class SubscriptionReinstatedV1(MessageData):
    """The provider reinstated a suspended service."""

    message_type = "voip.subscription.reinstated.v1"
    becomes = SubscriptionReinstated
    about = "reinstated_at"

    subscription_id: Identifier
    reinstated_at: Instant


class SubscriptionTerminatedV1(MessageData):
    """The provider terminated the subscription for a violation."""

    message_type = "voip.subscription.terminated.v1"
    becomes = SubscriptionTerminated
    about = "terminated_at"

    subscription_id: Identifier
    terminated_at: Instant
    reason: Violation


class ComplaintOpenedV1(MessageData):
    """A customer complained."""

    message_type = "voip.complaint.opened.v1"
    becomes = ComplaintOpened
    private = ("description",)

    complaint_id: NewIdentifier
    subscription_id: Identifier | None = None
    channel: CodeOrWords
    category: CodeOrWords
    description: FreeText | None = None


class ComplaintResolvedV1(MessageData):
    """Support resolved a complaint."""

    message_type = "voip.complaint.resolved.v1"
    becomes = ComplaintResolved
    private = ("resolution", "answer")

    complaint_id: Identifier
    resolution: FreeText
    answer: FreeText | None = None

    def for_fact(self) -> dict[str, object]:
        """A resolution that is a code is no free text, and stands in the fact as well (policy §8)."""
        code = self.resolution if is_code(self.resolution) else None
        return {**super().for_fact(), "resolution_code": code}


class ComplaintReopenedV1(MessageData):
    """A complaint was reopened: it had not been resolved."""

    message_type = "voip.complaint.reopened.v1"
    becomes = ComplaintReopened
    private = ("reason",)

    complaint_id: Identifier
    reason: FreeText | None = None


class RefundSucceededV1(MessageData):
    """The payment processor confirmed that a refund arrived."""

    message_type = "voip.refund.succeeded.v1"
    becomes = RefundSucceeded
    about = "succeeded_at"

    refund_id: RefundIdentifier
    processor_reference: Identifier
    succeeded_at: Instant
    currency: Currency | None = None
    amount: Amount | None = None


class RefundFailedV1(MessageData):
    """The payment processor reported that a refund failed."""

    message_type = "voip.refund.failed.v1"
    becomes = RefundFailed
    private = ("reason",)

    refund_id: RefundIdentifier
    reason: FreeText


class InstructionCarriedOutV1(MessageData):
    """An instruction was carried out."""

    message_type = "voip.instruction.carried_out.v1"
    becomes = InstructionCarriedOut
    about = "carried_out_at"

    instruction_id: Identifier
    carried_out_at: Instant


class InstructionRefusedV1(MessageData):
    """An instruction was refused."""

    message_type = "voip.instruction.refused.v1"
    becomes = InstructionRefused
    private = ("reason",)

    instruction_id: Identifier
    reason: FreeText
