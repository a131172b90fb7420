"""Servers as child processes that never outlive the test run, and the ports and folders they need."""

import contextlib
import os
import pwd
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts import PartFailed

LOG_TAIL = 40
"""Lines of a server's log that an error shows."""

# Waits for its standard input to end. A byte before the end means: the server was stopped as it should be. An end
# without one means that the test run is gone, killed hard perhaps: then the server and its folder go too.
_WATCHDOG = """
import os, shutil, signal, sys, time
group, first, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if sys.stdin.buffer.read(1):
    sys.exit()
for sign in (first, signal.SIGKILL):
    try:
        os.killpg(group, sign)
        os.killpg(group, signal.SIGCONT)
        for _ in range(400):
            time.sleep(0.02)
            os.killpg(group, 0)
    except ProcessLookupError:
        break
shutil.rmtree(folder, ignore_errors=True)
"""


@dataclass(frozen=True)
class Account:
    """The unprivileged user that a server runs as, where the tests themselves run as root."""

    name: str
    uid: int
    gid: int


def unprivileged(*names: str) -> Account | None:
    """The first of these users that exists when we are root, else None: we need not change who we are."""
    if os.geteuid() != 0:
        return None
    for name in names:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return Account(name, entry.pw_uid, entry.pw_gid)
    raise PartFailed(f"running as root, and no user to drop to: none of {', '.join(names)} exists")


def reachable(path: Path, account: Account | None) -> bool:
    """Whether that user may walk down to this path. A root's home or a private TMPDIR usually bars the way."""
    if account is None:
        return True
    for folder in path.absolute().parents:
        try:
            found = folder.stat()
        except OSError:
            return False
        if found.st_uid == account.uid:
            bit = stat.S_IXUSR
        elif found.st_gid == account.gid:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not found.st_mode & bit:
            return False
    return True


def new_folder(prefix: str, account: Account | None = None) -> Path:
    """A fresh folder that belongs to that user alone, in a place that the user can get to."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for place in places:
        if reachable(place / "x", account) and os.access(place, os.W_OK):
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            if account is not None:
                os.chown(folder, account.uid, account.gid)
            return folder
    raise PartFailed(
        f"no temporary folder that the user {account.name if account else 'of the tests'} can reach: tried "
        f"{', '.join(str(place) for place in places)}; set TMPDIR"
    )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on and that stay free while their server is down.

    Not from the range out of which the kernel takes the local ends of outgoing connections: there a client that keeps
    trying to reach its stopped server can be given the server's own port, connect to itself, and so keep the server
    from ever starting again.
    """
    try:
        first_taken = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        first_taken = 32768
    lowest, beyond = (10_000, first_taken) if first_taken > 12_000 else (61_000, 65_536)
    dice = random.SystemRandom()
    ports: list[int] = []
    for _ in range(1000):
        port = dice.randrange(lowest, beyond)
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
        if len(ports) == count:
            return ports
    raise PartFailed(f"no free port between {lowest} and {beyond}")


def answers(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def tail(log: Path) -> str:
    """The end of a log, for an error that must explain itself on a machine nobody can log in to."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(lines[-LOG_TAIL:]) or "(the log is empty)"


class Server:
    """One server process with its log, in a session of its own, so that a Ctrl-C reaches the tests and not it.

    It is on a leash: a small watchdog process holds the other end of a pipe and ends the server when the pipe closes,
    which happens however the tests end. (The kernel's own parent death signal would not do: it fires when the thread
    that started the server ends, not the process.)
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        in_good_order: signal.Signals = signal.SIGTERM,
        at_once: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._account = account
        self._environment = dict(os.environ if environment is None else environment)
        self._in_good_order = in_good_order
        self._at_once = at_once
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process is there. One that ended by itself is let off its leash: its id may be reused."""
        if self._process is None:
            return False
        if self._process.poll() is None:
            return True
        self._let_go()
        return False

    def start(self, ready: Callable[[], bool], patience: float) -> None:
        """Start, and wait until `ready()` says so; an error shows the end of the log."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,
                **identity(self._account),
            )
        watching = [sys.executable, "-I", "-S", "-c", _WATCHDOG]
        self._watchdog = subprocess.Popen(
            [*watching, str(self._process.pid), str(int(self._at_once)), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._await(ready, patience)
        except BaseException:
            self.kill()
            raise

    def _await(self, ready: Callable[[], bool], patience: float) -> None:
        deadline = time.monotonic() + patience
        process = self._process
        while process is not None:
            if not self.running:
                raise PartFailed(f"{self.name} ended while it started (exit {process.returncode}):\n{tail(self.log)}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise PartFailed(f"{self.name} did not answer within {patience:.0f} s:\n{tail(self.log)}")
            time.sleep(0.02)

    def stop(self, patience: float = 30.0) -> None:
        """Ask it to end and wait; one that does not end in time is killed, and the tests go on."""
        self._end(self._in_good_order, patience)

    def kill(self) -> None:
        """End it without letting it tidy up."""
        self._end(self._at_once, 10.0)

    def pause(self) -> None:
        """Freeze it."""
        self._send(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Thaw it."""
        self._send(signal.SIGCONT)
        self._paused = False

    def _end(self, sign: signal.Signals, patience: float) -> None:
        if self._process is not None and self.running:
            self._send(sign)
            if self._paused:
                self.resume()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._send(signal.SIGKILL)
                self._process.wait()
        self._paused = False
        self._let_go()

    def _send(self, sign: signal.Signals) -> None:
        if self._process is None or not self.running:
            raise PartFailed(f"{self.name} is not running; the end of its log:\n{tail(self.log)}")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, sign)

    def _let_go(self) -> None:
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is None:
            return
        with contextlib.suppress(BrokenPipeError):
            watchdog.communicate(b".")


def identity(account: Account | None) -> dict[str, Any]:
    """The arguments of `subprocess` that make a child that user, with no group of ours left to it."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}
