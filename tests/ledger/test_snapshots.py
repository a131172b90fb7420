"""Snapshots: an account that is opened by one is in every way the account that its events make, and decides alike.

The slow and plain way, every event replayed, is what everything here is compared with.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.agreement import Agreement
from ledger.application import snapshots
from ledger.application.account import Account
from ledger.application.catalogue import Catalogue
from ledger.application.columnar import NotWritable, to_columns
from ledger.application.due_work import do_due_work
from ledger.application.snapshots import Snapshots
from ledger.application.warm import ACCOUNT_BYTES, EVENT_BYTES, WarmAccounts
from ledger.audit import leaf_hash
from ledger.events import CycleStarted, LedgerEvent, from_stored
from ledger.policy.facts.waiting import WaitingFacts
from ledger.store.database import Unavailable
from ledger.store.reading.events import read_accounts
from ledger.store.writing import Head, WaitingFact, read_heads
from ledger.vault import STORE_SUBJECT, Vault
from tests.ledger.books import WITHOUT_SHRINKING, Books, KeysByName, no_randomness, oracle_agreements
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream
from tests.oracle import histories
from tests.projections.test_movements import Life
from tests.search import sample

SEEDS = st.integers(min_value=0, max_value=100_000)
ACCOUNT = "acct-1"


@pytest.fixture(autouse=True)
def any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts of any length are opened by their snapshot where they have one."""
    monkeypatch.setattr(snapshots, "LONG_FROM", 0)


# --- an account that lives from snapshot to snapshot ----------------------------------------------------------------


class ColdLife(Life):
    """The same life, but that whoever hears a step has not seen the account before: it is opened by a snapshot of
    some earlier moment, and the events since then."""

    def __init__(self, seed: int) -> None:
        self._stored: list[tuple[str, bytes]] = []
        self._events: list[LedgerEvent] = []
        self._leaf: str | None = None
        self._memory_at = 0
        self._chances = random.Random(f"snapshots {seed}")
        self._vault = Vault(KeysByName())
        self.opened = 0
        super().__init__(seed)

    def hear(self, message: Message) -> None:
        self._open_anew()
        super().hear(message)

    def _submit(self, refund_id: str) -> None:
        self._open_anew()
        super()._submit(refund_id)

    def let_time_pass(self) -> None:
        self._open_anew()
        super().let_time_pass()

    def _open_anew(self) -> None:
        for event in [event for step in self.steps for event in step][len(self._events) :]:
            chained = event.following(self._leaf)
            self._stored.append((event.type, chained.stored()))
            self._events.append(chained)
            self._leaf = leaf_hash(chained.stored())
        warm, version = self.account, len(self._events)
        if not version:
            return
        if not self._memory_at or self._chances.random() < 0.2:
            self._snapshot = Snapshots(self._vault, warm._catalogue).of_events(
                Head(ACCOUNT, 0, version, self._leaf), self._stored
            )
            self._memory_at = version
        head = Head(ACCOUNT, 0, version, self._leaf, warm._recorded_at, warm.due_at)
        self.account = Account(head, warm._catalogue, self._snapshot.memory(warm._catalogue))
        later = [from_stored(type_, envelope) for type_, envelope in self._stored[self._memory_at :]]
        self.account.replay(later, {})
        self.opened += 1


@settings(max_examples=sample(24), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=SEEDS)
def test_an_account_opened_by_snapshots_all_its_life_records_the_same_events(seed: int) -> None:
    plain, cold = Life(seed), ColdLife(seed)
    assert cold.opened
    assert [[event.stored() for event in step] for step in cold.steps] == [
        [event.stored() for event in step] for step in plain.steps
    ]


