"""The account itself: which of its registrations stands, and with it the zone and the currency of everything."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from ledger.events import AccountRegistered, Fact
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.touched import EVERYTHING, Touched
from ledger.values import local_date, midnight

F = TypeVar("F", bound=Fact)


class RegisteredAccount:
    """The registrations of an account, of which the first stands."""

    def __init__(self, contradictions: Contradictions) -> None:
        self._contradictions = contradictions
        self._registrations: list[AccountRegistered] = []
        self.registration: AccountRegistered | None = None
        """The one that stands."""
        self.time_zone: str | None = None
        self.currency: str | None = None

    def learn(self, fact: AccountRegistered) -> Touched:
        """Take in one registration: everything goes by its zone and currency, and is judged anew."""
        self._registrations.append(fact)
        return EVERYTHING

    def judge(self) -> None:
        """Find the registration that stands."""
        self.registration = self._contradictions.first_stands(self._registrations)
        if self.registration is not None:
            self.time_zone = self.registration.data.time_zone
            self.currency = self.registration.data.currency

    def waits_for(self, fact: AccountRegistered) -> str | None:
        """It waits for nothing."""
        return None

    # --- questions -----------------------------------------------------------------------------------------------

    def own(self, facts: Iterable[F]) -> list[F]:
        """The facts in the account's currency; those in another contradict its registration and are left out."""
        own = []
        for fact in facts:
            currency = getattr(fact.data, "currency", None)
            if self.registration is None or currency in (None, self.currency):
                own.append(fact)
            else:
                self._contradictions.leave_out(fact, because_of=self.registration)
        return own

    def date_begins(self, instant: datetime) -> datetime:
        """Where the local date of an instant begins: what goes by dates concerns all of it (policy §5, §6).

        The date's cycle may have ended by the instant, in a night whose clocks go back over midnight.
        """
        zone = self.time_zone
        return midnight(local_date(instant, zone), zone) if zone is not None else instant
