"""`python -m tests.schedules`: run many seeds, tell the whole story of one, or plant defects and see who notices."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.schedules.noticing import KEPT, keep, noticed_by, search
from tests.schedules.planted import PLANTED
from tests.schedules.schedule import run

LAST_STEPS = 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.schedules", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed, with its whole story")
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    parser.add_argument(
        "--planted",
        nargs="*",
        metavar="DEFECT",
        help="plant these defects, or all, and see which seeds notice",
    )
    given = parser.parse_args()
    if given.seed is not None:
        outcome = run(given.seed)
        print(outcome.told())
        return int(outcome.failure is not None)
    if given.planted is not None:
        return _plant(given.planted or list(PLANTED), range(given.first, given.first + given.seeds))
    began = time.monotonic()
    failed = []
    for count, seed in enumerate(range(given.first, given.first + given.seeds), 1):
        outcome = run(seed)
        if outcome.failure is not None:
            failed.append(seed)
            print(f"\r{outcome.told(LAST_STEPS)}\n", flush=True)
        if count % 20 == 0 or count == given.seeds:
            seconds = time.monotonic() - began
            print(f"\r{count} of {given.seeds} schedules, {len(failed)} failed, {seconds:.0f} s", end="", flush=True)
    print()
    if failed:
        again = " ".join(str(seed) for seed in failed)
        print(f"failed: {again}; each again: .venv/bin/python -m tests.schedules --seed N", file=sys.stderr)
    return int(bool(failed))


def _plant(defects: Sequence[str], seeds: range) -> int:
    """Search for the seeds that notice each defect, and write down where others do now."""
    kept = noticed_by()
    found = {defect: seeds_ for defect, seeds_ in kept.items() if defect in PLANTED}
    for defect in defects:
        found[defect] = search(defect, seeds, kept.get(defect, ()))
        changed = "" if found[defect] == kept.get(defect) else f" (before: {kept.get(defect, [])})"
        print(f"{defect}: noticed by {found[defect] or 'no seed'}{changed}", flush=True)
    if found != kept:
        keep({defect: found[defect] for defect in PLANTED if defect in found})
        print(f"written to {KEPT.name}: commit it with the change that made other schedules of these seeds")
    unnoticed = [defect for defect in defects if not found[defect]]
    if unnoticed:
        print(f"not noticed by any of {len(seeds)} seeds: {', '.join(unnoticed)}", file=sys.stderr)
    return int(bool(unnoticed))


if __name__ == "__main__":
    sys.exit(main())
