"""Building copies account by account, in several processes: the rows are those that a follower makes of them."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers import files
from ledger.application import agreements
from ledger.events import UnknownStoredType
from ledger.store.connecting import connect
from ledger.store.database import Database, StoreError
from ledger.store.reading.events import PositionMissing, read_accounts
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from projections.catalog import CATALOG
from projections.claims import CLAIMS
from projections.comparing import compare_with_store
from projections.follower import Follower, positions_of
from projections.projection import Projection, copy_of, fold_account
from projections.rebuild import Overtaken, Rebuild
from projections.stretches import Building, stretches_of
from tests.projections.stories import STORED_AS, Story, created, everyday, followed, rows

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "deploy" / "sample"
COPIES = [copy_of(projection) for projection in CATALOG]


@pytest.fixture(scope="module")
def story() -> Story:
    return everyday(accounts=10)


@pytest.fixture(params=["file", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that other processes find too."""
    return f"sqlite:///{tmp_path}/store.db" if request.param == "file" else str(request.getfixturevalue("pg_store"))


@pytest.fixture
def told(url: str, story: Story) -> Iterator[Database]:
    database = created(connect(url))
    yield followed(database, story)
    database.close()


def rows_of_copies(database: Database) -> dict[str, list[Any]]:
    return rows(database, COPIES)


def built(database: Database, **options: Any) -> dict[str, list[Any]]:
    """The copies' rows as they are built from the first event."""
    rebuild = Rebuild(database, CATALOG, **options)
    rebuild.begin(anew=True)
    rebuild.build()
    with database.reading() as transaction:
        stands = positions_of(transaction, [*CATALOG, *COPIES])
        assert stretches_of(transaction, COPIES) == {}
    assert [stands[copy] for copy in COPIES] == [stands[projection] for projection in CATALOG]
    return rows_of_copies(database)


class TestRows:
    @pytest.mark.parametrize(("at_once", "processes"), [(1, 1), (3, 2), (1_000, 2)])
    def test_are_those_of_a_follower(self, told: Database, at_once: int, processes: int) -> None:
        """Also where a page ends within an account, so that its rows are changed again by the next."""
        by_position = built(told, few=10**9)
        assert by_position == rows(told)
        assert built(told, few=0, at_once=at_once, processes=processes) == by_position

    @pytest.mark.parametrize("seed", range(5))
    def test_are_those_of_a_follower_however_a_story_goes(self, memory: Database, seed: int) -> None:
        chance = random.Random(seed)
        story = everyday(accounts=chance.randrange(1, 30))
        followed(memory, story, chance.randrange(1, len(story.envelopes) + 1))
        assert built(memory, few=0, at_once=chance.randrange(1, 40)) == built(memory, few=10**9)

    def test_are_those_of_a_follower_for_all_that_upstream_says(self, url: str) -> None:
        with open_house(Settings(store=url), create=True) as house:
            text = (SAMPLE / "agreements" / "standard.toml").read_text(encoding="utf-8")
            agreements.publish(house.ledger, text, actor="/makegood/tests", channel="cli")
            files.ingest(house.ledger, (SAMPLE / "events.jsonl").read_bytes().splitlines()[:600], "sample")
            house.projections.catch_up()
            sound = rows(house.database)
            assert built(house.database, few=10**9) == sound
            assert built(house.database, few=0, processes=2, at_once=100) == sound

    def test_belong_to_the_account_of_their_event(self, told: Database, story: Story) -> None:
        """Accounts are built by themselves: a fold that wrote to another's rows could not be."""
        with told.reading() as transaction:
            events = read_accounts(transaction, sorted({each.account for each in story.envelopes}))
        for account, envelopes in events.items():
            for step in fold_account(envelopes, CATALOG):
                assert {key[0] for changes in step.changes.values() for key in changes} <= {account}

    def test_every_shard_is_built(self, told: Database) -> None:
        followed(told, everyday(accounts=3, shard=1))
        assert built(told, few=0, at_once=7, processes=2) == rows(told)

    def test_one_that_never_began_is_filled_whole(self, told: Database) -> None:
        new = Projection("claims", CLAIMS.version + 1, CLAIMS.tables, CLAIMS.handles, CLAIMS.fold)
        rebuild = Rebuild(told, [*CATALOG, new], few=0, at_once=5)
        rebuild.begin()
        rebuild.build()
        rebuilt = rebuild.put_in_place()
        assert rebuilt.filled == ["claims"]
        assert rebuilt.differences == []
        with told.reading() as transaction:
            table = CLAIMS.tables[0]
            columns = ", ".join(table.columns)
            found = transaction.rows(f"SELECT {columns} FROM {new.stored_name(table)}")
        assert sorted(found, key=repr) == rows(told)["claims"]


