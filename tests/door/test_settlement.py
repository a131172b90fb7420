"""Settlement as finance meets it: what is owed, refunded and kept as credit, and why (policy §7, §8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.door.conftest import ROOT, Door
from tests.door.test_commands import ACCOUNT, CANCELLATION, CYCLE, PAYMENT, SUBSCRIPTION, message
from tests.published import hold_to_type

CASES = json.loads((ROOT / "tests" / "cases" / "found.json").read_text())
LONG_AFTER = "2035-01-01T00:00:00Z"


@pytest.fixture
def found(door: Door, tmp_path: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Everything of all cases is ingested, and time has passed: how a case's account stands."""
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for case in CASES for event in case["events"]))
    door("init", "--sandbox")
    door("agreement", "publish", *sorted(map(str, (ROOT / "tests" / "cases" / "agreements").glob("*.toml"))))
    assert door.json("ingest", str(file))["refused"] == []
    door("advance", LONG_AFTER)
    return lambda case: door.json("account", case["events"][0]["subject"])


def test_what_once_went_wrong_comes_out_right(door: Door, found: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    for case in CASES:
        shown, expected = found(case), dict(case["expect"])
        if "activations" in expected:
            history = door.json("history", shown["account_id"])
            told = [event["type"] for event in history].count("activation-due.v1")
            assert told == expected.pop("activations"), case["about"]
        if "claims" in expected:
            claims = {claim["claim_id"]: claim["reason"] or claim["outcome"] for claim in shown["claims"]}
            assert claims == expected.pop("claims"), case["about"]
        balance = {name: Fraction(amount) for name, amount in shown["balances"][0].items() if name in expected}
        assert balance == {name: Fraction(amount) for name, amount in expected.items()}, case["about"]


PAID_TOO_MUCH = message(
    "m-6",
    "payment.captured",
    {"payment_id": "p-2", "invoice_id": "i", "amount": "9.00", "currency": "EUR", "method": "bank"},
)
NEXT = message(
    "m-7",
    "cycle.started",
    CYCLE["data"] | {"cycle_id": "c-2", "starts_on": "2026-05-01", "ends_on": "2026-06-01", "invoice_id": "i-2"},
    time="2026-05-01T00:00:00Z",
)


def test_what_was_paid_in_excess_is_explained_as_the_credit_that_it_is(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION, CYCLE, PAYMENT, PAID_TOO_MUCH))
    sandbox("advance", LONG_AFTER)
    sandbox("ingest", lines(NEXT))
    explained = sandbox.json("explain", "excess/i")
    hold_to_type("Explanation", explained)
    assert (explained["claim_id"], explained["clause"]) == (None, None)
    assert explained["formula"] == "44.64 paid − 35.64 charged = 9.00"
    assert [(use["charge_id"], use["amount"]) for use in explained["applied"]] == [("c-2", "9.00")]
    (credit,) = sandbox.json("credits")
    hold_to_type("Credit", credit)
    assert (credit["credit_id"], credit["claim_id"], credit["used"], credit["left"]) == (
        "excess/i",
        None,
        "9.00",
        "0.00",
    )
    told = sandbox("explain", "excess/i")
    assert "44.64 paid − 35.64 charged = 9.00" in told
    assert "9.00 EUR of excess/i for c-2 on i-2" in told


def test_a_refund_that_bounced_is_owed_again_and_the_history_of_its_settling_says_why(sandbox: Door, lines) -> None:
    said = {"refund_id": "refund/unused/c/1"}
    arrived = said | {"processor_reference": "psp-1", "succeeded_at": "2026-04-09T00:00:00Z"}
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION, CYCLE, PAYMENT, CANCELLATION))
    sandbox("ingest", lines(message("r-1", "refund.succeeded", arrived, "2026-04-09T00:00:00Z")))
    (refund,) = sandbox.json("refunds")
    assert (refund["status"], refund["processor_reference"]) == ("succeeded", "psp-1")
    assert refund["settled_at"] == "2026-04-09T00:00:00Z"
    bounced = said | {"reason": "the bank account was closed"}
    sandbox("ingest", lines(message("r-2", "refund.failed", bounced, "2026-04-12T00:00:00Z")))
    (refund,) = sandbox.json("refunds")
    assert (refund["status"], refund["total"], refund["processor_reference"]) == ("failed", "28.51", None)
    explained = sandbox.json("explain", "unused/c")
    assert [step["reasons"] for step in explained["settlements"]] == [["claimed"], ["gone_out"], ["gone_out"]]
    assert "failed and owed again" in sandbox("explain", "unused/c")


def test_an_account_shows_where_each_invoice_stands(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION, CYCLE, PAYMENT, PAID_TOO_MUCH))
    shown = sandbox.json("account", "acct-1")
    hold_to_type("Account", shown)
    (invoice,) = shown["invoices"]
    assert {name: invoice[name] for name in ("charged", "paid_in_money", "asks_for", "excess", "excess_credit")} == {
        "charged": "35.64",
        "paid_in_money": "44.64",
        "asks_for": "0.00",
        "excess": "9.00",
        "excess_credit": None,
    }
    assert shown["balances"][0]["captured_in_excess"] == "9.00"


def test_a_payment_that_waits_for_a_charge_is_listed_as_waiting(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(ACCOUNT, PAYMENT))
    (waits,) = sandbox.json("waiting")
    assert (waits["id"], waits["waits_for"]) == ("m-4", "charge on invoice i")
    (balance,) = sandbox.json("account", "acct-1")["balances"]
    assert (balance["captured"], balance["captured_in_excess"]) == ("35.64", "0.00")
    sandbox("ingest", lines(SUBSCRIPTION, CYCLE))
    assert sandbox.json("waiting") == []
