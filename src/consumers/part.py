"""What a long-running part is, and running several of them together until they are told to stop."""

from __future__ import annotations

import gc
import random
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from ledger.store.database import StoreError
from ledger.vault import Damaged, Gone

DRAIN_SECONDS = 10.0
"""How long all parts together may take to finish what they have in hand."""
COLLECT_SECONDS, COLLECT_ALL_SECONDS = 1.0, 3600.0
"""How often what is new is looked through for garbage, and how often everything."""

log = structlog.get_logger("makegood.parts")


class Part(Protocol):
    """Something that works until it is told to stop."""

    @property
    def name(self) -> str:
        """By what the command line and the logs call it."""

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Work until `stop` is set, then finish what is in hand and return; call `ready` once when it works.

        A passing cause is waited out inside; whatever is raised is meant to stop everything.
        """


class Explained(Exception):
    """An error whose message says what is wrong and what to do next, and quotes nothing that a message said."""


class PartFailed(Explained):
    """A part ended by an error, which is this one's cause, or did not end when it was told to."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part


def run_parts(parts: Sequence[Part], stop: threading.Event, on_ready: Callable[[], None]) -> None:
    """Run parts, each in a thread of its own, until `stop` is set or one of them fails; `on_ready` once all work.

    The caller's thread only waits, so that it can answer signals by setting `stop`. Raises PartFailed for the first
    part that failed, after the others have been stopped.
    """
    ended = threading.Event()
    waiting = set(map(id, parts))
    turn = threading.Lock()
    failures: list[PartFailed] = []

    def ready(part: Part) -> None:
        with turn:
            last = id(part) in waiting and len(waiting) == 1
            waiting.discard(id(part))
        if last:
            on_ready()

    def work(part: Part) -> None:
        try:
            part.run(stop, lambda: ready(part))
            if not stop.is_set():
                raise RuntimeError("ended unexpectedly")  # noqa: TRY301
        except BaseException as error:
            failure = PartFailed(part.name, reason_of(error))
            failure.__cause__ = error
            with turn:
                failures.append(failure)
            with suppress(OSError, ValueError):  # a log that cannot be written to hides no failure
                log.error("part_failed", part=part.name, reason=reason_of(error), where=_where(error))  # noqa: TRY400
        finally:
            ended.set()

    threads = [threading.Thread(target=work, args=(part,), name=part.name, daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    while not stop.is_set() and not ended.is_set():
        # A wait without end would be cut short by a signal too, but not on every platform.
        stop.wait(0.2)
    stop.set()
    deadline = time.monotonic() + DRAIN_SECONDS
    for part, thread in zip(parts, threads, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            log.error("part_did_not_end", part=part.name, seconds=DRAIN_SECONDS)
            with turn:
                failures.append(PartFailed(part.name, f"did not stop within {DRAIN_SECONDS:.0f} s"))
    if failures:
        raise failures[0]


def reason_of(error: BaseException) -> str:
    """What may be said of an error: the messages of foreign ones may quote the data they fell over."""
    if isinstance(error, Explained | StoreError | Gone | Damaged):
        return str(error)
    innermost = traceback.extract_tb(error.__traceback__)[-1:]
    return " ".join([type(error).__name__, *(f"in {Path(f.filename).name}:{f.lineno} {f.name}" for f in innermost)])


def _where(error: BaseException) -> list[str]:
    """The innermost places of an error and its causes, without their messages."""
    places: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        frames = traceback.extract_tb(cause.__traceback__)[-4:]
        places += [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames] + [type(cause).__name__]
        cause = cause.__cause__
    return places


def collect_rarely() -> None:
    """Have a process of parts look for cyclic garbage seldom, and not in what is there before they begin.

    What parts make is freed as soon as nothing refers to it; the collector would look through what stays, again and
    again, for a third of the time that a batch takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class Collector:
    """The part that frees what refers to itself, of all that parts leave behind.

    Each second it looks at what was made since it looked last, and then has Python leave that alone: by itself that
    goes through hundreds of thousands of objects at a time, most of them accounts in memory, and stops everybody for
    a third of a second. What was in use at such a moment and refers to itself is freed once an hour.
    """

    name = "collector"

    def __init__(self, every: float = COLLECT_SECONDS, all_every: float = COLLECT_ALL_SECONDS) -> None:
        self._every, self._all_every = every, all_every

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        ready()
        all_at = time.monotonic() + self._all_every
        while not stop.wait(self._every):
            if time.monotonic() >= all_at:
                all_at = time.monotonic() + self._all_every
                gc.unfreeze()
                gc.collect()
            else:
                gc.collect(1)
            gc.freeze()
        gc.unfreeze()


@dataclass(slots=True)
class BackOff:
    """How long to wait before a passing cause is tried again: twice as long each time, and never in step.

    The jitter keeps several parts that lost the same database from coming back to it all at once.
    """

    first: float = 0.1
    most: float = 10.0
    jitter: Callable[[], float] = random.random
    failures: int = field(default=0, init=False)

    def next(self) -> float:
        """Seconds to wait after one more failure: between half and all of what has doubled since the first."""
        ceiling: float = min(self.most, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return max(self.first, ceiling * (0.5 + 0.5 * self.jitter()))

    def reset(self) -> None:
        """Begin anew: it worked."""
        self.failures = 0
