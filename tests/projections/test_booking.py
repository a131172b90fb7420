"""The month in which a movement is booked: its own, or the next one that was open when it became known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import Manifest, PeriodClosed, PeriodFigures
from ledger.store.positions import Position, Reached
from ledger.values import Month, month_from_text
from projections.booking import Booked, Booking
from tests.search import sample

NOTHING = PeriodFigures(totals=(), late=(), manifest=Manifest(accounts=0, events=0, sha256="0" * 64))
JANUARY, FEBRUARY, MARCH, APRIL = (Month(2026, number) for number in range(1, 5))


def closed(month: str, position: str, zone: str = "UTC") -> PeriodClosed:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    return PeriodClosed(
        type=PeriodClosed.stored_as,
        account="system",
        stream=f"period/{month}",
        stream_version=1,
        event_id=f"closing-of-{month}",
        correlation_id="c",
        causation_id=None,
        actor="felix",
        channel="cli",
        traceparent=None,
        occurred_at=at,
        recorded_at=at,
        previous=None,
        data=PeriodClosed.Data(period=month, time_zone=zone, position=position, movements=1, figures=NOTHING),
    )


def day(month: int, of_month: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, month, of_month, hour, minute, tzinfo=UTC)


def booked(occurred_at: datetime, at: int, *closings: PeriodClosed, zone: str = "UTC") -> Booked:
    return Booking(closings, zone).book(occurred_at, Position(0, at))


def test_a_movement_is_booked_in_the_month_of_its_day() -> None:
    assert booked(day(1, 20), 7) == Booked(JANUARY, JANUARY)
    assert booked(day(1, 20), 7, closed("2026-01", "0:7")) == Booked(JANUARY, JANUARY)


def test_one_that_became_known_after_the_close_is_booked_in_the_open_month() -> None:
    assert booked(day(1, 20), 8, closed("2026-01", "0:7")) == Booked(JANUARY, FEBRUARY)


def test_the_open_month_is_the_first_that_was_open_and_not_before_the_day() -> None:
    closings = closed("2026-01", "0:7"), closed("2026-03", "0:9"), closed("2026-02", "0:20")
    assert booked(day(1, 20), 8, *closings).booked_in == FEBRUARY
    assert booked(day(1, 20), 21, *closings).booked_in == APRIL
    assert booked(day(3, 20), 10, *closings).booked_in == APRIL
    assert booked(day(2, 20), 10, *closings) == Booked(FEBRUARY, FEBRUARY)
    december = booked(datetime(2025, 12, 31, tzinfo=UTC), 21, *closings)
    assert december == Booked(Month(2025, 12), Month(2025, 12))


def test_what_became_known_while_a_close_was_worked_out_is_not_in_it() -> None:
    """The closing covers position 7 and is recorded behind 8 and 9."""
    closings = closed("2026-01", "0:7"), closed("2026-02", "0:12")
    assert booked(day(1, 20), 9, *closings) == Booked(JANUARY, FEBRUARY)


@pytest.mark.parametrize(
    ("zone", "at", "month"),
    [
        ("UTC", day(1, 31, 23, 30), JANUARY),
        ("Europe/Berlin", day(1, 31, 22, 59), JANUARY),
        ("Europe/Berlin", day(1, 31, 23, 0), FEBRUARY),
        ("America/New_York", day(2, 1, 4, 59), JANUARY),
        ("America/New_York", day(2, 1, 5, 0), FEBRUARY),
        # The clock goes forward on 29 March in Berlin: April begins an hour earlier.
        ("Europe/Berlin", day(3, 31, 21, 59), MARCH),
        ("Europe/Berlin", day(3, 31, 22, 0), APRIL),
    ],
)
def test_a_day_is_one_of_the_providers_calendar(zone: str, at: datetime, month: Month) -> None:
    assert booked(at, 1, zone=zone).booked_in == month


def test_a_closing_is_held_to_the_time_zone_by_which_it_was_made() -> None:
    """A quarter to midnight in Berlin, on 31 January: for UTC's January and for Berlin's February alike."""
    moment = day(1, 31, 23, 45)
    assert booked(moment, 5, closed("2026-01", "0:7", "UTC"), zone="Europe/Berlin").booked_in == JANUARY
    assert booked(moment, 5, closed("2026-01", "0:7", "Europe/Berlin"), zone="UTC") == Booked(JANUARY, FEBRUARY)


def test_every_shard_has_a_position_of_its_own_in_a_closing() -> None:
    booking = Booking([closed("2026-01", "0:7,1:3")], "UTC")
    assert booking.book(day(1, 20), Position(1, 3)).booked_in == JANUARY
    assert booking.book(day(1, 20), Position(1, 4)).booked_in == FEBRUARY


@dataclass(frozen=True)
class Told:
    """Somebody records a movement of a day, or closes a month up to a number of events ago."""

    day: int
    closes: bool
    behind: int


TOLD = st.builds(
    Told, day=st.integers(0, 150), closes=st.sampled_from([False, False, True]), behind=st.integers(0, 3)
)
ZONES = st.sampled_from(["UTC", "Asia/Tokyo", "America/Los_Angeles"])


@settings(max_examples=sample(200), deadline=None)
@given(told=st.lists(TOLD, min_size=3, max_size=40), zones=st.lists(ZONES, min_size=1, max_size=3))
def test_every_movement_is_in_one_month_and_a_closed_months_never_change(told: list[Told], zones: list[str]) -> None:
    """Months close in any order, the provider moves, and every closing is behind what is recorded meanwhile."""
    movements: list[tuple[datetime, Position]] = []
    closings: list[PeriodClosed] = []
    position = covered = 0
    content: dict[str, set[int]] = {}
    for step, each in enumerate(told):
        zone = zones[step % len(zones)]
        occurred_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=each.day, hours=step)
        position += 1
        if not each.closes:
            movements.append((occurred_at, Position(0, position)))
            continue
        month = str(month_from_text(f"{occurred_at:%Y-%m}"))
        if month in content:
            continue
        upto = max(covered, position - 1 - each.behind)
        before = Booking(closings, zone)
        content[month] = {
            number
            for number, (at, place) in enumerate(movements)
            if Reached({0: upto}).covers(place) and before.book(at, place).booked_in == month_from_text(month)
        }
        closings.append(closed(month, f"0:{upto}", zone))
        covered = position
    after = Booking(closings, zones[0])
    found: dict[str, set[int]] = {month: set() for month in content}
    for number, (at, place) in enumerate(movements):
        where = after.book(at, place)
        if str(where.booked_in) in content:
            found[str(where.booked_in)].add(number)
        assert where.booked_in >= where.occurred_in
    assert found == content
