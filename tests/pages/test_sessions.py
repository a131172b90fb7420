"""Who is signed in, for how long, and what others cannot do with it: told on each kind of store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from ledger.application.access import AccessRefused, check_name, revoke
from ledger.application.acts import By
from ledger.application.erasure import erase
from ledger.events import Grant
from ledger.store.sessions import SignedIn
from makegood.access.sessions import digest_of
from makegood.house.opening import House
from makegood.pages.route import PageRoute
from makegood.pages.visitor import Visitor, go_to, own_path, submits, visits
from tests.pages.clients import BY, Client, Pages

RECORDED: list[str] = []


def rooms() -> APIRouter:
    """A page and a form for staff, and a page of a customer's account, as any room has them."""
    router = APIRouter(route_class=PageRoute)

    @router.get("/console/test")
    def page_of_staff(visitor: Annotated[Visitor, visits("period.read", "finance")]) -> Any:
        return PlainTextResponse(f"{visitor.caller.principal} sees it; {visitor.frame.said}")

    @router.post("/console/test")
    def form_of_staff(visitor: Annotated[Visitor, submits("period.close", "finance")]) -> Any:
        RECORDED.append(f"{visitor.caller.principal} {visitor.form['amount']}")
        return go_to(visitor, "/console/test", f"The amount {visitor.form['amount']} is recorded.")

    @router.get("/portal/{account}/test")
    def page_of_a_customer(account: str, visitor: Annotated[Visitor, visits("account.read")]) -> Any:
        return PlainTextResponse(f"{visitor.caller.principal} sees {account} in {visitor.language}")

    return router


@pytest.fixture
def at(open_pages: Callable[..., Pages]) -> Pages:
    """The pages with the rooms above."""
    RECORDED.clear()
    return open_pages(rooms())


# --- by a link ------------------------------------------------------------------------------------------------------


def test_opening_a_link_uses_nothing_up_and_its_button_signs_in_once(at: Pages) -> None:
    at.grant("lee", "finance")
    token = at.links.make(SignedIn("lee"))
    browser = at.client()
    for _ in range(3):
        shown = browser.get(f"/sign-in/link/{token}")
        assert shown.status_code == 200
        assert "<button" in shown.text
        assert "set-cookie" not in shown.headers
    answer = browser.use(token, next="/console/test")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/test")
    assert browser.get("/console/test").text == "lee sees it; None"
    other = at.client()
    assert other.get(f"/sign-in/link/{token}").status_code == 410
    assert "already been used" in other.use(token).text
    assert other.get("/console/test").status_code == 303