@settings(max_examples=sample(16), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=SEEDS, order=st.randoms(use_true_random=False))
def test_what_it_is_in_memory_is_what_all_its_events_make_of_it(seed: int, order: random.Random) -> None:
    life = ColdLife(seed)
    catalogue, vault = life.account._catalogue, Vault(KeysByName())
    life._open_anew()
    stored, events = life._stored, life._events
    for cut in sorted({order.randint(1, len(stored)) for _ in range(3)} | {len(stored)}):
        head = Head(ACCOUNT, 0, cut, leaf_hash(stored[cut - 1][1]))
        snapshot = Snapshots(vault, catalogue).of_events(head, stored[:cut])
        by_snapshot = Account(Head(ACCOUNT), catalogue, snapshot.memory(catalogue))
        by_snapshot.replay([from_stored(*row) for row in stored[cut:]], {})
        plain = Account(Head(ACCOUNT), catalogue)
        plain.replay(events, {})
        assert told(by_snapshot.memory) == told(plain.memory)
        assert waiting(by_snapshot) == waiting(plain)
        assert (by_snapshot.approved_if_changed(), by_snapshot.awaited_if_changed()) == (None, None)


def waiting(account: Account) -> dict[str, WaitingFact]:
    """What is to be written of the facts that wait."""
    changes = account.waiting_changes()
    assert changes is None or not changes.no_more
    return {fact.event_id: fact for fact in changes.now} if changes is not None else {}


def told(memory: object) -> Any:
    """All that an account is in memory, so that two can be compared: what refers to what, and in which order. Orders
    do not count that Python does not keep; nor that in which facts began to wait, by which nothing is decided."""
    seen: set[int] = set()

    def tell(item: Any, *, waits: bool = False) -> Any:
        kind = type(item)
        if isinstance(item, LedgerEvent):
            return ("event", item.stored())
        if item is None or kind in (str, int, bool):
            return item
        if kind in (Decimal, datetime, date, timedelta) or isinstance(item, Agreement):
            return (kind.__name__, str(item))
        if kind in (tuple, set):
            parts = [tell(part) for part in item]
            return (kind.__name__, parts if kind is tuple else sorted(parts, key=repr))
        if id(item) in seen:
            return ("again", kind.__name__)
        seen.add(id(item))
        if isinstance(item, dict):
            pairs = [(tell(key), tell(value, waits=waits)) for key, value in item.items() if value or not waits]
            return (kind.__name__, sorted(pairs, key=repr) if waits else pairs)
        if kind in (list, deque):
            return ("list", [tell(part) for part in item])
        slots = [name for base in kind.__mro__ for name in base.__dict__.get("__slots__", ())]
        names = [*vars(item)] if hasattr(item, "__dict__") else slots
        waits = isinstance(item, WaitingFacts)
        of = [(name, tell(getattr(item, name), waits=waits)) for name in names]
        return (kind.__name__, of)

    return tell(memory)


# --- on a store -----------------------------------------------------------------------------------------------------


RECORDED = ("events", "heads", "inbox", "waiting", "awaiting_agreement", "approved_refunds", "vault")


def make(books: Books, account: str = ACCOUNT) -> int:
    return books.ledger.account_snapshots.make(books.database.real, account)


def usable(books: Books, account: str = ACCOUNT) -> bool:
    """Whether a process that has not seen an account opens it by a snapshot."""
    with books.database.real.reading() as transaction:
        heads = read_heads(transaction, [account])
        books.ledger.catalogue(transaction)
        return account in books.ledger.account_snapshots.open(transaction, heads)


def opened(books: Books, account: str = ACCOUNT) -> Account:
    """An account as it is opened by a process that has not seen it."""
    ledger = books.another_process().ledger
    with books.database.real.reading() as transaction:
        return ledger.open_accounts(transaction, [account])[account]


def replayed(books: Books, account: str = ACCOUNT) -> Account:
    """The account by all its events."""
    with books.database.real.reading() as transaction:
        plain = Account(read_heads(transaction, [account])[account], books.ledger.catalogue(transaction))
        waiting = dict(transaction.rows("SELECT event_id, waits_for FROM waiting WHERE account = ?", (account,)))
        events = [stored.event() for stored in read_accounts(transaction, [account])[account]]
    plain.replay(events, waiting)
    return plain


def told_in_parts(
    books: Books, messages: Sequence[Message], cuts: Sequence[int], between: Callable[[], object]
) -> None:
    """Take messages, each part in a process of its own, which has seen none of the accounts."""
    for begin, end in zip([0, *cuts], [*cuts, len(messages)], strict=True):
        books.another_process().take(messages[begin:end])
        between()
    do_due_work(books.another_process().ledger, books.clock.at)


