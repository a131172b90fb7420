"""What one server answers: the API and the pages, over one house."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from makegood.access.sessions import Sessions
from makegood.answers.lag_history import LagHistory
from makegood.api.app import create_app
from makegood.api.problems import Refused, as_document
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.house.stripe_account import webhook_secrets
from makegood.pages import console, portal
from makegood.pages.activation import activation_pages
from makegood.pages.live import Live
from makegood.pages.route import error_page, is_of_a_page
from makegood.pages.shell import static_files
from makegood.pages.sign_in import sign_in_pages


def application(
    house: House, recorded: Callable[[], None] = lambda: None, clock: Callable[[], datetime] = system_clock
) -> FastAPI:
    """The API and the pages over a house, and Stripe's webhooks where they are awaited. Raises Stop where the
    settings make no sense.

    `clock` is the world's time, by which sessions end. `recorded` is told when something was recorded, and wakes
    whoever follows.
    """
    more = [static_files, activation_pages(house), sign_in_pages(house), *console.ROUTERS, *portal.ROUTERS]
    if secrets := webhook_secrets(house.settings):
        from makegood.api.stripe_webhooks import stripe_webhooks

        more.append(stripe_webhooks(secrets))
    app = create_app(house, more=more, recorded=recorded, refusing=_refused)
    app.state.sessions = Sessions(house.database, clock)
    app.state.lag_history = LagHistory()
    app.state.live = Live(house)
    return app


async def _refused(request: Request, refused: Refused) -> Response:
    """A problem as people see it where they look at pages, and for programs as a document."""
    if is_of_a_page(request.url.path):
        return await run_in_threadpool(error_page, request, refused.status_code, refused.headers)
    return await as_document(request, refused)
