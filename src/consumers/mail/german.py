"""The words in German."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from consumers.mail.about import (
    About,
    CancellationTakenBack,
    Cancelled,
    ComplaintReceived,
    ComplaintSettled,
    Credited,
    CreditedFor,
    Money,
    Refunded,
    ServiceReady,
    SignIn,
    SignInAsked,
    Way,
)
from consumers.mail.letter import Block, Figures, Letter, Link, Paragraph, Steps, shown_amount

_MONTHS = (
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
)

_WAYS: dict[Way, str] = {
    "refund": "Erstattung über Ihre ursprüngliche Zahlungsart",
    "credit": "Gutschrift für Ihre nächsten Rechnungen",
    "invoice_reduction": "Abzug von Ihrer offenen Rechnung",
}

_REASONS: dict[CreditedFor, str] = {
    "service_disruption": "wegen einer Störung Ihres Anschlusses",
    "billing_error": "wegen einer zu hohen Rechnung",
    "unused_period": "für den nicht genutzten Teil eines bezahlten Abrechnungszeitraums",
    "complaint": "aus Kulanz",
    "excess": "wegen einer Überzahlung Ihrer Rechnung",
}


class German:
    """German, with the formal address."""

    code = "de"
    repeat = (
        "Möglicherweise haben Sie diese E-Mail bereits erhalten: Die Zustellung wurde uns nicht bestätigt. "
        "In diesem Fall können Sie diese Kopie ignorieren."
    )
    questions = "Wenn Sie Fragen haben, antworten Sie einfach auf diese E-Mail."
    closing = "Mit freundlichen Grüßen"

    def greeting(self, name: str) -> str:
        return f"Guten Tag {name}," if name else "Guten Tag,"

    def amount(self, amount: Decimal, currency: str) -> str:
        return f"{shown_amount(amount, ',')} {currency}"

    def day(self, day: date) -> str:
        return f"{day.day}. {_MONTHS[day.month - 1]} {day.year}"

    def moment(self, moment: datetime) -> str:
        return f"{self.day(moment.date())}, {moment:%H:%M} Uhr ({moment.tzinfo})"

    def write(self, about: About) -> Letter:
        match about:
            case SignInAsked():
                return Letter(
                    "Ihr Link zur Anmeldung",
                    [
                        Paragraph(
                            "Sie haben bei uns einen Link zur Anmeldung angefordert. Öffnen Sie ihn, und klicken Sie "
                            "auf die Schaltfläche:"
                        ),
                        Link("Anmelden", about.link),
                        Paragraph(
                            f"Der Link ist {about.minutes} Minuten gültig und funktioniert einmal. Geben Sie ihn "
                            "nicht weiter: Wer ihn hat, kann sich als Sie anmelden."
                        ),
                        Paragraph("Wenn Sie ihn nicht angefordert haben, müssen Sie nichts tun."),
                    ],
                )
            case ServiceReady():
                return self._ready(about)
            case Cancelled():
                return self._cancelled(about)
            case CancellationTakenBack():
                return Letter(
                    "Ihre Kündigung wurde zurückgenommen",
                    [
                        Paragraph(
                            f"Sie haben die Kündigung Ihres Vertrags {about.subscription_id} zurückgenommen. "
                            "Der Vertrag läuft wie bisher weiter; Sie müssen nichts weiter tun."
                        )
                    ],
                )
            case Credited():
                return self._credited(about)
            case Refunded():
                return Letter(
                    "Ihre Erstattung wurde ausgezahlt",
                    [
                        Paragraph(
                            f"Ihre Erstattung wurde am {self.day(about.paid_on)} "
                            "über Ihre ursprüngliche Zahlungsart ausgezahlt."
                        ),
                        Figures((*self._money(about.money), ("Referenz", about.reference))),
                        Paragraph(
                            "Je nach Bank kann es einige Tage dauern, bis der Betrag auf Ihrem Konto erscheint."
                        ),
                    ],
                )
            case ComplaintReceived():
                return Letter(
                    "Wir haben Ihre Beschwerde erhalten",
                    [
                        Paragraph(
                            "Vielen Dank für Ihre Rückmeldung. Es tut uns leid, dass Sie nicht zufrieden sind. "
                            "Wir bearbeiten Ihre Beschwerde, bis eine Lösung gefunden ist."
                        ),
                        Figures(
                            (
                                ("Beschwerde", about.complaint_id),
                                ("Eingegangen am", self.day(about.received_on)),
                            )
                        ),
                        Paragraph("Bitte geben Sie diese Beschwerdenummer an, wenn Sie uns dazu schreiben."),
                    ],
                )
            case ComplaintSettled():
                return Letter(
                    "Ihre Beschwerde wurde abgeschlossen",
                    [
                        Paragraph(
                            f"Ihre Beschwerde {about.complaint_id} wurde am {self.day(about.resolved_on)} "
                            "abgeschlossen."
                        ),
                        Paragraph(
                            "Wenn Sie mit dem Ergebnis nicht einverstanden sind, antworten Sie auf diese E-Mail; "
                            "dann bearbeiten wir die Beschwerde erneut."
                        ),
                    ],
                )

    def _ready(self, about: ServiceReady) -> Letter:
        blocks: list[Block] = [
            Paragraph(
                "Willkommen! Sie sind angemeldet, Ihre erste Zahlung ist eingegangen, und Ihr Anschluss ist bereit."
            )
        ]
        details = [("Vertrag", about.subscription_id), ("Tarif", about.plan)]
        if about.sign_in is not None:
            details += [("Benutzername", about.sign_in.username), ("Server", about.sign_in.server)]
        blocks.append(Figures(tuple(details)))
        return Letter("Ihr Telefonanschluss ist bereit", [*blocks, *self._set_up(about.sign_in)])

    def _set_up(self, sign_in: SignIn | None) -> list[Block]:
        if sign_in is None:
            return [
                Paragraph(
                    "Bitte antworten Sie auf diese E-Mail: Wir senden Ihnen Ihre Zugangsdaten und helfen Ihnen beim "
                    "Einrichten."
                )
            ]
        how: list[Block]
        if sign_in.link is not None:
            how = [
                Paragraph("Auf dieser Seite sehen Sie Ihr Passwort:"),
                Link("Mein Passwort anzeigen", sign_in.link),
                Paragraph(
                    "Die Seite zeigt Ihr Passwort nur einmal an. Der Link ist bis "
                    f"{self.moment(sign_in.link_until)} gültig. Notieren Sie das Passwort: Wir bewahren keine Kopie "
                    "auf und können es nicht erneut anzeigen."
                ),
            ]
            first = "Öffnen Sie die oben genannte Seite und notieren Sie Ihr Passwort."
        else:
            how = []
            first = "Halten Sie Ihr Passwort bereit. Wenn Sie noch keines haben, antworten Sie auf diese E-Mail."
        return [
            *how,
            Paragraph("So richten Sie Ihr Telefon ein:"),
            Steps(
                (
                    first,
                    "Legen Sie in den Einstellungen Ihres Telefons oder seiner App ein neues SIP-Konto an.",
                    "Geben Sie den oben genannten Benutzernamen und Server sowie das Passwort ein.",
                    (
                        "Speichern Sie die Einstellungen. Sobald Ihr Telefon anzeigt, dass es registriert ist, "
                        "führen Sie einen Testanruf durch."
                    ),
                )
            ),
            Paragraph("Wir werden Sie nie nach Ihrem Passwort fragen, weder per E-Mail noch am Telefon."),
        ]

    def _cancelled(self, about: Cancelled) -> Letter:
        ends = "Endete am" if about.ended else "Endet am"
        blocks: list[Block] = [
            Paragraph("Wir haben Ihre Kündigung erhalten."),
            Figures((("Vertrag", about.subscription_id), (ends, self.day(about.ends_on)))),
        ]
        for way, money in about.returns:
            blocks += [Paragraph(f"{_WAYS[way]}:"), Figures(self._money(money))]
        if about.undecided:
            blocks.append(
                Paragraph("Den Betrag, den wir Ihnen für bereits bezahlte Zeit erstatten, berechnen wir noch.")
            )
        elif not about.returns:
            blocks.append(Paragraph("Nach Ihren Vertragsbedingungen wird für diese Kündigung kein Betrag erstattet."))
        if not about.ended:
            blocks.append(
                Paragraph(
                    "Wenn Sie es sich anders überlegen, können Sie die Kündigung zurücknehmen, bevor sie wirksam "
                    "wird."
                )
            )
        return Letter("Ihre Kündigung ist bestätigt", blocks)

    def _credited(self, about: Credited) -> Letter:
        of = f" zu Ihrem Vertrag {about.subscription_id}" if about.subscription_id is not None else ""
        return Letter(
            "Sie haben eine Gutschrift erhalten",
            [
                Paragraph(f"Sie haben{of} eine Gutschrift {_REASONS[about.credited_for]} erhalten."),
                Figures(self._money(about.money)),
                Paragraph("Sie wird mit Ihren nächsten Rechnungen verrechnet; Sie müssen nichts weiter tun."),
            ],
        )

    def _money(self, money: Money) -> tuple[tuple[str, str], ...]:
        return (
            ("Netto", self.amount(money.net, money.currency)),
            ("Steuer", self.amount(money.tax, money.currency)),
            ("Gesamt", self.amount(money.total, money.currency)),
        )
