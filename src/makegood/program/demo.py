"""`makegood demo`: a small provider's months, published, recorded, projected and summed up in one process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from consumers.kafka.cluster import Cluster
from consumers.kafka.in_process import UNREAD_BYTES_MAX, InProcessBroker
from consumers.kafka.publish import publish
from consumers.kafka.topics import REFUND_REQUESTS, TOPICS, UPSTREAM
from consumers.part import Part, run_parts
from consumers.taking import stored_positions
from consumers.upstream import MessageData
from ledger.application import agreements, due_work
from ledger.application.acts import By
from ledger.store.reading.shards import shard_ends
from ledger.values import Month, instant_from_text, instant_to_text, month_of
from makegood.access.sight import EVERYTHING
from makegood.acts.commands import Typed, decide
from makegood.acts.deciding import Deciding
from makegood.answers import owed
from makegood.answers.audit.checkpoints import new_key
from makegood.answers.demo_summary import summary_of
from makegood.answers.periods import PeriodInFull, close
from makegood.api.serving import Serving
from makegood.commands.terminal.demo_summary import show_live, show_month_end, show_next, show_summary
from makegood.commands.terminal.printing import progress_bar, say
from makegood.exports.exporting import export
from makegood.house.logs import configure_logs
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from makegood.house.stop import Stop
from makegood.program.changed_copy import change_a_copy
from makegood.program.looks import last_looks_recorded
from makegood.program.running import PARTS, parts_for
from makegood.program.sandbox import sign_in_lines
from projections import refunds as refunds_

STORE = Path("makegood-demo.db")
EXPORT = Path("makegood-demo-refunds.xlsx")
CHANGED_COPY = Path("makegood-demo-changed.db")
WEEK = timedelta(days=7)
PATIENCE_SECONDS = 60.0


def show_demo(*, serve: bool) -> None:
    """Run the sample through every part, print the summary, and stay until interrupted if asked to."""
    configure_logs("error")
    for left_over in (*STORE.parent.glob(f"{STORE.stem}*.db*"), EXPORT, STORE.with_name(f"{STORE.stem}-audit.key")):
        left_over.unlink(missing_ok=True)
    # Whatever the environment says: nobody is asked to pay the sample's refunds, or to witness its checkpoints.
    nobody: dict[str, Any] = {"stripe_key": SecretStr(""), "audit_key": "", "audit_folder": "", "audit_policy": ""}
    settings = Settings(store=f"sqlite:///{STORE}", **nobody)
    if "http" not in settings.model_fields_set:
        settings = Settings(store=settings.store, http="127.0.0.1:0", **nobody)
    started = time.monotonic()
    with open_house(settings, create=True, sandbox=True) as house, InProcessBroker() as broker:
        new_key(house, house.shard)
        sample = _sample()
        for file in sorted((sample / "agreements").glob("*.toml")):
            agreements.publish(house.ledger, file.read_text(encoding="utf-8"), actor="/makegood/demo", channel="cli")
        cluster = broker.cluster()
        parts = parts_for(house, cluster, PARTS if serve else [name for name in PARTS if name != "api"])
        with last_looks_recorded(house), _all_parts(parts, cluster) as wait_for:
            published = _publish_week_by_week(house, cluster, sample / "events.jsonl", wait_for)
            _projected(house, wait_for)
            published += _pay_out(house, cluster, wait_for)
            closed = _close_month(house)
            _projected(house, wait_for)
            summary = summary_of(house, published)
            show_summary(house, summary, time.monotonic() - started)
            show_month_end(house, closed, _export_refunds(house))
            change_a_copy(house, STORE, CHANGED_COPY)
            show_next(house, summary)
            if serve:
                address = next(part.address for part in parts if isinstance(part, Serving))
                account, _ = summary.to_explain or (None, "")
                show_live(
                    house, broker.bootstrap, address, sign_in_lines(house, address, account, _last_full_month(house))
                )
                with _until_interrupted():
                    threading.Event().wait()


def _last_full_month(house: House) -> Month:
    """The last month that is over by the sandbox's clock: the present one has hardly begun when the sample ends."""
    return month_of(house.now(), house.settings.time_zone).before


