"""Payments: of the messages about one payment the latest holds (policy §7)."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from ledger.events import PaymentCaptured, PaymentFailed
from ledger.policy.facts.charges import on_invoice
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.invoice import Invoice
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.touched import Touched
from ledger.policy.facts.waiting import WaitingFacts

PaymentFact = PaymentCaptured | PaymentFailed


class Payments:
    """Money that arrived or failed to, from the customer's means or from credits."""

    def __init__(
        self,
        account: RegisteredAccount,
        invoices: defaultdict[str, Invoice],
        contradictions: Contradictions,
        waiting: WaitingFacts,
    ) -> None:
        self._account = account
        self._invoices = invoices
        self._contradictions = contradictions
        self._waiting = waiting
        self._facts: dict[str, list[PaymentFact]] = defaultdict(list)
        self.standing: dict[str, PaymentCaptured] = {}
        """Those that were captured and have not failed since, by id."""

    def learn(self, fact: PaymentFact) -> Touched:
        """Take in one fact: it touches the invoice that it names, and that which the payment stood on before."""
        payment_id = fact.data.payment_id
        before = self.standing.get(payment_id)
        self._facts[payment_id].append(fact)
        self._invoices[fact.data.invoice_id].payment_facts.append(fact)
        self._judge(payment_id)
        self._waiting.ask_anew(*self._facts[payment_id])
        paid = {p.data.invoice_id for p in (before, self.standing.get(payment_id)) if p is not None}
        return Touched(invoices={fact.data.invoice_id, *paid}, payments={payment_id})

    def judge(self) -> None:
        """Find the payments that stand."""
        for payment_id in self._facts:
            self._judge(payment_id)

    def _judge(self, payment_id: str) -> None:
        """Captures that differ from the latest of them are alarmed, also where a failure holds."""
        before = self.standing.pop(payment_id, None)
        if before is not None:
            self._invoices[before.data.invoice_id].payments.pop(payment_id, None)
        facts = self._account.own(self._facts[payment_id])
        captures = [fact for fact in facts if isinstance(fact, PaymentCaptured)]
        self._contradictions.one_stands(captures, max(captures, key=_order, default=None))
        holding = max(facts, key=_order, default=None)
        if isinstance(holding, PaymentCaptured):
            self.standing[payment_id] = holding
            self._invoices[holding.data.invoice_id].payments[payment_id] = holding

    def waits_for(self, fact: PaymentFact) -> str | None:
        """The capture that holds waits for any charge on its invoice."""
        stands = self.standing.get(fact.data.payment_id) is fact
        charged = bool(self._invoices[fact.data.invoice_id].charge_facts)
        return f"charge {on_invoice(fact.data.invoice_id)}" if stands and not charged else None

    # --- questions -----------------------------------------------------------------------------------------------

    def has_failed(self, payment_id: str) -> bool:
        """Whether the message that holds about a payment says that it failed; False where none came."""
        return payment_id not in self.standing and any(
            isinstance(fact, PaymentFailed) for fact in self._facts.get(payment_id, ())
        )


def _order(fact: PaymentFact) -> tuple[datetime, bool, str, str]:
    """By what messages about one payment are taken: at the same time a failure holds, then the greater id (§7)."""
    time, message_id, source = fact.order
    return (time, isinstance(fact, PaymentFailed), message_id, source)
