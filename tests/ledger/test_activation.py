"""When an activation is due, and its one-time link: it leads to the secret once, and dies with its time and key."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.application.activation import (
    TRIES_MAX,
    VALID_FOR,
    FetchUnclear,
    NotFetched,
    NotOpened,
    collect,
    link_token,
    open_link,
)
from ledger.application.due_work import do_due_work
from ledger.store.database import Conflict, Unavailable
from ledger.store.notice_queue import queue_notices
from ledger.store.reading.notice_queue import QueuedNotice
from tests.ledger.books import Books, KeysByName
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream
from tests.search import sample

DUE = "activation-due.v1"


@settings(max_examples=sample(30))
@given(order=st.permutations(list("ASCDOabcFfgT")), known=st.integers(0, 12))
def test_an_activation_is_due_at_the_very_fact_that_completes_it(order: list[str], known: int) -> None:
    """Against a second, literal reading of the policy, after each fact of any beginning of any order."""
    upstream = Upstream()
    says = {
        "A": upstream.account_registered(),
        "S": upstream.subscription_registered(),
        "C": upstream.cycle_started(),
        "D": upstream.cycle_started("cyc-2", starts_on="2026-04-01", ends_on="2026-05-01"),
        "O": upstream.charge_posted(subscription_id="sub-1"),
        "g": upstream.payment_failed("inv-cyc-2"),  # the first try, before it was captured
        "a": upstream.payment_captured("inv-cyc-1"),
        "b": upstream.payment_captured("inv-cyc-2"),
        "c": upstream.payment_captured("inv-chg-1"),
        "f": upstream.payment_failed("inv-cyc-1"),  # it bounced
        "F": upstream.payment_failed(payment_id="pay-failed"),
        "T": upstream.subscription_terminated(),  # the e-mail looks at that
    }
    order = order[:known]
    books = Books.open()
    for fact in order:
        books.take([says[fact]])

    def due(facts: set[str]) -> bool:
        first = next((paid for charge, paid in (("C", "a"), ("D", "b"), ("O", "c")) if charge in facts), None)
        bounced = first == "a" and "f" in facts
        return {"A", "S"} <= facts and first in facts and not bounced

    completed = next((order[at] for at in range(len(order)) if due(set(order[: at + 1]))), None)
    by_id = {event["event_id"]: event for event in books.stored()}
    found = [by_id[e["causation_id"]]["data"]["message"]["id"] for e in by_id.values() if e["type"] == DUE]
    assert found == ([says[completed]["id"]] if completed is not None else [])
    books.close()


class TestNothingLeftToPay:
    """A first invoice whose charges come to 0, or that applied credits pay in full, counts as paid (policy §8)."""

    def credit(self, upstream: Upstream, amount: str) -> list[Message]:
        """A charge that was paid, and an overcharge on it."""
        return [
            upstream.payment_captured("inv-old"),
            upstream.charge_posted("old", price="31.00"),
            upstream.overcharge_confirmed("dis-old", "old", amount=amount, settle_as="credit"),
        ]

    def credited(self, amount: str, **asked: Any) -> tuple[Books, Upstream]:
        """A customer with a credit, and a first invoice of 31.00 that it is applied to."""
        books, upstream = Books.open(**asked), Upstream()
        books.take([upstream.account_registered(), *self.credit(upstream, amount)])
        books.take([upstream.subscription_registered(), upstream.cycle_started()])
        return books, upstream

    def confirmed(self, books: Books, upstream: Upstream) -> None:
        """Billing says that it applied the credit."""
        [ours] = [e["data"] for e in books.stored() if e["type"] == "credit-applied.v2"]
        by_balance = {"payment_id": ours["application_id"], "method": "balance"}
        books.take([upstream.payment_captured("inv-cyc-1", ours["amount"], **by_balance)])

    def by_what(self, books: Books) -> list[tuple[str, str]]:
        """By which fact each activation was completed, and what paid for it."""
        types = {event["event_id"]: event["type"] for event in books.stored()}
        found = [event for event in books.stored() if event["type"] == DUE]
        return [(types[event["causation_id"]], types[event["data"]["payment"]]) for event in found]

    def test_nothing_is_charged(self) -> None:
        books, upstream = Books.open(), Upstream()
        books.take([upstream.account_registered(), upstream.subscription_registered()])
        books.another_process().take([upstream.cycle_started(price="0")])
        assert self.by_what(books) == [("cycle-started.v1", "cycle-started.v1")]

    def test_a_credit_pays_for_all_of_it_and_its_confirmation_activates_nobody_again(self) -> None:
        books, upstream = self.credited("31.00")
        assert self.by_what(books) == [("cycle-started.v1", "cycle-started.v1")]
        self.confirmed(books, upstream)
        assert len(self.by_what(books)) == 1

    def test_a_credit_that_pays_for_part_of_it_does_not_confirmed_or_not(self) -> None:
        """That billing applied a credit is no payment besides: the rest is still to be paid."""
        books, upstream = self.credited("10.00")
        self.confirmed(books, upstream)
        assert self.by_what(books) == []
        books.take([upstream.payment_captured("inv-cyc-1", "21.00")])
        assert self.by_what(books) == [("payment-captured.v1", "payment-captured.v1")]

    @pytest.mark.parametrize("confirmed", [False, True])
    def test_what_the_credit_leaves_is_taken_off_later(self, confirmed: bool) -> None:
        """Whatever fact leaves nothing to pay completes it."""
        books, upstream = self.credited("21.00")
        if confirmed:
            self.confirmed(books, upstream)
        assert self.by_what(books) == []
        books.take([upstream.overcharge_confirmed("dis-new", amount="10.00")])
        assert self.by_what(books) == [("overcharge-confirmed.v1", "cycle-started.v1")]

    def test_what_the_credit_leaves_is_taken_off_by_time(self) -> None:
        """An outage that nobody resolves takes it off when the cycle ends; nobody has to say anything."""
        books, upstream = self.credited("10.00", now=datetime(2026, 3, 20, tzinfo=UTC))
        books.take([upstream.outage_reported()])
        assert self.by_what(books) == []
        do_due_work(books.ledger, datetime(2026, 4, 1, tzinfo=UTC))
        [due] = [e for e in books.stored() if e["type"] == DUE]
        assert (due["actor"], due["data"]["now"]) == ("/makegood/timer", "2026-03-31T22:00:00Z")

    def test_an_application_that_failed_pays_for_nothing(self) -> None:
        """The subscription is registered after billing gave the credit back."""
        books, upstream = Books.open(), Upstream()
        books.take([upstream.account_registered(), *self.credit(upstream, "31.00")])
        books.take([upstream.charge_posted("next", price="31.00", subscription_id="sub-1")])
        [ours] = [e["data"] for e in books.stored() if e["type"] == "credit-applied.v2"]
        books.take([upstream.payment_failed("inv-next", payment_id=ours["application_id"])])
        books.take([upstream.subscription_registered()])
        assert self.by_what(books) == []


NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
REFERENCE = "https://secrets.ruf.example/x7"
SECRET = "s3cr3t-of-zoë"


class Keeper:
    """Keeps a secret, and hands it out once."""

    def __init__(self, *fails: Exception) -> None:
        self.fails = list(fails)
        self.asked: list[str] = []

    def __call__(self, reference: str) -> str:
        self.asked.append(reference)
        if self.fails:
            raise self.fails.pop(0)
        return SECRET


@pytest.fixture
def keys() -> KeysByName:
    return KeysByName()


@pytest.fixture
def books(open_books: Opener, keys: KeysByName) -> Books:
    """Books with one activation that is due and queued."""
    books = open_books(keys=keys)
    activate(books)
    return books


def activate(books: Books) -> None:
    upstream = Upstream()
    credentials = {"username": "zoe.quux", "server": "sip.ruf.example", "secret_ref": REFERENCE}
    customer = {"name": "Zoë", "email": "zoe@example.net", "locale": "de"}
    books.take(
        [
            upstream.account_registered(customer=customer),
            upstream.subscription_registered(credentials=credentials),
            upstream.cycle_started(),
            upstream.payment_captured(),
        ]
    )
    [due] = [e for e in books.stored() if e["type"] == "activation-due.v1"]
    with books.database.real.writing() as transaction:
        queue_notices(
            transaction,
            [
                QueuedNotice("1" * 32, "acct-1", "activation", due["event_id"], 7, NOW, status="sent"),
                QueuedNotice("2" * 32, "acct-1", "complaint_opened", due["event_id"], 7, NOW, status="sent"),
            ],
        )


def token(books: Books, expires_at: datetime = NOW + VALID_FOR) -> str:
    return link_token(books.ledger.vault, "acct-1", "1" * 32, expires_at)


def why(do: Callable[[], object]) -> tuple[str, str | None]:
    with pytest.raises(NotOpened) as told:
        do()
    return told.value.why, told.value.locale


def collected(books: Books) -> list[dict[str, Any]]:
    return [e for e in books.stored() if e["type"] == "credentials-collected.v1"]


def test_it_leads_to_the_secret_once(books: Books) -> None:
    keeper = Keeper()
    assert open_link(books.ledger, token(books), NOW).locale == "de"
    assert open_link(books.ledger, token(books), NOW).locale == "de", "to look uses nothing up"
    found = collect(books.ledger, token(books), keeper, NOW)
    assert (found.username, found.server, found.secret) == ("zoe.quux", "sip.ruf.example", SECRET)
    assert found.recorded
    assert keeper.asked == [REFERENCE]
    assert why(lambda: collect(books.ledger, token(books), keeper, NOW)) == ("used", "de")
    assert why(lambda: open_link(books.ledger, token(books), NOW)) == ("used", "de")
    assert why(lambda: open_link(books.ledger, token(books, NOW + 2 * VALID_FOR), NOW)) == ("used", "de")
    assert keeper.asked == [REFERENCE]
    [event] = collected(books)
    assert event["data"] == {"notice_id": "1" * 32, "subscription_id": "sub-1"}
    assert (event["actor"], event["channel"]) == ("/makegood/activation", "link")
    books.check_positions()


def test_nothing_keeps_the_secret_or_where_it_was(books: Books) -> None:
    collect(books.ledger, token(books), Keeper(), NOW)
    kept = repr(books.content()) + json.dumps(books.stored(), ensure_ascii=False)
    for secret in (SECRET, REFERENCE, "zoe.quux", "zoe@example.net", token(books)):
        assert secret not in kept


def test_a_secret_in_a_file_is_refused_when_the_message_comes_but_in_a_sandbox() -> None:
    in_a_file = {"username": "zoe.quux", "server": "sip.ruf.example", "secret_ref": "FILE:///run/secrets/zoe"}
    said = Upstream()
    for sandbox in (False, True):
        with contextlib.closing(Books.open(keys=KeysByName(), sandbox=sandbox)) as books:
            taken = books.take([said.subscription_registered(credentials=in_a_file, message_id="m-1")])
            if sandbox:
                assert taken.accepted == 1
                continue
            [refusal] = taken.refused
            assert refusal.field == "data.credentials.secret_ref"
            assert "https:" in refusal.reason
            corrected = {**in_a_file, "secret_ref": REFERENCE}
            again = books.take([said.subscription_registered(credentials=corrected, message_id="m-1")])
            assert again.accepted == 1, "what was refused may be sent again under its id"


def test_it_expires(books: Books) -> None:
    last = NOW + VALID_FOR - timedelta(seconds=1)
    assert open_link(books.ledger, token(books), last)
    assert why(lambda: open_link(books.ledger, token(books), NOW + VALID_FOR)) == ("expired", "de")
    assert why(lambda: collect(books.ledger, token(books), Keeper(), NOW + VALID_FOR)) == ("expired", "de")


def test_it_dies_with_the_customers_key(books: Books, keys: KeysByName) -> None:
    link = token(books)
    keys.destroyed.add("account/acct-1")
    assert why(lambda: open_link(books.ledger, link, NOW)) == ("erased", None)
    assert why(lambda: collect(books.ledger, link, Keeper(), NOW)) == ("erased", None)


def test_one_of_before_the_customers_key_was_lost_says_so(books: Books, keys: KeysByName) -> None:
    link = token(books)
    books.database.lose_keys("account/acct-1")
    assert why(lambda: open_link(books.ledger, link, NOW)) == ("lost", None)
    keys.destroyed.add("account/acct-1")  # as one that is not there: nothing new was said of them yet
    assert why(lambda: collect(books.ledger, link, Keeper(), NOW)) == ("lost", None)


def test_it_follows_the_registration_that_stands_and_leads_nowhere_without_one(books: Books) -> None:
    said, link = Upstream(begins="2026-03-01T10:00:00Z"), token(books)
    [wrong] = [e["data"]["message"]["id"] for e in books.stored() if e["type"] == "subscription-registered.v1"]
    books.take([said.fact_retracted(wrong, message_id="back")])
    assert why(lambda: collect(books.ledger, link, Keeper(), NOW)) == ("wrong", None)
    other = {"username": "zoe.other", "server": "sip.ruf.example", "secret_ref": "https://secrets.ruf.example/other"}
    books.take([said.subscription_registered(credentials=other, message_id="again")])
    keeper = Keeper()
    assert collect(books.ledger, link, keeper, NOW).username == "zoe.other"
    assert keeper.asked == ["https://secrets.ruf.example/other"]


def test_nobody_can_make_one_or_change_one(books: Books) -> None:
    notice_id, expiry, mark = token(books).split(".")
    later = str(int(expiry) + 1)
    for forged in (
        f"{notice_id}.{later}.{mark}",
        f"{'2' * 32}.{expiry}.{mark}",
        f"{'3' * 32}.{expiry}.{mark}",
        f"{notice_id}.{expiry}.{mark[:-1]}{'0' if mark[-1] != '0' else '1'}",
        f"{notice_id}.{expiry}.{mark}0",
        f"{notice_id}.{expiry}",
        "",
        "1" * 4000,
        token(books).upper(),
        link_token(books.ledger.vault, "acct-1", "2" * 32, NOW + VALID_FOR),  # of a notice that has no link
    ):
        keeper = Keeper()
        assert why(lambda forged=forged, keeper=keeper: collect(books.ledger, forged, keeper, NOW)) == ("wrong", None)
        assert keeper.asked == []


def test_a_fetch_that_fails_for_certain_may_be_tried_again_but_not_without_end(books: Books) -> None:
    keeper = Keeper(*[NotFetched()] * TRIES_MAX)
    for _ in range(TRIES_MAX):
        assert why(lambda: collect(books.ledger, token(books), keeper, NOW)) == ("not_fetched", "de")
    assert why(lambda: collect(books.ledger, token(books), keeper, NOW)) == ("tried_too_often", "de")
    assert len(keeper.asked) == TRIES_MAX
    soon = NOW + timedelta(minutes=59)
    assert why(lambda: collect(books.ledger, token(books), keeper, soon)) == ("tried_too_often", "de")
    assert collect(books.ledger, token(books), keeper, NOW + timedelta(hours=1)).secret == SECRET


def test_a_store_that_fails_for_a_moment_does_not_keep_what_was_not_fetched(books: Books) -> None:
    def away() -> None:
        raise Unavailable("gone")

    def fetch(reference: str) -> str:
        books.database.before_writing.extend([away] * 3)
        raise NotFetched

    assert why(lambda: collect(books.ledger, token(books), fetch, NOW)) == ("not_fetched", "de")
    assert collect(books.ledger, token(books), Keeper(), NOW).secret == SECRET


def test_a_fetch_whose_fate_is_unknown_is_not_repeated(books: Books) -> None:
    keeper = Keeper(FetchUnclear())
    assert why(lambda: collect(books.ledger, token(books), keeper, NOW)) == ("in_doubt", "de")
    assert why(lambda: collect(books.ledger, token(books), keeper, NOW)) == ("in_doubt", "de")
    assert why(lambda: open_link(books.ledger, token(books), NOW)) == ("in_doubt", "de")
    assert len(keeper.asked) == 1
    assert collected(books) == []


def test_two_who_press_at_once_get_it_once(books: Books) -> None:
    other = books.another_process()
    second: list[str] = []

    def fetch(reference: str) -> str:
        second.append(why(lambda: collect(other.ledger, token(books), Keeper(), NOW))[0])
        return SECRET

    assert collect(books.ledger, token(books), fetch, NOW).secret == SECRET
    assert second == ["in_doubt"]


def test_a_store_that_fails_after_the_fetch_does_not_cost_the_customer_the_secret(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)

    def away() -> None:
        raise Unavailable("gone")

    def fetch(reference: str) -> str:
        books.database.before_writing.extend([away] * 20)
        return SECRET

    found = collect(books.ledger, token(books), fetch, NOW)
    assert found.secret == SECRET
    assert not found.recorded
    assert len(waited) > 5
    books.database.before_writing.clear()
    assert why(lambda: open_link(books.ledger, token(books), NOW)) == ("in_doubt", "de"), "and never fetched again"


def test_another_link_of_the_same_notice_is_the_same_link(books: Books) -> None:
    """A repeat of the e-mail bears a link that is valid for longer, and no second secret."""
    again = token(books, NOW + VALID_FOR + timedelta(days=1))
    assert again != token(books)
    collect(books.ledger, again, Keeper(), NOW)
    assert why(lambda: collect(books.ledger, token(books), Keeper(), NOW))[0] == "used"


def test_a_collection_is_recorded_though_another_writer_was_faster(books: Books) -> None:
    other = books.another_process()

    def fetch(reference: str) -> str:
        books.database.before_writing.append(lambda: other.take([Upstream(source="/other").outage_reported()]))
        return SECRET

    assert collect(books.ledger, token(books), fetch, NOW).recorded
    assert len(collected(books)) == 1
    books.check_positions()


def test_what_is_queued_may_be_changed_by_one_only(books: Books) -> None:
    from ledger.store.notice_queue import change_notice
    from ledger.store.reading.notice_queue import find_notice

    with books.database.real.reading() as transaction:
        notice = find_notice(transaction, "1" * 32)
    assert notice is not None
    with books.database.real.writing() as transaction:
        change_notice(transaction, notice, replace(notice, status="queued"))
    with pytest.raises(Conflict), books.database.real.writing() as transaction:
        change_notice(transaction, notice, replace(notice, status="discarded"))
