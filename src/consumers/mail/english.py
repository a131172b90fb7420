"""The words in English."""

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
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

_WAYS: dict[Way, str] = {
    "refund": "Paid back to you, the way you paid",
    "credit": "Kept as credit for your next charges",
    "invoice_reduction": "Taken off your open invoice",
}

_REASONS: dict[CreditedFor, str] = {
    "service_disruption": "because your service was disrupted",
    "billing_error": "because we had charged you too much",
    "unused_period": "for time that you had paid for and will not use",
    "complaint": "as a gesture of goodwill",
    "excess": "because you had paid more than we asked for",
}


class English:
    """English, as it is written in Europe."""

    code = "en"
    repeat = (
        "You may have received this e-mail before: we could not be certain that it reached you. "
        "If it did, you can ignore this copy."
    )
    questions = "If you have any questions, just reply to this e-mail."
    closing = "Kind regards"

    def greeting(self, name: str) -> str:
        return f"Hello {name}," if name else "Hello,"

    def amount(self, amount: Decimal, currency: str) -> str:
        return f"{shown_amount(amount, '.')} {currency}"

    def day(self, day: date) -> str:
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"

    def moment(self, moment: datetime) -> str:
        return f"{self.day(moment.date())}, {moment:%H:%M} ({moment.tzinfo})"

    def write(self, about: About) -> Letter:
        match about:
            case ServiceReady():
                return self._ready(about)
            case Cancelled():
                return self._cancelled(about)
            case CancellationTakenBack():
                return Letter(
                    "Your cancellation is withdrawn",
                    [
                        Paragraph(
                            f"You have taken back the cancellation of your subscription {about.subscription_id}. "
                            "It goes on as before, and there is nothing more for you to do."
                        )
                    ],
                )
            case Credited():
                return self._credited(about)
            case Refunded():
                return Letter(
                    "Your refund has been paid",
                    [
                        Paragraph(f"Your refund was paid on {self.day(about.paid_on)}, the way you had paid."),
                        Figures((*self._money(about.money), ("Reference", about.reference))),
                        Paragraph("Depending on your bank, it may take a few days until you see it on a statement."),
                    ],
                )
            case ComplaintReceived():
                return Letter(
                    "We have received your complaint",
                    [
                        Paragraph(
                            "Thank you for telling us that you are not satisfied. We are sorry, and we work on your "
                            "complaint until it is resolved."
                        ),
                        Figures(
                            (
                                ("Complaint", about.complaint_id),
                                ("Received on", self.day(about.received_on)),
                            )
                        ),
                        Paragraph("Please mention the complaint's number when you write to us about it."),
                    ],
                )
            case ComplaintSettled():
                return Letter(
                    "Your complaint has been resolved",
                    [
                        Paragraph(
                            f"Your complaint {about.complaint_id} was resolved on {self.day(about.resolved_on)}."
                        ),
                        Paragraph("If it is not resolved for you, reply to this e-mail, and we take it up again."),
                    ],
                )

    def _ready(self, about: ServiceReady) -> Letter:
        blocks: list[Block] = [
            Paragraph(
                "Welcome! You are registered, your first payment has arrived, and your service is ready to use."
            )
        ]
        details = [("Subscription", about.subscription_id), ("Plan", about.plan)]
        if about.sign_in is not None:
            details += [("User name", about.sign_in.username), ("Server", about.sign_in.server)]
        blocks.append(Figures(tuple(details)))
        return Letter("Your telephone service is ready", [*blocks, *self._set_up(about.sign_in)])

    def _set_up(self, sign_in: SignIn | None) -> list[Block]:
        if sign_in is None:
            return [Paragraph("Please reply to this e-mail: we give you your sign-in details and help you set up.")]
        how: list[Block]
        if sign_in.link is not None:
            how = [
                Paragraph("Open this page to see your password:"),
                Link("Show my password", sign_in.link),
                Paragraph(
                    f"The page shows it once, and until {self.moment(sign_in.link_until)}. Note it down when you see "
                    "it: we keep no copy, and cannot show it a second time."
                ),
            ]
            first = "Open the page above, and note your password."
        else:
            how = []
            first = "Have your password at hand. If you have none yet, reply to this e-mail."
        return [
            *how,
            Paragraph("This is how you set up your telephone:"),
            Steps(
                (
                    first,
                    "In the settings of your telephone or its app, add a new SIP account.",
                    "Enter the user name and the server shown above, and the password.",
                    "Save. When your telephone says that it is registered, make a test call.",
                )
            ),
            Paragraph("We will never ask you for your password, neither by e-mail nor on the telephone."),
        ]

    def _cancelled(self, about: Cancelled) -> Letter:
        ends = "Ended on" if about.ended else "Ends on"
        blocks: list[Block] = [
            Paragraph("We have received your cancellation."),
            Figures((("Subscription", about.subscription_id), (ends, self.day(about.ends_on)))),
        ]
        for way, money in about.returns:
            blocks += [Paragraph(f"{_WAYS[way]}:"), Figures(self._money(money))]
        if about.undecided:
            blocks.append(Paragraph("We are still working out what comes back to you for time already paid."))
        elif not about.returns:
            blocks.append(Paragraph("Under your agreement, no amount is returned for this cancellation."))
        if not about.ended:
            blocks.append(Paragraph("Should you change your mind, you can take it back before it takes effect."))
        return Letter("Your cancellation is confirmed", blocks)

    def _credited(self, about: Credited) -> Letter:
        of = f" for subscription {about.subscription_id}" if about.subscription_id is not None else ""
        return Letter(
            "You have a credit",
            [
                Paragraph(f"We have given you a credit{of}, {_REASONS[about.credited_for]}."),
                Figures(self._money(about.money)),
                Paragraph("It is set off against your next charges; there is nothing for you to do."),
            ],
        )

    def _money(self, money: Money) -> tuple[tuple[str, str], ...]:
        return (
            ("Net", self.amount(money.net, money.currency)),
            ("Tax", self.amount(money.tax, money.currency)),
            ("Total", self.amount(money.total, money.currency)),
        )
