"""Authentication and authorisation: the one check that every route names its action to. Deny by default."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from math import ceil
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from consumers.upstream.findings import shown
from makegood.access.authentication import Issuer, Unproven, principal_of
from makegood.access.caller import Caller
from makegood.access.permissions import Action, guarded_by, guards, may
from makegood.access.rate import RequestRate
from makegood.acts.acting import Channel
from makegood.acts.refused import WrongField
from makegood.api.problems import FORBIDDEN, INVALID, MEDIA, TOO_MANY, UNAUTHENTICATED, Refused, invalid
from makegood.api.wait_for import caught_up
from makegood.house.clock import system_clock
from makegood.house.opening import House
from projections.access import roles_of

CHANNEL: Channel = "http"
"""The channel of everything that programs send over HTTP, as every envelope states it."""

BEARER = HTTPBearer(
    scheme_name="bearer",
    bearerFormat="API key or JWT",
    description="An API key issued by `makegood access key issue`, or a JWT of the configured issuer.",
    auto_error=False,
)


def house_of(request: Request) -> House:
    """The house that the application answers from."""
    house: House = request.app.state.house
    return house


def house_seen(request: Request) -> House:
    """The house as the caller looks at it: what they are shown is recorded as seen by them. A request about an
    account has that of the account's shard, any other that by which all shards are asked."""
    house = house_of(request)
    caller: Caller | None = getattr(request.state, "caller", None)
    seen = house.seen_by(caller.principal, CHANNEL) if caller is not None else house
    account = request.path_params.get("account_id") or request.query_params.get("account")
    return seen.of(account) if account is not None else seen


TheHouse = Annotated[House, Depends(house_seen)]


def one_shard(
    house: TheHouse,
    shard: Annotated[
        int | None, Query(ge=0, description="The shard that is asked, where the store has several.")
    ] = None,
) -> House:
    """The house of the shard that a request names, where it is about what a shard has for itself. Raises Refused for
    one that is not there, and where there are several and none is named."""
    last = len(house.every) - 1
    if shard is None and last:
        raise invalid("shard", f"the store has {last + 1} shards, and one is asked here: name it, from 0 to {last}")
    if shard is not None and shard > last:
        raise invalid("shard", f"there is no such shard: the store's are 0 to {last}")
    return house.every[shard or 0]


OneShard = Annotated[House, Depends(one_shard)]


@cache
def allowed(action: Action) -> Any:
    """The permission that a route requires, as a dependency that gives the route its Caller."""

    async def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
    ) -> Caller:
        caller = await _permitted(request, credentials, action)
        _check_parameters(request)
        if not (action == "events.publish" and _is_binary_mode(request)):
            _check_body(request)
        if request.method == "GET":
            await caught_up(house_of(request), request.headers.get("makegood-wait-for"))
        return caller

    return Depends(guards(action, check))


def action_of(route: APIRoute) -> Action | None:
    """The action that a route requires permission for."""
    found = (guarded_by(part.call) for part in _parts(route.dependant))
    return next((action for action in found if action is not None), None)


class Guarded(APIRoute):
    """A route that checks permission before it reads the body, so that a denied caller learns nothing."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """How a request is answered."""
        answer, action = super().get_route_handler(), action_of(self)

        async def guarded(request: Request) -> Response:
            if action is not None:
                await _permitted(request, await BEARER(request), action)
            return await answer(request)

        return guarded


async def _permitted(request: Request, credentials: HTTPAuthorizationCredentials | None, action: Action) -> Caller:
    """The caller, authenticated and authorised once for each request. Raises Refused."""
    if not hasattr(request.state, "caller"):
        request.state.caller = await run_in_threadpool(_caller, request, credentials, action)
    caller: Caller = request.state.caller
    return caller


def _parts(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for part in dependant.dependencies:
        yield from _parts(part)


def _caller(request: Request, credentials: HTTPAuthorizationCredentials | None, action: Action) -> Caller:
    house = house_of(request)
    issuer: Issuer | None = request.app.state.issuer
    if credentials is None:
        raise _unauthenticated(request, "Bearer")
    try:
        principal = principal_of(credentials.credentials, house.database, issuer, system_clock)
    except Unproven:
        raise _unauthenticated(request, 'Bearer error="invalid_token"') from None
    request.state.principal = principal
    roles = roles_of(house.database, principal)
    if all(role != "provisioning" for role, _ in roles):
        _check_rate(request.app.state.rate, principal)
    scope = may(action, roles)
    if scope is None:
        raise Refused(FORBIDDEN, "none of your roles permits this; an operator can grant one that does")
    return Caller(principal, tuple(roles), scope)


def _check_rate(rate: RequestRate, caller: str) -> None:
    wait = rate.wait(caller)
    if wait:
        raise Refused(
            TOO_MANY,
            f"you sent more than {rate.per_second} requests a second; wait for the seconds in the header Retry-After",
            headers={"Retry-After": str(ceil(wait))},
        )


_HOW = (
    "send `Authorization: Bearer …` with a valid API key, or with a valid token of the configured issuer for this "
    "service"
)


def _unauthenticated(request: Request, challenge: str) -> Refused:
    return unproven(request, challenge, _HOW)


def unproven(request: Request, challenge: str, detail: str) -> Refused:
    """The answer to somebody who proves nothing, counted by address. Raises Refused for one that asks too often."""
    _check_rate(request.app.state.unproven_rate, request.client.host if request.client is not None else "")
    return Refused(UNAUTHENTICATED, detail, headers={"WWW-Authenticate": challenge})


def _is_binary_mode(request: Request) -> bool:
    """Whether a body without a declared type is the JSON data of a CloudEvent, as on Kafka.

    A page of another site cannot send the header without being asked whether it may.
    """
    return "content-type" not in request.headers and any(name.startswith("ce-") for name in request.headers)


def _check_body(request: Request) -> None:
    """Refuse a body that is not declared as JSON: a page of another site could send it as a form."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    length = request.headers.get("content-length", "0")
    if (length != "0" or "transfer-encoding" in request.headers) and not _JSON.fullmatch(said):
        raise Refused(MEDIA, "send JSON with Content-Type: application/json")


_JSON = re.compile(r"application/(?:[\w.-]+\+)?json", re.ASCII)


def _check_parameters(request: Request) -> None:
    """Refuse unknown parameters: a misspelt filter would return everything."""
    route = request.scope["route"]
    known = {field.alias for part in _parts(route.dependant) for field in part.query_params}
    given = [name for name, _ in request.query_params.multi_items()]
    unknown = [name for name in given if name not in known]
    errors = [WrongField(field=shown(name), reason="unknown parameter: leave it out") for name in unknown]
    errors += [
        WrongField(field=name, reason="repeated: give it once") for name in sorted(known) if given.count(name) > 1
    ]
    if errors:
        raise Refused(INVALID, "leave out or correct the parameters listed in `errors`", errors[:20])
