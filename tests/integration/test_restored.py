"""The ledger is restored from a backup, and what follows it is not: topics and projections are ahead of it.

What is ahead is refused until a person begins a new generation. Afterwards nothing is missing and nothing doubled:
every row is that of an undisturbed run, and the topics, read by generation and position, say what the ledger does.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from consumers.intake import Intake
from consumers.kafka.records import Outgoing, Partition, Record
from consumers.notices import Notices
from consumers.part import Part, PartFailed
from consumers.payouts.asking import Payouts
from consumers.payouts.request_topic import RequestTopic
from consumers.places import place_headers, place_of
from consumers.projector import KafkaSource, Projector
from consumers.relay import Relay
from consumers.upstream import read_kafka
from ledger.application.access import grant
from ledger.application.acts import By
from ledger.application.agreements import publish
from ledger.application.due_work import do_due_work
from ledger.application.notice_delivery import Delivery, record_sent
from ledger.application.payouts import submit_approved
from ledger.application.record import take
from ledger.events import Grant
from ledger.store.notice_queue import change_notice, next_to_send
from ledger.store.positions import Position
from ledger.store.reading.store import store_id
from tests.faults.lots import Lot, lots
from tests.faults.undisturbed import damage, differences, found_in, undisturbed
from tests.integration.world import Books, Place, Sent, running, structured, until
from tests.ledger.messages import Upstream
from tests.parts.postgres import Postgres

pytestmark = pytest.mark.long


class Kept:
    """A store that can be backed up, and restored from that, as operators do it."""

    def __init__(self, url: str, backup: Callable[[], None], restore: Callable[[], None]) -> None:
        self.url = url
        self.backup = backup
        """Nobody may have the store open."""
        self.restore = restore


def kept_in_a_file(folder: Path) -> Kept:
    store, copy = folder / "books.db", folder / "backup.db"

    def restore() -> None:
        for beside in (f"{store}-wal", f"{store}-shm"):
            Path(beside).unlink(missing_ok=True)
        shutil.copy(copy, store)

    def backup() -> None:
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))

    return Kept(f"sqlite:///{store}", backup, restore)


def kept_on_postgresql(postgres: Postgres) -> Kept:
    url = postgres.new_database()
    backup = f"{url}_backup"
    return Kept(url, lambda: postgres.copy_database(url, backup), lambda: postgres.copy_database(backup, url))


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "sqlite":
        yield kept_in_a_file(tmp_path)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    found = kept_on_postgresql(postgres)
    yield found
    postgres.drop_database(found.url)
    name = urlsplit(found.url).path
    for beside in ("_backup", "_vault"):
        postgres.drop_database(urlunsplit(urlsplit(found.url)._replace(path=f"{name}{beside}")))


def parts(books: Books, place: Place) -> list[Part]:
    cluster = place.fresh_cluster()
    return [
        Intake(books.ledger(), cluster, topic=place.upstream),
        Relay(books.database, cluster, **place.relayed),
        Projector(books.follower(), KafkaSource(cluster, topic=place.events)),
    ]


def at_rest(books: Books, place: Place, published: int | None) -> bool:
    """Whether so many messages were taken from Kafka, and all is relayed and projected."""
    identity = place.cluster.identity(place.upstream.name)
    taken = books.rows("SELECT sum(position) FROM readers WHERE reader LIKE ? || '%'", f"intake/{identity}/")
    if published is not None and taken[0][0] != published:
        return False
    end = books.end()
    relayed = books.rows(
        "SELECT position FROM readers WHERE reader = ?", f"relay/{place.cluster.identity(place.events.name)}/0"
    )
    projected = books.rows("SELECT min(position) FROM projection_positions")
    return (relayed, projected) == ([(end,)], [(end,)])


def work(books: Books, place: Place, published: int | None) -> None:
    """Have the parts take and carry everything that is there."""
    with running(*parts(books, place)):
        until(lambda: at_rest(books, place, published), 60)


def take_directly(books: Books, sent: list[Sent]) -> None:
    """Take messages that are on no topic, as those whose retention has passed."""
    items = [read_kafka(each.headers, each.key, each.value, origin=f"direct:{n}") for n, each in enumerate(sent)]
    take(books.ledger(), items)


def send_an_e_mail(books: Books) -> str:
    """Have the first notice be taken over by a mail server; its id."""
    Notices(books.ledger(), None, clock=books.clock, jitter=lambda: 0.5).queue()
    with books.database.reading() as transaction:
        notice = next_to_send(transaction, books.clock())
    assert notice is not None
    claimed = replace(notice, status="sending", attempts=1, claimed_at=books.clock(), next_attempt_at=None)
    with books.database.writing() as transaction:
        change_notice(transaction, notice, claimed)
    record_sent(books.ledger(), claimed, Delivery("<a@b>", "en"))
    return notice.notice_id


def records(place: Place, topic: str) -> list[Record]:
    with place.cluster.probe(Partition(topic, 0)) as probe:
        return list(probe.records(0, probe.bounds()[1]))


def folded(books: Books, place: Place) -> dict[int, bytes]:
    """What the topic says of each position: what is of the newest generation, from whose first position on all that
    came before is given up."""
    with books.database.reading() as transaction:
        store = store_id(transaction).encode()
    found: dict[int, bytes] = {}
    newest = 1
    for record in records(place, place.events.name):
        at = place_of(record, store)
        assert at is not None
        assert record.value is not None
        if at.generation < newest:
            continue
        if at.generation > newest:
            newest = at.generation
            found = {position: value for position, value in found.items() if position < at.position}
        found[at.position] = record.value
    return found


def stored(books: Books) -> dict[int, bytes]:
    return {position: bytes(envelope) for position, envelope in books.rows("SELECT position, envelope FROM events")}


def ids(sent: list[Sent]) -> set[str]:
    found = set()
    for each in sent:
        try:
            found.add(json.loads(each.value)["id"])
        except (ValueError, KeyError):
            continue
    return found


@dataclass(frozen=True)
class Share:
    """What is said at one time: on upstream's topic, and of other accounts by a way that nobody reads again."""

    by_kafka: list[Sent]
    directly: list[Sent]