@settings(max_examples=sample(10), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=SEEDS, money=st.booleans(), order=st.randoms(use_true_random=False))
def test_a_store_with_snapshots_records_what_one_without_does(seed: int, money: bool, order: random.Random) -> None:
    """Byte for byte, whatever history, wherever it is cut, and however old the snapshot is."""
    messages = histories.history(seed, account=ACCOUNT, instructed=True, money=money)
    cuts = sorted(order.randint(1, len(messages)) for _ in range(4))
    stores = [
        Books.open(keys=KeysByName(), agreements=oracle_agreements(money=True), randomness=no_randomness)
        for _ in range(2)
    ]
    for store, between in zip(stores, (lambda: None, lambda: order.random() < 0.6 and make(stores[1])), strict=True):
        store.clock.at = histories.moment(seed, messages)
        told_in_parts(store, messages, cuts, between)
    plain, fast = (store.content() for store in stores)
    assert {table: fast[table] for table in RECORDED} == {table: plain[table] for table in RECORDED}


@pytest.mark.parametrize("seed", [5, 41, 1192])
def test_on_postgresql_too(pg_store: str, seed: int) -> None:
    messages = histories.history(seed, account=ACCOUNT, instructed=True, money=True)
    cuts = sorted(random.Random(seed).randint(1, len(messages)) for _ in range(4))
    alike: dict[str, Any] = {
        "keys": KeysByName(),
        "agreements": oracle_agreements(money=True),
        "randomness": no_randomness,
    }
    plain, fast = Books.open(**alike), Books.open(pg_store, **alike)
    told_in_parts(plain, messages, cuts, lambda: None)
    told_in_parts(fast, messages, cuts, lambda: make(fast))
    assert usable(fast)
    by_snapshots, by_events = fast.content(), plain.content()
    assert {table: by_snapshots[table] for table in RECORDED} == {table: by_events[table] for table in RECORDED}
    fast.close()


@pytest.fixture
def books(open_books: Opener) -> Books:
    """An account with a refund, a credit, an outage, a complaint and something that waits, and its snapshot."""
    books = open_books()
    says = Upstream(ACCOUNT)
    books.take(
        [
            *says.customer(),
            says.payment_captured(),
            says.overcharge_confirmed(amount="4.00"),
            says.outage_reported(),
            says.complaint_opened(),
            says.overcharge_confirmed("dis-9", "chg-unknown"),
            says.charge_posted("chg-2", invoice_id="inv-2"),
            says.overcharge_confirmed("dis-2", "chg-2", amount="3.00", settle_as="credit"),
        ]
    )
    make(books)
    return books


def then(books: Books) -> list[bytes]:
    """What is recorded of the same next messages, by a process that has not seen the account."""
    says = Upstream(ACCOUNT, source="/later")
    before = len(books.envelopes())
    books.another_process().take(
        [says.outage_resolved(), says.charge_posted("chg-unknown", invoice_id="inv-3"), says.cancellation_requested()]
    )
    return [each.envelope for each in books.envelopes()[before:]]


def test_an_account_is_opened_by_its_snapshot_and_the_events_since(books: Books) -> None:
    assert usable(books)
    assert told(opened(books).memory) == told(replayed(books).memory)
    then(books)
    assert usable(books)
    assert told(opened(books).memory) == told(replayed(books).memory)


SAID_OF_AN_EVENT: tuple[Callable[[Any], object], ...] = (
    repr,
    hash,
    vars,
    copy,
    deepcopy,
    lambda event: event.content,
    lambda event: event.stored(),
    lambda event: event.following("0" * 64),
    lambda event: event.model_copy(update={"previous": None}),
)


@pytest.mark.parametrize("say", SAID_OF_AN_EVENT)
def test_an_event_in_a_snapshot_is_read_when_it_is_first_looked_at(say: Callable[[Any], object]) -> None:
    books = Books.open()
    books.take(Upstream(ACCOUNT).customer())
    make(books)
    unread, plain = (by(books).facts.charges.standing["cyc-1"].fact for by in (opened, replayed))
    assert isinstance(unread, type(plain))
    assert not isinstance(unread, CycleStarted.Data)
    assert type(unread) is not type(plain), "nobody has looked at it yet"
    assert say(unread) == say(plain)
    assert type(unread) is type(plain)
    assert unread == plain


