"""The API and the pages as one server answers them, over a store with a life in it, and who is signed in there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import structlog
from fastapi import APIRouter, FastAPI
from playwright.sync_api import BrowserContext

from ledger.events import Role
from ledger.store.sessions import SignedIn
from makegood.access.sessions import Sessions
from makegood.api.serving import Serving, listening
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.house.settings import Settings
from makegood.house.shard_map import open_whole
from makegood.program.http import application
from tests.pages.life import OWN, PRINCIPALS, WITHOUT_ROLE

COOKIE = "makegood"
"""What the session's cookie is called on a machine of one's own, without TLS."""
Who = Role | Literal["nobody"]
"""In which role somebody is here; `nobody` is signed in, and has none."""


def caught_up(house: House) -> None:
    """Have the projections of all shards be where the store is."""
    for each in house.every:
        each.projections.catch_up()


class Site:
    """A site that is served on a port of its own."""

    def __init__(self, house: House, app: FastAPI, address: str) -> None:
        self.house = house
        self.app = app
        self.address = address
        self._sessions = Sessions(house.database, system_clock)

    def sign_in(self, who: Who, account: str = OWN, language: str = "en") -> str:
        """Sign somebody in, a customer for an account: the token of their session, for the cookie."""
        if who == "customer":
            return self._sessions.begin(SignedIn(None, (account,), language))
        return self.sign_in_as(WITHOUT_ROLE if who == "nobody" else PRINCIPALS[who])

    def sign_in_as(self, principal: str) -> str:
        """Sign one of the staff in."""
        return self._sessions.begin(SignedIn(principal))

    def let_in(self, context: BrowserContext, who: Who, account: str = OWN, language: str = "en") -> None:
        """Have a browser be that of somebody who has just signed in, and of nobody else."""
        token = self.sign_in(who, account, language)
        context.clear_cookies()
        context.add_cookies(
            [{"name": COOKIE, "value": token, "url": self.address, "httpOnly": True, "sameSite": "Lax"}]
        )

    def csrf(self, token: str) -> str:
        """What the forms of a session send back."""
        presence = self._sessions.presence(token)
        assert presence is not None
        return presence.csrf


@contextmanager
def served(store: str, *more: APIRouter, **settings: Any) -> Iterator[Site]:
    """Serve the API and the pages over a store, with routes beside them, until the block ends."""
    # What it logs would mix with what other tests expect to be told.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with open_whole(Settings(store=store, request_rate=0, **settings)) as house:
        app = application(house, recorded=lambda: caught_up(house))
        for router in more:
            app.router.routes.extend(router.routes)
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
