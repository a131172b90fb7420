"""`makegood demo`: a small provider's months, published, recorded, projected and summed up in one process."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.text import Text

from consumers.intake import stored_positions
from consumers.kafka.cluster import Cluster
from consumers.kafka.in_process import UNREAD_BYTES_MAX, InProcessBroker
from consumers.kafka.publish import publish
from consumers.kafka.topics import TOPICS, UPSTREAM
from consumers.part import Part, run_parts
from ledger.application import agreements, due_work
from ledger.events import STORED_TYPES, Fact
from ledger.store.reading import shard_end
from ledger.values import instant_from_text
from makegood import answering
from makegood.answers import people, print_rows, progress_bar, say
from makegood.api.serving import Serving
from makegood.explaining import explain, show_explanation
from makegood.house import House, open_house
from makegood.logs import configure_logs
from makegood.running import PARTS, parts_for
from makegood.settings import Settings
from makegood.stop import Stop
from projections import kept, queries

STORE = Path("makegood-demo.db")
WEEK = timedelta(days=7)
PATIENCE_SECONDS = 60.0


def show_demo(*, serve: bool) -> None:
    """Run the sample through every part, print the summary, and stay until interrupted if asked to."""
    configure_logs("error")
    for left_over in STORE.parent.glob(f"{STORE.stem}*.db*"):
        left_over.unlink()
    settings = Settings(store=f"sqlite:///{STORE}")
    if "http" not in settings.model_fields_set:
        settings = Settings(store=settings.store, http="127.0.0.1:0")
    started = time.monotonic()
    with open_house(settings, create=True, sandbox=True) as house, InProcessBroker() as broker:
        sample = _sample()
        for file in sorted((sample / "agreements").glob("*.toml")):
            agreements.publish(house.ledger, file.read_text(encoding="utf-8"), actor="/makegood/demo", channel="cli")
        cluster = broker.cluster()
        parts = parts_for(house, cluster, PARTS if serve else [name for name in PARTS if name != "api"])
        with _all_parts(parts, cluster) as wait_for:
            published = _publish_week_by_week(house, cluster, sample / "events.jsonl", wait_for)
            with house.database.reading() as transaction:
                end = shard_end(transaction, 0)
            wait_for("the projector", lambda: house.projections.position_reached(0) >= end)
            summary = _summary(house, published)
            _show_summary(house, summary, time.monotonic() - started)
            if serve:
                _show_live(broker.bootstrap, next(part.address for part in parts if isinstance(part, Serving)))
                with _until_interrupted():
                    threading.Event().wait()


def _sample() -> Path:
    """The sample: beside the package where it is installed, in `deploy/` where it is worked on."""
    package = Path(__file__).resolve().parent
    for folder in (package / "sample", package.parents[1] / "deploy" / "sample"):
        if (folder / "events.jsonl").is_file():
            return folder
    raise Stop("the bundled sample is missing; run the demo from a checkout, or install makegood anew")


Wait = Callable[[str, Callable[[], bool]], None]
"""Waits until something is reached, by name; raises Stop where a part failed or nothing moves."""


@contextmanager
def _all_parts(parts: Sequence[Part], cluster: Cluster) -> Iterator[Wait]:
    """All parts at work in threads of this process; they have drained when this ends."""
    cluster.create_topics(TOPICS)
    stop, ready = threading.Event(), threading.Event()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            run_parts(parts, stop, ready.set)
        except BaseException as error:
            failure.append(error)
            ready.set()

    def wait_for(what: str, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not failure and not reached():
            if time.monotonic() > deadline:
                raise Stop(f"{what} did not get there within {PATIENCE_SECONDS:.0f} s")
            time.sleep(0.01)
        if failure:
            raise Stop(str(failure[0]))

    thread = threading.Thread(target=work, name="parts")
    thread.start()
    try:
        wait_for("the parts", ready.is_set)
        yield wait_for
    finally:
        stop.set()
        thread.join()


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say("stopped")


# --- publishing ---------------------------------------------------------------------------------------------------


def _publish_week_by_week(house: House, cluster: Cluster, file: Path, wait_for: Wait) -> int:
    """Publish the sample as an upstream would, and let the sandbox's clock follow it a week at a time."""
    weeks = list(_weeks(file.read_bytes().splitlines()))
    identity = cluster.identity(UPSTREAM.name)

    def reader_at() -> dict[int, int]:
        return stored_positions(house.database, identity)

    published = 0
    total = sum(len(lines) for _, lines in weeks)
    with closing(cluster.sender("demo")) as sender, progress_bar("the provider's messages", total) as show:
        for until, lines in weeks:
            due_work.advance(house.ledger, until)
            published += publish(lines, sender, reader_at=reader_at, unread_bytes_max=UNREAD_BYTES_MAX)
            wait_for("intake", lambda: sum(reader_at().values()) >= published)  # noqa: B023
            show(published)
    return published


