"""Live traffic: from a message published on Kafka until its refund is found by a query, with all parts at work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import psycopg
from confluent_kafka import Consumer, TopicPartition
from tests.parts.kafka import find_kafka
from tests.parts.postgres import Postgres

from bench.houses import house_at, take_all
from bench.messages import known, paid_back
from bench.report import Report, Section
from consumers.kafka.cluster import Cluster
from consumers.kafka.publish import publish
from consumers.kafka.topics import TOPICS, UPSTREAM
from ledger.store.connecting import connect
from makegood.answers.status import look
from makegood.house.settings import Settings
from makegood.program.running import PARTS
from projections.refunds import REFUNDS, ROWS

MARK = 250
"""Milliseconds within which 99 of 100 refunds are to be seen."""
BEGINNING = 10
"""Seconds after the first message that are told apart: the process begins with no account in memory."""
STEP = 0.01
"""Seconds between two looks at the refunds, and between two handfuls of messages."""
PATIENCE = 60
"""Seconds for which the last refunds are waited for."""
UP_TO = (25, 50, 100, 250, 500, 1_000)
"""Milliseconds: the histogram's bounds."""
PROCESSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "in one process": ((),),
    "intake apart": (("intake",), tuple(part for part in PARTS if part != "intake")),
}
"""The parts of each process; all where none is named."""
LOOKED_FOR = ("0", "5")
"""How the names of the accounts end whose refunds are looked for: looking for all of them costs the server too much.
"""
OF_A_LIFE = 6
"""The messages of an account."""
OURS = (
    f"SELECT DISTINCT account FROM {REFUNDS.stored_name(ROWS)} "
    "WHERE account IN (?*) AND refund_id LIKE 'refund/unused/%'"
)
"""Asks which accounts' last refunds are there."""
KEPT = f"SELECT account FROM kept WHERE account IN (?*) GROUP BY account HAVING COUNT(*) = {OF_A_LIFE}"
"""Asks which accounts' last messages are there, where each is kept as a row and nothing else."""


@dataclass(slots=True)
class Watch:
    """When the last message of each account was published, and how long it took until what comes of it was seen."""

    begun: float = field(default_factory=time.perf_counter)
    published: dict[str, float] = field(default_factory=dict)
    took: list[tuple[float, float]] = field(default_factory=list)
    """The second after the beginning at which each was published, and the milliseconds until it was seen."""

    def see(self, accounts: Sequence[str]) -> None:
        """These accounts' refunds are found now."""
        now = time.perf_counter()
        for account in accounts:
            at = self.published.pop(account)
            self.took.append((at - self.begun, (now - at) * 1e3))


