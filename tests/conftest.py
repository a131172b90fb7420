"""What every test may ask for, and what a run says about the Kafka and PostgreSQL it used."""

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import Phase, settings

from tests.parts import loaded
from tests.parts.kafka import Kafka, expect_kafka
from tests.parts.postgres import Postgres, expect_postgres
from tests.parts.shared import Asked, Kept, Shared
from tests.parts.stores import Stores, tables
from tests.parts.temporary import choose_a_quick_place
from tests.search import sample

# No deadline: a slow machine is no failure. A failure in CI prints what reproduces it here.
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=False, max_examples=sample(30))
settings.register_profile("dev", deadline=None, max_examples=sample(30))
# Mutation testing asks thousands of times whether a test fails: few examples, always the same, none made smaller.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, max_examples=8, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("ci" if os.environ.get("CI", "").lower() not in {"", "0", "false", "no"} else "dev")

# Collecting twelve thousand tests makes objects that all stay; looking through them for garbage took a third of it.
gc.set_threshold(50_000, 20, 20)

REAL = {"kafka", "own_kafka", "postgres", "own_postgres", "pg_store"}
"""The fixtures that are a Kafka or a PostgreSQL, or a store on one."""
SHARED = pytest.StashKey[Shared]()


def pytest_configure(config: pytest.Config) -> None:
    choose_a_quick_place()
    told_at = getattr(config, "workerinput", {}).get("parts")
    config.stash[SHARED] = Kept() if told_at is None else Asked(told_at)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and _uses_real_parts(item):
            item.add_marker(pytest.mark.real)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def _uses_real_parts(item: pytest.Function) -> bool:
    kinds = () if not hasattr(item, "callspec") else map(str, item.callspec.params.values())
    return not REAL.isdisjoint(item.fixturenames) or "postgresql" in {kind.lower() for kind in kinds}


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker is told where to ask for the run's Kafka and PostgreSQL."""
    kept = node.config.stash[SHARED]
    assert isinstance(kept, Kept)
    node.workerinput["parts"] = kept.told_at()


def pytest_unconfigure(config: pytest.Config) -> None:
    loaded.close()
    if (shared := config.stash.get(SHARED, None)) is not None:
        shared.close()


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Kafka:
    """The run's Kafka, shared: each test takes topics and groups of its own, and for faults a Kafka of its own."""
    return pytestconfig.stash[SHARED].kafka()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Postgres:
    """The run's PostgreSQL, shared: each test takes a database of its own, and for faults a server of its own."""
    return pytestconfig.stash[SHARED].postgres()


@pytest.fixture(scope="session")
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Stores that begin as a test needs it, each for one test."""
    found = Stores(tmp_path_factory.mktemp("stores"), lambda: request.getfixturevalue("postgres"))
    yield found
    found.close()


@pytest.fixture
def pg_store(stores: Stores, tmp_path: Path) -> Iterator[str]:
    """The address of a store on PostgreSQL, with its tables and nothing in them."""
    url = stores.new("postgresql", tmp_path, tables)
    yield url
    stores.give_back(url)


@pytest.fixture
def pg_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a fresh, empty database, dropped afterwards."""
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    shared = config.stash[SHARED]
    for part, origin in shared.used.items() if isinstance(shared, Kept) else ():
        terminalreporter.write_line(f"{part} used: {origin}")
