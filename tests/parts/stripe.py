"""Stripe as the tests have it: its own `stripe-mock`, which checks requests against Stripe's API description, behind
a proxy that remembers what stripe-mock forgets, counts what it is asked, and fails where a test says so.

stripe-mock is a Go program, built in the version that is pinned here.
"""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.parts.go_programs import installed
from tests.parts.process import Server, answers, free_ports, new_folder

VERSION = "v0.203.0"
KEY = "sk_test_OfTheseTests"


@contextmanager
def stripe_mock() -> Iterator[int]:
    """A running stripe-mock; its port."""
    program = installed("github.com/stripe/stripe-mock", VERSION)
    folder = new_folder("makegood-stripe-")
    (port,) = free_ports(1)
    # It would listen for HTTPS at a port of its own as well, which two of them cannot share.
    command = [str(program), "-http-addr", f"127.0.0.1:{port}", "-https-addr", "127.0.0.1:"]
    server = Server("stripe-mock", command, folder)
    server.start(lambda: answers("127.0.0.1", port), 30)
    try:
        yield port
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Request:
    """A request that came."""

    method: str
    path: str
    key: str | None
    form: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """An answer that a test wants instead of Stripe's own."""

    status: int
    code: str | None = None
    message: str = "so the test says"
    kind: str = "invalid_request_error"


BUSY = Answer(409, "idempotency_key_in_use", kind="idempotency_error")
TOO_MANY = Answer(429, "rate_limit")
LOCKED = Answer(429, "lock_timeout")
BROKEN = Answer(500, kind="api_error")
LOST = "lost"
"""The refund is created, and its answer does not arrive."""
SILENT = "silent"
"""Nothing is created, and nothing is answered."""
CREATED_AND_BROKEN = "created, and 500"
"""The refund is created, and Stripe says 500, for as long as it knows the key."""
Fault = Answer | str


