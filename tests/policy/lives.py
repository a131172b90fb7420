"""Whole lives of an account that look for the corners of settling: what is owed, paid, returned, and found out late.

A life is told message by message, and looks at the case as it stands: refunds are reported that are due and others
that are not, applications are confirmed and fail, payments bounce, verdicts and charges turn up that hold instead of
those that were known. The same seed always tells the same life.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ledger.agreement import PublishedAgreement
from ledger.values import CURRENCY_SCALES, unit
from tests.policy.case import (
    Case,
    Said,
    account,
    agreement,
    approved,
    cancelled,
    charge,
    complaint,
    confirmed,
    cycle,
    dispute,
    outage,
    payment,
    payment_failed,
    proposed,
    refund_failed,
    refund_succeeded,
    rejected,
    subscription,
    takes_back,
    terminated,
    withdrawn,
)

AGREEMENTS: list[PublishedAgreement] = [
    agreement(name="ours"),
    agreement(
        {"billing_error.settle_as": "credit", "cancellation.settle_as": "credit", "approval.hold": "PT1H"},
        name="credits",
    ),
    agreement(
        {"disruption.settle_as": "refund", "approval.hold": "PT2H", "proration.basis": "exact_time"}, name="refunds"
    ),
]
CYCLES = {
    "april": ("2026-04-01", "2026-05-01"),
    "may": ("2026-05-01", "2026-06-01"),
    "across": ("2026-04-20", "2026-05-20"),
}
ONE_OFFS = ("headset", "phone", "plug")
INVOICES = ("invoice-one", "invoice-one", "invoice-two", "invoice-three")
PAYMENTS = ("p", "q", "r", "s", "t", "u")
DISPUTES = ("d", "e", "f")


class Life:
    """One life; `reports_name_amounts` keeps to what the order of messages may not change."""

    def __init__(self, seed: int, case: Case, *, reports_name_amounts: bool = False) -> None:
        self.case = case
        self._rng = random.Random(seed)
        self._name_amounts = reports_name_amounts
        self._currency = self._rng.choice(["EUR", "EUR", "JPY", "KWD"])
        self._told = 0

    def told(self, messages: int) -> Iterator[Case]:
        """The case after each message."""
        start = [account(currency=self._currency), subscription(agreement=self._rng.choice(AGREEMENTS).terms.name)]
        start += [self._cycle(), self._payment()]
        if self._rng.random() < 0.3:
            self._rng.shuffle(start)
        for place in range(messages):
            yield from self._hear(start[place] if place < len(start) else self._next())

    def _hear(self, *said: Said) -> Iterator[Case]:
        for one in said:
            self._told += 1
            time = one.time or self._time()
            yield self.case.hear(one.at(time, id=f"{self._rng.randrange(100):02}-{self._told}"))

    def _time(self) -> str:
        """One of few instants: many messages have the same."""
        day = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(days=self._rng.randrange(60))
        return day.isoformat()

    def _next(self) -> Said:
        kinds: list[tuple[int, Callable[[], Said]]] = [
            (2, self._cycle),
            (5, self._one_off),
            (8, self._payment),
            (2, self._payment_failed),
            (7, self._verdict),
            (1, lambda: dispute(self._of(DISPUTES), self._charge_id(), currency=self._currency, claimed="1")),
            (6, self._refund_report),
            (4, self._about_an_application),
            (4, self._course),
            (2, self._goodwill),
            (1, self._registration),
            (2, self._retraction),
        ]
        [tell] = self._rng.choices([tell for _, tell in kinds], [weight for weight, _ in kinds])
        return tell()

    def _of(self, names: tuple[str, ...]) -> str:
        return self._rng.choice(names)

    def _money(self, units_max: int = 4000) -> str:
        return f"{Decimal(self._rng.randrange(units_max)).scaleb(-CURRENCY_SCALES[self._currency])}"

    def _some_money(self, units_max: int) -> str:
        """More than nothing."""
        return f"{Decimal(self._money(units_max)) + unit(self._currency)}"

    def _charge_id(self) -> str:
        """One that is known, as a rule."""
        known = tuple(sorted(self.case.facts.charges.assessed))
        return self._of(known if known and self._rng.random() < 0.9 else (*CYCLES, *ONE_OFFS))

    def _cycle(self) -> Said:
        cycle_id = self._of(("april", "april", "may", "across"))
        return cycle(
            cycle_id,
            *CYCLES[cycle_id],
            self._money(),
            tax=self._money(800),
            currency=self._currency,
            invoice_id=self._of(INVOICES),
        )

    def _one_off(self) -> Said:
        of = self._rng.choice([None, None, "sub", "unheard-of"])
        priced = {"price": self._money(2000), "tax": self._money(300), "currency": self._currency}
        return charge(self._of(ONE_OFFS), **priced, invoice_id=self._of(INVOICES), subscription_id=of)  # type: ignore[arg-type]

    def _payment(self) -> Said:
        invoice_id = self._of(INVOICES)
        amount = self._money()
        asking = [
            (id_, standing.asks_for)
            for (id_, currency), standing in sorted(self.case.billing.settlements.invoices.items())
            if standing.asks_for and currency == self._currency
        ]
        if asking and self._rng.random() < 0.7:
            invoice_id, asked = self._rng.choice(asking)
            amount = f"{asked}"
        method = self._of(("card", "card", "bank", "balance"))
        currency = self._currency if self._rng.random() < 0.95 else "EUR"
        amount = amount if currency == self._currency else "7.00"
        return payment(amount, invoice_id, payment_id=self._of(PAYMENTS), method=method, currency=currency)

    def _payment_failed(self) -> Said:
        return payment_failed(self._of(PAYMENTS), self._of(INVOICES))

    def _verdict(self) -> Said:
        dispute_id, charge_id = self._of(DISPUTES), self._charge_id()
        if self._rng.random() < 0.25:
            return rejected(dispute_id, charge_id)
        way = self._rng.choice([None, "credit", "refund"])
        return confirmed(self._some_money(800), dispute_id, charge_id, currency=self._currency, settle_as=way)

    def _refund_report(self) -> Said:
        outgoings = self.case.billing.settlements.outgoings
        due = sorted(outgoings.due)
        if due and self._rng.random() < 0.8:
            refund_id = self._rng.choice(due)
        else:
            claim = self._of((f"billing-error/{self._of(DISPUTES)}", "disruption/april", "unused/may", "goodwill/g"))
            refund_id = f"refund/{claim}/{self._rng.randrange(1, 3)}"
        if self._rng.random() < 0.3:
            return refund_failed(refund_id)
        if not self._name_amounts and self._rng.random() < 0.6:
            return refund_succeeded(refund_id)
        return refund_succeeded(refund_id, self._money(1200), currency=self._currency)

    def _about_an_application(self) -> Said:
        applications = self.case.billing.settlements.outgoings.applications
        if not applications:
            return self._one_off()
        application = applications[self._rng.choice(sorted(applications))]
        invoice_id = application.invoice_id if self._rng.random() < 0.8 else self._of(INVOICES)
        if self._rng.random() < 0.4:
            return payment_failed(application.application_id, invoice_id)
        other = self._rng.random() < 0.4 and application.currency == self._currency
        amount = self._money(500) if other else f"{application.amount}"
        method = self._of(("balance", "balance", "balance", "card"))
        named = {"payment_id": application.application_id, "method": method}
        return payment(amount, invoice_id, currency=application.currency, **named)

    def _course(self) -> Said:
        day = f"2026-04-{self._rng.randrange(1, 30):02}"
        [report, ending] = outage(day, f"2026-05-{self._rng.randrange(1, 9):02}", self._of(("out", "again")))
        return self._rng.choice([report, ending, cancelled(day), withdrawn(day), terminated(day)])

    def _goodwill(self) -> Said:
        return self._rng.choice(
            [complaint(), proposed(self._some_money(500), "g", currency=self._currency), approved(credit_id="g")]
        )

    def _registration(self) -> Said:
        if self._rng.random() < 0.3:
            other = account("Asia/Tokyo", self._of(("EUR", "JPY")))
            return other.at("2026-03-31T00:00:00Z" if self._rng.random() < 0.5 else "2026-06-01T00:00:00Z")
        return subscription(agreement=self._rng.choice(AGREEMENTS).terms.name)

    def _retraction(self) -> Said:
        """What was said is taken back; now and then that is taken back itself."""
        return takes_back(self._rng.choice(self.case.messages)["id"])
