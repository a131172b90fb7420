"""A store of four shards on two PostgreSQL servers, with a real Kafka: it says what a store of one shard says."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from consumers import files
from consumers.intake import Intake
from consumers.kafka.publish import key_of
from consumers.kafka.topics import topics_of
from consumers.places import place_in
from consumers.projector import KafkaSource, Projector
from consumers.relay import Relay, relayed_to
from consumers.taking import stored_positions
from ledger.application import access
from ledger.application.acts import By
from ledger.application.agreements import publish_everywhere
from ledger.application.due_work import do_due_work
from ledger.events import Grant
from ledger.store import postgresql
from ledger.store.connecting import create_if_missing
from ledger.store.database import Unavailable, beside
from ledger.store.positions import shard_for
from ledger.store.reading.shards import own_shard, shard_end
from makegood.answers.audit.verification import verified
from makegood.cli import run
from makegood.house.opening import House
from makegood.house.settings import Settings
from makegood.house.shard_map import create_shards, open_shards, settings_of
from makegood.house.stop import Stop
from projections import claims
from tests.api.test_serving import Process
from tests.api.test_serving import running as process
from tests.integration.world import (
    SAMPLE,
    Place,
    Sent,
    account_registered,
    new_place,
    running,
    sample_lines,
    structured,
    until,
)
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres, find_postgres, pg_dump, psql

pytestmark = pytest.mark.long
SHARDS = 4
BY = By("/ops/tests", "cli")
STANDARD = (SAMPLE / "agreements" / "standard.toml").read_text()
LINES = sample_lines()[:1_000]


@pytest.fixture(scope="module")
def second() -> Iterator[Postgres]:
    """A server that may be stopped, and that others can follow."""
    with find_postgres(controllable=True, settings={"wal_level": "logical"}) as found:
        yield found


@dataclass(frozen=True)
class Sharded:
    """A store of several shards, and topics for it."""

    settings: Settings
    place: Place

    @contextmanager
    def opened(self) -> Iterator[Sequence[House]]:
        """As a process of its own has it."""
        with open_shards(self.settings) as houses:
            yield houses

    def intake(self, houses: Sequence[House]) -> Intake:
        first, *others = [house.ledger for house in houses]
        return Intake(first, self.place.fresh_cluster(), topic=self.place.upstream, others=others)

    def parts(self, houses: Sequence[House]) -> list[Any]:
        first, *others = [house.projections for house in houses]
        cluster = self.place.fresh_cluster()
        source = KafkaSource(cluster, topic=self.place.events, look_seconds=1.0)
        relays = [Relay(house.database, cluster, stands_by=2.0, **self.place.relayed) for house in houses]
        return [self.intake(houses), *relays, Projector(first, source, others=others)]


@pytest.fixture
def sharded(postgres: Postgres, second: Postgres, kafka: Kafka, tmp_path: Path) -> Sharded:
    """Shards 0 and 1 in schemas of one database, 2 and 3 on another server."""
    urls = [postgres.new_database(), *(second.new_database() for _ in range(2))]
    places = "".join(f'[{number}]\nstore = "{url}"\n' for number, url in enumerate(urls[1:], 2))
    (tmp_path / "shards.toml").write_text(places)
    settings = Settings(store=urls[0], shard_map=str(tmp_path / "shards.toml"))
    create_shards(settings, SHARDS, sandbox=False)
    place = new_place(kafka)
    events, instructions = topics_of(
        SHARDS, [replace(place.events, divided=True), replace(place.instructions, divided=True)]
    )
    for topic in (events, instructions):
        place.make_anew(topic)
    return Sharded(settings, replace(place, events=events, instructions=instructions))


def messages(lines: Sequence[bytes]) -> list[Sent]:
    return [Sent(line, key_of(line)) for line in lines]


def taken(houses: Sequence[House]) -> int:
    """How many messages the shards have, each once."""
    ids: list[str] = []
    for house in houses:
        with house.database.reading() as transaction:
            ids += [f"{source} {id_}" for source, id_ in transaction.rows("SELECT source, id FROM inbox")]
    assert len(ids) == len(set(ids)), "a message is in two shards"
    return len(ids)


def said(house: House) -> dict[str, Any]:
    """Every claim as it stands, without its place."""
    return {
        f"{claim['account_id']} {claim['claim_id']}": {**claim, "position": None}
        for claim in claims.listed(house.database)
    }


def ends(houses: Sequence[House]) -> list[int]:
    found = []
    for number, house in enumerate(houses):
        with house.database.reading() as transaction:
            assert own_shard(transaction) == number
            found.append(shard_end(transaction, number))
    return found


@pytest.fixture(scope="module")
def by_one(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], int]:
    """Every claim of the same messages in a store of one shard, and how many of them it took."""
    alone = Settings(store=f"sqlite:///{tmp_path_factory.mktemp('one')}/one.db")
    create_shards(alone, 1, sandbox=False)
    with open_shards(alone) as [one]:
        publish_everywhere([one.ledger], STANDARD, actor="test", channel="test")
        files.ingest(one.ledger, LINES, "sample")
        one.projections.catch_up()
        return said(one), taken([one])


def is_followed(sharded: Sharded, houses: Sequence[House]) -> bool:
    """Whether everything that was recorded is projected and relayed."""
    identity = sharded.place.cluster.identity(sharded.place.events.name)
    return all(
        house.projections.position_reached(number) == relayed_to(house.database, identity, number) == end
        for number, (house, end) in enumerate(zip(houses, ends(houses), strict=True))
    )


def check_whole(houses: Sequence[House], expected: Mapping[str, Any]) -> None:
    """Each shard is sound and has its own accounts, and all together say what is expected."""
    merged: dict[str, Any] = {}
    for number, house in enumerate(houses):
        accounts = said(house)
        assert {shard_for(key.split()[0], SHARDS) for key in accounts} <= {number}
        merged |= accounts
        answer = verified(house)
        assert answer["ok"], answer["bad"][:5]
    assert merged == expected


def test_four_shards_say_of_each_account_what_one_says(sharded: Sharded, by_one: tuple[dict[str, Any], int]) -> None:
    """Two processes at once, of which one ends in the middle; the agreement is published while they work."""
    expected, count = by_one
    with sharded.opened() as houses, sharded.opened() as others:
        sharded.place.send(*messages(LINES))
        with running(*sharded.parts(others)):
            with running(*sharded.parts(houses)):
                until(lambda: taken(houses) > 100)
                publish_everywhere([house.ledger for house in houses], STANDARD, actor="test", channel="test")
            until(lambda: taken(houses) == count, 90)
            for house in houses:
                do_due_work(house.ledger, house.ledger.now())
            until(lambda: is_followed(sharded, houses), 60)
        whole = {number: list(range(1, end + 1)) for number, end in enumerate(ends(houses))}
        assert positions_by_partition(sharded.place) == whole
        check_whole(houses, expected)
        assert all(ends(houses))


def positions_by_partition(place: Place) -> dict[int, list[int]]:
    """The positions that each partition of the ledger's topic has, each once, in the order in which they came."""
    consumer = Consumer(
        {"bootstrap.servers": place.cluster.bootstrap, "group.id": "check", "enable.partition.eof": True}
    )
    found: dict[int, list[int]] = {}
    for number in range(SHARDS):
        consumer.assign([TopicPartition(place.events.name, number, 0)])
        found[number] = []
        while (message := consumer.poll(10)) is not None and message.error() is None:
            at = place_in(dict(message.headers()), None)
            assert at is not None
            assert at.shard == number
            if at.position > len(found[number]):
                found[number].append(at.position)
    consumer.close()
    return found


