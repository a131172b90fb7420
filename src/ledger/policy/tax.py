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
    granted: Decimal
    net: Decimal
    exact: Fraction
    due: Decimal
    before: Decimal

    @property
    def returned(self) -> Decimal:
        """The tax that comes back in this step."""
        return self.due - self.before

    def lines(self) -> tuple[str, ...]:
        """The working in a sentence; none where nothing was granted, or the charge has no tax."""
        if not self.granted or not self.charge.tax:
            return ()
        share = Share(self.exact, f"{self.charge.tax} × {self.net} ÷ {self.charge.price}")
        less = f"; less {self.before} returned before = {self.returned}" if self.before else ""
        return (f"tax on all that is granted of the charge: {share.reckoned(self.due, self.rounding)}{less}",)


class TaxInStep:
    """The tax returned on one charge as its grants are taken in their fixed order."""

    def __init__(self, charge: Charge, rounding: Rounding) -> None:
        self._charge = charge
        self._rounding = rounding
        self._net = zero(charge.currency)
        self._tax = zero(charge.currency)

    def grant(self, net: Decimal) -> TaxStep:
        """One more net amount, with the tax that comes back: round(tax × all net ÷ price) less what did before."""
        self._net += net
        exact = ratio(Fraction(self._charge.tax) * Fraction(self._net), self._charge.price)
        due = rounded(exact, self._charge.currency, self._rounding)
        step = TaxStep(self._charge, self._rounding, net, self._net, exact, due, before=self._tax)
        self._tax = due
        return step