def _projected(house: House, wait_for: Wait) -> None:
    """Every projection has come to what is recorded now."""
    with house.database.reading() as transaction:
        end = shard_ends(transaction)
    wait_for("the projector", lambda: all(at.covers(end) for at in house.projections.positions().values()))


def _sample() -> Path:
    """The sample: beside the package where it is installed, in `deploy/` where it is worked on."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "sample", package.parents[1] / "deploy" / "sample"):
        if (folder / "events.jsonl").is_file():
            return folder
    raise Stop("the bundled sample is missing; run the demo from a checkout, or reinstall makegood")


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
                raise Stop(f"{what} not ready within {PATIENCE_SECONDS:.0f} s; see the log above, and try again")
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


# --- paying out, and the end of a month ----------------------------------------------------------------------------

APPROVER = Typed("demo-approver", "/makegood/demo")
LEFT_FOR_A_PERSON = 1
"""So many refunds, the largest, wait for whoever looks at the demo."""
ONE_FAILS_OF = 25
"""Of so many returns the sample's payment processor cannot pay one."""
MONTH = Month(2026, 1)


def _pay_out(house: House, cluster: Cluster, wait_for: Wait) -> int:
    """Approve what is due, have it requested, and answer as the payment processor would; how many answers."""
    due = sorted(owed.refunds(house, EVERYTHING, status="due"), key=lambda refund: Decimal(refund["total"]))
    approved = due[:-LEFT_FOR_A_PERSON]
    for refund in approved:
        decide(house.ledger, refund["account_id"], APPROVER, partial(_approve, refund=refund))
    requests: list[dict[str, Any]] = []

    def requested() -> bool:
        records = cluster.last_records(REFUND_REQUESTS.name, len(approved))
        requests[:] = [json.loads(record.value or b"")["data"] for record in records]
        return len(requests) == len(approved)

    wait_for("the refund requests", requested)
    returns = sorted(
        ((request["account_id"], each["return_id"]) for request in requests for each in request["returns"]),
        key=itemgetter(1),
    )
    answers = [_answer(number, *each, house.ledger.now()) for number, each in enumerate(returns)]
    identity = cluster.identity(UPSTREAM.name)
    taken = sum(stored_positions(house.database, identity).values())
    with closing(cluster.sender("demo")) as sender:
        publish(answers, sender)
    wait_for("intake", lambda: sum(stored_positions(house.database, identity).values()) >= taken + len(answers))
    return len(answers)


def _approve(by: Deciding, refund: refunds_.Refund) -> MessageData:
    return by.approve(refund["refund_id"], refund["proposal"] or "")


def _answer(number: int, account: str, return_id: str, now: datetime) -> bytes:
    """The payment processor's answer about a return: a line as upstream publishes it."""
    failed = number % ONE_FAILS_OF == 0
    at = instant_to_text(now)
    said = (
        {"reason": "the account is closed"}
        if failed
        else {"processor_reference": f"psp-{return_id.removeprefix('ret-')}"}
    )
    message = {
        "specversion": "1.0",
        "id": f"answer-{return_id}",
        "source": "/payments/demo",
        "type": "voip.refund.failed.v1" if failed else "voip.refund.succeeded.v1",
        "subject": account,
        "time": at,
        "data": {"refund_id": return_id, **said, **({} if failed else {"succeeded_at": at})},
    }
    return json.dumps(message).encode()


def _close_month(house: House) -> PeriodInFull:
    with progress_bar(f"closing {MONTH}", None, "accounts") as show:
        _, closed = close(house, MONTH, By(APPROVER.actor, "cli"), show)
    house.projections.catch_up()
    return closed


def _export_refunds(house: House) -> Path:
    export(house, EVERYTHING, "refunds", "xlsx", EXPORT, {})
    return EXPORT
