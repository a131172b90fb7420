"""§5 Cancellation and the unused part."""

from __future__ import annotations

from datetime import date

import pytest

from ledger.policy.assess import assess
from ledger.policy.standing import status_of
from tests.policy.case import (
    Case,
    Row,
    account,
    agreement,
    cancelled,
    confirmed,
    cycle,
    instant,
    outage,
    reinstated,
    resolved,
    row,
    subscription,
    suspended,
    table,
    terminated,
    withdrawn,
)

APRIL = cycle()
MAY = cycle("may", "2026-05-01", "2026-05-31", "30.00")
"""30 days too: whatever the basis, a day of it is 1.00."""
JUNE = cycle("june", "2026-05-31", "2026-06-30", "30.00")
EXACT = {"proration.basis": "exact_time"}
THIRTY = {"proration.basis": "thirty_days"}


@table(
    row(
        "a request belongs to local date q, and to the cycle that contains q",
        APRIL,
        cancelled("2026-04-16T12"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "at any time of that date",
        APRIL,
        cancelled("2026-04-16T23:59:59.999999"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "a request at the very instant of the border belongs to the new cycle",
        APRIL,
        MAY,
        cancelled("2026-05-01T00:00:00"),
        gives={"unused/may": "granted 30.00"},
    ),
    row(
        "a microsecond before it to the old one, and to its last date",
        APRIL,
        MAY,
        cancelled("2026-04-30T23:59:59.999999"),
        gives={"unused/april": "granted 1.00", "unused/may": "granted 30.00"},
    ),
    row(
        "the border is local midnight",
        APRIL,
        MAY,
        cancelled("2026-04-30T22:00Z"),
        zone="Europe/Berlin",
        gives={"unused/may": "granted 30.00"},
    ),
    row(
        "the request counts by when it was made, not by when the message came",
        APRIL,
        cancelled("2026-04-16").at("2026-04-25T00:00:00Z"),
        gives={"unused/april": "granted 15.00"},
    ),
)
def test_a_request_belongs_to_its_local_date(row: Row) -> None:
    row.holds()


@table(
    row(
        "it takes effect at the cycle's end: from_effective nothing of that cycle is unused, all of the next",
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        terms={"cancellation.unused_period": "from_effective"},
        gives={"unused/april": "declined: nothing_due", "unused/may": "granted 30.00"},
    ),
    row(
        "where no cycle contains q, effective_on = q",
        APRIL,
        cycle("june", "2026-06-01", "2026-07-01"),
        cancelled("2026-05-16"),
        terms={"cancellation.unused_period": "from_effective"},
        gives={"unused/june": "granted 30.00"},
    ),
    row(
        "it has taken effect at once and cannot be withdrawn",
        APRIL,
        cycle("june", "2026-06-01", "2026-07-01"),
        cancelled("2026-05-16T12"),
        withdrawn("2026-05-16T13"),
        gives={"unused/june": "granted 30.00"},
    ),
    row(
        "a withdrawal takes back a request",
        APRIL,
        cancelled("2026-04-16"),
        withdrawn("2026-04-17"),
        gives={"unused/april": "withdrawn"},
    ),
    row(
        "every request before it",
        APRIL,
        cancelled("2026-04-16"),
        cancelled("2026-04-18"),
        withdrawn("2026-04-19"),
        gives={"unused/april": "withdrawn"},
    ),
    row(
        "requested_at < withdrawn_at: not at the same instant",
        APRIL,
        cancelled("2026-04-16T12"),
        withdrawn("2026-04-16T12"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "a microsecond later it is taken back",
        APRIL,
        cancelled("2026-04-16T12"),
        withdrawn("2026-04-16T12:00:00.000001"),
        gives={"unused/april": "withdrawn"},
    ),
    row(
        "not one that was made after it",
        APRIL,
        withdrawn("2026-04-15"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "withdrawn_at < local midnight of its effective_on: a microsecond before",
        APRIL,
        cancelled("2026-04-16"),
        withdrawn("2026-04-30T21:59:59.999999Z"),
        zone="Europe/Berlin",
        gives={"unused/april": "withdrawn"},
    ),
    row(
        "not at that midnight",
        APRIL,
        cancelled("2026-04-16"),
        withdrawn("2026-04-30T22:00Z"),
        zone="Europe/Berlin",
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "it takes back requests of a cycle that goes on, not of one that has ended",
        # The first request took effect on 1 May; the withdrawal takes back the second only.
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        cancelled("2026-05-10"),
        withdrawn("2026-05-11"),
        gives={"unused/april": "granted 15.00", "unused/may": "granted 30.00"},
    ),
    row(
        "of the requests still standing the earliest counts",
        APRIL,
        cancelled("2026-04-20"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "a withdrawn one is not standing: the next after it counts",
        APRIL,
        cancelled("2026-04-10"),
        withdrawn("2026-04-12"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "of one instant the earliest message counts, by time",
        APRIL,
        cancelled("2026-04-16").at("2026-05-02T00:00:00Z"),
        cancelled("2026-04-16", keep_service=True).at("2026-05-01T00:00:00Z"),
        gives={"unused/april": "declined: service_kept"},
    ),
    row(
        "then by id",
        APRIL,
        cancelled("2026-04-16").at("2026-05-01T00:00:00Z", id="b"),
        cancelled("2026-04-16", keep_service=True).at("2026-05-01T00:00:00Z", id="a"),
        gives={"unused/april": "declined: service_kept"},
    ),
    row(
        "then by source",
        APRIL,
        cancelled("2026-04-16").at("2026-05-01T00:00:00Z", id="a", source="/b"),
        cancelled("2026-04-16", keep_service=True).at("2026-05-01T00:00:00Z", id="a", source="/a"),
        gives={"unused/april": "declined: service_kept"},
    ),
    row(
        "requested_at comes before time",
        APRIL,
        cancelled("2026-04-16").at("2026-05-02T00:00:00Z"),
        cancelled("2026-04-17", keep_service=True).at("2026-05-01T00:00:00Z"),
        gives={"unused/april": "granted 15.00"},
    ),
)
def test_the_earliest_request_that_still_stands_counts(row: Row) -> None:
    row.holds()


@table(
    row(
        "a claim row for each prepaid cycle with ends_on > q",
        APRIL,
        MAY,
        JUNE,
        cancelled("2026-05-16"),
        gives={"unused/may": "granted 15.00", "unused/june": "granted 30.00"},
    ),
    row(
        "not for one that ends on q",
        APRIL,
        cancelled("2026-05-01"),
        gives={},
    ),
    row(
        "and for the cycle that contains q if that one is not prepaid",
        cycle(prepaid=False),
        cancelled("2026-04-16"),
        gives={"unused/april": "declined: not_prepaid"},
    ),
    row(
        "it does not contain the date that it ends on",
        cycle(prepaid=False),
        cancelled("2026-05-01"),
        gives={},
    ),
    row(
        "not for a later one that is not prepaid",
        APRIL,
        cycle("may", "2026-05-01", "2026-05-31", "30.00", prepaid=False),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "prepaid cycles after one that is not prepaid have rows",
        cycle(prepaid=False),
        MAY,
        cancelled("2026-04-16"),
        gives={"unused/april": "declined: not_prepaid", "unused/may": "granted 30.00"},
    ),
    row(
        "where every request was withdrawn, the rows of the earliest one show withdrawn",
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        withdrawn("2026-04-17"),
        cancelled("2026-05-10"),
        withdrawn("2026-05-11"),
        gives={"unused/april": "withdrawn", "unused/may": "withdrawn"},
    ),
    row(
        "and are gone once another request stands",
        cycle(prepaid=False),
        MAY,
        JUNE,
        cancelled("2026-04-16"),
        withdrawn("2026-04-17"),
        cancelled("2026-06-10"),
        gives={"unused/june": "granted 20.00"},
    ),
    row(
        "or once a cycle that comes late lets the first request be withdrawn",
        MAY,
        JUNE,
        cancelled("2026-04-16"),
        withdrawn("2026-04-17"),
        cancelled("2026-06-10"),
        APRIL,
        gives={"unused/june": "granted 20.00"},
    ),
    row(
        "a row of a cycle that is not prepaid is withdrawn too",
        cycle(prepaid=False),
        cancelled("2026-04-16"),
        withdrawn("2026-04-17"),
        gives={"unused/april": "withdrawn"},
    ),
    row(
        "a request before the first cycle concerns all of them",
        APRIL,
        cancelled("2026-03-16"),
        gives={"unused/april": "granted 30.00"},
    ),
)
def test_a_row_for_each_prepaid_cycle_that_ends_after_the_request(row: Row) -> None:
    row.holds()


@table(
    row(
        "from_request: that day itself is unused",
        APRIL,
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "from_request: q + notice_days",
        APRIL,
        cancelled("2026-04-16"),
        terms={"cancellation.notice_days": 7},
        gives={"unused/april": "granted 8.00"},
    ),
    row(
        "a notice that ends on the last date leaves that",
        APRIL,
        cancelled("2026-04-16"),
        terms={"cancellation.notice_days": 14},
        gives={"unused/april": "granted 1.00"},
    ),
    row(
        "a notice that ends with the cycle leaves nothing",
        APRIL,
        cancelled("2026-04-16"),
        terms={"cancellation.notice_days": 15},
        gives={"unused/april": "declined: nothing_due"},
    ),
    row(
        "a notice that ends inside the next cycle leaves the rest of that",
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        terms={"cancellation.notice_days": 25},
        gives={"unused/april": "declined: nothing_due", "unused/may": "granted 20.00"},
    ),
    row(
        "with keep_service the first unused day is effective_on",
        APRIL,
        MAY,
        cancelled("2026-04-16", keep_service=True),
        gives={"unused/april": "declined: service_kept", "unused/may": "granted 30.00"},
    ),
    row(
        "with keep_service no notice is added",
        APRIL,
        MAY,
        cancelled("2026-04-16", keep_service=True),
        terms={"cancellation.notice_days": 25},
        gives={"unused/april": "declined: service_kept", "unused/may": "granted 30.00"},
    ),
    row(
        "keep_service: false is as if it was not said",
        APRIL,
        cancelled("2026-04-16", keep_service=False),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "from_effective: effective_on, without a notice",
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        terms={"cancellation.unused_period": "from_effective", "cancellation.notice_days": 10},
        gives={"unused/april": "declined: nothing_due", "unused/may": "granted 30.00"},
    ),
    row(
        "none: declined, terms",
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        terms={"cancellation.unused_period": "none"},
        gives={"unused/april": "declined: terms", "unused/may": "declined: terms"},
    ),
)
def test_the_first_unused_day(row: Row) -> None:
    row.holds()


@table(
    row(
        "it starts at local midnight of the first unused day, by days",
        APRIL,
        cancelled("2026-04-16T18"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "with basis exact_time at r itself: 14 d 6 h",
        APRIL,
        cancelled("2026-04-16T18"),
        terms=EXACT,
        gives={"unused/april": "granted 14.25"},
    ),
    row(
        "not with a notice: at midnight of the 18th",
        APRIL,
        cancelled("2026-04-16T18"),
        terms={**EXACT, "cancellation.notice_days": 2},
        gives={"unused/april": "granted 13.00"},
    ),
    row(
        "not with from_effective",
        APRIL,
        MAY,
        cancelled("2026-04-16T18"),
        terms={**EXACT, "cancellation.unused_period": "from_effective"},
        gives={"unused/april": "declined: nothing_due", "unused/may": "granted 30.00"},
    ),
    row(
        "not with keep_service",
        APRIL,
        MAY,
        cancelled("2026-04-16T18", keep_service=True),
        terms=EXACT,
        gives={"unused/april": "declined: service_kept", "unused/may": "granted 30.00"},
    ),
    row(
        "not with thirty_days",
        APRIL,
        cancelled("2026-04-16T18"),
        terms=THIRTY,
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "never before the cycle",
        APRIL,
        MAY,
        cancelled("2026-04-16T18"),
        terms=EXACT,
        gives={"unused/april": "granted 14.25", "unused/may": "granted 30.00"},
    ),
    row(
        "local midnight: with a notice, in Berlin's March of 743 h, 15 d less an hour are left",
        cycle("march", "2026-03-01", "2026-04-01", "743.00"),
        cancelled("2026-03-15T12"),
        terms={**EXACT, "cancellation.notice_days": 2},
        zone="Europe/Berlin",
        gives={"unused/march": "granted 359.00"},
    ),
)
def test_unused_time_runs_to_the_cycles_end(row: Row) -> None:
    row.holds()


@table(
    row(
        "actual_days: N × u ÷ d: 30.00 × 16 ÷ 31",
        cycle("march", "2026-03-01", "2026-04-01", "30.00"),
        cancelled("2026-03-16"),
        gives={"unused/march": "granted 15.48"},
    ),
    row(
        "thirty_days: N × u ÷ D: 30.00 × 16 ÷ 30",
        cycle("march", "2026-03-01", "2026-04-01", "30.00"),
        cancelled("2026-03-16"),
        terms=THIRTY,
        gives={"unused/march": "granted 16.00"},
    ),
    row(
        "thirty_days: under 28 days D = d",
        cycle("week", "2026-03-01", "2026-03-08", "30.00"),
        cancelled("2026-03-05"),
        terms=THIRTY,
        gives={"unused/week": "granted 12.86"},
    ),
    row(
        "thirty_days: never more than the charge: 31 ÷ 30",
        cycle("march", "2026-03-01", "2026-04-01", "30.00"),
        cancelled("2026-03-01"),
        terms=THIRTY,
        gives={"unused/march": "granted 30.00"},
    ),
    row(
        "exact_time: N × unused time ÷ elapsed time",
        cycle(price="720.00"),
        cancelled("2026-04-30T22"),
        terms=EXACT,
        gives={"unused/april": "granted 2.00"},
    ),
    row(
        "never more than what is left of the charge after overcharge and disruption",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        outage("2026-03-01", "2026-03-16"),
        cancelled("2026-03-16"),
        gives={"disruption/march": "granted 15.50", "unused/march": "granted 15.50"},
    ),
    row(
        "after overcharge: pro rata is of N, and N is left",
        APRIL,
        confirmed("29.00"),
        cancelled("2026-04-01"),
        gives={"billing-error/dispute": "granted 29.00", "unused/april": "granted 1.00"},
    ),
    row(
        "then less the agreement's fee",
        APRIL,
        cancelled("2026-04-16"),
        terms={"cancellation.fee.EUR": "5.00"},
        gives={"unused/april": "granted 10.00"},
    ),
    row(
        "rounded, then less the fee: 0.125 to even is 0.12, less 0.01",
        cycle(price="3.75"),
        cancelled("2026-04-30"),
        terms={"proration.rounding": "half_even", "cancellation.fee.EUR": "0.01"},
        gives={"unused/april": "granted 0.11"},
    ),
    row(
        "for the currency: another currency's fee is none",
        APRIL,
        cancelled("2026-04-16"),
        terms={"cancellation.fee.USD": "5.00"},
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "the fee is taken after the cap: 15.50 − 5.00",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        outage("2026-03-01", "2026-03-16"),
        cancelled("2026-03-16"),
        terms={"cancellation.fee.EUR": "5.00"},
        gives={"disruption/march": "granted 15.50", "unused/march": "granted 10.50"},
    ),
    row(
        "taken once per cancellation, from the earliest cycle's amount first",
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        terms={"cancellation.fee.EUR": "5.00"},
        gives={"unused/april": "granted 10.00", "unused/may": "granted 30.00"},
    ),
    row(
        "what one amount cannot bear going on to the next",
        APRIL,
        MAY,
        cancelled("2026-04-28"),
        terms={"cancellation.fee.EUR": "5.00"},
        gives={"unused/april": "declined: nothing_due", "unused/may": "granted 28.00"},
    ),
    row(
        "and on to the one after",
        APRIL,
        MAY,
        JUNE,
        cancelled("2026-04-28"),
        terms={"cancellation.fee.EUR": "35.00"},
        gives={
            "unused/april": "declined: nothing_due",
            "unused/may": "declined: nothing_due",
            "unused/june": "granted 28.00",
        },
    ),
    row(
        "also when a longer outage turns out to take what the first could bear: 31.00 − 16.53 = 14.47",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        APRIL,
        cancelled("2026-03-17"),
        outage("2026-03-01", "2026-03-10"),
        resolved("out-2026-03-01", "2026-03-16T01"),
        terms={"cancellation.fee.EUR": "20.00"},
        gives={
            "disruption/march": "granted 16.53",
            "unused/march": "declined: nothing_due",
            "unused/april": "granted 24.47",
        },
    ),
    row(
        "a cycle that keeps the service bears no fee",
        APRIL,
        MAY,
        cancelled("2026-04-16", keep_service=True),
        terms={"cancellation.fee.EUR": "5.00"},
        gives={"unused/april": "declined: service_kept", "unused/may": "granted 25.00"},
    ),
    row(
        "a cycle that is declined bears none",
        cycle(prepaid=False),
        MAY,
        cancelled("2026-04-16"),
        terms={"cancellation.fee.EUR": "5.00"},
        gives={"unused/april": "declined: not_prepaid", "unused/may": "granted 25.00"},
    ),
    row(
        "tax comes back of what is granted after the fee: 5.70 × 10 ÷ 30",
        cycle(tax="5.70"),
        cancelled("2026-04-16"),
        terms={"cancellation.fee.EUR": "5.00"},
        gives={"unused/april": "granted 10.00 + 1.90"},
    ),
)
def test_the_amount_and_the_fee(row: Row) -> None:
    row.holds()


@table(
    row(
        "not_prepaid before service_violation",
        cycle(prepaid=False),
        suspended("2026-04-10"),
        cancelled("2026-04-16"),
        gives={"unused/april": "declined: not_prepaid"},
    ),
    row(
        "service_violation: suspended at r",
        APRIL,
        suspended("2026-04-10"),
        cancelled("2026-04-16"),
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "suspended at that very instant",
        APRIL,
        suspended("2026-04-16T12"),
        cancelled("2026-04-16T12"),
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "not suspended yet a microsecond before",
        APRIL,
        suspended("2026-04-16T12"),
        cancelled("2026-04-16T11:59:59.999999"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "not suspended any more at the instant of the reinstatement",
        APRIL,
        suspended("2026-04-10"),
        reinstated("2026-04-16T12"),
        cancelled("2026-04-16T12"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "or terminated before r",
        APRIL,
        terminated("2026-04-10"),
        cancelled("2026-04-16"),
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "or terminated at r",
        APRIL,
        terminated("2026-04-16T12"),
        cancelled("2026-04-16T12"),
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "service_violation before terms",
        APRIL,
        suspended("2026-04-10"),
        cancelled("2026-04-16"),
        terms={"cancellation.unused_period": "none"},
        gives={"unused/april": "declined: service_violation"},
    ),
    row(
        "terms before minimum_term",
        APRIL,
        cancelled("2026-04-16"),
        terms={"cancellation.unused_period": "none", "cancellation.minimum_term_days": 30},
        gives={"unused/april": "declined: terms"},
    ),
    row(
        "minimum_term: q is before the first cycle's starts_on + minimum_term_days",
        APRIL,
        cancelled("2026-04-16"),
        terms={"cancellation.minimum_term_days": 16},
        gives={"unused/april": "declined: minimum_term"},
    ),
    row(
        "on that date it is served",
        APRIL,
        cancelled("2026-04-16"),
        terms={"cancellation.minimum_term_days": 15},
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "it counts from the first cycle",
        APRIL,
        MAY,
        cancelled("2026-05-16"),
        terms={"cancellation.minimum_term_days": 45},
        gives={"unused/may": "granted 15.00"},
    ),
    row(
        "it is above 0: without one a request before the first cycle is not too early",
        APRIL,
        cancelled("2026-03-16"),
        terms={"cancellation.minimum_term_days": 0},
        gives={"unused/april": "granted 30.00"},
    ),
    row(
        "with one it is",
        APRIL,
        cancelled("2026-03-31"),
        terms={"cancellation.minimum_term_days": 1},
        gives={"unused/april": "declined: minimum_term"},
    ),
    row(
        "minimum_term before service_kept",
        APRIL,
        cancelled("2026-04-16", keep_service=True),
        terms={"cancellation.minimum_term_days": 30},
        gives={"unused/april": "declined: minimum_term"},
    ),
    row(
        "service_kept if the request kept the service and the cycle has no unused day",
        APRIL,
        cancelled("2026-04-16", keep_service=True),
        gives={"unused/april": "declined: service_kept"},
    ),
    row(
        "by exact_time too",
        APRIL,
        cancelled("2026-04-16", keep_service=True),
        terms=EXACT,
        gives={"unused/april": "declined: service_kept"},
    ),
    row(
        "a kept service whose next cycle costs nothing: that one has unused days, so nothing_due",
        APRIL,
        cycle("may", "2026-05-01", "2026-05-31", "0.00"),
        cancelled("2026-04-16", keep_service=True),
        gives={"unused/april": "declined: service_kept", "unused/may": "declined: nothing_due"},
    ),
    row(
        "else nothing_due: 0.01 × 14 ÷ 30 = 0.0047",
        cycle(price="0.01"),
        cancelled("2026-04-17"),
        gives={"unused/april": "declined: nothing_due"},
    ),
    row(
        "0.01 × 15 ÷ 30 = 0.005 is a cent",
        cycle(price="0.01"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 0.01"},
    ),
)
def test_declined_for_the_first_reason_in_this_order(row: Row) -> None:
    row.holds()


@table(
    row(
        "a cycle that starts on effective_on was charged although the service had ended: all of it is unused",
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00", "unused/may": "granted 30.00"},
    ),
    row(
        "unless the notice ends inside it",
        APRIL,
        MAY,
        cancelled("2026-04-30"),
        terms={"cancellation.notice_days": 3},
        gives={"unused/april": "declined: nothing_due", "unused/may": "granted 28.00"},
    ),
    row(
        "it is treated by the same rules: the minimum term",
        APRIL,
        MAY,
        cancelled("2026-04-16"),
        terms={"cancellation.minimum_term_days": 30},
        gives={"unused/april": "declined: minimum_term", "unused/may": "declined: minimum_term"},
    ),
)
def test_a_cycle_charged_after_the_end(row: Row) -> None:
    row.holds()
    case = row.case()
    [alarm] = case.billing.alarms
    assert (alarm.alarm, alarm.charge_id, alarm.claim_id) == ("charged_after_end", "may", "unused/may")


@pytest.mark.parametrize(
    ("facts", "about"),
    [
        pytest.param([APRIL, cancelled("2026-04-16")], {}, id="not for the cycle of the request"),
        pytest.param(
            [APRIL, MAY, cancelled("2026-04-16")],
            {"may": "cancelled"},
            id="for one that starts on effective_on",
        ),
        pytest.param(
            [APRIL, MAY, JUNE, cancelled("2026-04-16")],
            {"may": "cancelled", "june": "cancelled"},
            id="for each that starts after it",
        ),
        pytest.param(
            [APRIL, MAY, cancelled("2026-04-16"), withdrawn("2026-04-17")], {}, id="not where it was withdrawn"
        ),
        pytest.param(
            [APRIL, cycle("may", "2026-05-01", "2026-05-31", "30.00", prepaid=False), cancelled("2026-04-16")],
            {"may": "cancelled"},
            id="for one that is not prepaid, which has no row",
        ),
        pytest.param(
            [APRIL, MAY, terminated("2026-05-01T00:00:00")],
            {"may": "terminated"},
            id="for one that starts when the provider had ended the service",
        ),
        pytest.param(
            [APRIL, MAY, terminated("2026-05-01T00:00:00.000001")],
            {},
            id="not where the provider ended it a microsecond after it started",
        ),
        pytest.param(
            [APRIL, MAY, JUNE, cancelled("2026-05-16"), terminated("2026-04-20")],
            {"may": "terminated", "june": "cancelled"},
            id="naming the customer's end where both came before",
        ),
    ],
)
def test_what_is_charged_after_the_end_raises_an_alarm_that_names_both(facts: list, about: dict[str, str]) -> None:
    ids = {"cancellation.requested": "cancelled", "subscription.terminated": "terminated"}
    case = Case().hear(account(), subscription())
    case.hear(*(said.at(id=ids.get(said.kind, str(said.data.get("cycle_id", "w")))) for said in facts))
    expected = {("charged_after_end", cycle_id, by, cycle_id) for cycle_id, by in about.items()}
    assert case.alarms() == expected
    for alarm in case.billing.alarms:
        claim_id = f"unused/{alarm.charge_id}"
        assert (alarm.subscription_id, alarm.claim_id) == ("sub", claim_id if claim_id in case.claims() else None)
    backwards = Case()
    for message in reversed(case.messages):
        backwards.take(message)
    assert backwards.alarms() == expected


@pytest.mark.parametrize(
    ("facts", "now", "status", "effective_on"),
    [
        ([], "2026-04-16", "pending", None),
        ([APRIL], "2026-03-31T23:59:59.999999", "pending", None),
        ([APRIL], "2026-04-01", "active", None),
        ([APRIL], "2026-06-01", "active", None),
        ([APRIL, cancelled("2026-04-16")], "2026-04-16", "cancelling", "2026-05-01"),
        ([APRIL, cancelled("2026-04-16")], "2026-04-30T23:59:59.999999", "cancelling", "2026-05-01"),
        ([APRIL, cancelled("2026-04-16")], "2026-05-01", "cancelled", "2026-05-01"),
        ([APRIL, cancelled("2026-05-16")], "2026-05-16", "cancelled", "2026-05-16"),
        ([APRIL, cancelled("2026-04-16"), withdrawn("2026-04-17")], "2026-05-01", "active", None),
        ([APRIL, suspended("2026-04-10")], "2026-04-09T23:59:59", "active", None),
        ([APRIL, suspended("2026-04-10")], "2026-04-10", "suspended", None),
        ([APRIL, suspended("2026-04-10"), reinstated("2026-04-12")], "2026-04-12", "active", None),
        ([APRIL, suspended("2026-04-10"), cancelled("2026-04-16")], "2026-04-20", "suspended", "2026-05-01"),
        ([APRIL, suspended("2026-04-10"), cancelled("2026-04-16")], "2026-05-01", "cancelled", "2026-05-01"),
        ([APRIL, terminated("2026-04-20T12")], "2026-04-20T11:59:59", "active", None),
        ([APRIL, terminated("2026-04-20T12")], "2026-04-20T12", "terminated", "2026-04-20"),
        ([APRIL, cancelled("2026-04-16"), terminated("2026-06-20")], "2026-06-01", "cancelled", "2026-05-01"),
        ([APRIL, cancelled("2026-04-16"), terminated("2026-06-20")], "2026-06-20", "terminated", "2026-06-20"),
    ],
)
def test_the_status_follows_from_the_facts_and_the_instant(
    facts: list, now: str, status: str, effective_on: str | None
) -> None:
    """`effective_on = ends_on`, else q; a cancellation takes effect at local midnight of it."""
    case = Case([agreement()]).hear(account(), subscription(), facts)
    expected = (status, date.fromisoformat(effective_on) if effective_on else None)
    case.now = instant(now)
    assert status_of(case.facts.subscriptions.by_id["sub"], "UTC", case.at) == expected


def test_without_an_agreement_a_subscription_is_pending() -> None:
    case = Case([agreement()]).hear(account(), subscription(agreement="unheard-of"), APRIL)
    assert status_of(case.facts.subscriptions.by_id["sub"], "UTC", case.at) == ("pending", None)


def test_without_an_agreement_rows_that_will_be_decided_are_pending() -> None:
    case = Case([agreement()]).hear(account(), subscription(agreement="unheard-of"), APRIL, MAY)
    case.hear(outage("2026-04-10", "2026-04-12"), cancelled("2026-05-16"))
    rows = assess(case.facts, case.at).claims
    assert {row.clause: row.settle_as for row in rows.values()} == {
        "service_disruption": "credit",
        "unused_period": "refund",
    }
    assert case.recorded() == {"disruption/april": "pending", "unused/may": "pending"} == case.claims()
    assert case.claims_by_the_oracle() == case.claims()


def test_the_alarm_of_a_cycle_charged_after_the_end_waits_for_no_agreement() -> None:
    case = Case([agreement()]).hear(account(), subscription(agreement="unheard-of"), APRIL, MAY)
    case.hear(cancelled("2026-04-16"))
    [alarm] = case.billing.alarms
    assert (alarm.alarm, alarm.charge_id, alarm.claim_id) == ("charged_after_end", "may", "unused/may")
