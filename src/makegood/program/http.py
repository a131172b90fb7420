"""What one server answers: the API and the pages, over one house."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from makegood.api.app import create_app
from makegood.house.opening import House
from makegood.house.stripe_account import webhook_secrets
from makegood.pages.activation import activation_pages
from makegood.pages.shell import static_files


def application(house: House, recorded: Callable[[], None] = lambda: None) -> FastAPI:
    """The API and the pages over a house, and Stripe's webhooks where they are awaited. Raises Stop where the
    settings make no sense.

    `recorded` is told when something was recorded, and wakes whoever follows.
    """
    more = [activation_pages(house), static_files]
    if secrets := webhook_secrets(house.settings):
        from makegood.api.stripe_webhooks import stripe_webhooks

        more.append(stripe_webhooks(secrets))
    return create_app(house, more=more, recorded=recorded)
