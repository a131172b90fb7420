"""`makegood audit diff`: what came between two moments of an account, and what it made of the account."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import pytest

from ledger.application.due_work import do_due_work
from ledger.store.positions import Reached
from ledger.store.reading.events import StoredEnvelope, follow_account
from makegood.access.sight import EVERYTHING
from makegood.answers.account import Account
from makegood.answers.audit.difference import PARTS, AccountDifference, difference, rows_of
from makegood.house.opening import House
from makegood.house.settings import Settings
from projections.account_state import account_recorded
from projections.follower import Follower
from tests.door.conftest import Door
from tests.ledger.books import Books, oracle_agreements
from tests.oracle import histories
from tests.search import sample


def test_an_auditor_sees_what_came_between_two_moments(twenty_accounts_in_july: Door) -> None:
    """Exactly the events in between, what they made of the account, and the account before and afterwards."""
    door = twenty_accounts_in_july
    trail = door.json("history", "acct-0006")
    first, last = trail[9], trail[-3]
    found = door.json(
        *("audit", "diff", "--account", "acct-0006", "--from", first["position"], "--to", last["position"])
    )
    assert [event["position"] for event in found["events"]] == [each["position"] for each in trail[10:-2]]
    assert [event["summary"] for event in found["events"]] == [each["summary"] for each in trail[10:-2]]
    assert (found["before"]["version"], found["after"]["version"]) == (10, len(trail) - 2)
    for end in ("before", "after"):
        known_at = found[end]["position"]
        assert found[end]["account"] == door.json("account", "acct-0006", "--known-at", known_at)
    granted = next(row for row in found["differing"] if row["part"] == "claims")
    assert granted["before"] is None
    assert granted["after"] in found["after"]["account"]["claims"]
    said = door("audit", "diff", "--account", "acct-0006", "--from", first["position"], "--to", last["position"])
    assert f"Events of acct-0006 after {first['position']}, up to {last['position']}" in said
    assert trail[10]["summary"] in said
    assert trail[9]["summary"] not in said
    assert granted["id"] in said


def test_moments_are_instants_too_and_nothing_may_lie_between_them(twenty_accounts_in_july: Door) -> None:
    door = twenty_accounts_in_july
    trail = door.json("history", "acct-0006")
    instants = ("2020-01-01T00:00:00Z", "2089-01-01T00:00:00Z")
    whole = door.json("audit", "diff", "--account", "acct-0006", "--from", instants[0], "--to", instants[1])
    assert whole["events"] == [{name: entry[name] for name in whole["events"][0]} for entry in trail]
    assert (whole["before"]["position"], whole["before"]["version"]) == (None, 0)
    assert whole["before"]["account"]["nothing_yet"]
    none = ("audit", "diff", "--account", "acct-0006", "--from", trail[4]["position"], "--to", trail[4]["position"])
    assert (door.json(*none)["events"], door.json(*none)["differing"]) == ([], [])
    assert door(*none).startswith("no event of acct-0006 was recorded")


def test_moments_that_cannot_be_meant_and_accounts_that_are_not_there(twenty_accounts: Door) -> None:
    door = twenty_accounts
    door("audit", "diff", "--account", "acct-0006", "--from", "0:999999", "--to", "0:1", exits=64)
    assert "exchange them" in door.errors
    door("audit", "diff", "--account", "acct-0006", "--from", "yesterday", "--to", "0:1", exits=64)
    door("audit", "diff", "--account", "nobody", "--from", "0:1", "--to", "0:2", exits=1)
    assert "nobody" in door.errors


# --- the law ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lives() -> Iterator[tuple[House, list[list[StoredEnvelope]]]]:
    """A ledger with some random accounts, and what was recorded of each."""
    books = Books.open("sqlite:///:memory:", agreements=oracle_agreements(money=True))
    house = House(Settings(store="sqlite:///:memory:"), books.database, books.ledger.vault, Follower(books.database))
    house.projections.create()
    accounts = [f"acct-{seed}" for seed in range(sample(6))]
    for seed, account in enumerate(accounts):
        messages = histories.history(seed, account=account, money=True)
        for part in (messages[::2], messages[1::2]):
            books.take(part)
            do_due_work(books.ledger, books.clock.at)
    yield house, [list(follow_account(books.database, account)) for account in accounts]
    books.close()


def test_the_first_state_with_the_events_between_is_the_second(
    lives: tuple[House, list[list[StoredEnvelope]]],
) -> None:
    """The events are those of the second moment without those of the first, and what differs leads to the second."""
    house, recorded = lives
    for events in recorded:
        account, cuts = events[0].account, [0, len(events) // 4, len(events) // 2, len(events) - 1, len(events)]
        moments = [Reached({0: events[cut - 1].position if cut else 0}) for cut in cuts]
        between = []
        for (begin, end), (from_, to) in zip(pairwise(cuts), pairwise(moments), strict=True):
            found = difference(house, EVERYTHING, account, from_, to)
            ids = {event["event_id"] for event in found["events"]}
            assert ids == {stored.event().event_id for stored in events[begin:end]}
            added = [stored for stored in events if stored.event().event_id in ids]
            state = {**account_recorded([*events[:begin], *added], account), "set_aside": 0}
            assert state == {name: dict(found["after"]["account"])[name] for name in state}
            assert led_on(found) == rows(found["after"]["account"])
            between += found["events"]
        assert difference(house, EVERYTHING, account, moments[0], moments[-1])["events"] == between


def rows(account: Account) -> dict[tuple[str, str], Any]:
    return {(part, id_): row for part in PARTS for (id_, _), row in rows_of(part, account).items()}


def led_on(found: AccountDifference) -> dict[tuple[str, str], Any]:
    """The rows of the first moment, with those exchanged that differ."""
    led = rows(found["before"]["account"])
    for row in found["differing"]:
        key = cast(tuple[str, str], (row["part"], row["id"]))
        assert led.get(key) == row["before"]
        if row["after"] is None:
            del led[key]
        else:
            led[key] = row["after"]
    return led
