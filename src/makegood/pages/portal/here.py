"""A page of the portal: whose account it is, in which language and time zone, and what all of its pages have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from starlette.responses import Response

from ledger.events import Clause
from ledger.values import date_from_text, instant_from_text, local_date
from makegood.answers import account as answering
from makegood.answers.account import Account
from makegood.house.opening import House
from makegood.pages.amounts import amount_in_words
from makegood.pages.instants import date_in_words
from makegood.pages.portal.words import words_in
from makegood.pages.portal.words.texts import PortalWords
from makegood.pages.shell import Frame, page
from makegood.pages.visitor import Visitor, house_of
from projections.accounts import Charge, Subscription

PORTAL = "/portal/{account}"


@dataclass(frozen=True, slots=True)
class Here:
    """A customer at a page about their account."""

    request: Request
    visitor: Visitor
    account: str
    told: Account
    """The account as its customer may see it."""
    frame: Frame
    words: PortalWords

    @property
    def house(self) -> House:
        """The house that the page answers from."""
        return house_of(self.request)

    def path(self, below: str = "", **query: str) -> str:
        """The address of a page of this account."""
        asked = f"?{urlencode(query)}" if query else ""
        return f"{PORTAL.replace('{account}', quote(self.account, safe=''))}{below}{asked}"

    def page(self, layout: str, *, title: str, status: int = 200, **data: Any) -> Response:
        """A page of the portal."""
        return page(
            self.frame,
            f"portal/{layout}.html",
            title=title,
            status=status,
            here=self,
            words=self.words,
            skip=self.words.skip,
            sandbox_words=self.words.sandbox,
            optional_word=self.words.optional,
            pages=(
                (self.words.overview, self.path()),
                (self.words.report_outage, self.path("/outages/report")),
                (self.words.report_error, self.path("/errors/report")),
                (self.words.complain, self.path("/complaints/open")),
                (self.words.own_data, self.path("/data")),
            ),
            **data,
        )

    # --- how values are written in sentences ---

    def money(self, amount: str, currency: str) -> str:
        """An amount within a sentence."""
        return amount_in_words(amount, currency, self.frame.locale)

    def gross(self, net: str, tax: str) -> str:
        """Net and tax together."""
        return str(Decimal(net) + Decimal(tax))

    def on(self, day: str | date) -> str:
        """A date within a sentence."""
        return date_in_words(day, self.frame.locale)

    def day_of(self, instant: str) -> str:
        """The date of an instant in the account's zone, within a sentence."""
        return self.on(local_date(instant_from_text(instant), self.frame.zone))

    @property
    def today(self) -> date:
        """The date in the account's zone."""
        return local_date(self.house.now(), self.frame.zone)

    def cycle(self, charge: Charge) -> str:
        """What was charged: a cycle by its first and last day, else the charge by its id."""
        if charge["starts_on"] is None or charge["ends_on"] is None:
            return self.words.on_charge.format(charge=charge["charge_id"])
        return self.period(charge["starts_on"], charge["ends_on"])

    def period(self, starts_on: str, ends_on: str) -> str:
        """A cycle by its first and its last day."""
        last = date_from_text(ends_on) - timedelta(days=1)
        return self.words.cycle_from_to.format(first=self.on(starts_on), last=self.on(last))

    # --- what there is in the account ---

    def charge(self, charge_id: str | None) -> Charge | None:
        """A charge by its id."""
        return next((charge for charge in self.told["charges"] if charge["charge_id"] == charge_id), None)

    def charge_named(self, charge_id: str | None) -> str:
        """A charge by its dates; by its id where it is not known yet, nothing for none."""
        charge = self.charge(charge_id)
        if charge is not None:
            return self.cycle(charge)
        return self.words.on_charge.format(charge=charge_id) if charge_id is not None else ""

    def subscription(self, subscription_id: str | None) -> Subscription | None:
        """A subscription by its id."""
        return next((each for each in self.told["subscriptions"] if each["subscription_id"] == subscription_id), None)

    def clause_of(self, claim_id: str | None) -> str:
        """What something is for, by its claim; for none it is what was paid in excess."""
        found: Clause | None = next(
            (claim["clause"] for claim in self.told["claims"] if claim["claim_id"] == claim_id), None
        )
        return self.words.clauses[found if found is not None else "excess"]


def here(request: Request, visitor: Visitor, account: str) -> Here:
    """A customer at a page about their account. Raises UnknownAccount."""
    told = answering.account(house_of(request), visitor.caller.sight, account).answer
    frame = replace(visitor.frame, zone=told["time_zone"] or visitor.zone)
    return Here(request, visitor, account, told, frame, words_in(visitor.language))
