"""How a store of several shards answers what is asked of all its accounts: each shard is asked, and lists are merged
by the keys that they are in the order of (decision 0061)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from ledger.store.reading.page import Listed, Page, merged
from makegood.house.opening import House

T = TypeVar("T")
P = ParamSpec("P")


def of_all_shards(question: Callable[Concatenate[House, P], Listed[T]]) -> Callable[Concatenate[House, P], Listed[T]]:
    """Have the question of a list be asked of the shard that its `account` is in, else of all; `page` is of all."""

    @wraps(question)
    def asked(house: House, *args: P.args, **kwargs: P.kwargs) -> Listed[T]:
        account = cast(str | None, kwargs.get("account"))
        of = [house] if not house.others else house.every if account is None else [house.of(account)]
        return merged([question(each, *args, **kwargs) for each in of], cast(Page | None, kwargs.get("page")))

    return cast(Callable[Concatenate[House, P], Listed[T]], asked)
