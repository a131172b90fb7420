"""Stands between makegood and PostgreSQL, and cuts a connection just as it commits."""

from __future__ import annotations

import re
import select
import socket
import threading
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from tests.parts.process import free_ports

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""PostgreSQL's message for the simple query COMMIT."""

WROTE = re.compile(rb"C\x00\x00\x00.(?:INSERT|UPDATE|DELETE|COPY) ", re.DOTALL)
"""How the server confirms a statement that wrote."""

Cut = Literal["before the commit", "before its answer"]


class Proxy:
    """Passes everything on both ways, until it is told to cut the next commit of a transaction that wrote."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", free_ports(1)[0]), backlog=64)
        self._port = self._listener.getsockname()[1]
        self._turn = threading.Lock()
        self._armed: Cut | None = None
        self.struck = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def through(self, url: str) -> str:
        """The address of a database of the server, by way of the proxy."""
        parts = urlsplit(url)
        login, _, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self._port}"))

    def cut_next(self, cut: Cut) -> None:
        """Cut the next connection that commits what it wrote; `struck` says when."""
        with self._turn:
            self._armed = cut
            self.struck.clear()

    def close(self) -> None:
        """Take no more connections; those that stand go on until one of their ends closes."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        wrote = False
        with client, server:
            try:
                while True:
                    for end in select.select([client, server], [], [])[0]:
                        data = end.recv(1 << 16)
                        if not data:
                            return
                        if end is server:
                            wrote = wrote or WROTE.search(data) is not None
                            client.sendall(data)
                            continue
                        if data.endswith(COMMIT):
                            cut = self._take() if wrote else None
                            wrote = False
                            if cut == "before the commit":
                                return
                            if cut == "before its answer":
                                server.sendall(data)
                                server.recv(1 << 16)
                                return
                        server.sendall(data)
            except OSError:
                return

    def _take(self) -> Cut | None:
        with self._turn:
            cut, self._armed = self._armed, None
        if cut is not None:
            self.struck.set()
        return cut
