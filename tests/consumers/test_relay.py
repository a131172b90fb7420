"""The relay step by step, over a sender that fails as the test wants it to."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from consumers.kafka.records import Only, Outgoing, Partition, Record, TopicIdentity, Undelivered
from consumers.relay import Relay, relayed_to
from ledger.application.acts import By
from ledger.application.restoring import Restored, begin_generation
from ledger.store.database import CommitUnknown
from ledger.store.reading.generations import AheadOfLedger
from ledger.store.reading.readers import reader_position
from ledger.store.writing import take_over_reader
from tests.integration.world import Books, account_registered, new_books, running, structured, take_all, until
from tests.ledger.books import Watched
from tests.ledger.messages import Upstream


class Broker:
    """Takes what is sent; `identities` says which topics it has."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Outgoing]] = {}
        self.ids: dict[str, str] = {}
        self.failures = 0
        self.confirms_then_fails = 0
        self.opened = self.closed = 0

    def identity(self, topic: str) -> TopicIdentity:
        return TopicIdentity("cluster", topic, self.ids.get(topic, f"id-of-{topic}"))

    def last_records(
        self, topic: str, limit: int, *, only: Only | None = None, partition: int | None = None
    ) -> list[Record]:
        kept = [
            Record(Partition(topic, sent.partition or 0), offset, sent.key, sent.value, sent.headers)
            for offset, sent in enumerate(self.topics.get(topic, []))
        ]
        return list(filter(only, kept))[-limit:]

    def sender(self, purpose: str) -> "Broker":
        self.opened += 1
        return self

    def send(self, records: Iterable[Outgoing], deadline: float) -> None:
        if self.failures:
            self.failures -= 1
            raise Undelivered("the broker does not answer")
        for record in records:
            self.topics.setdefault(record.topic, []).append(record)
        if self.confirms_then_fails:
            self.confirms_then_fails -= 1
            raise Undelivered("the answer was lost")

    def close(self) -> None:
        self.closed += 1

    def positions(self) -> list[int]:
        return [
            int(dict(record.headers)["position"].partition(b":")[2])  # type: ignore[union-attr]
            for record in self.topics.get("ledger.events", [])
        ]


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with new_books(f"sqlite:///{tmp_path / 'books.db'}") as found:
        yield found


@pytest.fixture
def broker() -> Broker:
    return Broker()


def lanes_of_events(broker: Broker) -> list[str]:
    """Under what names the two lanes that follow the events keep their positions."""
    return [f"relay/{broker.identity(topic)}/0" for topic in ("ledger.events", "makegood.instructions")]


def record(books: Books, first: int, count: int) -> None:
    take_all(books, [structured(account_registered(f"acct-{n}")).value for n in range(first, first + count)])


def relayed(books: Books, broker: Broker) -> int:
    return relayed_to(books.database, broker.identity("ledger.events"), 0)


def test_batches_go_out_and_the_position_follows(books: Books, broker: Broker) -> None:
    record(books, 0, 24)
    relay = Relay(books.database, broker, batch=10)
    assert [relay.step() for _ in range(4)] == [10, 10, 5, 0]
    assert broker.positions() == list(range(1, 26))
    assert relayed(books, broker) == 25
    sent = broker.topics["ledger.events"][1]
    assert (sent.partition, sent.key) == (0, b"acct-0")
    assert json.loads(sent.value)["account"] == "acct-0"


def test_the_position_stays_where_the_broker_did_not_confirm(books: Books, broker: Broker) -> None:
    record(books, 0, 4)
    relay = Relay(books.database, broker)
    broker.confirms_then_fails = 1
    with pytest.raises(Undelivered):
        relay.step()
    assert relayed(books, broker) == 0
    relay.forget()
    assert relay.step() == 5
    assert broker.positions() == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert relayed(books, broker) == 5


def test_it_waits_for_a_broker_that_does_not_answer(books: Books, broker: Broker) -> None:
    record(books, 0, 4)
    broker.failures = 2
    with running(Relay(books.database, broker)):
        until(lambda: relayed(books, broker) == 5, 5)
    assert broker.positions() == [1, 2, 3, 4, 5]
    assert broker.opened == broker.closed == 3


def test_a_store_that_goes_back_while_it_runs_is_noticed_before_it_sends(books: Books, broker: Broker) -> None:
    """Its position is not where the relay left it, and the topic has what the store has not."""
    record(books, 0, 4)
    relay = Relay(books.database, broker)
    assert relay.step() == 5
    with books.database.writing() as transaction:
        transaction.run("DELETE FROM events WHERE position > 3")
        transaction.run("UPDATE sequences SET position = 3 WHERE name = 'shard:0'")
        transaction.run("UPDATE readers SET position = 2")
    with pytest.raises(AheadOfLedger, match=r"ledger.events has position 0:5, and the ledger ends at 0:3"):
        relay.step()
    with pytest.raises(AheadOfLedger):
        Relay(books.database, broker).step()
    assert broker.positions() == [1, 2, 3, 4, 5]


