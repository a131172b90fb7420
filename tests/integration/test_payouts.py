"""The whole way of a refund over a real Kafka: approved, submitted, requested once, and answered in every way."""

import json
import time
from contextlib import closing
from typing import Any

import pytest

from consumers.intake import Intake
from consumers.kafka.records import Outgoing, Partition
from consumers.kafka.topics import Topic
from consumers.part import Part
from consumers.payouts.asking import Payouts, reader_of
from consumers.payouts.request_topic import RequestTopic
from consumers.places import place_headers
from consumers.timers import Timers
from ledger.application.agreements import publish
from ledger.store.positions import Position
from projections import alarms, refunds
from tests.consumers.submitting import submit
from tests.consumers.test_payouts import AGREEMENT
from tests.integration.world import Books, Place, running, structured, transactional, until
from tests.ledger.messages import Message, Upstream

REFUND = "refund/billing-error/dis-1/1"


def payouts(books: Books, place: Place, topic: Topic | None = None) -> Payouts:
    requests_on = RequestTopic(books.database, place.fresh_cluster(), topic or place.refund_requests)
    requests_on.settles_within = 0.5
    return Payouts(books.ledger(), requests_on)


def is_through(books: Books) -> bool:
    """Whether every event was looked at for a refund to request."""
    return books.rows("SELECT position FROM readers WHERE reader = ?", reader_of(0)) == [(books.end(),)]


def parts(books: Books, place: Place) -> list[Part]:
    return [
        Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream),
        Timers(books.ledger()),
        payouts(books, place),
    ]


def requests(place: Place, topic: Topic | None = None) -> list[dict[str, Any]]:
    """What is requested on the topic, by whomever."""
    found = []
    on = topic or place.refund_requests
    for number in range(on.partitions):
        with place.cluster.probe(Partition(on.name, number), undecided=True) as probe:
            found += [json.loads(record.value or b"") for record in probe.records(0, probe.bounds()[1])]
    return [said["data"] for said in found if "data" in said]


def refund(books: Books, refund_id: str = REFUND) -> Any:
    books.follower().catch_up()
    return refunds.find(books.database, refund_id, "acct-1")


def send(place: Place, *messages: Message) -> None:
    place.send(*(structured(message, 0) for message in messages))


def requested(books: Books, place: Place, upstream: Upstream) -> dict[str, Any]:
    """A refund over two payments is owed, approved by the agreement, submitted and requested; its request."""
    publish(books.ledger(), AGREEMENT, actor="test", channel="test")
    account, subscription, cycle, _ = upstream.customer()
    paid = [
        upstream.payment_captured("inv-cyc-1", "20.00", payment_id="pay-1"),
        upstream.payment_captured("inv-cyc-1", "11.00", payment_id="pay-2", method="bank"),
    ]
    send(place, account, subscription, cycle, *paid, upstream.overcharge_confirmed())
    until(lambda: requests(place))
    (request,) = requests(place)
    return request


def test_a_refund_is_requested_once_and_each_answer_has_its_effect(books: Books, place: Place) -> None:
    upstream = Upstream()
    with running(*parts(books, place)):
        request = requested(books, place, upstream)
        assert refund(books)["status"] == "submitted"
        assert [(each["payment_id"], each["method"]) for each in request["returns"]] == [
            ("pay-1", "card"),
            ("pay-2", "bank"),
        ]
        first, second = request["returns"]
        arrived = upstream.refund_succeeded(first["return_id"], amount=first["amount"], currency="EUR")
        unknown = upstream.refund_succeeded("ret-" + "0" * 32, amount="1.00", currency="EUR")
        send(place, arrived, arrived, unknown)  # twice, and one of a return that nobody knows
        failed = upstream.refund_failed(second["return_id"])
        send(place, failed)
        until(lambda: refund(books)["status"] == "succeeded")
        shown = refund(books)
        assert (shown["total"], shown["approved_by"]) == (first["amount"], "agreement standard v2")
        assert [each["status"] for each in shown["returns"]] == ["succeeded", "failed"]
        again = refund(books, "refund/billing-error/dis-1/2")
        assert (again["status"], again["total"]) == ("failed", second["amount"])
        # What failed is owed again, and nobody asks for it before a person retries it.
        until(lambda: is_through(books))
        assert requests(place) == [request]
        # It bounced after it had arrived, and arrived after all.
        send(place, upstream.refund_failed(first["return_id"]))
        until(lambda: (refund(books) or {"status": None})["status"] != "succeeded")
        send(place, upstream.refund_succeeded(first["return_id"], amount=first["amount"], currency="EUR"))
        until(lambda: (refund(books) or {"status": None})["status"] == "succeeded")
        assert requests(place) == [request]