class TestWholeRebuild:
    def test_mends_what_is_damaged(self, told: Database) -> None:
        sound = rows(told)
        with told.writing() as transaction:
            transaction.run(f"UPDATE {STORED_AS['claims']} SET amount = '999.00' WHERE account = 'acct-0-1'")
        rebuild = Rebuild(told, CATALOG, few=0, processes=2, at_once=10)
        rebuild.begin()
        seen: list[tuple[int, int]] = []
        rebuild.build(lambda done, of: seen.append((done, of)))
        rebuilt = rebuild.put_in_place()
        assert [(each.account, each.projection) for each in rebuilt.differences] == [("acct-0-1", "claims")]
        assert rebuilt.alike == 9
        assert rows(told) == sound
        assert seen == sorted(seen)
        with told.reading() as transaction:
            assert seen[-1] == (transaction.rows("SELECT COUNT(*) FROM events")[0][0],) * 2

    def test_beside_a_projector_at_work(self, url: str, story: Story) -> None:
        database = followed(created(connect(url)), story, upto=60)
        live = Follower(connect(url))

        def go_on() -> None:
            for upto in range(61, len(story.envelopes) + 1, 3):
                story.write(database, upto)
                live.catch_up()

        rebuild = Rebuild(database, CATALOG, few=0, processes=2, at_once=4)
        rebuild.begin()
        projector = threading.Thread(target=go_on)
        projector.start()
        rebuild.build()
        rebuilt = rebuild.put_in_place()
        projector.join()
        story.write(database)
        live.catch_up()
        assert rebuilt.differences == []
        assert compare_with_store(database, CATALOG).differences == []

    @pytest.mark.parametrize(
        ("damage", "processes", "error", "said"),
        [
            ("DELETE FROM events", 1, PositionMissing, "one is missing"),
            ("UPDATE events SET type = 'from-the-future.v9'", 2, UnknownStoredType, "newer"),
        ],
        ids=["a missing event", "what another process cannot read"],
    )
    def test_it_tells_of(
        self, told: Database, damage: str, processes: int, error: type[Exception], said: str
    ) -> None:
        with told.writing() as transaction:
            transaction.run(f"{damage} WHERE position = 50")
        rebuild = Rebuild(told, CATALOG, few=0, processes=processes)
        rebuild.begin()
        with pytest.raises(error, match=said):
            rebuild.build()


class Interrupted(Exception):
    pass


def interrupt(done: int, of: int) -> None:
    raise Interrupted


