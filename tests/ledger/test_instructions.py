"""What billing and provisioning are told to do, as it follows from what is recorded (contract §1a)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.relay import InstructionLane
from ledger.events import SubscriptionStatusChanged, from_stored
from ledger.instructions import Instruction, Issued, instructions_of
from ledger.store.reading import ended_on_before
from tests.ledger.books import WITHOUT_SHRINKING, Books, oracle_agreements
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream
from tests.oracle import histories
from tests.search import sample


def told(books: Books) -> list[tuple[str, dict[str, str]]]:
    """Every instruction that follows from what is stored: its kind, and what is to be done."""
    return [(each.kind, dict(each.data)) for each in issued(books)]


def issued(books: Books) -> list[Instruction]:
    found: list[Instruction] = []
    envelopes = books.envelopes()
    with books.database.real.reading() as transaction:
        for stored in envelopes:
            event = stored.event()
            found += instructions_of(event, ended_on_before(transaction, event))
    return found


SCHEDULED = ("cancellation.scheduled", {"subscription_id": "sub-1", "effective_on": "2026-04-01"})
WITHDRAWN = ("cancellation.withdrawn", {"subscription_id": "sub-1"})


class TestCancellation:
    """Provisioning is told when a subscription is to end, and when it is to go on after all."""

    def test_it_is_scheduled_once_and_withdrawn_once(self, open_books: Opener) -> None:
        books = open_books(now=datetime(2026, 3, 20, tzinfo=UTC))
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.cancellation_requested(requested_at="2026-03-19T12:00:00Z")])
        assert told(books) == [SCHEDULED]
        books.take([upstream.cancellation_requested(requested_at="2026-03-19T13:00:00Z")])
        assert told(books) == [SCHEDULED]
        books.take([upstream.cancellation_withdrawn(withdrawn_at="2026-03-19T14:00:00Z")])
        assert told(books) == [SCHEDULED, WITHDRAWN]
        books.take([upstream.cancellation_requested(requested_at="2026-03-19T15:00:00Z")])
        assert told(books) == [SCHEDULED, WITHDRAWN, SCHEDULED]
        assert len({each.instruction_id for each in issued(books)}) == 3

    def test_an_end_on_another_date_is_scheduled_anew(self) -> None:
        books = Books.open(now=datetime(2026, 3, 20, tzinfo=UTC))
        upstream = Upstream()
        account, subscription, cycle, payment = upstream.customer()
        books.take([account, subscription, upstream.cancellation_requested(requested_at="2026-03-19T12:00:00Z")])
        at_once = ("cancellation.scheduled", {"subscription_id": "sub-1", "effective_on": "2026-03-19"})
        assert told(books) == [at_once]
        books.take([payment, cycle])
        assert told(books) == [at_once, SCHEDULED]

    def test_a_termination_is_the_providers_own_doing(self) -> None:
        books = Books.open()
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.subscription_terminated()])
        assert told(books) == []

    def test_suspending_and_ending_in_time_say_nothing_more(self) -> None:
        books = Books.open(now=datetime(2026, 3, 20, tzinfo=UTC))
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.cancellation_requested(requested_at="2026-03-19T12:00:00Z")])
        books.take([upstream.subscription_suspended(), upstream.subscription_reinstated()])
        books.clock.at = datetime(2026, 5, 1, tzinfo=UTC)
        books.take([upstream.complaint_opened()])
        assert books.types().count("subscription-status-changed.v1") > 2
        assert told(books) == [SCHEDULED]


def reduced(total: str, change: str, asks_for: str) -> object:
    """What is said of the one claim on the first month's invoice, of which nothing is paid."""
    return (
        "invoice.reduced",
        {
            "invoice_id": "inv-cyc-1",
            "claim_id": "billing-error/dis-1",
            "net": total,
            "tax": "0.00",
            "total": total,
            "change_net": change,
            "change_tax": "0.00",
            "change_total": change,
            "currency": "EUR",
            "invoice_total": total,
            "asks_for": asks_for,
        },
    )


