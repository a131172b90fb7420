"""What finance decides by forms: refunds and goodwill by a second person, months for good, discrepancies with a
reason; each once, and each with what stands where it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import quote

import pytest

from ledger.application.payouts import submit_approved
from ledger.application.record import take
from makegood.access.sight import EVERYTHING
from makegood.answers import owed
from makegood.answers.periods import periods
from makegood.answers.reconciliation import discrepancies
from makegood.pages.console import approvals
from tests.ledger.messages import Message, Upstream, read_all
from tests.pages.clients import Client, Pages
from tests.pages.life import OWN, PRINCIPALS


@pytest.fixture
def pages(open_pages: Callable[..., Pages]) -> Pages:
    return open_pages()


def hidden(text: str, name: str) -> str:
    """What a hidden field of a page says."""
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', text)
    assert found is not None, f"no field {name}"
    return found[1]


def to(address: str, choice: str) -> str:
    """The address of one of an item's buttons."""
    path, _, query = address.partition("?")
    return f"{path}/{choice}?{query}"


def _waiting(pages: Pages) -> tuple[str, str]:
    """A refund that waits for approval, with the address of its page."""
    refund = owed.refunds(pages.house, EVERYTHING, status="due", account=OWN)[0]["refund_id"]
    return refund, f"/console/approvals/{OWN}/refund?id={quote(refund)}"


def _status(pages: Pages, refund_id: str) -> str:
    pages.house.projections.catch_up()
    rows = owed.refunds(pages.house, EVERYTHING, account=OWN)
    return next(row["status"] for row in rows if row["refund_id"] == refund_id)


def test_a_second_person_approves_a_refund_as_they_saw_it(pages: Pages) -> None:
    approver = pages.staff("approver", principal=PRINCIPALS["approver"])
    refund, address = _waiting(pages)
    assert address.replace("&", "&amp;") in approver.get("/console/approvals").text
    page = approver.get(address).text
    assert "The facts it rests on" in page
    fields = {name: hidden(page, name) for name in ("key", "seen")}
    first = approver.submit(to(address, "approve"), fields)
    assert (first.status_code, first.headers["location"]) == (303, "/console/approvals")
    assert approver.submit(to(address, "approve"), fields).status_code == 303, "sent twice, it has the same answer"
    assert _status(pages, refund) == "approved"
    assert f"approved by {PRINCIPALS['approver']}" in approver.get(address).text


def test_what_changed_since_it_was_seen_is_not_approved(pages: Pages) -> None:
    approver = pages.staff("approver")
    refund, address = _waiting(pages)
    answer = approver.submit(to(address, "approve"), {"key": "k1", "seen": "0" * 64})
    assert answer.status_code == 422
    assert "This was not decided" in answer.text
    assert _status(pages, refund) == "due"


def test_a_rejection_says_why(pages: Pages) -> None:
    approver = pages.staff("approver")
    refund, address = _waiting(pages)
    fields = {name: hidden(approver.get(address).text, name) for name in ("key", "seen")}
    refused = approver.submit(to(address, "reject"), fields)
    assert refused.status_code == 422
    assert "say why" in refused.text
    assert (
        approver.submit(to(address, "reject"), fields | {"reason": "paid by bank transfer already"}).status_code
        == 303
    )
    assert _status(pages, refund) == "rejected"


def test_who_only_looks_finds_no_button(pages: Pages) -> None:
    _, address = _waiting(pages)
    page = pages.staff("auditor").get(address)
    assert page.status_code == 200
    assert "<button" not in page.text.partition("<main")[2]


def _proposed(pages: Pages) -> tuple[str, str, str]:
    credit = owed.goodwill(pages.house, EVERYTHING, account=OWN, still_open=True)[0]
    return (
        credit["credit_id"],
        credit["proposed_by"],
        f"/console/approvals/{OWN}/goodwill?id={quote(credit['credit_id'])}",
    )


def test_goodwill_is_decided_by_somebody_else_than_who_proposed_it(pages: Pages) -> None:
    credit, proposer, address = _proposed(pages)
    themselves = pages.staff("approver", principal=proposer)
    key = hidden(themselves.get(address).text, "key")
    refused = themselves.submit(to(address, "approve"), {"key": key})
    assert refused.status_code == 422
    assert "another person must decide" in refused.text
    another = pages.staff("approver", principal="staff/second")
    key = hidden(another.get(address).text, "key")
    assert another.submit(to(address, "approve"), {"key": key}).status_code == 303
    pages.house.projections.catch_up()
    decided = next(row for row in owed.goodwill(pages.house, EVERYTHING, account=OWN) if row["credit_id"] == credit)
    assert decided["decided_by"] == "staff/second"


def test_a_month_is_closed_for_good_once_that_is_confirmed(pages: Pages) -> None:
    finance = pages.staff("finance", principal=PRINCIPALS["finance"])
    early = finance.get("/console/months/2026-04/close").text
    key = hidden(early, "key")
    unconfirmed = finance.submit("/console/months/2026-04/close", {"key": key})
    assert unconfirmed.status_code == 422
    assert "confirm that the month is to be closed for good" in unconfirmed.text
    too_early = finance.submit("/console/months/2026-04/close", {"key": key, "sure": "yes"})
    assert too_early.status_code == 422
    assert "The month was not closed" in too_early.text
    assert [each["period"] for each in periods(pages.house)] == ["2026-03"]
    closed = finance.get("/console/months/2026-03/close").text
    assert "All figures follow from the events" in closed
    assert 'type="checkbox"' not in closed


