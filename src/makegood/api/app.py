"""The application: all routes, each under its permission, every error a problem document, and what both rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from makegood.api import instructions, questions
from makegood.api.authentication import issuer_of
from makegood.api.caller import action_of
from makegood.api.describing import describe
from makegood.api.events import events
from makegood.api.outermost import Outermost
from makegood.api.problems import answer_problems
from makegood.house import House
from makegood.stop import Stop

WITHOUT_PERMISSION = frozenset({"/healthz", "/openapi.json"})
"""What anybody may ask for, by its path: whether the process lives, and what the API looks like."""

alive = APIRouter(tags=["Machinery"])


@alive.get("/healthz", summary="Whether the process lives")
def healthz() -> dict[str, bool]:
    """Answers as long as the process does, and asks neither store nor broker; `GET /status` says how all stands."""
    return {"alive": True}


def create_app(house: House, more: Iterable[APIRouter] = (), recorded: Callable[[], None] = lambda: None) -> FastAPI:
    """The application over a house; `recorded` is told when something was recorded, and wakes whoever follows.

    Raises Stop where the settings make no sense, or a route names no action.
    """
    app = FastAPI(openapi_url="/openapi.json", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.house = house
    app.state.recorded = recorded
    app.state.issuer = issuer_of(house.settings)
    for router in (alive, *questions.ROUTERS, events, *instructions.ROUTERS, *more):
        app.router.routes.extend(router.routes)
    unguarded = [route.path for route in without_permission(app) if route.path not in WITHOUT_PERMISSION]
    if unguarded:
        raise Stop(f"the route {unguarded[0]} names no action that must be permitted; give it `allowed(…)`")
    answer_problems(app)
    describe(app)
    app.add_middleware(Outermost, routes=app.routes)
    return app


def without_permission(app: FastAPI) -> list[APIRoute]:
    """The routes that ask for no permission."""
    return [route for route in app.routes if isinstance(route, APIRoute) and action_of(route) is None]