@dataclass
class Stripe:
    """What stripe-mock forgets: refunds by idempotency key and by payment; and what the tests want to happen."""

    mock: int
    address: str = ""
    currency: str = "EUR"
    currencies: dict[str, str] = field(default_factory=dict)
    """By payment, where it is another."""
    status: str = "succeeded"
    """How new refunds stand."""
    statuses: dict[str, str] = field(default_factory=dict)
    """By payment, where it is another."""
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    """By payment, what becomes of the next requests to refund it."""
    everybody: Answer | None = None
    """What every request is answered with."""
    requests: list[Request] = field(default_factory=list)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    remembered: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By idempotency key, the first answer: Stripe repeats it for a day."""
    gate: threading.Event = field(default_factory=threading.Event)
    """What is silent or lost hangs until then."""
    turn: threading.Lock = field(default_factory=threading.Lock)
    number: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def asked(self) -> Counter[str | None]:
        """How often a refund was asked for, by idempotency key."""
        return Counter(r.key for r in self.requests if (r.method, r.path) == ("POST", "/v1/refunds"))

    def made(self) -> Counter[str]:
        """How many refunds there are, by return."""
        return Counter(each["metadata"]["makegood_return"] for each in self.refunds.values())

    def forget_keys(self) -> None:
        """A day has passed."""
        self.remembered.clear()

    def forget_failures(self) -> None:
        """A day has passed for what was answered with 500."""
        with self.turn:
            self.remembered = {key: answer for key, answer in self.remembered.items() if answer[0] != 500}

    def settle(self, return_id: str, status: str, failure: str | None = None) -> dict[str, Any]:
        """Have a refund stand otherwise; the refund."""
        (refund,) = (r for r in self.refunds.values() if r["metadata"]["makegood_return"] == return_id)
        refund["status"] = status
        if failure is not None:
            refund["failure_reason"] = failure
        return refund

    # --- answering -----------------------------------------------------------------------------------------------

    def answer(self, request: Request, authorization: str, raw: bytes, target: str) -> tuple[int, bytes] | None:
        """Status and body; None where the connection just ends."""
        with self.turn:
            self.requests.append(request)
        if authorization != f"Bearer {KEY}":
            return _error(Answer(401, message="Invalid API Key provided"))
        if self.everybody is not None:
            return _error(self.everybody)
        status, body = self._checked(request, raw, target)
        if status != 200:
            return status, body
        found = json.loads(body)
        if (request.method, request.path) == ("POST", "/v1/refunds"):
            return self._create(request, found)
        if request.path == "/v1/refunds":
            payment = request.form.get("payment_intent") or request.form.get("charge")
            found["data"] = [r for r in self.refunds.values() if payment in (r["payment_intent"], r["charge"])]
            return 200, json.dumps(found).encode()
        if request.path.startswith("/v1/refunds/"):
            refund = self.refunds.get(request.path.rpartition("/")[2])
            return (200, json.dumps(refund).encode()) if refund is not None else _error(_MISSING)
        payment = request.path.rpartition("/")[2]
        if payment.endswith("_missing"):
            return _error(_MISSING)
        found |= {"id": payment, "currency": self.currencies.get(payment, self.currency).lower()}
        return 200, json.dumps(found).encode()

    def _checked(self, request: Request, raw: bytes, target: str) -> tuple[int, bytes]:
        """What stripe-mock says: whether Stripe would understand the request at all."""
        connection = http.client.HTTPConnection("127.0.0.1", self.mock, timeout=20)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(request.method, target, raw or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def _create(self, request: Request, found: dict[str, Any]) -> tuple[int, bytes] | None:
        payment = request.form.get("payment_intent") or request.form["charge"]
        with self.turn:
            fault = self.faults[payment].popleft() if self.faults[payment] else None
        if isinstance(fault, Answer) and fault.status in (409, 429):
            return _error(fault)  # the limits come before what a key is remembered by
        if fault == SILENT:
            self.gate.wait(20)
            return None
        assert request.key is not None
        with self.turn:
            if request.key not in self.remembered:
                self.remembered[request.key] = self._first(request, found, payment, fault)
            answer = self.remembered[request.key]
        if fault == LOST:
            self.gate.wait(20)
            return None
        return answer

    def _first(self, request: Request, found: dict[str, Any], payment: str, fault: Fault | None) -> tuple[int, bytes]:
        if isinstance(fault, Answer):
            return _error(fault)
        metadata = {
            name.removeprefix("metadata[").removesuffix("]"): value
            for name, value in request.form.items()
            if name.startswith("metadata[")
        }
        refund = {
            **found,
            "id": f"re_{next(self.number):06}",
            "amount": int(request.form["amount"]),
            "currency": self.currencies.get(payment, self.currency).lower(),
            "created": int(time.time()),
            "status": self.statuses.get(payment, self.status),
            "payment_intent": request.form.get("payment_intent"),
            "charge": request.form.get("charge"),
            "metadata": metadata,
        }
        self.refunds[refund["id"]] = refund
        return _error(BROKEN) if fault == CREATED_AND_BROKEN else (200, json.dumps(refund).encode())


_MISSING = Answer(404, "resource_missing", "No such payment_intent")


def _error(answer: Answer) -> tuple[int, bytes]:
    error = {"type": answer.kind, "message": answer.message, "code": answer.code}
    return answer.status, json.dumps({"error": {k: v for k, v in error.items() if v is not None}}).encode()


@contextmanager
def in_front_of(mock: int) -> Iterator[Stripe]:
    """A proxy in front of a stripe-mock."""
    stripe = Stripe(mock)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.answer_it()

        do_POST = do_GET  # noqa: N815

        def answer_it(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            form = dict(parse_qsl(raw.decode() or parts.query))
            request = Request(self.command, parts.path, self.headers.get("Idempotency-Key"), form)
            answer = stripe.answer(request, self.headers.get("Authorization", ""), raw, self.path)
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever asked was killed."""

    server = Quiet(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    stripe.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stripe
    finally:
        stripe.gate.set()
        server.shutdown()
        server.server_close()
