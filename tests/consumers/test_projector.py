"""Where in a topic to begin, what a record carries, and following the store."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.kafka.in_process import InProcessBroker
from consumers.kafka.records import Only, Partition, Record
from consumers.places import place_of
from consumers.projector import KafkaSource, Projector, StoreSource, event_of, offset_after
from consumers.relay import EventLane, Relay, relayed_to
from ledger.store.database import Unavailable
from ledger.store.reading.events import read_shard
from ledger.store.reading.generations import Generations
from projections.follower import Follower
from tests.consumers.test_intake import Clock, Upstream
from tests.integration.world import (
    Books,
    new_books,
    new_place,
    running,
    sample_lines,
    take_all,
    until,
)

HERE = Partition("ledger.events", 0)


class Topic:
    """A partition with these positions on it, the first `gone` of which retention has taken.

    `generations` are those of the positions; none is named where it is the first.
    """

    def __init__(self, positions: list[int], gone: int = 0, generations: list[int] | None = None) -> None:
        self.positions = positions
        self.gone = gone
        self.generations = generations
        self.looks = 0

    def __enter__(self) -> "Topic":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def bounds(self) -> tuple[int, int]:
        return self.gone, len(self.positions)

    def first_from(self, offset: int) -> Record | None:
        self.looks += 1
        if offset >= len(self.positions):
            return None
        headers = [("position", f"0:{self.positions[offset]}".encode())]
        if self.generations is not None:
            headers.append(("generation", str(self.generations[offset]).encode()))
        return Record(HERE, offset, None, b"", headers)


def test_where_nothing_was_sent_twice_one_look_is_enough() -> None:
    topic = Topic(list(range(1, 100_001)))
    assert offset_after(topic, 77_777) == 77_777
    assert topic.looks == 1


def test_at_the_beginning_and_in_an_empty_topic_no_look_is_needed() -> None:
    assert offset_after(Topic([1, 2, 3]), 0) == 0
    assert offset_after(Topic([]), 5) == 0
    assert offset_after(Topic([1, 2, 3], gone=3), 5) == 3


def test_a_topic_that_was_made_anew_is_searched() -> None:
    topic = Topic([*range(1, 51), *range(21, 1001)])
    offset = offset_after(topic, 500)
    assert topic.positions[offset] == 501
    assert topic.looks < 15


@given(
    runs=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=10),
    position=st.integers(0, 80),
    gone=st.integers(0, 20),
)
def test_whatever_a_relay_sent_twice_the_next_event_is_not_skipped(
    runs: list[tuple[int, int]], position: int, gone: int
) -> None:
    """Each run begins at most where the last one's stored position was, and goes on without a hole."""
    positions: list[int] = []
    reached = 0
    for back, forward in runs:
        start = max(0, reached - back)
        positions += range(start + 1, start + forward + 1)
        reached = start + forward  # one relay after the other: each goes on from where the last one came to
    topic = Topic(positions, min(gone, len(positions)))
    offset = offset_after(topic, position)
    low, high = topic.bounds()
    assert low <= offset <= high
    rest = positions[offset:]
    if position < min(positions[low:], default=0):
        assert offset == low
    elif rest:
        ahead = next((p for p in rest if p > position), None)
        # From the lowest offset on nothing is skipped; and what retention took is not there to be found: then the
        # first event after it is a jump, and the follower reads what lies between from the store.
        assert offset == low or position + 1 not in positions[low:] or ahead in (None, position + 1)


@given(data=st.data(), restored=st.integers(1, 4))
def test_across_generations_the_next_event_is_not_skipped(data: st.DataObject, restored: int) -> None:
    """A ledger goes on, is restored to less and goes on under a new generation, as often as you like."""
    sent: list[tuple[int, int]] = []
    begun: tuple[tuple[int, int], ...] = ()
    end = relayed = 0
    for generation in range(1, restored + 2):
        if generation > 1:
            end = data.draw(st.integers(0, end), label="restored to")
            relayed = min(relayed, data.draw(st.integers(0, end), label="relayed then"))
            begun = (*begun, (generation, end))
        kept = Generations(begun)
        for _ in range(data.draw(st.integers(0, 3), label="runs")):
            end += data.draw(st.integers(0, 20), label="recorded")
            sent += [(kept.of(position), position) for position in range(relayed + 1, end + 1)]
            relayed = data.draw(st.integers(relayed, end), label="position stored")
    topic = Topic([p for _, p in sent], generations=[g for g, _ in sent])
    reached = data.draw(st.integers(0, end), label="reached")

    offset = offset_after(topic, reached, generations=Generations(begun))
    kept = Generations(begun)
    rest = [p for g, p in sent[offset:] if not kept.gave_up(g, p) and p > reached]
    everything = {p for g, p in sent if not kept.gave_up(g, p) and p > reached}
    assert set(rest) == everything
    assert not rest or rest[0] == reached + 1 or reached + 1 not in everything


def test_a_generation_begins_after_what_it_keeps_of_those_before() -> None:
    kept = Generations(((2, 80), (4, 70)))
    assert [kept.of(position) for position in (1, 70, 71, 80, 81, 500)] == [1, 1, 4, 4, 4, 4]
    assert [kept.gave_up(*place) for place in ((1, 70), (1, 71), (2, 81), (3, 71), (4, 71))] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert (kept.newest, Generations().newest, Generations().of(9)) == (4, 1, 1)


