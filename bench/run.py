"""`make bench`: what this machine does a second, each figure beside what it is to be compared with, in one run.

    bench/run.py [--messages N] [--refunds N] [--accounts N] [SECTION…]
                                        sections: intake, accounts, projector, account, audit, verifying, finance,
                                        pages

It judges nothing. Kafka and PostgreSQL are found or started as the tests do it; what was used is printed first.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import audit, finance, pages, verifying
from confluent_kafka import Consumer, TopicPartition
from tests.parts.kafka import find_kafka
from tests.parts.postgres import Postgres, find_postgres

from consumers import files
from consumers.intake import Intake
from consumers.kafka.cluster import Cluster
from consumers.kafka.publish import publish
from consumers.kafka.topics import EVENTS, TOPICS
from consumers.part import Part, collect_rarely, run_parts
from consumers.projector import KafkaSource, Projector
from consumers.relay import Relay
from consumers.upstream import read_structured
from ledger.application import agreements, record
from ledger.application.ledger import Ledger
from ledger.store.reading.shards import shard_ends
from makegood.house.clock import system_clock
from makegood.house.logs import configure_logs
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings

SAMPLE = ROOT / "deploy" / "sample"
ROUNDS = 3
ACCOUNTS = (1_000, 10_000, 50_000)
WAITING = 5_000
SECTIONS = ("intake", "accounts", "projector", "account", "audit", "verifying", "finance", "pages")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "sections",
        nargs="*",
        metavar="SECTION",
        help=f"{', '.join(SECTIONS)}; all by default",
    )
    parser.add_argument("--messages", type=int, default=20_000, help="how many messages a round takes in")
    parser.add_argument("--refunds", type=int, default=1_000_000, help="over how many refunds finance asks")
    parser.add_argument("--verified", type=int, default=400_000, help="how many messages, of 2.3 events")
    parser.add_argument("--accounts", type=int, default=100_000, help="over how many accounts pages are asked for")
    parser.add_argument("--requests", type=int, default=40, help="how often each page is asked for")
    arguments = parser.parse_args()
    configure_logs("error")
    collect_rarely()
    sections = arguments.sections or SECTIONS
    with find_postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        print(f"machine     {os.cpu_count()} processors, Python {platform.python_version()}, {platform.machine()}")
        print(f"PostgreSQL  {postgres.origin}")
        if "intake" in sections:
            measure_intake(postgres, Path(folder), arguments.messages)
        if "accounts" in sections:
            measure_accounts(postgres, arguments.messages // 4)
        if "projector" in sections:
            measure_projector(postgres, 3 * arguments.messages)
        if "account" in sections:
            measure_account(Path(folder))
        if "audit" in sections:
            measure_audit(postgres, Path(folder), arguments.messages)
        if "verifying" in sections:
            measure_verifying(postgres, Path(folder), arguments.verified)
        if "finance" in sections:
            measure_finance(postgres, Path(folder), arguments.refunds)
        if "pages" in sections:
            measure_pages(postgres, Path(folder), arguments.accounts, arguments.requests)


def messages(count: int) -> list[bytes]:
    """The sample's well-formed messages, as often as needed, each time for other accounts and under other ids."""
    return list(itertools.islice(message_stream(), count))


def message_stream() -> Iterator[bytes]:
    """The same without end, one after the other."""
    sample = (SAMPLE / "events.jsonl").read_text(encoding="utf-8").splitlines()
    for copy in itertools.count(1):
        for line in sample:
            yield line.replace('"acct-', f'"acct-{copy}-').replace('"id":"', f'"id":"{copy}-').encode()


@contextmanager
def house_at(url: str, *, sandbox: bool = False) -> Iterator[House]:
    with open_house(Settings(store=url), create=True, sandbox=sandbox) as house:
        text = (SAMPLE / "agreements" / "standard.toml").read_text(encoding="utf-8")
        agreements.publish(house.ledger, text, actor="/makegood/bench", channel="cli")
        yield house


def report(what: str, rates: list[float], unit: str) -> None:
    middle = statistics.median(rates)
    spread = f"   (min {min(rates):,.0f}, max {max(rates):,.0f}, {len(rates)} rounds)" if len(rates) > 1 else ""
    print(f"  {what:<58} {middle:>9,.0f} {unit}{spread}")


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- intake -------------------------------------------------------------------------------------------------------


