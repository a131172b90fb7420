"""Customers are told once, by real e-mail, of what the ledger recorded; what fails is seen, tried again or left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.mail.sending import MailServer, SmtpMailer
from consumers.mail.writing import sender
from consumers.notices import Notices, Post
from ledger.application.acts import By
from ledger.application.due_work import advance, do_due_work
from ledger.application.notice_delivery import NotForPeople, discard, resend
from ledger.store.database import Unavailable
from ledger.store.notice_queue import next_to_send
from ledger.store.reading.notice_queue import QueuedNotice, notices_in
from projections.catalog import CATALOG
from projections.follower import Follower
from projections.rebuild import Rebuild
from tests.consumers.postbox import Postbox, Received
from tests.ledger.books import Books, KeysByName
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream

BOB = By("/makegood/cli/bob", "cli")
CREDENTIALS = {"username": "zoe.quux", "server": "sip.ruf.example", "secret_ref": "https://secrets.ruf.example/x7"}


@dataclass
class Clock:
    """The world's time, which passes when a story says so."""

    now: datetime = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Office:
    """The part at work on some books, with a real mail server."""

    books: Books
    box: Postbox
    pem: Path
    clock: Clock = field(default_factory=Clock)

    def part(self, books: Books | None = None, *, posts: bool = True) -> Notices:
        server = MailServer.at(self.box.url(), str(self.pem))
        address = sender("Ruf & Co <service@ruf.example>")
        post = Post(SmtpMailer(server, address.address, patience=5.0), address, "https://my.ruf.example")
        return Notices(
            (books or self.books).ledger,
            post if posts else None,
            clock=self.clock,
            jitter=lambda: 0.0,
            monotonic=lambda: self.clock.now.timestamp(),
        )

    def works(self, part: Notices | None = None) -> list[Received]:
        """Have the part do all that can be done now; what arrived."""
        part = part or self.part()
        before = len(self.box.received)
        while part.queue():
            pass
        while part.send_next():
            pass
        return self.box.received[before:]

    def tells(self, *messages: Message) -> list[Received]:
        self.books.take(messages)
        return self.works()

    def rows(self, *statuses: Any) -> list[QueuedNotice]:
        with self.books.database.real.reading() as transaction:
            return notices_in(
                transaction, statuses or ("queued", "sending", "sent", "failed", "in_doubt", "discarded")
            )

    def row(self) -> QueuedNotice:
        [found] = self.rows()
        return found

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What was recorded of notices."""
        return [(e["type"], e["data"]) for e in self.books.stored() if e["stream"].startswith("notice/")]


@pytest.fixture
def office(open_books: Opener, postbox: Postbox, pem: Path) -> Office:
    return Office(open_books(), postbox, pem)


@pytest.fixture
def small(postbox: Postbox, pem: Path) -> Iterator[Office]:
    """An office in memory, for what does not depend on the kind of store."""
    books = Books.open()
    yield Office(books, postbox, pem)
    books.close()


def customer(upstream: Upstream, **other: Any) -> list[Message]:
    who = {"name": "Zoë Quux", "email": "zoe@example.net", "locale": "de"}
    return [
        upstream.account_registered(customer=who | other),
        upstream.subscription_registered(credentials=CREDENTIALS),
        upstream.cycle_started(),
    ]


# --- when ---------------------------------------------------------------------------------------------------------


class TestActivation:
    """One activation e-mail, exactly when registration and payment are both there (policy §8)."""

    def test_it_goes_out_once_in_the_customers_language_with_everything_but_the_secret(self, office: Office) -> None:
        upstream = Upstream()
        assert office.tells(*customer(upstream)) == []
        [received] = office.tells(upstream.payment_captured())
        assert received.to == ["zoe@example.net"]
        assert received.message["To"] == "Zoë Quux <zoe@example.net>"
        assert received.message["Subject"] == "Ihr Telefonanschluss ist bereit"
        for said in ("zoe.quux", "sip.ruf.example", "https://my.ruf.example/activate/", "8. März 2026, 10:00 Uhr"):
            assert said in received.text
            assert said in received.html
        assert "secrets.ruf.example" not in received.content.decode()
        [(type_, data)] = office.events()
        row = office.row()
        assert (type_, row.status, row.attempts) == ("notice-sent.v1", "sent", 1)
        assert data == {
            "notice_id": row.notice_id,
            "kind": "activation",
            "about": row.event_id,
            "message_id": received.message["Message-ID"],
            "repeat": False,
            "locale": "de",
        }
        assert office.works() == []
        assert office.tells(upstream.payment_captured("inv-cyc-1", payment_id="pay-again")) == []
        office.books.check_positions()

    @pytest.mark.parametrize("order", list(permutations(range(4))), ids=lambda order: "".join(map(str, order)))
    def test_in_whatever_order_its_facts_came(self, order: tuple[int, ...], small: Office) -> None:
        upstream = Upstream()
        messages = [*customer(upstream), upstream.payment_captured()]
        received = [office for place in order for office in small.tells(messages[place])]
        assert len(received) == 1
        assert small.books.types()[-2:] == ["activation-due.v1", "notice-sent.v1"]
        stored = {e["event_id"]: e for e in small.books.stored()}
        [due] = [e for e in stored.values() if e["type"] == "activation-due.v1"]
        assert stored[due["data"]["registration"]]["type"] == "subscription-registered.v1"
        assert stored[due["data"]["payment"]]["type"] == "payment-captured.v1"
        assert "message" in stored[due["causation_id"]]["data"], "the fact that completed it"

    def test_a_payment_that_failed_activates_nothing(self, office: Office) -> None:
        upstream = Upstream()
        assert office.tells(*customer(upstream), upstream.payment_failed()) == []
        assert office.rows() == []
        assert len(office.tells(upstream.payment_captured())) == 1, "the next one did not fail"

    def test_a_payment_for_another_invoice_activates_nothing(self, small: Office) -> None:
        upstream = Upstream()
        later = upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01")
        assert small.tells(*customer(upstream), later, upstream.payment_captured("inv-cyc-2")) == []
        assert len(small.tells(upstream.payment_captured())) == 1

    def test_without_a_cycle_the_earliest_charge_is_the_first_invoice(self, small: Office) -> None:
        upstream = Upstream()
        account, subscription, _ = customer(upstream)
        set_up = upstream.charge_posted(subscription_id="sub-1")
        later = upstream.charge_posted("chg-2", subscription_id="sub-1")
        small.tells(account, subscription, later, upstream.payment_captured("inv-chg-2"))
        assert len(small.box.received) == 1, "as far as was known, it was the first"
        other = Upstream("acct-2")
        small.tells(other.account_registered(), other.subscription_registered())
        small.tells(
            other.charge_posted(subscription_id="sub-1", time="2026-03-01T08:00:00Z"),
            other.charge_posted("chg-2", subscription_id="sub-1"),
            other.payment_captured("inv-chg-2"),
        )
        assert len(small.box.received) == 1
        small.tells(set_up, other.payment_captured("inv-chg-1"))
        assert len(small.box.received) == 2

    def test_a_subscription_that_was_terminated_is_not_activated(self, small: Office) -> None:
        upstream = Upstream()
        assert small.tells(*customer(upstream), upstream.subscription_terminated()) == []
        assert small.tells(upstream.payment_captured()) == []

    def test_nor_one_that_was_terminated_before_the_e_mail_could_be_sent(self, small: Office) -> None:
        upstream = Upstream()
        small.books.take([*customer(upstream), upstream.payment_captured(), upstream.subscription_terminated()])
        assert small.works() == []
        assert (small.row().status, small.row().last_error) == ("discarded", "nothing_to_tell")

    def test_nor_one_that_had_ended_by_then(self, small: Office) -> None:
        """Everything comes late and at once: the service is not ready, it is over."""
        upstream = Upstream()
        small.books.clock.at = datetime(2026, 4, 2, tzinfo=UTC)
        received = small.tells(*customer(upstream), upstream.cancellation_requested(), upstream.payment_captured())
        assert [r.message["Subject"] for r in received] == ["Ihre Kündigung ist bestätigt"]
        assert [(row.kind, row.last_error) for row in small.rows("discarded")] == [("activation", "nothing_to_tell")]

    def test_each_subscription_has_its_own(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured())
        second = upstream.cycle_started("cyc-9", subscription_id="sub-2")
        small.tells(upstream.subscription_registered("sub-2"), second, upstream.payment_captured("inv-cyc-9"))
        assert len({received.message["Message-ID"] for received in small.box.received}) == 2

    def test_customers_from_before_it_was_recorded_hear_nothing(self, small: Office) -> None:
        """A store whose history has no such event: what was due before a fact and is not recorded stays so."""
        upstream = Upstream()
        small.books.take([*customer(upstream), upstream.payment_captured()])
        kept = small.books.types()
        with small.books.database.real.writing() as transaction:
            for table in ("events", "heads"):
                column = "account_version" if table == "events" else "version"
                if table == "events":
                    transaction.run(f"DELETE FROM events WHERE type = 'activation-due.v1' AND {column} > 0")
                else:
                    transaction.run("UPDATE heads SET version = version - 1 WHERE account = 'acct-1'")
            transaction.run("UPDATE sequences SET position = position - 1 WHERE name = 'shard:0'")
        assert kept[-1] == "activation-due.v1"
        other = small.books.another_process()
        other.take([upstream.payment_captured("inv-cyc-1", payment_id="pay-2"), upstream.outage_reported()])
        assert "activation-due.v1" not in small.books.types()


class TestReceipts:
    def test_a_cancellation_with_its_date_and_what_it_returns_and_its_withdrawal(self, office: Office) -> None:
        upstream = Upstream()
        office.tells(*customer(upstream), upstream.payment_captured())
        office.books.clock.at = datetime(2026, 3, 21, 13, tzinfo=UTC)
        [receipt] = office.tells(upstream.cancellation_requested())
        assert receipt.message["Subject"] == "Ihre Kündigung ist bestätigt"
        assert "Endet am: 1. April 2026" in receipt.text
        assert "Gesamt: 11,00 EUR" in receipt.text
        [receipt] = office.tells(upstream.cancellation_withdrawn())
        assert receipt.message["Subject"] == "Ihre Kündigung wurde zurückgenommen"
        assert office.tells(upstream.cancellation_withdrawn(withdrawn_at="2026-03-22T13:00:00Z")) == []

    def test_a_cancellation_that_returns_nothing_says_so(self, small: Office) -> None:
        upstream = Upstream()
        account, subscription, cycle = customer(upstream)
        cycle["data"]["prepaid"] = False
        small.books.clock.at = datetime(2026, 3, 21, 13, tzinfo=UTC)
        [_, receipt] = small.tells(
            account, subscription, cycle, upstream.payment_captured(), upstream.cancellation_requested()
        )
        assert "kein Betrag erstattet" in receipt.text

    def test_a_cancellation_that_took_effect_at_once_offers_no_way_back(self, small: Office) -> None:
        upstream = Upstream()
        account, subscription, _ = customer(upstream, locale="en")
        small.books.clock.at = datetime(2026, 3, 22, tzinfo=UTC)
        [receipt] = small.tells(account, subscription, upstream.cancellation_requested())
        assert "Ended on: 21 March 2026" in receipt.text
        assert "withdraw the cancellation" not in receipt.text
        other = Upstream("acct-2")
        [receipt] = small.tells(*customer(other, locale="en"), other.cancellation_requested())
        assert "Ends on: 1 April 2026" in receipt.text
        assert "withdraw the cancellation" in receipt.text

    def test_it_is_written_in_the_language_and_to_the_address_that_hold_when_it_is_sent(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream))
        small.books.take([upstream.payment_captured()])
        [activation] = small.tells(upstream.customer_changed(locale="en", email="quux@example.net"))
        assert activation.to == ["quux@example.net"]
        assert activation.message["Subject"] == "Your telephone service is ready"
        mistaken = upstream.customer_changed(name="Zoë Quuux", locale="de")
        [receipt] = small.tells(mistaken, upstream.complaint_opened())
        assert receipt.message["To"] == "Zoë Quuux <quux@example.net>"
        assert "Beschwerde" in receipt.text
        [receipt] = small.tells(upstream.fact_retracted(mistaken), upstream.complaint_opened("com-2"))
        assert receipt.message["To"] == "Zoë Quux <quux@example.net>"
        assert "complaint" in receipt.text

    def test_nobody_is_told_of_what_was_taken_back_before_they_were(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured())
        mistaken = upstream.complaint_opened()
        assert small.tells(mistaken, upstream.fact_retracted(mistaken)) == []
        [row] = small.rows("discarded")
        assert (row.kind, row.last_error) == ("complaint_opened", "nothing_to_tell")

    def test_a_service_that_was_never_registered_is_not_ready(self, small: Office) -> None:
        upstream = Upstream()
        account, subscription, cycle = customer(upstream)
        messages = [account, subscription, cycle, upstream.payment_captured(), upstream.fact_retracted(subscription)]
        assert small.tells(*messages) == []
        assert [(row.kind, row.status) for row in small.rows()] == [("activation", "discarded")]

    def test_of_two_registrations_the_one_that_stands_says_how_to_sign_in(self, small: Office) -> None:
        upstream = Upstream()
        account, mistaken, cycle = customer(upstream)
        right = upstream.subscription_registered(credentials=CREDENTIALS | {"username": "zoe.right"})
        back = upstream.fact_retracted(mistaken)
        [activation] = small.tells(account, mistaken, cycle, upstream.payment_captured(), right, back)
        assert "zoe.right" in activation.text
        assert "zoe.quux" not in activation.text

    def test_who_was_not_registered_for_a_while_is_told_when_they_are_again(self, small: Office) -> None:
        upstream = Upstream()
        account, subscription, cycle = customer(upstream)
        back = upstream.fact_retracted(account)
        assert small.tells(account, subscription, cycle, upstream.payment_captured(), back) == []
        assert small.row().last_error == "account_not_registered"
        assert len(small.tells(upstream.fact_retracted(back))) == 1

    def test_nobody_is_told_that_a_date_has_come(self, postbox: Postbox, pem: Path) -> None:
        books = Books.open(sandbox=True, now=datetime(2026, 3, 21, 13, tzinfo=UTC))
        office = Office(books, postbox, pem)
        upstream = Upstream()
        advance(books.ledger, datetime(2026, 3, 21, 13, tzinfo=UTC))
        office.tells(*customer(upstream), upstream.payment_captured(), upstream.cancellation_requested())
        assert len(postbox.received) == 2
        advance(books.ledger, datetime(2026, 5, 1, tzinfo=UTC))
        assert books.types()[-2] == "subscription-status-changed.v1" or "cancelled" in str(books.stored())
        assert office.works() == []
        books.close()

    def test_a_credit_with_what_was_added(self, office: Office) -> None:
        upstream = Upstream()
        office.tells(*customer(upstream, locale="en"), upstream.payment_captured())
        office.books.clock.at = datetime(2026, 3, 15, tzinfo=UTC)
        outage = [upstream.outage_reported(), upstream.outage_resolved()]
        [receipt] = office.tells(*outage)
        assert receipt.message["Subject"] == "You have a credit"
        assert "because of a disruption" in " ".join(receipt.text.split())
        assert "Total: 2.07 EUR" in receipt.text
        more = upstream.outage_resolved(resolved_at="2026-03-14T00:00:00Z")
        [receipt] = office.tells(more)
        assert "Total: 2.06 EUR" in receipt.text, "what came to it, not what it came to"

    def test_a_credit_that_was_lowered_before_anybody_knew_is_told_as_it_stands(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream, locale="en"), upstream.payment_captured())
        small.books.take([upstream.outage_reported()])  # open to the end of the cycle, which has long passed
        [receipt] = small.tells(upstream.outage_resolved())
        assert "Total: 2.07 EUR" in receipt.text

    def test_a_credit_that_fell_and_rose_before_anybody_knew_is_told_once(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream, locale="en"), upstream.payment_captured())
        small.books.take([upstream.outage_reported(), upstream.outage_resolved(resolved_at="2026-03-14T00:00:00Z")])
        small.books.take([upstream.outage_resolved()])
        received = small.tells(upstream.outage_resolved(resolved_at="2026-03-13T00:00:00Z"))
        told = [r.text.partition("Total: ")[2].partition(" EUR")[0] for r in received]
        [granted] = [claim["amount"] for claim in small.books.claims()]
        assert sum(map(Decimal, told)) == Decimal(granted)
        assert told == ["2.07", "1.03"]

    def test_a_credit_that_fell_away_before_anybody_knew_is_not_told(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured())
        assert (
            small.tells(upstream.outage_reported(), upstream.outage_resolved(resolved_at="2026-03-10T01:00:00Z"))
            == []
        )
        [row] = small.rows("discarded")
        assert (row.kind, row.last_error) == ("credit", "nothing_to_tell")
        assert small.events()[-1][0] == "notice-discarded.v1"

    def test_each_credit_that_grew_is_told_for_itself(self, office: Office) -> None:
        """One payment settles both claims another way: it came from balance, and so they go back as credits."""
        upstream = Upstream()
        disputes = [upstream.overcharge_confirmed(dispute_id, amount="6.00") for dispute_id in ("dis-1", "dis-2")]
        paid = upstream.payment_captured(method="balance")
        assert office.tells(*customer(upstream, locale="en"), *disputes) == [], "they are taken off the invoice"
        received = office.tells(paid)
        subjects = ["You have a credit", "You have a credit", "Your telephone service is ready"]
        assert [r.message["Subject"] for r in received] == subjects
        assert all("Total: 6.00 EUR" in r.text for r in received[:2])
        assert len({r.message["Message-ID"] for r in received}) == 3
        assert office.works() == []

    def test_what_was_paid_in_excess_once_it_is_a_credit_and_what_is_added_to_it(self, office: Office) -> None:
        upstream = Upstream()
        office.tells(*customer(upstream, locale="en"), upstream.payment_captured())
        again = [upstream.payment_captured(amount=amount, payment_id=f"pay-{amount}") for amount in ("4.00", "2.50")]
        assert office.tells(again[0]) == [], "another fact may come that explains it"
        office.books.clock.at += timedelta(hours=24)
        do_due_work(office.books.ledger, office.books.clock.at)
        [receipt] = office.works()
        assert receipt.message["Subject"] == "You have a credit"
        assert "you paid more than the invoice amount" in " ".join(receipt.text.split())
        assert "Total: 4.00 EUR" in receipt.text
        [receipt] = office.tells(again[1])
        assert "Total: 2.50 EUR" in receipt.text

    def test_an_excess_that_was_explained_before_anybody_knew_is_not_told(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured())
        small.books.take([upstream.payment_captured(amount="4.00", payment_id="pay-again")])
        small.books.clock.at += timedelta(hours=24)
        do_due_work(small.books.ledger, small.books.clock.at)
        charge = upstream.charge_posted(price="4.00", invoice_id="inv-cyc-1")
        assert small.tells(charge) == []
        assert [(row.kind, row.last_error) for row in small.rows("discarded")] == [("credit", "nothing_to_tell")]

    def test_a_credit_that_was_used_is_told_of_all_the_same(self, small: Office) -> None:
        """What was used of it has paid for something: it is no less the customer's."""
        upstream = Upstream()
        small.tells(*customer(upstream, locale="en"), upstream.payment_captured())
        small.books.clock.at = datetime(2026, 3, 15, tzinfo=UTC)
        next_cycle = upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01")
        [receipt] = small.tells(upstream.outage_reported(), upstream.outage_resolved(), next_cycle)
        assert small.books.types()[-4:-2] == ["credit-applied.v2", "settlement-changed.v1"]
        assert "Total: 2.07 EUR" in receipt.text

    def test_a_credit_that_moved_to_another_invoice_is_told_once(self, small: Office) -> None:
        """The verdict that holds is the earlier one, which comes later and names another charge."""
        upstream = Upstream()
        small.tells(*customer(upstream, locale="en"), upstream.payment_captured())
        small.tells(upstream.charge_posted(), upstream.payment_captured("inv-chg-1", amount="15.00"))

        def confirmed(charge_id: str, **more: str) -> Message:
            return upstream.overcharge_confirmed(charge_id=charge_id, settle_as="credit", **more)

        [receipt] = small.tells(confirmed("cyc-1"))
        assert "Total: 10.00 EUR" in receipt.text
        assert small.tells(confirmed("chg-1", time="2026-03-01T08:00:00Z")) == []
        [receipt] = small.tells(confirmed("cyc-1", amount="12.00", time="2026-03-01T07:00:00Z"))
        assert "Total: 2.00 EUR" in receipt.text

    def test_nor_is_one_forgotten_that_moved_before_anybody_knew(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream, locale="en"), upstream.payment_captured())
        small.tells(upstream.charge_posted(), upstream.payment_captured("inv-chg-1", amount="15.00"))
        small.books.take([upstream.overcharge_confirmed(settle_as="credit")])
        moved = upstream.overcharge_confirmed(charge_id="chg-1", settle_as="credit", time="2026-03-01T08:00:00Z")
        [receipt] = small.tells(moved)
        assert "Total: 10.00 EUR" in receipt.text

    def test_a_refund_once_it_has_succeeded_and_only_then(self, office: Office) -> None:
        upstream = Upstream()
        office.tells(*customer(upstream), upstream.payment_captured())
        office.books.clock.at = datetime(2026, 3, 21, 13, tzinfo=UTC)
        assert office.tells(upstream.overcharge_confirmed()) == [], "it is due, and not more"
        assert office.tells(upstream.refund_failed("refund/billing-error/dis-1/1")) == []
        [receipt] = office.tells(upstream.refund_succeeded("refund/billing-error/dis-1/1"))
        assert receipt.message["Subject"] == "Ihre Erstattung wurde ausgezahlt"
        for said in ("Gesamt: 10,00 EUR", "30. März 2026", "psp-77"):
            assert said in receipt.text
        assert office.tells(upstream.refund_succeeded("refund/billing-error/dis-1/1")) == [], "once"

    def test_a_refund_that_no_claim_has_waits_until_one_does(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured())
        assert small.tells(upstream.refund_succeeded("refund/billing-error/dis-1/1")) == []
        [row] = small.rows("queued")
        assert (row.kind, row.last_error) == ("refund", "refund_not_known")
        [receipt] = small.tells(upstream.complaint_opened())
        assert "com-1" in receipt.text, "and keeps nothing else waiting"
        small.books.take([upstream.overcharge_confirmed()])
        small.clock.passes(minutes=1)
        [receipt] = small.works()
        assert "Gesamt: 10,00 EUR" in receipt.text

    def test_a_refund_is_told_with_what_went_out_where_that_is_another_amount(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured(), upstream.overcharge_confirmed())
        refund = upstream.refund_succeeded("refund/billing-error/dis-1/1", amount="7.50", currency="EUR")
        [receipt] = small.tells(refund)
        assert "Gesamt: 7,50 EUR" in receipt.text

    def test_a_refund_that_bounced_before_anybody_knew_is_not_told(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured(), upstream.overcharge_confirmed())
        reports = [
            said("refund/billing-error/dis-1/1") for said in (upstream.refund_succeeded, upstream.refund_failed)
        ]
        assert small.tells(*reports) == []
        assert [(row.kind, row.last_error) for row in small.rows("discarded")] == [("refund", "nothing_to_tell")]

    def test_nor_one_that_bounced_after_its_claim_was_gone(self, small: Office) -> None:
        """Nothing is owed by then, so that no refund is left that could be shown as failed."""
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured(), upstream.overcharge_confirmed())
        refund = "refund/billing-error/dis-1/1"
        earlier = upstream.overcharge_rejected(time="2026-03-01T09:00:00Z")
        course = [upstream.refund_succeeded(refund), earlier, upstream.refund_failed(refund)]
        assert small.tells(*course) == []
        assert [(row.kind, row.last_error) for row in small.rows("discarded")] == [("refund", "nothing_to_tell")]

    def test_nor_one_of_which_nothing_arrived(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream), upstream.payment_captured(), upstream.overcharge_confirmed())
        refund = upstream.refund_succeeded("refund/billing-error/dis-1/1", amount="0.00", currency="EUR")
        assert small.tells(refund) == []
        assert [(row.kind, row.last_error) for row in small.rows("discarded")] == [("refund", "nothing_to_tell")]

    def test_a_complaint_when_it_is_opened_and_each_time_it_is_resolved(self, office: Office) -> None:
        upstream = Upstream()
        office.tells(*customer(upstream))
        words = "the line crackles, says Zoë"
        course = [
            upstream.complaint_opened(description=words),
            upstream.complaint_opened(description=words),
            upstream.complaint_resolved(resolution=words),
            upstream.complaint_reopened(reason=words),
            upstream.complaint_resolved(resolution=words),
        ]
        received = office.tells(*course)
        assert [r.message["Subject"] for r in received] == [
            "Wir haben Ihre Beschwerde erhalten",
            "Ihre Beschwerde wurde abgeschlossen",
            "Ihre Beschwerde wurde abgeschlossen",
        ]
        assert all("com-1" in r.text and "crackles" not in r.content.decode() for r in received)

    def test_who_is_known_late_hears_everything_in_its_order(self, small: Office) -> None:
        upstream = Upstream()
        account, *_ = customer(upstream)
        assert small.tells(upstream.complaint_opened()) == []
        for _ in range(12):  # each time tried later, so that what comes next would be tried before it
            small.clock.passes(minutes=30)
            assert small.works() == []
        assert small.tells(upstream.complaint_resolved()) == []
        received = small.tells(account)
        assert [r.message["Subject"] for r in received] == [
            "Wir haben Ihre Beschwerde erhalten",
            "Ihre Beschwerde wurde abgeschlossen",
        ]


