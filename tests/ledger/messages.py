"""Upstream's messages for stories: one writer for each account, a second between one message and the next.

What a story leaves out has a value that makes the message valid. Everything is read by the same code that reads what
really comes, so that a story can say nothing that upstream could not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from consumers.upstream import read_structured
from consumers.upstream.door_messages import DOOR_MESSAGES, known_at_the_door
from consumers.upstream.statements import read_act
from ledger.application.statement import Refusal, Statement

Message = dict[str, Any]


class Upstream:
    """What upstream says about one account: a month of service in Berlin, unless told otherwise."""

    def __init__(
        self,
        account: str = "acct-1",
        *,
        source: str = "/provisioning/test",
        zone: str = "Europe/Berlin",
        currency: str = "EUR",
        begins: str = "2026-03-01T09:00:00Z",
    ) -> None:
        self.account = account
        self.source = source
        self.zone = zone
        self.currency = currency
        self._time = datetime.fromisoformat(begins)
        self._said = 0

    def says(
        self, kind: str, /, *, message_id: str | None = None, time: str | None = None, **data: object
    ) -> Message:
        """Any message; a field that is None is left out."""
        self._said += 1
        self._time += timedelta(seconds=1)
        return {
            "specversion": "1.0",
            "id": message_id or f"{self.account}.{self._said}",
            "source": self.source,
            "type": f"voip.{kind}.v1",
            "subject": self.account,
            "time": time or self._time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": {name: value for name, value in data.items() if value is not None},
        }

    def account_registered(self, **other: Any) -> Message:
        customer = {"name": f"Zoë of {self.account}", "email": f"zoe@{self.account}.example"}
        data = {"time_zone": self.zone, "currency": self.currency, "customer": customer}
        return self.says("account.registered", **data | other)

    def customer_changed(self, **customer: str) -> Message:
        return self.says("customer.changed", customer=customer)

    def fact_retracted(self, retracted: Message | str, **other: Any) -> Message:
        """Take back a message of this source, or the one with this id."""
        id_ = retracted if isinstance(retracted, str) else retracted["id"]
        return self.says("fact.retracted", **{"retracts": {"source": self.source, "id": id_}} | other)

    def subscription_registered(self, subscription_id: str = "sub-1", **other: Any) -> Message:
        data = {"subscription_id": subscription_id, "agreement": "standard", "plan": "business-voip"}
        return self.says("subscription.registered", **data | other)

    def cycle_started(
        self,
        cycle_id: str = "cyc-1",
        *,
        starts_on: str = "2026-03-01",
        ends_on: str = "2026-04-01",
        price: str = "31.00",
        **other: Any,
    ) -> Message:
        data = {
            "subscription_id": "sub-1",
            "cycle_id": cycle_id,
            "starts_on": starts_on,
            "ends_on": ends_on,
            "price": price,
            "currency": self.currency,
            "invoice_id": f"inv-{cycle_id}",
            "prepaid": True,
        }
        return self.says("cycle.started", **data | other)

    def charge_posted(self, charge_id: str = "chg-1", *, price: str = "15.00", **other: Any) -> Message:
        data = {"price": price, "currency": self.currency, "invoice_id": f"inv-{charge_id}"}
        return self.says("charge.posted", charge_id=charge_id, description="a headset", **data | other)

    def payment_captured(self, invoice_id: str = "inv-cyc-1", amount: str = "31.00", **other: Any) -> Message:
        data = {"payment_id": f"pay-{invoice_id}", "invoice_id": invoice_id, "amount": amount, "method": "card"}
        return self.says("payment.captured", currency=self.currency, **data | other)

    def payment_failed(self, invoice_id: str = "inv-cyc-1", **other: Any) -> Message:
        data = {"payment_id": f"pay-{invoice_id}", "invoice_id": invoice_id, "reason": "declined by the bank"}
        return self.says("payment.failed", **data | other)

    def outage_reported(
        self, outage_id: str = "out-1", *, began_at: str = "2026-03-10T00:00:00Z", **other: Any
    ) -> Message:
        data = {"subscription_id": "sub-1", "reported_at": began_at, "severity": "significant", "cause": "provider"}
        return self.says("outage.reported", outage_id=outage_id, began_at=began_at, **data | other)

    def outage_resolved(
        self, outage_id: str = "out-1", *, resolved_at: str = "2026-03-12T00:00:00Z", **other: Any
    ) -> Message:
        data = {"subscription_id": "sub-1", "outage_id": outage_id, "resolved_at": resolved_at}
        return self.says("outage.resolved", **data | other)

    def outage_reopened(self, outage_id: str = "out-1", **other: Any) -> Message:
        return self.says("outage.reopened", **{"subscription_id": "sub-1", "outage_id": outage_id} | other)

    def billing_error_reported(self, dispute_id: str = "dis-1", charge_id: str = "cyc-1", **other: Any) -> Message:
        data = {"claimed": "10.00", "currency": self.currency, "reported_at": "2026-03-05T10:00:00Z"}
        return self.says("billing_error.reported", dispute_id=dispute_id, charge_id=charge_id, **data | other)

    def overcharge_confirmed(
        self, dispute_id: str = "dis-1", charge_id: str = "cyc-1", *, amount: str = "10.00", **other: Any
    ) -> Message:
        data = {"dispute_id": dispute_id, "charge_id": charge_id, "amount": amount, "currency": self.currency}
        return self.says("overcharge.confirmed", **data | other)

    def overcharge_rejected(self, dispute_id: str = "dis-1", charge_id: str = "cyc-1", **other: Any) -> Message:
        data = {"dispute_id": dispute_id, "charge_id": charge_id, "reason": "as agreed in the contract"}
        return self.says("overcharge.rejected", **data | other)

    def cancellation_requested(self, *, requested_at: str = "2026-03-21T12:00:00Z", **other: Any) -> Message:
        data = {"subscription_id": "sub-1", "requested_at": requested_at, "channel": "portal"}
        return self.says("cancellation.requested", **data | other)

    def cancellation_withdrawn(self, *, withdrawn_at: str = "2026-03-22T12:00:00Z", **other: Any) -> Message:
        data = {"subscription_id": "sub-1", "withdrawn_at": withdrawn_at}
        return self.says("cancellation.withdrawn", **data | other)

    def subscription_suspended(self, *, suspended_at: str = "2026-03-15T12:00:00Z", **other: Any) -> Message:
        data = {"subscription_id": "sub-1", "suspended_at": suspended_at, "reason": "non_payment"}
        return self.says("subscription.suspended", **data | other)

    def subscription_reinstated(self, *, reinstated_at: str = "2026-03-16T12:00:00Z", **other: Any) -> Message:
        data = {"subscription_id": "sub-1", "reinstated_at": reinstated_at}
        return self.says("subscription.reinstated", **data | other)

    def subscription_terminated(self, *, terminated_at: str = "2026-03-25T12:00:00Z", **other: Any) -> Message:
        data = {"subscription_id": "sub-1", "terminated_at": terminated_at, "reason": "misuse"}
        return self.says("subscription.terminated", **data | other)

    def complaint_opened(self, complaint_id: str = "com-1", **other: Any) -> Message:
        data = {"complaint_id": complaint_id, "channel": "phone", "category": "quality"}
        return self.says("complaint.opened", **data | other)

    def complaint_resolved(self, complaint_id: str = "com-1", **other: Any) -> Message:
        return self.says("complaint.resolved", **{"complaint_id": complaint_id, "resolution": "exchanged"} | other)

    def complaint_reopened(self, complaint_id: str = "com-1", **other: Any) -> Message:
        return self.says("complaint.reopened", **{"complaint_id": complaint_id} | other)

    def refund_succeeded(self, refund_id: str, **other: Any) -> Message:
        data = {"refund_id": refund_id, "processor_reference": "psp-77", "succeeded_at": "2026-03-30T10:00:00Z"}
        return self.says("refund.succeeded", **data | other)

    def refund_failed(self, refund_id: str, **other: Any) -> Message:
        return self.says("refund.failed", **{"refund_id": refund_id, "reason": "the account is closed"} | other)

    def instruction_carried_out(self, instruction_id: str, **other: Any) -> Message:
        data = {"instruction_id": instruction_id, "carried_out_at": "2026-03-31T10:00:00Z"}
        return self.says("instruction.carried_out", **data | other)

    def instruction_refused(self, instruction_id: str, **other: Any) -> Message:
        data = {"instruction_id": instruction_id, "reason": "Zoë's number was ported"}
        return self.says("instruction.refused", **data | other)

    # --- what people instruct at the door --------------------------------------------------------------------------

    def instructs(self, kind: str, /, **data: object) -> Message:
        """A message of the door's own; a field that is None is left out."""
        return self.says(kind, **data) | {"source": "/makegood/http", "type": f"makegood.{kind}.v1"}

    def complaint_noted(self, complaint_id: str = "com-1", **other: Any) -> Message:
        return self.instructs("complaint.noted", **{"complaint_id": complaint_id, "note": "rang Zoë back"} | other)

    def complaint_linked(
        self, complaint_id: str = "com-1", kind: str = "outage", linked_id: str = "out-1", **other: Any
    ) -> Message:
        data = {"complaint_id": complaint_id, "kind": kind, "linked_id": linked_id}
        return self.instructs("complaint.linked", **data | other)

    def goodwill_proposed(
        self, credit_id: str = "gw-1", complaint_id: str = "com-1", *, amount: str = "10.00", **other: Any
    ) -> Message:
        data = {"complaint_id": complaint_id, "amount": amount, "currency": self.currency, "proposed_by": "support-1"}
        return self.instructs("goodwill.proposed", credit_id=credit_id, **data | other)

    def goodwill_approved(self, credit_id: str = "gw-1", decided_by: str = "approver-1") -> Message:
        return self.instructs("goodwill.approved", credit_id=credit_id, decided_by=decided_by)

    def goodwill_rejected(self, credit_id: str = "gw-1", decided_by: str = "approver-1", **other: Any) -> Message:
        data = {"credit_id": credit_id, "decided_by": decided_by, "reason": "it never happened, says Zoë"}
        return self.instructs("goodwill.rejected", **data | other)

    # --- whole passages ------------------------------------------------------------------------------------------

    def customer(self) -> list[Message]:
        """A customer with one subscription and its paid cycle of March 2026, at 31.00."""
        return [
            self.account_registered(),
            self.subscription_registered(),
            self.cycle_started(),
            self.payment_captured(),
        ]

    def every_instruction(self) -> list[Message]:
        """A complaint worked with every message of the door's own; its credit is approved by another person."""
        return [
            self.complaint_noted(),
            self.complaint_linked(),
            self.goodwill_proposed(subscription_id="sub-1", reason="Zoë waited for a week"),
            self.goodwill_approved("gw-1", "support-1"),
            self.goodwill_approved(),
            self.goodwill_proposed("gw-2"),
            self.goodwill_rejected("gw-2"),
        ]

    def every_decision(self) -> list[Message]:
        """Every decision of people about money, each by itself."""
        refund_id, amounts = (
            "refund/billing-error/dis-1/1",
            {"currency": self.currency, "net": "10.00", "tax": "1.90"},
        )
        verdict = {"refund_id": refund_id, "proposal": "0" * 64, "set_by": "an-event", **amounts, "decided_by": "fin"}
        turned = {"refund_id": refund_id, "currency": self.currency, "amount": "11.90", "decided_by": "fin"}
        credit_id = "credit/billing-error/dis-1/1"
        asked = {"refund_id": f"refund/{credit_id}/1", "credit_id": credit_id, "decided_by": "fin"}
        over = {"claim_id": "billing-error/dis-1", "currency": self.currency, "amount": "2.00", "decided_by": "fin"}
        return [
            self.instructs("refund.approved", **verdict),
            self.instructs("refund.rejected", **verdict, reason="Zoë was paid by hand"),
            self.instructs("refund.retried", **verdict),
            self.instructs("refund.turned_into_credit", **turned),
            self.instructs("credit.refund_requested", **asked),
            self.instructs("overpaid.written_off", **over, reason="Zoë owes too little"),
            self.instructs("overpaid.recovery_ordered", **over, reason="as agreed with Zoë"),
        ]

    def every_type(self) -> list[Message]:
        """One life with all 26 types of message in it, and every kind of claim and alarm."""
        words = "Zoë hears an echo on the line"
        return [
            self.account_registered(),
            self.subscription_registered(credentials={"username": "zoe.quux", "server": "sip.example.net"}),
            self.cycle_started(tax="5.89", monthly_price="31.00"),
            self.payment_failed(),
            self.payment_captured(amount="36.89"),
            self.charge_posted(tax="2.85", subscription_id="sub-1"),
            self.complaint_opened(subscription_id="sub-1", description=words),
            self.complaint_resolved(),
            self.complaint_reopened(reason=words),
            self.outage_reported(channel="phone"),
            self.outage_resolved(resolved_at="2026-03-11T12:00:00Z"),
            self.outage_reopened(),
            self.outage_resolved(resolved_at="2026-03-12T12:00:00.25Z"),
            self.outage_resolved(resolved_at="2026-03-09T00:00:00Z"),
            self.billing_error_reported(description=words),
            self.overcharge_confirmed(settle_as="refund"),
            self.billing_error_reported("dis-2", "chg-1"),
            self.overcharge_rejected("dis-2", "chg-1"),
            self.overcharge_confirmed("dis-3", "chg-1", amount="15.01"),
            self.overcharge_confirmed("dis-3", "chg-1", amount="3.00", time="2026-03-01T08:00:00Z"),
            self.subscription_suspended(),
            self.subscription_reinstated(),
            self.cancellation_requested(reason=words),
            self.cancellation_withdrawn(),
            self.refund_failed("refund/billing-error/dis-1/1"),
            self.refund_succeeded("refund/billing-error/dis-1/1"),
            self.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01"),
            self.subscription_terminated(),
            self.subscription_registered("sub-2", agreement="unheard-of"),
            self.instruction_carried_out("0" * 32),
            self.instruction_refused("0" * 32),
            self.customer_changed(name="Zoë Quuux", email="quuux@example.net", locale="de"),
            mistaken := self.outage_reported("out-2", began_at="2026-03-20T00:00:00Z"),
            self.fact_retracted(mistaken, reason=words),
        ]


def read(message: Message | bytes, *, line: int = 1, file: str = "story") -> Statement | Refusal:
    """A message as the ledger takes it, read by the code that reads upstream, or by that which reads the door's."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    if isinstance(message, dict) and message["type"] in DOOR_MESSAGES:
        origin, known = f"http:{file}:{line}", known_at_the_door()
        return read_act(body, actor=message["source"], channel="http", origin=origin, known=known)
    return read_structured(body, origin=f"file:{file}:{line}", channel="file", line=line)


def read_all(messages: Iterable[Message | bytes], *, file: str = "story") -> list[Statement | Refusal]:
    """Messages as they stand in a file, line by line."""
    return [read(message, line=line, file=file) for line, message in enumerate(messages, 1)]
