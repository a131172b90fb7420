"""What every client has in common: its settings, its log, and what its errors mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError

from consumers.kafka.records import BrokerError, BrokerUnavailable, TopicMissing

log = structlog.get_logger("makegood.kafka")


class ClientLog:
    """Takes the client's own log lines, which would go to standard error past ours."""

    def __init__(self, client: str) -> None:
        self._client = client

    def log(self, level: int, pattern: str, *args: object) -> None:
        """What the client calls, in the manner of `logging.Logger.log`."""
        log.debug("kafka_client", client=self._client, level=level, line=pattern % args if args else pattern)


class Refused:
    """What a client told of itself that waiting does not mend: it is called back with every error of its own.

    The client goes on trying, and answers questions with no more than that time ran out; this is why.
    """

    def __init__(self) -> None:
        self.by: KafkaError | None = None
        """The first such error since `forget`; one that is fatal stays."""

    def __call__(self, error: KafkaError) -> None:
        """What the client calls."""
        if self.by is None or (is_fatal(error) and not is_fatal(self.by)):
            self.by = None if is_passing(error) else error

    def forget(self) -> None:
        """It was answered after all, by this broker or another."""
        if self.by is not None and not is_fatal(self.by):
            self.by = None

    def instead_of(self, error: KafkaError) -> KafkaError:
        """The reason behind an error, where one is known."""
        return self.by if self.by is not None and is_passing(error) else error


def settings_of(settings: Mapping[str, Any], name: str, refused: Refused) -> dict[str, Any]:
    """Settings as every client gets them."""
    return {
        "client.id": "makegood",
        # A broker that comes back is found again within a second, not after ten.
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        **settings,
        "error_cb": refused,
        "logger": ClientLog(name),
    }


_NOT_PASSING = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.SECURITY_DISABLED,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.INVALID_GROUP_ID,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.GROUP_MAX_SIZE_REACHED,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError._INVALID_ARG,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError._FENCED,
    }
)
"""What waiting does not mend: somebody has to change a setting or a right."""


def is_fatal(error: KafkaError) -> bool:
    """Whether the client will do nothing more. Some errors are so by their code, and do not say it of themselves."""
    return error.fatal() or error.code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID)


def is_passing(error: KafkaError) -> bool:
    """Whether to wait and try again."""
    return not is_fatal(error) and error.code() not in _NOT_PASSING


def client_error(error: KafkaError) -> BrokerError:
    """An error of the client as one of ours."""
    if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
        return TopicMissing(
            "the topic or partition does not exist in Kafka; create it, or start `makegood run`, which creates topics"
        )
    if is_passing(error):
        return BrokerUnavailable(f"Kafka cannot be reached or failed: {error.str()}")
    if "same group.instance.id" in error.str():
        return BrokerError(
            "another process uses the same MAKEGOOD_KAFKA_MEMBER and replaced this one in its consumer group: give "
            "each process a unique name"
        )
    return BrokerError(
        f"Kafka refused the request: {error.str()}; check the address, permissions and settings of this client"
    )
