"""The status: the lag of each part, and the open work for people.

What was found is kept once, in a `Status`; the answer, the metrics and the table on a terminal are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from consumers.lag import Lag, notices_lags, projector_lags
from ledger.store.database import StoreError, Transaction, redacted
from ledger.store.instants import to_microseconds
from ledger.store.positions import FIRST_SHARD, Reached
from ledger.store.reading.approved_refunds import approved_left
from ledger.store.reading.asked_returns import returns_unasked
from ledger.store.reading.audit import is_signed
from ledger.store.reading.generations import AheadOfLedger
from ledger.store.reading.heads import due_by
from ledger.store.reading.kept_messages import kept_left
from ledger.store.reading.left_for_people import Left
from ledger.store.reading.lost import LostMessages, lost_left, lost_ranges
from ledger.store.reading.notice_queue import notices_left, unsent
from ledger.store.reading.shards import shard_ends
from ledger.store.reading.store import clock_in, clock_is_set, is_sandbox
from ledger.store.reading.waiting import waiting_left
from ledger.values import instant_to_text
from makegood.answers import metrics
from makegood.answers.ages import age
from makegood.answers.metrics import Metric, Sample
from makegood.house.clock import system_clock
from makegood.house.opening import House, check_vault, open_house
from makegood.house.settings import Settings
from makegood.house.shard_map import look_at_each, settings_of, shard_asked
from projections.ahead import projections_ahead
from projections.alarms import alarms_left
from projections.catalog import CATALOG
from projections.goodwill import goodwill_left
from projections.instructions import instructions_left
from projections.refunds import unanswered_left
from projections.shown_values import Instant

if TYPE_CHECKING:
    from consumers.kafka.cluster import Cluster
    from makegood.answers.audit.signing import Signing

BROKER_PATIENCE = 2.0
"""Seconds that each question to Kafka may take: whoever asks for the status wants an answer, not a broker."""

WELL, BROKEN, LATE = 0, 1, 2
"""How everything stands; also the exit codes of `makegood status` (contract §3)."""
Word = Literal["well", "broken", "late"]
WORDS: Mapping[int, Word] = {WELL: "well", BROKEN: "broken", LATE: "late"}


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that is left for people: how much of it there is, its metrics, and the command that shows it."""

    name: str
    left: Callable[[Transaction], Left]
    count: Metric
    age: Metric
    command: str


def _refused(transaction: Transaction) -> Left:
    return kept_left(transaction, "dead-letter")


def _set_aside(transaction: Transaction) -> Left:
    return kept_left(transaction, "set-aside")


KINDS = (
    Kind(
        "dead letters",
        _refused,
        metrics.DEAD_LETTERS,
        metrics.DEAD_LETTERS_AGE,
        "makegood dead-letters list",
    ),
    Kind(
        "set aside",
        _set_aside,
        metrics.SET_ASIDE,
        metrics.SET_ASIDE_AGE,
        "makegood aside list",
    ),
    Kind("lost ranges", lost_left, metrics.LOST_RANGES, metrics.LOST_RANGES_AGE, "makegood lost list"),
    Kind("waiting", waiting_left, metrics.WAITING, metrics.WAITING_AGE, "makegood waiting"),
    Kind("e-mails", notices_left, metrics.UNDELIVERED, metrics.UNDELIVERED_AGE, "makegood notices"),
    Kind("alarms", alarms_left, metrics.ALARMS, metrics.ALARMS_AGE, "makegood alarms"),
    Kind(
        "instructions",
        instructions_left,
        metrics.INSTRUCTIONS,
        metrics.INSTRUCTIONS_AGE,
        "makegood instructions --open",
    ),
    Kind(
        "approved refunds",
        approved_left,
        metrics.APPROVED_REFUNDS,
        metrics.APPROVED_REFUNDS_AGE,
        "makegood refunds --status approved",
    ),
    Kind(
        "unanswered refunds",
        unanswered_left,
        metrics.SUBMITTED_REFUNDS,
        metrics.SUBMITTED_REFUNDS_AGE,
        "makegood refunds --status submitted",
    ),
    Kind("goodwill", goodwill_left, metrics.GOODWILL, metrics.GOODWILL_AGE, "makegood goodwill"),
)

