"""Stores and topics on the real Kafka and PostgreSQL of the run."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from makegood.cli import run
from makegood.house import broker
from makegood.program import running as program
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


@pytest.fixture
def commands(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """The command line on the topics of this test: exit code, and what it said."""
    names = place.names
    monkeypatch.setattr(broker, "NAMES", names)
    monkeypatch.setattr(program, "TOPICS", place.topics)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def command(store: str, *arguments: str) -> tuple[int, str]:
        code = run([*arguments, "--store", store])
        said = capsys.readouterr()
        return code, said.out if code == 0 else said.out + said.err

    yield command
    for number, handler in handlers.items():
        signal.signal(number, handler)
