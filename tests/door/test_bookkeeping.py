"""Double entry: the accounts of the journal agree with what is owed, paid back and asked for, after any history."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.events.billing_account import Clause
from ledger.store.amounts import from_minor_units
from makegood.exports.bookkeeping import (
    ACCOUNTS,
    BANK,
    CLAIM,
    CLAIMS,
    ENTRIES,
    EXCESS,
    OWED_IN,
    RECEIVABLES,
    RECOVERY,
    REFUNDS_DUE,
    REFUNDS_SUBMITTED,
    UNSETTLED,
    postings,
)
from projections.account_state import FOLDED, account_state
from projections.movement_kinds import EFFECTS, KINDS, MovementKind
from projections.movements import MOVEMENTS, MOVEMENTS_MADE
from projections.projection import State, Unrecorded, fold_account
from tests.ledger.books import WITHOUT_SHRINKING
from tests.projections.test_movements import (
    CLAIM_IN_ANOTHER_CURRENCY,
    FAILED_BEFORE_IT_WAS_APPLIED,
    RECOVERY_OF_A_CREDIT_THAT_WENT,
    TAX_BELOW_ZERO,
    USED_OF_AN_EXCESS_AND_GIVEN_BACK,
    from_other_projections,
    lived,
)
from tests.search import sample

CONTRACT = Path(__file__).resolve().parents[2] / "docs" / "contract.md"
Balances = dict[tuple[str, str], Decimal]
"""What each account has, by currency and account; debits are positive."""


def booked(state: State) -> Balances:
    """The balances of all movements' postings."""
    rows = state[MOVEMENTS_MADE.name]
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["kind"] == "submitted":
            refund = row["item_id"], row["currency"]
            first[refund] = min(row["position"], first.get(refund, row["position"]))
    found: Balances = defaultdict(Decimal)
    for row in rows:
        net, tax = (from_minor_units(row[name], row["currency"]) for name in ("net", "tax"))
        at = first.get((row["item_id"], row["currency"]))
        submitted = at is not None and at <= row["position"]
        entry = list(postings(row["kind"], row["clause"], net, tax, submitted=submitted))
        assert sum(posting.amount for posting in entry) == 0
        for posting in entry:
            found[row["currency"], posting.account] += posting.amount
    return found


