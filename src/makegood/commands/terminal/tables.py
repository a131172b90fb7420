"""The tables on a terminal: which fields of an answer's rows they show, and under which headings.

A column that is no field of the rows' type is an error when the program starts, unless it is made for the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import get_type_hints

from makegood.answers.agreements import Agreement
from makegood.answers.kept_messages import DeadLetter, SetAside
from makegood.answers.lost_ranges import LostRange
from makegood.answers.notices import Notice
from makegood.answers.waiting import Waiting
from projections.access import ApiKey, Granted
from projections.account_state import Balance
from projections.accounts import Charge, Invoice, Payment, Subscription
from projections.alarms import Alarm
from projections.audit_trail import Entry
from projections.claims import Claim
from projections.complaints import Complaint
from projections.credits import Credit
from projections.disputes import Dispute
from projections.instructions import AgedInstruction
from projections.linked_goodwill import GoodwillLinked
from projections.refunds import Refund


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table: fields of a type of rows, each with its heading. Raises TypeError for any other name.

    Those in `right` are amounts, and stand under one another. `made` are columns that the rows are given for people.
    """

    of: type
    headings: Mapping[str, str]
    right: tuple[str, ...] = ()
    made: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fields = get_type_hints(self.of)
        unknown = [name for name in (*self.headings, *self.right) if name not in fields and name not in self.made]
        if unknown:
            raise TypeError(f"a {self.of.__name__} has no {', '.join(unknown)} that a table could show")

    def without(self, *names: str) -> Columns:
        """The same but for some columns. Raises TypeError for a column that is not there."""
        absent = [name for name in names if name not in self.headings]
        if absent:
            raise TypeError(f"there are no columns {', '.join(absent)} to leave out")
        left = {name: heading for name, heading in self.headings.items() if name not in names}
        return Columns(self.of, left, tuple(name for name in self.right if name in left), self.made)


