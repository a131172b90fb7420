"""`makegood notices`: the queue for people, with what comes next, and what only they can decide."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from consumers.mail.sending import FateUnknown, RefusedForGood
from consumers.mail.writing import sender
from consumers.notices import Notices, Post
from makegood.house.clock import system_clock
from makegood.house.logs import configure_logs
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import USER, Door
from tests.ledger.messages import Upstream

Lines = Callable[..., str]


class Server:
    """Answers as it is told, like the mail servers of tests/consumers/test_smtp.py."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.taken = 0

    def send(self, recipient: str, message: bytes) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.taken += 1


def work(door: Door, server: Server | None) -> None:
    """What `makegood run notices` does, until nothing is left to do now."""
    configure_logs("error")
    with open_house(Settings(store=door.store)) as house:
        post = Post(server, sender("Ruf <service@ruf.example>"), "https://my.ruf.example") if server else None
        part = Notices(house.ledger, post, clock=system_clock, jitter=random.random)
        while part.queue() or part.send_next():
            pass
        house.projections.catch_up()


@pytest.fixture
def told(sandbox: Door, lines: Lines) -> Door:
    upstream = Upstream()
    sandbox("ingest", lines(*upstream.customer(), upstream.complaint_opened()))
    return sandbox


def test_an_empty_queue_says_what_fills_it(sandbox: Door) -> None:
    assert "no open e-mails; `makegood run` queues and sends them" in sandbox("notices")
    assert sandbox.json("notices") == []


def test_without_a_mail_server_it_says_what_to_set(told: Door) -> None:
    work(told, None)
    said = told("notices")
    assert "activation" in said
    assert "set MAKEGOOD_SMTP and MAKEGOOD_MAIL_FROM" in told.errors
    first, second = told.json("notices")
    assert (first["kind"], first["status"], first["attempts"]) == ("activation", "queued", 0)
    assert first["next"] == "waiting for a mail server: set MAKEGOOD_SMTP"
    assert second["kind"] == "complaint_opened"
    assert set(first) == {
        "notice_id",
        "account_id",
        "kind",
        "event_id",
        "status",
        "attempts",
        "repeat",
        "queued_at",
        "next_attempt_at",
        "last_error",
        "next",
    }
    assert "zoe" not in json.dumps([first, second]).lower()


def test_what_was_sent_is_listed_where_it_is_asked_for(told: Door) -> None:
    work(told, Server())
    assert told.json("notices") == []
    assert [row["kind"] for row in told.json("notices", "--status", "sent")] == ["activation", "complaint_opened"]
    assert len(told.json("notices", "--status", "sent", "--account", "acct-1")) == 2
    told("notices", "--status", "sent", "--account", "acct-2", exits=1)
    assert "account acct-2 not found" in told.errors
    types = [event["type"] for event in told.json("history", "acct-1")]
    assert types.count("notice-sent.v1") == 2


def test_a_person_decides_about_what_failed_and_what_is_in_doubt(told: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEGOOD_SMTP", "smtp://mail.example")
    work(told, Server(RefusedForGood("smtp_550"), FateUnknown(), FateUnknown()))
    failed, doubtful = told.json("notices")
    assert (failed["status"], failed["last_error"]) == ("failed", "smtp_550")
    assert (doubtful["status"], doubtful["repeat"]) == ("in_doubt", True)
    assert doubtful["next"].startswith("find out whether it arrived, then: makegood notices resend ")
    told("notices", "resend", failed["notice_id"], "--actor", "bob")
    assert f"{failed['notice_id']}: queued again" in told.errors
    [discarded] = told.json("notices", "discard", doubtful["notice_id"], "--reason", "Zoë has it")
    assert (discarded["status"], discarded["next"]) == ("discarded", None)
    server = Server()
    work(told, server)
    assert server.taken == 1
    assert told.json("notices") == []
    by_people = [event for event in told.json("history", "acct-1") if event["channel"] == "cli"]
    assert [(event["type"], event["actor"]) for event in by_people] == [
        ("notice-resent.v1", f"{USER} for bob"),
        ("notice-discarded.v1", USER),
    ]


def test_what_nobody_can_decide_says_why(told: Door) -> None:
    told("notices", "resend", "0" * 32, exits=1)
    assert "not found; see `makegood notices`" in told.errors
    assert "see `makegood notices`" in told.errors
    work(told, Server())
    [first, _] = told.json("notices", "--status", "sent")
    told("notices", "discard", first["notice_id"], exits=1)
    assert "is sent: only notices that are queued, failed or in doubt can be discarded" in told.errors
    told("notices", "--status", "lost", exits=64)
    assert "queued, sending, sent, failed, in_doubt, discarded" in told.errors


def test_one_that_was_sent_can_be_sent_again_as_a_repeat(told: Door) -> None:
    work(told, Server())
    [first, _] = told.json("notices", "--status", "sent")
    [again] = told.json("notices", "resend", first["notice_id"])
    assert (again["status"], again["repeat"]) == ("queued", True)


def test_the_settings_are_shown_without_the_password(sandbox: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEGOOD_SMTP", "smtp://user:s3cret@mail.example:587")
    assert "s3cret" not in sandbox("config")


def test_the_link_begins_with_the_public_address(tmp_path: Path) -> None:
    from makegood.house.mail_server import post_of, public_url

    assert public_url(Settings()) == "http://127.0.0.1:8700"
    assert public_url(Settings(public_url="https://my.ruf.example/")) == "https://my.ruf.example"
    assert post_of(Settings()) is None
