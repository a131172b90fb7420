"""The portal: a customer finds everything of their account, in their language, and nothing of anybody else's."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from makegood.access.caller import Caller
from makegood.access.permissions import Scope
from makegood.access.sight import EVERYTHING, Sight
from makegood.acts.acting import Acting, ActRequest
from makegood.acts.complaints import ResolveComplaint, resolve_complaint
from makegood.answers import owed
from makegood.answers.explanation import Unexplained, explain
from makegood.pages import portal
from makegood.pages.portal.words import LANGUAGES
from makegood.pages.portal.words.texts import Counted, PortalWords, Titled
from tests.door.conftest import commands
from tests.pages.clients import Pages
from tests.pages.life import ANOTHERS, HOSTILE, IN_HTML, MARKS, OWN

ROOT = Path(portal.__file__).parents[1]


@pytest.fixture
def pages(open_pages: Callable[..., Pages]) -> Pages:
    return open_pages()


def text_of(html: str) -> str:
    """A page's words, without its markup."""
    body = html.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_overview_has_everything_of_the_account_and_nothing_of_anothers(pages: Pages) -> None:
    customer = pages.customer(OWN)
    answer = customer.get(f"/portal/{OWN}")
    assert answer.status_code == 200
    text = text_of(answer.text)
    for found in ("home-voip", "sub-second-1", "Outage since", "We decide by", "Complaint of", "granted", "€"):
        assert found in text, found
    assert not [mark for mark in MARKS if mark in answer.text]
    assert "+02:00" in text, "times are those of the account's zone"


def test_every_amount_of_the_account_has_its_reason_in_plain_words(pages: Pages) -> None:
    sight = Sight(frozenset({OWN}), goodwill=False, words=False, system=False)
    for language, words in LANGUAGES.items():
        customer = pages.customer(OWN, language=language)
        overview = customer.get(f"/portal/{OWN}").text
        links = {unescape(found) for found in re.findall(r'href="([^"]+/why\?id=[^"]+)"', overview)}
        ids = {row["claim_id"] for row in owed.claims(pages.house, sight, account=OWN)}
        assert {f"/portal/{OWN}/why?id={quote(id_, safe='')}" for id_ in ids} <= links
        for link in links:
            answer = customer.get(link)
            assert answer.status_code == 200, (link, answer.text)
            text = text_of(answer.text)
            assert words.why_title in text
            assert "staff/" not in text, "nobody of the provider's people is named"
            assert "policy §" not in text, "no terms of ours"


def test_the_numbers_of_a_formula_are_explained_in_the_customers_language(pages: Pages) -> None:
    claim = next(
        row
        for row in owed.claims(pages.house, EVERYTHING, account=OWN)
        if row["clause"] == "unused_period" and row["outcome"] == "granted"
    )
    why = explain(pages.house, EVERYTHING, claim["claim_id"], OWN)
    unused, cycle = why["inputs"]["unused_days"], why["inputs"]["cycle_days"]
    address = f"/portal/{OWN}/why?id={quote(claim['claim_id'], safe='')}"
    english = text_of(pages.customer(OWN).get(address).text)
    german = text_of(pages.customer(OWN, language="de").get(address).text)
    assert f"{unused} of {cycle} days of your cycle are unused" in english
    assert f"{unused} von {cycle} Tagen Ihres Zeitraums bleiben ungenutzt" in german
    assert why["formula"] is not None
    assert why["formula"].partition(",")[0].replace(".", ",") in german


def test_a_customer_is_not_shown_what_customers_do_not_see(pages: Pages) -> None:
    customer = pages.customer(OWN)
    proposed = next(row["claim_id"] for row in owed.goodwill(pages.house, EVERYTHING, account=OWN, still_open=True))
    assert customer.get(f"/portal/{OWN}/why?id={quote(proposed, safe='')}").status_code == 404
    given = customer.get(f"/portal/{OWN}/why?id={quote('goodwill/gw-1-given', safe='')}")
    assert "gesture of goodwill" in given.text
    with pytest.raises(Unexplained):
        explain(pages.house, Sight(frozenset({OWN}), goodwill=False, words=False), "goodwill/gw-1-given", OWN)


