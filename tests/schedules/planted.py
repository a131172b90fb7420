"""Defects that somebody could have made, each put into one place of the source while a schedule runs.

They are here to find out whether the schedules would notice: a suite that passes with one of these is too weak.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import consumers.taking
import ledger.application.record
from consumers.carrying import Batch
from consumers.checkpoints.part import TreeLane
from consumers.intake import Intake
from consumers.kafka.partitions import PartitionWork
from consumers.kafka.records import Outgoing, Partition, Record, TopicIdentity
from consumers.projector import KafkaSource
from consumers.relay import EventLane, InstructionLane, Relay
from consumers.taking import Stretch, Taking
from ledger.application.account import Account
from ledger.application.agreements import Published, publish
from ledger.application.ledger import Decided, Ledger
from ledger.application.record import Recording, _Taking, take
from ledger.application.statement import Taken
from ledger.instructions import Instruction
from ledger.store.database import Conflict, Database, Transaction, Unavailable
from ledger.store.reading.events import StoredEnvelope
from ledger.store.recorders import LedgerRecorder
from ledger.store.writing import ReaderMove, Writes, move_reader, next_positions, read_heads
from ledger.vault import Vault
from projections.follower import Follower
from projections.projection import Projection, Stored
from tests.schedules.broker import Group

PLANTED: dict[str, Callable[[], AbstractContextManager[object]]] = {}


def planted(defect: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
    PLANTED[defect.__name__] = contextmanager(defect)
    return defect


# --- intake -------------------------------------------------------------------------------------------------------


@planted
def position_moves_before_the_messages_are_recorded() -> Iterator[None]:
    def early(ledger: Ledger, items: Sequence[Any], *readers: ReaderMove) -> Taken:
        with ledger.database.writing() as transaction:
            for reader in readers:
                move_reader(transaction, reader)
        return take(ledger, items)

    with patch.object(consumers.taking, "take", early):
        yield


@planted
def messages_are_recorded_before_their_position_moves() -> Iterator[None]:
    """Nobody is fenced off: the messages stand though the position could not be moved."""

    def late(ledger: Ledger, items: Sequence[Any], *readers: ReaderMove) -> Taken:
        taken = take(ledger, items)
        with ledger.database.writing() as transaction:
            for reader in readers:
                transaction.run("UPDATE readers SET position = ? WHERE reader = ?", (reader.to, reader.reader))
        return taken

    with patch.object(consumers.taking, "take", late):
        yield


@planted
def the_epoch_fences_nobody_off() -> Iterator[None]:
    def unfenced(transaction: Transaction, move: ReaderMove) -> None:
        transaction.run("UPDATE readers SET position = ? WHERE reader = ?", (move.to, move.reader))

    with patch("ledger.store.writing.move_reader", unfenced), patch("consumers.carrying.move_reader", unfenced):
        yield


@planted
def positions_are_kept_by_the_name_of_a_topic() -> Iterator[None]:
    def by_name(identity: TopicIdentity, partition: int) -> str:
        return f"intake/{identity.cluster}/{identity.topic}/{partition}"

    with patch.object(consumers.taking, "reader_name", by_name), _stored_by_name():
        yield


@contextmanager
def _stored_by_name() -> Iterator[None]:
    def stored(database: Database, identity: TopicIdentity) -> dict[int, int]:
        prefix = f"intake/{identity.cluster}/{identity.topic}/"
        with database.reading() as transaction:
            rows = transaction.rows("SELECT reader, position FROM readers")
        return {int(r.removeprefix(prefix)): int(p) for r, p in rows if r.startswith(prefix)}

    with patch("tests.schedules.world.stored_positions", stored):
        yield


@planted
def intake_begins_where_kafka_says() -> Iterator[None]:
    begin = Intake.begin

    def committed(intake: Intake, partition: Partition) -> int:
        begin(intake, partition)
        group: Group = intake._cluster.broker.groups["intake"]  # type: ignore[attr-defined]
        return group.committed.get(partition, 0)

    with patch.object(Intake, "begin", committed):
        yield


@planted
def a_shard_that_missed_messages_goes_on_where_the_others_fail() -> Iterator[None]:
    def of_each(intake: Intake, do: Callable[[int, Taking], object]) -> None:
        for number, taking in enumerate(intake._takings):
            if number in intake._out_of_reach:
                continue
            try:
                do(number, taking)
            except Unavailable:
                if len(intake._out_of_reach) + 1 == len(intake._takings):
                    intake._out_of_reach.clear()
                    raise
                intake._out_of_reach.add(number)

    with patch.object(Intake, "_of_each", of_each):
        yield


@planted
def a_partition_is_read_from_where_its_furthest_shard_stands() -> Iterator[None]:
    def furthest(intake: Intake, partition: Partition) -> int:
        return max(stands.next for taking in intake._takings if (stands := taking.follows(partition)) is not None)

    with patch.object(Intake, "_lowest", furthest):
        yield


@planted
def an_agreement_is_published_in_the_first_shard_alone() -> Iterator[None]:
    def in_the_first(ledgers: Sequence[Ledger], text: str, **by: str) -> Published:
        return publish(ledgers[0], text, **by)

    with patch("tests.schedules.world.publish_everywhere", in_the_first):
        yield


@planted
def an_error_is_swallowed() -> Iterator[None]:
    work_together = Intake.work_together

    def swallowing(intake: Intake, records: Mapping[Partition, Sequence[Record]]) -> None:
        with suppress(Exception):
            work_together(intake, records)

    with patch.object(Intake, "work_together", swallowing):
        yield


@planted
def the_rest_of_a_batch_is_dropped_on_a_conflict() -> Iterator[None]:
    def dropping(ledger: Ledger, items: Sequence[Any], *readers: ReaderMove) -> Taken:
        recording = Recording(ledger, items, Writes(readers=readers))

        def decide(transaction: Transaction) -> Decided:
            recording.take(transaction)
            return Decided(recording.accounts, recording.events, recording.writes)

        try:
            ledger.decide(decide)
        except Conflict:
            return take(ledger, items[: len(items) // 2], *readers)
        return Taken(len(items))

    with patch.object(consumers.taking, "take", dropping):
        yield


@planted
def the_first_part_of_a_split_batch_moves_its_position_past_all_of_it() -> Iterator[None]:
    with patch.object(_Taking, "_readers_after", lambda taking, _: taking._readers):
        yield


@planted
def what_was_read_is_kept_when_a_partition_begins_anew() -> Iterator[None]:
    """And nobody passes over what a shard has, which would make up for it."""
    drop, takes = PartitionWork._drop, Taking.take

    def keeping(work: PartitionWork, partition: Partition, held: Any, wait: float) -> None:
        pending = list(held.pending)
        drop(work, partition, held, wait)
        held.pending.extend(pending)

    def taking_all(taking: Taking, stretches: Mapping[Partition, Stretch]) -> Taken:
        for partition in stretches:
            if (stands := taking.follows(partition)) is not None:
                stands.next = 0
        return takes(taking, stretches)

    with patch.object(PartitionWork, "_drop", keeping), patch.object(Taking, "take", taking_all):
        yield


@planted
def a_partition_that_waits_is_not_paused() -> Iterator[None]:
    init = PartitionWork.__init__

    def unpausing(work: PartitionWork, member: Any, *args: Any, **options: Any) -> None:
        member.pause = lambda partition: None
        init(work, member, *args, **options)

    with patch.object(PartitionWork, "__init__", unpausing):
        yield


@planted
def nobody_asks_whether_the_topic_is_still_the_same() -> Iterator[None]:
    with patch.object(Intake, "_notice", lambda *_: None):
        yield


# --- ledger -------------------------------------------------------------------------------------------------------


@planted
def the_inbox_is_not_looked_into() -> Iterator[None]:
    with patch.object(ledger.application.record, "seen_before", lambda *_: {}):
        yield


@planted
def a_message_with_another_content_is_taken_for_a_duplicate() -> Iterator[None]:
    again = Recording._again

    with patch.object(Recording, "_again", lambda batch, found_by, item, _: again(batch, found_by, item, True)):
        yield


@planted
def a_catalogue_that_grew_is_not_noticed() -> Iterator[None]:
    def unheld(writes: Writes, transaction: Transaction) -> None:
        writes.catalogue.clear()
        hold(writes, transaction)

    hold = Writes._hold_catalogue
    with patch.object(Writes, "_hold_catalogue", unheld):
        yield


@planted
def the_head_is_compared_with_what_stands_when_it_is_written() -> Iterator[None]:
    """What was decided without knowing the other writer's fact is put behind it, as if it had been known."""
    move_heads = Writes._move_heads

    def rebased(writes: Writes, transaction: Transaction) -> None:
        stored = read_heads(transaction, writes.heads)
        for account, move in writes.heads.items():
            move.expected_version = stored[account].version
        move_heads(writes, transaction)

    insert = LedgerRecorder._insert

    def unindexed(recorder: LedgerRecorder, transaction: Transaction, events: Sequence[Any]) -> Sequence[int]:
        for index in ("events_account", "events_stream"):
            transaction.run(f"DROP INDEX IF EXISTS {index}")
        return insert(recorder, transaction, events)

    with patch.object(Writes, "_move_heads", rebased), patch.object(LedgerRecorder, "_insert", unindexed):
        yield


