"""What was charged: a billing cycle or a one-off, each with a price and a tax (policy §2)."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from ledger.events import ChargePosted, CycleStarted
from ledger.values import Period, midnight, value

ChargeFact = CycleStarted | ChargePosted


@value
class Charge:
    """A charge as the assessment sees it; `fact` is the message it became known by."""

    charge_id: str
    subscription_id: str | None
    price: Decimal
    tax: Decimal
    currency: str
    invoice_id: str
    fact: ChargeFact


@value
class Cycle(Charge):
    """A billing cycle: the half-open range of local dates `[starts_on, ends_on)`, and its elapsed `period`."""

    subscription_id: str
    starts_on: date
    ends_on: date
    prepaid: bool
    monthly_price: Decimal | None
    period: Period

    @property
    def days(self) -> int:
        """`d` of the policy: calendar days, even where the zone skipped a date."""
        return (self.ends_on - self.starts_on).days

    def contains(self, day: date) -> bool:
        """Whether a local date lies in the cycle."""
        return self.starts_on <= day < self.ends_on

    def has_ended(self, now: datetime) -> bool:
        """Whether the cycle's end has passed."""
        return self.period.end <= now


def charge_id_of(fact: ChargeFact) -> str:
    """The id of the charge that a fact is about."""
    return fact.data.cycle_id if isinstance(fact, CycleStarted) else fact.data.charge_id


def charge_stated_by(fact: ChargeFact, time_zone: str) -> Charge:
    """The charge that a fact states, placed in the account's zone."""
    return billing_cycle(fact, time_zone) if isinstance(fact, CycleStarted) else one_off(fact)


def one_off(fact: ChargePosted) -> Charge:
    """The charge that a ChargePosted states."""
    data = fact.data
    return Charge(data.charge_id, data.subscription_id, data.price, data.tax, data.currency, data.invoice_id, fact)


def billing_cycle(fact: CycleStarted, time_zone: str) -> Cycle:
    """The charge that a CycleStarted states, placed in the account's zone."""
    data = fact.data
    return Cycle(
        charge_id=data.cycle_id,
        subscription_id=data.subscription_id,
        price=data.price,
        tax=data.tax,
        currency=data.currency,
        invoice_id=data.invoice_id,
        fact=fact,
        starts_on=data.starts_on,
        ends_on=data.ends_on,
        prepaid=data.prepaid,
        monthly_price=data.monthly_price,
        period=Period(midnight(data.starts_on, time_zone), midnight(data.ends_on, time_zone)),
    )
