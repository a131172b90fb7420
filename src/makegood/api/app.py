"""The application: all routes, each under its permission, every error a problem document, and what both rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from makegood.access.authentication import issuer_of
from makegood.access.permissions import Action, rows
from makegood.api import acts, questions
from makegood.api.describing import describe
from makegood.api.events import events
from makegood.api.guard import action_of
from makegood.api.outermost import Outermost
from makegood.api.problems import answer_problems
from makegood.house.opening import House
from makegood.house.stop import Stop

WITHOUT_PERMISSION = frozenset({"/healthz", "/openapi.json", "/activate/{token}"})
"""What anybody may ask for, by its path: whether the process lives, what the API looks like, and what is behind a
one-time link, which is itself what it asks for."""

alive = APIRouter(tags=["Machinery"])


@alive.get("/healthz", summary="Whether the process lives")
def healthz() -> dict[str, bool]:
    """Answers as long as the process does, and asks neither store nor broker; `GET /status` says how all stands."""
    return {"alive": True}


DESCRIBED = (alive, *questions.ROUTERS, events, *acts.ROUTERS)
"""What the API's description tells of."""


def create_app(house: House, more: Iterable[APIRouter] = (), recorded: Callable[[], None] = lambda: None) -> FastAPI:
    """The application over a house, with `more` beside the API's own routes: pages for people.

    `recorded` is told when something was recorded, and wakes whoever follows.

    Raises Stop where the settings make no sense, or a route names no action.
    """
    app = _with_routes((*DESCRIBED, *more))
    app.state.house = house
    app.state.recorded = recorded
    app.state.issuer = issuer_of(house.settings)
    unguarded = [route.path for route in without_permission(app) if route.path not in WITHOUT_PERMISSION]
    if unguarded:
        raise Stop(f"the route {unguarded[0]} names no action that must be permitted; give it `allowed(…)`")
    answer_problems(app)
    app.add_middleware(Outermost, routes=app.routes)
    return app


def document() -> dict[str, Any]:
    """What the API says of itself at `/openapi.json`, without a house to answer from."""
    return _with_routes(DESCRIBED).openapi()


def _with_routes(routers: Iterable[APIRouter]) -> FastAPI:
    app = FastAPI(openapi_url="/openapi.json", docs_url=None, redoc_url=None, redirect_slashes=False)
    for router in routers:
        app.router.routes.extend(router.routes)
    describe(app)
    return app


def without_permission(app: FastAPI) -> list[APIRoute]:
    """The routes that ask for no permission."""
    return [route for route in _routes(app) if action_of(route) is None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What can be asked for, and the action that it asks permission for."""

    method: str
    path: str
    action: Action

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def endpoints(app: FastAPI | None = None) -> list[Endpoint]:
    """What asks for permission, by path: of an application, or of all that is described, without a house."""
    found = [
        Endpoint(method, route.path, action)
        for route in _routes(app or _with_routes(DESCRIBED))
        if (action := action_of(route)) is not None
        for method in route.methods or ()
    ]
    return sorted(found, key=lambda endpoint: (endpoint.path, endpoint.method))


def table_of_endpoints() -> str:
    """Which role may ask for what, as it stands in docs/permissions.md."""
    return rows("endpoint", ((f"`{endpoint}`", endpoint.action) for endpoint in endpoints()))


def _routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]
