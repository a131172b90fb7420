"""Complaints as support works them, and the goodwill credits that they lead to, through the command line."""

import json
from typing import Any

import pytest

from consumers.upstream.door_messages import DOOR_MESSAGES, known_at_the_door
from consumers.upstream.statements import read_act
from ledger.application.record import take
from ledger.store.connecting import connect
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import Door
from tests.ledger.messages import Message, Upstream

AMELIA = "Amelia Vance waited for a week"


class Desk:
    """A sandbox with one customer of upstream's, and people at the door who work on her complaints."""

    def __init__(self, door: Door, lines: Any) -> None:
        self.door = door
        self.upstream = Upstream()
        self._lines = lines

    def ingest(self, *messages: Message) -> None:
        """What upstream publishes."""
        self.door("ingest", self._lines(*messages))

    def instruct(self, by: str, *messages: Message) -> None:
        """What a person at the door says, as the API takes it."""
        with open_house(Settings(store=self.door.store)) as house:
            items = [
                read_act(
                    json.dumps(message).encode(), actor=by, channel="http", origin="http", known=known_at_the_door()
                )
                for message in messages
            ]
            assert not take(house.ledger, items).refused
            house.projections.catch_up()


@pytest.fixture
def desk(sandbox: Door, lines: Any) -> Desk:
    desk = Desk(sandbox, lines)
    sandbox("advance", "2026-03-20T00:00:00Z")
    desk.ingest(*desk.upstream.customer())
    return desk


def test_from_a_complaint_to_a_credit_that_another_person_approves(desk: Desk) -> None:
    upstream, door = desk.upstream, desk.door
    desk.ingest(upstream.complaint_opened(description="it crackles"), upstream.outage_reported())
    desk.instruct(
        "support-1",
        upstream.complaint_noted(note=AMELIA),
        upstream.complaint_linked(linked_id="out-1"),
        upstream.goodwill_proposed(reason=AMELIA),
        upstream.goodwill_approved(decided_by="support-1"),
    )

    (credit,) = door.json("goodwill", "--open")
    assert (credit["status"], credit["outcome"], credit["proposed_by"], credit["decided_by"]) == (
        "proposed",
        "pending",
        "support-1",
        None,
    )
    (alarm,) = [row for row in door.json("alarms") if row["alarm"] == "decided_by_proposer"]
    assert (alarm["claim_id"], len(alarm["about"])) == ("goodwill/gw-1", 2)
    assert door.json("credits") == []
    assert undecided(door) == (1, "goodwill")

    desk.instruct("approver-1", upstream.goodwill_approved())
    (claim,) = door.json("claims", "--clause", "complaint")
    assert (claim["claim_id"], claim["outcome"], claim["amount"], claim["tax"]) == (
        "goodwill/gw-1",
        "granted",
        "10.00",
        "0.00",
    )
    assert (claim["charge_id"], claim["settlement"]) == (None, "credit")
    (paid,) = door.json("credits")
    assert (paid["credit_id"], paid["charge_id"], paid["left"]) == ("credit/goodwill/gw-1/1", None, "10.00")
    assert door.json("goodwill", "--open") == []
    assert undecided(door) == (0, "goodwill")
    assert "approver-1" in door("goodwill")

    text = door("explain", "goodwill/gw-1")
    assert "support-1 proposed 10.00 EUR for complaint com-1" in text
    assert "support-1 approved it too, which counts for nothing" in text
    assert "approver-1 approved it" in text
    assert AMELIA in text, "the reason, from the vault"
    assert "charge" not in text
    assert door.json("explain", "credit/goodwill/gw-1/1")["complaint_ids"] == ["com-1"]


def undecided(door: Door) -> tuple[int, str]:
    """How many credits `makegood status` counts, and the command that it names for them."""
    metrics = door.json("status", "--max-age", "999999999")["metrics"]
    count, oldest = (metrics[f"makegood_pending_goodwill_{of}"][0]["value"] for of in ("credits", "oldest_seconds"))
    assert (oldest > 0) == (count > 0)
    [line] = [line for line in door("status", "--max-age", "999999999").splitlines() if "makegood goodwill" in line]
    return count, line.split()[0]


