"""What changes because time passes: done once, in order, each at its own instant, however far the clock jumps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.application import due_work
from ledger.application.account import Account
from ledger.application.due_work import ClockGoesForward, NotASandbox, advance, do_due_work, next_due_at
from ledger.store.database import Transaction
from tests.ledger.books import LONG_AFTER, WITHOUT_SHRINKING, Books, Killed, killed, oracle_agreements
from tests.ledger.messages import Upstream
from tests.oracle import histories, policy
from tests.search import sample

BEFORE_EVERYTHING = datetime(2009, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def sandbox(now: str = "2026-03-15", **asked: Any) -> Books:
    """A sandbox whose clock was set."""
    books = Books.open(sandbox=True, **asked)
    advance(books.ledger, at(now))
    return books


def decided_by_time(books: Books) -> list[dict[str, Any]]:
    return [e for e in books.stored() if e["channel"] == "timer"]


def recorded_never_falls(books: Books) -> bool:
    last: dict[str, str] = {}
    for envelope in books.stored():
        if datetime.fromisoformat(envelope["recorded_at"]) < datetime.fromisoformat(
            last.get(envelope["account"], envelope["recorded_at"])
        ):
            return False
        last[envelope["account"]] = envelope["recorded_at"]
    return True


def with_an_open_outage(account: str = "acct-1", **outage: Any) -> list[dict[str, Any]]:
    """An outage since 10 March that nobody resolves, in the cycles of March and April."""
    upstream = Upstream(account)
    return [
        *upstream.customer(),
        upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01", price="30.00"),
        upstream.outage_reported(**outage),
    ]


class TestClock:
    def test_a_sandboxs_clock_is_the_systems_until_it_is_set_and_then_stands(self) -> None:
        books = Books.open(sandbox=True, now=at("2026-03-15T10:00"))
        assert books.ledger.now() == at("2026-03-15T10:00")
        advance(books.ledger, at("2026-04-01"))
        books.clock.at = at("2027-01-01")
        assert books.ledger.now() == at("2026-04-01")

    def test_a_production_stores_clock_cannot_be_set(self) -> None:
        books = Books.open(sandbox=False, now=at("2026-03-15"))
        books.take(with_an_open_outage())
        before = books.content()
        with pytest.raises(NotASandbox):
            advance(books.ledger, at("2026-05-15"))
        assert books.content() == before
        assert books.ledger.now() == at("2026-03-15")

    def test_the_first_time_it_may_be_set_backwards_and_everything_is_assessed_anew(self) -> None:
        books = Books.open(sandbox=True, now=LONG_AFTER)
        books.take(with_an_open_outage())
        assert books.amounts() == {"disruption/cyc-1": "22.73", "disruption/cyc-2": "30.00"}
        advance(books.ledger, at("2026-04-10"))
        assert books.amounts() == {"disruption/cyc-1": "22.73", "disruption/cyc-2": "0.00"}
        assert [c["outcome"] for c in books.claims()] == ["granted", "pending"]
        assert recorded_never_falls(books)
        assert books.stored()[-1]["recorded_at"] == "2035-01-01T00:00:00Z"

    def test_later_it_only_goes_forward(self) -> None:
        books = sandbox("2026-03-15")
        with pytest.raises(ClockGoesForward, match="2026-03-15T00:00:00Z"):
            advance(books.ledger, at("2026-03-15") - timedelta(microseconds=1))
        advance(books.ledger, at("2026-03-15"))
        advance(books.ledger, at("2026-03-16"))
        assert books.ledger.now() == at("2026-03-16")

    @pytest.mark.parametrize("to", ["2026-04-10", "2040-01-01"])
    @pytest.mark.parametrize("crash", [1, 2, 3])
    def test_killed_while_it_is_set_it_can_be_set_again(self, to: str, crash: int) -> None:
        books = Books.open(sandbox=True, now=at("2030-01-01"))
        books.take([*with_an_open_outage("acct-a"), *with_an_open_outage("acct-b")])
        books.database.before_commit.extend([lambda: None] * (crash - 1))
        books.database.before_commit.append(killed)
        with pytest.raises(Killed):
            advance(books.ledger, at(to))
        again = books.another_process()
        advance(again.ledger, at(to))
        told = [*with_an_open_outage("acct-a"), *with_an_open_outage("acct-b")]
        assert books.claims() == policy.claims(told, [STANDARD_TERMS], at(to))
        assert again.ledger.now() == at(to)
        with pytest.raises(ClockGoesForward):
            advance(again.ledger, at(to) - timedelta(days=1))


STANDARD_TERMS = {"name": "standard", "version": 1, "valid_from": "2000-01-01"}


class TestDueWork:
    def test_each_instant_at_which_something_changes_is_its_own_now(self) -> None:
        """The March cycle ends at midnight in Berlin, and April's begins; a month later it ends too.

        By then the outage has lasted for longer, which March's claim says, though it comes to no more.
        """
        books = sandbox("2026-03-15")
        books.take(with_an_open_outage())
        assert next_due_at(books.ledger) == at("2026-03-31T22:00")
        advance(books.ledger, at("2026-05-15"))
        decided = [
            (e["data"]["now"], e["data"]["claim_id"], e["data"]["after"]["outcome"], e["data"]["after"]["amount"])
            for e in decided_by_time(books)
            if e["type"] == "claim-assessed.v2"
        ]
        assert decided == [
            ("2026-03-31T22:00:00Z", "disruption/cyc-1", "granted", "22.73"),
            ("2026-03-31T22:00:00.000001Z", "disruption/cyc-2", "pending", "0.00"),
            ("2026-04-30T22:00:00Z", "disruption/cyc-1", "granted", "22.73"),
            ("2026-04-30T22:00:00Z", "disruption/cyc-2", "granted", "30.00"),
        ]
        assert next_due_at(books.ledger) is None

    def test_what_time_decides_says_so_in_its_envelope(self) -> None:
        books = sandbox("2026-03-15")
        books.take(with_an_open_outage())
        advance(books.ledger, at("2026-05-15"))
        first = decided_by_time(books)[0]
        assert (first["actor"], first["causation_id"]) == ("/makegood/timer", None)
        assert first["correlation_id"] == first["event_id"]
        assert first["occurred_at"] == first["data"]["now"] == "2026-03-31T22:00:00Z"
        assert first["recorded_at"] == "2026-03-31T22:00:00Z", "a sandbox's clock reached this instant"

    def test_accounts_take_turns_in_the_order_of_their_instants(self) -> None:
        books = sandbox("2026-03-15")
        for number, zone in enumerate(("Asia/Tokyo", "America/New_York", "Europe/Berlin")):
            upstream = Upstream(f"acct-{number}", zone=zone)
            books.take(
                [
                    *upstream.customer(),
                    upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01"),
                    upstream.outage_reported(),
                ]
            )
        advance(books.ledger, at("2026-06-01"))
        instants = [datetime.fromisoformat(e["data"]["now"]) for e in decided_by_time(books)]
        assert len(instants) == 18, "of each account four claim rows, and two settlements"
        assert instants == sorted(instants)
        assert recorded_never_falls(books)

    def test_a_cancellation_takes_effect_when_its_time_has_come(self) -> None:
        books = sandbox("2026-03-22")
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.cancellation_requested()])

        def statuses() -> list[str]:
            return [e["data"]["after"] for e in books.stored() if e["type"] == "subscription-status-changed.v1"]

        assert statuses()[-1] == "cancelling"
        advance(books.ledger, at("2026-03-31T21:59:59"))
        assert statuses()[-1] == "cancelling"
        advance(books.ledger, at("2026-03-31T22:00"))
        assert statuses()[-1] == "cancelled"

    def test_a_suspension_announced_for_later_begins_and_ends_on_time(self) -> None:
        books = sandbox("2026-03-02")
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.subscription_suspended(), upstream.subscription_reinstated()])
        advance(books.ledger, at("2026-03-20"))
        changes = [
            (e["data"]["before"], e["data"]["after"], e["data"]["now"])
            for e in decided_by_time(books)
            if e["type"] == "subscription-status-changed.v1"
        ]
        assert changes == [
            ("active", "suspended", "2026-03-15T12:00:00Z"),
            ("suspended", "active", "2026-03-16T12:00:00Z"),
        ]

    def test_in_production_a_timer_does_what_fell_due_and_knows_when_it_did(self) -> None:
        books = Books.open(now=at("2026-03-15"))
        books.take(with_an_open_outage())
        books.clock.at = at("2026-05-15T08:00")
        assert do_due_work(books.ledger, books.clock()) == 1
        assert do_due_work(books.ledger, books.clock()) == 0
        assert books.amounts() == {"disruption/cyc-1": "22.73", "disruption/cyc-2": "30.00"}
        assert {e["recorded_at"] for e in decided_by_time(books)} == {"2026-05-15T08:00:00Z"}
        assert len({e["data"]["now"] for e in decided_by_time(books)}) == 3

    def test_what_fell_due_before_a_message_is_decided_before_it(self) -> None:
        """However late the timer is: the resolution finds the cycle's end behind it."""
        books = Books.open(now=at("2026-03-15"))
        told = with_an_open_outage()
        books.take(told)
        books.clock.at = at("2026-04-15")
        upstream = Upstream(begins="2026-04-15T00:00:00Z")
        resolution = upstream.outage_resolved(message_id="late", resolved_at="2026-03-12T00:00:00Z")
        books.take([resolution])
        channels = [e["channel"] for e in books.stored()][-6:]
        assert channels.index("timer") < [e["type"] for e in books.stored()][-6:].index("outage-resolved.v1")
        assert channels[-1] == channels[-2] == "file", "the resolution, and what it changed"
        assert [(e["type"], e["data"]["now"]) for e in decided_by_time(books)] == [
            ("claim-assessed.v2", "2026-03-31T22:00:00Z"),
            ("settlement-changed.v1", "2026-03-31T22:00:00Z"),
            ("claim-assessed.v2", "2026-03-31T22:00:00.000001Z"),
        ]
        assert books.claims() == policy.claims([*told, resolution], [STANDARD_TERMS], at("2026-04-15"))

    def test_due_work_that_changes_nothing_records_nothing_and_is_not_due_again(self) -> None:
        """An outage that ends before the cycle begins has nothing to say when it does."""
        books = sandbox("2026-02-01")
        upstream = Upstream()
        books.take([upstream.account_registered(), upstream.subscription_registered(), upstream.cycle_started()])
        before = len(books.stored())
        assert next_due_at(books.ledger) == at("2026-02-28T23:00")
        advance(books.ledger, at("2026-02-28T23:00"))
        assert len(books.stored()) == before + 1, "pending → active"
        advance(books.ledger, at("2026-12-01"))
        assert len(books.stored()) == before + 1

    @pytest.mark.parametrize("crash", range(1, 9))
    def test_killed_on_its_way_it_goes_on_from_there(self, crash: int) -> None:
        books = sandbox("2026-03-15")
        told = [*with_an_open_outage("acct-a"), *with_an_open_outage("acct-b", began_at="2026-03-20T00:00:00Z")]
        books.take(told)
        books.database.before_commit.extend([lambda: None] * (crash - 1))
        books.database.before_commit.append(killed)
        with pytest.raises(Killed):
            advance(books.ledger, at("2026-05-15"))
        advance(books.another_process().ledger, at("2026-05-15"))
        undisturbed = sandbox("2026-03-15")
        undisturbed.take(told)
        advance(undisturbed.ledger, at("2026-05-15"))
        assert [e["event_id"] for e in books.stored()] == [e["event_id"] for e in undisturbed.stored()]
        assert books.claims() == policy.claims(told, [STANDARD_TERMS], at("2026-05-15"))
        books.check_positions()

    @pytest.mark.parametrize(("events", "together"), [(1, [1, 1, 1]), (28, [2, 1]), (100, [3])])
    def test_only_so_many_events_are_opened_together(
        self, events: int, together: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Accounts of ten years that fall due at once are not in memory all at once; each of them is done."""
        monkeypatch.setattr(due_work, "EVENTS_PER_BATCH", events)
        books = sandbox("2026-03-15")
        for account in ("acct-a", "acct-b", "acct-c"):
            books.take(with_an_open_outage(account))
        opened: list[int] = []
        open_accounts = books.ledger.open_accounts

        def counted(transaction: Transaction, accounts: Sequence[str]) -> dict[str, Account]:
            opened.append(len(accounts))
            return open_accounts(transaction, accounts)

        monkeypatch.setattr(books.ledger, "open_accounts", counted)
        assert do_due_work(books.ledger, at("2026-03-31T22:00")) == 3
        assert opened == together

    def test_a_message_that_comes_while_the_timer_decides_is_not_lost(self) -> None:
        books = Books.open(now=at("2026-03-15"))
        told = with_an_open_outage()
        books.take(told)
        books.clock.at = at("2026-05-15")
        confirmed = Upstream(begins="2026-05-01T00:00:00Z").overcharge_confirmed(message_id="now", amount="15.50")
        other = books.another_process()
        books.database.before_writing.append(lambda: other.take([confirmed]))
        do_due_work(books.ledger, books.clock())
        assert books.claims() == policy.claims([*told, confirmed], [STANDARD_TERMS], at("2026-05-15"))
        books.check_positions()


class TestAnyWay:
    """However the clock comes to an instant, the claims there are those of the policy at that instant."""

    @settings(max_examples=sample(6), phases=WITHOUT_SHRINKING)
    @given(
        seed=st.integers(0, 100_000), steps=st.lists(st.integers(0, 9_000), min_size=1, max_size=6), data=st.data()
    )
    def test_in_many_steps_in_one_or_at_once_the_claims_are_the_same(
        self, seed: int, steps: list[int], data: st.DataObject
    ) -> None:
        told = [m for number in range(2) for m in histories.history(seed + number, instructed=True)]
        to = data.draw(st.sampled_from([histories.moment(seed, told), LONG_AFTER, at("2012-02-20T11:00")]), "to")
        to = max(to, BEFORE_EVERYTHING)

        at_once = Books.open(sandbox=True, now=at("2026-07-01"), agreements=oracle_agreements())
        at_once.take(told, batch=9)
        advance(at_once.ledger, to)

        in_one = Books.open(sandbox=True, agreements=oracle_agreements())
        advance(in_one.ledger, BEFORE_EVERYTHING)
        in_one.take(told, batch=9)
        advance(in_one.ledger, to)

        in_many = Books.open(sandbox=True, agreements=oracle_agreements())
        advance(in_many.ledger, BEFORE_EVERYTHING)
        share = len(told) // len(steps) + 1
        for number, days in enumerate(sorted(steps)):
            in_many.take(told[number * share : (number + 1) * share])
            advance(in_many.ledger, min(to, BEFORE_EVERYTHING + timedelta(days=days)))
        advance(in_many.ledger, to)

        expected = policy.claims(told, histories.agreements(), to)
        for books in (at_once, in_one, in_many):
            assert books.claims() == expected
            assert recorded_never_falls(books)
            books.check_positions()
        assert standing(in_one) == standing(in_many) == standing(at_once)
        due = next_due_at(in_one.ledger)
        assert due is None or due > to


def standing(books: Books) -> dict[str, tuple[str, str | None]]:
    """How each subscription stands at the end."""
    return {
        e["stream"]: (e["data"]["after"], e["data"]["effective_on"])
        for e in books.stored()
        if e["type"] == "subscription-status-changed.v1"
    }


def test_the_seeds_of_the_property_have_open_outages_among_them() -> None:
    """What never comes up is never tested."""
    open_ones = 0
    for seed in range(20):
        told = histories.history(seed, instructed=True)
        reported = {m["data"]["outage_id"] for m in told if m["type"] == "voip.outage.reported.v1"}
        resolved = {m["data"]["outage_id"] for m in told if m["type"] == "voip.outage.resolved.v1"}
        open_ones += bool(reported - resolved)
    assert open_ones >= 5, json.dumps(open_ones)
