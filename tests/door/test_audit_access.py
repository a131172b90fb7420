"""`makegood audit access`: who was given access in a month, and who approved what (contract §3c)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.application import payouts
from tests.door.conftest import Door
from tests.door.test_complaints import Desk
from tests.door.test_payouts import ADA, BILLED, CREDIT, REFUND, TOLD, overcharged, proposal, said

MONTH = ("--period", "2030-04")
Lines = Callable[..., str]


@pytest.fixture
def april(sandbox: Door, lines: Lines) -> Door:
    """A sandbox in the middle of April 2030, in which a refund is due."""
    sandbox("advance", "2030-04-10T00:00:00Z")
    sandbox("ingest", lines(*TOLD))
    return sandbox


def test_grants_and_revocations_of_the_month_are_told_and_no_others(april: Door) -> None:
    april("access", "grant", "ada", "approver")
    april("access", "grant", "zoe", "customer", "--account", "acct-1")
    april("access", "key", "issue", "billing-1")
    april("advance", "2030-05-01T00:00:00Z")
    april("access", "revoke", "ada", "approver", "--actor", "olga")
    told = april.json("audit", "access", *MONTH)
    assert [(row["principal"], row["role"], row["account_id"], row["key_id"] is None) for row in told["grants"]] == [
        ("ada", "approver", None, True),
        ("zoe", "customer", "acct-1", True),
        ("billing-1", None, None, False),
    ]
    assert (told["revocations"], told["approvals"], told["period"]) == ([], 0, "2030-04")
    later = april.json("audit", "access", "--period", "2030-05")
    [revoked] = later["revocations"]
    assert (revoked["principal"], revoked["role"], revoked["by"].rpartition(" for ")[2]) == (
        "ada",
        "approver",
        "olga",
    )
    assert later["grants"] == []
    shown = april("audit", "access", *MONTH)
    assert "Roles granted and API keys issued in 2030-04" in shown
    assert "0 approvals of refunds and goodwill credits: none is a self-approval" in shown + april.errors
    april("audit", "access", "--period", "april", exits=64)


def test_what_somebody_approved_whose_role_was_revoked_since_is_listed(april: Door) -> None:
    april("access", "grant", "ada", "approver")
    april("access", "grant", "ada", "support")
    april("refund", "approve", REFUND, *ADA, "--seen", proposal(april))
    april("access", "revoke", "ada", "support")
    assert april.json("audit", "access", *MONTH)["approved_by_revoked"] == [], "that role approves nothing"
    april("advance", "2030-06-01T00:00:00Z")
    april("access", "revoke", "ada", "approver")
    [row] = april.json("audit", "access", *MONTH)["approved_by_revoked"]
    assert (row["id"], row["approved_by"], row["role"]) == (REFUND, "ada", "approver")
    assert (row["revoked_at"][:10], row["granted_again"]) == ("2030-06-01", False)
    april("access", "grant", "ada", "approver")
    [row] = april.json("audit", "access", *MONTH)["approved_by_revoked"]
    assert row["granted_again"] is True
    assert april.json("audit", "access", *MONTH)["self_approvals"] == []


def test_a_goodwill_credit_approved_by_its_proposer_is_found_and_counts_for_nothing(
    sandbox: Door, lines: Lines
) -> None:
    """It is approved by another person after that, which is none."""
    sandbox("advance", "2030-04-10T00:00:00Z")
    desk = Desk(sandbox, lines)
    upstream = desk.upstream
    desk.ingest(*upstream.customer(), upstream.complaint_opened())
    desk.instruct("support-1", upstream.goodwill_proposed(), upstream.goodwill_approved(decided_by="support-1"))
    desk.instruct("approver-1", upstream.goodwill_approved())
    told = sandbox.json("audit", "access", *MONTH)
    assert told["approvals"] == 2
    [own] = told["self_approvals"]
    assert (own["what"], own["id"], own["approved_by"]) == ("goodwill credit", "gw-1", "support-1")
    assert (own["act_type"], own["counts"]) == ("goodwill-proposed.v1", False)


def test_a_refund_approved_by_who_asked_for_it_is_found_where_the_door_had_let_it_pass(
    sandbox: Door, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door refuses it; here it forgets to, as a defect or somebody who writes the events would have it."""
    subscribed = said(7, "subscription.registered", subscription_id="s", agreement="standard", plan="p")
    ended = {"subscription_id": "s", "terminated_at": "2026-04-01T00:00:06Z", "reason": "misuse"}
    sandbox("advance", "2030-04-10T00:00:00Z")
    sandbox(
        "ingest",
        lines(*BILLED, subscribed, overcharged(settle_as="credit"), said(6, "subscription.terminated", **ended)),
    )
    due = sandbox.json("credit", "refund", CREDIT, "--as", "felix")
    approve = ("refund", "approve", due["refund_id"], "--as", "felix", "--seen", due["proposal"])
    sandbox(*approve, exits=1)
    assert sandbox.json("audit", "access", *MONTH)["self_approvals"] == []
    monkeypatch.setattr(payouts, "is_same_person", lambda one, other: False)
    sandbox(*approve)
    told = sandbox.json("audit", "access", *MONTH)
    [row] = told["self_approvals"]
    assert (row["what"], row["id"], row["act_type"], row["counts"]) == (
        "refund",
        due["refund_id"],
        "credit-refund-requested.v1",
        True,
    )
    assert "Self-approvals (1 approvals" in sandbox("audit", "access", *MONTH) + sandbox.errors
