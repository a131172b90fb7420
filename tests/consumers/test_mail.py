"""What customers read, in each language; and what came from outside stays what it is: a value in a line of ours.

The letters are kept in `letters/`, to be read as customers read them. `python -m tests.consumers.test_mail` writes
them anew.
"""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.mail.about import (
    About,
    CancellationTakenBack,
    Cancelled,
    ComplaintReceived,
    ComplaintSettled,
    Credited,
    Money,
    Refunded,
    ServiceReady,
    SignIn,
    SignInAsked,
)
from consumers.mail.languages import ENGLISH, GERMAN, language_of
from consumers.mail.letter import Language
from consumers.mail.writing import Envelope, Mailbox, NoAddress, mailbox, one_line, sender, written
from ledger.values import time_zone

LETTERS = Path(__file__).parent / "letters"
BERLIN = time_zone("Europe/Berlin")
EUR = Money(Decimal("23.96"), Decimal("4.55"), "EUR")
SIGN_IN = SignIn(
    "zoe.quux",
    "sip.ruf.example",
    "https://my.ruf.example/activate/0f1e2d3c4b5a69788796a5b4c3d2e1f0.1772960400.00112233445566778899aabbccddeeff",
    datetime(2026, 3, 8, 10, 0, tzinfo=BERLIN),
)
INVOICE = Money(Decimal("1.00"), Decimal("0.19"), "EUR")
ABOUT: dict[str, About] = {
    "sign-in": SignInAsked("https://my.example.com/sign-in/link/Z8BvUlf791Ka8X73zOzzl68oIt22BKR9cF5MtMnUmVo", 15),
    "activation": ServiceReady("sub-1", "Business VoIP", SIGN_IN),
    "activation-without-link": ServiceReady("sub-1", "Business VoIP", replace(SIGN_IN, link=None)),
    "activation-without-credentials": ServiceReady("sub-1", "Business VoIP", None),
    "cancellation": Cancelled(
        "sub-1", date(2026, 4, 1), False, (("refund", EUR), ("invoice_reduction", INVOICE)), undecided=False
    ),
    "cancellation-of-nothing": Cancelled("sub-1", date(2026, 4, 1), False, (), False),
    "cancellation-at-once": Cancelled("sub-1", date(2026, 4, 1), True, (), False),
    "cancellation-undecided": Cancelled("sub-1", date(2026, 4, 1), False, (), True),
    "withdrawal": CancellationTakenBack("sub-1"),
    "credit": Credited("service_disruption", "sub-1", EUR),
    "credit-in-yen": Credited("complaint", None, Money(Decimal("1200"), Decimal("0"), "JPY")),
    "credit-of-an-excess": Credited("excess", None, Money(Decimal("4.00"), Decimal("0.00"), "EUR")),
    "refund": Refunded(EUR, date(2026, 3, 30), "psp-77"),
    "complaint-opened": ComplaintReceived("com-1", date(2026, 3, 2)),
    "complaint-resolved": ComplaintSettled("com-1", date(2026, 3, 5)),
}
ENVELOPE = Envelope(
    sender=sender("Ruf & Co <service@ruf.example>"),
    recipient=mailbox("Zoë Quux", "zoe@example.net"),
    notice_id="0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    date=datetime(2026, 3, 1, 9, 0, tzinfo=UTC),
    repeat=False,
)


def read(content: bytes) -> EmailMessage:
    found = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def letter(name: str, language: Language, *, repeat: bool = False) -> EmailMessage:
    return read(written(language.write(ABOUT[name]), language, replace(ENVELOPE, repeat=repeat)))


def shown(name: str, language: Language) -> str:
    """A letter as it is kept: headers that a customer sees, then the text."""
    message = letter(name, language, repeat=name == "withdrawal")
    head = "".join(f"{header}: {message[header]}\n" for header in ("From", "To", "Subject", "Date"))
    return f"{head}\n{body(message, 'plain')}"


