"""One world for a schedule: a store's shards, a broker, the clocks, and the processes in which parts work, end and
begin."""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog

from consumers.checkpoints.comparing import PlaceUnusable
from consumers.checkpoints.part import Checkpoints
from consumers.checkpoints.signing import Rhythm
from consumers.intake import Intake
from consumers.kafka.partitions import RecordFails
from consumers.kafka.records import BrokerUnavailable, Outgoing, Partition, TopicIdentity
from consumers.kafka.topics import DEAD_LETTERS, EVENTS, INSTRUCTIONS, Topic, topics_of
from consumers.part import BackOff
from consumers.projector import KafkaSource, Source, StoreSource
from consumers.relay import DeadLetterLane, EventLane, InstructionLane, Relay, relayed_to
from consumers.replaying import replay
from consumers.taking import stored_positions
from consumers.timers import Timers
from ledger.application.agreements import publish_everywhere
from ledger.application.kept_messages import Closing, Kept
from ledger.application.ledger import Ledger
from ledger.audit import Note, SignatureType, SigningKey
from ledger.store.database import Conflict, Unavailable
from ledger.store.instants import to_microseconds
from ledger.store.positions import dead_letter_sequence, event_sequence, shard_of
from ledger.store.reading.audit import tree_size
from ledger.store.reading.shards import shard_end
from ledger.vault import Damaged, InStore, Key, Vault, customer_subject
from projections.follower import Follower
from tests.ledger.books import Books, KeysByName, Killed, no_randomness, oracle_agreements
from tests.ledger.kept import set_aside
from tests.schedules.broker import Broker, ClusterSeen
from tests.schedules.store import Readers, StoreSeen
from tests.schedules.story import Story
from tests.schedules.upstream import Upstream, history

END = datetime(2035, 1, 1, tzinfo=UTC)
"""When everything has happened and fallen due."""
OFTEN = Rhythm(events=4, after=timedelta(days=20))
"""When checkpoints are signed."""
PARTS = ("intake", "relay", "projector", "timers")
OF_ALL_SHARDS = ("intake", "projector", "publish")
WRITERS = ("intake", "timers", "publish")
"""Those that decide about accounts."""
EVERYTHING = (*PARTS, "publish")
LATE_AGREEMENT = 'name = "unheard-of"\nversion = 1\nvalid_from = 2000-01-01\n'
"""The histories name it; it is published in the midst of things."""
ROUNDS_TO_REST = 60
DIVIDED_FROM = 100_000
"""From this seed on, the store has several shards."""

FATES = {
    "reading": ["unavailable"],
    "writing": ["unavailable", "conflict"],
    "statement": ["unavailable", "conflict"],
    "commit": ["conflict", "answer lost", "undone"],
    "committed": [],
    "poll": ["unreachable"],
    "seek": ["unreachable"],
    "identity": ["unreachable"],
    "probe": ["unreachable"],
    "send": ["nothing", "in part", "answer lost", "late"],
    "sent": [],
}
"""What may happen at a point on a process's way, besides that it is interrupted there or ends."""
WEIGHED = {"statement": 0.1, "writing": 2, "commit": 3}
"""Points that are many count for less, those where most is at stake for more."""
INTERRUPTED_AT = {"reading", "writing", "committed", "poll", "identity", "probe", "send", "sent"}
"""Where no transaction of the process is under way, so that others can go on."""

log = structlog.get_logger("schedule")


@dataclass
class AtWork:
    """A part as its process drives it: the loop of its `run`, one turn at a time."""

    name: str
    step: Callable[[], int]
    close: Callable[[], None] = lambda: None
    recover: Callable[[], None] = lambda: None
    passing: tuple[type[Exception], ...] = (Unavailable, BrokerUnavailable, Conflict)
    """What `run` waits out; an intake does so inside and lets nothing out."""
    back_off: BackOff = field(default_factory=BackOff)
    not_before: float = 0.0
    busy: bool = False