def test_two_events_are_compared_whichever_was_read(books: Books) -> None:
    def fact() -> LedgerEvent:
        return opened(books).facts.charges.standing["cyc-1"].fact

    plain = replayed(books).facts.charges.standing["cyc-1"].fact
    assert plain == fact()
    assert fact() == plain
    assert fact() == fact()


# --- what is not used -----------------------------------------------------------------------------------------------


def changed(column: str, value: str) -> Callable[[Books], None]:
    return lambda books: books.database.tamper(f"UPDATE snapshots SET {column} = {value}")


def cut_short(column: str) -> Callable[[Books], None]:
    return changed(column, f"substr({column}, 1, length({column}) - 1)")


def of_another(books: Books) -> None:
    """The row of another account, under this one's name."""
    books.take(Upstream("acct-2").customer())
    make(books, "acct-2")
    books.database.tamper(
        f"DELETE FROM snapshots WHERE account = '{ACCOUNT}'", f"UPDATE snapshots SET account = '{ACCOUNT}'"
    )


def by_another_key(books: Books) -> None:
    """Whoever can write into the database makes a snapshot by all the rules, under a key of their own."""
    keys = KeysByName()
    keys.store_subject = lambda: f"{STORE_SUBJECT}/theirs"  # type: ignore[method-assign]
    with books.database.real.reading() as transaction:
        catalogue = books.ledger.catalogue(transaction)
    Snapshots(Vault(keys), catalogue).make(books.database.real, ACCOUNT)


def by_another_program(books: Books) -> None:
    """The program was changed since, also where only a line of the policy was."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshots, "this_program", lambda: "0" * 64)
        make(books.another_process())


def of_events_that_went(books: Books) -> None:
    """The store was restored: it has less than the snapshot is of."""
    (version,) = books.rows("SELECT version FROM snapshots")[0]
    books.database.tamper(
        f"DELETE FROM events WHERE account = '{ACCOUNT}' AND account_version = {version}",
        f"UPDATE heads SET version = {version - 1}, leaf_hash = "
        f"(SELECT leaf_hash FROM snapshots) WHERE account = '{ACCOUNT}'",
    )


def of_another_course(books: Books) -> None:
    """The store was restored, and went on otherwise: it has as many events, and they are others."""
    books.database.tamper(f"UPDATE heads SET leaf_hash = '{'0' * 64}' WHERE account = '{ACCOUNT}'")


NOT_USED = {
    "another version": changed("version", "version - 1"),
    "another leaf hash": changed("leaf_hash", f"'{'0' * 64}'"),
    "another program named": changed("program", f"'{'0' * 64}'"),
    "a changed form": changed("form", "replace(form, 'EUR', 'USD')"),
    "no MAC": changed("mac", "''"),
    "form cut short": cut_short("form"),
    "numbers cut short": cut_short("numbers"),
    "envelopes cut short": cut_short("envelopes"),
    "another account's": of_another,
    "by another key": by_another_key,
    "by another program": by_another_program,
}


@pytest.mark.parametrize("what", NOT_USED)
def test_what_is_not_the_stores_own_is_not_used(books: Books, what: str) -> None:
    if what == "a changed form" and books.database.dialect == "postgresql":
        form = "convert_to(replace(convert_from(form, 'UTF8'), 'EUR', 'USD'), 'UTF8')"
        books.database.tamper(f"UPDATE snapshots SET form = {form}")
    else:
        NOT_USED[what](books)
    assert not usable(books)
    assert told(opened(books).memory) == told(replayed(books).memory)


@pytest.mark.parametrize("what", [of_events_that_went, of_another_course])
def test_what_is_of_no_event_that_the_account_has_is_not_used(books: Books, what: Callable[[Books], None]) -> None:
    what(books)
    assert not usable(books)


def test_no_key_is_needed_to_open_an_account(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes, and refunds are paid, also while the key database is away: by the events, then."""

    def away() -> str:
        raise Unavailable("the key database is away")

    monkeypatch.setattr(books.keys, "store_subject", away)
    assert not usable(books)
    assert told(opened(books).memory) == told(replayed(books).memory)


