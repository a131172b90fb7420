"""An account as of another time: assessed anew from what had become true by then, or read as it was recorded."""

from pathlib import Path

import pytest

from makegood.cli import run
from tests.door.conftest import Door
from tests.door.test_commands import ACCOUNT, CANCELLATION, CYCLE, PAYMENT, STORY, SUBSCRIPTION, message

CUSTOMER = (ACCOUNT, SUBSCRIPTION, CYCLE, PAYMENT)
OUTAGE = message(
    "m-6",
    "outage.reported",
    {
        "outage_id": "o",
        "subscription_id": "s",
        "began_at": "2026-04-10T00:00:00Z",
        "reported_at": "2026-04-10T01:00:00Z",
        "severity": "significant",
        "cause": "provider",
    },
    "2026-04-10T01:00:00Z",
)
RESOLVED = message(
    "m-7",
    "outage.resolved",
    {"outage_id": "o", "subscription_id": "s", "resolved_at": "2026-04-13T00:00:00Z"},
    "2026-04-13T00:00:00Z",
)
CONFIRMED = message(
    "m-8",
    "overcharge.confirmed",
    {"dispute_id": "d", "charge_id": "c", "amount": "5.00", "currency": "EUR"},
    "2026-04-15T12:00:00Z",
)
WITHDRAWN = message(
    "m-9",
    "cancellation.withdrawn",
    {"subscription_id": "s", "withdrawn_at": "2026-04-09T09:00:00Z"},
    "2026-04-09T09:00:00Z",
)


def claims(account: dict) -> list[tuple[str, str, str]]:
    return [(claim["claim_id"], claim["outcome"], claim["amount"]) for claim in account["claims"]]


def test_an_outage_goes_on_as_of_an_instant_before_its_end(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*CUSTOMER, OUTAGE, RESOLVED))
    assert claims(sandbox.json("account", "acct-1")) == [("disruption/c", "granted", "3.00")]

    account = sandbox.json("account", "acct-1", "--as-of", "2026-04-12T00:00:00Z")

    assert claims(account) == [("disruption/c", "pending", "0.00")]
    assert (account["as_of"], account["known_at"], account["credits"]) == ("2026-04-12T00:00:00Z", None, [])


def test_an_overcharge_is_no_claim_before_it_is_confirmed(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*CUSTOMER, CANCELLATION, CONFIRMED))
    now = sandbox.json("account", "acct-1")
    assert claims(now) == [("billing-error/d", "granted", "5.00"), ("unused/c", "granted", "19.96")]

    before = sandbox.json("account", "acct-1", "--as-of", "2026-04-15T11:59:59Z")

    assert claims(before) == [("unused/c", "granted", "23.96")], "of the whole price: nothing had come off it yet"
    assert [refund["net"] for refund in before["refunds"]] == ["23.96"]
    after = sandbox.json("account", "acct-1", "--as-of", "2026-04-15T12:00:00Z")
    assert claims(after) == claims(now)


def test_a_cancellation_stands_until_it_was_withdrawn(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY, WITHDRAWN))

    before = sandbox.json("account", "acct-1", "--as-of", "2026-04-09T08:59:59Z")
    after = sandbox.json("account", "acct-1", "--as-of", "2026-04-09T09:00:00Z")

    assert (claims(before), before["subscriptions"][0]["status"]) == (
        [("unused/c", "granted", "23.96")],
        "cancelling",
    )
    assert (claims(after), after["subscriptions"][0]["status"]) == ([("unused/c", "withdrawn", "0.00")], "active")


def test_a_late_fact_counts_as_of_when_it_was_true_unless_it_was_not_known(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*CUSTOMER))
    known = sandbox.json("history", "acct-1")[-1]["position"]
    sandbox("ingest", lines(OUTAGE, RESOLVED))
    granted = [("disruption/c", "granted", "3.00")]

    assert claims(sandbox.json("account", "acct-1", "--as-of", "2026-04-13")) == granted
    both = sandbox.json("account", "acct-1", "--as-of", "2026-04-13", "--known-at", known)
    assert (claims(both), both["as_of"], both["known_at"]) == ([], "2026-04-13T23:59:59.999999Z", known)
    assert both["charges"] == sandbox.json("account", "acct-1")["charges"]
    assert both["nothing_yet"] is None


def test_known_at_reads_what_had_been_recorded_decisions_included(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*CUSTOMER, OUTAGE))
    before = sandbox.json("account", "acct-1")
    *_, last = sandbox.json("history", "acct-1")
    sandbox("ingest", lines(RESOLVED))

    by_position = sandbox.json("account", "acct-1", "--known-at", last["position"])
    assert by_position == before | {"known_at": last["position"]}
    by_instant = sandbox.json("account", "acct-1", "--known-at", last["recorded_at"])
    assert by_instant == before | {"known_at": last["recorded_at"]}


