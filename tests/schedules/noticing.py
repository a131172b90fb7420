"""Which seeds notice a planted defect: kept in a file for `make test`, and searched for by `make schedules`."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.schedules.planted import PLANTED
from tests.schedules.schedule import run

KEPT = Path(__file__).with_name("noticed_by.json")
ENOUGH = 3
"""So many seeds are kept for a defect: a change of the program makes other schedules of them, and one may be lost."""
PATIENCE_SECONDS = 5
"""Of the processor's time; a schedule takes a tenth of one. With some defects it never ends, and notices nothing."""


def noticed_by() -> dict[str, list[int]]:
    """For each planted defect the seeds that noticed it when they were searched for."""
    kept: dict[str, list[int]] = json.loads(KEPT.read_text())
    return kept


def notices(seed: int, defect: str) -> bool:
    """Whether a seed's schedule fails with a defect planted. Without it, it must pass: that is tested beside."""
    try:
        with _at_most(PATIENCE_SECONDS):
            return run(seed, PLANTED[defect]()).failure is not None
    except _TooLong:
        return False


def search(defect: str, seeds: Iterable[int], first: Sequence[int] = ()) -> list[int]:
    """The first seeds that notice a defect, `first` ones before all others; as many as are kept of each."""
    found: list[int] = []
    for seed in dict.fromkeys([*first, *seeds]):
        if notices(seed, defect):
            found.append(seed)
        if len(found) == ENOUGH:
            break
    return found


def keep(found: Mapping[str, Sequence[int]]) -> None:
    """Write down the seeds that were found."""
    lines = [f"  {json.dumps(defect)}: {json.dumps(list(seeds))}" for defect, seeds in found.items()]
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


class _TooLong(BaseException):
    pass


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def over(_signal: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
