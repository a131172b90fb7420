"""`make faults`: every kind of fault, many times, with a line for each and a table at the end.

`python -m tests.faults [ROUNDS]`: so many rounds of each kind, ten times as many kills, and one at each named place.
MAKEGOOD_FAULTS_SEED repeats a run; MAKEGOOD_FAULTS_ONLY names the kinds to run, by their beginnings, with commas.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from tests.faults import kinds
from tests.faults.failpoints import PARTS
from tests.faults.kinds import Fault, NotReached, strike
from tests.faults.stage import Stage
from tests.faults.theatre import Theatre, theatre

LOTS_EACH_STAGE = 20
FLOOD = 200_000


@dataclass
class Tally:
    """What became of the faults of one kind."""

    played: int = 0
    recovered: int = 0
    missed: int = 0
    """Faults that did not strike, in any of the lots that were tried."""
    kills: int = 0
    seconds: float = 0.0


@dataclass
class Programme:
    """Plays faults one after the other and keeps count."""

    house: Theatre
    tallies: dict[str, Tally] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def play(
        self,
        kind: str,
        faults: list[Fault],
        stages: Callable[[], AbstractContextManager[Stage]],
        afterwards: Callable[[Stage], None] = Stage.check_whole_store,
    ) -> None:
        """Play faults on one stage after the other; after one that is not recovered from, on a new one."""
        left = list(faults)
        while left:
            with stages() as stage:
                for _ in range(min(LOTS_EACH_STAGE, len(left))):
                    if not self._play_one(kind, left.pop(0), stage):
                        break
                else:
                    with self._told(kind, "the whole store"):
                        afterwards(stage)

    def _play_one(self, kind: str, fault: Fault, stage: Stage) -> bool:
        tally = self.tallies.setdefault(kind, Tally())
        began, kills = time.monotonic(), stage.kills
        recovered, said = True, ""
        try:
            said, lot = strike(fault, stage)
            if lot.published:  # a flood is no lot, and compares nothing but what it measures
                stage.settle(lot)
        except NotReached as place:
            tally.missed += 1
            self._line(kind, tally, f"did not strike: {place}")
            return True
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            recovered = False
        tally.played += 1
        tally.recovered += recovered
        tally.kills += stage.kills - kills
        tally.seconds += time.monotonic() - began
        self._line(kind, tally, f"{'recovered' if recovered else 'NOT RECOVERED'}, {said}")
        return recovered

    @contextlib.contextmanager
    def _told(self, kind: str, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            tally = self.tallies[kind]
            tally.recovered -= 1
            self._line(kind, tally, f"NOT RECOVERED, {what}: {error}")

    def _line(self, kind: str, tally: Tally, said: str) -> None:
        print(f"{time.monotonic() - self.started:7.1f} s  {kind} {tally.played}: {said}", flush=True)

    def table(self) -> bool:
        """Print what became of all; whether all recovered."""
        print(f"\n{'kind':36} {'played':>6} {'kills':>6} {'recovered':>9} {'missed':>6} {'seconds':>8}")
        for kind, tally in self.tallies.items():
            figures = f"{tally.played:6} {tally.kills:6} {tally.recovered:9} {tally.missed:6} {tally.seconds:8.0f}"
            print(f"{kind:36} {figures}")
        kills = sum(tally.kills for tally in self.tallies.values())
        played = sum(tally.played for tally in self.tallies.values())
        recovered = sum(tally.recovered for tally in self.tallies.values())
        missed = sum(tally.missed for tally in self.tallies.values())
        seconds = time.monotonic() - self.started
        print(f"{'in all':36} {played:6} {kills:6} {recovered:9} {missed:6} {seconds:8.0f}")
        return played == recovered


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    seed = int(os.environ.get("MAKEGOOD_FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    only = tuple(name for name in os.environ.get("MAKEGOOD_FAULTS_ONLY", "").split(",") if name)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print(f"faults: MAKEGOOD_FAULTS_SEED={seed}, {rounds} rounds of each kind")
    with tempfile.TemporaryDirectory(prefix="makegood-faults-") as folder, theatre(Path(folder), seed) as house:
        programme = Programme(house)
        wanted = house.kinds()
        programme.play(
            "an undisturbed run",
            [wanted.pop("an undisturbed run")] * 2,
            lambda: house.stage(FAULTS_SEEN=str(house.seen)),
        )
        times = dict.fromkeys(wanted, rounds) | {"kill -9 of makegood run": 5 * rounds}
        for kind, fault in wanted.items():
            if not only or kind.startswith(only):
                programme.play(kind, [fault] * times[kind], house.stage)
        for part in PARTS:
            kind = f"kill -9 at a named place of {part}"
            if not only or kind.startswith(only):
                programme.play(kind, _kills_at_places(house, part), house.stage)
        for kind, fault in house.kinds_on_sqlite().items():
            if not only or kind.startswith(only):
                programme.play(kind, [fault] * rounds, house.stage_on_sqlite)
        kind = "kill -9 at a named place of checkpoints, SQLite"
        if not only or kind.startswith(only):
            programme.play(kind, _kills_at_places(house, "checkpoints"), house.stage_on_sqlite)
        if not only or "flood".startswith(only):
            floods = [kinds.flood(FLOOD)]
            programme.play("flood", floods, lambda: house.stage(FAULTS_BATCH="500"), afterwards=lambda _: None)
        return 0 if programme.table() else 1


def _kills_at_places(house: Theatre, part: str) -> list[Fault]:
    """Those that only a new store comes to are first on their stage, the others follow them."""
    places = [place for place in house.places() if place.startswith(f"{part}:")]
    first = [place for place in places if "INTO projection_positions" in place]
    others = [place for place in places if place not in first]
    turns: list[str] = []
    for place in first:
        turns += [place, *others[: LOTS_EACH_STAGE - 1]]
        del others[: LOTS_EACH_STAGE - 1]
    return [kinds.kill_at(place) for place in turns + others]


if __name__ == "__main__":
    sys.exit(main())
