"""Taking messages in: the sample's in batches, account lives beside the stock library, and over many accounts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.parts.kafka import find_kafka
from tests.parts.postgres import Postgres

from bench import stock
from bench.houses import house_at, in_parts, read_raw, run_until, take, take_all
from bench.messages import complaint, known, lives, messages, new_account, old_account, outage, registered, resolution
from bench.report import Report
from bench.timing import ROUNDS, Rates, Took, in_turn, took
from consumers import files
from consumers.intake import Intake
from consumers.kafka.cluster import Cluster
from consumers.kafka.publish import publish
from consumers.kafka.topics import TOPICS, UPSTREAM
from consumers.upstream import read_structured
from ledger.application.ledger import Ledger
from makegood.house.clock import system_clock

AT_ONCE = 500
"""So many messages in one transaction."""
ONE_BY_ONE = 200
"""So many lives are taken message by message."""
ACCOUNTS = (1_000, 10_000, 50_000)
WAITING = 5_000


def measure(report: Report, postgres: Postgres, folder: Path, count: int) -> None:
    """The sample's messages, durable: read, checked, assessed and committed."""
    lines = messages(count)
    numbers = itertools.count()

    def into(url: Callable[[], str]) -> Callable[[], Took]:
        def work() -> Took:
            with house_at(url()) as house:
                return took(lambda: files.ingest(house.ledger, lines, "bench"))

        return work

    with find_kafka() as kafka:
        section = report.section(
            f"Intake of {count:,} messages",
            f"The sample provider's, in batches of {AT_ONCE}, with durable commits (SQLite with synchronous=FULL, "
            f"PostgreSQL with fsync). Kafka: {kafka.origin}. CPU is that of our processes, not of the servers.",
        )
        cluster = Cluster(kafka.bootstrap, group="bench")
        cluster.create_topics(TOPICS)
        with closing(cluster.sender("bench")) as sender:
            publish(lines, sender)
        works: dict[str, Callable[[], Took]] = {
            "read raw from Kafka": lambda: took(lambda: read_raw(kafka.bootstrap, UPSTREAM, count)),
            "read and checked only": lambda: took(
                lambda: [read_structured(line, origin="bench", channel="file") for line in lines]
            ),
            "into SQLite": into(lambda: f"sqlite:///{folder}/intake-{next(numbers)}.db"),
            "into PostgreSQL": into(postgres.new_database),
            "from Kafka into PostgreSQL": lambda: _from_kafka(postgres, kafka.bootstrap, next(numbers), count),
        }
        in_turn(section, ROUNDS, count, "messages/s", works)


def _from_kafka(postgres: Postgres, bootstrap: str, number: int, count: int) -> Took:
    cluster = Cluster(bootstrap, group=f"bench-{number}")
    with house_at(postgres.new_database()) as house:

        def taken() -> bool:
            with house.database.reading() as transaction:
                rows = transaction.rows("SELECT COALESCE(SUM(position), 0) FROM readers WHERE reader LIKE 'intake/%'")
            return int(rows[0][0]) >= count

        return took(lambda: run_until([Intake(house.ledger, cluster)], taken))


# --- account lives --------------------------------------------------------------------------------------------------


def measure_lives(report: Report, postgres: Postgres, count: int) -> None:
    """Account lives into PostgreSQL, and the rows that answer, in batches and message by message, beside the
    eventsourcing library as it comes."""
    _batches(report, postgres, count)
    _one_by_one(report, postgres)


def _batches(report: Report, postgres: Postgres, count: int) -> None:
    section = report.section(
        f"{count:,} account lives into PostgreSQL, in batches of {AT_ONCE} messages",
        "A life is a cycle, a confirmed overcharge of it and a cancellation, three messages of an account that is "
        "registered before. Until the rows that answer are there: ours by the projector, the library's by its "
        "ProjectionRunner with one table.",
    )
    told, registrations = lives(count), known(count)

    def ours() -> Took:
        with house_at(postgres.new_database()) as house:
            take_all(house.ledger, registrations, AT_ONCE)
            house.projections.catch_up()

            def work() -> None:
                take_all(house.ledger, told, AT_ONCE)
                house.projections.catch_up()

            return took(work)

    def library() -> Took:
        url = postgres.new_database()
        with stock.kept_in(url) as application:
            application.register([f"life-{number}" for number in range(count)])

            def work() -> None:
                for part in in_parts(told, AT_ONCE):
                    application.take_all(part)
                stock.project(url, application.end)

            return took(work)

    in_turn(section, ROUNDS, len(told), "messages/s", {_LIBRARY: library, "Makegood": ours}, beside=_LIBRARY)


