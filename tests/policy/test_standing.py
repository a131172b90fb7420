"""When time alone changes anything: the instants at which an account falls due."""

from __future__ import annotations

from datetime import datetime

import pytest

from ledger.policy.standing import next_due
from tests.policy.case import (
    Case,
    account,
    agreement,
    cancelled,
    cycle,
    instant,
    outage,
    reinstated,
    subscription,
    suspended,
    terminated,
    withdrawn,
)

APRIL = cycle()
MAY = cycle("may", "2026-05-01", "2026-05-31", "30.00")
JUNE = cycle("june", "2026-05-31", "2026-06-30", "30.00")


@pytest.mark.parametrize(
    ("facts", "now", "due"),
    [
        pytest.param([], "2026-04-10", None, id="nothing known, nothing due"),
        pytest.param([APRIL], "2026-03-10", "2026-04-01", id="the service begins with its first cycle"),
        pytest.param([APRIL, MAY], "2026-04-01", None, id="a cycle that begins or ends changes nothing by itself"),
        pytest.param([MAY, APRIL], "2026-03-10", "2026-04-01", id="the first cycle, not the first that came"),
        pytest.param([APRIL, outage("2026-04-10", "2026-04-12")], "2026-04-11", None, id="nor a resolved outage"),
        pytest.param([APRIL, outage("2026-04-10")], "2026-04-15", "2026-05-01", id="an open outage: the cycle's end"),
        pytest.param(
            [APRIL, MAY, JUNE, outage("2026-04-10")],
            "2026-05-01",
            "2026-05-01T00:00:00.000001",
            id="an open outage: just after the next cycle began it shares time with it",
        ),
        pytest.param(
            [APRIL, MAY, JUNE, outage("2026-04-10")],
            "2026-05-01T00:00:00.000001",
            "2026-05-31",
            id="an open outage: the end of that one",
        ),
        pytest.param(
            [APRIL, MAY, JUNE, outage("2026-04-10")],
            "2026-05-20",
            "2026-05-31",
            id="an open outage: each end after now",
        ),
        pytest.param(
            [APRIL, MAY, JUNE, outage("2026-04-10")],
            "2026-06-10",
            "2026-06-30",
            id="an open outage: to the last end",
        ),
        pytest.param([APRIL, outage("2026-04-10")], "2026-05-01", None, id="an open outage: nothing after the last"),
        pytest.param(
            [cycle("first", "2026-03-01", "2026-03-11", "10.00"), APRIL, outage("2026-03-05")],
            "2026-03-20",
            "2026-04-01T00:00:00.000001",
            id="an open outage: the next cycle's beginning after a gap",
        ),
        pytest.param(
            [APRIL, outage("2026-04-10")],
            "2026-04-05",
            "2026-04-10T00:00:00.000001",
            id="an outage said to begin later: just after that",
        ),
        pytest.param(
            [APRIL, outage("2026-04-10")],
            "2026-04-10",
            "2026-04-10T00:00:00.000001",
            id="at its beginning it shares no time yet",
        ),
        pytest.param([APRIL, cancelled("2026-04-16")], "2026-04-16", "2026-05-01", id="a cancellation takes effect"),
        pytest.param([APRIL, cancelled("2026-04-16")], "2026-05-01", None, id="and then nothing more"),
        pytest.param(
            [APRIL, cancelled("2026-04-16"), withdrawn("2026-04-17")],
            "2026-04-20",
            "2026-05-01",
            id="a withdrawn one is looked at once too often, which changes nothing",
        ),
        pytest.param(
            [APRIL, suspended("2026-04-10"), reinstated("2026-04-12")],
            "2026-04-05",
            "2026-04-10",
            id="a suspension said for later",
        ),
        pytest.param(
            [APRIL, suspended("2026-04-10"), reinstated("2026-04-12")], "2026-04-10", "2026-04-12", id="its end"
        ),
        pytest.param([APRIL, terminated("2026-04-20")], "2026-04-12", "2026-04-20", id="a termination to come"),
        pytest.param(
            [APRIL, terminated("2026-04-25"), suspended("2026-04-22"), cancelled("2026-04-16")],
            "2026-04-20",
            "2026-04-22",
            id="the earliest of all",
        ),
    ],
)
def test_the_next_instant_at_which_time_alone_changes_anything(facts: list, now: str, due: str | None) -> None:
    case = Case([agreement()], now=instant(now)).hear(account(), subscription(), *facts)
    assert next_due(case.facts, case.at) == (datetime.fromisoformat(instant(due)) if due else None)


def test_nothing_is_due_before_account_and_subscription_are_known() -> None:
    case = Case([agreement()], now="2026-04-15T00:00:00Z").hear(APRIL, outage("2026-04-10"))
    assert next_due(case.facts, case.at) is None
    case.hear(account())
    assert next_due(case.facts, case.at) is None
    case.hear(subscription())
    assert next_due(case.facts, case.at) == datetime.fromisoformat("2026-05-01T00:00:00Z")


def test_the_earliest_of_all_subscriptions_is_due_in_the_accounts_zone() -> None:
    case = Case([agreement()], now="2026-04-15T00:00:00Z").hear(account("Europe/Berlin"), subscription(), APRIL)
    case.hear(cancelled("2026-04-16"))
    case.hear(subscription("other"), cycle("other", "2026-04-01", "2026-04-20", subscription_id="other"))
    case.hear(cancelled("2026-04-16", subscription_id="other"))
    assert next_due(case.facts, case.at) == datetime.fromisoformat("2026-04-19T22:00:00Z")
