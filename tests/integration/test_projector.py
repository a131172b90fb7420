"""The projector with a real Kafka and a real PostgreSQL: whatever the topic lacks or repeats, the rows are right."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.part import PartFailed
from consumers.projector import KafkaSource, Projector, StoreSource
from consumers.relay import EventLane, Relay, relayed_to
from tests.integration.world import (
    Books,
    Place,
    Sent,
    new_books,
    running,
    sample_lines,
    send,
    take_all,
    until,
)
from tests.parts.stores import Stores

pytestmark = pytest.mark.long


def relay_all(books: Books, place: Place) -> None:
    with running(Relay(books.database, place.fresh_cluster(), **place.relayed)):
        until(lambda: relayed_to(books.database, place.cluster.identity(place.events.name), 0) == books.end())


def publish_positions(books: Books, place: Place, positions: list[int]) -> None:
    """Put just these on the topic, in this order, as a relay would."""
    lane = EventLane(place.events.name, 0)
    with books.database.reading() as transaction:
        records = lane.after(transaction, 0, 1_000_000).records
    send(
        place.cluster.bootstrap,
        place.events.name,
        [
            Sent(records[p - 1].value, records[p - 1].key, tuple(records[p - 1].headers), 0)  # type: ignore[arg-type]
            for p in positions
        ],
    )


def projector(books: Books, place: Place, look_seconds: float = 600) -> Projector:
    """Unless told otherwise one that never looks into the store by itself, only over a jump."""
    source = KafkaSource(place.fresh_cluster(), topic=place.events, look_seconds=look_seconds)
    return Projector(books.follower(), source)


def reached(books: Books) -> int:
    return books.follower().position_reached(0)


def everything(books: Books) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every projection."""
    follower = books.follower()
    return {
        projection.stored_name(table): sorted(
            books.rows(f"SELECT {', '.join(table.columns)} FROM {projection.stored_name(table)}"), key=repr
        )
        for projection in follower._projections
        for table in projection.tables
    }


def expected(books: Books, tmp_path: Path) -> dict[str, list[tuple[object, ...]]]:
    """The same projections, straight from the store's events."""
    with new_books(f"sqlite:///{tmp_path / 'expected.db'}") as other:
        with other.database.writing() as transaction:
            for table in ("events", "sequences"):
                transaction.run(f"DELETE FROM {table}")
        columns = "shard, position, account, account_version, stream, stream_version, type, event_id, envelope"
        rows = books.rows(f"SELECT {columns} FROM events ORDER BY position")
        with other.database.writing() as transaction:
            transaction.insert("events", columns.split(", "), rows)
            transaction.insert("sequences", ("name", "position"), [("shard:0", books.end())])
        other.follower().catch_up()
        return everything(other)


def with_the_first_part(store: str) -> None:
    """A store with the first part of the sample in it, and nothing projected yet."""
    with new_books(store) as books:
        take_all(books, sample_lines()[:1500])


@pytest.fixture
def filled(stores: Stores, tmp_path: Path) -> Iterator[Books]:
    url = stores.new("postgresql", tmp_path, with_the_first_part)
    books = Books(url)
    yield books
    books.close()
    stores.give_back(url)


def test_from_kafka_and_from_the_store_the_rows_are_the_same(filled: Books, place: Place, tmp_path: Path) -> None:
    relay_all(filled, place)
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
    assert filled.claims()
    assert everything(filled) == expected(filled, tmp_path)


def test_it_follows_the_store_itself_where_there_is_no_kafka(filled: Books, tmp_path: Path) -> None:
    source = StoreSource()
    with running(Projector(filled.follower(), source)):
        until(lambda: reached(filled) == filled.end())
        take_all(filled, sample_lines()[1500:1600])
        source.wake()
        until(lambda: reached(filled) == filled.end(), 1)
    assert everything(filled) == expected(filled, tmp_path)


def test_twice_out_of_order_and_with_holes(filled: Books, place: Place, tmp_path: Path) -> None:
    end = filled.end()
    publish_positions(
        filled, place, [*range(1, 200), *range(100, 300), *range(400, 500), *range(350, 450), *range(700, end + 1)]
    )
    with running(projector(filled, place)):
        until(lambda: reached(filled) == end)
    assert everything(filled) == expected(filled, tmp_path)


def test_somebody_elses_records_are_passed_over(filled: Books, place: Place, tmp_path: Path) -> None:
    publish_positions(filled, place, list(range(1, 100)))
    junk = [
        Sent(b"junk", b"acct", (), 0),
        Sent(b"junk", b"acct", (("position", b"0:100"), ("type", b"x"), ("account-version", b"1")), 0),
        Sent(b"{}", b"acct", (("position", b"eleven"),), 0),
    ]
    send(place.cluster.bootstrap, place.events.name, junk)
    publish_positions(filled, place, list(range(100, filled.end() + 1)))
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
    assert everything(filled) == expected(filled, tmp_path)


