"""From a letter to the bytes of an e-mail: text and HTML, and headers that nothing can be smuggled into."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from email_validator import EmailNotValidError, validate_email
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from consumers.mail.letter import Language, Letter

REPEAT_HEADER = "X-Makegood-Repeat"
WIDTH = 72
NAME_LENGTH_MAX = 120

_STRUCTURE = str.maketrans(dict.fromkeys('"<>@,;:\\()[]=?', " "))
"""What has a meaning in an address header. No name needs it, and mail programs do not agree about it in names."""


class NoAddress(ValueError):
    """What stands for an address is none that mail can be sent to; it is quoted nowhere."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Somebody's name and address, fit for a header and for the envelope."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.address.rpartition("@")[2]

    def header(self) -> Address:
        """As it stands in From or To."""
        local, _, domain = self.address.rpartition("@")
        return Address(self.name, local, domain)


def mailbox(name: str, address: str) -> Mailbox:
    """A mailbox of what a customer gave. Raises NoAddress for anything but an ordinary address.

    A domain in other letters than ASCII's is written as DNS has it today (IDNA 2008). One that is only another way to
    write a domain, with letters that look alike or are not seen, is refused. A local part in other letters needs a
    mail server that few have, and is refused too, and so are domains that lead nowhere, such as `.invalid`.
    """
    text = address.strip()
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise NoAddress from None
    given = text.rpartition("@")[2].lower()
    if found.ascii_email is None or given not in (found.domain, found.ascii_domain):
        raise NoAddress
    return Mailbox(one_line(name.translate(_STRUCTURE))[:NAME_LENGTH_MAX].strip(), found.ascii_email)


def sender(text: str) -> Mailbox:
    """The mailbox that a setting states, `Name <address>`. Raises NoAddress."""
    name, address = parseaddr(text)
    return mailbox(name, address)


def one_line(text: str) -> str:
    """Text without line breaks and control characters: what came from outside cannot pretend to be lines of ours."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything about an e-mail but what it says."""

    sender: Mailbox
    recipient: Mailbox
    notice_id: str
    date: datetime
    repeat: bool

    @property
    def message_id(self) -> str:
        """The same for every copy of a notice, so that a mail program may show a repeat as one."""
        return f"<{self.notice_id}@{self.sender.domain}>"


def written(letter: Letter, language: Language, envelope: Envelope) -> bytes:
    """The e-mail as it goes to a mail server: lines end in CRLF, and everything is ASCII."""
    message = EmailMessage(policy=SMTP)
    message["From"] = envelope.sender.header()
    message["To"] = envelope.recipient.header()
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(envelope.date)
    message["Message-ID"] = envelope.message_id
    message["Auto-Submitted"] = "auto-generated"
    if envelope.repeat:
        message[REPEAT_HEADER] = "1"
    message.set_content(_rendered("letter.txt", letter, language, envelope), cte="quoted-printable")
    message.add_alternative(
        _rendered("letter.html", letter, language, envelope), subtype="html", cte="quoted-printable"
    )
    message["Content-Language"] = language.code  # now, for it would have become the text's alone
    message.set_boundary(f"makegood-{envelope.notice_id}")
    return message.as_bytes()


def _rendered(layout: str, letter: Letter, language: Language, envelope: Envelope) -> str:
    return _LAYOUTS.get_template(layout).render(
        letter=letter,
        language=language,
        name=envelope.recipient.name,
        repeat=envelope.repeat,
        signed=envelope.sender.name or envelope.sender.domain,
    )


def _filled(text: str, hanging: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)


_LAYOUTS = Environment(
    loader=PackageLoader("consumers.mail", "layouts"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_LAYOUTS.filters["filled"] = _filled
