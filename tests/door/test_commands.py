"""The commands as their users meet them: answers, empty states, errors that say what to do next, exit codes."""

import json
from pathlib import Path

import pytest

from makegood.cli import run
from tests.door.conftest import SAMPLE, Door

ACCOUNT = {
    "specversion": "1.0",
    "id": "m-1",
    "source": "/test",
    "type": "voip.account.registered.v1",
    "subject": "acct-1",
    "time": "2026-01-01T00:00:00Z",
    "data": {"time_zone": "UTC", "currency": "EUR", "customer": {"name": "Ada Quill", "email": "ada@example.com"}},
}


def message(id_: str, kind: str, data: dict, time: str = "2026-01-01T00:00:01Z") -> dict:
    return ACCOUNT | {"id": id_, "type": f"voip.{kind}.v1", "time": time, "data": data}


SUBSCRIPTION = message(
    "m-2", "subscription.registered", {"subscription_id": "s", "agreement": "standard", "plan": "p"}
)
CYCLE = message(
    "m-3",
    "cycle.started",
    {
        "subscription_id": "s",
        "cycle_id": "c",
        "starts_on": "2026-04-01",
        "ends_on": "2026-05-01",
        "price": "29.95",
        "tax": "5.69",
        "currency": "EUR",
        "invoice_id": "i",
        "prepaid": True,
    },
)
PAYMENT = message(
    "m-4",
    "payment.captured",
    {"payment_id": "p", "invoice_id": "i", "amount": "35.64", "currency": "EUR", "method": "card"},
)
CANCELLATION = message(
    "m-5",
    "cancellation.requested",
    {"subscription_id": "s", "requested_at": "2026-04-07T09:00:00Z", "channel": "portal"},
)
RESOLVED = {"outage_id": "o", "subscription_id": "s", "resolved_at": "2026-04-04T00:00:00Z"}
STORY = (ACCOUNT, SUBSCRIPTION, CYCLE, PAYMENT, CANCELLATION)