def test_nothing_but_opening_an_account_knows_of_snapshots() -> None:
    """What auditors run is not what the cache is part of: verifying, performing again, checking the laws."""
    source = Path(snapshots.__file__).parents[2]
    named = {str(file.relative_to(source)) for file in source.rglob("*.py") if "snapshots" in file.read_text("utf-8")}
    assert named == {
        "consumers/timers.py",
        "ledger/application/ledger.py",
        "ledger/application/snapshots.py",
        "ledger/store/schema.py",
    }


def test_a_genuine_snapshot_is_not_used_where_what_follows_is_not_chained_to_it(books: Books) -> None:
    then(books)
    assert usable(books)
    (version,) = books.rows("SELECT version FROM snapshots")[0]
    books.database.tamper(f"DELETE FROM events WHERE account = '{ACCOUNT}' AND account_version = {version + 1}")
    assert not usable(books)


# --- when one is made -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("long_from", "replayed_max", "is_wanted"),
    [
        pytest.param(10, 10, True, id="many events of a long account"),
        pytest.param(10, 100, False, id="few events of it"),
        pytest.param(100, 10, False, id="an account that is not long"),
    ],
)
def test_one_is_wanted_where_many_events_were_replayed(
    books: Books, monkeypatch: pytest.MonkeyPatch, long_from: int, replayed_max: int, is_wanted: bool
) -> None:
    monkeypatch.setattr(snapshots, "LONG_FROM", long_from)
    monkeypatch.setattr(snapshots, "REPLAYED_MAX", replayed_max)
    books.database.tamper("DELETE FROM snapshots")
    ledger = books.another_process().ledger
    with books.database.real.reading() as transaction:
        ledger.open_accounts(transaction, [ACCOUNT])
    assert (ledger.account_snapshots.next_wanted() == ACCOUNT) is is_wanted
    assert ledger.account_snapshots.next_wanted() is None


def test_taking_messages_in_writes_none(books: Books) -> None:
    books.database.written.clear()
    then(books)
    others = [other.database.written for other in books.others]
    assert not any(written["snapshots"] for written in [books.database.written, *others])


def test_none_is_made_of_events_that_are_not_chained(books: Books) -> None:
    books.database.tamper(f"UPDATE heads SET leaf_hash = '{'0' * 64}' WHERE account = '{ACCOUNT}'")
    with pytest.raises(NotWritable, match="audit verify"):
        make(books)


def test_it_holds_nothing_of_the_vault(books: Books) -> None:
    row = b"".join(part for part in books.rows("SELECT form, numbers, envelopes FROM snapshots")[0])
    for said in (b"example.net", b"example.com", b"Ada", b"It rings"):
        assert said not in row


# --- what a snapshot can hold ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(0.1, id="a float"),
        pytest.param(object(), id="an object of no class of ours"),
        pytest.param(len, id="a function"),
        pytest.param(datetime(2026, 3, 1), id="an instant without a zone"),
        pytest.param(Account, id="a class"),
    ],
)
def test_what_the_form_does_not_know_is_refused_and_not_left_out(unknown: object) -> None:
    class Nobody:
        def kind(self, item: object) -> str | None:
            return None

        def name(self, item: object) -> object:
            raise AssertionError(item)

    with pytest.raises(NotWritable):
        to_columns([unknown], Nobody())


# --- accounts in memory ---------------------------------------------------------------------------------------------


def test_warm_accounts_take_so_many_bytes_and_the_ones_used_last_stay() -> None:
    def account(name: str, events: int) -> Account:
        return Account(Head(name, 0, events), Catalogue())

    warm = WarmAccounts(bytes_max=3 * ACCOUNT_BYTES + 100 * EVENT_BYTES)
    for name, events in (("a", 10), ("b", 10), ("c", 80)):
        warm.keep(account(name, events))
    assert len(warm) == 3
    warm.keep(account("d", 5))
    assert [name for name in "abcd" if warm.take(name)] == ["b", "c", "d"]
    assert warm.bytes == 0
    warm.keep(account("e", 5))
    warm.keep(account("huge", 10_000))
    assert [name for name in ("e", "huge") if warm.take(name)] == ["e"], "no account drives all others out"
