"""`python -m tests.tampers`: change what was signed, many times over, and tell what of it was found and missed."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

from tests.parts.postgres import find_postgres
from tests.parts.stores import Stores
from tests.tampers.stage import staged, with_some_accounts
from tests.tampers.trying import Outcome, Trying


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tampers", description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000, help="how many changes to make in all")
    parser.add_argument("--first", type=int, default=None, help="the first seed, one for each change")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default=None, help="of one kind only")
    given = parser.parse_args()
    first = secrets.randbelow(2**32) if given.first is None else given.first
    kinds = (given.store,) if given.store else ("sqlite", "postgresql")
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as until_the_end:
        stores = Stores(Path(name), cache(lambda: until_the_end.enter_context(closing(find_postgres()))))
        for number, kind in enumerate(kinds):
            folder = Path(name) / kind
            folder.mkdir()
            seeds = range(first, first + given.changes)[number :: len(kinds)]
            missed += _tried(stores, kind, folder, list(seeds))
        stores.close()
    for each in missed:
        print(f"MISSED {each}", file=sys.stderr)
    return int(bool(missed))


def _tried(stores: Stores, kind: str, folder: Path, seeds: list[int]) -> list[str]:
    began = time.monotonic()
    store = stores.new(kind, folder, with_some_accounts)  # type: ignore[arg-type]
    with staged(store, folder / "log") as stage:
        trying = Trying(stage)
        assert trying.honest(), "the honest copy is not found to be sound"
        outcome = trying.run(seeds, lambda outcome: _tell(outcome, len(seeds)))
        assert trying.honest(), "the honest copy is not found to be sound in the end"
    found = ", ".join(f"{count} of a {what}" for what, count in outcome.found.items())
    print(
        f"{kind}: {len(seeds)} changes from seed {seeds[0]}; found {outcome.found.total()} ({found}), "
        f"missed {len(outcome.missed)}, slowest {outcome.slowest:.1f} s, {time.monotonic() - began:.0f} s in all",
        flush=True,
    )
    return outcome.missed


def _tell(outcome: Outcome, of: int) -> None:
    done = outcome.found.total() + len(outcome.missed)
    if done % 500 == 0:
        print(f"  {done} of {of}: {len(outcome.missed)} missed", flush=True)


if __name__ == "__main__":
    sys.exit(main())