class TestReduction:
    """Billing is told by how much a claim reduces an invoice now, in all, and by how much that differs."""

    def unpaid(self, upstream: Upstream) -> list[Message]:
        return upstream.customer()[:3]

    def test_by_how_much_in_all_and_by_how_much_more(self, books: Books) -> None:
        upstream = Upstream()
        books.take([*self.unpaid(upstream), upstream.overcharge_confirmed()])
        assert told(books) == [reduced("10.00", "10.00", "21.00")]
        # An earlier confirmation of the same dispute turns up: it holds.
        books.take([upstream.overcharge_confirmed(amount="4.00", time="2026-02-01T00:00:00Z")])
        assert told(books) == [reduced("10.00", "10.00", "21.00"), reduced("4.00", "-6.00", "27.00")]

    def test_what_all_claims_take_off_and_what_the_invoice_asks_for_is_said_with_each(self) -> None:
        """Whatever billing heard before, the last word on an invoice is the whole of it."""
        books = Books.open()
        upstream = Upstream()
        books.take([*self.unpaid(upstream), upstream.overcharge_confirmed()])
        books.take([upstream.payment_captured(amount="20.00"), upstream.overcharge_confirmed("dis-2", amount="3.00")])
        said = [(d["claim_id"], d["total"], d["invoice_total"], d["asks_for"]) for _, d in told(books)]
        assert said == [
            ("billing-error/dis-1", "10.00", "10.00", "21.00"),
            ("billing-error/dis-2", "1.00", "11.00", "0.00"),
        ]

    def test_a_reduction_that_fell_away_is_one_of_nothing(self) -> None:
        books = Books.open()
        upstream = Upstream()
        books.take([*self.unpaid(upstream), upstream.overcharge_confirmed()])
        books.take([upstream.overcharge_rejected(time="2026-02-01T00:00:00Z")])
        assert told(books)[-1] == reduced("0.00", "-10.00", "31.00")

    def test_a_payment_takes_back_what_had_been_taken_off_and_that_is_said_too(self) -> None:
        """The customer paid all of it: the claim is made good another way."""
        books = Books.open()
        upstream = Upstream()
        books.take([*self.unpaid(upstream), upstream.overcharge_confirmed(), upstream.payment_captured()])
        assert told(books)[-1] == reduced("0.00", "-10.00", "0.00")

    def test_what_is_refunded_or_credited_is_none_of_it(self) -> None:
        books = Books.open()
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.overcharge_confirmed()])
        assert told(books) == []

    @pytest.mark.parametrize(("currency", "amount", "nothing"), [("JPY", "100", "0"), ("KWD", "1.250", "0.000")])
    def test_amounts_are_at_the_scale_of_their_currency(self, currency: str, amount: str, nothing: str) -> None:
        books = Books.open()
        upstream = Upstream(currency=currency)
        account, subscription, cycle = self.unpaid(upstream)
        cycle["data"]["price"] = "3000" if currency == "JPY" else "30.000"
        books.take([account, subscription, cycle, upstream.overcharge_confirmed(amount=amount)])
        [(_, data)] = told(books)
        assert (data["total"], data["tax"], data["change_net"]) == (amount, nothing, amount)


