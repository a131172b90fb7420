"""Intake over the client library's in-process broker, and its work on partitions step by step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from consumers.intake import WATCH_SECONDS, Intake
from consumers.kafka.in_process import InProcessBroker
from consumers.kafka.partitions import FAILURES_MAX, BeginAnew, PartitionWork, RecordFails
from consumers.kafka.records import Claimant, Outgoing, Partition, Record, TopicIdentity
from consumers.kafka.topics import Topic
from consumers.part import BackOff, PartFailed
from consumers.taking import stored_positions
from ledger.application.kept_messages import RUN_MAX
from ledger.store.database import Conflict, Unavailable
from ledger.store.positions import shard_for
from tests.integration.world import (
    Books,
    Sent,
    account_registered,
    binary,
    new_books,
    new_place,
    running,
    structured,
    until,
)
from tests.ledger import books as ledger_books
from tests.schedules.broker import Broker, ClusterSeen

HERE = Partition("upstream", 0)
THERE = Partition("upstream", 1)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with new_books(f"sqlite:///{tmp_path / 'books.db'}") as found:
        yield found


@pytest.fixture(scope="module")
def broker() -> Iterator[InProcessBroker]:
    with InProcessBroker() as found:
        yield found


# --- with a broker ------------------------------------------------------------------------------------------------


def test_both_content_modes_are_taken_and_refused_ones_stop_nothing(books: Books, broker: InProcessBroker) -> None:
    place = new_place(broker)
    one, two = account_registered("acct-1"), account_registered("acct-2")
    with running(Intake(books.ledger(), place.cluster, topic=place.upstream)):
        place.send(
            structured(one),
            Sent(b"a line of a log", b"acct-1"),
            binary(two),
            binary(one),  # the same message, in the other mode: a duplicate
            structured({**two, "data": {**two["data"], "currency": "USD"}}),  # the same id, other content
            Sent(structured(account_registered("acct-3")).value, b"acct-4"),  # the key is not the subject
        )
        until(lambda: books.count("dead_letters") == 3 and len(books.facts()) == 2)
    assert books.facts() == ["registered-acct-1", "registered-acct-2"]
    letters = books.rows("SELECT field, origin, channel, account FROM dead_letters ORDER BY position")
    assert {field for field, _, _, _ in letters} == {None, "id", "key"}
    cluster = place.cluster.cluster_id
    assert all(origin.startswith(f"kafka:{cluster}/{place.upstream.name}@") for _, origin, _, _ in letters)
    assert {channel for _, _, channel, _ in letters} == {"kafka"}


def test_a_restarted_intake_goes_on_where_the_store_says(books: Books, broker: InProcessBroker) -> None:
    place = new_place(broker)
    with running(Intake(books.ledger(), place.cluster, topic=place.upstream)):
        place.send(*[structured(account_registered(f"acct-{n}"), 0) for n in range(10)])
        until(lambda: len(books.facts()) == 10)
    identity = place.cluster.identity(place.upstream.name)
    assert stored_positions(books.database, identity)[0] == 10
    with running(Intake(books.ledger(), place.cluster, topic=place.upstream)):
        place.send(structured(account_registered("acct-10"), 0))
        until(lambda: len(books.facts()) == 11)
    assert stored_positions(books.database, identity)[0] == 11


def test_nothing_that_a_message_says_is_logged(
    books: Books, broker: InProcessBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    place = new_place(broker)
    with running(Intake(books.ledger(), place.cluster, topic=place.upstream)):
        place.send(
            structured(account_registered("acct-1", name="Grace Hidden")),
            Sent(b'{"name": "Grace Hidden"'),
            structured({**account_registered("acct-2"), "data": {"customer": "Grace Hidden"}}),
        )
        until(lambda: books.count("dead_letters") == 2 and len(books.facts()) == 1)
    said = capsys.readouterr()
    assert "messages_taken" in said.out + said.err
    assert "Grace" not in said.out + said.err


def test_a_message_that_keeps_failing_is_set_aside_and_its_partition_goes_on(
    books: Books, broker: InProcessBroker
) -> None:
    place = new_place(broker)
    damage_keys(books, "acct-3")
    with running(Intake(books.ledger(), place.cluster, topic=place.upstream)):
        place.send(*[structured(account_registered(f"acct-{n}"), 0) for n in range(8)])
        until(lambda: len(books.facts()) == 7)
    [(origin, reason, account, offset)] = books.rows("SELECT origin, reason, account, message_offset FROM set_aside")
    assert (account, offset) == ("acct-3", 3)
    assert origin.endswith("/0/3")
    assert "ValueError in vault.py" in reason


def test_where_everything_fails_intake_stops_and_says_that_we_are_wrong(
    books: Books, broker: InProcessBroker
) -> None:
    place = new_place(broker)
    accounts = [f"acct-{n}" for n in range(RUN_MAX + 2)]
    damage_keys(books, *accounts)
    place.send(*[structured(account_registered(account), 0) for account in accounts])
    for _ in range(2):  # a supervisor that starts it again changes nothing
        with (
            pytest.raises(PartFailed, match=r"probably a failure of ours: see `makegood aside list`"),
            running(Intake(books.ledger(), place.cluster, topic=place.upstream)) as stop,
        ):
            stop.wait(60)
        assert books.count("set_aside") == RUN_MAX


def damage_keys(books: Books, *accounts: str) -> None:
    """What is said about these customers cannot be sealed: each of their messages fails, for good."""
    rows = [(f"account/{account}", b"half of it", 1) for account in accounts]
    with books.keys.writing() as transaction:
        transaction.insert("vault_keys", ("subject", "key", "created_at"), rows)


# --- step by step -------------------------------------------------------------------------------------------------


# --- with several shards ------------------------------------------------------------------------------------------


def test_a_shard_that_missed_a_message_takes_none_after_it_though_the_others_fail_too() -> None:
    """It would move past what it missed, which nobody reads again."""
    clock, topic = Clock(), Topic("upstream", 1)
    broker = Broker(clock)
    broker.create(topic)
    shards = [ledger_books.Books.open(shards=2, shard=number) for number in range(2)]
    first, second = shards
    accounts = [account for n in range(9) if shard_for(account := f"acct-{n}", 2) == 0][:2]
    for account in accounts:
        sent = structured(account_registered(account))
        broker.append(Outgoing(topic.name, sent.key, sent.value, sent.headers, 0))
    first.database.before_writing.extend([nothing_fails, away])
    second.database.before_writing.extend([nothing_fails, nothing_fails, away])
    cluster = ClusterSeen(broker, "p1", lambda _: None, lambda: True, lambda most: most, 1)
    looks: list[Callable[[], None]] = []
    how = {"others": [second.ledger], "topic": topic, "batch": 1, "monotonic": clock, "beside": looks.append}
    intake = Intake(first.ledger, cluster, **how)
    intake.open()
    for _ in range(20):
        intake.step(0)
        clock.seconds += 30
        broker.tick()
    assert known(first) == []  # it waits, and its second message with it
    [look] = looks
    look()
    for _ in range(20):
        intake.step(0)
        clock.seconds += 30
        broker.tick()
    assert known(first) == accounts
    assert known(second) == []


def known(shard: ledger_books.Books) -> list[str]:
    return [envelope["account"] for envelope in shard.stored()]


def nothing_fails() -> None:
    """The server is there."""


def away() -> None:
    raise Unavailable("the server is away")


class Member:
    """A member of a group whose partitions and records the test hands out."""

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self.records = list(records)
        self.paused: set[Partition] = set()
        self.begun: dict[Partition, int] = {}
        self.reported: dict[Partition, int] = {}
        self.claimant: Claimant | None = None
        self.polls: list[float] = []
        self.joins = 0

    def join(self, claimant: Claimant) -> None:
        self.claimant = claimant
        self.joins += 1

    def assign(self, *partitions: Partition) -> Mapping[Partition, int]:
        assert self.claimant is not None
        return self.claimant.assigned(partitions)

    def lose(self, *partitions: Partition) -> None:
        assert self.claimant is not None
        self.claimant.unassigned(partitions, lost=True)

    def poll(self, limit: int, timeout: float) -> list[Record]:
        self.polls.append(timeout)
        handed = [record for record in self.records if record.partition not in self.paused][:limit]
        self.records = [record for record in self.records if record not in handed]
        return handed

    def begin(self, partition: Partition, offset: int) -> bool:
        self.begun[partition] = offset
        self.paused.discard(partition)
        return True

    def pause(self, partition: Partition) -> None:
        self.paused.add(partition)

    def resume(self, partition: Partition) -> None:
        self.paused.discard(partition)

    def report(self, partition: Partition, offset: int) -> None:
        self.reported[partition] = offset

    def leave(self) -> None:
        pass


class Work:
    """A worker that fails as the test wants it to."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.tried: list[int] = []
        self.ended: list[Partition] = []
        self.stands = 0
        self.failures: list[Exception] = []
        self.cannot_begin: list[Exception] = []
        self.bad: set[int] = set()
        self.hopeless: set[int] = set()
        self.given_up: list[int] = []

    def begin(self, partition: Partition, *, damaged: bool = False) -> int:
        if self.cannot_begin:
            raise self.cannot_begin.pop(0)
        return self.stands

    def work(self, partition: Partition, records: Sequence[Record]) -> None:
        self.tried.append(len(records))
        if self.failures:
            raise self.failures.pop(0)
        if self.bad & {record.offset for record in records}:
            raise ValueError("Grace Hidden")
        self.done += [record.offset for record in records]

    def give_up(self, partition: Partition, record: Record, cause: Exception) -> None:
        if record.offset in self.hopeless:
            raise RecordFails(record, cause)
        self.given_up.append(record.offset)

    def end(self, partition: Partition) -> None:
        self.ended.append(partition)


