"""What every test may ask for, and what a run says about the Kafka and PostgreSQL it used."""

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import Phase, settings

from tests.parts.kafka import Kafka, expect_kafka, find_kafka
from tests.parts.postgres import Postgres, expect_postgres, find_postgres

# No deadline: a slow machine is no failure. A failure in CI prints what reproduces it here.
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=False, max_examples=100)
settings.register_profile("dev", deadline=None, max_examples=50)
# Mutation testing asks thousands of times whether a test fails: few examples, always the same, none made smaller.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, max_examples=8, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("ci" if os.environ.get("CI", "").lower() not in {"", "0", "false", "no"} else "dev")

USED = pytest.StashKey[dict[str, str]]()
"""Which part came from where, once it was used."""


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[Kafka]:
    """The run's Kafka, shared: each test takes topics and groups of its own, and for faults a Kafka of its own."""
    with find_kafka() as found:
        pytestconfig.stash.setdefault(USED, {})["Kafka"] = found.origin
        yield found


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[Postgres]:
    """The run's PostgreSQL, shared: each test takes a database of its own, and for faults a server of its own."""
    with find_postgres() as found:
        pytestconfig.stash.setdefault(USED, {})["PostgreSQL"] = found.origin
        yield found


@pytest.fixture
def pg_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a fresh database, dropped afterwards."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(autouse=True)
def logs_of_this_test() -> Iterator[None]:
    """A command sets up logs that go to the standard error of its test, which is closed afterwards.

    Between tests nobody is told anything: a server that answers for many of them may be at work still.
    """
    structlog.reset_defaults()
    yield
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def pytest_report_header() -> list[str]:
    return [f"Kafka: {expect_kafka()}", f"PostgreSQL: {expect_postgres()}"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several workers tells the run which parts it used."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["used"] = session.config.stash.get(USED, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker is done: each has a Kafka and a PostgreSQL of its own, from the same place."""
    node.config.stash.setdefault(USED, {}).update(getattr(node, "workeroutput", {}).get("used", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for part, origin in config.stash.get(USED, {}).items():
        terminalreporter.write_line(f"{part} used: {origin}")