def test_what_is_further_back_on_the_topic_is_noticed_too(books: Books, broker: Broker) -> None:
    """A relay that was cut off has sent its last batch again, and not up to where it ended the first time."""
    record(books, 0, 9)
    assert Relay(books.database, broker).step() == 10
    sent = broker.topics["ledger.events"]
    sent += sent[2:5]
    with books.database.writing() as transaction:
        transaction.run("DELETE FROM events WHERE position > 7")
        transaction.run("UPDATE sequences SET position = 7 WHERE name = 'shard:0'")
    with pytest.raises(AheadOfLedger, match=r"has position 0:10"):
        Relay(books.database, broker).step()


def test_another_stores_records_and_junk_are_nothing_ahead(books: Books, broker: Broker) -> None:
    record(books, 0, 4)
    theirs = (("store", b"another"), ("position", b"0:999"), ("generation", b"7"))
    junk = (("position", b"0:999"),)
    broker.send([Outgoing("ledger.events", b"x", b"{}", headers, 0) for headers in (theirs, junk)], 1.0)
    assert Relay(books.database, broker).step() == 5


def test_each_record_names_its_generation(books: Books, broker: Broker) -> None:
    record(books, 0, 2)
    restored = Restored(2, [], {"shard:0": 2})
    begin_generation(books.ledger(), restored, None, By("/makegood/cli/ada", "cli"))
    Relay(books.database, broker).step()
    generations = [dict(sent.headers)["generation"] for sent in broker.topics["ledger.events"]]
    assert generations == [b"1", b"1", b"2", b"2"]


def test_whoever_holds_the_lane_no_more_sends_nothing(books: Books, broker: Broker) -> None:
    record(books, 0, 4)
    first, second = Relay(books.database, broker), Relay(books.database, broker)
    assert first.step() == 5
    assert second.step() == 0  # it takes the lane over
    record(books, 4, 1)
    assert first.step() == 0
    assert second.step() == 1
    assert broker.positions() == [1, 2, 3, 4, 5, 6]


def test_a_lane_that_is_not_moved_is_taken_over(books: Books, broker: Broker) -> None:
    clock = Clock()
    first = Relay(books.database, broker, stands_by=10, watch_seconds=1e9, monotonic=clock)
    first.step()
    with books.database.writing() as transaction:
        for reader in lanes_of_events(broker):
            take_over_reader(transaction, reader)  # and never seen again
    for _ in range(5):
        clock.seconds += 100
        assert first.step() == 0  # nothing to send: it may well be alive
    record(books, 0, 4)
    assert first.step() == 0
    clock.seconds += 9
    assert first.step() == 0
    clock.seconds += 2
    first.step()
    assert first.step() == 4
    assert relayed(books, broker) == 5


def test_a_lane_whose_taking_over_was_not_committed_is_not_held(books: Books, broker: Broker) -> None:
    """Else the next one to take it over is given the same epoch, and nothing fences either off."""
    clock = Clock()
    watched = Watched(books.database)
    first = Relay(watched, broker, stands_by=10, watch_seconds=1e9, monotonic=clock)
    first.step()
    Relay(books.database, broker).step()  # takes the lanes over, and is never seen again
    record(books, 0, 4)
    assert first.step() == 0
    clock.seconds += 11
    watched.before_commit.append(undone)
    with pytest.raises(CommitUnknown):
        first.step()
    third = Relay(books.database, broker, batch=2)
    assert third.step() == 2
    assert first.step() == 0
    assert third.step() == 2


def undone() -> None:
    raise CommitUnknown("the answer to a commit was lost")


def test_fenced_between_reading_and_moving(books: Books, broker: Broker) -> None:
    """Both have sent; the one that is fenced off moves nothing."""
    record(books, 0, 4)
    relay = Relay(books.database, broker)

    class Meanwhile(Broker):
        def send(self, records: Iterable[Outgoing], deadline: float) -> None:
            super().send(records, deadline)
            with books.database.writing() as transaction:
                for reader in lanes_of_events(self):
                    take_over_reader(transaction, reader)

    meanwhile = Meanwhile()
    relay = Relay(books.database, meanwhile)
    assert relay.step() == 0
    assert meanwhile.positions() == [1, 2, 3, 4, 5]
    assert relayed(books, meanwhile) == 0


