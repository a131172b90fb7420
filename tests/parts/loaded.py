"""Programs of ours as processes of their own, which need not load what one process loaded for all of them.

Python and all that makegood imports take a core one to two seconds for each start, which is most of what a test costs
that kills a process and starts the next. So one process for a run of tests loads it, and forks for each that a test
starts. That has its own id, environment, folder and outputs, and is killed, frozen and told to end like any other.
Tests of how the program starts do not take this way.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from select import select
from typing import IO

ROOT = Path(__file__).parents[2]
PACKAGES = ("ledger", "projections", "consumers", "makegood")


class Program:
    """A process that runs `python -m MODULE`; what tests know of `subprocess.Popen`, it has too."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        said: IO[bytes] | None = None,
    ) -> None:
        """All that it says goes to the file `said`; without one, its errors come out of `stderr`."""
        self.returncode: int | None = None
        told, tells = os.pipe()
        read = written = -1
        if said is None:
            read, written = os.pipe()
        output = os.open(os.devnull, os.O_WRONLY) if said is None else said.fileno()
        asked = {"module": module, "arguments": list(arguments), "environment": dict(environment)}
        _loader().start(asked, [output, written if said is None else output, tells])
        for each in (tells, *((written, output) if said is None else ())):
            os.close(each)
        self._told = os.fdopen(told)
        self.pid = int(self._told.readline())
        self.stderr = os.fdopen(read) if said is None else None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it is there."""
        if self.returncode is None and select([self._told], [], [], 0)[0]:
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises TimeoutExpired."""
        if self.returncode is None:
            select([self._told], [], [], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, sign: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sign)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def said_by(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], *, patience: float = 120
) -> tuple[int, str]:
    """The exit code of a program that ends by itself, and all that it said. Raises TimeoutExpired."""
    with tempfile.TemporaryFile() as said:
        program = Program(module, arguments, environment, said=said)
        try:
            code = program.wait(patience)
        finally:
            program.kill()
        said.seek(0)
        return code, said.read().decode()


class _Loader:
    """The process that has loaded everything, as who asks it to fork knows it."""

    def __init__(self) -> None:
        self._asking, theirs = socket.socketpair()
        self._one_at_a_time = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.parts.loaded", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(self, asked: Mapping[str, object], outputs: list[int]) -> None:
        with self._one_at_a_time:
            said = json.dumps(asked).encode()
            socket.send_fds(self._asking, [len(said).to_bytes(4, "big")], outputs)
            self._asking.sendall(said)

    def close(self) -> None:
        self._asking.close()
        self._process.wait()


_loaders: list[_Loader] = []


def _loader() -> _Loader:
    if not _loaders:
        _loaders.append(_Loader())
    return _loaders[0]


def close() -> None:
    """No more programs are started: what loads ends too, if it was begun."""
    while _loaders:
        _loaders.pop().close()


# --- in the process that loads --------------------------------------------------------------------------------------


def _load() -> None:
    for package in PACKAGES:
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            importlib.import_module(module.name)
    gc.freeze()  # else whatever is forked copies all of it when it looks for garbage


def _asked(asking: socket.socket) -> Iterator[tuple[dict[str, object], list[int]]]:
    while True:
        said, outputs, _, _ = socket.recv_fds(asking, 4, 3)
        if not said:
            return
        yield json.loads(asking.recv(int.from_bytes(said, "big"), socket.MSG_WAITALL)), outputs


def _fork_for_each(asking: socket.socket) -> tuple[str, list[str]] | None:
    """In a process that was forked, which module it is to run with which arguments; in this one None, in the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for asked, (output, errors, tells) in _asked(asking):
        if os.fork():
            for each in (output, errors, tells):
                os.close(each)
            continue
        # This one, whose child the program is, sees how it ends.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asking.close()
        child = os.fork()
        if child:
            for each in (output, errors):
                os.close(each)
            os.write(tells, f"{child}\n".encode())
            _, status = os.waitpid(child, 0)
            os.write(tells, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
        os.close(tells)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        for each in (output, errors):
            os.close(each)
        os.environ.clear()
        os.environ.update(asked["environment"])  # type: ignore[arg-type]
        return str(asked["module"]), list(asked["arguments"])  # type: ignore[call-overload]
    return None


def _main() -> None:
    _load()
    asked = _fork_for_each(socket.socket(fileno=int(sys.argv[1])))
    if asked is None:
        return
    module, arguments = asked
    sys.argv = [module, *arguments]
    warnings.filterwarnings("ignore", message=".*found in sys.modules", category=RuntimeWarning)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