class TestIdentity:
    """An instruction is the same one, however often and by whomever it is derived."""

    def test_it_follows_from_the_event(self) -> None:
        lives = [Books.open(), Books.open()]
        for books in lives:
            upstream = Upstream()
            books.take([*upstream.customer()[:3], upstream.overcharge_confirmed(), upstream.cancellation_requested()])
        one, other = (issued(books) for books in lives)
        assert [each.instruction_id for each in one] == [each.instruction_id for each in other]
        assert all(len(each.instruction_id) == 32 and int(each.instruction_id, 16) for each in one)

    @settings(max_examples=sample(15), deadline=None, phases=WITHOUT_SHRINKING)
    @given(seed=st.integers(0, 100_000))
    def test_whoever_derives_them_finds_the_same(self, seed: int) -> None:
        """By the account that remembers, by the relay that asks the store: batch by batch, and all at once."""
        books = Books.open(agreements=oracle_agreements())
        books.take(histories.history(seed, account="acct-1"))
        remembered = Issued()
        for stored in books.envelopes():
            remembered.follow(stored.event())
        lane, sent, position = InstructionLane("t", 0), [], 0
        with books.database.real.reading() as transaction:
            while (batch := lane.after(transaction, position, 3)).last > position:
                sent += [record.value for record in batch.records]
                position = batch.last
            assert sent == [record.value for record in lane.after(transaction, 0, 10_000).records]
        assert position == len(books.envelopes())
        ids = [each.instruction_id for each in issued(books)]
        assert len(set(ids)) == len(ids) == len(sent)
        assert remembered.ids == set(ids)

    @settings(max_examples=sample(15), deadline=None, phases=WITHOUT_SHRINKING)
    @given(seed=st.integers(0, 100_000))
    def test_the_last_word_on_each_is_how_it_stands(self, seed: int) -> None:
        """Whoever carries out every instruction in order ends up with what the ledger says."""
        books = Books.open(agreements=oracle_agreements(money=True))
        books.take(histories.history(seed, account="acct-1", money=True))
        reductions: dict[tuple[str, str], Decimal] = {}
        changes: dict[tuple[str, str], Decimal] = {}
        totals: dict[str, Decimal] = {}
        ends: dict[str, date | None] = {}
        for each in issued(books):
            match each.kind:
                case "invoice.reduced":
                    key = (each.data["invoice_id"], each.data["claim_id"])
                    reductions[key] = Decimal(each.data["total"])
                    totals[each.data["invoice_id"]] = Decimal(each.data.get("invoice_total", 0))
                    changes[key] = changes.get(key, Decimal(0)) + Decimal(each.data["change_total"])
                case "cancellation.scheduled":
                    ends[each.data["subscription_id"]] = date.fromisoformat(each.data["effective_on"])
                case "cancellation.withdrawn":
                    ends[each.data["subscription_id"]] = None
        standing: dict[tuple[str, str], Decimal] = {}
        invoices: dict[str, dict[str, str] | None] = {}
        for envelope in books.stored():
            if envelope["type"] == "settlement-changed.v1":
                data = envelope["data"]
                invoices[data["invoice_id"]] = data["after"]
                for claim in data["claims"]:
                    standing = {key: total for key, total in standing.items() if key[1] != claim["claim_id"]}
                    for part in claim["after"]:
                        if part["into"] == "invoice_reduction":
                            total = Decimal(part["net"]) + Decimal(part["tax"])
                            standing[part["id"], claim["claim_id"]] = total
        assert {key: total for key, total in reductions.items() if total} == {k: t for k, t in standing.items() if t}
        assert reductions == changes
        reduced_now = {id_: Decimal(after["reduced"]) for id_, after in invoices.items() if after is not None}
        assert {id_: total for id_, total in totals.items() if total} == {i: t for i, t in reduced_now.items() if t}
        statuses: dict[str, SubscriptionStatusChanged] = {}
        for stored in books.envelopes():
            event = from_stored(stored.type, stored.envelope)
            if isinstance(event, SubscriptionStatusChanged):
                statuses[event.data.subscription_id] = event
        for subscription_id, last in statuses.items():
            if last.data.after != "terminated":
                assert ends.get(subscription_id) == last.data.effective_on


class TestAnswers:
    """Whoever carried an instruction out says so by an ordinary message, which touches no claim."""

    def test_an_answer_is_a_fact_and_changes_nothing_else(self, books: Books) -> None:
        upstream = Upstream()
        books.take([*upstream.customer()[:3], upstream.overcharge_confirmed()])
        [instruction] = issued(books)
        before = books.types()
        books.take([upstream.instruction_carried_out(instruction.instruction_id)])
        books.take([upstream.instruction_refused(instruction.instruction_id)])
        assert books.types() == [*before, "instruction-carried-out.v1", "instruction-refused.v1"]
        carried_out = books.stored()[-2]
        assert carried_out["occurred_at"] == "2026-03-31T10:00:00Z"
        assert carried_out["stream"] == "account/acct-1"
        assert books.waiting() == []
        assert "number was ported" not in str(books.stored())

    def test_an_answer_to_an_instruction_nobody_gave_waits_for_it(self, books: Books) -> None:
        upstream = Upstream()
        messages = [*upstream.customer(), upstream.cancellation_requested()]
        elsewhere = Books.open()
        elsewhere.take(messages)
        [instruction] = issued(elsewhere)
        books.take(messages[:4])
        answer = upstream.instruction_refused(instruction.instruction_id)
        books.take([answer])
        assert books.waiting() == [(answer["id"], f"instruction {instruction.instruction_id}")]
        books.another_process().take(messages[4:])
        assert books.waiting() == []

    def test_an_answer_that_names_another_accounts_instruction_waits(self) -> None:
        books = Books.open()
        one, other = Upstream("acct-1"), Upstream("acct-2")
        books.take([*one.customer()[:3], one.overcharge_confirmed(), *other.customer()])
        [instruction] = issued(books)
        answer = other.instruction_carried_out(instruction.instruction_id)
        books.take([answer])
        assert books.waiting() == [(answer["id"], f"instruction {instruction.instruction_id}")]
