"""Every number that Makegood tells about itself: its name, what it is labelled with, and what it says.

`makegood status` makes its numbers from this list; there are no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One number, or one for each set of labels. All are gauges: what they say may rise and fall."""

    name: str
    unit: str
    """What is counted or measured, and the end of the name; empty where the number is a state or a place."""
    labels: tuple[str, ...]
    says: str

    def __post_init__(self) -> None:
        if not self.name.startswith("makegood_") or (self.unit and not self.name.endswith(f"_{self.unit}")):
            raise TypeError(f"the name of metric {self.name} must begin with makegood_ and end with its unit")


STATUS = Metric("makegood_status", "", (), "0 while all is well, 1 if something is broken, 2 if something is late.")
STORE_REACHABLE = Metric("makegood_store_reachable", "", (), "1 where the store can be read, else 0.")
STORE_CLOCK = Metric("makegood_store_clock_seconds", "seconds", (), "The time in the store, from 1970 in UTC.")
STORE_EVENTS = Metric("makegood_store_events", "events", ("shard",), "How many events a shard of the store holds.")
BROKER_REACHABLE = Metric(
    "makegood_broker_reachable", "", (), "1 where Kafka answers, else 0; not told where none is configured."
)

_PROJECTION, _PARTITION = ("projection", "shard"), ("topic", "partition")
PROJECTION_POSITION = Metric(
    "makegood_projection_position", "", _PROJECTION, "The last position whose event a projection has folded."
)
PROJECTION_LAG_EVENTS = Metric(
    "makegood_projection_lag_events", "events", _PROJECTION, "How many events a projection has still to fold."
)
PROJECTION_LAG_SECONDS = Metric(
    "makegood_projection_lag_seconds",
    "seconds",
    _PROJECTION,
    "How long ago the oldest event was recorded that a projection has still to fold.",
)
RELAY_POSITION = Metric(
    "makegood_relay_position", "", _PARTITION, "The last position of the store that a topic has for certain."
)
RELAY_LAG_RECORDS = Metric(
    "makegood_relay_lag_records", "records", _PARTITION, "How many events or dead letters the relay has yet to carry."
)
RELAY_LAG_SECONDS = Metric(
    "makegood_relay_lag_seconds",
    "seconds",
    _PARTITION,
    "How long ago the oldest event or dead letter was recorded that the relay has still to carry.",
)
INTAKE_OFFSET = Metric(
    "makegood_intake_offset", "", _PARTITION, "The offset of the upstream message that intake takes next."
)
INTAKE_LAG_MESSAGES = Metric(
    "makegood_intake_lag_messages", "messages", _PARTITION, "How many upstream messages intake has still to take."
)
INTAKE_LAG_SECONDS = Metric(
    "makegood_intake_lag_seconds",
    "seconds",
    _PARTITION,
    "How long ago the oldest upstream message was written that intake has still to take.",
)
INTAKE_LOST_MESSAGES = Metric(
    "makegood_intake_lost_messages",
    "messages",
    _PARTITION,
    "How many upstream messages Kafka deleted, by the topic's retention, before intake took them.",
)
TIMERS_LAG_ACCOUNTS = Metric(
    "makegood_timers_lag_accounts", "accounts", (), "How many accounts fell due and were not assessed yet."
)
TIMERS_LAG_SECONDS = Metric(
    "makegood_timers_lag_seconds", "seconds", (), "How long ago the first of these accounts fell due."
)
NOTICES_POSITION = Metric(
    "makegood_notices_position", "", ("reader", "shard"), "The last position that notices to customers were taken of."
)
NOTICES_LAG_EVENTS = Metric(
    "makegood_notices_lag_events", "events", ("reader", "shard"), "How many events notices have still to look at."
)
NOTICES_LAG_SECONDS = Metric(
    "makegood_notices_lag_seconds",
    "seconds",
    ("reader", "shard"),
    "How long ago the oldest event was recorded that notices have still to look at.",
)
UNSENT = Metric("makegood_unsent_emails", "emails", (), "How many e-mails to customers wait or are under way.")
UNSENT_AGE = Metric("makegood_unsent_emails_oldest_seconds", "seconds", (), "How long the oldest of them has waited.")

DEAD_LETTERS = Metric("makegood_open_dead_letters", "letters", (), "How many dead letters are open.")
DEAD_LETTERS_AGE = Metric(
    "makegood_open_dead_letters_oldest_seconds",
    "seconds",
    (),
    "How long ago the oldest open dead letter was refused.",
)
SET_ASIDE = Metric(
    "makegood_set_aside_messages", "messages", (), "How many messages are set aside because they kept failing."
)
SET_ASIDE_AGE = Metric(
    "makegood_set_aside_oldest_seconds", "seconds", (), "How long ago the oldest message was set aside that still is."
)
WAITING = Metric("makegood_waiting_facts", "facts", (), "How many facts wait for another one.")
WAITING_AGE = Metric(
    "makegood_waiting_oldest_seconds", "seconds", (), "How long the fact that waits longest has been waiting."
)
ALARMS = Metric("makegood_standing_alarms", "alarms", (), "How many alarms stand.")
ALARMS_AGE = Metric("makegood_standing_alarms_oldest_seconds", "seconds", (), "How long the oldest alarm has stood.")
INSTRUCTIONS = Metric(
    "makegood_open_instructions", "instructions", (), "How many instructions to other systems have no answer."
)
INSTRUCTIONS_AGE = Metric(
    "makegood_open_instructions_oldest_seconds",
    "seconds",
    (),
    "How long ago the oldest instruction was issued that has no answer.",
)
GOODWILL = Metric(
    "makegood_pending_goodwill_credits", "credits", (), "How many goodwill credits were proposed and are undecided."
)
GOODWILL_AGE = Metric(
    "makegood_pending_goodwill_oldest_seconds", "seconds", (), "How long ago the oldest of them was proposed."
)
UNDELIVERED = Metric(
    "makegood_undelivered_emails", "emails", (), "How many e-mails to customers failed, or are in doubt."
)
UNDELIVERED_AGE = Metric(
    "makegood_undelivered_emails_oldest_seconds", "seconds", (), "How long ago the oldest of them was queued."
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


@dataclass(frozen=True, slots=True)
class Sample:
    """What a metric says at one moment, for one set of labels."""

    metric: Metric
    value: int
    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        if tuple(self.labels) != self.metric.labels:
            raise TypeError(f"{self.metric.name} is labelled with {self.metric.labels}, not {tuple(self.labels)}")


def open_metrics(samples: Iterable[Sample]) -> Iterator[str]:
    """Samples in the text format of OpenMetrics 1.0, line by line."""
    of: dict[Metric, list[Sample]] = {metric: [] for metric in METRICS}
    for sample in samples:
        of[sample.metric].append(sample)
    for metric, told in of.items():
        if told:
            yield f"# TYPE {metric.name} gauge"
            if metric.unit:
                yield f"# UNIT {metric.name} {metric.unit}"
            yield f"# HELP {metric.name} {metric.says}"
            for sample in told:
                labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
                yield f"{metric.name}{{{labels}}} {sample.value}" if labels else f"{metric.name} {sample.value}"
    yield "# EOF"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