def test_anothers_account_is_answered_as_one_that_is_not_there(pages: Pages) -> None:
    customer = pages.customer(OWN)
    for below in PAGES_AND_FORMS["GET"]:
        anothers, nobodys = (customer.get(f"/portal/{of}{below}") for of in (ANOTHERS, "acct-9"))
        assert (anothers.status_code, nobodys.status_code) == (404, 404)
        assert anothers.text == nobodys.text.replace("acct-9", ANOTHERS)
    for below in PAGES_AND_FORMS["POST"]:
        assert customer.submit(f"/portal/{ANOTHERS}{below}").status_code == 404


PAGES_AND_FORMS: Mapping[str, tuple[str, ...]] = {
    "GET": (
        "/data",
        "/data/download",
        "/complaints?id=com-1",
        "/complaints/open",
        "/outages/report",
        "/errors/report",
        "",
        "/why?id=disruption%2Fcyc-1",
        "/cancel?subscription=sub-1",
        "/withdraw?subscription=sub-1",
    ),
    "POST": (
        "/complaints?id=com-1",
        "/complaints/open",
        "/outages/report",
        "/errors/report",
        "/language",
        "/cancel?subscription=sub-1",
        "/withdraw?subscription=sub-1",
    ),
}


def test_the_portal_is_for_customers_only(pages: Pages) -> None:
    support = pages.staff("support")
    answer = support.get(f"/portal/{OWN}")
    assert answer.status_code == 403
    assert "sub-second-1" not in answer.text


def test_the_language_is_kept_in_the_session(pages: Pages) -> None:
    customer = pages.customer(OWN)
    assert customer.submit(f"/portal/{OWN}/language", {"language": "de"}).status_code == 303
    page = customer.get(f"/portal/{OWN}").text
    assert '<html lang="de" dir="ltr">' in page
    assert "Übersicht" in page
    assert "€" in page
    customer.submit(f"/portal/{OWN}/language", {"language": "tlh"})
    assert '<html lang="de"' in customer.get(f"/portal/{OWN}").text
    gone = customer.get(f"/portal/{OWN}/why?id=nothing")
    assert gone.status_code == 404
    assert "Diese Seite gibt es nicht" in gone.text


def test_html_that_a_customer_wrote_is_shown_and_not_obeyed(pages: Pages) -> None:
    customer = pages.customer(HOSTILE)
    seen = ""
    for address in (f"/portal/{HOSTILE}", f"/portal/{HOSTILE}/why?id={quote('billing-error/dis-html', safe='')}"):
        page = customer.get(address).text
        assert IN_HTML not in page
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "49" not in re.findall(r"&#34;&amp;(\S+)", page)
        seen += unescape(page)
    assert IN_HTML in seen


def hidden(text: str) -> dict[str, str]:
    """What the hidden fields of the form in a page's content say."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text.partition("<main")[2])
    return {name: unescape(value) for name, value in found}


def _unused(pages: Pages, of: str) -> list[tuple[str, str, str]]:
    """What the claims of unused time on a subscription's cycles come to."""
    pages.house.projections.catch_up()
    return [
        (row["claim_id"], row["outcome"], str(Decimal(row["amount"]) + Decimal(row["tax"])))
        for row in owed.claims(pages.house, EVERYTHING, account=OWN, clause="unused_period")
        if row["subscription_id"] == of
    ]


@pytest.mark.parametrize("way", ["now", "keep"])
def test_a_cancellation_comes_to_what_was_shown_before(pages: Pages, way: str) -> None:
    customer, address = pages.customer(OWN), f"/portal/{OWN}/cancel?subscription=sub-second-1"
    assert address in customer.get(f"/portal/{OWN}").text
    assert _unused(pages, "sub-second-1") == []
    asked = customer.get(address).text
    shown = text_of(asked)
    assert "The subscription ends with its cycle, on 1 May 2026." in shown
    assert "days of your cycle are unused" in shown
    assert "you keep the service to the end of the cycle" in shown
    fields = {**hidden(asked), "keep_service": way, "step": "preview"}
    preview = customer.submit(address, fields)
    assert preview.status_code == 200
    assert _unused(pages, "sub-second-1") == [], "nothing is recorded yet"
    means = text_of(preview.text)
    confirmed = customer.submit(address, {**hidden(preview.text), "step": "confirm"})
    assert (confirmed.status_code, confirmed.headers["location"]) == (303, f"/portal/{OWN}")
    [(_, outcome, amount)] = _unused(pages, "sub-second-1")
    if way == "now":
        assert outcome == "granted"
        assert f"€{amount} comes back to you" in means
        assert f"= {amount}" in means or f"to {amount}" in means, "the formula ends in it"
    else:
        assert outcome == "declined"
        assert "Nothing comes back to you" in means
    overview = customer.get(f"/portal/{OWN}").text
    assert "Your subscription is cancelled and ends on 1 May 2026" in overview
    assert customer.submit(address, {**hidden(preview.text), "step": "confirm"}).status_code == 303, "sent twice"
    assert len(_unused(pages, "sub-second-1")) == 1
    assert "There is nothing to cancel" in customer.get(address).text