class TestOnce:
    """What was told is not told again: not by a rebuild, not by a second process, not by an older store."""

    def test_a_rebuild_and_a_replay_send_nothing(self, office: Office) -> None:
        upstream = Upstream()
        follower = Follower(office.books.database)
        follower.create()
        office.tells(*customer(upstream), upstream.payment_captured(), upstream.cancellation_requested())
        follower.catch_up()
        before = office.books.rows("SELECT * FROM notices ORDER BY notice_id")
        rebuild = Rebuild(office.books.database, CATALOG)
        rebuild.begin()
        rebuild.build()
        rebuild.put_in_place()
        assert office.works() == []
        assert office.works(office.part(office.books.another_process())) == []
        assert office.books.take([*customer(Upstream()), Upstream().payment_captured()]).accepted == 0
        assert office.works() == []
        assert office.books.rows("SELECT * FROM notices ORDER BY notice_id") == before

    def test_a_store_that_was_there_before_begins_with_what_comes_next(self, office: Office) -> None:
        upstream = Upstream()
        office.books.take([*customer(upstream), upstream.payment_captured()])
        with office.books.database.real.writing() as transaction:
            transaction.run("UPDATE store SET value = '2' WHERE name = 'schema'")
        office.books.ledger.bring_up_to_date()
        assert office.works() == []
        assert office.rows() == []
        [receipt] = office.tells(upstream.complaint_opened())
        assert receipt.message["Subject"] == "Wir haben Ihre Beschwerde erhalten"

    def test_two_processes_share_a_queue(self, office: Office) -> None:
        for n in range(5):
            upstream = Upstream(f"acct-{n}")
            office.books.take([*customer(upstream), upstream.payment_captured(), upstream.complaint_opened()])
        one, other = office.part(), office.part(office.books.another_process())
        while any([one.queue(), other.queue()]) or any([one.send_next(), other.send_next()]):
            pass
        assert len(office.box.received) == 10
        assert len({r.message["Message-ID"] for r in office.box.received}) == 10

    def test_without_a_mail_server_everything_is_queued_and_sent_when_there_is_one(self, office: Office) -> None:
        upstream = Upstream()
        office.books.take([*customer(upstream), upstream.payment_captured()])
        assert office.works(office.part(posts=False)) == []
        assert office.row().status == "queued"
        assert len(office.works()) == 1


