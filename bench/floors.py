"""What must be done at least, beside what is done: messages read and checked, events decoded and folded, and rows
copied, each of them alone. A mark that is missed is told with them, since nothing that is left out of ours gets below
their sum."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql
from tests.parts.postgres import Postgres

from bench.houses import house_at, in_parts, take, take_all
from bench.messages import known, lives, messages
from bench.report import Report, Section
from bench.timing import ROUNDS, Took, in_turn, took
from consumers import files
from consumers.upstream import read_structured
from ledger.store.reading.events import StoredEnvelope, read_by_account
from makegood.access.sight import EVERYTHING
from makegood.answers.account import account
from makegood.house.opening import House
from projections.catalog import CATALOG
from projections.follower import fold_into
from projections.projection import Rows

AT_ONCE = 500
"""So many messages in one transaction, as intake has them."""
EVENTS_AT_ONCE = 8_000
"""So many events are read at once, as a rebuild has them."""
CALLERS, EACH = 8, 300
"""So many callers at once, and so many messages of each."""
REST_SECONDS = 0.02
"""Between two questions of somebody who asks while others work."""


def measure(report: Report, postgres: Postgres, count: int) -> None:
    """Taking messages, and folding anew what came of them."""
    lines = messages(count)
    with house_at(postgres.new_database()) as house:
        files.ingest(house.ledger, lines, "bench")
        house.projections.catch_up()
        _taking(report, postgres, lines, house)
        _one_by_one(report, postgres)
        _folding(report, postgres, house)


def _taking(report: Report, postgres: Postgres, lines: Sequence[bytes], filled: House) -> None:
    events = _content(filled, ["events"])
    number = len(events["events"].rows)
    section = report.section(
        f"What {len(lines):,} messages take at least",
        f"Into PostgreSQL with durable commits, {AT_ONCE} messages at a time. Rows copied are those of the "
        f"{number:,} events that come of them, into a table without indexes: no inbox, no vault, no heads.",
    )

    def taken() -> Took:
        with house_at(postgres.new_database()) as house:
            return took(lambda: files.ingest(house.ledger, lines, "bench"))

    works = {
        "taken": taken,
        "read and checked alone": lambda: took(
            lambda: [read_structured(line, origin="bench", channel="file") for line in lines]
        ),
        "the events' rows copied alone": lambda: _copied(postgres, events, -(-number * AT_ONCE // len(lines))),
    }
    in_turn(section, ROUNDS, len(lines), "messages/s", works, beside="taken")


def _one_by_one(report: Report, postgres: Postgres) -> None:
    """Callers of whom each waits until its message is durable, and plain rows that are committed one by one."""
    told, registrations = lives(EACH * CALLERS // 3), known(EACH * CALLERS // 3)
    section = report.section(
        f"What {len(told):,} messages take at least, each durable before its answer",
        f"{CALLERS} callers in one process, into PostgreSQL with fsync: of ours the three messages of account lives, "
        f"and {CALLERS} connections that each insert one row of a message's size and commit it.",
    )

    def ours() -> Took:
        with house_at(postgres.new_database()) as house, ThreadPoolExecutor(CALLERS) as callers:
            take_all(house.ledger, registrations, AT_ONCE)
            return took(lambda: list(callers.map(lambda line: take(house.ledger, [line]), told)))

    def rows() -> Took:
        url, of_each = postgres.new_database(), threading.local()

        def insert(line: bytes) -> None:
            if not hasattr(of_each, "connection"):
                of_each.connection = psycopg.connect(url, autocommit=True)
            of_each.connection.execute("INSERT INTO rows (content) VALUES (%s)", (line,))

        with closing(psycopg.connect(url, autocommit=True)) as connection, ThreadPoolExecutor(CALLERS) as callers:
            connection.execute("CREATE TABLE rows (number bigserial PRIMARY KEY, content bytea)")
            return took(lambda: list(callers.map(insert, told)))

    works = {"eight callers": ours, "rows inserted and committed alone": rows}
    in_turn(section, ROUNDS, len(told), "messages/s", works, beside="eight callers")


def _folding(report: Report, postgres: Postgres, house: House) -> None:
    tables = [projection.stored_name(table) for projection in CATALOG for table in projection.tables]
    content, number = _content(house, tables), sum(1 for _ in _stored(house))
    rows = sum(len(each.rows) for each in content.values())
    section = report.section(
        f"What folding {number:,} events anew takes at least",
        "All projections on PostgreSQL with fsync. Rebuilt is built, compared and put in place. Rows copied go into "
        f"tables without indexes, {EVENTS_AT_ONCE:,} in a transaction. CPU is that of our processes.",
    )
    works = {
        "rebuilt by two processes": lambda: took(lambda: _rebuild(house, 2)),
        "rebuilt by one process": lambda: took(lambda: _rebuild(house, 1)),
        "read and decoded alone": lambda: took(lambda: _decode(house)),
        "read, decoded and folded alone": lambda: took(lambda: _fold(house)),
        f"the {rows:,} rows copied alone": lambda: _copied(postgres, content, EVENTS_AT_ONCE),
    }
    in_turn(section, ROUNDS, number, "events/s", works, beside="rebuilt by two processes")
    _asked_beside(section, house)


def _rebuild(house: House, processes: int) -> None:
    """As whoever operates it does: the processes that build begin with what the command loads, and no bench."""
    command = [sys.executable, "-m", "makegood.cli", "rebuild", "--processes", str(processes)]
    subprocess.run([*command, "--store", house.settings.store], check=True, capture_output=True)


def _stored(house: House) -> Iterator[StoredEnvelope]:
    of, version = "", 0
    while True:
        with house.database.reading() as transaction:
            found = read_by_account(transaction, of, version, None, EVENTS_AT_ONCE)
        yield from found
        if len(found) < EVENTS_AT_ONCE:
            return
        of, version = found[-1].account, found[-1].account_version


def _decode(house: House) -> None:
    for stored in _stored(house):
        stored.event()


def _fold(house: House) -> None:
    stored = _stored(house)
    while page := list(islice(stored, EVENTS_AT_ONCE)):
        fold_into({projection: Rows(projection.tables) for projection in CATALOG}, page)


# --- rows, and nothing else -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Content:
    """The rows of a table, with its columns and how PostgreSQL calls what they hold."""

    columns: Mapping[str, str]
    rows: Sequence[tuple[Any, ...]]


def _content(house: House, tables: Sequence[str]) -> dict[str, Content]:
    found: dict[str, Content] = {}
    with closing(psycopg.connect(house.database.url)) as connection:
        for name in tables:
            columns: dict[str, str] = dict(
                connection.execute(
                    "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
                    "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                    (name,),
                ).fetchall()
            )
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))).fetchall()
            found[name] = Content(columns, rows)
    return found


def _copied(postgres: Postgres, content: Mapping[str, Content], at_once: int) -> Took:
    """Copy rows into tables that are new, so many in a transaction."""
    with closing(psycopg.connect(postgres.new_database())) as connection:
        for name, each in content.items():
            columns = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(type_))
                for column, type_ in each.columns.items()
            )
            connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), columns))
        connection.commit()

        def copy() -> None:
            for name, each in content.items():
                statement = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(sql.Identifier(name))
                for part in in_parts(each.rows, at_once):
                    with connection.cursor() as cursor, cursor.copy(statement) as copying:
                        copying.set_types(list(each.columns.values()))
                        for row in part:
                            copying.write_row(row)
                    connection.commit()

        return took(copy)


# --- who asks meanwhile ---------------------------------------------------------------------------------------------


def _asked_beside(section: Section, house: House) -> None:
    """An account asked for again and again, when nothing else is done and while a rebuild by two processes runs."""
    with house.database.reading() as transaction:
        accounts = [name for (name,) in transaction.rows("SELECT account FROM heads ORDER BY account LIMIT 200")]
    alone = _asked_until(house, accounts, threading.Event(), 10.0)
    ended = threading.Event()

    def work() -> None:
        try:
            _rebuild(house, 2)
        finally:
            ended.set()

    rebuilding = threading.Thread(target=work)
    rebuilding.start()
    beside = _asked_until(house, accounts, ended, 600.0)
    rebuilding.join()
    section.add("an account asked for, alone", alone, "ms")
    section.add("an account asked for, beside a rebuild", beside, "ms", beside="an account asked for, alone")


def _asked_until(house: House, accounts: Sequence[str], ended: threading.Event, seconds: float) -> list[float]:
    """Milliseconds of each answer, until something has ended or time is up."""
    found: list[float] = []
    until = time.monotonic() + seconds
    while not ended.is_set() and time.monotonic() < until:
        name = accounts[len(found) % len(accounts)]
        found.append(1e3 * took(lambda: account(house, EVERYTHING, name)).seconds)  # noqa: B023
        time.sleep(REST_SECONDS)
    return found
