"""Kafka and PostgreSQL as the integration tests use them: real ones, wherever they can be had.

`tests.parts.kafka` and `tests.parts.postgres` each look, in this order, at an address in an environment variable,
at a Docker engine, and at what is installed here to be run as a process of our own. Nothing is ever skipped: where
none of the three can be had, `PartMissing` says what is missing and what to install or set.
`tests.parts.shared` holds the one of each that a whole run uses, and `tests.parts.stores` the stores of its tests.
"""

from types import TracebackType
from typing import Self


class PartMissing(RuntimeError):
    """There is no such part to be had here; the message says what to install or set."""


class PartFailed(RuntimeError):
    """The part was there but did not start or answer; the message ends with what it logged last."""


class NotOurs(RuntimeError):
    """A part that somebody else runs was asked to stop, start, crash or pause."""


class Part:
    """A server that the tests use, and, where it is a process of our own, one whose faults they can cause.

    Ask for one with `controllable=True` before you stop, kill or pause it: then an address in the environment or a
    Docker engine is passed over, and the data and port are yours alone.
    """

    origin: str
    """A sentence for people: what it is, which version, and where it came from."""

    controllable: bool = False
    """Whether `start`, `stop`, `kill`, `pause` and `resume` work."""

    def start(self) -> None:
        """Start again, on the same data and port, and wait until it answers."""
        raise NotOurs(f"{self.origin}: it cannot be started by the tests; ask for a controllable one")

    def stop(self) -> None:
        """Shut down in good order, as an operator would."""
        raise NotOurs(f"{self.origin}: it cannot be stopped by the tests; ask for a controllable one")

    def kill(self) -> None:
        """Crash: it gets no chance to tidy up, and the next start has to recover."""
        raise NotOurs(f"{self.origin}: it cannot be killed by the tests; ask for a controllable one")

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing answers."""
        raise NotOurs(f"{self.origin}: it cannot be paused by the tests; ask for a controllable one")

    def resume(self) -> None:
        """Let it go on after `pause`."""
        raise NotOurs(f"{self.origin}: it cannot be resumed by the tests; ask for a controllable one")

    def close(self) -> None:
        """Give it back: what the tests started ends, and its data go; what others run stays as it is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
