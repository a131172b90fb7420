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
from ledger.store.instants import to_microseconds
from ledger.store.positions import KnownAt, Reached
from ledger.store.reading import recorded_by
from projections import queries
from projections.follower import Follower
from projections.kept import dead_letters
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

    listed = [(claim["account_id"], claim["claim_id"]) for claim in queries.claims(database)]
    assert listed == sorted((name, c) for name in names for c in ("unused/b", "unused/A", "unused/a-"))
    for question in (queries.refunds, queries.credits, queries.alarms):
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

    assert len(queries.claims(database)) == 3
    assert [c["account_id"] for c in queries.claims(database, clause="unused_period")] == ["a", "b"]
    assert [c["reason"] for c in queries.claims(database, account="b", outcome="declined")] == ["terms"]
    assert [r["account_id"] for r in queries.refunds(database, status="failed")] == ["b"]
    assert queries.refunds(database, account="b", status="due") == []
    assert queries.credits(database) == []


def test_an_id_that_several_accounts_have_asks_for_the_account(database: Database) -> None:
    story = Story()
    for account in ("a", "b"):
        story.assess(None, granted("2.00"), account)
        story.settle(part("refund", "refund/1", "1.00"), part("credit", "credit/1", "1.00"), account=account)
    arrived = {"processor_reference": "psp", "succeeded_at": START, "amount": None, "currency": None}
    story.tell(RefundSucceeded, "b", refund_id="refund/1", **arrived)
    story.settle(gone_out("refund", "refund/1", "1.00"), part("credit", "credit/1", "1.00"), account="b")
    kept(database, story)

    with pytest.raises(queries.AmbiguousId, match="2 accounts have unused/cycle-1: a, b; choose one with --account"):
        queries.find_claim(database, "unused/cycle-1")
    found = (
        queries.find_claim(database, "unused/cycle-1", "b"),
        queries.find_refund(database, "refund/1", "b"),
        queries.find_credit(database, "credit/1", "b"),
    )
    assert [answer and answer["account_id"] for answer in found] == ["b", "b", "b"]
    assert found[1] is not None
    assert found[1]["status"] == "succeeded"
    assert queries.find_claim(database, "unused/cycle-2") is None
    assert queries.find_refund(database, "refund/2", "b") is None
    assert queries.find_credit(database, "credit/2") is None


def test_an_account_is_shown_alike_from_rows_and_from_its_events(database: Database) -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    charge(story, "acct-1", "charge-1", "5.00")
    charge(story, "acct-2", "charge-2", "7.00")
    reduced = standing("5.00", reduced="1.00", asks_for="4.00")
    story.settle(part("invoice_reduction", "inv-1", "1.00"), stands=reduced)
    story.stand(standing("7.00", asks_for="7.00"), "acct-2")
    kept(database, story)

    account = queries.account(database, "acct-1")
    assert account == queries.account_recorded(queries.recorded(database, "acct-1"), "acct-1")
    assert [balance["owed"] for balance in account["balances"]] == ["4.00"]
    assert [charge["charge_id"] for charge in account["charges"]] == ["charge-1"]


def test_an_account_of_which_only_waiting_facts_are_known_is_shown(memory: Database) -> None:
    story = Story()
    story.tell(RefundFailed, refund_id="refund/unknown")
    kept(memory, story)

    account = queries.account(memory, "acct-1")
    assert (account["time_zone"], account["balances"], account["refunds"]) == (None, [], [])


def test_an_account_that_nobody_heard_of_is_a_named_error(memory: Database) -> None:
    kept(memory, Story())
    for ask in (queries.account, queries.recorded, queries.replay, queries.history):
        with pytest.raises(queries.UnknownAccount, match="account acct-9 not found"):
            ask(memory, "acct-9")  # type: ignore[operator]


