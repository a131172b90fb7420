"""A case on paper: what upstream said in, claims out, by the ledger's own reading and assessing, without a store.

The facts are written as upstream's messages say them; what a row leaves out has a value that makes the message valid.
The usual case is subscription `sub` in the zone UTC, charged 30.00 EUR for the 30 days of April 2026: a day is 1.00.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from consumers.upstream.door_messages import DOOR_MESSAGES, known_at_the_door
from consumers.upstream.statements import read_act
from ledger.aggregates import BillingAccount, Cause
from ledger.aggregates.settlements import Credit
from ledger.agreement import PublishedAgreement, bindable, read_agreement
from ledger.application.statement import Refusal, Statement
from ledger.events import AgreementBound, InvoiceStanding
from ledger.events.event_ids import message_event_id
from ledger.policy.assess import Assessment, assess, contradictions
from ledger.policy.assessed import Working
from ledger.policy.facts import EVERYTHING, AccountFacts, Touched
from ledger.values import local_date
from tests.oracle import policy as oracle

Message = dict[str, Any]
Terms = Mapping[str, object]
"""Keys of an agreement that are not the defaults: {"cancellation.notice_days": 7}."""

LONG_AFTER = "2035-01-01T00:00:00Z"
STARTED_SAYING = datetime(2026, 1, 1, tzinfo=UTC)


# --- what upstream says -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """One message; its time and id are those of its place in the case unless it says otherwise."""

    kind: str
    data: Mapping[str, object]
    time: str | None = None
    id: str | None = None
    source: str = "/provisioning/test"

    def at(self, time: str | None = None, *, id: str | None = None, source: str | None = None) -> Said:
        """The same message with a time, an id or a source of its own."""
        return Said(self.kind, self.data, time or self.time, id or self.id, source or self.source)

    @property
    def type(self) -> str:
        """The CloudEvents type: one of upstream's, or of the door's own."""
        own = f"makegood.{self.kind}.v1"
        return own if own in DOOR_MESSAGES else f"voip.{self.kind}.v1"

    def message(self, account: str, place: int) -> Message:
        time = STARTED_SAYING + timedelta(seconds=place)
        return {
            "specversion": "1.0",
            "id": self.id or f"m-{place:04}",
            "source": self.source,
            "type": self.type,
            "subject": account,
            "time": self.time or time.isoformat().replace("+00:00", "Z"),
            "data": {name: value for name, value in self.data.items() if value is not None},
        }


def instant(text: str) -> str:
    """An instant as rows write it: "2026-04-10", "2026-04-10T12", with an offset where it is not UTC."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).isoformat()


def account(zone: str = "UTC", currency: str = "EUR") -> Said:
    customer = {"name": "Zoë", "email": "zoe@example.com"}
    return Said("account.registered", {"time_zone": zone, "currency": currency, "customer": customer})


def subscription(subscription_id: str = "sub", *, agreement: str = "ours") -> Said:
    data = {"subscription_id": subscription_id, "agreement": agreement, "plan": "business-voip"}
    return Said("subscription.registered", data)


def cycle(
    cycle_id: str = "april",
    starts_on: str = "2026-04-01",
    ends_on: str = "2026-05-01",
    price: str = "30.00",
    *,
    subscription_id: str = "sub",
    currency: str = "EUR",
    prepaid: bool = True,
    **other: object,
) -> Said:
    data = {
        "subscription_id": subscription_id,
        "cycle_id": cycle_id,
        "starts_on": starts_on,
        "ends_on": ends_on,
        "price": price,
        "currency": currency,
        "invoice_id": f"invoice-{cycle_id}",
        "prepaid": prepaid,
    }
    return Said("cycle.started", data | other)


def charge(charge_id: str = "headset", price: str = "15.00", *, currency: str = "EUR", **other: object) -> Said:
    data = {"charge_id": charge_id, "price": price, "currency": currency, "invoice_id": f"invoice-{charge_id}"}
    return Said("charge.posted", data | {"description": "a headset"} | other)


