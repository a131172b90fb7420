"""Account lives in Emmett on PostgreSQL (`emmett/lives.js`, as its documentation has it), and in ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from tests.parts import PartFailed
from tests.parts.postgres import Postgres, find_postgres

from bench.houses import house_at, in_parts, take_all
from bench.intake import AT_ONCE
from bench.messages import known, lives
from bench.peers.installing import command, done, installed
from bench.report import Report
from bench.timing import ROUNDS, Took, in_turn, took
from ledger.application.warm import WARM_BYTES_MAX
from ledger.store.database import Database
from makegood.house.opening import House
from projections.claims import CLAIMS, ROWS

SOURCE = Path(__file__).parent / "emmett"
LOCK, PROGRAM = (SOURCE / "package.json", SOURCE / "package-lock.json"), SOURCE / "lives.js"
NAME, OURS = "Emmett", "Makegood"
CALLERS = 8
WARM_UP = 100
"""So many lives of other accounts are taken before those that are measured, by both."""
ONE_BY_ONE = 10
"""Of so many lives one is taken message by message."""
LIFE = 3
"""Messages of a life."""
CLAIMS_OF_LIFE = 2

Lines = Sequence[bytes]


def measure(report: Report, count: int) -> None:
    """So many account lives, whole and message by message. Raises PartMissing and PartFailed."""
    _program()  # what cannot be had is told before anything is measured
    with find_postgres() as postgres:
        _whole(report, postgres, count)
        _one_by_one(report, postgres, max(1, count // ONE_BY_ONE))


def _program() -> list[str]:
    """What runs it, installed where it is not."""
    node = command("node", "install Node.js, 20 or later")
    return [node, str(installed("emmett", [*LOCK, PROGRAM], _install) / PROGRAM.name)]


def _install(folder: Path) -> None:
    npm = command("npm", "install Node.js, 20 or later, with npm")
    for path in (*LOCK, PROGRAM):
        shutil.copy(path, folder)
    installing = [npm, "--prefix", folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done(installing, "npm could not install Emmett from its registry")


def _origin(postgres: Postgres) -> str:
    pinned = json.loads(LOCK[0].read_text(encoding="utf-8"))["dependencies"]
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"Emmett {pinned['@event-driven-io/emmett-postgresql']} with node-postgres {pinned['pg']} on Node.js {node}, "
        f"in a process of its own; {postgres.origin}, the same for both, with durable commits."
    )


_THE_WORK = (
    "A life is a cycle, a confirmed overcharge of it and a cancellation, three messages of an account that is "
    "registered before; it ends in two claims, which are counted on both sides. "
    "Emmett: a stream for each account, a decider that appends the fact and the claim that it opens, and one inline "
    "projection, a row for each claim, written in the append's transaction. It has no inbox, contradictions, "
    "settlement or signed chain, one rule for each amount, and one table. "
    "Makegood does all that, and its projector fills all its tables. Both read the messages' JSON, and are measured "
    f"until the rows that answer are there, after {WARM_UP} lives of other accounts. CPU is that of each side's "
    "process, not of the server."
)


def _whole(report: Report, postgres: Postgres, count: int) -> None:
    section = report.section(
        f"{count:,} account lives beside Emmett, in batches",
        f"{_THE_WORK} Emmett: the three messages of a life in one call of its DeciderCommandHandler, so in one "
        "append, which is as much as it writes in a transaction (in a session of it too each append commits by "
        f"itself); {CALLERS} lives at a time over a pool of {CALLERS} connections. Makegood: one caller, {AT_ONCE} "
        f"messages in a transaction; it keeps {WARM_BYTES_MAX >> 20} MiB of accounts in memory and loads the others. "
        f"{_origin(postgres)}",
    )

    def ours(house: House, told: Sequence[Lines]) -> None:
        take_all(house.ledger, [line for lines in told for line in lines], AT_ONCE)

    works = {
        NAME: lambda: _emmett(postgres, count, callers=CALLERS, whole=True),
        OURS: lambda: _makegood(postgres, count, ours),
    }
    in_turn(section, ROUNDS, LIFE * count, "messages/s", works, beside=NAME)


def _one_by_one(report: Report, postgres: Postgres, count: int) -> None:
    section = report.section(
        f"{count:,} account lives beside Emmett, message by message",
        f"{_THE_WORK} Each message is durable before the next one of its account is taken. Emmett: a call of its "
        "DeciderCommandHandler for each, which reads the account's stream, and a pool of as many connections as "
        "callers. Makegood: a transaction for each, by a process that has the account in memory; callers are threads "
        f"of it, and the projector runs when all messages are taken. {_origin(postgres)}",
    )
    for callers in (1, CALLERS):
        said = "one caller" if callers == 1 else f"{callers} callers"
        emmett, makegood = f"{NAME}, {said}", f"{OURS}, {said}"
        works = {
            emmett: partial(_emmett, postgres, count, callers=callers, whole=False),
            makegood: partial(_makegood, postgres, count, partial(_by_callers, callers)),
        }
        in_turn(section, ROUNDS, LIFE * count, "messages/s", works, beside=emmett)


def _by_callers(callers: int, house: House, told: Sequence[Lines]) -> None:
    """Each caller takes the next life that is left, message by message, until none is."""
    left = iter(told)

    def call() -> None:
        for lines in left:
            take_all(house.ledger, lines, 1)

    with ThreadPoolExecutor(callers) as threads:
        for caller in [threads.submit(call) for _ in range(callers)]:
            caller.result()


def _makegood(postgres: Postgres, count: int, work: Callable[[House, Sequence[Lines]], None]) -> Took:
    with house_at(postgres.new_database()) as house:
        take_all(house.ledger, known(count + WARM_UP), AT_ONCE)

        def done(told: Sequence[Lines]) -> None:
            work(house, told)
            house.projections.catch_up()

        done(_lives(WARM_UP, first=count))
        spent = took(lambda: done(_lives(count)))
        _check(OURS, _granted(house.database), count + WARM_UP)
        return spent


def _granted(database: Database) -> Mapping[str, int]:
    with database.reading() as transaction:
        return dict(
            transaction.rows(
                f"SELECT account, COUNT(*) FROM {CLAIMS.stored_name(ROWS)} WHERE outcome = 'granted' GROUP BY account"
            )
        )


def _emmett(postgres: Postgres, count: int, *, callers: int, whole: bool) -> Took:
    job: dict[str, Any] = {
        "url": postgres.new_database(),
        "callers": callers,
        "whole": whole,
        "registered": _text(in_parts(known(count + WARM_UP), 2)),
        "warm_up": _text(_lives(WARM_UP, first=count)),
        "lives": _text(_lives(count)),
    }
    done = subprocess.run(_program(), input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PartFailed(f"its program ended with {done.returncode}:\n{done.stderr[-4000:]}")
    told = json.loads(done.stdout)
    with psycopg.connect(job["url"]) as connection:
        rows = connection.execute("SELECT account, COUNT(*) FROM owed GROUP BY account").fetchall()
    _check(NAME, dict(rows), count + WARM_UP)
    expected = {"messages": LIFE * count, "rows": CLAIMS_OF_LIFE * (count + WARM_UP)}
    if (differing := {name: told[name] for name in expected}) != expected:
        raise RuntimeError(f"what was measured is not what it says: {NAME} told {differing}, not {expected}")
    return Took(seconds=told["seconds"], cpu=told["cpu"])


def _check(name: str, claims: Mapping[str, int], accounts: int) -> None:
    """Every life must have ended in its claims. Raises RuntimeError."""
    if len(claims) != accounts or set(claims.values()) != {CLAIMS_OF_LIFE}:
        raise RuntimeError(
            f"what was measured is not what it says: {name} has {sum(claims.values())} claims of {len(claims)} "
            f"accounts, not {CLAIMS_OF_LIFE} of each of {accounts}"
        )


def _lives(count: int, first: int = 0) -> Sequence[Lines]:
    return list(in_parts(lives(count, first), LIFE))


def _text(told: Iterable[Lines]) -> list[list[str]]:
    return [[line.decode() for line in lines] for lines in told]