def test_a_cancellation_is_taken_back(pages: Pages, store: str) -> None:
    customer, address = pages.customer(OWN, language="de"), f"/portal/{OWN}/cancel?subscription=sub-second-1"
    fields = {**hidden(customer.get(address).text), "keep_service": "now"}
    assert customer.submit(address, {**fields, "step": "confirm"}).status_code == 303
    pages.house.projections.catch_up()
    back = f"/portal/{OWN}/withdraw?subscription=sub-second-1"
    assert back in customer.get(f"/portal/{OWN}").text
    assert "Im selben Augenblick" in customer.get(back).text
    commands(store, ("advance", "2026-04-24T12:05:00Z"))
    page = customer.get(back).text
    assert "zum 01.05.2026 gekündigt" in text_of(page)
    assert customer.submit(back, {**hidden(page), "step": "confirm"}).status_code == 303
    [(_, outcome, _)] = _unused(pages, "sub-second-1")
    assert outcome == "withdrawn"
    assert "Es gibt keine Kündigung" in customer.get(back).text


def test_whoever_chooses_no_way_to_cancel_is_told_so_in_their_language(pages: Pages) -> None:
    customer, address = pages.customer(OWN, language="de"), f"/portal/{OWN}/cancel?subscription=sub-second-1"
    fields = {**hidden(customer.get(address).text), "reason": "zu <teuer>", "step": "preview"}
    answer = customer.submit(address, fields)
    assert answer.status_code == 422
    assert '<a href="#keep_service">Wählen Sie, bis wann' in answer.text
    assert "zu &lt;teuer&gt;" in answer.text, "what was entered is kept"
    too_long = customer.submit(address, {**fields, "keep_service": "now", "reason": "x" * 5000})
    assert "Kürzen Sie den Text" in too_long.text


def test_an_outage_is_reported_by_its_beginning_in_the_accounts_zone(pages: Pages) -> None:
    customer, address = pages.customer(OWN, language="de"), f"/portal/{OWN}/outages/report"
    fields = {**hidden(customer.get(address).text), "subscription_id": "sub-second-1", "severity": "significant"}
    for wrong, said in (
        ("gestern", "Geben Sie Datum und Uhrzeit"),
        ("2026-04-25 10:00", "nicht in der Zukunft"),
        ("2026-03-29 02:30", "Uhren umgestellt"),
    ):
        refused = customer.submit(address, {**fields, "began_at": wrong, "step": "preview"})
        assert refused.status_code == 422
        assert said in refused.text
        assert f'value="{wrong}"' in refused.text, "what was entered is kept"
    preview = customer.submit(address, {**fields, "began_at": "2026-04-23 10:15", "step": "preview"})
    assert preview.status_code == 200, text_of(preview.text)
    assert customer.submit(address, {**hidden(preview.text), "step": "confirm"}).status_code == 303
    pages.house.projections.catch_up()
    [reported] = [
        row for row in owed.outages(pages.house, EVERYTHING, account=OWN) if row["began_at"].startswith("2026-04-23")
    ]
    assert (reported["began_at"], reported["cause"]) == ("2026-04-23T08:15:00Z", "unknown")
    assert "Störung seit 23.04.2026, 10:15 +02:00" in text_of(customer.get(f"/portal/{OWN}").text)