def test_as_of_now_is_the_account_as_it_stands(twenty_accounts: Door) -> None:
    """But for what only the record has: positions, when something was decided, and what others were told to do."""
    now = "2026-10-01T00:00:00Z"
    twenty_accounts("advance", now)
    seen = set()
    for number in range(1, 21, 2):
        account_id = f"acct-{number:04}"
        stands = twenty_accounts.json("account", account_id)
        as_of = twenty_accounts.json("account", account_id, "--as-of", now)
        assert as_of["claims"] == [claim | {"position": None} for claim in stands["claims"]], account_id
        for part in ("balances", "subscriptions", "charges", "payments", "complaints", "set_aside"):
            assert as_of[part] == stands[part], account_id
        seen |= {(claim["clause"], claim["outcome"]) for claim in stands["claims"]}
    assert len(seen) > 4


def test_before_anything_was_true_or_known_one_sentence_says_since_when(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    account_line = "Account acct-1 –, –"
    nothing = "no facts of account acct-1 were true by 2025-12-31T00:00:00Z; "
    first = "the first became true at 2026-01-01T00:00:00Z"

    said = sandbox("account", "acct-1", "--as-of", "2025-12-31T00:00:00Z")

    assert said.splitlines() == [account_line, "as of 2025-12-31T00:00:00Z", f"{nothing}{first}."]
    empty = sandbox.json("account", "acct-1", "--as-of", "2025-12-31T00:00:00Z")
    assert (empty["nothing_yet"], empty["charges"], empty["balances"]) == (f"{nothing}{first}", [], [])
    known = sandbox("account", "acct-1", "--known-at", "2001-01-01T00:00:00Z", "--as-of", "2026-02-01")
    assert known.splitlines()[1] == "as of 2026-02-01T23:59:59Z, known at 2001-01-01T00:00:00Z"
    assert "no events of account acct-1 were recorded by 2001-01-01T00:00:00Z; the first was" in known
    assert "at position 0:2." in known
    assert "has no facts" in sandbox("account", "system", "--as-of", "2026-02-01")
    sandbox("account", "acct-2", "--as-of", "2026-02-01", exits=1)
    assert "account acct-2 not found" in sandbox.errors


def test_a_retraction_makes_nothing_true_and_what_it_takes_back_was_never_the_first(sandbox: Door, lines) -> None:
    """A retraction counts at every instant, also before the account began: there is nothing to show there still."""
    mistaken = OUTAGE | {"data": OUTAGE["data"] | {"began_at": "2025-12-01T00:00:00Z"}}
    gone = message("m-10", "fact.retracted", {"retracts": {"source": "/test", "id": "m-6"}}, "2026-04-20T00:00:00Z")
    sandbox("ingest", lines(*STORY, mistaken))
    assert sandbox.json("account", "acct-1", "--as-of", "2025-12-15")["nothing_yet"] == (
        "account acct-1 was not registered by 2025-12-15T23:59:59.999999Z; only facts that wait for others were true"
    )
    sandbox("ingest", lines(gone))
    said = sandbox("account", "acct-1", "--as-of", "2025-12-15")
    nothing = "no facts of account acct-1 were true by 2025-12-15T23:59:59.999999Z"
    assert said.splitlines() == [
        "Account acct-1 –, –",
        "as of 2025-12-15T23:59:59Z",
        f"{nothing}; the first became true at 2026-01-01T00:00:00Z.",
    ]


def test_an_account_of_which_everything_was_taken_back_has_no_facts(sandbox: Door, lines) -> None:
    gone = message("m-10", "fact.retracted", {"retracts": {"source": "/test", "id": "m-1"}})
    sandbox("ingest", lines(ACCOUNT, gone))
    assert sandbox.json("account", "acct-1", "--as-of", "2026-02-01")["nothing_yet"] == (
        "account acct-1 has no facts to assess"
    )


def test_the_help_says_what_a_date_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["account", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "a date means its end in the account's time zone" in told


def test_people_are_told_that_it_was_assessed_for_the_answer(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    as_of = sandbox("account", "acct-1", "--as-of", "2026-04-08", "--known-at", "0:99")
    assert as_of.splitlines()[:2] == ["Account acct-1 EUR, UTC", "as of 2026-04-08T23:59:59Z, known at 0:99"]
    assert "Assessed for this view" in as_of
    assert "makegood explain" not in as_of
    stands = sandbox("account", "acct-1")
    assert "makegood explain" in stands
    assert "as of" not in stands


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("--as-of", "yesterday"),
        ("--as-of", "2026-03-01T00:00:00"),
        ("--as-of", "2026-02-30"),
        ("--as-of", "0001-01-01"),
        ("--as-of", "0:7"),
        ("--known-at", "yesterday"),
        ("--known-at", "2026-03-01"),
        ("--known-at", "7"),
        ("--known-at", "0:-1"),
    ],
)
def test_what_is_no_moment_is_wrong_usage(
    option: str, wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["account", "acct-1", option, wrong, "--store", f"sqlite:///{tmp_path}/none.db"]) == 64
    said = " ".join(capsys.readouterr().err.split())
    assert option in said
    assert "such as 2026-03-01T09:30:00Z" in said
    assert ("such as 2026-03-01," if option == "--as-of" else "such as 0:4536") in said
