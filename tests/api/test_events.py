"""`POST /events`: upstream's messages over HTTP, in all three modes, each with its outcome; refused ones are kept."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from httpx import Response

from consumers.replaying import replay
from ledger.application.kept_messages import Closing, Kept
from tests.api.desk import Desk, Served
from tests.ledger import kept
from tests.ledger.books import Books, killed
from tests.ledger.messages import Message, Upstream
from tests.ledger.test_kept import KeysDamaged
from tests.ledger.test_store import answer_lost

STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


def one(desk: Desk, message: object, who: str = "paula") -> Response:
    content = message if isinstance(message, bytes) else json.dumps(message).encode()
    return desk.post(who, "/events", content=content, headers=STRUCTURED)


def many(desk: Desk, messages: object, who: str = "paula") -> Response:
    content = messages if isinstance(messages, bytes) else json.dumps(messages).encode()
    return desk.post(who, "/events", content=content, headers=BATCH)


def in_binary(desk: Desk, message: Message, **other: str) -> Response:
    headers = {f"ce-{name}": quote(str(value), safe="/:") for name, value in message.items() if name != "data"}
    headers["Content-Type"] = "application/json"
    content = json.dumps(message["data"]).encode()
    sent = {name: value for name, value in (headers | other).items() if value}
    return desk.post("paula", "/events", content=content, headers=sent)


def outcomes(answer: Response) -> list[tuple[str | None, str]]:
    return [(outcome["id"], outcome["outcome"]) for outcome in answer.json()["outcomes"]]


class TestOutcomes:
    def test_one_in_structured_mode(self, desk: Desk) -> None:
        message = Upstream("acct-9", source="/billing").account_registered()
        first = one(desk, message)
        assert (first.status_code, outcomes(first)) == (200, [(message["id"], "accepted")])
        again = one(desk, message)
        assert (again.status_code, outcomes(again)) == (200, [(message["id"], "duplicate")])
        [fact] = desk.facts("acct-9")
        assert (fact["actor"], fact["channel"], fact["data"]["message"]["source"]) == ("paula", "http", "/billing")
        assert first.headers["Makegood-Position"] == again.headers["Makegood-Position"]
        assert first.headers["Makegood-Position"] == f"0:{len(desk.books.envelopes())}"
        assert len(desk.woken) == 2

    def test_one_in_binary_mode(self, quick_desk: Desk) -> None:
        upstream = Upstream("acct-9", source="/billing/straße 1".replace(" ", "-"))
        message = upstream.account_registered()
        assert outcomes(in_binary(quick_desk, message)) == [(message["id"], "accepted")]
        assert outcomes(one(quick_desk, message)) == [(message["id"], "duplicate")], "one message in both modes"
        assert quick_desk.facts("acct-9")[0]["data"]["message"]["source"] == "/billing/straße-1"

    def test_one_in_binary_mode_without_a_media_type_is_json_as_on_kafka(self, quick_desk: Desk) -> None:
        upstream = Upstream("acct-9", source="/billing")
        message = upstream.account_registered()
        assert outcomes(in_binary(quick_desk, message, **{"Content-Type": ""})) == [(message["id"], "accepted")]
        assert outcomes(one(quick_desk, message)) == [(message["id"], "duplicate")], "one message in both modes"
        refused = in_binary(quick_desk, upstream.cycle_started(price="-1"), **{"Content-Type": ""})
        assert (refused.status_code, refused.json()["outcome"]["field"]) == (422, "data.price")

    def test_batch_mode_has_an_address_of_its_own_too(self, quick_desk: Desk) -> None:
        upstream = Upstream("acct-9", source="/billing")
        content = json.dumps([upstream.account_registered(), upstream.cycle_started(price="-1")])
        answer = quick_desk.post("paula", "/events/batch", content=content, headers=BATCH)
        assert [outcome for _, outcome in outcomes(answer)] == ["accepted", "refused"]
        again = quick_desk.post("paula", "/events", content=content, headers=BATCH)
        assert [outcome for _, outcome in outcomes(again)] == ["duplicate", "refused"]
        other = quick_desk.post("paula", "/events/batch", content=content, headers=STRUCTURED)
        assert other.status_code == 415
        assert "application/cloudevents-batch+json" in other.json()["detail"]

    def test_many_each_judged_by_itself(self, desk: Desk) -> None:
        upstream = Upstream("acct-9", source="/billing")
        account, subscription, cycle = (
            upstream.account_registered(),
            upstream.subscription_registered(),
            upstream.cycle_started(),
        )
        other = cycle | {"data": cycle["data"] | {"price": "99.00"}}
        wrong = upstream.charge_posted(price="-1")
        answer = many(desk, [account, wrong, cycle, account, other, 7, subscription])
        assert answer.status_code == 200
        assert outcomes(answer) == [
            (account["id"], "accepted"),
            (wrong["id"], "refused"),
            (cycle["id"], "accepted"),
            (account["id"], "duplicate"),
            (cycle["id"], "refused"),
            (None, "refused"),
            (subscription["id"], "accepted"),
        ]
        body = answer.json()
        assert (body["read"], body["accepted"], body["duplicates"], body["refused"]) == (7, 3, 1, 3)
        assert [outcome["index"] for outcome in body["outcomes"]] == list(range(7))
        assert [(o["field"], bool(o["reason"])) for o in body["outcomes"]] == [
            (None, False),
            ("data.price", True),
            (None, False),
            (None, False),
            ("id", True),
            (None, True),
            (None, False),
        ]
        assert "99.00" not in answer.text
        letters = kept.dead_letters(desk.books.database)
        assert [(letter.message_id, letter.origin, letter.channel) for letter in letters] == [
            (wrong["id"], "http:paula", "http"),
            (cycle["id"], "http:paula", "http"),
            (None, "http:paula", "http"),
        ]

    def test_one_that_is_refused_is_a_problem_with_its_outcome(self, quick_desk: Desk) -> None:
        wrong = Upstream("acct-9").charge_posted(price="-1")
        for answer in (one(quick_desk, wrong), in_binary(quick_desk, wrong)):
            body = answer.json()
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
            assert body["errors"] == [{"field": "data.price", "reason": body["outcome"]["reason"]}]
            assert body["outcome"] | {"reason": ""} == {
                "index": 0,
                "id": wrong["id"],
                "outcome": "refused",
                "reason": "",
                "field": "data.price",
            }
            assert "Makegood-Position" in answer.headers

    def test_a_redelivery_of_what_was_refused_adds_no_dead_letter(self, quick_desk: Desk) -> None:
        wrong = Upstream("acct-9").charge_posted(price="-1")
        for _ in range(2):
            many(quick_desk, [wrong, wrong])
            one(quick_desk, wrong)
        assert len(kept.dead_letters(quick_desk.books.database)) == 1

    def test_an_empty_batch_is_no_mistake(self, quick_desk: Desk) -> None:
        assert many(quick_desk, []).json()["outcomes"] == []

    @pytest.mark.parametrize("reserved", ["/makegood/http", "/makegood/http/beside"])
    def test_nobody_publishes_under_the_doors_own_source(self, quick_desk: Desk, reserved: str) -> None:
        """It would take the identity of what people instruct."""
        message = Upstream(source=reserved).says(
            "cancellation.requested",
            message_id="k-1/zoe",
            subscription_id="sub-1",
            requested_at="2026-03-02T00:00:00Z",
            channel="portal",
        )
        refused = one(quick_desk, message)
        assert (refused.status_code, refused.json()["outcome"]["field"]) == (422, "source")
        cancelled = quick_desk.post("zoe", "/accounts/acct-1/subscriptions/sub-1/cancel", key="k-1")
        assert cancelled.status_code == 201

    def test_the_doors_own_types_are_unknown_here(self, quick_desk: Desk) -> None:
        message = Upstream().says("complaint.noted", complaint_id="com-1", note="x")
        refused = one(quick_desk, message | {"type": "makegood.complaint.noted.v1"})
        assert refused.json()["outcome"]["field"] == "type"

    @pytest.mark.parametrize("who", ["anna", "felix", "ada", "otto", "olga", "zoe"])
    def test_only_provisioning_publishes(self, quick_desk: Desk, who: str) -> None:
        content = quick_desk.books.content()
        assert one(quick_desk, Upstream().charge_posted(), who).status_code == 403
        assert quick_desk.books.content() == content


class TestReplaying:
    """What was refused over HTTP comes in again like any dead letter, in whichever mode it came."""

    def test_a_dead_letter_is_replayed_repaired_or_as_it_is(self, quick_desk: Desk) -> None:
        desk = quick_desk
        upstream = Upstream("acct-9", source="/billing")
        wrong = upstream.account_registered(currency="EURO")
        right = wrong | {"data": wrong["data"] | {"currency": "EUR"}}
        one(desk, wrong)
        in_binary(desk, wrong, **{"ce-note": "another"})
        structured, binary = kept.dead_letters(desk.books.database)
        for letter in (structured, binary):
            closing = Closing(Kept("dead-letter", letter.kept_id, letter.origin), "otto", "cli")
            assert replay(desk.books.ledger, closing).field == "data.currency"
        closing = Closing(Kept("dead-letter", binary.kept_id, "http:paula"), "otto", "cli", None, repaired=True)
        assert replay(desk.books.ledger, closing, repaired=json.dumps(right).encode()).outcome == "accepted"
        [fact] = [e for e in desk.books.stored("acct-9") if e["type"] == "account-registered.v1"]
        assert (fact["actor"], fact["channel"]) == ("otto", "repaired")

    def test_nothing_that_says_who_sent_it_is_kept(self, quick_desk: Desk) -> None:
        in_binary(quick_desk, Upstream().charge_posted(price="-1"), **{"X-Secret": "hush"})
        [letter] = kept.dead_letters(quick_desk.books.database)
        body = Kept("dead-letter", letter.kept_id, letter.origin).body(quick_desk.books.ledger)
        assert body is not None
        assert b"hush" not in body
        assert b"mg_" not in body


class TestWholeOrNot:
    """One request is one transaction: after a failure it may be sent again as it is."""

    def test_where_nothing_can_be_recorded_it_may_be_sent_again(self, desk: Desk) -> None:
        upstream = Upstream("acct-9", source="/billing")
        messages = [upstream.account_registered(), upstream.charge_posted(price="-1"), upstream.cycle_started()]
        content = desk.books.content()

        def fails() -> None:
            raise RuntimeError("a cosmic ray in Zoë's charge")

        desk.books.database.before_commit.extend([fails] * 20)
        failed = many(desk, messages)
        assert (failed.status_code, failed.headers["content-type"]) == (500, "application/problem+json")
        assert "Zoë" not in failed.text
        assert desk.books.content() == content
        desk.books.database.before_commit.clear()
        assert [outcome for _, outcome in outcomes(many(desk, messages))] == ["accepted", "refused", "accepted"]

    @pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
    def test_a_lost_answer_to_the_commit_is_found_out(self, desk: Desk, moment: str) -> None:
        upstream = Upstream("acct-9", source="/billing")
        getattr(desk.books.database, moment).append(answer_lost)
        answer = many(desk, [upstream.account_registered(), upstream.cycle_started()])
        assert [outcome for _, outcome in outcomes(answer)] == ["accepted", "accepted"]
        desk.books.check_positions()


class TestRequests:
    """What cannot be taken as a request at all is a problem, and no message."""

    @pytest.mark.parametrize(
        ("headers", "content", "status"),
        [
            ({"Content-Type": "application/json"}, b"{}", 415),
            ({"Content-Type": "text/plain", "X-Ce-Id": "1"}, b"{}", 415),
            ({}, b"{}", 415),
            ({"Content-Type": "application/cloudevents+xml", "ce-id": "1"}, b"<event/>", 415),
            ({"Content-Type": "application/cloudevents-batch+avro"}, b"[]", 415),
            (BATCH, b"", 400),
            (BATCH, b"{}", 400),
            (BATCH, b"[1,]", 400),
            (BATCH, b"[\xff]", 400),
            (BATCH, b"[" * 50_000, 400),
            (BATCH, b"[" + b"1," * 1_000 + b"1]", 413),
            (BATCH, b"[" + b" " * 1_100_000 + b"]", 413),
            (STRUCTURED, b" " * 1_100_000, 413),
            (STRUCTURED, b"", 422),
            (STRUCTURED, b"[]", 422),
            (STRUCTURED, b"\xff", 422),
            (STRUCTURED, b"[" * 50_000, 422),
            (STRUCTURED, b'{"id": "' + b"x" * 100_000 + b'"}', 422),
            ({"ce-id": "1", "Content-Type": "text/csv"}, b"a,b", 415),
            ({"ce-id": "%FF", "Content-Type": "application/json"}, b"{}", 422),
        ],
    )
    def test_it_ends_in_a_problem(
        self, quick_desk: Desk, headers: dict[str, str], content: bytes, status: int
    ) -> None:
        events = quick_desk.books.rows("SELECT count(*) FROM events")
        refused = quick_desk.post("paula", "/events", content=content, headers=headers)
        assert refused.status_code == status, refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        assert quick_desk.books.rows("SELECT count(*) FROM events") == events
        assert len(kept.dead_letters(quick_desk.books.database)) == (status == 422)

    def test_a_thousand_at_once(self, quick_desk: Desk) -> None:
        upstream = Upstream("acct-9", source="/billing")
        answer = many(quick_desk, [upstream.payment_failed(f"inv-{n}") for n in range(1_000)])
        assert answer.json()["accepted"] == 1_000


def test_one_that_keeps_failing_is_set_aside_and_stops_no_other(served: Served) -> None:
    books = Books.open(keys=KeysDamaged({"account/acct-8"}))
    messages = [m for n in (7, 8, 9) for m in Upstream(f"acct-{n}", source="/billing").customer()[:2]]
    with Desk.on(books, books.database.url, served) as desk:
        first = many(desk, messages)
        assert first.status_code == 200, first.text
        assert [what for _, what in outcomes(first)] == ["accepted"] * 2 + ["set aside"] + ["accepted"] * 3
        assert (first.json()["accepted"], first.json()["set_aside"]) == (5, 1)
        again = many(desk, messages)
        assert [what for _, what in outcomes(again)] == ["duplicate"] * 2 + ["set aside"] + ["duplicate"] * 3
    [row] = kept.set_aside(books.database)
    assert (row.account, row.origin, row.channel) == ("acct-8", "http:paula", "http")
    books.check_positions()
    books.close()


def test_killed_in_the_middle_it_is_sent_again(desk: Desk) -> None:
    upstream = Upstream("acct-9", source="/billing")
    messages: list[Any] = [upstream.account_registered(), upstream.cycle_started()]
    victim = desk.another_process()
    victim.books.database.before_commit.append(killed)
    with suppress(BaseException):
        many(victim, messages)
    assert [outcome for _, outcome in outcomes(many(desk, messages))] == ["accepted", "accepted"]
    desk.books.check_positions()
