"""Due work is done by time, and not where time stands still."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumers import timers
from consumers.timers import FAILING_REST_SECONDS, Timers
from ledger.application import snapshots
from ledger.application.due_work import advance, next_due_at
from ledger.store.database import Unavailable
from ledger.store.instants import to_microseconds
from tests.integration.world import Books, account_registered, running, take_all, until

NOW = datetime(2026, 2, 10, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(tmp_path: Path, clock: Clock) -> Iterator[Books]:
    found = Books(f"sqlite:///{tmp_path / 'books.db'}", clock=clock)
    yield found
    found.close()


def fill(books: Books, account: str = "acct-1") -> None:
    """An outage that is still open: at the end of its cycle the assessment changes by time alone."""

    def message(kind: str, data: dict[str, object]) -> bytes:
        event = {**account_registered(account), "type": f"voip.{kind}.v1", "data": data, "id": f"{account}.{kind}"}
        return json.dumps(event).encode()

    take_all(
        books,
        [
            json.dumps(account_registered(account)).encode(),
            message(
                "subscription.registered", {"subscription_id": "sub-1", "agreement": "standard", "plan": "basic"}
            ),
            message(
                "cycle.started",
                {
                    "subscription_id": "sub-1",
                    "cycle_id": "cyc-1",
                    "starts_on": "2026-02-01",
                    "ends_on": "2026-03-01",
                    "price": "28.00",
                    "currency": "EUR",
                    "invoice_id": "inv-1",
                    "prepaid": True,
                },
            ),
            message(
                "outage.reported",
                {
                    "outage_id": "out-1",
                    "subscription_id": "sub-1",
                    "began_at": "2026-02-09T00:00:00Z",
                    "reported_at": "2026-02-09T01:00:00Z",
                    "severity": "significant",
                    "cause": "provider",
                },
            ),
        ],
    )


def test_what_falls_due_is_done_when_its_time_has_come(books: Books, clock: Clock) -> None:
    fill(books.create())
    due = next_due_at(books.ledger())
    assert due is not None
    assert due > NOW
    woken: list[int] = []
    part = Timers(books.ledger(), recorded=lambda: woken.append(1))
    assert part.step() == 0
    clock.now = due + timedelta(seconds=1)
    assert part.step() == 1
    assert woken == [1]
    assert part.step() == 0


def test_an_account_that_took_long_to_open_gets_a_snapshot(
    books: Books, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(snapshots, "LONG_FROM", 5)
    monkeypatch.setattr(snapshots, "REPLAYED_MAX", 5)
    fill(books.create(), "acct-1")
    fill(books, "acct-2")
    ledger = books.ledger()
    with books.database.reading() as transaction:
        ledger.open_accounts(transaction, ["acct-1", "acct-2"])
    with books.database.writing() as transaction:
        transaction.run("UPDATE events SET envelope = ? WHERE account = 'acct-1' AND account_version = 1", (b"{}",))
    with running(Timers(ledger, every=0.01)):
        until(lambda: books.rows("SELECT account FROM snapshots") == [("acct-2",)], 5)
    said = capsys.readouterr().out
    assert said.count("snapshot_not_made") == 1
    assert "acct-1" in said, "one that is damaged keeps no other waiting, and the part goes on"


def test_a_clock_that_stands_still_is_left_to_whoever_sets_it(books: Books, clock: Clock) -> None:
    fill(books.create(sandbox=True))
    part = Timers(books.ledger())
    clock.now = NOW + timedelta(days=300)
    advance(books.ledger(), NOW)
    assert part.step() == 0


def test_a_sandbox_whose_clock_was_never_set_is_like_any_other(books: Books, clock: Clock) -> None:
    fill(books.create(sandbox=True))
    clock.now = NOW + timedelta(days=300)
    assert Timers(books.ledger()).step() >= 1


def test_it_waits_for_a_store_that_is_away(books: Books, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[datetime] = []

    def away(_: object, until: datetime, failing: object) -> int:
        calls.append(until)
        if len(calls) < 3:
            raise Unavailable("gone")
        return 0

    monkeypatch.setattr(timers, "do_due_work", away)
    with running(Timers(books.create().ledger(), every=0.01)):
        until(lambda: len(calls) > 4, 5)
    assert calls[0] == NOW


def test_an_account_that_cannot_be_assessed_keeps_nobody_else_waiting(
    books: Books, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    books.create()
    accounts = [f"acct-{n}" for n in range(1, 6)]
    for account in accounts:
        fill(books, account)
    with books.database.writing() as transaction:
        transaction.run("UPDATE events SET envelope = ? WHERE account = 'acct-3' AND account_version = 1", (b"{}",))
    clock.now = datetime(2026, 3, 10, tzinfo=UTC)
    seconds = 0.0
    part = Timers(books.ledger(), monotonic=lambda: seconds)
    assert part.step() == 4
    assert books.rows("SELECT account FROM heads WHERE due_at <= ?", to_microseconds(clock.now)) == [("acct-3",)]
    said = capsys.readouterr().out
    assert said.count("due_work_failed") == 1
    assert "acct-3" in said
    part.step()
    assert "due_work_failed" not in capsys.readouterr().out, "it is left alone for a while"
    seconds = FAILING_REST_SECONDS
    part.step()
    assert "due_work_failed" in capsys.readouterr().out, "and tried again"
