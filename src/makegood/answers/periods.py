"""Months: those that are closed, one with its figures worked out anew from the events, and its cut-off report."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import PeriodClosed, PeriodFigures, PeriodTotal
from ledger.store.positions import Reached, reached_from_text
from ledger.store.reading.page import Listed, Page
from ledger.store.reading.periods import closed_periods
from ledger.store.reading.shards import shard_ends
from ledger.values import Month, zero
from makegood.house.opening import House
from projections import periods as closings
from projections.follower import Progress
from projections.movement_kinds import MovementKind
from projections.movements import MOVEMENTS
from projections.period_figures import Figures, LateMovement, figures_of, late_movements
from projections.shown_values import Amount, Currency
from projections.shown_values import Reached as ShownReached

if TYPE_CHECKING:
    from ledger.application.acts import By
    from ledger.application.requests import Request


class PeriodDiffers(TypedDict):
    """A figure of a closed month that does not follow from the events."""

    what: str
    recorded: str
    recomputed: str


class PeriodInFull(closings.Period):
    """A month with its figures worked out from the events, and the movements that are booked in it late."""

    cut_off: Annotated[
        list[LateMovement],
        Field(description="The movements that are booked here because their own month was closed."),
    ]
    differing: Annotated[
        list[PeriodDiffers], Field(description="The figures that do not follow from the events; none is expected.")
    ]


class CutOffTotal(TypedDict):
    """The sum of a cut-off report's movements of one kind and currency, by the months of their day and of booking."""

    occurred_in: str
    booked_in: str
    currency: Currency
    kind: MovementKind
    count: int
    net: Amount
    tax: Amount


class CutOff(TypedDict):
    """The movements of a month that are booked in a later one, and those of earlier months that are booked in it."""

    period: Annotated[str, Field(examples=["2026-01"])]
    position: ShownReached
    rows: list[LateMovement]
    totals: list[CutOffTotal]


class Calculating(Exception):
    """The figures of a month are being worked out in this process for somebody else: try again."""


_CALCULATING = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """One month at a time is worked out in a process that answers many: it takes long, and others wait for the
    processor meanwhile. Raises Calculating."""
    if not _CALCULATING.acquire(blocking=False):
        raise Calculating
    try:
        yield
    finally:
        _CALCULATING.release()


def _unwatched(done: int, of: int) -> None:
    """Nobody watches."""


def _unkept(line: bytes) -> None:
    """Nobody keeps the manifest."""


def periods(house: House, page: Page | None = None) -> Listed[closings.Period]:
    """The months that are closed, in their order, as they were closed."""
    found = closings.listed(house.database, page=page)
    others = [{of["period"]: of for of in closings.listed(other.database)} for other in house.others]
    return found.told(_together([of, *(other[of["period"]] for other in others)]) for of in found)


def period(
    house: House,
    month: Month,
    on_progress: Progress = _unwatched,
    on_row: Callable[[bytes], object] = _unkept,
) -> PeriodInFull:
    """A closed month as it was closed, with whether that still follows from the events; an open one as it stands.

    Told of accounts done of how many, and of each line of the manifest. Of several shards it is what theirs come to
    together, and closed where it is closed in all.
    """
    return _together_in_full([_period(each, month, on_progress, on_row) for each in house.every])


def _period(
    house: House, month: Month, on_progress: Progress, on_row: Callable[[bytes], object] = _unkept
) -> PeriodInFull:
    with house.database.reading() as transaction:
        closed = closed_periods(transaction)
        end = shard_ends(transaction)
    number = next((n for n, each in enumerate(closed) if each.data.period == str(month)), None)
    if number is None:
        figures = figures_of(house.database, month, end, closed, house.settings.time_zone, on_progress, on_row)
        return _open(month, end, house.settings.time_zone, figures)
    closing = closed[number]
    position = reached_from_text(closing.data.position)
    figures = figures_of(
        house.database, month, position, closed[:number], closing.data.time_zone, on_progress, on_row
    )
    return _closed(closing, figures)


def close(
    house: House,
    month: Month,
    by: By,
    on_progress: Progress = _unwatched,
    request: Callable[[House], Request] | None = None,
) -> tuple[PeriodClosed, PeriodInFull]:
    """Close a month; what is recorded of it. Raises what `ledger.application.periods.close` raises.

    It is closed in every shard, in the first one last, so that what is closed there is closed, and in what is left of
    them where closing was cut short.
    """
    from ledger.application.periods import AlreadyClosed

    first, *others = house.every
    of_others: list[PeriodInFull | None] = []
    for other in others:
        try:
            of_others.append(_close(other, month, by, on_progress, request)[1])
        except AlreadyClosed:
            of_others.append(None)
    closing, of_first = _close(first, month, by, on_progress, request)
    found = (of or _period(other, month, on_progress) for other, of in zip(others, of_others, strict=True))
    return closing, _together_in_full([of_first, *found])


def _close(
    house: House, month: Month, by: By, on_progress: Progress, request: Callable[[House], Request] | None
) -> tuple[PeriodClosed, PeriodInFull]:
    from ledger.application.periods import close as record

    zone = house.settings.time_zone
    found: dict[str, Figures] = {}

    def compute(position: Reached, closed: Sequence[PeriodClosed]) -> PeriodFigures:
        figures = figures_of(house.database, month, position, closed, zone, on_progress)
        found[str(position)] = figures
        return figures.recorded

    closing = record(house.ledger, month, zone, MOVEMENTS.version, compute, by, request and request(house))
    figures = found.get(closing.data.position)
    if figures is None or figures.recorded != closing.data.figures:
        return closing, _period(house, month, on_progress)
    return closing, _closed(closing, figures)


