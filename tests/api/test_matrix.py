"""Every role at every endpoint, for the own account, another's and none: each cell of docs/permissions.md, asked.

Of another's account a customer is told what they are told of one that does not exist, byte for byte but for the id
that they sent. The two ids are of one length, so that not even a `Content-Length` may differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from httpx import Response

from ledger.application.access import grant
from ledger.events import ROLES, Grant
from makegood.access.permissions import PERMISSIONS
from makegood.api.app import Endpoint, document, endpoints
from tests.api.conftest import BY
from tests.api.desk import Desk, Served
from tests.api.lives import ANOTHERS, CUSTOMER, NOBODYS, OWN, WHO, WITHOUT_ROLE, settled
from tests.api.test_permissions import seen_by_customers
from tests.ledger.messages import Upstream

ENDPOINTS = endpoints()
DOCUMENT = document()
FILTERS = {
    path: [parameter["name"] for parameter in methods["get"].get("parameters", ()) if parameter["in"] == "query"]
    for path, methods in DOCUMENT["paths"].items()
    if "get" in methods
}
"""Which query parameters each question takes."""
BODIES: dict[str, dict[str, Any]] = {
    "/cancel": {"reason": "moving"},
    "/withdraw-cancellation": {},
    "/suspend": {"reason": "misuse"},
    "/reinstate": {},
    "/terminate": {"reason": "misuse"},
    "/outages": {"subscription_id": "sub-1", "began_at": "2026-03-15T08:00:00Z", "severity": "minor"},
    "/outages/{outage_id}/resolve": {"subscription_id": "sub-1"},
    "/outages/{outage_id}/reopen": {"subscription_id": "sub-1"},
    "/disputes": {"charge_id": "cyc-1", "claimed": "1.00", "currency": "EUR"},
    "/confirm": {"charge_id": "cyc-1", "amount": "1.00", "currency": "EUR"},
    "/disputes/{dispute_id}/reject": {"charge_id": "cyc-1", "reason": "as agreed"},
    "/complaints": {"category": "quality"},
    "/complaints/{complaint_id}/resolve": {"resolution": "explained"},
    "/complaints/{complaint_id}/reopen": {},
    "/notes": {"note": "called back"},
    "/links": {"kind": "outage", "linked_id": "out-1"},
    "/complaints/{complaint_id}/goodwill": {"amount": "5.00", "currency": "EUR"},
    "/goodwill/{credit_id}/approve": {},
    "/goodwill/{credit_id}/reject": {"reason": "made good already"},
    "/refunds/{refund_id}/approve": {"seen": "0" * 64},
    "/refunds/{refund_id}/reject": {"reason": "paid back by hand"},
    "/retry": {},
    "/to-credit": {},
    "/refund": {},
    "/write-off": {"reason": "too small"},
    "/recover": {"reason": "as agreed"},
    "/reconciliations": {"csv": "return_id,amount,currency,date,status\n"},
    "/discrepancies/{discrepancy_id}/settle": {"reason": "paid by hand"},
    "/erase": {"basis": "asked for by letter"},
}
"""What each instruction says, by how its path ends."""
IDS = {
    "subscription_id": "sub-1",
    "outage_id": "out-1",
    "dispute_id": "dis-1",
    "complaint_id": "com-1",
    "credit_id": "gw-1",
    "name": "standard",
    "position": "1",
    "period": "2026-03",
    "refund_id": "refund/billing-error/dis-1-failed/1",
    "claim_id": "billing-error/dis-1-over",
    "discrepancy_id": "dsc-1",
    "tile": "entries/000.p/1",
}
NEEDED = {
    "/explanations": {"id": "unused/cyc-1"},
    "/search": {"text": "zoe"},
    "/changes": {"since": "0:1"},
    "/access/audit": {"period": "2026-03"},
    "/accounts/{account_id}/diff": {"from": "0:1", "to": "0:9"},
}
"""What a question has to be asked with."""
CLOSING = "/periods/{period}/close"
"""No month is closed here: the one that is asked for has not ended."""
OF_NO_ACCOUNT = (
    "/agreements/{name}",
    "/dead-letters/{position}",
    "/log/tile/{tile}",
    "/periods/{period}",
    "/periods/{period}/cut-off",
)
"""The questions about something else that is named in the path."""
IDS_IN: dict[str, dict[str, str]] = {
    "/refunds/{refund_id}/approve": {"refund_id": "refund/billing-error/dis-1-confirmed/1"},
    "/refunds/{refund_id}/reject": {"refund_id": "refund/billing-error/dis-1-confirmed/1"},
    "/credits/{credit_id}/refund": {"credit_id": "credit/goodwill/gw-1-given/1"},
}
"""Other ids than those, by how a path ends."""
PERMITTED_AND_REFUSED = {
    "/accounts/{account_id}/refunds/{refund_id}/approve": 409,  # it is not what was seen
    "/accounts/{account_id}/credits/{credit_id}/refund": 409,  # a subscription is left
    "/aside/{position}": 404,
}
"""What whoever may is answered where it is not 200."""
REFUSED_HERE = {"/reconciliations": 422, "/discrepancies/{discrepancy_id}/settle": 404}
"""What is of no account and cannot be previewed: a file that lists nothing, a discrepancy that is not there."""


@dataclass(frozen=True)
class Asked:
    """One request, whoever sends it."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None = None

    def with_parameters(self, **more: str) -> Asked:
        return replace(self, parameters={**self.parameters, **more})

    def with_headers(self, **more: str) -> Asked:
        return replace(self, headers={**self.headers, **{name.replace("_", "-"): more[name] for name in more}})

    def with_body(self, body: bytes | None) -> Asked:
        return replace(self, body=body)

    def by(self, desk: Desk, secret: str | None) -> Response:
        proof = {"Authorization": f"Bearer {secret}"} if secret is not None else {}
        headers = {"Content-Type": "application/json"} | dict(self.headers) | proof
        return desk.http.request(
            self.method,
            self.path,
            params=dict(self.parameters) or None,
            content=self.body,
            headers={name: value for name, value in headers.items() if value},
        )