def shares(lot: Lot) -> list[Share]:
    """Before the backup, after it, and after the restoration; each account's in order, always by the same way."""
    third = len(lot.messages) // 3
    told = [lot.messages[:third], lot.messages[third : 2 * third], lot.messages[2 * third :]]
    direct = {account.encode() for account in lot.accounts[-3:]}
    return [Share([s for s in each if s.key not in direct], [s for s in each if s.key in direct]) for each in told]


def test_gone_on_without_kafka_past_the_end_of_the_topic_it_is_noticed_by_the_bytes(
    kept: Kept, place: Place, commands: Any
) -> None:
    """Nobody looked while the ledger took files only: the same positions are of other events then."""
    lot = next(lots(4, "embedded"))
    third = len(lot.messages) // 3
    kafka = ("--kafka", place.cluster.bootstrap)
    books = Books(kept.url).create()
    take_directly(books, lot.messages[:third])
    work(books, place, None)
    books.close()
    kept.backup()
    books = Books(kept.url)
    end = books.end()
    take_directly(books, lot.messages[third : third + 5])
    work(books, place, None)
    books.close()
    kept.restore()
    books = Books(kept.url)
    take_directly(books, lot.messages[third:])
    books.follower().catch_up()
    assert books.end() > len(records(place, place.events.name))
    books.close()

    code, said = commands(kept.url, "status", *kafka)
    assert code == 1
    assert "has another event at position" in said.replace("\n", " ")
    told = json.loads(commands(kept.url, "restored", *kafka, "--json")[1])
    assert (told["generation"], told["kept"]["shard:0"], told["lost"]) == (2, end, [])
    books = Books(kept.url)
    work(books, place, None)
    assert folded(books, place) == stored(books)
    assert damage(books, lot.accounts) == []
    books.close()

    kept.restore()  # once more, to before the generation that was begun
    code, said = commands(kept.url, "status", *kafka)
    assert code == 1
    assert "of generation 2" in said.replace("\n", " ")
    told = json.loads(commands(kept.url, "restored", *kafka, "--json")[1])
    assert (told["generation"], told["kept"]["shard:0"]) == (3, end)
    books = Books(kept.url)
    take_directly(books, lot.messages[third:])
    work(books, place, None)
    assert folded(books, place) == stored(books)
    assert damage(books, lot.accounts) == []
    books.close()