def registrations(numbers: range) -> list[Sent]:
    return [structured(account_registered(f"acct-{number}")) for number in numbers]


def test_where_a_server_is_down_its_accounts_wait_and_the_others_go_on(sharded: Sharded, second: Postgres) -> None:
    """In a process that works already, and in one that begins then: that one serves what is of the other shards, does
    nothing in those that are away, and leaves nothing out of an answer in silence."""
    near = [n for n in range(200) if shard_for(f"acct-{n}", SHARDS) < 2]
    with sharded.opened() as houses, served_with(sharded, houses[0]) as (asking, begin):
        sharded.place.send(*registrations(range(40)))
        with running(sharded.intake(houses)):
            until(lambda: taken(houses) == 40)
            second.stop()
            try:
                sharded.place.send(*registrations(range(40, 200)))
                program = begin()
                program.wait_for("ready", 90)
                assert sum("shard 2 cannot be reached" in line for line in program.said) == 1
                assert recorded(asking, "acct-here", 0, 1) == 200
                assert recorded(asking, "acct-away", 2, 3) == 503
                assert asking.get("/claims").status_code == 503
                assert asking.get("/readyz").status_code == 200
                until(lambda: taken(houses[:2]) == len(near) + 1, 60)
            finally:
                second.start()
            until(lambda: any("shards_are_back" in line for line in program.said), 90)
            until(lambda: program.said.count("ready") == 2, 90)
            assert recorded(asking, "acct-away", 2, 3) == 200
            until(lambda: asking.get("/claims").status_code == 200)
            assert program.end() == 0
            until(lambda: taken(houses) == 202, 90)
        assert all(ends(houses))


