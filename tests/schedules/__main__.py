"""`python -m tests.schedules`: run many seeds, or tell the whole story of one."""

from __future__ import annotations

import argparse
import sys
import time

from tests.schedules.schedule import run

LAST_STEPS = 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.schedules", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed, with its whole story")
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    given = parser.parse_args()
    if given.seed is not None:
        outcome = run(given.seed)
        print(outcome.told())
        return int(outcome.failure is not None)
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


if __name__ == "__main__":
    sys.exit(main())
