"""What people instruct becomes exactly its message, once, and is answered by what is stored."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.upstream import known_at_the_door, read_act
from ledger.application.access import grant
from ledger.application.acts import By
from ledger.application.record import take
from ledger.events import Grant
from ledger.events.event_ids import message_event_id
from tests.api.desk import NOW, Desk
from tests.ledger.books import killed
from tests.ledger.messages import Upstream
from tests.ledger.test_store import answer_lost
from tests.search import sample

NOW_TEXT = "2026-03-15T12:00:00Z"
ACCOUNT = "/accounts/acct-1"
SUBSCRIPTION = f"{ACCOUNT}/subscriptions/sub-1"


@dataclass
class Case:
    """Who says what where, and the fact that it must become."""

    who: str
    path: str
    body: dict[str, Any] | None
    fact: str
    data: dict[str, Any]
    sealed: dict[str, Any] | None = None
    before: list[str] = field(default_factory=list)
    """What upstream must have said: names of methods of Upstream."""


CASES = {
    "a customer cancels": Case(
        "zoe",
        f"{SUBSCRIPTION}/cancel",
        {"reason": "moving", "keep_service": True},
        "cancellation-requested.v1",
        {"subscription_id": "sub-1", "requested_at": NOW_TEXT, "channel": "portal", "keep_service": True},
        {"reason": "moving"},
    ),
    "support cancels as of yesterday": Case(
        "anna",
        f"{SUBSCRIPTION}/cancel",
        {"requested_at": "2026-03-14T10:00:00+01:00"},
        "cancellation-requested.v1",
        {
            "subscription_id": "sub-1",
            "requested_at": "2026-03-14T09:00:00Z",
            "channel": "support",
            "keep_service": False,
        },
    ),
    "a customer cancels and says nothing": Case(
        "zoe",
        f"{SUBSCRIPTION}/cancel",
        None,
        "cancellation-requested.v1",
        {"subscription_id": "sub-1", "requested_at": NOW_TEXT, "channel": "portal", "keep_service": False},
    ),
    "a cancellation is withdrawn": Case(
        "zoe",
        f"{SUBSCRIPTION}/withdraw-cancellation",
        {},
        "cancellation-withdrawn.v1",
        {"subscription_id": "sub-1", "withdrawn_at": NOW_TEXT},
    ),
    "suspended": Case(
        "paula",
        f"{SUBSCRIPTION}/suspend",
        {"reason": "non_payment", "suspended_at": "2026-03-10T00:00:00Z"},
        "subscription-suspended.v1",
        {"subscription_id": "sub-1", "suspended_at": "2026-03-10T00:00:00Z", "reason": "non_payment"},
    ),
    "reinstated": Case(
        "paula",
        f"{SUBSCRIPTION}/reinstate",
        None,
        "subscription-reinstated.v1",
        {"subscription_id": "sub-1", "reinstated_at": NOW_TEXT},
    ),
    "terminated": Case(
        "paula",
        f"{SUBSCRIPTION}/terminate",
        {"reason": "misuse"},
        "subscription-terminated.v1",
        {"subscription_id": "sub-1", "terminated_at": NOW_TEXT, "reason": "misuse"},
    ),
    "a customer reports an outage": Case(
        "zoe",
        f"{ACCOUNT}/outages",
        {
            "subscription_id": "sub-1",
            "began_at": "2026-03-15T08:00:00Z",
            "severity": "significant",
        },
        "outage-reported.v1",
        {
            "outage_id": "mg-outage-d5bd2fdd6c2f8d22e971",
            "subscription_id": "sub-1",
            "began_at": "2026-03-15T08:00:00Z",
            "reported_at": NOW_TEXT,
            "severity": "significant",
            "cause": "unknown",
            "channel": "portal",
        },
    ),
    "provisioning reports an outage": Case(
        "paula",
        f"{ACCOUNT}/outages",
        {
            "outage_id": "out-9",
            "subscription_id": "sub-1",
            "began_at": "2026-03-12T08:00:00Z",
            "reported_at": "2026-03-12T09:00:00Z",
            "severity": "minor",
            "cause": "provider",
        },
        "outage-reported.v1",
        {
            "outage_id": "out-9",
            "subscription_id": "sub-1",
            "began_at": "2026-03-12T08:00:00Z",
            "reported_at": "2026-03-12T09:00:00Z",
            "severity": "minor",
            "cause": "provider",
            "channel": None,
        },
    ),
    "an outage is resolved": Case(
        "paula",
        f"{ACCOUNT}/outages/out-1/resolve",
        {"subscription_id": "sub-1", "resolved_at": "2026-03-12T00:00:00Z"},
        "outage-resolved.v1",
        {"outage_id": "out-1", "subscription_id": "sub-1", "resolved_at": "2026-03-12T00:00:00Z"},
        before=["outage_reported"],
    ),
    "an outage is reopened": Case(
        "paula",
        f"{ACCOUNT}/outages/out-1/reopen",
        {"subscription_id": "sub-1"},
        "outage-reopened.v1",
        {"outage_id": "out-1", "subscription_id": "sub-1"},
        before=["outage_reported", "outage_resolved"],
    ),
    "a customer disputes a charge": Case(
        "zoe",
        f"{ACCOUNT}/disputes",
        {"charge_id": "cyc-1", "claimed": "10.5", "currency": "EUR", "description": "twice"},
        "billing-error-reported.v1",
        {
            "dispute_id": "mg-dispute-d7d92e7ec10288c981ba",
            "charge_id": "cyc-1",
            "claimed": "10.50",
            "currency": "EUR",
            "reported_at": NOW_TEXT,
        },
        {"description": "twice"},
    ),
    "a dispute is confirmed": Case(
        "felix",
        f"{ACCOUNT}/disputes/dis-1/confirm",
        {"charge_id": "cyc-1", "amount": "3.10", "currency": "EUR", "settle_as": "credit"},
        "overcharge-confirmed.v1",
        {"dispute_id": "dis-1", "charge_id": "cyc-1", "amount": "3.10", "currency": "EUR", "settle_as": "credit"},
    ),
    "a dispute is rejected": Case(
        "felix",
        f"{ACCOUNT}/disputes/dis-1/reject",
        {"charge_id": "cyc-1", "reason": "the plan changed"},
        "overcharge-rejected.v1",
        {"dispute_id": "dis-1", "charge_id": "cyc-1"},
        {"reason": "the plan changed"},
        before=["billing_error_reported"],
    ),
    "a customer complains": Case(
        "zoe",
        f"{ACCOUNT}/complaints",
        {"subscription_id": "sub-1", "category": "quality", "description": "it crackles"},
        "complaint-opened.v2",
        {
            "complaint_id": "mg-complaint-86ad3f21bd2c1e8f0b91",
            "subscription_id": "sub-1",
            "channel": "portal",
            "category": "quality",
        },
        {"description": "it crackles"},
    ),
    "support opens a complaint that came by telephone": Case(
        "anna",
        f"{ACCOUNT}/complaints",
        {"complaint_id": "com-9", "category": "billing", "channel": "telephone"},
        "complaint-opened.v2",
        {"complaint_id": "com-9", "subscription_id": None, "channel": "telephone", "category": "billing"},
    ),
    "a complaint is resolved": Case(
        "anna",
        f"{ACCOUNT}/complaints/com-1/resolve",
        {"resolution": "explained"},
        "complaint-resolved.v2",
        {"complaint_id": "com-1", "resolution_code": "explained"},
        {"resolution": "explained"},
        before=["complaint_opened"],
    ),
    "a customer reopens a complaint": Case(
        "zoe",
        f"{ACCOUNT}/complaints/com-1/reopen",
        {"reason": "it crackles again"},
        "complaint-reopened.v1",
        {"complaint_id": "com-1"},
        {"reason": "it crackles again"},
        before=["complaint_opened", "complaint_resolved"],
    ),
    "a note": Case(
        "anna",
        f"{ACCOUNT}/complaints/com-1/notes",
        {"note": "called back, nobody answered"},
        "complaint-noted.v1",
        {"complaint_id": "com-1"},
        {"note": "called back, nobody answered"},
        before=["complaint_opened"],
    ),
    "a link": Case(
        "anna",
        f"{ACCOUNT}/complaints/com-1/links",
        {"kind": "outage", "linked_id": "out-1"},
        "complaint-linked.v1",
        {"complaint_id": "com-1", "kind": "outage", "linked_id": "out-1"},
        before=["complaint_opened", "outage_reported"],
    ),
    "a goodwill credit is proposed": Case(
        "anna",
        f"{ACCOUNT}/complaints/com-1/goodwill",
        {"credit_id": "gw-1", "amount": "5", "currency": "EUR", "subscription_id": "sub-1", "reason": "sorry"},
        "goodwill-proposed.v1",
        {
            "credit_id": "gw-1",
            "complaint_id": "com-1",
            "subscription_id": "sub-1",
            "amount": "5.00",
            "currency": "EUR",
            "proposed_by": "anna",
        },
        {"reason": "sorry"},
        before=["complaint_opened"],
    ),
    "a goodwill credit is approved": Case(
        "ada",
        f"{ACCOUNT}/goodwill/gw-0/approve",
        None,
        "goodwill-approved.v1",
        {"credit_id": "gw-0", "decided_by": "ada"},
        before=["complaint_opened", "goodwill_proposed"],
    ),
    "a goodwill credit is rejected": Case(
        "ada",
        f"{ACCOUNT}/goodwill/gw-0/reject",
        {"reason": "made good already"},
        "goodwill-rejected.v1",
        {"credit_id": "gw-0", "decided_by": "ada"},
        {"reason": "made good already"},
        before=["complaint_opened", "goodwill_proposed"],
    ),
}


def prepare(desk: Desk, case: Case) -> None:
    upstream = Upstream(source="/upstream/before")
    for name in case.before:
        if name == "goodwill_proposed":
            proposed(desk, "gw-0", by="somebody")
            continue
        assert desk.books.take([getattr(upstream, name)()]).accepted == 1


def proposed(desk: Desk, credit_id: str, *, by: str) -> None:
    """A goodwill credit was proposed by way of another door."""
    body = {
        "specversion": "1.0",
        "id": f"propose/{credit_id}",
        "source": "/elsewhere",
        "type": "makegood.goodwill.proposed.v1",
        "subject": "acct-1",
        "time": "2026-03-14T00:00:00Z",
        "data": {
            "credit_id": credit_id,
            "complaint_id": "com-1",
            "amount": "5.00",
            "currency": "EUR",
            "proposed_by": by,
        },
    }
    item = read_act(
        json.dumps(body).encode(), actor=by, channel="elsewhere", origin="story", known=known_at_the_door()
    )
    assert take(desk.books.ledger, [item]).accepted == 1


class TestEveryRoute:
    """Each becomes one message of its type, with whoever gave it as actor."""

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_it_becomes_exactly_its_fact(self, quick_desk: Desk, case: Case) -> None:
        desk = quick_desk
        prepare(desk, case)
        answer = desk.post(case.who, case.path, case.body, key="k-1")
        assert answer.status_code == 201, answer.text
        [fact] = desk.facts()
        said = {name: value for name, value in fact["data"].items() if name not in ("message", "sealed")}
        assert (fact["type"], said) == (case.fact, case.data)
        assert fact["data"]["message"] == {"source": "/makegood/http", "id": f"k-1/{case.who}", "time": NOW_TEXT}
        assert (fact["actor"], fact["channel"]) == (case.who, "http")
        assert (desk.said_in(fact) if fact["data"]["sealed"] else None) == case.sealed
        assert answer.json()["event_id"] == fact["event_id"] == message_event_id("/makegood/http", f"k-1/{case.who}")
        assert desk.woken == [None]

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_sent_again_it_has_the_same_answer_and_nothing_happens(self, quick_desk: Desk, case: Case) -> None:
        desk = quick_desk
        prepare(desk, case)
        first = desk.post(case.who, case.path, case.body, key="k-1")
        content = desk.books.content()
        desk.books.clock.at = NOW.replace(hour=18)
        again = desk.post(case.who, case.path, case.body, key="k-1")
        assert (again.status_code, again.content) == (201, first.content)
        assert {**again.headers, "date": ""} == {**first.headers, "date": ""}
        assert desk.books.content() == content
        assert desk.woken == [None]

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_a_preview_says_what_it_would_change_and_records_nothing(self, quick_desk: Desk, case: Case) -> None:
        desk = quick_desk
        prepare(desk, case)
        content = desk.books.content()
        previewed = desk.post(case.who, f"{case.path}?preview=true", case.body, key="k-1")
        assert previewed.status_code == 200, previewed.text
        assert desk.books.content() == content
        assert desk.woken == []
        recorded = desk.post(case.who, case.path, case.body, key="k-1").json()
        would = {
            (change["claim_id"], (change["after"] or {}).get("outcome"), (change["after"] or {}).get("amount"))
            for change in previewed.json()["changes"]
        }
        became = {(d["claim_id"], d["outcome"], d["amount"]) for d in recorded["decided"] if d["claim_id"]}
        assert would == became
        assert bool(previewed.json()["unchanged_because"]) == (not previewed.json()["changes"])

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_it_is_refused_to_whoever_may_not(self, quick_desk: Desk, case: Case) -> None:
        """Of another's account a customer is told what they are told of one that does not exist."""
        desk = quick_desk
        prepare(desk, case)
        content = desk.books.content()
        for who in ("otto", "olga", "mallory"):
            refused = desk.post(who, case.path, case.body, key="k-1")
            other = desk.post(who, case.path.replace("acct-1", "acct-404"), case.body, key="k-1")
            assert refused.status_code == other.status_code in (403, 404), refused.text
            assert refused.json()["detail"] == other.json()["detail"]
        assert desk.books.content() == content

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_without_a_key_it_is_told_that_it_needs_one(self, quick_desk: Desk, case: Case) -> None:
        prepare(quick_desk, case)
        refused = quick_desk.post(case.who, case.path, case.body)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == "Idempotency-Key"
        assert quick_desk.facts() == []

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_about_an_account_that_nobody_knows_it_is_404(self, quick_desk: Desk, case: Case) -> None:
        content = quick_desk.books.content()
        who = "anna" if case.who == "zoe" else case.who
        for account in ("acct-404", "system", "a%00b", "x" * 129):
            path = case.path.replace("acct-1", account)
            assert quick_desk.post(who, path, case.body, key="k-1").status_code == 404
        assert quick_desk.books.content() == content

    @pytest.mark.parametrize(
        ("who", "path", "body", "status", "named"),
        [
            ("zoe", f"{ACCOUNT}/subscriptions/sub-404/cancel", {}, 404, None),
            ("paula", f"{ACCOUNT}/outages/out-404/resolve", {"subscription_id": "sub-1"}, 404, None),
            ("felix", f"{ACCOUNT}/disputes/dis-404/reject", {"charge_id": "cyc-1", "reason": "x"}, 404, None),
            ("anna", f"{ACCOUNT}/complaints/com-404/resolve", {"resolution": "explained"}, 404, None),
            (
                "zoe",
                f"{ACCOUNT}/outages",
                {"subscription_id": "sub-404", "began_at": NOW_TEXT, "severity": "minor"},
                422,
                "subscription_id",
            ),
            (
                "zoe",
                f"{ACCOUNT}/outages",
                {
                    "subscription_id": "sub-1",
                    "began_at": NOW_TEXT,
                    "severity": "minor",
                    "complaint_id": "com-404",
                },
                422,
                "complaint_id",
            ),
            (
                "zoe",
                f"{ACCOUNT}/disputes",
                {"charge_id": "cyc-404", "claimed": "1.00", "currency": "EUR"},
                422,
                "charge_id",
            ),
            (
                "felix",
                f"{ACCOUNT}/disputes/found-by-us/confirm",
                {"charge_id": "cyc-404", "amount": "1.00", "currency": "EUR"},
                422,
                "charge_id",
            ),
            ("zoe", f"{ACCOUNT}/complaints", {"category": "x", "subscription_id": "sub-404"}, 422, "subscription_id"),
        ],
    )
    def test_what_the_account_does_not_know_is_no_fact_that_waits_for_ever(
        self, quick_desk: Desk, who: str, path: str, body: dict[str, Any], status: int, named: str | None
    ) -> None:
        content = quick_desk.books.content()
        for preview in ("", "?preview=true"):
            refused = quick_desk.post(who, path + preview, body, key="k-1")
            assert refused.status_code == status
            assert [e["field"] for e in refused.json().get("errors", [])] == ([named] if named else [])
        assert quick_desk.books.content() == content

    def test_an_outage_of_another_subscription_is_not_resolved(self, quick_desk: Desk) -> None:
        upstream = Upstream(source="/more")
        quick_desk.books.take([upstream.subscription_registered("sub-2"), upstream.outage_reported()])
        refused = quick_desk.post(
            "paula", f"{ACCOUNT}/outages/out-1/resolve", {"subscription_id": "sub-2"}, key="k-1"
        )
        assert refused.json()["errors"][0]["field"] == "subscription_id"

    def test_ids_that_are_left_out_are_made_from_caller_and_key(self, quick_desk: Desk) -> None:
        desk = quick_desk
        asked = {"category": "quality"}
        [one, again, other_key, other_caller] = [
            desk.post(who, f"{ACCOUNT}/complaints", asked, key=key).json()["ids"]["complaint_id"]
            for who, key in (("zoe", "k-1"), ("zoe", "k-1"), ("zoe", "k-2"), ("anna", "k-1"))
        ]
        assert one == again
        assert len({one, other_key, other_caller}) == 3
        assert one.startswith("mg-complaint-")
        desk.house.projections.catch_up()
        assert {row["complaint_id"] for row in desk.get("zoe", "/complaints").json()} == {
            one,
            other_key,
            other_caller,
        }

    @pytest.mark.parametrize(
        ("path", "body", "name"),
        [
            ("outages", {"subscription_id": "sub-1", "began_at": NOW_TEXT, "severity": "minor"}, "outage_id"),
            ("disputes", {"charge_id": "cyc-1", "claimed": "1.00", "currency": "EUR"}, "dispute_id"),
            ("complaints", {"category": "quality"}, "complaint_id"),
            ("complaints/com-1/goodwill", {"amount": "5.00", "currency": "EUR"}, "credit_id"),
        ],
    )
    def test_an_id_that_is_taken_is_told_and_not_recorded_as_a_contradiction(
        self, quick_desk: Desk, path: str, body: dict[str, Any], name: str
    ) -> None:
        desk = quick_desk
        desk.books.take([Upstream(source="/x").complaint_opened()])
        body = body | {name: "mine"}
        first = desk.post("anna", f"{ACCOUNT}/{path}", body, key="k-1")
        assert first.status_code == 201
        content = desk.books.content()
        taken = desk.post("anna", f"{ACCOUNT}/{path}", body, key="k-2")
        assert (taken.status_code, taken.json()["type"]) == (409, "urn:makegood:problem:conflict")
        assert desk.post("anna", f"{ACCOUNT}/{path}", body, key="k-1").content == first.content
        assert desk.books.content() == content

    @pytest.mark.parametrize(
        ("who", "path", "body"),
        [
            ("zoe", "disputes", {"charge_id": "cyc-1", "claimed": "1.00"}),
            ("felix", "disputes/dis-1/confirm", {"charge_id": "cyc-1", "amount": "1.00"}),
            ("anna", "complaints/com-1/goodwill", {"amount": "5.00"}),
        ],
    )
    def test_an_amount_in_another_currency_is_told_and_not_left_to_an_alarm(
        self, quick_desk: Desk, who: str, path: str, body: dict[str, Any]
    ) -> None:
        desk = quick_desk
        desk.books.take([Upstream(source="/x").complaint_opened()])
        content = desk.books.content()
        foreign = desk.post(who, f"{ACCOUNT}/{path}", body | {"currency": "USD"}, key="k-1")
        assert (foreign.status_code, [e["field"] for e in foreign.json()["errors"]]) == (422, ["currency"])
        assert desk.books.content() == content
        assert desk.post(who, f"{ACCOUNT}/{path}", body | {"currency": "EUR"}, key="k-1").status_code == 201

    def test_the_answer_says_what_was_decided(self, quick_desk: Desk) -> None:
        desk = quick_desk
        confirmed = desk.post(
            "felix",
            f"{ACCOUNT}/disputes/dis-1/confirm",
            {"charge_id": "cyc-1", "amount": "3.10", "currency": "EUR"},
            key="k-1",
        )
        body = confirmed.json()
        [claim] = body["decided"]
        assert (claim["claim_id"], claim["outcome"], claim["amount"], claim["tax"], claim["currency"]) == (
            "billing-error/dis-1",
            "granted",
            "3.10",
            "0.00",
            "EUR",
        )
        assert (body["outcome"], body["account_id"], body["message_id"]) == ("recorded", "acct-1", "k-1/felix")
        assert body["ids"] == {"dispute_id": "dis-1", "charge_id": "cyc-1"}
        assert confirmed.headers["Makegood-Position"] == body["position"]
        assert confirmed.headers["ETag"] == f'"{body["account_version"]}-0"'

    def test_a_read_that_waits_for_the_position_shows_what_was_written(self, quick_desk: Desk) -> None:
        desk = quick_desk
        position = desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1").headers["Makegood-Position"]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(desk.get, "zoe", ACCOUNT, **{"Makegood-Wait-For": position})
            desk.house.projections.catch_up()
            account = waiting.result(timeout=20).json()
        assert account["subscriptions"][0]["status"] == "cancelling"