_OF_A_PART = {
    "intake": (metrics.INTAKE_OFFSET, metrics.INTAKE_LAG_MESSAGES, metrics.INTAKE_LAG_SECONDS),
    "relay": (metrics.RELAY_POSITION, metrics.RELAY_LAG_RECORDS, metrics.RELAY_LAG_SECONDS),
    "payouts": (metrics.PAYOUTS_POSITION, metrics.PAYOUTS_LAG_EVENTS, metrics.PAYOUTS_LAG_SECONDS),
    "notices": (metrics.NOTICES_POSITION, metrics.NOTICES_LAG_EVENTS, metrics.NOTICES_LAG_SECONDS),
    "checkpoints": (metrics.TREE_POSITION, metrics.TREE_LAG_EVENTS, metrics.TREE_LAG_SECONDS),
    "projector": (metrics.PROJECTION_POSITION, metrics.PROJECTION_LAG_EVENTS, metrics.PROJECTION_LAG_SECONDS),
}


@dataclass(slots=True)
class Status:
    """What was found; what could not be read is missing, and a problem says why."""

    store: str
    broker: str
    max_age: int
    problems: list[str] = field(default_factory=list)
    store_reachable: bool = False
    broker_reachable: bool | None = None
    sandbox: bool | None = None
    clock: datetime | None = None
    """Where a sandbox's clock stands, if it was set."""
    now: datetime | None = None
    system_now: datetime = field(default_factory=system_clock)
    events: Reached = field(default_factory=lambda: Reached({}))
    lags: list[Lag] = field(default_factory=list)
    due: Left | None = None
    unsent: Left | None = None
    """Where a mail server is set: without one e-mails wait, and nothing is late."""
    unasked: Left | None = None
    """Where a key for Stripe is set: the returns that it has not taken yet."""
    left: Mapping[str, Left] = field(default_factory=dict)
    signing: list[Signing] = field(default_factory=list)
    """Where anything is signed, or was."""

    def age_of(self, lag: Lag) -> int | None:
        """Seconds that the oldest has waited for its part; None where nothing tells."""
        # Kafka's records bear the world's time, whatever a sandbox's clock says.
        now = self.system_now if lag.part == "intake" else self.now
        return seconds_since(now, lag.oldest_at) if lag.behind else 0

    def overdue(self) -> int:
        """Seconds that the first of the accounts that are due has been so."""
        return seconds_since(self.now, self.due.since) or 0 if self.due is not None else 0

    def unsent_for(self) -> int:
        """Seconds that the oldest e-mail has waited. The queue goes by the world's time, whatever a sandbox says."""
        return seconds_since(self.system_now, self.unsent.since) or 0 if self.unsent is not None else 0

    def unasked_for(self) -> int:
        """Seconds that the oldest return has waited for Stripe, by the world's time like e-mails."""
        return seconds_since(self.system_now, self.unasked.since) or 0 if self.unasked is not None else 0

    def late(self) -> list[str]:
        """The parts whose oldest work has waited for longer than allowed."""
        waited = [
            (f"{lag.part} is behind on {lag.of}, {number_of(lag)}", self.age_of(lag) or 0) for lag in self.lags
        ] + [
            ("timers are behind on accounts that fell due", self.overdue()),
            ("e-mails to customers are delayed", self.unsent_for()),
            ("returns of refunds wait for Stripe", self.unasked_for()),
        ]
        return [f"{what}: the oldest is {age(seconds)} old" for what, seconds in waited if seconds > self.max_age]

    def code(self) -> int:
        """The exit code: well, something broken, or something late."""
        if self.problems:
            return BROKEN
        return LATE if self.late() else WELL

    def next_command(self) -> str | None:
        """The first command to run on an empty store."""
        if self.store_reachable and not any(self.events.values()):
            return "makegood agreement publish FILE"
        return None


def look(settings: Settings, max_age: int | None = None) -> Status:
    """The status. Unreachable parts are reported in it, not raised."""
    status = _unknown(settings, max_age)
    try:
        with open_house(settings, restored=True) as house:
            _look_around(house, status)
    except StoreError as error:
        status.problems.append(str(error))
    return status


