"""Support finds a customer, sees what is open and what happened, and does what they ask for, once, as previewed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ledger.application.record import take
from ledger.values import is_made_id
from makegood.access.sight import EVERYTHING
from makegood.answers import account as answering
from makegood.answers import finance, owed
from makegood.answers import history as historical
from makegood.house.looks import Looker
from makegood.house.opening import House
from makegood.pages import lists
from projections.account_state import ClaimOfAccount
from tests.ledger.messages import Upstream, read_all
from tests.pages.clients import Client, Pages
from tests.pages.life import ANOTHERS, HOSTILE, IN_HTML, NOBODYS, OWN
from tests.pages.site import Site

ADDRESS = f"/console/accounts/{OWN}"
NUMBER = "+49301234567"


@pytest.fixture
def pages(open_pages: Callable[..., Pages]) -> Pages:
    return open_pages()


@pytest.fixture
def support(pages: Pages) -> Client:
    return pages.staff("support")


def with_a_number(house: House) -> None:
    """A subscription of the customer's with a telephone number."""
    up = Upstream(OWN, source="/upstream/numbers", begins="2026-04-24T11:00:00Z")
    taken = take(house.ledger, read_all([up.subscription_registered("sub-number", numbers=[NUMBER])]))
    assert not taken.refused, taken.refused
    house.projections.catch_up()


def main_of(text: str) -> str:
    """What a page says itself, without its frame."""
    return text.partition("<main")[2].replace("<wbr>", "")


class TestFinding:
    def test_one_hit_leads_straight_to_the_timeline(self, pages: Pages, support: Client) -> None:
        with_a_number(pages.house)
        for text in (OWN, "sub-second-1", f"zoe@{OWN}.example", "030 123 45 67", NUMBER):
            found = support.get("/console/search", params={"text": text})
            assert (found.status_code, found.headers.get("location")) == (303, f"{ADDRESS}/timeline"), text

    def test_several_are_listed_with_what_they_were_found_by(self, support: Client) -> None:
        found = main_of(support.get("/console/search?text=zo%C3%AB").text)
        for account in (OWN, ANOTHERS):
            assert f'href="/console/accounts/{account}/timeline"' in found
            assert f"zoe@{account}.example" in found
        assert found.count(">the name<") == 2
        assert HOSTILE not in found

    def test_nobody_found_says_what_to_try(self, support: Client) -> None:
        assert "Try another of them" in support.get("/console/search?text=nobody-has-it").text
        long = support.get("/console/search", params={"text": "x" * 600})
        assert long.status_code == 422
        assert support.get("/console/search", params={"text": "a\0b"}).status_code == 422

    def test_each_role_begins_where_it_works_and_reads_what_it_may(self, pages: Pages) -> None:
        finance = pages.staff("finance")
        assert finance.get(f"/console/search?text={OWN}").headers["location"] == ADDRESS
        listed = main_of(finance.get("/console/search?text=zoe").text)
        assert OWN in listed
        assert "zoe@" not in listed, "finance reads no words"
        privacy = pages.staff("privacy").get(f"/console/search?text={OWN}")
        assert privacy.status_code == 200, "who may not open the account is told that it is there"
        assert "/timeline" not in main_of(privacy.text)
        assert pages.staff("operator").get("/console/search?text=zoe").status_code == 403
        assert pages.customer(OWN).get("/console/search?text=zoe").status_code == 404

    def test_the_frame_has_a_box_for_whoever_may_search(self, pages: Pages, support: Client) -> None:
        assert 'action="/console/search"' in support.get(f"{ADDRESS}/timeline").text
        assert 'action="/console/search"' not in pages.staff("approver").get("/console/approvals").text


