"""The kinds of faults. Each publishes a lot, strikes while it is worked on, and mends what it broke.

What it returns says when it struck. That all recovered is found out afterwards, by `Stage.settle`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer

from consumers.kafka.records import Partition
from ledger.application.acts import By
from ledger.application.lost_messages import close
from ledger.audit import TILE_WIDTH
from ledger.audit.leaf import DIGEST_BYTES
from ledger.store.database import Row
from ledger.store.reading.audit import latest_checkpoint, origin_of, tile, tree_reader
from ledger.store.vault_keys import RESTORE
from tests.faults.checkpoints import in_folder
from tests.faults.failpoints import PARTS
from tests.faults.lots import PARTITIONS, Lot
from tests.faults.proxy import Cut, Proxy
from tests.faults.stage import PATIENCE, SESSION_SECONDS, NotRecovered, Process, Stage
from tests.integration.world import account_registered, until
from tests.parts import Part

Fault = Callable[[Stage, Lot], str]

TRIES = 4
"""Not every lot brings a process to every place: so many are tried."""


class NotReached(Exception):
    """The process came to rest without coming to the place: the fault did not strike."""


def strike(fault: Fault, stage: Stage) -> tuple[str, Lot]:
    """Try one lot after the other until the fault strikes; what it says, and its lot. Raises NotReached."""
    for _ in range(TRIES - 1):
        lot = stage.new_lot()
        with contextlib.suppress(NotReached):
            return fault(stage, lot), lot
        stage.settle(lot)
    lot = stage.new_lot()
    return fault(stage, lot), lot


def nothing(stage: Stage, lot: Lot) -> str:
    """An undisturbed lot, which says how long one takes here."""
    stage.whole()
    began = time.monotonic()
    stage.publish(lot)
    until(lambda: stage.all_is_taken(lot), PATIENCE)
    stage.make_due(lot)
    until(lambda: stage.at_rest(lot), PATIENCE)
    stage.span = time.monotonic() - began
    return f"takes {stage.span:.1f} s"


def kill_whole(stage: Stage, lot: Lot) -> str:
    """`makegood run` is killed at random instants, its start not excepted."""
    process = stage.whole()
    stage.publish(lot)
    taken = []
    for _ in range(stage.dice.choice((1, 2))):
        _sleep_a_while(stage)
        process.kill()
        stage.kills += 1
        taken.append(stage.taken(lot))
        process = stage.start()
        stage.leave_to(process)
    stage.whole()
    return f"{_of(taken, lot)} taken when killed"


def kill_parts(stage: Stage, lot: Lot) -> str:
    """Parts run as processes of their own, and single ones are killed at random instants."""
    stage.make_room()
    processes = {part: stage.start(part) for part in PARTS}
    for process in processes.values():
        until(process.is_ready, PATIENCE)
    stage.publish(lot)
    killed = []
    for _ in range(5):
        part = stage.dice.choice(PARTS)
        _sleep_a_while(stage, 0.5)
        processes[part].kill()
        stage.kills += 1
        killed.append(part)
        processes[part] = stage.start(part)
        if stage.dice.random() < 0.3 and stage.all_is_taken(lot):
            stage.make_due(lot)
    stage.settle(lot)
    for process in processes.values():
        until(process.is_ready, PATIENCE)
        process.terminate()
    return f"killed {', '.join(killed)}"


def kill_at(name: str) -> Fault:
    """Killed at a named place."""

    def kill(stage: Stage, lot: Lot) -> str:
        stage.make_room()
        process = stage.start(MAKEGOOD_FAILPOINT=name)
        stage.leave_to(process)
        stage.publish(lot)

        def dead_or(condition: Callable[[Lot], bool]) -> bool:
            return not process.alive or condition(lot)

        until(lambda: dead_or(stage.all_is_taken), PATIENCE)
        if process.alive:
            stage.make_due(lot)
            until(lambda: dead_or(stage.at_rest), PATIENCE)
        if process.alive:
            raise NotReached(name)
        process.kill()  # it is dead; now it is known that it was to be
        stage.kills += 1
        taken = stage.taken(lot)
        stage.whole()
        return f"{taken} of {len(lot.messages)} taken when killed"

    return kill


def terminate(stage: Stage, lot: Lot) -> str:
    """Told to end at a random instant, it ends in order and in time."""
    process = stage.whole()
    stage.publish(lot)
    _sleep_a_while(stage)
    process.terminate()
    taken = stage.taken(lot)
    stage.whole()
    return f"{taken} of {len(lot.messages)} taken when told"


def server_down(server: Part) -> Fault:
    """Kafka or PostgreSQL is stopped in order, or crashes, and comes back."""

    def stop(stage: Stage, lot: Lot) -> str:
        stage.whole()
        stage.publish(lot)
        _sleep_a_while(stage)
        crash = stage.dice.random() < 0.5
        (server.kill if crash else server.stop)()
        time.sleep(stage.dice.uniform(0.2, 2.0))
        server.start()
        return "crashed" if crash else "stopped"

    return stop


def after_a_restart(server: Part, fault: Fault) -> Fault:
    """A fault on a server that was restarted under the running process."""

    def restart(stage: Stage, lot: Lot) -> str:
        stage.whole()
        server.stop()
        server.start()
        time.sleep(stage.dice.uniform(0.0, 2 * SESSION_SECONDS))
        return fault(stage, lot)

    return restart


def commit_cut(proxy: Proxy) -> Fault:
    """The connection is lost at a commit: before it took place, or after, so that only its answer is lost."""

    def cut(stage: Stage, lot: Lot) -> str:
        stage.whole()
        cuts: list[Cut] = ["before its answer", "before the commit", "before its answer"]
        for kind in cuts[stage.dice.randrange(2) :]:
            proxy.cut_next(kind)
            if not lot.published:
                stage.publish(lot)
            if not proxy.struck.wait(10):
                until(lambda: stage.all_is_taken(lot), PATIENCE)
                stage.make_due(lot)
                if not proxy.struck.wait(10):
                    raise NotReached(kind)
        return f"the last one {cuts[-1]}"

    return cut


def frozen(stage: Stage, lot: Lot) -> str:
    """Frozen at a random instant until its session is over and another has its work, then woken."""
    process = stage.whole()
    other = _ready(stage.start())
    stage.publish(lot)
    _sleep_a_while(stage)
    process.freeze()
    taken = stage.taken(lot)
    time.sleep(SESSION_SECONDS + stage.dice.uniform(0.5, 2.0))
    process.wake()
    stage.settle(lot)
    other.terminate()
    return f"{taken} of {len(lot.messages)} taken when frozen"


def frozen_in_a_transaction(place: str) -> Fault:
    """Frozen with locks in its hands: the other must not have to wait until it wakes."""

    def freeze(stage: Stage, lot: Lot) -> str:
        stage.make_room()
        process = stage.start(MAKEGOOD_FAILPOINT=place, FAULTS_SIGNAL="SIGSTOP")
        stage.publish(lot)
        until(lambda: process.frozen or stage.all_is_taken(lot), PATIENCE)
        if not process.frozen:  # what follows intake comes to its place later
            stage.make_due(lot)
            until(lambda: process.frozen or stage.at_rest(lot), PATIENCE)
        if not process.frozen:
            process.terminate()
            raise NotReached(place)
        other = stage.start()
        stage.leave_to(other)
        taken = stage.taken(lot)
        until(other.is_ready, PATIENCE)
        stage.settle(lot)
        process.wake()
        until(process.is_ready, PATIENCE)
        process.terminate()
        return f"{taken} of {len(lot.messages)} taken when frozen {place}"

    return freeze


def frozen_before_it_sends(place: str) -> Fault:
    """A part is frozen when all that is left is to send: when it is woken, another has sent the same."""

    def freeze(stage: Stage, lot: Lot) -> str:
        stage.whole()
        part, _, _ = place.partition(":")
        alone = _ready(stage.start(part, MAKEGOOD_FAILPOINT=place, FAULTS_SIGNAL="SIGSTOP"))
        stage.publish(lot)
        until(lambda: stage.all_is_taken(lot), PATIENCE)
        stage.make_due(lot)
        until(lambda: alone.frozen or stage.at_rest(lot), PATIENCE)
        if not alone.frozen:
            alone.terminate()
            raise NotReached(place)
        stage.settle(lot)
        alone.wake()
        time.sleep(stage.dice.uniform(0.5, 3.0))
        alone.terminate()
        published = len(in_folder(stage.checkpoints))
        return f"{stage.requests} refunds requested and {published} checkpoints published in all"

    return freeze


def members(stage: Stage, lot: Lot) -> str:
    """Two more join, and all but one leave, in any order, while there is work."""
    three = [stage.whole(), stage.start(), stage.start()]
    _sleep_a_while(stage)
    stage.publish(lot)
    stays = stage.dice.choice(three)
    stage.leave_to(stays)
    leaving = [process for process in three if process is not stays]
    stage.dice.shuffle(leaving)
    for process in leaving:
        until(process.is_ready, PATIENCE)
        _sleep_a_while(stage)
        process.terminate()
    return f"number {three.index(stays) + 1} stays"


def older_vault(stage: Stage, lot: Lot) -> str:
    """The vault's keys are put back as they were earlier: whoever works waits and says so, nobody starts, and no key
    is made; with the right ones all goes on."""
    process = stage.whole()
    earlier = _exchanged_keys(stage)
    said = process.said.count(OLDER)
    stage.publish(lot)
    until(lambda: process.is_ready() and stage.taken(lot) > 0, PATIENCE)
    newest = _exchanged_keys(stage, earlier)
    taken = stage.taken(lot)
    try:
        until(lambda: process.said.count(OLDER) > said or stage.all_is_taken(lot), PATIENCE)
        if process.said.count(OLDER) == said:
            raise NotReached("no key was needed any more")
        other = stage.start()
        other.ended = True
        until(lambda: not other.alive, PATIENCE)
        if OLDER not in other.said or RESTORE not in other.said:
            raise NotRecovered(f"another process did not say what to restore:\n{other.said}")
        made = _exchanged_keys(stage)
        if made != earlier:
            raise NotRecovered("keys were made though the vault was older than the store")
    finally:
        _exchanged_keys(stage, newest)
    return f"{taken} of {len(lot.messages)} taken when the older vault was restored"


OLDER = "is older than the store"
KEY_TABLES = ("vault_keys", "key_ring", "key_serials")


def _exchanged_keys(stage: Stage, by: dict[str, list[Row]] | None = None) -> dict[str, list[Row]]:
    """What the key database has, which is exchanged in one transaction by what it is to have, if that is given."""
    with stage.books.keys.writing() as transaction:
        transaction.run(f"LOCK TABLE {', '.join(KEY_TABLES)} IN ACCESS EXCLUSIVE MODE")
        found = {table: sorted(transaction.rows(f"SELECT * FROM {table}")) for table in KEY_TABLES}
        for table, rows in (by or {}).items():
            transaction.run(f"DELETE FROM {table}")
            for row in rows:
                transaction.run(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    return found


def deleted_before_it_was_read(stage: Stage, lot: Lot) -> str:
    """Kafka deletes what nobody has read of some partitions: each range is told of until a person closes it, a
    restart changes nothing, and upstream publishes everything again.

    Of a partition it is all or nothing, so that an account's messages come in the order of the undisturbed run.
    """
    stage.make_room()
    stage.publish(lot)
    stood = stage.stands()
    deleted = stage.dice.sample(sorted(lot.ends), stage.dice.randint(1, len(lot.ends)))
    stage.place.delete_before({number: lot.ends[number] for number in deleted})
    expected = {(number, stood.get(number, 0), lot.ends[number] - 1) for number in deleted}
    for _ in range(2):
        stage.whole()
        until(lambda: stage.all_is_taken(lot), PATIENCE)
        told = {(lost.range.partition, lost.range.first, lost.range.last) for lost in stage.lost()}
        if told != expected:
            raise NotRecovered(f"lost were {sorted(expected)}, and told of are {sorted(told)}")
        stage.make_room()
    stage.whole()
    stage.publish(lot)
    for lost in stage.lost():
        close(stage.books.ledger(), lost.lost_id, "published again", By("/test", "test"))
    return f"{sum(last - first + 1 for _, first, last in expected)} of {len(lot.messages)} deleted"


def topics_anew(stage: Stage, lot: Lot) -> str:
    """Topics are deleted and made anew: what comes in, what goes out; upstream publishes everything again."""
    stage.whole()
    stage.publish(lot)
    _sleep_a_while(stage)
    taken = stage.taken(lot)
    stage.place.make_anew(stage.place.upstream)
    stage.place.make_anew(stage.place.events)
    stage.place.make_anew(stage.place.instructions)
    stage.place.make_anew(stage.place.checkpoints)
    stage.publish(lot)
    return f"{taken} of {len(lot.messages)} taken when deleted"


def without_folder(stage: Stage, lot: Lot) -> str:
    """The folder for checkpoints is away for a while: whoever signs says so, and brings all of them when it is back;
    nobody begins to sign without knowing what is there.
    """
    process = stage.whole()
    away = stage.checkpoints.with_name(f"{stage.checkpoints.name}-away")
    said = process.said.count(NOT_PUBLISHED)
    stage.publish(lot)
    _sleep_a_while(stage)
    stage.checkpoints.rename(away)
    try:
        until(lambda: stage.all_is_taken(lot), PATIENCE)
        stage.make_due(lot)
        until(lambda: process.is_ready() and process.said.count(NOT_PUBLISHED) > said, PATIENCE)
        begins_anew = stage.dice.random() < 0.5
        if begins_anew:
            process.terminate()
            process = stage.whole()
            until(lambda: NOT_COMPARED in process.said, PATIENCE)
    finally:
        away.rename(stage.checkpoints)
    return "away also when another process began" if begins_anew else "away, and back for the same process"


NOT_PUBLISHED = "checkpoint_not_published"
NOT_COMPARED = "checkpoints_not_compared"


def damaged_tile(stage: Stage, lot: Lot) -> str:
    """A tile of the Merkle tree is changed, cut short or taken away: nothing is signed on it, status names what makes
    the tree anew from the events, and after that whoever signs goes on by itself.
    """
    process = stage.whole()
    said = process.said.count(REBUILD)
    stage.publish(lot)
    _sleep_a_while(stage)
    how = _damage_a_tile(stage)
    told = stage.start(command=("status",))
    if told.wait() != 1 or REBUILD not in told.said:
        raise NotRecovered(f"{how}, and status does not say what to do:\n{told.said}")
    until(lambda: stage.all_is_taken(lot), PATIENCE)
    stage.make_due(lot)
    until(lambda: process.is_ready() and process.said.count(REBUILD) > said, PATIENCE)
    rebuilding = stage.start(command=("audit", "rebuild-tree"))
    if rebuilding.wait() != 0:
        raise NotRecovered(f"{how}, and the tree is not made anew:\n{rebuilding.said}")
    return how


REBUILD = "makegood audit rebuild-tree"


def _damage_a_tile(stage: Stage) -> str:
    """Damage the tile at the right edge of what was signed last; how. Raises NotReached."""
    with stage.books.database.writing() as transaction:
        # Whoever lets the tree grow waits, or it would write over the damage what it read before.
        transaction.run("UPDATE readers SET epoch = epoch WHERE reader = ?", (tree_reader(0),))
        last = latest_checkpoint(transaction, origin_of(transaction, 0))
        if last is None or last.size % TILE_WIDTH == 0:
            raise NotReached("there is no part of a tile that is signed")
        number = last.size // TILE_WIDTH
        hashes = tile(transaction, 0, 0, number)
        at = stage.dice.randrange(last.size % TILE_WIDTH) * DIGEST_BYTES
        changed = {
            "a hash was changed": hashes[:at] + bytes(DIGEST_BYTES) + hashes[at + DIGEST_BYTES :],
            "a tile was cut short": hashes[:at],
            "a tile was taken away": None,
        }
        how = stage.dice.choice(sorted(changed))
        transaction.run("DELETE FROM audit_tiles WHERE shard = 0 AND level = 0 AND number = ?", (number,))
        if (left := changed[how]) is not None:
            transaction.insert("audit_tiles", ("shard", "level", "number", "hashes"), [(0, 0, number, left)])
    return how


def disk_full(store: Path, pages: Path) -> Fault:
    """An SQLite store cannot grow for a while: it says so, keeps what it has, and goes on when there is room."""

    def fill(stage: Stage, lot: Lot) -> str:
        process = stage.whole()
        said = process.said.count("is full")
        with contextlib.closing(sqlite3.connect(store)) as connection:
            (used,) = connection.execute("PRAGMA page_count").fetchone()
        room = stage.dice.randrange(30)
        _tell(pages, {store.name: used + room})
        stage.publish(lot)
        until(lambda: process.is_ready() and process.said.count("is full") > said + 2, PATIENCE)
        with contextlib.closing(sqlite3.connect(store)) as connection:
            (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        taken = stage.taken(lot)
        if sound != "ok" or taken >= len(lot.messages):
            raise NotRecovered(f"with a full disk the store is {sound}, and {taken} messages are taken")
        _tell(pages, {})
        return f"{taken} of {len(lot.messages)} taken when full"

    return fill


def restored(backup: Callable[[Stage], Callable[[], None]]) -> Fault:
    """The store is restored from a backup while its topics go on: refused, until a new generation is begun.

    `backup` makes one, and answers with what puts it back.
    """

    def restore(stage: Stage, lot: Lot) -> str:
        process = stage.whole()
        stage.publish(lot)
        _sleep_a_while(stage)
        process.kill()
        before, complete = stage.taken(lot), stage.all_is_taken(lot)
        put_back = backup(stage)
        process = _ready(stage.start())
        until(lambda: process.is_ready() and stage.all_is_taken(lot), PATIENCE)
        if complete:  # or nothing would come after the backup
            stage.make_due(lot)
            until(lambda: process.is_ready() and stage.at_rest(lot), PATIENCE)
        _sleep_a_while(stage)
        process.kill()
        stage.kills += 2
        put_back()
        until(lambda: stage.books.end() > 0, PATIENCE)
        origin, end = stage.origin(), stage.books.end()
        contradicted = any(
            each.origin == origin and each.size > end for found in stage.published().values() for each in found
        )
        refused = stage.start()
        until(lambda: not refused.alive or "\nready\n" in "\n" + refused.said, PATIENCE)
        if refused.alive:
            stage.leave_to(refused)
            raise NotReached("nothing was ahead of the store")
        if refused.wait() != 1 or "makegood restored" not in refused.said:
            raise NotRecovered(f"it does not say what to do:\n{refused.said}")
        going_on = stage.start(command=("restored", "--reason", "a fault was played"))
        if going_on.wait() != 0:
            raise NotRecovered(f"it does not go on:\n{going_on.said}")
        process = stage.whole()
        if contradicted:
            until(lambda: process.is_ready() and NOTHING_SIGNED in process.said, PATIENCE)
            stage.ended[origin] = end
            beginning = stage.start(command=(*NEW_ORIGIN, "--as", "test", "--reason", "a fault was played"))
            if beginning.wait() != 0:
                raise NotRecovered(f"no new log begins:\n{beginning.said}")
        log = "another log begun" if contradicted else "the same log gone on with"
        return f"{before} of {len(lot.messages)} taken when backed up, {log}"

    return restore


NEW_ORIGIN = ("audit", "origin", "new")
NOTHING_SIGNED = "checkpoints_refused"
RESIDENT_GROWTH_MOST = 200 * 1024 * 1024
"""Bytes that a process may grow by while messages pile up: the client fetches 16 MB ahead, and accounts stay warm."""


def flood(messages: int) -> Fault:
    """Far more messages than intake takes in the time: they lie in Kafka, not in memory."""

    def pour(stage: Stage, lot: Lot) -> str:
        process = stage.whole()
        before = most = process.resident
        flooding = threading.Thread(target=_publish_many, args=(stage, messages))
        began = time.monotonic()
        flooding.start()
        while flooding.is_alive():
            most = max(most, process.resident)
            time.sleep(0.05)
        poured = time.monotonic() - began
        behind = messages - stage.books.count("inbox")
        there = sum(stage.place.cluster.bounds(Partition(stage.place.upstream.name, n))[1] for n in range(PARTITIONS))
        if there < messages:
            raise NotReached(f"only {there} of {messages} messages are in Kafka")
        until(lambda: process.is_ready() and stage.books.count("inbox") > 0, PATIENCE)
        while stage.books.count("inbox") < messages // 10:
            most = max(most, process.resident)
            time.sleep(0.05)
        if behind <= messages // 2:
            raise NotReached(f"only {behind} of {messages} messages were behind when all were published")
        if most - before > RESIDENT_GROWTH_MOST:
            raise NotRecovered(f"it grew from {before >> 20} to {most >> 20} MiB with {behind} messages behind")
        return f"{messages} in {poured:.0f} s, {behind} behind, {before >> 20} to {most >> 20} MiB"

    return pour


def _publish_many(stage: Stage, messages: int) -> None:
    producer = Producer({"bootstrap.servers": stage.place.cluster.bootstrap, "log_level": 0, "linger.ms": 50})
    for number in range(messages):
        event = account_registered(f"flood-{number}")
        while True:
            try:
                producer.produce(stage.place.upstream.name, json.dumps(event), event["subject"])
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(120)


def _ready(process: Process) -> Process:
    until(process.is_ready, PATIENCE)
    return process


def _sleep_a_while(stage: Stage, share: float = 1.0) -> None:
    # Squared, because most of the work is done soon.
    time.sleep(share * stage.span * stage.dice.random() ** 2)


def _of(taken: list[int], lot: Lot) -> str:
    return f"{', '.join(map(str, taken))} of {len(lot.messages)}"


def _tell(pages: Path, limits: dict[str, int]) -> None:
    """Write the limits whole: makegood reads them at every transaction."""
    written = pages.with_suffix(".new")
    written.write_text(json.dumps(limits))
    written.replace(pages)
