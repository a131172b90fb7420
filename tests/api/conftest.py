"""The HTTP API as its callers meet it: served on a port of its own, over real HTTP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI

from ledger.application import access
from ledger.application.acts import By
from ledger.events import Grant, Role
from ledger.store.connecting import connect
from makegood.api.app import create_app
from makegood.api.serving import Serving, listening
from makegood.house.opening import House
from makegood.house.settings import Settings
from makegood.house.shard_map import open_whole
from tests.api.desk import desk, quick_desk, served
from tests.door.conftest import Door, door, lines, sandbox, store, twenty_accounts_in_july

__all__ = ["desk", "door", "lines", "quick_desk", "sandbox", "served", "store", "twenty_accounts_in_july"]

BY = By("/ops/tests", "cli")


class Api:
    """An API that is served, and callers of every role."""

    def __init__(self, house: House, app: FastAPI, address: str) -> None:
        self.house = house
        self.app = app
        self.http = httpx.Client(base_url=address, timeout=20, verify=False)  # no TLS here: see tests/api/desk.py

    def key(self, role: Role | None, *accounts: str, principal: str = "") -> str:
        """A key of a principal with a role; a customer's for these accounts."""
        who = principal or "-".join((role or "nobody", *accounts))
        for account in accounts or (None,):
            if role is not None:
                access.grant(self.house.ledger, Grant(principal=who, role=role, account_id=account), BY)
        issued = access.issue_key(self.house.ledger, who, BY)
        self.house.projections.catch_up()
        return issued.text

    def ask(self, token: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def json(self, token: str, path: str, **more: Any) -> Any:
        answer = self.ask(token, path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def every_page(self, token: str, path: str, limit: int) -> list[Any]:
        """All rows of a list, page by page as its links lead."""
        rows: list[Any] = []
        address: str | None = f"{path}{'&' if '?' in path else '?'}limit={limit}"
        while address is not None:
            answer = self.ask(token, address)
            assert answer.status_code == 200, answer.text
            assert len(answer.json()) <= limit
            rows += answer.json()
            address = answer.links.get("next", {}).get("url")
        return rows


@contextmanager
def serving(store: str, *more: APIRouter, **settings: Any) -> Iterator[Api]:
    """Serve the API over a store, until the block ends. What it logs would mix with what commands print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with open_whole(Settings(store=store, **{"request_rate": 0, **settings})) as house:
        app = create_app(house, more)
        part = Serving(app, listening("127.0.0.1:0"))
        stop, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=part.run, args=(stop, ready.set))
        thread.start()
        try:
            assert ready.wait(20)
            api = Api(house, app, part.address)
            with api.http:
                yield api
        finally:
            stop.set()
            thread.join(20)
        assert not thread.is_alive()


def damage_key(store: str, subject: str) -> None:
    """Damage the key of an account that nothing was said of yet, so that its messages are set aside."""
    with open_whole(Settings(store=store)) as house:
        of = house.of(subject.rpartition("/")[-1]).settings
    with closing(connect(of.vault)) as keys, keys.writing() as transaction:
        transaction.run(
            "INSERT INTO vault_keys (subject, key, created_at) VALUES (?, ?, 1)", (subject, b"half of it")
        )


@pytest.fixture
def serve() -> Iterator[Callable[..., Api]]:
    """Serve the API over a store, until the test ends."""
    with ExitStack() as open_ones:
        yield lambda store, *more, **settings: open_ones.enter_context(serving(store, *more, **settings))


@pytest.fixture
def api(sandbox: Door, serve: Callable[..., Api]) -> Api:
    """The API over a sandbox with the standard agreement."""
    return serve(sandbox.store)


@pytest.fixture
def busy(twenty_accounts_in_july: Door, serve: Callable[..., Api]) -> Api:
    """The API over twenty accounts of the sample, at the end of its months."""
    return serve(twenty_accounts_in_july.store)