class Clock:
    """Monotonic seconds that the test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Upstream:
    """A cluster with one member, whose topic the test makes anew; it is also who watches it."""

    def __init__(self) -> None:
        self.member_ = Member()
        self.topic_id = "first"

    def member(self, purpose: str, topics: Sequence[Topic]) -> Member:
        return self.member_

    def identity(self, topic: str) -> TopicIdentity:
        return TopicIdentity("cluster", topic, self.topic_id)

    def watch(self, topic: str) -> "Upstream":
        return self

    def look(self) -> TopicIdentity:
        return self.identity(HERE.topic)

    def probe(self, partition: Partition) -> "Upstream":
        return self

    def __enter__(self) -> "Upstream":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def bounds(self) -> tuple[int, int]:
        return 0, 0

    def after_damage(self, offset: int) -> int:
        return offset


def records(partition: Partition, count: int, first: int = 0) -> list[Record]:
    return [Record(partition, offset, None, b"", ()) for offset in range(first, first + count)]


def set_up(member: Member, work: Work, batch: int = 8) -> tuple[PartitionWork, Clock]:
    clock = Clock()
    held = PartitionWork(
        member, work, clock, batch=batch, read_ahead=2, back_off=lambda: BackOff(0.1, 10, lambda: 1.0)
    )
    held.join()
    return held, clock


def test_batches_are_worked_off_in_order_and_reported() -> None:
    member, work = Member(records(HERE, 20)), Work()
    held, _ = set_up(member, work)
    member.assign(HERE)
    assert held.step(0.5) + held.step(0.5) == 20
    assert work.done == list(range(20))
    assert work.tried == [8, 8, 4]
    assert member.reported == {HERE: 20}


def test_a_passing_cause_pauses_the_partition_and_drops_nothing() -> None:
    member, work = Member(records(HERE, 30)), Work()
    work.failures = [Unavailable("gone"), Unavailable("still gone")]
    held, clock = set_up(member, work)
    member.assign(HERE)
    assert held.step(0.5) == 0
    assert member.paused == {HERE}
    held.step(0.5)
    assert member.polls[-1] == pytest.approx(0.1)  # it polls on, no longer than until the next try
    assert len(work.tried) == 1
    clock.seconds += 0.11
    assert held.step(0.5) == 0
    clock.seconds += 0.11
    held.step(0.5)
    assert len(work.tried) == 2  # twice as long this time
    clock.seconds += 0.11
    held.step(0.5)
    held.step(0.5)
    assert work.done == list(range(30))
    assert member.paused == set()


def test_memory_is_bounded_while_nothing_can_be_worked_off() -> None:
    member, work = Member(records(HERE, 1000)), Work()
    work.failures = [Unavailable("gone")] * 50
    held, clock = set_up(member, work)
    member.assign(HERE)
    for _ in range(40):
        held.step(0.5)
        clock.seconds += 11
    assert held.pending == 16


def test_a_conflict_is_tried_again_with_half_the_batch() -> None:
    member, work = Member(records(HERE, 8)), Work()
    work.failures = [Conflict("another was faster")]
    held, clock = set_up(member, work)
    member.assign(HERE)
    held.step(0.5)
    clock.seconds += 1
    held.step(0.5)
    assert work.tried == [8, 4, 4]
    assert work.done == list(range(8))


def test_of_a_batch_that_fails_everything_before_the_record_that_fails_is_taken() -> None:
    member, work = Member(records(HERE, 16)), Work()
    work.bad = work.hopeless = {5}
    held, clock = set_up(member, work)
    member.assign(HERE)
    for _ in range(FAILURES_MAX - 1):
        held.step(0.5)
        clock.seconds += 1
    with pytest.raises(RecordFails, match=r"upstream/0/5 cannot be processed.*ValueError") as raised:
        held.step(0.5)
    assert "Grace" not in str(raised.value)
    assert work.done == [0, 1, 2, 3, 4]
    assert member.reported == {HERE: 5}


def test_a_record_that_keeps_failing_is_given_up_and_all_others_are_worked_off() -> None:
    member, work = Member(records(HERE, 40)), Work()
    work.bad = {5, 6, 30}
    held, clock = set_up(member, work)
    member.assign(HERE)
    for _ in range(20):
        held.step(0.5)
        clock.seconds += 1
    assert work.done == [offset for offset in range(40) if offset not in work.bad]
    assert work.given_up == [5, 6, 30]
    assert member.reported == {HERE: 40}


def test_it_is_given_up_only_after_a_few_tries_with_waits_between() -> None:
    member, work = Member(records(HERE, 1)), Work()
    work.failures = [ValueError("once"), Unavailable("gone"), ValueError("twice")]
    held, clock = set_up(member, work)
    member.assign(HERE)
    for _ in range(4):
        held.step(0.5)
        held.step(0.5)  # too early: nothing is tried
        clock.seconds += 1
    assert (work.done, work.given_up, len(work.tried)) == ([0], [], 4)


def test_failures_are_those_of_one_record_and_not_of_the_next_one_after_beginning_anew() -> None:
    member, work = Member(records(HERE, 1)), Work()
    work.failures = [ValueError("bad")] * (FAILURES_MAX - 1)
    held, clock = set_up(member, work)
    member.assign(HERE)
    for _ in range(FAILURES_MAX - 1):
        held.step(0.5)
        clock.seconds += 1
    work.failures = [BeginAnew("taken over, and gone past that record"), ValueError("once only")]
    held.step(0.5)
    work.stands = 1
    member.records = records(HERE, 1, first=1)
    for _ in range(3):
        clock.seconds += 1
        held.step(0.5)
    assert work.given_up == []
    assert work.done == [1]


def test_whoever_is_fenced_off_drops_what_he_read_and_begins_where_the_store_stands() -> None:
    member, work = Member(records(HERE, 8)), Work()
    work.failures = [BeginAnew("taken over")]
    held, clock = set_up(member, work)
    member.assign(HERE)
    held.step(0.5)
    assert held.pending == 0
    assert member.paused == {HERE}
    work.stands = 3
    member.records = records(HERE, 5, first=3)
    clock.seconds += 1
    held.step(0.5)
    assert member.begun == {HERE: 3}
    assert work.done == [3, 4, 5, 6, 7]


def test_a_partition_that_was_lost_meanwhile_is_forgotten() -> None:
    member, work = Member(records(HERE, 8)), Work()
    work.failures = [BeginAnew("taken over")]
    held, clock = set_up(member, work)
    member.assign(HERE)
    held.step(0.5)
    member.lose(HERE)
    clock.seconds += 1
    held.step(0.5)
    assert work.ended == [HERE]
    assert member.begun == {}
    assert held.held == frozenset()


def test_records_of_a_partition_that_is_not_ours_any_more_are_dropped() -> None:
    member, work = Member(records(HERE, 4) + records(THERE, 4)), Work()
    held, _ = set_up(member, work)
    member.assign(HERE, THERE)
    member.lose(THERE)
    held.step(0.5)
    assert work.done == [0, 1, 2, 3]


@pytest.mark.parametrize("lost", [False, True])
def test_a_topic_made_anew_is_read_with_a_new_client_also_where_its_partitions_were_lost(
    books: Books, lost: bool
) -> None:
    """What begins at the new topic's first record is still a client that knows the old one's leaders."""
    upstream, clock = Upstream(), Clock()
    intake = Intake(books.ledger(), upstream, topic=Topic(HERE.topic, 1), monotonic=clock)
    intake.open()
    upstream.member_.assign(HERE)
    intake.step(0)
    upstream.topic_id = "second"
    if lost:
        upstream.member_.lose(HERE)
        upstream.member_.assign(HERE)
    for _ in range(3):
        clock.seconds += WATCH_SECONDS
        intake.step(0)
    assert upstream.member_.joins == 2
    upstream.member_.assign(HERE)
    clock.seconds += WATCH_SECONDS
    intake.step(0)
    assert upstream.member_.joins == 2
    intake.close()


def test_without_the_store_partitions_are_held_and_taken_up_later() -> None:
    member, work = Member(), Work()
    work.cannot_begin = [Unavailable("gone"), Unavailable("gone")]
    held, clock = set_up(member, work)
    assert member.assign(HERE, THERE) == {}  # the second is not even tried
    assert len(work.cannot_begin) == 1
    member.paused = {HERE, THERE}
    for _ in range(4):
        clock.seconds += 1
        held.step(0.5)
    assert set(member.begun) == {HERE, THERE}
    assert member.paused == set()


def test_one_partition_that_waits_does_not_hold_up_the_others() -> None:
    member, work = Member(records(HERE, 2) + records(THERE, 2, first=10)), Work()
    work.failures = [Unavailable("gone")]
    held, _ = set_up(member, work)
    member.assign(HERE, THERE)
    held.step(0.5)
    held.step(0.5)
    assert work.done == [10, 11]


class Together(Work):
    """A worker that takes several partitions at once, too, unless it fails then."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.together: list[dict[Partition, int]] = []
        self.failures_together = list(failures)

    def work_together(self, records: Mapping[Partition, Sequence[Record]]) -> None:
        self.together.append({partition: len(each) for partition, each in records.items()})
        if self.failures_together:
            raise self.failures_together.pop(0)
        self.done += [record.offset for each in records.values() for record in each]


