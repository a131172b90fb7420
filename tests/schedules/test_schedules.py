"""A sample of the schedules of `make schedules`, and defects that they must notice."""

import pytest

from tests.schedules.noticing import noticed_by, notices
from tests.schedules.planted import PLANTED
from tests.schedules.schedule import run
from tests.schedules.world import DIVIDED_FROM
from tests.search import sample

NOTICED_BY = noticed_by()
SEEDS = sorted(
    {
        *range(sample(40)),
        *range(DIVIDED_FROM, DIVIDED_FROM + sample(20)),
        *(seed for seeds in NOTICED_BY.values() for seed in seeds),
    }
)
AT_ONCE = 10
LAST_STEPS = 80


@pytest.mark.parametrize("seeds", [SEEDS[n : n + AT_ONCE] for n in range(0, len(SEEDS), AT_ONCE)], ids=lambda s: s[0])
def test_whatever_happens_it_ends_as_if_nothing_had(seeds: list[int]) -> None:
    for seed in seeds:
        outcome = run(seed)
        assert outcome.failure is None, outcome.told(LAST_STEPS)


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_noticed(defect: str) -> None:
    """By seeds of which it is known. They are among those of the test above, in which they all pass without it."""
    assert any(notices(seed, defect) for seed in NOTICED_BY.get(defect, [])), (
        f"no seed of {NOTICED_BY.get(defect, [])} notices it any more; see whether any does, and have it written "
        f"down, with `.venv/bin/python -m tests.schedules --planted {defect}`"
    )


def test_no_seed_is_kept_for_a_defect_that_is_not_planted() -> None:
    assert set(NOTICED_BY) <= set(PLANTED)


def test_a_seed_is_a_schedule() -> None:
    assert run(1).story == run(1).story != run(2).story