@planted
def positions_are_given_in_a_transaction_of_their_own() -> Iterator[None]:
    insert = LedgerRecorder.insert_events

    def ahead(recorder: LedgerRecorder, events: Sequence[Any], **options: Any) -> Sequence[int]:
        last = 0
        if events:
            with recorder._database.writing() as transaction:
                last = next_positions(transaction, "shard:0", len(events))
        with patch("ledger.store.recorders.next_positions", lambda *_: last):
            return insert(recorder, events, **options)

    with patch.object(LedgerRecorder, "insert_events", ahead):
        yield


@planted
def a_dead_letter_is_known_by_nothing() -> Iterator[None]:
    digest = Vault.digest

    def random(vault: Vault, content: bytes) -> str:
        return uuid.uuid4().hex if content.startswith(b"dead letter\x00") else digest(vault, content)

    with patch.object(Vault, "digest", random):
        yield


@planted
def time_alone_changes_nothing() -> Iterator[None]:
    with (
        patch.object(Account, "catch_up", lambda *_: None),
        patch("ledger.application.account.next_due", lambda *_: None),
    ):
        yield


# --- relay --------------------------------------------------------------------------------------------------------


@planted
def the_relay_moves_on_before_it_has_delivered() -> Iterator[None]:
    carry = Relay._carry

    def early(relay: Relay, standing: Any) -> int:
        afterwards: list[Outgoing] = []
        with patch.object(relay, "_hand_over", afterwards.extend):
            sent = carry(relay, standing)
        if afterwards:
            relay._hand_over(afterwards)
        return sent

    with patch.object(Relay, "_carry", early):
        yield


