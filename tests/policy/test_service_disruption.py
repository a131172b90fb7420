"""§3 Service disruption."""

from __future__ import annotations

from tests.policy.case import (
    Row,
    cancelled,
    confirmed,
    cycle,
    outage,
    reinstated,
    reopened,
    reported,
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
"""30 days too: whatever the basis and the floor, a day of it is 1.00."""
EXACT = {"proration.basis": "exact_time", "disruption.floor": "none"}
THIRTY = {"proration.basis": "thirty_days", "disruption.floor": "none"}
NO_FLOOR = {"disruption.floor": "none"}


@table(
    row(
        "eligible: significant, not excluded, reported in time",
        APRIL,
        outage("2026-04-10", "2026-04-12"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "severity is significant; minor earns nothing",
        APRIL,
        outage("2026-04-10", "2026-04-12", severity="minor"),
        gives={"disruption/april": "declined: not_significant"},
    ),
    row(
        "not a cause that the agreement excludes: customer_equipment",
        APRIL,
        outage("2026-04-10", "2026-04-12", cause="customer_equipment"),
        gives={"disruption/april": "declined: excluded_cause"},
    ),
    row(
        "not a cause that the agreement excludes: force_majeure",
        APRIL,
        outage("2026-04-10", "2026-04-12", cause="force_majeure"),
        gives={"disruption/april": "declined: excluded_cause"},
    ),
    row(
        "an unknown cause is not excluded",
        APRIL,
        outage("2026-04-10", "2026-04-12", cause="unknown"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "an agreement may exclude none",
        APRIL,
        outage("2026-04-10", "2026-04-12", cause="force_majeure"),
        terms={"disruption.excluded_causes": []},
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "or any other",
        APRIL,
        outage("2026-04-10", "2026-04-12", cause="unknown"),
        terms={"disruption.excluded_causes": ["unknown"]},
        gives={"disruption/april": "declined: excluded_cause"},
    ),
    row(
        "reported_at − began_at ≤ report_within: exactly 72 h still counts",
        APRIL,
        outage("2026-04-10", "2026-04-12", reported_at="2026-04-13T00:00:00"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "a microsecond later does not",
        APRIL,
        outage("2026-04-10", "2026-04-12", reported_at="2026-04-13T00:00:00.000001"),
        gives={"disruption/april": "declined: reported_late"},
    ),
    row(
        "report_within is the agreement's",
        APRIL,
        outage("2026-04-10", "2026-04-12", reported_at="2026-04-11T00:00:01"),
        terms={"disruption.report_within": "PT24H"},
        gives={"disruption/april": "declined: reported_late"},
    ),
)
def test_an_outage_is_eligible_when_all_hold(row: Row) -> None:
    row.holds()


@table(
    row(
        "the one with the latest time holds, here the first that came",
        APRIL,
        reported("out", "2026-04-10"),
        resolved("out", "2026-04-15").at("2026-06-02T00:00:00Z"),
        resolved("out", "2026-04-12").at("2026-06-01T00:00:00Z"),
        gives={"disruption/april": "granted 5.00"},
    ),
    row(
        "a later resolution with an earlier instant lowers the claim",
        APRIL,
        reported("out", "2026-04-10"),
        resolved("out", "2026-04-15"),
        resolved("out", "2026-04-12"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "ties: the greater id",
        APRIL,
        reported("out", "2026-04-10"),
        resolved("out", "2026-04-15").at("2026-06-01T00:00:00Z", id="b"),
        resolved("out", "2026-04-12").at("2026-06-01T00:00:00Z", id="a"),
        gives={"disruption/april": "granted 5.00"},
    ),
    row(
        "then the greater source",
        APRIL,
        reported("out", "2026-04-10"),
        resolved("out", "2026-04-15").at("2026-06-01T00:00:00Z", id="a", source="/b"),
        resolved("out", "2026-04-12").at("2026-06-01T00:00:00Z", id="a", source="/a"),
        gives={"disruption/april": "granted 5.00"},
    ),
    row(
        "reopened means unresolved again: it counts to the end of the cycle",
        APRIL,
        reported("out", "2026-04-21"),
        resolved("out", "2026-04-23"),
        reopened("out"),
        gives={"disruption/april": "granted 10.00"},
    ),
    row(
        "resolved after it was reopened",
        APRIL,
        reported("out", "2026-04-21"),
        resolved("out", "2026-04-23"),
        reopened("out"),
        resolved("out", "2026-04-24"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "a reopening with an earlier time changes nothing",
        APRIL,
        reported("out", "2026-04-21"),
        resolved("out", "2026-04-23").at("2026-06-02T00:00:00Z"),
        reopened("out").at("2026-06-01T00:00:00Z"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "a resolution of another subscription's outage of that name says nothing here",
        APRIL,
        reported("out", "2026-04-21"),
        resolved("out", "2026-04-23", subscription_id="another"),
        gives={"disruption/april": "granted 10.00"},
    ),
)
def test_the_ending_with_the_latest_time_holds(row: Row) -> None:
    row.holds()


@table(
    row(
        "outages that overlap are merged: across the border 16 h and 12 h, with 3 h in common, are 25 h",
        APRIL,
        MAY,
        outage("2026-04-30T09", "2026-05-01T01"),
        outage("2026-04-30T22", "2026-05-01T10"),
        gives={"disruption/april": "granted 1.00", "disruption/may": "granted 1.00"},
    ),
    row(
        "time in common counts once: 16 h and 11 h with 3 h in common are 24 h, which is not enough",
        APRIL,
        MAY,
        outage("2026-04-30T09", "2026-05-01T01"),
        outage("2026-04-30T22", "2026-05-01T09"),
        gives={"disruption/april": "declined: below_threshold", "disruption/may": "declined: below_threshold"},
    ),
    row(
        "one within another adds nothing",
        APRIL,
        outage("2026-04-10T00", "2026-04-11T00"),
        outage("2026-04-10T06", "2026-04-10T12"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "one within another ends nothing early",
        APRIL,
        outage("2026-04-10T00", "2026-04-12T00"),
        outage("2026-04-10T06", "2026-04-10T12"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "outages that touch are merged",
        APRIL,
        MAY,
        outage("2026-04-30T12", "2026-05-01T00"),
        outage("2026-05-01T00", "2026-05-01T12:00:01"),
        gives={"disruption/april": "granted 1.00", "disruption/may": "granted 1.00"},
    ),
    row(
        "a microsecond between them keeps them apart",
        APRIL,
        MAY,
        outage("2026-04-30T12", "2026-05-01T00"),
        outage("2026-05-01T00:00:00.000001", "2026-05-01T12:00:01"),
        gives={"disruption/april": "declined: below_threshold", "disruption/may": "declined: below_threshold"},
    ),
    row(
        "only eligible ones are merged: a minor one in between is no bridge",
        APRIL,
        MAY,
        outage("2026-04-30T06", "2026-04-30T18"),
        outage("2026-04-30T18", "2026-05-01T02", severity="minor"),
        outage("2026-05-01T02", "2026-05-01T15"),
        gives={"disruption/april": "declined: below_threshold", "disruption/may": "declined: below_threshold"},
    ),
    row(
        "only outages of one subscription",
        APRIL,
        MAY,
        outage("2026-04-30T12", "2026-05-01T00"),
        outage("2026-05-01T00", "2026-05-01T12:00:01", subscription_id="another"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "also those that touch at the far borders of the cycles beside the one that a fact is about",
        APRIL,
        MAY,
        cycle("june", "2026-05-31", "2026-06-30", "30.00"),
        outage("2026-03-31T10", "2026-04-01T00"),
        outage("2026-04-01T00", "2026-04-01T15"),
        outage("2026-06-29T10", "2026-06-30T00"),
        outage("2026-06-30T00", "2026-06-30T15"),
        confirmed("3.00", charge_id="may"),
        gives={
            "disruption/april": "granted 1.00",
            "disruption/june": "granted 1.00",
            "billing-error/dispute": "granted 3.00",
        },
    ),
    row(
        "and one that goes on, at the border or before an outage that is over",
        APRIL,
        MAY,
        cycle("june", "2026-05-31", "2026-06-30", "30.00"),
        outage("2026-05-30T10", "2026-05-31T00"),
        reported("out", "2026-05-31"),
        outage("2026-07-10", "2026-07-12"),
        confirmed("3.00"),
        gives={
            "disruption/may": "granted 1.00",
            "disruption/june": "granted 30.00",
            "billing-error/dispute": "granted 3.00",
        },
    ),
)
def test_eligible_outages_that_overlap_or_touch_are_merged(row: Row) -> None:
    row.holds()


@table(
    row(
        "suspended time does not count: 48 h less 24 h are 24 h, which is not enough",
        APRIL,
        outage("2026-04-10", "2026-04-12"),
        suspended("2026-04-11"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "what is left counts: 48 h less 23 h are two days",
        APRIL,
        outage("2026-04-10", "2026-04-12"),
        suspended("2026-04-11"),
        reinstated("2026-04-11T23"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "suspended time is not credited: 5 days less 2",
        APRIL,
        outage("2026-04-10", "2026-04-15"),
        suspended("2026-04-11"),
        reinstated("2026-04-13"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "a suspension that covers the outage's beginning takes that",
        APRIL,
        outage("2026-04-10", "2026-04-15"),
        suspended("2026-04-09"),
        reinstated("2026-04-12"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "two suspensions take both",
        APRIL,
        outage("2026-04-10", "2026-04-16"),
        suspended("2026-04-11"),
        reinstated("2026-04-12"),
        suspended("2026-04-13"),
        reinstated("2026-04-15"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "time after a termination does not count",
        cycle(prepaid=False),
        outage("2026-04-10", "2026-04-15"),
        terminated("2026-04-13"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "merge first, then subtract: a suspension splits nothing",
        # 12 h before and 14 h after a suspension at the border: 26 h of one merged outage.
        APRIL,
        MAY,
        outage("2026-04-30T10", "2026-05-01T16"),
        suspended("2026-04-30T22"),
        reinstated("2026-05-01T02"),
        gives={"disruption/april": "granted 1.00", "disruption/may": "granted 1.00"},
    ),
    row(
        "the counted time is the sum of what remains: 12 h and 12 h are not enough",
        APRIL,
        MAY,
        outage("2026-04-30T10", "2026-05-01T14"),
        suspended("2026-04-30T22"),
        reinstated("2026-05-01T02"),
        gives={"disruption/april": "declined: below_threshold", "disruption/may": "declined: below_threshold"},
    ),
    row(
        "outages that meet within suspended time are merged there",
        APRIL,
        MAY,
        outage("2026-04-30T10", "2026-05-01T00"),
        outage("2026-05-01T00", "2026-05-01T16"),
        suspended("2026-04-30T22"),
        reinstated("2026-05-01T02"),
        gives={"disruption/april": "granted 1.00", "disruption/may": "granted 1.00"},
    ),
    row(
        "the counted time is counted inside cycles or not",
        # 24 h before the first cycle and 1 s in it.
        APRIL,
        outage("2026-03-31T00", "2026-04-01T00:00:01"),
        gives={"disruption/april": "granted 1.00"},
    ),
)
def test_merge_first_then_subtract(row: Row) -> None:
    row.holds()


@table(
    row(
        "significant by length: 24:00:00 is not",
        APRIL,
        outage("2026-04-10", "2026-04-11T00:00:00"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "24:00:01 is",
        APRIL,
        outage("2026-04-10", "2026-04-11T00:00:01"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "so is a microsecond more",
        APRIL,
        outage("2026-04-10", "2026-04-11T00:00:00.000001"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "across cycle borders too: 12 h in each and one second more",
        APRIL,
        MAY,
        outage("2026-04-30T12", "2026-05-01T12:00:01"),
        gives={"disruption/april": "granted 1.00", "disruption/may": "granted 1.00"},
    ),
    row(
        "across a border 24:00:00 is not either",
        APRIL,
        MAY,
        outage("2026-04-30T12", "2026-05-01T12"),
        gives={"disruption/april": "declined: below_threshold", "disruption/may": "declined: below_threshold"},
    ),
    row(
        "significant_after is the agreement's: 4 h are not more than 4 h",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T04"),
        terms={"disruption.significant_after": "PT4H"},
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "4:00:01 are more than 4 h",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T04:00:01"),
        terms={"disruption.significant_after": "PT4H"},
        gives={"disruption/april": "granted 1.00"},
    ),
    row(
        "in total: two outages of 12 h are 24:00:00, which is not more",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T12"),
        outage("2026-04-20T00", "2026-04-20T12"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "in total: one second more is",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T12"),
        outage("2026-04-20T00", "2026-04-20T12:00:01"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "in total counts the time inside the cycle: 12 h of the second are of May",
        APRIL,
        MAY,
        outage("2026-04-10T00", "2026-04-10T12"),
        outage("2026-04-30T12", "2026-05-01T12"),
        gives={"disruption/april": "declined: below_threshold", "disruption/may": "declined: below_threshold"},
    ),
    row(
        "in total counts eligible time only",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T23"),
        outage("2026-04-20T00", "2026-04-20T23", severity="minor"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
)
def test_an_outage_or_a_cycle_is_significant(row: Row) -> None:
    row.holds()


@table(
    row(
        "significant in total: all eligible time inside it is credited: 13 h + 2 h + 12 h",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T13"),
        outage("2026-04-15T00", "2026-04-15T02"),
        outage("2026-04-20T00", "2026-04-20T12"),
        terms=EXACT,
        # 30.00 × 27 ÷ 720
        gives={"disruption/april": "granted 1.13"},
    ),
    row(
        "otherwise the parts of merged outages significant by length: 6 h, not those and 10 h of another",
        APRIL,
        MAY,
        outage("2026-04-10T00", "2026-04-10T10"),
        outage("2026-04-30T18", "2026-05-01T19"),
        terms=EXACT,
        # 30.00 × 6 ÷ 720 and 30.00 × 19 ÷ 720
        gives={"disruption/april": "granted 0.25", "disruption/may": "granted 0.79"},
    ),
    row(
        "only the parts inside the cycle are credited there",
        APRIL,
        MAY,
        outage("2026-04-29", "2026-05-04"),
        gives={"disruption/april": "granted 2.00", "disruption/may": "granted 3.00"},
    ),
    row(
        "one cycle's total does not make another significant",
        APRIL,
        MAY,
        outage("2026-04-10", "2026-04-12"),
        outage("2026-05-10T00", "2026-05-10T12"),
        gives={"disruption/april": "granted 2.00", "disruption/may": "declined: below_threshold"},
    ),
    row(
        "time between cycles is credited nowhere",
        APRIL,
        cycle("june", "2026-06-01", "2026-07-01"),
        outage("2026-04-30", "2026-06-02"),
        gives={"disruption/april": "granted 1.00", "disruption/june": "granted 1.00"},
    ),
)
def test_the_credited_time_of_a_cycle(row: Row) -> None:
    row.holds()


@table(
    row(
        "unused time is left out here, because it is returned there",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16"),
        gives={"disruption/april": "granted 2.00", "unused/april": "granted 15.00"},
    ),
    row(
        "it still counts for significance by length",
        # Half a day before the unused time begins and half a day and a second in it.
        APRIL,
        outage("2026-04-15T12", "2026-04-16T12:00:01"),
        cancelled("2026-04-16"),
        gives={"disruption/april": "granted 1.00", "unused/april": "granted 15.00"},
    ),
    row(
        "it still counts for significance in total",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T12"),
        outage("2026-04-20T00", "2026-04-20T12:00:01"),
        cancelled("2026-04-16"),
        gives={"disruption/april": "granted 1.00", "unused/april": "granted 15.00"},
    ),
    row(
        "where nothing else is left, no time is credited",
        APRIL,
        outage("2026-04-17", "2026-04-20"),
        cancelled("2026-04-16"),
        gives={"disruption/april": "declined: below_threshold", "unused/april": "granted 15.00"},
    ),
    row(
        "not where the unused-period claim is withdrawn",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16"),
        withdrawn("2026-04-17"),
        gives={"disruption/april": "granted 6.00", "unused/april": "withdrawn"},
    ),
    row(
        "nor declined as not_prepaid",
        cycle(prepaid=False),
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16"),
        gives={"disruption/april": "granted 6.00", "unused/april": "declined: not_prepaid"},
    ),
    row(
        "nor as service_violation (only suspended time is left out: a day)",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        suspended("2026-04-16"),
        cancelled("2026-04-16T12"),
        reinstated("2026-04-17"),
        gives={"disruption/april": "granted 5.00", "unused/april": "declined: service_violation"},
    ),
    row(
        "nor as terms",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16"),
        terms={"cancellation.unused_period": "none"},
        gives={"disruption/april": "granted 6.00", "unused/april": "declined: terms"},
    ),
    row(
        "nor as minimum_term",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16"),
        terms={"cancellation.minimum_term_days": 30},
        gives={"disruption/april": "granted 6.00", "unused/april": "declined: minimum_term"},
    ),
    row(
        "left out even where the fee leaves nothing_due",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16"),
        terms={"cancellation.fee.EUR": "15.00"},
        gives={"disruption/april": "granted 2.00", "unused/april": "declined: nothing_due"},
    ),
    row(
        "with service_kept there is no unused time to leave out",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16", keep_service=True),
        gives={"disruption/april": "granted 6.00", "unused/april": "declined: service_kept"},
    ),
    row(
        "with a notice the unused time begins later",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16"),
        terms={"cancellation.notice_days": 2},
        gives={"disruption/april": "granted 4.00", "unused/april": "granted 13.00"},
    ),
    row(
        "by exact_time it begins at the request itself",
        APRIL,
        outage("2026-04-14", "2026-04-20"),
        cancelled("2026-04-16T12"),
        terms=EXACT,
        gives={"disruption/april": "granted 2.50", "unused/april": "granted 14.50"},
    ),
    row(
        "unused time of one cycle is not left out in another",
        APRIL,
        MAY,
        outage("2026-04-14", "2026-04-17"),
        outage("2026-05-04", "2026-05-06"),
        cancelled("2026-04-16"),
        gives={
            "disruption/april": "granted 2.00",
            "unused/april": "granted 15.00",
            "disruption/may": "declined: below_threshold",
            "unused/may": "granted 30.00",
        },
    ),
)
def test_unused_time_is_left_out(row: Row) -> None:
    row.holds()


@table(
    row(
        "an open outage counts up to the latest end of a cycle that has passed",
        APRIL,
        MAY,
        outage("2026-04-29"),
        now="2026-05-20T00:00:00Z",
        gives={"disruption/april": "granted 2.00", "disruption/may": "pending"},
    ),
    row(
        "passed is ≤ now: at the end itself",
        APRIL,
        MAY,
        outage("2026-04-29"),
        now="2026-05-31T00:00:00Z",
        gives={"disruption/april": "granted 2.00", "disruption/may": "granted 30.00"},
    ),
    row(
        "a microsecond before the end the cycle has not ended",
        APRIL,
        MAY,
        outage("2026-04-29"),
        now="2026-05-30T23:59:59.999999Z",
        gives={"disruption/april": "granted 2.00", "disruption/may": "pending"},
    ),
    row(
        "for nothing before one has",
        APRIL,
        outage("2026-04-10"),
        now="2026-04-30T23:59:59Z",
        gives={"disruption/april": "pending"},
    ),
    row(
        "of that subscription: what came before the first cycle counts, after the last one nothing does",
        APRIL,
        outage("2026-03-01"),
        now="2026-06-20T00:00:00Z",
        gives={"disruption/april": "granted 30.00"},
    ),
    row(
        "of that subscription: another's cycle that has ended counts for nothing",
        APRIL,
        subscription("other"),
        cycle("others", "2026-04-01", "2026-04-20", subscription_id="other"),
        outage("2026-04-10"),
        now="2026-04-25T00:00:00Z",
        gives={"disruption/april": "pending"},
    ),
    row(
        "open for less than the threshold when its cycle ends: declined at that end",
        APRIL,
        outage("2026-04-30T12"),
        now="2026-05-01T00:00:00Z",
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "its time in the next cycle counts when that has passed too: 12 h of April, all of May",
        APRIL,
        MAY,
        outage("2026-04-30T12"),
        now="2026-06-01T00:00:00Z",
        gives={"disruption/april": "granted 1.00", "disruption/may": "granted 30.00"},
    ),
    row(
        "pending unless the time counted so far already grants something",
        APRIL,
        outage("2026-04-10", "2026-04-12"),
        outage("2026-04-20"),
        now="2026-04-25T00:00:00Z",
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "pending although a resolved one is too short",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T12"),
        outage("2026-04-20"),
        now="2026-04-25T00:00:00Z",
        gives={"disruption/april": "pending"},
    ),
    row(
        "an open one that is not eligible leaves nothing pending",
        APRIL,
        outage("2026-04-10", severity="minor"),
        now="2026-04-25T00:00:00Z",
        gives={"disruption/april": "declined: not_significant"},
    ),
    row(
        "a resolved one that is too short is declined before its cycle has ended",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T12"),
        now="2026-04-25T00:00:00Z",
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "a resolved one is granted before its cycle has ended",
        APRIL,
        outage("2026-04-10", "2026-04-12"),
        now="2026-04-12T00:00:00Z",
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "an open outage reaches to now: a cycle that begins then shares no time with it",
        APRIL,
        MAY,
        outage("2026-04-29"),
        now="2026-05-01T00:00:00Z",
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "a microsecond later it does",
        APRIL,
        MAY,
        outage("2026-04-29"),
        now="2026-05-01T00:00:00.000001Z",
        gives={"disruption/april": "granted 2.00", "disruption/may": "pending"},
    ),
    row(
        "before it began an open outage has no row",
        APRIL,
        outage("2026-04-29"),
        now="2026-04-29T00:00:00Z",
        gives={},
    ),
)
def test_an_open_outage_counts_to_the_latest_end_that_has_passed(row: Row) -> None:
    row.holds()


@table(
    row(
        "k is rounded up: 24 h and 1 s are two days",
        APRIL,
        outage("2026-04-10", "2026-04-11T00:00:01"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "48 h are two",
        APRIL,
        outage("2026-04-10T07", "2026-04-12T07"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "48 h and a microsecond are three",
        APRIL,
        outage("2026-04-10T07", "2026-04-12T07:00:00.000001"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "k is of all credited time, not outage by outage: 13 h + 13 h + 22 h are two days",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T13"),
        outage("2026-04-12T00", "2026-04-12T13"),
        outage("2026-04-14T00", "2026-04-14T22"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "actual_days: N × k ÷ d",
        cycle("march", "2026-03-01", "2026-04-01", "30.00"),
        outage("2026-03-10", "2026-03-20"),
        terms=NO_FLOOR,
        gives={"disruption/march": "granted 9.68"},
    ),
    row(
        "thirty_days: N × k ÷ 30 for a month",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        outage("2026-03-10", "2026-03-20"),
        terms=THIRTY,
        gives={"disruption/march": "granted 10.33"},
    ),
    row(
        "thirty_days: D = d for cycles under 28 days",
        cycle("short", "2026-03-01", "2026-03-28", "27.00"),
        outage("2026-03-10", "2026-03-20"),
        terms=THIRTY,
        gives={"disruption/short": "granted 10.00"},
    ),
    row(
        "thirty_days: 28 days are a month: 30",
        cycle("february", "2026-02-01", "2026-03-01", "30.00"),
        outage("2026-02-10", "2026-02-20"),
        terms=THIRTY,
        gives={"disruption/february": "granted 10.00"},
    ),
    row(
        "thirty_days: 45 days are 1.48 months: 30",
        cycle("long", "2026-03-01", "2026-04-15", "30.00"),
        outage("2026-03-10", "2026-03-20"),
        terms=THIRTY,
        gives={"disruption/long": "granted 10.00"},
    ),
    row(
        "thirty_days: 46 days are 1.51 months: 60",
        cycle("long", "2026-03-01", "2026-04-16", "60.00"),
        outage("2026-03-10", "2026-03-20"),
        terms=THIRTY,
        gives={"disruption/long": "granted 10.00"},
    ),
    row(
        "thirty_days: 92 days are 3.02 months: 90",
        cycle("quarter", "2026-07-01", "2026-10-01", "90.00"),
        outage("2026-08-10", "2026-08-20"),
        terms=THIRTY,
        gives={"disruption/quarter": "granted 10.00"},
    ),
    row(
        "thirty_days: a year is 360",
        cycle("year", "2025-01-01", "2026-01-01", "360.00"),
        outage("2025-03-10", "2025-03-20"),
        terms=THIRTY,
        gives={"disruption/year": "granted 10.00"},
    ),
    row(
        "thirty_days: a leap year is 360",
        cycle("year", "2024-01-01", "2025-01-01", "360.00"),
        outage("2024-03-10", "2024-03-20"),
        terms=THIRTY,
        gives={"disruption/year": "granted 10.00"},
    ),
    row(
        "exact_time: N × credited time ÷ elapsed time: 30.00 × 36 ÷ 720",
        APRIL,
        outage("2026-04-10T00", "2026-04-11T12"),
        terms=EXACT,
        gives={"disruption/april": "granted 1.50"},
    ),
    row(
        "exact_time: a thousandth of a second counts: 25920000.00 × 86400.001 ÷ 2592000",
        cycle(price="25920000.00"),
        outage("2026-04-10", "2026-04-11T00:00:00.001000"),
        terms=EXACT,
        gives={"disruption/april": "granted 864000.01"},
    ),
    row(
        "never more than N: 31.00 × 31 ÷ 30 would be 32.03",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        outage("2026-03-01", "2026-04-01"),
        terms=THIRTY,
        gives={"disruption/march": "granted 31.00"},
    ),
)
def test_the_amount_by_basis(row: Row) -> None:
    row.holds()


@table(
    row(
        "monthly_30th: price × k ÷ 30 where the month has 31 days",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        outage("2026-03-10", "2026-03-12"),
        gives={"disruption/march": "granted 2.07"},
    ),
    row(
        "the greater of the two: pro rata where the month has 28",
        cycle("february", "2026-02-01", "2026-03-01", "28.00"),
        outage("2026-02-10", "2026-02-12"),
        gives={"disruption/february": "granted 2.00"},
    ),
    row(
        "else 0",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        outage("2026-03-10", "2026-03-12"),
        terms=NO_FLOOR,
        gives={"disruption/march": "granted 2.00"},
    ),
    row(
        "the cycle's monthly_price where it has one: 45.00 × 2 ÷ 30",
        cycle(monthly_price="45.00"),
        outage("2026-04-10", "2026-04-12"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "of a year too: 45.00 × 2 ÷ 30",
        cycle("year", "2025-01-01", "2026-01-01", "365.00", monthly_price="45.00"),
        outage("2025-03-10", "2025-03-12"),
        gives={"disruption/year": "granted 3.00"},
    ),
    row(
        "a monthly_price of 0 is a price",
        cycle("march", "2026-03-01", "2026-04-01", "31.00", monthly_price="0.00"),
        outage("2026-03-10", "2026-03-12"),
        gives={"disruption/march": "granted 2.00"},
    ),
    row(
        "a monthly price that makes less than pro rata leaves it",
        cycle(monthly_price="15.00"),
        outage("2026-04-10", "2026-04-12"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "absent: price × 30 ÷ d for cycles of more than 31 days: the same as pro rata",
        cycle("long", "2026-03-01", "2026-04-02", "32.00"),
        outage("2026-03-10", "2026-03-12"),
        gives={"disruption/long": "granted 2.00"},
    ),
    row(
        "absent: price for cycles of at most 31 days: a week's is a month's",
        cycle("week", "2026-03-01", "2026-03-08", "30.00"),
        outage("2026-03-02", "2026-03-04"),
        terms={"proration.basis": "exact_time"},
        # pro rata 30.00 × 2 ÷ 7 = 8.57 is more than 30.00 × 2 ÷ 30
        gives={"disruption/week": "granted 8.57"},
    ),
    row(
        "by exact_time the floor still counts whole days: 25 h are two",
        APRIL,
        outage("2026-04-10", "2026-04-11T01"),
        terms={"proration.basis": "exact_time"},
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "by thirty_days and 32 days at least a 32nd a day: 32.00 × 2 ÷ 30 is more",
        cycle("long", "2026-03-01", "2026-04-02", "32.00"),
        outage("2026-03-10", "2026-03-12"),
        terms={"proration.basis": "thirty_days"},
        gives={"disruption/long": "granted 2.13"},
    ),
    row(
        "times N ÷ price: 45.00 × (24.00 ÷ 30.00) × 2 ÷ 30",
        cycle(monthly_price="45.00"),
        confirmed("6.00"),
        outage("2026-04-10", "2026-04-12"),
        gives={"billing-error/dispute": "granted 6.00", "disruption/april": "granted 2.40"},
    ),
    row(
        "a quotient whose divisor is 0 is 0: no floor without a price",
        cycle(price="0.00", monthly_price="45.00"),
        outage("2026-04-10", "2026-04-12"),
        gives={"disruption/april": "declined: nothing_due"},
    ),
    row(
        "never more than N: 45.00 × 25 ÷ 30 would be 37.50",
        cycle(monthly_price="45.00"),
        outage("2026-04-01", "2026-04-26"),
        gives={"disruption/april": "granted 30.00"},
    ),
    row(
        "N is the limit, not the price",
        cycle(monthly_price="60.00"),
        confirmed("6.00"),
        outage("2026-04-01", "2026-04-26"),
        gives={"billing-error/dispute": "granted 6.00", "disruption/april": "granted 24.00"},
    ),
)
def test_the_floor_of_a_30th_of_the_monthly_price(row: Row) -> None:
    row.holds()


@table(
    row(
        "a row exists for each cycle that an outage overlaps",
        APRIL,
        MAY,
        outage("2026-04-30T23", "2026-05-01T01"),
        gives={"disruption/april": "declined: below_threshold", "disruption/may": "declined: below_threshold"},
    ),
    row(
        "eligible or not",
        APRIL,
        MAY,
        outage("2026-04-30T23", "2026-05-01T01", severity="minor"),
        gives={"disruption/april": "declined: not_significant", "disruption/may": "declined: not_significant"},
    ),
    row(
        "shares time of more than zero length with: not where it only touches",
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        APRIL,
        MAY,
        outage("2026-04-01", "2026-05-01"),
        gives={"disruption/april": "granted 30.00"},
    ),
    row(
        "an outage without length has no row",
        APRIL,
        outage("2026-04-10", "2026-04-10"),
        gives={},
    ),
    row(
        "before suspension is deducted: all suspended, and still a row",
        APRIL,
        suspended("2026-04-09"),
        outage("2026-04-10", "2026-04-12"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "before termination is deducted",
        cycle(prepaid=False),
        terminated("2026-04-09"),
        outage("2026-04-10", "2026-04-12"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "one claim for all outages of a cycle",
        APRIL,
        outage("2026-04-10", "2026-04-12"),
        outage("2026-04-20", "2026-04-21"),
        gives={"disruption/april": "granted 3.00"},
    ),
    row(
        "a cycle without an outage has none",
        APRIL,
        outage("2026-05-10", "2026-05-12"),
        gives={},
    ),
)
def test_a_row_for_each_cycle_that_an_outage_overlaps(row: Row) -> None:
    row.holds()


@table(
    row(
        "nothing_due where the amount comes to 0: 0.01 × 2 ÷ 30",
        cycle(price="0.01"),
        outage("2026-04-10", "2026-04-12"),
        gives={"disruption/april": "declined: nothing_due"},
    ),
    row(
        "nothing_due where all was overcharged",
        APRIL,
        confirmed("30.00"),
        outage("2026-04-10", "2026-04-12"),
        gives={"billing-error/dispute": "granted 30.00", "disruption/april": "declined: nothing_due"},
    ),
    row(
        "below_threshold comes before it",
        cycle(price="0.00"),
        outage("2026-04-10", "2026-04-11"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "an eligible outage decides before those that are not",
        APRIL,
        outage("2026-04-10T00", "2026-04-10T12"),
        outage("2026-04-20", "2026-04-22", reported_at="2026-04-29"),
        gives={"disruption/april": "declined: below_threshold"},
    ),
    row(
        "else the first that some outage has: reported_late before excluded_cause",
        APRIL,
        outage("2026-04-10", "2026-04-12", cause="force_majeure"),
        outage("2026-04-20", "2026-04-22", reported_at="2026-04-29"),
        gives={"disruption/april": "declined: reported_late"},
    ),
    row(
        "reported_late before not_significant",
        APRIL,
        outage("2026-04-10", "2026-04-12", severity="minor"),
        outage("2026-04-20", "2026-04-22", reported_at="2026-04-29"),
        gives={"disruption/april": "declined: reported_late"},
    ),
    row(
        "excluded_cause before not_significant",
        APRIL,
        outage("2026-04-10", "2026-04-12", severity="minor"),
        outage("2026-04-20", "2026-04-22", cause="force_majeure"),
        gives={"disruption/april": "declined: excluded_cause"},
    ),
    row(
        "each outage has one reason: its severity is looked at first",
        APRIL,
        outage("2026-04-10", "2026-04-12", severity="minor", cause="force_majeure", reported_at="2026-04-29"),
        gives={"disruption/april": "declined: not_significant"},
    ),
    row(
        "then its cause, then the report",
        APRIL,
        outage("2026-04-10", "2026-04-12", cause="force_majeure", reported_at="2026-04-29"),
        gives={"disruption/april": "declined: excluded_cause"},
    ),
    row(
        "an outage of another cycle gives no reason here",
        APRIL,
        MAY,
        outage("2026-04-10", "2026-04-12", severity="minor"),
        outage("2026-05-10", "2026-05-12", reported_at="2026-05-29"),
        gives={"disruption/april": "declined: not_significant", "disruption/may": "declined: reported_late"},
    ),
    row(
        "an eligible outage of another cycle gives nothing here",
        APRIL,
        MAY,
        outage("2026-04-10", "2026-04-12", severity="minor"),
        outage("2026-05-10", "2026-05-12"),
        gives={"disruption/april": "declined: not_significant", "disruption/may": "granted 2.00"},
    ),
)
def test_a_declined_disruption_has_the_first_reason(row: Row) -> None:
    row.holds()
