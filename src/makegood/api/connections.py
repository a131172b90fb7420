"""What one connection may take: its turn among so many, and its time for headers and body.

The server itself ends a connection only where nothing at all comes after an answer.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from consumers.part import reason_of

CONNECTIONS_MAX = 1_000
HEADERS_SECONDS, BODY_SECONDS = 10.0, 30.0
"""From the end of the last answer, or the beginning of a connection, to the last header; and from there to the end of
the body.
"""
TELL_SECONDS = 10.0
"""What keeps happening to connections is told once in so many seconds."""

log = structlog.get_logger("makegood.api")


def connections_max() -> int:
    """How many connections are held at once: at most half of the files that the process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS_MAX if files == resource.RLIM_INFINITY else min(CONNECTIONS_MAX, files // 2)


class Rarely:
    """Tells of what may happen thousands of times a second, at most once in TELL_SECONDS for each event."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told: dict[str, float] = {}

    def tell(self, event: str, **more: Any) -> None:
        """One line in the log, unless the same was told a moment ago."""
        now = self._monotonic()
        if now - self._told.get(event, -TELL_SECONDS) >= TELL_SECONDS:
            self._told[event] = now
            log.error(event, **more)


RARELY = Rarely()


def tell_of_the_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the event loop has to tell, such as that no more files can be opened: one line without a traceback."""
    error = context.get("exception")
    of_the_system = isinstance(error, OSError) and error.strerror
    reason = of_the_system or (reason_of(error) if error is not None else context["message"])
    RARELY.tell("connections_fail", reason=reason)


class Patient(H11Protocol):
    """A connection that is ended where headers or body take too long, or where too many are there already."""

    _watched: Any = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > connections_max():
            RARELY.tell("too_many_connections", held=len(self.connections) - 1)
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Begin anew where the other side has come to another part of its request, and only there."""
        if self.conn.their_state is self._watched or self.transport.is_closing():
            return
        self._stop_timer()
        self._watched = self.conn.their_state
        seconds = {h11.IDLE: HEADERS_SECONDS, h11.SEND_BODY: BODY_SECONDS}.get(self._watched)
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