def test_restored_under_a_running_relay_it_sends_nothing_more(postgres: Postgres, place: Place) -> None:
    """The server is told to restore while the program runs: its connections are lost, and it comes back to less."""
    kept = kept_on_postgresql(postgres)
    lot = next(lots(4, "running"))
    books = Books(kept.url).create()
    take_directly(books, lot.messages[:20])
    work(books, place, None)
    books.close()
    kept.backup()
    books = Books(kept.url)
    relay = Relay(books.database, place.fresh_cluster(), **place.relayed)
    projector = Projector(books.follower(), KafkaSource(place.fresh_cluster(), topic=place.events))
    on_the_topic = []

    def go_on_and_restore() -> None:
        with running(relay, projector):
            take_directly(books, lot.messages[20:40])
            until(lambda: at_rest(books, place, None), 30)
            on_the_topic.extend(records(place, place.events.name))
            kept.restore()
            until(lambda: False, 8)

    with pytest.raises(PartFailed, match="makegood restored"):
        go_on_and_restore()
    assert records(place, place.events.name) == on_the_topic
    books.close()
    postgres.drop_database(kept.url)


@pytest.mark.parametrize("others", [0, 1_200], ids=["alone", "among others"])
def test_a_refund_that_was_requested_is_not_requested_again_with_whatever_amount(
    kept: Kept, place: Place, commands: Any, others: int
) -> None:
    """The topic of requests alone is ahead: the relay was cut off when the store broke. Other shards may have
    requested many refunds since."""
    books = Books(kept.url).create()
    publish(books.ledger(), APPROVES, actor="test", channel="test")
    upstream = Upstream()
    take_directly(books, [structured(message) for message in upstream.customer()])
    work(books, place, None)
    books.close()
    kept.backup()
    books = Books(kept.url)
    pay_out(books, place, upstream.overcharge_confirmed(amount="10.00"))
    (request,) = requests(place)
    books.close()
    kept.restore()
    theirs = place_headers(b"another", Position(1, 999), 1)
    with closing(place.cluster.sender("test")) as sender:
        records = [Outgoing(place.refund_requests.name, request["account_id"].encode(), b"{}", theirs)] * others
        sender.send(records, time.monotonic() + 20)

    kafka = ("--kafka", place.cluster.bootstrap)
    for command in ("run", "status"):
        code, said = commands(kept.url, command, *kafka)
        assert code == 1
        assert f"{place.refund_requests.name} has position" in said.replace("\n", " ")
    books = Books(kept.url)
    with pytest.raises(PartFailed, match="makegood restored"), running(payouts(books, place)):
        until(lambda: False, 5)
    books.close()
    told = json.loads(commands(kept.url, "restored", *kafka, "--json")[1])
    (lost,) = told["lost"]
    assert (lost["kind"], lost["id"], lost["attempt"]) == ("refund request", request["refund_id"], 1)
    assert (lost["account_id"], lost["amount"], lost["currency"]) == ("acct-1", "10.00", "EUR")
    assert "not requested again" in lost["next"]

    books = Books(kept.url)
    pay_out(books, place, upstream.overcharge_confirmed(amount="8.00"))
    assert requests(place) == [request]
    (returned,) = request["returns"]
    answer = upstream.refund_succeeded(returned["return_id"], amount="10.00", currency="EUR")
    take_directly(books, [structured(answer)])
    work(books, place, None)
    books.close()
    (refund,) = json.loads(commands(kept.url, "refunds", "--json")[1])
    assert (refund["status"], refund["total"]) == ("succeeded", "10.00")
    code, said = commands(kept.url, "status", *kafka, "--json", "--max-age", "100000")
    assert (code, json.loads(said)["problems"]) == (0, [])


APPROVES = """
name = "standard"
version = 2
valid_from = 2000-01-02
[approval]
hold = "PT0S"
[approval.automatic_up_to]
EUR = "100.00"
"""


def payouts(books: Books, place: Place) -> Payouts:
    topic = RequestTopic(books.database, place.fresh_cluster(), place.refund_requests)
    topic.settles_within = 0.5
    return Payouts(books.ledger(), topic)


