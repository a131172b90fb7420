"""The filters of finance's questions, as parameters of an address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal, TypeVar

from fastapi import Depends, Query

from ledger.events.billing_account import Clause
from makegood.answers.filters import Filters
from makegood.api.asked import Identifier, OfAccount
from projections.age_classes import AgeClass
from projections.credits import CreditStatus

W = TypeVar("W", bound=str)

OfCurrency = Annotated[str | None, Query(pattern="^[A-Z]{3}$", description="Only this currency (ISO 4217).")]
OfClause = Annotated[
    Clause | Literal[""] | None, Query(description="Only this clause of the policy; empty for none.")
]
OfAgreement = Annotated[Identifier | Literal[""] | None, Query(description="Only this agreement; empty for none.")]
OfPlan = Annotated[Identifier | Literal[""] | None, Query(description="Only this plan; empty for none.")]
Least = Annotated[
    str | None,
    Query(
        alias="min",
        pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$",
        description="Only this gross amount or more; requires `currency`.",
    ),
]
FirstDay = Annotated[
    date | None, Query(alias="from", description="The first day, in the provider's legal time zone.")
]
LastDay = Annotated[date | None, Query(description="The last day, which is included.")]


OfAge = Annotated[AgeClass | None, Query(description="Only this class of age, in days.")]
OfOpenAge = Annotated[AgeClass | None, Query(description="Only open ones of this class of age, in days.")]
OfCreditStatus = Annotated[
    CreditStatus | None, Query(description="Only this status: `open` while something is left, then `used`.")
]


def _of_items(
    account: OfAccount = None,
    currency: OfCurrency = None,
    clause: OfClause = None,
    agreement: OfAgreement = None,
    plan: OfPlan = None,
    least: Least = None,
) -> Filters:
    return Filters(account, currency, clause, agreement, plan, least)


def _of_a_period(
    account: OfAccount = None,
    currency: OfCurrency = None,
    clause: OfClause = None,
    agreement: OfAgreement = None,
    plan: OfPlan = None,
    least: Least = None,
    first: FirstDay = None,
    to: LastDay = None,
) -> Filters:
    return Filters(account, currency, clause, agreement, plan, least, first, to)


AskedFilters = Annotated[Filters, Depends(_of_items)]
AskedFiltersAndPeriod = Annotated[Filters, Depends(_of_a_period)]


def pattern_of(words: Sequence[str]) -> str:
    """What several of these words look like, with commas between them."""
    word = "|".join(words)
    return f"^({word})(,({word}))*$"


def words_in(text: str, known: Sequence[W]) -> list[W]:
    """Those of the words in a text that are known, each once."""
    named = text.split(",")
    return [word for word in known if word in named]
