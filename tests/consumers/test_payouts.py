"""Payouts step by step, over a broker that fails as the test wants it to: no request twice, and none lost."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import jsonschema_rs
import pytest

from consumers.contract.topics import topic_contracts
from consumers.kafka.records import Only, Outgoing, Partition, Record, TopicIdentity, Undelivered
from consumers.payouts.asking import Payouts
from consumers.payouts.request_topic import RequestTopic
from ledger.application.agreements import publish
from ledger.application.due_work import do_due_work
from ledger.application.ledger import Ledger
from ledger.store.database import CommitUnknown
from ledger.store.reading.generations import AheadOfLedger
from ledger.store.writing import take_over_reader
from tests.consumers.submitting import submit
from tests.integration.world import Books, new_books, running, take_all, until
from tests.ledger.books import Watched
from tests.ledger.messages import Upstream

AGREEMENT = """
name = "standard"
version = 2
valid_from = 2000-01-02
[approval]
hold = "PT0S"
[approval.automatic_up_to]
EUR = "100.00"
"""
TOPIC = "payments.refund-requests"
SETTLED = 20.0
"""Seconds after which nothing is on its way any more."""


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Broker:
    """Takes what is sent, into partitions by turns; `fails` says what becomes of the next sendings."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions: list[list[Outgoing]] = [[] for _ in range(partitions)]
        self.fails: list[int] = []
        """How many records of each of the next batches arrive before the broker falls silent."""
        self.before_sending: list[Callable[[], object]] = []
        self.closed = 0

    def identity(self, topic: str) -> TopicIdentity:
        return TopicIdentity("cluster", topic, "id")

    def last_records(
        self, topic: str, limit: int, *, only: Only | None = None, partition: int | None = None
    ) -> list[Record]:
        ends = [
            [Record(Partition(topic, number), at, sent.key, sent.value, sent.headers) for at, sent in enumerate(kept)]
            for number, kept in enumerate(self.partitions)
            if partition in (None, number)
        ]
        return [record for end in ends for record in list(filter(only, end))[-limit:]]

    def sender(self, purpose: str, gives_up_after: float) -> "Broker":
        return self

    def send(self, records: Iterable[Outgoing], deadline: float) -> None:
        if self.before_sending:
            self.before_sending.pop()()
        batch = list(records)
        arrive = self.fails.pop(0) if self.fails else None
        self.land(batch[:arrive])
        if arrive is not None:
            raise Undelivered("the broker does not answer")

    def land(self, records: Iterable[Outgoing]) -> None:
        for record in records:
            self.partitions[sum(record.key or b"") % len(self.partitions)].append(record)

    def close(self) -> None:
        self.closed += 1

    def asked(self) -> list[tuple[str, int]]:
        """The refunds that were asked for, and the number of the attempt."""
        said = [json.loads(sent.value)["data"] for kept in self.partitions for sent in kept if sent.key != b"foreign"]
        return sorted((each["refund_id"], each["attempt"]) for each in said)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with new_books(f"sqlite:///{tmp_path / 'books.db'}") as found:
        yield found


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def payouts(books: Books, broker: Broker, clock: Clock, ledger: Ledger | None = None, at_once: int = 500) -> Payouts:
    seen_by = ledger or books.ledger()
    topic = RequestTopic(seen_by.database, broker)
    topic.at_once = at_once
    return Payouts(seen_by, topic, monotonic=clock)


def watching(books: Books) -> tuple[Ledger, Watched]:
    """A ledger with somebody at its store's door."""
    watched = Watched(books.database)
    return Ledger(watched, books.ledger().vault, books.clock), watched


def refunds(*numbers: int) -> list[tuple[str, int]]:
    return [(f"refund/claim-{n}/1", 1) for n in numbers]


def go_on(part: Payouts) -> None:
    while part.step():
        pass