def test_an_answer_for_the_whole_with_another_amount_raises_an_alarm(books: Books, place: Place) -> None:
    upstream = Upstream()
    with running(*parts(books, place)):
        requested(books, place, upstream)
        send(place, upstream.refund_succeeded(REFUND, amount="9.00", currency="EUR"))
        until(lambda: refund(books)["status"] == "succeeded")
    assert refund(books)["total"] == "9.00"
    assert [alarm["alarm"] for alarm in alarms.listed(books.database)]


def test_an_answer_that_comes_before_our_own_record_is_taken_for_it(books: Books, place: Place) -> None:
    """The processor was asked, and our process died before it knew; nothing is asked for a second time."""
    upstream = Upstream()
    with running(*parts(books, place)):
        request = requested(books, place, upstream)
    with books.database.writing() as transaction:
        transaction.run("UPDATE readers SET position = 0 WHERE reader = ?", (reader_of(0),))
    send(place, upstream.refund_succeeded(REFUND))
    with running(*parts(books, place)):
        until(lambda: refund(books)["status"] == "succeeded")
        until(lambda: is_through(books))
    assert requests(place) == [request]


def test_two_processes_of_which_one_is_told_to_end_request_once(books: Books, place: Place) -> None:
    upstream = Upstream()
    with running(payouts(books, place)):
        with running(*parts(books, place)):
            request = requested(books, place, upstream)
        assert requests(place) == [request]
    with running(payouts(books, place)):
        until(lambda: is_through(books))
    assert requests(place) == [request]


@pytest.mark.parametrize("partitions", [1, 3])
def test_what_is_on_the_topic_is_found_among_what_others_wrote(books: Books, place: Place, partitions: int) -> None:
    """Also where somebody's transaction is still open before it, and where the ends of others' take offsets up."""
    topic = Topic(f"{place.refund_requests.name}-{partitions}", partitions)
    place.cluster.create_topics([topic])
    submit(books, *range(1, 8))
    producer = transactional(place)
    producer.begin_transaction()
    for number in range(partitions):
        producer.produce(topic.name, b"{}", b"x", partition=number)
    producer.flush(10)
    with running(payouts(books, place, topic)):
        until(lambda: is_through(books))
    theirs = place_headers(b"another", Position(0, 999), 1)
    others = [Outgoing(topic.name, b"%d" % n, b"{}", theirs) for n in range(1_200 * partitions)]
    with closing(place.cluster.sender("test")) as sender:
        sender.send(others, time.monotonic() + 20)
    writer = transactional(place, "another")
    for number in range(partitions):
        writer.begin_transaction()
        writer.produce(topic.name, b"{}", b"x", partition=number)
        writer.commit_transaction(10)
    with books.database.writing() as transaction:
        transaction.run("UPDATE readers SET position = 0 WHERE reader = ?", (reader_of(0),))
    with running(payouts(books, place, topic)):
        until(lambda: is_through(books))
    asked = [said["refund_id"] for said in requests(place, topic)]
    producer.abort_transaction(10)
    assert sorted(asked) == [f"refund/claim-{n}/1" for n in range(1, 8)]
