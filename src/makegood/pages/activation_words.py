"""The texts of the pages behind an activation link, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ledger.application.activation import Why

Trouble = Why | Literal["too_many", "unavailable"]
"""The reasons why a page cannot show a password: the link, too many requests, or a failure of ours."""


@dataclass(frozen=True, slots=True)
class Words:
    """The text of one page."""

    title: str
    paragraphs: tuple[str, ...]
    button: str | None = None
    after: str | None = None
    username: str = ""
    server: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Pages:
    """All pages in one language."""

    ask: Words
    show: Words
    trouble: Mapping[Trouble, Words]


_NO_LONGER_EN = Words(
    "This link does not work",
    (
        "It was not copied completely, is no longer valid, or was not sent by us.",
        (
            "Please open the link in our most recent e-mail. If it does not work either, reply to that e-mail and "
            "we will send you a new one."
        ),
    ),
)

ENGLISH = Pages(
    ask=Words(
        "Your password",
        (
            "When you press the button, your password is shown here once. It cannot be shown again.",
            "Have something to write with, or the settings of your telephone open.",
        ),
        button="Show my password",
        after="Nothing happens until you press the button. You can also come back later, while the link is valid.",
    ),
    show=Words(
        "Your password",
        ("Write it down now. It is gone when you close or reload this page.",),
        after="We keep no copy of your password, and we will never ask you for it.",
        username="User name",
        server="Server",
        secret="Password",
    ),
    trouble={
        "wrong": _NO_LONGER_EN,
        "erased": _NO_LONGER_EN,
        "lost": Words(
            "This link can no longer be used",
            (
                "Because of a failure on our side we cannot check it any more.",
                "Reply to our e-mail and we will send you a new password.",
            ),
        ),
        "expired": Words(
            "This link has expired",
            (
                "For your protection it was valid for seven days.",
                "Reply to our e-mail and we will send you a new one.",
            ),
        ),
        "used": Words(
            "This link has already been used",
            (
                "For your protection, the password is shown only once.",
                (
                    "If you have lost it, or if you did not open the link yourself, reply to our e-mail at once: we "
                    "will give you a new password."
                ),
            ),
        ),
        "in_doubt": Words(
            "We could not show your password",
            (
                "Retrieving it failed, and for your protection it is not retrieved twice.",
                "Please reply to our e-mail: we will give you a new password.",
            ),
        ),
        "tried_too_often": Words(
            "Please wait an hour",
            ("This link was tried several times without success.", "Try again in an hour, or reply to our e-mail."),
        ),
        "not_fetched": Words(
            "Please try again",
            (
                "We could not retrieve your password. The link is still valid.",
                "Try again in a few minutes. If it still does not work, reply to our e-mail.",
            ),
            button="Try again",
        ),
        "too_many": Words("Please wait a minute", ("There were too many requests from your connection.",)),
        "unavailable": Words(
            "Please try again later",
            ("We cannot check your link at the moment. Try again in a few minutes; the link stays valid.",),
        ),
    },
)

_NO_LONGER_DE = Words(
    "Dieser Link funktioniert nicht",
    (
        "Er wurde nicht vollständig kopiert, ist nicht mehr gültig oder stammt nicht von uns.",
        (
            "Bitte öffnen Sie den Link in unserer neuesten E-Mail. Wenn auch dieser nicht funktioniert, antworten "
            "Sie auf diese E-Mail; dann senden wir Ihnen einen neuen."
        ),
    ),
)

GERMAN = Pages(
    ask=Words(
        "Ihr Passwort",
        (
            (
                "Wenn Sie auf die Schaltfläche klicken, wird Ihr Passwort hier einmal angezeigt. Es kann nicht "
                "erneut angezeigt werden."
            ),
            "Halten Sie etwas zum Schreiben bereit, oder öffnen Sie vorher die Einstellungen Ihres Telefons.",
        ),
        button="Mein Passwort anzeigen",
        after="Sie können auch später wiederkommen, solange der Link gültig ist: Vorher geschieht nichts.",
    ),
    show=Words(
        "Ihr Passwort",
        ("Notieren Sie es jetzt. Wenn Sie diese Seite schließen oder neu laden, wird es nicht mehr angezeigt.",),
        after="Wir bewahren keine Kopie Ihres Passworts auf und werden Sie nie danach fragen.",
        username="Benutzername",
        server="Server",
        secret="Passwort",
    ),
    trouble={
        "wrong": _NO_LONGER_DE,
        "erased": _NO_LONGER_DE,
        "lost": Words(
            "Dieser Link kann nicht mehr verwendet werden",
            (
                "Durch einen Fehler auf unserer Seite können wir ihn nicht mehr prüfen.",
                "Antworten Sie auf unsere E-Mail; dann erhalten Sie ein neues Passwort.",
            ),
        ),
        "expired": Words(
            "Dieser Link ist abgelaufen",
            (
                "Zu Ihrem Schutz war er sieben Tage gültig.",
                "Antworten Sie auf unsere E-Mail; dann senden wir Ihnen einen neuen.",
            ),
        ),
        "used": Words(
            "Dieser Link wurde bereits verwendet",
            (
                "Zu Ihrem Schutz wird das Passwort nur einmal angezeigt.",
                (
                    "Wenn Sie es verloren oder den Link nicht selbst geöffnet haben, antworten Sie sofort auf unsere "
                    "E-Mail: Sie erhalten dann ein neues Passwort."
                ),
            ),
        ),
        "in_doubt": Words(
            "Ihr Passwort konnte nicht angezeigt werden",
            (
                "Der Abruf ist fehlgeschlagen. Zu Ihrem Schutz wird es kein zweites Mal abgerufen.",
                "Bitte antworten Sie auf unsere E-Mail: Sie erhalten dann ein neues Passwort.",
            ),
        ),
        "tried_too_often": Words(
            "Bitte warten Sie eine Stunde",
            (
                "Dieser Link wurde mehrmals ohne Erfolg aufgerufen.",
                "Versuchen Sie es in einer Stunde noch einmal, oder antworten Sie auf unsere E-Mail.",
            ),
        ),
        "not_fetched": Words(
            "Bitte versuchen Sie es noch einmal",
            (
                "Ihr Passwort konnte gerade nicht abgerufen werden. Der Link ist weiterhin gültig.",
                (
                    "Versuchen Sie es in einigen Minuten noch einmal. Wenn es dann nicht funktioniert, antworten Sie "
                    "auf unsere E-Mail."
                ),
            ),
            button="Noch einmal versuchen",
        ),
        "too_many": Words("Bitte warten Sie eine Minute", ("Von Ihrer Verbindung kamen zu viele Anfragen.",)),
        "unavailable": Words(
            "Bitte versuchen Sie es später noch einmal",
            ("Ihr Link kann gerade nicht geprüft werden. Er bleibt gültig.",),
        ),
    },
)
