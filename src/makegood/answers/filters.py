"""The words by which finance narrows lists and sums: the same on the command line, in addresses and in exports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Self, cast

from typing_extensions import TypedDict

from ledger.store.instants import to_microseconds
from ledger.values import CURRENCY_SCALES, amount_from_text, midnight
from makegood.access.sight import Sight
from projections.narrowing import Narrowing


class FilterRefused(ValueError):
    """A filter cannot be meant so; `word` is the one, and the message says what to write instead."""

    def __init__(self, word: str, says: str) -> None:
        super().__init__(says)
        self.word = word


class Asked(TypedDict, total=False):
    """The filters as questions take them."""

    account: str | None
    currency: str | None
    clause: str | None
    agreement: str | None
    plan: str | None
    min_amount: str | None
    from_: date | None
    to: date | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for; a filter that is None leaves nothing out. Raises FilterRefused.

    `from_` and `to` are dates in the provider's legal time zone (`MAKEGOOD_TIME_ZONE`), both included. `min_amount`
    is gross. An empty agreement, plan or clause asks for what has none.
    """

    account: str | None = None
    currency: str | None = None
    clause: str | None = None
    agreement: str | None = None
    plan: str | None = None
    min_amount: str | None = None
    from_: date | None = None
    to: date | None = None

    def __post_init__(self) -> None:
        if self.currency is not None and self.currency not in CURRENCY_SCALES:
            raise FilterRefused("currency", "this must be a currency of ISO 4217, such as EUR")
        if self.min_amount is not None and self.currency is None:
            raise FilterRefused("min", "an amount is of one currency: name it with the filter currency")
        if self.min_amount is not None and self.currency is not None:
            try:
                amount_from_text(self.min_amount, self.currency)
            except ValueError as error:
                raise FilterRefused("min", str(error)) from None
        if self.from_ is not None and self.to is not None and self.from_ > self.to:
            raise FilterRefused("to", "the last day of the period must not be before its first")

    def asked(self) -> Asked:
        """The filters that are used, as questions take them."""
        return cast(Asked, {name: value for name, value in asdict(self).items() if value is not None})

    def words(self) -> dict[str, str]:
        """The filters that are used, as they are written."""
        return {_WORDS.get(name, name): str(value) for name, value in self.asked().items()}

    def within(self, begin: date, end: date) -> Self:
        """The same, of no more than these days."""
        return replace(
            self,
            from_=max(begin, self.from_) if self.from_ is not None else begin,
            to=min(end, self.to) if self.to is not None else end,
        )

    def narrowing(self, sight: Sight, zone: str, **more: str | None) -> Narrowing:
        """What the rows must be, for whoever sees them; `more` are columns that only these rows have."""
        amount = self.min_amount
        return Narrowing(
            accounts=sight.among(self.account),
            currency=self.currency,
            clause=self.clause,
            agreement=self.agreement,
            plan=self.plan,
            min_amount=amount_from_text(amount, self.currency) if amount and self.currency else None,
            begin=to_microseconds(midnight(self.from_, zone)) if self.from_ is not None else None,
            end=to_microseconds(midnight(self.to + timedelta(days=1), zone)) if self.to is not None else None,
            more={name: value for name, value in more.items() if value is not None},
        )


_WORDS = {"from_": "from", "min_amount": "min"}