@pytest.mark.parametrize("language", [ENGLISH, GERMAN], ids=lambda language: language.code)
@pytest.mark.parametrize("name", ABOUT)
def test_a_letter_reads_as_it_was_agreed(name: str, language: Language) -> None:
    assert shown(name, language) == (LETTERS / f"{name}.{language.code}.txt").read_text(encoding="utf-8")


def test_no_letter_is_kept_that_nobody_sends() -> None:
    sent = {f"{name}.{language.code}.txt" for name in ABOUT for language in (ENGLISH, GERMAN)}
    assert {path.name for path in LETTERS.iterdir()} == sent


@pytest.mark.parametrize("language", [ENGLISH, GERMAN], ids=lambda language: language.code)
@pytest.mark.parametrize("name", ABOUT)
def test_text_and_html_say_the_same(name: str, language: Language) -> None:
    message = letter(name, language)
    html = body(message, "html")
    assert f'<html lang="{language.code}">' in html
    for block in language.write(ABOUT[name]).blocks:
        for said in [v for row in getattr(block, "rows", ()) for v in row] + list(getattr(block, "steps", ())):
            assert said in html
            assert one_line(said) in one_line(body(message, "plain"))
        if hasattr(block, "url"):
            assert f'href="{block.url}"' in html
            assert block.url in body(message, "plain").splitlines()[-1] or block.url in body(message, "plain")


def test_the_headers_are_those_of_a_machine_that_wants_no_answer_from_another() -> None:
    content = written(ENGLISH.write(ABOUT["credit"]), ENGLISH, ENVELOPE)
    message = read(content)
    assert message["Message-ID"] == "<0f1e2d3c4b5a69788796a5b4c3d2e1f0@ruf.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Sun, 01 Mar 2026 09:00:00 +0000"
    assert message["Content-Language"] == "en"
    assert message["X-Makegood-Repeat"] is None
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content == written(ENGLISH.write(ABOUT["credit"]), ENGLISH, ENVELOPE), "the same again"


@pytest.mark.parametrize("language", [ENGLISH, GERMAN], ids=lambda language: language.code)
def test_a_repeat_says_so_to_people_and_to_programs(language: Language) -> None:
    first, again = letter("credit", language), letter("credit", language, repeat=True)
    assert again["Message-ID"] == first["Message-ID"]
    assert again["X-Makegood-Repeat"] == "1"
    for kind in ("plain", "html"):
        assert one_line(language.repeat) in one_line(body(again, kind))
        assert one_line(language.repeat) not in one_line(body(first, kind))


@pytest.mark.parametrize(
    ("locale", "code"),
    [("de", "de"), ("de-AT", "de"), ("DE_ch", "de"), ("en-GB", "en"), ("fr", "en"), (None, "en"), ("den", "en")],
)
def test_a_customer_is_written_to_in_their_language_or_in_english(locale: str | None, code: str) -> None:
    assert language_of(locale).code == code


@pytest.mark.parametrize(
    ("amount", "currency", "english", "german"),
    [
        ("28.51", "EUR", "28.51 EUR", "28,51 EUR"),
        ("0.00", "EUR", "0.00 EUR", "0,00 EUR"),
        ("1200", "JPY", "1200 JPY", "1200 JPY"),
        ("0.125", "KWD", "0.125 KWD", "0,125 KWD"),
        ("123456789012345.99", "EUR", "123456789012345.99 EUR", "123456789012345,99 EUR"),
    ],
)
def test_an_amount_is_shown_exactly(amount: str, currency: str, english: str, german: str) -> None:
    assert ENGLISH.amount(Decimal(amount), currency) == english
    assert GERMAN.amount(Decimal(amount), currency) == german


