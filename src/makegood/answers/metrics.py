"""All of Makegood's metrics: their names, labels and descriptions.

`makegood status` and `GET /metrics` make their numbers from this list, which docs/metrics.md repeats; there are no
others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One number, or one for each set of labels. All are gauges: they may rise and fall."""

    name: str
    unit: str
    """What is counted or measured, and the end of the name; empty where the number is a state or a place."""
    labels: tuple[str, ...]
    says: str

    def __post_init__(self) -> None:
        if not self.name.startswith("makegood_") or (self.unit and not self.name.endswith(f"_{self.unit}")):
            raise TypeError(f"the name of metric {self.name} must begin with makegood_ and end with its unit")


STATUS = Metric("makegood_status", "", (), "0 if all is well, 1 if something is broken, 2 if something is late.")
STORE_REACHABLE = Metric("makegood_store_reachable", "", (), "1 if the store can be read, else 0.")
STORE_CLOCK = Metric(
    "makegood_store_clock_seconds", "seconds", (), "The store's clock, in seconds since 1970 in UTC."
)
STORE_EVENTS = Metric("makegood_store_events", "events", ("shard",), "Number of events in a shard of the store.")
BROKER_REACHABLE = Metric(
    "makegood_broker_reachable", "", (), "1 if Kafka answers, else 0; absent if none is configured."
)

_PROJECTION, _PARTITION = ("projection", "shard"), ("topic", "partition")
PROJECTION_POSITION = Metric(
    "makegood_projection_position", "", _PROJECTION, "Position of the last event that a projection has processed."
)
PROJECTION_LAG_EVENTS = Metric(
    "makegood_projection_lag_events",
    "events",
    _PROJECTION,
    "Number of events that a projection has not processed yet.",
)
PROJECTION_LAG_SECONDS = Metric(
    "makegood_projection_lag_seconds",
    "seconds",
    _PROJECTION,
    "Age of the oldest event that a projection has not processed yet.",
)
RELAY_POSITION = Metric(
    "makegood_relay_position", "", _PARTITION, "Last position of the store that is confirmed on a topic."
)
RELAY_LAG_RECORDS = Metric(
    "makegood_relay_lag_records", "records", _PARTITION, "Number of events or dead letters not published yet."
)
RELAY_LAG_SECONDS = Metric(
    "makegood_relay_lag_seconds",
    "seconds",
    _PARTITION,
    "Age of the oldest event or dead letter not published yet.",
)
INTAKE_OFFSET = Metric("makegood_intake_offset", "", _PARTITION, "Offset of the next upstream message to read.")
INTAKE_LAG_MESSAGES = Metric(
    "makegood_intake_lag_messages", "messages", _PARTITION, "Number of upstream messages not read yet."
)
INTAKE_LAG_SECONDS = Metric(
    "makegood_intake_lag_seconds",
    "seconds",
    _PARTITION,
    "Age of the oldest upstream message not read yet.",
)
INTAKE_LOST_MESSAGES = Metric(
    "makegood_intake_lost_messages",
    "messages",
    _PARTITION,
    "Number of offsets deleted by the topic's retention before they were read, and not yet recorded as lost.",
)
TIMERS_LAG_ACCOUNTS = Metric(
    "makegood_timers_lag_accounts", "accounts", (), "Number of accounts due and not assessed yet."
)
TIMERS_LAG_SECONDS = Metric(
    "makegood_timers_lag_seconds", "seconds", (), "Time since the first of these accounts fell due."
)
PAYOUTS_POSITION = Metric(
    "makegood_payouts_position",
    "",
    ("processor", "shard"),
    "Position of the last event checked for refunds to request.",
)
PAYOUTS_LAG_EVENTS = Metric(
    "makegood_payouts_lag_events",
    "events",
    ("processor", "shard"),
    "Number of events not yet checked for refunds to request.",
)
PAYOUTS_LAG_SECONDS = Metric(
    "makegood_payouts_lag_seconds",
    "seconds",
    ("processor", "shard"),
    "Age of the oldest event not yet checked for refunds to request.",
)
NOTICES_POSITION = Metric(
    "makegood_notices_position",
    "",
    ("reader", "shard"),
    "Position of the last event checked for notices to customers.",
)
NOTICES_LAG_EVENTS = Metric(
    "makegood_notices_lag_events", "events", ("reader", "shard"), "Number of events not yet checked for notices."
)
NOTICES_LAG_SECONDS = Metric(
    "makegood_notices_lag_seconds",
    "seconds",
    ("reader", "shard"),
    "Age of the oldest event not yet checked for notices.",
)
UNSENT = Metric(
    "makegood_unsent_emails", "emails", (), "Number of e-mails to customers that are queued or being sent."
)
UNSENT_AGE = Metric("makegood_unsent_emails_oldest_seconds", "seconds", (), "Age of the oldest of them.")
UNASKED = Metric(
    "makegood_unasked_returns", "returns", (), "Number of returns of refunds that Stripe has not taken yet."
)
UNASKED_AGE = Metric("makegood_unasked_returns_oldest_seconds", "seconds", (), "Age of the oldest of them.")
TREE_POSITION = Metric(
    "makegood_checkpoints_position",
    "",
    ("follows", "shard"),
    "Position of the last event in a shard's Merkle tree; absent without a key that signs.",
)
TREE_LAG_EVENTS = Metric(
    "makegood_checkpoints_lag_events", "events", ("follows", "shard"), "Number of events not yet in the tree."
)
TREE_LAG_SECONDS = Metric(
    "makegood_checkpoints_lag_seconds",
    "seconds",
    ("follows", "shard"),
    "Age of the oldest event not yet in the tree.",
)
CHECKPOINT_EVENTS = Metric(
    "makegood_checkpoint_covered_events",
    "events",
    ("shard",),
    "Number of events that a shard's last checkpoint covers; absent without one.",
)
CHECKPOINT_AGE = Metric("makegood_checkpoint_age_seconds", "seconds", ("shard",), "Age of a shard's last checkpoint.")
CHECKPOINT_WITNESSES = Metric(
    "makegood_checkpoint_witnesses", "witnesses", ("shard",), "Number of witnesses that cosigned it."
)

