"""Terminal views of more than one table: an account, its replay, a kept message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ledger.instructions import Kind
from makegood.answers.account import Account
from makegood.answers.ages import age
from makegood.answers.history import HistoryEntry
from makegood.answers.kept_messages import DeadLetterWithBody, SetAsideWithBody
from makegood.commands.terminal import tables
from makegood.commands.terminal.printing import people, print_rows, shown
from makegood.commands.terminal.visible_text import Text
from projections.instructions import AgedInstruction, Instruction
from projections.replay import ChangedRow, ReplayStep


def show_kept(message: DeadLetterWithBody | SetAsideWithBody) -> None:
    """Print a kept message: its reason, origin, status, all its errors and its body."""
    console = people()
    for name, value in message.items():
        if name not in ("position", "channel", "body", "unreadable", "errors"):
            console.print(Text.of((f"{name.replace('_', ' '):<15}", "bold"), shown(value)), soft_wrap=True)
    for error in cast("DeadLetterWithBody", message)["errors"] if "errors" in message else ():
        line = f"{error['field'] or 'whole message'}: {error['reason']}"
        console.print(Text.of((f"{'error':<15}", "bold"), line), soft_wrap=True)
    without = f"({message['unreadable'] or 'the vault has no body'})"
    console.print(Text(message["body"] if message["body"] is not None else without), soft_wrap=True)


_SECTIONS = (
    ("balances", "Balances", tables.BALANCES),
    ("subscriptions", "Subscriptions", tables.SUBSCRIPTIONS),
    ("charges", "Charges", tables.CHARGES),
    ("payments", "Payments", tables.PAYMENTS),
    ("invoices", "Invoices", tables.INVOICES),
    ("claims", "Claims", tables.CLAIMS.without("account_id")),
    ("refunds", "Refunds", tables.REFUNDS.without("account_id", "due_at", "settled_at")),
    ("credits", "Credits", tables.CREDITS.without("account_id", "granted_at")),
    ("complaints", "Complaints", tables.COMPLAINTS.without("account_id", "age", "links")),
    (
        "instructions",
        "Instructions without an answer",
        tables.INSTRUCTIONS.without("account_id", "status", "age", "answered_at"),
    ),
    ("goodwill", "Goodwill", tables.GOODWILL.without("account_id", "outcome", "proposed_at")),
    ("alarms", "Alarms", tables.ALARMS.without("account_id", "since")),
)
"""The parts of an account in the order in which they are shown, each with its title."""


def show_account(account: Account) -> None:
    """Print an account, section by section; empty sections are left out."""
    console = people()
    zone, currency = account.get("time_zone"), account.get("currency")
    console.print(Text(f"Account {account['account_id']}", "bold"), Text(f"{shown(currency)}, {shown(zone)}"))
    said = {"as of": account["as_of"], "known at": account["known_at"]}
    times = [f"{name} {shown(moment)}" for name, moment in said.items() if moment]
    if times:
        console.print(Text(", ".join(times)))
    if account["nothing_yet"] is not None:
        console.print(Text(f"{account['nothing_yet']}."), soft_wrap=True)
        return
    parts: Mapping[str, Any] = account
    for name, title, columns in _SECTIONS:
        rows = parts.get(name, ())
        if rows:
            told = [instruction_in_words(row) for row in rows] if name == "instructions" else rows
            print_rows(told, columns, title=title, empty="")
    account_id = account["account_id"]
    if account["as_of"] is not None:
        more = f"Assessed for this view only. Recorded decisions: makegood history {account_id}, replay {account_id}"
    else:
        more = f"Explanation: makegood explain CLAIM --account {account_id}. History: makegood history, replay"
    console.print(Text(more), soft_wrap=True)


def instruction_in_words(instruction: Instruction | AgedInstruction) -> Mapping[str, Any]:
    """An instruction as a table shows it: what is to be done in words, and how long it has been open."""
    seconds = cast(Mapping[str, Any], instruction).get("age_seconds")
    return {
        **instruction,
        "what": _TO_BE_DONE[instruction["kind"]].format(**instruction["data"]),
        "age": age(seconds) if seconds is not None else None,
    }


_TO_BE_DONE: Mapping[Kind, str] = {
    "cancellation.scheduled": "end {subscription_id} on {effective_on}",
    "cancellation.withdrawn": "continue {subscription_id}",
    "credit.applied": "pay {charge_id} on {invoice_id} with {amount} {currency} from {credit_id}",
    "invoice.reduced": "reduce {invoice_id} by {total} {currency} for {claim_id}, a change of {change_total}",
}


def entry_in_words(entry: HistoryEntry) -> Mapping[str, Any]:
    """An event of a history as a table shows it: with what was owed in all after it."""
    return {**entry, "owed": ", ".join(f"{owed['total']} {owed['currency']}" for owed in entry["owed"])}


def show_replay(account_id: str, steps: Sequence[ReplayStep]) -> None:
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


def _change_in_words(change: ChangedRow) -> str:
    row = change["row"]
    if row is None:
        return f"{change['table']}: {shown(change['key'])} removed"
    fields = ", ".join(
        f"{name} {shown(value)}" for name, value in row.items() if name != "account" and value is not None
    )
    return f"{change['table']}: {fields}"
