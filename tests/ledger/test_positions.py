"""Positions are of a shard, and "up to here" names every shard: the vector's arithmetic, its text, and what a store
records of its shards."""

from __future__ import annotations

import pytest

from ledger.store.positions import (
    FIRST_SHARD,
    Position,
    Reached,
    check_number_of_shards,
    dead_letter_sequence,
    event_sequence,
    murmur2,
    reached_from_text,
    set_aside_sequence,
    shard_for,
)
from ledger.store.reading.shards import (
    WrongShard,
    place_in_store,
    shard_ends,
    shards_of,
    shards_of_accounts,
)
from ledger.store.writing import Head, positions_for, read_heads
from ledger.values import SYSTEM_ACCOUNT
from tests.ledger.books import Books
from tests.ledger.messages import Upstream


def change(books: Books, sql: str) -> None:
    with books.database.real.writing() as transaction:
        transaction.run(sql)


class TestReached:
    def test_a_position_is_covered_in_its_own_shard_only(self) -> None:
        reached = Reached({0: 5, 1: 2})
        assert [reached.covers(Position(0, n)) for n in (1, 5, 6)] == [True, True, False]
        assert not reached.covers(Position(1, 3)), "that shard 0 has come further says nothing of shard 1"
        assert not reached.covers(Position(2, 1))

    @pytest.mark.parametrize(
        ("one", "other", "covers"),
        [
            ({0: 5}, {0: 5}, True),
            ({0: 5}, {0: 6}, False),
            ({0: 5, 1: 2}, {0: 4}, True),
            ({0: 9}, {0: 4, 1: 1}, False),
            ({0: 9, 1: 0}, {0: 4, 1: 1}, False),
            ({}, {}, True),
            ({}, {0: 0}, True),
            ({}, {0: 1}, False),
        ],
    )
    def test_a_vector_covers_another_where_it_does_in_every_shard(
        self, one: dict[int, int], other: dict[int, int], covers: bool
    ) -> None:
        assert Reached(one).covers(Reached(other)) is covers

    def test_of_two_vectors_neither_may_cover_the_other(self) -> None:
        one, other = Reached({0: 5, 1: 1}), Reached({0: 4, 1: 2})
        assert (one.covers(other), other.covers(one)) == (False, False)

    def test_it_never_changes(self) -> None:
        given = {0: 5}
        before = Reached(given)
        given[0] = 6
        after = before.moved(Position(0, 7)).moved(Position(1, 1))
        assert (before, after) == ({0: 5}, {0: 7, 1: 1})
        assert {Reached({0: 7, 1: 1}): "found"}[after] == "found"

    def test_it_is_written_as_positions_in_the_order_of_the_shards(self) -> None:
        assert str(Reached({10: 3, 2: 87, 0: 4536})) == "0:4536,2:87,10:3"
        assert reached_from_text("0:4536,2:87,10:3") == {0: 4536, 2: 87, 10: 3}
        assert reached_from_text(str(Reached({0: 4536}))) == {0: 4536}

    def test_where_nothing_was_reached_the_text_is_not_empty_and_covers_nothing(self) -> None:
        assert str(Reached({})) == "0:0"
        assert not reached_from_text("0:0").covers(Position(0, 1))

    @pytest.mark.parametrize(
        "text",
        [
            *("", "17", "0:", ":1", "0:x", "a:1", "-1:3", "0:1,", ",0:1", "0:1, 1:2", "0:1;1:2"),
            *("0:1,0:2", "00:1,0:2", "0:1\n", "0:\uff11", f"0:{'9' * 40}"),
        ],
    )
    def test_what_is_no_vector_is_refused_with_how_to_write_one(self, text: str) -> None:
        with pytest.raises(ValueError, match="a position has the form shard:position, such as '0:4536'"):
            reached_from_text(text)