def asking(endpoint: Endpoint, account: str, **ids: str) -> Asked:
    """A request that is in order, about an account."""
    of_path = next((of for ending, of in IDS_IN.items() if endpoint.path.endswith(ending)), {})
    in_path = {name: quote(id_, safe="") for name, id_ in (IDS | of_path | ids).items()}
    path = endpoint.path.format(account_id=account, **in_path)
    if endpoint.method == "GET":
        parameters = dict(NEEDED.get(endpoint.path, {}))
        if endpoint.path.startswith("/exports/"):
            parameters["format"] = "hledger" if endpoint.path == "/exports/journal" else "jsonl"
        if "account" in FILTERS.get(endpoint.path, ()):
            parameters["account"] = account
        return Asked("GET", path, parameters, {})
    if endpoint.path == "/events":
        payment = Upstream(account, source="/upstream/http").payment_captured()
        return Asked("POST", path, {}, {"Content-Type": "application/cloudevents+json"}, json.dumps(payment).encode())
    if endpoint.path == "/events/batch":
        payment = Upstream(account, source="/upstream/http").payment_captured()
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        return Asked("POST", path, {}, headers, json.dumps([payment]).encode())
    if endpoint.path == CLOSING:
        return Asked("POST", path, {}, {"Idempotency-Key": "k-1"}, b"{}")
    if endpoint.path in REFUSED_HERE:
        return Asked("POST", path, {}, {"Idempotency-Key": "k-1"}, json.dumps(body_of(endpoint)).encode())
    return Asked("POST", path, {"preview": "true"}, {}, json.dumps(body_of(endpoint)).encode())


def body_of(endpoint: Endpoint) -> dict[str, Any]:
    ending = max((each for each in BODIES if endpoint.path.endswith(each)), key=len)
    return BODIES[ending]


MARKS = (ANOTHERS, "-of-2")
"""What stands in every id that is another's only."""


@pytest.fixture(scope="module")
def matrix(served: Served) -> Iterator[Desk]:
    """One for all tests that record nothing."""
    with settled(served) as desk:
        yield desk