def payment(amount: str, invoice_id: str = "invoice-april", *, currency: str = "EUR", **other: object) -> Said:
    data = {"payment_id": f"payment-{invoice_id}-{amount}", "invoice_id": invoice_id, "method": "card"}
    return Said("payment.captured", data | {"amount": amount, "currency": currency} | other)


def reported(outage_id: str, began_at: str, reported_at: str | None = None, **other: object) -> Said:
    data = {
        "outage_id": outage_id,
        "subscription_id": "sub",
        "began_at": instant(began_at),
        "reported_at": instant(reported_at or began_at),
        "severity": "significant",
        "cause": "provider",
    }
    return Said("outage.reported", data | other)


def resolved(outage_id: str, resolved_at: str, *, subscription_id: str = "sub") -> Said:
    data = {"outage_id": outage_id, "subscription_id": subscription_id, "resolved_at": instant(resolved_at)}
    return Said("outage.resolved", data)


def reopened(outage_id: str, *, subscription_id: str = "sub") -> Said:
    return Said("outage.reopened", {"outage_id": outage_id, "subscription_id": subscription_id})


def outage(
    began_at: str, resolved_at: str | None = None, outage_id: str | None = None, **other: object
) -> tuple[Said, ...]:
    """An outage, reported when it began unless told otherwise, and resolved if it says when."""
    name = outage_id or f"out-{began_at}"
    report = reported(name, began_at, **other)  # type: ignore[arg-type]
    subscription_id = str(other.get("subscription_id", "sub"))
    return (
        (report,) if resolved_at is None else (report, resolved(name, resolved_at, subscription_id=subscription_id))
    )


def dispute(dispute_id: str = "dispute", charge_id: str = "april", **other: object) -> Said:
    data = {"dispute_id": dispute_id, "charge_id": charge_id, "claimed": "1.00", "currency": "EUR"}
    return Said("billing_error.reported", data | {"reported_at": instant("2026-04-05")} | other)


def confirmed(
    amount: str, dispute_id: str = "dispute", charge_id: str = "april", *, currency: str = "EUR", **other: object
) -> Said:
    data = {"dispute_id": dispute_id, "charge_id": charge_id, "amount": amount, "currency": currency}
    return Said("overcharge.confirmed", data | other)


def rejected(dispute_id: str = "dispute", charge_id: str = "april") -> Said:
    return Said("overcharge.rejected", {"dispute_id": dispute_id, "charge_id": charge_id, "reason": "as agreed"})


def complaint(complaint_id: str = "noise", category: str = "noise") -> Said:
    data = {"complaint_id": complaint_id, "channel": "mail", "category": category}
    return Said("complaint.opened", data)


def proposed(amount: str, credit_id: str = "credit", *, currency: str = "EUR", **other: object) -> Said:
    data = {"credit_id": credit_id, "complaint_id": "noise", "amount": amount, "currency": currency}
    return Said("goodwill.proposed", data | {"proposed_by": "ann"} | other)


def approved(by: str = "bob", credit_id: str = "credit") -> Said:
    return Said("goodwill.approved", {"credit_id": credit_id, "decided_by": by})


def disapproved(by: str = "bob", credit_id: str = "credit") -> Said:
    return Said("goodwill.rejected", {"credit_id": credit_id, "decided_by": by, "reason": "it never happened"})


def cancelled(requested_at: str, *, subscription_id: str = "sub", **other: object) -> Said:
    data = {"subscription_id": subscription_id, "requested_at": instant(requested_at), "channel": "portal"}
    return Said("cancellation.requested", data | other)


def withdrawn(withdrawn_at: str) -> Said:
    return Said("cancellation.withdrawn", {"subscription_id": "sub", "withdrawn_at": instant(withdrawn_at)})


