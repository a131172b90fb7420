"""Callers who wait at once: what they bring is taken together, and each hears what became of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from consumers.apart import take_apart
from ledger.application.gathering import ITEMS_MAX, Gathering, GiveUp
from ledger.application.record import take
from ledger.application.shards import Shards
from ledger.application.statement import Refusal, Taken
from ledger.store.database import Unavailable
from tests.ledger.books import Books
from tests.ledger.messages import Message, Upstream, read_all

PATIENCE = 20


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.application.gathering.AT_ONCE", 1)


class Busy:
    """Books at which a caller is being served, so that whoever comes now has to wait; until the block ends."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self._reached, self._go_on = threading.Event(), threading.Event()
        self._threads = ThreadPoolExecutor(10)

    def __enter__(self) -> Busy:
        self.books.database.before_commit.append(self._wait)
        self._first = self._threads.submit(self.books.take, Upstream("acct-first").customer())
        assert self._reached.wait(PATIENCE)
        self.books.database.writings = 0
        return self

    def _wait(self) -> None:
        self._reached.set()
        assert self._go_on.wait(PATIENCE)

    def come(self, *callers: Callable[[], Taken]) -> list[Future[Taken]]:
        """Have callers come one after the other, and wait."""
        coming = []
        for number, caller in enumerate(callers, 1):
            coming.append(self._threads.submit(caller))
            while len(self.books.ledger.gathering._waiting) < number:
                pass
        return coming

    def __exit__(self, *_: object) -> None:
        self._go_on.set()
        self._first.result(PATIENCE)
        self._threads.shutdown()


def taking(books: Books, *messages: Message | bytes) -> Callable[[], Taken]:
    return lambda: take(books.ledger, read_all(messages))


def taking_apart(books: Books, *messages: Message | bytes) -> Callable[[], Taken]:
    def take() -> Taken:
        taken = Taken()
        take_apart(Shards([books.ledger]), read_all(messages), taken)
        return taken

    return take


def test_they_are_taken_in_one_transaction_and_each_hears_of_its_own(books: Books) -> None:
    one, two, three = (Upstream(f"acct-{number}") for number in range(3))
    known = three.customer()
    books.take(known)
    with Busy(books) as busy:
        coming = busy.come(
            taking(books, *one.customer()),
            taking(books, b"not JSON", *two.customer()),
            taking(books, three.outage_reported(), known[0]),
        )
    each = [[_word(became) for became in caller.result().each] for caller in coming]
    assert each == [["accepted"] * 4, ["refused", *["accepted"] * 4], ["accepted", "duplicate"]]
    assert books.database.writings == 1
    books.check_positions()


def _word(became: object) -> object:
    return "refused" if isinstance(became, Refusal) else became


def test_what_two_of_them_bring_is_taken_once(books: Books) -> None:
    said = Upstream().customer()
    with Busy(books) as busy:
        coming = busy.come(taking(books, *said), taking(books, *said))
    assert [(c.result().accepted, c.result().duplicates) for c in coming] == [(4, 0), (0, 4)]


def test_nobody_hears_before_it_is_durable(books: Books) -> None:
    heard: list[bool] = []
    with Busy(books) as busy:
        coming = busy.come(
            taking(books, *Upstream("acct-a").customer()), taking(books, *Upstream("acct-b").customer())
        )
        books.database.before_commit.append(lambda: heard.extend(each.done() for each in coming))
    assert heard == [False, False]
    assert [each.result().accepted for each in coming] == [4, 4]


def test_what_one_brings_fails_for_that_one_only(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can be set aside is; without that, its caller hears of it."""
    good, bad, worse = (Upstream(f"acct-{name}") for name in ("good", "bad", "worse"))
    books.take([message for upstream in (good, bad, worse) for message in upstream.customer()])
    record = books.ledger.open_accounts

    def fails(transaction: object, account_ids: Sequence[str]) -> object:
        if {"acct-bad", "acct-worse"} & set(account_ids):
            raise ArithmeticError("a defect of ours")
        return record(transaction, account_ids)  # type: ignore[arg-type]

    monkeypatch.setattr(books.ledger, "open_accounts", fails)
    with Busy(books) as busy:
        coming = busy.come(
            taking_apart(books, good.outage_reported()),
            taking_apart(books, bad.outage_reported()),
            taking(books, worse.outage_reported()),
        )
    assert coming[0].result().accepted == 1
    assert coming[1].result().set_aside == 1
    with pytest.raises(ArithmeticError):
        coming[2].result()


def test_where_the_store_is_away_everybody_hears_of_it(books: Books) -> None:
    def away() -> None:
        raise Unavailable("the store cannot be reached")

    with Busy(books) as busy:
        coming = busy.come(
            taking(books, *Upstream("acct-a").customer()), taking(books, *Upstream("acct-b").customer())
        )
        books.database.before_writing.extend([away] * 3)
    for caller in coming:
        with pytest.raises(Unavailable):
            caller.result()
    assert books.take(Upstream("acct-a").customer()).accepted == 4


# --- whatever is taken --------------------------------------------------------------------------------------------


def test_no_more_are_taken_together_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who brings more than fits is taken whole; also where several are served at a time."""
    monkeypatch.setattr("ledger.application.gathering.AT_ONCE", 2)
    sizes: list[int] = []
    gathering: Gathering[int, str] = Gathering()

    def take(items: Sequence[int], give_up: GiveUp[int] | None, became: dict[int, str]) -> None:
        sizes.append(len(items))
        became.update((place, f"took {item}") for place, item in enumerate(items))

    with ThreadPoolExecutor(8) as threads:
        numbers = [range(first, first + 100) for first in range(0, 2_000, 100)]
        found = list(threads.map(lambda items: gathering.take(items, None, take), numbers))
    assert [word for words in found for word in words] == [f"took {number}" for number in range(2_000)]
    assert max(sizes) <= ITEMS_MAX
    assert gathering.take(range(ITEMS_MAX + 1), None, take)[-1] == f"took {ITEMS_MAX}"


def test_one_that_is_killed_leaves_nobody_waiting() -> None:
    gathering: Gathering[int, str] = Gathering()

    def take(items: Sequence[int], give_up: GiveUp[int] | None, became: dict[int, str]) -> None:
        if 1 in items:
            raise KeyboardInterrupt
        became.update((place, "taken") for place in range(len(items)))

    with pytest.raises(KeyboardInterrupt):
        gathering.take([1], None, take)
    assert gathering.take([2], None, take) == ["taken"]
