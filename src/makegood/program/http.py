"""What one server answers: the API and the pages, over one house."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from makegood.api.app import create_app
from makegood.house.opening import House
from makegood.pages.activation import activation_pages


def application(house: House, recorded: Callable[[], None] = lambda: None) -> FastAPI:
    """The API and the pages over a house. Raises Stop where the settings make no sense.

    `recorded` is told when something was recorded, and wakes whoever follows.
    """
    return create_app(house, more=(activation_pages(house),), recorded=recorded)