class TestShardsOfAStore:
    def test_what_is_counted_in_a_shard_names_it(self) -> None:
        """The first shard's are stored as they were before shards had numbers."""
        sequences = (event_sequence, dead_letter_sequence, set_aside_sequence)
        assert [named(0) for named in sequences] == ["shard:0", "dead-letters", "set-aside"]
        assert [named(3) for named in sequences] == ["shard:3", "dead-letters:3", "set-aside:3"]

    def test_positions_are_counted_shard_by_shard(self, books: Books) -> None:
        with books.database.writing() as transaction:
            assert positions_for(transaction, event_sequence, [2, 1, 2, 2]) == [1, 1, 2, 3]
            assert positions_for(transaction, event_sequence, [1, 2]) == [2, 4]
            assert positions_for(transaction, dead_letter_sequence, [2]) == [1]
            assert positions_for(transaction, event_sequence, []) == []
            assert shard_ends(transaction) == {0: 1, 1: 2, 2: 4}, "the agreement was published in shard 0"

    def test_a_store_says_which_shard_it_is_of_how_many(self, books: Books) -> None:
        assert sorted(books.rows("SELECT name, value FROM store WHERE name LIKE 'shard%'")) == [
            ("shard", "0"),
            ("shards", "1"),
        ]
        for number in (0, 65):
            with pytest.raises(ValueError, match="a store has 1 to 64 shards"):
                books.ledger.create_store(sandbox=True, shards=number)
        for number in (1, 64):
            check_number_of_shards(number)

    def test_a_store_from_before_it_was_recorded_is_the_only_one(self, books: Books) -> None:
        change(books, "DELETE FROM store WHERE name LIKE 'shard%'")
        with books.database.reading() as transaction:
            assert list(shards_of(transaction)) == [FIRST_SHARD]
            assert place_in_store(transaction) == (FIRST_SHARD, 1)
        assert not books.ledger.bring_up_to_date()

    def test_a_shard_takes_new_accounts_of_its_own_only(self, books: Books) -> None:
        """What it has already stays; the account `system` is in every shard."""
        books.take(Upstream().customer())
        change(books, "UPDATE store SET value = '4' WHERE name = 'shards'")
        mine = next(name for n in range(50) if shard_for(name := f"mine-{n}", 4) == FIRST_SHARD)
        others = next(name for n in range(50) if shard_for(name := f"others-{n}", 4) == 2)
        with books.database.reading() as transaction:
            heads = read_heads(transaction, ["acct-1", mine, SYSTEM_ACCOUNT])
            assert {head.shard for head in heads.values()} == {FIRST_SHARD}
            with pytest.raises(WrongShard, match=f"account {others} belongs in shard 2 of this store"):
                read_heads(transaction, [others])
        with pytest.raises(WrongShard):
            books.take(Upstream(others).customer())
        assert books.rows("SELECT 1 FROM heads WHERE account = ?", others) == []

    @pytest.mark.parametrize(
        ("key", "hash_"),
        [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ],
    )
    def test_the_hash_is_that_of_kafkas_clients(self, key: str, hash_: int) -> None:
        """The examples of org.apache.kafka.common.utils.UtilsTest."""
        assert murmur2(key.encode()) == hash_ & 0x7FFFFFFF
        assert shard_for(key, 7) == (hash_ & 0x7FFFFFFF) % 7

    def test_an_account_is_in_the_shard_that_its_head_names_for_ever(self, books: Books) -> None:
        """Whatever the choice for a new one would be."""
        second = Upstream("acct-2")
        books.take([*Upstream().customer(), *second.customer()])
        change(books, "UPDATE heads SET shard = 3 WHERE account = 'acct-2'")
        with books.database.reading() as transaction:
            heads = read_heads(transaction, ["acct-1", "acct-2", "new", SYSTEM_ACCOUNT])
            shards = shards_of_accounts(transaction, ["acct-2", "new", None])
        assert {name: head.shard for name, head in heads.items()} == {"acct-1": 0, "acct-2": 3, "new": 0, "system": 0}
        assert shards == {"acct-2": 3, "new": 0, None: FIRST_SHARD}
        with books.database.reading() as transaction:
            before = shard_ends(transaction)
        books.take([second.cancellation_requested()])
        with books.database.reading() as transaction:
            after = shard_ends(transaction)
        assert list(before) == [0]
        assert (after[0], after[3] > 0) == (before[0], True)
        newest = "SELECT shard, position FROM events WHERE account = 'acct-2' ORDER BY account_version DESC LIMIT 1"
        assert books.rows(newest) == [(3, after[3])]

    def test_an_account_in_memory_only_is_in_no_shard(self) -> None:
        assert Head("acct-1").shard is None
