"""Complaints: what became of them is told by the order of the messages, never by that of their arrival."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from ledger.events import (
    AlarmRaised,
    ComplaintLinked,
    ComplaintNoted,
    ComplaintOpened,
    ComplaintOpenedV1,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintResolvedV1,
    GoodwillProposed,
)
from projections.complaints import COMPLAINTS, linked, open_seconds, shown
from projections.goodwill import GOODWILL
from tests.projections.stories import START, Story

OPENED = (ComplaintOpened, {"subscription_id": "sub-1", "channel": "phone", "category": "noise"})
RESOLVED = (ComplaintResolved, {"resolution_code": "exchanged"})
RESOLVED_BEFORE_CODES = (ComplaintResolvedV1, {})
REOPENED = (ComplaintReopened, {})
NOTED = (ComplaintNoted, {})
LINKED = (ComplaintLinked, {"kind": "outage", "linked_id": "out-1"})


def standing(story: Story) -> dict[str, Any]:
    return {**story.folded(COMPLAINTS), **story.folded(GOODWILL)}


def told(*steps: tuple[type, dict[str, Any]], order: tuple[int, ...] | None = None) -> list[dict[str, Any]]:
    """The complaint after steps that were said an hour apart, and recorded in another order if one is given."""
    story = Story()
    for number in order or range(len(steps)):
        event, data = steps[number]
        story.tell(event, time=START + timedelta(hours=number), complaint_id="cmp-1", **data)
    return shown(standing(story), set())


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
            "resolution_code": None,
            "links": [],
            "notes": 0,
            "steps": [{"step": "opened", "at": "2026-03-01T09:00:00Z", "event_id": "event-0-1"}],
        }
    ]


def test_words_in_place_of_a_code_are_shown_only_where_an_older_version_recorded_them() -> None:
    [before] = told((ComplaintOpenedV1, OPENED[1] | {"category": "a hissing noise"}))
    assert (before["category"], before["channel"], before["status"]) == ("a hissing noise", "phone", "open")
    [now] = told((ComplaintOpened, OPENED[1] | {"category": None, "channel": None}))
    assert (now["category"], now["channel"], now["status"]) == (None, None, "open")


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
    [complaint] = shown(standing(story), {("acct-1", "/billing m-1")})
    assert (complaint["category"], len(complaint["steps"])) == ("noise", 1)


@pytest.mark.parametrize(
    ("steps", "status", "code"),
    [
        ([OPENED, RESOLVED], "resolved", "exchanged"),
        ([OPENED, (ComplaintResolved, {"resolution_code": None})], "resolved", None),
        ([OPENED, RESOLVED_BEFORE_CODES], "resolved", None),
        ([OPENED, RESOLVED, REOPENED], "open", None),
        ([OPENED, RESOLVED_BEFORE_CODES, REOPENED, RESOLVED], "resolved", "exchanged"),
    ],
)
def test_it_is_resolved_with_the_code_of_the_resolution_that_stands(
    steps: list[Any], status: str, code: str | None
) -> None:
    for order in permutations(range(len(steps))):
        [complaint] = told(*steps, order=order)
        assert (complaint["status"], complaint["resolution_code"]) == (status, code)


def test_notes_and_links_are_steps_and_open_nothing() -> None:
    for order in permutations(range(5)):
        [complaint] = told(OPENED, NOTED, RESOLVED, NOTED, LINKED, order=order)
        assert (complaint["status"], complaint["resolved_at"]) == ("resolved", "2026-03-01T11:00:00Z")
        assert [step["step"] for step in complaint["steps"]] == ["opened", "noted", "resolved", "noted", "linked"]
        assert (complaint["notes"], complaint["links"]) == (2, [{"kind": "outage", "linked_id": "out-1"}])


def test_a_link_that_is_made_twice_is_one() -> None:
    [complaint] = told(OPENED, LINKED, LINKED)
    assert complaint["links"] == [{"kind": "outage", "linked_id": "out-1"}]
    assert len(complaint["steps"]) == 3


def test_a_credit_that_is_proposed_for_it_is_a_link_too_and_links_lead_both_ways() -> None:
    story = Story()
    for complaint_id in ("cmp-1", "cmp-2"):
        story.tell(OPENED[0], complaint_id=complaint_id, **OPENED[1])
        story.tell(LINKED[0], complaint_id=complaint_id, **LINKED[1])
    story.tell(
        GoodwillProposed,
        credit_id="gw-1",
        complaint_id="cmp-2",
        subscription_id=None,
        amount=Decimal("5.00"),
        currency="EUR",
        proposed_by="ann",
    )
    one, two = shown(standing(story), set())
    assert one["links"] == [{"kind": "outage", "linked_id": "out-1"}]
    assert two["links"] == [*one["links"], {"kind": "goodwill", "linked_id": "gw-1"}]
    assert linked([one, two]) == {
        ("acct-1", "outage", "out-1"): ["cmp-1", "cmp-2"],
        ("acct-1", "goodwill", "gw-1"): ["cmp-2"],
    }


def test_an_open_one_ages_and_a_resolved_one_does_not() -> None:
    now = START + timedelta(days=2)
    [still_open], [resolved] = told(OPENED), told(OPENED, RESOLVED)
    assert open_seconds(still_open, now) == 2 * 86_400
    assert open_seconds(resolved, now) is None
