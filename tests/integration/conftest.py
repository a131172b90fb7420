"""Stores and topics on the real Kafka and PostgreSQL of the run."""

from collections.abc import Iterator

import pytest

from ledger.store.database import beside
from tests.integration.world import Books, Place, new_books, new_place
from tests.parts.kafka import Kafka
from tests.parts.postgres import Postgres


@pytest.fixture
def books(postgres: Postgres) -> Iterator[Books]:
    """A store on PostgreSQL, with the sample's agreement published."""
    url = postgres.new_database()
    with new_books(url) as found:
        yield found
    postgres.drop_database(url)
    postgres.drop_database(beside(url, "vault"))


@pytest.fixture
def place(kafka: Kafka) -> Place:
    """Topics and groups on the run's Kafka that no other test uses."""
    return new_place(kafka)