def measure(report: Report, postgres: Postgres, rates: Sequence[int], seconds: int, accounts: int) -> None:
    """Traffic at each of some rates for so long, into a store that has so many accounts before."""
    with find_kafka() as kafka:
        section = report.section(
            f"Live, for {seconds} s each, beside {accounts:,} accounts",
            "`makegood run` with all parts; PostgreSQL with fsync, Kafka and who publishes beside it. "
            f"The last of each account's {OF_A_LIFE} messages makes a refund due; told is how long "
            f"after it was published a query finds that, looked for every {STEP * 1e3:.0f} ms. The mark: {MARK} ms "
            "for 99 of 100 at 1,000 messages/s. What it takes at least: a program that reads the topic and keeps "
            f"each message as a row, whatever came together in one durable commit. Kafka: {kafka.origin}.",
        )
        cluster = Cluster(kafka.bootstrap, group="bench-live")
        cluster.create_topics(TOPICS)
        url = postgres.new_database()
        with house_at(url) as house:
            take_all(house.ledger, known(accounts // 2), 500)
            house.projections.catch_up()
        with running(url, kafka.bootstrap, ()):
            _come_to_rest(Settings(store=url, kafka=kafka.bootstrap))
        lives = paid_back()
        for rate in rates:
            for name, processes in PROCESSES.items():
                with ExitStack() as stack:
                    begun = [stack.enter_context(running(url, kafka.bootstrap, parts)) for parts in processes]
                    pids = [process.pid for process in begun]
                    _at(section, f"{rate:,} messages/s, {name}", url, OURS, cluster, lives, rate, seconds, pids)
            with _begun([sys.executable, "-m", "bench.live", url, kafka.bootstrap]) as process:
                name = f"{rate:,} messages/s, kept as rows alone"
                _at(section, name, url, KEPT, cluster, lives, rate, seconds, [process.pid])


def _come_to_rest(settings: Settings) -> None:
    """Wait until every part has done what there was for it to do, as in a store that is in use."""
    while any(lag.behind for lag in look(settings).lags):
        time.sleep(1)


@contextmanager
def running(url: str, bootstrap: str, parts: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Some parts, or all, in a process of their own, from when they are ready."""
    places = ["--store", url, "--kafka", bootstrap, "--http", "127.0.0.1:0"]
    with _begun([sys.executable, "-m", "makegood.cli", "run", *parts, *places]) as process:
        yield process


@contextmanager
def _begun(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process from when it says that it is ready."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "MAKEGOOD_LOG": "error"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.strip() == "ready":
                break
        else:
            raise RuntimeError(f"the process ended before it was ready: {''.join(said)}")
        # Whatever else it says must not fill the pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield process
    finally:
        process.terminate()
        process.wait(60)


def keep(url: str, bootstrap: str) -> None:
    """Keep each message of upstream's topic as a row, from now on and for ever; says `ready`."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-kept"})
    partitions = consumer.list_topics(UPSTREAM.name, timeout=30).topics[UPSTREAM.name].partitions
    ends = [TopicPartition(UPSTREAM.name, number) for number in partitions]
    for each in ends:
        each.offset = consumer.get_watermark_offsets(each, timeout=30)[1]
    consumer.assign(ends)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (account TEXT, message BYTEA)")
        connection.execute("CREATE INDEX IF NOT EXISTS kept_by_account ON kept (account)")
        print("ready", file=sys.stderr, flush=True)
        while True:
            lines = [message.value() or b"" for message in consumer.consume(500, STEP) if message.error() is None]
            if lines:
                rows = list(map(_account, lines)), lines
                connection.execute(
                    "INSERT INTO kept SELECT * FROM unnest(%s::text[], %s::bytea[])", rows, binary=True
                )


def _at(
    section: Section,
    name: str,
    url: str,
    question: str,
    cluster: Cluster,
    lives: Iterator[bytes],
    rate: int,
    seconds: int,
    pids: Sequence[int],
) -> None:
    watch, publishing, cpu = Watch(), threading.Event(), sum(map(_cpu, pids))
    looking = threading.Thread(target=_look, args=(url, question, watch, publishing))
    looking.start()
    count = _publish(cluster, lives, rate, seconds, watch)
    publishing.set()
    lasted = time.perf_counter() - watch.begun
    looking.join()
    spent = (sum(map(_cpu, pids)) - cpu) * 1e3 / count
    first = [took for at, took in watch.took if at < BEGINNING]
    then = [took for at, took in watch.took if at >= BEGINNING] or first
    missing = f", {len(watch.published):,} refunds not seen within {PATIENCE} s" if watch.published else ""
    of_all = f"{count / lasted:,.0f} messages/s were published{missing}"
    section.add(f"{name}: half", [_percentile(then, 50)], "ms", cpu=[spent], note=of_all)
    section.add(f"{name}: 99 of 100", [_percentile(then, 99)], "ms", note=_histogram(then))
    section.add(f"{name}: 99 of 100 of the first {BEGINNING} s", [_percentile(first, 99)], "ms")
    section.add(f"{name}: the longest", [max(then)], "ms")


def _publish(cluster: Cluster, lives: Iterator[bytes], rate: int, seconds: int, watch: Watch) -> int:
    """Publish whole lives in a steady stream; how many messages it was."""
    count = 0
    with closing(cluster.sender("bench")) as sender:
        while (elapsed := time.perf_counter() - watch.begun) < seconds:
            handful = [next(lives) for _ in range(int((elapsed * rate - count) / OF_A_LIFE) * OF_A_LIFE)]
            now = time.perf_counter()
            last = [_account(line) for line in handful[OF_A_LIFE - 1 :: OF_A_LIFE]]
            watch.published.update({account: now for account in last if account.endswith(LOOKED_FOR)})
            count += publish(handful, sender)
            time.sleep(STEP)
    return count


def _account(line: bytes) -> str:
    return line.partition(b'"subject":"')[2].partition(b'"')[0].decode()


def _look(url: str, question: str, watch: Watch, publishing: threading.Event) -> None:
    """Ask which accounts' last messages have come to be seen, again and again."""
    until = None
    with closing(connect(url)) as database:
        while until is None or (watch.published and time.perf_counter() < until):
            with database.writing() as transaction:  # which finds rows by their keys, however fast a table grows
                found = transaction.rows_in(question, list(watch.published))
            watch.see([account for (account,) in found])
            if until is None and publishing.is_set():
                until = time.perf_counter() + PATIENCE
            time.sleep(STEP)


def _cpu(pid: int) -> float:
    """The seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _percentile(values: Sequence[float], of: int) -> float:
    return quantiles(values, n=100, method="inclusive")[of - 1]


def _histogram(values: Sequence[float]) -> str:
    shares = (f"{sum(value <= bound for value in values) / len(values):.1%} ≤ {bound:,} ms" for bound in UP_TO)
    return ", ".join(shares)


if __name__ == "__main__":
    keep(*sys.argv[1:])
