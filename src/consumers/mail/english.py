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
    SignInAsked,
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
    "refund": "Refunded by your original payment method",
    "credit": "Credited towards your next charges",
    "invoice_reduction": "Deducted from your open invoice",
}

_REASONS: dict[CreditedFor, str] = {
    "service_disruption": "because of a disruption of your service",
    "billing_error": "because you were charged too much",
    "unused_period": "for the unused part of a billing period that you had paid for",
    "complaint": "as a gesture of goodwill",
    "excess": "because you paid more than the invoice amount",
}


class English:
    """English, as it is written in Europe."""

    code = "en"
    repeat = (
        "You may already have received this e-mail: we could not confirm that it was delivered. "
        "If you have, please ignore this copy."
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
            case SignInAsked():
                return Letter(
                    "Your link for signing in",
                    [
                        Paragraph("You asked us for a link to sign in. Open it, and press the button:"),
                        Link("Sign in", about.link),
                        Paragraph(
                            f"The link is valid for {about.minutes} minutes, and once. Do not pass it on: whoever "
                            "has it can sign in as you."
                        ),
                        Paragraph("If you did not ask for it, you need not do anything."),
                    ],
                )
            case ServiceReady():
                return self._ready(about)
            case Cancelled():
                return self._cancelled(about)
            case CancellationTakenBack():
                return Letter(
                    "Your cancellation has been withdrawn",
                    [
                        Paragraph(
                            f"You have withdrawn the cancellation of your subscription {about.subscription_id}. "
                            "It continues as before; you do not need to do anything else."
                        )
                    ],
                )
            case Credited():
                return self._credited(about)
            case Refunded():
                return Letter(
                    "Your refund has been paid",
                    [
                        Paragraph(
                            f"Your refund was paid on {self.day(about.paid_on)} by your original payment method."
                        ),
                        Figures((*self._money(about.money), ("Reference", about.reference))),
                        Paragraph("Depending on your bank, it may take a few days to appear on your statement."),
                    ],
                )
            case ComplaintReceived():
                return Letter(
                    "We have received your complaint",
                    [
                        Paragraph(
                            "Thank you for your feedback. We are sorry that you are not satisfied, and we will work "
                            "on your complaint until it is resolved."
                        ),
                        Figures(
                            (
                                ("Complaint", about.complaint_id),
                                ("Received on", self.day(about.received_on)),
                            )
                        ),
                        Paragraph("Please quote the complaint number when you write to us about it."),
                    ],
                )
            case ComplaintSettled():
                return Letter(
                    "Your complaint has been resolved",
                    [
                        Paragraph(
                            f"Your complaint {about.complaint_id} was resolved on {self.day(about.resolved_on)}."
                        ),
                        Paragraph(
                            "If you are not satisfied with the outcome, reply to this e-mail and we will reopen it."
                        ),
                    ],
                )

    def _ready(self, about: ServiceReady) -> Letter:
        blocks: list[Block] = [
            Paragraph("Welcome! You are registered, we have received your first payment, and your service is ready.")
        ]
        details = [("Subscription", about.subscription_id), ("Plan", about.plan)]
        if about.sign_in is not None:
            details += [("User name", about.sign_in.username), ("Server", about.sign_in.server)]
        blocks.append(Figures(tuple(details)))
        return Letter("Your telephone service is ready", [*blocks, *self._set_up(about.sign_in)])

    def _set_up(self, sign_in: SignIn | None) -> list[Block]:
        if sign_in is None:
            return [
                Paragraph("Please reply to this e-mail: we will send you your sign-in details and help you set up.")
            ]
        how: list[Block]
        if sign_in.link is not None:
            how = [
                Paragraph("Open this page to see your password:"),
                Link("Show my password", sign_in.link),
                Paragraph(
                    "The page shows your password only once. The link is valid until "
                    f"{self.moment(sign_in.link_until)}. Write the password down: we keep no copy and cannot show it "
                    "again."
                ),
            ]
            first = "Open the page above and write down your password."
        else:
            how = []
            first = "Have your password ready. If you do not have one yet, reply to this e-mail."
        return [
            *how,
            Paragraph("To set up your telephone:"),
            Steps(
                (
                    first,
                    "In the settings of your telephone or its app, add a new SIP account.",
                    "Enter the user name and the server shown above, and the password.",
                    "Save the settings. When your telephone shows that it is registered, make a test call.",
                )
            ),
            Paragraph("We will never ask you for your password, by e-mail or by telephone."),
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
            blocks.append(
                Paragraph(
                    "We are still calculating the amount to be returned for the time you have already paid for."
                )
            )
        elif not about.returns:
            blocks.append(Paragraph("Under your service agreement, no amount is refunded for this cancellation."))
        if not about.ended:
            blocks.append(
                Paragraph("If you change your mind, you can withdraw the cancellation before it takes effect.")
            )
        return Letter("Your cancellation is confirmed", blocks)

    def _credited(self, about: Credited) -> Letter:
        of = f" for subscription {about.subscription_id}" if about.subscription_id is not None else ""
        return Letter(
            "You have a credit",
            [
                Paragraph(f"You have received a credit{of} {_REASONS[about.credited_for]}."),
                Figures(self._money(about.money)),
                Paragraph("It will be applied to your next charges; you do not need to do anything."),
            ],
        )

    def _money(self, money: Money) -> tuple[tuple[str, str], ...]:
        return (
            ("Net", self.amount(money.net, money.currency)),
            ("Tax", self.amount(money.tax, money.currency)),
            ("Total", self.amount(money.total, money.currency)),
        )