def _weeks(lines: list[bytes]) -> Iterator[tuple[datetime, list[bytes]]]:
    """The lines in the order in which they came, in portions that end with a week; and when each week ended."""
    portion: list[bytes] = []
    until: datetime | None = None
    for line in lines:
        said = _time_of(line)
        if until is None and said is not None:
            until = datetime(said.year, said.month, said.day, tzinfo=UTC) + WEEK
        if until is not None and said is not None and until <= said < until + 5 * WEEK:
            yield until, portion
            portion = []
            while until <= said:
                until += WEEK
        portion.append(line)
    if until is not None and portion:
        yield until, portion


def _time_of(line: bytes) -> datetime | None:
    try:
        return instant_from_text(json.loads(line)["time"])
    except (ValueError, KeyError, TypeError):
        return None


# --- the summary --------------------------------------------------------------------------------------------------


@dataclass
class _Summary:
    published: int
    facts: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    claims: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    money: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    accounts: int = 0
    to_explain: tuple[str, str] | None = None
    declined: tuple[str, str] | None = None
    left: list[str] = field(default_factory=list)


def _summary(house: House, published: int) -> _Summary:
    summary = _Summary(published)
    with house.database.reading() as transaction:
        for type_, count in transaction.rows("SELECT type, COUNT(*) FROM events GROUP BY type"):
            if issubclass(STORED_TYPES[type_], Fact):
                summary.facts[type_] = count
            else:
                summary.decisions += count
    for letter in kept.dead_letters(house.database):
        summary.refused[letter["reason"], letter["field"] or ""] += 1
    claims = queries.claims(house.database)
    summary.accounts = summary.facts["account-registered.v1"]
    for claim in claims:
        summary.claims[claim["clause"], claim["outcome"], claim["reason"] or ""] += 1
    _sum_money(house, claims, summary)
    summary.left = _left(house)
    granted = [c for c in claims if c["outcome"] == "granted" and c["settlement"] == "refund"]
    unused = [c for c in granted if c["clause"] == "unused_period"] or granted
    late = [c for c in claims if c["reason"] == "reported_late"]
    summary.to_explain = (unused[0]["account_id"], unused[0]["claim_id"]) if unused else None
    summary.declined = (late[0]["account_id"], late[0]["claim_id"]) if late else None
    return summary


def _left(house: House) -> list[str]:
    """What is to be told to customers, carried out elsewhere and seen to by people, and how to ask for it."""
    now = house.ledger.now()
    told = Counter(instruction["kind"] for instruction in queries.instructions(house.database, now, still_open=True))
    mails = Counter(notice["kind"] for notice in answering.notices(house))
    complaints = queries.complaints(house.database, now, still_open=True)
    return [
        f"{sum(mails.values())} e-mails to customers wait for a mail server ({_counted(mails)}): makegood notices",
        f"{sum(told.values())} instructions wait for an answer ({_counted(told)}): makegood instructions --open",
        f"{len(complaints)} complaints are open: makegood complaints --open",
    ]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(counts.items()))


