"""Who looked is recorded by a running process: in batches, when it stops, and but for five seconds where it is killed
(decision 0051)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from ledger.application import access
from ledger.application.acts import By
from ledger.application.looks import STREAM
from ledger.events import Grant, RecordsLookedAt
from ledger.store.reading.events import events_of_stream
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from makegood.program.looks import SECONDS
from tests.door.conftest import Door, door, sandbox, store, twenty_accounts
from tests.parts.loaded import Program
from tests.parts.process import free_ports

__all__ = ["door", "sandbox", "store", "twenty_accounts"]

pytestmark = pytest.mark.long

BY = By("/ops/tests", "cli")
PATIENCE = 30.0
ASKED = "/accounts/acct-0001/personal-data"


def test_looks_are_one_event_and_a_process_that_is_killed_loses_at_most_those_of_five_seconds(
    twenty_accounts: Door,
) -> None:
    with open_house(Settings(store=twenty_accounts.store)) as house:
        access.grant(house.ledger, Grant(principal="pia", role="privacy", account_id=None), BY)
        key = access.issue_key(house.ledger, "pia", BY).text
        house.projections.catch_up()

        with serving(twenty_accounts.store, key) as (ask, process):
            ask(3)
            began = time.monotonic()
            while sum(recorded(house)) < 3:
                assert time.monotonic() - began < SECONDS + PATIENCE
                time.sleep(0.02)
            assert len(recorded(house)) < 3, "many looks, one event"
            ask(2)
            process.send_signal(signal.SIGKILL)
            process.wait()
        killed = sum(recorded(house))
        assert 3 <= killed <= 5, "what is older than five seconds was recorded, and what is younger may be lost"

        with serving(twenty_accounts.store, key) as (ask, process):
            ask(2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        assert sum(recorded(house)) == killed + 2, "it recorded them before it ended"


def recorded(house: House) -> list[int]:
    """By event of looks, how often somebody looked."""
    with house.database.reading() as transaction:
        events = [stored.event() for stored in events_of_stream(transaction, STREAM)]
    return [sum(look.times for look in event.data.looks) for event in events if isinstance(event, RecordsLookedAt)]


@contextmanager
def serving(store: str, key: str) -> Iterator[tuple[Any, Program]]:
    """The command `makegood run` as a process of its own, and how to ask its API."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}
    arguments = ["run", "projector", "api", "--http", address]
    process = Program("makegood.cli", arguments, environment | {"MAKEGOOD_STORE": store})
    assert process.stderr is not None
    with process.stderr, httpx.Client(base_url=f"http://{address}", timeout=20) as http:
        try:
            for line in process.stderr:
                if line == "ready\n":
                    break

            def ask(times: int) -> None:
                for _ in range(times):
                    answer = http.get(ASKED, headers={"Authorization": f"Bearer {key}"})
                    assert answer.status_code == 200, answer.text

            yield ask, process
        finally:
            process.kill()
            process.wait()