def several_at_once(work: Together, *polled: Record) -> tuple[PartitionWork, Member]:
    member = Member(list(polled))
    held = PartitionWork(member, work, Clock(), batch=8, read_ahead=2, together=work.work_together)
    held.join()
    member.assign(HERE, THERE)
    return held, member


def test_what_comes_of_several_partitions_is_worked_off_at_once_as_far_as_a_batch_goes() -> None:
    held, member = several_at_once(work := Together(), *records(HERE, 5), *records(THERE, 5, first=10))
    assert held.step(0.5) == 10
    assert work.together == [{HERE: 5, THERE: 3}]
    assert work.tried == [2]
    assert member.reported == {HERE: 5, THERE: 15}


@pytest.mark.parametrize("failure", [Conflict("faster"), Unavailable("gone"), BeginAnew("fenced"), ValueError("bad")])
def test_where_that_fails_each_partition_is_worked_off_by_itself(failure: Exception) -> None:
    held, member = several_at_once(work := Together(failure), *records(HERE, 3), *records(THERE, 3, first=10))
    assert held.step(0.5) == 6
    assert work.done == [0, 1, 2, 10, 11, 12]
    assert (len(work.together), work.tried) == (1, [3, 3])
    assert member.reported == {HERE: 3, THERE: 13}