def told(answer: Response, *sent: str) -> tuple[int, dict[str, str], str]:
    """An answer as a customer may compare it with another, but for when it came and what they sent themselves."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    text = answer.text
    for each in sent:
        text = text.replace(each, "…")
    return answer.status_code, headers, text


def ids(parameter: object) -> str:
    return str(parameter)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=ids)
class TestEveryCell:
    def test_who_may_is_answered_and_who_may_not_is_refused(self, matrix: Desk, endpoint: Endpoint) -> None:
        matrix.house.projections.catch_up()  # other cells have published events
        for role, account in product(ROLES, (OWN, ANOTHERS, NOBODYS)):
            answer = asking(endpoint, account).by(matrix, matrix.secrets[WHO[role]])
            cell = (role, account, answer.text)
            if role not in PERMISSIONS[endpoint.action]:
                assert answer.status_code == 403, cell
            elif endpoint.path == CLOSING:
                assert answer.status_code == 409, cell
            elif endpoint.path in REFUSED_HERE:
                assert answer.status_code == REFUSED_HERE[endpoint.path], cell
            elif account == OWN or (account == ANOTHERS and role != "customer"):
                assert answer.status_code == PERMITTED_AND_REFUSED.get(endpoint.path, 200), cell
            elif "{" in endpoint.path or endpoint.path in ("/explanations", "/check"):
                assert answer.status_code == (200 if endpoint.path in OF_NO_ACCOUNT else 404), cell
            else:
                assert answer.status_code == 200, cell

    def test_a_refusal_is_the_same_whoever_it_is_about(self, matrix: Desk, endpoint: Endpoint) -> None:
        refused = [who for role, who in WHO.items() if role not in PERMISSIONS[endpoint.action]]
        for who in (*refused, WITHOUT_ROLE):
            answers = {
                json.dumps(told(asking(endpoint, account).by(matrix, matrix.secrets[who]), account))
                for account in (OWN, ANOTHERS, NOBODYS)
            }
            assert len(answers) == 1
            assert json.loads(answers.pop())[0] == 403

    def test_whoever_is_not_known_is_refused_whatever_they_send(self, matrix: Desk, endpoint: Endpoint) -> None:
        for secret, account in ((None, OWN), ("eyJ.eyJ.x", NOBODYS)):
            for asked in variants(asking(endpoint, account)):
                answer = asked.by(matrix, secret)
                assert answer.status_code == 401, (asked, answer.text)
                assert answer.headers["www-authenticate"].startswith("Bearer")

    def test_who_may_not_is_refused_whatever_else_is_wrong(self, matrix: Desk, endpoint: Endpoint) -> None:
        who = WITHOUT_ROLE if "customer" in PERMISSIONS[endpoint.action] else CUSTOMER
        for asked in variants(asking(endpoint, OWN)):
            assert asked.by(matrix, matrix.secrets[who]).status_code == 403, asked


def variants(asked: Asked) -> list[Asked]:
    """A request in order, and everything that may be wrong with it or said beside it."""
    found = [
        asked,
        asked.with_parameters(nothing="known"),
        asked.with_headers(If_Match='"1-0"', If_None_Match='"1-0"'),
        asked.with_headers(If_Match="*", If_None_Match="*"),
        asked.with_headers(If_Match="no tag", If_None_Match="no tag"),
        asked.with_headers(Makegood_Wait_For="no position"),
        asked.with_headers(Makegood_Wait_For="0:1"),
    ]
    if asked.method == "GET":
        return found
    keyed = replace(asked, parameters={})
    return [
        *found,
        keyed,
        keyed.with_headers(Idempotency_Key="k/ /k"),
        asked.with_headers(Idempotency_Key="k-1"),
        asked.with_parameters(preview="perhaps"),
        *(
            each.with_body(body)
            for each in (asked, keyed.with_headers(Idempotency_Key="k-1"))
            for body in (None, b"{", b"[]", b"\xff", b'{"unknown": 1}', b'{"a": 1, "a": 2}')
        ),
        asked.with_body(b'{"reason": 7, "subscription_id": [], "charge_id": null, "category": {}}'),
        asked.with_body(b"[" * 30_000),
        asked.with_headers(Content_Type="text/plain"),
        asked.with_headers(Content_Type=""),
    ]


OF_CUSTOMERS = [endpoint for endpoint in ENDPOINTS if "customer" in PERMISSIONS[endpoint.action]]
OF_ACCOUNTS = [endpoint for endpoint in OF_CUSTOMERS if "{account_id}" in endpoint.path]
INSTRUCTIONS = [endpoint for endpoint in OF_CUSTOMERS if endpoint.method == "POST"]


class TestCustomers:
    @pytest.mark.parametrize("endpoint", OF_ACCOUNTS, ids=ids)
    def test_anothers_account_is_as_if_it_were_not(self, matrix: Desk, endpoint: Endpoint) -> None:
        for one, other in zip(variants(asking(endpoint, ANOTHERS)), variants(asking(endpoint, NOBODYS)), strict=True):
            hidden, absent = (asked.by(matrix, matrix.secrets[CUSTOMER]) for asked in (one, other))
            assert told(hidden, ANOTHERS) == told(absent, NOBODYS), one
        for method in ("HEAD", "OPTIONS", "PUT", "GET", "POST"):
            hidden, absent = (
                replace(asking(endpoint, account), method=method).by(matrix, matrix.secrets[CUSTOMER])
                for account in (ANOTHERS, NOBODYS)
            )
            assert told(hidden, ANOTHERS) == told(absent, NOBODYS), method

    @pytest.mark.parametrize("endpoint", OF_ACCOUNTS, ids=ids)
    def test_nor_does_a_body_that_is_too_large_tell_them_apart(self, matrix: Desk, endpoint: Endpoint) -> None:
        hidden, absent = (
            asking(endpoint, account).with_body(b"x" * 1_100_000).by(matrix, matrix.secrets[CUSTOMER])
            for account in (ANOTHERS, NOBODYS)
        )
        assert hidden.status_code == 413
        assert told(hidden, ANOTHERS) == told(absent, NOBODYS)

    @pytest.mark.parametrize("endpoint", OF_ACCOUNTS, ids=ids)
    def test_a_request_in_order_about_anothers_account_is_404_and_records_nothing(
        self, matrix: Desk, endpoint: Endpoint
    ) -> None:
        before = matrix.books.content()
        asked = replace(asking(endpoint, ANOTHERS), parameters={}).with_headers(Idempotency_Key="k-1")
        for _ in range(2):
            assert asked.by(matrix, matrix.secrets[CUSTOMER]).status_code == 404
        assert matrix.books.content() == before

    @pytest.mark.parametrize("endpoint", INSTRUCTIONS, ids=ids)
    def test_what_belongs_to_anothers_account_is_as_if_it_were_not(self, matrix: Desk, endpoint: Endpoint) -> None:
        """Under the own account: ids of another's in the path, and in every field of the body that takes an id."""
        for field, kind in OF_ANOTHER.items():
            hidden, absent = (naming(endpoint, field, f"{kind}-{of}-2") for of in ("of", "no"))
            if hidden is None or absent is None:
                continue
            pairs = [(hidden, absent)]
            if field in hidden.path:
                pairs = list(zip(variants(hidden), variants(absent), strict=True))
            for one, other in pairs:
                assert told(one.by(matrix, matrix.secrets[CUSTOMER]), f"{kind}-of-2") == told(
                    other.by(matrix, matrix.secrets[CUSTOMER]), f"{kind}-no-2"
                ), one

    @pytest.mark.parametrize("endpoint", INSTRUCTIONS, ids=ids)
    def test_nor_does_it_show_in_what_becomes_of_the_request(self, served: Served, endpoint: Endpoint) -> None:
        """Sent to two stores that are alike, under one key: the id that is another's, and one that nobody has."""
        for field, kind in OF_ANOTHER.items():
            answers = []
            for id_ in (f"{kind}-of-2", f"{kind}-no-2"):
                asked = naming(endpoint, field, id_)
                if asked is not None:
                    with settled(served) as desk:
                        kept = replace(asked, parameters={}).with_headers(Idempotency_Key="k-1")
                        answers += [told(kept.by(desk, desk.secrets[CUSTOMER]), id_) for _ in range(2)]
            assert all(answer == answers[0] for answer in answers), field


