"""Roles and API keys on each kind of store: who got what from whom, once, and nothing of a secret is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ledger.application.access import AccessRefused, grant, issue_key, revoke, revoke_key, secret_digest
from ledger.application.acts import By
from ledger.events import Grant
from projections import access
from projections.follower import Follower
from tests.ledger.books import Books

BOB = By("/makegood/cli/bob", "cli")
FINANCE = Grant(principal="auth0|7f", role="finance", account_id=None)
CUSTOMER = Grant(principal="portal-7", role="customer", account_id="acct-1")


def acts(books: Books) -> list[dict[str, object]]:
    return [event for event in books.stored("system") if event["type"] != "agreement-published.v1"]


def follow(books: Books) -> Follower:
    follower = Follower(books.database)
    follower.create()
    follower.catch_up()
    return follower


def test_a_role_stands_from_its_grant_to_its_revocation_and_each_is_an_act_of_somebody(books: Books) -> None:
    follower = follow(books)
    assert grant(books.ledger, FINANCE, BOB)
    assert grant(books.ledger, CUSTOMER, BOB)
    follower.catch_up()
    assert access.roles_of(books.database, "auth0|7f") == [("finance", None)]
    assert access.roles_of(books.database, "portal-7") == [("customer", "acct-1")]
    assert revoke(books.ledger, FINANCE, replace(BOB, actor="/makegood/cli/eve"))
    follower.catch_up()
    assert access.roles_of(books.database, "auth0|7f") == []
    assert [row["principal"] for row in access.grants(books.database)] == ["portal-7"]
    assert [(act["type"], act["actor"], act["channel"]) for act in acts(books)] == [
        ("role-granted.v1", "/makegood/cli/bob", "cli"),
        ("role-granted.v1", "/makegood/cli/bob", "cli"),
        ("role-revoked.v1", "/makegood/cli/eve", "cli"),
    ]
    books.check_positions()


def test_what_stands_already_is_recorded_once(books: Books) -> None:
    assert not revoke(books.ledger, FINANCE, BOB)
    assert grant(books.ledger, FINANCE, BOB)
    before = books.content()
    assert not grant(books.ledger, FINANCE, BOB)
    assert books.content() == before
    assert revoke(books.ledger, FINANCE, BOB)
    assert grant(books.ledger, FINANCE, BOB)
    assert [act["type"] for act in acts(books)] == ["role-granted.v1", "role-revoked.v1", "role-granted.v1"]


def test_a_customers_roles_are_one_for_each_account(books: Books) -> None:
    follower = follow(books)
    other = CUSTOMER.model_copy(update={"account_id": "acct-2"})
    grant(books.ledger, CUSTOMER, BOB)
    grant(books.ledger, other, BOB)
    revoke(books.ledger, CUSTOMER, BOB)
    follower.catch_up()
    assert access.roles_of(books.database, "portal-7") == [("customer", "acct-2")]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"role": "customer"}, "--account"),
        ({"account_id": "acct-1"}, "grant the role customer"),
        ({"role": "customer", "account_id": "system"}, "id of a customer's account"),
        ({"role": "customer", "account_id": "two words"}, "id of a customer's account"),
        ({"principal": ""}, "128"),
        ({"principal": "two words"}, "128"),
        ({"principal": "/makegood"}, "must not begin with /makegood"),
        ({"principal": "/makegood/cli/root"}, "must not begin with /makegood"),
        ({"principal": "/MAKEGOOD/timer"}, "must not begin with /makegood"),
        ({"principal": "zoe@provider.example"}, "e-mail address.*subject of the person's OIDC token"),
        ({"principal": "google|zoe\uff20provider.example"}, "e-mail address"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(books: Books, wrong: dict[str, str], told: str) -> None:
    before = books.content()
    with pytest.raises(AccessRefused, match=told):
        grant(books.ledger, FINANCE.model_copy(update=wrong), BOB)
    assert books.content() == before


@pytest.mark.parametrize("principal", ["/makegood/cli/root", "zoe@provider.example", "two words"])
def test_no_key_is_issued_for_a_name_that_no_principal_has(books: Books, principal: str) -> None:
    before = books.content()
    with pytest.raises(AccessRefused, match="the name of a principal must"):
        issue_key(books.ledger, principal, BOB)
    assert books.content() == before


def test_a_role_of_a_name_that_was_allowed_once_can_be_revoked(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    older = FINANCE.model_copy(update={"principal": "zoe@provider.example"})
    with monkeypatch.context() as before_the_rule:
        before_the_rule.setattr("ledger.application.access.check_name", lambda _: None)
        assert grant(books.ledger, older, BOB)
    assert revoke(books.ledger, older, BOB)


def test_of_a_key_only_a_digest_is_kept(books: Books) -> None:
    follower = follow(books)
    issued = issue_key(books.ledger, "billing-1", BOB)
    follower.catch_up()
    mark, key_id, secret = issued.text.split("_")
    assert (mark, key_id, len(bytes.fromhex(secret))) == ("mg", issued.key_id, 32)
    assert access.standing_key(books.database, key_id) == access.StandingKey("billing-1", secret_digest(secret))
    assert secret not in json.dumps(books.stored("system"))
    assert all(secret not in repr(rows) for rows in books.content().values())
    assert issue_key(books.ledger, "billing-1", BOB).text != issued.text


def test_a_revoked_key_opens_nothing_and_is_revoked_once(books: Books) -> None:
    follower = follow(books)
    issued = issue_key(books.ledger, "billing-1", BOB)
    assert revoke_key(books.ledger, issued.key_id, BOB)
    assert not revoke_key(books.ledger, issued.key_id, BOB)
    follower.catch_up()
    assert access.standing_key(books.database, issued.key_id) is None
    assert access.keys(books.database) == []
    assert [act["type"] for act in acts(books)] == ["api-key-issued.v1", "api-key-revoked.v1"]
    with pytest.raises(AccessRefused, match="access key list"):
        revoke_key(books.ledger, "0" * 16, BOB)


def test_two_who_grant_at_once_grant_once(books: Books) -> None:
    other = books.another_process()
    books.database.before_writing.append(lambda: grant(other.ledger, FINANCE, BOB))
    assert not grant(books.ledger, FINANCE, BOB)
    assert len(acts(books)) == 1
    books.database.before_writing.append(lambda: grant(other.ledger, CUSTOMER, BOB))
    assert revoke(books.ledger, FINANCE, BOB)
    assert [act["type"] for act in acts(books)] == ["role-granted.v1", "role-granted.v1", "role-revoked.v1"]
