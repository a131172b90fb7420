"""The questions that finance asks: what is owed, what moved in a period, and what changed (contract §3b).

Sums come with the filter that gives their rows, and rows lead to their claim, which `explain` tells with its facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain
from typing import Annotated, Literal, NotRequired, cast, get_args

from pydantic import Field
from typing_extensions import TypedDict, Unpack

from ledger.store.positions import KnownAt
from ledger.store.reading.page import Key, Listed, Page, in_memory, merged
from ledger.values import zero
from makegood.access.sight import Sight
from makegood.answers.another_time import accounts_then, all_accounts, instant_known, no_progress
from makegood.answers.filters import Asked, FilterRefused, Filters
from makegood.answers.moments import Moment, as_of_to_text, known_at_to_text
from makegood.answers.of_all_shards import of_all_shards
from makegood.house.opening import House
from projections import changes as changes_
from projections import complaints, disputes, moved, owed
from projections.age_classes import AgeClass, Aged, aged_together
from projections.follower import Progress
from projections.movement_kinds import EFFECTS, OWED, MovementKind, Owed, Settlement
from projections.narrowing import NONE, Narrowing
from projections.owed import AmountOwed, GroupedSums, Sums
from projections.shown_values import Amount, Currency, Instant, Reached

FilterWords = Annotated[
    dict[str, str],
    Field(
        description="The filters that give the rows of this sum, by name; an empty value is for rows without one.",
        examples=[{"currency": "EUR", "clause": "unused_period"}],
    ),
]


# --- what is owed -------------------------------------------------------------------------------------------------


class OwedSums(GroupedSums):
    """The amounts owed in one currency, or in a group of it."""

    filter: FilterWords


class OwedFound(TypedDict):
    """The amounts owed at a moment; rows add up to the totals."""

    as_of: Annotated[
        Instant | str | None,
        Field(description="The instant or date of the assessment; null for what is recorded."),
    ]
    known_at: Annotated[Instant | Reached | None, Field(description="The limit of the recorded events used.")]
    rows: list[OwedSums]
    totals: list[Sums]


def owed_sums(
    house: House,
    sight: Sight,
    by: Sequence[owed.Grouping] = (),
    *,
    counted_as: Owed | None = None,
    age: AgeClass | None = None,
    as_of: date | None = None,
    known_at: KnownAt | None = None,
    on_progress: Progress = no_progress,
    at_most: int | None = None,
    **asked: Unpack[Asked],
) -> OwedFound:
    """What is owed, or was as recorded by `known_at`, or by the facts that were true `as_of` an instant or date.

    With `as_of` accounts are assessed anew, one after the other. Raises TooManyRows for more than `at_most` that are
    recorded.
    """
    filters = Filters(**asked)
    moment = {
        "as_of": as_of_to_text(as_of) if as_of is not None else None,
        "known_at": known_at_to_text(known_at) if known_at is not None else None,
    }
    words = {**filters.words(), **_words(counted_as=counted_as, age=age, **moment)}
    if as_of is None:
        narrowing = filters.narrowing(sight, house.settings.time_zone, counted_as=counted_as)
        at = instant_known(house, Moment(known_at=known_at))
        of_each = [
            owed.summed(each.database, narrowing, at, by, known_at=known_at, age=age, at_most=at_most)
            for each in house.every
        ]
        sums = owed.regrouped(chain.from_iterable(of_each), by)
    else:
        items = (
            _assessed_anew(each, sight, filters, counted_as, age, as_of, known_at, on_progress)
            for each in house.every
        )
        sums = owed.summed_of(chain.from_iterable(items), by)
    rows = [cast(OwedSums, {**row, "filter": {**words, **_group_words(row, ("currency", *by))}}) for row in sums]
    return {"as_of": moment["as_of"], "known_at": moment["known_at"], "rows": rows, "totals": owed.totals(rows)}


def owed_items(
    house: House,
    sight: Sight,
    *,
    counted_as: Owed | None = None,
    age: AgeClass | None = None,
    as_of: date | None = None,
    known_at: KnownAt | None = None,
    page: Page | None = None,
    on_progress: Progress = no_progress,
    **asked: Unpack[Asked],
) -> Listed[AmountOwed]:
    """The refunds, credits, excesses and amounts overpaid that `owed_sums` adds up, by account and id."""
    filters = Filters(**asked)
    if as_of is not None:
        assessed = (
            _assessed_anew(each, sight, filters, counted_as, age, as_of, known_at, on_progress)
            for each in house.every
        )
        return merged([in_memory(items, _key_of, page) for items in assessed], page)
    narrowing = filters.narrowing(sight, house.settings.time_zone, counted_as=counted_as)
    at = instant_known(house, Moment(known_at=known_at))
    found = [owed.listed(each.database, narrowing, at, known_at=known_at, age=age, page=page) for each in house.every]
    return merged(found, page)


def _key_of(item: AmountOwed) -> Key:
    return item["account_id"], item["counted_as"], item["id"], item["currency"], 1


def _assessed_anew(
    house: House,
    sight: Sight,
    filters: Filters,
    counted_as: Owed | None,
    age: AgeClass | None,
    as_of: date,
    known_at: KnownAt | None,
    on_progress: Progress,
) -> Iterator[AmountOwed]:
    """What is owed to each account by the facts that were true at an instant, or by the end of a date there."""
    narrowing = filters.narrowing(sight, house.settings.time_zone, counted_as=counted_as)
    accounts = all_accounts(house, sight.among(filters.account))
    for some in accounts_then(house, Moment(as_of, known_at), accounts, on_progress):
        for looked in some:
            assert looked.anew is not None, "it is assessed anew"
            for item in owed.assessed(looked.anew.events, looked.anew.as_of):
                if owed.is_asked_for(item, narrowing) and age in (None, item["age"]):
                    yield item


# --- what moved ---------------------------------------------------------------------------------------------------

Grouping = Literal["clause", "settlement", "agreement", "plan", "account", "day", "month"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)


class MovedSums(moved.Moved):
    """The sum of the movements of one kind and currency, or of a group of them."""

    day: NotRequired[Annotated[str, Field(description="In the provider's legal time zone.", examples=["2026-04-24"])]]
    month: NotRequired[Annotated[str, Field(examples=["2026-04"])]]
    filter: FilterWords


class MovedTotal(TypedDict):
    """The sum of all movements of one kind and currency."""

    currency: Currency
    kind: MovementKind
    count: int
    net: Amount
    tax: Amount
    total: Amount


class MovementsFound(TypedDict):
    """The movements of a period, in pages over HTTP; all rows add up to the totals."""

    rows: list[moved.Movement]
    totals: NotRequired[Annotated[list[MovedTotal], Field(description="Missing where they were not asked for.")]]


class MovementSumsFound(TypedDict):
    """The sums of the movements of a period; rows add up to the totals."""

    rows: list[MovedSums]
    totals: list[MovedTotal]


@of_all_shards
def movements(
    house: House,
    sight: Sight,
    *,
    kind: MovementKind | None = None,
    settlement: Settlement | None = None,
    by_occurrence: bool = False,
    page: Page | None = None,
    **asked: Unpack[Asked],
) -> Listed[moved.Movement]:
    """The movements of a period, by the day on which they were recorded or, if asked, became true."""
    narrowing = Filters(**asked).narrowing(sight, house.settings.time_zone, kind=kind, settlement=settlement)
    return moved.listed(house.database, narrowing, _clock(by_occurrence), page)


def movement_sums(
    house: House,
    sight: Sight,
    by: Sequence[Grouping] = (),
    *,
    kind: MovementKind | None = None,
    settlement: Settlement | None = None,
    by_occurrence: bool = False,
    **asked: Unpack[Asked],
) -> MovementSumsFound:
    """The sums of the movements of a period, by currency, kind, and any of the groups.

    Days and months are those of the provider's legal time zone. Raises FilterRefused where they are asked for without
    a period.
    """
    filters = Filters(**asked)
    words = {**filters.words(), **_words(kind=kind, settlement=settlement)}
    if by_occurrence:
        words["by_occurrence"] = "true"
    groups = cast(Sequence[moved.Grouping], [each for each in by if each not in ("day", "month")])
    rows: list[MovedSums] = []
    for when, within in _parts_of_period(filters, by):
        narrowing = within.narrowing(sight, house.settings.time_zone, kind=kind, settlement=settlement)
        for row in _summed(house, narrowing, by_occurrence, groups):
            filter_ = {**words, **within.words(), **_group_words(row, ("currency", "kind", *groups))}
            rows.append(cast(MovedSums, {**row, **when, "filter": filter_}))
    return {"rows": rows, "totals": cast(list[MovedTotal], moved.summed_together(rows))}


def movement_totals(
    house: House,
    sight: Sight,
    *,
    kind: MovementKind | None = None,
    settlement: Settlement | None = None,
    by_occurrence: bool = False,
    at_most: int | None = None,
    **asked: Unpack[Asked],
) -> list[MovedTotal]:
    """The totals of all movements of a period, by currency and kind. Raises TooManyRows for more than `at_most`."""
    narrowing = Filters(**asked).narrowing(sight, house.settings.time_zone, kind=kind, settlement=settlement)
    return cast(list[MovedTotal], _summed(house, narrowing, by_occurrence, at_most=at_most))


def _summed(
    house: House,
    narrowing: Narrowing,
    by_occurrence: bool,
    groups: Sequence[moved.Grouping] = (),
    at_most: int | None = None,
) -> list[moved.Moved]:
    of_each = (
        moved.summed(each.database, narrowing, _clock(by_occurrence), groups, at_most=at_most) for each in house.every
    )
    return moved.summed_together(chain.from_iterable(of_each), groups)


def _clock(by_occurrence: bool) -> moved.By:
    return "occurred_at" if by_occurrence else "recorded_at"


def _parts_of_period(filters: Filters, by: Sequence[Grouping]) -> Iterator[tuple[dict[str, str], Filters]]:
    """The days or months of a period, or all of it."""
    if not {"day", "month"} & {*by}:
        yield {}, filters
        return
    if filters.from_ is None or filters.to is None:
        raise FilterRefused("by", "days and months are told of a period: name it with the filters from and to")
    day = filters.from_
    while day <= filters.to:
        last = day if "day" in by else min(_last_of_month(day), filters.to)
        said = {"day": day.isoformat()} if "day" in by else {}
        yield said | ({"month": f"{day:%Y-%m}"} if "month" in by else {}), filters.within(day, last)
        day = last + timedelta(days=1)


def _last_of_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


# --- what was owed, what moved it, and what is owed ----------------------------------------------------------------


class RollforwardMovement(TypedDict):
    """By how much the movements of one kind raised or lowered an amount owed."""

    kind: MovementKind
    count: int
    total: Annotated[Amount, Field(description="Gross; negative where it lowers what is owed.")]


class Rollforward(TypedDict):
    """One amount owed in one currency: the opening balance, what moved it, and the closing balance, all gross."""

    currency: Currency
    counted_as: Annotated[Owed, Field(description="Overpaid amounts are owed by customers.")]
    opening: Amount
    movements: list[RollforwardMovement]
    closing: Amount


class RollforwardTotal(TypedDict):
    """All that is owed in one currency, less overpaid amounts."""

    currency: Currency
    opening: Amount
    closing: Amount


class RollforwardFound(TypedDict):
    """Balances of a period. Each row's movements lead from its opening to its closing balance."""

    rows: list[Rollforward]
    totals: list[RollforwardTotal]