class TestTimeline:
    def test_it_begins_with_who_it_is_and_what_is_open(self, pages: Pages, support: Client) -> None:
        with_a_number(pages.house)
        text = main_of(support.get(f"{ADDRESS}/timeline").text)
        for shown in (f"Zoë of {OWN}", f"zoe@{OWN}.example", NUMBER):
            assert shown in text
        first = text.partition("What happened")[0]
        for id_ in ("out-april-1", "dis-april-1", "com-april-1", "gw-april-1", "dis-waiting-1"):
            assert id_ in first, id_
        assert ANOTHERS not in text
        looks = pages.house.looks.taken()
        assert looks is not None
        assert {(seen.by, seen.kind, seen.account_id) for seen in looks.seen} == {
            (Looker("sandbox/support", "console"), "words", OWN)
        }, "who saw the name is recorded"

    def test_it_has_every_event_newest_first_in_a_sentence(self, pages: Pages, support: Client) -> None:
        entries = historical.history(pages.house, EVERYTHING, OWN)
        address: str | None = f"{ADDRESS}/timeline"
        told: list[str] = []
        while address is not None:
            text = support.get(address).text
            told += re.findall(r"<li(?: class=\"decided\")?>\n<p>(.*?)\.</p>", text)
            older = re.search(r'href="([^"]+)" rel="next"', text)
            address = older[1] if older else None
        assert len(told) == len(entries)
        assert "was registered with the currency" in told[-1]
        for beyond in ("0", "1", str(len(entries) + 2), "x"):
            assert support.get(f"{ADDRESS}/timeline?before={beyond}").status_code == 404

    def test_an_account_that_is_not_there_has_none(self, support: Client) -> None:
        assert support.get(f"/console/accounts/{NOBODYS}/timeline").status_code == 404

    def test_who_may_not_read_words_sees_no_name(self, pages: Pages) -> None:
        text = pages.staff("finance").get(f"{ADDRESS}/timeline").text
        assert "zoe@" not in text
        assert "Zoë" not in text

    def test_nothing_that_a_customer_wrote_is_obeyed(self, support: Client) -> None:
        text = support.get(f"/console/accounts/{HOSTILE}/timeline").text
        assert IN_HTML not in text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text


def key_in(text: str) -> str:
    found = re.search(r'<input type="hidden" name="key" value="([^"]*)">', text)
    assert found is not None, "no key"
    return found[1]


def fill_in(by: Client, path: str, **fields: str) -> tuple[dict[str, str], str]:
    """Fill a form in and see what it will mean: its fields with its key, and what the preview says."""
    sent = {"key": key_in(by.get(path).text), **fields}
    answer = by.submit(path, {**sent, "step": "preview"})
    assert answer.status_code == 200, answer.text
    return sent, " ".join(re.sub("<[^>]+>", " ", main_of(answer.text)).split())


def confirm(by: Client, path: str, sent: dict[str, str]) -> str:
    """Confirm a form: where it leads to."""
    answer = by.submit(path, {**sent, "step": "confirm"})
    assert answer.status_code == 303, main_of(answer.text)
    return str(answer.headers["location"])


def version(pages: Pages) -> int:
    pages.house.projections.catch_up()
    found = answering.account(pages.house, EVERYTHING, OWN).version
    assert found is not None
    return found


def claims_of(pages: Pages) -> list[ClaimOfAccount]:
    pages.house.projections.catch_up()
    return answering.account(pages.house, EVERYTHING, OWN).answer["claims"]


def changed_claims(before: list[ClaimOfAccount], after: list[ClaimOfAccount]) -> list[ClaimOfAccount]:
    """The claims whose outcome or amounts are others than before."""
    stood = {claim["claim_id"]: as_previewed(claim) for claim in before}
    return [claim for claim in after if stood.get(claim["claim_id"]) != as_previewed(claim)]


def as_previewed(claim: ClaimOfAccount) -> str:
    """What a preview says of a claim."""
    reason = f" {claim['reason'].replace('_', ' ')}:" if claim["reason"] else ""
    amounts = f"{claim['amount']} {claim['currency']} net and {claim['tax']} {claim['currency']} tax"
    return f"{claim['outcome']}{reason} {amounts}"


OUTAGE = {
    "subscription_id": "sub-second-1",
    "began_at": "2026-03-10 08:00",
    "severity": "significant",
    "cause": "provider",
}


