"""Tax in step (policy §2): tax comes back with the net amounts, so that the parts always add up."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ledger.policy.charges import Charge
from ledger.policy.proration import Share
from ledger.values import Rounding, ratio, rounded, zero


@dataclass(frozen=True, slots=True)
class TaxStep:
    """One grant's step: `net` was granted on the charge up to and with it, `due` is the tax of that in total."""

    charge: Charge
    rounding: Rounding
    net: Decimal
    exact: Fraction
    due: Decimal
    before: Decimal

    def lines(self) -> tuple[str, ...]:
        """The working in a sentence; none where the charge has no tax."""
        if not self.charge.tax:
            return ()
        share = Share(self.exact, f"{self.charge.tax} × {self.net} ÷ {self.charge.price}")
        less = f"; less {self.before} returned before = {self.due - self.before}" if self.before else ""
        return (f"tax on all that is granted of the charge: {share.reckoned(self.due, self.rounding)}{less}",)


class TaxInStep:
    """The tax returned on one charge as its grants are taken in their fixed order."""

    def __init__(self, charge: Charge, rounding: Rounding) -> None:
        self._charge = charge
        self._rounding = rounding
        self._net = zero(charge.currency)
        self._tax = zero(charge.currency)
        self.last: TaxStep | None = None
        """The step taken last, for the working."""

    def grant(self, net: Decimal) -> Decimal:
        """The tax that comes back with one more net amount: round(tax × all net ÷ price) less what came before."""
        self._net += net
        exact = ratio(Fraction(self._charge.tax) * Fraction(self._net), self._charge.price)
        due = rounded(exact, self._charge.currency, self._rounding)
        self.last = TaxStep(self._charge, self._rounding, self._net, exact, due, self._tax)
        step, self._tax = due - self._tax, due
        return step
