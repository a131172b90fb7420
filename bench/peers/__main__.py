"""`make bench-peers`: other people's systems beside ours, on the same machine and in one run.

    python -m bench.peers [--lives N] [--events N] [--to FOLDER] [PEER…]

Each peer is installed into .peers, in the versions that its lock under bench/peers pins, when that lock has changed.
It and ours do the same work in turn, and both must end in the same rows before their seconds count. All is written to
FOLDER as peers.md, to read, and peers.json, which `make bench-compare A=… B=…` takes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

from tests.parts import PartFailed, PartMissing

from bench.peers import emmett, folding, quix, streams
from bench.report import REPORT, Report
from consumers.part import collect_rarely
from makegood.house.logs import configure_logs

FOLDING = {"streams": streams.PEER, "quix": quix.PEER}
"""They fold the same topic, so those that are asked for take turns in one section."""
PEERS = ("emmett", *FOLDING)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"{', '.join(PEERS)}; all by default")
    parser.add_argument("--lives", type=int, default=4_000, help="how many account lives a round takes in")
    parser.add_argument("--events", type=int, default=200_000, help="how many events a round folds from Kafka")
    parser.add_argument("--to", type=Path, default=REPORT, help=f"where the report goes ({REPORT})")
    asked = parser.parse_args()
    if unknown := set(asked.peers) - set(PEERS):
        parser.error(f"no peer {', '.join(sorted(unknown))}: choose from {', '.join(PEERS)}")
    configure_logs("error")
    collect_rarely()
    report = Report.begin()
    try:
        _measure(report, asked.peers or PEERS, asked)
    except (PartMissing, PartFailed) as trouble:
        print(f"peers: {trouble}", file=sys.stderr)
        return 1
    finally:
        report.write(asked.to, "peers")
    print(f"\nwritten to {asked.to}/peers.md and {asked.to}/peers.json")
    return 0


def _measure(report: Report, names: Collection[str], asked: argparse.Namespace) -> None:
    if "emmett" in names:
        emmett.measure(report, asked.lives)
        report.write(asked.to, "peers")
    if together := [peer for name, peer in FOLDING.items() if name in names]:
        folding.measure(report, together, asked.events)


if __name__ == "__main__":
    sys.exit(main())