def suspended(suspended_at: str, reason: str = "non_payment") -> Said:
    data = {"subscription_id": "sub", "suspended_at": instant(suspended_at), "reason": reason}
    return Said("subscription.suspended", data)


def reinstated(reinstated_at: str) -> Said:
    return Said("subscription.reinstated", {"subscription_id": "sub", "reinstated_at": instant(reinstated_at)})


def terminated(terminated_at: str, reason: str = "misuse") -> Said:
    data = {"subscription_id": "sub", "terminated_at": instant(terminated_at), "reason": reason}
    return Said("subscription.terminated", data)


def payment_failed(payment_id: str, invoice_id: str = "invoice-april") -> Said:
    data = {"payment_id": payment_id, "invoice_id": invoice_id, "reason": "no cover"}
    return Said("payment.failed", data)


def refund_succeeded(
    refund_id: str, amount: str | None = None, *, currency: str = "EUR", reference: str = "psp-1"
) -> Said:
    """The processor's report, of an amount where it names one."""
    data = {"refund_id": refund_id, "processor_reference": reference, "succeeded_at": instant("2026-06-01")}
    named = {"amount": amount, "currency": currency} if amount is not None else {}
    return Said("refund.succeeded", data | named)


def refund_failed(refund_id: str) -> Said:
    return Said("refund.failed", {"refund_id": refund_id, "reason": "account closed"})


def takes_back(message_id: str, *, source: str = "/provisioning/test", **message: str) -> Said:
    """A retraction of a message of the same source."""
    return Said("fact.retracted", {"retracts": {"source": source, "id": message_id}}).at(source=source, **message)


# --- the case ---------------------------------------------------------------------------------------------------


