"""A peer is installed into a folder of its own, once for each state of its lock and program."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.parts import PartFailed, PartMissing

PEERS = Path(__file__).resolve().parents[2] / ".peers"


def installed(name: str, made_of: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """A peer's folder; `make` fills it where what it is made of has changed, or was never installed whole."""
    folder = PEERS / name
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in made_of)).hexdigest()
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"installing the peer {name} into {folder.parent.name}/{name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        stamp.write_text(digest)
    return folder


def command(name: str, remedy: str) -> str:
    """Where a command is. Raises PartMissing, which says what to do about it."""
    found = shutil.which(name)
    if found is None:
        raise PartMissing(f"there is no `{name}`, without which the peer cannot be installed: {remedy}")
    return found


def done(arguments: Sequence[str | Path], complaint: str) -> str:
    """What a command says that ends well. Raises PartFailed with the end of what it said, where it does not."""
    ran = subprocess.run([str(each) for each in arguments], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise PartFailed(f"{complaint} (exit {ran.returncode}):\n{(ran.stdout + ran.stderr)[-4000:]}")
    return ran.stdout
