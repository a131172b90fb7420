"""Finance's questions and exports over a million refunds, each beside the plain SQL of the same rows.

The refunds are those of one account, recorded by the ledger, whose rows are then copied under other accounts' names:
what is measured reads rows only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.houses import take
from bench.report import Section
from bench.timing import ROUNDS, timed
from ledger.store.database import Database
from makegood.access.sight import EVERYTHING
from makegood.answers import finance, owed
from makegood.house.opening import House
from projections.claims import CLAIMS
from projections.movements import MOVEMENTS
from projections.projection import Projection
from projections.refunds import REFUNDS, ROWS

EACH = 4
"""The refunds of one account."""
FORMATS = ("csv", "jsonl", "xlsx", "parquet")


def fill(house: House, refunds: int) -> None:
    """Have so many refunds: of one account by the ledger, of the others as copies of its rows."""
    take(house.ledger, _account())
    house.projections.catch_up()
    copies = refunds // EACH - 1
    for projection in (REFUNDS, MOVEMENTS, CLAIMS):
        _copy(house.database, projection, copies)


def _account() -> list[bytes]:
    at, source = "2026-03-01T00:00:00Z", "/bench"

    def message(number: int, kind: str, data: str) -> bytes:
        head = f'"specversion":"1.0","id":"b-{number}","source":"{source}","subject":"bench","time":"{at}"'
        return f'{{{head},"type":"voip.{kind}.v1","data":{{{data}}}}}'.encode()

    customer = '"customer":{"name":"N","email":"n@example.com"}'
    lines = [
        message(0, "account.registered", f'"time_zone":"UTC","currency":"EUR",{customer}'),
        message(
            1,
            "charge.posted",
            '"charge_id":"c","price":"100.00","tax":"19.00","currency":"EUR","invoice_id":"i","description":"d"',
        ),
        message(
            2,
            "payment.captured",
            '"payment_id":"p","invoice_id":"i","amount":"119.00","currency":"EUR","method":"card"',
        ),
    ]
    for number in range(EACH):
        confirmed = f'"dispute_id":"d{number}","charge_id":"c","amount":"{number + 1}.00","currency":"EUR"'
        lines.append(message(3 + number, "overcharge.confirmed", confirmed))
    return lines


def _copy(database: Database, projection: Projection, copies: int) -> None:
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies})"
    for table in projection.tables:
        name = projection.stored_name(table)
        columns = ", ".join(table.columns)
        copied = ", ".join(
            f"account || '-' || n AS {column}" if column == "account" else column for column in table.columns
        )
        with database.writing() as transaction:
            chosen = f"SELECT {copied} FROM {name}, numbers WHERE account = 'bench'"
            transaction.run(f"{numbers} INSERT INTO {name} ({columns}) {chosen}")


def measure(section: Section, house: House, store: str) -> None:
    """Ask each question, in turn with the SQL of the same rows."""
    database = house.database
    rows, made = REFUNDS.stored_name(ROWS), MOVEMENTS.stored_name(MOVEMENTS.tables[0])

    def sql(statement: str) -> Callable[[], object]:
        def ask() -> object:
            with database.reading() as transaction:
                return transaction.rows(statement)

        return ask

    questions: dict[str, tuple[Callable[[], object], str]] = {
        "refunds, all rows": (
            lambda: list(owed.refunds(house, EVERYTHING)),
            f"SELECT * FROM {rows} ORDER BY account, refund_id",
        ),
        "owed": (lambda: finance.owed_sums(house, EVERYTHING), f"SELECT currency, COUNT(*) FROM {rows} GROUP BY 1"),
        "owed by clause and age": (
            lambda: finance.owed_sums(house, EVERYTHING, ("clause", "age")),
            f"SELECT currency, COUNT(*) FROM {rows} GROUP BY 1",
        ),
        "movements by clause": (
            lambda: finance.movement_sums(house, EVERYTHING, ("clause",)),
            f"SELECT currency, kind, clause, SUM(net), SUM(tax), COUNT(*) FROM {made} GROUP BY 1, 2, 3",
        ),
    }
    for name, (ask, statement) in questions.items():
        plain, asked = [], []
        for _ in range(ROUNDS):
            plain.append(timed(sql(statement)))
            asked.append(timed(ask))
        beside = section.add(f"{store}, {name}: plain SQL", plain, "s")
        section.add(f"{store}, {name}", asked, "s", beside=beside.name)


MEASURED = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
"""A process between, which is small: of a child of ours, the greatest memory would be ours."""


def measure_exports(section: Section, store: str, url: str) -> None:
    """Write each format in a process of its own: seconds, and its greatest memory."""
    for format_ in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"refunds.{format_}"
            export = ["-m", "makegood.cli", "export", "refunds", "--format", format_, "--to", str(file)]
            command = [sys.executable, "-c", MEASURED, sys.executable, *export]
            started = time.monotonic()
            said = subprocess.run(
                command, check=True, env={**os.environ, "MAKEGOOD_STORE": url}, stdout=subprocess.PIPE
            )
            seconds, peak = time.monotonic() - started, int(said.stdout) / 1024
            size = file.stat().st_size / 1e6
            note = f"{size:.0f} MB; greatest memory {peak:.0f} MB"
            section.add(f"{store}, export as {format_}", [seconds], "s", note=note)