def measure_intake(postgres: Postgres, folder: Path, count: int) -> None:
    """Messages a second, durable: read, checked, assessed and committed, in batches of 500."""
    print(f"\nIntake of {count:,} messages (durable commits; SQLite with synchronous=FULL, PostgreSQL with fsync on)")
    lines = messages(count)
    rates: dict[str, list[float]] = {"read and checked only": [], "into SQLite": [], "into PostgreSQL": []}
    for number in range(ROUNDS):
        seconds = timed(lambda: [read_structured(line, origin="bench", channel="file") for line in lines])
        rates["read and checked only"].append(count / seconds)
        urls = {"into SQLite": f"sqlite:///{folder}/intake-{number}.db", "into PostgreSQL": postgres.new_database()}
        for name, url in urls.items():
            with house_at(url) as house:
                rates[name].append(count / timed(lambda: files.ingest(house.ledger, lines, "bench")))
    for name, found in rates.items():
        report(name, found, "messages/s")
    with find_kafka() as kafka:
        print(f"  from Kafka: {kafka.origin}")
        report("from Kafka into PostgreSQL", [_intake_from_kafka(postgres, kafka.bootstrap, lines)], "messages/s")


def _intake_from_kafka(postgres: Postgres, bootstrap: str, lines: list[bytes]) -> float:
    cluster = Cluster(bootstrap, group="bench-intake")
    cluster.create_topics(TOPICS)
    sender = cluster.sender("bench")
    publish(lines, sender)
    sender.close()
    with house_at(postgres.new_database()) as house:

        def taken() -> bool:
            with house.database.reading() as transaction:
                rows = transaction.rows("SELECT COALESCE(SUM(position), 0) FROM readers WHERE reader LIKE 'intake/%'")
            return int(rows[0][0]) >= len(lines)

        return len(lines) / timed(lambda: run_until([Intake(house.ledger, cluster)], taken))


