"""A vault that is missing, empty, older than its store or another's is noticed, and nothing is made in silence."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from ledger.store.connecting import connect
from ledger.store.database import Database, beside
from tests.api.conftest import serving
from tests.door.conftest import USER, Door, with_an_agreement
from tests.door.test_older_stores import unpacked
from tests.ledger.messages import Upstream
from tests.parts.stores import Stores

pytestmark = pytest.mark.long

KEY_TABLES = ("vault_keys", "key_ring", "key_serials")
RESTORE = "restore the newest backup of the key database"


def customers(*numbers: int) -> list[Any]:
    """The messages by which customers are registered."""
    return [message for n in numbers for message in Upstream(f"acct-{n}").customer()]


class KeyFile:
    """The key database of a store, as whoever backs it up and restores it has it."""

    def __init__(self, store: str) -> None:
        self.url = beside(store, "vault")
        self._file = Path(self.url.removeprefix("sqlite:///")) if self.url.startswith("sqlite") else None

    def copy(self) -> dict[str, list[Any]]:
        with closing(connect(self.url)) as keys, keys.reading() as transaction:
            return {table: transaction.rows(f"SELECT * FROM {table}") for table in KEY_TABLES}

    def restore(self, kept: dict[str, list[Any]]) -> None:
        """Put a copy back, into the database that is there."""
        with closing(connect(self.url)) as keys, keys.writing() as transaction:
            for table, rows in kept.items():
                transaction.run(f"DELETE FROM {table}")
                for row in rows:
                    transaction.run(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    def empty(self) -> None:
        with closing(connect(self.url)) as keys, keys.writing() as transaction:
            for table in KEY_TABLES:
                transaction.run(f"DROP TABLE {table}")

    def remove(self) -> None:
        """For good: the file, or all that is in the database."""
        self.empty()
        if self._file is not None:
            for file in self._file.parent.glob(f"{self._file.name}*"):
                file.unlink()

    def rows(self) -> list[Any]:
        """What is in it, if anything is."""
        with closing(connect(self.url)) as keys:
            there = set(KEY_TABLES) - set(keys.lacking([f"CREATE TABLE IF NOT EXISTS {t} (x)" for t in KEY_TABLES]))
            with keys.reading() as transaction:
                return [transaction.rows(f"SELECT * FROM {table}") for table in sorted(there)]


@pytest.fixture
def key_file(store: str) -> KeyFile:
    return KeyFile(store)


def refuses(door: Door, lines: Callable[..., str], *said: str) -> None:
    """`run`, `status`, `doctor`, `vault` and whatever needs the vault say so, and nothing is recorded."""
    content, keys = door.json("history", "system"), KeyFile(door.store).rows()
    for command in (("run", "timers"), ("vault",), ("ingest", lines(*customers(90)))):
        door(*command, exits=1)
        for each in said:
            assert each in door.errors, door.errors
    status = door.json("status", exits=1)
    assert [problem for problem in status["problems"] if all(each in problem for each in said)], status["problems"]
    row = next(check for check in door.json("doctor", exits=1)["checks"] if check["check"] == "vault")
    assert all(each in f"{row['found']}; {row['next']}" for each in said), row
    assert door.json("dead-letters", "list") == []
    assert door.json("history", "system") == content
    assert KeyFile(door.store).rows() == keys, "nothing is made in its place"


class TestAVaultThatDoesNotMatch:
    def test_older_than_its_store(self, sandbox: Door, key_file: KeyFile, lines: Any) -> None:
        sandbox("ingest", lines(*customers(1, 2)))
        kept = key_file.copy()
        sandbox("ingest", lines(*customers(3, 4, 5)))
        newest = key_file.copy()
        key_file.restore(kept)
        refuses(sandbox, lines, "is older than the store: the last 3 of 6 keys are missing", RESTORE)
        for again in (customers(3), customers(4, 5, 6)):
            sandbox("ingest", lines(*again), exits=1)
        key_file.restore(newest)
        assert "as new as the store: 6 keys" in sandbox("vault")
        taken = sandbox.json("ingest", lines(*customers(5, 6)))
        assert (taken["accepted"], taken["duplicates"]) == (4, 4)

    def test_another_stores(
        self, sandbox: Door, key_file: KeyFile, lines: Any, stores: Stores, tmp_path: Path
    ) -> None:
        sandbox("ingest", lines(*customers(1)))
        (tmp_path / "other").mkdir()
        kind = "sqlite" if sandbox.store.startswith("sqlite") else "postgresql"
        other = stores.new(kind, tmp_path / "other", with_an_agreement)
        with closing(connect(other)) as database, database.writing() as transaction:
            transaction.run("UPDATE store SET value = 'fedcba9876543210' WHERE name = 'id'")
        kept = KeyFile(other).copy()
        kept["key_ring"] = [(1, "0" * 16, "fedcba9876543210", 1, "store")]
        key_file.restore(kept)
        [(own,)] = _rows(sandbox.store, "SELECT value FROM store WHERE name = 'id'")
        refuses(
            sandbox,
            lines,
            f"is another store's: it goes with the store fedcba9876543210, and this is the store {own}",
            RESTORE,
        )
        sandbox("vault", "accept-loss", "--reason", "trying", exits=1)
        assert "is another store's" in sandbox.errors

    def test_empty(self, sandbox: Door, key_file: KeyFile, lines: Any) -> None:
        sandbox("ingest", lines(*customers(1)))
        key_file.empty()
        refuses(sandbox, lines, "is empty", RESTORE)

    def test_missing(self, sandbox: Door, key_file: KeyFile, lines: Any) -> None:
        sandbox("ingest", lines(*customers(1)))
        with _away(key_file.url):
            for command in (("run", "timers"), ("vault",)):
                sandbox(*command, exits=1)
                assert "is missing" in sandbox.errors
                assert RESTORE in sandbox.errors
            assert any("is missing" in problem for problem in sandbox.json("status", exits=1)["problems"])
            row = next(c for c in sandbox.json("doctor", exits=1)["checks"] if c["check"] == "vault")
            assert "is missing" in row["found"]
            if key_file._file is not None:
                sandbox("ingest", lines(*customers(90)), exits=1)
                assert not key_file._file.exists()
        assert "as new as the store: 2 keys" in sandbox("vault")

    def test_a_copy_that_went_on_apart(self, sandbox: Door, key_file: KeyFile, lines: Any) -> None:
        """A copy that lacked nothing was restored and went on; then the first one comes back, with as many keys."""
        sandbox("ingest", lines(*customers(1)))
        kept = key_file.copy()
        with closing(connect(sandbox.store)) as database:
            before = _all(database)
        sandbox("ingest", lines(*customers(2)))
        other = key_file.copy()
        with closing(connect(sandbox.store)) as database:
            _put_back(database, before)
        key_file.restore(kept)
        sandbox("ingest", lines(*customers(2)))
        key_file.restore(other)
        refuses(sandbox, lines, "is a copy that went on apart from the store: key 3 is not the one", RESTORE)

    def test_a_single_key_that_is_gone_is_not_made_anew(self, sandbox: Door, key_file: KeyFile, lines: Any) -> None:
        sandbox("ingest", lines(*customers(1, 2)))
        kept = key_file.copy()
        with closing(connect(key_file.url)) as keys, keys.writing() as transaction:
            transaction.run("DELETE FROM vault_keys WHERE subject = 'account/acct-1'")
            transaction.run("DELETE FROM key_serials WHERE subject = 'account/acct-1'")
        said = Upstream("acct-1", source="/support").complaint_opened(description="Noise")
        sandbox("ingest", lines(said), exits=1)
        assert "lacks keys that the store needs" in sandbox.errors
        key_file.restore(kept)
        assert sandbox.json("ingest", lines(said))["accepted"] == 1

    def test_ahead_of_its_store_it_is_well(self, sandbox: Door, key_file: KeyFile, lines: Any) -> None:
        """As after a crash between the commits, or with a store that was restored from a backup."""
        sandbox("ingest", lines(*customers(1)))
        with closing(connect(sandbox.store)) as database:
            before = _all(database)
        sandbox("ingest", lines(*customers(2, 3)))
        with closing(connect(sandbox.store)) as database:
            _put_back(database, before)
        assert "as new as the store" in sandbox("vault")
        assert sandbox.json("ingest", lines(*customers(2, 3)))["accepted"] == 8

    def test_questions_that_do_not_need_it_are_answered(self, sandbox: Door, key_file: KeyFile, lines: Any) -> None:
        sandbox("ingest", lines(*customers(1)))
        key_file.empty()
        assert sandbox.json("account", "acct-1")["account_id"] == "acct-1"
        sandbox("claims")


def test_the_vault_of_another_store_is_not_taken_for_a_new_one(sandbox: Door, lines: Any, tmp_path: Path) -> None:
    sandbox("ingest", lines(*customers(1)))
    vault = beside(sandbox.store, "vault")
    fresh = Door(f"sqlite:///{tmp_path / 'fresh.db'}", sandbox._capsys)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAKEGOOD_VAULT", vault)
        fresh("init", exits=1)
    assert "has the keys of the store" in fresh.errors
    fresh("init")


def test_a_store_that_was_cut_short_when_it_was_made_is_made_with_the_vault_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door = Door(f"sqlite:///{tmp_path / 'books.db'}", capsys)
    door("init")
    before = KeyFile(door.store).copy()
    for file in tmp_path.glob("books.db*"):
        file.unlink()
    door("init")
    assert KeyFile(door.store).copy() == before
    assert "as new as the store: 1 keys" in door("vault")


class TestARunningProgram:
    def test_waits_while_an_older_vault_is_there_and_goes_on_with_the_right_one(
        self, sandbox: Door, key_file: KeyFile, lines: Any
    ) -> None:
        sandbox("ingest", lines(*customers(1)))
        kept = key_file.copy()
        sandbox("ingest", lines(*customers(2)))
        newest = key_file.copy()
        with serving(sandbox.store) as api:
            provisioning = api.key("provisioning")

            def send(*messages: Any) -> Any:
                return api.ask(
                    provisioning,
                    "/events",
                    "POST",
                    content=json.dumps(messages),
                    headers={"Content-Type": "application/cloudevents-batch+json"},
                )

            assert send(*customers(3)).json()["accepted"] == 4
            newest = key_file.copy()
            key_file.restore(kept)
            for messages in (customers(4), [Upstream("acct-3", source="/2").complaint_opened(description="Noise")]):
                answer = send(*messages)
                assert answer.status_code == 503
                assert "the key database is not this store's" in answer.json()["detail"]
            key_file.restore(newest)
            assert send(*customers(4)).json()["accepted"] == 4
        assert sandbox.json("dead-letters", "list") == sandbox.json("aside", "list") == []


class TestKeysThatAreLostForGood:
    @pytest.fixture
    def lost(self, sandbox: Door, key_file: KeyFile, lines: Any) -> Door:
        """A store whose newest keys are lost: those of two of three customers, and of a dead letter."""
        sandbox("ingest", lines(*customers(1)))
        kept = key_file.copy()
        sandbox("ingest", lines(*customers(2, 3), "{"), exits=3)
        sandbox("ingest", lines(Upstream("acct-2", source="/support").complaint_opened(description="Noise")))
        key_file.restore(kept)
        return sandbox

    def test_are_told_and_recorded_and_the_store_goes_on(self, lost: Door, lines: Any) -> None:
        would = lost.json("vault", "accept-loss", "--reason", "trying", "--dry-run")
        assert would["outcome"] == "would be accepted"
        lost("status", exits=1)
        accepted = lost.json("vault", "accept-loss", "--as", "carol", "--reason", "Disk and backup burnt")
        assert accepted == {**would, "outcome": "accepted"}
        assert accepted == {
            "outcome": "accepted",
            "customers": 2,
            "dead_letters": 1,
            "set_aside": 0,
            "reasons": 0,
            "entries": accepted["entries"],
            "store_key": False,
            "accounts": ["acct-2", "acct-3"],
        }
        assert lost.json("status", "--max-age", "2000000000")["problems"] == []
        [event] = [e for e in lost.json("history", "system") if e["type"] == "keys-lost.v1"]
        assert event["actor"] == f"{USER} for carol"
        assert "burnt" not in json.dumps(event)
        [loss] = lost.json("vault", "status")["losses"]
        assert (loss["reason"], loss["accounts"]) == ("Disk and backup burnt", ["acct-2", "acct-3"])
        assert "lost for good: private data of customers: 2; bodies of dead letters: 1" in lost("vault")
        again = lost.json("vault", "accept-loss", "--reason", "again")
        assert (again["outcome"], again["entries"]) == ("nothing is lost", 0)

        taken = lost.json("ingest", lines(*customers(1, 2, 3, 4)))
        assert (taken["duplicates"], taken["accepted"]) == (12, 4)
        said = Upstream("acct-2", source="/support/2").complaint_opened(description="Echo")
        assert lost.json("ingest", lines(said))["accepted"] == 1
        assert "as new as the store" in lost("vault")

    def test_what_cannot_be_read_says_so_where_it_is_shown(self, lost: Door, lines: Any) -> None:
        lost("vault", "accept-loss", "--reason", "burnt")
        shown = lost.json("dead-letters", "show", "1")
        assert shown["body"] is None
        assert "its key was lost" in shown["unreadable"]
        assert "its key was lost" in lost("dead-letters", "show", "1")
        [replayed] = lost.json("dead-letters", "replay", "1", exits=3)
        assert "its key was lost" in replayed["reason"]
        assert "--body FILE" in replayed["reason"]
        [complaint] = lost.json("complaints")
        in_full = lost.json("complaint", complaint["complaint_id"])
        assert "its key was lost" in in_full["steps"][0]["words"]

    def test_the_old_vault_is_not_taken_after_that(self, sandbox: Door, key_file: KeyFile, lines: Any) -> None:
        sandbox("ingest", lines(*customers(1)))
        kept = key_file.copy()
        sandbox("ingest", lines(*customers(2)))
        newest = key_file.copy()
        key_file.restore(kept)
        sandbox("vault", "accept-loss", "--reason", "burnt")
        key_file.restore(newest)
        refuses(sandbox, lines, "it is from before or after a loss of keys was accepted")

    def test_with_the_stores_own_key_a_known_message_is_a_duplicate(
        self, sandbox: Door, key_file: KeyFile, lines: Any
    ) -> None:
        sandbox("ingest", lines(*customers(1)))
        key_file.remove()
        accepted = sandbox.json("vault", "accept-loss", "--reason", "burnt")
        assert (accepted["store_key"], accepted["accounts"]) == (True, ["acct-1"])
        taken = sandbox.json("ingest", lines(*customers(1, 2)))
        assert (taken["accepted"], taken["duplicates"], taken["refused"]) == (4, 4, [])
        [first, *_] = customers(2)
        changed = {**first, "time": "2026-02-03T00:00:00Z"}
        [refused] = sandbox.json("ingest", lines(changed), exits=3)["refused"]
        assert "with other content in time" in refused["reason"], "what came since then can be compared"

    def test_a_customer_is_written_to_once_they_are_known_again(self, lost: Door, lines: Any) -> None:
        lost("vault", "accept-loss", "--reason", "burnt")
        said = Upstream("acct-2", source="/crm").customer_changed(name="Zoë", email="zoe@new.example")
        assert lost.json("ingest", lines(said))["accepted"] == 1
        assert lost.json("ingest", lines(said))["duplicates"] == 1


class TestAnOlderVersionsStore:
    def test_is_bound_when_it_is_brought_up_to_date(self, tmp_path: Path, capsys: Any, lines: Any) -> None:
        door = unpacked(5, tmp_path, capsys)
        door("vault", exits=1)
        assert "`makegood migrate`" in door.errors
        door("migrate")
        assert "as new as the store" in door("vault")

    @pytest.mark.parametrize("damage", ["older", "empty", "missing", "another store's"])
    def test_is_refused_with_a_vault_that_is_not_its_own(
        self, damage: str, tmp_path: Path, capsys: Any, lines: Any
    ) -> None:
        door = unpacked(5, tmp_path, capsys)
        vault = tmp_path / "books-vault.db"
        right = tmp_path / "right.db"
        shutil.copy(vault, right)
        with closing(sqlite3.connect(vault)) as keys:
            if damage == "older":
                keys.execute("DELETE FROM vault_keys WHERE subject <> 'store' AND subject > 'account/acct-0005'")
            elif damage == "empty":
                keys.execute("DROP TABLE vault_keys")
            elif damage == "another store's":
                keys.execute("UPDATE vault_keys SET key = randomblob(32)")
            keys.commit()
        if damage == "missing":
            vault.unlink()
        for command in ("migrate", "run"):
            door(command, exits=1)
            assert damage in door.errors
            assert RESTORE in door.errors
        assert "`makegood migrate`" in door("status", exits=1)
        assert vault.exists() == (damage != "missing")
        shutil.copy(right, vault)
        door("migrate")
        assert "as new as the store" in door("vault")

    def test_goes_on_after_a_loss_that_is_accepted(self, tmp_path: Path, capsys: Any, lines: Any) -> None:
        door = unpacked(5, tmp_path, capsys)
        with closing(sqlite3.connect(tmp_path / "books-vault.db")) as keys:
            keys.execute("DELETE FROM vault_keys WHERE subject > 'account/acct-0005' AND subject < 'account/b'")
            keys.commit()
        door("migrate", exits=1)
        door("vault", "accept-loss", "--reason", "burnt")
        assert "next: makegood migrate" in door.errors
        door("migrate")
        assert "lost for good" in door("vault")


# --- what stands in databases, past the program ---------------------------------------------------------------------


def _rows(url: str, query: str) -> list[Any]:
    with closing(connect(url)) as database, database.reading() as transaction:
        return transaction.rows(query)


def _tables(database: Database) -> list[str]:
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if database.dialect == "sqlite"
        else "SELECT relname FROM pg_class WHERE relkind = 'r' AND pg_table_is_visible(oid) AND relnamespace = "
        "current_schema()::regnamespace"
    )
    with database.reading() as transaction:
        return [name for (name,) in transaction.rows(names)]


def _all(database: Database) -> dict[str, list[Any]]:
    with database.reading() as transaction:
        return {table: transaction.rows(f"SELECT * FROM {table}") for table in _tables(database)}


def _put_back(database: Database, content: dict[str, list[Any]]) -> None:
    with database.writing() as transaction:
        for table, rows in content.items():
            transaction.run(f"DELETE FROM {table}")
            for row in rows:
                transaction.run(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


@contextmanager
def _away(url: str) -> Iterator[None]:
    """There is no key database."""
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        file.rename(file.with_suffix(".away"))
        yield
        file.with_suffix(".away").rename(file)
        return
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAKEGOOD_VAULT", urlunsplit(urlsplit(url)._replace(path="/there_is_no_such_database")))
        yield