class TestActing:
    def test_an_outage_is_registered_in_five_inputs_and_comes_out_as_previewed(
        self, pages: Pages, support: Client
    ) -> None:
        form = main_of(support.get(f"{ADDRESS}/outage").text)
        assert len(re.findall(r'<(?:select|textarea|input (?!type="hidden"))', form)) <= 5
        before, claims = version(pages), claims_of(pages)
        sent, told = fill_in(support, f"{ADDRESS}/outage", **OUTAGE)
        assert "10 Mar 2026, 08:00 +01:00" in told, "as typed, in the account's zone"
        assert version(pages) == before, "a preview records nothing"
        assert confirm(support, f"{ADDRESS}/outage", sent) == f"{ADDRESS}/timeline"
        recorded = [row for row in owed.outages(pages.house, EVERYTHING, account=OWN) if is_made_id(row["outage_id"])]
        assert [(row["began_at"], row["status"]) for row in recorded] == [("2026-03-10T07:00:00Z", "open")]
        changed = changed_claims(claims, claims_of(pages))
        assert told.count(" net and ") == len(changed) > 0
        for claim in changed:
            assert as_previewed(claim) in told

    def test_sent_twice_it_has_one_effect_and_changed_it_asks_again(self, pages: Pages, support: Client) -> None:
        path = f"{ADDRESS}/outage"
        sent, _ = fill_in(support, path, **OUTAGE)
        assert confirm(support, path, sent) == confirm(support, path, sent)
        once = version(pages)
        other = support.submit(path, {**sent, "severity": "minor", "step": "confirm"})
        assert other.status_code == 422
        assert "you changed the form after it was recorded" in other.text
        assert key_in(other.text) != sent["key"]
        assert version(pages) == once

    def test_what_is_wrong_stands_at_its_field_and_what_was_entered_stays(
        self, pages: Pages, support: Client
    ) -> None:
        before = version(pages)
        path = f"{ADDRESS}/dispute"
        key = key_in(support.get(path).text)
        wrong = support.submit(path, {"key": key, "charge_id": "cyc-1", "claimed": "4.505", "description": "twice"})
        assert wrong.status_code == 422
        assert re.search(r'id="claimed-wrong">[^<]+<', wrong.text)
        assert '<a href="#claimed">' in wrong.text
        assert ">twice</textarea>" in wrong.text
        assert '<option value="cyc-1" selected>' in wrong.text
        several = support.submit(f"{ADDRESS}/outage", {"key": key, "began_at": "2026-03-29 02:30"}).text
        assert "this time comes not at all in Europe/Berlin" in several
        assert several.count('class="wrong"') == 4
        back = support.submit(path, {"key": key, "charge_id": "cyc-1", "claimed": "4.50", "step": "change"})
        assert 'value="4.50"' in back.text
        assert version(pages) == before

    def test_whoever_comes_from_a_subscription_need_not_choose_it_again(self, support: Client) -> None:
        stands = support.get(ADDRESS).text
        address = f"{ADDRESS}/cancellation?subscription_id=sub-second-1"
        assert f'href="{address}"' in stands
        assert f"{ADDRESS}/cancellation?subscription_id=sub-1" not in stands, "it has ended"
        assert '<option value="sub-second-1" selected>' in support.get(address).text

    def test_a_dispute_and_a_complaint_are_opened_and_linked(self, pages: Pages, support: Client) -> None:
        sent, told = fill_in(support, f"{ADDRESS}/complaint/new", category="it hums", description="all day")
        assert "all day" in told
        confirm(support, f"{ADDRESS}/complaint/new", sent)
        mine = [
            row for row in owed.complaints(pages.house, EVERYTHING, account=OWN) if is_made_id(row["complaint_id"])
        ]
        complaint = mine[0]["complaint_id"]
        fields = {"charge_id": "cyc-april-1", "claimed": "4.50", "complaint_id": complaint}
        sent, told = fill_in(support, f"{ADDRESS}/dispute", **fields)
        assert "pending" in told
        confirm(support, f"{ADDRESS}/dispute", sent)
        opened = [row for row in owed.disputes(pages.house, EVERYTHING, account=OWN) if is_made_id(row["dispute_id"])]
        assert [(row["charge_id"], row["outcome"], row["complaint_ids"]) for row in opened] == [
            ("cyc-april-1", "pending", [complaint])
        ]
        text = main_of(support.get(f"{ADDRESS}/complaint?id={complaint}").text)
        for shown in ("all day", "it hums", opened[0]["dispute_id"], "sandbox/support"):
            assert shown in text

    def test_a_complaint_is_noted_resolved_and_reopened(self, pages: Pages, support: Client) -> None:
        page = f"{ADDRESS}/complaint?id=com-april-1"
        for act, fields, shown in (
            ("note", {"note": "called back"}, "called back"),
            ("link", {"kind": "outage", "linked_id": "out-april-1"}, "out-april-1"),
            ("resolve", {"resolution": "explained", "answer": "It was our cable."}, "It was our cable."),
            ("reopen", {"reason": "again"}, "again"),
        ):
            path = f"{ADDRESS}/complaint/{act}?id=com-april-1"
            sent, _ = fill_in(support, path, **fields)
            assert confirm(support, path, sent) == page
            assert shown in main_of(support.get(page).text)
        assert "It was our cable." in pages.customer(OWN).get(f"/portal/{OWN}/complaints?id=com-april-1").text
        wrong = support.submit(
            f"{ADDRESS}/complaint/link?id=com-april-1",
            {"key": "k", "kind": "outage", "linked_id": "out-april-2"},
        )
        assert wrong.status_code == 422, "another's outage is not there"
        assert "the account has no such outage" in wrong.text

    def test_a_cancellation_comes_out_as_previewed_and_is_withdrawn(self, pages: Pages, support: Client) -> None:
        path = f"{ADDRESS}/cancellation"
        fields = {"subscription_id": "sub-second-1", "keep_service": "no", "requested_at": "2026-04-20 10:00"}
        claims = claims_of(pages)
        sent, told = fill_in(support, path, **fields)
        assert "20 Apr 2026, 10:00 +02:00" in told
        confirm(support, path, sent)
        changed = changed_claims(claims, claims_of(pages))
        assert [claim["clause"] for claim in changed] == ["unused_period"]
        assert as_previewed(changed[0]) in told
        assert "Subscription sub-second-1 will be cancelling , with effect on 1 May 2026" in told
        other = support.submit(path, {**sent, "subscription_id": "sub-1", "step": "confirm"})
        assert other.status_code == 422, "a key is for one subscription"
        assert "Withdraw a cancellation" in support.get(f"{ADDRESS}/timeline").text
        sent, _ = fill_in(support, f"{ADDRESS}/withdrawal", subscription_id="sub-second-1")
        confirm(support, f"{ADDRESS}/withdrawal", sent)
        rows = answering.account(pages.house, EVERYTHING, OWN).answer["subscriptions"]
        assert {row["subscription_id"]: row["status"] for row in rows}["sub-second-1"] == "active"

    def test_goodwill_is_proposed_for_a_complaint_and_waits_for_another_person(
        self, pages: Pages, support: Client
    ) -> None:
        path = f"{ADDRESS}/complaint/goodwill?id=com-april-1"
        sent, told = fill_in(support, path, amount="5.00", reason="sorry")
        assert "no other person has decided yet" in told
        confirm(support, path, sent)
        made = [row for row in owed.goodwill(pages.house, EVERYTHING, account=OWN) if is_made_id(row["credit_id"])]
        assert [(row["amount"], row["status"], row["proposed_by"]) for row in made] == [
            ("5.00", "proposed", "sandbox/support")
        ]

    def test_anothers_ids_and_accounts_are_not_there(self, pages: Pages, support: Client) -> None:
        assert support.get(f"{ADDRESS}/complaint?id=com-april-2").status_code == 404
        assert support.get(f"{ADDRESS}/complaint/note?id=com-april-2").status_code == 404
        assert support.get(f"/console/accounts/{NOBODYS}/outage").status_code == 404
        refused = support.submit(f"{ADDRESS}/outage", {"key": "k", **OUTAGE, "subscription_id": "sub-second-2"})
        assert refused.status_code == 422
        assert "choose one of the list" in refused.text

    def test_whoever_may_not_is_refused(self, pages: Pages) -> None:
        before = version(pages)
        for role in ("finance", "auditor", "approver"):
            client = pages.staff(role)
            for act in ("outage", "dispute", "complaint/new", "cancellation", "withdrawal"):
                assert client.get(f"{ADDRESS}/{act}").status_code == 403, (role, act)
                assert client.submit(f"{ADDRESS}/{act}", {**OUTAGE, "key": "k"}).status_code == 403, (role, act)
        finance = pages.staff("finance")
        assert finance.get(f"{ADDRESS}/complaint?id=com-1").status_code == 403, "finance reads no words"
        assert "Register an outage" not in pages.staff("auditor").get(f"{ADDRESS}/timeline").text
        assert version(pages) == before

    def test_html_that_support_enters_is_shown_and_not_obeyed(self, support: Client) -> None:
        path = f"{ADDRESS}/complaint/new"
        sent, _ = fill_in(support, path, category=IN_HTML, description=IN_HTML)
        previewed = support.submit(path, {**sent, "step": "preview"}).text
        confirm(support, path, sent)
        for text in (previewed, support.get(f"{ADDRESS}/timeline").text):
            assert "<script>alert" not in text
            assert "<img src=x" not in text