class KeysThatFail(KeysByName):
    """Keys of which those of some customers are out of reach: what is said about them fails, and goes on failing."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: set[str] = set()

    def of(self, subjects: Any, in_store: InStore) -> dict[str, Key]:
        if self.failing & set(subjects):
            raise Damaged("a key is damaged")
        return super().of(subjects, in_store)

    def existing(self, subject: str) -> Key | None:
        return super().existing(subject) if subject not in self.failing else None


def seeded_key(origin: str) -> list[SigningKey]:
    return [SigningKey(origin, SignatureType.ED25519, bytes(32))]


class Published:
    """A place for checkpoints, which fails now and then."""

    name = "the place"

    def __init__(self, fails: Callable[[], bool]) -> None:
        self._fails = fails
        self.notes: list[Note] = []

    def last(self, origin: str) -> Note | None:
        self._may_fail()
        return self.notes[-1] if self.notes else None

    def publish(self, note: Note) -> None:
        self._may_fail()
        self.notes.append(note)

    def close(self) -> None:
        pass

    def _may_fail(self) -> None:
        if self._fails():
            raise PlaceUnusable("the place is full")


class Process:
    """A process with its parts. What it knows is lost when it ends; another life begins with what is stored."""

    def __init__(self, world: World, name: str, parts: Sequence[str]) -> None:
        self.world = world
        self.name = name
        self._names = parts
        self._life = 0
        self.parts: list[AtWork] = []
        self.frozen = False

    @property
    def alive(self) -> bool:
        return bool(self.parts)

    @property
    def busy(self) -> bool:
        return any(part.busy for part in self.parts)

    def start(self) -> None:
        self._life += 1
        life, world = self._life, self.world

        def lives() -> bool:
            return self._life == life and not self.frozen

        def fate(point: str) -> str | None:
            return world.fate(self, point, lambda: self._life == life)

        cluster = ClusterSeen(world.broker, f"{self.name}.{life}", fate, lives, world.share, world.batch)
        ledgers = [
            Ledger(
                StoreSeen(each.database, self.name, fate, each.readers), Vault(each.keys, no_randomness), world.wall
            )
            for each in world.shards
        ]
        self.parts = [part for name in self._names for part in self._working(name, cluster, ledgers)]
        self.world.tells("starts", who=self.name, parts=list(self._names))

    def _working(self, name: str, cluster: ClusterSeen, ledgers: Sequence[Ledger]) -> list[AtWork]:
        """A part: one for all shards, or one for each; of the shards the first is signed."""
        if name in OF_ALL_SHARDS:
            return [self._of_all_shards(name, cluster, ledgers)]
        theirs = ledgers[:1] if name == "checkpoints" else ledgers
        return [self._of_a_shard(name, cluster, each) for each in theirs]

    def _of_all_shards(self, name: str, cluster: ClusterSeen, ledgers: Sequence[Ledger]) -> AtWork:
        world = self.world
        if name == "intake":
            first, *others = ledgers
            how = {"topic": world.upstream_topic, "batch": world.batch, "monotonic": world.monotonic}
            intake = Intake(first, cluster, others=others, beside=lambda look: look(), **how)
            return AtWork(name, _opened(intake.open, lambda: intake.step(0)), intake.close, passing=())
        if name == "projector":
            source: Source = StoreSource()
            if world.through_kafka:
                source = KafkaSource(cluster, batch=world.batch, monotonic=world.monotonic)
            followers = [Follower(each.database) for each in ledgers]
            return AtWork(
                name, _opened(lambda: source.open(followers, lambda: False), lambda: source.feed(0)), source.close
            )

        def decide() -> int:
            if not world.resting and world.rng.random() < 0.8:
                return 0  # not yet
            return publish_everywhere(ledgers, LATE_AGREEMENT, actor="/makegood/test", channel="command line").new

        return AtWork(name, decide)

    def _of_a_shard(self, name: str, cluster: ClusterSeen, ledger: Ledger) -> AtWork:
        world, store = self.world, ledger.database
        if name == "relay":
            relay = Relay(store, cluster, batch=2 * world.batch, stands_by=world.stands_by, monotonic=world.monotonic)
            return AtWork(name, relay.step, relay.forget, relay.forget)
        if name == "checkpoints":
            how = {"rhythm": OFTEN, "grows_every": 0.0, "looks_every": 0.0, "stands_by": world.stands_by}
            signer = Checkpoints(
                store, seeded_key, clock=world.wall, places=[world.published], monotonic=world.monotonic, **how
            )
            return AtWork(name, signer.step, signer.forget, signer.forget, passing=Checkpoints.passing)
        return AtWork(name, Timers(ledger, monotonic=world.monotonic).step)

    def turn(self, part: AtWork) -> int:
        """One turn of a part, whatever becomes of it; how much it did."""
        done = 0
        part.busy = True
        with self.world.story.acting(f"{self.name} {part.name}"):
            try:
                done = part.step()
            except Killed:
                self.end("is killed")
            except RecordFails as error:
                log.info("gives up", reason=str(error))
                self.end("ends by an error")
            except part.passing as error:
                part.not_before = self.world.monotonic() + part.back_off.next()
                part.recover()
                log.info("waits", reason=f"{type(error).__name__}: {error}")
            else:
                part.back_off.reset()
            finally:
                part.busy = False
        return done

    def end(self, how: str) -> None:
        if self.parts:
            self._life += 1
            self.parts = []
            self.frozen = False
            self.world.tells(how, who=self.name)

    def stop(self) -> None:
        with self.world.story.acting(self.name):
            for part in self.parts:
                part.close()
        self.end("stops in good order")


def _opened(open_: Callable[[], object], step: Callable[[], int]) -> Callable[[], int]:
    """A step that opens first."""
    left = [open_]

    def opened() -> int:
        if left:
            left.pop()()
        return step()

    return opened


class Shard:
    """One of a store's shards: its books, and keys of its own."""

    def __init__(self, number: int, shards: int, broker: Broker) -> None:
        self.number = number
        self.keys = KeysThatFail()
        self.books = Books.open(
            agreements=oracle_agreements(),
            keys=KeysByName(),
            randomness=no_randomness,
            shards=shards,
            shard=number,
        )
        self.database = self.books.database.real
        Follower(self.database).create()
        self.readers = Readers(self.database, broker.is_gone)


