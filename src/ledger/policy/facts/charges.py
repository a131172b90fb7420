"""Charges: which of them stand, and which are assessed because their subscription is registered (policy §2)."""

from __future__ import annotations

from collections import defaultdict

from ledger.events import CycleStarted, Fact
from ledger.policy.facts.charge import Charge, ChargeFact, Cycle, charge_id_of, charge_stated_by
from ledger.policy.facts.contradictions import Contradictions, says_the_same
from ledger.policy.facts.invoice import Invoice
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.subscriptions import SubscriptionFacts, Subscriptions
from ledger.policy.facts.touched import EVERYTHING, Touched
from ledger.policy.facts.waiting import WaitingFacts
from ledger.values import END, Period


class Charges:
    """Cycles and one-off charges. Of two that overlap or bear one id the first stands, in the account's currency."""

    def __init__(
        self,
        account: RegisteredAccount,
        subscriptions: Subscriptions,
        invoices: defaultdict[str, Invoice],
        contradictions: Contradictions,
        waiting: WaitingFacts,
    ) -> None:
        self._account = account
        self._subscriptions = subscriptions
        self._invoices = invoices
        self._contradictions = contradictions
        self._waiting = waiting
        self._facts: dict[str, list[ChargeFact]] = defaultdict(list)
        self.standing: dict[str, Charge] = {}
        """Every charge that stands, also where its subscription is not registered yet."""
        self.assessed: dict[str, Charge] = {}
        """Those that are assessed: of a subscription once it is registered, and of none."""

    def learn(self, fact: ChargeFact) -> Touched:
        """Take in one fact. Where it may contradict another, all are judged again in the order of their messages."""
        akin = self._facts[charge_id_of(fact)]
        akin.append(fact)
        self._invoices[fact.data.invoice_id].charge_facts.append(fact)
        self._waiting.became_known("charge", on_invoice(fact.data.invoice_id))
        touched = Touched(charges={charge_id_of(fact)}, invoices={fact.data.invoice_id})
        if self._account.time_zone is None:
            return touched
        charge = charge_stated_by(fact, self._account.time_zone)
        subscription = (
            self._subscriptions.named(charge.subscription_id) if charge.subscription_id is not None else None
        )
        if len(akin) > 1 or self._is_entangled(charge, subscription):
            return EVERYTHING
        self._stand(charge)
        if isinstance(charge, Cycle) and subscription is not None and subscription.requests:
            touched.window(charge.subscription_id, Period(charge.period.begin, END))
        return touched

    def admit_those_of(self, subscription_id: str) -> None:
        """Have the charges of a subscription assessed, now that it is registered."""
        for charge in self.standing.values():
            if charge.subscription_id == subscription_id and charge.charge_id not in self.assessed:
                self._admit(charge)

    def judge(self) -> None:
        """Find the charges that stand, in the order of their messages: an earlier one may have turned up."""
        self.standing.clear()
        self.assessed.clear()
        for invoice in self._invoices.values():
            invoice.charges.clear()
        for subscription in self._subscriptions.by_id.values():
            subscription.cycles.clear()
        zone = self._account.time_zone
        if zone is None:
            return
        kept_by_id: dict[str, Fact] = {}
        cycles_kept: dict[str, list[Cycle]] = defaultdict(list)
        facts = self._account.own(fact for akin in self._facts.values() for fact in akin)
        for fact in sorted(facts, key=lambda fact: fact.order):
            charge = charge_stated_by(fact, zone)
            same_id = kept_by_id.get(charge.charge_id)
            if same_id is not None:
                if not says_the_same(same_id, fact):
                    self._contradictions.leave_out(fact, because_of=same_id)
                continue
            if isinstance(charge, Cycle):
                siblings = cycles_kept[charge.subscription_id]
                overlapped = next((cycle for cycle in siblings if _overlap(cycle, charge)), None)
                if overlapped is not None:
                    self._contradictions.leave_out(fact, because_of=overlapped.fact)
                    continue
                siblings.append(charge)
            kept_by_id[charge.charge_id] = fact
            self._stand(charge)

    def waits_for(self, fact: ChargeFact) -> str | None:
        """It waits for nothing but its subscription."""
        return None

    def _is_entangled(self, charge: Charge, subscription: SubscriptionFacts | None) -> bool:
        """Whether the charge may contradict another, so that all must be judged again in their order."""
        if charge.currency != self._account.currency:
            return True
        if not isinstance(charge, Cycle) or subscription is None:
            return False
        if subscription.registration is None or self._has_cycle_left_out(charge.subscription_id):
            return True
        return any(_overlap(other, charge) for other in subscription.cycles_in(charge.period))

    def _has_cycle_left_out(self, subscription_id: str) -> bool:
        return any(
            isinstance(c.left_out, CycleStarted) and c.left_out.data.subscription_id == subscription_id
            for c in self._contradictions
        )

    def _stand(self, charge: Charge) -> None:
        self.standing[charge.charge_id] = charge
        self._invoices[charge.invoice_id].charges[charge.charge_id] = charge
        if charge.subscription_id is None or self._subscriptions.is_registered(charge.subscription_id):
            self._admit(charge)

    def _admit(self, charge: Charge) -> None:
        self.assessed[charge.charge_id] = charge
        self._waiting.became_known("charge", charge.charge_id)
        if isinstance(charge, Cycle):
            self._subscriptions.named(charge.subscription_id).insert_cycle(charge)

    # --- questions -----------------------------------------------------------------------------------------------

    def named(self, charge_id: str) -> Charge | None:
        """The charge under an id: the one that stands, else the first of those left out; None where none is known."""
        standing = self.standing.get(charge_id)
        if standing is not None or self._account.time_zone is None or charge_id not in self._facts:
            return standing
        return charge_stated_by(min(self._facts[charge_id], key=lambda fact: fact.order), self._account.time_zone)


def on_invoice(invoice_id: str) -> str:
    """What a payment waits for: any charge on its invoice. No charge has an id with a space."""
    return f"on invoice {invoice_id}"


def _overlap(one: Cycle, other: Cycle) -> bool:
    return one.starts_on < other.ends_on and other.starts_on < one.ends_on