CLAIMS = Columns(
    Claim,
    {
        "account_id": "account",
        "claim_id": "claim",
        "outcome": "outcome",
        "amount": "net",
        "tax": "tax",
        "currency": "",
        "reason": "reason",
        "settlement": "settlement",
    },
    right=("amount", "tax"),
)
REFUNDS = Columns(
    Refund,
    {
        "account_id": "account",
        "refund_id": "refund",
        "status": "status",
        "net": "net",
        "tax": "tax",
        "total": "total",
        "currency": "",
        "due_at": "due since",
        "settled_at": "settled at",
    },
    right=("net", "tax", "total"),
)
CREDITS = Columns(
    Credit,
    {
        "account_id": "account",
        "credit_id": "credit",
        "net": "net",
        "tax": "tax",
        "total": "total",
        "used": "used",
        "left": "left",
        "currency": "",
        "granted_at": "granted at",
    },
    right=("net", "tax", "total", "used", "left"),
)
DISPUTES = Columns(
    Dispute,
    {
        "account_id": "account",
        "dispute_id": "dispute",
        "charge_id": "charge",
        "status": "status",
        "outcome": "claim",
        "reason": "reason",
        "investigate_by": "deadline",
        "overdue": "overdue",
        "complaint_ids": "complaints",
    },
)
COMPLAINTS = Columns(
    Complaint,
    {
        "account_id": "account",
        "complaint_id": "complaint",
        "category": "about",
        "channel": "through",
        "status": "status",
        "age": "open for",
        "opened_at": "opened at",
        "resolved_at": "resolved at",
        "resolution_code": "with",
        "links": "links",
    },
    made=("age",),
)
INSTRUCTIONS = Columns(
    AgedInstruction,
    {
        "account_id": "account",
        "instruction_id": "instruction",
        "kind": "kind",
        "what": "action",
        "status": "status",
        "age": "open for",
        "issued_at": "issued at",
        "answered_at": "answered at",
    },
    made=("what", "age"),
)
GOODWILL = Columns(
    GoodwillLinked,
    {
        "account_id": "account",
        "credit_id": "credit",
        "complaint_id": "complaint",
        "status": "status",
        "outcome": "claim",
        "amount": "amount",
        "currency": "",
        "proposed_by": "proposed by",
        "decided_by": "decided by",
        "proposed_at": "proposed at",
    },
    right=("amount",),
)
ALARMS = Columns(
    Alarm,
    {
        "account_id": "account",
        "alarm": "alarm",
        "claim_id": "claim",
        "charge_id": "charge",
        "about": "messages",
        "since": "since",
    },
)
WAITING = Columns(
    Waiting,
    {
        "account_id": "account",
        "type": "fact",
        "source": "source",
        "id": "message",
        "waits_for": "waits for",
        "age": "for",
    },
    made=("age",),
)
HISTORY = Columns(
    Entry,
    {
        "position": "position",
        "kind": "kind",
        "type": "what",
        "occurred_at": "occurred at",
        "recorded_at": "recorded at",
        "actor": "by",
        "channel": "through",
        "claim_id": "claim",
    },
)
BALANCES = Columns(
    Balance,
    {
        "currency": "",
        "charged": "charged",
        "captured": "captured",
        "reduced": "reduced",
        "owed": "owed",
        "captured_in_excess": "paid in excess",
        "refund_due": "refund due",
        "refunded": "refunded",
        "credit_used": "credit used",
        "credit_left": "credit left",
        "overpaid": "overpaid",
    },
    right=(
        "charged",
        "captured",
        "reduced",
        "owed",
        "captured_in_excess",
        "refund_due",
        "refunded",
        "credit_used",
        "credit_left",
        "overpaid",
    ),
)
SUBSCRIPTIONS = Columns(
    Subscription,
    {
        "subscription_id": "subscription",
        "plan": "plan",
        "agreement": "agreement",
        "agreement_version": "version",
        "status": "status",
        "effective_on": "ends on",
    },
)
CHARGES = Columns(
    Charge,
    {
        "charge_id": "charge",
        "starts_on": "from",
        "ends_on": "to",
        "price": "net",
        "tax": "tax",
        "currency": "",
        "invoice_id": "invoice",
        "prepaid": "prepaid",
    },
    right=("price", "tax"),
)
PAYMENTS = Columns(
    Payment,
    {
        "payment_id": "payment",
        "invoice_id": "invoice",
        "amount": "amount",
        "currency": "",
        "method": "method",
        "status": "status",
    },
    right=("amount",),
)
INVOICES = Columns(
    Invoice,
    {
        "invoice_id": "invoice",
        "charged": "charged",
        "paid_in_money": "paid",
        "paid_from_balance": "from balance",
        "reduced": "reduced",
        "asks_for": "due",
        "excess": "excess",
        "currency": "",
    },
    right=("charged", "paid_in_money", "paid_from_balance", "reduced", "asks_for", "excess"),
)
DEAD_LETTERS = Columns(
    DeadLetter,
    {
        "position": "no.",
        "dead_letter_id": "dead letter",
        "origin": "origin",
        "id": "message",
        "field": "field",
        "reason": "reason",
        "status": "status",
    },
)
LOST_RANGES = Columns(
    LostRange,
    {
        "position": "no.",
        "lost_id": "lost range",
        "topic": "topic",
        "partition": "partition",
        "first": "first offset",
        "last": "last offset",
        "cause": "why",
        "since": "since",
        "status": "status",
    },
)
SET_ASIDE = Columns(
    SetAside,
    {
        "position": "no.",
        "set_aside_id": "set aside",
        "account_id": "account",
        "id": "message",
        "origin": "origin",
        "reason": "error",
        "set_aside_at": "since",
        "status": "status",
    },
)
NOTICES = Columns(
    Notice,
    {
        "notice_id": "notice",
        "account_id": "account",
        "kind": "kind",
        "status": "status",
        "attempts": "attempts",
        "queued_at": "queued at",
        "last_error": "last error",
        "next": "next",
    },
    right=("attempts",),
)
AGREEMENTS = Columns(
    Agreement, {"name": "agreement", "version": "version", "valid_from": "valid from", "sha256": "SHA-256"}
)
ROLES = Columns(
    Granted,
    {
        "principal": "principal",
        "role": "role",
        "account_id": "account",
        "granted_at": "granted at",
        "granted_by": "by",
    },
)
API_KEYS = Columns(ApiKey, {"key_id": "key", "principal": "principal", "issued_at": "issued at", "issued_by": "by"})
