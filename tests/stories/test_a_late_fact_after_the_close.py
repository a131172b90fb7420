"""A late fact after the close: it is booked in the open month, and the closed month stays as it was.

Felix closes January. Days later billing confirms an overcharge that was found on 25 January.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.store.connecting import connect
from ledger.values import zero
from tests.door.conftest import USER, Door
from tests.ledger.messages import Message, Upstream

Lines = Callable[..., str]
FELIX = f"{USER} for felix"


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider keeps its books by the days of Berlin."""
    monkeypatch.setenv("MAKEGOOD_TIME_ZONE", "Europe/Berlin")


def january(account: str) -> list[Message]:
    """A customer whose paid January had an outage of two days."""
    upstream = Upstream(account, source=f"/upstream/{account}", begins="2026-01-01T09:00:00Z")
    return [
        upstream.account_registered(),
        upstream.subscription_registered(),
        upstream.cycle_started(starts_on="2026-01-01", ends_on="2026-02-01"),
        upstream.payment_captured(),
        upstream.outage_reported(began_at="2026-01-10T00:00:00Z"),
        upstream.outage_resolved(resolved_at="2026-01-12T00:00:00Z"),
    ]


def overcharge(account: str, found_at: str, amount: str = "10.00") -> Message:
    upstream = Upstream(account, source=f"/billing/{account}/{found_at}")
    return upstream.overcharge_confirmed(f"dis-{found_at}", amount=amount, time=found_at)


def net(rows: list[dict[str, Any]], kind: str) -> Decimal:
    return sum((Decimal(row["net"]) for row in rows if row["kind"] == kind), zero("EUR"))


@pytest.fixture
def january_closed(sandbox: Door, lines: Lines) -> Door:
    sandbox("advance", "2026-01-02T00:00:00Z")
    sandbox("ingest", lines(*january("acct-1"), *january("acct-2")))
    sandbox("advance", "2026-02-03T08:00:00Z")
    sandbox("period", "close", "2026-01", "--as", "felix")
    return sandbox


def test_january_stays_as_it_was_closed_and_the_late_fact_is_booked_in_february(
    january_closed: Door, lines: Lines
) -> None:
    door = january_closed
    [closed] = door.json("periods")
    assert (closed["period"], closed["status"], closed["closed_by"]) == ("2026-01", "closed", FELIX)
    assert net(closed["totals"], "granted") == Decimal("4.14")

    door("ingest", lines(overcharge("acct-1", "2026-01-25T10:00:00Z")))

    shown = door.json("period", "show", "2026-01")
    assert shown["recomputed"] is True
    assert {**shown, "recomputed": None} == {**closed, "cut_off": [], "differing": []}

    february = door.json("period", "show", "2026-02")
    assert (february["status"], february["closed_at"]) == ("open", None)
    assert net(february["totals"], "granted") == Decimal("10.00") - Decimal("0.67")
    assert february["late"] == february["totals"]
    late = [row for row in february["cut_off"] if row["clause"] == "billing_error" and row["kind"] == "granted"]
    assert [
        (row["account_id"], row["net"], row["occurred_in"], row["booked_in"], row["occurred_at"]) for row in late
    ] == [("acct-1", "10.00", "2026-01", "2026-02", "2026-01-25T10:00:00Z")]
    assert door.json("period", "cut-off", "2026-01")["rows"] == february["cut_off"]

    door("advance", "2026-03-01T00:00:00Z")
    closing_of_february = door.json("period", "close", "2026-02", "--as", "felix")
    assert closing_of_february["cut_off"] == february["cut_off"]
    assert net(closing_of_february["late"], "granted") == net(february["totals"], "granted")
    for month in ("2026-01", "2026-02"):
        assert door.json("period", "show", month)["recomputed"] is True


def test_a_cut_off_reports_totals_foot_with_its_rows_and_every_row_leads_to_its_event(
    january_closed: Door, lines: Lines
) -> None:
    door = january_closed
    door("ingest", lines(overcharge("acct-1", "2026-01-25T10:00:00Z"), overcharge("acct-2", "2026-01-26T10:00:00Z")))
    report = door.json("period", "cut-off", "2026-01")
    for total in report["totals"]:
        rows = [row for row in report["rows"] if row["kind"] == total["kind"]]
        assert (len(rows), net(rows, total["kind"])) == (total["count"], Decimal(total["net"]))
    assert sum(total["count"] for total in report["totals"]) == len(report["rows"]) > 0
    known = {entry["event_id"]: entry for account in ("acct-1", "acct-2") for entry in door.json("history", account)}
    for row in report["rows"]:
        entry = known[row["event_id"]]
        assert (entry["position"], entry["occurred_at"]) == (row["position"], row["occurred_at"])


