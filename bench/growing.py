"""A store that grows to very many accounts: what a message and an event cost on the way, and how much memory the
process takes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.parts.postgres import Postgres

from bench.houses import house_at, in_parts, take_all
from bench.messages import cycle, known
from bench.report import Report, Section
from bench.timing import Spending, Spent
from ledger.store.reading.shards import shard_ends
from makegood.house.opening import House

AT_ONCE = 500
TENTHS = 10
VISITS = 5_000
"""So many accounts, anywhere in the store, have a message after each tenth of the growing."""
ROUNDS = 10
"""Into so many rounds each of these is divided, for the spread."""
SINCE = datetime(2025, 9, 1, tzinfo=UTC)


def measure(report: Report, postgres: Postgres, accounts: int) -> None:
    """From none to so many accounts, in ten tenths."""
    section = report.section(
        f"A store that grows to {accounts:,} accounts",
        "After each tenth, processor time: of a message of a new account (two messages each, "
        f"{AT_ONCE} in a transaction, PostgreSQL with fsync), of one of {VISITS:,} accounts anywhere in the store, "
        "which as a rule are not in memory, and of an event projected. And what the process takes in memory.",
    )
    url, chosen = postgres.new_database(), random.Random(1)
    with house_at(url) as house:
        growing = _Growing(section, house, Spending(url))
        for tenth in range(TENTHS):
            first, end = (number * accounts // TENTHS for number in (tenth, tenth + 1))
            growing.about = f"{end:,} accounts"
            growing.take("of a new account", known(end - first, first, SINCE))
            month = SINCE + timedelta(days=31 * tenth)
            visited = chosen.sample(range(end), min(VISITS, end))
            growing.take("of one anywhere", [cycle(f"life-{number}", month.replace(day=1)) for number in visited])
            growing.project()
            section.add(f"{growing.about}: memory", [_memory()], "MiB")


class _Growing:
    def __init__(self, section: Section, house: House, spending: Spending) -> None:
        self._section, self._house, self._spending = section, house, spending
        self.about = ""

    def take(self, whose: str, lines: Sequence[bytes]) -> None:
        """Messages in one tenth, in rounds."""
        size = -(-len(lines) // ROUNDS)
        spent = [
            (self._spending.of(lambda: take_all(self._house.ledger, part, AT_ONCE)), len(part))  # noqa: B023
            for part in in_parts(lines, size)
        ]
        self._add(f"a message {whose}", spent)

    def project(self) -> None:
        """What was recorded since."""
        with self._house.database.reading() as transaction:
            [(shard, end)] = shard_ends(transaction).items()
        behind = end - self._house.projections.position_reached(shard)
        self._add("an event projected", [(self._spending.of(self._house.projections.catch_up), behind)])

    def _add(self, what: str, spent: Sequence[tuple[Spent, int]]) -> None:
        ours = [1e6 * each.ours / count for each, count in spent]
        servers = [1e6 * each.server / count for each, count in spent]
        self._section.add(f"{self.about}: {what}: ours", ours, "µs")
        self._section.add(f"{self.about}: {what}: PostgreSQL's", servers, "µs")


def _memory() -> float:
    """What of this process is in memory now, in MiB."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024
