"""Months over HTTP: finance closes them, once; finance, approvers and auditors read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from makegood.api import periods
from tests.api.desk import Desk
from tests.ledger.messages import Upstream


@pytest.fixture
def april(desk: Desk) -> Desk:
    """In April; both customers' March had an outage."""
    for account in ("acct-1", "acct-2"):
        upstream = Upstream(account, source=f"/monitoring/{account}")
        desk.books.take([upstream.outage_reported(), upstream.outage_resolved()])
    desk.books.clock.at = datetime(2026, 4, 2, tzinfo=UTC)
    desk.house.projections.catch_up()
    return desk


def test_finance_closes_a_month_and_its_figures_are_worked_out_anew_for_whoever_asks(april: Desk) -> None:
    before = april.get("ada", "/periods/2026-03").json()
    assert (before["status"], before["closed_at"], before["cut_off"]) == ("open", None, [])
    answer = april.post("felix", "/periods/2026-03/close", key="k-1")
    assert answer.status_code == 201, answer.text
    closed = answer.json()
    assert (closed["status"], closed["closed_by"], closed["recomputed"]) == ("closed", "felix", True)
    assert {name: closed[name] for name in ("totals", "sha256", "position")} == {
        name: before[name] for name in ("totals", "sha256", "position")
    }
    assert april.woken
    april.house.projections.catch_up()
    for who in ("felix", "ada", "otto"):
        assert april.get(who, "/periods/2026-03").json() == closed
        [row] = april.get(who, "/periods").json()
        assert row["totals"] == closed["totals"]
    position = answer.headers["Makegood-Position"]
    assert april.get("felix", "/periods", **{"Makegood-Wait-For": position}).status_code == 200
    entry = april.get("otto", "/accounts/system/history").json()[-1]
    assert (entry["position"], entry["name"], entry["actor"]) == (position, "PeriodClosed", "felix")


def test_a_request_that_is_sent_again_is_answered_alike_and_another_is_told_what_stands(april: Desk) -> None:
    first = april.post("felix", "/periods/2026-03/close", {}, key="k-1")
    again = april.post("felix", "/periods/2026-03/close", key="k-1")
    assert (again.status_code, again.json()) == (201, first.json())
    other = april.post("felix", "/periods/2026-03/close", key="k-2")
    assert other.status_code == 409
    assert f"2026-03 was closed at {first.json()['closed_at']} by felix" in other.json()["detail"]
    reused = april.post("felix", "/periods/2026-02/close", key="k-1")
    assert (reused.status_code, reused.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    types = [envelope.type for envelope in april.books.envelopes()]
    assert types.count("period-closed.v1") == 1


@pytest.mark.parametrize(
    ("path", "key", "body", "status"),
    [
        ("/periods/2026-04/close", "k-1", None, 409),
        ("/periods/2026-3/close", "k-1", None, 422),
        ("/periods/2026-00/close", "k-1", None, 422),
        ("/periods/2026-03/close", None, None, 400),
        ("/periods/2026-03/close", "k/1", None, 400),
        ("/periods/2026-03/close", "k-1", {"force": True}, 422),
    ],
)
def test_what_is_no_closing_is_refused_with_what_to_do(
    april: Desk, path: str, key: str | None, body: object, status: int
) -> None:
    answer = april.post("felix", path, body, key=key)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if status == 409:
        assert "2026-04 ends at 2026-05-01T00:00:00Z" in answer.json()["detail"]
    assert "period-closed.v1" not in [envelope.type for envelope in april.books.envelopes()]


def test_the_cut_off_report_is_a_question_too(april: Desk) -> None:
    april.post("felix", "/periods/2026-03/close", key="k-1")
    late = Upstream("acct-1", source="/billing").overcharge_confirmed(time="2026-03-20T10:00:00Z")
    april.books.take([late])
    report = april.get("otto", "/periods/2026-03/cut-off").json()
    assert {(row["account_id"], row["occurred_in"], row["booked_in"]) for row in report["rows"]} == {
        ("acct-1", "2026-03", "2026-04")
    }
    assert april.get("otto", "/periods/2026-04").json()["cut_off"] == report["rows"]
    assert sum(total["count"] for total in report["totals"]) == len(report["rows"])


def test_one_month_at_a_time_is_worked_out(april: Desk) -> None:
    with periods.alone():
        for path in ("/periods/2026-03", "/periods/2026-03/cut-off"):
            answer = april.get("felix", path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert april.post("felix", "/periods/2026-03/close", key="k-1").status_code == 503
        assert april.get("felix", "/periods").status_code == 200
    assert april.post("felix", "/periods/2026-03/close", key="k-1").status_code == 201