def test_a_processors_file_is_compared_and_what_differs_is_settled(pages: Pages) -> None:
    finance = pages.staff("finance", principal=PRINCIPALS["finance"])
    assert "paste the processor" in finance.submit("/console/reconciliation", {"csv": " "}).text
    csv = "return_id,reference,amount,currency,date,status\nret-unknown,re-77,11.90,EUR,2026-03-20,succeeded\n"
    compared = finance.submit("/console/reconciliation", {"csv": csv})
    assert compared.status_code == 200
    assert "1 unknown here" in compared.text
    pages.house.projections.catch_up()
    page = finance.get("/console/reconciliation").text
    first = discrepancies(pages.house)[0]["discrepancy_id"]
    fields = {"key": hidden(page, "key"), "reason": "paid by hand"}
    assert finance.submit(f"/console/reconciliation/{first}", fields).status_code == 303
    pages.house.projections.catch_up()
    assert first not in [each["discrepancy_id"] for each in discrepancies(pages.house)]
    gone = finance.submit(f"/console/reconciliation/{first}", {"key": "k9", "reason": "again"})
    assert gone.status_code == 422


def test_a_form_of_finance_is_closed_to_others(pages: Pages) -> None:
    support: Client = pages.staff("support")
    _, address = _waiting(pages)
    assert support.submit(to(address, "approve")).status_code == 403
    assert support.submit("/console/months/2026-04/close", {"sure": "yes"}).status_code == 403
    assert support.submit("/console/reconciliation", {"csv": "x"}).status_code == 403


# --- after it was approved: what failed, and what went out too much ----------------------------------------------


def _approved_and_submitted(pages: Pages) -> str:
    """A refund that went out to be paid."""
    approver = pages.staff("approver", principal=PRINCIPALS["approver"])
    refund, address = _waiting(pages)
    fields = {name: hidden(approver.get(address).text, name) for name in ("key", "seen")}
    assert approver.submit(to(address, "approve"), fields).status_code == 303
    assert submit_approved(pages.house.ledger) == 1
    return refund


def _says(pages: Pages, *messages: Message) -> None:
    assert take(pages.house.ledger, read_all(messages)).refused == []
    pages.house.projections.catch_up()


@pytest.mark.parametrize(("choice", "becomes"), [("retry", "approved"), ("to-credit", None)])
def test_a_failed_refund_is_tried_again_or_becomes_a_credit(pages: Pages, choice: str, becomes: str | None) -> None:
    refund = _approved_and_submitted(pages)
    _says(pages, Upstream(OWN, source="/processor/2").refund_failed(refund))
    finance = pages.staff("finance", principal=PRINCIPALS["finance"])
    address = f"/console/approvals/{OWN}/refund?id={quote(refund)}"
    page = finance.get(address).text
    assert ">Retry " in page
    assert ">Turn into a credit of " in page
    assert ">Approve" not in page
    assert finance.submit(to(address, choice), {"key": hidden(page, "key")}).status_code == 303
    rows = {row["refund_id"]: row["status"] for row in owed.refunds(pages.house, EVERYTHING, account=OWN)}
    assert rows.get(refund) == becomes
    assert pages.staff("support").submit(to(address, choice), {"key": "k"}).status_code == 403


@pytest.mark.parametrize("choice", ["write-off", "recover"])
def test_what_went_out_too_much_is_written_off_or_recovered(pages: Pages, choice: str) -> None:
    refund = _approved_and_submitted(pages)
    claim = refund.removeprefix("refund/").rpartition("/")[0]
    dispute, charge = claim.partition("/")[2], "chg-1"
    held = {"amount": "0.10", "time": "2026-02-01T00:00:00Z"}
    _says(pages, Upstream(OWN, source="/later").overcharge_confirmed(dispute, charge, **held))
    finance = pages.staff("finance", principal=PRINCIPALS["finance"])
    listed = finance.get("/console/overpaid").text
    address = f"/console/overpaid/{OWN}/decide?id={quote(claim)}"
    assert address in listed
    key = hidden(finance.get(address).text, "key")
    assert "say why" in finance.submit(to(address, choice), {"key": key}).text
    done = finance.submit(to(address, choice), {"key": key, "reason": "too small to ask for"})
    assert (done.status_code, done.headers["location"]) == (303, "/console/overpaid")
    left = [row for row in owed.overpaid(pages.house, EVERYTHING, account=OWN) if row["claim_id"] == claim]
    assert [row["recovery_ordered_by"] for row in left] == ([PRINCIPALS["finance"]] if choice == "recover" else [])


def test_a_credit_that_is_in_use_is_not_refunded(pages: Pages) -> None:
    credit = owed.credits(pages.house, EVERYTHING, account=OWN, status="open")[0]["credit_id"]
    finance = pages.staff("finance")
    address = f"/console/credits/{OWN}/decide?id={quote(credit)}"
    page = finance.get(address).text
    assert "once the account" in page
    assert "<button" not in page.partition("<main")[2]
    assert finance.submit(to(address, "refund"), {"key": "k"}).status_code == 422


def test_the_goodwill_credits_that_wait_have_pages_of_their_own(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    approver, address = pages.staff("approver"), "/console/approvals"
    proposed = [credit["credit_id"] for credit in owed.goodwill(pages.house, EVERYTHING, still_open=True)]
    assert len(proposed) > 1
    assert "goodwill=" not in approver.get(address).text, "they fit on one page"
    monkeypatch.setattr(approvals, "LIVE_ROWS", 1)
    seen: list[str] = []
    onward: str | None = ""
    while onward is not None:
        page = approver.get(address + unescape(onward).partition("#")[0]).text
        told = page.partition("Goodwill credits that wait for a decision")[2]
        seen += re.findall(r'<td data-label="Credit"><span class="id">([^<]+)</span>', told)
        found = re.search(r'href="(\?goodwill=[^"]+)" rel="next"', told)
        onward = found[1] if found is not None else None
    assert seen == proposed