@settings(max_examples=sample(40), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
@example(seed=TAX_BELOW_ZERO)
@example(seed=FAILED_BEFORE_IT_WAS_APPLIED)
@example(seed=USED_OF_AN_EXCESS_AND_GIVEN_BACK)
@example(seed=CLAIM_IN_ANOTHER_CURRENCY)
@example(seed=RECOVERY_OF_A_CREDIT_THAT_WENT)
def test_after_any_history_the_books_foot_with_everything_else_that_is_known(seed: int) -> None:
    events = [event for told in lived(seed) for event in told]
    *_, last = fold_account((Unrecorded(event, n) for n, event in enumerate(events, 1)), [*FOLDED, MOVEMENTS])
    state = last.state()
    balances, shown, owed = booked(state), account_state(state, "acct-1"), from_other_projections(state)
    for currency in {currency for currency, _ in balances}:

        def had(*accounts: str, currency: str = currency) -> Decimal:
            return sum((balances[currency, account] for account in accounts), Decimal(0))

        for name, accounts in OWED_IN.items():
            assert had(*accounts) == (1 if name == "overpaid" else -1) * owed.get((currency, name), Decimal(0)), name
        assert had(UNSETTLED) == had(RECOVERY) == 0
        assert had(REFUNDS_SUBMITTED) <= 0, "nothing arrives that was not submitted"
        (refunded,) = (Decimal(each["refunded"]) for each in shown["balances"] if each["currency"] == currency)
        assert had(BANK) == -refunded

        applied = sum(
            from_minor_units(row["net"] + row["tax"], currency)
            for row in state[MOVEMENTS_MADE.name]
            if row["kind"] == "applied" and row["currency"] == currency
        )
        invoices = [invoice for invoice in shown["invoices"] if invoice["currency"] == currency]
        charged, paid, from_balance, asked_for = (
            sum((Decimal(invoice[name]) for invoice in invoices), Decimal(0))  # type: ignore[literal-required]
            for name in ("charged", "paid_in_money", "paid_from_balance", "asks_for")
        )
        if all(Decimal(invoice["charged"]) for invoice in invoices):  # a payment without a charge waits for one
            assert charged - paid - (from_balance - applied) + had(RECEIVABLES) == asked_for


@pytest.mark.parametrize("kind", KINDS)
def test_a_movement_books_to_the_amounts_owed_what_it_does_to_them(kind: MovementKind) -> None:
    for submitted in (True, False):
        entry = list(postings(kind, "complaint", Decimal("10.00"), Decimal("1.90"), submitted=submitted))
        for name, accounts in OWED_IN.items():
            change = sum((p.amount for p in entry if p.account in accounts), Decimal(0))
            owed = change if name == "overpaid" else -change
            assert owed == EFFECTS[kind].get(name, 0) * Decimal("11.90")


def test_an_accountant_can_check_these_by_hand() -> None:
    def entry(kind: MovementKind, net: str, tax: str, *, submitted: bool = False) -> list[tuple[str, str]]:
        made = postings(kind, "unused_period", Decimal(net), Decimal(tax), submitted=submitted)
        return [(posting.account, str(posting.amount)) for posting in made]

    assert entry("granted", "11.20", "2.13") == [
        ("Income:Claims:Unused-Period", "11.20"),
        ("Liabilities:Tax", "2.13"),
        (UNSETTLED, "-13.33"),
    ]
    assert entry("granted", "-11.20", "0.00") == [("Income:Claims:Unused-Period", "-11.20"), (UNSETTLED, "11.20")]
    assert entry("refund_due", "11.20", "2.13") == [(UNSETTLED, "13.33"), (REFUNDS_DUE, "-13.33")]
    assert entry("submitted", "11.20", "2.13", submitted=True) == [
        (REFUNDS_DUE, "13.33"),
        (REFUNDS_SUBMITTED, "-13.33"),
    ]
    assert entry("refunded", "11.20", "2.13", submitted=True) == [(REFUNDS_SUBMITTED, "13.33"), (BANK, "-13.33")]
    assert entry("refunded", "11.20", "2.13") == [(REFUNDS_DUE, "13.33"), (BANK, "-13.33")]
    assert entry("rejected", "11.20", "2.13") == [
        (REFUNDS_DUE, "13.33"),
        ("Income:Refunds-Rejected", "-11.20"),
        ("Liabilities:Tax", "-2.13"),
    ]
    assert entry("paid_in_excess", "5.00", "0.00") == [(RECEIVABLES, "5.00"), (EXCESS, "-5.00")]
    assert entry("corrected", "0.01", "-0.01") == [(UNSETTLED, "0.00"), (UNSETTLED, "0.00")]


def test_every_clause_and_every_kind_has_its_place() -> None:
    assert set(CLAIMS) == set(get_args(Clause))
    assert set(ENTRIES) == set(KINDS)
    named = {account for entry in ENTRIES.values() for side in (entry.debit, entry.credit) for account in side}
    assert named - {CLAIM} | set(CLAIMS.values()) == set(ACCOUNTS)


def test_the_contract_has_the_table_of_entries_and_accounts() -> None:
    text = CONTRACT.read_text(encoding="utf-8")
    for kind, entry in ENTRIES.items():
        sides = [
            ", ".join(_said(account, of) for account, of in side.items()) for side in (entry.debit, entry.credit)
        ]
        assert f"| `{kind}` | {sides[0]} | {sides[1]} |" in text, kind
    for account, says in ACCOUNTS.items():
        if account not in CLAIMS.values():
            assert f"| `{account}` | {says} |" in text, account
    published = json.loads((CONTRACT.parent / "contract" / "exports.json").read_text(encoding="utf-8"))
    assert set(published["journal"]["accounts"]) == set(ACCOUNTS)


def _said(account: str, of: str) -> str:
    name = f"`{account}:CLAUSE`" if account == CLAIM else f"`{account}`"
    return name if of == "total" else f"{name} ({of})"
