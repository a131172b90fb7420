"""Outages as people ask for them: those of an account, of a subscription, and those that go on, with their claims."""

import pytest

from tests.door.conftest import Door
from tests.door.test_commands import RESOLVED, STORY, message

OUTAGE = {
    "outage_id": "o",
    "subscription_id": "s",
    "severity": "significant",
    "cause": "provider",
    "began_at": "2026-04-02T00:00:00Z",
    "reported_at": "2026-04-02T01:00:00Z",
}
REPORTED = message("m-6", "outage.reported", OUTAGE)
RESOLUTION = message("m-7", "outage.resolved", RESOLVED, "2026-04-04T00:00:00Z")
REOPENED = message("m-8", "outage.reopened", {"outage_id": "o", "subscription_id": "s"}, "2026-04-05T00:00:00Z")


def test_an_outage_is_followed_from_its_report_to_the_claim_that_came_of_it(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY[:4], REPORTED))
    sandbox("advance", "2026-04-03T00:00:00Z")
    [outage] = sandbox.json("outages")
    assert (outage["status"], outage["resolved_at"], outage["duration_seconds"]) == ("open", None, 86_400)
    assert [claim["outcome"] for claim in outage["claims"]] == ["pending"]

    sandbox("ingest", lines(RESOLUTION))
    sandbox("advance", "2026-06-01T00:00:00Z")
    [outage] = sandbox.json("outages")
    claim = {"claim_id": "disruption/c", "outcome": "granted", "reason": None, "currency": "EUR"}
    assert (outage["status"], outage["duration_seconds"]) == ("resolved", 2 * 86_400)
    assert outage["claims"] == [claim | {"amount": "2.00", "tax": "0.38"}]
    told = sandbox("outages")
    for said in ("acct-1", "provider", "resolved", "2 d 0 h", "disruption/c granted 2.00 EUR"):
        assert said in told
    assert sandbox.json("outages", "--open") == []

    sandbox("ingest", lines(REOPENED))
    [outage] = sandbox.json("outages", "--open", "--account", "acct-1", "--subscription", "s")
    assert (outage["status"], outage["resolved_at"]) == ("reopened", None)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((), "no outages; record messages with `makegood ingest FILE` or `makegood run`"),
        (("--open",), "no unresolved outages; see the resolved ones with `makegood outages`"),
        (("--subscription", "s"), "no outages of subscription s; see all with `makegood outages`"),
    ],
)
def test_where_there_is_none_it_says_what_to_do(sandbox: Door, lines, asked: tuple[str, ...], said: str) -> None:
    sandbox("ingest", lines(*STORY))
    assert sandbox("outages", *asked).strip() == said


def test_a_subscription_that_nobody_has_is_an_error(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    assert sandbox("outages", "--subscription", "sub-nobody", exits=1) == ""
    assert "subscription sub-nobody not found; `makegood account ACCOUNT` lists those of an account" in sandbox.errors
