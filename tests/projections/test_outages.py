"""Outages: whether one goes on is told by the order of the messages, and each names the claims decided with it."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from ledger.events import (
    AlarmRaised,
    ClaimState,
    ComplaintLinked,
    ComplaintOpened,
    FactRetracted,
    LedgerEvent,
    OutageReopened,
    OutageReported,
    OutageResolved,
    RetractedMessage,
)
from ledger.store.database import Database
from projections import outages
from projections.follower import Follower
from tests.projections.stories import START, Story, granted, granted_v1

NOW = START + timedelta(days=30)
DISRUPTION = {"claim_id": "disruption/cyc-1", "clause": "service_disruption", "charge_id": "cyc-1"}


def reported(began_at: datetime = START, **data: Any) -> tuple[type[LedgerEvent], dict[str, Any]]:
    usual = {"severity": "significant", "cause": "provider", "channel": "phone"}
    return OutageReported, usual | {"began_at": began_at, "reported_at": began_at + timedelta(hours=1)} | data


def resolved(hours: int) -> tuple[type[LedgerEvent], dict[str, Any]]:
    return OutageResolved, {"resolved_at": START + timedelta(hours=hours)}


REOPENED: tuple[type[LedgerEvent], dict[str, Any]] = (OutageReopened, {})


def tell(
    story: Story,
    step: tuple[type[LedgerEvent], dict[str, Any]],
    hours: int = 0,
    outage_id: str = "out-1",
    subscription_id: str = "sub-1",
    **more: Any,
) -> str:
    """Add one fact of an outage, whose message was sent so many hours after the start; its event id."""
    event, data = step
    at = START + timedelta(hours=hours)
    of = {"outage_id": outage_id, "subscription_id": subscription_id}
    envelope = story.tell(event, time=at, message_id=f"m-{outage_id}-{hours}", **of, **data, **more)
    return f"event-{story.shard}-{envelope.position}"


def listed(database: Database, story: Story, **asked: Any) -> list[outages.Outage]:
    story.write(database)
    follower = Follower(database)
    follower.create()
    follower.catch_up()
    return list(outages.listed(database, NOW, **asked))


@pytest.mark.parametrize(
    ("endings", "status", "resolved_at", "seconds"),
    [
        ([], "open", None, 30 * 86_400),
        ([resolved(30)], "resolved", "2026-03-02T15:00:00Z", 30 * 3_600),
        ([resolved(30), REOPENED], "reopened", None, 30 * 86_400),
        ([resolved(30), REOPENED, resolved(40)], "resolved", "2026-03-03T01:00:00Z", 40 * 3_600),
    ],
)
def test_it_stands_as_its_last_ending_says_in_whatever_order_they_come(
    memory: Database, endings: list[Any], status: str, resolved_at: str | None, seconds: int
) -> None:
    story = Story()
    steps = [reported(), *endings]
    for n, order in enumerate(permutations(range(len(steps)))):
        for number in order:
            tell(story, steps[number], number, f"out-{n:02}")
    found = listed(memory, story)
    assert len(found) == n + 1
    for outage in found:
        assert (outage["status"], outage["resolved_at"]) == (status, resolved_at)
        assert outage["duration_seconds"] == seconds


def test_it_is_shown_with_everything_that_was_reported(database: Database) -> None:
    story = Story()
    tell(story, reported())
    assert listed(database, story) == [
        {
            "outage_id": "out-1",
            "account_id": "acct-1",
            "subscription_id": "sub-1",
            "severity": "significant",
            "cause": "provider",
            "channel": "phone",
            "status": "open",
            "began_at": "2026-03-01T09:00:00Z",
            "reported_at": "2026-03-01T10:00:00Z",
            "resolved_at": None,
            "duration_seconds": 30 * 86_400,
            "claims": [],
            "complaint_ids": [],
        }
    ]


def test_one_of_which_only_an_ending_is_known_waits_for_its_report(memory: Database) -> None:
    story = Story()
    tell(story, resolved(3))
    assert listed(memory, story) == []


def test_an_ending_on_another_subscription_ends_nothing(memory: Database) -> None:
    story = Story()
    tell(story, reported())
    tell(story, resolved(3), 1, subscription_id="sub-2")
    assert [outage["status"] for outage in listed(memory, story)] == ["open"]


def test_of_two_reports_under_one_id_the_earlier_holds(memory: Database) -> None:
    story = Story()
    tell(story, reported(cause="force_majeure"), 2)
    tell(story, reported(), 1)
    assert [outage["cause"] for outage in listed(memory, story)] == ["provider"]


def test_a_report_that_was_retracted_takes_its_outage_with_it_and_another_report_stands(memory: Database) -> None:
    story = Story()
    tell(story, reported(), 1)
    tell(story, reported(cause="force_majeure"), 2)
    tell(story, reported(), 1, "out-2")
    for outage_id in ("out-1", "out-2"):
        retracts = RetractedMessage(source="/billing", id=f"m-{outage_id}-1")
        story.tell(FactRetracted, retracts=retracts, sealed=None)
    assert [(outage["outage_id"], outage["cause"]) for outage in listed(memory, story)] == [
        ("out-1", "force_majeure")
    ]


def test_a_resolution_that_contradicts_its_report_ends_nothing(memory: Database) -> None:
    story = Story()
    tell(story, reported())
    tell(story, resolved(-3), 4)
    about = ("/billing m-out-1-0", "/billing m-out-1-4")
    ids = {"claim_id": None, "charge_id": None, "subscription_id": None}
    story.tell(AlarmRaised, alarm="contradiction", about=about, now=START, **ids)
    assert [outage["status"] for outage in listed(memory, story)] == ["open"]
    assert len(listed(memory, story, still_open=True)) == 1


def test_it_names_the_claims_decided_with_it_while_they_stand(database: Database) -> None:
    story = Story()
    one, other = tell(story, reported(), 1), tell(story, reported(), 2, "out-2")
    declined = ClaimState(
        outcome="declined", reason="reported_late", amount=Decimal("0.00"), tax=Decimal("0.00"), settle_as="credit"
    )
    of_another = {**DISRUPTION, "claim_id": "disruption/cyc-2", "charge_id": "cyc-2"}
    story.assess(None, granted("3.00", "0.57"), **DISRUPTION, facts=(one, other))
    story.assess(None, declined, **of_another, facts=(other,))
    found = {outage["outage_id"]: outage["claims"] for outage in listed(database, story)}
    first = {
        "claim_id": "disruption/cyc-1",
        "outcome": "granted",
        "reason": None,
        "amount": "3.00",
        "tax": "0.57",
        "currency": "EUR",
    }
    assert found["out-1"] == [first]
    assert [(claim["claim_id"], claim["outcome"], claim["reason"]) for claim in found["out-2"]] == [
        ("disruption/cyc-1", "granted", None),
        ("disruption/cyc-2", "declined", "reported_late"),
    ]
    story.assess(granted("3.00", "0.57"), granted("2.00"), **DISRUPTION, facts=(one,))
    story.assess(declined, None, **of_another)
    found = {outage["outage_id"]: outage["claims"] for outage in listed(database, story)}
    assert [claim["amount"] for claim in found["out-1"]] == ["2.00"]
    assert found["out-2"] == []


def test_a_claim_of_an_older_version_is_named_likewise(memory: Database) -> None:
    story = Story()
    used = tell(story, reported())
    story.assess_v1(None, granted_v1("3.00"), **DISRUPTION, facts=(used,))
    assert [claim["amount"] for outage in listed(memory, story) for claim in outage["claims"]] == ["3.00"]
    fallen = granted_v1("0.00").model_copy(update={"outcome": None})
    story.assess_v1(granted_v1("3.00"), fallen, **DISRUPTION, facts=(used,))
    assert [outage["claims"] for outage in listed(memory, story)] == [[]]


def test_it_names_the_complaints_linked_to_it(memory: Database) -> None:
    story = Story()
    tell(story, reported())
    story.tell(ComplaintOpened, complaint_id="cmp-1", subscription_id=None, channel="phone", category="noise")
    story.tell(ComplaintLinked, complaint_id="cmp-1", kind="outage", linked_id="out-1")
    assert [outage["complaint_ids"] for outage in listed(memory, story)] == [["cmp-1"]]


def test_they_are_listed_by_account_and_beginning_and_found_by_subscription_and_standing(database: Database) -> None:
    story = Story()
    for account in ("acct-2", "acct-1"):
        for number, day in enumerate((3, 1, 2)):
            began = reported(START + timedelta(days=day))
            tell(story, began, number, f"out-{day}", f"sub-{day % 2}", account=account)
        tell(story, resolved(100), 5, "out-1", account=account)

    def found(**asked: Any) -> list[tuple[str, str]]:
        return [(outage["account_id"], outage["outage_id"]) for outage in listed(database, story, **asked)]

    accounts = ("acct-1", "acct-2")
    assert found() == [(account, f"out-{day}") for account in accounts for day in (1, 2, 3)]
    assert found(accounts=["acct-2"]) == [("acct-2", f"out-{day}") for day in (1, 2, 3)]
    assert found(subscription="sub-1") == [(account, f"out-{day}") for account in accounts for day in (1, 3)]
    assert found(still_open=True) == [(account, f"out-{day}") for account in accounts for day in (2, 3)]
    assert found(accounts=["acct-1"], subscription="sub-1", still_open=True) == [("acct-1", "out-3")]
    assert found(accounts=[]) == []