def cut_off(house: House, month: Month, on_progress: Progress = _unwatched) -> CutOff:
    """The cut-off report of a month, by everything known now."""
    ends: list[Reached] = []
    rows: list[LateMovement] = []
    for each in house.every:
        with each.database.reading() as transaction:
            closed = closed_periods(transaction)
            end = shard_ends(transaction)
        rows += late_movements(each.database, month, end, closed, house.settings.time_zone, on_progress)
        ends.append(end)
    rows = _by_account(rows)
    sums: dict[tuple[str, str, str, MovementKind], list[LateMovement]] = defaultdict(list)
    for row in rows:
        sums[row["occurred_in"], row["booked_in"], row["currency"], row["kind"]].append(row)
    return {
        "period": str(month),
        "position": str(Reached.of_shards(ends)),
        "rows": rows,
        "totals": [
            {
                "occurred_in": occurred_in,
                "booked_in": booked_in,
                "currency": currency,
                "kind": kind,
                "count": len(of),
                "net": str(sum((Decimal(row["net"]) for row in of), zero(currency))),
                "tax": str(sum((Decimal(row["tax"]) for row in of), zero(currency))),
            }
            for (occurred_in, booked_in, currency, kind), of in sorted(sums.items())
        ],
    }


def _open(month: Month, position: Reached, zone: str, figures: Figures) -> PeriodInFull:
    recorded = figures.recorded
    return {
        "period": str(month),
        "status": "open",
        "time_zone": zone,
        "closed_at": None,
        "closed_by": None,
        "position": str(position),
        "totals": [closings.shown_total(total) for total in recorded.totals],
        "late": [closings.shown_total(total) for total in recorded.late],
        "accounts": recorded.manifest.accounts,
        "events": recorded.manifest.events,
        "sha256": recorded.manifest.sha256,
        "recomputed": True,
        "cut_off": figures.late,
        "differing": [],
    }


def _closed(closing: PeriodClosed, figures: Figures) -> PeriodInFull:
    differing = figures_that_differ(closing, figures.recorded)
    return {
        **closings.shown_closing(closing, recomputed=not differing),
        "cut_off": figures.late,
        "differing": differing,
    }


P = TypeVar("P", bound=closings.Period)


def _together(of_each: Sequence[P]) -> P:
    """A month of several shards: what theirs come to together, closed where all are."""
    first, *others = of_each
    if not others:
        return first
    is_closed = all(of["status"] == "closed" for of in of_each)
    reached = (reached_from_text(of["position"]) for of in of_each)
    checked = {of["recomputed"] for of in of_each}
    together: closings.Period = {
        **cast(closings.Period, first),
        "status": "closed" if is_closed else "open",
        "closed_at": first["closed_at"] if is_closed else None,
        "closed_by": first["closed_by"] if is_closed else None,
        "position": str(Reached.of_shards(reached)),
        "totals": closings.totals_together(of["totals"] for of in of_each),
        "late": closings.totals_together(of["late"] for of in of_each),
        "accounts": sum(of["accounts"] for of in of_each),
        "events": sum(of["events"] for of in of_each),
        "sha256": hashlib.sha256(b"".join(bytes.fromhex(of["sha256"]) for of in of_each)).hexdigest(),
        "recomputed": None if None in checked else False not in checked,
    }
    return cast(P, {**first, **together})


def _together_in_full(of_each: Sequence[PeriodInFull]) -> PeriodInFull:
    if len(of_each) == 1:
        return of_each[0]
    differing: list[PeriodDiffers] = [
        {**differs, "what": f"shard {shard}: {differs['what']}"}
        for shard, of in enumerate(of_each)
        for differs in of["differing"]
    ]
    cut_off = _by_account(late for of in of_each for late in of["cut_off"])
    return {**_together(of_each), "cut_off": cut_off, "differing": differing}


def _by_account(rows: Iterable[LateMovement]) -> list[LateMovement]:
    return sorted(rows, key=lambda row: row["account_id"])


def figures_that_differ(closing: PeriodClosed, found: PeriodFigures) -> list[PeriodDiffers]:
    """Figure by figure, where what was recorded is not what the events make now."""
    recorded = closing.data.figures
    pairs = [
        *_totals("totals", recorded.totals, found.totals),
        *_totals("late", recorded.late, found.late),
        ("accounts", str(recorded.manifest.accounts), str(found.manifest.accounts)),
        ("events", str(recorded.manifest.events), str(found.manifest.events)),
        ("sha256", recorded.manifest.sha256, found.manifest.sha256),
    ]
    differing: list[PeriodDiffers] = [
        {"what": what, "recorded": was, "recomputed": now} for what, was, now in pairs if was != now
    ]
    if differing and closing.data.movements != MOVEMENTS.version:
        versions = str(closing.data.movements), str(MOVEMENTS.version)
        differing.append(
            {"what": "version of the projection movements", "recorded": versions[0], "recomputed": versions[1]}
        )
    return differing


def _totals(of: str, recorded: tuple[PeriodTotal, ...], found: tuple[PeriodTotal, ...]) -> list[tuple[str, str, str]]:
    was, now = ({_kind(total): _sums(total) for total in totals} for totals in (recorded, found))
    return [(f"{of}: {kind}", was.get(kind, "none"), now.get(kind, "none")) for kind in sorted({*was, *now})]


def _kind(total: PeriodTotal) -> str:
    return " ".join(filter(None, (total.currency, total.clause, total.kind)))


def _sums(total: PeriodTotal) -> str:
    return f"count {total.count}, net {total.net}, tax {total.tax}"
