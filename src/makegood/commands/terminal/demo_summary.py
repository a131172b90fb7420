"""The demo's summary on a terminal: messages, claims, money, and commands to try next."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from makegood.access.sight import EVERYTHING
from makegood.answers import owed
from makegood.answers.audit.verification import Verification
from makegood.answers.demo_summary import Summary
from makegood.answers.explanation import explain
from makegood.answers.periods import PeriodInFull
from makegood.commands.terminal.explanation import show_explanation
from makegood.commands.terminal.layout import Columns
from makegood.commands.terminal.printing import people, print_rows, say
from makegood.commands.terminal.visible_text import Text
from makegood.house.opening import House

BAD_SHOWN_MAX = 5


def show_summary(house: House, summary: Summary, seconds: float) -> None:
    """Print the demo's summary, and one claim explained in full."""
    console = people()

    def heading(text: str) -> None:
        console.print(Text(f"\n{text}", "bold"))

    facts, refused = sum(summary.facts.values()), sum(summary.refused.values())
    console.print(
        Text(
            f"\nA small provider's first half of 2026: {summary.accounts} accounts, {summary.published} messages, "
            f"{seconds:.1f} s",
            "bold",
        )
    )
    console.print(
        Text(
            f"  {facts} facts recorded, {summary.published - facts - refused} duplicates ignored, "
            f"{refused} messages refused; {summary.decisions} decisions recorded, after {summary.acts} acts of people"
        )
    )
    heading("Refused messages, kept as dead letters")
    print_rows(
        [
            {"count": count, "field": where, "reason": reason}
            for (reason, where), count in sorted(summary.refused.items(), key=lambda item: (-item[1], item[0]))
        ],
        Columns.made_of({"count": "", "field": "field", "reason": "reason"}, right=("count",), prose=("reason",)),
        title="",
        empty="  nothing was refused",
    )
    heading("Claims")
    print_rows(
        [
            {"clause": clause, "outcome": outcome, "reason": reason or None, "count": count}
            for (clause, outcome, reason), count in sorted(summary.claims.items())
        ],
        Columns.made_of(
            {"clause": "clause", "outcome": "outcome", "reason": "reason", "count": "claims"}, right=("count",)
        ),
        title="",
        empty="  no claims",
    )
    heading("Money, by currency")
    columns = (
        "net",
        "tax",
        "off invoices",
        "credits used",
        "credits left",
        "refunds due",
        "refunds failed",
        "refunds succeeded",
        "overpaid",
        "paid in excess",
    )
    print_rows(
        [
            {"currency": currency, **{name: str(sums.get(name, "–")) for name in columns}}
            for currency, sums in sorted(summary.money.items())
        ],
        Columns.made_of(
            {
                "currency": "",
                "net": "granted net",
                "tax": "granted tax",
                "off invoices": "off open invoices",
                "credits used": "credits used",
                "credits left": "credits left",
                "refunds due": "refunds due",
                "refunds failed": "failed, owed again",
                "refunds succeeded": "refunded",
                "overpaid": "less overpaid",
                "paid in excess": "also: paid in excess",
            },
            right=columns,
        ),
        title="",
        empty="  no money moved",
    )
    console.print(
        "  Granted amounts first reduce open invoices; the rest becomes credits, which pay for the next charges, or "
        "refunds. Less overpaid amounts, these columns add up to the amounts granted. Excess payments that are not "
        "used yet are credits too, in addition: in the sample, customers pay invoices in full although credits "
        "covered part of some. All refunds but the largest were approved, requested from the sample's payment "
        "processor and answered; a few failed and are owed again.",
        soft_wrap=True,
    )
    heading("Open work for people and other systems")
    for line in summary.left:
        console.print(Text(f"  {line}"))
    if summary.to_explain is not None:
        heading("One claim, explained in full")
        account, claim_id = summary.to_explain
        show_explanation(explain(house, EVERYTHING, claim_id, account))


def show_month_end(house: House, closed: PeriodInFull, export: Path) -> None:
    """Print what is left to approve, the month that was closed, and where the export lies."""
    console, command = people(), _command()
    store = f"--store {house.settings.store}"

    def heading(text: str) -> None:
        console.print(Text(f"\n{text}", "bold"))

    heading("Waiting for a person's approval")
    for refund in owed.refunds(house, EVERYTHING, status="due"):
        id_, account = refund["refund_id"], refund["account_id"]
        console.print(Text(f"  {id_} of {account}: {refund['total']} {refund['currency']}"))
        approve = f"refund approve {id_} --account {account} --as YOU --seen {refund['proposal']}"
        console.print(Text(f"  {command} {approve} {store}"), soft_wrap=True)
    heading(f"The month {closed['period']} is closed, up to position {closed['position']}")
    console.print(Text(f"  {command} period show {closed['period']} {store}"), soft_wrap=True)
    heading("All refunds as a spreadsheet")
    console.print(Text(f"  {export}"))


def show_changed_copy(
    honest: Verification, found: Verification, changed: tuple[str, str, str, str], store: str
) -> None:
    """Print that the store is as it was signed, and what verifying finds in a copy in which an amount was changed."""
    console = people()
    claim_id, account, before, after = changed
    console.print(Text("\nVerified: all that is stored is as it was signed", "bold"))
    console.print(
        Text(
            f"  {honest['events']} events hashed anew, and a signed checkpoint covers them up to "
            f"{honest['covered_to']}. In a copy of the store the amount of {claim_id} of {account} was then changed "
            f"from {before} to {after}, and the account's later events were chained to it again. Verifying the copy "
            "finds:"
        ),
        soft_wrap=True,
    )
    for bad in found["bad"][:BAD_SHOWN_MAX]:
        place = " of ".join(part for part in (bad["position"], bad["account_id"]) if part is not None)
        console.print(Text(f"  {place}: {bad['what']}" if place else f"  {bad['what']}"), soft_wrap=True)
    console.print(Text(f"  {_command()} audit verify --store {store}"), soft_wrap=True)


def _command() -> Path:
    """The command as it was called, by its relative path where it has one."""
    command = Path(sys.argv[0])
    lies_here = command.is_absolute() and command.is_relative_to(Path.cwd())
    return command.relative_to(Path.cwd()) if lies_here else command


def show_live(house: House, bootstrap: str, address: str, links: Sequence[str]) -> None:
    """Print the commands to try while the demo runs, and last the links that sign in to its pages."""
    command, store = _command(), f"--store {house.settings.store}"
    say("\nrunning until interrupted; in another terminal:")
    for line in (
        f"{command} publish FILE --kafka {bootstrap}",
        f"{command} access grant me auditor {store}",
        f"KEY=$({command} access key issue me {store})",
        f'curl -H "Authorization: Bearer $KEY" {address}/claims',
    ):
        say(f"  {line}")
    say(f"\nits pages are at {address}; each of these links signs in once, as:")
    for line in links:
        say(f"  {line}")


def show_next(house: House, summary: Summary) -> None:
    """Print commands to try next, each on a line of its own."""
    console, shown = people(), _command()
    account, claim_id = summary.declined or summary.to_explain or ("ACCOUNT", "CLAIM")
    console.print(Text("\nTry next", "bold"))
    for rest in (f"explain {claim_id} --account {account}", f"account {account}", "complaints --open"):
        console.print(Text(f"  {shown} {rest} --store {house.settings.store}"), soft_wrap=True)
