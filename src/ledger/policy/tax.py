"""Tax in step (policy §2): tax comes back with the net amounts, so that the parts always add up."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from ledger.policy.facts.charge import Charge
from ledger.policy.proration import Share
from ledger.values import Rounding, in_proportion, ratio, value


@value
class TaxInStep:
    """Where the tax of a charge stands as its grants are taken in their fixed order: after the last one, or none.

    `granted` is that grant, `net` all that was granted up to and with it, and `due` the tax of that in total.
    """

    charge: Charge
    rounding: Rounding
    granted: Decimal = Decimal(0)
    net: Decimal = Decimal(0)
    due: Decimal = Decimal(0)
    before: Decimal = Decimal(0)

    @property
    def returned(self) -> Decimal:
        """The tax that comes back with the last grant."""
        return self.due - self.before

    def grant(self, net: Decimal) -> TaxInStep:
        """After one more net amount: what comes back is round(tax × all net ÷ price) less what did before."""
        of_charge = self.net + net
        due = in_proportion(self.charge.tax, of_charge, self.charge.price, self.charge.currency, self.rounding)
        return TaxInStep(self.charge, self.rounding, net, of_charge, due, before=self.due)

    def lines(self) -> tuple[str, ...]:
        """The working in a sentence; none where nothing was granted, or the charge has no tax."""
        if not self.granted or not self.charge.tax:
            return ()
        exact = ratio(Fraction(self.charge.tax) * Fraction(self.net), self.charge.price)
        share = Share(exact, f"{self.charge.tax} × {self.net} ÷ {self.charge.price}")
        less = f"; less {self.before} returned before = {self.returned}" if self.before else ""
        return (f"tax on all that is granted of the charge: {share.reckoned(self.due, self.rounding)}{less}",)
