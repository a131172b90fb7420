"""The API and the pages as one server answers them, over a store with a life in it, and who is signed in there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from fastapi import FastAPI

from makegood.api.serving import Serving, listening
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from makegood.program.http import application


class Site:
    """A site that is served on a port of its own."""

    def __init__(self, house: House, app: FastAPI, address: str) -> None:
        self.house = house
        self.app = app
        self.address = address


@contextmanager
def served(store: str) -> Iterator[Site]:
    """Serve the API and the pages over a store, until the block ends."""
    # What it logs would mix with what other tests expect to be told.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with open_house(Settings(store=store, request_rate=0)) as house:
        app = application(house, recorded=house.projections.catch_up)
        part = Serving(app, listening("127.0.0.1:0"))
        stop, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=part.run, args=(stop, ready.set), daemon=True)
        thread.start()
        try:
            assert ready.wait(20)
            yield Site(house, app, part.address)
        finally:
            stop.set()
            thread.join(20)
        assert not thread.is_alive()