class TestTogether:
    """What belongs together goes in together, and is answered as one."""

    @pytest.mark.parametrize(
        ("path", "body", "kind"),
        [
            (
                f"{ACCOUNT}/outages",
                {"subscription_id": "sub-1", "began_at": "2026-03-14T00:00:00Z", "severity": "significant"},
                "outage",
            ),
            (f"{ACCOUNT}/disputes", {"charge_id": "cyc-1", "claimed": "1.00", "currency": "EUR"}, "dispute"),
        ],
    )
    @pytest.mark.parametrize("moment", ["", "before_commit", "after_commit"])
    def test_what_is_reported_is_linked_to_its_complaint(
        self, desk: Desk, path: str, body: dict[str, Any], kind: str, moment: str
    ) -> None:
        desk.books.take([Upstream(source="/x").complaint_opened()])
        if moment:
            getattr(desk.books.database, moment).append(answer_lost)
        first = desk.post("zoe", path, body | {"complaint_id": "com-1"}, key="k-1")
        assert first.status_code == 201
        reported, link = desk.facts()
        assert link["type"] == "complaint-linked.v1"
        assert link["data"]["message"] == {
            "source": "/makegood/http/beside",
            "id": "k-1/zoe",
            "time": NOW_TEXT,
        }
        assert (link["data"]["kind"], link["data"]["linked_id"]) == (kind, reported["data"][f"{kind}_id"])
        assert first.json()["event_id"] == reported["event_id"]
        assert first.json()["ids"][f"{kind}_id"] == reported["data"][f"{kind}_id"]
        assert first.json()["position"] == f"0:{len(desk.books.envelopes())}"
        assert desk.post("zoe", path, body | {"complaint_id": "com-1"}, key="k-1").content == first.content
        desk.house.projections.catch_up()
        [complaint] = desk.get("zoe", "/complaints").json()
        assert [(each["kind"], each["linked_id"]) for each in complaint["links"]] == [
            (kind, reported["data"][f"{kind}_id"])
        ]

    def test_a_note_goes_in_with_a_resolution(self, quick_desk: Desk) -> None:
        desk = quick_desk
        desk.books.take([Upstream(source="/x").complaint_opened()])
        body = {"resolution": "explained", "note": "walked through the bill"}
        assert desk.post("anna", f"{ACCOUNT}/complaints/com-1/resolve", body, key="k-1").status_code == 201
        assert [(f["type"][:-3], desk.said_in(f)) for f in desk.facts()] == [
            ("complaint-resolved", {"resolution": "explained"}),
            ("complaint-noted", {"note": "walked through the bill"}),
        ]

    @pytest.mark.parametrize("resolution", ["Explained", "two words", "", "x" * 65, "explained\n"])
    def test_a_resolution_is_a_code(self, quick_desk: Desk, resolution: str) -> None:
        quick_desk.books.take([Upstream(source="/x").complaint_opened()])
        path = f"{ACCOUNT}/complaints/com-1/resolve"
        refused = quick_desk.post("anna", path, {"resolution": resolution}, key="k-1")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "resolution")


