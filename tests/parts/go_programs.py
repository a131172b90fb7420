"""Programs in Go that the tests use: each is built once for a user, in one version, and kept in the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from tests.parts import PartFailed, PartMissing


def installed(package: str, version: str) -> Path:
    """A published program, in the version named. Raises PartMissing and PartFailed."""
    name = package.rsplit("/", 1)[-1]

    def install(go: str, into: Path) -> None:
        _run([go, "install", f"{package}@{version}"], f"{name} {version}", GOBIN=str(into))

    return _kept(name, version, install)


def built(sources: Path) -> Path:
    """A program from a folder of its sources, built anew once they change. Raises PartMissing and PartFailed."""
    digest = sha256()
    for file in sorted(sources.iterdir()):
        digest.update(f"{file.name}\n".encode() + file.read_bytes())

    def build(go: str, into: Path) -> None:
        _run(
            [go, "build", "-C", str(sources), "-buildvcs=false", "-o", str(into / sources.name), "."],
            f"the program in {sources}",
        )

    return _kept(sources.name, digest.hexdigest()[:16], build)


def _kept(name: str, version: str, build: Callable[[str, Path], None]) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "makegood"
    program = cache / f"{name}-{version}" / name
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        raise PartMissing(
            f"{name} is not in {program.parent}, and there is no `go` to build it. Install Go 1.21 or later, which "
            f"fetches a newer one where a program needs it (Debian: golang; `make deps` as root), or put {name} "
            f"{version} there."
        )
    cache.mkdir(parents=True, exist_ok=True)
    with Path(f"{program.parent}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            beside = Path(tempfile.mkdtemp(prefix=f"{program.parent.name}.partial-", dir=cache))
            try:
                build(go, beside)
                beside.rename(program.parent)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    return program


def _run(command: list[str], what: str, **environment: str) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        raise PartFailed(f"go could not build {what} (exit {done.returncode}):\n{done.stdout[-4000:]}")
