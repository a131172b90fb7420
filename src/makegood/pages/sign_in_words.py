"""The texts of the pages by which people sign in and out, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from makegood.access.sign_in_links import Why

Trouble = Why | Literal["too_many", "too_many_links", "no_address", "foreign", "no_tls", "no_provider", "refused"]
"""The reasons why nobody is signed in: the link, too many requests, no address, a form of another site, a connection
that is not encrypted, or what the identity provider said."""


@dataclass(frozen=True, slots=True)
class Words:
    """A heading and what stands below it."""

    title: str
    paragraphs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SignInWords:
    """All texts in one language."""

    sign_in: Words
    staff: Words
    staff_button: str
    customers: Words
    address: str
    address_button: str
    sandbox: Words
    not_configured: str
    link: Words
    link_button: str
    sent: Words
    signed_in: Words
    since: str
    until: str
    sign_out_button: str
    everywhere_button: str
    everywhere: str
    signed_out: Words
    no_role: str
    accounts: Words
    again: str
    trouble: Mapping[Trouble, Words]


ENGLISH = SignInWords(
    sign_in=Words("Sign in"),
    staff=Words("Staff", ("You sign in with your organisation's account.",)),
    staff_button="Sign in with your organisation",
    customers=Words(
        "Customers",
        ("Give the e-mail address that we write to. We send a link to it, which signs you in without a password.",),
    ),
    address="E-mail address",
    address_button="Send me a link",
    sandbox=Words(
        "Sandbox",
        ("Open a link that stands in the terminal where Makegood was started: there is one for each role.",),
    ),
    not_configured=(
        "No way to sign in is configured. The operator sets MAKEGOOD_OIDC_ISSUER and MAKEGOOD_OIDC_CLIENT for staff, "
        "and MAKEGOOD_SMTP for customers."
    ),
    link=Words("Sign in", ("The link is valid. Press the button to sign in.",)),
    link_button="Sign in",
    sent=Words(
        "Look into your mailbox",
        (
            "If we write to this address, a link is on its way to it. It is valid for 15 minutes, and once.",
            (
                "Nothing has come after some minutes? Look into the folder for spam, or try the address that our "
                "other e-mails go to."
            ),
        ),
    ),
    signed_in=Words("You are signed in"),
    since="Since",
    until="At the latest until",
    sign_out_button="Sign out",
    everywhere_button="Sign out everywhere",
    everywhere="Ends all your sessions, also those in other browsers and on other devices.",
    signed_out=Words("You are signed out", ("Close the window if others use this device too.",)),
    no_role=(
        "No role is granted to you yet, so there is nothing for you to see. An operator grants one with "
        "`makegood access grant`, and needs your name:"
    ),
    accounts=Words("Your accounts", ("Choose the account that you want to look at.",)),
    again="Sign in",
    trouble={
        "wrong": Words(
            "This link does not work",
            ("It was not copied completely, or is too old.", "Ask for a new one on the page for signing in."),
        ),
        "used": Words(
            "This link has already been used",
            (
                "For your protection it signs in once.",
                (
                    "Ask for a new one. If it was not you who used it, change the password of your mailbox, sign in, "
                    "and sign out everywhere."
                ),
            ),
        ),
        "expired": Words(
            "This link has expired", ("For your protection it is valid for a short time only.", "Ask for a new one.")
        ),
        "too_many": Words("Please wait a minute", ("There were too many requests from your connection.",)),
        "too_many_links": Words(
            "Please wait an hour",
            ("Several links were asked for this address. Use the one that came last, or try again in an hour.",),
        ),
        "no_address": Words(
            "This is no e-mail address", ("Give an address such as name@example.com, and send the form again.",)
        ),
        "foreign": Words(
            "The form was not accepted",
            ("It was not sent by our own page. Open the page for signing in, and send it from there.",),
        ),
        "no_tls": Words(
            "Signing in needs an encrypted connection",
            ("Open this page by its address that begins with https.",),
        ),
        "no_provider": Words(
            "Your organisation's sign-in does not answer",
            ("Try again in a few minutes. If it still does not work, tell the operator of Makegood.",),
        ),
        "refused": Words(
            "You were not signed in",
            ("The sign-in was not completed, or took too long. Begin it again.",),
        ),
    },
)

GERMAN = SignInWords(
    sign_in=Words("Anmelden"),
    staff=Words("Mitarbeitende", ("Sie melden sich mit dem Konto Ihrer Organisation an.",)),
    staff_button="Mit Ihrer Organisation anmelden",
    customers=Words(
        "Kundinnen und Kunden",
        (
            (
                "Geben Sie die E-Mail-Adresse an, an die wir Ihnen schreiben. Wir senden einen Link dorthin, mit dem "
                "Sie sich ohne Passwort anmelden."
            ),
        ),
    ),
    address="E-Mail-Adresse",
    address_button="Link senden",
    sandbox=Words(
        "Testsystem",
        (
            (
                "Öffnen Sie einen der Links, die im Terminal stehen, in dem Makegood gestartet wurde: Für jede Rolle "
                "gibt es einen."
            ),
        ),
    ),
    not_configured=(
        "Es ist keine Anmeldung eingerichtet. Der Betreiber setzt MAKEGOOD_OIDC_ISSUER und MAKEGOOD_OIDC_CLIENT für "
        "Mitarbeitende und MAKEGOOD_SMTP für Kundinnen und Kunden."
    ),
    link=Words("Anmelden", ("Der Link ist gültig. Klicken Sie auf die Schaltfläche, um sich anzumelden.",)),
    link_button="Anmelden",
    sent=Words(
        "Sehen Sie in Ihr Postfach",
        (
            (
                "Wenn wir an diese Adresse schreiben, ist ein Link dorthin unterwegs. Er ist 15 Minuten gültig und "
                "funktioniert einmal."
            ),
            (
                "Es kommt nach einigen Minuten nichts an? Sehen Sie im Spam-Ordner nach, oder versuchen Sie die "
                "Adresse, an die unsere anderen E-Mails gehen."
            ),
        ),
    ),
    signed_in=Words("Sie sind angemeldet"),
    since="Seit",
    until="Längstens bis",
    sign_out_button="Abmelden",
    everywhere_button="Überall abmelden",
    everywhere="Beendet alle Ihre Sitzungen, auch die in anderen Browsern und auf anderen Geräten.",
    signed_out=Words("Sie sind abgemeldet", ("Schließen Sie das Fenster, wenn auch andere dieses Gerät benutzen.",)),
    no_role=(
        "Ihnen ist noch keine Rolle erteilt, deshalb gibt es für Sie nichts zu sehen. Ein Betreiber erteilt eine mit "
        "`makegood access grant` und braucht dafür Ihren Namen:"
    ),
    accounts=Words("Ihre Kundenkonten", ("Wählen Sie das Konto, das Sie ansehen möchten.",)),
    again="Anmelden",
    trouble={
        "wrong": Words(
            "Dieser Link funktioniert nicht",
            (
                "Er wurde nicht vollständig kopiert oder ist zu alt.",
                "Fordern Sie auf der Anmeldeseite einen neuen an.",
            ),
        ),
        "used": Words(
            "Dieser Link wurde bereits verwendet",
            (
                "Zu Ihrem Schutz meldet er nur einmal an.",
                (
                    "Fordern Sie einen neuen an. Wenn nicht Sie ihn verwendet haben, ändern Sie das Passwort Ihres "
                    "Postfachs, melden Sie sich an, und melden Sie sich überall ab."
                ),
            ),
        ),
        "expired": Words(
            "Dieser Link ist abgelaufen",
            ("Zu Ihrem Schutz ist er nur kurze Zeit gültig.", "Fordern Sie einen neuen an."),
        ),
        "too_many": Words("Bitte warten Sie eine Minute", ("Von Ihrem Anschluss kamen zu viele Anfragen.",)),
        "too_many_links": Words(
            "Bitte warten Sie eine Stunde",
            (
                (
                    "Für diese Adresse wurden mehrere Links angefordert. Verwenden Sie den neuesten, oder versuchen "
                    "Sie es in einer Stunde noch einmal."
                ),
            ),
        ),
        "no_address": Words(
            "Das ist keine E-Mail-Adresse",
            ("Geben Sie eine Adresse wie name@example.com an, und senden Sie das Formular noch einmal ab.",),
        ),
        "foreign": Words(
            "Das Formular wurde nicht angenommen",
            (
                (
                    "Es wurde nicht von unserer eigenen Seite gesendet. Öffnen Sie die Anmeldeseite, und senden Sie "
                    "es von dort ab."
                ),
            ),
        ),
        "no_tls": Words(
            "Die Anmeldung braucht eine verschlüsselte Verbindung",
            ("Öffnen Sie diese Seite unter ihrer Adresse, die mit https beginnt.",),
        ),
        "no_provider": Words(
            "Die Anmeldung Ihrer Organisation antwortet nicht",
            (
                (
                    "Versuchen Sie es in einigen Minuten noch einmal. Wenn es dann noch nicht geht, sagen Sie es dem "
                    "Betreiber von Makegood."
                ),
            ),
        ),
        "refused": Words(
            "Sie wurden nicht angemeldet",
            ("Die Anmeldung wurde nicht abgeschlossen oder hat zu lange gedauert. Beginnen Sie noch einmal.",),
        ),
    },
)
