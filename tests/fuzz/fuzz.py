"""Requests that nobody thought of: Schemathesis makes them from the API's own description, and judges the answers.

A case is one request to one operation, in order or broken, by a caller who may, one who may not, or nobody. What must
hold of every answer: no 5xx; its status, headers and body are those that the description tells; who may not is let
through to nothing; and what is sent again has the same answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from ledger.application.access import grant
from ledger.events import ROLES, Grant
from makegood.access.permissions import PERMISSIONS
from makegood.acts.refused import KEY
from makegood.api.app import Endpoint, endpoints
from makegood.api.wait_for import WAIT_FOR
from makegood.house.settings import Settings
from tests.api.conftest import BY
from tests.api.desk import KEYS, Desk, Served, house_on
from tests.api.lives import OWN, WHO, WITHOUT_ROLE, settled
from tests.ledger.books import Books

EVERYBODY = "paula"
"""Who has every role of the provider's."""
KNOWN: dict[str, Any] = {
    "account": OWN,
    "account_id": OWN,
    "subscription_id": "sub-1",
    "charge_id": "cyc-1",
    "complaint_id": "com-1",
    "outage_id": "out-1",
    "dispute_id": "dis-1",
    "credit_id": "gw-1",
    "linked_id": "out-1",
    "currency": "EUR",
    "amount": "1.00",
    "claimed": "1.00",
    "name": "standard",
    "id": "unused/cyc-1",
}
"""What there is, by the name that it is asked for: with these, a case gets as far as the ledger."""


@dataclass
class Outcome:
    """What came of a run."""

    sent: Counter[str] = field(default_factory=Counter)
    """How many requests were sent, by operation."""
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)

    def count(self, operation: str, status: int) -> None:
        self.sent[operation] += 1
        self.statuses.setdefault(operation, Counter())[status] += 1


@contextmanager
def door(url: str = "sqlite:///:memory:") -> Iterator[Desk]:
    """A door with people of every role at it, whose rows show at once what is recorded."""
    books = Books.open()
    with ExitStack() as closing:
        served = Served.begin(
            house_on(books, Settings(store=books.database.url, vault=KEYS, request_rate=0)), closing
        )
        with settled(served, url) as desk:
            for role in sorted(set(ROLES) - {"customer"}):
                grant(desk.books.ledger, Grant(principal=EVERYBODY, role=role, account_id=None), BY)
            desk.house.projections.catch_up()
            served.app.state.recorded = desk.house.projections.catch_up
            yield desk
    books.close()


def run(desk: Desk, cases: int, number: int, only: str | None = None) -> Iterator[tuple[str, Outcome]]:
    """Send so many cases, as a seed decides; tell after each operation what has come of it.

    They are spread over all operations, or are of `only` one, such as "GET /claims".
    """
    outcome = Outcome()
    known = {str(endpoint): endpoint for endpoint in endpoints()}
    described = schemathesis.openapi.from_url(str(desk.http.base_url.join("/openapi.json")))
    found = [operation.ok() for operation in described.get_all_operations()]
    found = [operation for operation in found if only in (None, operation.label)]
    for place, operation in enumerate(found):
        share = (cases + place) // len(found)
        if share:
            try:
                _send(desk, operation, known.get(operation.label), share, number, outcome)
            except (Exception, FailureGroup) as failure:
                outcome.failed[operation.label] = failure
        yield operation.label, outcome


def _send(
    desk: Desk, operation: APIOperation, endpoint: Endpoint | None, cases: int, number: int, outcome: Outcome
) -> None:
    """Send so many cases of one operation."""

    @seed(number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        made=st.one_of(
            st.tuples(operation.as_strategy(mode), st.just(mode is GenerationMode.POSITIVE))
            for mode in GenerationMode
        ),
        who=_callers(endpoint),
        key=st.none() | st.uuids().map(str) | st.uuids().map(str),
    )
    def ask(made: tuple[Case, bool], who: str | None, key: str | None) -> None:
        case, in_order = made
        if key is not None:
            _about_what_there_is(case, key, in_order=in_order)
        headers = {"Authorization": f"Bearer {desk.secrets[who]}"} if who is not None else {}
        answer = case.call(headers=headers)
        outcome.count(operation.label, answer.status_code)
        case.validate_response(answer, excluded_checks=_left_out(case), headers=headers)
        if endpoint is not None and not _may(endpoint, who):
            assert answer.status_code >= 400, f"{who} may not, and was answered {answer.status_code}"
        if operation.method.upper() == "POST":
            again = case.call(headers=headers)
            outcome.count(operation.label, again.status_code)
            _the_same_again(operation, answer, again)

    ask()


def _callers(endpoint: Endpoint | None) -> st.SearchStrategy[str | None]:
    """Mostly somebody who may; now and then somebody who may not, and nobody."""
    if endpoint is None:
        return st.none()
    roles = PERMISSIONS[endpoint.action]
    may = [WHO[role] for role in ROLES if role in roles]
    may_not = [WHO[role] for role in ROLES if role not in roles]
    return st.one_of(
        st.sampled_from([EVERYBODY, *may]),
        st.sampled_from([EVERYBODY, *may]),
        st.sampled_from([EVERYBODY, *may]),
        st.sampled_from([*may_not, WITHOUT_ROLE, None]),
    )


def _may(endpoint: Endpoint, who: str | None) -> bool:
    roles = PERMISSIONS[endpoint.action]
    held = [role for role in ROLES if WHO[role] == who]
    return any(role in roles for role in held) or (who == EVERYBODY and bool(set(roles) - {"customer"}))


def _about_what_there_is(case: Case, key: str, *, in_order: bool) -> None:
    """Have a case name what there is, where it names anything, under a key and about no version or position.

    Of one that is broken the query and the body stay as they are: to mend them would mend what is broken.
    """
    given = {name: value for name, value in (case.headers or {}).items() if name not in ("If-Match", WAIT_FOR)}
    case.headers = given | ({KEY: key} if KEY in given else {})
    case.path_parameters = _known(case.path_parameters)
    if not in_order:
        return
    case.query = _known(case.query)
    if isinstance(case.body, dict):
        case.body = _known(case.body)


def _known(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: KNOWN.get(name, value) for name, value in (given or {}).items()}


def _left_out(case: Case) -> list[Any]:
    """What cannot be held against an answer."""
    # A cursor and a position are only good where they come from, which no schema can say.
    left_out: list[Any] = [positive_data_acceptance]
    # Of many messages each is judged by itself, and what is wrong with them is no mistake of the request; and a
    # parameter that is given an empty list is never sent.
    if case.path.startswith("/events") or [] in (case.query or {}).values():
        left_out.append(negative_data_rejection)
    return left_out


def _the_same_again(operation: APIOperation, answer: Response, again: Response) -> None:
    """What is sent again has the same answer; of messages, that they are there already."""
    assert again.status_code == answer.status_code, "sent again, it was answered by another status"
    if not operation.path.startswith("/events"):
        assert again.content == answer.content, "sent again, it was answered otherwise"
        assert again.headers.get("etag") == answer.headers.get("etag")
    elif answer.status_code == 200:
        assert again.json()["accepted"] == 0, "sent again, a message was taken again"
