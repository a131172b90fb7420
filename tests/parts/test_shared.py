"""What a run's tests share: one Kafka and one PostgreSQL, and stores that show nothing of the test before."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ledger.store.connecting import connect
from ledger.store.database import beside
from tests.parts import PartMissing
from tests.parts import shared as shared_parts
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres
from tests.parts.shared import Asked, Kept
from tests.parts.stores import Stores, nothing


class Started(Kafka):
    """A Kafka as far as it is started, told about and closed."""

    def __init__(self) -> None:
        self.bootstrap, self.origin = "127.0.0.1:9092", "a Kafka"
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def kept() -> Iterator[Kept]:
    found = Kept()
    yield found
    found.close()


def test_it_is_started_once_whoever_asks_and_ends_with_the_run(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Started] = []
    monkeypatch.setattr(shared_parts, "find_kafka", lambda: started.append(Started()) or started[-1])
    assert kept.used == {}
    workers = [Asked(kept.told_at()) for _ in range(3)]
    assert {worker.kafka().bootstrap for worker in workers} == {kept.kafka().bootstrap} == {"127.0.0.1:9092"}
    for worker in workers:
        worker.kafka().close()
        worker.close()
    assert [kafka.closed for kafka in started] == [False]
    assert kept.used == {"Kafka": "a Kafka"}
    kept.close()
    assert [kafka.closed for kafka in started] == [True]


def test_what_is_missing_is_said_to_a_worker_too(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: object) -> Postgres:
        raise PartMissing("install the server")

    monkeypatch.setattr(shared_parts, "find_postgres", missing)
    with pytest.raises(PartMissing, match="install the server"):
        Asked(kept.told_at()).postgres()


# --- stores ---------------------------------------------------------------------------------------------------------


def one_row(store: str) -> None:
    for url in (store, beside(store, "vault")):
        with closing(connect(url)) as database, database.writing() as transaction:
            transaction.run("CREATE TABLE kept (n INTEGER PRIMARY KEY)")
            transaction.run("CREATE TABLE seen (n INTEGER PRIMARY KEY)")
            transaction.run("INSERT INTO kept VALUES (1)")


def rows(store: str) -> list[tuple[str, int]]:
    with closing(connect(store)) as database, database.reading() as transaction:
        return transaction.rows("SELECT 'kept', n FROM kept UNION ALL SELECT 'seen', n FROM seen ORDER BY 1, 2")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_test_finds_what_was_made_once_and_nothing_of_another(stores: Stores, kind: str, tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        store = stores.new(kind, folder, one_row)
        for url in (store, beside(store, "vault")):
            assert rows(url) == [("kept", 1)]
            with closing(connect(url)) as database, database.writing() as transaction:
                transaction.run("UPDATE kept SET n = 2")
                transaction.run("INSERT INTO seen VALUES (7)")
        stores.give_back(store)


@pytest.mark.parametrize("change", ["CREATE TABLE more (n int)", "CREATE INDEX more ON kept (n)", "DROP TABLE seen"])
def test_a_store_whose_tables_a_test_changed_is_not_given_out_again(
    stores: Stores, tmp_path: Path, change: str
) -> None:
    changed = stores.new("postgresql", tmp_path, one_row)
    with psycopg.connect(changed) as connection:
        connection.execute(change.encode())
    stores.give_back(changed)
    other = stores.new("postgresql", tmp_path, one_row)
    assert other != changed
    assert rows(other) == [("kept", 1)]
    stores.give_back(other)


def test_whoever_is_connected_to_a_store_that_was_given_back_is_cut_off(stores: Stores, tmp_path: Path) -> None:
    store = stores.new("postgresql", tmp_path, nothing)
    with psycopg.connect(store) as left_over:
        stores.give_back(store)
        with pytest.raises(psycopg.OperationalError):
            left_over.execute("SELECT 1")