def look_at_shards(settings: Settings, max_age: int | None = None) -> dict[int, Status]:
    """The status of each shard, or of the one that MAKEGOOD_SHARD names. Raises Stop where that is not there."""
    try:
        with open_house(settings, restored=True) as first:
            shards = range(first.shards) if not settings.shard else [shard_asked(first)]
    except StoreError:
        shards = [int(settings.shard or FIRST_SHARD)]
    found = look_at_each(lambda shard: look(settings_of(settings, shard), max_age), shards)
    return dict(zip(shards, found, strict=True))


def look_around(house: House, max_age: int | None = None) -> Status:
    """How everything stands, seen from a house that is open: all shards together, where all are asked."""

    def look_into(each: House) -> Status:
        status = _unknown(each.settings, max_age)
        try:
            _look_around(each, status)
        except StoreError as error:
            status.problems.append(str(error))
        return status

    return together(look_at_each(look_into, house.every))


def together(found: Sequence[Status]) -> Status:
    """How some shards stand, in their order. Of a partition that all of them read that one counts which is behind the
    most."""
    first, *others = found
    if not others:
        return first
    lags: dict[tuple[str, str, int], Lag] = {}
    for lag in (lag for each in found for lag in each.lags):
        key = (lag.part, lag.of, lag.number)
        if key not in lags or lag.behind > lags[key].behind:
            lags[key] = lag
    status = replace(
        first,
        problems=[f"shard {shard}: {problem}" for shard, each in enumerate(found) for problem in each.problems],
        store_reachable=all(each.store_reachable for each in found),
        events=Reached.of_shards(each.events for each in found),
        lags=list(lags.values()),
        signing=[signing for each in found for signing in each.signing],
    )
    for each in others:
        status.due = _added(status.due, each.due)
        status.unsent = _added(status.unsent, each.unsent)
        status.unasked = _added(status.unasked, each.unasked)
    names = dict.fromkeys(name for each in found for name in each.left)
    status.left = {name: reduce(add, (each.left[name] for each in found if name in each.left)) for name in names}
    return status


def _added(one: Left | None, other: Left | None) -> Left | None:
    return one + other if one is not None and other is not None else one or other


def _unknown(settings: Settings, max_age: int | None) -> Status:
    return Status(redacted(settings.store), settings.kafka, settings.max_age if max_age is None else max_age)


def _look_around(house: House, status: Status) -> None:
    _look_into_store(house, status)
    _look_into_vault(house, status)
    if status.broker:
        _look_into_broker(house, status)
    status.problems = list(dict.fromkeys(status.problems))  # a damaged tree is met wherever checkpoints are


def _look_into_store(house: House, status: Status) -> None:
    with house.database.reading() as transaction:
        status.sandbox = is_sandbox(transaction)
        status.now = clock_in(transaction, system_clock)()
        if status.sandbox and clock_is_set(transaction):
            status.clock = status.now
        status.events = shard_ends(transaction)
        status.store_reachable = True
        status.lags += projector_lags(transaction, CATALOG)
        status.due = due_by(transaction, status.now)
        if house.settings.smtp:
            status.lags += notices_lags(transaction)
            status.unsent = unsent(transaction)
        if _asks_stripe(house):
            # Only here: without somebody who pays none of this is loaded.
            from consumers.topic_lag import payouts_lags

            status.lags += payouts_lags(transaction, "stripe")
            status.unasked = returns_unasked(transaction)
        status.left = {kind.name: kind.left(transaction) for kind in KINDS}
        if is_signed(transaction) or house.settings.audit_folder or Path(house.settings.audit_key).exists():
            _look_at_checkpoints(house, transaction, status)
        status.problems += [_lost_in_words(lost) for lost in lost_ranges(transaction, closed=False)]
        status.problems += _ahead_in_words(house, projections_ahead(transaction))


def _look_at_checkpoints(house: House, transaction: Transaction, status: Status) -> None:
    # Only here: where nothing is signed none of this is loaded.
    from makegood.answers.audit.signing import signing_of

    status.signing, problems = signing_of(transaction, house.settings)
    status.problems += problems
    status.lags += [signing.tree for signing in status.signing if signing.keys]


def _asks_stripe(house: House) -> bool:
    """Whether Stripe is asked for refunds, and the topic of requests gets none."""
    return bool(house.settings.stripe_key.get_secret_value())


