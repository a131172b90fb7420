"""Finance's views in the tools that finance has: psql with a role of its own, and Datasette."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from ledger.store.database import beside
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from projections.finance_views import FINANCE
from projections.making_views import all_views
from tests.door.conftest import ROOT, SAMPLE, Door, with_twenty_accounts_in_july
from tests.parts.postgres import Postgres, psql
from tests.parts.process import free_ports

pytestmark = pytest.mark.long

NAMES = [view.name for view in all_views(FINANCE)]
GUIDE = (ROOT / "docs" / "finance-views.md").read_text(encoding="utf-8")


def sql_in_guide(of: str) -> list[str]:
    """The statements of the guide that stand under a comment."""
    return re.findall(rf"<!-- {of} -->\n```sql\n(.*?)```", GUIDE, re.DOTALL)


class Client:
    """psql, connected to a database as some role."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, *statements: str) -> subprocess.CompletedProcess[str]:
        command = [str(psql()), "--no-psqlrc", "--csv", "--set=ON_ERROR_STOP=1", "--dbname", self.url]
        commands = [part for statement in statements for part in ("--command", statement)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.run(
            [*command, *commands], capture_output=True, text=True, timeout=60, check=False, env=environment
        )

    def rows(self, statement: str) -> list[list[str]]:
        """What a query finds."""
        done = self(statement)
        assert done.returncode == 0, done.stderr
        return [line.split(",") for line in done.stdout.splitlines()[1:]]

    def refused(self, *statements: str) -> str:
        """Why one of some statements is not carried out."""
        done = self(*statements)
        assert done.returncode != 0, f"carried out: {statements}: {done.stdout}"
        return done.stderr


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[str]:
    """A store with twenty accounts in a database of its own, as in production."""
    url = postgres.new_database()
    with_twenty_accounts_in_july(url)
    yield url
    for database in (url, beside(url, "vault")):
        postgres.drop_database(database)


def as_role(url: str, name: str, password: str) -> str:
    at = urlsplit(url)
    return urlunsplit(at._replace(netloc=f"{name}:{password}@{at.netloc.rpartition('@')[2]}"))


@pytest.fixture(scope="module")
def reader(server: str, postgres: Postgres) -> Iterator[Client]:
    """The role that the guide makes, under a name of this run's."""
    (statements,) = sql_in_guide("the role")
    name = f"makegood_test_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as owner:
        user = owner.info.user
        told = statements.replace("finance_reader", name).replace("'choose one'", "'hidden'")
        owner.execute(told.replace("FOR ROLE makegood", f'FOR ROLE "{user}"'))  # type: ignore[call-overload]
    yield Client(as_role(server, name, "hidden"))
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {name}")  # type: ignore[call-overload]
        owner.execute(f"DROP ROLE {name}")  # type: ignore[call-overload]


def everything(url: str) -> list[str]:
    """All tables of a database."""
    with psycopg.connect(url) as owner:
        found = owner.execute(
            "SELECT quote_ident(relname) FROM pg_class WHERE relkind IN ('r', 'p', 'S') "
            "AND relnamespace = 'public'::regnamespace"
        ).fetchall()
    return [name for (name,) in found]


# --- psql -----------------------------------------------------------------------------------------------------------


def test_the_role_reads_every_view(reader: Client) -> None:
    counted = {name: int(reader.rows(f"SELECT count(*) FROM finance.{name}")[0][0]) for name in NAMES}
    assert counted["claims"] > 20
    assert counted["about"] == 1
    commented = reader("\\d+ finance.claims").stdout
    assert "numeric" in commented
    assert "The net amount of the claim." in commented


def test_the_role_reads_no_table_of_the_ledger_or_the_vault_and_writes_nothing(reader: Client, server: str) -> None:
    tables = everything(server)
    assert {"events", "vault", "heads", "claims_v3", "projection_positions"} <= set(tables)
    for table in tables:
        assert "permission denied" in reader.refused(f"SELECT * FROM public.{table} LIMIT 1"), table
    vault = Client(as_role(beside(server, "vault"), *urlsplit(reader.url).netloc.partition("@")[0].split(":")))
    for table in everything(beside(server, "vault")):
        assert "permission denied" in vault.refused(f"SELECT * FROM public.{table} LIMIT 1"), table
    writable = "SET default_transaction_read_only = off"
    for statement in (
        "DELETE FROM finance.movements",
        "UPDATE finance.periods SET closed_by = 'me'",
        "INSERT INTO finance.periods (period) VALUES ('2026-01')",
        "CREATE VIEW finance.mine AS SELECT 1",
        "DROP VIEW finance.claims",
    ):
        said = reader.refused(writable, statement)
        assert "permission denied" in said or "must be owner" in said, said
    assert "read-only transaction" in reader.refused("CREATE TABLE public.mine (n int)")
    if server_major(server) >= 15:
        assert "permission denied" in reader.refused(writable, "CREATE TABLE public.mine (n int)")


def server_major(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.info.server_version // 10_000


def test_later_views_are_the_roles_too(reader: Client, server: str) -> None:
    with psycopg.connect(server) as owner:
        owner.execute("CREATE VIEW finance.later AS SELECT 1 AS one")
    try:
        assert reader.rows("SELECT one FROM finance.later") == [["1"]]
    finally:
        with psycopg.connect(server) as owner:
            owner.execute("DROP VIEW finance.later")


def test_sums_of_views_are_those_of_the_answers(
    reader: Client, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    door = Door(server, capsys)

    def sums(command: str, *columns: str, **only: str) -> dict[str, list[Decimal]]:
        found: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * len(columns))
        for row in door.json(command):
            if only.items() <= row.items():
                found[row["currency"]] = [
                    so_far + Decimal(row[column])
                    for so_far, column in zip(found[row["currency"]], columns, strict=True)
                ]
        return found

    def told(view: str, *columns: str, where: str = "true") -> dict[str, list[Decimal]]:
        summed = ", ".join(f"sum({column})" for column in columns)
        rows = reader.rows(f"SELECT currency, {summed} FROM finance.{view} WHERE {where} GROUP BY currency")
        return {currency: [*map(Decimal, found)] for currency, *found in rows}

    assert told("refunds", "net", "tax", "total") == sums("refunds", "net", "tax", "total")
    assert told("credits", "total", "used", "left_over") == sums("credits", "total", "used", "left")
    granted = told("claims", "amount", "tax", where="outcome = 'granted'")
    assert granted == sums("claims", "amount", "tax", outcome="granted")
    assert len(granted) >= 3
    owed = {row["currency"]: Decimal(row["total"]) for row in door.json("owed")["totals"]}
    assert {currency: found for currency, (found,) in told("owed", "owed").items()} == owed


def test_the_guides_queries_have_answers(reader: Client, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, *others = sql_in_guide("postgresql")
    assert len(others) == 2
    for query in others:
        assert reader.rows(query), query
    found: dict[str, Decimal] = defaultdict(Decimal)
    for currency, _, _, owed, _ in reader.rows(first):
        found[currency] += Decimal(owed)
    told = Door(server, capsys).json("owed")["totals"]
    assert found == {row["currency"]: Decimal(row["total"]) for row in told}


def test_no_customers_data_are_in_any_view(server: str) -> None:
    said = re.findall(r'"customer": ?(\{[^}]*\})', (SAMPLE / "events.jsonl").read_text(encoding="utf-8"))
    customers = [json.loads(customer) for customer in said]
    private = {customer[name] for customer in customers for name in ("name", "email")}
    assert len(private) > 300
    with psycopg.connect(server) as owner:
        for name in NAMES:
            for row in owner.execute(f"SELECT * FROM finance.{name}").fetchall():  # type: ignore[call-overload]
                assert not private & {value for value in row if isinstance(value, str)}, name


def test_the_guide_lists_every_view_once() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)
    assert sorted(listed) == sorted(NAMES)


# --- who may make them ----------------------------------------------------------------------------------------------


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """An empty database of its own, with one for its vault's keys."""
    url = postgres.new_database()
    postgres.new_database(urlsplit(beside(url, "vault")).path[1:])
    yield url
    for each in (url, beside(url, "vault")):
        postgres.drop_database(each)


@pytest.fixture
def roles(database: str) -> Iterator[Callable[[str], str]]:
    """Makes roles without any right, and gives the address of the database for each."""
    made: dict[str, str] = {}

    def role(what_for: str) -> str:
        name = made.setdefault(what_for, f"makegood_test_{secrets.token_hex(4)}")
        superuser(database, f"CREATE ROLE {name} LOGIN PASSWORD 'hidden'")
        return as_role(database, name, "hidden")

    yield role
    for each in (database, beside(database, "vault")):
        superuser(each, *(f"DROP OWNED BY {name} CASCADE" for name in made.values()))
    superuser(database, *(f"DROP ROLE {name}" for name in made.values()))


def superuser(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def name_of_role(url: str) -> str:
    return str(urlsplit(url).username)


def test_a_role_that_may_create_no_schema_is_told_how_and_makes_them_then(
    database: str, roles: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    owner = roles("owns and migrates")
    for each in (database, beside(database, "vault")):
        superuser(each, f"GRANT USAGE, CREATE ON SCHEMA public TO {name_of_role(owner)}")
    door = Door(owner, capsys)
    door("init")
    assert "the views for finance are missing or out of date" in door.errors
    assert "permission denied for database" in door.errors
    assert "run `makegood migrate`" in door.errors
    door("claims")
    superuser(database, f"CREATE SCHEMA finance AUTHORIZATION {name_of_role(owner)}")
    door("migrate")
    assert "finance" not in door.errors
    assert Client(owner).rows("SELECT version FROM finance.about") == [[str(FINANCE.version)]]
    door("migrate")


def test_a_role_that_only_runs_needs_no_right_to_them(
    database: str, roles: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    with_twenty_accounts_in_july(database)
    Door(database, capsys)("migrate")  # creates what `rebuild` needs
    runner = roles("runs")
    rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
    for each in (database, beside(database, "vault")):
        superuser(each, f"GRANT {rights} TO {name_of_role(runner)}")
    door = Door(runner, capsys)
    with open_house(Settings(store=runner), create_missing=True, migrate=True):
        assert capsys.readouterr().err == "", "they are as they should be"
    door("access", "grant", "desk", "support")
    assert "accounts match" in door("rebuild", "claims")
    before = Client(database).rows("SELECT claim_id, amount FROM finance.claims ORDER BY 1, 2")
    assert len(before) > 20

    superuser(
        database, "CREATE OR REPLACE VIEW finance.about AS SELECT * FROM (" + of_before(database) + ") AS before"
    )
    with open_house(Settings(store=runner), create_missing=True, migrate=True):
        said = capsys.readouterr().err
    assert "the views for finance are missing or out of date" in said
    assert "hidden" not in said
    assert Client(database).rows("SELECT claim_id, amount FROM finance.claims ORDER BY 1, 2") == before
    Door(database, capsys)("migrate")
    with open_house(Settings(store=runner), create_missing=True, migrate=True):
        assert capsys.readouterr().err == ""


def of_before(url: str) -> str:
    """What the view `about` of another version of Makegood would say."""
    with psycopg.connect(url) as owner:
        (told,) = owner.execute("SELECT definition FROM pg_views WHERE viewname = 'about'").fetchone() or ("",)
    return re.sub("[0-9a-f]{64}", "0" * 64, str(told)).rstrip().removesuffix(";")


# --- SQLite and Datasette -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("datasette") / "makegood.db"
    with_twenty_accounts_in_july(f"sqlite:///{path}")
    return path


@contextmanager
def datasette(file: Path) -> Iterator[httpx.Client]:
    """Datasette on a file, as its own process."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "datasette", "serve", str(file), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                _wait_for(client, process)
                yield client
        finally:
            process.terminate()


def _wait_for(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None:
        try:
            client.get("/-/versions.json")
        except httpx.TransportError:
            assert time.monotonic() < deadline, "datasette does not answer"
            time.sleep(0.1)
        else:
            return
    assert process.stdout is not None
    pytest.fail(f"datasette ended: {process.stdout.read()}")


def test_datasette_opens_the_file_and_shows_the_views(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    door = Door(f"sqlite:///{file}", capsys)
    with datasette(file) as tool:
        shown = {view["name"] for view in tool.get("/makegood.json").raise_for_status().json()["views"]}
        assert shown == {f"finance_{name}" for name in NAMES}
        for name in NAMES:
            told = tool.get(f"/makegood/finance_{name}.json", params={"_shape": "objects", "_size": 1})
            assert told.raise_for_status().json()["rows"] or name in NOT_IN_THE_SAMPLE, name
        page = tool.get("/makegood/finance_claims").raise_for_status().text
        assert "The net amount of the claim." in page

        def ask(sql: str) -> list[dict[str, Any]]:
            asked = tool.get("/makegood.json", params={"sql": sql, "_shape": "array"})
            rows: list[dict[str, Any]] = asked.raise_for_status().json()
            return rows

        for command, column, field in (("refunds", "total", "total"), ("credits", "left_over", "left")):
            found = ask(f"SELECT currency, sum({column}_minor) AS minor FROM finance_{command} GROUP BY currency")
            cents: dict[str, int] = defaultdict(int)
            for row in door.json(command):
                cents[row["currency"]] += int(row[field].replace(".", ""))
            assert {row["currency"]: row["minor"] for row in found} == cents
        texts = ask("SELECT refund_id, total, typeof(total) AS type FROM finance_refunds")
        assert {row["type"] for row in texts} == {"text"}
        assert {(row["refund_id"], row["total"]) for row in texts} == {
            (row["refund_id"], row["total"]) for row in door.json("refunds")
        }


NOT_IN_THE_SAMPLE = {"returns", "overpaid", "complaint_links", "periods", "period_totals"}


def test_the_guides_query_on_sqlite_has_an_answer(file: Path) -> None:
    (query,) = sql_in_guide("sqlite")
    with closing(sqlite3.connect(file)) as connection:
        assert len(connection.execute(query).fetchall()) > 1


def test_views_of_an_older_file_are_made_by_migrate(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "older.db"
    for suffix in ("", "-vault"):
        (tmp_path / f"older{suffix}.db").write_bytes(file.with_name(f"makegood{suffix}.db").read_bytes())
    with closing(sqlite3.connect(store)) as connection:
        for name in NAMES:
            connection.execute(f"DROP VIEW finance_{name}")
    door = Door(f"sqlite:///{store}", capsys)
    door("claims")
    door("migrate")
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT count(*) FROM finance_claims").fetchone()[0] > 20
