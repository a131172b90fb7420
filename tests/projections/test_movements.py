"""Movements: tables that an accountant can check by hand, and sums that give every balance at any instant."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.agreement import read_agreement
from ledger.application.account import Account
from ledger.application.catalogue import Catalogue
from ledger.events import LedgerEvent
from ledger.store.amounts import from_minor_units
from ledger.store.writing import Head
from projections.account_state import FOLDED, account_state
from projections.movement_kinds import EFFECTS, OWED
from projections.movements import MOVEMENTS, MOVEMENTS_MADE, OWED_BEFORE, OWED_NOW
from projections.projection import Row, State, Unrecorded, fold_account
from tests.ledger.books import LONG_AFTER, WITHOUT_SHRINKING
from tests.oracle import histories
from tests.policy.case import read
from tests.search import sample

Sums = dict[tuple[str, str], Decimal]
"""What is owed, by currency and what it is counted as; nothing of what comes to nothing."""


# --- balances that add up -------------------------------------------------------------------------------------------


def lived(seed: int) -> list[list[LedgerEvent]]:
    """A random history of one account: what was recorded with each message, a minute apart, and long afterwards."""
    catalogue = Catalogue()
    for text in histories.agreement_texts(money=True).values():
        catalogue.add(read_agreement(text))
    account = Account(Head("acct-1"), catalogue)
    messages = histories.history(seed, account="acct-1", money=True)
    seen, told = set(), []
    now = datetime(2026, 5, 1, tzinfo=UTC)
    for message in messages:
        if (message["source"], message["id"]) not in seen:
            seen.add((message["source"], message["id"]))
            now += timedelta(minutes=1)
            account.record(read(message), None, now)
            told.append(account.collect())
    account.assess_anew(LONG_AFTER)
    told.append(account.collect())
    return told


def from_other_projections(state: State) -> Sums:
    """What the account's balances say is owed, which other projections make."""
    found = {}
    for balance in account_state(state, "acct-1")["balances"]:
        for name, field in zip(OWED, ("refund_due", "credit_left", "captured_in_excess", "overpaid"), strict=True):
            found[balance["currency"], name] = Decimal(balance[field])  # type: ignore[literal-required]
    return nonzero(found)


def from_movements(movements: list[Row]) -> Sums:
    found: Sums = defaultdict(Decimal)
    for row in movements:
        total = from_minor_units(row["net"] + row["tax"], row["currency"])
        for name, sign in EFFECTS[row["kind"]].items():
            found[row["currency"], name] += sign * total
    return nonzero(found)


def from_what_is_owed(owing: list[Row]) -> Sums:
    found: Sums = defaultdict(Decimal)
    for row in owing:
        found[row["currency"], row["counted_as"]] += from_minor_units(row["net"] + row["tax"], row["currency"])
    return nonzero(found)


def nonzero(sums: Sums) -> Sums:
    return {key: total for key, total in sums.items() if total}


@settings(max_examples=sample(40), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
def test_movements_up_to_any_message_add_up_to_what_was_owed_then(seed: int) -> None:
    """Other projections say it, the sums of movements, and what is kept of what was owed, now and looking back."""
    told = lived(seed)
    ends, count = set(), 0
    for events in told:
        count += len(events)
        ends.add(count)
    expected: dict[int, Sums] = {}
    all_events = [event for events in told for event in events]
    unrecorded = [Unrecorded(event, number) for number, event in enumerate(all_events, 1)]
    state: dict[str, list[Row]] = {}
    for number, step in enumerate(fold_account(unrecorded, [*FOLDED, MOVEMENTS]), 1):
        if number in ends:
            state = {name: list(rows) for name, rows in step.state().items()}
            expected[number] = from_other_projections(state)
            assert from_what_is_owed(state[OWED_NOW.name]) == expected[number]
    for number, sums in expected.items():
        movements = [row for row in state[MOVEMENTS_MADE.name] if row["position"] <= number]
        assert from_movements(movements) == sums
        then = [row for row in state[OWED_NOW.name] if row["position"] <= number]
        then += [r for r in state[OWED_BEFORE.name] if r["position"] <= number < r["until_position"]]
        assert from_what_is_owed(then) == sums


@settings(max_examples=sample(40), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
def test_what_was_granted_is_made_good_in_net_and_in_tax(seed: int) -> None:
    """Of each claim: granted = reduced + set off + refunds + credited − overpaid, and what is corrected (law 8)."""
    events = [event for told in lived(seed) for event in told]
    *_, last = fold_account((Unrecorded(event, n) for n, event in enumerate(events, 1)), [MOVEMENTS])
    claims: dict[Any, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in last.state()[MOVEMENTS_MADE.name]:
        if row["claim_id"] is not None:
            moved = claims[row["claim_id"], row["currency"]][row["kind"]]
            moved[0] += row["net"]
            moved[1] += row["tax"]
    for claim, moved in claims.items():
        for part in (0, 1):
            made_good = sum(moved[k][part] for k in ("reduced", "set_off", "corrected", "refund_due", "credited"))
            assert moved["granted"][part] == made_good - moved["overpaid"][part], claim
