"""200 schedules of `make schedules`, and defects that they must notice."""

import pytest

from tests.schedules.planted import PLANTED
from tests.schedules.schedule import run

SEEDS = 200
AT_ONCE = 10
LAST_STEPS = 80


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_whatever_happens_it_ends_as_if_nothing_had(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        outcome = run(seed)
        assert outcome.failure is None, outcome.told(LAST_STEPS)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_noticed(name: str) -> None:
    """The seeds are those of the test above, in which they all pass without it."""
    assert any(run(seed, PLANTED[name]()).failure is not None for seed in range(SEEDS))


def test_a_seed_is_a_schedule() -> None:
    assert run(1).story == run(1).story != run(2).story
