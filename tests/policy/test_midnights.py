"""Rules that go by local dates, in nights whose clocks go over midnight: what is found does not depend on the order.

Where clocks go back from just after midnight, an evening's last hours come again after the next date had begun: an
instant then lies on a date whose end, the first instant of the next date, has passed already.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.policy.assess import assess
from ledger.policy.standing import next_due
from ledger.values import local_date, midnight
from tests.policy.case import (
    LONG_AFTER,
    Case,
    Message,
    Row,
    Said,
    Terms,
    account,
    agreement,
    cancelled,
    confirmed,
    cycle,
    instant,
    outage,
    reinstated,
    row,
    subscription,
    suspended,
    table,
    terminated,
    withdrawn,
)
from tests.policy.test_laws import Standing, reasons_of, rows_of

NIGHTS = {
    "America/St_Johns": ["2010-11-07"],
    "America/Goose_Bay": ["2010-11-07"],
    "Antarctica/Casey": ["2010-03-05"],
    "Pacific/Apia": ["2011-12-30", "2011-12-31", "2012-04-01"],
    "America/Sao_Paulo": ["2010-10-17", "2011-02-20", "2012-10-21"],
    "America/Havana": ["2013-11-03", "2014-03-09"],
}
"""Dates by whose midnight the clocks go back, go forward, or leave out a date."""


# --- the repeated hour, zone by zone --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "when", "day", "next_begins"),
    [
        ("America/St_Johns", "2010-11-07T02:30:59", "2010-11-07", "2010-11-07T02:30"),
        ("America/St_Johns", "2010-11-07T03:00", "2010-11-06", "2010-11-07T02:30"),
        ("America/Goose_Bay", "2010-11-07T03:00:59", "2010-11-07", "2010-11-07T03:00"),
        ("America/Goose_Bay", "2010-11-07T03:30", "2010-11-06", "2010-11-07T03:00"),
        ("Antarctica/Casey", "2010-03-04T14:59:59", "2010-03-05", "2010-03-04T13:00"),
        ("Antarctica/Casey", "2010-03-04T15:30", "2010-03-04", "2010-03-04T13:00"),
    ],
)
def test_in_the_repeated_hour_it_is_the_date_before_though_the_next_had_begun(
    zone: str, when: str, day: str, next_begins: str
) -> None:
    at = datetime.fromisoformat(instant(when))
    assert local_date(at, zone) == date.fromisoformat(day)
    [night] = NIGHTS[zone]
    assert midnight(date.fromisoformat(night), zone) == datetime.fromisoformat(instant(next_begins))


AUTUMN = cycle("autumn", "2010-10-07", "2010-11-07", "31.00")
CASEYS_AUTUMN = cycle("autumn", "2010-02-03", "2010-03-05", "30.00")
REPEATED = {
    "America/St_Johns": ("2010-11-07T03:00", AUTUMN),
    "America/Goose_Bay": ("2010-11-07T03:30", AUTUMN),
    "Antarctica/Casey": ("2010-03-04T15:30", CASEYS_AUTUMN),
}


def in_the_repeated_hour(zone: str) -> list[Row]:
    """What a fact of the repeated hour does to the cycle that ends with that date, and to the next."""
    at, autumn = REPEATED[zone]
    day = f"{autumn.data['ends_on']}"
    price = f"{autumn.data['price']}"
    days = price.removesuffix(".00")
    following = cycle("winter", day, (date.fromisoformat(day) + timedelta(days=30)).isoformat(), "30.00")
    after = (datetime.fromisoformat(instant(at)) + timedelta(minutes=5)).isoformat()
    first_minute = (midnight(date.fromisoformat(day), zone) + timedelta(seconds=30)).isoformat()
    before = (datetime.fromisoformat(instant(at)) - timedelta(minutes=5)).isoformat()
    rows = [
        (
            "a termination declines the cycle that ends the next day",
            [autumn, terminated(at)],
            {},
            {"unused/autumn": "declined: service_violation"},
        ),
        (
            "a termination declines the next cycle too",
            [autumn, terminated(at), following],
            {},
            {"unused/autumn": "declined: service_violation", "unused/winter": "declined: service_violation"},
        ),
        (
            "a termination when the next date had begun, for its first minute, leaves the cycle that ended with it",
            [autumn, terminated(first_minute), following],
            {},
            {"unused/winter": "declined: service_violation"},
        ),
        (
            "a request belongs to the cycle that ends the next day, of which one day is unused",
            [autumn, cancelled(at)],
            {},
            {"unused/autumn": "granted 1.00"},
        ),
        (
            "a request leaves all of the next cycle unused, and takes effect with it",
            [autumn, cancelled(at), following],
            {},
            {"unused/autumn": "granted 1.00", "unused/winter": "granted 30.00"},
        ),
        (
            "a request for a cycle that was not prepaid",
            [cycle("autumn", str(autumn.data["starts_on"]), day, price, prepaid=False), cancelled(at)],
            {},
            {"unused/autumn": "declined: not_prepaid"},
        ),
        (
            "a request just at the end of a minimum term is one day too early",
            [autumn, cancelled(at)],
            {"cancellation.minimum_term_days": int(days)},
            {"unused/autumn": "declined: minimum_term"},
        ),
        (
            "a request has taken effect already, so that no withdrawal takes it back",
            [autumn, cancelled(at), withdrawn(after)],
            {},
            {"unused/autumn": "granted 1.00"},
        ),
        (
            "an earlier request is not taken back then either, because the next date had begun",
            [autumn, cancelled(f"{autumn.data['starts_on']}T12"), withdrawn(at)],
            {"cancellation.unused_period": "from_effective"},
            {"unused/autumn": "declined: nothing_due"},
        ),
        (
            "a request while suspended",
            [autumn, suspended(before), cancelled(at)],
            {},
            {"unused/autumn": "declined: service_violation"},
        ),
        (
            "a request after a suspension",
            [autumn, suspended(before), reinstated(at), cancelled(at)],
            {},
            {"unused/autumn": "granted 1.00"},
        ),
        (
            "a request before the termination of the same hour stands",
            [autumn, cancelled(before), terminated(at)],
            {},
            {"unused/autumn": "granted 1.00"},
        ),
        (
            "a request after it is declined",
            [autumn, cancelled(after), terminated(at)],
            {},
            {"unused/autumn": "declined: service_violation"},
        ),
    ]
    return [
        row(f"{zone}: {sentence}", *said, gives=gives, terms=terms, zone=zone)
        for sentence, said, terms, gives in rows
    ]


@table(*(found for zone in REPEATED for found in in_the_repeated_hour(zone)))
def test_whatever_is_said_first_a_fact_of_the_repeated_hour_finds_its_cycle(row: Row) -> None:
    row.holds()
    case = row.case()
    for messages in permutations(case.messages):
        other = told(messages, row.terms, case.at)
        assert other.recorded() == row.gives
        assert reasons_of(other) == reasons_of(case)


def test_a_cycle_that_begins_on_the_date_after_a_termination_was_charged_after_the_end() -> None:
    """Its first minute had passed when the service was ended, an hour later, on the evening before."""
    winter = cycle("winter", "2010-11-07", "2010-12-07")
    for said in permutations([winter, terminated("2010-11-07T03:00")]):
        case = Case([agreement()]).hear(account("America/St_Johns"), subscription(), said)
        assert [(alarm, charge) for alarm, *_, charge in case.alarms()] == [("charged_after_end", "winter")]


# --- any facts in such nights ---------------------------------------------------------------------------------------

TERMS: list[Terms] = [
    {},
    {"cancellation.minimum_term_days": 30},
    {"cancellation.unused_period": "from_effective"},
    {"cancellation.notice_days": 1, "cancellation.fee.EUR": "20.00"},
    {"proration.basis": "exact_time", "disruption.significant_after": "PT1H"},
]
OFFSETS = [timedelta(minutes=30 * halves) for halves in (-8, -2, -1, 0, 0, 1, 1, 2, 3, 4, 5, 5, 6, 9)]
NUDGES = [timedelta(0)] * 4 + [timedelta(microseconds=1), timedelta(microseconds=-1), timedelta(minutes=1)]


def night_history(seed: int) -> tuple[list[Message], Terms, datetime]:
    """Cycles that begin and end about one such night, and facts about its midnight, in any order."""
    rng = random.Random(f"night {seed}")
    zone = rng.choice([*NIGHTS, *REPEATED])
    night = date.fromisoformat(NIGHTS[zone][0] if zone in REPEATED else rng.choice(NIGHTS[zone]))
    marks: list[datetime] = []

    def when() -> str:
        if marks and rng.random() < 0.2:
            at = rng.choice(marks)
        elif zone in REPEATED and rng.random() < 0.4:
            at = datetime.fromisoformat(instant(REPEATED[zone][0])) + rng.choice(NUDGES)
        else:
            day = night + timedelta(days=rng.choice([0, 0, 0, 0, 0, 1, -1, 30, -30]))
            at = midnight(day, zone) + rng.choice(OFFSETS) + rng.choice(NUDGES)
        marks.append(at)
        return at.isoformat()

    said: list[Said] = []
    days = [timedelta(days=count) for count in (-31, -30, -1, 0, 0, 0, 1, 30)]
    borders = sorted({night + rng.choice(days) for _ in range(rng.choice([2, 3, 3, 4]))})
    for number, (begin, end) in enumerate(pairwise(borders)):
        said.append(cycle(f"c-{number}", begin.isoformat(), end.isoformat(), prepaid=rng.random() < 0.85))
    said += [cancelled(when(), keep_service=rng.random() < 0.3) for _ in range(rng.choice([0, 0, 1, 2]))]
    said += [withdrawn(when()) for _ in range(rng.choice([0, 0, 1, 2]))]
    said += [terminated(when()) for _ in range(rng.choice([0, 1, 1, 2]))]
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        said += [suspended(when()), *([reinstated(when())] if rng.random() < 0.7 else [])]
    for number in range(rng.choice([0, 0, 1, 2])):
        began, ended = sorted([when(), when()])
        said += outage(began, ended if rng.random() < 0.8 else None, f"o-{number}")
    if rng.random() < 0.3:
        said.append(confirmed("1.00", charge_id="c-0"))
    rng.shuffle(said)
    opening = [account(zone), subscription()]
    placed = [*opening, *said] if rng.random() < 0.8 else [*said[:1], *opening, *said[1:]]
    messages = [one.message("acct", place) for place, one in enumerate(placed, start=1)]
    now = datetime.fromisoformat(LONG_AFTER) if rng.random() < 0.6 else rng.choice([*marks, midnight(night, zone)])
    return messages, rng.choice(TERMS), now


NIGHT_SEEDS = st.integers(0, 1_000_000)


@given(NIGHT_SEEDS)
def test_a_narrowed_assessment_finds_what_a_full_one_finds_in_such_a_night(seed: int) -> None:
    messages, terms, now = night_history(seed)
    case, standing = Case([agreement(terms)], now.isoformat()), Standing()
    for message in messages:
        standing.take(assess(case.facts, now, case.learn(message)))
        full = assess(case.facts, now)
        assert standing.rows == rows_of(full)
        assert standing.alarms == full.alarms


@given(NIGHT_SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_what_happened_in_such_a_night_changes_nothing(seed: int, rng: random.Random) -> None:
    messages, terms, now = night_history(seed)
    other_order = rng.sample(messages, k=len(messages))
    one, other = (told(order, terms, now) for order in (messages, other_order))
    assert one.recorded() == other.recorded() == one.claims_by_the_oracle()
    assert reasons_of(one) == reasons_of(other)
    assert set(one.billing.alarms) == set(other.billing.alarms)


@given(NIGHT_SEEDS)
def test_step_by_step_through_such_a_night_finds_what_a_full_assessment_finds(seed: int) -> None:
    messages, terms, _ = night_history(seed)
    at = datetime(2007, 1, 1, tzinfo=UTC)
    case, standing = told(messages, terms, at), Standing()
    standing.take(assess(case.facts, at))
    while (due := next_due(case.facts, at)) is not None:
        at = due
        standing.take(assess(case.facts, at, case.facts.touched_by_time()))
        assert standing.rows == rows_of(assess(case.facts, at))


def told(messages: Sequence[Message], terms: Terms, now: datetime) -> Case:
    case = Case([agreement(terms)], now.isoformat())
    for message in messages:
        case.take(message)
    return case
