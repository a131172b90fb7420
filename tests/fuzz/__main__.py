"""`python -m tests.fuzz`: send the API requests that nobody thought of, and tell how many of each."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback

from tests.fuzz.fuzz import Outcome, door, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="how many cases to send, over all operations")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="what decides what they are")
    parser.add_argument("--store", default="sqlite:///:memory:", help="the URL of a new store; SQLite in memory")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    began, outcome = time.monotonic(), Outcome()
    with door(given.store) as desk:
        for operation, outcome in run(desk, given.cases, given.seed):
            print(_told(operation, outcome), flush=True)
        desk.books.check_positions()
    for operation, failure in outcome.failed.items():
        print(f"\n{operation}", file=sys.stderr)
        traceback.print_exception(failure, limit=0)
    seconds = time.monotonic() - began
    print(f"{outcome.sent.total()} requests, {len(outcome.failed)} operations failed, {seconds:.0f} s")
    if outcome.failed:
        again = f".venv/bin/python -m tests.fuzz --cases {given.cases} --seed {given.seed}"
        print(f"each again: {again}", file=sys.stderr)
    return int(bool(outcome.failed))


def _told(operation: str, outcome: Outcome) -> str:
    statuses = sorted(outcome.statuses.get(operation, {}).items())
    told = ", ".join(f"{count} × {status}" for status, count in statuses)
    failed = "  FAILED" if operation in outcome.failed else ""
    return f"{outcome.sent[operation]:>6} {operation}: {told}{failed}"


if __name__ == "__main__":
    sys.exit(main())