class TestWords:
    def test_a_category_in_words_is_for_who_wrote_it_and_who_may_read_what_people_write(self, desk: Desk) -> None:
        body = {"category": "Mrs Quux's line", "description": "it crackles"}
        made = desk.post("zoe", f"{ACCOUNT}/complaints", body, key="k-1").json()["ids"]["complaint_id"]
        [fact] = desk.facts()
        assert (fact["data"]["category"], fact["data"]["channel"]) == (None, "portal")
        assert desk.said_in(fact) == {"category": "Mrs Quux's line", "description": "it crackles"}
        desk.house.projections.catch_up()
        for who in ("zoe", "anna"):
            [listed] = desk.get(who, "/complaints").json()
            assert (listed["category"], listed["channel"]) == (None, "portal")
        whole = f"{ACCOUNT}/complaints/{made}"
        for who in ("anna", "zoe"):
            assert desk.get(who, whole).json()["category"] == "Mrs Quux's line"
        for who in ("felix", "paula", "olga", "mallory"):
            assert desk.get(who, whole).status_code in (403, 404)


class TestGoodwill:
    """Two people's word: one proposes, another decides."""

    def both(self, desk: Desk) -> None:
        """Somebody who supports customers and approves too."""
        by = By("the first one here", "cli")
        grant(desk.books.ledger, Grant(principal="anna", role="approver", account_id=None), by)
        desk.house.projections.catch_up()
        desk.books.take([Upstream(source="/x").complaint_opened()])

    def test_proposed_and_approved_it_is_granted(self, desk: Desk) -> None:
        self.both(desk)
        asked = {"amount": "5.00", "currency": "EUR"}
        proposal = desk.post("anna", f"{ACCOUNT}/complaints/com-1/goodwill", asked, key="k-1").json()
        credit = proposal["ids"]["credit_id"]
        assert [d["outcome"] for d in proposal["decided"]] == ["pending"]
        approved = desk.post("ada", f"{ACCOUNT}/goodwill/{credit}/approve", key="k-1")
        [claim] = approved.json()["decided"]
        assert (claim["clause"], claim["outcome"], claim["amount"], claim["charge_id"]) == (
            "complaint",
            "granted",
            "5.00",
            None,
        )

    @pytest.mark.parametrize(("verb", "body"), [("approve", None), ("reject", {"reason": "x"})])
    def test_never_by_the_one_who_proposed_it(self, quick_desk: Desk, verb: str, body: dict[str, str] | None) -> None:
        self.both(quick_desk)
        proposed(quick_desk, "gw-1", by="anna")
        content = quick_desk.books.content()
        refused = quick_desk.post("anna", f"{ACCOUNT}/goodwill/gw-1/{verb}", body, key="k-1")
        assert refused.status_code == 409
        assert "another person" in refused.json()["detail"]
        assert quick_desk.post("anna", f"{ACCOUNT}/goodwill/gw-1/{verb}?preview=true", body).status_code == 409
        assert quick_desk.books.content() == content

    def test_a_second_verdict_is_told_that_the_first_holds(self, quick_desk: Desk) -> None:
        self.both(quick_desk)
        proposed(quick_desk, "gw-1", by="somebody")
        first = quick_desk.post("ada", f"{ACCOUNT}/goodwill/gw-1/approve", key="k-1")
        assert first.status_code == 201
        other = quick_desk.post("anna", f"{ACCOUNT}/goodwill/gw-1/reject", {"reason": "x"}, key="k-1")
        assert other.status_code == 409
        assert quick_desk.post("ada", f"{ACCOUNT}/goodwill/gw-1/approve", key="k-1").content == first.content

    def test_a_customer_learns_of_it_when_it_is_granted_and_never_who_said_what(self, quick_desk: Desk) -> None:
        desk = quick_desk
        self.both(desk)
        asked = {"amount": "5.00", "currency": "EUR", "reason": "he is a difficult one"}
        rejected, granted = (
            desk.post("anna", f"{ACCOUNT}/complaints/com-1/goodwill", asked | {"credit_id": credit}, key=credit)
            for credit in ("gw-1", "gw-2")
        )
        assert (rejected.status_code, granted.status_code) == (201, 201)
        desk.house.projections.catch_up()
        assert desk.get("zoe", "/claims?limit=1").json() == []
        desk.post("ada", f"{ACCOUNT}/goodwill/gw-1/reject", {"reason": "he would only ask again"}, key="k-1")
        desk.post("ada", f"{ACCOUNT}/goodwill/gw-2/approve", key="k-2")
        desk.house.projections.catch_up()
        assert [claim["claim_id"] for claim in desk.get("zoe", "/claims?limit=1").json()] == ["goodwill/gw-2"]
        assert len(desk.get("anna", "/claims").json()) == 2
        seen = [desk.get("zoe", path) for path in ("/claims", "/credits", "/complaints", ACCOUNT)]
        seen += [desk.get("zoe", f"/explanations?id=goodwill/gw-{n}") for n in (1, 2)]
        assert [answer.status_code for answer in seen] == [200] * 4 + [404] * 2
        for told in ("difficult", "ask again", "anna", "ada", "gw-1"):
            assert told not in "".join(answer.text for answer in seen[:4])
        assert "he is a difficult one" in desk.get("anna", "/explanations?id=goodwill/gw-1").text

    def test_a_credit_that_nobody_proposed_is_not_there(self, quick_desk: Desk) -> None:
        self.both(quick_desk)
        assert quick_desk.post("ada", f"{ACCOUNT}/goodwill/gw-404/approve", key="k-1").status_code == 404


