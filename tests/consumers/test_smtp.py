"""Handing e-mails over: encrypted and verified always, and it is known whether they were taken."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import quote

import pytest

from consumers.mail.sending import (
    FateUnknown,
    MailServer,
    RefusedForGood,
    ServerUnusable,
    SmtpMailer,
    TryLater,
    WrongSetting,
)
from tests.consumers.postbox import PASSWORD, USER, Authority, Postbox, serving

MESSAGE = b"Subject: hello\r\n\r\nfirst line\r\n.a line with a dot\r\n..two\r\n.\r\nlast line\r\n"


def mailer(url: str, pem: Path | str = "") -> SmtpMailer:
    return SmtpMailer(MailServer.at(url, str(pem)), "service@ruf.example", patience=5.0)


def test_an_email_arrives_byte_for_byte_over_starttls(postbox: Postbox, pem: Path) -> None:
    mailer(postbox.url(), pem).send("zoe@example.net", MESSAGE)
    [received] = postbox.received
    assert received.to == ["zoe@example.net"]
    assert received.sender == "service@ruf.example"
    assert received.content == MESSAGE
    assert postbox.sessions[0].ssl is not None


def test_an_email_arrives_over_tls_from_the_start(authority: Authority, pem: Path) -> None:
    with serving(authority.context_for("127.0.0.1"), from_start=True) as box:
        mailer(box.url("smtps"), pem).send("zoe@example.net", MESSAGE)
        assert [received.content for received in box.received] == [MESSAGE]


def test_it_logs_in_where_it_has_a_name(authority: Authority, pem: Path) -> None:
    with serving(authority.context_for("127.0.0.1"), login=True) as box:
        mailer(box.url(user=f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"), pem).send("a@b.example", MESSAGE)
        assert len(box.received) == 1
        with pytest.raises(ServerUnusable, match="login_refused"):
            mailer(box.url(user="makegood:wrong@"), pem).send("a@b.example", MESSAGE)
        with pytest.raises(ServerUnusable, match="smtp_530"):
            mailer(box.url(), pem).send("a@b.example", MESSAGE)
        assert len(box.received) == 1


def test_a_certificate_of_nobody_we_trust_is_none(postbox: Postbox) -> None:
    with pytest.raises(ServerUnusable, match="certificate_not_trusted"):
        mailer(postbox.url()).send("zoe@example.net", MESSAGE)
    assert postbox.received == []


def test_a_certificate_for_another_name_is_none(authority: Authority, pem: Path) -> None:
    with (
        serving(authority.context_for("mail.other.example")) as box,
        pytest.raises(ServerUnusable, match="certificate_not_trusted"),
    ):
        mailer(box.url(), pem).send("zoe@example.net", MESSAGE)


def test_without_tls_nothing_is_said(pem: Path) -> None:
    with serving(None) as box, pytest.raises(ServerUnusable, match="no_starttls_or_login"):
        mailer(box.url(), pem).send("zoe@example.net", MESSAGE)
    assert box.sessions == []


def test_a_server_that_is_away_cannot_be_used(postbox: Postbox, pem: Path) -> None:
    with pytest.raises(ServerUnusable, match="unreachable"):
        mailer("smtp://127.0.0.1:1", pem).send("zoe@example.net", MESSAGE)


@pytest.mark.parametrize(
    ("answers", "raised", "code"),
    [
        ({"recipients": "450 try later"}, TryLater, "smtp_450"),
        ({"recipients": "550 nobody here zoe@example.net"}, RefusedForGood, "smtp_550"),
        ({"recipients": "421 closing"}, ServerUnusable, "smtp_421"),
        ({"contents": "451 disk full"}, TryLater, "smtp_451"),
        ({"contents": "554 looks like spam"}, RefusedForGood, "smtp_554"),
    ],
)
def test_what_a_server_answers_is_told_by_its_code_and_in_no_words_of_its(
    answers: dict[str, str], raised: type[Exception], code: str, postbox: Postbox, pem: Path
) -> None:
    for where, answer in answers.items():
        getattr(postbox, where).append(answer)
    with pytest.raises(raised) as told:
        mailer(postbox.url(), pem).send("zoe@example.net", MESSAGE)
    assert str(told.value) == code
    assert postbox.received == []


def test_an_answer_that_is_lost_after_the_message_leaves_its_fate_unknown(postbox: Postbox, pem: Path) -> None:
    postbox.contents.append("lost")
    with pytest.raises(FateUnknown):
        mailer(postbox.url(), pem).send("zoe@example.net", MESSAGE)
    assert len(postbox.received) == 1


def test_a_conversation_that_drags_on_is_given_up_before_the_message_is_one(postbox: Postbox, pem: Path) -> None:
    ticks = iter([0.0, 1000.0])
    slow = SmtpMailer(MailServer.at(postbox.url(), str(pem)), "service@ruf.example", monotonic=lambda: next(ticks))
    with pytest.raises(TryLater, match="too_slow"):
        slow.send("zoe@example.net", MESSAGE)
    assert postbox.received == []


def test_a_server_that_does_not_take_mail_from_us_cannot_be_used(postbox: Postbox, pem: Path) -> None:
    """It is about us and not about this e-mail: the next one would be refused as well."""
    postbox.senders.append("550 not a sender of ours")
    with pytest.raises(ServerUnusable, match="sender_refused"):
        mailer(postbox.url(), pem).send("zoe@example.net", MESSAGE)
    postbox.senders.append("451 not now")
    with pytest.raises(TryLater, match="smtp_451"):
        mailer(postbox.url(), pem).send("zoe@example.net", MESSAGE)


def test_a_host_that_cannot_be_looked_up_is_away(pem: Path) -> None:
    with pytest.raises(ServerUnusable, match="unreachable"):
        mailer("smtp://mail..example", pem).send("zoe@example.net", MESSAGE)


@pytest.mark.parametrize(
    "url",
    [
        "smtp://makegood:geheimnisvoll-wie-Öl@mail.example",
        "smtp://makegood:geheimnisvoll-wie-%C3%96l@mail.example",
        "smtp://zoë@mail.example",
    ],
)
def test_a_password_that_cannot_be_said_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(WrongSetting, match="ASCII") as told:
        MailServer.at(url)
    assert "geheim" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example",
        "mail.example:25",
        "smtp://:587",
        "smtp://mail.example:many",
        "smtp://makegood:12#34@mail.example",
        "smtp://makegood:12/34@mail.example",
        "smtp://makegood:12?34@mail.example",
    ],
)
def test_a_setting_that_names_no_server_says_how_it_is_written(url: str) -> None:
    with pytest.raises(WrongSetting, match="smtp://USER:PASSWORD@HOST:587"):
        MailServer.at(url)


def test_a_setting_names_its_server() -> None:
    server = MailServer.at("smtps://a%40b:p%3A%2F@Mail.Example")
    assert (server.host, server.port, server.user, server.password) == ("mail.example", 465, "a@b", "p:/")
    assert MailServer.at("smtp://mail.example").port == 587
    assert server.context.verify_mode is ssl.CERT_REQUIRED
    assert server.context.check_hostname


def test_a_file_of_certificates_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match="MAKEGOOD_SMTP_CA"):
        MailServer.at("smtp://mail.example", str(tmp_path / "nowhere.pem"))
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(WrongSetting, match="MAKEGOOD_SMTP_CA"):
        MailServer.at("smtp://mail.example", str(tmp_path / "empty.pem"))