class TestCutShort:
    def test_it_goes_on_in_another_number_of_processes(self, told: Database, story: Story) -> None:
        first = Rebuild(told, CATALOG, few=0, processes=1, at_once=5)
        first.begin()
        with pytest.raises(Interrupted):
            first.build(interrupt)

        again = Rebuild(told, CATALOG, few=0, processes=2, at_once=3)
        assert 0 < again.begin() <= 5
        again.build()
        assert rows_of_copies(told) == rows(told)

    def test_one_projection_goes_on_where_all_were_cut_short(self, told: Database) -> None:
        first = Rebuild(told, CATALOG, few=0, processes=1, at_once=5)
        first.begin()
        with pytest.raises(Interrupted):
            first.build(interrupt)

        alone = Rebuild(told, [CLAIMS], few=0, processes=1, at_once=7)
        assert alone.begin() > 0
        assert alone.put_in_place().differences == []
        rest = Rebuild(told, CATALOG, few=0, processes=1, at_once=7)
        rest.begin()
        assert rest.put_in_place().differences == []
        assert all(not of_table for of_table in rows_of_copies(told).values())

    def test_what_was_recorded_since_is_in_the_rows(self, url: str, story: Story) -> None:
        database = followed(created(connect(url)), story, upto=80)
        first = Rebuild(database, CATALOG, few=0, processes=1, at_once=40)
        first.begin()
        with pytest.raises(Interrupted):
            first.build(interrupt)
        followed(database, story)

        again = Rebuild(database, CATALOG, few=0, processes=2, at_once=40)
        again.begin()
        assert again.put_in_place().differences == []
        assert compare_with_store(database, CATALOG).differences == []

    def test_anew_forgets_how_far_it_was(self, told: Database) -> None:
        first = Rebuild(told, CATALOG, few=0, processes=1, at_once=5)
        first.begin()
        with pytest.raises(Interrupted):
            first.build(interrupt)
        assert Rebuild(told, CATALOG).begin(anew=True) == 0
        assert built(told, few=0) == rows(told)

    def test_one_that_another_finished_says_so(self, told: Database) -> None:
        def finish_first(done: int, of: int) -> None:
            other = Rebuild(told, CATALOG, few=0, processes=1)
            other.begin()
            other.put_in_place()

        rebuild = Rebuild(told, CATALOG, few=0, processes=1, at_once=50)
        rebuild.begin()
        with pytest.raises(Overtaken, match="nothing is left to do"):
            rebuild.build(finish_first)

    def test_two_at_the_same_time_fold_each_event_once(self, url: str, told: Database) -> None:
        rebuild = Rebuild(told, CATALOG, few=0, processes=1, at_once=5)
        rebuild.begin()
        with pytest.raises(Interrupted):
            rebuild.build(interrupt)
        with told.reading() as transaction:
            numbers = [each.number for each in stretches_of(transaction, COPIES)[COPIES[0]]]
        together = [
            threading.Thread(target=Building(connect(url), CATALOG, at_once=3).build_some, args=(numbers,))
            for _ in range(2)
        ]
        for each in together:
            each.start()
        for each in together:
            each.join()
        rebuild.build()
        assert rows_of_copies(told) == rows(told)

    def test_killed_without_warning_it_goes_on(self, url: str, told: Database) -> None:
        sound = rows(told)
        with told.writing() as transaction:
            transaction.run(f"UPDATE {STORED_AS['claims']} SET amount = '999.00' WHERE account = 'acct-0-1'")
        done = subprocess.run([sys.executable, "-c", KILLS_ITSELF, url], cwd=ROOT, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL

        again = Rebuild(told, CATALOG, few=0, processes=2, at_once=4)
        again.begin()
        rebuilt = again.put_in_place()
        assert [(each.account, each.projection) for each in rebuilt.differences] == [("acct-0-1", "claims")]
        assert rows(told) == sound

    def test_a_process_that_is_killed_is_told_of(self, told: Database) -> None:
        rebuild = Rebuild(told, CATALOG, few=0, processes=2, at_once=1)
        rebuild.begin()
        with pytest.raises(StoreError, match="the same command resumes"):
            rebuild.build(once(kill_children))
        rebuild = Rebuild(told, CATALOG, few=0, processes=2)
        rebuild.begin()
        assert rebuild.put_in_place().differences == []


def once(work: Callable[[], None]) -> Callable[[int, int], None]:
    left = iter([work])
    return lambda done, of: next(left, lambda: None)()


def kill_children() -> None:
    for child in multiprocessing.active_children():
        os.kill(child.pid or 0, signal.SIGKILL)


KILLS_ITSELF = """
import os, signal, sys
from ledger.store.connecting import connect
from projections.catalog import CATALOG
from projections.rebuild import Rebuild

def kill(done, of):
    if done:
        os.kill(os.getpid(), signal.SIGKILL)

rebuild = Rebuild(connect(sys.argv[1]), CATALOG, few=0, processes=2, at_once=2)
rebuild.begin()
rebuild.build(kill)
"""
