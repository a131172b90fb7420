"""As of: an account assessed anew is the account of a ledger that was told nothing else, and told it then."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.application.as_of import AssessedAnew, assess_as_of
from ledger.application.due_work import do_due_work
from ledger.application.statement import Statement
from ledger.events import ActivationDue, Decision, Fact
from ledger.store.positions import KnownAt, Reached
from ledger.store.reading.events import recorded_by
from ledger.values import END
from projections import account_state
from tests.ledger.books import STANDARD, WITHOUT_SHRINKING, Books
from tests.ledger.messages import Message, Upstream, read
from tests.oracle import histories, policy
from tests.search import sample

AN_INSTANT = timedelta(microseconds=1)
STRICT = 'name = "standard"\nversion = 2\nvalid_from = 2000-01-01\n[cancellation]\nunused_period = "none"\n'


def assessed(books: Books, as_of: date, known_at: KnownAt | None = None) -> AssessedAnew:
    stored = recorded_by(books.envelopes(), known_at)
    recorded = [envelope for envelope in stored if envelope.account == "acct-1"]
    published = [envelope for envelope in stored if envelope.type == "agreement-published.v1"]
    return assess_as_of("acct-1", recorded, published, as_of)


def account(books: Books, as_of: date, known_at: KnownAt | None = None) -> dict[str, Any]:
    return account_state.account_assessed(assessed(books, as_of, known_at).events, "acct-1")


def outcomes(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {claim["claim_id"]: (claim["outcome"], claim["amount"]) for claim in found["claims"]}


def as_recorded(books: Books) -> dict[str, Any]:
    """The account of a ledger, less what only the record has: positions, hashes of events, and instructions that were
    given."""
    recorded = [envelope for envelope in books.envelopes() if envelope.account == "acct-1"]
    found = account_state.account_recorded(recorded, "acct-1")
    claims = [{**claim, "position": None} for claim in found["claims"]]
    refunds = [{**refund, "proposal": None} for refund in found["refunds"]]
    return {**found, "claims": claims, "refunds": refunds, "instructions": []}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- a ledger that was told nothing else ----------------------------------------------------------------------------


def told_and_published(books: Books, messages: Iterable[Message | str], until: datetime = END) -> None:
    """Have messages taken that were true by an instant, and agreements published among them."""
    for said in messages:
        if isinstance(said, str):
            books.publish(said)
            do_due_work(books.ledger, books.clock.at)
        elif true_at(said) <= until:
            books.take([said])


def true_at(message: Message) -> datetime:
    statement = read(message)
    assert isinstance(statement, Statement)
    return statement.occurred_at


def story(seed: int) -> tuple[list[Message | str], datetime]:
    """A history with the publications of all agreements at random places in it, and an instant for it."""
    messages: list[Message] = histories.history(seed, account="acct-1", instructed=True)
    chance = random.Random(f"publications {seed}")
    now = histories.moment(seed, messages)
    if chance.random() < 0.5:
        now = true_at(chance.choice(messages)) - chance.choice([timedelta(0), AN_INSTANT])
    told: list[Message | str] = list(messages)
    for text in histories.agreement_texts().values():
        told.insert(0 if chance.random() < 0.7 else chance.randint(0, len(told)), text)
    return told, now


@settings(max_examples=sample(25), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
def test_it_is_the_account_of_a_ledger_that_was_told_only_what_was_true_by_then(seed: int) -> None:
    told, now = story(seed)
    # Both heard of all of it at the instant: an excess rests from when it was recorded (policy §7).
    books = Books.open(agreements=(), now=now)
    told_and_published(books, told)
    fresh = Books.open(agreements=(), now=now)
    told_and_published(fresh, told, until=now)

    found = account(books, now)

    assert found == as_recorded(fresh)
    books.close()
    fresh.close()


@settings(max_examples=sample(20), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
def test_its_claims_are_those_of_the_policy_read_literally(seed: int) -> None:
    messages = histories.history(seed, account="acct-1", instructed=True)
    now = histories.moment(seed, messages)
    books = Books.open(agreements=tuple(histories.agreement_texts().values()))
    books.take(messages)

    claims = account(books, now)["claims"]

    true = [message for message in messages if true_at(message) <= now]
    expected = policy.claims(true, histories.agreements(), now)
    assert [{name: claim[name] for name in row} for claim, row in zip(claims, expected, strict=True)] == expected
    books.close()


# --- stories --------------------------------------------------------------------------------------------------------


def test_a_fact_that_came_late_counts_from_when_it_was_true() -> None:
    """The outage of the 10th is heard of on the 20th: nobody knew of it on the 15th, and it was so all the same."""
    books = Books.open(now=at("2026-04-05T00:00:00Z"))
    upstream = Upstream()
    books.take([*upstream.customer(), upstream.cancellation_requested()])
    before = books.clock.at
    books.clock.at = at("2026-04-20T00:00:00Z")
    position = books.check_positions()
    books.take([upstream.outage_reported(), upstream.outage_resolved(resolved_at="2026-03-13T00:00:00Z")])
    cancelled = {"unused/cyc-1": ("granted", "11.00")}
    disrupted = {"disruption/cyc-1": ("granted", "3.10")}

    day = at("2026-03-22T00:00:00Z")
    assert outcomes(account(books, day)) == cancelled | disrupted
    for known_at in (before, Reached({0: position})):
        assert outcomes(account(books, day, known_at)) == cancelled
        assert outcomes(account(books, at("2026-03-20T00:00:00Z"), known_at)) == {}
    assert outcomes(account(books, at("2026-03-20T00:00:00Z"))) == disrupted


def test_a_date_is_its_end_in_the_accounts_zone() -> None:
    """In Berlin the 21st ends at 22:00 UTC in summer; a cancellation at midnight is one of the 22nd."""
    books, upstream = Books.open(), Upstream()
    books.take([*upstream.customer(), upstream.cancellation_requested(requested_at="2026-03-30T22:00:00Z")])

    assert assessed(books, date(2026, 3, 30)).as_of == at("2026-03-30T22:00:00Z") - AN_INSTANT
    assert [s["status"] for s in account(books, date(2026, 3, 30))["subscriptions"]] == ["active"]
    assert [s["status"] for s in account(books, date(2026, 3, 31))["subscriptions"]] == ["cancelling"]
    assert [s["status"] for s in account(books, date(2026, 4, 1))["subscriptions"]] == ["cancelled"]
    assert assessed(books, date(2020, 1, 1)).as_of == at("2020-01-01T23:00:00Z") - AN_INSTANT
    assert assessed(books, date(2026, 3, 30), Reached({0: 1})).as_of.astimezone(UTC).hour == 23, "no zone is known"


def test_a_subscription_stays_bound_to_the_version_that_held_when_it_was_registered() -> None:
    """Version 2 gives nothing back, and was published when the customer had version 1 already."""
    books, upstream = Books.open(), Upstream()
    known, requested = upstream.customer(), upstream.cancellation_requested()
    told_and_published(books, [*known, STRICT, requested])

    then = account(books, at("2026-03-25T00:00:00Z"))

    assert outcomes(then) == {"unused/cyc-1": ("granted", "11.00")}
    assert then["subscriptions"][0]["agreement_version"] == 1


def test_an_agreement_published_after_the_instant_holds_unless_it_was_not_known() -> None:
    books, upstream = Books.open(agreements=(), now=at("2026-05-01T00:00:00Z")), Upstream()
    told_and_published(books, [*upstream.customer(), upstream.cancellation_requested()])
    before = Reached({0: books.check_positions()})
    told_and_published(books, [STANDARD])

    assert outcomes(account(books, at("2026-03-25T00:00:00Z"))) == {"unused/cyc-1": ("granted", "11.00")}
    assert outcomes(account(books, at("2026-03-25T00:00:00Z"), before)) == {"unused/cyc-1": ("pending", "0.00")}


def test_what_went_out_comes_from_the_facts() -> None:
    """A credit pays for the next cycle once that is known, and a refund is paid when the processor says so."""
    books, upstream = Books.open(), Upstream()
    refund = "refund/billing-error/dis-1/1"
    messages: Sequence[Message] = [
        *upstream.customer(),
        upstream.overcharge_confirmed(),
        upstream.outage_reported(),
        upstream.outage_resolved(resolved_at="2026-03-13T00:00:00Z"),
        upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01", time="2026-03-31T00:00:00Z"),
        upstream.refund_succeeded(refund),
    ]
    books.take(messages)

    def money(as_of: str) -> dict[str, str]:
        [balance] = account(books, at(as_of))["balances"]
        return {name: balance[name] for name in ("refund_due", "refunded", "credit_used", "credit_left", "owed")}

    none = {"refund_due": "0.00", "refunded": "0.00", "credit_used": "0.00", "credit_left": "0.00", "owed": "0.00"}
    credited = none | {"refund_due": "10.00", "credit_left": "2.10"}
    assert money("2026-03-30T09:59:59Z") == credited
    assert money("2026-03-30T10:00:00Z") == credited | {"refund_due": "0.00", "refunded": "10.00"}
    used = {"credit_used": "2.10", "credit_left": "0.00", "owed": "28.90"}
    assert money("2026-03-31T00:00:00Z") == none | {"refunded": "10.00"} | used


def test_what_was_paid_in_excess_is_a_credit_once_it_had_rested_since_it_was_recorded() -> None:
    """The payment of the 1st is heard of on the 5th, and is the customer's credit a day after that."""
    books, upstream = Books.open(now=at("2026-03-05T09:00:00Z")), Upstream()
    books.take([*upstream.customer(), upstream.payment_captured(amount="40.00", payment_id="pay-again")])

    def excess(as_of: str) -> tuple[str, str]:
        [balance] = account(books, at(as_of))["balances"]
        return balance["captured_in_excess"], balance["credit_left"]

    assert excess("2026-03-06T08:59:59Z") == ("40.00", "0.00")
    assert excess("2026-03-06T09:00:00Z") == ("0.00", "40.00")


def test_it_decides_at_the_instant_and_stores_nothing() -> None:
    books, upstream = Books.open(), Upstream()
    books.take(upstream.every_type())
    before = books.content()
    then = at("2026-03-28T00:00:00Z")

    events = assessed(books, then).events

    assert books.content() == before
    facts = [event for event in events if isinstance(event, Fact)]
    decisions = [event for event in events if isinstance(event, Decision)]
    stored = {envelope["event_id"]: envelope for envelope in books.stored("acct-1")}
    for fact in facts:
        again, once = json.loads(fact.stored()), stored[fact.event_id]
        for told_anew in ("previous", "stream_version"):
            del again[told_anew], once[told_anew]
        assert again == once
    assert {(event.occurred_at, event.recorded_at) for event in decisions} == {(then, then)}
    assert {event.causation_id for event in decisions} <= {fact.event_id for fact in facts}
    assert not [event for event in decisions if isinstance(event, ActivationDue)], "nobody is written to"
