"""Opening an account that no process has in memory: by its snapshot, beside replaying its events."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby

from pydantic_core import from_json

from bench.houses import take
from bench.messages import long_account, outage
from bench.report import Section
from consumers.upstream import read_structured
from ledger.application.account import Account
from ledger.application.due_work import do_due_work
from ledger.application.ledger import Ledger
from ledger.application.statement import Statement
from ledger.store.recorders import events_of
from ledger.store.writing import read_heads, read_waiting
from makegood.house.clock import system_clock
from makegood.house.opening import House

SUBSCRIPTIONS = (1, 13)
"""How many subscriptions each account has for ten years: some 1,300 and 9,500 events."""
ROUNDS = 9


def measure(section: Section, name: str, house: House) -> None:
    """CPU of opening each account: by its snapshot, by all its events, and what of that is reading them, and parsing
    their JSON; and of opening it and deciding about one message more."""
    for subscriptions in SUBSCRIPTIONS:
        account = f"long-{subscriptions}"
        _live(house, account, subscriptions)
        house.ledger.account_snapshots.make(house.database, account)
        works: dict[str, Callable[[], object]] = {
            _BY_EVENTS: partial(_replayed, house, account),
            "by its snapshot": partial(_opened, house, account),
            "by all its events, and one message": lambda: _decided(house, _replayed(house, account)),  # noqa: B023
            "by its snapshot, and one message": lambda: _decided(house, _opened(house, account)),  # noqa: B023
            "its events read, and no more": partial(_read, house, account),
            "its events read, and their JSON parsed": lambda: list(map(from_json, _read(house, account))),  # noqa: B023
        }
        _in_turn(section, house, name, account, works)


_BY_EVENTS = "by all its events"


def _live(house: House, account: str, subscriptions: int) -> None:
    """Ten years of an account, told and done as they went by, month by month."""
    now = datetime(2016, 4, 1, tzinfo=UTC)
    ledger = Ledger(house.database, house.vault, lambda: now)
    told = ((datetime.fromisoformat(json.loads(line)["time"]), line) for line in long_account(account, subscriptions))
    for _, month in groupby(told, key=lambda each: (each[0].year, each[0].month)):
        times, lines = zip(*month, strict=True)
        now = max(times) + timedelta(hours=1)
        take(ledger, lines)
        do_due_work(ledger, now)


def _in_turn(
    section: Section, house: House, name: str, account: str, works: Mapping[str, Callable[[], object]]
) -> None:
    spent: dict[str, list[float]] = {each: [] for each in works}
    for number in range(1 + ROUNDS):
        for each, work in works.items():
            began = time.process_time()
            made = work()
            took = time.process_time() - began
            del made
            gc.collect()  # to free an account is not to open the next one
            if number:
                spent[each].append(1e3 * took)
    with house.database.reading() as transaction:
        events = read_heads(transaction, [account])[account].version
    about = f"{events:,} events, {name}: "
    for each, values in spent.items():
        section.add(about + each, values, "CPU ms", beside=about + _BY_EVENTS if each != _BY_EVENTS else None)


def _opened(house: House, account: str) -> Account:
    """As a process opens it that has just begun."""
    ledger = Ledger(house.database, house.vault, system_clock)
    with house.database.reading() as transaction:
        return ledger.open_accounts(transaction, [account])[account]


def _replayed(house: House, account: str) -> Account:
    ledger = Ledger(house.database, house.vault, system_clock)
    with house.database.reading() as transaction:
        opened = Account(read_heads(transaction, [account])[account], ledger.catalogue(transaction))
        opened.replay(events_of(transaction, [account]), read_waiting(transaction, [account])[account])
    return opened


def _decided(house: House, account: Account) -> object:
    """What is recorded of an outage that is reported today."""
    line = outage(account.head.account, "today", datetime(2026, 3, 20, tzinfo=UTC), "significant")
    statement = read_structured(line, origin="bench", channel="file")
    assert isinstance(statement, Statement)
    account.record(statement, None, house.ledger.now())
    return account.collect()


def _read(house: House, account: str) -> list[bytes]:
    with house.database.reading() as transaction:
        rows = transaction.rows("SELECT envelope FROM events WHERE account = ? ORDER BY account_version", (account,))
    return [bytes(envelope) for (envelope,) in rows]
