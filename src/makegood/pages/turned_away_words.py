"""Why somebody is not shown a page, or their form is not taken, in each language that customers are addressed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consumers.mail.languages import GERMAN as IN_GERMAN


@dataclass(frozen=True, slots=True)
class TurnedAwayWords:
    """All texts in one language."""

    not_there: str
    not_there_why: tuple[str, ...]
    signed_out: str
    signed_out_why: tuple[str, ...]
    sign_in: str
    foreign_form: str
    foreign_form_why: tuple[str, ...]
    failed: str
    nothing_recorded: str
    too_large: str
    unavailable: str
    our_error: str
    erased: str
    key_lost: str
    first_page: str
    skip: str
    sandbox_words: str
    sign_out: str
    foot: str

    @property
    def frame(self) -> dict[str, Any]:
        """The texts around the page."""
        return {
            "skip": self.skip,
            "sandbox_words": self.sandbox_words,
            "sign_out": self.sign_out,
            "foot": self.foot,
        }


ENGLISH = TurnedAwayWords(
    not_there="This page does not exist",
    not_there_why=("The address was not copied completely, or leads to nothing that you have access to.",),
    signed_out="You are not signed in",
    signed_out_why=(
        "Your session has ended, so nothing was recorded.",
        "Sign in, and send the form again.",
    ),
    sign_in="Sign in",
    foreign_form="The form was not accepted",
    foreign_form_why=(
        "It comes from an earlier session, or from a page that is not ours. Nothing was recorded.",
        "Open the page again, and send the form from there.",
    ),
    failed="This did not work",
    nothing_recorded="Nothing was recorded.",
    too_large="The form is too large. Shorten its longest text, and send it again.",
    unavailable="The database cannot be reached, or too many changes came at once. Try again in a moment.",
    our_error="The error is on our side, not in what you did. Try again later, and tell us if it persists.",
    erased="The personal data that this page needs was erased for good.",
    key_lost="The key of the personal data that this page needs was lost for good.",
    first_page="To the first page",
    skip="Skip to the content",
    sandbox_words="Sandbox: nothing here is real. Whoever has a link from the terminal can sign in.",
    sign_out="Sign out",
    foot="Makegood keeps what a provider owes its customers, with the proof of every cent.",
)
GERMAN = TurnedAwayWords(
    not_there="Diese Seite gibt es nicht",
    not_there_why=(
        "Die Adresse wurde nicht vollständig kopiert, oder sie führt zu nichts, auf das Sie Zugriff haben.",
    ),
    signed_out="Sie sind nicht angemeldet",
    signed_out_why=(
        "Ihre Sitzung ist beendet, deshalb wurde nichts aufgezeichnet.",
        "Melden Sie sich an, und senden Sie das Formular noch einmal ab.",
    ),
    sign_in="Anmelden",
    foreign_form="Das Formular wurde nicht angenommen",
    foreign_form_why=(
        "Es stammt aus einer früheren Sitzung oder von einer fremden Seite. Es wurde nichts aufgezeichnet.",
        "Öffnen Sie die Seite noch einmal, und senden Sie das Formular von dort ab.",
    ),
    failed="Das hat nicht geklappt",
    nothing_recorded="Es wurde nichts aufgezeichnet.",
    too_large="Das Formular ist zu groß. Kürzen Sie den längsten Text, und senden Sie es noch einmal ab.",
    unavailable="Die Datenbank ist nicht erreichbar, oder es gab zu viele Änderungen auf einmal. "
    "Versuchen Sie es gleich noch einmal.",
    our_error="Der Fehler liegt bei uns, nicht an Ihnen. "
    "Versuchen Sie es später noch einmal, und sagen Sie uns Bescheid, wenn er bleibt.",
    erased="Die persönlichen Daten, die diese Seite braucht, wurden endgültig gelöscht.",
    key_lost="Der Schlüssel zu den persönlichen Daten, die diese Seite braucht, ist endgültig verloren.",
    first_page="Zur ersten Seite",
    skip="Zum Inhalt",
    sandbox_words="Testsystem: Nichts hier ist echt. Wer einen Link aus dem Terminal hat, kann sich anmelden.",
    sign_out="Abmelden",
    foot="Makegood hält fest, was ein Anbieter seinen Kundinnen und Kunden schuldet, mit dem Beleg für jeden Cent.",
)


def words_in(language: str) -> TurnedAwayWords:
    """The texts in a language."""
    return GERMAN if language == IN_GERMAN.code else ENGLISH