@contextmanager
def served_with(sharded: Sharded, first: House) -> Iterator[tuple[httpx.Client, Callable[[], Process]]]:
    """What asks the API of a process that begins when it is told to."""
    for role in ("provisioning", "auditor"):
        access.grant(first.ledger, Grant(principal="upstream", role=role, account_id=None), BY)
    key = access.issue_key(first.ledger, "upstream", BY).text
    first.projections.catch_up()
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = f"127.0.0.1:{free.getsockname()[1]}"
    own = {"MAKEGOOD_SHARD_MAP": sharded.settings.shard_map, "MAKEGOOD_HTTP": at}
    headers = {"Authorization": f"Bearer {key}"}
    with ExitStack() as ending, httpx.Client(base_url=f"http://{at}", headers=headers, timeout=60) as asking:
        yield asking, lambda: ending.enter_context(process(sharded.settings.store, **own))


def recorded(asking: httpx.Client, name: str, *shards: int) -> int:
    """The answer to a registration of an account in one of these shards."""
    account = next(f"{name}-{n}" for n in range(99) if shard_for(f"{name}-{n}", SHARDS) in shards)
    body = json.dumps(account_registered(account))
    return asking.post("/events", content=body, headers={"content-type": "application/cloudevents+json"}).status_code


def test_a_shard_that_answers_and_cannot_be_written_to_does_not_keep_the_others_from_their_work(
    sharded: Sharded,
) -> None:
    """Its keys are away: it is looked for seldom, because all partitions are read again each time."""
    keys = settings_of(sharded.settings, 2).vault
    others = [n for n in range(300) if shard_for(f"acct-{n}", SHARDS) != 2]
    with sharded.opened() as houses, psycopg.connect(keys, autocommit=True) as connection:
        connection.execute("ALTER TABLE key_ring RENAME TO moved_away")
        with running(sharded.intake(houses)):
            for first in range(0, 300, 20):
                sharded.place.send(*registrations(range(first, first + 20)))
            until(lambda: taken([house for n, house in enumerate(houses) if n != 2]) == len(others), 90)
            assert taken([houses[2]]) == 0
            connection.execute("ALTER TABLE moved_away RENAME TO key_ring")
            until(lambda: taken(houses) == 300, 90)


def test_a_message_goes_where_its_account_is_and_one_without_goes_to_the_first(sharded: Sharded) -> None:
    with sharded.opened() as houses:
        lines = [b"no message", *(sent.value for sent in registrations(range(8)))]
        first, *others = [house.ledger for house in houses]
        found = files.ingest(first, lines, "some", others=others)
        assert (found.accepted, len(found.refused)) == (8, 1)
        kept = []
        for house in houses:
            with house.database.reading() as transaction:
                kept.append(transaction.rows("SELECT count(*) FROM dead_letters")[0][0])
        assert kept == [1, 0, 0, 0]
        assert [taken([house]) for house in houses] == [
            sum(shard_for(f"acct-{n}", SHARDS) == number for n in range(8)) for number in range(SHARDS)
        ]