class TestCustomers:
    """When something happened decides about money, so a customer does not say it (decision 0021)."""

    @pytest.mark.parametrize(
        ("path", "body", "field"),
        [
            (f"{SUBSCRIPTION}/cancel", {"requested_at": "2026-03-02T00:00:00Z"}, "requested_at"),
            (f"{SUBSCRIPTION}/withdraw-cancellation", {"withdrawn_at": "2026-03-02T00:00:00Z"}, "withdrawn_at"),
            (f"{ACCOUNT}/outages", {"reported_at": "2026-03-02T00:00:00Z"}, "reported_at"),
            (f"{ACCOUNT}/outages", {"cause": "provider"}, "cause"),
            (f"{ACCOUNT}/outages", {"began_at": "2026-03-15T12:00:01Z"}, "began_at"),
            (f"{ACCOUNT}/complaints", {"channel": "telephone"}, "channel"),
        ],
    )
    def test_they_may_not_say_what_is_not_theirs_to_say(
        self, quick_desk: Desk, path: str, body: dict[str, Any], field: str
    ) -> None:
        if path.endswith("outages"):
            body = {"subscription_id": "sub-1", "began_at": "2026-03-02T00:00:00Z", "severity": "minor"} | body
        if path.endswith("complaints"):
            body = {"category": "quality"} | body
        refused = quick_desk.post("zoe", path, body, key="k-1")
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == [field]
        assert quick_desk.facts() == []
        if field != "began_at":
            assert quick_desk.post("anna", path, body, key="k-1").status_code == 201

    def test_they_are_told_why_and_not_which_of_the_providers_people_it_was(self, quick_desk: Desk) -> None:
        desk = quick_desk
        asked = {"charge_id": "cyc-1", "amount": "1.00", "currency": "EUR"}
        assert desk.post("felix", f"{ACCOUNT}/disputes/dis-1/confirm", asked, key="k-1").status_code == 201
        desk.house.projections.catch_up()
        whole, own = (desk.get(who, "/explanations?id=billing-error/dis-1") for who in ("otto", "zoe"))
        assert [step["actor"] for step in whole.json()["steps"]] == ["felix"]
        assert "k-1/felix" in whole.text
        assert own.json()["formula"] == whole.json()["formula"]
        assert "felix" not in own.text

    def test_of_what_was_taken_back_they_are_told_without_whose_message_it_was(self, quick_desk: Desk) -> None:
        desk, upstream = quick_desk, Upstream(source="/more")
        mistaken = upstream.cancellation_requested(message_id="anna-cancels")
        desk.books.take(
            [mistaken, upstream.fact_retracted(mistaken, reason="anna's mistake", message_id="anna-again")]
        )
        desk.house.projections.catch_up()
        whole, own = (desk.get(who, "/explanations?id=unused/cyc-1").json() for who in ("otto", "zoe"))
        [gone], [told] = whole["retracted"], own["retracted"]
        assert (gone["id"], gone["retracted_by"]["id"], gone["words"]) == (
            "anna-cancels",
            "anna-again",
            "anna's mistake",
        )
        assert told["type"] == "cancellation-requested.v1"
        assert told["retracted_by"].keys() == {"position", "recorded_at"}
        assert "anna" not in str(own)

    def test_what_was_taken_back_cannot_be_named(self, quick_desk: Desk) -> None:
        upstream = Upstream(source="/more")
        outage = upstream.outage_reported("out-9")
        path, body = f"{ACCOUNT}/outages/out-9/resolve?preview=true", {"subscription_id": "sub-1"}
        quick_desk.books.take([outage])
        assert quick_desk.post("paula", path, body, key="k-1").status_code == 200
        quick_desk.books.take([upstream.fact_retracted(outage)])
        assert quick_desk.post("paula", path, body, key="k-1").status_code == 404