DEAD_LETTERS = Metric("makegood_open_dead_letters", "letters", (), "Number of open dead letters.")
DEAD_LETTERS_AGE = Metric(
    "makegood_open_dead_letters_oldest_seconds",
    "seconds",
    (),
    "Time since the oldest open dead letter was refused.",
)
SET_ASIDE = Metric(
    "makegood_set_aside_messages", "messages", (), "Number of messages set aside after repeated failures."
)
SET_ASIDE_AGE = Metric(
    "makegood_set_aside_oldest_seconds", "seconds", (), "Time since the oldest of them was set aside."
)
LOST_RANGES = Metric(
    "makegood_open_lost_ranges",
    "ranges",
    (),
    "Number of open ranges of upstream messages that were lost before they were read.",
)
LOST_RANGES_AGE = Metric(
    "makegood_open_lost_ranges_oldest_seconds", "seconds", (), "Time since the oldest of them was recorded."
)
WAITING = Metric("makegood_waiting_facts", "facts", (), "Number of facts that wait for another fact.")
WAITING_AGE = Metric("makegood_waiting_oldest_seconds", "seconds", (), "Longest time that a fact has been waiting.")
ALARMS = Metric("makegood_standing_alarms", "alarms", (), "Number of active alarms.")
ALARMS_AGE = Metric("makegood_standing_alarms_oldest_seconds", "seconds", (), "Age of the oldest active alarm.")
INSTRUCTIONS = Metric(
    "makegood_open_instructions", "instructions", (), "Number of instructions to other systems without an answer."
)
INSTRUCTIONS_AGE = Metric(
    "makegood_open_instructions_oldest_seconds",
    "seconds",
    (),
    "Age of the oldest instruction without an answer.",
)
GOODWILL = Metric(
    "makegood_pending_goodwill_credits", "credits", (), "Number of goodwill credits proposed and undecided."
)
GOODWILL_AGE = Metric(
    "makegood_pending_goodwill_oldest_seconds", "seconds", (), "Time since the oldest of them was proposed."
)
APPROVED_REFUNDS = Metric(
    "makegood_approved_refunds", "refunds", (), "Number of refunds approved and not submitted yet."
)
APPROVED_REFUNDS_AGE = Metric(
    "makegood_approved_refunds_oldest_seconds", "seconds", (), "Time since the oldest of them was approved."
)
SUBMITTED_REFUNDS = Metric(
    "makegood_unanswered_refunds", "refunds", (), "Number of refunds submitted and not answered by the processor."
)
SUBMITTED_REFUNDS_AGE = Metric(
    "makegood_unanswered_refunds_oldest_seconds", "seconds", (), "Time since the oldest of them was submitted."
)
UNDELIVERED = Metric(
    "makegood_undelivered_emails", "emails", (), "Number of e-mails to customers that failed or are in doubt."
)
UNDELIVERED_AGE = Metric(
    "makegood_undelivered_emails_oldest_seconds", "seconds", (), "Time since the oldest of them was queued."
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


OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
"""The media type by which a caller accepts the text format of OpenMetrics."""


def exposed(samples: Iterable[Sample], accept: str = OPEN_METRICS) -> tuple[bytes, str]:
    """Samples in the newest text format that a caller accepts, and its media type; by default in Prometheus' own."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.exposition import choose_encoder

    families: dict[Metric, GaugeMetricFamily] = {}
    for metric in METRICS:
        families[metric] = GaugeMetricFamily(metric.name, metric.says, labels=metric.labels, unit=metric.unit)
    for sample in samples:
        families[sample.metric].add_metric(list(sample.labels.values()), sample.value)

    class Found:
        def collect(self) -> Iterator[GaugeMetricFamily]:
            return (family for family in families.values() if family.samples)

    # A registry of its own: the library's has metrics of Python and of other libraries.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Found())
    encode, media = choose_encoder(accept)
    return encode(registry), media
