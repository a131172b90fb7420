"""Terminal views of more than one table: an account, its replay, a kept message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from makegood.answers.ages import age
from makegood.commands.terminal.printing import people, print_rows, shown


def show_kept(message: Mapping[str, Any]) -> None:
    """Print a kept message: its reason, origin, status and body."""
    console = people()
    for name, value in message.items():
        if name not in ("position", "channel", "body"):
            console.print(Text.assemble((f"{name.replace('_', ' '):<15}", "bold"), shown(value)), soft_wrap=True)
    console.print(Text(message["body"] if message["body"] is not None else "(the body was erased)"), soft_wrap=True)


_SECTIONS: Sequence[tuple[str, str, dict[str, str], tuple[str, ...]]] = (
    (
        "balances",
        "Balances",
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
        (
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
    ),
    (
        "subscriptions",
        "Subscriptions",
        {
            "subscription_id": "subscription",
            "plan": "plan",
            "agreement": "agreement",
            "agreement_version": "version",
            "status": "status",
            "effective_on": "ends on",
        },
        (),
    ),
    (
        "charges",
        "Charges",
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
        ("price", "tax"),
    ),
    (
        "payments",
        "Payments",
        {
            "payment_id": "payment",
            "invoice_id": "invoice",
            "amount": "amount",
            "currency": "",
            "method": "method",
            "status": "status",
        },
        ("amount",),
    ),
    (
        "invoices",
        "Invoices",
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
        ("charged", "paid_in_money", "paid_from_balance", "reduced", "asks_for", "excess"),
    ),
    (
        "claims",
        "Claims",
        {
            "claim_id": "claim",
            "outcome": "outcome",
            "amount": "net",
            "tax": "tax",
            "currency": "",
            "reason": "reason",
            "settlement": "settlement",
        },
        ("amount", "tax"),
    ),
    (
        "refunds",
        "Refunds",
        {"refund_id": "refund", "status": "status", "net": "net", "tax": "tax", "total": "total", "currency": ""},
        ("net", "tax", "total"),
    ),
    (
        "credits",
        "Credits",
        {
            "credit_id": "credit",
            "net": "net",
            "tax": "tax",
            "total": "total",
            "used": "used",
            "left": "left",
            "currency": "",
        },
        ("net", "tax", "total", "used", "left"),
    ),
    (
        "complaints",
        "Complaints",
        {
            "complaint_id": "complaint",
            "category": "category",
            "channel": "channel",
            "status": "status",
            "opened_at": "opened at",
            "resolved_at": "resolved at",
            "resolution_code": "resolution",
        },
        (),
    ),
    (
        "instructions",
        "Instructions without an answer",
        {"instruction_id": "instruction", "kind": "kind", "what": "action", "issued_at": "issued at"},
        (),
    ),
    (
        "goodwill",
        "Goodwill",
        {
            "credit_id": "credit",
            "complaint_id": "complaint",
            "status": "status",
            "amount": "amount",
            "currency": "",
            "proposed_by": "proposed by",
            "decided_by": "decided by",
        },
        ("amount",),
    ),
    (
        "alarms",
        "Alarms",
        {"alarm": "alarm", "claim_id": "claim", "charge_id": "charge", "category": "messages"},
        (),
    ),
)


def show_account(account: Mapping[str, Any]) -> None:
    """Print an account, section by section; empty sections are left out."""
    console = people()
    zone, currency = account.get("time_zone"), account.get("currency")
    console.print(Text(f"Account {account['account_id']}", "bold"), Text(f"{shown(currency)}, {shown(zone)}"))
    times = [f"{name.replace('_', ' ')} {shown(account[name])}" for name in ("as_of", "known_at") if account[name]]
    if times:
        console.print(Text(", ".join(times)))
    if account["nothing_yet"] is not None:
        console.print(Text(f"{account['nothing_yet']}."), soft_wrap=True)
        return
    account = {**account, "instructions": instructions_in_words(account["instructions"])}
    for name, title, columns, right in _SECTIONS:
        if account.get(name):
            print_rows(account[name], columns, title=title, empty="", right=right)
    account_id = account["account_id"]
    if account["as_of"] is not None:
        more = f"Assessed for this view only. Recorded decisions: makegood history {account_id}, replay {account_id}"
    else:
        more = f"Explanation: makegood explain CLAIM --account {account_id}. History: makegood history, replay"
    console.print(Text(more), soft_wrap=True)


def instructions_in_words(instructions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Instructions as rows of a table, with the action in words and their age."""
    return [
        {
            **instruction,
            "what": _TO_BE_DONE[instruction["kind"]].format(**instruction["data"]),
            "age": age(instruction["age_seconds"]) if instruction.get("age_seconds") is not None else None,
        }
        for instruction in instructions
    ]


_TO_BE_DONE = {
    "cancellation.scheduled": "end {subscription_id} on {effective_on}",
    "cancellation.withdrawn": "continue {subscription_id}",
    "credit.applied": "pay {charge_id} on {invoice_id} with {amount} {currency} from {credit_id}",
    "invoice.reduced": "reduce {invoice_id} by {total} {currency} for {claim_id}, a change of {change_total}",
}


def show_replay(account_id: str, steps: Sequence[Mapping[str, Any]]) -> None:
    """Print what each event changed, one after the other."""
    console = people()
    console.print(Text(f"Replay of {account_id}", "bold"))
    for step in steps:
        console.print(
            Text(f"{step['version']:>4}  {step['position']:<9} {shown(step['recorded_at'])}  {step['type']}", "bold"),
            soft_wrap=True,
        )
        for change in step["changed"]:
            console.print(Text(f"        {_change_in_words(change)}"), soft_wrap=True)


def _change_in_words(change: Mapping[str, Any]) -> str:
    row = change.get("row")
    if row is None:
        return f"{change['table']}: {shown(change.get('key'))} removed"
    fields = ", ".join(
        f"{name} {shown(value)}" for name, value in row.items() if name != "account" and value is not None
    )
    return f"{change['table']}: {fields}"
