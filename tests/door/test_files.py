"""The files of a store on SQLite: who can read them, what becomes of a program whose files are taken away.

And what somebody can do who may read a store and not write to it, on PostgreSQL too.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from ledger.store.connecting import connect
from ledger.store.database import Database, NotPermitted, Unavailable, beside
from makegood.house.settings import Settings
from makegood.program.running import run_until_stopped
from projections.catalog import CATALOG
from tests.api.conftest import Api, serving
from tests.door.conftest import SAMPLE, Door, with_twenty_accounts_in_july
from tests.parts.process import new_folder, unprivileged
from tests.parts.stores import Stores

INSTRUCTIONS = next(projection for projection in CATALOG if projection.name == "instructions")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {file.name: f"{file.stat().st_mode & 0o777:o}" for file in sorted(folder.iterdir())}


@pytest.fixture
def books(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    """An empty store of production in a folder of its own."""
    door = Door(f"sqlite:///{tmp_path}/books.db", capsys)
    with umask(0):
        door("init")
    return door


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with one table, open and written to."""
    database = connect(f"sqlite:///{tmp_path}/books.db")
    database.create(["CREATE TABLE IF NOT EXISTS kept (word TEXT)"])
    yield database
    database.close()


def _write(database: Database, word: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    with database.writing() as transaction:
        transaction.run("INSERT INTO kept VALUES (?)", (word,))
        meanwhile()


def test_a_new_store_and_its_keys_are_their_owners_only(books: Door, tmp_path: Path) -> None:
    assert modes(tmp_path) == {"books-vault.db": "600", "books.db": "600"}


@pytest.mark.parametrize("mask", [0, 0o022, 0o277])
def test_so_are_the_files_that_stand_beside_it_while_it_is_open(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        database = connect(f"sqlite:///{tmp_path}/books.db")
        database.create(["CREATE TABLE IF NOT EXISTS kept (word TEXT)"])
        assert modes(tmp_path) == {"books.db": "600", "books.db-shm": "600", "books.db-wal": "600"}
        database.close()


def test_files_that_others_can_read_are_told_of_and_left_as_they_are(books: Door, tmp_path: Path) -> None:
    (tmp_path / "books-vault.db").chmod(0o640)
    books("claims")
    file = tmp_path / "books-vault.db"
    assert books.errors == (
        f"makegood: other users of this machine can read or write {file}; run: chmod 600 {file}\n"
    )
    assert modes(tmp_path)["books-vault.db"] == "640"
    file.chmod(0o600)
    books("claims")
    assert books.errors == ""


@pytest.mark.parametrize("file", ["books.db", "books.db-wal"])
@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_nothing_is_recorded_into_a_file_that_was_taken_away(
    database: Database, tmp_path: Path, file: str, replaced: bool
) -> None:
    taken = tmp_path / file

    def take_away() -> None:
        content = taken.read_bytes()
        taken.unlink()
        if replaced:
            (tmp_path / "other").write_bytes(content)
            (tmp_path / "other").rename(taken)

    with pytest.raises(Unavailable, match=f"{file} was deleted or replaced"):
        _write(database, "lost", meanwhile=take_away)
    with pytest.raises(Unavailable, match="put the file back"):
        _write(database, "lost too")
    with pytest.raises(Unavailable, match="restore a backup"), database.reading() as transaction:
        transaction.rows("SELECT word FROM kept")
    assert taken.exists() is replaced  # none is made anew in its place


def test_a_file_that_is_put_back_goes_on(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "books.db"
    file.rename(tmp_path / "away.db")
    with pytest.raises(Unavailable):
        _write(database, "refused")
    (tmp_path / "away.db").rename(file)
    _write(database, "kept")
    with database.reading() as transaction:
        assert transaction.rows("SELECT word FROM kept") == [("kept",)]


def test_a_second_thread_does_not_go_on_in_the_file_that_took_its_place(database: Database, tmp_path: Path) -> None:
    def take_away() -> None:
        for name in ("books.db", "books.db-wal", "books.db-shm"):
            (tmp_path / name).unlink()
        with pytest.raises(Unavailable):
            _write(database, "lost")  # on a connection of its own
        assert not list(tmp_path.iterdir())

    with pytest.raises(Unavailable):
        _write(database, "refused", meanwhile=take_away)


def test_an_ingest_says_nothing_is_recorded_where_the_store_was_deleted_under_it(books: Door, tmp_path: Path) -> None:
    books("agreement", "publish", str(SAMPLE / "agreements" / "standard.toml"))
    pipe = tmp_path / "messages"
    os.mkfifo(pipe)
    said = (SAMPLE / "events.jsonl").read_text().splitlines()[:3]

    def send() -> None:
        with pipe.open("w") as messages:  # opens once `ingest` has opened the store and reads
            (tmp_path / "books.db").unlink()
            messages.write("\n".join(said))

    sender = threading.Thread(target=send)
    sender.start()
    books("ingest", str(pipe), exits=1)
    sender.join()
    assert "books.db was deleted or replaced while it was in use" in books.errors
    assert not (tmp_path / "books.db").exists()


READING = [
    ("claims",),
    ("refunds",),
    ("credits",),
    ("complaints",),
    ("disputes",),
    ("outages",),
    ("goodwill",),
    ("alarms",),
    ("waiting",),
    ("instructions",),
    ("notices",),
    ("account", "acct-0007"),
    ("history", "acct-0007"),
    ("replay", "acct-0007"),
    ("dead-letters", "list"),
    ("aside", "list"),
    ("access", "list"),
    ("access", "key", "list"),
    ("rebuild", "--compare-only"),
    ("status", "--max-age", "2000000000"),
]


@contextmanager
def somebody_who_may_only_read(folder: Path) -> Iterator[None]:
    """Be somebody to whom the files of a folder are readable and not writable."""
    files = [folder, *folder.iterdir()]
    before = {file: file.stat().st_mode for file in files}
    for file in files:
        file.chmod(0o555 if file.is_dir() else 0o444)
    user = unprivileged("nobody")
    try:
        if user is not None:  # we are root, whom no mode keeps from writing
            os.seteuid(user.uid)
        yield
    finally:
        if user is not None:
            os.seteuid(0)
        for file in files:
            file.chmod(before[file])


@pytest.fixture
def readable(capsys: pytest.CaptureFixture[str]) -> Iterator[Door]:
    """Twenty accounts in July, in a folder that every user can get to."""
    folder = new_folder("makegood-readable-")
    door = Door(f"sqlite:///{folder}/books.db", capsys)
    with_twenty_accounts_in_july(door.store)
    yield door
    shutil.rmtree(folder)


def test_every_question_is_answered_where_the_store_can_only_be_read(readable: Door) -> None:
    folder = Path(readable.store.removeprefix("sqlite:///")).parent
    readable("access", "grant", "clerk", "support")
    answers = [readable(*command) for command in READING]
    with somebody_who_may_only_read(folder):
        assert [readable(*command) for command in READING] == answers
        assert readable.errors == ""
        readable("access", "grant", "desk", "support", exits=1)
        assert "can be read here and not written to: run this as the user who owns the file" in readable.errors
    assert sorted(file.name for file in folder.iterdir()) == ["books-vault.db", "books.db"]


def test_it_is_read_too_while_its_owner_has_it_open(readable: Door) -> None:
    folder = Path(readable.store.removeprefix("sqlite:///")).parent
    owner = connect(readable.store)
    owner.create(["CREATE TABLE IF NOT EXISTS kept (word TEXT)"])
    _write(owner, "committed and only in the log")
    with somebody_who_may_only_read(folder):
        reader = connect(readable.store)
        with reader.reading() as transaction:
            assert transaction.rows("SELECT word FROM kept") == [("committed and only in the log",)]
        readable("claims")
    owner.close()


def test_the_api_answers_questions_and_says_that_it_cannot_record(readable: Door) -> None:
    folder = Path(readable.store.removeprefix("sqlite:///")).parent

    def send(api: Api, id_: str) -> httpx.Response:
        said = json.loads((SAMPLE / "events.jsonl").read_text().splitlines()[0]) | {"id": id_}
        as_event = {"Content-Type": "application/cloudevents+json"}
        return api.ask(provisioning, "/events", "POST", content=json.dumps(said), headers=as_event)

    with serving(readable.store) as api:
        provisioning, support = api.key("provisioning"), api.key("support")
        claims = api.json(support, "/claims")
        assert send(api, "one").is_success
    with somebody_who_may_only_read(folder), serving(readable.store) as api:
        assert api.json(support, "/claims") == claims
        refused = send(api, "another")
        assert refused.status_code == 503
        assert "may only read its database" in refused.json()["detail"]


@pytest.fixture
def roles(stores: Stores, tmp_path: Path) -> Iterator[tuple[str, Callable[..., str]]]:
    """A store on PostgreSQL with twenty accounts, and a giver of rights in it to another role."""
    url = stores.new("postgresql", tmp_path, with_twenty_accounts_in_july)
    made: list[str] = []
    name = f"makegood_test_{secrets.token_hex(4)}"

    def role(*grants: str) -> str:
        for database in (url, beside(url, "vault")):
            with psycopg.connect(database) as owner:
                if name not in made:
                    owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'hidden'")
                    made.append(name)
                (schema,) = owner.execute("SELECT current_schema()").fetchone() or ()
                owner.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}")
                owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
                if grants:
                    owner.execute(f"GRANT {', '.join(grants)} ON ALL TABLES IN SCHEMA {schema} TO {name}")
        at = urlsplit(url)
        return urlunsplit(at._replace(netloc=f"{name}:hidden@{at.netloc.rpartition('@')[2]}"))

    yield url, role
    for database in (url, beside(url, "vault")):
        with psycopg.connect(database) as owner:
            for name in made:
                owner.execute(f"DROP OWNED BY {name}")
    with psycopg.connect(url) as owner:
        for name in made:
            owner.execute(f"DROP ROLE {name}")
    stores.give_back(url)


def test_a_role_that_may_only_select_reads_and_is_told_what_it_may_not(
    roles: tuple[str, Callable[..., str]], capsys: pytest.CaptureFixture[str]
) -> None:
    owner, role = roles
    answers = [Door(owner, capsys)(*command) for command in READING[:-1]]
    reader = Door(role("SELECT"), capsys)
    assert [reader(*command) for command in READING[:-1]] == answers
    reader("status", "--max-age", "2000000000")
    reader("access", "grant", "desk", "support", exits=1)
    assert "does not permit this: permission denied for table" in reader.errors
    assert "grant it to the role, or name another role in --store or MAKEGOOD_STORE" in reader.errors
    assert "hidden" not in reader.errors
    Door(role(), capsys)("claims", exits=1)


def _as_an_older_version_left_it(owner: str) -> None:
    with closing(connect(owner)) as database, database.writing() as transaction:
        for table in INSTRUCTIONS.tables:
            transaction.run(f"DROP TABLE {INSTRUCTIONS.stored_name(table)}")
        transaction.run("DELETE FROM projection_positions WHERE projection = 'instructions'")
        transaction.run("UPDATE store SET value = '4' WHERE name = 'schema'")


def test_one_role_owns_the_tables_and_migrates_and_one_without_that_right_runs(
    roles: tuple[str, Callable[..., str]], capsys: pytest.CaptureFixture[str]
) -> None:
    owner, role = roles
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE")
    _as_an_older_version_left_it(owner)
    runner = Door(role(*rights), capsys)
    with pytest.raises(NotPermitted, match=r"tables that are needed are missing .* run `makegood migrate`"):
        run_until_stopped(Settings(store=runner.store), ["timers"])
    runner("claims", exits=1)
    assert "`makegood migrate`" in runner.errors
    Door(owner, capsys)("migrate")
    role(*rights)  # the new tables too
    runner("access", "grant", "desk", "support")
    assert "accounts match" in runner("rebuild", "--anew")
    assert "accounts match" in runner("rebuild", "--compare-only")


def test_rebuild_names_migrate_where_its_tables_are_missing(
    roles: tuple[str, Callable[..., str]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, role = roles
    runner = Door(role("SELECT", "INSERT", "UPDATE", "DELETE"), capsys)
    runner("rebuild", exits=1)
    assert "run `makegood migrate`" in runner.errors