def test_a_topic_that_was_made_anew_gets_everything(books: Books, broker: Broker) -> None:
    record(books, 0, 4)
    relay = Relay(books.database, broker, watch_seconds=0)
    relay.step()
    broker.ids["ledger.events"] = "another"
    broker.topics.clear()
    assert relay.step() == 5
    assert broker.positions() == [1, 2, 3, 4, 5]


def test_dead_letters_go_out_once_and_without_their_bodies(books: Books, broker: Broker) -> None:
    event = account_registered("acct-1")
    take_all(books, [b"Grace Hidden", structured({**event, "data": {"customer": "Grace Hidden"}}).value])
    relay = Relay(books.database, broker)
    relay.step()
    relay.step()
    letters = [json.loads(record.value) for record in broker.topics["provisioning.dead-letters"]]
    assert [letter["account"] for letter in letters] == [None, "acct-1"]
    assert [record.key for record in broker.topics["provisioning.dead-letters"]] == [None, b"acct-1"]
    assert letters[1]["origin"] == "line:1"
    assert "Grace" not in json.dumps(letters)


def test_instructions_go_out_in_order_each_as_a_cloud_event(books: Books, broker: Broker) -> None:
    upstream = Upstream()
    take_all(books, [json.dumps(message).encode() for message in upstream.customer()[:3]])
    relay = Relay(books.database, broker, batch=2)
    while relay.step():
        pass
    assert "makegood.instructions" not in broker.topics
    said = [
        upstream.overcharge_confirmed(),
        upstream.cancellation_requested(reason="Zoë moves"),
        upstream.cancellation_withdrawn(),
    ]
    take_all(books, [json.dumps(message).encode() for message in said])
    while relay.step():
        pass
    sent = broker.topics["makegood.instructions"]
    told = [json.loads(record.value) for record in sent]
    assert [each["type"] for each in told] == [
        "makegood.invoice.reduced.v1",
        "makegood.invoice.reduced.v1",
        "makegood.cancellation.scheduled.v1",
        "makegood.invoice.reduced.v1",
        "makegood.cancellation.withdrawn.v1",
    ]
    recorded_at = {
        position: json.loads(bytes(envelope))["recorded_at"]
        for position, envelope in books.rows("SELECT position, envelope FROM events")
    }
    for record, each in zip(sent, told, strict=True):
        headers = dict(record.headers)
        shard, _, position = headers["position"].partition(b":")
        assert (record.key, record.partition) == (b"acct-1", int(shard))
        assert headers["content-type"] == b"application/cloudevents+json"
        assert headers["store"] == books.follower().store_id().encode()
        assert set(each) == {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"}
        assert (each["specversion"], each["source"], each["subject"]) == ("1.0", "/makegood", "acct-1")
        assert (shard, each["time"]) == (b"0", recorded_at[int(position)])
    assert told[2]["data"] == {"subscription_id": "sub-1", "effective_on": "2026-04-01"}
    assert len({each["id"] for each in told}) == len(told)
    assert "Zoë" not in json.dumps(told, ensure_ascii=False)


def test_an_instruction_that_is_sent_again_is_the_same_one(books: Books, broker: Broker) -> None:
    upstream = Upstream()
    messages = [*upstream.customer(), upstream.cancellation_requested()]
    take_all(books, [json.dumps(message).encode() for message in messages])
    relay = Relay(books.database, broker)
    relay.step()
    broker.ids["makegood.instructions"] = "another"
    relay.forget()
    while relay.step():
        pass
    one, again = broker.topics["makegood.instructions"]
    assert one == again


def test_instructions_wait_for_more_so_that_few_batches_are_many(books: Books, broker: Broker) -> None:
    """Each costs a commit. Events wait for nothing, and whoever goes step by step neither."""
    clock = Clock()
    relay = Relay(books.database, broker, monotonic=clock)

    def instructions_came_to(position: int) -> bool:
        with books.database.reading() as transaction:
            return reader_position(transaction, lanes_of_events(broker)[1]) == position

    with running(relay):  # which was at 1 once it was ready
        record(books, 0, 3)
        relay.wake()
        until(lambda: relayed(books, broker) == 4)
        assert instructions_came_to(1)
        clock.seconds += 1.0
        until(lambda: instructions_came_to(4))


def test_waking_is_quicker_than_looking(books: Books, broker: Broker) -> None:
    relay = Relay(books.database, broker)
    with running(relay):
        until(lambda: relayed(books, broker) == 1)
        record(books, 0, 1)
        relay.wake()
        until(lambda: relayed(books, broker) == 2, 1)