class World:
    """Everything that a seed draws, and the laws of what may happen next."""

    def __init__(self, seed: int, story: Story) -> None:
        self.rng = rng = random.Random(f"schedule {seed}")
        self.story = story
        story.seconds = self.monotonic
        self.resting = False
        self._seconds = 1_000.0
        self._wall = datetime(2011, 6, 1, tzinfo=UTC)
        self.broker = Broker(self.monotonic)
        number = random.Random(f"shards {seed}").choice([2, 3]) if seed >= DIVIDED_FROM else 1
        self.shards = [Shard(n, number, self.broker) for n in range(number)]
        self.upstream_topic = Topic("provisioning.events", rng.choice([1, 2, 2, 3]))
        ours = topics_of(number, [EVENTS, INSTRUCTIONS, DEAD_LETTERS])
        self.topics = {topic.name: topic for topic in (self.upstream_topic, *ours)}
        for topic in self.topics.values():
            self.broker.create(topic)
        self.upstream = Upstream(rng, self.upstream_topic, at_least=2 * (number - 1))
        if random.Random(f"keys {seed}").random() < 0.3:
            account = f"acct-{self.upstream.accounts[0]}"
            self.shard_of(account).keys.failing = {customer_subject(account)}
        self.read_of_deleted: dict[str, dict[int, int]] = {}
        """How far topics were read, by their identity, when they were deleted."""
        self.batch = rng.choice([1, 2, 3, 8])
        self.through_kafka = rng.random() < 0.8
        self.foreign = rng.random() < 0.3
        self.stands_by = rng.choice([0.5, 10.0])
        # Not everything goes wrong in every world: faults that are always there hide what only a few of them show.
        self.rates = {
            fate: rng.choice([0.0, 0.005, 0.02, 0.05])
            for fate in ("interrupted", "killed", *sorted({fate for fates in FATES.values() for fate in fates}))
        }
        self.storms = rng.random() < 0.2
        self._storm = 0
        self.processes = [Process(self, "p1", PARTS)]
        for n in range(rng.choice([0, 1, 1, 2])):
            parts = [part for part in PARTS if part == "intake" or rng.random() < 0.5]
            self.processes.append(Process(self, f"p{n + 2}", parts))
        self.processes.append(Process(self, "operator", ["publish"]))
        # The tree follows the events, and nobody waits for it: what befalls it is drawn apart.
        self.apart = random.Random(f"checkpoints {seed}")
        self.published = Published(lambda: not self.resting and self.apart.random() < 0.1)
        self.signers = [Process(self, name, ["checkpoints"]) for name in ("s1", "s2")]
        self.happenings: list[tuple[int, Callable[[], object]]] = [
            (80, self._turn),
            (rng.choice([15, 40, 100]), self._publish),
            (10, lambda: self._pass(rng.uniform(0.02, 2.0))),
            (2, lambda: self._pass(rng.uniform(5.0, 15.0))),
            (3, self._days_pass),
            (4, self._start_or_thaw),
            (rng.choice([0, 1, 2]), lambda: self._on_idle(lambda process: process.end("is killed"))),
            (rng.choice([0, 1, 2]), lambda: self._on_idle(Process.stop)),
            (rng.choice([0, 1, 2]), self._freeze),
            (rng.choice([0, 1, 3]), self._delete_topic),
            (3, self._create_topics),
            (rng.choice([0, 1]), lambda: self._retention(self.upstream_topic.name)),
            (rng.choice([0, 1]), lambda: self._retention(EVENTS.name)),
            (2, self._land_late),
        ]

    def shard_of(self, account: str) -> Shard:
        """Where an account is."""
        return self.shards[shard_of(account, len(self.shards))]

    def close(self) -> None:
        """Nothing is asked of the world any more."""
        for shard in self.shards:
            shard.books.close()

    def read_of(self, identity: TopicIdentity) -> dict[int, int]:
        """How far each partition of upstream's was read by all shards."""
        stands = [stored_positions(shard.database, identity) for shard in self.shards]
        return {n: min(each.get(n, 0) for each in stands) for n in range(self.upstream_topic.partitions)}

    # --- clocks ----------------------------------------------------------------------------------------------

    def monotonic(self) -> float:
        return self._seconds

    def wall(self) -> datetime:
        return self._wall

    def share(self, most: int) -> int:
        """How much of something goes through this time."""
        return most if self.resting else self.rng.randint(0, most)

    def tells(self, what: str, who: str, **more: object) -> None:
        log.info(what, who=who, **more)

    # --- what happens to a process on its way --------------------------------------------------------------------

    def fate(self, process: Process, point: str, lives: Callable[[], bool]) -> str | None:
        """What happens to a process at a point on its way."""
        if not lives():
            raise Killed
        if self.resting:
            return None
        if process in self.signers:
            return self._fate_of_signer(process, point, lives)
        often = self.rates["interrupted"] * WEIGHED.get(point, 1)
        if point == "writing" and self.story.actor.endswith(WRITERS):
            often *= 6  # between a decision and its being written others can do most harm
        if point in INTERRUPTED_AT and self.story.depth < 3 and self.rng.random() < often:
            self._interrupt(process, point)
            if not lives():  # another part of it took the process with it
                raise Killed
        if self.rng.random() < self.rates["killed"] / 3:
            log.info("dies here", point=point)
            raise Killed
        if point == "writing" and self._storm:
            self._storm -= 1
            log.info("fault", point=point, fate="conflict", more_to_come=self._storm)
            return "conflict"
        for fate in FATES[point]:
            if self.rng.random() < self.rates[fate] * WEIGHED.get(point, 1):
                if fate == "conflict" and self.storms and point == "writing":
                    self._storm = 15
                log.info("fault", point=point, fate=fate)
                return fate
        return None

    def _fate_of_signer(self, process: Process, point: str, lives: Callable[[], bool]) -> str | None:
        """It is frozen while another goes on, dies, or is deprived of the store."""
        if point in INTERRUPTED_AT and self.story.depth < 3 and self.apart.random() < 0.1:
            process.frozen = True
            log.info("is frozen here", point=point)
            for _ in range(self.apart.randint(1, 10)):
                self._turn_of_signers()
            process.frozen = False
            if not lives():
                raise Killed
        if self.apart.random() < 0.02:
            log.info("dies here", point=point)
            raise Killed
        return next((fate for fate in FATES[point] if self.apart.random() < 0.03), None)

    def _turn_of_signers(self) -> None:
        able = [process for process in self.signers if not process.busy and not process.frozen]
        if not able:
            return
        process = self.apart.choice(able)
        state = random.getstate()  # how long it backs off changes nothing for the others
        random.seed(self.apart.random())
        try:
            if not process.alive:
                process.start()
            elif self.apart.random() < 0.03:
                process.end("is killed")
            elif process.parts[0].not_before <= self._seconds:
                process.turn(process.parts[0])
        finally:
            random.setstate(state)

    def _interrupt(self, process: Process, point: str) -> None:
        """Others go on while this one stands still; perhaps for so long that it is taken for dead."""
        frozen = self.rng.random() < 0.4
        log.info("is frozen here" if frozen else "is interrupted here", point=point)
        before, process.frozen = process.frozen, process.frozen or frozen
        if frozen:
            self._pass(self.rng.uniform(1, 15))
        happen = self.rng.choice([self.happen, lambda: self._turn(WRITERS)])
        for _ in range(self.rng.randint(2, 30 if frozen else 15)):
            happen()
        process.frozen = before
        log.info("goes on", point=point)

    # --- what happens in the world -------------------------------------------------------------------------------

    def happen(self) -> None:
        weights = [weight for weight, _ in self.happenings]
        [(_, happening)] = self.rng.choices(self.happenings, weights)
        happening()
        self._turn_of_signers()

    def _turn(self, names: Container[str] = EVERYTHING) -> None:
        able = [
            (process, part)
            for process in self.processes
            if not process.frozen
            for part in process.parts
            if part.name in names and not part.busy and part.not_before <= self._seconds
        ]
        if able:
            process, part = self.rng.choice(able)
            process.turn(part)
        self._pass(self.rng.uniform(0.0, 0.5))

    def _publish(self) -> None:
        if self.upstream_topic.name not in self.broker.topics:
            return
        records = [self.upstream.next() for _ in range(min(len(self.upstream.left), self.rng.randint(1, 8)))]
        places = [self.broker.append(record) for record in records]
        if places:
            log.info("publishes", who="upstream", records=[f"{r.partition.number}/{r.offset}" for r in places])
        if self.foreign and self.rng.random() < 0.1 and EVENTS.name in self.broker.topics:
            first = self.rng.randrange(40)
            for record in foreign_events()[first : first + 8]:
                self.broker.append(record)
            self.tells("publishes", who="another store", topic=EVENTS.name)

    def publish_everything(self) -> None:
        """Upstream has nothing more to say."""
        self._create_topics()
        while self.upstream.left:
            self._publish()

    def _pass(self, seconds: float) -> None:
        self._seconds += seconds
        self.broker.tick()

    def sleep(self, seconds: float) -> None:
        self._pass(seconds)

    def _days_pass(self) -> None:
        self._wall += timedelta(days=self.rng.randint(1, 90))
        self.tells("days pass", who="time", now=f"{self._wall:%Y-%m-%d}")

    def _start_or_thaw(self) -> None:
        for process in self.processes:
            if not process.alive:
                process.start()
            elif process.frozen and not process.busy and self.rng.random() < 0.3:
                process.frozen = False
                self.tells("thaws", who=process.name)

    def _on_idle(self, do: Callable[[Process], None]) -> None:
        idle = [process for process in self.processes if process.alive and not process.busy]
        if idle:
            do(self.rng.choice(idle))

    def _freeze(self) -> None:
        def freeze(process: Process) -> None:
            process.frozen = True
            self.tells("freezes", who=process.name)

        self._on_idle(freeze)

    def _delete_topic(self) -> None:
        name = self.rng.choice([self.upstream_topic.name, *sorted(self.topics)])
        if name not in self.broker.topics:
            return
        if name == self.upstream_topic.name:
            kept = self.broker.topics[name]
            read = self.read_of(kept.identity)
            self.read_of_deleted[str(kept.identity)] = read
            unread = [record for n, each in enumerate(kept.logs) for record in each.records[read.get(n, 0) :]]
            self.upstream.send_again(unread)
        self.broker.delete(name)
        if self.rng.random() < 0.8:
            self._create_topics()

    def _create_topics(self) -> None:
        for name, topic in self.topics.items():
            if name not in self.broker.topics:
                self.broker.create(topic)

    def _retention(self, name: str) -> None:
        """Take what was read of upstream's messages, or of the ledger's events whatever is there, read or not."""
        if name not in self.broker.topics:
            return
        kept = self.broker.topics[name]
        number = self.rng.randrange(len(kept.logs))
        gone = self.rng.choice([kept.logs[number].high, self.rng.randint(0, kept.logs[number].high)])
        if name == self.upstream_topic.name:
            gone = min(gone, self.read_of(kept.identity)[number])
        self.broker.cut(Partition(name, number), gone)

    def _land_late(self) -> None:
        if self.broker.late:
            self.broker.land(self.rng.randrange(len(self.broker.late)))

    # --- to rest -------------------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """No more faults: everything is published, everyone is there, and goes on until there is nothing to do."""
        self.resting = True
        self.tells("no more faults", who="schedule")
        self.publish_everything()
        while self.broker.late:
            self._land_late()
        self._wall = END
        for shard in self.shards:
            shard.keys.failing.clear()
        for process in self.processes:
            process.frozen = False
            if not process.alive:
                process.start()
        self._rest(lambda part: part.name != "projector", "events projected")
        self._replay_what_was_set_aside()
        self._rest(lambda part: part.name != "projector", "events projected")
        self._retention(EVENTS.name)
        self._rest(lambda part: True)
        self._have_the_tree_grow()

    def _have_the_tree_grow(self) -> None:
        for _ in range(ROUNDS_TO_REST):
            self._seconds += 20.0
            for process in self.signers:
                process.frozen = False
                if not process.alive:
                    process.start()
                process.turn(process.parts[0])
            with self.shards[0].database.reading() as transaction:
                size, end = tree_size(transaction, 0), shard_end(transaction, 0)
            if size == end:
                return
        raise AssertionError(f"the Merkle tree does not come to rest: it has {size} of {end} events")

    def _replay_what_was_set_aside(self) -> None:
        for shard in self.shards:
            ledger = Ledger(shard.database, Vault(shard.keys, no_randomness), self.wall)
            for row in set_aside(shard.database, closed=False):
                closing = Closing(Kept("set-aside", row.kept_id, row.origin), "/ops/test", "cli")
                self.tells("replays", who="operator", origin=row.origin, outcome=replay(ledger, closing).outcome)

    def _rest(self, able: Callable[[AtWork], bool], besides: str = "nothing") -> None:
        """Let parts go on until nothing is lacking, besides what others have to do."""
        for _ in range(ROUNDS_TO_REST):
            for process in self.processes:
                for part in filter(able, process.parts):
                    while part.not_before <= self._seconds and process.turn(part):
                        pass
            self._pass(2.0)
            lacking = [what for what in self._lacking() if not what.startswith(besides)]
            if not lacking:
                return
        raise AssertionError(f"it does not come to rest: {'; '.join(lacking)}")

    def _lacking(self) -> list[str]:
        """What is still to be done."""
        upstream = self.broker.topics[self.upstream_topic.name]
        found = []
        for shard in self.shards:
            read = stored_positions(shard.database, upstream.identity)
            found += [
                f"intake stands at {n}/{read.get(n, 0)} of {each.high}"
                for n, each in enumerate(upstream.logs)
                if read.get(n, 0) != each.high
            ]
            found += self._lacking_of(shard)
        return found

    def _lacking_of(self, shard: Shard) -> list[str]:
        identities = {name: kept.identity for name, kept in self.broker.topics.items()}
        lanes = {
            "letters": DeadLetterLane(DEAD_LETTERS.name, shard.number).reader(identities[DEAD_LETTERS.name]),
            "instructions": InstructionLane(INSTRUCTIONS.name, shard.number).reader(identities[INSTRUCTIONS.name]),
        }
        with shard.database.reading() as transaction:
            sequences = dict(transaction.rows("SELECT name, position FROM sequences"))
            due = transaction.rows("SELECT count(*) FROM heads WHERE due_at <= ?", (to_microseconds(END),))[0][0]
            positions = dict(transaction.rows("SELECT reader, position FROM readers"))
        events = event_sequence(shard.number)
        goal = {
            "events relayed": (relayed_to(shard.database, identities[EVENTS.name], shard.number), events),
            "events projected": (Follower(shard.database).position_reached(shard.number), events),
            "instructions relayed": (positions.get(lanes["instructions"], 0), events),
            "dead letters relayed": (positions.get(lanes["letters"], 0), dead_letter_sequence(shard.number)),
        }
        found = [f"{due} accounts are due"] if due else []
        return found + [
            f"{what} up to {at} of {sequences.get(name, 0)}"
            for what, (at, name) in goal.items()
            if at != sequences.get(name, 0)
        ]


@lru_cache(maxsize=1)
def foreign_events() -> list[Outgoing]:
    """What another store publishes on the topic of events, beyond the agreements that both have."""
    agreements = oracle_agreements()
    books = Books.open(agreements=agreements)
    for k in (90, 91):
        books.take(history(k))
    with books.database.reading() as transaction:
        return list(EventLane(EVENTS.name, 0).after(transaction, len(agreements), 60).records)