class TestLists:
    def test_complaints_are_counted_by_age_and_filtered_by_it(self, pages: Pages, support: Client) -> None:
        page = main_of(support.get("/console/complaints").text)
        ages = finance.complaint_ages(pages.house, EVERYTHING)
        open_ones = owed.complaints(pages.house, EVERYTHING, still_open=True)
        assert ages["totals"]["count"] == len(open_ones)
        for row in ages["rows"]:
            assert f'href="/console/complaints?age={row["age"]}"' in page
            listed = main_of(support.get(f"/console/complaints?age={row['age']}").text)
            assert len(re.findall('data-label="Complaint"', listed)) == row["count"]
        assert "com-html" not in page
        assert "com-html" in support.get("/console/complaints?all=yes").text

    def test_disputes_have_their_deadlines_and_outages_go_on(self, pages: Pages, support: Client) -> None:
        overdue = main_of(support.get(f"/console/disputes?overdue=yes&account={OWN}").text)
        rows = owed.disputes(pages.house, EVERYTHING, account=OWN, overdue=True)
        assert len(re.findall('data-label="Dispute"', overdue)) == len(rows) > 0
        assert overdue.count(">overdue<") == len(rows)
        open_ones = main_of(support.get("/console/disputes").text)
        assert "dis-april-1" in open_ones
        assert "dis-paid-1" not in open_ones
        assert "dis-paid-1" in support.get("/console/disputes?all=yes").text
        going_on = main_of(support.get("/console/outages").text)
        assert "out-april-1" in going_on
        assert 'data-label="Outage"><span class="id">out-1<' not in going_on
        assert 'data-label="Outage"><span class="id">out-1<' in support.get("/console/outages?all=yes").text


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
def test_support_finds_a_customer_by_number_and_registers_an_outage(
    site: Site, signed_in: Callable[..., Page], script: bool
) -> None:
    with_a_number(site.house)
    before = answering.account(site.house, EVERYTHING, OWN).answer["claims"]
    browser = signed_in("support", script=script)
    browser.goto("/console/complaints")
    browser.get_by_label("Customer's id, e-mail address, name or telephone number").fill("030 1234567")
    browser.keyboard.press("Enter")
    expect(browser).to_have_url(f"{site.address}{ADDRESS}/timeline")
    browser.get_by_role("link", name="Register an outage").click()
    browser.get_by_role("button", name="See what it will mean").click()
    expect(browser.get_by_role("alert")).to_contain_text("Began: fill this in")
    browser.get_by_label("Subscription").select_option("sub-second-1")
    browser.get_by_label("Began").fill(OUTAGE["began_at"])
    browser.get_by_label("Severity").select_option("significant")
    browser.get_by_label("Cause").select_option("provider")
    browser.get_by_role("button", name="See what it will mean").click()
    expect(browser.get_by_role("heading", name="What this will mean")).to_be_visible()
    told = " ".join(browser.locator("main").inner_text().split())
    browser.get_by_role("button", name="Register the outage").click()
    expect(browser).to_have_url(f"{site.address}{ADDRESS}/timeline")
    expect(browser.get_by_role("status")).to_contain_text("is registered")
    after = answering.account(site.house, EVERYTHING, OWN).answer["claims"]
    changed = changed_claims(before, after)
    assert changed
    for claim in changed:
        assert as_previewed(claim) in told


def test_support_begins_with_the_complaints(support: Client, pages: Pages) -> None:
    assert support.get("/console").headers["location"] == "/console/complaints"
    assert pages.staff("finance").get("/console").headers["location"] == "/console/months"
    assert pages.staff("privacy").get("/console").headers["location"] == "/console/search"


def test_what_is_open_in_a_long_list_is_counted_by_age_when_somebody_asks(
    support: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/console/complaints", "/console/disputes"):
        _, told, ages = support.get(path).text.partition("<caption>Open ones by age</caption>")
        assert told
        with monkeypatch.context() as patched:
            patched.setattr(lists, "ADDED_UP_AT_ONCE", 0)
            page = support.get(path).text
            assert "Open ones by age" not in page
            assert '<a href="?sums=yes">Count them by age</a>' in page
            answer = support.get(f"{path}?sums=yes").text
        assert answer.partition("<caption>Open ones by age</caption>")[2] == ages
