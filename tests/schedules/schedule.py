"""Run one seed's schedule: everything that goes wrong, then rest, then the laws."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from unittest.mock import patch

from structlog.testing import capture_logs

from tests.schedules.broker import LawBroken
from tests.schedules.laws import check
from tests.schedules.story import Story
from tests.schedules.world import World


@dataclass(frozen=True)
class Outcome:
    """How a seed's schedule went."""

    seed: int
    story: list[str]
    failure: BaseException | None

    def told(self, last: int | None = None) -> str:
        """The story, or its last steps, and how it failed."""
        steps = self.story if last is None else self.story[-last:]
        failed = f"\nfails: {type(self.failure).__name__}: {self.failure}" if self.failure else ""
        return f"seed {self.seed}, {len(self.story)} steps\n" + "\n".join(steps) + failed


def run(seed: int, defect: AbstractContextManager[object] | None = None) -> Outcome:
    """Run a schedule, perhaps with a defect planted; the same seed always gives the same one.

    The laws are held against it without the defect.
    """
    with _seeded(seed):
        story = Story()
        with capture_logs(processors=[story.note]):
            world = World(seed, story)
            try:
                with patch.object(time, "sleep", world.sleep), defect or nullcontext():
                    for _ in range(world.rng.randint(80, 240)):
                        world.happen()
                    world.publish_everything()
                    for _ in range(world.rng.randint(0, 120)):
                        world.happen()
                    world.come_to_rest()
                check(world)
            except (Exception, LawBroken) as error:
                return Outcome(seed, story.steps, error)
            finally:
                world.close()
    return Outcome(seed, story.steps, None)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """What the parts draw for themselves (how long to back off) follows from the seed too."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
