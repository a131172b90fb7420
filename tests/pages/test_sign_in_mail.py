"""Customers sign in by a link that a real mail server brings; nobody learns whether an address is known."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from ledger.application.acts import By
from ledger.application.erasure import erase
from tests.consumers.conftest import authority, pem, postbox
from tests.consumers.postbox import Postbox
from tests.pages.clients import Pages

__all__ = ["authority", "pem", "postbox"]

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def at(open_pages: Callable[..., Pages], postbox: Postbox, pem: Any) -> Pages:
    return open_pages(smtp=postbox.url(), smtp_ca=str(pem), mail_from="Ruf <service@ruf.example>")


def ask(at: Pages, address: str, language: str = "en", **headers: str) -> Any:
    answer = at.client().post(
        "/sign-in/email", data={"address": address}, headers={"Accept-Language": language, **SAME_SITE, **headers}
    )
    if hasattr(at.app.state, "sign_in_mail"):
        at.app.state.sign_in_mail.wait()
    return answer


def link_in(text: str) -> str:
    found = re.search(r"/sign-in/link/([\w-]+)", text)
    assert found is not None, text
    return found[1]


def test_a_link_to_the_address_signs_its_customer_in(at: Pages, postbox: Postbox) -> None:
    answer = ask(at, " Zoe@ACCT-2.example ")
    assert answer.status_code == 200
    (mail,) = postbox.received
    assert mail.to == ["zoe@acct-2.example"], "as the vault has it, not as it was typed"
    assert mail.message["Subject"] == "Ihr Link zur Anmeldung", "in the customer's language"
    client = at.client()
    token = link_in(mail.text)
    assert "15 Minuten" in mail.text
    assert client.use(token).status_code == 303
    assert client.get("/").headers["location"] == "/portal"
    assert client.get("/portal").headers["location"] == "/portal/acct-2"
    assert "acct-2" in client.get("/sign-out").text
    assert at.client().use(token).status_code == 410


def test_an_unknown_address_is_answered_alike_and_gets_nothing(at: Pages, postbox: Postbox) -> None:
    known, unknown = ask(at, "zoe@acct-1.example"), ask(at, "nobody@acct-1.example")
    assert known.text == unknown.text
    assert dict(known.headers) == dict(unknown.headers)
    assert len(postbox.received) == 1


def test_nobody_waits_for_the_mail_server(at: Pages, postbox: Postbox) -> None:
    """Else how long it takes would tell whether there is an address."""
    postbox.senders.append("451 not now")
    assert ask(at, "zoe@acct-1.example").status_code == 200
    assert postbox.received == []


def test_an_erased_customer_gets_no_link(at: Pages, postbox: Postbox) -> None:
    erase(at.house.ledger, "acct-1", "wanted by the customer", By("/ops/tests", "cli"))
    assert ask(at, "zoe@acct-1.example").status_code == 200
    assert postbox.received == []


def test_links_are_limited_by_address_whether_it_is_known_or_not(at: Pages, postbox: Postbox) -> None:
    for address in ("zoe@acct-1.example", "nobody@acct-1.example"):
        assert [ask(at, spelt).status_code for spelt in (address, address.upper(), f" {address}")] == [200, 200, 200]
        refused = ask(at, address)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "3600"
    assert len(postbox.received) == 3


def test_links_are_limited_by_client(at: Pages, postbox: Postbox) -> None:
    answers = [ask(at, f"nobody{n}@acct-1.example").status_code for n in range(31)]
    assert answers == [200] * 30 + [429]


@pytest.mark.parametrize(
    "address", ["", "zoe", "zoe@", "zoe@acct-1.example\r\nBcc: x@y.example", "a@b.example, c@d.example"]
)
def test_what_is_no_address_is_said_at_the_field_and_kept(address: str, at: Pages, postbox: Postbox) -> None:
    answer = ask(at, address, "de")
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "keine E-Mail-Adresse" in answer.text
    assert postbox.received == []


def test_a_page_of_another_site_has_no_link_sent(at: Pages, postbox: Postbox) -> None:
    assert ask(at, "zoe@acct-1.example", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert postbox.received == []
