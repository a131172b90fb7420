"""What the API says of itself is so: nothing comes that it does not tell."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from makegood.api import questions
from makegood.api.app import WITHOUT_PERMISSION
from makegood.api.app import document as document_of_today
from makegood.api.problems import KINDS, Kind, Refused
from tests.api.conftest import Api
from tests.fuzz.fuzz import door, run

pytestmark = pytest.mark.long


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    return api.http.get("/openapi.json").json()


def test_it_is_openapi_3_1_and_needs_no_token(api: Api, document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_operation_says_what_it_is_for_and_what_can_come_of_it(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        for parameter in operation.get("parameters", []):
            assert parameter.get("description") or parameter["in"] == "path", (where, parameter["name"])
        told = set(operation["responses"])
        if path in WITHOUT_PERMISSION:
            continue
        assert operation["security"] == [{"bearer": []}], where
        assert {"401", "403", "422", "500", "503"} <= told, where
        assert ("404" in told) == ("{" in path or path in ("/explanations", "/log/checkpoint")), where
        assert ("304" in told) == (path == "/accounts/{account_id}"), where
        for status in told - {"200", "201", "304"}:
            assert set(operation["responses"][status]["content"]) == {"application/problem+json"}, where


def test_linters_find_what_they_look_for(document: dict[str, Any]) -> None:
    """`make generators` runs the linters themselves; what they asked for is held here."""
    assert document["servers"]
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, method, operation in operations(document):
        assert set(operation["tags"]) <= tags, f"describe the tag of {method} {path} in makegood/api/describing.py"
        assert any(status.startswith("4") for status in operation["responses"])
        assert (operation["security"] == []) == (path in WITHOUT_PERMISSION)


def test_what_may_be_sent_in_one_operation_is_told_apart_by_its_class(document: dict[str, Any]) -> None:
    """Generators make a class of each named object, and of an array nothing that they could ask for."""
    for path, method, operation in operations(document):
        bodies = operation.get("requestBody", {}).get("content", {})
        kinds = [body["schema"] for body in bodies.values()]
        if len(kinds) > 1:
            named = [document["components"]["schemas"][kind["$ref"].rpartition("/")[2]] for kind in kinds]
            assert {schema["type"] for schema in named} == {"object"}, f"{method} {path}"


def test_amounts_are_strings(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, field in (("Claim", "amount"), ("Refund", "total"), ("Balance", "owed"), ("Charge", "price")):
        assert schemas[name]["properties"][field]["type"] == "string"
        assert "pattern" in schemas[name]["properties"][field]
    fields = [field for schema in schemas.values() for field in schema.get("properties", {}).values()]
    assert not any(field.get("type") == "number" for field in fields)


def test_every_status_that_is_told_has_its_kind(document: dict[str, Any]) -> None:
    known = {str(kind.status) for kind in KINDS} | {"200", "201", "304"}
    assert {status for _, _, operation in operations(document) for status in operation["responses"]} <= known


def test_of_a_version_that_was_read_any_may_be_sent(document: dict[str, Any]) -> None:
    """What is no ETag of ours holds no more, and is no mistake (RFC 9110)."""
    parameters = document["paths"]["/accounts/{account_id}"]["get"]["parameters"]
    [schema] = [parameter["schema"] for parameter in parameters if parameter["name"] == "If-None-Match"]
    assert "pattern" not in schema


@pytest.mark.parametrize("store", ["in memory", "PostgreSQL"])
def test_whatever_is_sent_nothing_comes_that_is_not_told(store: str, request: pytest.FixtureRequest) -> None:
    """The same few cases each time; `make fuzz` sends thousands, others each time. PostgreSQL gets half as many."""
    url = request.getfixturevalue("pg_store") if store == "PostgreSQL" else "sqlite:///:memory:"
    with door(url) as desk:
        for _, outcome in run(desk, cases=300 if store == "in memory" else 150, number=1):
            assert outcome.failed == {}
        described = {f"{method.upper()} {path}" for path, method, _ in operations(document_of_today())}
        assert set(outcome.sent) == described
        seen = {status for counted in outcome.statuses.values() for status in counted}
        assert seen >= ({201, 401, 403} if store == "in memory" else {401, 403})
        desk.books.check_positions()


def test_what_is_not_told_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise Refused(Kind("gone", 410, "Too late"), "")

    monkeypatch.setattr(questions.published, "agreement", too_late)
    with door() as desk:
        [(_, outcome)] = run(desk, cases=20, number=0, only="GET /agreements/{name}")
    assert set(outcome.failed) == {"GET /agreements/{name}"}