def test_damaged_bytes_on_the_topic_are_replaced_by_those_of_the_store(
    filled: Books, place: Place, tmp_path: Path
) -> None:
    publish_positions(filled, place, list(range(1, 40)))
    with filled.database.reading() as transaction:
        [forty] = EventLane(place.events.name, 0).after(transaction, 39, 1).records
    damaged = forty.value[:-20] + b"}"
    send(place.cluster.bootstrap, place.events.name, [Sent(damaged, forty.key, tuple(forty.headers), 0)])  # type: ignore[arg-type]
    publish_positions(filled, place, list(range(41, filled.end() + 1)))
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
    assert everything(filled) == expected(filled, tmp_path)


def test_where_the_stores_own_bytes_are_damaged_it_stops(filled: Books, place: Place) -> None:
    publish_positions(filled, place, [*range(1, 60), filled.end()])
    with filled.database.writing() as transaction:
        transaction.run("UPDATE events SET envelope = ? WHERE position = 70", (b'{"type":"x"}',))
    with pytest.raises(PartFailed, match="cannot be processed"), running(projector(filled, place)) as stop:
        stop.wait(30)
    assert reached(filled) < 70


def test_a_restarted_projector_goes_on_where_its_positions_say(filled: Books, place: Place, tmp_path: Path) -> None:
    publish_positions(filled, place, list(range(1, 500)))
    with running(projector(filled, place)):
        until(lambda: reached(filled) == 499)
    publish_positions(filled, place, list(range(490, filled.end() + 1)))
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
    assert everything(filled) == expected(filled, tmp_path)


def test_projections_that_were_thrown_away_are_filled_again(filled: Books, place: Place, tmp_path: Path) -> None:
    """Their positions are gone with them, and Kafka's offsets are of no account."""
    relay_all(filled, place)
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
    with filled.database.writing() as transaction:
        transaction.run("DELETE FROM projection_positions")
        for projection in filled.follower()._projections:
            for table in projection.tables:
                transaction.run(f"DELETE FROM {projection.stored_name(table)}")
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
    assert everything(filled) == expected(filled, tmp_path)


def test_retention_ran_past_it(filled: Books, place: Place, tmp_path: Path) -> None:
    relay_all(filled, place)
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
    take_all(filled, sample_lines()[1500:1700])
    relay_all(filled, place)
    admin = AdminClient({"bootstrap.servers": place.cluster.bootstrap, "log_level": 0})
    cut = TopicPartition(place.events.name, 0, filled.end() - 10)
    admin.delete_records([cut])[cut].result(15)
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
    assert everything(filled) == expected(filled, tmp_path)


def test_a_topic_that_is_made_anew_under_it(filled: Books, place: Place, tmp_path: Path) -> None:
    relay_all(filled, place)
    with running(projector(filled, place)):
        until(lambda: reached(filled) == filled.end())
        place.make_anew(place.events)
        take_all(filled, sample_lines()[1500:1700])
        relay_all(filled, place)
        until(lambda: reached(filled) == filled.end(), 60)
    assert everything(filled) == expected(filled, tmp_path)


def test_the_end_of_the_topic_is_missing(filled: Books, place: Place, tmp_path: Path) -> None:
    """No jump shows it, because nothing comes after it: in the silence it asks the store."""
    publish_positions(filled, place, list(range(1, 500)))
    with running(projector(filled, place, look_seconds=0.5)):
        until(lambda: reached(filled) == filled.end())
    assert everything(filled) == expected(filled, tmp_path)


def test_two_projectors_do_no_harm(filled: Books, place: Place, tmp_path: Path) -> None:
    with running(projector(filled, place), projector(filled, place)):
        relay_all(filled, place)
        until(lambda: reached(filled) == filled.end())
    assert everything(filled) == expected(filled, tmp_path)


def test_another_one_that_follows_the_store_does_no_harm(filled: Books, place: Place, tmp_path: Path) -> None:
    relay_all(filled, place)
    from_store = Projector(filled.follower(), StoreSource())
    from_store.name = "projector from the store"
    with running(projector(filled, place), from_store):
        until(lambda: reached(filled) == filled.end())
    assert everything(filled) == expected(filled, tmp_path)


def test_the_events_of_another_store_on_the_same_topic_are_passed_over(
    filled: Books, place: Place, tmp_path: Path
) -> None:
    """A store that was made anew publishes to the topic that still holds what the old one published."""
    relay_all(filled, place)
    with new_books(f"sqlite:///{tmp_path / 'anew.db'}") as anew:
        take_all(anew, sample_lines()[:300])
        relay_all(anew, place)
        with running(projector(anew, place)):
            until(lambda: reached(anew) == anew.end())
        assert everything(anew) == expected(anew, tmp_path)
