"""What a message becomes: its fact, and every difference that it makes, in envelopes fixed for ever."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.upstream import MESSAGES
from ledger.agreement import read_agreement
from ledger.application.due_work import do_due_work
from ledger.application.statement import Statement
from ledger.events import (
    STORED_TYPES,
    AgreementBound,
    ClaimAssessed,
    CreditApplied,
    Fact,
    InvoiceStanding,
    SettledPart,
    SettlementChanged,
    from_stored,
)
from ledger.policy.assess import assess
from ledger.policy.assessed import Assessed
from ledger.policy.facts import AccountFacts
from ledger.policy.invoices import claim_to_settle, claims_on, invoice_to_settle, rested_at
from ledger.policy.outgoings import Application, DueRefund, Outgoings
from ledger.policy.settlement import ClaimToSettle, settle, settle_without_invoice
from ledger.store.instants import from_microseconds
from ledger.store.reading.events import follow_account
from ledger.values import zero
from tests.ledger.books import (
    LONG_AFTER,
    STANDARD,
    WITHOUT_SHRINKING,
    Books,
    KeysByName,
    alarms_in,
    claims_in,
    no_randomness,
    oracle_agreements,
)
from tests.ledger.messages import Message, Upstream, read
from tests.oracle import histories, policy
from tests.search import sample

ENVELOPE = (
    "type",
    "account",
    "stream",
    "stream_version",
    "event_id",
    "correlation_id",
    "causation_id",
    "actor",
    "channel",
    "traceparent",
    "occurred_at",
    "recorded_at",
    "previous",
    "data",
)
BECOMES = {
    "voip.account.registered.v1": "account-registered.v1",
    "voip.customer.changed.v1": "customer-changed.v1",
    "voip.fact.retracted.v1": "fact-retracted.v1",
    "voip.subscription.registered.v1": "subscription-registered.v1",
    "voip.cycle.started.v1": "cycle-started.v1",
    "voip.charge.posted.v1": "charge-posted.v1",
    "voip.payment.captured.v1": "payment-captured.v1",
    "voip.payment.failed.v1": "payment-failed.v1",
    "voip.outage.reported.v1": "outage-reported.v1",
    "voip.outage.resolved.v1": "outage-resolved.v1",
    "voip.outage.reopened.v1": "outage-reopened.v1",
    "voip.billing_error.reported.v1": "billing-error-reported.v1",
    "voip.overcharge.confirmed.v1": "overcharge-confirmed.v1",
    "voip.overcharge.rejected.v1": "overcharge-rejected.v1",
    "voip.cancellation.requested.v1": "cancellation-requested.v1",
    "voip.cancellation.withdrawn.v1": "cancellation-withdrawn.v1",
    "voip.subscription.suspended.v1": "subscription-suspended.v1",
    "voip.subscription.reinstated.v1": "subscription-reinstated.v1",
    "voip.subscription.terminated.v1": "subscription-terminated.v1",
    "voip.complaint.opened.v1": "complaint-opened.v2",
    "voip.complaint.resolved.v1": "complaint-resolved.v2",
    "voip.complaint.reopened.v1": "complaint-reopened.v1",
    "voip.refund.succeeded.v1": "refund-succeeded.v2",
    "voip.refund.failed.v1": "refund-failed.v1",
    "voip.instruction.carried_out.v1": "instruction-carried-out.v1",
    "voip.instruction.refused.v1": "instruction-refused.v1",
}
SEEDS = st.integers(min_value=0, max_value=100_000)


@pytest.fixture
def life() -> Books:
    """A store with one life in which everything happens."""
    books = Books.open()
    books.take(Upstream().every_type())
    return books


def facts(envelopes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [envelope for envelope in envelopes if issubclass(STORED_TYPES[envelope["type"]], Fact)]


def assessed(envelopes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [envelope for envelope in envelopes if envelope["type"] == "claim-assessed.v2"]


class TestEnvelope:
    """The bytes that are hashed, published and proven (design rule 5)."""

    def test_its_fields_stand_in_their_fixed_order(self, life: Books) -> None:
        for stored in life.envelopes():
            assert tuple(json.loads(stored.envelope)) == ENVELOPE

    def test_it_is_compact_json_in_utf_8(self, life: Books) -> None:
        for stored in life.envelopes():
            plain = json.loads(stored.envelope)
            assert json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode() == stored.envelope

    def test_previous_is_the_leaf_hash_of_the_accounts_previous_event_over_all_streams(self) -> None:
        books = Books.open()
        both = [m for pair in zip(Upstream("a").every_type(), Upstream("b").every_type(), strict=True) for m in pair]
        books.take(both, batch=3)
        last: dict[str, str | None] = {}
        streams = set()
        for stored in books.envelopes():
            envelope = json.loads(stored.envelope)
            assert envelope["previous"] == last.get(stored.account)
            last[stored.account] = sha256(b"\x00" + stored.envelope).hexdigest()
            streams.add(stored.stream)
        assert set(last) == {"system", "a", "b"}
        assert {"account/a", "subscription/a/sub-1", "complaint/a/com-1"} < streams
        assert dict(books.rows("SELECT account, leaf_hash FROM heads")) == last

    def test_columns_repeat_what_the_envelope_says(self, life: Books) -> None:
        rows = life.rows("SELECT account, stream, stream_version, type, event_id, envelope FROM events")
        assert len(rows) > 50
        for *columns, stored in rows:
            envelope = json.loads(stored)
            named = ("account", "stream", "stream_version", "type", "event_id")
            assert columns == [envelope[name] for name in named]

    def test_it_reads_back_as_the_same_bytes(self, life: Books) -> None:
        for stored in life.envelopes():
            assert stored.event().stored() == stored.envelope

    def test_a_fact_says_which_message_it_came_by(self) -> None:
        books = Books.open()
        message = Upstream(source="/billing/eu-1").overcharge_confirmed(amount="1.5")
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        books.take([message | {"traceparent": trace, "time": "2026-03-02T01:00:00.250+01:00"}])
        [fact] = facts(books.stored())
        assert fact["data"] == {
            "message": {"source": "/billing/eu-1", "id": message["id"], "time": "2026-03-02T00:00:00.250000Z"},
            "sealed": None,
            "dispute_id": "dis-1",
            "charge_id": "cyc-1",
            "amount": "1.50",
            "currency": "EUR",
            "settle_as": None,
        }
        assert (fact["actor"], fact["channel"], fact["traceparent"]) == ("/billing/eu-1", "file", trace)
        assert fact["correlation_id"] == fact["event_id"]
        assert fact["causation_id"] is None
        assert fact["stream"] == "account/acct-1"

    def test_a_decision_names_the_fact_that_caused_it_and_shares_its_instant(self, life: Books) -> None:
        by_id = {envelope["event_id"]: envelope for envelope in life.stored()}
        decisions = [e for e in by_id.values() if not issubclass(STORED_TYPES[e["type"]], Fact)]
        # Of acts, of what became of e-mails, of processors' files, of erasures, and of looks.
        elsewhere = tuple(
            f"ledger.events.{name}" for name in ("system", "notice", "reconciliation", "erasure", "looks")
        )
        acts = {type_ for type_, event in STORED_TYPES.items() if event.__module__ in elsewhere}
        of_facts = {type_ for type_, event in STORED_TYPES.items() if issubclass(event, Fact)}
        older = {
            "claim-assessed.v1",
            "credit-applied.v1",
            "settled-anew.v1",
        }  # of a store that an older version began
        # Of refunds that people decided about: they have stories of their own.
        of_refunds = {type_ for type_, event in STORED_TYPES.items() if event.__module__ == "ledger.events.refund"}
        expected = set(STORED_TYPES) - of_facts - acts - older - of_refunds
        assert {e["type"] for e in decisions} == expected
        for decision in decisions:
            cause = by_id[decision["causation_id"]]
            assert issubclass(STORED_TYPES[cause["type"]], Fact)
            assert decision["correlation_id"] == cause["correlation_id"]
            assert decision["actor"] == cause["actor"]
            assert decision["occurred_at"] == cause["occurred_at"]

    def test_an_event_id_follows_from_the_message_or_from_its_place(self, life: Books) -> None:
        again = Books.open()
        again.take(Upstream().every_type())
        assert [e["event_id"] for e in again.stored()] == [e["event_id"] for e in life.stored()]
        ids = [e["event_id"] for e in life.stored()]
        assert len(set(ids)) == len(ids)

    def test_a_decision_of_more_than_a_thousand_facts_names_their_count_and_digest(self) -> None:
        """All outages of a cycle are facts of its disruption."""
        books = Books.open()
        upstream = Upstream()
        outages = [upstream.outage_reported(f"out-{number}") for number in range(1_000)]
        account, subscription, cycle, _ = upstream.customer()
        books.take([*outages, cycle, subscription, account])
        stored = books.stored()
        reports = {e["data"]["outage_id"]: e["event_id"] for e in stored if e["type"] == "outage-reported.v1"}
        in_order = [reports[outage_id] for outage_id in sorted(reports)]
        [started] = [e["event_id"] for e in stored if e["type"] == "cycle-started.v1"]
        [bound] = [e["event_id"] for e in stored if e["type"] == "agreement-bound.v1"]
        [data] = [e["data"] for e in assessed(books.stored())]
        assert (data["facts"], data["facts_count"]) == ([], 1_002)
        assert data["facts_digest"] == sha256("\n".join([started, *in_order, bound]).encode()).hexdigest()


class TestFacts:
    """Each of upstream's messages becomes one event, named for what happened."""

    def test_every_type_of_message_becomes_its_fact(self) -> None:
        assert set(BECOMES) == set(MESSAGES)
        told = {message["type"]: message for message in Upstream().every_type()}
        assert set(told) == set(BECOMES)
        for type_, message in told.items():
            books = Books.open(agreements=())
            books.take([message])
            first = books.stored()[0]
            assert first["type"] == BECOMES[type_]
            public = set(first["data"]) - {"message", "sealed"}
            stated = set(message["data"])
            private = {"customer", "credentials", "description", "resolution"}
            if type_ not in {"voip.subscription.suspended.v1", "voip.subscription.terminated.v1"}:
                private |= {"reason"}
            assert stated - private <= public
            assert not public & private
            assert (first["data"]["sealed"] is not None) == bool(stated & private)

    def test_an_event_is_named_as_its_class_is(self) -> None:
        for stored_as, event in STORED_TYPES.items():
            name, _, version = stored_as.rpartition(".v")
            newest = f"{name}.v{int(version) + 1}" not in STORED_TYPES
            words = "".join(word.capitalize() for word in name.split("-"))
            assert event.__name__ == (words if newest else f"{words}V{version}")

    @pytest.mark.parametrize(
        ("kind", "field"),
        [
            ("outage_reported", "began_at"),
            ("outage_resolved", "resolved_at"),
            ("cancellation_requested", "requested_at"),
            ("cancellation_withdrawn", "withdrawn_at"),
            ("subscription_suspended", "suspended_at"),
            ("subscription_reinstated", "reinstated_at"),
            ("subscription_terminated", "terminated_at"),
            ("billing_error_reported", "reported_at"),
            ("outage_reopened", None),
            ("payment_captured", None),
            ("cycle_started", None),
        ],
    )
    def test_a_fact_became_true_at_the_instant_that_it_is_about(self, kind: str, field: str | None) -> None:
        books = Books.open()
        message = getattr(Upstream(), kind)()
        books.take([message])
        [fact] = facts(books.stored())
        assert fact["occurred_at"] == (message["data"][field] if field else message["time"])
        assert fact["recorded_at"] == "2035-01-01T00:00:00Z"

    def test_facts_stand_in_the_stream_of_what_they_are_about(self, life: Books) -> None:
        for fact in facts(life.stored()):
            data = fact["data"]
            if "complaint_id" in data:
                assert fact["stream"] == f"complaint/acct-1/{data['complaint_id']}"
            elif data.get("subscription_id") and fact["type"] != "charge-posted.v1":
                assert fact["stream"] == f"subscription/acct-1/{data['subscription_id']}"
            else:
                assert fact["stream"] == "account/acct-1"

    def test_a_fact_comes_before_the_differences_that_it_makes(self) -> None:
        books = Books.open()
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.overcharge_confirmed(), upstream.charge_posted()])
        assert books.types() == [
            "account-registered.v1",
            "subscription-registered.v1",
            "agreement-bound.v1",
            "subscription-status-changed.v1",
            "cycle-started.v1",
            "settlement-changed.v1",
            "subscription-status-changed.v1",
            "payment-captured.v1",
            "settlement-changed.v1",
            "activation-due.v1",
            "overcharge-confirmed.v1",
            "claim-assessed.v2",
            "settlement-changed.v1",
            "charge-posted.v1",
            "settlement-changed.v1",
        ]


