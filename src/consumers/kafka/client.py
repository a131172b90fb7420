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


def settings_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as every client gets them."""
    return {
        "client.id": "makegood",
        # A broker that comes back is found again within a second, not after ten.
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        **settings,
    }


_NOT_PASSING = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.INVALID_GROUP_ID,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError._INVALID_ARG,
    }
)
"""What waiting does not mend: somebody has to change a setting or a right."""


def is_passing(error: KafkaError) -> bool:
    """Whether to wait and try again."""
    return not error.fatal() and error.code() not in _NOT_PASSING


def client_error(error: KafkaError) -> BrokerError:
    """An error of the client as one of ours."""
    if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
        return TopicMissing(
            "the topic or partition does not exist in Kafka; create it, or start `makegood run`, which creates topics"
        )
    if is_passing(error):
        return BrokerUnavailable(f"Kafka cannot be reached or failed: {error.str()}")
    return BrokerError(
        f"Kafka refused the request: {error.str()}; check the address, permissions and settings of this client"
    )
