"""Kafka's cluster, put together from the settings."""

from __future__ import annotations

from consumers.kafka.cluster import PATIENCE, Cluster
from consumers.kafka.security import Security
from consumers.topic_lag import TopicNames
from ledger.store.reading.store import store_id
from makegood.house.opening import House
from makegood.house.settings import Settings

NAMES = TopicNames()
"""The topics that the parts work on."""


def topic_names() -> TopicNames:
    """The topics that the parts work on."""
    return NAMES


def cluster_for(house: House, *, patience: float = PATIENCE) -> Cluster:
    """The cluster as the parts that work for a store know it. Raises WrongSecurity.

    Groups are named by the store unless they are told their name: two installations on one broker share none.
    """
    settings = house.settings
    with house.database.reading() as transaction:
        store = store_id(transaction)
    return Cluster(
        settings.kafka,
        group=settings.kafka_group or f"makegood-{store}",
        member=settings.kafka_member,
        store=store,
        security=security_of(settings),
        patience=patience,
    )


def any_cluster(settings: Settings) -> Cluster:
    """The cluster as a producer knows it that works for no store. Raises WrongSecurity."""
    return Cluster(settings.kafka, security=security_of(settings))


def security_of(settings: Settings) -> Security:
    """How clients show who they are."""
    return Security(
        protocol=settings.kafka_security,
        ca=settings.kafka_ca,
        certificate=settings.kafka_certificate,
        key=settings.kafka_key,
        key_password=settings.kafka_key_password.get_secret_value(),
        mechanism=settings.kafka_sasl,
        user=settings.kafka_user,
        password=settings.kafka_password.get_secret_value(),
        token_url=settings.kafka_token_url,
        token_ca=settings.kafka_token_ca,
        scope=settings.kafka_token_scope,
    )
