"""The terminal view of the status: the verdict first, then the details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ledger.values import instant_to_text
from makegood.answers.ages import age
from makegood.answers.status import BROKEN, KINDS, LATE, WELL, WORDS, Status, number_of, seconds_since
from makegood.commands.terminal.printing import people, shown
from makegood.commands.terminal.visible_text import Text

if TYPE_CHECKING:
    from makegood.answers.audit.signing import Signing
    from makegood.answers.doctor import Examined


def show_status(status: Status) -> None:
    """Print the status: the verdict first, then the details."""
    console = people()
    style = {WELL: "bold green", BROKEN: "bold red", LATE: "bold yellow"}[status.code()]
    for said in (*status.problems, *status.late()) or ("nothing is broken, and nothing is late",):
        console.print(Text.of((f"{WORDS[status.code()]}: ", style), said), soft_wrap=True)
    if not status.store_reachable:
        return
    console.print(Text(f"store   {_store_in_words(status)}"), soft_wrap=True)
    console.print(Text(f"broker  {_broker_in_words(status)}"), soft_wrap=True)
    for signing in status.signing:
        console.print(Text(f"signed  {_signing_in_words(status, signing)}"), soft_wrap=True)
    if status.due is not None:
        console.print(_parts(status))
    if status.left:
        console.print(_left(status))
    if status.next_command() is not None:
        console.print(Text(f"no events yet; next: {status.next_command()}"), soft_wrap=True)


def show_shards(shards: Mapping[int, Status]) -> None:
    """Print how each shard of a store stands, in a line or two; the details are told of one."""
    console = people()
    styles = {WELL: "bold green", BROKEN: "bold red", LATE: "bold yellow"}
    for shard, status in shards.items():
        said = "; ".join((*status.problems, *status.late())) or _store_in_words(status)
        verdict = (f"{WORDS[status.code()]}: ", styles[status.code()])
        console.print(Text.of(f"shard {shard:<4}", verdict, said), soft_wrap=True)
    console.print(Text("the details of one: MAKEGOOD_SHARD=0 makegood status"), soft_wrap=True)


def show_examined(found: Examined) -> None:
    """Print the checks of the doctor: a row each, with what to do next below those that are broken."""
    console = people()
    styles = {"well": "green", "broken": "bold red", "unchecked": "dim"}
    for check in found["checks"]:
        verdict = (f"{check['verdict']:<10}", styles[check["verdict"]])
        console.print(Text.of(f"{check['check']:<9}", verdict, check["found"]), soft_wrap=True)
        if check["next"] is not None:
            console.print(Text(f"{'':<19}next: {check['next']}"), soft_wrap=True)


def _store_in_words(status: Status) -> str:
    count = sum(status.events.values())
    if not status.sandbox:
        kind = ""
    elif status.clock is None:
        kind = "; a sandbox, clock not set"
    else:
        kind = f"; a sandbox, clock set to {shown(instant_to_text(status.clock))}"
    return f"{status.store}: {count} events{kind}"


def _broker_in_words(status: Status) -> str:
    if not status.broker:
        return "not configured: messages come from files and HTTP, and projections follow the store"
    return f"{status.broker}: {'answers' if status.broker_reachable else 'does not answer'}"


def _signing_in_words(status: Status, signing: Signing) -> str:
    hint = "" if signing.keys else "; there is no key that signs: make one with `makegood audit key new`"
    if signing.last is None:
        return f"no checkpoint of {signing.origin} yet{hint}"
    seconds = seconds_since(status.system_now, signing.last.signed_at) or 0
    witnesses = f", cosigned by {', '.join(signing.cosigned_by)}" if signing.cosigned_by else ""
    if signing.trusted is False:
        witnesses += ", without the signatures that the trust policy asks for"
    return (
        f"{signing.last.size} events by the checkpoint of {signing.origin}, {age(seconds)} old{witnesses}; "
        f"{signing.uncovered} since{hint}"
    )


def _parts(status: Status) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("part", "works on", ""):
        table.add_column(heading)
    for heading in ("position", "behind", "oldest"):
        table.add_column(heading, justify="right")
    for lag in status.lags:
        seconds = status.age_of(lag)
        waits = _waits(seconds, lag.behind)
        table.add_row(
            lag.part, lag.of, number_of(lag), str(lag.position), str(lag.behind), waits, style=_style(status, seconds)
        )
    if status.due is not None:
        accounts, overdue = status.due.count, status.overdue()
        waits = _waits(overdue, accounts)
        table.add_row("timers", "accounts due", "", "", str(accounts), waits, style=_style(status, overdue))
    if status.unsent is not None:
        waits = _waits(status.unsent_for(), status.unsent.count)
        style = _style(status, status.unsent_for())
        table.add_row("notices", "e-mails", "", "", str(status.unsent.count), waits, style=style)
    if status.unasked is not None:
        waits = _waits(status.unasked_for(), status.unasked.count)
        style = _style(status, status.unasked_for())
        table.add_row("stripe", "returns", "", "", str(status.unasked.count), waits, style=style)
    return table


def _left(status: Status) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("open work")
    table.add_column("open", justify="right")
    table.add_column("oldest", justify="right")
    table.add_column("see")
    for kind in KINDS:
        left = status.left[kind.name]
        table.add_row(
            kind.name, str(left.count), _waits(seconds_since(status.now, left.since), left.count), kind.command
        )
    return table


def _waits(seconds: int | None, count: int) -> str:
    if not count:
        return "–"
    return age(seconds) if seconds is not None else "unknown"


def _style(status: Status, seconds: int | None) -> str:
    return "yellow" if (seconds or 0) > status.max_age else ""