class Events(Upstream):
    """A cluster whose topic is empty, and made anew by the test."""

    def probe(self, partition: Partition) -> Topic:
        return Topic([])

    def last_records(
        self, topic: str, limit: int, *, only: Only | None = None, partition: int | None = None
    ) -> list[Record]:
        return []


def test_a_topic_made_anew_is_read_with_a_new_client(tmp_path: Path) -> None:
    """The old one may never fetch from it: then all events would come from the store, late, until a restart."""
    cluster, clock = Events(), Clock()
    with new_books(f"sqlite:///{tmp_path / 'books.db'}") as books:
        source = KafkaSource(cluster, look_seconds=5.0, monotonic=clock)
        source.open([books.follower()], lambda: False)
        cluster.member_.assign(HERE)
        source.feed(0)
        cluster.topic_id = "second"
        for _ in range(3):
            clock.seconds += 6.0
            source.feed(0)
        assert cluster.member_.joins == 2
        source.close()


def test_somebody_elses_records_are_told_apart() -> None:
    def record(*headers: tuple[str, bytes | None], value: bytes | None = b"{}") -> Record:
        return Record(HERE, 0, b"acct", value, headers)

    ours = (("position", b"0:7"), ("type", b"x.v1"), ("account-version", b"3"))
    assert place_of(record(*ours)) == (1, 0, 7)
    assert place_of(record(*ours, ("generation", b"3"))) == (3, 0, 7)
    for other in (b"7", b"0:x", b"", b"\xff:1", None):
        assert place_of(record(("position", other))) is None
    for other in (b"x", b"-1", b"9" * 20, b"\xff"):
        assert place_of(record(*ours, ("generation", other))) is None
    value = b'{"type":"x.v1","account":"acct"}'
    assert event_of(record(*ours, value=value)) == (0, 7, "acct", 3, "x.v1", value, 1)
    for other in (b'{"type":"y.v1","account":"acct"}', b"{}", b"no JSON", b"[]", None):
        assert event_of(record(*ours, value=other)) is None
    assert event_of(record(*ours[:2], ("account-version", b"x"), value=value)) is None
    assert event_of(record(*ours[:2], value=value)) is None


def test_the_events_of_another_store_on_the_same_topic_are_told_apart(tmp_path: Path) -> None:
    with new_books(f"sqlite:///{tmp_path / 'one.db'}") as one, new_books(f"sqlite:///{tmp_path / 'two.db'}") as two:
        take_all(one, sample_lines()[:20])
        take_all(two, sample_lines()[20:40])
        with one.database.reading() as transaction:
            ours = EventLane("ledger.events", 0).after(transaction, 0, 1000).records
        with two.database.reading() as transaction:
            theirs = EventLane("ledger.events", 0).after(transaction, 0, 1000).records
        store = one.follower().store_id().encode()
        mixed = [Record(HERE, n, r.key, r.value, r.headers) for n, r in enumerate([*theirs, *ours])]
        read = [event for record in mixed if (event := event_of(record, store)) is not None]
        assert [event.position for event in read] == list(range(1, len(ours) + 1))
        assert [event.envelope for event in read] == [record.value for record in ours]


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with new_books(f"sqlite:///{tmp_path / 'books.db'}") as found:
        yield found


def test_what_the_relay_sends_is_what_is_stored(books: Books) -> None:
    take_all(books, sample_lines()[:50])
    with books.database.reading() as transaction:
        stored = read_shard(transaction, 0, 0, 1000)
        sent = EventLane("ledger.events", 0).after(transaction, 0, 1000).records
    assert [event_of(Record(HERE, n, r.key, r.value, r.headers)) for n, r in enumerate(sent)] == [
        (e.shard, e.position, e.account, e.account_version, e.type, e.envelope, 1) for e in stored
    ]


def test_it_follows_the_store(books: Books) -> None:
    source = StoreSource()
    with running(Projector(books.follower(), source)):
        take_all(books, sample_lines()[:50])
        source.wake()
        until(lambda: books.follower().position_reached(0) == books.end(), 5)


def test_it_waits_for_a_store_that_is_away(books: Books) -> None:
    class Away(Follower):
        failures = 2

        def catch_up(self, *args: object, **options: object) -> int:
            if self.failures:
                self.failures -= 1
                raise Unavailable("gone")
            return super().catch_up()

    with running(Projector(Away(books.database), StoreSource())):
        until(lambda: books.follower().position_reached(0) == books.end(), 5)


def test_it_stops_soon(books: Books) -> None:
    stop = threading.Event()
    stop.set()
    Projector(books.follower(), StoreSource()).run(stop, lambda: None)


def test_through_the_in_process_broker(books: Books) -> None:
    take_all(books, sample_lines()[:300])
    with InProcessBroker() as broker:
        place = new_place(broker)
        relay = Relay(books.database, place.cluster, **place.relayed)
        projector = Projector(books.follower(), KafkaSource(place.cluster, topic=place.events, look_seconds=600))
        with running(relay, projector):
            until(lambda: books.follower().position_reached(0) == books.end())
        assert relayed_to(books.database, place.cluster.identity(place.events.name), 0) == books.end()