def pay_out(books: Books, place: Place, message: dict[str, Any]) -> None:
    """Take a message by which a refund is owed, which the agreement approves at once, and have it requested."""
    take_directly(books, [structured(message)])
    do_due_work(books.ledger(), books.clock())
    with running(payouts(books, place)):
        until(
            lambda: (
                books.rows("SELECT 1 FROM readers WHERE reader = 'payouts' AND position = ?", books.end())
                and books.rows("SELECT 1 FROM events WHERE type = 'refund-submitted.v1'")
            )
        )


def requests(place: Place) -> list[dict[str, Any]]:
    found = [json.loads(record.value or b"") for record in records(place, place.refund_requests.name)]
    return [said["data"] for said in found if "data" in said]


def test_restored_and_gone_on_it_is_what_an_undisturbed_run_is(kept: Kept, place: Place, commands: Any) -> None:
    lot = next(lots(8, "restored"))
    before, after, later = shares(lot)
    books = Books(kept.url).create()
    place.send(*before.by_kafka)
    take_directly(books, before.directly)
    work(books, place, len(before.by_kafka))
    books.close()
    kept.backup()

    books = Books(kept.url)
    place.send(*after.by_kafka)
    published = len(before.by_kafka) + len(after.by_kafka)
    work(books, place, published)
    take_directly(books, after.directly)
    grant(books.ledger(), Grant(principal="desk", role="support", account_id=None), By("/makegood/cli/ada", "cli"))
    notice_id = send_an_e_mail(books)
    work(books, place, published)
    given_up = books.end()
    books.close()

    kept.restore()
    on_the_topic = len(records(place, place.events.name))
    kafka = ("--kafka", place.cluster.bootstrap)
    for command in ("run", "status"):
        code, said = commands(kept.url, command, *kafka)
        assert code == 1
        assert "makegood restored" in said
        assert f"has position 0:{given_up}" in said.replace("\n", " ")
    code, said = commands(kept.url, "restored", *kafka, "--dry-run", "--json")
    assert code == 0
    assert json.loads(said)["generation"] == 2
    books = Books(kept.url)
    end = books.end()
    for part in parts(books, place)[1:]:
        with pytest.raises(PartFailed, match="makegood restored"), running(part):
            until(lambda: False, 5)
    assert len(records(place, place.events.name)) == on_the_topic
    assert books.end() == end
    books.close()

    code, said = commands(kept.url, "restored", *kafka, "--as", "ada", "--reason", "the disk broke", "--json")
    assert code == 0, said
    told = json.loads(said)
    assert told["kept"]["shard:0"] == end
    messages = {lost["id"]: lost for lost in told["lost"] if lost["kind"] == "message"}
    assert {id_ for id_, lost in messages.items() if lost["returns"]} == ids(after.by_kafka) - ids(before.by_kafka)
    again = [sent for sent in after.directly if ids([sent]) & messages.keys()]
    assert {id_ for id_, lost in messages.items() if not lost["returns"]} == ids(again)
    assert ids(again) == ids(after.directly) - ids(before.directly)
    assert [lost["type"] for lost in told["lost"] if lost["kind"] == "act"] == ["role-granted.v1"]
    assert [lost["id"] for lost in told["lost"] if lost["kind"] == "e-mail"] == [notice_id]

    books = Books(kept.url)
    take_directly(books, again)
    place.send(*later.by_kafka)
    take_directly(books, later.directly)
    published += len(later.by_kafka)
    work(books, place, published)
    publish(books.ledger(), lot.late_agreement, actor="test", channel="test")
    do_due_work(books.ledger(), books.clock())
    submit_approved(books.ledger())
    Notices(books.ledger(), None, clock=books.clock, jitter=lambda: 0.5).queue()
    work(books, place, published)
    told_apart = differences(undisturbed(lot), found_in(books, lot, 0))
    assert told_apart == [], "\n".join(told_apart[:60])
    assert damage(books, lot.accounts) == []
    assert folded(books, place) == stored(books)
    assert books.rows("SELECT status FROM notices WHERE notice_id = ?", notice_id) == [("sent",)]
    books.close()
    code, said = commands(kept.url, "status", *kafka, "--json", "--max-age", "100000")
    assert (code, json.loads(said)["problems"]) == (0, [])
    code, said = commands(kept.url, "restored", *kafka)
    assert "nothing to do" in said
    assert code == 0
