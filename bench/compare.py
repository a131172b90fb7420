"""`make bench-compare A=… B=…`: two reports of `make bench` side by side, as Markdown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.report import compared


def main() -> int:
    """Compare the reports that two files, or two folders, hold."""
    if len(sys.argv) != 3:
        print("usage: make bench-compare A=before/bench.json B=after/bench.json", file=sys.stderr)
        return 64
    files = [path / "bench.json" if path.is_dir() else path for path in map(Path, sys.argv[1:])]
    try:
        before, after = (json.loads(file.read_text()) for file in files)
        print(compared(before, after), end="")
    except (OSError, ValueError, KeyError) as error:
        print(f"not a report of `make bench`: {error}; `make bench` writes .bench/bench.json", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