def test_a_story_from_registration_to_a_refund_that_finance_can_read(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    (claim,) = sandbox.json("claims")
    assert (claim["claim_id"], claim["outcome"], claim["amount"], claim["tax"], claim["settlement"]) == (
        "unused/c",
        "granted",
        "23.96",
        "4.55",
        "refund",
    )
    (refund,) = sandbox.json("refunds")
    assert (refund["refund_id"], refund["status"], refund["total"]) == ("refund/unused/c/1", "due", "28.51")

    answer = sandbox.json(
        "ingest",
        lines(
            message(
                "m-6",
                "refund.succeeded",
                {
                    "refund_id": "refund/unused/c/1",
                    "processor_reference": "psp-1",
                    "succeeded_at": "2026-04-20T10:00:00Z",
                },
            )
        ),
    )
    assert answer == {"read": 1, "accepted": 1, "duplicates": 0, "refused": [], "set_aside": 0}
    (refund,) = sandbox.json("refunds")
    assert (refund["status"], refund["settled_at"], refund["processor_reference"]) == (
        "succeeded",
        "2026-04-20T10:00:00Z",
        "psp-1",
    )


def test_what_was_taken_back_is_explained_and_stays_in_the_history(sandbox: Door, lines) -> None:
    outage = {"outage_id": "o", "subscription_id": "s", "severity": "significant", "cause": "provider"}
    outage |= {"began_at": "2026-04-02T00:00:00Z", "reported_at": "2026-04-02T00:00:00Z"}
    mistaken = message("m-6", "outage.reported", outage)
    sandbox("ingest", lines(*STORY[:4], mistaken, message("m-7", "outage.resolved", RESOLVED)))
    sandbox("advance", "2026-06-01T00:00:00Z")
    assert [claim["amount"] for claim in sandbox.json("claims")] == ["2.00"]
    assert sandbox.json("explain", "disruption/c")["retracted"] == []

    data = {"retracts": {"source": "/test", "id": "m-6"}, "reason": "a test of the alarm"}
    sandbox("ingest", lines(message("m-8", "fact.retracted", data, "2026-04-20T00:00:00Z")))
    assert sandbox.json("claims") == []
    found = sandbox.json("explain", "disruption/c")
    assert found["claim"] is None
    [gone] = found["retracted"]
    by = gone["retracted_by"]
    assert (gone["type"], gone["source"], gone["id"]) == ("outage-reported.v1", "/test", "m-6")
    assert (by["source"], by["id"], gone["words"]) == ("/test", "m-8", "a test of the alarm")
    history = {row["position"]: row for row in sandbox.json("history", "acct-1")}
    assert history[gone["position"]]["event_id"] == gone["event_id"]
    assert history[by["position"]]["data"]["retracts"] == data["retracts"]
    assert history[by["position"]]["recorded_at"] == by["recorded_at"]
    assert [step["change"] for step in found["steps"]][-1] == "fell away"
    assert found["steps"][-1]["cause"] == "fact-retracted.v1"
    text = sandbox("explain", "disruption/c")
    assert f"outage-reported.v1 (m-6 from /test, {gone['position']}) was retracted by m-8" in text
    assert "“a test of the alarm”" in text
    assert [row["waits_for"] for row in sandbox.json("waiting")] == ["outage o"]


def test_a_claim_that_fell_with_its_subscription_says_which_registration_was_wrong(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    data = {"retracts": {"source": "/test", "id": "m-2"}}
    sandbox("ingest", lines(message("m-8", "fact.retracted", data)))
    assert sandbox.json("account", "acct-1")["subscriptions"] == []
    [gone] = sandbox.json("explain", "unused/c")["retracted"]
    assert (gone["type"], gone["id"], "words" in gone) == ("subscription-registered.v1", "m-2", False)


def test_the_explanation_has_the_formula_with_its_numbers_the_facts_and_the_steps(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    found = sandbox.json("explain", "unused/c")
    assert "29.95 × 24 ÷ 30" in found["formula"]
    assert "23.96" in found["formula"]
    assert found["agreement"]["agreement"] == "standard"
    assert {fact.get("id") for fact in found["facts"]} >= {"m-3", "m-5"}
    assert [step["change"] for step in found["steps"]] == ["opened"]
    assert sandbox.json("explain", "refund/unused/c/1")["claim_id"] == "unused/c"
    text = sandbox("explain", "unused/c")
    assert "opened: granted 23.96 EUR net and 4.55 tax (29.95 × 24 ÷ 30 = 23.96), after cancellation" in text
    assert "c: 29.95 and 5.69 tax, 2026-04-01 until 2026-05-01, on i" in text


def test_the_account_shows_its_status_before_and_after_the_cancellation_takes_effect(sandbox: Door, lines) -> None:
    sandbox("advance", "2026-04-10T00:00:00Z")
    sandbox("ingest", lines(*STORY))
    (subscription,) = sandbox.json("account", "acct-1")["subscriptions"]
    assert (subscription["status"], subscription["effective_on"]) == ("cancelling", "2026-05-01")
    sandbox("advance", "2026-05-01T00:00:00Z")
    (subscription,) = sandbox.json("account", "acct-1")["subscriptions"]
    assert (subscription["status"], subscription["effective_on"]) == ("cancelled", "2026-05-01")


def test_history_says_in_words_what_happened_and_who_did_it(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    told = sandbox("history", "acct-1")
    assert "what happened" in told
    for sentence in (
        "Cycle c of subscription s from 2026-04-01 until 2026-05-01 was charged: 29.95 EUR net and 5.69 EUR tax",
        "Subscription s was cancelled through the portal",
        "Claim unused/c was opened: granted, 23.96 EUR net and 4.55 EUR tax",
    ):
        assert sentence in " ".join(told.split())
    [cancelled] = [row for row in sandbox.json("history", "acct-1") if row["type"] == "cancellation-requested.v1"]
    assert (cancelled["summary"], cancelled["actor"]) == ("Subscription s was cancelled through the portal", "/test")


def test_history_and_replay_step_through_every_event(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    history = sandbox.json("history", "acct-1")
    assert [row["type"] for row in history if row["kind"] == "fact"] == [
        "account-registered.v1",
        "subscription-registered.v1",
        "cycle-started.v1",
        "payment-captured.v1",
        "cancellation-requested.v1",
    ]
    steps = sandbox.json("replay", "acct-1")
    assert len(steps) == len(history)
    assert sandbox.json("replay", "acct-1", "--to", "2") == steps[:2]


def test_a_refused_message_is_kept_and_shown_and_the_others_go_on(sandbox: Door, lines) -> None:
    wrong = message(
        "m-9",
        "charge.posted",
        {"charge_id": "x", "price": "-1.00", "currency": "EUR", "invoice_id": "i", "description": "for Ada Quill"},
    )
    answer = sandbox.json("ingest", lines(ACCOUNT, wrong, SUBSCRIPTION, "{"), exits=3)
    assert (answer["read"], answer["accepted"]) == (4, 2)
    assert [(row["line"], row["id"], row["field"]) for row in answer["refused"]] == [
        (2, "m-9", "data.price"),
        (4, None, None),
    ]
    letters = sandbox.json("dead-letters", "list")
    assert [letter["origin"] for letter in letters] == ["file:messages.jsonl:2", "file:messages.jsonl:4"]
    shown = sandbox.json("dead-letters", "show", letters[0]["dead_letter_id"])
    assert json.loads(shown["body"]) == wrong
    sandbox("dead-letters", "show", "99", exits=1)
    assert "dead-letters list" in sandbox.errors


def test_a_message_that_says_something_else_under_the_same_id_is_refused(sandbox: Door, lines) -> None:
    other = ACCOUNT | {"data": ACCOUNT["data"] | {"currency": "USD"}}
    answer = sandbox.json("ingest", lines(ACCOUNT, ACCOUNT, other), exits=3)
    assert (answer["accepted"], answer["duplicates"], answer["refused"][0]["field"]) == (1, 1, "id")


def test_facts_that_wait_are_listed_with_what_they_wait_for(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(ACCOUNT, CYCLE))
    (row,) = sandbox.json("waiting")
    assert (row["account_id"], row["waits_for"]) == ("acct-1", "subscription s")
    sandbox("ingest", lines(SUBSCRIPTION))
    assert sandbox.json("waiting") == []
    assert "no waiting facts" in sandbox("waiting")


def test_empty_answers_name_the_next_command(sandbox: Door) -> None:
    assert "makegood ingest" in sandbox("claims")
    assert (
        sandbox.json("claims") == sandbox.json("refunds") == sandbox.json("credits") == sandbox.json("alarms") == []
    )


@pytest.mark.parametrize(
    "command", [["claims"], ["ingest", "-"], ["account", "a"], ["advance", "2026-01-01T00:00:00Z"]]
)
def test_without_a_store_every_command_says_how_to_make_one(door: Door, command: list[str]) -> None:
    door(*command, exits=1)
    assert "makegood init" in door.errors


def test_init_refuses_a_store_that_is_there(sandbox: Door) -> None:
    sandbox("init", exits=1)
    assert "already" in sandbox.errors


def test_the_clock_of_a_production_store_cannot_be_set(door: Door) -> None:
    door("init")
    door("advance", "2026-01-01T00:00:00Z", exits=1)
    assert "--sandbox" in door.errors


def test_an_agreement_that_is_wrong_is_refused_with_line_and_key(sandbox: Door, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('name = "a"\nversion = 1\nvalid_from = 2000-01-01\n[disruption]\nflor = "none"\n')
    sandbox("agreement", "publish", str(file), exits=1)
    assert "line 5" in sandbox.errors
    assert "disruption.flor" in sandbox.errors
    assert [row["name"] for row in sandbox.json("agreement", "list")] == ["standard"]
    assert sandbox.json("agreement", "show", "standard")["text"].startswith("#")


def test_an_agreement_published_later_binds_what_waited_for_it(door: Door, lines) -> None:
    door("init", "--sandbox")
    door("ingest", lines(*STORY))
    assert [(c["claim_id"], c["outcome"]) for c in door.json("claims")] == [("unused/c", "pending")]
    assert [row["waits_for"] for row in door.json("waiting")] == ["agreement standard"]
    door("agreement", "publish", str(SAMPLE / "agreements" / "standard.toml"))
    assert [(c["claim_id"], c["amount"]) for c in door.json("claims")] == [("unused/c", "23.96")]
    assert door.json("waiting") == []


@pytest.mark.parametrize(
    "arguments", [["claims", "--bogus"], ["nonsense"], ["account"], ["replay", "a", "--to", "many"], []]
)
def test_wrong_usage_exits_with_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 64
    said = capsys.readouterr()
    assert "Usage" in said.out + said.err


def test_a_file_that_is_not_there_is_said_without_a_traceback(sandbox: Door) -> None:
    sandbox("ingest", "nowhere.jsonl", exits=1)
    assert sandbox.errors == "makegood: file nowhere.jsonl not found; check the path\n"


def test_contract_check_needs_no_store(lines, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = message("m-9", "outage.resolved", {"outage_id": "o", "subscription_id": "s", "resolved_at": "2026-01-01"})
    assert run(["contract", "check", lines(ACCOUNT, wrong), "--json"]) == 3
    (problem,) = json.loads(capsys.readouterr().out)
    assert (problem["line"], problem["field"]) == (2, "data.resolved_at")
    assert run(["contract", "check", lines(*STORY)]) == 0


def test_config_shows_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "--store", "postgresql://makegood:s3cret@db/books", "--json"]) == 0
    shown = capsys.readouterr().out
    assert "s3cret" not in shown
    assert json.loads(shown)["MAKEGOOD_VAULT"] == "postgresql://makegood:…@db/books_vault"


@pytest.mark.parametrize("password", ["pa/s3cret", "p@s3cret", "12?s3cret", "12#s3cret", "a:s3cret"])
def test_nor_one_that_is_not_written_as_it_should_be(
    password: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEGOOD_SMTP", f"smtp://makegood:{password}@mail.example:587")
    assert run(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["MAKEGOOD_SMTP"] == "smtp://makegood:…@mail.example:587"


@pytest.mark.parametrize("command", ["claims", "explain", "ingest", "run", "demo", "replay", "advance", "publish"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "Usage: makegood" in capsys.readouterr().out


def test_an_investigation_open_longer_than_agreed_is_listed_as_overdue(sandbox: Door, lines) -> None:
    report = message(
        "m-7",
        "billing_error.reported",
        {
            "dispute_id": "d",
            "charge_id": "c",
            "claimed": "5.00",
            "currency": "EUR",
            "reported_at": "2026-04-02T12:00:00Z",
        },
    )
    sandbox("advance", "2026-04-12T12:00:00Z")
    sandbox("ingest", lines(*STORY, report))
    (dispute,) = sandbox.json("disputes")
    assert (dispute["status"], dispute["investigate_by"], dispute["overdue"]) == (
        "investigating",
        "2026-04-12T12:00:00Z",
        False,
    )
    assert sandbox.json("disputes", "--overdue") == []
    sandbox("advance", "2026-04-12T12:00:01Z")
    assert [row["dispute_id"] for row in sandbox.json("disputes", "--overdue")] == ["d"]
    sandbox(
        "ingest",
        lines(
            message(
                "m-8", "overcharge.rejected", {"dispute_id": "d", "charge_id": "c", "reason": "the calls were made"}
            )
        ),
    )
    (dispute,) = sandbox.json("disputes")
    assert (dispute["status"], dispute["overdue"]) == ("rejected", False)
    assert "the calls were made" in sandbox("explain", "billing-error/d")


def test_to_ask_a_store_that_is_not_there_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("claims", "status", "ingest"):
        arguments = [command, "-"] if command == "ingest" else [command]
        assert run([*arguments, "--store", f"sqlite:///{tmp_path}/none.db"]) == 1
        said = capsys.readouterr()
        assert "makegood init" in said.out + said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spelled", ["books:hunter2@db/books", "db/books?password=hunter2"])
def test_a_password_in_the_option_is_warned_of_and_not_shown(
    spelled: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arguments of a process can be read by everyone on the machine; its environment cannot."""
    url = f"postgresql://{spelled}"
    assert run(["config", "--store", url]) == 0
    given = capsys.readouterr()
    assert "hunter2" not in given.out + given.err
    assert "MAKEGOOD_STORE_FILE" in given.err
    monkeypatch.setenv("MAKEGOOD_STORE", url)
    assert run(["config"]) == 0
    assert capsys.readouterr().err == ""
