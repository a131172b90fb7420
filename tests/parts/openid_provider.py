"""An OpenID provider made by others, `oidc-provider` for Node.js: installed once for a user, and run for a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent / "openid"
CLIENT, SECRET, PUBLIC_CLIENT = "makegood", "a secret: of 42%", "makegood-public"


class Missing(Exception):
    """What the tests cannot do without, and how to have it."""


@contextmanager
def provider(comes_back_to: str) -> Iterator[str]:
    """The address of a provider that leads its clients' users back to an address, until the block ends."""
    command = ["node", str(HERE / "provider.mjs"), comes_back_to]
    with subprocess.Popen(command, cwd=_installed(), stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            address = running.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), address
            yield address
        finally:
            running.terminate()
            running.wait(10)


def _installed() -> Path:
    """The folder that has the provider's packages, in the versions of the lock."""
    for needed in ("node", "npm"):
        if shutil.which(needed) is None:
            raise Missing(f"{needed} is not installed, which runs the OpenID provider; on Debian: apt install npm")
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "makegood"
    folder = cache / f"openid-provider-{sha256(lock).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.partial-", dir=cache) as partial:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, partial)
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=partial,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Missing(f"npm could not install the OpenID provider: {done.stdout}")
        try:
            Path(partial).rename(folder)
        except OSError:
            assert folder.is_dir(), "another test run installed it meanwhile"
        else:
            Path(partial).mkdir()
    return folder