def test_a_request_says_what_is_to_go_back_to_which_payment(books: Books, broker: Broker, clock: Clock) -> None:
    submit(books, 1, returns={"pay-1": "7.00", "pay-2": "4.90"})
    settle(payouts(books, broker, clock), clock)
    ((sent,),) = broker.partitions
    (position,) = [row[0] for row in books.rows("SELECT position FROM events WHERE type = 'refund-submitted.v1'")]
    headers = dict(sent.headers)
    assert (sent.topic, sent.key) == (TOPIC, b"acct-1")
    assert headers["content-type"] == b"application/cloudevents+json"
    assert headers["store"] == books.follower().store_id().encode()
    assert (headers["position"], headers["generation"]) == (b"0:%d" % position, b"1")
    said = json.loads(sent.value)
    assert (said["specversion"], said["source"], said["subject"]) == ("1.0", "/makegood", "acct-1")
    assert said["type"] == "makegood.refund.requested.v1"
    returns = said["data"].pop("returns")
    assert said["data"] == {
        "account_id": "acct-1",
        "refund_id": "refund/claim-1/1",
        "attempt": 1,
        "claim_id": "claim-1",
        "amount": "11.90",
        "currency": "EUR",
        "approved_by": "agreement standard v1",
    }
    assert [(each["payment_id"], each["method"], each["amount"]) for each in returns] == [
        ("pay-1", "card", "7.00"),
        ("pay-2", "card", "4.90"),
    ]
    assert all(len(each["return_id"]) == 36 for each in returns)


def test_a_request_is_what_the_contract_says(books: Books, broker: Broker, clock: Clock) -> None:
    """Also one of the longest refund id, of an excess's credit."""
    submit(books, 1, returns={"pay-1": "7.00", "pay-2": "4.90"})
    settle(payouts(books, broker, clock), clock)
    ((sent,),) = broker.partitions
    (form,) = next(each for each in topic_contracts() if each.topic.name == TOPIC).records
    checker = jsonschema_rs.validator_for(form.payload.schema)
    said = json.loads(sent.value)
    checker.validate(said)
    for example in form.payload.schema["examples"]:
        checker.validate(example)
    assert said["data"].keys() == form.payload.schema["examples"][0]["data"].keys()
    checker.validate(said | {"data": said["data"] | {"claim_id": None, "refund_id": "r" * 512}})
    assert not checker.is_valid(said | {"data": said["data"] | {"amount": "-1.00"}})
    headers = {name: value.decode() for name, value in sent.headers if value is not None}
    jsonschema_rs.validator_for(form.common.headers).validate(headers)


def test_each_attempt_is_asked_for_once(books: Books, broker: Broker, clock: Clock) -> None:
    part = payouts(books, broker, clock)
    go_on(part)
    submit(books, 1)
    go_on(part)
    submit(books, 1, attempt=2)
    submit(books, 2)
    go_on(part)
    settle(payouts(books, broker, clock), clock)
    assert broker.asked() == sorted([*refunds(1, 2), ("refund/claim-1/1", 2)])
    ids = [json.loads(sent.value)["id"] for sent in broker.partitions[0]]
    assert len(set(ids)) == 3


def test_what_is_approved_is_submitted_and_asked_for(books: Books, broker: Broker, clock: Clock) -> None:
    told: list[str] = []
    topic = RequestTopic(books.database, broker)
    part = Payouts(books.ledger(), topic, recorded=lambda: told.append("recorded"), monotonic=clock)
    go_on(part)
    owe(books, "acct-1", "acct-2")
    clock.seconds += 2
    go_on(part)
    assert broker.asked() == [("refund/billing-error/dis-1/1", 1)] * 2
    assert [key for kept in broker.partitions for key in (sent.key for sent in kept)] == [b"acct-1", b"acct-2"]
    assert told
    clock.seconds += SETTLED
    assert not part.step()


def test_nothing_is_submitted_while_it_cannot_be_asked_for(books: Books, broker: Broker, clock: Clock) -> None:
    part = payouts(books, broker, clock)
    go_on(part)
    owe(books, "acct-1")
    submit(books, 7)
    clock.seconds += SETTLED
    broker.fails = [0]
    with pytest.raises(Undelivered):
        go_on(part)
    assert books.rows("SELECT account FROM events WHERE type = 'refund-submitted.v1'") == [("acct-7",)]
    part.forget()
    clock.seconds += SETTLED
    go_on(part)
    assert books.count("approved_refunds") == 0


def test_who_stands_by_submits_nothing(books: Books, broker: Broker, clock: Clock) -> None:
    first, second = payouts(books, broker, clock), payouts(books, broker, clock)
    go_on(first)
    go_on(second)
    owe(books, "acct-1")
    clock.seconds += 2
    go_on(first)
    assert books.count("approved_refunds") == 1
    go_on(second)
    assert broker.asked() == [("refund/billing-error/dis-1/1", 1)]


def owe(books: Books, *accounts: str) -> None:
    """Each account is owed a refund, which the agreement has approved."""
    publish(books.ledger(), AGREEMENT, actor="test", channel="test")
    for account in accounts:
        upstream = Upstream(account)
        said = [*upstream.customer(), upstream.overcharge_confirmed()]
        take_all(books, [json.dumps(message).encode() for message in said])
    do_due_work(books.ledger(), books.clock())
    assert books.count("approved_refunds") == len(accounts)


