"""Questions: shapes of the contract, order by code point, and what was known when."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.events import (
    AccountRegistered,
    AlarmRaised,
    ChargePosted,
    ClaimState,
    RefundFailed,
    RefundSucceeded,
    SubscriptionStatusChanged,
)
from ledger.store.database import Database
from ledger.store.positions import KnownAt, Reached
from ledger.store.reading.events import recorded_by
from projections import account_state, alarms, asking, audit_trail, claims, credits, refunds, replay
from projections.follower import Follower
from tests.projections.stories import START, Story, gone_out, granted, part, standing


def kept(database: Database, story: Story) -> Database:
    """The database with the story stored and folded."""
    story.write(database)
    follower = Follower(database)
    follower.create()
    follower.catch_up()
    return database


def charge(story: Story, account: str, charge_id: str, price: str, **more: Any) -> None:
    data = {"subscription_id": None, "tax": Decimal("0.00"), "currency": "EUR", "invoice_id": "inv-1"}
    story.tell(ChargePosted, account, charge_id=charge_id, price=Decimal(price), **data, **more)


def test_lists_are_in_the_order_of_code_points_in_every_database(database: Database) -> None:
    story = Story()
    names = ["ångström", "b", "B", "a", "Z", "_", "1", "10", "2"]
    for name in names:
        for claim_id in ("unused/b", "unused/A", "unused/a-"):
            story.assess(None, granted("2.00"), name, claim_id)
            parts = (part("refund", "refund/x", "1.00"), part("credit", "credit/x", "1.00"))
            story.settle(*parts, account=name, claim_id=claim_id)
        story.tell(
            AlarmRaised,
            name,
            alarm="a",
            about=("x",),
            claim_id=None,
            charge_id=None,
            subscription_id=None,
            now=START,
        )
    kept(database, story)

    listed = [(claim["account_id"], claim["claim_id"]) for claim in claims.listed(database)]
    assert listed == sorted((name, c) for name in names for c in ("unused/b", "unused/A", "unused/a-"))
    for question in (refunds.listed, credits.listed, alarms.listed):
        assert [row["account_id"] for row in question(database)] == sorted(names)


def test_lists_are_narrowed_down_by_what_is_asked_for(database: Database) -> None:
    story = Story()
    declined = ClaimState(
        outcome="declined", reason="terms", amount=Decimal("0.00"), tax=Decimal("0.00"), settle_as="credit"
    )
    story.assess(None, granted("1.00"), "a")
    story.settle(part("refund", "refund/1", "1.00"), account="a")
    story.assess(None, declined, "b", "disruption/cycle-1", clause="service_disruption")
    story.assess(None, granted("1.00"), "b")
    story.settle(part("refund", "refund/1", "1.00"), account="b")
    story.tell(RefundFailed, "b", refund_id="refund/1")
    story.settle(part("refund", "refund/1", "1.00", status="failed"), account="b")
    kept(database, story)

    assert len(claims.listed(database)) == 3
    assert [c["account_id"] for c in claims.listed(database, clause="unused_period")] == ["a", "b"]
    assert [c["reason"] for c in claims.listed(database, accounts=["b"], outcome="declined")] == ["terms"]
    assert [r["account_id"] for r in refunds.listed(database, status="failed")] == ["b"]
    assert refunds.listed(database, accounts=["b"], status="due") == []
    assert credits.listed(database) == []


def test_an_id_that_several_accounts_have_asks_for_the_account(database: Database) -> None:
    story = Story()
    for account in ("a", "b"):
        story.assess(None, granted("2.00"), account)
        story.settle(part("refund", "refund/1", "1.00"), part("credit", "credit/1", "1.00"), account=account)
    arrived = {"processor_reference": "psp", "succeeded_at": START, "amount": None, "currency": None}
    story.tell(RefundSucceeded, "b", refund_id="refund/1", **arrived)
    story.settle(gone_out("refund", "refund/1", "1.00"), part("credit", "credit/1", "1.00"), account="b")
    kept(database, story)

    with pytest.raises(asking.AmbiguousId, match="2 accounts have unused/cycle-1: a, b; choose one with --account"):
        claims.find(database, "unused/cycle-1")
    found = (
        claims.find(database, "unused/cycle-1", "b"),
        refunds.find(database, "refund/1", "b"),
        credits.find(database, "credit/1", "b"),
    )
    assert [answer and answer["account_id"] for answer in found] == ["b", "b", "b"]
    assert found[1] is not None
    assert found[1]["status"] == "succeeded"
    assert claims.find(database, "unused/cycle-2") is None
    assert refunds.find(database, "refund/2", "b") is None
    assert credits.find(database, "credit/2") is None


def test_an_account_is_shown_alike_from_rows_and_from_its_events(database: Database) -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    charge(story, "acct-1", "charge-1", "5.00")
    charge(story, "acct-2", "charge-2", "7.00")
    reduced = standing("5.00", reduced="1.00", asks_for="4.00")
    story.settle(part("invoice_reduction", "inv-1", "1.00"), stands=reduced)
    story.stand(standing("7.00", asks_for="7.00"), "acct-2")
    kept(database, story)

    account = account_state.account(database, "acct-1").state
    assert account == account_state.account_recorded(account_state.recorded(database, "acct-1"), "acct-1")
    assert [balance["owed"] for balance in account["balances"]] == ["4.00"]
    assert [charge["charge_id"] for charge in account["charges"]] == ["charge-1"]


def test_an_account_of_which_only_waiting_facts_are_known_is_shown(memory: Database) -> None:
    story = Story()
    story.tell(RefundFailed, refund_id="refund/unknown")
    kept(memory, story)

    account = account_state.account(memory, "acct-1").state
    assert (account["time_zone"], account["balances"], account["refunds"]) == (None, [], [])


def test_an_account_that_nobody_heard_of_is_a_named_error(memory: Database) -> None:
    kept(memory, Story())
    for ask in (account_state.account, account_state.recorded, replay.replay, audit_trail.listed):
        with pytest.raises(asking.UnknownAccount, match="account acct-9 not found"):
            ask(memory, "acct-9")  # type: ignore[operator]


def test_an_account_is_read_as_it_was_recorded_by_an_instant_or_with_a_position(memory: Database) -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    charge(story, "acct-2", "another's", "5.00")
    charge(story, "acct-1", "late", "5.00", occurred_at=START + timedelta(days=1))
    charge(story, "acct-1", "later", "7.00", occurred_at=START - timedelta(days=9))
    kept(memory, story)

    def charges(known_at: KnownAt | None) -> list[str]:
        known = recorded_by(account_state.recorded(memory, "acct-1"), known_at)
        return [charge["charge_id"] for charge in account_state.account_recorded(known, "acct-1")["charges"]]

    assert charges(None) == ["late", "later"]
    assert charges(START + timedelta(minutes=3)) == charges(Reached({0: 3})) == ["late"]
    assert charges(START + timedelta(minutes=4)) == charges(Reached({0: 4})) == ["late", "later"]
    assert charges(START) == charges(Reached({0: 2})) == charges(Reached({1: 4})) == []


def test_a_replay_tells_what_each_event_changed_and_how_the_account_stood_then(memory: Database) -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    story.assess(None, granted("1.00"))
    story.settle(part("refund", "refund/1", "1.00"), stands=standing("5.00", paid_in_money="5.00"))
    status = {"before": None, "after": "cancelling", "effective_on": date(2026, 4, 1), "now": START}
    story.tell(SubscriptionStatusChanged, subscription_id="sub-1", **status)
    story.assess(granted("1.00"), None)
    story.settle()
    kept(memory, story)

    steps = list(replay.replay(memory, "acct-1"))
    assert [(step["version"], step["position"], step["name"]) for step in steps] == [
        (1, "0:1", "AccountRegistered"),
        (2, "0:2", "ClaimAssessed"),
        (3, "0:3", "SettlementChanged"),
        (4, "0:4", "SubscriptionStatusChanged"),
        (5, "0:5", "ClaimAssessed"),
        (6, "0:6", "SettlementChanged"),
    ]
    assert [[change["table"] for change in step["changed"]] for step in steps] == [
        ["accounts"],
        ["claims"],
        ["invoices", "claim_settlements", "payouts", "refunds"],
        ["subscriptions", "instructions", "instructed_ends"],
        ["claims"],
        ["invoices", "claim_settlements", "payouts", "refunds"],
    ]
    assert steps[2]["changed"][3]["row"]["due_at"] == story.recorded_at(3)
    assert steps[4]["changed"][0] == {
        "table": "claims",
        "key": {"account": "acct-1", "claim_id": "unused/cycle-1"},
        "row": None,
    }
    recorded = account_state.recorded(memory, "acct-1")
    states = [account_state.account_recorded(recorded[:number], "acct-1") for number in range(1, 7)]
    assert [len(state["claims"]) for state in states] == [0, 1, 1, 1, 0, 0]
    assert [len(state["refunds"]) for state in states] == [0, 0, 1, 1, 1, 0]
    assert states[-1] == account_state.account(memory, "acct-1").state
    assert [step["version"] for step in replay.replay(memory, "acct-1", to=2)] == [1, 2]


def test_a_history_shows_facts_and_decisions_with_their_data_as_stored(database: Database) -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR", occurred_at=START)
    story.tell(AccountRegistered, "acct-2", time_zone="UTC", currency="EUR")
    story.assess(None, granted("1.00"))
    settled = story.settle(part("refund", "refund/1", "1.00"))
    story.settle(part("refund", "refund/2", "1.00"), claim_id="unused/cycle-2")
    kept(database, story)

    first, second, *_ = audit_trail.listed(database, "acct-1")
    assert {name: value for name, value in first.items() if name != "data"} == {
        "position": "0:1",
        "version": 1,
        "kind": "fact",
        "type": "account-registered.v1",
        "name": "AccountRegistered",
        "summary": "The account was registered with the currency EUR and the time zone UTC",
        "event_id": "event-0-1",
        "stream": "account/acct-1",
        "occurred_at": "2026-03-01T09:00:00Z",
        "recorded_at": story.recorded_at(1),
        "actor": "/billing",
        "channel": "file",
        "cause": None,
        "claim_id": None,
    }
    assert first["data"]["currency"] == "EUR"
    assert (second["position"], second["version"], second["kind"]) == ("0:3", 2, "decision")
    assert second["claim_id"] == "unused/cycle-1"
    decisions = audit_trail.listed(database, "acct-1", audit_trail.Wanted(types=["settlement-changed.v1"]))
    assert settled.account_version in [row["version"] for row in decisions]