def rollforward(
    house: House, sight: Sight, *, by_occurrence: bool = False, **asked: Unpack[Asked]
) -> RollforwardFound:
    """The opening balances of a period, the movements in it, and the closing balances, by currency.

    Closing balances of a period by recording are those of `owed` known at its end. Raises FilterRefused for a least
    amount: what is left out of movements would be missing in the balances.
    """
    if asked.get("min_amount") is not None:
        raise FilterRefused("min", "balances are of all amounts: leave it out, or list the movements with it")
    filters = Filters(**asked)
    earlier: list[moved.Moved] = []
    if filters.from_ is not None:
        before = replace(filters, from_=None, to=filters.from_ - timedelta(days=1))
        earlier = _moved(house, sight, before, by_occurrence)
    within = _moved(house, sight, filters, by_occurrence)
    rows = [
        row
        for currency in sorted({each["currency"] for each in (*earlier, *within)})
        for row in _rolled_forward(currency, earlier, within)
    ]
    return {"rows": rows, "totals": _rollforward_totals(rows)}


def _moved(house: House, sight: Sight, filters: Filters, by_occurrence: bool) -> list[moved.Moved]:
    return _summed(house, filters.narrowing(sight, house.settings.time_zone), by_occurrence)


def _rolled_forward(
    currency: str, earlier: Sequence[moved.Moved], within: Sequence[moved.Moved]
) -> Iterator[Rollforward]:
    """The amounts owed in a currency; those that were never owed are left out."""
    for name in OWED:
        before, during = (
            [
                (each, EFFECTS[each["kind"]][name] * Decimal(each["total"]))
                for each in of
                if each["currency"] == currency and name in EFFECTS[each["kind"]]
            ]
            for of in (earlier, within)
        )
        if not before and not during:
            continue
        opening = sum((effect for _, effect in before), zero(currency))
        yield {
            "currency": currency,
            "counted_as": name,
            "opening": str(opening),
            "movements": [
                {"kind": each["kind"], "count": each["count"], "total": str(effect)} for each, effect in during
            ],
            "closing": str(sum((effect for _, effect in during), opening)),
        }


