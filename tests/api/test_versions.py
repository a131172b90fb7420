"""What was read tells its version, and what was written can be waited for."""

import threading
import time
from collections.abc import Callable

import pytest
from starlette.requests import Request

from ledger.store.reading.shards import shard_end
from makegood.api import wait_for as waiting
from makegood.api.problems import Refused
from makegood.api.versions import expected_version
from tests.api.conftest import Api, damage_key
from tests.door.conftest import Door
from tests.door.test_commands import ACCOUNT, CYCLE, STORY, SUBSCRIPTION

Lines = Callable[..., str]


class TestVersions:
    def test_an_account_tells_its_version_and_is_not_sent_again_while_it_stands(
        self, api: Api, sandbox: Door, lines: Lines
    ) -> None:
        key = api.key("support")
        sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION))
        first = api.ask(key, "/accounts/acct-1")
        events = api.json(api.key("auditor"), "/accounts/acct-1/history")
        assert first.headers["etag"] == f'"{len(events)}-0"'
        for known in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
            again = api.ask(key, "/accounts/acct-1", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        sandbox("ingest", lines(CYCLE))
        changed = api.ask(key, "/accounts/acct-1", headers={"If-None-Match": first.headers["etag"]})
        assert (changed.status_code, len(changed.json()["charges"])) == (200, 1)
        assert changed.headers["etag"] != first.headers["etag"]

    def test_a_message_that_is_set_aside_changes_what_is_shown(self, api: Api, sandbox: Door, lines: Lines) -> None:
        key = api.key("support")
        sandbox("ingest", lines(SUBSCRIPTION))
        first = api.ask(key, "/accounts/acct-1")
        damage_key(sandbox.store, "account/acct-1")
        sandbox("ingest", lines(ACCOUNT), exits=3)
        changed = api.ask(key, "/accounts/acct-1", headers={"If-None-Match": first.headers["etag"]})
        assert (changed.status_code, changed.json()["set_aside"]) == (200, 1)

    def test_an_account_as_it_was_has_no_version(self, api: Api, sandbox: Door, lines: Lines) -> None:
        sandbox("ingest", lines(ACCOUNT))
        answer = api.ask(api.key("support"), "/accounts/acct-1?as_of=2026-03-01T00:00:00Z")
        assert answer.status_code == 200
        assert "etag" not in answer.headers

    def test_while_one_projection_is_ahead_no_version_is_told(self, api: Api, sandbox: Door, lines: Lines) -> None:
        key = api.key("support")
        sandbox("ingest", lines(ACCOUNT))
        with api.house.database.writing() as transaction:
            transaction.run("UPDATE projection_positions SET position = position - 1 WHERE projection = 'credits'")
        assert "etag" not in api.ask(key, "/accounts/acct-1").headers

    def test_whoever_changes_an_account_may_insist_on_a_version(self) -> None:
        assert expected_version(asking()) is None
        assert expected_version(asking("*")) is None
        assert expected_version(asking('"17-0"')) == 17
        assert expected_version(asking(' "17-2" ')) == 17
        for unknown in ('W/"17-0"', '"17"', "17-0", '"17-0", "18-0"', '""', '"x"', "", '"99999999999999999999-0"'):
            with pytest.raises(Refused) as refused:
                expected_version(asking(unknown))
            assert refused.value.status_code == 412


def asking(if_match: str | None = None) -> Request:
    headers = [(b"if-match", if_match.encode())] if if_match is not None else []
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers})


class TestWaiting:
    def test_a_read_waits_until_the_rows_have_come_as_far_as_it_asks(
        self, api: Api, sandbox: Door, lines: Lines
    ) -> None:
        key = api.key("support")
        with api.house.database.reading() as transaction:
            behind = shard_end(transaction, 0)
        sandbox("ingest", lines(*STORY))
        with api.house.database.reading() as transaction:
            end = shard_end(transaction, 0)
        set_back(api, behind)
        project = threading.Timer(0.4, lambda: set_back(api, end))
        project.start()
        started = time.monotonic()
        answer = api.ask(key, "/accounts/acct-1", headers={"Makegood-Wait-For": f"0:{end}"})
        project.join()
        assert answer.status_code == 200
        assert 0.3 < time.monotonic() - started < waiting.PATIENCE_SECONDS

    def test_what_is_shown_already_is_not_waited_for(self, api: Api) -> None:
        key = api.key("support")
        started = time.monotonic()
        assert api.ask(key, "/claims", headers={"Makegood-Wait-For": "0:1"}).status_code == 200
        assert time.monotonic() - started < 1

    def test_nobody_waits_for_ever(self, api: Api) -> None:
        key = api.key("support")
        set_back(api, 1)
        answer = api.ask(key, "/claims", headers={"Makegood-Wait-For": "0:2"})
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:makegood:problem:unavailable")
        assert answer.headers["retry-after"]

    @pytest.mark.parametrize(
        "position", ["17", "0:", "0:x", "a:1", "0:1,1:2", f"0:{'9' * 40}", "-1:3", "0:999", "7:1"]
    )
    def test_what_is_no_position_is_told(self, api: Api, position: str) -> None:
        answer = api.ask(api.key("support"), "/claims", headers={"Makegood-Wait-For": position})
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["Makegood-Wait-For"]

    def test_who_may_not_read_does_not_wait(self, api: Api) -> None:
        operator = api.key("operator")
        set_back(api, 1)
        started = time.monotonic()
        wait = {"Makegood-Wait-For": "0:2"}
        assert api.http.get("/claims", headers=wait).status_code == 401
        assert api.ask(operator, "/claims", headers=wait).status_code == 403
        assert time.monotonic() - started < 2


def set_back(api: Api, position: int) -> None:
    """Have the projections stand where they did, or would."""
    with api.house.database.writing() as transaction:
        transaction.run("UPDATE projection_positions SET position = ?", (position,))
