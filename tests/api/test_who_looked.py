"""Who looked at records is itself recorded, in the account `system` (contract §3c, decision 0051)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumers.part import PartFailed
from ledger.store.database import Unavailable
from makegood.house.looking import record_looks
from makegood.house.looks import Looker, Looks, Seen
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from makegood.program.looks import last_looks_recorded
from tests.api.conftest import Api
from tests.door.conftest import USER, Door
from tests.door.test_commands import ACCOUNT, SUBSCRIPTION
from tests.door.test_complaints import Desk
from tests.door.test_evidence import checkpoint
from tests.ledger.books import Watched

Lines = Callable[..., str]
WORDS = ("Amelia", "amelia", "example")


def looks(door: Door) -> list[dict[str, Any]]:
    """All looks that are recorded, in order."""
    events = [event for event in door.json("history", "system") if event["type"] == "records-looked-at.v1"]
    return [look for event in events for look in event["data"]["looks"]]


def test_a_command_records_at_once_what_somebody_was_shown(sandbox: Door, lines: Lines, tmp_path: Path) -> None:
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION, {**SUBSCRIPTION, "id": "bad", "data": {}}), exits=3)
    sandbox("claims")
    sandbox("dead-letters", "list")
    assert looks(sandbox) == [], "lists show no words"
    sandbox("dead-letters", "show", "1")
    sandbox("subject", "export", "acct-1", "--to", str(tmp_path / "held.txt"))
    sandbox("export", "claims", "--format", "csv", "--to", str(tmp_path / "claims.csv"), "--account", "acct-1")
    sandbox("subject", "erase", "acct-1", "--as", "pia", "--basis", "their letter")
    found = looks(sandbox)
    assert [(look["by"], look["channel"], look["kind"], look["times"]) for look in found] == [
        (USER, "cli", "kept_message", 1),
        (USER, "cli", "personal_data", 1),
        (USER, "cli", "export", 1),
        (f"{USER} for pia", "cli", "erasure", 1),
    ]
    assert [look["account_id"] for look in found[1:]] == ["acct-1"] * 3
    assert (found[1]["records"] > 0, found[2]["records"]) == (True, 0)
    sandbox("subject", "erase", "acct-1", "--as", "pia", "--basis", "their letter")
    assert len(looks(sandbox)) == 4, "nothing was erased again"
    told = sandbox("history", "system", "--json") + sandbox("history", "system")
    assert not any(word in told for word in WORDS), "no personal data"


def test_words_that_people_wrote_and_evidence_are_looked_at_too(sandbox: Door, lines: Lines, tmp_path: Path) -> None:
    sandbox("advance", "2026-03-20T00:00:00Z")
    desk = Desk(sandbox, lines)
    desk.ingest(*desk.upstream.customer(), desk.upstream.complaint_opened(description="it crackles"))
    sandbox("complaints")
    assert looks(sandbox) == []
    complaint = sandbox.json("complaint", "com-1")
    checkpoint(sandbox, tmp_path)
    account = complaint["account_id"]
    sandbox("audit", "evidence", "--account", account, "--to", str(tmp_path / "pack.zip"))
    found = [(look["kind"], look["account_id"]) for look in looks(sandbox)]
    assert found == [("words", account), ("evidence", account)]


def test_whoever_searches_looks_at_the_customers_who_are_named(sandbox: Door, lines: Lines) -> None:
    other = {**ACCOUNT, "id": "a2", "subject": "acct-2"}
    sandbox("ingest", lines(ACCOUNT, other, SUBSCRIPTION))
    assert "no customer is found" in sandbox("find", "nobody@example.org")
    assert looks(sandbox) == [], "nobody was found"
    name = ACCOUNT["data"]["customer"]["name"]
    assert {row["account_id"] for row in sandbox.json("find", name)} == {"acct-1", "acct-2"}
    found = [(look["kind"], look["account_id"], look["times"]) for look in looks(sandbox)]
    assert found == [("words", "acct-1", 1), ("words", "acct-2", 1)]


def test_many_looks_over_http_are_one_event(api: Api, sandbox: Door, lines: Lines) -> None:
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION))
    pia, otto = api.key("privacy"), api.key("auditor")
    for _ in range(3):
        assert api.ask(pia, "/accounts/acct-1/personal-data").status_code == 200
    assert api.ask(pia, "/accounts/acct-9/personal-data").status_code == 404
    assert api.ask(otto, "/exports/claims?format=csv").status_code == 200
    house = api.house
    assert record_looks(house) is True
    assert record_looks(house) is False, "each is recorded once"
    house.projections.catch_up()
    events = [event for event in sandbox.json("history", "system") if event["type"] == "records-looked-at.v1"]
    [event] = events
    assert event["summary"] == "Records were looked at; people: 2, looks: 4"
    of_pia, of_otto = event["data"]["looks"]
    assert (of_pia["kind"], of_pia["account_id"], of_pia["times"], of_pia["channel"]) == (
        "personal_data",
        "acct-1",
        3,
        "http",
    )
    assert (of_otto["kind"], of_otto["account_id"], of_otto["times"]) == ("export", None, 1)
    assert event["data"]["begin"] <= event["data"]["end"]


def test_what_could_not_be_recorded_is_recorded_later() -> None:
    counted = Looks()
    seen = Seen(Looker("pia", "http"), "personal_data", "acct-1")
    counted.add(seen, 5)
    batch = counted.taken()
    assert batch is not None
    assert (bool(counted), counted.taken()) == (False, None)
    counted.add(seen, 2)
    counted.put_back(batch)
    both = counted.taken()
    assert both is not None
    assert (both.seen[seen].times, both.seen[seen].records, both.since) == (2, 7, batch.since)


def test_what_cannot_be_recorded_when_the_process_stops_hides_no_failure(
    sandbox: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    def away() -> None:
        raise Unavailable("the disk is full: make room")

    with open_house(Settings(store=sandbox.store)) as house:
        watched = Watched(house.database)
        there = House(house.settings, watched, house.vault, house.projections)
        for _ in range(2):
            there.looked("personal_data", "acct-1")
        watched.before_writing.append(away)
        with pytest.raises(PartFailed), last_looks_recorded(there):
            raise PartFailed("api", "the port is taken")
        assert there.looks.times == 2, "as the log says"
        with last_looks_recorded(there):
            pass
        house.projections.catch_up()
    capsys.readouterr()  # the log
    assert [look["times"] for look in looks(sandbox)] == [2], "nothing was counted twice"