def _one_by_one(report: Report, postgres: Postgres) -> None:
    section = report.section(
        f"{ONE_BY_ONE:,} account lives into PostgreSQL, message by message",
        "Each message durable before the next one is taken; the rows that answer are not waited for.",
    )
    told, registrations = lives(ONE_BY_ONE), known(ONE_BY_ONE)

    def ours() -> Took:
        with house_at(postgres.new_database()) as house:
            take_all(house.ledger, registrations, AT_ONCE)
            return took(lambda: take_all(house.ledger, told, 1))

    def library() -> Took:
        with stock.kept_in(postgres.new_database()) as application:
            application.register([f"life-{number}" for number in range(ONE_BY_ONE)])
            return took(lambda: [application.take(line) for line in told])

    in_turn(section, ROUNDS, len(told), "messages/s", {_LIBRARY: library, "Makegood": ours}, beside=_LIBRARY)


_LIBRARY = "the eventsourcing library as it comes"


# --- many accounts --------------------------------------------------------------------------------------------------


def measure_accounts(report: Report, postgres: Postgres, count: int) -> None:
    """Few accounts known, and many: a complaint of each in turn, with words for the vault."""
    section = report.section(
        "Messages about one account after the other",
        f"{count:,} complaints a round, into PostgreSQL in batches of {AT_ONCE}; the process has written about each.",
    )
    there = 0
    with house_at(postgres.new_database()) as house:
        for accounts in ACCOUNTS:
            take_all(house.ledger, [registered(f"acct-{number}") for number in range(there, accounts)], AT_ONCE)
            there = accounts
            rates = Rates(count)
            for number in range(ROUNDS):
                told = [
                    complaint(f"acct-{(n * accounts) // count % accounts}", f"{accounts}-{number}-{n}")
                    for n in range(count)
                ]
                rates.add(took(lambda: take_all(house.ledger, told, AT_ONCE)))  # noqa: B023
            section.add(f"at {accounts:,} accounts", rates.rates, "messages/s", cpu=rates.cpu)


# --- one account, young and old -------------------------------------------------------------------------------------


def measure_account(report: Report, folder: Path) -> None:
    """One message more for an account of ten years and a new one, warm and cold; and for one of which nearly all
    facts wait, warm."""
    section = report.section(
        "One message more",
        f"For an account of ten years (120 cycles, 200 outages) and a new one, by a process that has it in memory "
        f"(warm) and one that loads it (cold), and for one of which {WAITING:,} facts wait. SQLite, commit included.",
    )
    times: dict[str, list[float]] = {}
    with house_at(f"sqlite:///{folder}/account.db") as house:
        for state in ("warm", "cold"):
            take(house.ledger, old_account(f"old-{state}"))
            take(house.ledger, new_account(f"new-{state}"))
        waits = [resolution("waits", f"w{n}", datetime(2026, 3, 2, tzinfo=UTC)) for n in range(WAITING)]
        take(house.ledger, [*new_account("waits"), *waits])
        for number in range(60):
            began = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=number)
            for age in ("new", "old"):
                for state in ("warm", "cold"):
                    ledger = house.ledger if state == "warm" else Ledger(house.database, house.vault, system_clock)
                    message = outage(f"{age}-{state}", f"m{number}", began, "minor")
                    spent = took(lambda: take(ledger, [message]))  # noqa: B023
                    times.setdefault(f"{age} account, {state}", []).append(spent.seconds * 1e6)
            message = outage("waits", f"m{number}", began, "minor")
            spent = took(lambda: take(house.ledger, [message]))  # noqa: B023
            times.setdefault(f"new account, {WAITING:,} facts waiting, warm", []).append(spent.seconds * 1e6)
        with house.database.reading() as transaction:
            events = dict(transaction.rows("SELECT account, version FROM heads WHERE account LIKE '%-cold'"))
    for name, found in sorted(times.items()):
        account = name.replace(" account, ", "-")
        section.add(name, found, "µs a message", note=f"{events[account]} events" if account in events else "")