def test_a_map_that_leads_to_another_shard_is_refused(sharded: Sharded) -> None:
    file = Path(sharded.settings.shard_map)
    two, three = settings_of(sharded.settings, 2).store, settings_of(sharded.settings, 3).store
    file.write_text(f'[2]\nstore = "{three}"\n[3]\nstore = "{two}"\n')
    with (
        pytest.raises(Stop, match="has shard 3 of 4, and not shard 2 of 4: correct the shard map"),
        ExitStack() as opened,
    ):
        opened.enter_context(sharded.opened())


def test_a_server_that_allows_too_few_connections_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the store is made, by the doctor, and by whoever gets none any more."""
    monkeypatch.setattr(postgresql, "PATIENCE", 1)
    with find_postgres(controllable=True, settings={"max_connections": "20"}) as server, ExitStack() as others:
        store = server.new_database()
        assert run(["init", "--shards", "4", "--store", store]) == 0
        assert "takes up to 24 of them: set max_connections there to 24 or more" in capsys.readouterr().err
        assert run(["doctor", "--json", "--store", store]) == 1
        checks = {check["check"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
        assert checks["store"]["found"].startswith("the store's server allows 17 connections")
        with suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(server.url))
        assert run(["claims", "--store", store]) == 1
        said = capsys.readouterr().err.replace("\n", " ")
        assert "too many clients" in said
        assert "(max_connections)" in said


# --- a shard is restored --------------------------------------------------------------------------------------------


@pytest.fixture
def place(sharded: Sharded) -> Place:
    """Commands are on its topics."""
    return sharded.place


def test_a_shard_that_was_restored_is_named_and_begins_a_generation_of_its_own(
    sharded: Sharded,
    second: Postgres,
    commands: Any,
    by_one: tuple[dict[str, Any], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From a backup that is older than the topics: the other shards give nothing up."""
    expected, _ = by_one
    third = len(LINES) // 3
    monkeypatch.setenv("MAKEGOOD_SHARD_MAP", sharded.settings.shard_map)
    lacking = settings_of(sharded.settings, 3).store
    store, kafka = sharded.settings.store, ("--kafka", sharded.place.cluster.bootstrap)

    def work(published: int, more: Sequence[bytes]) -> list[int]:
        sharded.place.send(*messages(more))
        identity = sharded.place.cluster.identity(sharded.place.upstream.name)
        with sharded.opened() as houses, running(*sharded.parts(houses)):
            read = [partial(stored_positions, house.database, identity) for house in houses]
            until(lambda: all(sum(each().values()) == published + len(more) for each in read), 60)
            until(lambda: is_followed(sharded, houses), 60)
            return ends(houses)

    with sharded.opened() as houses:
        publish_everywhere([house.ledger for house in houses], STANDARD, actor="test", channel="test")
    at_backup = work(0, LINES[:third])
    second.copy_database(lacking, f"{lacking}_backup")
    assert work(third, LINES[third : 2 * third])[3] > at_backup[3]
    second.copy_database(f"{lacking}_backup", lacking)

    for command in ("run", "status"):
        code, said = commands(store, command, *kafka)
        assert code == 1
        assert "MAKEGOOD_SHARD=3 makegood restored" in said.replace("\n", " ")
    code, said = commands(store, "restored", *kafka)
    assert code == 1
    assert "MAKEGOOD_SHARD" in said
    monkeypatch.setenv("MAKEGOOD_SHARD", "3")
    told = json.loads(commands(store, "restored", *kafka, "--json")[1])
    assert (told["generation"], told["kept"]["shard:3"]) == (2, at_backup[3])
    monkeypatch.delenv("MAKEGOOD_SHARD")
    work(2 * third, LINES[2 * third :])
    with sharded.opened() as houses:
        for house in houses:
            do_due_work(house.ledger, house.ledger.now())
            house.projections.catch_up()
        check_whole(houses, expected)


