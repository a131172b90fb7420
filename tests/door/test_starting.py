"""Commands start quickly because each loads what it needs. What that is can be counted; how long it takes cannot."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.door.conftest import with_twenty_accounts_in_july

LOADED_BY = """
import json, sys
from makegood.cli import run
code = run(sys.argv[1:])
sys.stderr.write(json.dumps({"code": code, "loaded": sorted(sys.modules)}))
"""

NOT_TO_READ = {
    "confluent_kafka",
    "consumers.intake",
    "consumers.upstream",
    "email_validator",
    "eventsourcing",
    "fastapi",
    "ledger.aggregates",
    "ledger.application",
    "prometheus_client",
    "psycopg",
    "stamina",
    "structlog",
}
"""What writes, carries and serves: the write side, the carriers, and their libraries."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('starting')}/makegood.db"
    with_twenty_accounts_in_july(url)
    return url


@pytest.mark.parametrize(
    "command",
    [
        "account acct-0001",
        "alarms",
        "claims",
        "complaints",
        "credits",
        "dead-letters list",
        "disputes",
        "explain unused/cyc-0001-2026-04-02",
        "goodwill",
        "history acct-0001",
        "instructions",
        "notices",
        "refunds",
        "replay acct-0001",
        "status",
        "waiting",
    ],
)
def test_a_command_that_reads_loads_nothing_that_writes_carries_or_serves(store: str, command: str) -> None:
    assert sorted(NOT_TO_READ & loaded(store, *command.split())) == []


def test_it_can_be_seen_when_something_is_loaded(store: str) -> None:
    assert {"eventsourcing", "ledger.aggregates", "ledger.application"} < loaded(
        store, "advance", "2026-07-02T00:00:00Z"
    )


def loaded(store: str, *command: str) -> set[str]:
    """The modules that a command has loaded by its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}
    done = subprocess.run(
        [sys.executable, "-c", LOADED_BY, *command],
        env=environment | {"MAKEGOOD_STORE": store},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stderr[done.stderr.rindex('{"code"') :])
    assert told["code"] == 0, done.stderr
    return set(told["loaded"])