def _sum_money(house: House, claims: list[dict[str, Any]], summary: _Summary) -> None:
    def add(currency: str, name: str, amount: str) -> None:
        sums = summary.money.setdefault(currency, {})
        sums[name] = sums.get(name, Decimal(0)) + Decimal(amount)

    for claim in claims:
        if claim["outcome"] == "granted":
            add(claim["currency"], "net", claim["amount"])
            add(claim["currency"], "tax", claim["tax"])
    for refund in queries.refunds(house.database):
        add(refund["currency"], f"refunds {refund['status']}", refund["total"])
    for credit in queries.credits(house.database):
        if credit["claim_id"] is None:  # for an invoice's excess: nothing of it was granted
            add(credit["currency"], "paid in excess", credit["left"])
        else:
            add(credit["currency"], "credits used", credit["used"])
            add(credit["currency"], "credits left", credit["left"])
    for reduction in queries.invoice_reductions(house.database):
        add(reduction["currency"], "off invoices", reduction["total"])
    for claim in queries.overpaid(house.database):
        add(claim["currency"], "overpaid", claim["overpaid"])


def _show_summary(house: House, summary: _Summary, seconds: float) -> None:
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
        f"  {facts} facts recorded, {summary.published - facts - refused} duplicates that changed nothing, "
        f"{refused} messages refused; {summary.decisions} decisions recorded with their reasons"
    )
    heading("Refused, kept whole, and the others went on")
    print_rows(
        [
            {"count": count, "field": where, "reason": reason}
            for (reason, where), count in sorted(summary.refused.items(), key=lambda item: (-item[1], item[0]))
        ],
        {"count": "", "field": "field", "reason": "why"},
        title="",
        empty="  nothing was refused",
        right=("count",),
    )
    heading("Claims")
    print_rows(
        [
            {"clause": clause, "outcome": outcome, "reason": reason or None, "count": count}
            for (clause, outcome, reason), count in sorted(summary.claims.items())
        ],
        {"clause": "clause", "outcome": "outcome", "reason": "reason", "count": "claims"},
        title="",
        empty="  no claims",
        right=("count",),
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
            "paid in excess": "besides: paid in excess",
        },
        title="",
        empty="  no money moved",
        right=columns,
    )
    console.print(
        "  What was granted first lowers invoices that are unpaid; the rest is credit, which pays for the next "
        "charges, or refund. Less what went out and is no longer owed, it all adds up to what was granted. What "
        "customers paid in excess, and have not used yet, is credit besides: in the sample they pay invoices in full "
        "though credits had paid for some. Refunds stay due: approving and paying them out is not built yet.",
        soft_wrap=True,
    )
    heading("For people, and for other systems")
    for line in summary.left:
        console.print(f"  {line}")
    if summary.to_explain is not None:
        heading("One claim, explained in full")
        account, claim_id = summary.to_explain
        show_explanation(explain(house, claim_id, account))
    _show_next(console, summary)


def _command() -> Path:
    """The command as it was called, from here if it lies here."""
    command = Path(sys.argv[0])
    lies_here = command.is_absolute() and command.is_relative_to(Path.cwd())
    return command.relative_to(Path.cwd()) if lies_here else command


def _show_live(bootstrap: str, address: str) -> None:
    """How to go on while all parts are at work."""
    command, store = _command(), f"--store sqlite:///{STORE}"
    say("\nlive until interrupted; in another terminal:")
    for line in (
        f"{command} publish FILE --kafka {bootstrap}",
        f"{command} access grant me auditor {store}",
        f"KEY=$({command} access key issue me {store})",
        f'curl -H "Authorization: Bearer $KEY" {address}/claims',
    ):
        say(f"  {line}")


def _show_next(console: Any, summary: _Summary) -> None:
    shown = _command()
    account, claim_id = summary.declined or summary.to_explain or ("ACCOUNT", "CLAIM")
    console.print(Text("\nTry next", "bold"))
    for rest in (f"explain {claim_id} --account {account}", f"account {account}", "complaints --open"):
        console.print(Text(f"  {shown} {rest} --store sqlite:///{STORE}"), soft_wrap=True)
