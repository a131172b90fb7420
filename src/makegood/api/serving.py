"""The parts `api` and `probes`: serve over HTTP until they are told to stop, and let what is under way finish."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable

import structlog
import uvicorn
from fastapi import FastAPI

from makegood.api.connections import Patient, tell_of_the_loop
from makegood.house.stop import Stop

DRAIN_SECONDS = 6
"""How long requests under way may take to finish, which is less than all parts together may take."""

# The server tells of its own life and of every malformed request; what is worth telling, `outermost` tells.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())

log = structlog.get_logger("makegood.api")


class CannotListen(Stop):
    """The address cannot be listened on; the message says what to do."""


def listening(address: str, setting: str = "MAKEGOOD_HTTP") -> socket.socket:
    """A socket that listens on HOST:PORT; port 0 takes a free one. Raises CannotListen."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise CannotListen(f"invalid listen address {address!r}: set {setting} to HOST:PORT")
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # Connections inherit it; asyncio sets it only where a socket says that it speaks TCP, and this one does not.
        # Without it the end of each answer waits 40 ms for the other side to confirm its beginning.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise CannotListen(
            f"the HTTP API cannot listen on {address} ({error.strerror or error}): stop the program on that port, "
            f"or set {setting} to another HOST:PORT"
        ) from error
    return found


class Serving:
    """Serves an application on a socket that listens already, so that its address is known from the beginning.

    `proxies` are the addresses or networks, with commas between them, of those who say truly for whom they ask.
    """

    def __init__(self, app: FastAPI, listener: socket.socket, proxies: str = "", name: str = "api") -> None:
        self.name = name
        self._app = app
        self._proxies = proxies
        self._listener = listener
        host, port = listener.getsockname()[:2]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        self._app.state.draining = stop.is_set
        config = uvicorn.Config(
            self._app,
            loop="asyncio",
            http=Patient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(self._proxies),
            forwarded_allow_ips=self._proxies,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )

        def serving() -> None:
            log.info("listening", part=self.name, address=self.address)
            ready()

        _Server(config, stop, serving).run(sockets=[self._listener])


class _Server(uvicorn.Server):
    """uvicorn's server, which looks at our event where its own would wait for a signal."""

    def __init__(self, config: uvicorn.Config, stop: threading.Event, serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop = stop
        self._serving = serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(tell_of_the_loop)
        await super().startup(sockets)
        self._serving()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stop.is_set()