# --- a shard moves --------------------------------------------------------------------------------------------------


def test_a_shard_moves_to_another_server_while_a_process_goes_on(sharded: Sharded, postgres: Postgres) -> None:
    """By logical replication, as docs/scale.md says: only accounts of the shard that moves wait. Where it moves to is
    new to the process."""
    old, file = settings_of(sharded.settings, 2), Path(sharded.settings.shard_map)
    store = postgres.new_database()
    vault = beside(store, "vault")
    create_if_missing(vault, beside=store)
    moving = ((old.store, store), (old.vault, vault))
    with sharded.opened() as (first, *_), served_with(sharded, first) as (asking, begin):
        program = begin()
        program.wait_for("ready", 60)

        def come(name: str) -> dict[int, int]:
            return {shard: recorded(asking, name, shard) for shard in range(SHARDS)}

        assert [come(f"before-{n}") for n in range(5)] == [dict.fromkeys(range(SHARDS), 200)] * 5
        for source, target in moving:
            follow(source, target)
        assert [come(f"meanwhile-{n}") for n in range(5)] == [dict.fromkeys(range(SHARDS), 200)] * 5
        file.write_text(file.read_text().replace(f'"{old.store}"', f'"{old.store}"\naway = true'))
        program.process.send_signal(signal.SIGHUP)
        until(lambda: program.said.count("ready") == 2, 60)
        assert come("away") == {0: 200, 1: 200, 2: 503, 3: 200}
        for source, target in moving:
            stop_following(source, target)
        file.write_text(file.read_text().replace(f'"{old.store}"\naway = true', f'"{store}"'))
        until(lambda: program.said.count("ready") == 3, 60)
        assert come("after") == dict.fromkeys(range(SHARDS), 200)
        assert program.end() == 0
    with sharded.opened() as houses:
        assert houses[2].database.url == store
        assert taken(houses) == 12 * SHARDS - 1
        assert all(ends(houses))
        for house in houses:
            house.projections.catch_up()
            answer = verified(house)
            assert answer["ok"], answer["bad"][:5]


def test_no_command_opens_a_shard_that_is_away(sharded: Sharded) -> None:
    file = Path(sharded.settings.shard_map)
    file.write_text(file.read_text().replace("[3]", "away = true\n[3]"))
    with pytest.raises(Unavailable, match="says that shard 2 is away"), ExitStack() as opened:
        opened.enter_context(sharded.opened())


def follow(source: str, target: str) -> None:
    """Have a database without tables get another's, and follow it."""
    tables = subprocess.run(
        [pg_dump(), "--schema-only", "--no-owner", source], capture_output=True, check=True
    ).stdout
    subprocess.run(
        [psql(), "--quiet", "--set=ON_ERROR_STOP=1", target], input=tables, capture_output=True, check=True
    )
    with psycopg.connect(source, autocommit=True) as connection:
        for (table,) in connection.execute(WITHOUT_KEY).fetchall():
            connection.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
        connection.execute("CREATE PUBLICATION moving FOR ALL TABLES")
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute(f"CREATE SUBSCRIPTION moving_{name_in(target)} CONNECTION '{source}' PUBLICATION moving")
        until(lambda: connection.execute(NOT_YET).fetchone() == (0,), 60)


def stop_following(source: str, target: str) -> None:
    """Nobody writes any more: let the rest come, and end it."""
    with psycopg.connect(source, autocommit=True) as connection:
        [(end,)] = connection.execute("SELECT pg_current_wal_lsn()").fetchall()
        until(lambda: connection.execute(BEHIND, (end,)).fetchone() == (0,), 60)
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute(f"DROP SUBSCRIPTION moving_{name_in(target)}")


def name_in(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


WITHOUT_KEY = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT EXISTS "
    "(SELECT 1 FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)"
)
"""The tables in which no key says which row was deleted."""
NOT_YET = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'"
BEHIND = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND confirmed_flush_lsn < %s"
