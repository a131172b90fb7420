"""The part `api` as a process of its own: it starts, answers, says where, and ends in good order."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from ledger.store.connecting import connect
from makegood.api.serving import CannotListen, listening
from makegood.cli import run
from makegood.pages.activation import PER_CLIENT_MAX
from tests.api.conftest import Api
from tests.door.conftest import Door
from tests.ledger.messages import Upstream
from tests.parts.loaded import Program

pytestmark = pytest.mark.long


class Process:
    """A makegood that runs, and what it says on standard error."""

    def __init__(self, process: Program) -> None:
        self.process = process
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))

    def wait_for(self, line: str, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while line not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.05)

    @property
    def address(self) -> str:
        (told,) = [json.loads(line) for line in self.said if '"listening"' in line]
        return str(told["address"])

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self._reader.join(5)
        return code


@contextmanager
def running(store: str, *parts: str, **settings: str) -> Iterator[Process]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}
    process = Program("makegood.cli", ["run", *parts, "--store", store], {**own, **settings})
    try:
        yield Process(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def key_of(door: Door, role: str) -> dict[str, str]:
    door("access", "grant", "me", role)
    return {"Authorization": f"Bearer {door('access', 'key', 'issue', 'me').strip()}"}


def set_back(door: Door) -> None:
    """Have one projection stand before what others show."""
    with closing(connect(door.store)) as database, database.writing() as transaction:
        transaction.run("UPDATE projection_positions SET position = 1 WHERE projection = 'credits'")


def test_no_answer_waits_for_its_beginning_to_be_confirmed() -> None:
    """Else every answer takes 40 ms longer, because the system holds back the small rest of it."""
    with listening("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("parts", [(), ("api",)])
def test_it_starts_answers_and_ends_when_it_is_told_to(sandbox: Door, parts: tuple[str, ...]) -> None:
    with running(sandbox.store, *parts, MAKEGOOD_HTTP="127.0.0.1:0") as makegood:
        makegood.wait_for("ready")
        assert httpx.get(f"{makegood.address}/healthz").json() == {"alive": True}
        answer = httpx.get(f"{makegood.address}/agreements", headers=key_of(sandbox, "auditor"))
        assert [row["name"] for row in answer.json()] == ["standard"]
        assert "server" not in answer.headers
        assert makegood.end() == 0
        told = [json.loads(line) for line in makegood.said if '"request"' in line]
        assert [(line["route"], line["status"], line["principal"]) for line in told] == [("/agreements", 200, "me")]


def test_a_request_under_way_is_finished_before_it_ends(sandbox: Door) -> None:
    with running(sandbox.store, "api", MAKEGOOD_HTTP="127.0.0.1:0") as makegood:
        makegood.wait_for("ready")
        headers = {**key_of(sandbox, "auditor"), "Makegood-Wait-For": "0:2"}
        set_back(sandbox)
        answers: list[int] = []

        def wait() -> None:
            answers.append(httpx.get(f"{makegood.address}/claims", headers=headers, timeout=20).status_code)

        ask = threading.Thread(target=wait)
        ask.start()
        time.sleep(0.7)
        assert makegood.end() == 0
        ask.join()
    assert answers == [503]


def test_a_caller_that_hangs_up_is_no_error_of_ours(sandbox: Door) -> None:
    with running(sandbox.store, "api", MAKEGOOD_HTTP="127.0.0.1:0") as makegood:
        makegood.wait_for("ready")
        host, _, port = makegood.address.removeprefix("http://").partition(":")
        key = key_of(sandbox, "provisioning")["Authorization"]
        head = f"POST /events HTTP/1.1\r\nHost: makegood\r\nAuthorization: {key}\r\n"
        with socket.create_connection((host, int(port))) as caller:
            half = "Content-Type: application/cloudevents+json\r\nContent-Length: 100\r\n\r\n{"
            caller.sendall((head + half).encode())
            time.sleep(0.5)
        until = time.monotonic() + 10
        while not any('"request"' in line for line in makegood.said):
            assert time.monotonic() < until, makegood.said
            time.sleep(0.05)
        [told] = [json.loads(line) for line in makegood.said if '"request"' in line]
        assert (told["level"], told["reason"]) == ("info", "the caller hung up")
        assert "status" not in told, "nothing was answered"
        assert makegood.end() == 0
        assert "Traceback" not in "".join(makegood.said)


def test_what_is_no_http_is_answered_and_quoted_nowhere(sandbox: Door) -> None:
    with running(sandbox.store, "api", MAKEGOOD_HTTP="127.0.0.1:0") as makegood:
        makegood.wait_for("ready")
        host, port = makegood.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(b"Ada Quill\r\n\r\n")
            assert caller.recv(1_000).startswith(b"HTTP/1.1 400")
        assert makegood.end() == 0
        assert "Quill" not in "".join(makegood.said)


@pytest.mark.parametrize(("proxies", "last"), [("127.0.0.0/8", 404), ("10.1.2.3", 429), ("", 429)])
def test_behind_a_proxy_one_customer_does_not_use_up_the_pages_of_all(sandbox: Door, proxies: str, last: int) -> None:
    """Only a proxy that is named is believed; from anybody else the header could say anything."""
    settings = {"MAKEGOOD_HTTP": "127.0.0.1:0", "MAKEGOOD_PROXIES": proxies}
    with running(sandbox.store, "api", **settings) as makegood, httpx.Client() as client:
        makegood.wait_for("ready")
        for number in range(PER_CLIENT_MAX + 1):
            forwarded = {"X-Forwarded-For": f"198.51.100.1, 203.0.113.{number}"}
            answer = client.get(f"{makegood.address}/activate/guess", headers=forwarded)
        assert answer.status_code == last


class TestABusyPort:
    @pytest.fixture
    def taken(self) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield f"127.0.0.1:{listener.getsockname()[1]}"

    def test_who_asked_for_it_is_told_what_to_do(self, sandbox: Door, taken: str) -> None:
        for parts in (["--http", taken], ["api", "--http", taken]):
            assert run(["run", *parts, "--store", sandbox.store]) == 1
        with pytest.raises(CannotListen, match="MAKEGOOD_HTTP"):
            listening(taken)

    def test_who_did_not_gets_the_other_parts(self, sandbox: Door) -> None:
        with the_usual_port_taken(), running(sandbox.store) as makegood:
            makegood.wait_for("ready")
            assert makegood.end() == 0
        assert [line for line in makegood.said if line.startswith("makegood runs without its HTTP API")]


@contextmanager
def the_usual_port_taken() -> Iterator[None]:
    """Nobody else can have it meanwhile. Who has it for long has it, which is all that is needed; for a moment only,
    as another makegood on this machine may, would be no good.
    """
    with socket.socket() as usual:
        usual.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                usual.bind(("127.0.0.1", 8700))
                usual.listen()
                break
            except OSError:
                time.sleep(0.05)
        yield


@pytest.mark.parametrize("address", ["", "8700", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(CannotListen, match="HOST:PORT"):
        listening(address)


def test_the_api_serves_over_ipv6_too(sandbox: Door) -> None:
    if not socket.has_ipv6:
        return
    try:
        listener = listening("[::1]:0")
    except CannotListen:
        return  # this machine has none
    with listener:
        assert listener.getsockname()[0] == "::1"


def test_callers_do_not_wait_for_one_another(api: Api, sandbox: Door) -> None:
    key = api.key("auditor")
    set_back(sandbox)
    slow = threading.Thread(target=lambda: api.ask(key, "/claims", headers={"Makegood-Wait-For": "0:2"}), daemon=True)
    slow.start()
    started = time.monotonic()
    for _ in range(5):
        assert api.ask(key, "/claims").status_code == 200
    assert time.monotonic() - started < 4
    slow.join()


def test_what_is_written_is_shown_by_the_same_makegood_at_once(sandbox: Door, lines: Callable[..., str]) -> None:
    """Whoever records wakes whoever follows: the read that waits for it need not wait for the next look."""
    sandbox("ingest", lines(*Upstream().customer()))
    with running(sandbox.store, "api", "projector", MAKEGOOD_HTTP="127.0.0.1:0") as makegood:
        makegood.wait_for("ready")
        headers = key_of(sandbox, "support")
        account = f"{makegood.address}/accounts/acct-1"
        seen = httpx.get(account, headers=headers).headers["ETag"]
        asked = headers | {"Idempotency-Key": "k-1", "If-Match": seen}
        cancelled = httpx.post(f"{account}/subscriptions/sub-1/cancel", headers=asked)
        assert cancelled.status_code == 201
        wait_for = {"Makegood-Wait-For": cancelled.headers["Makegood-Position"]}
        shown = httpx.get(account, headers=headers | wait_for)
        assert shown.headers["ETag"] == cancelled.headers["ETag"]
        assert makegood.end() == 0
