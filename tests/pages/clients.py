"""Browsers at the pages: the whole application over a store, asked without a network, each with its cookies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from ledger.application.access import grant
from ledger.application.acts import By
from ledger.events import Grant, Role
from ledger.store.sessions import SignedIn
from makegood.access.sign_in_links import SignInLinks
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from makegood.program.http import application

BY = By("/ops/tests", "cli")
ADDRESS = "http://127.0.0.1:8700"


class Clock:
    """The world's time, which a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 29, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **more: float) -> None:
        self.now += timedelta(**more)


class Client(TestClient):
    """Asks as a browser does, follows no redirect by itself, and can send the forms of our pages."""

    def submit(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> Any:
        """Send a form with the token of the page that is asked for first, as a browser does."""
        sent = {"csrf": self.token(), **(fields or {})}
        return self.post(path, data=sent, headers={"Sec-Fetch-Site": "same-origin", **headers})

    def token(self) -> str:
        """The token that the forms of their session send back; empty where nobody is signed in."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get("/sign-out").text)
        return found[1] if found else ""

    def use(self, token: str, **fields: str) -> Any:
        """Press the button behind a sign-in link."""
        return self.post(f"/sign-in/link/{token}", data=fields, headers={"Sec-Fetch-Site": "same-origin"})


class Pages:
    """The pages over a store."""

    def __init__(self, house: House, app: FastAPI, clock: Clock) -> None:
        self.house = house
        self.app = app
        self.clock = clock
        self.links = SignInLinks(house.database, clock)

    def client(self, address: str = ADDRESS) -> Client:
        """Somebody who is not signed in."""
        return Client(self.app, base_url=address, follow_redirects=False)

    def grant(self, principal: str, role: Role) -> None:
        """Grant a role."""
        grant(self.house.ledger, Grant(principal=principal, role=role, account_id=None), BY)
        self.house.projections.catch_up()

    def staff(self, *roles: Role, principal: str = "") -> Client:
        """Somebody with these roles, signed in."""
        who = principal or f"sandbox/{'-'.join(roles)}"
        for role in roles:
            self.grant(who, role)
        return self.signed_in(SignedIn(who))

    def customer(self, *accounts: str, language: str = "en") -> Client:
        """The customer of some accounts, signed in."""
        return self.signed_in(SignedIn(None, accounts, language))

    def signed_in(self, who: SignedIn) -> Client:
        """Somebody who signed in by a link."""
        client = self.client()
        answer = client.use(self.links.make(who))
        assert answer.status_code == 303, answer.text
        return client


@contextmanager
def pages_over(store: str, *more: APIRouter, **settings: Any) -> Iterator[Pages]:
    """The pages over a store, with routes beside them."""
    clock = Clock()
    with open_house(Settings(store=store, **settings)) as house:
        app = application(house, recorded=house.projections.catch_up, clock=clock)
        for router in more:
            app.router.routes.extend(router.routes)
        yield Pages(house, app, clock)