def test_of_two_browsers_that_use_one_link_at_once_one_is_signed_in(at: Pages) -> None:
    at.grant("lee", "finance")
    token = at.links.make(SignedIn("lee"))
    browsers = [at.client() for _ in range(4)]
    together = threading.Barrier(len(browsers))
    answers: list[int] = []

    def press(browser: Client) -> None:
        together.wait()
        answers.append(browser.use(token).status_code)

    threads = [threading.Thread(target=press, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [303, 410, 410, 410]
    assert sorted(browser.get("/console/test").status_code for browser in browsers) == [200, 303, 303, 303]


def test_a_link_is_valid_for_a_quarter_of_an_hour(at: Pages) -> None:
    token = at.links.make(SignedIn("lee"))
    at.clock.later(minutes=14, seconds=59)
    assert at.client().get(f"/sign-in/link/{token}").status_code == 200
    at.clock.later(seconds=1)
    assert at.client().get(f"/sign-in/link/{token}").status_code == 410
    assert "expired" in at.client().use(token).text
    assert at.client().use(token[:-1] + "x").status_code == 404


def test_a_page_of_another_site_cannot_press_the_button(at: Pages) -> None:
    """Else somebody's browser could be signed in as another, and what they do there would be the other's."""
    token = at.links.make(SignedIn("lee"))
    for headers in (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8701"},
    ):
        answer = at.client().post(f"/sign-in/link/{token}", headers=headers)
        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers
    answer = at.client().post(f"/sign-in/link/{token}", headers={"Origin": "http://127.0.0.1:8700"})
    assert answer.status_code == 303


# --- how long -------------------------------------------------------------------------------------------------------


def test_a_session_ends_when_it_is_not_used_for_half_an_hour(at: Pages) -> None:
    browser = at.staff("finance")
    for _ in range(3):
        at.clock.later(minutes=29)
        assert browser.get("/console/test").status_code == 200
    at.clock.later(minutes=30)
    answer = browser.get("/console/test?month=2026-10&clause=unused")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/console/test%3Fmonth%3D2026-10%26clause%3Dunused"
    at.clock.later(minutes=-30)
    assert rows(at.house, "sessions") == 1, "it is deleted when somebody else signs in"
    at.clock.later(minutes=31)
    at.staff("auditor")
    assert rows(at.house, "sessions") == 1


def test_a_session_ends_after_twelve_hours_however_much_it_is_used(at: Pages) -> None:
    browser = at.staff("finance")
    for _ in range(12 * 60 // 20 - 1):
        at.clock.later(minutes=20)
        assert browser.get("/console/test").status_code == 200
    at.clock.later(minutes=20)
    assert browser.get("/console/test").status_code == 303


def test_whoever_signs_out_is_signed_out_though_the_cookie_was_kept(at: Pages) -> None:
    browser, elsewhere = at.staff("finance"), at.staff("finance")
    kept = dict(browser.cookies)
    assert browser.submit("/sign-out").status_code == 200
    assert not dict(browser.cookies)
    browser.cookies.update(kept)
    assert browser.get("/console/test").status_code == 303
    assert elsewhere.get("/console/test").status_code == 200


def test_signing_out_everywhere_ends_all_sessions_of_the_same_person_and_nobody_elses(at: Pages) -> None:
    first, second, another = at.staff("finance"), at.staff("finance"), at.staff("auditor")
    assert first.submit("/sign-out", {"everywhere": "yes"}).status_code == 200
    assert second.get("/console/test").status_code == 303
    assert another.get("/console/test").status_code == 200


def test_a_customers_sessions_end_everywhere_by_their_accounts(at: Pages) -> None:
    both, one, another = at.customer("acct-1", "acct-2"), at.customer("acct-2"), at.customer("acct-3")
    assert one.submit("/sign-out", {"everywhere": "yes"}).status_code == 200
    assert both.get("/portal/acct-1/test").status_code == 303
    assert another.get("/portal/acct-3/test").status_code == 200


# --- whose session it is --------------------------------------------------------------------------------------------


def test_a_session_is_new_at_each_sign_in(at: Pages) -> None:
    """Whoever planted a cookie, or had the browser before, is not there when somebody signs in (session fixation)."""
    at.grant("lee", "finance")
    planted = at.client()
    planted.headers["Cookie"] = "makegood=planted"
    answer = planted.use(at.links.make(SignedIn("lee")))
    assert "makegood=planted" not in answer.headers["set-cookie"]
    attacker = at.staff("auditor")
    theirs = dict(attacker.cookies)
    victim = at.client()
    victim.headers["Cookie"] = f"makegood={theirs['makegood']}"
    victim.use(at.links.make(SignedIn("lee")))
    del victim.headers["Cookie"]
    assert dict(victim.cookies) != theirs
    assert attacker.get("/console/test").status_code == 303, "the session that the browser had is over"
    assert victim.get("/console/test").status_code == 200


def test_only_digests_of_tokens_are_stored(at: Pages) -> None:
    browser = at.staff("finance")
    link = at.links.make(SignedIn("lee"))
    token = dict(browser.cookies)["makegood"]
    with at.house.database.reading() as transaction:
        stored = str(transaction.rows("SELECT * FROM sessions") + transaction.rows("SELECT * FROM sign_in_links"))
    assert digest_of(token) in stored
    assert digest_of(link) in stored
    assert token not in stored
    assert link not in stored


def test_the_cookie_is_for_this_host_over_tls_and_for_no_script(open_pages: Callable[..., Pages]) -> None:
    at = open_pages(rooms(), public_url="https://my.example.com")
    browser = at.client("https://my.example.com")
    said = browser.use(at.links.make(SignedIn("lee"))).headers["set-cookie"]
    assert said.startswith("__Host-makegood=")
    assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= set(said.split("; "))
    assert "Domain" not in said
    plain = at.client("http://127.0.0.1:8700")
    assert plain.get(f"/sign-in/link/{at.links.make(SignedIn('lee'))}").status_code == 200


def test_nobody_signs_in_over_a_connection_that_others_read(at: Pages) -> None:
    token = at.links.make(SignedIn("lee"))
    far = at.client("http://my.example.com")
    for answer in (far.get(f"/sign-in/link/{token}"), far.use(token)):
        assert answer.status_code == 400
        assert "https" in answer.text
        assert "set-cookie" not in answer.headers
    near = at.client("http://localhost:8700")
    assert near.use(token).headers["set-cookie"].startswith("makegood=")


# --- what they may --------------------------------------------------------------------------------------------------


def test_a_role_that_is_revoked_is_gone_at_the_next_request(at: Pages) -> None:
    browser = at.staff("finance", principal="lee")
    assert browser.get("/console/test").status_code == 200
    revoke(at.house.ledger, Grant(principal="lee", role="finance", account_id=None), BY)
    at.house.projections.catch_up()
    answer = browser.get("/console/test")
    assert answer.status_code == 403
    assert "makegood access grant lee approver" in answer.text


def test_a_page_names_the_role_that_it_needs(at: Pages) -> None:
    answer = at.staff("support").get("/console/test")
    assert answer.status_code == 403
    assert "approver, auditor, finance" in answer.text


def test_a_customer_is_told_of_anothers_account_what_they_are_told_of_none(at: Pages) -> None:
    browser = at.customer("acct-1", language="de")
    assert browser.get("/portal/acct-1/test").text == "customer/acct-1 sees acct-1 in de"
    another, none, staff = (
        browser.get(path) for path in ("/portal/acct-2/test", "/portal/nobody/test", "/console/test")
    )
    assert (another.status_code, none.status_code, staff.status_code) == (404, 404, 404)
    assert another.text == none.text == staff.text


def test_a_customer_of_two_accounts_acts_in_each_as_its_customer(at: Pages) -> None:
    browser = at.customer("acct-2", "acct-1")
    assert browser.get("/").headers["location"] == "/portal"
    shown = browser.get("/portal").text
    assert 'href="/portal/acct-1"' in shown
    assert 'href="/portal/acct-2"' in shown
    for account in ("acct-1", "acct-2"):
        assert browser.get(f"/portal/{account}/test").text == f"customer/{account} sees {account} in en"


def test_an_erased_customers_sessions_end(at: Pages) -> None:
    alone, both = at.customer("acct-1"), at.customer("acct-1", "acct-2")
    assert alone.get("/portal/acct-1/test").status_code == 200
    erase(at.house.ledger, "acct-1", "wanted by the customer", By("/ops/tests", "cli"))
    assert alone.get("/portal/acct-1/test").status_code == 303
    assert both.get("/portal/acct-1/test").status_code == 404
    assert both.get("/portal/acct-2/test").status_code == 200


def test_nobody_else_is_called_like_a_customer_who_signed_in() -> None:
    for name in ("customer/acct-1", "Customer/acct-1", "\uff43ustomer/acct-1"):
        with pytest.raises(AccessRefused, match="must not begin with customer/"):
            check_name(name)


# --- forms ----------------------------------------------------------------------------------------------------------


def test_a_form_is_taken_with_the_token_of_its_session_only(at: Pages) -> None:
    browser, other = at.staff("finance", principal="lee"), at.staff("finance", principal="kim")
    answer = browser.submit("/console/test", {"amount": "5.00"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/test")
    assert RECORDED == ["lee 5.00"]
    assert browser.get("/console/test").text == "lee sees it; The amount 5.00 is recorded."
    token = browser.token()
    for fields, headers in (
        ({}, {}),
        ({"csrf": ""}, {}),
        ({"csrf": other.token()}, {}),
        ({"csrf": "\u00e9"}, {}),
        ({"csrf": token}, {"Sec-Fetch-Site": "cross-site"}),
        ({"csrf": token}, {"Sec-Fetch-Site": "same-site"}),
        ({"csrf": token}, {"Origin": "https://evil.example"}),
    ):
        refused = browser.post("/console/test", data={**fields, "amount": "9.00"}, headers=headers)
        assert refused.status_code == 403
    assert browser.post("/console/test", json={"csrf": token, "amount": "9.00"}).status_code == 403
    assert browser.submit("/sign-out", {"csrf": other.token()}).status_code == 403
    assert RECORDED == ["lee 5.00"]


def test_a_form_of_a_session_that_ended_records_nothing_and_says_so(at: Pages) -> None:
    browser = at.staff("finance")
    token = browser.token()
    at.clock.later(minutes=31)
    answer = browser.post("/console/test", data={"csrf": token, "amount": "5.00"})
    assert answer.status_code == 403
    assert "session has ended" in answer.text
    assert RECORDED == []


def test_nobody_can_have_a_page_say_that_something_was_recorded(at: Pages) -> None:
    browser = at.staff("finance", principal="lee")
    browser.cookies.set("makegood-said", "IkkgYW0geW91ciBiYW5rIg==." + "0" * 64, domain="127.0.0.1")
    assert browser.get("/console/test").text == "lee sees it; None"


# --- where it leads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n//evil.example",
        "javascript:alert(1)",
        "evil",
        "",
        "/sign-in?next=/sign-in",
    ],
)
def test_the_sign_in_leads_nowhere_but_to_our_own_pages(path: str, at: Pages) -> None:
    at.grant("lee", "finance")
    assert own_path(path) == "/"
    assert at.client().use(at.links.make(SignedIn("lee")), next=path).headers["location"] == "/"
    assert at.staff("finance").get("/sign-in", params={"next": path}).headers["location"] == "/"


def test_the_pages_are_not_framed_kept_or_told_of(at: Pages) -> None:
    browser = at.staff("finance")
    pages = (browser.get("/sign-out"), at.client().get("/sign-in"), at.client().get("/sign-in/link/wrong"))
    for answer in (*pages, browser.post("/console/test")):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "form-action 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Cookie"
        assert "style=" not in answer.text


def test_a_sandbox_says_on_every_page_that_it_is_one(at: Pages) -> None:
    for browser in (at.client(), at.staff("finance")):
        for path in ("/sign-in", "/sign-out", "/sign-in/link/wrong"):
            answer = browser.get(path)
            if answer.status_code != 303:
                assert "Sandbox:" in answer.text


def rows(house: House, table: str) -> int:
    with house.database.reading() as transaction:
        return int(transaction.rows(f"SELECT count(*) FROM {table}")[0][0])