def agreement(keys: Terms | None = None, *, name: str = "ours", version: int = 1) -> PublishedAgreement:
    """A published agreement, read as `makegood agreement publish` reads it."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in (keys or {}).items()]
    return read_agreement("\n".join([f'name = "{name}"', f"version = {version}", "valid_from = 2000-01-01", *lines]))


@dataclass
class Case:
    """One account as the ledger keeps it, in memory: facts learnt one by one, every difference recorded."""

    agreements: Sequence[PublishedAgreement] = field(default_factory=lambda: [agreement()])
    now: str = LONG_AFTER
    account: str = "acct"
    messages: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.facts = AccountFacts(self.account)
        self.billing = BillingAccount.empty(self.account, self.facts)
        self._charged: set[str] = set()
        self._known: set[str] = set()

    def hear(self, *said: Said | Iterable[Said]) -> Case:
        """Take what upstream said, message by message, as the ledger does."""
        for one in _flat(said):
            self.take(one.message(self.account, len(self.messages) + 1))
        return self

    def take(self, message: Message) -> Assessment:
        """Learn one message's fact and record the differences it makes; returns the narrowed assessment."""
        self.messages.append(message)
        touched = self.learn(message)
        found = assess(self.facts, self.at, touched)
        self._record(found, touched)
        return found

    def learn(self, message: Message) -> Touched:
        """Learn one message's fact and bind what can be bound now; a message known already says nothing new."""
        statement = read(message)
        event_id = message_event_id(statement.message.source, statement.message.id)
        if event_id in self._known:
            return Touched()
        self._known.add(event_id)
        data = statement.fact.model_fields["data"].annotation(  # type: ignore[misc]
            message=statement.message, **statement.data
        )
        fact = self.billing.record(statement.fact, data, self._cause(statement.occurred_at))
        return self._bind(self.facts.learn(fact))

    def _bind(self, touched: Touched) -> Touched:
        for registration in self.facts.unbound():
            zone = str(self.facts.time_zone)
            versions = [p for p in self.agreements if p.terms.name == registration.data.agreement]
            published = bindable(versions, local_date(registration.data.message.time, zone))
            if published is not None:
                data = AgreementBound.Data(
                    subscription_id=registration.data.subscription_id,
                    agreement=published.terms.name,
                    version=published.terms.version,
                    sha256=published.sha256,
                    registration=registration.event_id,
                    time_zone=zone,
                )
                binding = self.billing.record(AgreementBound, data, self._cause(self.at))
                touched = touched.joined(self.facts.bind(binding, published))
        return touched

    def _record(self, found: Assessment, touched: Touched) -> None:
        credits, cause = dict(self.billing.credits), self._cause(self.at)
        changed = self.billing.record_differences(found, contradictions(self.facts), cause)
        self.billing.settle(touched, changed, cause)
        self._apply(credits, cause)

    def _apply(self, credits: Mapping[str, Credit], cause: Cause) -> None:
        """Let the credits that there were before pay for the charges that became known."""
        new = self.facts.charges.standing.keys() - self._charged - self.billing.paid_by_credit
        self._charged = set(self.facts.charges.standing)
        charges = sorted((self.facts.charges.standing[id_] for id_ in new), key=lambda charge: charge.fact.order)
        self.billing.apply_credits(charges, credits, cause)

    def pass_time(self, now: str) -> Case:
        """Let time pass: all is assessed anew at another instant."""
        self.now = now
        self._record(assess(self.facts, self.at), EVERYTHING)
        return self

    def goes_on(self) -> None:
        """Take what its facts say as known already: it was rebuilt from them."""
        self._charged = set(self.facts.charges.standing)

    def _cause(self, occurred_at: datetime) -> Cause:
        return Cause("/test", "test", occurred_at, self.at, self.at)

    @property
    def at(self) -> datetime:
        """The case's `now`."""
        return datetime.fromisoformat(self.now)

    # --- what is found -------------------------------------------------------------------------------------------

    def claims(self) -> dict[str, str]:
        """Every claim row in a word, as a full assessment finds it."""
        rows = assess(self.facts, self.at).claims.values()
        return {row.claim_id: in_a_word(row.outcome, row.reason, row.amount, row.tax) for row in rows}

    def recorded(self) -> dict[str, str]:
        """Every claim row that stands in a word, as it was recorded difference by difference."""
        rows = ((claim_id, c.state) for claim_id, c in self.billing.claims.items())
        return {claim_id: in_a_word(row.outcome, row.reason, row.amount, row.tax) for claim_id, row in rows}

    def claims_by_the_oracle(self) -> dict[str, str]:
        """Every claim row in a word, by the second implementation."""
        rows = oracle.claims(self.messages, [tomllib.loads(p.text) for p in self.agreements], self.at)
        return {r["claim_id"]: in_a_word(r["outcome"], r["reason"], r["amount"], r["tax"]) for r in rows}

    def settled(self, claim_id: str) -> list[str]:
        """How a claim is settled: ["invoice_reduction invoice-april 10.00", "credit …/1 5.00 + 0.95"]."""
        parts = [
            part for (id_, _), of in self.billing.settlements.claims.items() if id_ == claim_id for part in of.parts
        ]
        return [
            f"{part.into} {part.id} {_money(part.net, part.tax)}"
            + ("" if part.status == "open" else f" {part.status}")
            for part in parts
        ]

    def invoice(self, invoice_id: str) -> str:
        """Where an invoice stands: "36.00 charged, 20.00 paid, 12.00 reduced, 4.00 asked for".

        Paid is what was paid in money, and "+ …" from balance; what is nothing is left out.
        """
        standings = [s for (id_, _), s in self.billing.settlements.invoices.items() if id_ == invoice_id]
        return "; ".join(map(_standing, standings)) or "not charged"

    def credits(self) -> dict[str, str]:
        """What is left of each credit, in the order in which they were granted."""
        return {id_: f"{credit.left}" for id_, credit in self.billing.credits.items() if credit.left}

    def working(self, claim_id: str) -> Working:
        """How a claim came about."""
        return assess(self.facts, self.at).claims[claim_id].working()

    def alarms(self) -> set[tuple[str, ...]]:
        """The alarms that stand, each with the message ids it names and the charge."""
        return {
            (a.alarm, *(name.split(" ")[1] for name in a.about), a.charge_id or "no charge")
            for a in self.billing.alarms
        }