def test_a_partition_with_a_record_that_failed_is_left_to_itself() -> None:
    work = Together(ValueError("bad"))
    work.bad = {2}
    held, _ = several_at_once(work, *records(HERE, 4), *records(THERE, 3, first=10))
    for _ in range(20):
        held.step(0.5)
    assert sorted(work.done) == [0, 1, 10, 11, 12]
    assert len(work.together) == 1


def test_stopping_finishes_the_batch_in_hand_and_begins_no_other() -> None:
    member, work = Member(records(HERE, 16)), Work()
    stopping = [False]

    class Stopping(Work):
        def work(self, partition: Partition, records: Sequence[Record]) -> None:
            stopping[0] = True
            super().work(partition, records)

    work = Stopping()
    held = PartitionWork(member, work, Clock(), batch=8, stopping=lambda: stopping[0])
    held.join()
    member.assign(HERE)
    assert held.step(0.5) == 8
    assert held.step(0.5) == 0
    held.leave()
    assert work.ended == [HERE]


def test_back_off_grows_to_its_limit_with_jitter() -> None:
    least, most = BackOff(jitter=lambda: 0.0), BackOff(jitter=lambda: 1.0)
    assert [round(least.next(), 3) for _ in range(9)] == [0.1, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert [round(most.next(), 3) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    most.reset()
    assert most.next() == pytest.approx(0.1)
