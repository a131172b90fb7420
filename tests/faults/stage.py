"""A stage for faults: a store and topics of its own, makegood as processes on them, and lots of messages."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from consumers.checkpoints.comparing import PlaceUnusable
from consumers.checkpoints.folder import Folder
from consumers.checkpoints.topic import CheckpointTopic
from consumers.kafka.records import BrokerError, Partition, Record
from consumers.payouts.asking import reader_of
from consumers.payouts.requests import key_in
from consumers.places import place_of
from consumers.projector import PublishedEvent, event_of
from ledger.application.agreements import publish
from ledger.audit import Checkpoint, Note, SignatureType, SigningKey
from ledger.events import RefundSubmitted
from ledger.refund_requests import request_of
from ledger.store.database import Database, Unavailable
from ledger.store.positions import event_sequence
from ledger.store.reading.audit import latest_checkpoint, origin_of, tree_size
from ledger.store.reading.found_requests import requests_found
from ledger.store.reading.generations import Generations, generations_of
from ledger.store.reading.lost import LostMessages, lost_ranges
from projections.catalog import CATALOG
from projections.instructions import INSTRUCTIONS, ISSUED
from tests.faults.checkpoints import in_folder, not_in_folder, tree_differs
from tests.faults.lots import PARTITIONS, Lot, lots
from tests.faults.makegood import SESSION_MS
from tests.faults.undisturbed import damage, differences, found_in, undisturbed
from tests.integration.world import Books, new_place, until
from tests.parts.kafka import Kafka
from tests.parts.loaded import Program

SESSION_SECONDS = SESSION_MS / 1000
PATIENCE = 90.0
BATCH = 10
SIGNS_EACH = 60
"""So many events are signed together, or those of a second."""
_SIGNED_BY = (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)
ENDS_WITHIN = 10.0
"""Seconds within which a process that is told to end must have ended."""


class NotRecovered(AssertionError):
    """After a fault the store is not what an undisturbed run leaves, or a process is not what it should be."""


class Process:
    """Makegood as a process: all parts, or those named."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        self.ended = False
        """Whether it was told to end, or to die."""
        self._was_ready = False
        with log.open("wb") as said:
            self._process = Program("tests.faults.makegood", command, environment, said=said)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def frozen(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    @property
    def resident(self) -> int:
        """How much memory it has, in bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def is_ready(self) -> bool:
        if not self.alive:
            raise NotRecovered(f"makegood ended by itself, exit {self._process.returncode}:\n{self._end_of_log()}")
        self._was_ready = self._was_ready or "\nready\n" in "\n" + self.said
        return self._was_ready

    def wait(self) -> int:
        """Let it end by itself; its exit code."""
        self.ended = True
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        self.ended = True
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Tell it to end; it has to, in order and in time."""
        self.ended = True
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(2 * ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotRecovered(f"it did not end on SIGTERM:\n{self._end_of_log()}") from None
        if code != 0 or time.monotonic() - began > ENDS_WITHIN:
            seconds = time.monotonic() - began
            raise NotRecovered(f"on SIGTERM it ended with exit {code} after {seconds:.1f} s:\n{self._end_of_log()}")

    def _end_of_log(self) -> str:
        return "\n".join(self.said.splitlines()[-20:])


class Stage:
    """One store, six topics and the processes on them, with lots that are published one after the other."""

    def __init__(
        self, kafka: Kafka, url: str, folder: Path, dice: random.Random, *, seen_by: str = "", accounts: int = 12
    ) -> None:
        """`seen_by` is the store's address as the processes are told it, where that is by way of a proxy."""
        self.dice = dice
        self.place = new_place(kafka, PARTITIONS)
        self.books = Books(url).create()
        self.folder = folder
        self.kills = 0
        self._store = seen_by or url
        self._lots = lots(accounts)
        self._processes: list[Process] = []
        self._whole: Process | None = None
        self._environment: dict[str, str] = {}
        suffix = self.place.upstream.name.rpartition("-")[2]
        self.checkpoints = folder / f"checkpoints-{suffix}"
        """The folder for checkpoints."""
        self.checkpoints.mkdir()
        self.ended: dict[str, int] = {}
        """The logs that were given up when the store was restored, each with how many of its events were left."""
        self._key_file = folder / f"audit-{suffix}.key"
        self._key_file.write_text(
            "".join(f"{SigningKey.new(self.origin(), type_).secret_text()}\n" for type_ in _SIGNED_BY)
        )
        self.requests = 0
        """How many refunds were requested, when it was last looked."""
        self.span = 1.0
        """Seconds that an undisturbed lot takes, within which faults strike."""

    # --- processes -----------------------------------------------------------------------------------------------

    def tell(self, **environment: str) -> None:
        """What every process started from now on is told besides."""
        self._environment = environment

    def start(self, *parts: str, command: Sequence[str] = (), **environment: str) -> Process:
        """Start a process that runs all parts, or those named, or another command; `ready` is not waited for."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}
        told = {
            "FAULTS_TOPICS": self.place.upstream.name.rpartition("-")[2],
            "FAULTS_BATCH": str(BATCH),
            "MAKEGOOD_AUDIT_KEY": str(self._key_file),
            "MAKEGOOD_AUDIT_FOLDER": str(self.checkpoints),
            "MAKEGOOD_AUDIT_EVENTS": str(SIGNS_EACH),
            "MAKEGOOD_AUDIT_SECONDS": "1",
            **self._environment,
            **environment,
        }
        process = Process(
            [*(command or ["run", *parts]), "--store", self._store, "--kafka", self.place.cluster.bootstrap],
            inherited | told,
            self.folder / f"makegood-{len(list(self.folder.glob('makegood-*.log')))}.log",
        )
        self._processes.append(process)
        return process

    def whole(self) -> Process:
        """A process with all parts, ready: the one that is there, or a new one."""
        if self._whole is None or not self._whole.alive:
            self._whole = self.start()
        until(self._whole.is_ready, PATIENCE)
        return self._whole

    def leave_to(self, process: Process) -> None:
        """This is now the process with all parts that faults find."""
        self._whole = process

    def make_room(self) -> None:
        """End the process with all parts, if there is one, in order."""
        if self._whole is not None:
            self.whole().terminate()
            self._whole = None

    def close(self) -> None:
        for process in self._processes:
            if process.alive:
                process.kill()
        self.books.close()

    # --- lots ----------------------------------------------------------------------------------------------------

    def new_lot(self) -> Lot:
        self.wake_connections()
        lot = next(self._lots)
        rows = self.books.rows("SELECT position FROM sequences WHERE name = 'dead-letters'")
        lot.since_dead_letter = rows[0][0] if rows else 0
        return lot

    def publish(self, lot: Lot) -> None:
        """Send all messages of a lot as upstream's producer does, and wait until Kafka has them."""
        producer = Producer(
            {"bootstrap.servers": self.place.cluster.bootstrap, "log_level": 0, "enable.idempotence": True}
        )
        lot.ends = {}
        failures: list[Any] = []

        def delivered(error: Any, message: Any) -> None:
            if error is not None:
                failures.append(error)
            else:
                lot.ends[message.partition()] = max(lot.ends.get(message.partition(), 0), message.offset() + 1)

        for sent in lot.messages:
            producer.produce(
                self.place.upstream.name, sent.value, sent.key, partition=sent.partition or 0, on_delivery=delivered
            )
        assert producer.flush(60) == 0
        assert not failures, failures
        lot.published += 1

    def taken(self, lot: Lot) -> int:
        """How many messages of a lot the ledger has."""
        return int(self.books.rows("SELECT count(*) FROM inbox WHERE id LIKE '%-' || ?", lot.name)[0][0])

    def all_is_taken(self, lot: Lot) -> bool:
        """Whether intake stands behind the last message of a lot in every partition."""
        try:
            stands = self.stands()
        except BrokerError:
            return False
        return all(stands.get(number, 0) >= end for number, end in lot.ends.items())

    def stands(self) -> dict[int, int]:
        """The offset that intake takes next in each partition. Raises BrokerError."""
        reader = f"intake/{self.place.cluster.identity(self.place.upstream.name)}/"
        rows = self.books.rows("SELECT reader, position FROM readers WHERE reader LIKE ? || '%'", reader)
        return {int(name.removeprefix(reader)): position for name, position in rows}

    def wake_connections(self) -> None:
        """Have both databases answer: a server that was down in between leaves us with connections that are cut."""
        for database in (self.books.database, self.books.keys):

            def answers(database: Database = database) -> bool:
                with contextlib.suppress(Unavailable), database.reading() as transaction:
                    return bool(transaction.rows("SELECT 1"))
                return False

            until(answers, PATIENCE)

    def lost(self) -> list[LostMessages]:
        """The lost ranges that nobody has closed."""
        with self.books.database.reading() as transaction:
            return list(lost_ranges(transaction, closed=False))

    def at_rest(self, lot: Lot) -> bool:
        """Whether everything is taken, nothing is due, and all of it is projected, relayed, signed and published."""
        return next(self._unrest(lot), None) is None

    def _untaken(self, lot: Lot) -> Iterator[str]:
        if not self.all_is_taken(lot):
            yield f"intake does not stand at {lot.ends} yet"

    def _unrest(self, lot: Lot) -> Iterator[str]:
        """What is still to come, each with how far it is."""
        yield from self._untaken(lot)
        if due := self._due():
            yield f"{due} accounts are due"
        end = self.books.end()
        for name, position in self.books.rows("SELECT projection, position FROM projection_positions"):
            if position != end:
                yield f"projection {name} stands at {position} of {end}"
        projected = self.books.rows("SELECT count(*) FROM projection_positions")[0][0]
        if projected != len(CATALOG):
            yield f"{projected} of {len(CATALOG)} projections have begun"
        letters = self.books.rows("SELECT coalesce(max(position), 0) FROM dead_letters")[0][0]
        for what, position, last in (
            ("the relay of events", self._relayed(self.place.events.name, "/0"), end),
            ("the relay of instructions", self._relayed(self.place.instructions.name, "/0"), end),
            ("the relay of dead letters", self._relayed(self.place.dead_letters.name, ""), letters),
            ("payouts", self._requested(), end),
            ("the signer", self._signed(), end),
        ):
            if position != last:
                yield f"{what} stands at {position} of {last}"
        if (approved := self._approved(lot)) != (left := self._left_approved(lot)):
            yield f"approved and not submitted are {sorted(approved)}, and not {sorted(left)}"

    def origin(self) -> str:
        """The log under whose name the tree is signed now."""
        with self.books.database.reading() as transaction:
            return origin_of(transaction, 0)

    def _signed(self) -> int:
        """Up to which position all of the tree is signed, and that checkpoint is in folder and topic; else 0."""
        with self.books.database.reading() as transaction:
            origin, size = origin_of(transaction, 0), tree_size(transaction, 0)
            last = latest_checkpoint(transaction, origin)
        if last is None or last.size != size:
            return 0
        for place in (Folder(self.checkpoints), CheckpointTopic(self.place.cluster, self.place.checkpoints.name)):
            try:
                note = place.last(origin)
            except (PlaceUnusable, BrokerError):
                return 0
            if note is None or Checkpoint.parse(note.text).size != size:
                return 0
        return size

    def published(self) -> dict[str, list[Checkpoint]]:
        """The checkpoints that left, by where they are; those of the topic in the order in which they came there."""
        records = self._records(self.place.checkpoints.name)
        return {
            "the folder": in_folder(self.checkpoints),
            "the topic": [Checkpoint.parse(Note.parse((record.value or b"").decode()).text) for record in records],
        }

    def checkpoints_differ(self) -> list[str]:
        """Where the tree, or what left of it, is not of the events, and what was signed and did not leave."""
        published = self.published()
        told = tree_differs(self.books, published, self.ended)
        return told + not_in_folder(self.books, published["the folder"])

    def _requested(self) -> int:
        rows = self.books.rows("SELECT position FROM readers WHERE reader = ?", reader_of(0))
        return int(rows[0][0]) if rows else 0

    def _approved(self, lot: Lot) -> set[tuple[str, str]]:
        """The refunds of a lot that are approved and not submitted."""
        found = self.books.rows(
            "SELECT account, refund_id FROM approved_refunds WHERE account LIKE '%-' || ?", lot.name
        )
        return {(account, refund_id) for account, refund_id in found}

    def _left_approved(self, lot: Lot) -> set[tuple[str, str]]:
        """Those that an undisturbed run leaves: they wait for something."""
        if lot.left_approved is None:
            lot.left_approved = set(undisturbed(lot)["approved_refunds"])
        return lot.left_approved

    def _due(self) -> int:
        now = int(self.books.clock().timestamp() * 1_000_000)
        return int(self.books.rows("SELECT count(*) FROM heads WHERE due_at <= ?", now)[0][0])

    def _relayed(self, topic: str, shard: str) -> int:
        try:
            reader = f"relay/{self.place.cluster.identity(topic)}{shard}"
        except BrokerError:
            return -1
        rows = self.books.rows("SELECT position FROM readers WHERE reader = ?", reader)
        return int(rows[0][0]) if rows else 0

    def make_due(self, lot: Lot) -> None:
        """Publish the agreement that some of the lot's accounts wait for: they fall due at once."""
        publish(self.books.ledger(), lot.late_agreement, actor="test", channel="test")

    # --- after the fault -----------------------------------------------------------------------------------------

    def settle(self, lot: Lot) -> None:
        """Let everything run to rest, and compare. Raises NotRecovered."""
        self._wait(lambda: self._untaken(lot))
        self.make_due(lot)
        self._wait(lambda: self._unrest(lot))
        told = (
            differences(undisturbed(lot), found_in(self.books, lot, lot.since_dead_letter))
            + damage(self.books, [*lot.accounts])
            + self.requests_differ()
            + self.checkpoints_differ()
        )
        if told:
            more = f"\n… and {len(told) - 20} more" if len(told) > 20 else ""
            raise NotRecovered("\n".join(told[:20]) + more)

    def _wait(self, unrest: Callable[[], Iterator[str]]) -> None:
        """Wait until nothing is still to come. Raises NotRecovered, with all that was, after PATIENCE."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(Unavailable):
                if next(unrest(), None) is None:
                    return
            for process in self._processes:
                if not process.ended:
                    process.is_ready()  # or it ended by itself, and says why
            if time.monotonic() > deadline:
                waits = "\n".join(unrest())
                ends = "\n".join(p._end_of_log() for p in self._processes if p.alive)
                raise NotRecovered(
                    f"not at rest within {PATIENCE:.0f} s:\n{waits}\nwhat the processes said last:\n{ends}"
                )
            time.sleep(0.05)

    def check_whole_store(self) -> None:
        """All of the store by itself, and the topics against it: every event in order, its bytes as stored, every
        instruction as the rows have it, every refund requested once, and every checkpoint of the events."""
        accounts = [row[0] for row in self.books.rows("SELECT account FROM heads")]
        told = damage(self.books, accounts) + self._topic_differs() + self._instructions_differ()
        told += self.requests_differ() + self.checkpoints_differ()
        if told:
            raise NotRecovered("\n".join(told[:20]))

    def _topic_differs(self) -> list[str]:
        stored = {
            row[0]: bytes(row[1])
            for row in self.books.rows("SELECT position, envelope FROM events ORDER BY position")
        }
        reached, told, begun = 0, [], False
        generations = self._generations()
        for event in self._published():
            if generations.gave_up(event.generation, event.position):
                continue
            # Before the relay notices that a topic was made anew, it may send there what comes next; then everything.
            begun = begun or event.position == 1
            if not begun:
                continue
            if event.position > reached + 1:
                told.append(f"the topic has position {event.position} after {reached}")
            reached = max(reached, event.position)
            if stored.get(event.position) != event.envelope:
                told.append(f"the topic's event at {event.position} is not the store's")
        if reached != len(stored):
            told.append(f"the topic ends at {reached}, the store at {len(stored)}")
        return told

    def _instructions_differ(self) -> list[str]:
        rows = self.books.rows(f"SELECT instruction_id, data FROM {INSTRUCTIONS.stored_name(ISSUED)}")
        kept = {instruction_id: json.loads(data) for instruction_id, data in rows}
        told = []
        sent: set[str] = set()
        generations = self._generations()
        for record in self._records(self.place.instructions.name):
            place = place_of(record)
            if place is not None and generations.gave_up(place.generation, place.position):
                continue
            instruction = json.loads(record.value or b"")
            sent.add(instruction["id"])
            if kept.get(instruction["id"]) != instruction["data"]:
                told.append(f"instruction {instruction['id']} says on the topic what the rows do not")
        return told + [f"instruction {missing} was never published" for missing in sorted(kept.keys() - sent)]

    def requests_differ(self) -> list[str]:
        """Requests that are on the topic twice, or not at all; what was requested before a store was restored counts,
        unless nothing was submitted again under its name."""
        asked = Counter(key_in(record) for record in self._records(self.place.refund_requests.name))
        submitted = set()
        for (envelope,) in self.books.rows("SELECT envelope FROM events WHERE type = ?", RefundSubmitted.stored_as):
            submitted.add(request_of(RefundSubmitted.model_validate_json(bytes(envelope))).key)
        with self.books.database.reading() as transaction:
            found = requests_found(transaction)
        self.requests = len(submitted)
        return (
            [f"{key} was requested {times} times" for key, times in asked.items() if times > 1]
            + [f"{key} was never requested" for key in sorted(submitted - asked.keys())]
            + [f"{key} was requested, and nobody knows of it" for key in asked.keys() - submitted - found.keys()]
        )

    def _generations(self) -> Generations:
        with self.books.database.reading() as transaction:
            return generations_of(transaction, event_sequence(0))

    def _published(self) -> Iterator[PublishedEvent]:
        store = self.books.follower().store_id().encode()
        for record in self._records(self.place.events.name):
            event = event_of(record, store)
            if event is None:
                raise NotRecovered(f"record {record.offset} of the topic is no event of the store")
            yield event

    def _records(self, topic: str) -> Iterator[Record]:
        """Every record of the topic's only partition."""
        partition = Partition(topic, 0)
        _, end = self.place.cluster.bounds(partition)
        consumer = Consumer(
            {"bootstrap.servers": self.place.cluster.bootstrap, "group.id": "check", "enable.partition.eof": True}
        )
        consumer.assign([TopicPartition(partition.topic, 0, 0)])
        try:
            while True:
                for message in consumer.consume(1_000, 0.3):
                    if message.error() is not None:
                        return
                    yield Record(partition, message.offset(), message.key(), message.value(), message.headers() or ())
                    if message.offset() + 1 == end:
                        return
        finally:
            consumer.close()
