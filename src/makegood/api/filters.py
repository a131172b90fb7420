"""The filters of finance's questions, as parameters of an address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any, Literal, TypeVar, cast

from fastapi import Depends, Query
from pydantic import AfterValidator

from ledger.events.billing_account import Clause
from makegood.answers.filters import Filters
from makegood.api.questions import Identifier, OfAccount

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


def words_of(known: Sequence[W], always: Sequence[str], description: str) -> Any:
    """A parameter that takes several words with commas between them; those that always hold may be named too."""
    word = "|".join((*always, *known))

    def apart(text: str) -> list[W]:
        return [cast(W, each) for each in dict.fromkeys(text.split(",")) if each not in always]

    return Annotated[
        str, AfterValidator(apart), Query(pattern=f"^({word})(,({word}))*$", description=description)
    ]


Apart = Callable[[str], list[str]]