def test_a_closed_month_is_not_closed_again_and_one_that_goes_on_is_not_closed(january_closed: Door) -> None:
    january_closed("period", "close", "2026-01", "--as", "ada", exits=1)
    assert january_closed.errors.startswith("makegood: 2026-01 was closed at 2026-")
    assert f" by {FELIX}; a closed month is never opened again" in january_closed.errors
    january_closed("period", "close", "2026-02", exits=1)
    assert "2026-02 ends at 2026-02-28T23:00:00Z, at midnight in Europe/Berlin" in january_closed.errors
    january_closed("period", "close", "2026-13", exits=64)
    assert "YYYY-MM" in january_closed.errors
    assert len(january_closed.json("periods")) == 1


def test_an_auditor_checks_the_manifest_with_the_tools_that_they_have(january_closed: Door, tmp_path: Path) -> None:
    file = tmp_path / "manifest.jsonl"
    january_closed("period", "show", "2026-01", "--manifest", str(file))
    [closed] = january_closed.json("periods")
    assert sha256(file.read_bytes()).hexdigest() == closed["sha256"]
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row["account_id"] for row in rows] == ["acct-1", "acct-2", "system"]
    assert len(rows) == closed["accounts"]
    assert sum(row["events"] for row in rows) == closed["events"]
    of_accounts = [total for row in rows for total in row["totals"]]
    for total in closed["totals"]:
        assert net(of_accounts, total["kind"]) == Decimal(total["net"])
    assert list(tmp_path.glob("*.partial")) == []
    january_closed("period", "show", "2026-01", "--manifest", str(tmp_path / "nowhere" / "file"), exits=1)
    assert "give another path" in january_closed.errors


def test_a_store_that_was_changed_past_makegood_does_not_prove_its_closed_month(january_closed: Door) -> None:
    with closing(connect(january_closed.store)) as database, database.writing() as transaction:
        [(envelope,)] = transaction.rows(
            "SELECT envelope FROM events WHERE account = ? AND type = ? ORDER BY position DESC LIMIT 1",
            ("acct-2", "claim-assessed.v2"),
        )
        changed = bytes(envelope).replace(b'"2.07"', b'"1.07"')
        assert changed != bytes(envelope)
        transaction.run("UPDATE events SET envelope = ? WHERE envelope = ?", (changed, envelope))
    shown = january_closed.json("period", "show", "2026-01", exits=2)
    assert shown["recomputed"] is False
    assert net(shown["totals"], "granted") == Decimal("4.14")
    assert [row for row in shown["differing"] if row["what"] == "totals: EUR service_disruption granted"] == [
        {
            "what": "totals: EUR service_disruption granted",
            "recorded": "count 2, net 4.14, tax 0.00",
            "recomputed": "count 2, net 3.14, tax 0.00",
        }
    ]
    said = january_closed("period", "show", "2026-01", exits=2)
    assert "Figures that do not follow from the events" in said


def test_a_month_in_words(january_closed: Door, lines: Lines) -> None:
    door = january_closed
    door("ingest", lines(overcharge("acct-1", "2026-01-25T10:00:00Z")))
    said = door("period", "show", "2026-01")
    assert f"by {FELIX}, with everything known up to position 0:" in said
    assert "by days in Europe/Berlin" in said
    assert "the figures follow from the events" in said
    assert "no movements in this month" in door("period", "show", "2025-12")
    assert "Booked here because their own month was closed" in door("period", "show", "2026-02")
    assert "Cut-off report for 2026-01" in door("period", "cut-off", "2026-01")
    assert "no movement of 2025-12 is booked in another month" in door("period", "cut-off", "2025-12")
    assert FELIX in door("periods")
    assert "The month 2026-01 was closed with everything known up to position" in door("history", "system")


def moved(door: Door, until: str) -> dict[tuple[str, str | None], tuple[int, Decimal]]:
    """What `makegood movements` says of the days from January on: by kind and clause, how often and how much, net."""
    asked = ("--by-occurrence", "--by", "clause,settlement", "--from", "2026-01-01", "--to", until)
    rows = door.json("movements", *asked)["rows"]
    return {(row["kind"], row["clause"]): (row["count"], Decimal(row["net"])) for row in rows}


def test_closed_months_and_movements_agree(january_closed: Door, lines: Lines) -> None:
    """A month without late facts is what moved on its days; with late facts the months together are."""
    door = january_closed
    [closed] = door.json("periods")
    of_january = {(each["kind"], each["clause"]): (each["count"], Decimal(each["net"])) for each in closed["totals"]}
    assert moved(door, "2026-01-31") == of_january
    door("ingest", lines(overcharge("acct-1", "2026-01-25T10:00:00Z"), overcharge("acct-2", "2026-02-04T10:00:00Z")))
    door("advance", "2026-03-01T00:00:00Z")
    door("period", "close", "2026-02")
    together: dict[tuple[str, str | None], tuple[int, Decimal]] = {}
    for month in door.json("periods"):
        for each in month["totals"]:
            count, amount = together.get((each["kind"], each["clause"]), (0, Decimal(0)))
            together[each["kind"], each["clause"]] = count + each["count"], amount + Decimal(each["net"])
    assert moved(door, "2026-02-28") == together
    assert moved(door, "2026-01-31") != of_january
