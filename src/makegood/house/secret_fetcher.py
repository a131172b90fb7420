"""Fetching a customer's secret from where upstream keeps it: once, from known hosts only, and into no log."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ledger.application.activation import FetchUnclear, NotFetched

PATIENCE_SECONDS = 5.0
SECRET_BYTES_MAX = 4096
HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class SecretFetcher:
    """Follows references to secrets: `https:` to hosts that are named, `file:` in a sandbox, and nothing else.

    Certificates are verified, redirects are not followed, and an answer that is longer than a secret is none.
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
        if parts.scheme != "https" or not named or parts.username is not None:
            raise NotFetched
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return _secret(self._https(host, port, target))

    def _https(self, host: str, port: int, target: str) -> bytes:
        give_up_at = self.monotonic() + self.patience
        connection = http.client.HTTPSConnection(host, port, timeout=self.patience, context=self.context)
        try:
            try:
                connection.connect()
            except (OSError, http.client.HTTPException):
                raise NotFetched from None
            try:
                connection.request("GET", target, headers={"Accept": "text/plain", "Connection": "close"})
                answer = connection.getresponse()
                body = self._body(connection, answer, give_up_at)
            except (OSError, http.client.HTTPException, ValueError):
                raise FetchUnclear from None
        finally:
            connection.close()
        if answer.status == http.client.OK:
            return body
        if answer.status >= http.client.INTERNAL_SERVER_ERROR and answer.status != http.client.SERVICE_UNAVAILABLE:
            raise FetchUnclear  # nobody knows what it had done before it failed
        raise NotFetched

    def _body(self, connection: http.client.HTTPSConnection, answer: http.client.HTTPResponse, until: float) -> bytes:
        body = b""
        while len(body) <= SECRET_BYTES_MAX:
            left = until - self.monotonic()
            if left <= 0:
                raise TimeoutError
            if connection.sock is not None:
                connection.sock.settimeout(left)
            part = answer.read1(SECRET_BYTES_MAX + 1 - len(body))
            if not part:
                return body
            body += part
        return body


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
