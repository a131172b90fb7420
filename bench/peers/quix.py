"""Quix Streams: the refunds as a state store in RocksDB, beside our projector's table, both in Python."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.peers import folding
from bench.peers.installing import done, installed

SOURCE = Path(__file__).parent / "quix"
LOCK, PROGRAM = SOURCE / "requirements.lock", SOURCE / "refunds.py"

VERSION = next(line for line in LOCK.read_text().splitlines() if line.startswith("quixstreams==")).split()[0]
ABOUT = (
    f"Quix Streams {VERSION.removeprefix('quixstreams==')} (Python) folds with a stateful function over its "
    "state store with a changelog topic; it commits every 30 s and at the end, at least once, and closes the "
    "store before the time is taken, but makes its changelog topic before it begins, where Kafka Streams "
    "makes it within. What is not named is as it comes, the settings of RocksDB too."
)


def program() -> list[str]:
    """What runs it, installed where it is not."""
    folder = installed("quix", [LOCK], _install)
    return [str(folder / "python" / "bin" / "python"), str(PROGRAM)]


def _install(folder: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    python = folder / "python"
    done(
        [uv, "venv", "--quiet", f"--python={sys.executable}", python], "no environment could be made for Quix Streams"
    )
    done(
        [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", LOCK],
        "uv could not install Quix Streams from PyPI",
    )


PEER = folding.Peer("Quix Streams", ABOUT, program)
