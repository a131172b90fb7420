"""What the API says of itself is so: nothing comes that it does not tell."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import APIOperation, Case
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from ledger.application import access
from ledger.events import ROLES, Grant
from makegood.api.problems import KINDS
from tests.api.conftest import BY, Api
from tests.api.desk import Desk
from tests.ledger.messages import Upstream


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
        if path == "/healthz":
            continue
        assert operation["security"] == [{"bearer": []}], where
        assert {"401", "403", "422", "500", "503"} <= told, where
        assert ("404" in told) == ("{" in path or path == "/explanations"), where
        assert ("304" in told) == (path == "/accounts/{account_id}"), where
        for status in told - {"200", "201", "304"}:
            assert set(operation["responses"][status]["content"]) == {"application/problem+json"}, where


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


# A cursor and a position are only good where they come from, which no schema can say.
LEFT_OUT = [positive_data_acceptance]


def test_whatever_is_asked_nothing_comes_that_is_not_told(busy: Api) -> None:
    headers = {"Authorization": f"Bearer {busy.key('auditor')}"}
    described = schemathesis.openapi.from_url(str(busy.http.base_url.join("/openapi.json")))
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Case) -> None:
            case.call_and_validate(headers=headers, excluded_checks=LEFT_OUT)

        ask()


KNOWN = {
    "account_id": "acct-1",
    "subscription_id": "sub-1",
    "complaint_id": "com-1",
    "outage_id": "out-1",
    "dispute_id": "dis-1",
}


def test_whatever_is_instructed_or_sent_nothing_comes_that_is_not_told(quick_desk: Desk) -> None:
    """By somebody with every role, about what is there: most of it gets as far as the ledger."""
    desk = quick_desk
    upstream = Upstream(source="/monitoring")
    desk.books.take([upstream.complaint_opened(), upstream.outage_reported(), upstream.billing_error_reported()])
    for role in sorted(set(ROLES) - {"customer"}):
        access.grant(desk.books.ledger, Grant(principal="paula", role=role, account_id=None), BY)
    desk.house.projections.catch_up()
    headers = {"Authorization": f"Bearer {desk.secrets['paula']}"}
    described = schemathesis.openapi.from_url(str(desk.http.base_url.join("/openapi.json")))
    for found in described.include(method="POST").get_all_operations():
        send(found.ok(), headers)
    assert desk.facts()
    desk.books.check_positions()


def send(operation: APIOperation, headers: dict[str, str]) -> None:
    # Of many messages each is judged by itself, and what is wrong with them is no mistake of the request.
    left_out = [*LEFT_OUT, negative_data_rejection] if operation.path == "/events" else LEFT_OUT

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case: Case) -> None:
        case.path_parameters = {name: KNOWN.get(name, id_) for name, id_ in case.path_parameters.items()}
        case.call_and_validate(headers=headers, excluded_checks=left_out)

    ask()
