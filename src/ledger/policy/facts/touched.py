"""What an assessment has to look at again after a fact."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.values import Period


@dataclass(slots=True)
class Touched:
    """What a fact is about; `ledger.policy.scope` adds what hangs together with it."""

    everything: bool = False
    windows: dict[str, Period] = field(default_factory=dict)
    """By subscription: the time in which its cycles may be owed something else than before, or for other reasons."""
    charges: set[str] = field(default_factory=set)
    """Charges, with the disputes on them."""
    goodwill: set[str] = field(default_factory=set)
    """Goodwill credits."""
    invoices: set[str] = field(default_factory=set)
    """Invoices that were charged or paid otherwise than before."""
    payments: set[str] = field(default_factory=set)
    """Payments, by id: one may confirm that a credit was applied."""
    refunds: set[str] = field(default_factory=set)
    """Refunds that were decided about or submitted, or that the payment processor reported on."""
    claims: set[str] = field(default_factory=set)
    """Claims of which a person decided how they are settled."""
    subscriptions: set[str] = field(default_factory=set)
    """Subscriptions of which all charges may be owed something else."""
    complaints: set[str] = field(default_factory=set)

    def window(self, subscription_id: str, period: Period) -> None:
        """Add a time of a subscription."""
        self.windows[subscription_id] = self.windows.get(subscription_id, period).hull(period)

    def joined(self, other: Touched) -> Touched:
        """What either of two touches."""
        both = Touched(
            everything=self.everything or other.everything,
            windows=dict(self.windows),
            charges=self.charges | other.charges,
            goodwill=self.goodwill | other.goodwill,
            invoices=self.invoices | other.invoices,
            payments=self.payments | other.payments,
            refunds=self.refunds | other.refunds,
            claims=self.claims | other.claims,
            subscriptions=self.subscriptions | other.subscriptions,
            complaints=self.complaints | other.complaints,
        )
        for subscription_id, period in other.windows.items():
            both.window(subscription_id, period)
        return both


EVERYTHING = Touched(everything=True)
