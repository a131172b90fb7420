"""An invoice, which charges and payments are known by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ledger.events import PaymentCaptured, PaymentFailed
from ledger.policy.facts.charge import Charge, ChargeFact, charge_id_of


@dataclass(slots=True)
class Invoice:
    """The charges and payments that stand on an invoice, and all the facts that name it."""

    charges: dict[str, Charge] = field(default_factory=dict)
    """Those of subscriptions that are not registered yet as well (policy §7)."""
    payments: dict[str, PaymentCaptured] = field(default_factory=dict)
    charge_facts: list[ChargeFact] = field(default_factory=list)
    payment_facts: list[PaymentCaptured | PaymentFailed] = field(default_factory=list)

    @property
    def charge_ids(self) -> set[str]:
        """The ids of all charges that name it, those left out as contradictions included."""
        return {charge_id_of(fact) for fact in self.charge_facts}

    @property
    def rests_since(self) -> datetime:
        """When a charge or payment of it was recorded last."""
        return max(fact.recorded_at for fact in (*self.charge_facts, *self.payment_facts))
