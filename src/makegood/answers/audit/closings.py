"""Closings of months held to the log: figures and accounts, worked out anew from the events (decision 0040)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ledger.application.verification import Mismatch
from ledger.events import LedgerEvent, PeriodClosed, UnknownStoredType
from ledger.store.column_types import ColumnChanged
from ledger.store.positions import Position, Reached, reached_from_text
from ledger.store.reading.events import StoredEnvelope, events_of_types
from ledger.values import SYSTEM_ACCOUNT, instant_to_text, month_from_text
from makegood.answers.periods import figures_that_differ
from makegood.house.opening import House
from projections.follower import Progress
from projections.movements import MOVEMENTS
from projections.period_figures import figures_of_closings


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
    stored = _stored_closings(house)
    closings = [event for _, event in stored]
    if not any(map(asked, closings)):
        return
    found = figures_of_closings(house.database, closings, progress)
    for number, ((envelope, event), figures) in enumerate(zip(stored, found, strict=True)):
        if asked(event):
            differing = dict(_out_of_turn(event, envelope.at, closings[:number]))
            differing |= {
                each["what"]: (each["recorded"], each["recomputed"])
                for each in figures_that_differ(event, figures.recorded)
            }
            yield ClosingPerformed(envelope.at, event.type, differing)


def incomplete_closings(house: House, progress: Progress = lambda done, of: None) -> list[Mismatch]:
    """The closings whose manifest is not that of the log: an account, or the end of one's chain, is missing up to the
    position of the closing, or is there that was not.

    Each manifest is made anew from the stored events, and only its SHA-256 is recorded: which accounts differ tells a
    comparison with the file that was written when the month was closed (`makegood period show --manifest`).
    """
    stored = _stored_closings(house)
    try:
        found = figures_of_closings(house.database, [event for _, event in stored], progress)
    except (ColumnChanged, UnknownStoredType, LookupError, ArithmeticError, ValueError) as error:
        what = f"the manifests of closed months cannot be made anew: {type(error).__name__}"
        return [Mismatch(stored[-1][0].at, SYSTEM_ACCOUNT, what)]
    mismatches = []
    for (envelope, event), figures in zip(stored, found, strict=True):
        was, now = event.data.figures.manifest, figures.recorded.manifest
        if was != now:
            others = ", which are others" if (was.accounts, was.events) == (now.accounts, now.events) else ""
            what = (
                f"the closing of {event.data.period} covers {was.accounts} accounts with {was.events} events, and up "
                f"to {event.data.position} the log has {now.accounts} with {now.events}{others}"
            )
            mismatches.append(Mismatch(envelope.at, SYSTEM_ACCOUNT, what))
    return mismatches


def _stored_closings(house: House) -> list[tuple[StoredEnvelope, PeriodClosed]]:
    with house.database.reading() as transaction:
        stored = events_of_types(transaction, SYSTEM_ACCOUNT, [PeriodClosed.stored_as])
    found = []
    for envelope in stored:
        event = envelope.event()
        assert isinstance(event, PeriodClosed)
        found.append((envelope, event))
    return found


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
