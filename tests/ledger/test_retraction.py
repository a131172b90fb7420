"""What a source takes back counts as never said, in the books too: both stay, and every process decides alike."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.application.customers import Customer, customer_of
from ledger.application.known_by import currency_of, known_by
from ledger.instructions import instructions_of
from ledger.store.reading.events import ended_on_before
from ledger.vault import Erased
from tests.ledger.books import WITHOUT_SHRINKING, Books, KeysByName, oracle_agreements
from tests.ledger.messages import Message, Upstream
from tests.oracle import histories
from tests.policy.test_retraction import regretted
from tests.search import sample

WORDS = "Zoë never rang"


def facts(books: Books) -> list[str]:
    return [e["type"] for e in books.stored() if "message" in e["data"]]


@pytest.mark.parametrize("first", ["the fact", "the retraction"])
def test_whichever_came_first_both_are_recorded_and_the_fact_counts_for_nothing(books: Books, first: str) -> None:
    upstream = Upstream()
    mistaken = upstream.cancellation_requested()
    pair = [mistaken, upstream.fact_retracted(mistaken, reason=WORDS)]
    books.take([*upstream.customer(), *(pair if first == "the fact" else pair[::-1])], batch=1)
    assert books.claims() == []
    assert books.waiting() == []
    assert sorted(facts(books)[-2:]) == ["cancellation-requested.v1", "fact-retracted.v1"]
    assert books.take(pair).duplicates == 2


def test_a_claim_that_falls_away_is_a_change_that_names_its_cause(books: Books) -> None:
    upstream = Upstream()
    mistaken = upstream.cancellation_requested()
    books.take([*upstream.customer(), mistaken])
    assert books.amounts() == {"unused/cyc-1": "11.00"}
    back = upstream.fact_retracted(mistaken)
    books.take([back])
    assert books.amounts() == {}
    [retraction] = [e for e in books.stored() if e["type"] == "fact-retracted.v1"]
    followed = [e for e in books.stored() if e["causation_id"] == retraction["event_id"]]
    assert [(e["type"], e["data"].get("after")) for e in followed if e["type"] == "claim-assessed.v2"] == [
        ("claim-assessed.v2", None)
    ]
    assert [e["data"]["after"] for e in followed if e["type"] == "subscription-status-changed.v1"] == ["active"]

    books.take([upstream.fact_retracted(back)])
    assert books.amounts() == {"unused/cyc-1": "11.00"}


def test_provisioning_is_told_that_the_service_goes_on() -> None:
    books, upstream = Books.open(), Upstream()
    mistaken = upstream.cancellation_requested()
    books.take([*upstream.customer(), mistaken, upstream.fact_retracted(mistaken)])
    events = [stored.event() for stored in books.envelopes()]
    with books.database.reading() as transaction:
        kinds = [
            instruction.kind
            for event in events
            for instruction in instructions_of(event, ended_on_before(transaction, event))
        ]
    assert [kind for kind in kinds if kind.startswith("cancellation")] == [
        "cancellation.scheduled",
        "cancellation.withdrawn",
    ]


def test_without_the_failure_that_undid_the_payment_an_activation_is_due() -> None:
    books, upstream = Books.open(), Upstream()
    customer, mistaken = upstream.customer(), upstream.payment_failed()
    books.take([mistaken, *customer])
    assert "activation-due.v1" not in books.types()
    books.take([upstream.fact_retracted(mistaken)])
    assert books.types()[-1] == "activation-due.v1"


def test_an_answer_and_a_result_that_were_retracted_wait_for_nothing() -> None:
    books, upstream = Books.open(), Upstream()
    answer, result = upstream.instruction_refused("5f" * 16), upstream.refund_succeeded("refund/unheard-of/1")
    books.take([*upstream.customer(), answer, result])
    assert books.waiting() == [
        (answer["id"], f"instruction {'5f' * 16}"),
        (result["id"], "refund refund/unheard-of/1"),
    ]
    books.take([upstream.fact_retracted(answer), upstream.fact_retracted(result)])
    assert books.waiting() == []


def test_what_people_may_name_is_what_stands() -> None:
    books, upstream = Books.open(), Upstream()
    messages = upstream.customer()
    outage = upstream.outage_reported()
    books.take([*messages, outage])

    def known(kind: Any, id_: str) -> str | None:
        with books.database.reading() as transaction:
            fact = known_by(transaction, "acct-1", kind, id_)
        return fact.type if fact is not None else None

    assert (known("outage", "out-1"), known("subscription", "sub-1")) == (
        "outage-reported.v1",
        "subscription-registered.v1",
    )
    account, subscription, cycle, _ = messages
    books.take([upstream.fact_retracted(outage), upstream.fact_retracted(subscription)])
    assert known("outage", "out-1") is None
    assert known("subscription", "sub-1") == "cycle-started.v1", "by what else was said of it"
    books.take([upstream.fact_retracted(message) for message in (cycle, account)])
    assert (known("subscription", "sub-1"), known("charge", "cyc-1")) == (None, None)
    with books.database.reading() as transaction:
        assert currency_of(transaction, "acct-1") is None


def test_why_it_was_taken_back_lies_in_the_vault_and_nowhere_else() -> None:
    books, upstream = Books.open(), Upstream()
    books.take([*upstream.customer(), upstream.fact_retracted("acct-1.3", reason=WORDS)])
    assert WORDS.encode() not in b"".join(envelope.envelope for envelope in books.envelopes())
    [retraction] = [e for e in books.stored() if e["type"] == "fact-retracted.v1"]
    assert retraction["data"]["retracts"] == {"source": "/provisioning/test", "id": "acct-1.3"}
    assert retraction["data"]["sealed"] is not None


@settings(max_examples=sample(10), phases=WITHOUT_SHRINKING)
@given(st.integers(0, 1_000_000), st.randoms(use_true_random=False))
def test_processes_that_take_turns_record_what_one_would(seed: int, rng: random.Random) -> None:
    """One that keeps the account in memory, and others that read it back each time."""
    messages = regretted(histories.history(seed, account="acct"), rng)[0]
    alone, together = Books.open(agreements=oracle_agreements()), Books.open(agreements=oracle_agreements())
    for message in messages:
        alone.take([message])
        rng.choice([together, together.another_process()]).take([message])
    assert together.claims() == alone.claims()
    assert together.alarms() == alone.alarms()
    assert together.waiting() == alone.waiting()
    assert together.types() == alone.types()
    for books in (alone, together):
        books.close()


# --- who the customer is ------------------------------------------------------------------------------------------


def customer(books: Books) -> Customer | None:
    with books.database.reading() as transaction:
        return customer_of(books.ledger, transaction, "acct-1")


def registration(upstream: Upstream, **more: Any) -> Message:
    who = {"name": "Zoë Quux", "email": "zoe@example.net", "locale": "de"}
    return upstream.account_registered(customer=who, **more)


def test_each_thing_that_is_said_of_a_customer_holds_from_its_time_on_whatever_order_it_came_in() -> None:
    upstream = Upstream()
    said = [
        registration(upstream),
        upstream.customer_changed(name="Zoë Quuux", locale="fr"),
        upstream.customer_changed(email="quuux@example.net", locale="en"),
    ]
    for order in permutations(said):
        books = Books.open()
        books.take(order)
        assert customer(books) == Customer("Zoë Quuux", "quuux@example.net", "en", "Europe/Berlin")
        assert books.waiting() == []
        books.close()


def test_of_two_changes_at_one_time_the_greater_id_holds_then_the_greater_source() -> None:
    books, one, other = Books.open(), Upstream(), Upstream(source="/provisioning/a")
    at = "2026-03-02T00:00:00Z"
    books.take([registration(one)])
    for upstream, id_, name in ((one, "b", "Zoë B"), (one, "a", "Zoë A"), (other, "b", "Zoë of another source")):
        books.take([upstream.customer_changed(name=name) | {"id": id_, "time": at}])
    found = customer(books)
    assert found is not None
    assert found.name == "Zoë B"


def test_a_registration_that_is_later_than_a_change_says_what_holds_but_for_what_it_leaves_out() -> None:
    books, upstream = Books.open(), Upstream()
    earlier = upstream.customer_changed(name="Zoë Before", locale="en")
    books.take([earlier])
    assert customer(books) is None, "a change makes nobody known"
    assert [waits_for for _, waits_for in books.waiting()] == ["account acct-1"]
    books.take([upstream.account_registered(customer={"name": "Zoë Quux", "email": "zoe@example.net"})])
    assert customer(books) == Customer("Zoë Quux", "zoe@example.net", "en", "Europe/Berlin")


def test_a_change_that_was_retracted_does_not_count_and_one_of_it_does_again() -> None:
    books, upstream = Books.open(), Upstream()
    registered = registration(upstream)
    mistaken = upstream.customer_changed(email="zoe@example.org", locale="en")
    back = upstream.fact_retracted(mistaken)
    books.take([registered, mistaken, back])
    assert customer(books) == Customer("Zoë Quux", "zoe@example.net", "de", "Europe/Berlin")
    books.take([upstream.fact_retracted(back)])
    assert customer(books) == Customer("Zoë Quux", "zoe@example.org", "en", "Europe/Berlin")


def test_of_two_registrations_the_other_one_says_who_they_are_where_the_first_was_a_mistake() -> None:
    books, upstream = Books.open(), Upstream()
    mistaken = upstream.account_registered()
    books.take([mistaken, registration(upstream, time_zone="UTC")])
    books.take([upstream.fact_retracted(mistaken)])
    assert customer(books) == Customer("Zoë Quux", "zoe@example.net", "de", "UTC")


def test_whoever_was_erased_has_no_changes_either() -> None:
    keys = KeysByName()
    books, upstream = Books.open(keys=keys), Upstream()
    books.take([registration(upstream), upstream.customer_changed(name="Zoë Quuux")])
    assert b"Quuux" not in b"".join(envelope.envelope for envelope in books.envelopes())
    keys.destroyed.add("account/acct-1")
    with pytest.raises(Erased):
        customer(books)
