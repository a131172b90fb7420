"""What an e-mail is about: recorded figures and what the vault says, before they are put into words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from ledger.events import Clause

CreditedFor = Clause | Literal["excess"]
"""What a credit is for: a clause of the policy, or what was paid in excess of an invoice."""

Way = Literal["invoice_reduction", "refund", "credit"]


@dataclass(frozen=True, slots=True)
class Money:
    """An amount with the tax in it, in the currency that both are in."""

    net: Decimal
    tax: Decimal
    currency: str

    @property
    def total(self) -> Decimal:
        """What the customer gets."""
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the customer signs in with. The link leads to the secret, once, until a local time."""

    username: str
    server: str
    link: str | None
    link_until: datetime


@dataclass(frozen=True, slots=True)
class ServiceReady:
    """A subscription is registered and paid."""

    subscription_id: str
    plan: str
    sign_in: SignIn | None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A subscription ends on a date, or `ended` then; what comes back, and how. `undecided` where that is not known
    yet. What has ended cannot be taken back."""

    subscription_id: str
    ends_on: date
    ended: bool
    returns: tuple[tuple[Way, Money], ...]
    undecided: bool


@dataclass(frozen=True, slots=True)
class CancellationTakenBack:
    """A subscription goes on after all."""

    subscription_id: str


@dataclass(frozen=True, slots=True)
class Credited:
    """An amount was added to the customer's credit."""

    credited_for: CreditedFor
    subscription_id: str | None
    money: Money


@dataclass(frozen=True, slots=True)
class Refunded:
    """A refund arrived: the payment processor said so."""

    money: Money
    paid_on: date
    reference: str


@dataclass(frozen=True, slots=True)
class ComplaintReceived:
    """A complaint is open."""

    complaint_id: str
    received_on: date


@dataclass(frozen=True, slots=True)
class ComplaintSettled:
    """Support resolved a complaint."""

    complaint_id: str
    resolved_on: date


@dataclass(frozen=True, slots=True)
class SignInAsked:
    """Somebody asked for a link by which the customer signs in, once, for so many minutes."""

    link: str
    minutes: int


About = (
    ServiceReady
    | Cancelled
    | CancellationTakenBack
    | Credited
    | Refunded
    | ComplaintReceived
    | ComplaintSettled
    | SignInAsked
)