def test_a_billing_error_is_reported_with_an_amount_as_customers_write_it(pages: Pages) -> None:
    customer, address = pages.customer(OWN, language="de"), f"/portal/{OWN}/errors/report"
    fields = {**hidden(customer.get(address).text), "charge_id": "cyc-april-1", "description": IN_HTML}
    for wrong in ("viel", "4,001", "-3"):
        refused = customer.submit(address, {**fields, "claimed": wrong, "step": "preview"})
        assert refused.status_code == 422
        assert "Geben Sie den Betrag an" in refused.text
    preview = customer.submit(address, {**fields, "claimed": "2,50", "step": "preview"})
    assert IN_HTML not in preview.text
    assert customer.submit(address, {**hidden(preview.text), "step": "confirm"}).status_code == 303
    pages.house.projections.catch_up()
    disputes = [row["charge_id"] for row in owed.disputes(pages.house, EVERYTHING, account=OWN)]
    assert disputes.count("cyc-april-1") == 2


def test_a_customer_complains_and_reads_the_answer_and_no_note(pages: Pages) -> None:
    customer, address = pages.customer(OWN), f"/portal/{OWN}/complaints/open"
    fields = {**hidden(customer.get(address).text), "category": "call_quality", "description": "it crackles"}
    preview = customer.submit(address, {**fields, "step": "preview"})
    assert customer.submit(address, {**hidden(preview.text), "step": "confirm"}).status_code == 303
    pages.house.projections.catch_up()
    [id_] = [
        row["complaint_id"]
        for row in owed.complaints(pages.house, EVERYTHING, account=OWN, still_open=True)
        if row["category"] == "call_quality" and row["complaint_id"].startswith("mg-")
    ]
    page = f"/portal/{OWN}/complaints?id={id_}"
    assert page in customer.get(f"/portal/{OWN}").text
    asked = text_of(customer.get(page).text)
    assert "it crackles" in asked
    assert "We have not answered yet" in asked
    support = Acting(
        pages.house,
        Caller("staff/support", (("support", None),), Scope(None)),
        OWN,
        "console",
        pages.house.projections.catch_up,
    )
    resolved = ResolveComplaint(resolution="explained", answer="It was <the> weather.", note="a difficult one")
    support.carry_out(resolve_complaint(id_, resolved), ActRequest("key-of-support", b"said"))
    answered = customer.get(page).text
    assert "It was <the> weather." in text_of(answered)
    assert "We explained it to you." in text_of(answered)
    assert "a difficult one" not in answered
    assert "staff/support" not in answered
    again = customer.submit(page, {**hidden(answered), "reason": "it still crackles", "step": "confirm"})
    assert again.status_code == 303
    pages.house.projections.catch_up()
    assert "it still crackles" in customer.get(page).text


def test_a_customer_takes_what_is_held_about_them_and_nothing_that_was_written_about_them(pages: Pages) -> None:
    customer = pages.customer(OWN)
    page = text_of(customer.get(f"/portal/{OWN}/data").text)
    assert f"zoe@{OWN}.example" in page
    answer = customer.get(f"/portal/{OWN}/data/download")
    assert answer.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    held = answer.json()
    assert held["customer"]["email"] == f"zoe@{OWN}.example"
    assert any("what zoe wrote" in str(event["words"]) for event in held["history"])
    for hidden_from_them in (
        "a note about",
        "in the words of support",
        "a week without an answer",
        "staff/",
        "secret",
    ):
        assert hidden_from_them not in answer.text, hidden_from_them
    assert not [mark for mark in MARKS if mark in answer.text]
    assert "goodwill-proposed" not in answer.text


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Counted(one, many):
            assert _placeholders(one) <= _placeholders(many)
            yield many
        case Titled(title, text):
            yield from (title, text)
        case Mapping():
            yield from (each for key in sorted(value) for each in _texts(value[key]))


def test_every_language_has_all_texts_with_the_same_things_filled_in() -> None:
    english = LANGUAGES["en"]
    for words in LANGUAGES.values():
        for field in fields(english):
            ours, theirs = getattr(english, field.name), getattr(words, field.name)
            if isinstance(ours, Mapping):
                assert set(ours) == set(theirs), field.name
            pairs = list(zip(_texts(ours), _texts(theirs), strict=True))
            for one, other in pairs:
                assert other.strip(), field.name
                assert _placeholders(one) == _placeholders(other), (field.name, one, other)


def test_every_text_is_said_somewhere() -> None:
    pages = [file for file in ROOT.rglob("*") if file.suffix in (".py", ".html") and file.parent.name != "words"]
    said = set(re.findall(r"\w+", " ".join(file.read_text() for file in pages)))
    assert [each.name for each in fields(PortalWords) if each.name not in said] == []