def _rollforward_totals(rows: Sequence[Rollforward]) -> list[RollforwardTotal]:
    totals: dict[str, tuple[Decimal, Decimal]] = {}
    for row in rows:
        opening, closing = totals.get(row["currency"], (zero(row["currency"]),) * 2)
        sign = -1 if row["counted_as"] == "overpaid" else 1
        totals[row["currency"]] = opening + sign * Decimal(row["opening"]), closing + sign * Decimal(row["closing"])
    return [
        {"currency": currency, "opening": str(opening), "closing": str(closing)}
        for currency, (opening, closing) in totals.items()
    ]


# --- what changed -------------------------------------------------------------------------------------------------


@of_all_shards
def changes(
    house: House,
    sight: Sight,
    since: KnownAt,
    *,
    account: str | None = None,
    page: Page | None = None,
    on_progress: Progress = no_progress,
) -> Listed[changes_.Change]:
    """The claims, refunds and credits that changed after an instant or a position, before and after."""
    return changes_.listed(house.database, since, accounts=sight.among(account), page=page, on_progress=on_progress)


# --- what is open, by age ------------------------------------------------------------------------------------------


class AgedSums(Aged):
    """The number of open ones of a class of age, and the filter that gives the rows."""

    filter: FilterWords


class AgesTotal(TypedDict):
    """All that is open."""

    count: int
    overdue: int


