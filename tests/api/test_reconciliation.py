"""Reconciliation over HTTP: finance sends the processor's file, and settles what it shows."""

from __future__ import annotations

from typing import Any

from tests.api.desk import Desk
from tests.ledger.messages import Upstream

HEADING = "reference,amount,currency,date,status\n"
OUTSIDE = f"{HEADING}re-9,30.00,EUR,2026-03-10,succeeded\n"


def reconcile(desk: Desk, csv: str = OUTSIDE, **days: str) -> dict[str, Any]:
    desk.house.projections.catch_up()
    answer = desk.post("felix", "/reconciliations", {"csv": csv, **days})
    assert answer.status_code == 200, answer.text
    desk.house.projections.catch_up()
    return answer.json()


def test_a_file_is_reconciled_and_its_discrepancy_settled(desk: Desk) -> None:
    found = reconcile(desk)
    [unknown] = found["unknown_here"]
    assert (unknown["found_by"], unknown["there"]["reference"]) == ("felix", "re-9")
    for reader in ("felix", "ada", "otto"):
        assert desk.get(reader, "/discrepancies").json() == [unknown]
    path = f"/discrepancies/{unknown['discrepancy_id']}/settle"
    reason = {"reason": "Zoë was paid for her phone"}
    assert desk.post("felix", path, reason).status_code == 400
    first = desk.post("felix", path, reason, key="k-1")
    assert (first.status_code, first.json()) == (
        200,
        {"discrepancy_id": unknown["discrepancy_id"], "outcome": "settled"},
    )
    again = desk.post("felix", path, reason, key="k-1")
    assert (again.status_code, again.json()) == (200, first.json())
    assert desk.post("felix", path, {"reason": "other"}, key="k-1").status_code == 422
    other = desk.post("felix", path, reason, key="k-2")
    assert (other.status_code, "was settled already, by felix" in other.json()["detail"]) == (409, True)
    desk.house.projections.catch_up()
    assert desk.get("otto", "/discrepancies").json() == []
    [settled] = desk.get("otto", "/discrepancies?all=true").json()
    assert (settled["settled_by"], settled["matched"]) == ("felix", False)
    [stored] = [e for e in desk.books.stored("system") if e["type"] == "discrepancy-settled.v1"]
    assert desk.said_in(stored) == reason


def test_the_same_file_again_changes_nothing_and_is_answered_alike(quick_desk: Desk) -> None:
    first = reconcile(quick_desk)
    recorded = quick_desk.books.stored("system")
    assert reconcile(quick_desk) == first
    assert quick_desk.books.stored("system") == recorded


def test_a_period_is_asked_for_with_a_file_that_lists_nothing(quick_desk: Desk) -> None:
    says = Upstream("acct-1", source="/processor")
    quick_desk.books.take(
        [
            Upstream("acct-1", source="/billing").overcharge_confirmed(amount="10.00"),
            says.refund_succeeded("refund/billing-error/dis-1/1", succeeded_at="2026-03-14T10:00:00Z"),
        ]
    )
    found = reconcile(quick_desk, HEADING, **{"from": "2026-03-01", "to": "2026-03-31"})
    [missing] = found["missing_there"]
    assert (missing["account_id"], missing["refund_id"], missing["return_id"]) == (
        "acct-1",
        "refund/billing-error/dis-1/1",
        None,
    )
    assert missing["here"]["reference"] == "psp-77"
    assert reconcile(quick_desk, HEADING, **{"from": "2026-04-01", "to": "2026-04-30"})["missing_there"] == []


def test_a_file_that_is_none_is_refused(quick_desk: Desk) -> None:
    for body, said in (
        ({"csv": "name,amount\nZoë,1.00\n"}, "line 1: the heading lacks the column"),
        ({"csv": HEADING}, "the file lists no refund"),
        ({"csv": OUTSIDE, "from": "2026-04-01", "to": "2026-03-01"}, "ends before it begins"),
        ({"csv": OUTSIDE, "from": "soon"}, "date"),
        ({"csv": OUTSIDE, "sheet": 1}, "unknown field"),
    ):
        answer = quick_desk.post("felix", "/reconciliations", body)
        assert (answer.status_code, said in answer.text) == (422, True), answer.text
        assert "Zoë" not in answer.text
    assert [e for e in quick_desk.books.stored("system") if e["type"] == "file-reconciled.v1"] == []


def test_what_was_recorded_and_is_not_folded_yet_is_waited_for(quick_desk: Desk) -> None:
    quick_desk.books.take([Upstream("acct-1", source="/late").charge_posted("chg-9")])
    assert quick_desk.post("felix", "/reconciliations", {"csv": OUTSIDE}).status_code == 503