class TestRefusals:
    """Whoever instructs is told at once what is wrong, by the names of the body; nothing is kept of it."""

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({"charge_id": "cyc-1", "amount": "1.005", "currency": "EUR"}, ["amount"]),
            ({"charge_id": "cyc-1", "amount": "0", "currency": "EUR"}, ["amount"]),
            ({"charge_id": "cyc-1", "amount": 1, "currency": "EUR"}, ["amount"]),
            ({"charge_id": "cyc-1", "amount": "1", "currency": "EURO"}, ["currency"]),
            ({"charge_id": "cyc 1", "amount": "1", "currency": "EUR"}, ["charge_id"]),
            ({"charge_id": "a\x00b", "amount": "1", "currency": "EUR"}, ["charge_id"]),
            ({"amount": "1", "currency": "EUR"}, ["charge_id"]),
            ({"charge_id": "cyc-1", "amount": "1", "currency": "EUR", "settle_as": "gold"}, ["settle_as"]),
            ({"charge_id": "cyc-1", "amount": "1", "currency": "EUR", "unknown": 1}, ["unknown"]),
            ({"charge_id": None, "amount": None, "currency": None}, ["charge_id", "currency", "amount"]),
            ([], ["body"]),
            ("text", ["body"]),
        ],
    )
    def test_what_is_wrong_is_named_and_no_value_quoted(
        self, quick_desk: Desk, body: object, fields: list[str]
    ) -> None:
        content = quick_desk.books.content()
        refused = quick_desk.post("felix", f"{ACCOUNT}/disputes/dis-1/confirm", body, key="k-1")
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == fields
        assert "EURO" not in refused.text
        assert "see SENTENCES" not in refused.text
        assert quick_desk.books.content() == content, "no dead letter either"

    def test_a_key_that_was_refused_is_not_used_up(self, quick_desk: Desk) -> None:
        wrong = {"charge_id": "cyc-1", "amount": "1.005", "currency": "EUR"}
        assert quick_desk.post("felix", f"{ACCOUNT}/disputes/d/confirm", wrong, key="k-1").status_code == 422
        right = wrong | {"amount": "1.00"}
        assert quick_desk.post("felix", f"{ACCOUNT}/disputes/d/confirm", right, key="k-1").status_code == 201

    @pytest.mark.parametrize(
        ("content", "type_", "status"),
        [
            (b"{", "application/json", 422),
            (b'{"reason": "a", "reason": "b"}', "application/json", 422),
            (b'{"reason": "\xff"}', "application/json", 400),
            (b"[" * 30_000, "application/json", 400),
            (b'{"reason": ' + b"1" * 5_000 + b"}", "application/json", 400),
            (b'{"reason": "\\ud800"}', "application/json", 422),
            (b'{"reason": "\\u0000"}', "application/json", 422),
            (b'{"reason": "x"}', "text/plain", 415),
            (b'{"reason": "x"}', "", 415),
            (b'{"reason": "' + b"x" * 1_100_000 + b'"}', "application/json", 413),
            (b'{"reason": "' + b"x" * 5_000 + b'"}', "application/json", 422),
        ],
    )
    def test_a_body_that_cannot_be_read_ends_in_a_problem(
        self, quick_desk: Desk, content: bytes, type_: str, status: int
    ) -> None:
        refused = quick_desk.post(
            "zoe", f"{SUBSCRIPTION}/cancel", key="k-1", content=content, headers={"Content-Type": type_}
        )
        assert refused.status_code == status, refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        assert quick_desk.facts() == []

    @pytest.mark.parametrize("key", ["", "k 1", "k/1", "ü", "k" * 65, ":preview"])
    def test_a_key_of_another_form_is_refused(self, quick_desk: Desk, key: str) -> None:
        headers = {"Idempotency-Key": key.encode("latin-1")}
        refused = quick_desk.post("zoe", f"{SUBSCRIPTION}/cancel", headers=headers)  # type: ignore[arg-type]
        assert refused.status_code == 400
        assert quick_desk.facts() == []


