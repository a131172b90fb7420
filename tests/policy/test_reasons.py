"""What is recorded tells the reasons that hold now, also where they change and the amount does not (policy §1)."""

from __future__ import annotations

import pytest

from ledger.aggregates.billing_account import RecordedClaim
from ledger.events import ClaimAssessed
from ledger.events.event_ids import message_event_id
from tests.policy.case import (
    Case,
    Said,
    account,
    agreement,
    cancelled,
    confirmed,
    cycle,
    dispute,
    outage,
    rejected,
    reopened,
    reported,
    resolved,
    subscription,
    suspended,
    terminated,
)

APRIL = cycle()
CRASH = outage("2026-04-10", "2026-04-12", "crash")


def decisions(case: Case, claim_id: str) -> list[ClaimAssessed]:
    """What was newly decided about a claim."""
    events = case.billing.collect_events()
    return [event for event in events if isinstance(event, ClaimAssessed) and event.data.claim_id == claim_id]


def stands(case: Case, claim_id: str) -> RecordedClaim:
    return case.billing.claims[claim_id]


def fact_ids(case: Case, claim_id: str) -> set[str]:
    """The messages that a recorded claim names."""
    names = {message_event_id(message["source"], message["id"]): message["id"] for message in case.messages}
    return {names[event_id] for event_id in stands(case, claim_id).reasons.facts if event_id in names}


@pytest.mark.parametrize(
    ("before", "after", "claim_id", "now_says"),
    [
        pytest.param(
            [APRIL, *CRASH],
            [resolved("crash", "2026-04-11T23").at(id="new")],
            "disruption/april",
            "outage crash lasted 47 h: eligible",
            id="an outage's length is corrected, which comes to as many days",
        ),
        pytest.param(
            [APRIL, *CRASH],
            [reopened("crash").at(id="new"), resolved("crash", "2026-04-12").at(id="newer")],
            "disruption/april",
            "outage crash lasted 48 h: eligible",
            id="it ended when it was said to have ended, by another message",
        ),
        pytest.param(
            [APRIL, *CRASH],
            [reported("noise", "2026-04-11", severity="minor").at(id="new")],
            "disruption/april",
            "outage noise is not resolved yet: its severity is minor, not significant",
            id="another outage that earns nothing",
        ),
        pytest.param(
            [APRIL, confirmed("1.00").at("2026-02-02T00:00:00Z")],
            [confirmed("1.00").at("2026-02-01T00:00:00Z", id="new")],
            "billing-error/dispute",
            "confirmed 1.00 fits into what is left of the charge: 30.00 − 0.00 = 30.00",
            id="a verdict holds instead of another of the same amount",
        ),
        pytest.param(
            [APRIL, confirmed("1.00")],
            [dispute().at(id="new")],
            "billing-error/dispute",
            "confirmed 1.00 fits into what is left of the charge: 30.00 − 0.00 = 30.00",
            id="somebody had reported it",
        ),
        pytest.param(
            [APRIL, confirmed("1.00", "other"), rejected().at("2026-02-02T00:00:00Z")],
            [rejected().at("2026-02-01T00:00:00Z", id="new")],
            "billing-error/dispute",
            "the investigator rejected it; their words are in the vault",
            id="the words of another rejection hold",
        ),
        pytest.param(
            [APRIL, terminated("2026-04-20")],
            [terminated("2026-04-19", "non_payment").at(id="new")],
            "unused/april",
            "terminated for non_payment at 2026-04-19T00:00:00Z",
            id="an earlier termination",
        ),
        pytest.param(
            [APRIL, cycle("may", "2026-05-01", "2026-05-31"), cancelled("2026-04-16", keep_service=True)],
            [cancelled("2026-04-15", keep_service=True).at(id="new")],
            "unused/may",
            "cancelled on 2026-04-15 (UTC), effective on 2026-05-01, the service being kept until then",
            id="an earlier request",
        ),
        pytest.param(
            [APRIL, suspended("2026-04-10"), cancelled("2026-04-16")],
            [suspended("2026-04-09").at(id="new")],
            "unused/april",
            "suspended since 2026-04-09T00:00:00Z when it was cancelled: nothing is refunded",
            id="suspended for longer",
        ),
    ],
)
def test_a_row_is_recorded_anew_where_its_reasons_change_and_its_amount_does_not(
    before: list[Said], after: list[Said], claim_id: str, now_says: str
) -> None:
    case = Case([agreement()]).hear(account(), subscription(), before)
    stood = stands(case, claim_id)
    case.billing.collect_events()
    case.hear(after)
    [*_, decision] = decisions(case, claim_id)
    assert decision.data.after == stood.state
    assert now_says in decision.data.working
    assert "new" in fact_ids(case, claim_id) or "newer" in fact_ids(case, claim_id)
    assert stands(case, claim_id).reasons != stood.reasons


def test_a_row_is_recorded_anew_under_other_terms_that_come_to_the_same() -> None:
    """The subscription was registered under another agreement before: its terms hold, as if they always had."""
    case = Case([agreement(), agreement({"cancellation.notice_days": 3}, name="theirs")])
    case.hear(account(), subscription().at("2026-02-02T00:00:00Z"), APRIL, CRASH)
    stood = stands(case, "disruption/april")
    case.billing.collect_events()
    case.hear(subscription(agreement="theirs").at("2026-02-01T00:00:00Z"))
    [decision] = decisions(case, "disruption/april")
    assert decision.data.after == stood.state
    assert decision.data.terms is not None
    assert decision.data.terms.agreement == "theirs"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(APRIL, id="the same cycle again"),
        pytest.param(suspended("2026-05-10"), id="a suspension after it"),
        pytest.param(cancelled("2026-04-20"), id="a request while an earlier one stands"),
        pytest.param(reported("noise", "2026-05-11"), id="an outage after it"),
        pytest.param(confirmed("99.00"), id="an overcharge that is more than was charged"),
        pytest.param(terminated("2026-05-10"), id="a termination after it"),
    ],
)
def test_what_does_not_bear_on_a_row_records_nothing_of_it(said: Said) -> None:
    case = Case([agreement()]).hear(account(), subscription(), APRIL, CRASH, cancelled("2026-04-16"))
    case.billing.collect_events()
    case.hear(said)
    events = case.billing.collect_events()
    about_april = [e for e in events if isinstance(e, ClaimAssessed) and e.data.clause != "billing_error"]
    assert about_april == []