class TestRepetition:
    """A message is known by its source and id (contract §1)."""

    def test_a_message_again_changes_nothing(self, life: Books) -> None:
        before = life.content()
        taken = life.take(Upstream().every_type(), batch=4)
        assert (taken.accepted, taken.duplicates, taken.refused) == (0, 34, [])
        assert life.content() == before

    def test_another_spelling_or_trace_is_still_the_same_message(self) -> None:
        books = Books.open()
        message = Upstream().cycle_started(price="31.00", tax="0", time="2026-03-01T10:00:00+01:00")
        books.take([message])
        again = json.loads(json.dumps(message))
        again["data"] |= {"price": "31.0", "tax": "0.00"}
        again |= {"time": "2026-03-01T09:00:00Z", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
        assert books.take([again]).duplicates == 1

    def test_the_same_source_and_id_with_other_content_is_refused_and_kept(self) -> None:
        books = Books.open()
        upstream = Upstream()
        cycle = upstream.cycle_started()
        other = cycle | {"data": cycle["data"] | {"price": "32.00"}}
        taken = books.take([cycle, other, upstream.payment_captured()])
        assert (taken.accepted, taken.duplicates) == (2, 0)
        [refusal] = taken.refused
        assert (refusal.line, refusal.message_id, refusal.field) == (2, cycle["id"], "id")
        assert "32.00" not in refusal.reason
        later = books.take([other], file="another")
        assert len(later.refused) == 1
        letters = books.rows("SELECT origin, source, id, account FROM dead_letters ORDER BY position")
        assert letters == [
            ("file:story:2", cycle["source"], cycle["id"], "acct-1"),
            ("file:another:1", cycle["source"], cycle["id"], "acct-1"),
        ]
        assert books.types().count("cycle-started.v1") == 1

    @pytest.mark.parametrize(
        ("change", "named"),
        [("subject", "subject"), ("time", "time"), ("type", "type"), ("free text", "data.reason")],
    )
    @pytest.mark.parametrize("together", [True, False])
    def test_everything_a_message_says_counts_as_its_content(self, change: str, named: str, together: bool) -> None:
        books = Books.open()
        message = Upstream().complaint_reopened(reason="still crackles")
        changed = {
            "subject": message | {"subject": "acct-2"},
            "time": message | {"time": "2026-03-01T09:00:01.000001Z"},
            "type": message
            | {"type": "voip.complaint.resolved.v1", "data": {"complaint_id": "com-1", "resolution": "done"}},
            "free text": message | {"data": message["data"] | {"reason": "it crackles again"}},
        }[change]
        taken = books.take([message, changed], batch=None if together else 1)
        assert (taken.accepted, taken.duplicates, len(taken.refused)) == (1, 0, 1)
        assert f"with other content in {named}; publish" in taken.refused[0].reason

    def test_every_field_that_differs_is_named_and_no_value(self) -> None:
        books = Books.open()
        cycle = Upstream().cycle_started(tax="5.89")
        books.take([cycle])
        data = cycle["data"] | {"price": "32.00", "prepaid": False}
        del data["tax"]
        [refusal] = books.take([cycle | {"data": data, "subject": "acct-2"}]).refused
        assert "in subject, data.prepaid, data.price, data.tax; publish" in refusal.reason
        assert "32" not in refusal.reason

    def test_what_was_erased_is_not_compared(self) -> None:
        books = Books.open()
        complaint = Upstream().complaint_reopened(reason="still crackles")
        books.take([complaint])
        books.database.tamper("DELETE FROM vault")
        [refusal] = books.take([complaint | {"data": complaint["data"] | {"reason": "it hums"}}]).refused
        assert "with other content; publish" in refusal.reason

    def test_a_resolution_that_was_other_words_is_named_as_upstream_names_it(self) -> None:
        """The code is made of the resolution: upstream has no field of that name."""
        books = Books.open()
        resolved = Upstream().complaint_resolved(resolution="exchanged")
        books.take([resolved])
        [refusal] = books.take([resolved | {"data": resolved["data"] | {"resolution": "explained"}}]).refused
        assert "with other content in data.resolution; publish" in refusal.reason

    def test_what_a_former_version_recorded_in_another_shape_is_compared_alike(self) -> None:
        books = Books.open()
        resolved = Upstream().complaint_resolved(resolution="exchanged")
        books.take([resolved])
        [(envelope,)] = books.rows("SELECT envelope FROM events WHERE type = ?", "complaint-resolved.v2")
        former = json.loads(envelope)
        del former["data"]["resolution_code"]
        former["type"] = "complaint-resolved.v1"
        with books.database.real.writing() as transaction:
            transaction.run(
                "UPDATE events SET type = ?, envelope = ? WHERE type = ?",
                (former["type"], json.dumps(former).encode(), "complaint-resolved.v2"),
            )
        again = books.another_process()
        assert again.take([resolved]).duplicates == 1
        [refusal] = again.take([resolved | {"data": resolved["data"] | {"resolution": "explained"}}]).refused
        assert "with other content in data.resolution; publish" in refusal.reason

    def test_another_source_with_the_same_id_is_another_message(self) -> None:
        books = Books.open()
        message = Upstream().charge_posted()
        assert books.take([message, message | {"source": "/another"}]).accepted == 2


class TestOrder:
    """Any order of the same facts ends in the same claims; the size of a batch changes nothing at all."""

    CLAIMED = Books.open(agreements=oracle_agreements())

    @settings(max_examples=sample(15), phases=WITHOUT_SHRINKING)
    @given(seed=SEEDS, order=st.randoms(use_true_random=False), batch=st.sampled_from([1, 7, None]))
    def test_any_order_twice_and_in_any_batches_gives_the_claims_of_the_policy(
        self, seed: int, order: random.Random, batch: int | None
    ) -> None:
        books = self.CLAIMED
        account = f"acct-{seed}-{len(books.rows('SELECT account FROM heads'))}"
        messages = histories.history(seed, account=account, instructed=True)
        again = messages + messages
        order.shuffle(again)
        taken = books.take(again, batch=batch)
        assert (taken.accepted, taken.duplicates) == (len(messages), len(messages))
        assert claims_in(books.stored_of(account)) == policy.claims(messages, histories.agreements(), LONG_AFTER)

    @settings(max_examples=sample(3), phases=WITHOUT_SHRINKING)
    @given(seed=SEEDS)
    def test_batches_and_restarts_change_no_byte_of_what_is_stored(self, seed: int) -> None:
        """Three accounts at once; between the batches of the last store the process starts anew."""
        told = [histories.history(seed + number, instructed=True) for number in range(3)]
        messages = [m for turn in range(max(map(len, told))) for h in told if turn < len(h) for m in [h[turn]]]
        contents = []
        for batch, restarting in ((1, False), (7, False), (None, False), (5, True)):
            books = Books.open(agreements=oracle_agreements(), keys=KeysByName(), randomness=no_randomness)
            if restarting:
                for start in range(0, len(messages), 5):
                    assert not books.another_process().take(messages[start : start + 5]).refused
            else:
                books.take(messages, batch=batch)
            content = books.content()
            content["store"] = [row for row in content["store"] if row[0] != "id"]  # every store has its own
            contents.append(content)
        for other in contents[1:]:
            for table, rows in contents[0].items():
                assert other[table] == rows, table

    def test_how_claims_came_about_can_be_followed_from_before_to_after(self) -> None:
        """Each change begins where the one before it ended, and changes something."""
        books = Books.open(agreements=oracle_agreements())
        for seed in range(60):
            books.take(histories.history(seed, instructed=True), batch=7)
        standing: dict[tuple[str, str], Any] = {}
        event_ids = {envelope["event_id"] for envelope in books.stored()}
        for envelope in assessed(books.stored()):
            data = envelope["data"]
            before, after = data["before"], data["after"]
            about = [data[name] for name in sorted(data.keys() - {"before", "after", "now"})]
            stood, stood_about = standing.get((envelope["account"], data["claim_id"]), (None, None))
            assert stood == before
            assert (before, stood_about) != (after, about)
            standing[envelope["account"], data["claim_id"]] = (after, about)
            assert set(data["facts"]) <= event_ids
            assert data["facts_count"] == len(data["facts"])
            assert data["now"] == "2035-01-01T00:00:00Z"
        assert len(standing) > 100

    def test_how_they_were_settled_can_be_followed_too_and_the_parts_of_a_claim_add_up_to_it(self) -> None:
        """Also where a claim moved between invoices or fell away: what went out stays, and is overpaid."""
        books = Books.open(agreements=oracle_agreements(money=True))
        for seed in range(60):
            books.take(histories.history(seed, instructed=True, money=True), batch=7)
        invoices: dict[tuple[str, str, str], Any] = {}
        parts: dict[tuple[str, str, str], Any] = {}
        stored = books.stored()
        for envelope in stored:
            if envelope["type"] != "settlement-changed.v1":
                continue
            account, data = envelope["account"], envelope["data"]
            if data["invoice_id"] is not None:
                invoice = (account, data["invoice_id"], data["currency"])
                assert invoices.get(invoice) == data["before"]
                invoices[invoice] = data["after"]
            for claim in data["claims"]:
                key = (account, claim["claim_id"], data["currency"])
                assert parts.get(key, []) == claim["before"]
                parts[key] = claim["after"]
            assert data["before"] != data["after"] or data["claims"]
        rows = {(row["account_id"], row["claim_id"], row["currency"]): row for row in claims_in(stored)}
        for key in rows.keys() | parts.keys():
            row = rows.get(key, {"outcome": None})
            granted = (row["amount"], row["tax"]) if row["outcome"] == "granted" else ("0", "0")
            settled = parts.get(key, [])
            sums = tuple(sum((Decimal(part[name]) for part in settled), Decimal(0)) for name in ("net", "tax"))
            assert sums == tuple(map(Decimal, granted)), key
        assert len(invoices) > 100
        ways = {part["into"] for settled in parts.values() for part in settled}
        assert ways == {"invoice_reduction", "offset", "refund", "credit", "overpaid"}


class TestRecomputing:
    """Whoever recomputes a decision from the facts known at its position, at its `now`, gets what was recorded."""

    @settings(max_examples=sample(15), phases=WITHOUT_SHRINKING)
    @given(seed=SEEDS, order=st.randoms(use_true_random=False))
    def test_every_decision_follows_from_what_was_known_before_it(self, seed: int, order: random.Random) -> None:
        messages = histories.history(seed, account="acct", instructed=True)
        first = histories.moment(seed, messages)
        books = Books.open(agreements=oracle_agreements(), now=first)
        order.shuffle(messages)
        cut = order.randrange(len(messages) + 1)
        books.take(messages[:cut])
        books.clock.at = max(first, order.choice([first, LONG_AFTER]))
        books.take(messages[cut:])
        audit(books)

    @settings(max_examples=sample(15), phases=WITHOUT_SHRINKING)
    @given(seed=SEEDS, order=st.randoms(use_true_random=False))
    def test_every_settlement_follows_from_what_was_known_and_what_had_gone_out(
        self, seed: int, order: random.Random
    ) -> None:
        messages = histories.history(seed, account="acct", instructed=True, money=True)
        books = Books.open(agreements=oracle_agreements(money=True), now=histories.moment(seed, messages))
        order.shuffle(messages)
        books.take(messages)
        books.clock.at = histories.afterwards(seed, books.clock.at)
        do_due_work(books.ledger, books.clock.at)
        audit(books)


def audit(books: Books) -> None:
    """Work out every decision about an account from the facts before it, and from what had gone out by then."""
    published = {(p.terms.name, p.terms.version): p for p in map(read_agreement, oracle_agreements(money=True))}
    known = AccountFacts("acct")
    outgoings, rested = Outgoings(known), set[str]()
    assessed_at: dict[datetime, dict[str, Assessed]] = {}
    for event in (envelope.event() for envelope in follow_account(books.database, "acct")):
        match event:
            case Fact():
                known.learn(event)
                assessed_at.clear()
            case AgreementBound():
                known.bind(event, published[event.data.agreement, event.data.version])
                assessed_at.clear()
            case ClaimAssessed() | SettlementChanged():
                now = event.data.now
                rows = assessed_at.get(now) or assess(known, now).claims
                assessed_at[now] = rows
                if isinstance(event, ClaimAssessed):
                    assert_recomputed(event.data, rows.get(event.data.claim_id))
                else:
                    assert_settled(event.data, known, outgoings, rows, rested)
            case CreditApplied(data=data):
                names = (data.application_id, data.credit_id, data.claim_id, data.invoice_id)
                outgoings.note_application(Application(*names, data.net, data.tax, data.currency))


def assert_settled(
    recorded: SettlementChanged.Data,
    known: AccountFacts,
    outgoings: Outgoings,
    rows: Mapping[str, Assessed],
    rested: set[str],
) -> None:
    """`rested` are the invoices whose excess was seen to become a credit."""
    invoice_id, currency = recorded.invoice_id, recorded.currency

    def to_settle(claim_id: str) -> ClaimToSettle | None:
        row = rows.get(claim_id)
        counts = row is not None and row.outcome == "granted" and row.currency == currency
        granted = (row.amount, row.tax) if row is not None and counts else (zero(currency), zero(currency))
        return claim_to_settle(known, outgoings, claim_id, granted, currency, {})

    settled: dict[str, tuple[SettledPart, ...]] = {}
    if invoice_id is None:
        alone = {claim.claim_id: to_settle(claim.claim_id) for claim in recorded.claims}
        settled = {id_: settle_without_invoice(claim, currency) for id_, claim in alone.items() if claim is not None}
    elif recorded.after is not None:
        on_it = [claim for claim_id in claims_on(known, invoice_id) if (claim := to_settle(claim_id)) is not None]
        refunded = sum((claim.refunds_out for claim in on_it), zero(currency))
        invoice = invoice_to_settle(known, outgoings, invoice_id, refunded, currency)
        settlement = settle(invoice, on_it)
        settled |= settlement.parts
        # Without any charge a payment waits, and is no excess.
        excess = settlement.excess if known.invoices[invoice_id].charge_facts else zero(currency)
        credit = invoice.excess_used + excess
        if credit and rested_at(known, invoice_id) <= recorded.now:
            rested.add(invoice_id)
        assert recorded.after == InvoiceStanding(
            charged=invoice.charged,
            paid_in_money=invoice.paid_in_money,
            paid_from_balance=invoice.paid_from_balance,
            excess_used=invoice.excess_used,
            reduced=settlement.reduced,
            asks_for=settlement.asks_for,
            excess=excess,
            excess_credit=credit if credit and invoice_id in rested else None,
        )
    for claim in recorded.claims:
        goes_back = tuple(part for part in claim.before if part.into in ("refund", "credit"))
        stays = (
            goes_back if to_settle(claim.claim_id) is not None else ()
        )  # where it is settled now, it takes that along
        assert claim.after == settled.get(claim.claim_id, stays), claim.claim_id
        for part in claim.after:
            if part.into == "refund" and part.status != "gone_out":
                outgoings.note_due(part.id, DueRefund(claim.claim_id, currency, part.net, part.tax))


def assert_recomputed(recorded: ClaimAssessed.Data, row: Assessed | None) -> None:
    after = recorded.after
    if row is None or after is None:
        assert row is after is None
        return
    assert (after.outcome, after.reason, after.amount, after.tax) == (row.outcome, row.reason, row.amount, row.tax)
    assert after.settle_as == row.settle_as
    working = row.working()
    assert (recorded.formula, recorded.inputs, recorded.working) == (working.formula, working.inputs, working.lines)
    assert list(recorded.facts) == list(dict.fromkeys(fact.event_id for fact in working.facts))


class TestClaims:
    """What is recorded is what the policy says, by a second implementation that shares no line with ours."""

    @pytest.mark.parametrize("seeds", [range(first, first + 50) for first in range(0, sample(100), 50)], ids=str)
    def test_claims_and_alarms_are_those_of_the_oracle_at_many_a_moment(self, seeds: range) -> None:
        compare_with_the_oracle(Books.open(agreements=oracle_agreements()), seeds)

    def test_claims_and_alarms_on_postgresql_too(self, pg_books: Books) -> None:
        for text in oracle_agreements()[1:]:
            pg_books.publish(text)
        compare_with_the_oracle(pg_books, range(1_000, 1_025))


def compare_with_the_oracle(books: Books, seeds: range) -> None:
    published = histories.agreements()
    for seed in seeds:
        messages = histories.history(seed, instructed=True)
        books.clock.at = now = histories.moment(seed, messages)
        assert not books.take(messages, batch=11).refused
        assert claims_in(books.stored_of(f"acct-{seed}")) == policy.claims(messages, published, now), seed
        ours, theirs = _alarms_by_name(books, f"acct-{seed}"), _oracles_alarms(messages, published, now)
        assert theirs <= ours, seed
        assert all(_is_of_nobody(about, messages) for _, about in ours - theirs), seed


def _is_of_nobody(about: str, messages: list[Message]) -> bool:
    """The oracle finds no contradictions where the account or the subscription is not registered. We do."""
    registered = {m["data"].get("subscription_id") for m in messages if m["type"].endswith("n.registered.v1")}
    known = any(m["type"] == "voip.account.registered.v1" for m in messages)
    left_out = about.split(" ", 1)[0]
    return not known or all(
        m["data"].get("subscription_id") not in registered for m in messages if m["id"] == left_out
    )


def _alarms_by_name(books: Books, account: str) -> set[tuple[str, str]]:
    found = set()
    for alarm in alarms_in(books.stored_of(account)):
        if alarm["alarm"] == "contradiction":
            standing, left_out = (about.split(" ", 1)[1] for about in alarm["about"])
            found.add(("contradiction", f"{left_out} contradicts {standing}"))
        elif alarm["alarm"] == "confirmation_exceeds_charge":
            found.add((alarm["alarm"], alarm["claim_id"].removeprefix("billing-error/")))
        elif alarm["alarm"] == "decided_by_proposer":
            proposal, verdict = (about.split(" ", 1)[1] for about in alarm["about"])
            found.add((alarm["alarm"], f"{verdict} of {proposal}"))
    return found


def _oracles_alarms(messages: list[Message], published: list[dict[str, Any]], now: datetime) -> set[tuple[str, str]]:
    """`charged_after_end` is left to the policy's own tests: the oracle knows fewer of them."""
    found = policy.alarms(messages, published, now)
    return {(alarm["alarm"], alarm["about"]) for alarm in found if alarm["alarm"] != "charged_after_end"}


class TestDifferences:
    """Every change of a claim row is recorded, and nothing else."""

    def test_a_claim_is_opened_changed_and_falls_away(self) -> None:
        books = Books.open()
        upstream = Upstream()
        books.take(upstream.customer())
        books.take([upstream.overcharge_confirmed(amount="10.00", time="2026-03-05T00:00:00Z")])
        books.take([upstream.overcharge_confirmed(amount="12.00", time="2026-03-04T00:00:00Z")])
        books.take([upstream.cycle_started(price="31.00", currency="USD", time="2026-02-01T00:00:00Z")])
        books.take([upstream.account_registered(currency="USD", time="2026-02-02T00:00:00Z")])
        changes = [e["data"] for e in assessed(books.stored())]
        amounts = [tuple(c[name] and c[name]["amount"] for name in ("before", "after")) for c in changes]
        assert amounts == [(None, "10.00"), ("10.00", "12.00"), ("12.00", None)]
        assert books.claims() == []
        first = changes[0]
        assert first["terms"]["agreement"] == "standard"
        assert first["terms"]["version"] == 1
        assert first["terms"]["sha256"] == sha256(STANDARD.encode()).hexdigest()
        assert first["claim_id"] == "billing-error/dis-1"
        used = {e["event_id"]: e["type"] for e in books.stored()}
        assert [used[fact] for fact in first["facts"]] == ["overcharge-confirmed.v1", "cycle-started.v1"]

    def test_a_fact_that_changes_no_claim_records_no_difference(self) -> None:
        books = Books.open()
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.overcharge_confirmed()])
        before = len(assessed(books.stored()))
        books.take([upstream.payment_failed(), upstream.complaint_opened(), upstream.overcharge_confirmed()])
        assert len(assessed(books.stored())) == before

    def test_an_alarm_is_raised_and_cleared_again(self) -> None:
        """A confirmation above its charge, until an earlier one shows that it was never the one that counts."""
        books = Books.open()
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.overcharge_confirmed(amount="99.00", time="2026-03-05T00:00:00Z")])
        [alarm] = books.alarms()
        assert (alarm["alarm"], alarm["claim_id"]) == ("confirmation_exceeds_charge", "billing-error/dis-1")
        assert books.amounts() == {"billing-error/dis-1": "0.00"}
        books.take([upstream.overcharge_confirmed(amount="9.00", time="2026-03-04T00:00:00Z")])
        assert books.alarms() == []
        assert books.types()[-3:] == ["claim-assessed.v2", "alarm-cleared.v1", "settlement-changed.v1"]
        assert books.amounts() == {"billing-error/dis-1": "9.00"}

    def test_a_contradiction_names_both_facts(self) -> None:
        books = Books.open()
        upstream = Upstream()
        customer = upstream.customer()
        overlapping = upstream.cycle_started("cyc-2", starts_on="2026-03-31", ends_on="2026-04-30")
        books.take([*customer, overlapping])
        [alarm] = books.alarms()
        assert alarm["alarm"] == "contradiction"
        assert alarm["about"] == [
            f"/provisioning/test {customer[2]['id']}",
            f"/provisioning/test {overlapping['id']}",
        ]