class TestKeys:
    """One key of a caller is one request, whatever happens to the answer."""

    def test_another_body_path_or_account_under_the_key_is_refused(self, desk: Desk) -> None:
        assert desk.post("anna", f"{SUBSCRIPTION}/cancel", {"reason": "a"}, key="k-1").status_code == 201
        content = desk.books.content()
        for path, body in (
            (f"{SUBSCRIPTION}/cancel", {"reason": "b"}),
            (f"{SUBSCRIPTION}/cancel", {}),
            (f"{SUBSCRIPTION}/withdraw-cancellation", {}),
            ("/accounts/acct-2/subscriptions/sub-1/cancel", {"reason": "a"}),
        ):
            refused = desk.post("anna", path, body, key="k-1")
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["field"] == "Idempotency-Key"
        assert desk.books.content() == content

    def test_ids_in_a_path_are_told_apart_however_odd(self, quick_desk: Desk) -> None:
        upstream = Upstream(source="/x")
        quick_desk.books.take([upstream.subscription_registered(odd) for odd in ("sub?1", "sub%3F1")])
        first = quick_desk.post("anna", f"{ACCOUNT}/subscriptions/sub%3F1/cancel", key="k-1")
        assert first.json()["ids"] == {"subscription_id": "sub?1"}
        assert quick_desk.post("anna", f"{ACCOUNT}/subscriptions/sub%253F1/cancel", key="k-1").status_code == 422

    def test_another_spelling_of_the_body_is_the_same_body(self, quick_desk: Desk) -> None:
        path, headers = f"{SUBSCRIPTION}/cancel", {"Content-Type": "application/json; charset=utf-8"}
        first = quick_desk.post("zoe", path, {"reason": "a", "keep_service": True}, key="k-1")
        again = quick_desk.post(
            "zoe", path, key="k-1", headers=headers, content=b'{ "keep_service":true,\n"reason": "\\u0061" }'
        )
        assert again.content == first.content

    def test_keys_of_two_callers_are_two(self, quick_desk: Desk) -> None:
        for who in ("zoe", "anna"):
            assert quick_desk.post(who, f"{SUBSCRIPTION}/cancel", key="k-1").status_code == 201
        assert [fact["data"]["message"]["id"] for fact in quick_desk.facts()] == ["k-1/zoe", "k-1/anna"]

    @pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
    def test_after_a_lost_answer_to_the_commit_it_is_answered_all_the_same(self, desk: Desk, moment: str) -> None:
        getattr(desk.books.database, moment).append(answer_lost)
        first = desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1")
        assert first.status_code == 201
        again = desk.another_process().post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1")
        assert again.content == first.content
        assert len(desk.facts()) == 1

    def test_after_an_answer_of_503_it_is_sent_again(self, quick_desk: Desk) -> None:
        desk = quick_desk
        desk.books.database.before_commit.extend([answer_lost] * 11)
        desk.books.database.before_writing.extend([lambda: None] * 11)
        desk.books.database.before_writing.append(lambda: desk.books.database.after_commit.append(answer_lost))
        unknown = desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1")
        assert (unknown.status_code, unknown.headers["Retry-After"]) == (503, "2")
        assert desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1").status_code == 201
        assert len(desk.facts()) == 1

    @pytest.mark.parametrize("moment", ["before_writing", "before_commit", "after_commit"])
    def test_after_the_process_was_killed_another_one_answers(self, desk: Desk, moment: str) -> None:
        victim = desk.another_process()
        getattr(victim.books.database, moment).append(killed)
        with suppress(BaseException):  # whatever a client sees of a process that ends
            victim.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1")
        assert len(desk.facts()) == (moment == "after_commit")
        first = desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1")
        assert first.status_code == 201
        assert desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1").content == first.content
        assert len(desk.facts()) == 1

    def test_of_many_at_once_one_records_and_all_have_its_answer(self, desk: Desk) -> None:
        processes = [desk.another_process() for _ in range(5)]
        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda p: p.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1"), processes))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert len(desk.facts()) == 1
        desk.books.check_positions()

    @settings(max_examples=sample(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["zoe", "anna"]),
                st.sampled_from(["a", "b"]),
                st.sampled_from(["moving", "dear", None]),
                st.sampled_from(["", "before_commit", "after_commit"]),
            ),
            min_size=2,
            max_size=8,
        ),
        st.integers(0, 2**32),
    )
    def test_the_first_body_under_a_key_wins_and_keeps_its_answer(
        self, quick_desk: Desk, sent: list[tuple[str, str, str | None, str]], lot: int
    ) -> None:
        desk = quick_desk
        stood: dict[tuple[str, str], tuple[str | None, bytes]] = {}
        for who, name, reason, moment in sent:
            key = f"{name}-{lot}"
            for moments in (desk.books.database.before_commit, desk.books.database.after_commit):
                moments.clear()
            if moment:
                getattr(desk.books.database, moment).append(answer_lost)
            answer = desk.post(who, f"{SUBSCRIPTION}/cancel", {"reason": reason}, key=key)
            if (who, key) not in stood and answer.status_code == 201:
                stood[who, key] = (reason, answer.content)
            elif (who, key) in stood and stood[who, key][0] == reason:
                assert (answer.status_code, answer.content) == (201, stood[who, key][1])
            else:
                assert answer.status_code == 422