def in_a_word(outcome: str | None, reason: str | None, amount: Decimal | str, tax: Decimal | str) -> str:
    """A row as tables write it: "granted 10.00", "granted 10.00 + 1.90" (tax), "declined: terms", "pending"."""
    if outcome == "granted":
        return f"granted {_money(amount, tax)}"
    assert not Decimal(amount), f"{outcome} with an amount of {amount}"
    assert not Decimal(tax), f"{outcome} with a tax of {tax}"
    return f"{outcome}: {reason}" if reason is not None else str(outcome)


def _money(net: Decimal | str, tax: Decimal | str) -> str:
    return f"{net} + {tax}" if Decimal(tax) else f"{net}"


def _standing(standing: InvoiceStanding) -> str:
    balance = f" + {standing.paid_from_balance}" if standing.paid_from_balance else ""
    known = [
        (standing.charged, f"{standing.charged} charged"),
        (standing.paid_in_money + standing.paid_from_balance, f"{standing.paid_in_money}{balance} paid"),
        (standing.reduced, f"{standing.reduced} reduced"),
        (standing.asks_for, f"{standing.asks_for} asked for"),
        (standing.excess_used, f"{standing.excess_used} of the excess used"),
        (standing.excess, f"{standing.excess} in excess"),
        (standing.excess_credit, f"a credit of {standing.excess_credit}"),
    ]
    return ", ".join(words for amount, words in known if amount) or "nothing"


def read(message: Message) -> Statement:
    """A message as the ledger takes it: a case may say nothing that upstream or people at the door could not."""
    statement = _read(json.dumps(message).encode())
    if isinstance(statement, Refusal):
        raise AssertionError(f"{statement.field}: {statement.reason}")  # noqa: TRY004
    return statement


@cache
def _read(body: bytes) -> Statement | Refusal:
    """Laws say the same messages in many orders, and each is read once in a test."""
    return read_act(body, actor="test", channel="test", origin="case", known=known_at_the_door())


def forget_what_was_read() -> None:
    """Read every message anew from here on: with what the program is now, which mutation testing changes."""
    _read.cache_clear()


def _flat(said: Iterable[Said | Iterable[Said]]) -> list[Said]:
    return [one for item in said for one in ([item] if isinstance(item, Said) else item)]


# --- rows of a table ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A sentence of the page with facts, and every claim that they come to."""

    sentence: str
    said: tuple[Said, ...]
    gives: Mapping[str, str]
    terms: Terms
    zone: str
    currency: str
    now: str

    def case(self) -> Case:
        """The facts of the row, heard in their order."""
        case = Case([agreement(self.terms)], self.now)
        return case.hear(account(self.zone, self.currency), subscription(), self.said)

    def holds(self) -> None:
        """The claims are the row's: assessed anew, recorded step by step, said backwards, and by the oracle."""
        case = self.case()
        assert case.claims() == self.gives
        assert case.recorded() == self.gives, "recorded fact by fact, with narrowed assessments"
        backwards = Case(case.agreements, self.now)
        for message in reversed(case.messages):
            backwards.take(message)
        assert backwards.recorded() == self.gives, "with the facts in the opposite order"
        assert case.claims_by_the_oracle() == self.gives, "by the second implementation"


def row(
    sentence: str,
    *said: Said | Iterable[Said],
    gives: Mapping[str, str],
    terms: Terms | None = None,
    zone: str = "UTC",
    currency: str = "EUR",
    now: str = LONG_AFTER,
) -> Row:
    """A row; the account and its subscription are registered already."""
    return Row(sentence, tuple(_flat(said)), gives, terms or {}, zone, currency, now)


def table(*rows: Row) -> pytest.MarkDecorator:
    """Run a test for each row, under the sentence that it stands for."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.sentence) for row in rows])
