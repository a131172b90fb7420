"""Refunds, credits and overpaid claims as finance decides about them by commands (contract §3b)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.application.payouts import submit_approved
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import USER, Door
from tests.door.test_commands import ACCOUNT, message
from tests.published import hold_to_type

CLAIM = "billing-error/d"
REFUND = f"refund/{CLAIM}/1"
CREDIT = f"credit/{CLAIM}/1"
ADA = ("--as", "ada")
Lines = Callable[..., str]


def said(number: int, kind: str, **data: Any) -> dict[str, Any]:
    return message(f"m-{number}", kind, data, time=f"2026-04-01T00:00:{number:02}Z")


def overcharged(number: int = 5, amount: str = "10.00", **more: Any) -> dict[str, Any]:
    data = {"dispute_id": "d", "charge_id": "c", "amount": amount, "currency": "EUR", "settle_as": "refund"}
    return said(number, "overcharge.confirmed", **data | more)


BILLED = (
    ACCOUNT,
    said(
        2,
        "charge.posted",
        charge_id="c",
        price="100.00",
        currency="EUR",
        invoice_id="i",
        description="a headset",
    ),
    said(3, "payment.captured", payment_id="p", invoice_id="i", amount="100.00", currency="EUR", method="card"),
)
TOLD = (*BILLED, overcharged())


@pytest.fixture
def owed(sandbox: Door, lines: Lines) -> Door:
    """10.00 EUR of a charge of 100.00 that was paid by card is due."""
    sandbox("ingest", lines(*TOLD))
    return sandbox


def submit(door: Door) -> int:
    """What the part `payouts` does."""
    with open_house(Settings(store=door.store)) as house:
        submitted = submit_approved(house.ledger)
        house.projections.catch_up()
    return submitted


def proposal(door: Door, refund_id: str = REFUND) -> str:
    [refund] = [each for each in door.json("refunds") if each["refund_id"] == refund_id]
    return str(refund["proposal"])


def test_a_refund_is_approved_as_it_was_seen_by_the_person_who_is_named(owed: Door) -> None:
    answer = owed.json("refund", "approve", REFUND, *ADA, "--seen", proposal(owed))
    hold_to_type("Refund", answer)
    assert (answer["status"], answer["approved_by"], answer["waits_for"]) == ("approved", "ada", None)
    [event] = [each for each in owed.json("history", "acct-1") if each["type"] == "refund-approved.v1"]
    assert (event["actor"], event["channel"]) == (f"{USER} for ada", "cli")
    assert (event["data"]["decided_by"], event["data"]["message"]["source"]) == ("ada", "/makegood/cli")
    assert event["summary"] == f"Refund {REFUND} was approved by ada: 10.00 EUR net and 0.00 EUR tax"
    assert submit(owed) == 1

    owed("refund", "approve", REFUND, *ADA, "--seen", proposal(owed), exits=1)
    assert "was submitted, and its amount is fixed" in owed.errors


def test_an_approval_that_was_overtaken_says_what_was_seen_and_what_is_due_now(owed: Door, lines: Lines) -> None:
    seen = proposal(owed)
    earlier = overcharged(9, "4.00") | {"time": "2026-03-01T00:00:00Z"}
    owed("ingest", lines(earlier))
    owed("refund", "approve", REFUND, *ADA, "--seen", seen, exits=1)
    told = owed.errors
    assert "it is 4.00 EUR (4.00 and 0.00 tax)" in told
    assert "Seen was 10.00 EUR (10.00 and 0.00 tax)" in told
    assert proposal(owed) in told
    assert "Traceback" not in told
    assert owed.json("refund", "approve", REFUND, *ADA, "--seen", proposal(owed))["total"] == "4.00"


def test_who_decides_must_be_named(owed: Door) -> None:
    owed("refund", "approve", REFUND, "--seen", proposal(owed), exits=64)
    owed("refund", "approve", REFUND, "--as", "", "--seen", proposal(owed), exits=1)
    assert "give the name of the person who decides" in owed.errors
    owed("refund", "approve", REFUND, "--as", "not a name", "--seen", proposal(owed), exits=1)
    owed("refund", "approve", "refund/nothing/1", *ADA, "--seen", proposal(owed), exits=1)
    assert "refund refund/nothing/1 not found; see `makegood refunds`" in owed.errors


def test_a_rejected_refund_is_listed_as_such_with_its_reason_in_the_vault(owed: Door) -> None:
    answer = owed.json("refund", "reject", REFUND, *ADA, "--reason", "paid by hand")
    assert (answer["status"], answer["waits_for"]) == ("rejected", None)
    assert [refund["refund_id"] for refund in owed.json("refunds", "--status", "rejected")] == [REFUND]
    assert "“paid by hand”" in owed("explain", REFUND)
    [decided] = owed.json("explain", REFUND)["decisions"]
    assert (decided["decided_by"], decided["words"]) == ("ada", "paid by hand")
    owed("refund", "reject", REFUND, *ADA, "--reason", "x" * 5_000, exits=1)
    assert "cannot be rejected: it was rejected" in owed.errors


def test_a_reason_that_is_too_long_is_refused(owed: Door) -> None:
    owed("refund", "reject", REFUND, *ADA, "--reason", "x" * 5_000, exits=1)
    assert "reason: " in owed.errors
    assert owed.json("refunds")[0]["status"] == "due"


@pytest.fixture
def failed(owed: Door, lines: Lines) -> Door:
    owed("refund", "approve", REFUND, *ADA, "--seen", proposal(owed))
    submit(owed)
    owed("ingest", lines(said(10, "refund.failed", refund_id=REFUND, reason="account closed")))
    return owed


def test_a_failed_refund_is_submitted_again(failed: Door) -> None:
    answer = failed.json("refund", "retry", REFUND, "--as", "felix")
    assert (answer["status"], answer["approved_by"]) == ("approved", "ada")
    assert submit(failed) == 1
    shown = failed("explain", REFUND)
    assert "approved at" in shown
    assert "by ada" in shown
    assert "submitted at" in shown


def test_a_failed_refund_becomes_a_credit(failed: Door) -> None:
    answer = failed.json("refund", "to-credit", REFUND, "--as", "felix")
    assert (answer["refund_id"], answer["turned_into"]) == (REFUND, CREDIT)
    assert failed.json("refunds") == []
    assert [(credit["credit_id"], credit["left"]) for credit in failed.json("credits")] == [(CREDIT, "10.00")]


def test_a_dormant_credit_is_refunded(sandbox: Door, lines: Lines) -> None:
    subscribed = said(7, "subscription.registered", subscription_id="s", agreement="standard", plan="p")
    sandbox("ingest", lines(*BILLED, subscribed, overcharged(settle_as="credit")))
    sandbox("credit", "refund", CREDIT, "--as", "felix", exits=1)
    assert "once the last subscription has ended" in sandbox.errors
    assert sandbox.json("credits", "--dormant") == []
    ended = {"subscription_id": "s", "terminated_at": "2026-04-01T00:00:06Z", "reason": "misuse"}
    sandbox("ingest", lines(said(6, "subscription.terminated", **ended)))
    [dormant] = sandbox.json("credits", "--dormant")
    hold_to_type("Credit", dormant)
    assert dormant["credit_id"] == CREDIT

    due = sandbox.json("credit", "refund", CREDIT, "--as", "felix")
    assert (due["refund_id"], due["status"], due["credit_id"]) == (f"refund/{CREDIT}/1", "due", CREDIT)
    sandbox("refund", "approve", due["refund_id"], "--as", "felix", "--seen", due["proposal"], exits=1)
    assert "another person must approve it" in sandbox.errors
    sandbox("refund", "approve", due["refund_id"], *ADA, "--seen", due["proposal"])
    assert submit(sandbox) == 1
    sandbox("credit", "refund", "credit/nothing/1", "--as", "felix", exits=1)
    assert "credit credit/nothing/1 not found; see `makegood credits`" in sandbox.errors


@pytest.fixture
def overpaid(owed: Door, lines: Lines) -> Door:
    owed("refund", "approve", REFUND, *ADA, "--seen", proposal(owed))
    submit(owed)
    owed("ingest", lines(overcharged(9, "4.00") | {"time": "2026-03-01T00:00:00Z"}))
    return owed


def test_what_went_out_too_much_is_listed_and_written_off(overpaid: Door) -> None:
    [row] = overpaid.json("overpaid")
    hold_to_type("Overpaid", row)
    assert (row["claim_id"], row["overpaid"]) == (CLAIM, "6.00")
    shown = overpaid("overpaid")
    assert "6.00" in shown
    assert REFUND in overpaid("overpaid", "--columns", "out")
    answer = overpaid.json("overpaid", "write-off", CLAIM, "--as", "felix", "--reason", "too small")
    assert answer == {
        "account_id": "acct-1",
        "claim_id": CLAIM,
        "amount": "6.00",
        "currency": "EUR",
        "outcome": "written_off",
    }
    assert overpaid.json("overpaid") == []
    assert "written off: 6.00 and 0.00 tax that were overpaid" in overpaid("explain", CLAIM)
    overpaid("overpaid", "write-off", CLAIM, "--as", "felix", "--reason", "again", exits=1)
    assert f"nothing is overpaid for claim {CLAIM}; see `makegood overpaid`" in overpaid.errors


def test_what_went_out_too_much_is_ordered_to_be_recovered(overpaid: Door) -> None:
    overpaid("overpaid", "recover", CLAIM, "--as", "felix", "--reason", "as agreed", "--account", "acct-1")
    assert "6.00 EUR to be recovered from the next credits" in overpaid.errors
    [row] = overpaid.json("overpaid", "--account", "acct-1")
    assert row["recovery_ordered_by"] == "felix"


def test_an_id_that_several_accounts_have_asks_for_the_account(owed: Door, lines: Lines) -> None:
    another = [
        each | {"subject": "acct-2", "id": f"{each['id']}-2"}
        for each in (
            ACCOUNT,
            said(2, "charge.posted", charge_id="c", price="100.00", currency="EUR", invoice_id="i", description="x"),
            said(
                3, "payment.captured", payment_id="p", invoice_id="i", amount="100.00", currency="EUR", method="card"
            ),
            overcharged(),
        )
    ]
    owed("ingest", lines(*another))
    owed("refund", "reject", REFUND, *ADA, "--reason", "no", exits=1)
    assert "choose one with --account" in owed.errors
    answer = owed.json("refund", "reject", REFUND, *ADA, "--reason", "no", "--account", "acct-2")
    assert (answer["account_id"], answer["status"]) == ("acct-2", "rejected")
