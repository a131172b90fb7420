"""A store whose shards Citus keeps on its nodes (`make citus POSTGRES=URL`): one moves while a process goes on."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from ledger.store.database import beside
from makegood.answers.audit.verification import verified
from makegood.house.settings import Settings
from makegood.house.shard_map import create_shards
from tests.integration.test_shards import SHARDS, Sharded, ends, recorded, served_with, taken
from tests.integration.world import new_place
from tests.parts.citus import Citus
from tests.parts.kafka import Kafka
from tests.parts.postgres import ADDRESS, Postgres

MOVED = 2
SCHEMA = f"makegood_shard_{MOVED}"
NODES = "SELECT DISTINCT nodename, nodeport FROM citus_shards WHERE table_name::text LIKE %s"


@pytest.fixture
def citus(postgres: Postgres) -> Citus:
    assert isinstance(postgres, Citus), f"set {ADDRESS} to a database of a Citus coordinator that has two workers"
    assert len(postgres.workers) > 1, "a shard can only move where there are two workers"
    return postgres


@pytest.fixture
def sharded(citus: Citus, kafka: Kafka) -> Sharded:
    """The shards in schemas of one database; there is no shard map."""
    store = citus.new_database()
    citus.new_database(beside(store, "vault").rpartition("/")[2])
    settings = Settings(store=store)
    create_shards(settings, SHARDS, sandbox=False)
    return Sharded(settings, new_place(kafka))


def test_a_shard_moves_to_another_node_while_a_process_goes_on(sharded: Sharded, citus: Citus) -> None:
    """As docs/scale.md says, and no account waits for longer than a request does."""
    databases = (sharded.settings.store, beside(sharded.settings.store, "vault"))
    with sharded.opened() as (first, *_), served_with(sharded, first) as (asking, begin):
        program = begin()
        program.wait_for("ready", 60)

        numbers = itertools.count()

        def come() -> None:
            name = f"acct-{next(numbers)}"
            assert {recorded(asking, name, shard) for shard in range(SHARDS)} == {200}

        come()
        for database in databases:
            with ThreadPoolExecutor() as beside_us:
                moving = beside_us.submit(move, database, citus)
                while not moving.done():
                    come()
                moving.result()
        come()
        assert program.end() == 0
    with sharded.opened() as houses:
        assert all(ends(houses))
        assert taken(houses) == next(numbers) * SHARDS
        for house in houses:
            house.projections.catch_up()
            answer = verified(house)
            assert answer["ok"], answer["bad"][:5]


def move(database: str, citus: Citus) -> None:
    """Have Citus move the shard's schema to the next worker."""
    with psycopg.connect(database, autocommit=True) as connection:
        [here] = connection.execute(NODES, (f"{SCHEMA}.%",)).fetchall()
        target = next(each for each in citus.workers if each != here)
        if connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.vault_index",)).fetchone() != (None,):
            connection.execute(f"ALTER TABLE {SCHEMA}.vault_index REPLICA IDENTITY FULL")
        connection.execute("SELECT citus_schema_move(%s, %s, %s)", (SCHEMA, *target))
        assert connection.execute(NODES, (f"{SCHEMA}.%",)).fetchall() == [target]
