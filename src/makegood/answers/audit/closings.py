"""Closings of months performed again: what a month came to, worked out anew from the events (decision 0040)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ledger.events import LedgerEvent, PeriodClosed
from ledger.store.positions import Position, Reached, reached_from_text
from ledger.store.reading.events import events_of_types
from ledger.values import SYSTEM_ACCOUNT, instant_to_text, month_from_text
from makegood.answers.periods import figures_that_differ
from makegood.house.opening import House
from projections.follower import Progress
from projections.movements import MOVEMENTS
from projections.period_figures import figures_of


@dataclass(frozen=True, slots=True)
class ClosingPerformed:
    """A closing, where it stands, and the figures of it that do not follow: as recorded, and as they follow."""

    at: Position
    type: str
    differing: dict[str, tuple[str, str]]


def closings_performed(
    house: House, asked: Callable[[LedgerEvent], bool], progress: Progress = lambda done, of: None
) -> Iterator[ClosingPerformed]:
    """Every closing that is asked for, worked out anew up to its position and after those before it."""
    with house.database.reading() as transaction:
        stored = events_of_types(transaction, SYSTEM_ACCOUNT, [PeriodClosed.stored_as])
    closings: list[PeriodClosed] = []
    for envelope in stored:
        event = envelope.event()
        assert isinstance(event, PeriodClosed)
        if asked(event):
            differing = dict(_out_of_turn(event, envelope.at, closings))
            data = event.data
            found = figures_of(
                house.database,
                month_from_text(data.period),
                reached_from_text(data.position),
                closings,
                data.time_zone,
                progress,
            )
            differing |= {
                each["what"]: (each["recorded"], each["recomputed"])
                for each in figures_that_differ(event, found.recorded)
            }
            yield ClosingPerformed(envelope.at, event.type, differing)
        closings.append(event)


def _out_of_turn(
    event: PeriodClosed, at: Position, before: Sequence[PeriodClosed]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """What could not have been decided when it was: a month that had not ended, or was closed before; a position that
    had not been reached, or from before the last closing; movements made by no fold that a release had."""
    data, covered = event.data, reached_from_text(event.data.position)
    ends = month_from_text(data.period).next.begins(data.time_zone)
    if event.recorded_at < ends:
        yield "recorded_at", (instant_to_text(event.recorded_at), f"from {instant_to_text(ends)} on")
    if any(each.data.period == data.period for each in before):
        yield "period", (data.period, "closed before")
    last = reached_from_text(before[-1].data.position) if before else Reached({})
    if covered.covers(at) or not covered.covers(last):
        yield "position", (data.position, f"from {last} on, and before {at}")
    if not 1 <= data.movements <= MOVEMENTS.version:
        yield "movements", (str(data.movements), f"up to {MOVEMENTS.version}")
