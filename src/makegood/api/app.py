"""The HTTP application: all routes with their permissions, and every error as a problem document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from makegood.access.authentication import issuer_of
from makegood.access.permissions import Action, rows
from makegood.access.rate import RequestRate
from makegood.answers.readiness import Readiness
from makegood.api import acts, periods, questions, reconciliation, subjects
from makegood.api.audit import audit
from makegood.api.describing import describe
from makegood.api.events import events
from makegood.api.exports import exports
from makegood.api.finance import finance
from makegood.api.guard import action_of
from makegood.api.outermost import Outermost
from makegood.api.probes import probes
from makegood.api.problems import Refusing, answer_problems, as_document
from makegood.house.opening import House
from makegood.house.stop import Stop

WITHOUT_PERMISSION = frozenset(
    {
        "/healthz",
        "/livez",
        "/readyz",
        "/openapi.json",
        "/activate/{token}",
        "/processors/stripe",
        "/static/{digest}/{name}",
        "/",
        "/console",
        "/portal",
        "/sign-in",
        "/sign-in/link/{token}",
        "/sign-in/email",
        "/sign-in/oidc",
        "/sign-in/oidc/return",
        "/sign-out",
    }
)
"""The paths that need no authentication: the checks of health, the API's description, the page behind a one-time
link, which is itself the credential, what Stripe sends, which is signed, the files beside the pages, and the pages by
which people sign in, are led to where they may be, and sign out."""

DESCRIBED = (
    probes,
    *questions.ROUTERS,
    finance,
    audit,
    periods.router,
    reconciliation.router,
    subjects.router,
    exports,
    events,
    *acts.ROUTERS,
)
"""The routes that the API's description covers."""


def create_app(
    house: House,
    more: Iterable[APIRouter] = (),
    recorded: Callable[[], None] = lambda: None,
    refusing: Refusing = as_document,
) -> FastAPI:
    """The application over a house, with `more` beside the API's own routes: pages for people.

    `recorded` is called after every write, to wake the followers; `refusing` answers requests that end in a problem.

    Raises Stop for invalid settings, and for a route that names no action.
    """
    return _over(house, (*DESCRIBED, *more), recorded, refusing)


def probes_app(house: House) -> FastAPI:
    """The application that answers monitors only. Raises Stop for invalid settings."""
    return _over(house, (probes,), recorded=lambda: None, refusing=as_document)


def _over(house: House, routers: Iterable[APIRouter], recorded: Callable[[], None], refusing: Refusing) -> FastAPI:
    app = _with_routes(routers)
    app.state.house = house
    app.state.recorded = recorded
    app.state.issuer = issuer_of(house.settings)
    # Two counts, so that many addresses without a key do not make the other forget the callers who have one.
    app.state.rate, app.state.unproven_rate = (
        RequestRate(house.settings.request_rate, house.settings.request_burst) for _ in range(2)
    )
    app.state.draining = lambda: False
    app.state.readiness = Readiness(lambda: app.state.draining())
    unguarded = [route.path for route in without_permission(app) if route.path not in WITHOUT_PERMISSION]
    if unguarded:
        raise Stop(f"the route {unguarded[0]} requires no permission; name its action with `allowed(…)`")
    answer_problems(app, refusing)
    app.add_middleware(Outermost, routes=app.routes, refusing=refusing)
    return app


def document() -> dict[str, Any]:
    """The document at `/openapi.json`, made without a house."""
    return _with_routes(DESCRIBED).openapi()


def _with_routes(routers: Iterable[APIRouter]) -> FastAPI:
    app = FastAPI(openapi_url="/openapi.json", docs_url=None, redoc_url=None, redirect_slashes=False)
    for router in routers:
        app.router.routes.extend(router.routes)
    describe(app)
    return app


def without_permission(app: FastAPI) -> list[APIRoute]:
    """The routes that require no permission."""
    return [route for route in _routes(app) if action_of(route) is None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and path, with the action that they require permission for."""

    method: str
    path: str
    action: Action

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def endpoints(app: FastAPI | None = None) -> list[Endpoint]:
    """The endpoints that require permission, by path: those of an application, or all described ones."""
    found = [
        Endpoint(method, route.path_format, action)
        for route in _routes(app or _with_routes(DESCRIBED))
        if (action := action_of(route)) is not None
        for method in route.methods or ()
    ]
    return sorted(found, key=lambda endpoint: (endpoint.path, endpoint.method))


def table_of_endpoints() -> str:
    """The table of endpoints and roles, as it stands in docs/permissions.md."""
    return rows("endpoint", ((f"`{endpoint}`", endpoint.action) for endpoint in endpoints()))


def _routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]
