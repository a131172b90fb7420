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
    "refund": "Wir zahlen Ihnen zurück, auf dem Weg Ihrer Zahlung",
    "credit": "Als Guthaben für Ihre nächsten Rechnungen",
    "invoice_reduction": "Von Ihrer offenen Rechnung abgezogen",
}

_REASONS: dict[CreditedFor, str] = {
    "service_disruption": "weil Ihr Anschluss gestört war",
    "billing_error": "weil wir Ihnen zu viel berechnet hatten",
    "unused_period": "für bezahlte Zeit, die Sie nicht mehr nutzen",
    "complaint": "aus Kulanz",
    "excess": "weil Sie mehr bezahlt hatten, als wir verlangt haben",
}


class German:
    """German, with the formal address."""

    code = "de"
    repeat = (
        "Vielleicht haben Sie diese E-Mail schon einmal erhalten: Wir konnten nicht sicher sein, dass sie Sie "
        "erreicht hat. Dann können Sie diese Kopie ignorieren."
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
            case ServiceReady():
                return self._ready(about)
            case Cancelled():
                return self._cancelled(about)
            case CancellationTakenBack():
                return Letter(
                    "Ihre Kündigung ist zurückgenommen",
                    [
                        Paragraph(
                            f"Sie haben die Kündigung Ihres Vertrags {about.subscription_id} zurückgenommen. "
                            "Er läuft weiter wie bisher, und Sie brauchen nichts weiter zu tun."
                        )
                    ],
                )
            case Credited():
                return self._credited(about)
            case Refunded():
                return Letter(
                    "Ihre Erstattung ist ausgezahlt",
                    [
                        Paragraph(
                            f"Ihre Erstattung wurde am {self.day(about.paid_on)} ausgezahlt, "
                            "auf dem Weg Ihrer Zahlung."
                        ),
                        Figures((*self._money(about.money), ("Referenz", about.reference))),
                        Paragraph("Je nach Bank kann es einige Tage dauern, bis Sie sie auf Ihrem Konto sehen."),
                    ],
                )
            case ComplaintReceived():
                return Letter(
                    "Wir haben Ihre Beschwerde erhalten",
                    [
                        Paragraph(
                            "Danke, dass Sie uns sagen, womit Sie nicht zufrieden sind. Das tut uns leid, und wir "
                            "arbeiten an Ihrer Beschwerde, bis sie gelöst ist."
                        ),
                        Figures(
                            (
                                ("Beschwerde", about.complaint_id),
                                ("Eingegangen am", self.day(about.received_on)),
                            )
                        ),
                        Paragraph("Bitte nennen Sie diese Nummer, wenn Sie uns dazu schreiben."),
                    ],
                )
            case ComplaintSettled():
                return Letter(
                    "Ihre Beschwerde ist gelöst",
                    [
                        Paragraph(
                            f"Ihre Beschwerde {about.complaint_id} wurde am {self.day(about.resolved_on)} gelöst."
                        ),
                        Paragraph(
                            "Sehen Sie das anders, antworten Sie auf diese E-Mail; dann nehmen wir sie wieder auf."
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
                    "Bitte fragen Sie uns nach Ihren Zugangsdaten: Antworten Sie auf diese E-Mail, wir helfen Ihnen "
                    "beim Einrichten."
                )
            ]
        how: list[Block]
        if sign_in.link is not None:
            how = [
                Paragraph("Auf dieser Seite sehen Sie Ihr Passwort:"),
                Link("Mein Passwort anzeigen", sign_in.link),
                Paragraph(
                    f"Die Seite zeigt es ein einziges Mal, und bis {self.moment(sign_in.link_until)}. "
                    "Notieren Sie es sich dann: Wir behalten keine Kopie und können es kein zweites Mal anzeigen."
                ),
            ]
            first = "Öffnen Sie die Seite oben, und notieren Sie Ihr Passwort."
        else:
            how = []
            first = "Halten Sie Ihr Passwort bereit. Haben Sie noch keines, antworten Sie auf diese E-Mail."
        return [
            *how,
            Paragraph("So richten Sie Ihr Telefon ein:"),
            Steps(
                (
                    first,
                    "Legen Sie in den Einstellungen Ihres Telefons oder seiner App ein neues SIP-Konto an.",
                    "Geben Sie Benutzername und Server von oben ein, und das Passwort.",
                    "Speichern Sie. Meldet Ihr Telefon, dass es registriert ist, machen Sie einen Probeanruf.",
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
            blocks.append(Paragraph("Was Sie für bereits bezahlte Zeit zurückbekommen, prüfen wir noch."))
        elif not about.returns:
            blocks.append(Paragraph("Nach Ihrer Vereinbarung wird für diese Kündigung kein Betrag erstattet."))
        if not about.ended:
            blocks.append(
                Paragraph(
                    "Überlegen Sie es sich anders, können Sie die Kündigung zurücknehmen, bevor sie wirksam wird."
                )
            )
        return Letter("Ihre Kündigung ist bestätigt", blocks)

    def _credited(self, about: Credited) -> Letter:
        of = f" zu Vertrag {about.subscription_id}" if about.subscription_id is not None else ""
        return Letter(
            "Sie haben ein Guthaben",
            [
                Paragraph(f"Wir haben Ihnen{of} ein Guthaben eingeräumt, {_REASONS[about.credited_for]}."),
                Figures(self._money(about.money)),
                Paragraph("Es wird mit Ihren nächsten Rechnungen verrechnet; Sie brauchen nichts zu tun."),
            ],
        )

    def _money(self, money: Money) -> tuple[tuple[str, str], ...]:
        return (
            ("Netto", self.amount(money.net, money.currency)),
            ("Steuer", self.amount(money.tax, money.currency)),
            ("Gesamt", self.amount(money.total, money.currency)),
        )
