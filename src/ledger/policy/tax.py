"""Tax in step (policy §2): tax comes back with the net amounts, so that the parts always add up."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from ledger.policy.charges import Charge
from ledger.values import Rounding, ratio, rounded, zero


class TaxInStep:
    """The tax returned on one charge as its grants are taken in their fixed order."""

    def __init__(self, charge: Charge, rounding: Rounding) -> None:
        self._charge = charge
        self._rounding = rounding
        self._net = zero(charge.currency)
        self._tax = zero(charge.currency)

    def grant(self, net: Decimal) -> Decimal:
        """The tax that comes back with one more net amount: round(tax × all net ÷ price) less what came before."""
        self._net += net
        due = rounded(
            ratio(Fraction(self._charge.tax) * Fraction(self._net), self._charge.price),
            self._charge.currency,
            self._rounding,
        )
        step, self._tax = due - self._tax, due
        return step
