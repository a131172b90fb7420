"""Some kinds of faults, on one stage after the other; `make faults` plays all of them, and many of each.

MAKEGOOD_FAULTS_SEED repeats a run: a failure shows the seed that it was played with.
"""

import os
import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.faults import kinds
from tests.faults.kinds import Fault, NotReached, strike
from tests.faults.stage import Stage
from tests.faults.theatre import Theatre, theatre

pytestmark = pytest.mark.long

SEED = int(os.environ.get("MAKEGOOD_FAULTS_SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with theatre(tmp_path_factory.mktemp("faults"), SEED) as found:
        yield found


@pytest.fixture(scope="module")
def stage(house: Theatre) -> Iterator[Stage]:
    with house.stage(FAULTS_SEEN=str(house.seen)) as found:
        yield found


def play(stage: Stage, *faults: Fault) -> None:
    for fault in faults:
        print(f"MAKEGOOD_FAULTS_SEED={SEED}")
        said, lot = strike(fault, stage)
        print(said)
        stage.settle(lot)


def test_undisturbed_it_holds_what_an_undisturbed_run_holds(stage: Stage) -> None:
    play(stage, kinds.nothing)


def test_killed_at_a_named_place(house: Theatre, stage: Stage) -> None:
    places = [place for place in house.places() if "INTO projection_positions" not in place]  # only a new store's
    parts = {place.partition(":")[0] for place in places}
    assert parts == {"intake", "relay", "projector", "timers", "payouts", "checkpoints"}
    for place in house.dice.sample(places, 4):
        with suppress(NotReached):  # few lots bring the projector to the tables that few accounts have rows in
            play(stage, kinds.kill_at(place))
            return
    pytest.fail("no lot brought a process to any of four places")


def test_without_its_database_for_a_while(house: Theatre, stage: Stage) -> None:
    play(stage, kinds.server_down(house.postgres))


def test_cut_off_at_a_commit(house: Theatre, stage: Stage) -> None:
    play(stage, kinds.commit_cut(house.proxy))


def test_with_an_older_vault_until_the_right_one_is_restored(stage: Stage) -> None:
    play(stage, kinds.older_vault)


def test_with_a_damaged_merkle_tree_until_it_is_made_anew(stage: Stage) -> None:
    play(stage, kinds.damaged_tile)


def test_after_all_that_the_store_is_whole_and_the_topic_says_the_same(stage: Stage) -> None:
    stage.check_whole_store()


def test_a_disk_that_is_full_for_a_while_and_a_folder_that_is_away(house: Theatre) -> None:
    with house.stage_on_sqlite() as stage:
        play(stage, house.disk_full(), kinds.without_folder)


def test_a_flood_lies_in_kafka_and_not_in_memory(house: Theatre) -> None:
    with house.stage(FAULTS_BATCH="500") as stage:
        print(kinds.flood(20_000)(stage, stage.new_lot()))