def test_an_account_is_read_as_it_was_recorded_by_an_instant_or_with_a_position(memory: Database) -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    charge(story, "acct-2", "another's", "5.00")
    charge(story, "acct-1", "late", "5.00", occurred_at=START + timedelta(days=1))
    charge(story, "acct-1", "later", "7.00", occurred_at=START - timedelta(days=9))
    kept(memory, story)

    def charges(known_at: KnownAt | None) -> list[str]:
        known = recorded_by(queries.recorded(memory, "acct-1"), known_at)
        return [charge["charge_id"] for charge in queries.account_recorded(known, "acct-1")["charges"]]

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

    steps = list(queries.replay(memory, "acct-1", with_state=True))
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
        ["invoices", "claim_settlements", "refunds"],
        ["subscriptions", "instructions", "instructed_ends"],
        ["claims"],
        ["invoices", "claim_settlements", "refunds"],
    ]
    assert steps[2]["changed"][2]["row"]["due_at"] == story.recorded_at(3)
    assert steps[4]["changed"][0] == {
        "table": "claims",
        "key": {"account": "acct-1", "claim_id": "unused/cycle-1"},
        "row": None,
    }
    assert [len(step["state"]["claims"]) for step in steps] == [0, 1, 1, 1, 0, 0]
    assert [len(step["state"]["refunds"]) for step in steps] == [0, 0, 1, 1, 1, 0]
    assert steps[-1]["state"] == queries.account(memory, "acct-1")
    assert [step["version"] for step in queries.replay(memory, "acct-1", to=2)] == [1, 2]
    assert "state" not in next(queries.replay(memory, "acct-1"))


def test_a_history_shows_facts_and_decisions_with_their_data_as_stored(database: Database) -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR", occurred_at=START)
    story.tell(AccountRegistered, "acct-2", time_zone="UTC", currency="EUR")
    story.assess(None, granted("1.00"))
    settled = story.settle(part("refund", "refund/1", "1.00"))
    story.settle(part("refund", "refund/2", "1.00"), claim_id="unused/cycle-2")
    kept(database, story)

    first, second, *_ = queries.history(database, "acct-1")
    assert {name: value for name, value in first.items() if name != "data"} == {
        "position": "0:1",
        "version": 1,
        "kind": "fact",
        "type": "account-registered.v1",
        "name": "AccountRegistered",
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
    about = queries.history(database, "acct-1", claim_id="unused/cycle-1")
    assert [row["version"] for row in about] == [2, settled.account_version], "with the changes of its settlement"


def test_waiting_facts_are_listed_with_their_age(database: Database) -> None:
    kept(database, Story())
    columns = ("event_id", "account", "type", "source", "id", "waits_for", "since")
    with database.writing() as transaction:
        transaction.insert(
            "waiting",
            columns,
            [
                ("e2", "b", "outage-resolved.v1", "/noc", "m-2", "outage o-1", to_microseconds(START)),
                ("e1", "a", "cycle-started.v1", "/billing", "m-1", "account a", to_microseconds(START)),
            ],
        )

    now = START + timedelta(hours=1, milliseconds=900)
    assert queries.waiting(database, now, account="b") == [
        {
            "account_id": "b",
            "type": "outage-resolved.v1",
            "source": "/noc",
            "id": "m-2",
            "waits_for": "outage o-1",
            "since": "2026-03-01T09:00:00Z",
            "age_seconds": 3600,
            "event_id": "e2",
        }
    ]
    assert [row["account_id"] for row in queries.waiting(database, now)] == ["a", "b"]


def test_dead_letters_are_listed_the_newest_last(database: Database) -> None:
    kept(database, Story())
    columns = (
        "position",
        "dead_letter_id",
        "origin",
        "reason",
        "field",
        "source",
        "id",
        "account",
        "channel",
        "refused_at",
    )
    with database.writing() as transaction:
        transaction.insert(
            "dead_letters",
            columns,
            [
                (
                    2,
                    "d2",
                    "file:x:7",
                    "unknown type",
                    "type",
                    "/noc",
                    "m-2",
                    "acct-1",
                    "file",
                    to_microseconds(START),
                ),
                (1, "d1", "file:x:3", "not JSON", None, None, None, None, "file", to_microseconds(START)),
            ],
        )

    first, second = dead_letters(database)
    assert (first["position"], first["account_id"], first["field"]) == (1, None, None)
    assert second == {
        "position": 2,
        "dead_letter_id": "d2",
        "origin": "file:x:7",
        "reason": "unknown type",
        "field": "type",
        "source": "/noc",
        "id": "m-2",
        "account_id": "acct-1",
        "channel": "file",
        "refused_at": "2026-03-01T09:00:00Z",
        "status": "open",
        "closed_by": None,
        "closed_at": None,
    }
