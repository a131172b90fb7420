"""What the pages behind an activation's link say, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ledger.application.activation import Why

Trouble = Why | Literal["too_many", "unavailable"]
"""Why a page has no password to show: because of the link, or because of who asks or of us."""


@dataclass(frozen=True, slots=True)
class Words:
    """What one page says."""

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
        "It is not one of ours, or it was not copied whole, or it is no longer valid.",
        (
            "Please open the link from our latest e-mail to you. If it still does not work, reply to that e-mail, "
            "and we send you a new one."
        ),
    ),
)

ENGLISH = Pages(
    ask=Words(
        "Your password",
        (
            "When you press the button, your password is shown here, once. It cannot be shown a second time.",
            "Have something at hand to note it down, or the settings of your telephone open.",
        ),
        button="Show my password",
        after="Nothing happens until you press the button: you can also come back later, while the link is valid.",
    ),
    show=Words(
        "Your password",
        ("Note it down now. When you close or reload this page, it is gone.",),
        after="We keep no copy of your password, and we will never ask you for it.",
        username="User name",
        server="Server",
        secret="Password",
    ),
    trouble={
        "wrong": _NO_LONGER_EN,
        "erased": _NO_LONGER_EN,
        "expired": Words(
            "This link has expired",
            ("For your protection it was valid for seven days.", "Reply to our e-mail, and we send you a new one."),
        ),
        "used": Words(
            "This link was used already",
            (
                "The password was shown, and for your protection it is shown only once.",
                (
                    "If you have lost it, or if it was not you who saw it, reply to our e-mail at once: we "
                    "give you a new password."
                ),
            ),
        ),
        "in_doubt": Words(
            "We could not show your password",
            (
                "Something went wrong while it was fetched, and for your protection it is not fetched twice.",
                "Please reply to our e-mail: we give you a new password.",
            ),
        ),
        "tried_too_often": Words(
            "Please wait an hour",
            ("This link was tried several times without success.", "Try again in an hour, or reply to our e-mail."),
        ),
        "not_fetched": Words(
            "Please try again",
            (
                "We could not fetch your password just now; it was not used up.",
                "Try again in a few minutes. If it does not work then, reply to our e-mail.",
            ),
            button="Try again",
        ),
        "too_many": Words("Please wait a minute", ("Too many pages were asked for from where you are.",)),
        "unavailable": Words(
            "Please try again later",
            ("We cannot look up your link at the moment. Try again in a few minutes; it stays valid.",),
        ),
    },
)

_NO_LONGER_DE = Words(
    "Dieser Link funktioniert nicht",
    (
        "Er ist keiner von unseren, wurde nicht vollständig kopiert oder gilt nicht mehr.",
        (
            "Bitte öffnen Sie den Link aus unserer neuesten E-Mail an Sie. Funktioniert auch er nicht, antworten Sie "
            "auf diese E-Mail; dann senden wir Ihnen einen neuen."
        ),
    ),
)

GERMAN = Pages(
    ask=Words(
        "Ihr Passwort",
        (
            (
                "Wenn Sie auf die Schaltfläche drücken, steht hier Ihr Passwort, ein einziges Mal. Ein zweites Mal "
                "kann es nicht angezeigt werden."
            ),
            "Halten Sie etwas zum Notieren bereit, oder öffnen Sie vorher die Einstellungen Ihres Telefons.",
        ),
        button="Mein Passwort anzeigen",
        after="Vorher geschieht nichts: Solange der Link gilt, können Sie auch später wiederkommen.",
    ),
    show=Words(
        "Ihr Passwort",
        ("Notieren Sie es jetzt. Wenn Sie diese Seite schließen oder neu laden, ist es fort.",),
        after="Wir behalten keine Kopie Ihres Passworts und werden Sie nie danach fragen.",
        username="Benutzername",
        server="Server",
        secret="Passwort",
    ),
    trouble={
        "wrong": _NO_LONGER_DE,
        "erased": _NO_LONGER_DE,
        "expired": Words(
            "Dieser Link ist abgelaufen",
            (
                "Zu Ihrem Schutz galt er sieben Tage.",
                "Antworten Sie auf unsere E-Mail; dann senden wir Ihnen einen neuen.",
            ),
        ),
        "used": Words(
            "Dieser Link wurde schon benutzt",
            (
                "Das Passwort wurde angezeigt, und zu Ihrem Schutz geschieht das nur einmal.",
                (
                    "Haben Sie es verloren, oder waren Sie es nicht, antworten Sie sofort auf unsere E-Mail: Wir "
                    "geben Ihnen ein neues Passwort."
                ),
            ),
        ),
        "in_doubt": Words(
            "Ihr Passwort konnte nicht angezeigt werden",
            (
                "Beim Abrufen ist etwas schiefgegangen, und zu Ihrem Schutz wird es kein zweites Mal abgerufen.",
                "Bitte antworten Sie auf unsere E-Mail: Wir geben Ihnen ein neues Passwort.",
            ),
        ),
        "tried_too_often": Words(
            "Bitte warten Sie eine Stunde",
            (
                "Dieser Link wurde mehrmals ohne Erfolg versucht.",
                "Versuchen Sie es in einer Stunde noch einmal, oder antworten Sie auf unsere E-Mail.",
            ),
        ),
        "not_fetched": Words(
            "Bitte versuchen Sie es noch einmal",
            (
                "Ihr Passwort konnte gerade nicht abgerufen werden; es ist nicht verbraucht.",
                (
                    "Versuchen Sie es in ein paar Minuten noch einmal. Geht es dann nicht, antworten Sie auf unsere "
                    "E-Mail."
                ),
            ),
            button="Noch einmal versuchen",
        ),
        "too_many": Words("Bitte warten Sie eine Minute", ("Von Ihrem Anschluss kamen zu viele Anfragen.",)),
        "unavailable": Words(
            "Bitte versuchen Sie es später noch einmal",
            ("Wir können Ihren Link gerade nicht nachsehen; er bleibt gültig.",),
        ),
    },
)
