"""Customers are found by id, address, name and number; what a caller is told of them goes by what they may read."""

from __future__ import annotations

import logging

import pytest
import structlog

from tests.api.conftest import Api
from tests.ledger.messages import Upstream
from tests.ledger.test_vault import found_in

LENA = {"name": "Lena Müller", "email": "lena@example.com"}
NUMBER = "+493023125999"


@pytest.fixture
def lenas(api: Api) -> Api:
    """Three customers of one name and one number, of whom one is to be erased."""
    said = []
    for account in ("acct-1", "acct-2", "acct-3"):
        upstream = Upstream(account)
        said += [
            upstream.account_registered(customer=LENA),
            upstream.subscription_registered(f"sub-{account}", numbers=[NUMBER]),
        ]
    answer = api.ask(
        api.key("provisioning"),
        "/events",
        "POST",
        json=said,
        headers={"Content-Type": "application/cloudevents-batch+json"},
    )
    assert answer.status_code in (200, 202), answer.text
    api.house.projections.catch_up()
    return api


def found(api: Api, key: str, text: str) -> list[tuple[str, str]]:
    return [(row["account_id"], row["by"]) for row in api.json(key, "/search", params={"text": text})]


def test_support_finds_a_customer_by_whatever_they_say(lenas: Api) -> None:
    key = lenas.key("support")
    for text, by in (("LENA@example.com", "email"), ("muller", "name"), ("(030) 23125-999", "number")):
        assert found(lenas, key, text) == [("acct-1", by), ("acct-2", by), ("acct-3", by)]
    assert found(lenas, key, "acct-2") == [("acct-2", "account")]
    assert found(lenas, key, "sub-acct-3") == [("acct-3", "subscription")]
    assert found(lenas, key, "system") == []
    assert found(lenas, key, "mull") == []


def test_names_are_told_to_those_who_may_read_words(lenas: Api) -> None:
    for role, told in (("support", True), ("auditor", True), ("finance", False), ("privacy", False)):
        answer = lenas.ask(lenas.key(role), "/search", params={"text": "muller"})
        for row in answer.json():
            assert (row["name"], row["email"]) == ((LENA["name"], LENA["email"]) if told else (None, None))
            assert row["id"] is None
        assert bool(found_in(answer.content, ["Müller", "muller", "lena@"])) == told


def test_a_page_leads_to_the_next(lenas: Api) -> None:
    key = lenas.key("support")
    whole = lenas.json(key, "/search", params={"text": "lena müller"})
    for limit in (1, 2, 3, 4):
        assert lenas.every_page(key, "/search?text=lena%20m%C3%BCller", limit) == whole


def test_claims_refunds_and_credits_lead_to_their_account(busy: Api) -> None:
    key = busy.key("support")
    for path, name, by in (("claims", "claim_id", "claim"), ("refunds", "refund_id", "refund")):
        for row in busy.json(key, f"/{path}?limit=3"):
            assert (row["account_id"], by) in found(busy, key, row[name])
    for row in busy.json(key, "/credits?limit=3"):
        assert (row["account_id"], "credit") in found(busy, key, row["credit_id"])


def test_an_erased_customer_is_found_by_id_alone_and_without_a_name(lenas: Api) -> None:
    erased = lenas.ask(
        lenas.key("privacy"),
        "/accounts/acct-2/erase",
        "POST",
        json={"basis": "their letter"},
        headers={"Idempotency-Key": "erase-acct-2"},
    )
    assert erased.status_code in (200, 201), erased.text
    key = lenas.key("support")
    for text in ("lena@example.com", "muller", NUMBER):
        assert [account for account, _ in found(lenas, key, text)] == ["acct-1", "acct-3"]
    [row] = lenas.json(key, "/search", params={"text": "acct-2"})
    assert (row["account_id"], row["by"], row["name"], row["email"]) == ("acct-2", "account", None, None)


def test_what_is_looked_for_is_not_logged_and_not_repeated(api: Api) -> None:
    """Our log has the route and not the address, which has the words."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    keys = [api.key("support"), api.key("approver"), "nobody"]
    with structlog.testing.capture_logs() as lines:
        answers = [api.ask(key, "/search", params={"text": "zoe.quux@example.com"}) for key in keys]
        answers.append(api.ask(keys[0], "/search", params={"text": "zoe.quux@example.com", "limit": "many"}))
        api.ask(keys[0], "/agreements")  # a request's line comes after its answer
    assert [answer.status_code for answer in answers] == [200, 403, 401, 422]
    assert len([line for line in lines if line.get("route") == "/search"]) == 4
    assert "quux" not in repr(lines)
    assert [answer.text for answer in answers if "quux" in answer.text] == []


def test_blank_is_refused(api: Api) -> None:
    key = api.key("support")
    for text in ("", "   "):
        assert api.ask(key, "/search", params={"text": text}).status_code == 422
