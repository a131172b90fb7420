"""Alarms: they stand from when they were raised until they are cleared."""

from typing import Any

from ledger.events import AlarmCleared, AlarmRaised
from projections.alarms import ALARMS, left_out, shown
from projections.retractions import RETRACTIONS
from tests.projections.stories import START, Story


def alarm(name: str, *about: str, charge_id: str | None = None) -> dict[str, Any]:
    return {
        "alarm": name,
        "about": about,
        "claim_id": None,
        "charge_id": charge_id,
        "subscription_id": None,
        "now": START,
    }


def test_an_alarm_stands_until_it_is_cleared() -> None:
    story = Story()
    story.tell(AlarmRaised, **alarm("charged_after_end", "/billing m-9", charge_id="cycle-2"))

    assert shown(story.folded(ALARMS)) == [
        {
            "alarm": "charged_after_end",
            "account_id": "acct-1",
            "claim_id": None,
            "charge_id": "cycle-2",
            "subscription_id": None,
            "about": ["/billing m-9"],
            "since": story.recorded_at(1),
        }
    ]

    story.tell(AlarmCleared, **alarm("charged_after_end", "/billing m-9", charge_id="cycle-2"))
    assert shown(story.folded(ALARMS)) == []


def test_alarms_that_differ_in_anything_are_different_alarms() -> None:
    story = Story()
    story.tell(AlarmRaised, **alarm("contradiction", "/billing m-1", "/billing m-2"))
    story.tell(AlarmRaised, **alarm("contradiction", "/billing m-1", "/billing m-3"))
    story.tell(AlarmCleared, **alarm("contradiction", "/billing m-1", "/billing m-2"))

    assert [alarm["about"] for alarm in shown(story.folded(ALARMS))] == [["/billing m-1", "/billing m-3"]]


def test_a_contradiction_names_the_fact_left_out_last() -> None:
    story = Story()
    story.tell(AlarmRaised, **alarm("contradiction", "/billing m-1", "/billing m-2"))
    story.tell(AlarmRaised, **alarm("charged_after_end", "/billing m-3"))

    assert left_out({**story.folded(ALARMS), **story.folded(RETRACTIONS)}) == {("acct-1", "/billing m-2")}
