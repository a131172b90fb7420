"""Whatever goes wrong is a problem document that says what to do next and quotes nothing."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import psycopg
import pytest
import structlog
from fastapi import APIRouter

from ledger.store.database import Conflict, StoreError, Unavailable
from ledger.store.reading.shards import WrongShard
from ledger.vault import Erased
from makegood.access.caller import Caller
from makegood.access.rate import RequestRate
from makegood.api.guard import allowed
from makegood.api.problems import CONFLICT, INTERNAL, INVALID, KINDS, UNAVAILABLE, Problem, as_refused
from tests.api.conftest import Api
from tests.door.conftest import Door
from tests.door.test_commands import ACCOUNT

SECRET = "Ada-Quill-4111"


def problem(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert Problem.model_validate(document, strict=True, extra="forbid")
    assert (document["status"], document["type"]) == (status, f"urn:makegood:problem:{name}")
    assert document["instance"] == answer.request.url.raw_path.decode().partition("?")[0]
    for part in ("title", "detail"):
        assert document[part]
        assert SECRET not in document[part]
    assert SECRET not in json.dumps(document.get("errors", []))
    return document


def test_an_address_that_is_not_there(api: Api) -> None:
    for path in ("/", "/nothing", "/claims/", "/docs", "/accounts", "/accounts//history", f"/{SECRET}"):
        document = problem(api.ask(api.key("auditor"), path), 404, "not-found")
        assert "/openapi.json" in document["detail"]


def test_a_method_that_is_not_for_it(api: Api) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "QUERY"):
        answer = api.ask(api.key("auditor"), "/claims", method)
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_head_and_options(api: Api) -> None:
    key = api.key("auditor")
    whole, head = api.ask(key, "/agreements"), api.ask(key, "/agreements", "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert api.http.request("HEAD", "/agreements").status_code == 401
    options = api.http.request("OPTIONS", "/agreements")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert "access-control-allow-origin" not in options.headers


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"/claims?outcome={SECRET}", ["outcome"]),
        ("/claims?account=a%20b", ["account"]),
        (f"/claims?account={'a' * 129}", ["account"]),
        ("/claims?account=a%00b", ["account"]),
        ("/claims?account=a&account=b", ["account"]),
        ("/claims?acount=a", ["acount"]),
        (f"/claims?{SECRET}=a", ["?"]),
        ("/disputes?overdue=perhaps", ["overdue"]),
        ("/accounts/a?as_of=yesterday", ["as_of"]),
        ("/accounts/a?as_of=2026-03-01T00:00:00", ["as_of"]),
        ("/accounts/a?as_of=9999-12-31T23:59:59-23:59", ["as_of"]),
        ("/accounts/a?as_of=0:7&known_at=2026-03-01", ["as_of", "known_at"]),
        (f"/dead-letters/{SECRET}", ["position"]),
        ("/dead-letters/0", ["position"]),
        (f"/dead-letters/{2**63}", ["position"]),
        ("/dead-letters?source=%00", ["source"]),
        ("/accounts/a/replay?to=-1", ["to"]),
        ("/explanations", ["id"]),
        ("/explanations?id=", ["id"]),
        ("/explanations?id=%00", ["id"]),
        ("/status?max_age=-1", ["max_age"]),
        ("/access/keys?principal=a%20b", ["principal"]),
    ],
)
def test_fields_that_are_wrong_are_named_and_not_quoted(api: Api, path: str, fields: list[str]) -> None:
    document = problem(api.ask(api.key("auditor"), path), 422, "invalid")
    assert [error["field"] for error in document["errors"]] == fields
    assert all(error["reason"] for error in document["errors"])


def test_what_has_no_such_name(api: Api) -> None:
    key = api.key("auditor")
    for path in (
        f"/accounts/{SECRET}",
        f"/accounts/{SECRET}/history",
        f"/accounts/{SECRET}/replay",
        "/accounts/a%00b",
        "/accounts/%ff",
        f"/accounts/{'a' * 5_000}",
        "/dead-letters/77",
        "/aside/77",
        f"/agreements/{SECRET}",
        "/agreements/%00",
        "/agreements/standard?version=7",
        f"/agreements/standard?version={10**23}",
        f"/explanations?id={SECRET}",
        f"/explanations?id={SECRET}&account={SECRET}",
    ):
        problem(api.ask(key, path), 404, "not-found")


def test_a_body_that_is_too_large_is_not_taken(api: Api) -> None:
    key, large = api.key("auditor"), b"x" * 1_048_577
    problem(api.ask(key, "/claims", content=large), 413, "too-large")
    assert api.ask(key, "/claims", content=b"{}").status_code == 415
    assert api.ask(key, "/claims", content=b"{}", headers={"Content-Type": "application/json"}).status_code == 200


def taking_bodies() -> APIRouter:
    """A route that takes a body, as those do that change something."""
    router = APIRouter()

    @router.post("/taken")
    def taken(_: Annotated[Caller, allowed("events.publish")], body: dict[str, int]) -> dict[str, int]:
        return body

    return router


def test_a_body_is_json_of_a_size_that_makes_sense(sandbox: Door, serve: Callable[..., Api]) -> None:
    api = serve(sandbox.store, taking_bodies())
    key = api.key("provisioning")

    def post(content: Any, media: str | None = "application/json") -> httpx.Response:
        headers = {"Content-Type": media} if media is not None else {}
        return api.ask(key, "/taken", "POST", content=content, headers=headers)

    assert post(b'{"a": 1}').json() == {"a": 1}
    assert post(b'{"a": 1}', "application/cloudevents+json; charset=utf-8").json() == {"a": 1}
    assert post(iter([b'{"a":', b" 1}"])).json() == {"a": 1}
    for media in (
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/js",
    ):
        problem(post(b'{"a": 1}', media), 415, "unsupported-media-type")
        problem(post(iter([b"{}"]), media), 415, "unsupported-media-type")
    problem(post(b" " * 1_048_577), 413, "too-large")
    problem(post(iter([b" " * 1_000_000, b" " * 1_000_000])), 413, "too-large")
    assert post(b'{"a": 1}' + b" " * 1_048_568).status_code == 200
    for wrong, field in ((b"{", "1"), (f'{{"{SECRET}": "x"}}'.encode(), "?"), (b'{"a": "x"}', "a"), (b"", "body")):
        assert [error["field"] for error in problem(post(wrong), 422, "invalid")["errors"]] == [field]
    for path in ("/taken", "/agreements"):
        assert api.http.request("OPTIONS", path).headers["allow"] == (
            "OPTIONS, POST" if path == "/taken" else "GET, HEAD, OPTIONS"
        )


def test_a_passing_cause_may_be_tried_again(api: Api, store: str) -> None:
    if store.startswith("sqlite"):
        return  # it has no server that could end a connection
    key = api.key("auditor")
    with psycopg.connect(store, autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    answer = api.ask(key, "/claims")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert 200 in [api.ask(key, "/claims").status_code for _ in range(16)]  # as many connections as there can be


def test_damage_on_our_side_shows_nothing_of_itself(api: Api, sandbox: Door, lines: Callable[..., str]) -> None:
    key = api.key("auditor")
    sandbox("ingest", lines(SECRET), exits=3)
    assert api.json(key, "/dead-letters/1")["body"] == SECRET
    with api.house.database.writing() as transaction:
        transaction.run("UPDATE vault SET ciphertext = nonce")
    document = problem(api.ask(key, "/dead-letters/1"), 500, "internal")
    assert "vault" not in document["detail"] + document["title"]
    assert api.ask(key, "/dead-letters").status_code == 200


def test_every_error_that_is_known_is_a_problem_of_its_own() -> None:
    assert as_refused(Conflict(SECRET)).kind == UNAVAILABLE
    assert as_refused(Unavailable(SECRET)).headers == {"Retry-After": "2"}
    assert as_refused(StoreError(SECRET)).kind == INTERNAL
    assert as_refused(WrongShard(SECRET)).kind == INVALID
    assert as_refused(Erased(SECRET)).kind == CONFLICT
    assert as_refused(KeyError(SECRET)).kind == INTERNAL


def test_the_contract_lists_every_kind() -> None:
    contract = (Path(__file__).resolve().parents[2] / "docs" / "contract.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"| `{kind.type}` | {kind.status} |" in contract


def test_a_caller_who_asks_too_often_is_told_when_to_go_on(sandbox: Door, serve: Callable[..., Api]) -> None:
    api = serve(sandbox.store, request_rate=1, request_burst=3)
    key, other = api.key("auditor"), api.key("support")
    assert [api.ask(key, "/claims").status_code for _ in range(3)] == [200] * 3
    refused = api.ask(key, "/claims")
    problem(refused, 429, "too-many-requests")
    assert refused.headers["retry-after"] == "1"
    assert api.ask(other, "/claims").status_code == 200, "each caller has their own"
    time.sleep(1.1)
    assert api.ask(key, "/claims").status_code == 200
    machine = api.key("provisioning")
    assert {api.ask(machine, "/status").status_code for _ in range(10)} == {200}, "upstream has no limit"


def test_who_proves_nothing_is_counted_by_address_and_holds_nobody_up(
    sandbox: Door, serve: Callable[..., Api]
) -> None:
    api = serve(sandbox.store, request_rate=1, request_burst=3)
    key = api.key("auditor")
    guessed = "mg_" + "0" * 16 + "_" + "0" * 64
    answers = [api.ask(credentials, "/claims") for credentials in ("forged", guessed, "nonsense", "forged", guessed)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert api.ask(key, "/claims").status_code == 200, "a key is known from the same address too"


def test_a_rate_holds_on_average_and_a_burst_after_a_pause() -> None:
    now = 0.0
    rate = RequestRate(50, 100, lambda: now)
    assert [rate.wait("desk") for _ in range(100)] == [0.0] * 100
    assert rate.wait("desk") == pytest.approx(0.02)
    assert rate.wait("other") == 0.0
    for _ in range(200):
        now += 0.02
        assert rate.wait("desk") == 0.0
        assert rate.wait("desk") > 0.0
    now += 10
    assert sum(rate.wait("desk") == 0.0 for _ in range(300)) == 100
    assert {RequestRate(0, 100).wait("desk") for _ in range(300)} == {0.0}


def test_one_line_is_logged_for_each_request_and_holds_nothing_that_was_sent(
    sandbox: Door, serve: Callable[..., Api]
) -> None:
    api = serve(sandbox.store)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    key = api.key("support")
    with structlog.testing.capture_logs() as lines:
        api.ask(key, f"/claims?account={SECRET}")
        api.ask(key, f"/accounts/{SECRET}")
        api.ask(key, f"/accounts/{SECRET}/nothing")
        api.ask(f"mg_{SECRET}", "/claims")
        api.http.get("/healthz")
    told = [(line["method"], line.get("route"), line["status"], line.get("principal")) for line in lines]
    assert told == [
        ("GET", "/claims", 200, "support"),
        ("GET", "/accounts/{account_id}", 404, "support"),
        ("GET", None, 404, None),
        ("GET", "/claims", 401, None),
    ]
    assert SECRET not in json.dumps(lines)


def test_the_log_names_an_account_as_it_is_named(
    sandbox: Door, serve: Callable[..., Api], lines: Callable[..., str]
) -> None:
    sandbox("ingest", lines({**ACCOUNT, "subject": "eu/7"}))
    api = serve(sandbox.store)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    key = api.key("auditor")
    with structlog.testing.capture_logs() as told:
        api.json(key, "/accounts/eu%2F7")
        until = time.monotonic() + 10
        while not told and time.monotonic() < until:  # it is told once the answer is out
            time.sleep(0.01)
    assert [line["account"] for line in told] == ["eu/7"]
