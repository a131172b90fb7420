"""An account in the console: by both clocks, as a journal, and event by event."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from makegood.access.sight import EVERYTHING
from makegood.answers import account as answering
from makegood.answers import history as historical
from tests.pages.clients import Pages
from tests.pages.life import ANOTHERS, HOSTILE, IN_HTML, NOBODYS, OWN

ADDRESS = f"/console/accounts/{OWN}"


@pytest.fixture
def pages(open_pages: Callable[..., Pages]) -> Pages:
    return open_pages()


def test_an_account_is_shown_with_all_that_is_known_of_it(pages: Pages) -> None:
    auditor = pages.staff("auditor")
    page = auditor.get(ADDRESS).text
    found = answering.account(pages.house, EVERYTHING, OWN).answer
    for claim in found["claims"]:
        assert claim["claim_id"] in page.replace("<wbr>", "")
    assert ANOTHERS not in page
    assert auditor.get(f"/console/accounts/{NOBODYS}").status_code == 404


def test_both_clocks_can_be_set_and_say_what_they_want(pages: Pages) -> None:
    auditor = pages.staff("auditor")
    early = auditor.get(f"{ADDRESS}?as_of=2026-03-01")
    assert early.status_code == 200
    assert "Assessed anew as of" in early.text
    nothing = auditor.get(f"{ADDRESS}?known_at=2026-01-01T00:00:00Z").text
    assert "No events of account" in nothing
    wrong = auditor.get(f"{ADDRESS}?known_at=yesterday&as_of=soon")
    assert wrong.status_code == 422
    assert wrong.text.count('class="wrong"') == 2


def test_the_history_says_of_each_event_why_by_whom_and_what_was_owed(pages: Pages) -> None:
    auditor = pages.staff("auditor")
    page = auditor.get(f"{ADDRESS}/history").text
    entries = historical.history(pages.house, EVERYTHING, OWN)
    assert re.findall(r"replay\?after=(\d+)", page) == [str(entry["version"]) for entry in entries[:50]]
    assert "because" in page
    only = auditor.get(f"{ADDRESS}/history?kind=decision&claim=none").text
    assert "No event has what you asked for" in only


def test_a_replay_goes_event_by_event_and_marks_what_changed(pages: Pages) -> None:
    auditor = pages.staff("auditor")
    last = answering.account(pages.house, EVERYTHING, OWN).version
    marked, number = 0, 0
    address: str | None = f"{ADDRESS}/replay"
    while address is not None:
        page = auditor.get(address).text
        number += 1
        assert f"Event {number} of {last}" in page
        marked += page.count('<tr class="changed">')
        onward = re.search(r'rel="next" href="([^"]+)"', page)
        address = onward[1] if onward else None
    assert number == last
    assert marked > 0
    for beyond in ("0", str(number + 1), "x", "-1"):
        assert auditor.get(f"{ADDRESS}/replay?after={beyond}").status_code == 404


def test_nothing_that_a_customer_wrote_is_obeyed(pages: Pages) -> None:
    auditor = pages.staff("auditor", "support")
    for path in ("", "/history", "/replay?after=2"):
        page = auditor.get(f"/console/accounts/{HOSTILE}{path}").text
        assert IN_HTML not in page
        assert "<script>alert" not in page
        assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|'\"&amp;(49)", page)


def test_support_sees_the_account_but_who_runs_the_machines_does_not(pages: Pages) -> None:
    assert pages.staff("support").get(ADDRESS).status_code == 200
    assert pages.staff("operator").get(ADDRESS).status_code == 403
