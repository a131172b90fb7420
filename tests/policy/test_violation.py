"""§6 Violation."""

from __future__ import annotations

from tests.policy.case import (
    Row,
    cancelled,
    confirmed,
    cycle,
    outage,
    reinstated,
    row,
    suspended,
    table,
    terminated,
    withdrawn,
)

APRIL = cycle()
MAY = cycle("may", "2026-05-01", "2026-05-31", "30.00")
OUTAGE = outage("2026-04-10", "2026-04-15")
"""Five days: 5.00 where none of it was suspended."""


@table(
    row(
        "from suspended_at to reinstated_at",
        APRIL,
        OUTAGE,
        suspended("2026-04-11"),
        reinstated("2026-04-13"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "for misuse as well as for non_payment",
        APRIL,
        OUTAGE,
        suspended("2026-04-11", reason="misuse"),
        reinstated("2026-04-13"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "one that is not reinstated goes on",
        APRIL,
        OUTAGE,
        suspended("2026-04-12"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "suspended again while suspended: one suspension, and one reinstatement ends it",
        APRIL,
        OUTAGE,
        suspended("2026-04-11"),
        suspended("2026-04-12"),
        reinstated("2026-04-13"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "reinstated again while in service changes nothing",
        APRIL,
        OUTAGE,
        reinstated("2026-04-10T12"),
        suspended("2026-04-11"),
        reinstated("2026-04-13"),
        reinstated("2026-04-14"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "several, one after the other",
        APRIL,
        OUTAGE,
        suspended("2026-04-11"),
        reinstated("2026-04-12"),
        suspended("2026-04-13"),
        reinstated("2026-04-14"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "taken by when they happened, not by when the messages came",
        APRIL,
        OUTAGE,
        reinstated("2026-04-13"),
        suspended("2026-04-11"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "same instants in order of time: suspended, then reinstated at once",
        APRIL,
        OUTAGE,
        reinstated("2026-04-11").at("2026-05-02T00:00:00Z"),
        suspended("2026-04-11").at("2026-05-01T00:00:00Z"),
        gives={"disruption/april": "granted 5.00"},
    ),
    row(
        "same instants in order of time: reinstated of nothing, then suspended",
        APRIL,
        OUTAGE,
        reinstated("2026-04-11").at("2026-05-01T00:00:00Z"),
        suspended("2026-04-11").at("2026-05-02T00:00:00Z"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "then id",
        APRIL,
        OUTAGE,
        reinstated("2026-04-11").at("2026-05-01T00:00:00Z", id="b"),
        suspended("2026-04-11").at("2026-05-01T00:00:00Z", id="a"),
        gives={"disruption/april": "granted 5.00"},
    ),
    row(
        "then source",
        APRIL,
        OUTAGE,
        reinstated("2026-04-11").at("2026-05-01T00:00:00Z", id="a", source="/b"),
        suspended("2026-04-11").at("2026-05-01T00:00:00Z", id="a", source="/a"),
        gives={"disruption/april": "granted 5.00"},
    ),
    row(
        "no pro-rata for suspended time",
        APRIL,
        suspended("2026-04-11"),
        reinstated("2026-04-21"),
        gives={},
    ),
)
def test_a_suspension_is_half_open(row: Row) -> None:
    row.holds()


@table(
    row(
        "for each prepaid cycle with ends_on after the local date of a termination: declined",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        APRIL,
        MAY,
        terminated("2026-04-16"),
        gives={"unused/april": "declined: service_violation", "unused/may": "declined: service_violation"},
    ),
    row(
        "for misuse as well as for non_payment",
        APRIL,
        terminated("2026-04-16", reason="non_payment"),
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "not for one that is not prepaid",
        cycle(prepaid=False),
        MAY,
        terminated("2026-04-16"),
        gives={"unused/may": "declined: service_violation"},
    ),
    row(
        "not for one that ends on that date",
        APRIL,
        terminated("2026-05-01T12"),
        gives={},
    ),
    row(
        "for one that ends the day after",
        APRIL,
        terminated("2026-04-30T12"),
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "its local date: 22:00Z is 1 May in Berlin",
        APRIL,
        MAY,
        terminated("2026-04-30T22:00Z"),
        zone="Europe/Berlin",
        gives={"unused/may": "declined: service_violation"},
    ),
    row(
        "the earliest termination holds",
        APRIL,
        MAY,
        terminated("2026-05-16"),
        terminated("2026-04-16"),
        gives={"unused/april": "declined: service_violation", "unused/may": "declined: service_violation"},
    ),
    row(
        "no reinstatement ends it",
        cycle(prepaid=False),
        outage("2026-04-10", "2026-04-20"),
        terminated("2026-04-15"),
        reinstated("2026-04-16"),
        gives={"disruption/april": "granted 5.00"},
    ),
    row(
        "a suspension that had been reinstated leaves it as it is",
        cycle(prepaid=False),
        outage("2026-04-10", "2026-04-20"),
        suspended("2026-04-14"),
        terminated("2026-04-15"),
        reinstated("2026-04-16"),
        gives={"disruption/april": "granted 4.00"},
    ),
)
def test_a_termination_declines_what_is_unused(row: Row) -> None:
    row.holds()


@table(
    row(
        "where the customer had cancelled before the termination, that claim stands as it was",
        APRIL,
        cancelled("2026-04-11"),
        terminated("2026-04-16"),
        gives={"unused/april": "granted 20.00"},
    ),
    row(
        "also where they cancelled earlier on the same day",
        APRIL,
        cancelled("2026-04-16T11:59:59"),
        terminated("2026-04-16T12"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "also in the cycles after it",
        APRIL,
        MAY,
        cancelled("2026-04-11"),
        terminated("2026-04-16"),
        gives={"unused/april": "granted 20.00", "unused/may": "granted 30.00"},
    ),
    row(
        "also declined for another reason",
        APRIL,
        cancelled("2026-04-11"),
        terminated("2026-04-16"),
        terms={"cancellation.unused_period": "none"},
        gives={"unused/april": "declined: terms"},
    ),
    row(
        "not where they cancelled after it",
        APRIL,
        cancelled("2026-04-17"),
        terminated("2026-04-16"),
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "a withdrawn row of such a cycle shows the termination instead",
        APRIL,
        cancelled("2026-04-11"),
        withdrawn("2026-04-12"),
        terminated("2026-04-16"),
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "of such a cycle: one that ended before the termination stays withdrawn",
        APRIL,
        MAY,
        cancelled("2026-04-11"),
        withdrawn("2026-04-12"),
        terminated("2026-05-16"),
        gives={"unused/april": "withdrawn", "unused/may": "declined: service_violation"},
    ),
    row(
        "and one that was not prepaid",
        cycle(prepaid=False),
        cancelled("2026-04-11"),
        withdrawn("2026-04-12"),
        terminated("2026-04-16"),
        gives={"unused/april": "withdrawn"},
    ),
    row(
        "a termination in a cycle that the request does not concern declines that one",
        APRIL,
        MAY,
        terminated("2026-04-16"),
        cancelled("2026-05-16"),
        gives={"unused/april": "declined: service_violation", "unused/may": "declined: service_violation"},
    ),
)
def test_a_cancellation_before_the_termination_stands(row: Row) -> None:
    row.holds()


@table(
    row(
        "overcharges confirmed before it survive",
        APRIL,
        confirmed("7.00"),
        terminated("2026-04-16").at("2026-05-02T00:00:00Z"),
        gives={"billing-error/dispute": "granted 7.00", "unused/april": "declined: service_violation"},
    ),
    row(
        "or after",
        APRIL,
        terminated("2026-04-16"),
        confirmed("7.00").at("2026-05-02T00:00:00Z"),
        gives={"billing-error/dispute": "granted 7.00", "unused/april": "declined: service_violation"},
    ),
    row(
        "credits that exist survive: a disruption before it",
        APRIL,
        outage("2026-04-10", "2026-04-12"),
        terminated("2026-04-16"),
        gives={"disruption/april": "granted 2.00", "unused/april": "declined: service_violation"},
    ),
    row(
        "overcharges survive a suspension",
        APRIL,
        suspended("2026-04-05"),
        confirmed("7.00"),
        gives={"billing-error/dispute": "granted 7.00"},
    ),
)
def test_what_was_earned_survives(row: Row) -> None:
    row.holds()
