"""`makegood history` for auditors: why each event came, what was owed after it, and the events that are asked for."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from ledger.application.due_work import do_due_work
from ledger.store.positions import Reached
from makegood.access.sight import EVERYTHING
from makegood.answers import finance
from makegood.answers.history import history
from makegood.house.opening import House
from makegood.house.settings import Settings
from projections.follower import Follower
from tests.door.conftest import Door
from tests.ledger.books import Books, oracle_agreements
from tests.oracle import histories
from tests.search import sample

AMOUNTS = ("currency", "refunds_due", "credits_left", "excess", "overpaid", "total")


def test_why_each_event_came_and_what_was_owed_after_it(twenty_accounts_in_july: Door) -> None:
    """The cause in a sentence, clause and agreement of the claims, and after each event what was owed by then."""
    door = twenty_accounts_in_july
    trail = door.json("history", "acct-0006")
    at = {entry["event_id"]: entry for entry in trail}
    for entry in trail:
        cause = at.get(entry["cause"])
        if cause is not None:
            assert (entry["because"], entry["cause_position"]) == (cause["summary"], cause["position"])
    assert {(entry["kind"], entry["because"]) for entry in trail if entry["cause"] is None} == {("fact", None)}
    assert door.json("history", "system")[0]["because"] is None
    [opened] = [e for e in trail if e["claim_id"] == "unused/cyc-0006-2026-04-02" and e["data"]["before"] is None]
    concerned = {"claim_id": opened["claim_id"], "clause": "unused_period"}
    assert opened["claims"] == [{**concerned, "agreement": "standard", "agreement_version": 1}]
    owing = [entry for entry in trail if entry["owed"]]
    for entry in (owing[0], owing[len(owing) // 2], owing[-1]):
        known = door.json("owed", "--account", "acct-0006", "--known-at", entry["position"])["totals"]
        assert _not_zero(entry["owed"]) == _not_zero(known)
    assert _not_zero(trail[-1]["owed"]) == _not_zero(door.json("owed", "--account", "acct-0006")["totals"])
    said = door("history", "acct-0006", "--claim", opened["claim_id"])
    assert opened["because"] in said
    assert f"{opened['owed'][0]['total']} EUR" in said


def test_events_are_asked_for_by_time_kind_claim_and_actor(twenty_accounts_in_july: Door) -> None:
    door = twenty_accounts_in_july
    trail = door.json("history", "acct-0006")

    def told(*options: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = door.json("history", "acct-0006", *options)
        assert found, options
        return found

    assert told("--kind", "decision") == [e for e in trail if e["kind"] == "decision"]
    assert told("--type", "claim-assessed") == [e for e in trail if e["name"] == "ClaimAssessed"]
    assert told("--type", "cycle-started.v1") == [e for e in trail if e["name"] == "CycleStarted"]
    actor = trail[0]["actor"]
    assert told("--by", actor) == [e for e in trail if e["actor"] == actor]
    claim = "unused/cyc-0006-2026-04-02"
    about = told("--claim", claim)
    assert about == [e for e in trail if claim in {each["claim_id"] for each in e["claims"]}]
    assert {"ClaimAssessed", "SettlementChanged"} <= {e["name"] for e in about}
    for option, clock in (((), "recorded_at"), (("--by-occurrence",), "occurred_at")):
        day = next(e[clock] for e in trail[len(trail) // 2 :])[:10]
        during = told("--from", day, "--to", day, *option)
        assert during == [e for e in trail if e[clock][:10] == day]
    assert door.json("history", "acct-0006", "--kind", "fact", "--by", "nobody") == []
    assert "leave out a filter" in door("history", "acct-0006", "--by", "nobody")


def test_filters_that_cannot_be_meant(twenty_accounts: Door) -> None:
    door = twenty_accounts
    for options in (("--kind", "rumour"), ("--type", "rumour.v1"), ("--from", "2026-05-02", "--to", "2026-05-01")):
        door("history", "acct-0006", *options, exits=64)
    door("history", "acct-0006", "--csv", "--json", exits=1)
    door("history", "nobody", "--kind", "fact", exits=1)


def test_a_history_as_csv_says_the_same(twenty_accounts: Door) -> None:
    """Numbers stand in columns of their own for each currency, and no cell is a formula to a spreadsheet."""
    door = twenty_accounts
    rows = list(csv.DictReader(StringIO(door("history", "acct-0006", "--csv"))))
    trail = door.json("history", "acct-0006")
    assert [row["summary"] for row in rows] == [entry["summary"] for entry in trail]
    last = trail[-1]["owed"]
    assert last
    assert [rows[-1][f"{name}_{owed['currency']}"] for owed in last for name in AMOUNTS[1:]] == [
        owed[name] for owed in last for name in AMOUNTS[1:]
    ]
    for row, entry in zip(rows, trail, strict=True):
        assert (row["because"] or None, row["position"]) == (entry["because"], entry["position"])
        assert row["claims"].split() == [claim["claim_id"] for claim in entry["claims"]]


# --- the law ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house with some random accounts."""
    books = Books.open("sqlite:///:memory:", agreements=oracle_agreements(money=True))
    house = House(Settings(store="sqlite:///:memory:"), books.database, books.ledger.vault, Follower(books.database))
    house.projections.create()
    for seed in range(sample(6)):
        messages = histories.history(seed, account=f"acct-{seed}", money=True)
        for part in (messages[::2], messages[1::2]):
            books.take(part)
            do_due_work(books.ledger, books.clock.at)
    house.projections.catch_up()
    yield house
    books.close()


def test_what_was_owed_after_any_event_is_what_was_known_at_its_position(house: House) -> None:
    for seed in range(sample(6)):
        account = f"acct-{seed}"
        told = history(house, EVERYTHING, account)
        assert {entry["because"] is None for entry in told if entry["kind"] == "decision"} == {False}
        for entry in told[::3]:
            position = Reached({0: int(entry["position"][2:])})
            known = finance.owed_sums(house, EVERYTHING, account=account, known_at=position)["totals"]
            assert _not_zero(entry["owed"]) == _not_zero(known), entry["position"]


def _not_zero(rows: Any) -> list[tuple[str, ...]]:
    shown = [tuple(row[name] for name in AMOUNTS) for row in rows]
    return [row for row in shown if any(float(amount) for amount in row[1:])]
