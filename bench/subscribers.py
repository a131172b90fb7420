"""What a subscriber costs, in processor time and in bytes: what `bench/scale.py` reckons from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import psycopg
from tests.parts.kafka import find_kafka
from tests.parts.postgres import Postgres

from bench.houses import house_at, relay, take_all
from bench.messages import cancellation, cycle, known, outage, overcharge, payment, resolution
from bench.report import Report, Section
from bench.timing import Spending, Spent
from consumers.checkpoints.signing import grow_to_end
from consumers.kafka.cluster import Cluster
from consumers.kafka.topics import TOPICS
from ledger.application.due_work import do_due_work
from ledger.application.ledger import Ledger
from ledger.store.reading.shards import shard_ends
from makegood.house.clock import system_clock
from makegood.house.opening import House
from projections.catalog import CATALOG
from projections.rebuild import Rebuild

AT_ONCE = 500
MONTHS = tuple(datetime(2025 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(9, 21))
"""The twelve months of the store."""
OF_THOUSAND = {"outages": 40, "overcharges": 5, "cancellations": 10}
"""How many of 1,000 subscribers it happens to in a month, beside the cycle and the payment that everyone has."""
SECTION = "What a subscriber costs"


def measure(report: Report, postgres: Postgres, subscribers: int) -> None:
    """A year of so many subscribers, and an outage that touches all of them."""
    with find_kafka() as kafka:
        section = report.section(
            SECTION,
            f"{subscribers:,} subscribers for {len(MONTHS)} months: a cycle and a payment a month, and of 1,000 in a "
            f"month {', '.join(f'{count} {what}' for what, count in OF_THOUSAND.items())}. In batches of {AT_ONCE} "
            "messages into PostgreSQL with fsync; no account is in memory when its message comes, as with very many. "
            f"Processor time is ours and PostgreSQL's. Kafka: {kafka.origin}.",
        )
        cluster = Cluster(kafka.bootstrap, group="bench-subscribers")
        cluster.create_topics(TOPICS)
        url = postgres.new_database()
        accounts = [f"life-{number}" for number in range(subscribers)]
        with house_at(url) as house:
            measuring = _Measuring(section, url, house)
            take_all(house.ledger, known(subscribers), AT_ONCE)
            _year(measuring, accounts)
            _outage_of_all(measuring, accounts)
            _followers(measuring, cluster)


class _Measuring:
    def __init__(self, section: Section, url: str, house: House) -> None:
        self.section, self.url, self.house = section, url, house
        self.spent = Spending(url).of

    def take(self, lines: Sequence[bytes]) -> Spent:
        """Messages of accounts of which none is in memory."""
        ledger = Ledger(self.house.database, self.house.vault, system_clock)
        return self.spent(lambda: take_all(ledger, lines, AT_ONCE))

    def end(self) -> int:
        with self.house.database.reading() as transaction:
            return sum(shard_ends(transaction).values())

    def add(self, name: str, spent: Sequence[Spent], count: int) -> None:
        """Keep what each of so many things took, in microseconds."""
        self.section.add(f"{name}: ours", [1e6 * each.ours / count for each in spent], "µs")
        self.section.add(f"{name}: PostgreSQL's", [1e6 * each.server / count for each in spent], "µs")

    def bytes(self) -> tuple[int, int, int]:
        """Of the whole database, of the projections in it, and of what was ever written to its log."""
        names = [projection.stored_name(table) for projection in CATALOG for table in projection.tables]
        with psycopg.connect(self.url) as connection:
            [found] = connection.execute(
                "SELECT pg_database_size(current_database()), "
                "(SELECT CAST(SUM(pg_total_relation_size(oid)) AS BIGINT) FROM pg_class WHERE relname = ANY (%s)), "
                "CAST(pg_current_wal_lsn() - '0/0' AS BIGINT)",
                (names,),
            ).fetchall()
        return found


def _year(measuring: _Measuring, accounts: Sequence[str]) -> None:
    """What is told are the last three months, of accounts that have nine behind them."""
    section, left, taken = measuring.section, list(accounts), []
    for number, start in enumerate(MONTHS):
        if number == len(MONTHS) - 3:
            begun = measuring.end(), *measuring.bytes()
            messages = subscribers = 0
        spent = []
        for lines in _month(left, number, start):
            spent.append(measuring.take(lines))
            if number >= len(MONTHS) - 3:
                messages += len(lines)
        spent.append(measuring.spent(lambda: do_due_work(measuring.house.ledger, measuring.house.now())))
        measuring.house.projections.catch_up()
        if number >= len(MONTHS) - 3:
            subscribers += len(left)
            taken.append(Spent(sum(each.ours for each in spent), sum(each.server for each in spent)))
        leaving = {account for account in left if _happens(account, number, "cancellations")}
        left = [account for account in left if account not in leaving]
    events, whole, projected, written = (
        now - then for now, then in zip((measuring.end(), *measuring.bytes()), begun, strict=True)
    )
    measuring.add("a subscriber's month", taken, subscribers // 3)
    section.add("a subscriber's month: messages", [messages / subscribers], "")
    section.add("a subscriber's month: events", [events / subscribers], "")
    section.add("a subscriber's month: in the ledger's tables", [(whole - projected) / subscribers], "bytes")
    section.add("a subscriber's month: in the projections'", [projected / subscribers], "bytes")
    section.add("a subscriber's month: in the database's log", [written / subscribers], "bytes")


def _month(accounts: Sequence[str], number: int, start: datetime) -> Iterator[list[bytes]]:
    """The messages of a month, as they come: first all cycles, then all payments, and so on."""
    yield [cycle(account, start) for account in accounts]
    yield [payment(account, start) for account in accounts]
    struck = [account for account in accounts if _happens(account, number, "outages")]
    began = start + timedelta(days=3)
    yield [outage(account, f"m{number}", began, "significant") for account in struck]
    yield [resolution(account, f"m{number}", began + timedelta(hours=30)) for account in struck]
    yield [overcharge(account, start) for account in accounts if _happens(account, number, "overcharges")]
    at = start + timedelta(days=20)
    yield [cancellation(account, at) for account in accounts if _happens(account, number, "cancellations")]


def _happens(account: str, month: int, what: str) -> bool:
    """Spread evenly over accounts and months."""
    shift = 337 * (1 + list(OF_THOUSAND).index(what))
    return (int(account.rpartition("-")[2]) * 7 + month * 83 + shift) % 1_000 < OF_THOUSAND[what]


def _outage_of_all(measuring: _Measuring, accounts: Sequence[str]) -> None:
    began = MONTHS[-1] + timedelta(days=12)
    with measuring.house.database.reading() as transaction:
        ended = transaction.rows("SELECT account FROM events WHERE type = 'cancellation-requested.v1'")
    left = sorted(set(accounts) - {account for (account,) in ended})
    before = measuring.end()
    reports = measuring.take([outage(account, "all", began, "significant") for account in left])
    ends = measuring.take([resolution(account, "all", began + timedelta(hours=30)) for account in left])
    measuring.add("an outage's report", [reports], len(left))
    measuring.add("an outage's end, and its credit", [ends], len(left))
    measuring.section.add("an outage's report and end: events", [(measuring.end() - before) / len(left)], "")


def _followers(measuring: _Measuring, cluster: Cluster) -> None:
    """What follows the ledger: of the outage's events the projections, of all events the relay, the tree and a
    rebuild."""
    house, end = measuring.house, measuring.end()
    with house.database.reading() as transaction:
        [shard] = shard_ends(transaction)
    behind = end - house.projections.position_reached(shard)
    measuring.add("projected, an event", [measuring.spent(house.projections.catch_up)], behind)
    measuring.add("relayed, an event", [measuring.spent(lambda: relay(house, cluster, end))], end)
    measuring.add(
        "into the Merkle tree, an event", [measuring.spent(lambda: grow_to_end(house.database, shard))], end
    )
    rebuilding = Rebuild(house.database, CATALOG)

    def rebuild() -> None:
        rebuilding.begin(anew=True)
        rebuilding.build()
        rebuilding.put_in_place()

    measuring.add("rebuilt, an event", [measuring.spent(rebuild)], end)
    with house.database.reading() as transaction:
        [(size,)] = transaction.rows("SELECT CAST(SUM(octet_length(envelope)) AS BIGINT) FROM events")
    measuring.section.add("an envelope", [size / end], "bytes", note="on Kafka before it is compressed")
