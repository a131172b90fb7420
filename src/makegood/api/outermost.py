"""The outermost layer of every request: the size limit, HEAD and OPTIONS, security headers, one line in the log.

An unexpected error ends here, as a problem that shows nothing of it. How a problem looks is said from outside.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import anyio
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumers.part import reason_of
from makegood.api.paths import by_segments, id_in, sent
from makegood.api.problems import METHOD, TOO_LARGE, Refused, Refusing, failed

BODY_MAX = 1_048_576
PASS_OVER_MAX, PASS_OVER_SECONDS = 16 * BODY_MAX, 2
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""The headers of every answer that does not set its own."""

QUIET = ("/healthz", "/livez", "/readyz", "/metrics")
"""Routes that are called so often that they are logged at level debug only."""

log = structlog.get_logger("makegood.api")


class Outermost:
    """The application inside its outermost layer."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], refusing: Refusing) -> None:
        self._app = app
        self._routes = routes
        self._refusing = refusing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        answer = _Answer(scope["method"], send)
        # A HEAD is answered as the GET would be, without its body.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        scope = {**scope, "method": method, "path": by_segments(sent(scope)), "state": {}}
        state: dict[str, Any] = scope["state"]
        try:
            await self._answered(scope, receive, answer)
        except ClientDisconnect:
            state["reason"] = "the caller hung up"
        except Exception as error:
            state["reason"] = reason_of(error)
            if not answer.status:
                await self._refused(failed(), scope, receive, answer)
        finally:
            _tell(scope, answer, time.monotonic() - started)

    async def _answered(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        methods = self._methods(scope)
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if methods and scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"Allow": methods})(scope, receive, answer)
        elif methods and scope["method"] not in methods.split(", "):
            refused = Refused(METHOD, f"use one of {methods}", headers={"Allow": methods})
            await self._refused(refused, scope, receive, answer)
        elif not length.isdecimal() or int(length) > BODY_MAX:
            if "expect" not in headers:  # who asks before they send need not send at all
                await _pass_over(receive)
            await self._refused(_too_large(), scope, receive, answer)
        else:
            await self._app(scope, _limited(receive), answer)

    async def _refused(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._refusing(Request(scope), refused)
        await response(scope, receive, send)

    def _methods(self, scope: Scope) -> str:
        """The methods of an address, as `Allow` lists them; empty for an unknown address."""
        found = {
            method
            for route in self._routes
            if isinstance(route, Route) and route.matches(scope)[0] != Match.NONE
            for method in route.methods or ()
        }
        return ", ".join(sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set()))) if found else ""


class _Answer:
    """Sends an answer with the common headers, and for a HEAD without the body."""

    def __init__(self, method: str, send: Send) -> None:
        self.method = method
        self.status = 0
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        elif message["type"] == "http.response.body" and self.method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)


def _limited(receive: Receive) -> Receive:
    """The body up to the limit, where its length is not declared."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > BODY_MAX:
            await _pass_over(receive)
            raise _too_large()
        return message

    return limited


async def _pass_over(receive: Receive) -> None:
    """Read and drop the rest of a body, within limits: a client that is still sending would miss the answer."""
    passed = 0
    with anyio.move_on_after(PASS_OVER_SECONDS):
        while passed < PASS_OVER_MAX:
            message = await receive()
            passed += len(message.get("body", b""))
            if not message.get("more_body", False):
                return


def _too_large() -> Refused:
    detail = "send at most 1 MiB; split many messages over several requests"
    return Refused(TOO_LARGE, detail, headers={"Connection": "close"})


def _tell(scope: Scope, answer: _Answer, seconds: float) -> None:
    """One line for each request: the route and not the address, because an address may hold what a log may not."""
    route, state = scope.get("route"), scope["state"]
    account = scope.get("path_params", {}).get("account_id")
    told = {
        "method": answer.method,
        "route": getattr(route, "path", None),
        "status": answer.status or None,
        "principal": state.get("principal"),
        "account": id_in(account) if account is not None and answer.status < 400 else None,
        "seconds": round(seconds, 4),
        "reason": state.get("reason"),
    }
    wide = {name: value for name, value in told.items() if value is not None}
    if answer.status >= 500:
        log.error("request", **wide)
    elif told["route"] in QUIET:
        log.debug("request", **wide)
    else:
        log.info("request", **wide)
