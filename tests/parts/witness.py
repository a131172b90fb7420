"""A real witness: torchwood's litewitness, a Go program, which has its key in an ssh-agent and its logs in SQLite.

Its version's `witnessctl`, by which operators tell it of logs, cannot be built by every Go that litewitness can; what
it writes is two rows.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ledger.audit import EMPTY_ROOT, SignatureType, VerifierKey
from tests.parts import PartFailed, PartMissing
from tests.parts.go_programs import installed
from tests.parts.process import Server, answers, free_ports, new_folder

VERSION = "v0.9.0"
NAME = "witness.example/w1"

_TABLES = """
CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);
CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin));
"""


@dataclass(frozen=True)
class Witness:
    """A witness that runs."""

    url: str
    vkey: VerifierKey
    database: Path

    def knows(self) -> tuple[int, bytes]:
        """Size and root of the last checkpoint that it cosigned of its one log."""
        with closing(sqlite3.connect(self.database)) as database:
            [(size, root)] = database.execute("SELECT tree_size, tree_hash FROM log")
        return size, b64decode(root)


@contextmanager
def litewitness(log: VerifierKey) -> Iterator[Witness]:
    """A running witness that knows one log by its Ed25519 key. Raises PartMissing and PartFailed."""
    program = installed("filippo.io/torchwood/cmd/litewitness", VERSION)
    for tool in ("ssh-agent", "ssh-add", "ssh-keygen"):
        if shutil.which(tool) is None:
            raise PartMissing(f"litewitness needs `{tool}` (Debian: openssh-client; `make deps` as root)")
    folder = new_folder("makegood-witness-")
    socket, database = folder / "agent", folder / "witness.db"
    with closing(sqlite3.connect(database)) as rows, rows:
        rows.executescript(_TABLES)
        rows.execute("INSERT INTO log VALUES (?, 0, ?)", (log.name, b64encode(EMPTY_ROOT).decode()))
        rows.execute("INSERT INTO key VALUES (?, ?)", (log.name, str(log)))
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
    public = b64decode((folder / "key.pub").read_text().split()[1])[-32:]
    (port,) = free_ports(1)
    agent = Server("ssh-agent", ["ssh-agent", "-D", "-a", str(socket)], folder)
    arguments = ["-name", NAME, "-db", str(database), "-ssh-agent", str(socket), "-key", sha256(public).hexdigest()]
    witness = Server("litewitness", [str(program), *arguments, "-listen", f"127.0.0.1:{port}"], folder)
    try:
        agent.start(socket.exists, 10)
        _run("ssh-add", "-q", str(folder / "key"), SSH_AUTH_SOCK=str(socket))
        witness.start(lambda: answers("127.0.0.1", port), 10)
        yield Witness(
            f"http://127.0.0.1:{port}", VerifierKey(NAME, SignatureType.ED25519_COSIGNATURE, public), database
        )
    finally:
        witness.kill()
        agent.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: str, **environment: str) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode != 0:
        raise PartFailed(f"{command[0]} failed (exit {done.returncode}): {done.stderr}")