def _ahead_in_words(house: House, found: Sequence[object]) -> list[str]:
    """What is ahead of a ledger that was restored, with what to do."""
    return [str(AheadOfLedger.of(found, house.shard_of_several))] if found else []


def _look_into_vault(house: House, status: Status) -> None:
    try:
        check_vault(house)
    except StoreError as error:
        status.problems.append(str(error))


def _lost_in_words(lost: LostMessages) -> str:
    of = lost.range
    why = "were deleted by Kafka before they were read" if of.cause == "deleted" else "are damaged"
    return (
        f"messages of {of.topic}/{of.partition}, offsets {of.first} to {of.last}, {why}: republish them, "
        f"then `makegood lost close {lost.position} --reason …`"
    )


def _look_into_broker(house: House, status: Status) -> None:
    # Only here: without a broker none of this is loaded.
    from consumers.ahead import ahead_of_ledger
    from consumers.kafka.records import BrokerError, BrokerUnavailable, TopicMissing
    from consumers.kafka.security import WrongSecurity
    from consumers.restored import carried_by
    from consumers.topic_lag import carrier_lags, strangers
    from makegood.house.broker import cluster_for, topic_names

    status.broker_reachable = True
    try:
        cluster = cluster_for(house, patience=BROKER_PATIENCE)
        carried = carrier_lags(house.database, cluster, topic_names())
        foreign = strangers(cluster)
        ahead = ahead_of_ledger(house.database, cluster, carried_by(topic_names()))
        contradicting = _contradicting_topic(house, cluster, status)
    except WrongSecurity as error:
        status.broker_reachable = None
        status.problems.append(str(error))
        return
    except BrokerError as error:
        status.broker_reachable = not isinstance(error, BrokerUnavailable) or isinstance(error, TopicMissing)
        status.problems.append(str(error))
        if not status.broker_reachable:
            status.problems.append(
                "until Kafka answers, it is not known how far intake, relay and payouts are behind, and whether the "
                "topics are ahead of the ledger, as after it was restored from a backup"
            )
        return
    if _asks_stripe(house):
        carried = [lag for lag in carried if lag.part != "payouts"]
    status.lags = carried + status.lags
    status.problems += _ahead_in_words(house, ahead)
    status.problems += contradicting
    status.problems += [
        f"Kafka deleted {lag.lost} messages of {lag.of}/{lag.number} before intake took them: "
        "publish them again, and give the topic a longer retention"
        for lag in carried
        if lag.lost
    ] + [
        f"the consumer group of {part} has members that do not work for this store ({', '.join(found)}), and takes "
        "only a part of the messages: give each installation a MAKEGOOD_KAFKA_GROUP of its own"
        for part, found in foreign.items()
    ]


def _contradicting_topic(house: House, cluster: Cluster, status: Status) -> list[str]:
    """What the topic of checkpoints has and the trees contradict. Raises BrokerError."""
    if not status.signing:
        return []
    from consumers.checkpoints.topic import CheckpointTopic
    from makegood.answers.audit.signing import contradicting_places
    from makegood.house.broker import topic_names

    topic = CheckpointTopic(cluster, topic_names().checkpoints)
    with house.database.reading() as transaction:
        return [
            problem
            for signing in status.signing
            for problem in contradicting_places(transaction, signing.shard, signing.origin, [topic])
        ]


def seconds_since(now: datetime | None, since: datetime | None) -> int | None:
    """How long ago something was, never less than 0; None where one of the two is not known."""
    return max(0, int((now - since).total_seconds())) if now is not None and since is not None else None