def test_a_complaint_is_shown_with_its_whole_history_and_what_people_wrote(desk: Desk) -> None:
    upstream, door = desk.upstream, desk.door
    desk.ingest(upstream.complaint_opened(description="it crackles", subscription_id="sub-1"))
    desk.instruct("support-1", upstream.complaint_noted(note=AMELIA), upstream.goodwill_proposed())
    desk.instruct("support-2", upstream.complaint_linked(kind="dispute", linked_id="dis-1"))
    desk.ingest(upstream.billing_error_reported(), upstream.complaint_resolved(resolution="device_replaced"))

    (listed,) = door.json("complaints")
    assert (listed["status"], listed["resolution_code"], listed["notes"]) == ("resolved", "device_replaced", 1)
    assert listed["links"] == [{"kind": "dispute", "linked_id": "dis-1"}, {"kind": "goodwill", "linked_id": "gw-1"}]
    assert AMELIA not in json.dumps(listed)
    (dispute,) = door.json("disputes")
    assert dispute["complaint_ids"] == ["com-1"]
    assert door.json("explain", "billing-error/dis-1")["complaint_ids"] == ["com-1"]

    found = door.json("complaint", "com-1")
    assert [(step["step"], step["actor"], step["channel"], step["words"]) for step in found["steps"]] == [
        ("opened", "/provisioning/test", "file", "it crackles"),
        ("noted", "support-1", "http", AMELIA),
        ("linked", "support-2", "http", None),
        ("resolved", "/provisioning/test", "file", "device_replaced"),
    ]
    assert (found["steps"][2]["kind"], found["steps"][2]["linked_id"]) == ("dispute", "dis-1")
    assert [credit["credit_id"] for credit in found["goodwill"]] == ["gw-1"]
    text = door("complaint", "com-1", "--account", "acct-1")
    assert "Complaint com-1 of account acct-1: resolved at 2026-03-01T09:00:10Z, device_replaced" in text
    assert f"noted (by support-1, channel http) “{AMELIA}”" in text
    assert "linked to dispute dis-1 (by support-2, channel http)" in text
    assert "gw-1: 10.00 EUR proposed, by support-1" in text


def test_a_resolution_in_sentences_has_no_code_and_is_read_out_of_the_vault(desk: Desk) -> None:
    desk.ingest(desk.upstream.complaint_opened(), desk.upstream.complaint_resolved(resolution=f"{AMELIA}."))
    (listed,) = desk.door.json("complaints")
    assert (listed["status"], listed["resolution_code"]) == ("resolved", None)
    assert AMELIA not in json.dumps(desk.door.json("history", "acct-1"))
    assert desk.door.json("complaint", "com-1")["steps"][1]["words"] == f"{AMELIA}."


def test_a_category_in_words_is_read_out_of_the_vault(desk: Desk) -> None:
    desk.ingest(
        desk.upstream.complaint_opened(category=AMELIA, channel="at the counter", description="it crackles"),
        desk.upstream.outage_reported(channel=AMELIA),
    )
    (listed,) = desk.door.json("complaints")
    assert (listed["category"], listed["channel"]) == (None, None)
    found = desk.door.json("complaint", "com-1")
    assert (found["category"], found["channel"]) == (AMELIA, "at the counter")
    assert found["steps"][0]["words"] == "it crackles"
    assert f"{AMELIA}, channel at the counter" in desk.door("complaint", "com-1")
    with open_house(Settings(store=desk.door.store)) as house, house.database.reading() as transaction:
        stored = [bytes(envelope) for (envelope,) in transaction.rows("SELECT envelope FROM events")]
    assert len(stored) > 1
    assert not [envelope for envelope in stored if AMELIA.encode() in envelope or b"counter" in envelope]
    for answer in ("history", "replay", "account"):
        assert AMELIA not in json.dumps(desk.door.json(answer, "acct-1"))


def test_what_was_erased_is_shown_as_nothing(desk: Desk) -> None:
    desk.ingest(desk.upstream.complaint_opened(description="it crackles", category="a crackling noise"))
    keys = connect(Settings(store=desk.door.store).vault)
    with keys.writing() as transaction:
        transaction.run("UPDATE vault_keys SET key = NULL, erased_at = 0 WHERE subject = ?", ("account/acct-1",))
    keys.close()
    found = desk.door.json("complaint", "com-1")
    (step,) = found["steps"]
    assert (step["words"], found["category"], found["channel"]) == (None, None, "phone")
    assert "opened (by" in desk.door("complaint", "com-1")


def test_nothing_there_names_the_next_command(sandbox: Door, lines: Any) -> None:
    assert "makegood complaints" in sandbox("goodwill")
    assert "no goodwill credits waiting for approval" in sandbox("goodwill", "--open")
    sandbox("complaint", "com-1", exits=1)
    assert sandbox.errors == "makegood: no account has a complaint com-1; see `makegood complaints`\n"
    sandbox("ingest", lines(Upstream("a").complaint_opened(), Upstream("b").complaint_opened()))
    sandbox("complaint", "com-1", exits=1)
    assert "2 accounts have com-1: a, b; choose one with --account" in sandbox.errors
    assert sandbox.json("complaint", "com-1", "--account", "b")["account_id"] == "b"


@pytest.mark.parametrize("type_", sorted(DOOR_MESSAGES))
def test_upstream_cannot_say_what_people_say_at_the_door(sandbox: Door, lines: Any, type_: str) -> None:
    said = Upstream().instructs(type_.removeprefix("makegood.").removesuffix(".v1"))
    answer = sandbox.json("ingest", lines(said, said | {"source": "/provisioning/eu-1"}), exits=3)
    assert [(row["id"], row["field"]) for row in answer["refused"]] == [(said["id"], "source"), (said["id"], "type")]
