"""Rebuilding: the new rows are a replay's, whoever writes or reads meanwhile, and wherever it was cut short."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.events import ClaimAssessed, LedgerEvent
from ledger.store.database import Database, Transaction
from ledger.store.reading.events import PositionMissing
from ledger.store.schema import TABLES
from projections.accounts import CHARGES
from projections.catalog import CATALOG
from projections.claims import CLAIMS
from projections.comparing import Difference, compare_with_store
from projections.follower import Follower, Progress
from projections.projection import Place, Projection, Rows, Table, copy_of
from projections.rebuild import Overtaken, Rebuild, Rebuilt
from projections.refunds import REFUNDS
from tests.projections.stories import STORED_AS, Story, everyday, followed, rows

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
CLAIM_ROWS, *_ = CLAIMS.tables


@pytest.fixture(scope="module")
def story() -> Story:
    return everyday()


@pytest.fixture
def kept(database: Database, story: Story) -> Database:
    """A store whose projections have seen everything."""
    return followed(database, story)


def change(database: Database, sql: str, *parameters: Any) -> None:
    with database.writing() as transaction:
        assert transaction.run(sql, parameters) > 0


class Whole(Rebuild):
    def run(
        self, on_built: Progress = lambda done, of: None, on_compared: Progress = lambda done, of: None
    ) -> Rebuilt:
        self.build(on_built)
        return self.put_in_place(on_compared)


def rebuild(database: Database, *projections: Projection, **options: Any) -> Whole:
    begun = Whole(database, projections or CATALOG, **options)
    begun.begin()
    return begun


def told(differences: Any) -> dict[tuple[str, str], dict[str, int]]:
    return {(each.account, each.projection): dict(each.rows) for each in differences}


def tables_of_copies(database: Database) -> set[str]:
    named = "name FROM (SELECT name FROM sqlite_master WHERE type = 'table') AS ours"
    if database.dialect == "postgresql":
        named = "name FROM (SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()) AS ours"
    with database.reading() as transaction:
        return {row[0] for row in transaction.rows(f"SELECT {named} WHERE name LIKE '%rebuilt%'")}


def rows_of_copies(database: Database) -> dict[str, int]:
    """How many rows are in each table of a copy that has some."""
    tables = tables_of_copies(database)
    with database.reading() as transaction:
        counts = {table: transaction.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}
    return {table: count for table, count in counts.items() if count}


class TestRebuild:
    def test_sound_rows_stay_as_they_are(self, kept: Database, story: Story) -> None:
        before, positions = rows(kept), Follower(kept).positions()
        rebuilt = rebuild(kept).run()

        assert rebuilt.differences == []
        assert rebuilt.filled == []
        assert rebuilt.alike == 6
        assert rebuilt.positions == positions == {p.name: {0: len(story.envelopes)} for p in CATALOG}
        assert rows(kept) == before
        assert Follower(kept).positions() == positions

    def test_a_damaged_row_is_mended_and_its_account_named(self, kept: Database) -> None:
        sound = rows(kept)
        change(kept, f"UPDATE {STORED_AS['claims']} SET amount = '999.00' WHERE account = 'acct-0-1'")
        change(kept, f"DELETE FROM {STORED_AS['charges']} WHERE account = 'acct-0-4'")

        rebuilt = rebuild(kept).run()
        assert told(rebuilt.differences) == {
            ("acct-0-1", "claims"): {"claims": 1},
            ("acct-0-4", "accounts"): {"charges": 1},
        }
        assert rebuilt.alike == 4
        assert rows(kept) == sound

    def test_rows_of_an_account_that_has_no_events_go(self, kept: Database) -> None:
        sound = rows(kept)
        with kept.writing() as transaction:
            columns = ", ".join(f"'{column}'" if column == "account" else column for column in CHARGES.columns)
            columns = columns.replace("'account'", "'a-stranger'")
            charges = STORED_AS["charges"]
            transaction.run(f"INSERT INTO {charges} SELECT {columns} FROM {charges} WHERE account = 'acct-0-1'")

        assert told(rebuild(kept).run().differences) == {("a-stranger", "accounts"): {"charges": 1}}
        assert rows(kept) == sound

    def test_one_projection_alone_leaves_the_others(self, kept: Database) -> None:
        change(kept, f"UPDATE {STORED_AS['refunds']} SET total = '7.77' WHERE account = 'acct-0-1'")
        change(kept, f"UPDATE {STORED_AS['claims']} SET amount = '7.77' WHERE account = 'acct-0-1'")

        assert told(rebuild(kept, REFUNDS).run().differences) == {("acct-0-1", "refunds"): {"refunds": 1}}
        assert told(compare_with_store(kept, CATALOG).differences) == {("acct-0-1", "claims"): {"claims": 1}}

    def test_nothing_of_the_copies_is_left(self, kept: Database) -> None:
        rebuild(kept).run()

        assert rows_of_copies(kept) == {}
        with kept.reading() as transaction:
            names = transaction.rows("SELECT DISTINCT projection FROM projection_positions")
        assert sorted(names) == [(p.name,) for p in CATALOG]

    def test_nothing_but_projections_changes(self, kept: Database) -> None:
        """No event, no position of another reader, no message: a rebuild has no side effects."""
        names = sorted(table.split("(")[0].split()[-1] for table in TABLES if table.startswith("CREATE TABLE"))
        assert {"events", "sequences", "readers", "heads", "inbox", "vault", "dead_letters"} <= set(names)

        def everything() -> dict[str, list[Any]]:
            with kept.reading() as transaction:
                return {name: sorted(transaction.rows(f"SELECT * FROM {name}"), key=repr) for name in names}

        change(kept, f"UPDATE {STORED_AS['claims']} SET amount = '999.00' WHERE account = 'acct-0-1'")
        before = everything()
        rebuild(kept).run()
        assert everything() == before

    def test_a_lagging_projection_is_rebuilt_at_its_position_and_goes_on_from_there(
        self, database: Database, story: Story
    ) -> None:
        followed(database, story, upto=20)
        story.write(database)
        rebuilt = rebuild(database).run()

        assert rebuilt.differences == []
        assert rebuilt.positions["claims"] == {0: 20}
        assert Follower(database).catch_up() == len(story.envelopes) - 20
        assert compare_with_store(database, CATALOG).differences == []

    def test_a_projection_that_never_began_is_filled_whole(self, kept: Database, story: Story) -> None:
        sound = rows(kept)
        new = Projection("claims", CLAIMS.version + 1, CLAIMS.tables, CLAIMS.handles, CLAIMS.fold)
        rebuilt = rebuild(kept, new).run()

        assert rebuilt.filled == ["claims"]
        assert rebuilt.alike == 0
        with kept.reading() as transaction:
            columns = ", ".join(CLAIM_ROWS.columns)
            found = transaction.rows(f"SELECT {columns} FROM {new.stored_name(CLAIM_ROWS)}")
        assert sorted(found, key=repr) == sound["claims"]
        assert Follower(kept, [new]).catch_up() == 0
        assert rows(kept) == sound

    def test_a_position_that_the_store_does_not_reach_is_told(self, kept: Database) -> None:
        change(kept, "UPDATE projection_positions SET position = 1000 WHERE projection = 'claims'")

        with pytest.raises(PositionMissing, match="the store ends at"):
            rebuild(kept, CLAIMS).run()

    def test_an_empty_store_has_nothing_to_rebuild(self, database: Database) -> None:
        rebuilt = rebuild(database).run()

        assert (rebuilt.alike, rebuilt.differences) == (0, [])
        assert rows_of_copies(database) == {}

    def test_every_shard_is_rebuilt(self, kept: Database, story: Story) -> None:
        other = everyday(accounts=2, shard=1)
        followed(kept, other)
        sound = rows(kept)
        change(kept, f"UPDATE {STORED_AS['claims']} SET amount = '999.00' WHERE account = 'acct-1-1'")

        rebuilt = rebuild(kept, page=3).run()
        assert told(rebuilt.differences) == {("acct-1-1", "claims"): {"claims": 1}}
        assert rebuilt.positions["claims"] == {0: len(story.envelopes), 1: len(other.envelopes)}
        assert rows(kept) == sound


class Interrupted(Exception):
    pass


def interrupt_at(number: int) -> Callable[[int, int], None]:
    calls = iter(range(1, 1000))

    def called(done: int, of: int) -> None:
        if next(calls) == number:
            raise Interrupted

    return called


class TestCutShort:
    def test_while_building_it_goes_on_where_it_was(self, kept: Database, story: Story) -> None:
        change(kept, f"UPDATE {STORED_AS['claims']} SET amount = '999.00' WHERE account = 'acct-0-1'")
        damaged = rows(kept)
        with pytest.raises(Interrupted):
            rebuild(kept, batch=5).run(interrupt_at(2))
        assert rows(kept) == damaged

        again = Whole(kept, CATALOG, batch=5)
        assert again.begin() == 10
        seen: list[tuple[int, int]] = []
        rebuilt = again.run(lambda done, of: seen.append((done, of)))
        assert seen[0] == (15, len(story.envelopes))
        assert told(rebuilt.differences) == {("acct-0-1", "claims"): {"claims": 1}}

    def test_while_comparing_it_goes_on_and_still_finds_every_difference(self, kept: Database) -> None:
        change(kept, f"UPDATE {STORED_AS['claims']} SET amount = '999.00'")
        with pytest.raises(Interrupted):
            rebuild(kept, page=2).run(on_compared=interrupt_at(2))

        rebuilt = rebuild(kept, page=2).run()
        assert len(rebuilt.differences) == 4
        assert rebuilt.alike == 2
        assert compare_with_store(kept, CATALOG).differences == []

    def test_anew_drops_what_was_built(self, kept: Database) -> None:
        with pytest.raises(Interrupted):
            rebuild(kept, batch=5).run(interrupt_at(2))

        assert Rebuild(kept, CATALOG).begin(anew=True) == 0
        with kept.reading() as transaction:
            copy = copy_of(CLAIMS)
            assert transaction.rows(f"SELECT * FROM {copy.stored_name(CLAIM_ROWS)}") == []

    @pytest.mark.parametrize("step", ["building", "comparing"])
    def test_killed_without_warning_it_goes_on(
        self, request: pytest.FixtureRequest, tmp_path: Path, story: Story, step: str, kind: str
    ) -> None:
        from ledger.store.connecting import connect
        from tests.projections.stories import created

        url = f"sqlite:///{tmp_path}/killed.db" if kind == "sqlite" else request.getfixturevalue("pg_store")
        database = followed(created(connect(url)), story)
        sound = rows(database)
        change(database, f"UPDATE {STORED_AS['claims']} SET amount = '999.00' WHERE account = 'acct-0-1'")

        done = subprocess.run([sys.executable, "-c", KILLS_ITSELF, url, step], cwd=ROOT, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL
        again = Whole(database, CATALOG)
        assert again.begin() == (10 if step == "building" else len(story.envelopes))
        assert told(again.run().differences) == {("acct-0-1", "claims"): {"claims": 1}}
        assert rows(database) == sound
        database.close()

    @pytest.fixture(params=["sqlite", "postgresql"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_one_that_another_finished_says_so(self, kept: Database) -> None:
        def finish_first(done: int, of: int) -> None:
            if done == 2:
                rebuild(kept).run()

        with pytest.raises(Overtaken, match="nothing is left to do"):
            rebuild(kept, page=2).run(on_compared=finish_first)
        assert compare_with_store(kept, CATALOG).differences == []


KILLS_ITSELF = """
import os, signal, sys
from ledger.store.connecting import connect
from projections.catalog import CATALOG
from projections.rebuild import Rebuild