@pytest.mark.parametrize("arrived", [0, 2, 3])
def test_a_batch_that_was_not_confirmed_is_made_up_by_what_is_missing(
    arrived: int, books: Books, broker: Broker, clock: Clock
) -> None:
    part = payouts(books, broker, clock)
    go_on(part)
    clock.seconds += SETTLED
    submit(books, 1, 2, 3)
    broker.fails = [arrived]
    with pytest.raises(Undelivered):
        part.step()
    part.forget()
    assert part.step() == 0  # some of it may be on its way
    assert broker.asked() == refunds(*range(1, arrived + 1))
    clock.seconds += SETTLED
    go_on(part)
    assert broker.asked() == refunds(1, 2, 3)


def settle(part: Payouts, clock: Clock) -> None:
    """Go on until whatever may be on its way has arrived."""
    part.step()
    clock.seconds += SETTLED
    go_on(part)


def test_what_arrives_late_is_not_sent_again(books: Books, broker: Broker, clock: Clock) -> None:
    submit(books, 1, 2)
    first = payouts(books, broker, clock)
    sent: list[Sequence[Outgoing]] = []
    land = broker.land
    broker.land = lambda records: sent.append(list(records))
    settle(first, clock)
    with books.database.writing() as transaction:
        transaction.run("UPDATE readers SET position = 0 WHERE reader = 'payouts'")  # it died before it could move
    second = payouts(books, broker, clock)
    assert second.step() == 0
    land(sent[0])
    broker.land = land  # type: ignore[method-assign]
    clock.seconds += SETTLED
    go_on(second)
    assert broker.asked() == refunds(1, 2)


def test_who_dies_before_the_position_moved_has_asked(books: Books, broker: Broker, clock: Clock) -> None:
    submit(books, 1, 2, 3)
    ledger, watched = watching(books)
    first = payouts(books, broker, clock, ledger, at_once=2)
    first.step()
    clock.seconds += SETTLED

    def die() -> None:
        raise KeyboardInterrupt

    watched.before_commit.append(die)
    with pytest.raises(KeyboardInterrupt):
        first.step()
    assert broker.asked() == refunds(1, 2)
    second = payouts(books, broker, clock, at_once=2)
    settle(second, clock)
    assert broker.asked() == refunds(1, 2, 3)


@pytest.mark.parametrize("committed", [True, False])
def test_a_move_whose_answer_was_lost_asks_for_nothing_again(
    committed: bool, books: Books, broker: Broker, clock: Clock
) -> None:
    submit(books, 1, 2)
    ledger, watched = watching(books)
    part = payouts(books, broker, clock, ledger)
    part.step()
    clock.seconds += SETTLED

    def lost() -> None:
        raise CommitUnknown("the answer to a commit was lost")

    (watched.after_commit if committed else watched.before_commit).append(lost)
    with pytest.raises(CommitUnknown):
        part.step()
    part.forget()
    clock.seconds += SETTLED
    submit(books, 3)
    settle(part, clock)
    assert broker.asked() == refunds(1, 2, 3)


def test_who_lost_the_lane_before_sending_sends_nothing(books: Books, broker: Broker, clock: Clock) -> None:
    """It had read what is next, and stood still; another has it now."""
    ledger, watched = watching(books)
    first = payouts(books, broker, clock, ledger)
    go_on(first)
    submit(books, 1)

    def another() -> None:
        settle(payouts(books, broker, clock), clock)

    watched.after_reading.append(another)  # after the batch was read, before the epoch is looked at again
    go_on(first)
    assert broker.asked() == refunds(1)


def test_a_look_at_the_epoch_is_worth_nothing_after_a_while(books: Books, broker: Broker, clock: Clock) -> None:
    """It stood still after it had looked; what it would send now, another may have sent meanwhile."""
    submit(books, 1)
    ledger, watched = watching(books)
    first = payouts(books, broker, clock, ledger)
    first.step()
    clock.seconds += SETTLED

    def stands_still() -> None:
        clock.seconds += 3

    def nothing() -> None:
        pass

    watched.after_reading.extend([nothing, nothing, stands_still])  # the batch, the topic's places, the epoch
    assert first.step() == 0
    assert broker.asked() == []
    assert first.step() > 0
    assert broker.asked() == refunds(1)