@planted
def the_relay_keeps_its_position_by_the_name_of_a_topic() -> Iterator[None]:
    with (
        patch.object(EventLane, "reader", lambda lane, identity: f"relay/{identity.topic}/0"),
        patch("tests.schedules.world.relayed_to", _relayed_by_name),
    ):
        yield


def _relayed_by_name(database: Database, identity: TopicIdentity, shard: int) -> int:
    with database.reading() as transaction:
        rows = transaction.rows("SELECT position FROM readers WHERE reader = ?", (f"relay/{identity.topic}/{shard}",))
    return int(rows[0][0]) if rows else 0


@planted
def a_full_batch_of_the_relay_ends_one_too_late() -> Iterator[None]:
    after = EventLane.after

    def short(lane: EventLane, transaction: Transaction, position: int, limit: int) -> Batch[Outgoing]:
        batch = after(lane, transaction, position, limit)
        return Batch(batch.records[:-1], batch.last) if len(batch.records) == limit > 1 else batch

    with patch.object(EventLane, "after", short):
        yield


@planted
def an_instruction_is_lost_at_the_end_of_a_batch() -> Iterator[None]:
    after = InstructionLane.after

    def short(lane: InstructionLane, transaction: Transaction, position: int, limit: int) -> Batch[Outgoing]:
        batch = after(lane, transaction, position, limit)
        return Batch(batch.records[: max(1, len(batch.records) - 1)], batch.last)

    with patch.object(InstructionLane, "after", short):
        yield


@planted
def an_instruction_is_another_one_each_time_it_is_sent() -> Iterator[None]:
    told = InstructionLane._record

    def anew(lane: InstructionLane, instruction: Instruction, of: StoredEnvelope, store: bytes) -> Outgoing:
        return told(lane, replace(instruction, instruction_id=uuid.uuid4().hex), of, store)

    with patch.object(InstructionLane, "_record", anew):
        yield


# --- checkpoints --------------------------------------------------------------------------------------------------


@planted
def the_tree_skips_an_event_after_a_restart() -> Iterator[None]:
    after = TreeLane.after
    begun: set[int] = set()

    def skipping(lane: TreeLane, transaction: Transaction, position: int, limit: int) -> Batch[bytes]:
        batch = after(lane, transaction, position, limit)
        if id(lane) in begun or position == 0 or len(batch.records) < 2:
            return batch
        begun.add(id(lane))
        return Batch([*batch.records[1:], batch.records[-1]], batch.last)

    with patch.object(TreeLane, "after", skipping):
        yield


# --- projector ----------------------------------------------------------------------------------------------------


@planted
def what_a_jump_leaves_out_is_not_read_from_the_store() -> Iterator[None]:
    run = Follower._run

    def unfilled(
        follower: Follower, shard: int, after: int, end: int, known: Mapping[int, Stored]
    ) -> Sequence[Stored]:
        at_hand = [known[position] for position in range(after + 1, end + 1) if position in known]
        return at_hand if at_hand and at_hand[-1].position == end else run(follower, shard, after, end, known)

    with patch.object(Follower, "_run", unfilled):
        yield


@planted
def silence_is_taken_for_the_end_of_the_topic() -> Iterator[None]:
    feed = KafkaSource.feed

    def trusting(source: KafkaSource, timeout: float) -> int:
        source._looked_at = source._monotonic()
        return feed(source, timeout)

    with patch.object(KafkaSource, "feed", trusting):
        yield


@planted
def the_events_of_another_store_are_taken_for_ours() -> Iterator[None]:
    with patch.object(KafkaSource, "_store", lambda _: None):
        yield


@planted
def rows_are_written_after_their_position() -> Iterator[None]:
    advance, move = Follower._advance, Follower._move

    def in_two(
        follower: Follower, projections: Sequence[Projection], shard: int, after: int, envelopes: Sequence[Stored]
    ) -> None:
        with follower._database.writing() as transaction:
            move(follower, transaction, projections, shard, after, envelopes[-1].position)
        with patch.object(Follower, "_move", lambda *_: None):
            advance(follower, projections, shard, after, envelopes)

    with patch.object(Follower, "_advance", in_two):
        yield