calls = iter((False, True, True))

def second(done, of):
    if next(calls):
        os.kill(os.getpid(), signal.SIGKILL)

rebuild = Rebuild(connect(sys.argv[1]), CATALOG, batch=5, page=2)
rebuild.begin()
if sys.argv[2] == "building":
    rebuild.build(second)
rebuild.build()
rebuild.put_in_place(second)
"""


class Meanwhile(Whole):
    """A rebuild beside which something happens: when its copies have come up with projections, or at the end."""

    happens: Iterator[Callable[[], object]] = iter(())
    happens_at_the_end: Callable[[], object] = staticmethod(lambda: None)

    def _follow(self, on_progress: Progress | None = None) -> None:
        super()._follow(on_progress)
        next(self.happens, lambda: None)()

    def _mend(self, transaction: Transaction, projection: Projection) -> list[Difference]:
        self.happens_at_the_end()
        return super()._mend(transaction, projection)


class TestBesideOthers:
    @pytest.mark.parametrize("batch", [1, 2, 100])
    def test_a_projection_that_is_always_ahead_is_come_up_with(
        self, database: Database, story: Story, batch: int
    ) -> None:
        """The last events are folded while the projection is held, and more than a batch of them beforehand."""
        followed(database, story, upto=20)
        change(
            database,
            f"UPDATE {STORED_AS['subscription_registrations']} SET plan = 'wrong' WHERE account = 'acct-0-5'",
        )
        live = Follower(database)

        def go_on(upto: int) -> Callable[[], object]:
            return lambda: (story.write(database, upto), live.catch_up())

        begun = Meanwhile(database, CATALOG, batch=batch, page=2)
        begun.happens = map(go_on, range(22, len(story.envelopes) + 2, 2))
        begun.begin()
        rebuilt = begun.run()

        assert told(rebuilt.differences) == {("acct-0-5", "accounts"): {"subscription_registrations": 1}}
        story.write(database)
        live.catch_up()
        assert compare_with_store(database, CATALOG).differences == []

    def test_damage_that_looks_like_what_the_copy_has_not_seen_yet_is_found(
        self, database: Database, story: Story
    ) -> None:
        """The row is set back to what it said before an event that only the copy has yet to fold."""
        raised = (
            e for e in story.envelopes if e.type == ClaimAssessed.stored_as and b'"amount":"3.00"' in e.envelope
        )
        before = next(raised).position
        account = story.envelopes[before - 1].account
        followed(database, story, upto=before - 1)

        def damage() -> None:
            with database.reading() as transaction:
                old = transaction.rows(f"SELECT * FROM {STORED_AS['claims']} WHERE account = ?", (account,))
            story.write(database, before)
            Follower(database).catch_up()
            with database.writing() as transaction:
                transaction.run(f"DELETE FROM {STORED_AS['claims']} WHERE account = ?", (account,))
                transaction.insert(STORED_AS["claims"], tuple(CLAIM_ROWS.columns), old)

        begun = Meanwhile(database, CATALOG)
        begun.happens = iter([lambda: None, lambda: None, damage])  # the third time, an account is compared next
        begun.begin()
        assert told(begun.run().differences) == {(account, "claims"): {"claims": 1}}
        assert compare_with_store(database, CATALOG).differences == []

    def test_what_is_recorded_meanwhile_is_in_the_new_rows(self, database: Database, story: Story) -> None:
        """Events come after an account was compared, and before; the damage is in rows that they change again."""
        followed(database, story, upto=30)
        change(database, f"UPDATE {STORED_AS['subscription_registrations']} SET plan = 'wrong'")
        live = Follower(database)
        upto = iter(range(31, len(story.envelopes) + 1))

        def go_on(done: int, of: int) -> None:
            for position in (next(upto, None), next(upto, None)):
                story.write(database, position)
                live.catch_up()

        rebuilt = rebuild(database, page=1).run(on_compared=go_on)
        assert {each.account for each in rebuilt.differences} == {f"acct-0-{n}" for n in range(6)}
        live.catch_up()
        assert compare_with_store(database, CATALOG).differences == []

    @pytest.mark.parametrize("begins", ["before", "while rows are put in place"])
    def test_a_follower_folds_nothing_onto_rows_that_it_loaded_before_they_were_mended(
        self, database: Database, story: Story, begins: str
    ) -> None:
        story.write(database, 20)
        counting = Projection("counts", 1, (COUNTS,), (LedgerEvent,), count)
        Follower(database, [counting]).create()
        Follower(database, [counting]).catch_up()
        change(database, "UPDATE counts_v1 SET events = events + 1000")
        SLOW.clear()
        slow = threading.Thread(target=lambda: Follower(database, [counting]).catch_up(), name="slow")

        def begin_a_transaction() -> None:
            story.write(database)
            slow.start()
            assert SLOW.wait(10)

        def try_to_begin_a_transaction() -> None:
            slow.start()
            SLOW.wait(0.5)  # it does not get that far: rows are held

        begun = Meanwhile(database, [counting])
        if begins == "before":
            begun.happens = iter([lambda: None] * 3 + [begin_a_transaction])
        else:
            begun.happens = iter([lambda: None] * 3 + [lambda: story.write(database)])
            begun.happens_at_the_end = try_to_begin_a_transaction
        begun.begin()
        begun.run()
        slow.join()
        assert Follower(database, [counting]).positions() == {"counts": {0: len(story.envelopes)}}
        assert compare_with_store(database, [counting]).differences == []

    def test_a_follower_that_stood_before_the_new_rows_is_fenced_off(self, database: Database, story: Story) -> None:
        followed(database, story, upto=0)
        story.write(database)
        stale = Follower(database)
        assert stale.apply(story.envelopes[:1]) == 1
        change(database, "DELETE FROM projection_positions")  # as if it had stopped before its first commit
        rebuild(database).run()
        sound = rows(database)

        assert stale.apply(story.envelopes[1:7]) == 0
        assert rows(database) == sound
        assert compare_with_store(database, CATALOG).differences == []

    def test_a_projector_at_work_loses_nothing_and_a_reader_sees_old_or_new(
        self, database: Database, story: Story
    ) -> None:
        """One thread records and projects, one reads, and one rebuilds damaged rows again and again."""
        followed(database, story, upto=len(story.envelopes) - 1)
        more = everyday(accounts=40, shard=1)
        stop = threading.Event()
        errors: list[BaseException] = []
        seen: set[frozenset[Any]] = set()

        def attend(work: Callable[[], None]) -> threading.Thread:
            def attended() -> None:
                try:
                    while not stop.is_set():
                        work()
                except BaseException as error:
                    errors.append(error)

            thread = threading.Thread(target=attended)
            thread.start()
            return thread

        recorded = iter(range(7, len(more.envelopes) + 7, 7))
        projector = Follower(database)

        def project() -> None:
            more.write(database, next(recorded, None))
            projector.catch_up(limit=3)

        def read() -> None:
            with database.reading() as transaction:
                where = "WHERE account LIKE 'acct-0-%'"
                damaged = {row[0] for row in transaction.rows(f"SELECT charge_id FROM {STORED_AS['claims']} {where}")}
                also = {row[0] for row in transaction.rows(f"SELECT charge_id FROM {STORED_AS['refunds']} {where}")}
                seen.add(frozenset({frozenset(damaged), frozenset(also)}))

        threads = [attend(project), attend(read)]
        try:
            for _ in range(2):
                with database.writing() as transaction:
                    for name in (STORED_AS["claims"], STORED_AS["refunds"]):
                        transaction.run(f"UPDATE {name} SET charge_id = 'wrong'")
                rebuilt = rebuild(database, batch=5, page=3).run()
                assert {each.account for each in rebuilt.differences} >= {"acct-0-1", "acct-0-2"}
        finally:
            stop.set()
            for thread in threads:
                thread.join()

        assert errors == []
        assert seen <= {frozenset({frozenset({"wrong"})}), frozenset({frozenset({"cycle-1"})})}
        more.write(database)
        projector.catch_up()
        assert projector.positions()["claims"] == {0: len(story.envelopes) - 1, 1: len(more.envelopes)}
        assert compare_with_store(database, CATALOG).differences == []


class TestCompareWithStore:
    def test_sound_rows_are_alike(self, kept: Database) -> None:
        found = compare_with_store(kept, CATALOG, page=4)

        assert (found.alike, found.differences) == (6, [])
        assert set(found.behind.values()) == {0}

    def test_a_row_changed_by_hand_is_named(self, kept: Database) -> None:
        change(kept, f"UPDATE {STORED_AS['refunds']} SET total = '1.99' WHERE account = 'acct-0-2'")
        before = rows(kept)
        (found,) = compare_with_store(kept, CATALOG).differences

        assert (found.account, found.projection, found.rows) == ("acct-0-2", "refunds", {"refunds": 1})
        assert found.found != found.expected
        assert rows(kept) == before

    def test_a_lagging_projection_is_compared_where_it_stands(self, database: Database, story: Story) -> None:
        followed(database, story, upto=25)
        story.write(database)
        found = compare_with_store(database, CATALOG)

        assert (found.alike, found.differences) == (6, [])
        assert found.positions["claims"] == {0: 25}
        assert found.behind["claims"] == len(story.envelopes) - 25

    def test_nothing_is_written(self, kept: Database, tmp_path: Path) -> None:
        change(kept, f"UPDATE {STORED_AS['refunds']} SET total = '1.99' WHERE account = 'acct-0-2'")
        before = rows(kept), tables_of_copies(kept), Follower(kept).positions()
        compare_with_store(kept, CATALOG)
        assert (rows(kept), tables_of_copies(kept), Follower(kept).positions()) == before


COUNTS = Table(
    "counts", {"account": "TEXT", "what": "TEXT", "events": "INTEGER"}, key=("account", "what"), reads=(LedgerEvent,)
)
SLOW = threading.Event()


def count(rows: Rows, place: Place, event: LedgerEvent) -> None:
    stands = rows.get(COUNTS, event.account, "all")
    rows.put(
        COUNTS,
        {"account": event.account, "what": "all", "events": int((stands or {"events": 0})["events"] or 0) + 1},
    )
    if threading.current_thread().name == "slow" and not SLOW.is_set():
        SLOW.set()
        time.sleep(0.5)


@pytest.mark.parametrize("seed", range(25))
def test_whatever_was_damaged_a_rebuild_is_a_replay(memory: Database, story: Story, seed: int) -> None:
    chance = random.Random(seed)
    followed(memory, story, upto=chance.randrange(5, len(story.envelopes) + 1))
    sound = rows(memory)
    damaged: set[tuple[str, str]] = set()
    with memory.writing() as transaction:
        for _ in range(chance.randrange(6)):
            projection = chance.choice(CATALOG)
            table = chance.choice(projection.tables)
            name = projection.stored_name(table)
            account = f"acct-0-{chance.randrange(6)}"
            column = chance.choice([each for each in table.columns if each not in table.key])
            sql = chance.choice([f"DELETE FROM {name}", f"UPDATE {name} SET {column} = 8 || COALESCE({column}, '')"])
            if transaction.run(f"{sql} WHERE account = ?", (account,)):
                damaged.add((account, projection.name))
    batch, page = chance.randrange(1, 20), chance.randrange(1, 8)

    assert set(told(compare_with_store(memory, CATALOG, page=page).differences)) == damaged
    assert set(told(rebuild(memory, batch=batch, page=page).run().differences)) == damaged
    assert rows(memory) == sound