def test_two_processes_ask_once(books: Books, broker: Broker, clock: Clock) -> None:
    submit(books, 1, 2, 3, 4)
    first, second = payouts(books, broker, clock, at_once=1), payouts(books, broker, clock, at_once=1)
    first.step()
    clock.seconds += SETTLED
    assert first.step() > 0
    assert second.step() == 0  # it takes the lane over, and waits
    assert first.step() == 0
    clock.seconds += SETTLED
    go_on(second)
    go_on(first)
    assert broker.asked() == refunds(1, 2, 3, 4)


def test_a_lane_whose_holder_is_gone_is_taken_over(books: Books, broker: Broker, clock: Clock) -> None:
    part = payouts(books, broker, clock)
    part.step()
    with books.database.writing() as transaction:
        take_over_reader(transaction, "payouts")  # and never seen again
    submit(books, 1)
    for _ in range(3):
        assert part.step() == 0
        clock.seconds += 9
    clock.seconds += SETTLED
    part.step()
    settle(part, clock)
    assert broker.asked() == refunds(1)


def test_over_several_partitions_with_others_records_between(books: Books, clock: Clock) -> None:
    broker = Broker(3)
    submit(books, *range(1, 8))
    broker.fails = [5]
    part = payouts(books, broker, clock)
    with pytest.raises(Undelivered):
        settle(part, clock)
    theirs = (("store", b"another"), ("position", b"0:999"), ("generation", b"7"))
    for kept in broker.partitions:
        kept += [Outgoing(TOPIC, b"foreign", b"{}", theirs)] * 3_000
    settle(payouts(books, broker, clock), clock)
    assert broker.asked() == refunds(*range(1, 8))


def test_the_same_refund_of_another_store_is_another(books: Books, broker: Broker, clock: Clock) -> None:
    """Two stores on one topic may have accounts of one name."""
    submit(books, 1)
    part = payouts(books, broker, clock)
    settle(part, clock)
    ((ours,),) = broker.partitions
    headers = tuple((name, b"another" if name == "store" else value) for name, value in ours.headers)
    broker.partitions = [[Outgoing(TOPIC, b"foreign", ours.value, headers)]]
    with books.database.writing() as transaction:
        transaction.run("UPDATE readers SET position = 0 WHERE reader = 'payouts'")
    settle(payouts(books, broker, clock), clock)
    assert broker.asked() == refunds(1)


def test_a_topic_that_was_made_anew_is_asked_for_nothing_again(books: Books, broker: Broker, clock: Clock) -> None:
    """What was asked for is asked for, whoever has lost it: a person sees that it stays without an answer."""
    submit(books, 1)
    settle(payouts(books, broker, clock), clock)
    broker.partitions = [[]]
    settle(payouts(books, broker, clock), clock)
    assert broker.asked() == []


def test_a_request_that_the_ledger_does_not_know_is_refused(books: Books, broker: Broker, clock: Clock) -> None:
    submit(books, 1)
    settle(payouts(books, broker, clock), clock)
    undo(books)
    with pytest.raises(AheadOfLedger, match=r"payments.refund-requests has position 0:2, and the ledger ends at 0:1"):
        payouts(books, broker, clock).step()
    submit(books, 1, returns={"pay-1": "1.00"})
    with pytest.raises(AheadOfLedger, match=r"has another event at position 0:2"):
        payouts(books, broker, clock).step()
    assert broker.asked() == refunds(1)


def undo(books: Books) -> None:
    """The store is restored from a backup of before the last event."""
    with books.database.writing() as transaction:
        ((account, position),) = transaction.rows(
            "SELECT account, position FROM events ORDER BY position DESC LIMIT 1"
        )
        transaction.run("DELETE FROM events WHERE position = ?", (position,))
        transaction.run("UPDATE sequences SET position = ? WHERE name = 'shard:0'", (position - 1,))
        transaction.run("DELETE FROM heads WHERE account = ?", (account,))
        transaction.run("UPDATE readers SET position = 0 WHERE reader = 'payouts'")


def test_a_store_that_goes_back_while_it_runs_is_noticed_before_it_asks(
    books: Books, broker: Broker, clock: Clock
) -> None:
    part = payouts(books, broker, clock)
    submit(books, 1)
    settle(part, clock)
    undo(books)
    submit(books, 2)
    with pytest.raises(AheadOfLedger):
        part.step()
    assert broker.asked() == refunds(1)


def test_it_works_by_itself(books: Books, broker: Broker) -> None:
    broker.fails = [0]
    topic = RequestTopic(books.database, broker)
    topic.settles_within = 0.1
    part = Payouts(books.ledger(), topic)
    with running(part):
        submit(books, 1)
        part.wake()
        until(lambda: broker.asked() == refunds(1), 10)
