"""A month as finance looks at it: what is owed at its end, what was paid, credited and reduced in it, what waits, and
what the largest amounts are, beside the month before (contract §3b; the figures are those of `owed` and `movements`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import Field
from typing_extensions import TypedDict

from ledger.values import Month, instant_to_text, month_of, zero
from makegood.access.sight import Sight
from makegood.answers.filters import Filters
from makegood.answers.finance import movement_totals, owed_sums
from makegood.answers.periods import periods
from makegood.house.opening import House
from projections import owed
from projections.claims import how_many
from projections.movement_kinds import MovementKind
from projections.owed import AmountOwed, GroupedSums
from projections.periods import Period
from projections.shown_values import Amount, Currency

LARGEST = 8
"""So many of the largest amounts owed are told."""
GROUPS = 10
"""So many agreements and plans are told each by itself: those by which most is owed."""

Flow = Literal["granted", "paid", "credited", "reduced"]
FLOWS: tuple[Flow, ...] = get_args(Flow)
_FLOW_OF: dict[MovementKind, Flow] = {
    "granted": "granted",
    "refunded": "paid",
    "credit_refunded": "paid",
    "credited": "credited",
    "reduced": "reduced",
    "set_off": "reduced",
}
"""What each kind of movement counts as on the board; the other kinds count as none of these."""


class FlowOfMonth(TypedDict):
    """What moved in a month, and in the month before, gross."""

    flow: Flow
    kind: Annotated[MovementKind | None, Field(description="The kind of its movements; null where it has several.")]
    amount: Amount
    before: Annotated[Amount, Field(description="The same in the month before.")]
    count: int


class Others(owed.Sums):
    """What is owed by all groups that are not told each by itself."""

    groups: int


class BoardOfCurrency(TypedDict):
    """One currency of a month; currencies never meet."""

    currency: Currency
    owed: Annotated[owed.Sums, Field(description="At the month's end; now, while it lasts.")]
    owed_before: Annotated[Amount, Field(description="The total owed at the end of the month before.")]
    flows: list[FlowOfMonth]
    by_age: list[GroupedSums]
    by_clause: list[GroupedSums]
    by_agreement: list[GroupedSums]
    other_agreements: Others | None
    by_plan: list[GroupedSums]
    other_plans: Others | None
    largest: list[AmountOwed]


class MonthBoard(TypedDict):
    """A month with everything that finance looks at first."""

    month: Annotated[str, Field(examples=["2026-04"])]
    before: str
    after: Annotated[str | None, Field(description="The month after; null for the present one.")]
    is_present: bool
    closed: Annotated[Period | None, Field(description="The month as it was closed; null while it is open.")]
    may_be_closed: Annotated[bool, Field(description="Whether it is over, and all months before are closed.")]
    first_day: str
    last_day: str
    known_at: Annotated[str | None, Field(description="The end of a month that is over; null for the present one.")]
    currencies: list[BoardOfCurrency]
    pending: Annotated[int, Field(description="Claims that wait for an invoice, a payment or an investigation.")]


def month_board(house: House, sight: Sight, month: Month) -> MonthBoard:
    """The board of a month. One that is to come has nothing on it."""
    zone = house.settings.time_zone
    present = month_of(house.now(), zone)
    earlier = month.before
    is_over = (month.year, month.number) < (present.year, present.number)
    known_at = month.next.begins(zone) - timedelta(microseconds=1) if is_over else None
    # Asked for once, by all groups together: the database reads what is owed once, not for each group again.
    summed = owed_sums(house, sight, owed.GROUPINGS, known_at=known_at)
    grouped = {by: owed.regrouped(summed["rows"], [by]) for by in owed.GROUPINGS}
    totals = {row["currency"]: row for row in summed["totals"]}
    ended_before = month.begins(zone) - timedelta(microseconds=1)
    before = {row["currency"]: row["total"] for row in owed_sums(house, sight, known_at=ended_before)["totals"]}
    flows, flows_before = _flows(house, sight, month), _flows(house, sight, earlier)
    currencies = sorted({*totals, *before, *(currency for currency, _ in (*flows, *flows_before))})
    closed = {each["period"]: each for each in periods(house)}

    def of_currency(currency: str) -> BoardOfCurrency:
        agreements, other_agreements = _largest(_of(currency, grouped["agreement"]))
        plans, other_plans = _largest(_of(currency, grouped["plan"]))
        return {
            "currency": currency,
            "owed": totals.get(currency) or owed.nothing_owed(currency),
            "owed_before": before.get(currency, str(zero(currency))),
            "flows": [_flow(flow, currency, flows, flows_before) for flow in FLOWS],
            "by_age": _of(currency, grouped["age"]),
            "by_clause": _of(currency, grouped["clause"]),
            "by_agreement": agreements,
            "other_agreements": other_agreements,
            "by_plan": plans,
            "other_plans": other_plans,
            "largest": owed.largest(
                [each.database for each in house.every],
                Filters(currency=currency).narrowing(sight, zone),
                known_at or house.now(),
                LARGEST,
                known_at=known_at,
            ),
        }

    return {
        "month": str(month),
        "before": str(earlier),
        "after": str(month.next) if month != present else None,
        "is_present": month == present,
        "closed": closed.get(str(month)),
        "may_be_closed": is_over and str(month) not in closed and (not closed or str(earlier) in closed),
        "first_day": str(month.first_day),
        "last_day": str(month.last_day),
        "known_at": instant_to_text(known_at) if known_at is not None else None,
        "currencies": [of_currency(currency) for currency in currencies],
        "pending": sum(how_many(each.database, "pending", sight.among(None)) for each in house.every),
    }


def _flows(house: House, sight: Sight, month: Month) -> dict[tuple[str, Flow], tuple[Decimal, int]]:
    """What moved in a month, by currency and flow, with the number of movements."""
    found: dict[tuple[str, Flow], tuple[Decimal, int]] = {}
    for total in movement_totals(house, sight, from_=month.first_day, to=month.last_day):
        flow = _FLOW_OF.get(total["kind"])
        if flow is not None:
            amount, count = found.get((total["currency"], flow), (zero(total["currency"]), 0))
            found[total["currency"], flow] = amount + Decimal(total["total"]), count + total["count"]
    return found


def _flow(
    flow: Flow,
    currency: str,
    flows: Mapping[tuple[str, Flow], tuple[Decimal, int]],
    before: Mapping[tuple[str, Flow], tuple[Decimal, int]],
) -> FlowOfMonth:
    nothing = zero(currency), 0
    amount, count = flows.get((currency, flow), nothing)
    kinds = [kind for kind, counted in _FLOW_OF.items() if counted == flow]
    return {
        "flow": flow,
        "kind": kinds[0] if len(kinds) == 1 else None,
        "amount": str(amount),
        "before": str(before.get((currency, flow), nothing)[0]),
        "count": count,
    }


def _of(currency: str, rows: Iterable[GroupedSums]) -> list[GroupedSums]:
    return [row for row in rows if row["currency"] == currency]


def _largest(rows: list[GroupedSums]) -> tuple[list[GroupedSums], Others | None]:
    """The groups by which most is owed, and the sums of the others, where there are any."""
    if len(rows) <= GROUPS:
        return rows, None
    by_size = sorted(rows, key=lambda row: Decimal(row["total"]), reverse=True)
    [sums] = owed.totals(by_size[GROUPS:])
    return by_size[:GROUPS], {**sums, "groups": len(rows) - GROUPS}
