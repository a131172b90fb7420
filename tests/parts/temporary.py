"""Where the tests' folders are: in memory, where there is room, so that nothing waits for a disk.

Stores are as durable as in production, and say so to the file system with every commit. Nobody cuts the power of the
machine that tests run on, so what a program wrote is there after it was killed, on a disk and in memory alike.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")
ROOM = 8 << 30
"""What must be free, in bytes: a run of all tests comes to a third of it."""


def choose_a_quick_place() -> None:
    """Have this process and those that it starts make their temporary folders in memory.

    Whoever names a place in TMPDIR wants it there.
    """
    if "TMPDIR" not in os.environ and _is_fit(IN_MEMORY):
        os.environ["TMPDIR"] = str(IN_MEMORY)
        tempfile.tempdir = None  # asked for again by whoever needs one


def _is_fit(place: Path) -> bool:
    """Whether there is room in memory, and what is written there may be executed too."""
    try:
        found, memory = os.statvfs(place), Path("/proc/meminfo").read_text()
    except OSError:
        return False
    available = next((int(line.split()[1]) << 10 for line in memory.splitlines() if line.startswith("MemAvail")), 0)
    return (
        os.access(place, os.W_OK)
        and not found.f_flag & os.ST_NOEXEC
        and min(found.f_bavail * found.f_frsize, available) >= ROOM
    )