OF_ANOTHER = {
    "subscription_id": "sub",
    "outage_id": "out",
    "dispute_id": "dis",
    "complaint_id": "com",
    "charge_id": "chg",
    "credit_id": "gw",
}
"""How the ids of another's begin, by the field that names such a one."""


def naming(endpoint: Endpoint, field: str, id_: str) -> Asked | None:
    """A request about the own account that names an id in its path or its body; None where it takes no such one."""
    if f"{{{field}}}" in endpoint.path:
        return asking(endpoint, OWN, **{field: id_})
    if field not in fields_of(endpoint):
        return None
    return asking(endpoint, OWN).with_body(json.dumps(body_of(endpoint) | {field: id_}).encode())


def fields_of(endpoint: Endpoint) -> set[str]:
    """The fields that the body of an instruction may have."""
    said = json.dumps(DOCUMENT["paths"][endpoint.path]["post"]["requestBody"])
    [name] = re.findall(r"#/components/schemas/(\w+)", said)
    return set(DOCUMENT["components"]["schemas"][name]["properties"])


LISTS = [
    endpoint.path
    for endpoint in OF_CUSTOMERS
    if endpoint.method == "GET" and "after" in FILTERS[endpoint.path] and endpoint.path != "/credits/dormant"
]
"""The lists that have rows of both; of two customers with a subscription no credit is dormant."""