def test_whose_turn_it_is_takes_no_longer_for_what_was_sent_long_ago(small: Office) -> None:
    """An account's earlier notices are looked for among those on their way, not among all that it ever had."""

    class Explaining:
        def rows(self, sql: str, parameters: Any = ()) -> list[Any]:
            with small.books.database.reading() as transaction:
                self.plan = [row[-1] for row in transaction.rows(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            return []

    asked = Explaining()
    next_to_send(asked, small.clock.now)  # type: ignore[arg-type]
    assert any("e USING INDEX notices_on_their_way (account=? AND position<?)" in step for step in asked.plan)
    assert any("n USING INDEX notices_status" in step for step in asked.plan)


# --- what may go wrong --------------------------------------------------------------------------------------------


class TestFailure:
    @pytest.fixture
    def waiting(self, office: Office) -> Office:
        upstream = Upstream()
        office.books.take([*customer(upstream), upstream.payment_captured()])
        return office

    def test_a_refusal_for_now_is_tried_again_each_time_twice_as_late(self, waiting: Office) -> None:
        waits = []
        for _ in range(10):
            waiting.box.recipients.append("450 later")
            assert waiting.works() == []
            row = waiting.row()
            assert (row.status, row.last_error) == ("queued", "smtp_450")
            assert row.next_attempt_at is not None
            waits.append((row.next_attempt_at - waiting.clock.now).total_seconds())
            assert waiting.works() == [], "not before its time"
            waiting.clock.now = row.next_attempt_at
        assert waits == [30, 30, 60, 120, 240, 480, 960, 1800, 1800, 1800]
        [received] = waiting.works()
        assert received.message["X-Makegood-Repeat"] is None
        assert waiting.events() == [("notice-sent.v1", waiting.events()[0][1])], "what was not sent is no event"

    def test_a_refusal_for_good_fails_and_is_left_to_a_person(self, waiting: Office) -> None:
        waiting.box.recipients.append("550 no such user zoe@example.net")
        assert waiting.works() == []
        row = waiting.row()
        assert (row.status, row.last_error) == ("failed", "smtp_550")
        assert waiting.events() == [
            ("notice-failed.v1", {"notice_id": row.notice_id, "kind": "activation", "code": "smtp_550"})
        ]
        waiting.clock.passes(days=30)
        assert waiting.works() == []
        resend(waiting.books.ledger, row.notice_id, BOB, waiting.clock.now)
        [received] = waiting.works()
        assert received.message["X-Makegood-Repeat"] is None, "it had surely not arrived"
        types = [type_ for type_, _ in waiting.events()]
        assert types == ["notice-failed.v1", "notice-resent.v1", "notice-sent.v1"]
        resent = next(e for e in waiting.books.stored() if e["type"] == "notice-resent.v1")
        assert (resent["actor"], resent["channel"]) == ("/makegood/cli/bob", "cli")

    def test_an_answer_that_was_lost_brings_one_repeat_marked_as_one(self, waiting: Office) -> None:
        waiting.box.contents.append("lost")
        first, second = waiting.works()
        assert first.message["X-Makegood-Repeat"] is None
        assert second.message["X-Makegood-Repeat"] == "1"
        assert "bereits erhalten" in " ".join(second.text.split())
        assert first.message["Message-ID"] == second.message["Message-ID"]
        assert (waiting.row().status, waiting.row().repeat) == ("sent", True)
        assert waiting.events()[0][1]["repeat"] is True

    def test_when_the_repeats_answer_is_lost_as_well_a_person_decides(self, waiting: Office) -> None:
        waiting.box.contents.extend(["lost", "lost"])
        assert len(waiting.works()) == 2
        waiting.clock.passes(days=30)
        assert waiting.works() == []
        assert waiting.row().status == "in_doubt"
        discard(waiting.books.ledger, waiting.row().notice_id, BOB, "Zoë says that it arrived")
        assert waiting.row().status == "discarded"
        [(type_, data)] = waiting.events()
        assert type_ == "notice-discarded.v1"
        assert data["sealed"]["ref"].startswith("notice/acct-1/")
        assert "arrived" not in json.dumps(waiting.books.stored())
        with pytest.raises(NotForPeople):
            resend(waiting.books.ledger, waiting.row().notice_id, BOB, waiting.clock.now)

    def test_a_process_that_died_while_sending_is_waited_for_and_then_the_notice_is_repeated(
        self, waiting: Office
    ) -> None:
        part = waiting.part(waiting.books.another_process())
        part.queue()
        assert part._claim() is not None  # and here it ends
        assert waiting.works() == []
        waiting.clock.passes(seconds=299)
        assert waiting.works() == [], "it may be at it still"
        waiting.clock.passes(seconds=2)
        [received] = waiting.works()
        assert received.message["X-Makegood-Repeat"] == "1"

    def test_who_comes_back_too_late_records_nothing(self, waiting: Office) -> None:
        """A process that was frozen while it sent, and whose notice another one took over."""
        frozen = waiting.part(waiting.books.another_process())
        frozen.queue()
        claimed = frozen._claim()
        assert claimed is not None
        waiting.clock.passes(seconds=301)
        assert len(waiting.works()) == 1
        before = waiting.books.stored()
        with pytest.raises(Exception, match="changed by someone else"):
            frozen._deliver(frozen._post, claimed)  # type: ignore[arg-type]
        assert waiting.books.stored() == before
        assert waiting.row().status == "sent"

    def test_a_server_that_cannot_be_used_is_left_alone_for_a_while(self, waiting: Office) -> None:
        other = Upstream("acct-2")
        waiting.books.take([*customer(other), other.payment_captured()])
        waiting.box.recipients.append("421 too busy")
        part = waiting.part()
        assert waiting.works(part) == []
        assert [row.attempts for row in waiting.rows()] == [1, 0], "the second is not even tried"
        waiting.clock.passes(seconds=2)
        assert len(waiting.works(part)) == 1
        waiting.clock.passes(seconds=31)
        assert len(waiting.works(part)) == 1

    def test_a_server_that_was_away_for_long_gets_what_waited_as_soon_as_it_is_back(self, waiting: Office) -> None:
        part = waiting.part()
        waiting.box.recipients.extend(["421 too busy"] * 20)
        while waiting.box.recipients:
            waiting.works(part)
            waiting.clock.passes(seconds=61)
        assert len(waiting.works(part)) == 1, "it was the server's fault, and the e-mail waits no longer than for it"

    def test_keys_that_cannot_be_reached_change_no_order(self, waiting: Office) -> None:
        upstream = Upstream()
        for _ in range(4):
            upstream.says("nothing")
        waiting.books.take([upstream.complaint_opened()])
        keys = waiting.books.ledger.vault._keys
        waiting.books.ledger.vault._keys = Away()
        part = waiting.part()
        part.queue()
        assert part.send_next()
        waiting.books.ledger.vault._keys = keys
        assert waiting.works() == [], "the first one waits, and the second for it"
        waiting.clock.passes(seconds=31)
        subjects = [r.message["Subject"] for r in waiting.works()]
        assert subjects == ["Ihr Telefonanschluss ist bereit", "Wir haben Ihre Beschwerde erhalten"]

    def test_a_customer_whose_key_was_erased_is_written_to_no_more(
        self, open_books: Opener, postbox: Postbox, pem: Path
    ) -> None:
        keys = KeysByName()
        office = Office(open_books(keys=keys), postbox, pem)
        upstream = Upstream()
        office.books.take([*customer(upstream), upstream.payment_captured()])
        keys.destroyed.add("account/acct-1")
        assert office.works() == []
        assert (office.row().status, office.row().last_error) == ("failed", "erased")
        assert office.events()[0][1]["code"] == "erased"
        discard(office.books.ledger, office.row().notice_id, BOB, "asked to be forgotten")
        sealed = office.events()[1][1]["sealed"]
        assert sealed["commitment"] == "erased", "nothing can be kept for them any more"
        assert office.books.rows("SELECT 1 FROM vault WHERE ref = ?", sealed["ref"]) == []

    def test_a_customer_whose_key_was_lost_is_written_to_once_their_address_is_known_again(
        self, waiting: Office
    ) -> None:
        waiting.books.database.lose_keys("account/acct-1")
        assert waiting.works() == []
        assert (waiting.row().status, waiting.row().last_error) == ("failed", "key_lost")
        crm = Upstream(source="/crm", begins="2026-05-01T00:00:00Z")
        waiting.books.take([crm.customer_changed(locale="en")])
        resend(waiting.books.ledger, waiting.row().notice_id, BOB, waiting.clock.now)
        assert waiting.works() == [], "a language is no address"
        waiting.books.take([crm.customer_changed(email="zoe@new.example"), crm.complaint_opened()])
        assert [r.message["To"] for r in waiting.works()] == ["zoe@new.example"]
        assert {row.kind: row.status for row in waiting.rows()} == {
            "activation": "failed",
            "complaint_opened": "sent",
        }

    def test_an_address_that_is_none_fails(self, small: Office) -> None:
        upstream = Upstream()
        small.tells(*customer(upstream, email="zoe@example.net\r\nBcc: eve@example.net"), upstream.payment_captured())
        assert (small.row().status, small.row().last_error) == ("failed", "no_address")

    def test_an_accounts_notices_go_out_in_their_order(self, waiting: Office) -> None:
        upstream = Upstream()
        for _ in range(4):
            upstream.says("nothing")
        waiting.books.take([upstream.complaint_opened(), upstream.complaint_resolved()])
        other = Upstream("acct-2")
        waiting.books.take([*customer(other), other.payment_captured()])
        waiting.box.recipients.append("450 later")
        assert [r.message["To"] for r in waiting.works()] == ["Zoë Quux <zoe@example.net>"], "of the other account"
        waiting.clock.passes(seconds=31)
        assert [r.message["Subject"] for r in waiting.works()] == [
            "Ihr Telefonanschluss ist bereit",
            "Wir haben Ihre Beschwerde erhalten",
            "Ihre Beschwerde wurde abgeschlossen",
        ]

    def test_a_store_that_fails_after_the_mail_is_asked_again_until_it_is_recorded(self, waiting: Office) -> None:
        part = waiting.part()
        part.queue()
        away = [Unavailable("gone"), Unavailable("still gone")]

        def fails() -> None:
            if away:
                raise away.pop()

        waiting.box.on_content = lambda: waiting.books.database.before_writing.extend([fails, fails])
        assert part.send_next()
        assert not away
        assert (waiting.row().status, len(waiting.box.received)) == ("sent", 1)

    def test_a_commit_whose_answer_is_lost_is_found_to_have_taken_place(self, waiting: Office) -> None:
        part = waiting.part()
        part.queue()

        def lost() -> None:
            from ledger.store.database import CommitUnknown

            raise CommitUnknown("the answer was lost")

        waiting.box.on_content = lambda: waiting.books.database.after_commit.append(lost)
        assert part.send_next()
        assert waiting.row().status == "sent"
        assert len(waiting.events()) == 1

    def test_what_cannot_be_written_waits_and_keeps_nobody_else_waiting(self, waiting: Office) -> None:
        other = Upstream("acct-2")
        waiting.books.take([*customer(other), other.payment_captured()])
        with waiting.books.database.real.writing() as transaction:
            transaction.run("UPDATE vault SET ciphertext = ? WHERE subject = 'account/acct-1'", (b"damaged",))
        assert len(waiting.works()) == 1
        assert {row.account: row.status for row in waiting.rows()} == {"acct-1": "queued", "acct-2": "sent"}
        [row] = waiting.rows("queued")
        assert row.last_error == "cannot_be_written"
        assert not row.repeat


class Away:
    """Keys in a database that is away."""

    def of(self, subjects: Any, in_store: Any) -> Any:
        raise Unavailable("the keys are away")

    def existing(self, subject: str) -> Any:
        raise Unavailable("the keys are away")


# --- a law --------------------------------------------------------------------------------------------------------

FATES = st.sampled_from(["250 taken", "lost", "451 later", "554 no"])


@given(fates=st.lists(FATES, max_size=6), dies=st.lists(st.booleans(), max_size=4))
def test_whatever_a_mail_server_does_nobody_gets_more_than_two_and_the_second_says_so(
    fates: list[str], dies: list[bool]
) -> None:
    """Against a mailer that answers as the real server does; the real one is in the stories above."""
    from collections import deque

    from consumers.mail.sending import FateUnknown, RefusedForGood, TryLater

    answers, arrived = deque(fates), []

    class Mailer:
        def send(self, recipient: str, message: bytes) -> None:
            answer = answers.popleft() if answers else "250 taken"
            if answer in ("250 taken", "lost"):
                arrived.append(b"X-Makegood-Repeat: 1" in message)
            if answer == "lost":
                raise FateUnknown
            if answer != "250 taken":
                raise (TryLater if answer.startswith("4") else RefusedForGood)(answer[:3])

    books = Books.open()
    upstream = Upstream()
    books.take([*customer(upstream), upstream.payment_captured()])
    clock = Clock()
    post = Post(Mailer(), sender("Ruf <service@ruf.example>"), "https://my.ruf.example")
    part = Notices(books.ledger, post, clock=clock, jitter=lambda: 0.0)
    part.queue()
    deaths = deque(dies)
    for _ in range(20):
        if deaths and deaths.popleft():
            part._claim()  # and it dies there
        else:
            part.send_next()
        clock.passes(hours=2)
    [(status,)] = books.rows("SELECT status FROM notices")
    assert status in ("sent", "failed", "in_doubt")
    assert len(arrived) <= 2
    assert arrived[1:] in ([], [True])
    if status == "sent":
        assert arrived
    books.check_positions()
    books.close()