class AgesFound(TypedDict):
    """Open disputes or complaints by age; rows add up to the totals."""

    rows: list[AgedSums]
    totals: AgesTotal


def dispute_ages(house: House, sight: Sight, *, account: str | None = None, at_most: int | None = None) -> AgesFound:
    """The open disputes by age, and how many of them are investigated for longer than agreed.

    Raises TooManyRows for more than `at_most`.
    """
    return _ages(disputes.by_age, house, sight, account, at_most)


def complaint_ages(
    house: House, sight: Sight, *, account: str | None = None, at_most: int | None = None
) -> AgesFound:
    """The open complaints by age. Raises TooManyRows for more than `at_most`."""
    return _ages(complaints.by_age, house, sight, account, at_most)


def _ages(
    by_age: Callable[..., list[Aged]], house: House, sight: Sight, account: str | None, at_most: int | None
) -> AgesFound:
    classes = aged_together(
        by_age(each.database, each.now(), accounts=sight.among(account), at_most=at_most) for each in house.every
    )
    rows: list[AgedSums] = [{**each, "filter": _words(account=account, age=each["age"])} for each in classes]
    count, overdue = (sum(each[name] for each in classes) for name in ("count", "overdue"))
    return {"rows": rows, "totals": {"count": count, "overdue": overdue}}


def _words(**said: str | None) -> dict[str, str]:
    return {name: value for name, value in said.items() if value is not None}


def _group_words(row: object, names: Sequence[str]) -> dict[str, str]:
    of = cast(dict[str, str | None], row)
    return {name: of[name] or NONE for name in names}