def shown_to_customers(path: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a list as their customer sees them: of goodwill only what was granted, of a refund not what people
    go by."""
    if path == "/refunds":
        return [seen_by_customers(row) for row in rows]
    if path == "/claims":
        return [row for row in rows if row["clause"] != "complaint" or row["outcome"] == "granted"]
    if path == "/complaints":
        return [row | {"links": [link for link in row["links"] if link["kind"] != "goodwill"]} for row in rows]
    return rows


class TestWhatCustomersSee:
    @pytest.mark.parametrize("path", LISTS)
    def test_a_list_shows_no_row_of_anothers_whatever_it_is_filtered_by(self, matrix: Desk, path: str) -> None:
        assert {row["account_id"] for row in rows_of(matrix, "otto", path)} == {OWN, ANOTHERS}
        own = shown_to_customers(path, rows_of(matrix, "otto", path, account=OWN))
        assert rows_of(matrix, CUSTOMER, path) == own
        for parameters in filters_of(path):
            shown = rows_of(matrix, CUSTOMER, path, **parameters)
            if parameters.get("account", OWN) != OWN:
                assert shown == [], parameters
            assert all(row in own for row in shown), parameters

    @pytest.mark.parametrize("path", ["/claims", "/refunds", "/credits"])
    def test_nor_does_it_as_of_another_time(self, matrix: Desk, path: str) -> None:
        as_of = "2026-07-01"
        own = rows_of(matrix, CUSTOMER, path, as_of=as_of)
        assert {row["account_id"] for row in own} <= {OWN}
        assert own == shown_to_customers(path, rows_of(matrix, "otto", path, as_of=as_of, account=OWN))
        assert rows_of(matrix, CUSTOMER, path, as_of=as_of, account=ANOTHERS) == []

    @pytest.mark.parametrize("path", LISTS)
    def test_nor_does_a_page_that_begins_after_anothers_row(self, matrix: Desk, path: str) -> None:
        own = shown_to_customers(path, rows_of(matrix, "otto", path, account=OWN))
        for cursor in cursors(matrix, "otto", path):
            shown = matrix.get(CUSTOMER, f"{path}?after={cursor}")
            assert shown.status_code == 200
            assert all(row in own for row in ageless(shown.json()))
            assert "link" not in matrix.get(CUSTOMER, f"{path}?after={cursor}&account={ANOTHERS}&limit=1").headers

    def test_what_is_anothers_is_explained_to_nobody_else(self, matrix: Desk) -> None:
        anothers = {
            id_
            for path, name in (("/claims", "claim_id"), ("/refunds", "refund_id"), ("/credits", "credit_id"))
            for id_ in (row[name] for row in rows_of(matrix, "otto", path, account=ANOTHERS))
        }
        assert {id_.split("/")[0] for id_ in anothers} > {"refund", "credit", "goodwill", "billing-error", "unused"}
        own = {row["claim_id"] for row in rows_of(matrix, CUSTOMER, "/claims")}
        for id_, account in product(anothers, (None, OWN, ANOTHERS, NOBODYS)):
            asked = asking(Endpoint("GET", "/explanations", "explanation.read"), OWN)
            asked = replace(asked, parameters={"id": id_} | ({"account": account} if account else {}))
            answer = asked.by(matrix, matrix.secrets[CUSTOMER])
            if answer.status_code == 200:
                assert answer.json()["claim_id"] in own
                assert answer.json()["account_id"] == OWN
            else:
                absent = asked.with_parameters(id="unused/nothing").by(matrix, matrix.secrets[CUSTOMER])
                assert told(answer) == told(absent)

    def test_no_answer_holds_an_id_of_anothers_or_what_people_wrote_of_them(self, matrix: Desk) -> None:
        answers = [
            matrix.get(CUSTOMER, path + query)
            for path in (*LISTS, f"/accounts/{OWN}")
            for query in ("", "?limit=1", "?open=true", "?overdue=true", "?as_of=2026-03-14T00:00:00Z")
        ]
        for path in ("/claims", "/refunds", "/credits"):
            for row in rows_of(matrix, CUSTOMER, path):
                id_ = row.get("refund_id") or row.get("credit_id") or row["claim_id"]
                answers.append(matrix.get(CUSTOMER, f"/explanations?id={id_}"))
        answers += [asking(endpoint, OWN).by(matrix, matrix.secrets[CUSTOMER]) for endpoint in OF_CUSTOMERS]
        assert sum(answer.status_code == 200 for answer in answers) > 20
        for answer in answers:
            assert not any(mark in f"{answer.headers}{answer.text}" for mark in MARKS), answer.text

    def test_what_people_wrote_about_a_goodwill_credit_is_for_whoever_may_read_what_they_wrote_of_complaints(
        self, matrix: Desk
    ) -> None:
        reads = {role for role in ROLES if role in PERMISSIONS["explanation.read"]}
        asked = Asked("GET", "/explanations", {"id": "goodwill/gw-1", "account": OWN}, {})
        answers = {role: asked.by(matrix, matrix.secrets[WHO[role]]).text for role in reads}
        told = {role for role, text in answers.items() if "in the words of support" in text}
        assert told == {"support", "approver", "auditor"}, "customers read what is written to them, and not this"
        assert told | {"customer"} == reads & PERMISSIONS["complaint.read_words"]

    def test_a_role_for_an_account_that_is_not_there_shows_nothing(self, served: Served) -> None:
        with settled(served) as desk:
            grant(desk.books.ledger, Grant(principal=WITHOUT_ROLE, role="customer", account_id=NOBODYS), BY)
            desk.house.projections.catch_up()
            for path in LISTS:
                assert rows_of(desk, WITHOUT_ROLE, path) == []
            for endpoint in OF_ACCOUNTS:
                assert asking(endpoint, NOBODYS).by(desk, desk.secrets[WITHOUT_ROLE]).status_code == 404


def rows_of(desk: Desk, who: str, path: str, **parameters: str) -> list[dict[str, Any]]:
    answer = Asked("GET", path, {"limit": "1000"} | parameters, {}).by(desk, desk.secrets[who])
    assert answer.status_code == 200, answer.text
    return ageless(answer.json())


def ageless(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without their age, which goes on while they are compared."""
    return [{name: value for name, value in row.items() if name != "age_seconds"} for row in rows]


def cursors(desk: Desk, who: str, path: str) -> Iterator[str]:
    """Where each page begins that holds one row, as somebody reads them."""
    address: str | None = f"{path}?limit=1"
    while address is not None:
        address = desk.get(who, address).links.get("next", {}).get("url")
        if address is not None:
            yield parse_qs(urlsplit(address).query)["after"][0]


def filters_of(path: str) -> Iterator[dict[str, str]]:
    """Everything that a list may be filtered by, each by itself and with each account."""
    described = DOCUMENT["paths"][path]["get"]["parameters"]
    for parameter, account in product(described, (None, OWN, ANOTHERS, NOBODYS)):
        for value in values_of(parameter):
            yield {parameter["name"]: value} | ({"account": account} if account else {})


def values_of(parameter: Mapping[str, Any]) -> list[str]:
    if parameter["in"] != "query" or parameter["name"] in ("limit", "after"):
        return []
    if parameter["schema"].get("type") == "boolean":
        return ["true", "false"]
    if parameter["name"] in VALUES:
        return VALUES[parameter["name"]]
    values: list[str] = parameter["schema"].get("enum", [OWN, ANOTHERS, NOBODYS])
    return values


VALUES: dict[str, list[str]] = {
    "clause": ["unused_period", "complaint"],
    "currency": ["EUR", "JPY"],
    "from": ["2026-03-01"],
    "to": ["2026-03-31"],
    "min": [],
    "known_at": ["0:999999", "2089-01-01T00:00:00Z"],
    "as_of": [],
}
"""What the filters are given that take no text. An amount is asked for with its currency, and what is assessed anew
has rows of its own."""


class TestOnPostgreSQL:
    def test_anothers_account_is_as_if_it_were_not(self, served: Served, pg_store: str) -> None:
        with settled(served, pg_store) as desk:
            for endpoint in OF_ACCOUNTS:
                hidden, absent = (
                    asking(endpoint, account).by(desk, desk.secrets[CUSTOMER]) for account in (ANOTHERS, NOBODYS)
                )
                assert told(hidden, ANOTHERS) == told(absent, NOBODYS)
            for path in LISTS:
                own = shown_to_customers(path, rows_of(desk, "otto", path, account=OWN))
                assert rows_of(desk, CUSTOMER, path) == own
                assert rows_of(desk, CUSTOMER, path, account=ANOTHERS) == []
                assert all(
                    row in own
                    for cursor in cursors(desk, "otto", path)
                    for row in ageless(desk.get(CUSTOMER, f"{path}?after={cursor}").json())
                )
