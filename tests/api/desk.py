"""People and machines at the door of a store: each asks with a key of their own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from httpx import Client, Response

from ledger.application.access import grant, issue_key
from ledger.application.acts import By
from ledger.events import Grant, Role, Sealed
from ledger.store.reading.vault import vault_entry
from makegood.api.app import create_app
from makegood.api.serving import Serving, listening
from makegood.house.opening import House
from makegood.house.settings import Settings
from projections.follower import Follower
from tests.ledger.books import Books
from tests.ledger.messages import Upstream

OF_THE_PROVIDER: dict[str, Role] = {
    "paula": "provisioning",
    "anna": "support",
    "felix": "finance",
    "ada": "approver",
    "otto": "auditor",
    "olga": "operator",
    "pia": "privacy",
}
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
KEYS = "sqlite:///:memory:"
"""Where `Books` keeps the keys."""
"""In the middle of the month that they have paid for."""
CUSTOMERS = {"zoe": "acct-1", "mallory": "acct-2"}
"""Who is a customer, and which account is theirs."""


@dataclass
class Served:
    """An application that is served on a port of its own."""

    app: FastAPI
    http: Client

    @classmethod
    def begin(cls, house: House, closing: ExitStack) -> Served:
        """Serve a house until the stack is closed."""
        app = create_app(house)
        part = Serving(app, listening("127.0.0.1:0"))
        stop, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=part.run, args=(stop, ready.set), daemon=True)
        thread.start()
        assert ready.wait(20)
        closing.callback(thread.join, 20)
        closing.callback(stop.set)
        # Nothing here is TLS, and reading the certificates of all authorities takes longer than most tests.
        return cls(app, closing.enter_context(Client(base_url=part.address, timeout=30, verify=False)))


@dataclass
class Desk:
    """One process that answers over HTTP, and the ledger behind it."""

    books: Books
    house: House
    http: Client
    secrets: dict[str, str]
    closing: ExitStack
    woken: list[None] = field(default_factory=list)

    @classmethod
    @contextmanager
    def on(cls, books: Books, url: str, served: Served | None = None) -> Iterator[Desk]:
        """The door of a store in which two customers have a month of service each; `served` changes its house."""
        # What the door logs would mix with what other tests expect to be told.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        house = house_on(books, Settings(store=url, vault=KEYS, request_rate=0))
        house.projections.create()
        for account in ("acct-1", "acct-2"):
            books.take(Upstream(account).customer())
        books.clock.at = NOW
        by = By("the first one here", "cli")
        for principal, role in OF_THE_PROVIDER.items():
            grant(books.ledger, Grant(principal=principal, role=role, account_id=None), by)
        for principal, account in CUSTOMERS.items():
            grant(books.ledger, Grant(principal=principal, role="customer", account_id=account), by)
        secrets = {who: issue_key(books.ledger, who, by).text for who in (*OF_THE_PROVIDER, *CUSTOMERS)}
        house.projections.catch_up()
        with ExitStack() as closing:
            yield cls._at(served or Served.begin(house, closing), books, house, secrets, closing)

    @classmethod
    def _at(cls, served: Served, books: Books, house: House, secrets: dict[str, str], closing: ExitStack) -> Desk:
        desk = cls(books, house, served.http, secrets, closing)
        served.app.state.house = house
        served.app.state.recorded = lambda: desk.woken.append(None)
        return desk

    def another_process(self) -> Desk:
        """Another process at the same store."""
        books = self.books.another_process()
        house = house_on(books, self.house.settings)
        return self._at(Served.begin(house, self.closing), books, house, self.secrets, self.closing)

    def post(
        self,
        who: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Response:
        """What the door answers to somebody."""
        said = {"Authorization": f"Bearer {self.secrets[who]}"} | dict(headers or {})
        if key is not None:
            said["Idempotency-Key"] = key
        if content is not None:
            return self.http.post(path, content=content, headers=said)
        return self.http.post(path, headers=said) if body is None else self.http.post(path, json=body, headers=said)

    def get(self, who: str, path: str, **headers: str) -> Response:
        return self.http.get(path, headers={"Authorization": f"Bearer {self.secrets[who]}"} | headers)

    def facts(self, account: str = "acct-1") -> list[dict[str, Any]]:
        """What was recorded about an account by way of HTTP."""
        return [e for e in self.books.stored(account) if e["channel"] == "http" and "message" in e["data"]]

    def said_in(self, envelope: Mapping[str, Any]) -> dict[str, Any]:
        """What a fact keeps in the vault."""
        sealed = Sealed.model_validate(envelope["data"]["sealed"])
        with self.books.database.reading() as transaction:
            entry = vault_entry(transaction, sealed.ref)
        assert entry is not None
        return self.books.ledger.vault.open(sealed, entry)


@pytest.fixture(params=["in memory", "SQLite file", "PostgreSQL"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A door with people at it, on each kind of store in turn."""
    urls = {"in memory": "sqlite:///:memory:", "SQLite file": f"sqlite:///{tmp_path}/books.db"}
    yield from _open(urls.get(request.param) or request.getfixturevalue("pg_store"))


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """One server for many tests: to begin one takes longer than most of what is asked of it."""
    books = Books.open()
    with ExitStack() as closing:
        yield Served.begin(house_on(books, Settings(store=books.database.url, vault=KEYS, request_rate=0)), closing)
    books.close()


@pytest.fixture
def quick_desk(served: Served) -> Iterator[Desk]:
    """The same in memory, for what does not depend on the kind of store."""
    books = Books.open()
    with Desk.on(books, books.database.url, served) as desk:
        yield desk
    books.close()


def house_on(books: Books, settings: Settings) -> House:
    house = House(settings, books.database, books.ledger.vault, Follower(books.database))
    house.ledger = books.ledger
    return house


def _open(url: str) -> Iterator[Desk]:
    books = Books.open(url)
    with Desk.on(books, url) as desk:
        yield desk
    books.close()
