"""Fetching a customer's secret from where upstream keeps it: once, from known hosts only, and into no log."""

from __future__ import annotations

import http.client
import io
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ledger.application.activation import FetchUnclear, NotFetched

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PATIENCE_SECONDS = 5.0
SECRET_BYTES_MAX = 4096
HTTPS_PORT = 443

_SENDABLE = re.compile("[!-~]+")
_Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class SecretFetcher:
    """Follows references to secrets: `https:` to hosts that are named, `file:` in a sandbox, and nothing else.

    Certificates are verified, redirects are not followed, and an answer that is longer than a secret is none. The
    whole exchange takes `patience` seconds at most: the name, the connection, TLS, headers and body together.
    """

    hosts: frozenset[str]
    files: bool
    context: ssl.SSLContext
    patience: float = PATIENCE_SECONDS
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, hosts: Iterable[str], *, files: bool) -> SecretFetcher:
        """One that may ask these hosts, each `HOST` or `HOST:PORT`, under the system's certificates."""
        named = frozenset(host.strip().lower() for host in hosts if host.strip())
        return cls(named, files, ssl.create_default_context())

    def __call__(self, reference: str) -> str:
        """The secret that a reference leads to. Raises NotFetched or FetchUnclear, which quote nothing."""
        try:
            parts = urlsplit(reference)
            port = parts.port or HTTPS_PORT
        except ValueError:
            raise NotFetched from None
        if parts.scheme == "file" and self.files:
            return _secret(_file(unquote(parts.path)))
        host = (parts.hostname or "").lower()
        named = f"{host}:{port}" in self.hosts or (host in self.hosts and port == HTTPS_PORT)
        if parts.scheme != "https" or not named or parts.username is not None or not _SENDABLE.fullmatch(reference):
            raise NotFetched
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return _secret(self._https(host, port, target))

    def _https(self, host: str, port: int, target: str) -> bytes:
        deadline = _Deadline(self.patience, self.monotonic)
        connection = http.client.HTTPSConnection(host, port)
        try:
            connection.sock = self._connected(host, port, deadline)
        except OSError:
            raise NotFetched from None
        try:
            connection.request("GET", target, headers={"Accept": "text/plain", "Connection": "close"})
            answer = connection.getresponse()
            body = answer.read(SECRET_BYTES_MAX + 1)
            if answer.length and len(body) <= SECRET_BYTES_MAX:
                raise http.client.IncompleteRead(body)
        except (OSError, http.client.HTTPException, ValueError):
            raise FetchUnclear from None
        finally:
            connection.close()
        if answer.status == http.client.OK:
            return body
        if answer.status >= http.client.INTERNAL_SERVER_ERROR and answer.status != http.client.SERVICE_UNAVAILABLE:
            raise FetchUnclear  # nobody knows what it had done before it failed
        raise NotFetched

    def _connected(self, host: str, port: int, deadline: _Deadline) -> _Timed:
        """A connection to one of a host's addresses, under TLS. Raises OSError."""
        last: OSError = ConnectionError()
        for family, kind, protocol, _, address in _addresses(host, port, deadline):
            plain = socket.socket(family, kind, protocol)
            try:
                plain.settimeout(deadline.left())
                plain.connect(address)
                plain.settimeout(deadline.left())
                return _Timed(self.context.wrap_socket(plain, server_hostname=host), deadline)
            except TimeoutError:
                plain.close()
                raise
            except OSError as error:
                plain.close()
                last = error
        raise last


class _Deadline:
    """When an exchange is given up."""

    def __init__(self, patience: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + patience

    def left(self) -> float:
        """The seconds that are left. Raises TimeoutError where none are."""
        left = self._at - self._monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Timed:
    """A connection each of whose steps takes no longer than what is left of the whole exchange.

    A time-out of the socket's own would begin anew with every byte that drips in.
    """

    def __init__(self, connection: ssl.SSLSocket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send what `http.client` asks with."""
        self._connection.settimeout(self._deadline.left())
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `http.client` reads the answer from; it may close the connection before."""
        return io.BufferedReader(_Arriving(self._connection, self._deadline))

    def close(self) -> None:
        """Close the connection once the answer was read too."""
        self._connection.close()


class _Arriving(io.RawIOBase):
    """The bytes that arrive on a connection before the deadline."""

    def __init__(self, connection: ssl.SSLSocket, deadline: _Deadline) -> None:
        self._connection = connection
        self._bytes = connection.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._connection.settimeout(self._deadline.left())
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


def _addresses(host: str, port: int, deadline: _Deadline) -> _Addresses:
    """What a name resolves to. Raises OSError.

    Nothing interrupts the system's resolver, so it is waited for no longer than until the deadline.
    """
    answers: queue.SimpleQueue[_Addresses | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError("no name of a host"))

    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    try:
        found = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(found, OSError):
        raise found
    return found


def _file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(SECRET_BYTES_MAX + 1)
    except (OSError, ValueError):
        raise NotFetched from None


def _secret(body: bytes) -> str:
    """The secret as text. What is too long, empty or no text was handed out all the same, for good."""
    try:
        text = body.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise FetchUnclear from None
    if not text or len(body) > SECRET_BYTES_MAX or not all(c.isprintable() or c in "\r\n\t" for c in text):
        raise FetchUnclear
    return text
