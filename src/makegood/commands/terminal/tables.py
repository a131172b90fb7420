"""The tables on a terminal: which fields of an answer's rows they show, and under which headings.

A test holds every column to a field of the rows' type, unless it is made for the table.
"""

from __future__ import annotations

from makegood.answers.agreements import Agreement
from makegood.answers.finance import AgedSums, MovedSums, OwedSums, RollforwardTotal
from makegood.answers.history import HistoryEntry
from makegood.answers.kept_messages import DeadLetter, SetAside
from makegood.answers.lost_ranges import LostRange
from makegood.answers.notices import Notice
from makegood.answers.search import Found
from makegood.answers.waiting import Waiting
from makegood.commands.terminal.layout import Columns
from projections.access import ApiKey, Granted
from projections.account_state import Balance
from projections.accounts import Charge, Invoice, Payment, Subscription
from projections.alarms import Alarm
from projections.changes import Change
from projections.claims import Claim
from projections.complaints import Complaint
from projections.credits import Credit
from projections.disputes import Dispute
from projections.instructions import AgedInstruction
from projections.linked_goodwill import GoodwillLinked
from projections.moved import Movement
from projections.outages import Outage
from projections.overpaid import Overpaid
from projections.owed import AmountOwed
from projections.periods import Period
from projections.reconciliation import Discrepancy
from projections.refunds import Refund

