"""Handing an e-mail to a mail server, and knowing whether it was taken over: yes, no, or nobody knows."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from consumers.part import Explained

PATIENCE_SECONDS = 20.0
"""How long a mail server may take for one answer."""
CONVERSATION_SECONDS = 120.0
"""How long it may take for all of them: a conversation that drags on is given up before the mail is handed over."""

_CREDENTIALS = {530, 534, 535, 538}
"""Answers that are about who we are, whatever the mail is."""


class NotTaken(Exception):
    """The mail server has not got the e-mail, for certain; `code` says why, in our words."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ServerUnusable(NotTaken):
    """The mail server cannot be used for any e-mail now: it is away, or it or we are not trusted."""


class TryLater(NotTaken):
    """This e-mail may be taken another time."""


class RefusedForGood(NotTaken):
    """This e-mail will never be taken."""


class FateUnknown(Exception):
    """The e-mail was handed over, and the answer was lost: it may be on its way, or not."""


class WrongSetting(Explained):
    """A setting for e-mail is wrong; the message says what it must be."""


class Mailer(Protocol):
    """Whatever hands e-mails over."""

    def send(self, recipient: str, message: bytes) -> None:
        """Hand over one e-mail. Raises NotTaken or FateUnknown."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where the mail server is and how to speak to it. TLS always: from the start, or by STARTTLS before all else."""

    host: str
    port: int
    tls_from_start: bool
    user: str
    password: str
    context: ssl.SSLContext

    @classmethod
    def at(cls, url: str, ca_file: str = "") -> MailServer:
        """The server that a setting names: `smtp://USER:PASSWORD@HOST:587` or `smtps://…`. Raises WrongSetting."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        left_over = parts.path.strip("/") or parts.query or parts.fragment
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == -1 or left_over:
            raise WrongSetting(
                "MAKEGOOD_SMTP must be smtp://USER:PASSWORD@HOST:587 or smtps://USER:PASSWORD@HOST; "
                "in user and password write %23 for #, %2F for /, %3F for ? and %40 for @"
            )
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not (user + password).isascii():
            raise WrongSetting("user and password in MAKEGOOD_SMTP must be ASCII")
        if ca_file and not Path(ca_file).is_file():
            raise WrongSetting(
                "MAKEGOOD_SMTP_CA is not the path of a file: it must be one with trusted certificates in PEM"
            )
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except ssl.SSLError:
            raise WrongSetting("the file in MAKEGOOD_SMTP_CA contains no certificates in PEM") from None
        secure = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=port or (465 if secure else 587),
            tls_from_start=secure,
            user=user,
            password=password,
            context=context,
        )


class SmtpMailer:
    """Speaks SMTP (RFC 5321): one connection for each e-mail."""

    def __init__(
        self,
        server: MailServer,
        sender: str,
        *,
        patience: float = PATIENCE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._sender = sender
        self._patience = patience
        self._monotonic = monotonic

    def send(self, recipient: str, message: bytes) -> None:
        give_up_at = self._monotonic() + CONVERSATION_SECONDS
        smtp = self._connected()
        try:
            self._announce(smtp, recipient)
            self._hand_over(smtp, message, give_up_at)
        finally:
            with suppress(OSError):
                smtp.putcmd("quit")  # whose answer nobody waits for: what was taken over is to be recorded at once
            smtp.close()

    def check(self) -> None:
        """Connect and log in, and send nothing. Raises ServerUnusable."""
        smtp = self._connected()
        with suppress(OSError):
            smtp.quit()
        smtp.close()

    def _connected(self) -> smtplib.SMTP:
        """Connected, encrypted, certificate verified, logged in where we have a name. Raises ServerUnusable."""
        server = self._server
        smtp: smtplib.SMTP | None = None
        name = self._sender.rpartition("@")[2]
        try:
            if server.tls_from_start:
                smtp = smtplib.SMTP_SSL(
                    server.host, server.port, name, timeout=self._patience, context=server.context
                )
            else:
                smtp = smtplib.SMTP(server.host, server.port, name, timeout=self._patience)
                smtp.starttls(context=server.context)
            if server.user:
                smtp.login(server.user, server.password)
        except (OSError, UnicodeError) as error:  # a name that is none in DNS is a UnicodeError
            if smtp is not None:
                smtp.close()
            raise ServerUnusable(_why_unusable(error)) from error
        return smtp

    def _announce(self, smtp: smtplib.SMTP, recipient: str) -> None:
        """Say from whom and to whom, and that the message comes. Raises NotTaken."""
        try:
            smtp.ehlo_or_helo_if_needed()
            from_us = smtp.mail(self._sender)[0]
            if 500 <= from_us < 600 and from_us not in _CREDENTIALS:
                raise ServerUnusable("sender_refused")  # whatever the e-mail is
            _check(from_us)
            _check(smtp.rcpt(recipient)[0])
            _check(smtp.docmd("DATA")[0], 354)
        except OSError as error:
            raise TryLater("connection_lost") from error

    def _hand_over(self, smtp: smtplib.SMTP, message: bytes, give_up_at: float) -> None:
        """Send the message, and at last the dot by which the server takes it over. Raises NotTaken or FateUnknown."""
        try:
            smtp.send(_stuffed(message))
        except OSError as error:
            raise TryLater("connection_lost") from error  # without the dot it is no message (RFC 5321 §4.1.1.4)
        if self._monotonic() > give_up_at:
            raise TryLater("too_slow")
        try:
            smtp.send(b".\r\n")
            answer = smtp.getreply()[0]
        except OSError as error:
            raise FateUnknown from error
        if not 200 <= answer < 600:
            raise FateUnknown
        _check(answer)


def _stuffed(message: bytes) -> bytes:
    """A message as DATA carries it: a line that begins with a dot gets another one (RFC 5321 §4.5.2)."""
    lines = (b"." + line if line.startswith(b".") else line for line in message.splitlines())
    return b"".join(line + b"\r\n" for line in lines)


def _check(answer: int, wanted: int | None = None) -> None:
    if answer == wanted or (wanted is None and 200 <= answer < 300):
        return
    if answer in _CREDENTIALS or answer == 421:
        raise ServerUnusable(f"smtp_{answer}")
    if 500 <= answer < 600:
        raise RefusedForGood(f"smtp_{answer}")
    raise TryLater(f"smtp_{answer}")


def _why_unusable(error: OSError | UnicodeError) -> str:
    """A code for why no conversation came about; smtplib's errors are OSErrors too."""
    match error:
        case ssl.SSLCertVerificationError():
            return "certificate_not_trusted"
        case ssl.SSLError():
            return "tls_failed"
        case smtplib.SMTPAuthenticationError():
            return "login_refused"
        case smtplib.SMTPNotSupportedError():
            return "no_starttls_or_login"
        case smtplib.SMTPResponseException():
            return f"smtp_{error.smtp_code}"
        case smtplib.SMTPException():
            return "connection_lost"
    return "unreachable"
