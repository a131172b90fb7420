"""The mail server, according to the settings."""

from __future__ import annotations

from consumers.mail.sending import MailServer, SmtpMailer, WrongSetting
from consumers.mail.writing import NoAddress, sender
from consumers.notices import Post
from makegood.house.settings import Settings
from makegood.house.stop import Stop


def post_of(settings: Settings) -> Post | None:
    """The post that the settings describe; None where no mail server is set. Raises Stop where they are wrong."""
    if not settings.smtp:
        return None
    try:
        from_whom = sender(settings.mail_from)
    except NoAddress:
        raise Stop("MAKEGOOD_MAIL_FROM must be the sender of e-mails, as `Name <address>`") from None
    try:
        server = MailServer.at(settings.smtp, settings.smtp_ca)
    except WrongSetting as error:
        raise Stop(str(error)) from None
    return Post(SmtpMailer(server, from_whom.address), from_whom, public_url(settings))


def public_url(settings: Settings) -> str:
    """The address at which customers reach Makegood, as links in e-mails use it."""
    return (settings.public_url or f"http://{settings.http}").rstrip("/")