class TestWaiting:
    """Facts that come before what they depend on are recorded, listed, and assessed when it arrives."""

    def test_what_waits_is_listed_with_what_it_waits_for(self) -> None:
        books = Books.open(now=datetime(2026, 4, 1, tzinfo=UTC))
        upstream = Upstream()
        account, subscription, cycle, _ = upstream.customer()
        outage, resolved = upstream.outage_reported(), upstream.outage_resolved()
        verdict = upstream.overcharge_confirmed("dis-1", "cyc-1")

        def waits(*waiting: tuple[Message, str]) -> None:
            assert books.waiting() == sorted((message["id"], for_) for message, for_ in waiting)

        books.take([resolved])
        waits((resolved, "account acct-1"))
        books.take([account])
        waits((resolved, "subscription sub-1"))
        books.take([subscription])
        waits((resolved, "outage out-1"))
        books.take([verdict])
        waits((resolved, "outage out-1"), (verdict, "charge cyc-1"))
        books.take([outage])
        waits((verdict, "charge cyc-1"))
        assert books.claims()[0]["outcome"] == "pending"
        books.take([cycle])
        waits()
        assert books.amounts() == {"billing-error/dis-1": "10.00", "disruption/cyc-1": "1.40"}

    def test_what_ended_an_outage_waits_again_where_an_earlier_report_names_another_subscription(self) -> None:
        """However its messages were batched, and whether or not the process started anew between them."""
        upstream = Upstream()
        resolved, outage = upstream.outage_resolved(), upstream.outage_reported()
        earlier = upstream.outage_reported(subscription_id="sub-2", time="2026-02-01T00:00:00Z")
        told = [*upstream.customer(), upstream.subscription_registered("sub-2"), outage, resolved, earlier]
        for batch in (1, 7, None):
            books = Books.open()
            books.take(told, batch=batch)
            assert books.waiting() == [(resolved["id"], "outage out-1")]

    def test_a_registration_that_is_left_out_waits_for_nothing(self) -> None:
        upstream = Upstream()
        left_out = upstream.subscription_registered(message_id="left-out")
        standing = upstream.subscription_registered(agreement="unheard-of", time="2026-02-01T00:00:00Z")
        account = upstream.account_registered()
        for batch in (1, None):
            books = Books.open()
            books.take([account, left_out, standing], batch=batch)
            assert books.waiting() == [(standing["id"], "agreement unheard-of")]
            assert books.rows("SELECT agreement FROM awaiting_agreement") == [("unheard-of",)]

    def test_of_two_registrations_that_say_the_same_the_earlier_one_waits(self) -> None:
        books = Books.open()
        upstream = Upstream()
        later = upstream.subscription_registered(agreement="unheard-of", time="2026-02-02T00:00:00Z")
        earlier = upstream.subscription_registered(agreement="unheard-of", time="2026-02-01T00:00:00Z")
        books.take([upstream.account_registered(), later])
        books.take([earlier])
        assert books.waiting() == [(earlier["id"], "agreement unheard-of")]

    def test_what_comes_to_be_left_out_waits_no_more_and_what_is_left_out_no_more_waits(self) -> None:
        books = Books.open()
        upstream = Upstream()
        books.take([upstream.account_registered()])
        second = upstream.billing_error_reported(claimed="10.00", time="2026-03-02T00:00:00Z")
        third = upstream.billing_error_reported(claimed="12.00", time="2026-03-03T00:00:00Z")
        first = upstream.billing_error_reported(claimed="12.00", time="2026-03-01T00:00:00Z")
        waiting = []
        for report in (third, second, first):
            books.take([report])
            waiting.append([message_id for message_id, _ in books.waiting()])
        assert waiting == [[third["id"]], [second["id"]], sorted([first["id"], third["id"]])]

    def test_its_age_counts_from_when_it_was_recorded(self) -> None:
        books = Books.open(now=datetime(2026, 4, 1, tzinfo=UTC))
        upstream = Upstream()
        books.take([upstream.outage_resolved()])
        books.clock.at = datetime(2026, 4, 2, tzinfo=UTC)
        books.take([upstream.account_registered()])
        [(since,)] = books.rows("SELECT since FROM waiting")
        assert from_microseconds(since) == datetime(2026, 4, 1, tzinfo=UTC)

    def test_a_refund_nobody_knows_waits_until_it_is_known(self) -> None:
        books = Books.open()
        upstream = Upstream()
        books.take(upstream.customer())
        succeeded = upstream.refund_succeeded("refund/billing-error/dis-1/1")
        books.take([succeeded])
        assert books.waiting() == [(succeeded["id"], "refund refund/billing-error/dis-1/1")]
        books.take([upstream.overcharge_confirmed()])
        assert books.waiting() == []

    def test_a_message_writes_no_more_rows_where_much_waits(self, books: Books) -> None:
        """Only what begins or ends to wait is written."""
        upstream = Upstream()
        books.take(upstream.customer())
        told = {
            "it does not wait": lambda name: upstream.payment_failed(message_id=f"{name} failed".replace(" ", "-")),
            "it waits": lambda name: upstream.outage_resolved(f"out-{name}"),
            "another waits no more": lambda name: upstream.outage_reported(f"out-{name}"),
        }
        written = []
        for name in ("few", "many"):
            for message in told.values():
                books.database.written.clear()
                books.take([message(name)])
                written.append(books.database.written["waiting"])
            if name == "few":
                books.take([upstream.outage_resolved(f"out-{number}") for number in range(300)])
        assert written == [0, 1, 1] * 2
        assert len(books.waiting()) == 300

    @settings(max_examples=sample(10), phases=WITHOUT_SHRINKING)
    @given(SEEDS)
    def test_what_is_stored_is_what_whoever_asks_every_fact_anew_finds(self, seed: int) -> None:
        """After each message, whatever came before it: nothing that waits is overlooked."""
        books = Books.open(agreements=oracle_agreements())
        for message in histories.history(seed, instructed=True):
            books.take([message])
            other = books.another_process()
            with other.database.reading() as transaction:
                accounts = other.ledger.open_accounts(transaction, [message["subject"]])
            changes = accounts[message["subject"]].waiting_changes()
            assert changes is None, f"after {message}"

    def test_what_a_former_version_of_the_program_left_waiting_is_put_right(self, books: Books) -> None:
        upstream = Upstream()
        resolved = upstream.outage_resolved()
        books.take([*upstream.customer(), resolved, upstream.outage_resolved("out-2")])
        with books.database.writing() as transaction:
            transaction.run("UPDATE waiting SET waits_for = 'something else' WHERE id = ?", (resolved["id"],))
            transaction.run("UPDATE waiting SET event_id = 'of no fact' WHERE id <> ?", (resolved["id"],))
        other = books.another_process()
        other.take([upstream.payment_failed()])
        assert [waits_for for _, waits_for in books.waiting()] == ["outage out-1", "outage out-2"]

    @pytest.mark.parametrize("order", ["account first", "subscription first", "agreement last"])
    def test_a_subscription_is_bound_once_when_all_is_known(self, order: str) -> None:
        books = Books.open(agreements=())
        upstream = Upstream()
        account, subscription = upstream.account_registered(), upstream.subscription_registered()
        steps = {
            "account first": [books.publish, lambda: books.take([account]), lambda: books.take([subscription])],
            "subscription first": [books.publish, lambda: books.take([subscription]), lambda: books.take([account])],
            "agreement last": [
                lambda: books.take([account]),
                lambda: books.take([subscription]),
                books.publish,
                lambda: books.take([upstream.complaint_opened()]),
            ],
        }[order]
        for step in steps[:-1]:
            step()
            assert "agreement-bound.v1" not in books.types()
        steps[-1]()
        [bound] = [e for e in books.stored() if e["type"] == "agreement-bound.v1"]
        registered = next(e for e in books.stored() if e["type"] == "subscription-registered.v1")
        assert bound["data"] == {
            "subscription_id": "sub-1",
            "agreement": "standard",
            "version": 1,
            "sha256": sha256(STANDARD.encode()).hexdigest(),
            "registration": registered["event_id"],
            "time_zone": "Europe/Berlin",
        }
        assert books.waiting() == books.rows("SELECT * FROM awaiting_agreement") == []


def test_recorded_at_never_falls_within_an_account_even_where_the_clock_does() -> None:
    books = Books.open(now=datetime(2026, 4, 1, tzinfo=UTC))
    upstream = Upstream()
    for number, message in enumerate(upstream.every_type()):
        books.clock.at = datetime(2026, 4, 1 + (number * 7) % 20, tzinfo=UTC)
        books.take([message])
    stamps = [e["recorded_at"] for e in books.stored()]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) > 1


def test_a_stored_fact_reads_back_as_what_upstream_said() -> None:
    books = Books.open()
    message = Upstream().cycle_started(tax="5.89", monthly_price="29")
    books.take([message])
    [(type_, envelope)] = books.rows("SELECT type, envelope FROM events WHERE account = 'acct-1'")
    fact = from_stored(type_, envelope)
    statement = read(message)
    assert isinstance(statement, Statement)
    assert {name: getattr(fact.data, name) for name in statement.data} == dict(statement.data)