class TestVersions:
    """`If-Match` stops a request that was decided by what is no longer so."""

    def test_the_etag_of_the_account_lets_it_in_and_the_answers_does_so_next(self, quick_desk: Desk) -> None:
        desk = quick_desk
        etag = desk.get("zoe", ACCOUNT).headers["ETag"]
        first = desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1", headers={"If-Match": etag})
        assert first.status_code == 201
        stale = desk.post("zoe", f"{SUBSCRIPTION}/withdraw-cancellation", key="k-2", headers={"If-Match": etag})
        assert stale.status_code == 412
        fresh = {"If-Match": first.headers["ETag"]}
        desk.books.clock.at = NOW.replace(minute=1)
        next_ = desk.post("zoe", f"{SUBSCRIPTION}/withdraw-cancellation", key="k-2", headers=fresh)
        assert next_.status_code == 201
        desk.house.projections.catch_up()
        assert desk.get("zoe", ACCOUNT).headers["ETag"] == next_.headers["ETag"]

    def test_sent_again_it_has_its_answer_though_it_moved_the_version_itself(self, quick_desk: Desk) -> None:
        etag = {"If-Match": quick_desk.get("zoe", ACCOUNT).headers["ETag"]}
        first = quick_desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1", headers=etag)
        assert quick_desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1", headers=etag).content == first.content

    @pytest.mark.parametrize("etag", ['"999-0"', "999", 'W/"8-0"', "no tag"])
    def test_another_version_stops_it_and_nothing_is_recorded(self, quick_desk: Desk, etag: str) -> None:
        content = quick_desk.books.content()
        stopped = quick_desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1", headers={"If-Match": etag})
        assert stopped.status_code == 412
        assert quick_desk.books.content() == content

    def test_a_version_that_moves_while_it_is_decided_stops_it(self, desk: Desk) -> None:
        etag = {"If-Match": desk.get("zoe", ACCOUNT).headers["ETag"]}
        other = desk.books.another_process()
        desk.books.database.before_writing.append(lambda: other.take([Upstream(source="/x").charge_posted()]))
        assert desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1", headers=etag).status_code == 412
        assert desk.facts() == []

    def test_of_many_who_saw_the_same_one_gets_in(self, desk: Desk) -> None:
        etag = {"If-Match": desk.get("zoe", ACCOUNT).headers["ETag"]}
        processes = [desk.another_process() for _ in range(5)]

        def cancel(numbered: tuple[int, Desk]) -> int:
            number, process = numbered
            return process.post("zoe", f"{SUBSCRIPTION}/cancel", key=f"k-{number}", headers=etag).status_code

        with ThreadPoolExecutor(5) as pool:
            assert sorted(pool.map(cancel, enumerate(processes))) == [201, 412, 412, 412, 412]
        assert len(desk.facts()) == 1


def test_a_trace_goes_on_into_the_events(quick_desk: Desk) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    quick_desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-1", headers={"traceparent": trace})
    quick_desk.post("zoe", f"{SUBSCRIPTION}/cancel", key="k-2", headers={"traceparent": "x" * 60_000})
    assert [fact["traceparent"] for fact in quick_desk.facts()] == [trace, None]


def test_no_words_of_a_customer_stand_outside_the_vault(quick_desk: Desk) -> None:
    words = "Zoe-Quux-of-Elm-Street"
    quick_desk.post("zoe", f"{SUBSCRIPTION}/cancel", {"reason": words}, key="k-1")
    quick_desk.post("zoe", f"{SUBSCRIPTION}/cancel", {"reason": words, "x": 1}, key="k-2")
    assert len(quick_desk.facts()) == 1
    assert words not in json.dumps(quick_desk.books.content(), default=repr)
