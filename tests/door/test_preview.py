"""A preview says to the cent what happens when the same messages are ingested, and records nothing."""

import random

import pytest

from tests.door.conftest import Door
from tests.door.test_commands import CANCELLATION, STORY, message
from tests.oracle.histories import agreement_texts, history
from tests.published import hold_to_type


def standing(door: Door) -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        (c["account_id"], c["claim_id"]): (c["outcome"], c["reason"], c["amount"], c["tax"])
        for c in door.json("claims")
    }


def test_it_names_the_claims_that_would_change_and_records_nothing(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY[:-1]))
    before = sandbox.json("history", "acct-1")
    found = sandbox.json("preview", lines(CANCELLATION, STORY[0]))
    assert (found["accepted"], found["duplicates"], found["refused"]) == (1, 1, [])
    (change,) = found["changes"]
    assert (change["claim_id"], change["change"], change["before"]) == ("unused/c", "opened", None)
    assert (change["after"]["amount"], change["after"]["tax"]) == ("23.96", "4.55")
    assert sandbox.json("history", "acct-1") == before
    assert sandbox.json("claims") == []
    assert "Nothing was recorded" in (sandbox("preview", lines(CANCELLATION)) + sandbox.errors)


def test_it_says_what_would_be_refused(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    other = CANCELLATION | {"data": CANCELLATION["data"] | {"channel": "support"}}
    wrong = message("m-8", "charge.posted", {"charge_id": "x"})
    found = sandbox.json("preview", lines(other, wrong), exits=3)
    assert [(row["line"], row["field"]) for row in found["refused"]] == [(1, "id"), (2, "data.currency")]
    assert sandbox.json("dead-letters", "list") == []


def why_nothing(door: Door, file: str, exits: int = 0) -> list[str]:
    found = door.json("preview", file, exits=exits)
    hold_to_type("Previewed", found)
    assert found["changes"] == []
    told = door("preview", file, exits=exits) + door.errors
    assert all(line in told for line in found["unchanged_because"])
    because: list[str] = found["unchanged_because"]
    return because


COMPLAINT = message("m-9", "complaint.opened", {"complaint_id": "k", "channel": "phone", "category": "noise"})
OUTAGE = {
    "outage_id": "o",
    "subscription_id": "s",
    "began_at": "2026-09-01T00:00:00Z",
    "reported_at": "2026-09-01T01:00:00Z",
    "severity": "significant",
    "cause": "provider",
}
REPORTED = message("m-10", "outage.reported", OUTAGE)


def test_where_nothing_would_change_it_says_why(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    assert why_nothing(sandbox, lines()) == ["no messages were read"]
    assert why_nothing(sandbox, lines(STORY[0])) == ["1 message was recorded before"]
    assert why_nothing(sandbox, lines(*STORY, "{}"), exits=3) == [
        "5 messages were recorded before",
        "1 message would be refused",
    ]
    assert why_nothing(sandbox, lines(COMPLAINT)) == ["Complaint k was opened; facts of this kind change no claim"]
    reported = "Outage o of subscription s was reported: significant, cause provider, began at 2026-09-01T00:00:00Z"
    assert why_nothing(sandbox, lines(REPORTED)) == [f"{reported}; all claims stay as they are"]


def test_a_fact_that_waits_is_said_to_and_for_what(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    ending = {"outage_id": "o-9", "subscription_id": "s", "resolved_at": "2026-04-03T00:00:00Z"}
    [why] = why_nothing(sandbox, lines(message("m-11", "outage.resolved", ending)))
    resolved = "Outage o-9 of subscription s was resolved at 2026-04-03T00:00:00Z"
    assert why == f"{resolved}; it would wait for outage o-9, which is not recorded"


def test_a_fact_that_contradicts_another_is_said_to_with_what_stands(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY, REPORTED))
    other = message("m-12", "outage.reported", OUTAGE | {"severity": "minor"}, "2026-09-02T00:00:00Z")
    [why] = why_nothing(sandbox, lines(other))
    assert why == (
        "Outage o of subscription s was reported: minor, cause provider, began at 2026-09-01T00:00:00Z; it would "
        "count for nothing, because it contradicts: Outage o of subscription s was reported: significant, cause "
        "provider, began at 2026-09-01T00:00:00Z"
    )


def test_a_fact_that_was_retracted_before_it_came_is_said_to_be(sandbox: Door, lines) -> None:
    gone = message("m-13", "fact.retracted", {"retracts": {"source": "/test", "id": "m-9"}})
    sandbox("ingest", lines(*STORY, gone))
    assert why_nothing(sandbox, lines(COMPLAINT)) == [
        "Complaint k was opened; it would count for nothing, because its source has retracted it"
    ]


def test_what_else_would_change_is_said(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY[:3]))
    [why] = why_nothing(sandbox, lines(STORY[3]))
    assert why == (
        "Payment p for invoice i was captured: 35.64 EUR by card; all claims stay as they are; also: Invoice i "
        "changed: 35.64 EUR charged, 0.00 EUR still to pay; The activation e-mail for subscription s became due"
    )


def test_of_many_messages_people_are_told_the_first_reasons(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    many = [message(f"k-{n}", "complaint.opened", COMPLAINT["data"] | {"complaint_id": f"k-{n}"}) for n in range(12)]
    assert len(sandbox.json("preview", lines(*many))["unchanged_because"]) == 12
    told = sandbox("preview", lines(*many))
    assert "Complaint k-9 was opened" in told
    assert "Complaint k-10 was opened" not in told
    assert "and 2 more; see all with --json" in told


def test_where_something_would_change_there_is_nothing_to_say(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY[:-1]))
    assert sandbox.json("preview", lines(CANCELLATION, COMPLAINT))["unchanged_because"] == []


@pytest.mark.parametrize("seed", range(6))
def test_what_it_says_is_what_happens(door: Door, lines, tmp_path, seed: int) -> None:
    door("init", "--sandbox")
    files = []
    for number, text in enumerate(agreement_texts().values()):
        files.append(tmp_path / f"{number}.toml")
        files[-1].write_text(text)
    door("agreement", "publish", *map(str, files))
    door("advance", "2030-01-01T00:00:00Z")
    messages = [m for part in range(10) for m in history(seed * 10 + part, account=f"a-{part}")]
    random.Random(seed).shuffle(messages)
    door("ingest", lines(*messages[: len(messages) // 2]))

    before = standing(door)
    file = lines(*messages[len(messages) // 2 :])
    said = {
        (change["account_id"], change["claim_id"]): (
            change["after"]
            and (
                change["after"]["outcome"],
                change["after"]["reason"],
                change["after"]["amount"],
                change["after"]["tax"],
            )
        )
        for change in door.json("preview", file)["changes"]
    }
    assert standing(door) == before
    door("ingest", file)
    after = standing(door)
    happened = {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {key: said.get(key) for key in happened} == happened
    assert {key: value for key, value in said.items() if key not in happened} == {
        key: after.get(key) for key in said if key not in happened
    }
