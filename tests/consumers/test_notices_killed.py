"""The process is killed at every place of sending: the customer gets the e-mail, never more than twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consumers.notices_process import PLACES
from tests.consumers.postbox import Postbox
from tests.integration.world import Books, new_books, take_all
from tests.ledger.messages import Upstream
from tests.parts.loaded import Program
from tests.parts.stores import Stores

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
NEVER_SENT = {"before the claim"}
"""Places at which nothing had begun: what comes later is no repeat."""
ARRIVED = {"after the dot", "before it is recorded", "after it is recorded"}
"""Places at which the mail server had it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, stores: Stores, tmp_path: Path) -> Iterator[Books]:
    url = stores.new(request.param, tmp_path, with_a_customer)
    found = Books(url)
    yield found
    found.close()
    stores.give_back(url)


def with_a_customer(store: str) -> None:
    """Somebody registered and paid, and nobody was told yet."""
    with new_books(store) as books:
        books.follower().catch_up()
        take_all(books, [json.dumps(message).encode() for message in Upstream().customer()])


def start(books: Books, postbox: Postbox, pem: Path, log: Path, die: str = "") -> Program:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")},
        "MAKEGOOD_SMTP": postbox.url(),
        "MAKEGOOD_SMTP_CA": str(pem),
        "MAKEGOOD_MAIL_FROM": "Ruf & Co <service@ruf.example>",
        "MAKEGOOD_PUBLIC_URL": "https://my.ruf.example",
        "NOTICES_DIE": die,
    }
    arguments = ["run", "notices", "--store", books.database.url]
    with log.open("ab") as said:
        return Program("tests.consumers.notices_process", arguments, environment, said=said)


def status(books: Books) -> str | None:
    rows = books.rows("SELECT status FROM notices")
    return rows[0][0] if rows else None


@pytest.mark.parametrize("place", PLACES)
def test_wherever_it_dies_the_customer_is_told_at_most_twice_and_the_second_says_so(
    place: str, books: Books, postbox: Postbox, pem: Path, tmp_path: Path
) -> None:
    log = tmp_path / "said.txt"
    assert start(books, postbox, pem, log, place).wait(30) == -signal.SIGKILL, log.read_text()
    arrived = len(postbox.received)
    assert arrived == (place in ARRIVED)
    before = log.read_text()
    again = start(books, postbox, pem, log)
    try:
        until = time.monotonic() + 30
        while status(books) != "sent" or "ready" not in log.read_text()[len(before) :].splitlines():
            assert time.monotonic() < until, f"{status(books)}: {log.read_text()}"
            assert again.poll() is None, log.read_text()
            time.sleep(0.05)
        time.sleep(0.3)  # for whatever might come that should not
        again.send_signal(signal.SIGTERM)
        assert again.wait(30) == 0, log.read_text()
    finally:
        again.kill()
        again.wait()
    recorded = place == "after it is recorded"
    assert len(postbox.received) == arrived + (not recorded)
    marks = [received.message["X-Makegood-Repeat"] for received in postbox.received]
    if arrived:
        assert marks == [None, "1"][: len(marks)]
    else:
        assert marks == [None if place in NEVER_SENT else "1"]
    assert len({received.message["Message-ID"] for received in postbox.received}) == 1
    rows = books.rows("SELECT envelope FROM events WHERE type = 'notice-sent.v1'")
    assert [json.loads(bytes(row[0]))["data"]["repeat"] for row in rows] == [marks[-1] == "1"]


def test_it_says_what_is_wrong_with_the_settings_before_it_runs(books: Books, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT / "src"), "MAKEGOOD_SMTP": "smtp://user:secret@mail.example:587"}
    done = subprocess.run(
        [sys.executable, "-m", "makegood.cli", "run", "notices", "--store", books.database.url],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "MAKEGOOD_MAIL_FROM must be the sender of e-mails" in done.stderr
    assert "secret" not in done.stderr