def samples(status: Status) -> Iterator[Sample]:
    """The numbers of a status, each by its metric."""

    def one(metric: Metric, value: int | None, **labels: str) -> Iterator[Sample]:
        if value is not None:
            yield Sample(metric, int(value), labels)

    yield from one(metrics.STATUS, status.code())
    yield from one(metrics.STORE_REACHABLE, status.store_reachable)
    if status.now is not None:
        yield from one(metrics.STORE_CLOCK, to_microseconds(status.now) // 1_000_000)
    for shard, end in status.events.items():
        yield from one(metrics.STORE_EVENTS, end, shard=str(shard))
    yield from one(metrics.BROKER_REACHABLE, status.broker_reachable)
    for lag in status.lags:
        for metric, value in zip(_OF_A_PART[lag.part], (lag.position, lag.behind, status.age_of(lag)), strict=True):
            yield from one(metric, value, **dict(zip(metric.labels, (lag.of, str(lag.number)), strict=True)))
        if lag.part == "intake":
            yield from one(metrics.INTAKE_LOST_MESSAGES, lag.lost, topic=lag.of, partition=str(lag.number))
    if status.due is not None:
        yield from one(metrics.TIMERS_LAG_ACCOUNTS, status.due.count)
        yield from one(metrics.TIMERS_LAG_SECONDS, status.overdue())
    if status.unsent is not None:
        yield from one(metrics.UNSENT, status.unsent.count)
        yield from one(metrics.UNSENT_AGE, status.unsent_for())
    if status.unasked is not None:
        yield from one(metrics.UNASKED, status.unasked.count)
        yield from one(metrics.UNASKED_AGE, status.unasked_for())
    for signing in status.signing:
        if (last := signing.last) is not None:
            of = str(signing.shard)
            yield from one(metrics.CHECKPOINT_EVENTS, last.size, shard=of)
            yield from one(metrics.CHECKPOINT_AGE, seconds_since(status.system_now, last.signed_at), shard=of)
            yield from one(metrics.CHECKPOINT_WITNESSES, len(signing.cosigned_by), shard=of)
    for kind in KINDS:
        if (left := status.left.get(kind.name)) is not None:
            yield from one(kind.count, left.count)
            yield from one(kind.age, seconds_since(status.now, left.since) if left.count else 0)


class StoreStands(TypedDict):
    """The status of the store."""

    address: Annotated[str, Field(description="Without its password.")]
    reachable: bool
    sandbox: bool | None
    clock: Instant | None


class BrokerStands(TypedDict):
    """The status of the broker."""

    address: str | None
    reachable: bool | None


class CheckpointStands(TypedDict):
    """The last checkpoint of a shard's log."""

    shard: int
    origin: Annotated[str, Field(description="The log's name.")]
    size: Annotated[int, Field(description="The events that it covers: all up to this position; 0 without one.")]
    uncovered: Annotated[int, Field(description="The events recorded since.")]
    signed_at: Instant | None
    cosigned_by: Annotated[list[str], Field(description="The witnesses that cosigned it, by their keys' names.")]
    trusted: Annotated[
        bool | None, Field(description="The verdict of the trust policy on its signatures; null without a policy.")
    ]


class StatusFound(TypedDict):
    """The status of Makegood."""

    status: Word
    problems: list[str]
    late: list[str]
    max_age_seconds: int
    next: str | None
    store: StoreStands
    broker: BrokerStands
    checkpoints: Annotated[list[CheckpointStands], Field(description="Empty where nothing is signed.")]
    metrics: dict[str, list[dict[str, str | int]]]


def answer(status: Status) -> StatusFound:
    """The answer for programs; all its numbers are those of the metrics."""
    numbers: dict[str, list[dict[str, str | int]]] = {}
    for sample in samples(status):
        numbers.setdefault(sample.metric.name, []).append({**sample.labels, "value": sample.value})
    return {
        "status": WORDS[status.code()],
        "problems": status.problems,
        "late": status.late(),
        "max_age_seconds": status.max_age,
        "next": status.next_command(),
        "store": {
            "address": status.store,
            "reachable": status.store_reachable,
            "sandbox": status.sandbox,
            "clock": instant_to_text(status.clock) if status.clock is not None else None,
        },
        "broker": {"address": status.broker or None, "reachable": status.broker_reachable},
        "checkpoints": [_checkpoint(signing) for signing in status.signing],
        "metrics": numbers,
    }


def _checkpoint(signing: Signing) -> CheckpointStands:
    last = signing.last
    return {
        "shard": signing.shard,
        "origin": signing.origin,
        "size": last.size if last is not None else 0,
        "uncovered": signing.uncovered,
        "signed_at": instant_to_text(last.signed_at) if last is not None else None,
        "cosigned_by": list(signing.cosigned_by),
        "trusted": signing.trusted,
    }


def number_of(lag: Lag) -> str:
    """By which number a part counts what it works on."""
    of_a_topic = lag.part in ("intake", "relay")
    return f"partition {lag.number}" if of_a_topic else f"shard {lag.number}"
