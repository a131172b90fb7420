"""Lists in pages: nothing is missed or shown twice, though rows come and go between two of them."""

import base64
import json
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.api.conftest import Api
from tests.door.conftest import Door
from tests.door.test_commands import STORY, message

LISTS = (
    "/claims",
    "/refunds",
    "/credits",
    "/disputes",
    "/complaints",
    "/outages",
    "/alarms",
    "/waiting",
    "/dead-letters",
    "/accounts/acct-0006/history",
    "/accounts/acct-0006/replay",
    "/access/keys",
)


def told_by(account: str) -> list[dict]:
    """A story that ends in a claim and a refund of an account."""
    return [{**said, "id": f"{account}-{said['id']}", "subject": account} for said in STORY]


@pytest.fixture
def known(api: Api, sandbox: Door, lines: Callable[..., str]) -> Api:
    """An API over accounts a-1, a-3, …, a-9, each with a claim and a refund."""
    for number in range(1, 10, 2):
        sandbox("ingest", lines(*told_by(f"a-{number}")))
    return api


def test_pages_of_every_size_add_up_to_the_whole_list(busy: Api) -> None:
    key = busy.key("auditor")
    for path in LISTS:
        whole = busy.json(key, f"{path}?limit=1000")
        for size in (1, 2, 7, max(1, len(whole)), len(whole) + 1):
            assert busy.every_page(key, path, size) == whole, (path, size)


def test_lists_are_in_the_order_of_accounts_and_ids(busy: Api) -> None:
    key = busy.key("auditor")
    for path, id_ in (("/claims", "claim_id"), ("/refunds", "refund_id"), ("/credits", "credit_id")):
        keys = [(row["account_id"], row[id_]) for row in busy.json(key, f"{path}?limit=1000")]
        assert all(before < after for before, after in pairwise(keys)), path


@pytest.mark.parametrize("path", ["/claims", "/refunds"])
def test_rows_that_come_between_two_pages_make_no_other_be_missed_or_repeated(
    known: Api, sandbox: Door, lines: Callable[..., str], path: str
) -> None:
    key = known.key("finance")
    first = known.ask(key, f"{path}?limit=2")
    assert [row["account_id"] for row in first.json()] == ["a-1", "a-3"]
    for account in ("a-0", "a-4"):  # one that belongs before where the page ended, one after it
        sandbox("ingest", lines(*told_by(account)))
    second = known.ask(key, first.links["next"]["url"])
    assert [row["account_id"] for row in second.json()] == ["a-4", "a-5"]
    third = known.ask(key, second.links["next"]["url"])
    assert [row["account_id"] for row in third.json()] == ["a-7", "a-9"]
    assert "next" not in third.links


def test_where_a_page_ended_may_be_gone_when_the_next_is_asked_for(
    known: Api, sandbox: Door, lines: Callable[..., str]
) -> None:
    key = known.key("finance")
    first = known.ask(key, "/claims?limit=2&outcome=granted")
    withdrawn = message(
        "w", "cancellation.withdrawn", {"subscription_id": "s", "withdrawn_at": "2026-04-08T09:00:00Z"}
    )
    sandbox("ingest", lines({**withdrawn, "subject": "a-3"}))
    assert [row["account_id"] for row in known.json(key, "/claims?outcome=granted")] == ["a-1", "a-5", "a-7", "a-9"]
    second = known.ask(key, first.links["next"]["url"])
    assert [row["account_id"] for row in second.json()] == ["a-5", "a-7"]


def test_a_link_keeps_the_filters(busy: Api) -> None:
    key = busy.key("auditor")
    whole = busy.json(key, "/claims?outcome=granted&limit=1000")
    answer = busy.ask(key, "/claims?outcome=granted&limit=3")
    assert "outcome=granted" in answer.links["next"]["url"]
    assert answer.links["next"]["url"].startswith("/claims?")
    assert busy.every_page(key, "/claims?outcome=granted", 3) == whole


def test_the_last_page_has_no_link(busy: Api) -> None:
    key = busy.key("auditor")
    whole = busy.json(key, "/claims?limit=1000")
    assert "link" not in busy.ask(key, f"/claims?limit={len(whole)}").headers
    assert "next" in busy.ask(key, f"/claims?limit={len(whole) - 1}").links


def cursor(*key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "",
        "%00",
        cursor(),
        cursor("a"),
        cursor(1, 2),
        cursor("a", "b", "c"),
        cursor("a\0", "b"),
        cursor("\ud800", "b"),
    ],
)
def test_a_link_that_was_made_up_leads_nowhere(api: Api, after: str) -> None:
    answer = api.ask(api.key("auditor"), "/claims", params={"after": after})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["after"]


def test_a_number_that_no_database_has_leads_nowhere(api: Api) -> None:
    key = api.key("auditor")
    for path in ("/dead-letters", "/accounts/system/history"):
        assert api.ask(key, path, params={"after": cursor(2**70)}).status_code == 422
        assert api.ask(key, path, params={"after": cursor(True)}).status_code == 422
        assert api.json(key, path, params={"after": cursor(2**62)}) == []


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", "1.5", ""])
def test_a_page_has_a_size_that_makes_sense(api: Api, limit: str) -> None:
    answer = api.ask(api.key("auditor"), "/claims", params={"limit": limit})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "limit")
