"""Ids that people choose, those that Makegood makes, and those of upstream do not get in each other's way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.desk import Desk
from tests.ledger.messages import Message, Upstream

ACCOUNT = "/accounts/acct-1"
OUTAGE = {"subscription_id": "sub-1", "began_at": "2026-03-13T00:00:00Z", "severity": "significant"}
DISPUTE = {"charge_id": "cyc-1", "claimed": "1.00", "currency": "EUR"}
OPENED: dict[str, tuple[str, dict[str, Any], str]] = {
    "outage": ("outages", OUTAGE, "outage_id"),
    "dispute": ("disputes", DISPUTE, "dispute_id"),
    "complaint": ("complaints", {"category": "quality"}, "complaint_id"),
}
"""Where customers open something, with which body, and the field of its id."""
GOODWILL = ("complaints/com-0/goodwill", {"amount": "5.00", "currency": "EUR"}, "credit_id")


def told(desk: Desk, *messages: Message) -> None:
    """Upstream says it, and the rows show it."""
    assert desk.books.take(messages).refused == []
    desk.house.projections.catch_up()


def test_a_customers_report_cannot_stand_before_the_providers_own(desk: Desk) -> None:
    """The customer knows the provider's ticket number and is faster; the provider's finding decides all the same."""
    squatting = desk.post("zoe", f"{ACCOUNT}/outages", OUTAGE | {"outage_id": "out-77"}, key="k-1")
    assert (squatting.status_code, [e["field"] for e in squatting.json()["errors"]]) == (422, ["outage_id"])
    assert desk.facts() == []
    reported = desk.post("zoe", f"{ACCOUNT}/outages", OUTAGE, key="k-1").json()["ids"]["outage_id"]

    upstream = Upstream(source="/monitoring", begins="2026-03-15T13:00:00Z")
    began = OUTAGE["began_at"]
    told(
        desk,
        upstream.outage_reported("out-77", began_at=began, cause="customer_equipment"),
        upstream.outage_resolved("out-77", resolved_at="2026-03-16T00:00:00Z"),
        upstream.outage_resolved(reported, resolved_at=began),
    )
    assert desk.get("anna", "/alarms").json() == []
    [claim] = desk.get("zoe", "/claims").json()
    assert (claim["claim_id"], claim["outcome"], claim["reason"]) == (
        "disruption/cyc-1",
        "declined",
        "excluded_cause",
    )


@pytest.mark.parametrize(("path", "body", "field"), OPENED.values(), ids=OPENED)
@pytest.mark.parametrize("preview", ["", "?preview=true"])
def test_a_customer_chooses_no_id(
    quick_desk: Desk, path: str, body: dict[str, Any], field: str, preview: str
) -> None:
    for chosen in ("mine", "out-77", "mg-outage-1"):
        refused = quick_desk.post("zoe", f"{ACCOUNT}/{path}{preview}", body | {field: chosen}, key="k-1")
        assert (refused.status_code, [e["field"] for e in refused.json()["errors"]]) == (422, [field])
        assert "leave this out" in refused.json()["errors"][0]["reason"]
    assert quick_desk.facts() == []


@pytest.mark.parametrize(("path", "body", "field"), [*OPENED.values(), GOODWILL], ids=[*OPENED, "goodwill"])
def test_an_id_that_is_made_has_a_form_of_its_own(
    quick_desk: Desk, path: str, body: dict[str, Any], field: str
) -> None:
    told(quick_desk, Upstream(source="/x").complaint_opened("com-0"))
    kind = "goodwill" if field == "credit_id" else field.removesuffix("_id")
    chosen = quick_desk.post("anna", f"{ACCOUNT}/{path}", body | {field: f"mg-{kind}-1"}, key="k-1")
    assert (chosen.status_code, [e["field"] for e in chosen.json()["errors"]]) == (422, [field])
    made = quick_desk.post("anna", f"{ACCOUNT}/{path}", body, key="k-1")
    assert made.json()["ids"][field].startswith(f"mg-{kind}-")
    assert quick_desk.post("anna", f"{ACCOUNT}/{path}", body, key="k-1").content == made.content


def test_a_preview_shows_the_id_that_its_key_makes_and_a_placeholder_without_one(quick_desk: Desk) -> None:
    desk, path = quick_desk, f"{ACCOUNT}/disputes"
    [without] = desk.post("zoe", f"{path}?preview=true", DISPUTE).json()["changes"]
    assert without["claim_id"] == "billing-error/mg-dispute-preview"
    [previewed] = desk.post("zoe", f"{path}?preview=true", DISPUTE, key="k-1").json()["changes"]
    made = desk.post("zoe", path, DISPUTE, key="k-1").json()["ids"]["dispute_id"]
    assert previewed["claim_id"] == f"billing-error/{made}"
    assert desk.post("zoe", f"{path}?preview=true", DISPUTE, key="k-1").json()["changes"] == [], "it is done already"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("outages", OUTAGE | {"outage_id": "out-77"}, "outage_reported"),
        ("outages", OUTAGE | {"outage_id": "out-77"}, "outage_resolved"),
        ("outages", OUTAGE | {"outage_id": "out-77"}, "outage_reopened"),
        ("disputes", DISPUTE | {"dispute_id": "out-77"}, "billing_error_reported"),
        ("disputes", DISPUTE | {"dispute_id": "out-77"}, "overcharge_confirmed"),
        ("disputes", DISPUTE | {"dispute_id": "out-77"}, "overcharge_rejected"),
        ("complaints", {"category": "quality", "complaint_id": "out-77"}, "complaint_opened"),
        ("complaints", {"category": "quality", "complaint_id": "out-77"}, "complaint_resolved"),
    ],
)
@pytest.mark.parametrize("retracted", [False, True])
def test_staff_may_choose_an_id_and_are_told_if_upstream_knows_it(
    desk: Desk, path: str, body: dict[str, Any], message: str, retracted: bool
) -> None:
    """A resolution or a verdict may come before its report, and a retraction may be retracted."""
    upstream = Upstream(source="/monitoring")
    said = getattr(upstream, message)("out-77")
    told(desk, said, *([upstream.fact_retracted(said)] if retracted else []))
    content = desk.books.content()
    refused = desk.post("anna", f"{ACCOUNT}/{path}", body, key="k-1")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:makegood:problem:conflict")
    assert "/monitoring" in refused.json()["detail"]
    assert desk.books.content() == content
    free = {name: "out-78" if value == "out-77" else value for name, value in body.items()}
    assert desk.post("anna", f"{ACCOUNT}/{path}", free, key="k-1").status_code == 201


def test_upstream_decides_about_what_was_reported_at_the_door_and_reports_nothing_under_its_id(desk: Desk) -> None:
    made = {
        kind: desk.post("zoe", f"{ACCOUNT}/{path}", body, key=kind).json()["ids"][field]
        for kind, (path, body, field) in OPENED.items()
    }
    upstream = Upstream(source="/billing")
    taken = desk.books.take(
        [
            upstream.outage_resolved(made["outage"], resolved_at="2026-03-14T00:00:00Z"),
            upstream.outage_reopened(made["outage"]),
            upstream.overcharge_confirmed(made["dispute"], amount="1.00"),
            upstream.complaint_resolved(made["complaint"]),
            upstream.complaint_reopened(made["complaint"]),
            upstream.outage_reported(made["outage"]),
            upstream.billing_error_reported(made["dispute"]),
            upstream.complaint_opened(made["complaint"]),
        ]
    )
    assert taken.accepted == 5
    assert [(refusal.field, refusal.account) for refusal in taken.refused] == [
        ("data.outage_id", "acct-1"),
        ("data.dispute_id", "acct-1"),
        ("data.complaint_id", "acct-1"),
    ]
    desk.house.projections.catch_up()
    kept = desk.get("paula", "/dead-letters").json()
    assert {letter["reason"] for letter in kept} == {
        "ids that begin with mg- are made by Makegood: send an id of your own"
    }
