"""Secrets are fetched from hosts that are named, over TLS that is verified, and nobody is led elsewhere."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ledger.application.activation import FetchUnclear, NotFetched
from makegood.house.secret_fetcher import SecretFetcher
from tests.consumers.postbox import Authority


class Keeper:
    """An HTTPS server that keeps secrets."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    def __call__(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append(path)
        match path:
            case "/once?for=zoe":
                return 200, "s3cr3t-zoë\n".encode(), {}
            case "/elsewhere":
                return 302, b"", {"Location": "/once?for=zoe"}
            case "/gone":
                return 410, b"gone", {}
            case "/busy":
                return 503, b"busy", {}
            case "/broken":
                return 500, b"broken", {}
            case "/long":
                return 200, b"x" * 4097, {}
            case "/longest":
                return 200, b"x" * 4096, {}
            case "/empty":
                return 200, b"\n", {}
            case "/cut":
                return 200, b"s3cr", {}
            case "/binary":
                return 200, b"\xff\xfe", {}
        return 404, b"", {}


@contextmanager
def keeping(context: ssl.SSLContext) -> Iterator[Keeper]:
    keeper = Keeper()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = keeper(self.path)
            if self.path == "/slow":
                time.sleep(1.5)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + (10 if self.path == "/cut" else 0)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    keeper.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield keeper
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def keeper(authority: Authority) -> Iterator[Keeper]:
    with keeping(authority.context_for("localhost", "127.0.0.1")) as found:
        yield found


def fetcher(authority: Authority, *hosts: str, files: bool = False, patience: float = 5.0) -> SecretFetcher:
    trusting = ssl.create_default_context(cafile=str(authority.file))
    return SecretFetcher(frozenset(hosts), files, trusting, patience)


def test_a_secret_comes_from_a_host_that_is_named(authority: Authority, keeper: Keeper) -> None:
    fetch = fetcher(authority, f"localhost:{keeper.port}")
    assert fetch(f"https://LOCALHOST:{keeper.port}/once?for=zoe") == "s3cr3t-zoë"
    assert fetch(f"https://localhost:{keeper.port}/longest") == "x" * 4096


@pytest.mark.parametrize(
    "reference",
    [
        "https://127.0.0.1:{port}/once?for=zoe",
        "https://localhost/once?for=zoe",
        "https://user:word@localhost:{port}/once?for=zoe",
        "http://localhost:{port}/once?for=zoe",
        "https://localhost:{port}@evil.example/once?for=zoe",
        "https://localhost.evil.example:{port}/",
        "https://localhost:port/",
        "https://localhost:{port}/once?for=z\x7fe",
        "https://localhost:{port}/once?for=zo\u00eb",
        "https://localhost:{port}/once?for=z oe",
        "https://localhost:{port}/once?\r\nfor=zoe",
        "file:///etc/hostname",
        "",
    ],
)
def test_no_other_host_is_asked(reference: str, authority: Authority, keeper: Keeper) -> None:
    with pytest.raises(NotFetched) as told:
        fetcher(authority, f"localhost:{keeper.port}")(reference.format(port=keeper.port))
    assert str(told.value) == ""
    assert keeper.asked == []


def test_a_host_without_a_port_is_named_for_the_usual_one_only(authority: Authority, keeper: Keeper) -> None:
    with pytest.raises(NotFetched):
        fetcher(authority, "localhost")(f"https://localhost:{keeper.port}/once?for=zoe")
    assert keeper.asked == []


@pytest.mark.parametrize("path", ["/elsewhere", "/gone", "/busy", "/nowhere"])
def test_an_answer_without_a_secret_is_none_and_is_not_followed(
    path: str, authority: Authority, keeper: Keeper
) -> None:
    with pytest.raises(NotFetched):
        fetcher(authority, f"localhost:{keeper.port}")(f"https://localhost:{keeper.port}{path}")
    assert keeper.asked == [path]


@pytest.mark.parametrize("path", ["/broken", "/long", "/empty", "/binary", "/cut", "/slow"])
def test_where_it_may_have_been_handed_out_nobody_knows(path: str, authority: Authority, keeper: Keeper) -> None:
    with pytest.raises(FetchUnclear):
        fetcher(authority, f"localhost:{keeper.port}", patience=0.5)(f"https://localhost:{keeper.port}{path}")


@pytest.mark.parametrize("drips", ["headers", "body", "nothing at all", "no handshake"])
def test_a_keeper_that_drips_is_given_up_in_time(drips: str, authority: Authority) -> None:
    """A byte every 0.1 s for ever: each read is quick, and the whole exchange would never end."""
    context = authority.context_for("localhost")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    over = threading.Event()

    def drip() -> None:
        plain, _ = listener.accept()
        with contextlib.suppress(OSError), plain:
            if drips == "no handshake":
                over.wait(10)
                return
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(4096)
                if drips == "body":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                elif drips == "headers":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not over.wait(0.1):
                    if drips != "nothing at all":
                        connection.sendall(b"x")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    began = time.monotonic()
    expected = NotFetched if drips == "no handshake" else FetchUnclear
    try:
        with pytest.raises(expected):
            fetcher(authority, f"localhost:{port}", patience=0.6)(f"https://localhost:{port}/")
        assert time.monotonic() - began < 1.5
    finally:
        over.set()
        thread.join()
        listener.close()


def test_a_name_that_is_not_resolved_in_time_is_given_up(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(5))
    began = time.monotonic()
    with pytest.raises(NotFetched):
        fetcher(authority, "localhost", patience=0.2)("https://localhost/")
    assert time.monotonic() - began < 1.5
    over.set()


def test_a_certificate_that_is_not_trusted_or_for_another_is_none(authority: Authority, keeper: Keeper) -> None:
    plain = SecretFetcher.of([f"localhost:{keeper.port}"], files=False)
    with pytest.raises(NotFetched):
        plain(f"https://localhost:{keeper.port}/once?for=zoe")
    with keeping(authority.context_for("other.example")) as other, pytest.raises(NotFetched):
        fetcher(authority, f"localhost:{other.port}")(f"https://localhost:{other.port}/once?for=zoe")
    assert keeper.asked == []
    assert other.asked == []


def test_a_server_that_is_away_has_handed_out_nothing(authority: Authority) -> None:
    with pytest.raises(NotFetched):
        fetcher(authority, "localhost:1")("https://localhost:1/once")


def test_files_are_for_sandboxes(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "a secret").write_text("s3cr3t\n")
    reference = f"file://{tmp_path}/a%20secret"
    assert fetcher(authority, files=True)(reference) == "s3cr3t"
    with pytest.raises(NotFetched):
        fetcher(authority)(reference)
    with pytest.raises(NotFetched):
        fetcher(authority, files=True)(f"file://{tmp_path}/nowhere")


def test_hosts_are_named_in_a_setting() -> None:
    assert SecretFetcher.of([" Secrets.ruf.example", " ", "keeper:8443"], files=False).hosts == {
        "secrets.ruf.example",
        "keeper:8443",
    }
