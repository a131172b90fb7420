"""Complaints: what became of them is told by the order of the messages, never by that of their arrival."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from ledger.events import AlarmRaised, ComplaintOpened, ComplaintReopened, ComplaintResolved
from projections.complaints import COMPLAINTS, listed, open_seconds
from tests.projections.stories import START, Story

OPENED = (ComplaintOpened, {"subscription_id": "sub-1", "channel": "phone", "category": "noise"})
RESOLVED = (ComplaintResolved, {})
REOPENED = (ComplaintReopened, {})


def told(*steps: tuple[type, dict[str, Any]], order: tuple[int, ...] | None = None) -> list[dict[str, Any]]:
    """The complaint after steps that were said an hour apart, and recorded in another order if one is given."""
    story = Story()
    for number in order or range(len(steps)):
        event, data = steps[number]
        story.tell(event, time=START + timedelta(hours=number), complaint_id="cmp-1", **data)
    return listed(story.folded(COMPLAINTS), set())


@pytest.mark.parametrize(
    ("steps", "status", "resolved_at"),
    [
        ([OPENED], "open", None),
        ([OPENED, RESOLVED], "resolved", "2026-03-01T10:00:00Z"),
        ([OPENED, RESOLVED, REOPENED], "open", None),
        ([OPENED, RESOLVED, REOPENED, RESOLVED], "resolved", "2026-03-01T12:00:00Z"),
    ],
)
def test_in_whatever_order_its_facts_come(steps: list[Any], status: str, resolved_at: str | None) -> None:
    for order in permutations(range(len(steps))):
        [complaint] = told(*steps, order=order)
        assert (complaint["status"], complaint["resolved_at"]) == (status, resolved_at)
        assert [step["step"] for step in complaint["steps"]] == ["opened", "resolved", "reopened", "resolved"][
            : len(steps)
        ]


def test_it_is_shown_with_what_it_is_about() -> None:
    assert told(OPENED) == [
        {
            "complaint_id": "cmp-1",
            "account_id": "acct-1",
            "subscription_id": "sub-1",
            "category": "noise",
            "channel": "phone",
            "status": "open",
            "opened_at": "2026-03-01T09:00:00Z",
            "resolved_at": None,
            "steps": [{"step": "opened", "at": "2026-03-01T09:00:00Z"}],
        }
    ]


def test_one_of_which_only_a_later_step_is_known_waits_for_its_opening() -> None:
    assert told(RESOLVED) == []


def test_of_two_openings_under_one_id_the_earlier_holds() -> None:
    story = Story()
    for number, category in ((2, "billing"), (1, "noise")):
        data = {"subscription_id": None, "channel": "phone", "category": category}
        story.tell(ComplaintOpened, time=START + timedelta(hours=number), complaint_id="cmp-1", **data)
    story.tell(
        AlarmRaised,
        alarm="contradiction",
        about=("/billing m-2", "/billing m-1"),
        claim_id=None,
        charge_id=None,
        subscription_id=None,
        now=START,
    )
    [complaint] = listed(story.folded(COMPLAINTS), {("acct-1", "/billing m-1")})
    assert (complaint["category"], len(complaint["steps"])) == ("noise", 1)


def test_an_open_one_ages_and_a_resolved_one_does_not() -> None:
    now = START + timedelta(days=2)
    [still_open], [resolved] = told(OPENED), told(OPENED, RESOLVED)
    assert open_seconds(still_open, now) == 2 * 86_400
    assert open_seconds(resolved, now) is None