FOUND = Columns(
    Found,
    {"account_id": "account", "by": "found by", "id": "id", "name": "name", "email": "e-mail"},
    give_way=("id", "email"),
)
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
    totals=("amount", "tax"),
    give_way=("settlement", "reason", "account_id"),
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
        "approved_by": "approved by",
        "waits_for": "waits for",
    },
    totals=("net", "tax", "total"),
    give_way=("settled_at", "approved_by", "due_at", "tax", "net", "waits_for", "account_id"),
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
        "refunded": "refunded",
        "left": "left",
        "currency": "",
        "granted_at": "granted at",
        "dormant_since": "dormant since",
    },
    totals=("net", "tax", "total", "used", "refunded", "left"),
    give_way=("granted_at", "tax", "net", "refunded", "used", "dormant_since", "account_id"),
)
OVERPAID = Columns(
    Overpaid,
    {
        "account_id": "account",
        "claim_id": "claim",
        "overpaid": "overpaid",
        "currency": "",
        "since": "since",
        "out": "went out",
        "recovery": "recovery",
        "recovered": "recovered",
        "written_off": "written off",
    },
    made=("out", "recovery"),
    prose=("out",),
    totals=("overpaid",),
    give_way=("written_off", "recovered", "recovery", "out", "since", "account_id"),
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
    give_way=("complaint_ids", "charge_id", "reason", "outcome", "account_id"),
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
    give_way=("links", "resolved_at", "resolution_code", "opened_at", "channel", "account_id"),
)
OUTAGES = Columns(
    Outage,
    {
        "account_id": "account",
        "outage_id": "outage",
        "subscription_id": "subscription",
        "severity": "severity",
        "cause": "cause",
        "status": "status",
        "began_at": "began at",
        "duration": "duration",
        "claims": "claims",
    },
    made=("duration",),
    prose=("claims",),
    give_way=("severity", "cause", "subscription_id", "began_at", "duration", "account_id"),
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
    prose=("what",),
    give_way=("answered_at", "issued_at", "kind", "instruction_id", "age"),
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
    give_way=("proposed_at", "complaint_id", "proposed_by", "decided_by", "outcome", "account_id"),
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
    give_way=("about", "claim_id", "since", "charge_id"),
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
    prose=("waits_for",),
    give_way=("source", "type", "account_id"),
)
HISTORY = Columns(
    HistoryEntry,
    {
        "position": "position",
        "recorded_at": "recorded at",
        "occurred_at": "occurred at",
        "summary": "what happened",
        "because": "because",
        "actor": "by",
        "owed": "owed",
    },
    right=("owed",),
    prose=("summary", "because"),
    give_way=("because", "occurred_at", "actor"),
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
    give_way=("agreement_version", "agreement", "plan"),
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
    totals=("price", "tax"),
    give_way=("prepaid", "ends_on", "starts_on", "invoice_id"),
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
    give_way=("method", "invoice_id"),
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
    totals=("charged", "paid_in_money", "paid_from_balance", "reduced", "asks_for", "excess"),
    give_way=("excess", "paid_from_balance", "reduced"),
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
    prose=("reason",),
    give_way=("dead_letter_id", "origin", "field", "status"),
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
    give_way=("since", "cause", "lost_id"),
)
DISCREPANCIES = Columns(
    Discrepancy,
    {
        "discrepancy_id": "discrepancy",
        "kind": "what",
        "account_id": "account",
        "about": "return, refund or reference",
        "differs": "differs in",
        "stands_here": "here",
        "stands_there": "there",
        "found_at": "found at",
        "status": "status",
    },
    made=("about", "differs", "stands_here", "stands_there"),
    give_way=("found_at", "account_id", "about"),
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
    prose=("reason",),
    give_way=("set_aside_id", "origin", "set_aside_at", "status", "account_id"),
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
    prose=("last_error", "next"),
    give_way=("last_error", "queued_at", "attempts", "kind", "account_id", "next"),
)
PERIODS = Columns(
    Period,
    {
        "period": "month",
        "closed_at": "closed at",
        "closed_by": "by",
        "position": "position",
        "movements": "movements",
        "accounts": "accounts",
        "sha256": "SHA-256 of the manifest",
    },
    right=("movements", "accounts"),
    made=("movements",),
    give_way=("sha256", "position", "accounts", "closed_by"),
)
AGREEMENTS = Columns(
    Agreement,
    {"name": "agreement", "version": "version", "valid_from": "valid from", "sha256": "SHA-256"},
    give_way=("sha256",),
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
    give_way=("granted_by", "granted_at"),
)
API_KEYS = Columns(
    ApiKey,
    {"key_id": "key", "principal": "principal", "issued_at": "issued at", "issued_by": "by"},
    give_way=("issued_by", "issued_at"),
)
OWED_SUMS = Columns(
    OwedSums,
    {
        "refunds_due": "refunds due",
        "credits_left": "credits left",
        "excess": "excess",
        "overpaid": "overpaid",
        "total": "total",
        "currency": "",
        "count": "count",
    },
    right=("count",),
    totals=("refunds_due", "credits_left", "excess", "overpaid", "total"),
    give_way=("count",),
)
AMOUNTS_OWED = Columns(
    AmountOwed,
    {
        "account_id": "account",
        "counted_as": "counted as",
        "id": "id",
        "total": "total",
        "currency": "",
        "since": "since",
        "age_days": "days",
        "agreement": "agreement",
        "plan": "plan",
    },
    right=("age_days",),
    totals=("total",),
    give_way=("plan", "agreement", "since", "account_id"),
)
MOVEMENTS = Columns(
    Movement,
    {
        "recorded_at": "recorded at",
        "occurred_at": "true from",
        "account_id": "account",
        "kind": "kind",
        "claim_id": "claim",
        "item_id": "refund or credit",
        "net": "net",
        "tax": "tax",
        "total": "total",
        "currency": "",
    },
    give_way=("item_id", "occurred_at", "tax", "net", "account_id"),
)
MOVEMENT_SUMS = Columns(
    MovedSums,
    {"kind": "kind", "count": "count", "net": "net", "tax": "tax", "total": "total", "currency": ""},
    right=("count",),
    give_way=("tax", "net"),
)
ROLLFORWARD = Columns.made_of(
    {"of": "amounts owed", "line": "", "count": "count", "amount": "gross", "currency": ""}, right=("count", "amount")
)
ROLLFORWARD_TOTALS = Columns(RollforwardTotal, {"opening": "opening", "closing": "closing", "currency": ""})
AGES = Columns(
    AgedSums,
    {"age": "days", "count": "open", "overdue": "overdue"},
    right=("count", "overdue"),
    give_way=("overdue",),
)
CHANGES = Columns(
    Change,
    {"account_id": "account", "kind": "kind", "id": "id", "changed": "changed"},
    made=("changed",),
    prose=("changed",),
    give_way=("account_id",),
)