# --- what comes from outside --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "",
        "zoe",
        "zoe@",
        "@example.net",
        "zoe@example.net\r\nBcc: eve@example.net",
        "zoe@example.net\nDATA",
        "zoe@example.net> SIZE=1",
        "zoe,eve@example.net",
        "<zoe@example.net>",
        '"zoe quux"@example.net',
        "zoë@example.net",
        "zoe@-example.net",
        "zoe@exa mple.net",
        "z" * 250 + "@example.net",
        "zoe..quux@example.net",
        "zoe@example..net",
        "zoe@localhost",
        "zoe@example.invalid",
        "zoe@192.0.2.1",
        "zoe@[192.0.2.1]",
    ],
)
def test_what_is_no_ordinary_address_is_written_to_by_nobody(address: str) -> None:
    with pytest.raises(NoAddress) as told:
        mailbox("Zoë", address)
    assert str(told.value) == ""


def test_a_domain_in_other_letters_is_written_as_dns_has_it() -> None:
    assert mailbox("Zoë", " zoe@bücher.example ").address == "zoe@xn--bcher-kva.example"
    assert mailbox("Zoë", "zoe@BÜCHER.Example").address == "zoe@xn--bcher-kva.example"
    assert mailbox("Zoë", "zoe@xn--bcher-kva.example").address == "zoe@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("domain", "in_dns"), [("straße.example", "xn--strae-oqa.example"), ("βόλος.example", "xn--nxasmm1c.example")]
)
def test_a_letter_that_older_rules_replace_stays_itself(domain: str, in_dns: str) -> None:
    """The older rules made `strasse` of `straße`, which is somebody else's by those of today."""
    assert mailbox("Zoë", f"zoe@{domain}").address == f"zoe@{in_dns}"


@pytest.mark.parametrize("domain", ["\uff45xample.net", "example\u3002net", "ex\u00adample.net", "e\u0301xample.net"])
def test_another_way_to_write_a_domain_is_written_to_by_nobody(domain: str) -> None:
    with pytest.raises(NoAddress):
        mailbox("Zoë", f"zoe@{domain}")


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["Zoë\r\nBcc: eve@example.net", 'Zoë" <eve@example.net>, "', "=?utf-8?q?Zo=0D=0ABcc:_eve?=", "\x00\x1b[2J", "​‮"]
)


@given(name=HOSTILE, username=HOSTILE, plan=HOSTILE)
def test_nothing_that_came_from_outside_gets_out_of_its_place(name: str, username: str, plan: str) -> None:
    about = ServiceReady("sub-1", one_line(plan), replace(SIGN_IN, username=one_line(username)))
    envelope = replace(ENVELOPE, recipient=mailbox(name, "zoe@example.net"))
    content = written(ENGLISH.write(about), ENGLISH, envelope)
    head, _, _ = content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert names == [
        b"From",
        b"To",
        b"Subject",
        b"Date",
        b"Message-ID",
        b"Auto-Submitted",
        b"MIME-Version",
        b"Content-Type",
        b"Content-Language",
    ]
    message = read(content)
    assert [address.addr_spec for address in message["To"].addresses] == ["zoe@example.net"]
    lines = body(message, "plain").splitlines()
    assert sum(line.startswith("    Plan: ") or line == "    Plan:" for line in lines) == 1


def test_a_long_name_is_broken_where_a_telephone_is_narrow() -> None:
    html = body(read(written(ENGLISH.write(Refunded(EUR, date(2026, 3, 30), "r" * 128)), ENGLISH, ENVELOPE)), "html")
    assert html.count("<td ") == html.count("overflow-wrap: anywhere; word-break: break-word;") > 0


def test_markup_in_a_name_is_shown_and_not_obeyed() -> None:
    envelope = replace(ENVELOPE, recipient=Mailbox("<script>alert(1)</script>", "zoe@example.net"))
    html = body(read(written(ENGLISH.write(ABOUT["credit"]), ENGLISH, envelope)), "html")
    assert "<script" not in html
    assert "&lt;script&gt;" in html


if __name__ == "__main__":
    LETTERS.mkdir(exist_ok=True)
    for name in ABOUT:
        for language in (ENGLISH, GERMAN):
            (LETTERS / f"{name}.{language.code}.txt").write_text(shown(name, language), encoding="utf-8")
