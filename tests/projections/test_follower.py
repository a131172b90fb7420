"""Followers: seen is skipped, the next is applied, a jump is filled in, and a stale follower is fenced off."""

import random
import threading
from typing import Any

import pytest

from ledger.events import (
    LedgerEvent,
    UnknownStoredType,
)
from ledger.store.database import Database
from ledger.store.reading.events import PositionMissing, StoredEnvelope
from projections.catalog import CATALOG
from projections.claims import CLAIMS
from projections.follower import Follower
from projections.projection import Place, Projection, Rows, Table
from projections.refunds import REFUNDS
from tests.projections.stories import Story, everyday, rows


def follower(database: Database, *projections: Projection) -> Follower:
    made = Follower(database, projections or CATALOG)
    made.create()
    return made


@pytest.fixture(scope="module")
def story() -> Story:
    return everyday()


@pytest.fixture(scope="module")
def expected(story: Story) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the whole story, folded in memory an account at a time."""
    whole: dict[str, list[tuple[Any, ...]]] = {t.name: [] for p in CATALOG for t in p.tables}
    for projection in CATALOG:
        kept = Rows(projection.tables)
        for envelope in story.envelopes:
            event = envelope.event()
            if isinstance(event, projection.handles):
                projection.fold(kept, envelope, event)
                kept.settle()
        for table in projection.tables:
            whole[table.name] = sorted((table.values_of(row) for row in kept.all()[table.name]), key=repr)
    assert all(whole[name] for name in ("claims", "refunds", "credits", "subscriptions", "refund_results"))
    return whole


class TestFollower:
    def test_the_next_events_are_applied(self, database: Database, story: Story, expected: Any) -> None:
        story.write(database)
        following = follower(database)

        assert following.apply(story.envelopes[:10]) == 10
        assert following.apply(story.envelopes[10:]) == len(story.envelopes) - 10
        assert rows(database) == expected
        assert following.position_reached(0) == len(story.envelopes)
        assert following.positions()["claims"] == {0: len(story.envelopes)}

    def test_what_was_seen_is_skipped(self, database: Database, story: Story, expected: Any) -> None:
        story.write(database)
        following = follower(database)
        following.apply(story.envelopes)

        assert following.apply(story.envelopes[3:9]) == 0
        assert Follower(database).apply(story.envelopes) == 0
        assert rows(database) == expected

    def test_a_jump_is_filled_in_from_the_store(self, database: Database, story: Story, expected: Any) -> None:
        story.write(database)
        following = follower(database)
        following.apply(story.envelopes[:3])

        assert following.apply([story.envelopes[-1]]) == len(story.envelopes) - 3
        assert rows(database) == expected

    def test_an_event_that_the_store_does_not_reach_stops_the_follower(
        self, database: Database, story: Story
    ) -> None:
        story.write(database, upto=5)
        following = follower(database)

        with pytest.raises(PositionMissing, match="the store ends at 0:5"):
            following.apply([story.envelopes[7]])
        assert following.position_reached(0) == 0

    def test_a_stale_follower_is_fenced_off_and_goes_on_from_where_the_other_stands(
        self, database: Database, story: Story, expected: Any
    ) -> None:
        story.write(database)
        stale, quick = follower(database), follower(database)
        stale.apply(story.envelopes[:5])
        quick.apply(story.envelopes[:20])

        assert stale.apply(story.envelopes[5:12]) == 0
        assert stale.apply(story.envelopes[12:25]) == 5
        assert quick.catch_up() == len(story.envelopes) - 25
        assert rows(database) == expected

    def test_followers_side_by_side_apply_everything_once(
        self, database: Database, story: Story, expected: Any
    ) -> None:
        story.write(database)
        follower(database)
        applied: list[int] = []
        racing = [
            threading.Thread(target=lambda: applied.append(Follower(database).catch_up(limit=3))) for _ in range(3)
        ]
        for thread in racing:
            thread.start()
        for thread in racing:
            thread.join()

        assert sum(applied) == len(story.envelopes)
        assert rows(database) == expected

    @pytest.mark.parametrize("limit", [1, 2, 7, 1_000])
    def test_the_size_of_batches_changes_no_row(
        self, database: Database, story: Story, expected: Any, limit: int
    ) -> None:
        story.write(database)

        assert follower(database).catch_up(limit=limit) == len(story.envelopes)
        assert rows(database) == expected

    def test_a_new_projection_catches_up_alone(self, database: Database, story: Story, expected: Any) -> None:
        story.write(database, upto=12)
        follower(database, CLAIMS, REFUNDS).catch_up()
        story.write(database)

        grown = follower(database)
        assert grown.positions()["claims"] == {0: 12}
        assert grown.positions()["audit_trail"] == {0: 0}
        assert grown.position_reached(0) == 0
        assert grown.catch_up(limit=5) == len(story.envelopes)
        assert rows(database) == expected

    def test_a_new_version_starts_from_the_first_event_and_leaves_the_old_rows(
        self, database: Database, story: Story, expected: Any
    ) -> None:
        story.write(database)
        follower(database).catch_up()
        again = Projection(CLAIMS.name, CLAIMS.version + 1, CLAIMS.tables, CLAIMS.handles, CLAIMS.fold)

        assert follower(database, again).catch_up() == len(story.envelopes)
        table, *_ = again.tables
        with database.reading() as transaction:
            found = transaction.rows(f"SELECT {', '.join(table.columns)} FROM {again.stored_name(table)}")
        assert sorted(found, key=repr) == expected["claims"]
        assert rows(database) == expected

    def test_a_fold_that_fails_keeps_neither_rows_nor_position(self, database: Database, story: Story) -> None:
        story.write(database)
        broken = Projection("broken", 1, (SEEN,), (LedgerEvent,), fail_at_the_fourth)
        following = follower(database, broken)

        with pytest.raises(ZeroDivisionError):
            following.apply(story.envelopes)
        assert following.position_reached(0) == 0
        following.apply(story.envelopes[:3])
        with database.reading() as transaction:
            assert transaction.rows("SELECT COUNT(*) FROM seen_v1") == [(3,)]

    def test_every_shard_has_positions_of_its_own(self, database: Database, story: Story) -> None:
        other = everyday(accounts=2, shard=1)
        story.write(database)
        other.write(database)
        following = follower(database)

        assert following.apply([story.envelopes[0], other.envelopes[4]]) == 6
        assert following.positions()["claims"] == {0: 1, 1: 5}
        following.catch_up()
        assert following.positions()["claims"] == {0: len(story.envelopes), 1: len(other.envelopes)}

    def test_progress_is_told_in_events_done_and_events_there_are(self, database: Database, story: Story) -> None:
        story.write(database, upto=10)
        told: list[tuple[int, int]] = []
        follower(database).catch_up(lambda done, of: told.append((done, of)), limit=4)

        assert told == [(4, 10), (8, 10), (10, 10)]

    def test_tables_may_be_created_again(self, database: Database) -> None:
        follower(database).create()
        assert follower(database).catch_up() == 0


@pytest.mark.parametrize("seed", range(20))
def test_events_delivered_at_random_give_the_same_rows(
    memory: Database, story: Story, expected: Any, seed: int
) -> None:
    chance = random.Random(seed)
    story.write(memory)
    following = follower(memory)
    for _ in range(30):
        start = chance.randrange(len(story.envelopes))
        delivered = story.envelopes[start : start + chance.randrange(1, 12)]
        following.apply(chance.sample(delivered, len(delivered)))
    following.catch_up()

    assert rows(memory) == expected


def test_a_type_that_only_a_newer_program_knows_stops_the_follower(memory: Database, story: Story) -> None:
    known = story.envelopes[0]
    newer = StoredEnvelope(known.shard, 1, known.account, 1, known.stream, 1, "moon-phase-noted.v1", known.envelope)
    with pytest.raises(UnknownStoredType, match="written by a newer one"):
        follower(memory).apply([newer])


def test_a_table_that_a_fold_looks_at_must_say_so() -> None:
    rows = Rows((SEEN,))
    with pytest.raises(TypeError, match="must say so"):
        rows.get(SEEN, "acct-1", "event-1")


def test_a_table_is_keyed_by_account_first() -> None:
    with pytest.raises(TypeError, match="must be its column account"):
        Table("wrong", {"id": "TEXT", "account": "TEXT"}, key=("id", "account"))


SEEN = Table("seen", {"account": "TEXT", "event_id": "TEXT"}, key=("account", "event_id"), appends=True)


def fail_at_the_fourth(rows: Rows, place: Place, event: LedgerEvent) -> None:
    rows.put(SEEN, {"account": event.account, "event_id": event.event_id, "one": 1 // (4 - place.position)})
