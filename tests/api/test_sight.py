"""Who may see which row and field: customers see what is named for them, and nothing that comes to be beside it."""

from collections.abc import Iterator
from typing import Any, NotRequired, get_args

import pytest
from fastapi.routing import APIRoute
from typing_extensions import TypedDict, get_type_hints, is_typeddict

from ledger.store.reading.page import Listed
from makegood.access.permissions import PERMISSIONS
from makegood.access.sight import CUSTOMERS_SEE, EVERYTHING, Sight
from makegood.api.guard import action_of
from projections.asking import UnknownAccount
from projections.refunds import Refund
from tests.api.conftest import Api

CUSTOMER = Sight(frozenset({"acct-1"}), goodwill=False, words=False, system=False)


def types_in(hint: Any) -> Iterator[type]:
    """The types with fields that something is made of."""
    if is_typeddict(hint):
        yield hint
        for field in get_type_hints(hint).values():
            yield from types_in(field)
    for part in get_args(hint):
        yield from types_in(part)


def not_required(of: type) -> set[str]:
    hints = get_type_hints(of, include_extras=True)
    return {name for name, hint in hints.items() if getattr(hint, "__origin__", None) is NotRequired}


def for_customers(api: Api) -> dict[str, type]:
    """The types of what customers may ask for, and of what is in them."""
    routes = [route for route in api.app.routes if isinstance(route, APIRoute) and "GET" in route.methods]
    answers = [
        route.responses[200]["model"]
        for route in routes
        if (action := action_of(route)) is not None and "customer" in PERMISSIONS[action]
    ]
    return {of.__name__: of for answer in answers for of in types_in(answer)}


def test_what_customers_see_is_named_of_every_answer_that_they_may_ask_for_and_exists(api: Api) -> None:
    types = for_customers(api)
    # In fields of an account, an explanation, a complaint or what is held that customers do not see.
    never = {"Goodwill", "GoodwillLinked", "Alarm", "Instruction", "PersonsDecision", "WordsHeld"}
    assert set(CUSTOMERS_SEE) == set(types) - never
    for name, fields in CUSTOMERS_SEE.items():
        known = set(get_type_hints(types[name]))
        assert fields <= known, name
        assert known - fields <= not_required(types[name]), f"{name}: what customers do not see may be missing"


def test_a_field_that_comes_to_be_no_customer_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inner(TypedDict):
        seen: str
        new: str

    class Answer(TypedDict):
        seen: str
        new: str
        inner: list[Inner] | None
        one: Inner

    monkeypatch.setitem(CUSTOMERS_SEE, "Answer", frozenset({"seen", "inner", "one"}))  # type: ignore[arg-type]
    inner: Inner = {"seen": "1", "new": "2"}
    answer: Answer = {"seen": "1", "new": "2", "inner": [inner], "one": inner}
    assert CUSTOMER.row(Answer, answer) == {"seen": "1", "inner": [{}], "one": {}}, "of Inner nothing is named"
    monkeypatch.setitem(CUSTOMERS_SEE, "Inner", frozenset({"seen"}))  # type: ignore[arg-type]
    assert CUSTOMER.row(Answer, answer)["one"] == {}, "what is named is asked once"
    assert EVERYTHING.row(Answer, answer) is answer


def test_an_account_is_covered_or_looks_like_none() -> None:
    assert EVERYTHING.check("acct-2") == "acct-2"
    assert EVERYTHING.check("system") == "system"
    assert CUSTOMER.check("acct-1") == "acct-1"
    for account in ("acct-2", "system", "with space", ""):
        with pytest.raises(UnknownAccount):
            CUSTOMER.check(account)
    with pytest.raises(UnknownAccount):
        Sight(system=False).check("system")


def test_a_list_is_limited_to_what_is_asked_for_and_covered() -> None:
    assert EVERYTHING.among(None) is None
    assert EVERYTHING.among("acct-2") == {"acct-2"}
    assert CUSTOMER.among(None) == CUSTOMER.among("acct-1") == {"acct-1"}
    assert CUSTOMER.among("acct-2") == frozenset()


def test_a_page_that_is_seen_in_part_leads_on_like_the_whole_one() -> None:
    rows: Listed[Refund] = Listed([], ("acct-1", "refund/1"))
    assert CUSTOMER.rows(Refund, rows).next == ("acct-1", "refund/1")
