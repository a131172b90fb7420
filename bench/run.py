"""`make bench`: what this machine does, each figure beside what it is to be compared with, in one run.

    python -m bench.run [--messages N] [--lives N] [--refunds N] [--accounts N] [--to FOLDER] [SECTION…]

It judges nothing. Kafka and PostgreSQL are found or started as the tests do it; what was used is told first. Sections
are printed as they are measured, and all of it is written to FOLDER as bench.md, to read, and bench.json, which
`make bench-compare A=… B=…` takes.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.parts.postgres import Postgres, find_postgres

from bench import (
    audit,
    cold,
    finance,
    floors,
    growing,
    intake,
    live,
    many_accounts,
    pages,
    projector,
    reading,
    shards,
    subscribers,
    verifying,
)
from bench.houses import house_at
from bench.messages import message_stream, messages
from bench.report import REPORT, Report
from consumers import files
from consumers.part import collect_rarely
from makegood.house.logs import configure_logs
from makegood.house.opening import open_house
from makegood.house.settings import Settings

Bench = Callable[[Report, Postgres, Path, argparse.Namespace], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; all by default")
    parser.add_argument("--messages", type=int, default=20_000, help="how many messages a round takes in")
    parser.add_argument("--lives", type=int, default=4_000, help="how many account lives a round takes in")
    parser.add_argument("--rates", type=int, nargs="+", default=[250, 500, 1_000], help="messages a second, live")
    parser.add_argument("--seconds", type=int, default=60, help="how long each rate of live traffic lasts")
    parser.add_argument("--beside", type=int, default=10_000, help="beside how many accounts live traffic comes")
    parser.add_argument("--refunds", type=int, default=1_000_000, help="over how many refunds finance asks")
    parser.add_argument("--verified", type=int, default=400_000, help="how many messages, of 2.3 events")
    parser.add_argument("--accounts", type=int, default=100_000, help="over how many accounts pages are asked for")
    parser.add_argument("--requests", type=int, default=40, help="how often each page is asked for")
    parser.add_argument("--subscribers", type=int, default=3_000, help="of how many it is told what one costs")
    parser.add_argument("--to", type=Path, default=REPORT, help=f"where the report goes ({REPORT})")
    asked = parser.parse_args()
    if unknown := set(asked.sections) - SECTIONS.keys():
        parser.error(f"no section {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}")
    configure_logs("error")
    collect_rarely()
    with find_postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        report = Report.begin(PostgreSQL=postgres.origin)
        for name in asked.sections or SECTIONS:
            SECTIONS[name](report, postgres, Path(folder), asked)
            report.write(asked.to)
    print(f"\nwritten to {asked.to}/bench.md and {asked.to}/bench.json")


def _stores(postgres: Postgres, folder: Path, name: str) -> Iterator[tuple[str, str]]:
    yield "SQLite", f"sqlite:///{folder}/{name}.db"
    yield "PostgreSQL", postgres.new_database()


def _cold(report: Report, postgres: Postgres, folder: Path, asked: argparse.Namespace) -> None:
    section = report.section(
        "Opening an account that is not in memory",
        "CPU of our process for one account of ten years, opened by a process that has just begun, in turn: by its "
        "snapshot, and by replaying all its events.",
    )
    for name, url in _stores(postgres, folder, "cold"):
        with house_at(url) as house:
            cold.measure(section, name, house)


def _audit(report: Report, postgres: Postgres, folder: Path, asked: argparse.Namespace) -> None:
    section = report.section(
        f"The Merkle tree over the events of {asked.messages:,} messages",
        "Beside the intake that it is to cost little of; durable commits.",
    )
    lines, numbers = messages(asked.messages), itertools.count()
    urls: dict[str, Callable[[], str]] = {
        "SQLite": lambda: f"sqlite:///{folder}/audit-{next(numbers)}.db",
        "PostgreSQL": postgres.new_database,
    }
    for name, url in urls.items():
        audit.measure_appending(
            section,
            name,
            lambda: house_at(url()),  # noqa: B023
            lambda house: files.ingest(house.ledger, lines, "bench"),
        )


def _verifying(report: Report, postgres: Postgres, folder: Path, asked: argparse.Namespace) -> None:
    section = report.section(
        f"Verifying what {asked.verified:,} messages became",
        "A store with all its tables, and its log in a folder; and proofs out of it.",
    )
    for name, url in _stores(postgres, folder, "verified"):
        with house_at(url) as house:
            files.ingest(house.ledger, itertools.islice(message_stream(), asked.verified), "bench")
            house.projections.catch_up()
            verifying.measure(section, house, name, folder / f"log-{name}")
            audit.measure_proofs(section, name, house)


def _finance(report: Report, postgres: Postgres, folder: Path, asked: argparse.Namespace) -> None:
    section = report.section(
        f"Finance's questions over {asked.refunds:,} refunds",
        "Beside the plain SQL of the same rows; exports each in a process of its own.",
    )
    for name, url in _stores(postgres, folder, "finance"):
        with house_at(url) as house:
            finance.fill(house, asked.refunds)
            finance.measure(section, house, name)
        finance.measure_exports(section, name, url)


def _pages(report: Report, postgres: Postgres, folder: Path, asked: argparse.Namespace) -> None:
    section = report.section(
        f"Pages over {asked.accounts:,} accounts",
        "Each request in turn with the statements that it asks, run alone. The mark: the 95th percentile under "
        f"{pages.MARK_TIMES} times theirs and {pages.MARK_MORE} ms.",
    )
    for name, url in _stores(postgres, folder, "pages"):
        with house_at(url, sandbox=True) as house:
            pages.fill(house, asked.accounts)
            pages.measure(section, house, name, asked.requests)


def _reading(report: Report, postgres: Postgres, folder: Path, asked: argparse.Namespace) -> None:
    section = report.section(
        f"Reading over {asked.accounts:,} accounts",
        f"Each answer as the application gives it, in process. The marks, of the 99th percentile: "
        f"{reading.MARK_ACCOUNT} ms for an account's, {reading.MARK_LIST} ms for a list's first and thousandth page. "
        "Sums over all accounts have none.",
    )
    for name, url in _stores(postgres, folder, "reading"):
        recorded = many_accounts.fill(url, asked.accounts)
        with open_house(Settings(store=url)) as house:
            reading.measure(section, house, name, recorded, asked.requests)


SECTIONS: dict[str, Bench] = {
    "intake": lambda report, postgres, folder, asked: intake.measure(report, postgres, folder, asked.messages),
    "lives": lambda report, postgres, folder, asked: intake.measure_lives(report, postgres, asked.lives),
    "accounts": lambda report, postgres, folder, asked: intake.measure_accounts(
        report, postgres, asked.messages // 4
    ),
    "projector": lambda report, postgres, folder, asked: projector.measure(report, postgres, 3 * asked.messages),
    "floors": lambda report, postgres, folder, asked: floors.measure(report, postgres, 2 * asked.messages),
    "live": lambda report, postgres, folder, asked: live.measure(
        report, postgres, asked.rates, asked.seconds, asked.beside
    ),
    "account": lambda report, postgres, folder, asked: intake.measure_account(report, folder),
    "shards": lambda report, postgres, folder, asked: shards.measure(report, postgres, asked.lives),
    "subscribers": lambda report, postgres, folder, asked: subscribers.measure(report, postgres, asked.subscribers),
    "growing": lambda report, postgres, folder, asked: growing.measure(report, postgres, asked.accounts),
    "cold": _cold,
    "audit": _audit,
    "verifying": _verifying,
    "finance": _finance,
    "pages": _pages,
    "reading": _reading,
}

if __name__ == "__main__":
    main()
