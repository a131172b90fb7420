"""Who opens connections and sends nothing, or slowly, takes nothing from others."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection

import pytest
import structlog

from makegood.api import connections
from tests.api.conftest import Api
from tests.door.conftest import Door


@pytest.fixture
def api(sandbox: Door, serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 0.6)
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.6)
    return serve(sandbox.store)


def connect_to(api: Api) -> socket.socket:
    found = socket.create_connection((api.http.base_url.host, api.http.base_url.port or 0))
    found.settimeout(5)
    return found


def ended(connection: socket.socket) -> bool:
    """Whether the other side ended it without an answer."""
    try:
        return connection.recv(65_536) == b""
    except ConnectionError:
        return True


def drip(connection: socket.socket) -> None:
    for _ in range(50):
        connection.sendall(b"x")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "head",
    [
        "",
        "GET /healthz HTTP/1.1\r\nX-Slow: ",
        "POST /events HTTP/1.1\r\nHost: m\r\nContent-Length: 999\r\n\r\n",
    ],
)
def test_what_drips_is_ended_in_time(head: str, api: Api) -> None:
    with connect_to(api) as slow:
        slow.sendall(head.encode())
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            drip(slow)
        assert time.monotonic() - began < 3
    assert api.http.get("/healthz").status_code == 200


def test_a_connection_that_is_used_again_lives_on(api: Api) -> None:
    host, port = api.http.base_url.host, api.http.base_url.port
    with closing(HTTPConnection(host, port, timeout=5)) as quick:
        quick.connect()
        first = quick.sock
        for _ in range(4):
            quick.request("GET", "/healthz")
            assert quick.getresponse().read() == b'{"alive":true}'
            assert quick.sock is first
            time.sleep(0.3)


def test_beyond_so_many_connections_no_more_are_held(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 3)
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 30)
    held = [connect_to(api) for _ in range(3)]
    with connect_to(api) as refused:
        assert ended(refused)
    for connection in held:
        connection.close()
    time.sleep(0.3)
    assert api.http.get("/healthz").status_code == 200


def test_what_happens_a_thousand_times_is_told_once() -> None:
    now = 0.0
    rarely = connections.Rarely(lambda: now)
    with structlog.testing.capture_logs() as lines:
        for _ in range(1_000):
            rarely.tell("connections_fail", reason="OSError")
        now = connections.TELL_SECONDS
        rarely.tell("connections_fail", reason="OSError")
    assert len(lines) == 2


def test_no_more_files_is_one_line_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RARELY", connections.Rarely())
    error = OSError(errno.EMFILE, "Too many open files")
    with closing(asyncio.new_event_loop()) as loop, structlog.testing.capture_logs() as lines:
        loop.set_exception_handler(connections.tell_of_the_loop)
        for _ in range(2_048):  # so often asyncio tries at once
            loop.call_exception_handler({"message": "socket.accept() out of system resource", "exception": error})
    [line] = lines
    assert line["event"] == "connections_fail"
    assert "Too many open files" in line["reason"]


def test_so_many_are_held_as_files_allow() -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < connections.connections_max() <= files // 2