def run_until(parts: list[Part], reached: Callable[[], bool], ready: Callable[[], object] = lambda: None) -> None:
    """Run parts until something is reached, which is looked for every 20 ms."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set() and not reached():
            time.sleep(0.02)
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run_parts(parts, stop, lambda: None)
    watcher.join()


# --- many accounts ------------------------------------------------------------------------------------------------


def measure_accounts(postgres: Postgres, count: int) -> None:
    """Messages a second where few accounts are known and where many are: a complaint of each in turn, with words for
    the vault, taken by a process that has written about all of them."""
    print(f"\nMessages about one account after the other, {count:,} a round, into PostgreSQL in batches of 500")
    known = 0
    with house_at(postgres.new_database()) as house:
        for accounts in ACCOUNTS:
            _take_all(house.ledger, [_registered(f"acct-{number}") for number in range(known, accounts)])
            known = accounts
            rates = []
            for number in range(ROUNDS):
                told = [
                    _complaint(f"acct-{(n * accounts) // count % accounts}", f"{accounts}-{number}-{n}")
                    for n in range(count)
                ]
                rates.append(count / timed(lambda: _take_all(house.ledger, told)))  # noqa: B023
            report(f"at {accounts:,} accounts", rates, "messages/s")


def _take_all(ledger: Ledger, lines: list[bytes]) -> None:
    if files.ingest(ledger, lines, "bench").accepted != len(lines):
        raise RuntimeError("what was measured is not what it says: messages of the bench were refused")


def _registered(account: str) -> bytes:
    return _new_account(account, datetime(2026, 3, 1, tzinfo=UTC))[0]


def _complaint(account: str, number: str) -> bytes:
    return _event(
        account,
        "complaint.opened",
        number,
        datetime(2026, 3, 2, tzinfo=UTC),
        f'{{"complaint_id":"{number}","channel":"phone","category":"other","description":"It rings at night."}}',
    )


# --- the projector ------------------------------------------------------------------------------------------------


def measure_projector(postgres: Postgres, count: int) -> None:
    """Events a second from real Kafka into PostgreSQL, beside the same topic read raw."""
    with find_kafka() as kafka:
        print(f"\nProjector, from Kafka: {kafka.origin}")
        cluster = Cluster(kafka.bootstrap, group="bench-projector")
        cluster.create_topics(TOPICS)
        with house_at(postgres.new_database()) as house:
            files.ingest(house.ledger, messages(count), "bench")
            with house.database.reading() as transaction:
                [(shard, end)] = shard_ends(transaction).items()

            def relayed() -> bool:
                with house.database.reading() as transaction:
                    rows = transaction.rows(
                        "SELECT position FROM readers WHERE reader LIKE 'relay/%' ORDER BY position DESC LIMIT 1"
                    )
                return bool(rows) and int(rows[0][0]) >= end

            seconds = timed(lambda: run_until([Relay(house.database, cluster)], relayed))
            report(f"{end:,} events relayed to Kafka (acks=all)", [end / seconds], "events/s")
            report("the same topic read raw", [end / timed(lambda: _read_raw(kafka.bootstrap, end))], "events/s")
            part = Projector(house.projections, KafkaSource(cluster))
            seconds = timed(lambda: run_until([part], lambda: house.projections.position_reached(shard) >= end))
            report("the same projected into PostgreSQL, joining included", [end / seconds], "events/s")


def _read_raw(bootstrap: str, end: int) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-raw", "enable.auto.commit": False})
    consumer.assign([TopicPartition(EVENTS.name, 0, 0)])
    seen = 0
    while seen < end:
        seen += len(consumer.consume(1_000, 0.5))
    consumer.close()


# --- the audit trail ----------------------------------------------------------------------------------------------


def measure_audit(postgres: Postgres, folder: Path, count: int) -> None:
    """What the Merkle tree over the events costs, beside the intake of the messages that they come from."""
    print(f"\nThe Merkle tree over the events of {count:,} messages, beside their intake (durable commits)")
    lines = messages(count)
    numbers = itertools.count()
    urls = {
        "SQLite": lambda: f"sqlite:///{folder}/audit-{next(numbers)}.db",
        "PostgreSQL": postgres.new_database,
    }
    for name, url in urls.items():
        audit.measure_appending(
            name,
            lambda: house_at(url()),  # noqa: B023
            lambda house: files.ingest(house.ledger, lines, "bench"),
            timed,
            report,
        )


# --- finance's questions ------------------------------------------------------------------------------------------


def measure_finance(postgres: Postgres, folder: Path, refunds: int) -> None:
    for name, url in (
        ("SQLite in a file", f"sqlite:///{folder}/finance.db"),
        ("PostgreSQL", postgres.new_database()),
    ):
        with house_at(url) as house:
            ledger = house.ledger
            finance.fill(house, lambda lines: take(ledger, lines), refunds)  # noqa: B023
            finance.measure(house, name, timed, refunds)
        finance.measure_exports(url, refunds)


# --- pages ---------------------------------------------------------------------------------------------------------


def measure_pages(postgres: Postgres, folder: Path, accounts: int, requests: int) -> None:
    for name, url in (
        ("SQLite in a file", f"sqlite:///{folder}/pages.db"),
        ("PostgreSQL", postgres.new_database()),
    ):
        with house_at(url, sandbox=True) as house:
            pages.fill(house, SAMPLE / "events.jsonl", accounts)
            pages.measure(house, name, accounts, requests)


# --- verifying ----------------------------------------------------------------------------------------------------


def measure_verifying(postgres: Postgres, folder: Path, count: int) -> None:
    """Events a second that are verified, in a store with all its tables and in an exported log."""
    print(f"\nVerifying what {count:,} messages became")
    for name, url in (
        ("SQLite in a file", f"sqlite:///{folder}/verified.db"),
        ("PostgreSQL", postgres.new_database()),
    ):
        with house_at(url) as house:
            files.ingest(house.ledger, itertools.islice(message_stream(), count), "bench")
            house.projections.catch_up()
            for what, rates, unit in verifying.measure(house, name, folder / f"log-{house.database.dialect}", ROUNDS):
                report(f"{name}: {what}", rates, unit)
            audit.measure_proofs(name, house, report)


# --- one account, young and old -----------------------------------------------------------------------------------


def measure_account(folder: Path) -> None:
    """One message more for an account of ten years (120 cycles, 200 outages) and a new one, warm and cold; and for
    one of which nearly all facts wait, warm."""
    print("\nOne message more: an account of ten years (120 cycles, 200 outages) beside a new one, SQLite in a file")
    rates: dict[str, list[float]] = {}
    with house_at(f"sqlite:///{folder}/account.db") as house:
        for state in ("warm", "cold"):
            take(house.ledger, _old_account(f"old-{state}"))
            take(house.ledger, _new_account(f"new-{state}", datetime(2026, 3, 1, tzinfo=UTC)))
        waits = [_resolution("waits", f"w{n}", datetime(2026, 3, 2, tzinfo=UTC)) for n in range(WAITING)]
        take(house.ledger, [*_new_account("waits", datetime(2026, 3, 1, tzinfo=UTC)), *waits])
        for number in range(60):
            began = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=number)
            for age in ("new", "old"):
                for state in ("warm", "cold"):
                    ledger = house.ledger if state == "warm" else Ledger(house.database, house.vault, system_clock)
                    message = _outage(f"{age}-{state}", f"m{number}", began, "minor")
                    seconds = timed(lambda: take(ledger, [message]))  # noqa: B023
                    rates.setdefault(f"{age} account, {state}", []).append(seconds * 1e6)
            message = _outage("waits", f"m{number}", began, "minor")
            seconds = timed(lambda: take(house.ledger, [message]))  # noqa: B023
            rates.setdefault(f"new account, {WAITING:,} facts waiting, warm", []).append(seconds * 1e6)
        with house.database.reading() as transaction:
            for account, version in transaction.rows(
                "SELECT account, version FROM heads WHERE account LIKE '%-cold'"
            ):
                print(f"  ({account} has {version} events)")
    for name, found in sorted(rates.items()):
        report(name, found, "µs a message, commit included")


def take(ledger: Ledger, lines: list[bytes]) -> None:
    record.take(ledger, [read_structured(line, origin="bench", channel="file") for line in lines])


def _event(account: str, kind: str, number: str, at: datetime, data: str) -> bytes:
    return (
        f'{{"specversion":"1.0","id":"{account}-{number}","source":"/bench","type":"voip.{kind}.v1",'
        f'"subject":"{account}","time":"{at.isoformat()}","data":{data}}}'
    ).encode()


def _new_account(account: str, since: datetime) -> list[bytes]:
    customer = '"customer":{"name":"N","email":"n@example.com"}'
    subscription = f'{{"subscription_id":"{account}-s","agreement":"standard","plan":"p"}}'
    return [
        _event(account, "account.registered", "a", since, f'{{"time_zone":"UTC","currency":"EUR",{customer}}}'),
        _event(account, "subscription.registered", "s", since, subscription),
        _cycle(account, since),
    ]


def _cycle(account: str, start: datetime) -> bytes:
    end = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    return _event(
        account,
        "cycle.started",
        f"c-{start:%Y-%m}",
        start,
        f'{{"subscription_id":"{account}-s","cycle_id":"{account}-{start:%Y-%m}","starts_on":"{start:%Y-%m-%d}",'
        f'"ends_on":"{end:%Y-%m-%d}","price":"30.00","currency":"EUR","invoice_id":"i-{start:%Y-%m}","prepaid":true}}',
    )


def _outage(account: str, number: str, began: datetime, severity: str) -> bytes:
    return _event(
        account,
        "outage.reported",
        f"o-{number}",
        began,
        f'{{"outage_id":"{account}-{number}","subscription_id":"{account}-s","began_at":"{began.isoformat()}",'
        f'"reported_at":"{began.isoformat()}","severity":"{severity}","cause":"provider"}}',
    )


def _resolution(account: str, number: str, resolved: datetime) -> bytes:
    return _event(
        account,
        "outage.resolved",
        f"r-{number}",
        resolved,
        f'{{"outage_id":"{account}-{number}","subscription_id":"{account}-s","resolved_at":"{resolved.isoformat()}"}}',
    )


def _old_account(account: str) -> list[bytes]:
    """Ten years as they went by: a cycle a month, an outage of 30 hours every 18 days, told when it happened."""
    since = start = datetime(2016, 4, 1, tzinfo=UTC)
    told = [(since, line) for line in _new_account(account, since)[:2]]
    for _ in range(120):
        told.append((start, _cycle(account, start)))
        start = (start + timedelta(days=32)).replace(day=1)
    for number in range(200):
        began = since + timedelta(days=18 * number)
        resolved = began + timedelta(hours=30)
        told.append((began, _outage(account, f"h{number}", began, "significant")))
        told.append((resolved, _resolution(account, f"h{number}", resolved)))
    return [line for _, line in sorted(told)]


if __name__ == "__main__":
    main()
