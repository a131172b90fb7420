"""Stores and topics on the real Kafka and PostgreSQL of the run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.world import Books, Place, new_books, new_place
from tests.parts.kafka import Kafka
from tests.parts.stores import Stores


@pytest.fixture
def books(stores: Stores, tmp_path: Path) -> Iterator[Books]:
    """A store on PostgreSQL, with the sample's agreement published."""
    url = stores.new("postgresql", tmp_path, with_an_agreement)
    found = Books(url)
    yield found
    found.close()
    stores.give_back(url)


def with_an_agreement(store: str) -> None:
    with new_books(store):
        pass


@pytest.fixture
def place(kafka: Kafka) -> Place:
    """Topics and groups on the run's Kafka that no other test uses."""
    return new_place(kafka)
