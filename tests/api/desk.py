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
from httpx import Client, Response

from ledger.application.access import By, grant, issue_key
from ledger.events import Grant, Role, Sealed
from ledger.store.reading import vault_entry
from makegood.api.app import create_app
from makegood.api.serving import Serving, listening
from makegood.house import House
from makegood.settings import Settings
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
}
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
"""In the middle of the month that they have paid for."""
CUSTOMERS = {"zoe": "acct-1", "mallory": "acct-2"}
"""Who is a customer, and which account is theirs."""


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
    def on(cls, books: Books, url: str) -> Iterator[Desk]:
        """The door of a store in which two customers have a month of service each."""
        # What the door logs would mix with what other tests expect to be told.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        Follower(books.database).create()
        for account in ("acct-1", "acct-2"):
            books.take(Upstream(account).customer())
        books.clock.at = NOW
        by = By("the first one here", "cli")
        for principal, role in OF_THE_PROVIDER.items():
            grant(books.ledger, Grant(principal=principal, role=role, account_id=None), by)
        for principal, account in CUSTOMERS.items():
            grant(books.ledger, Grant(principal=principal, role="customer", account_id=account), by)
        secrets = {who: issue_key(books.ledger, who, by).text for who in (*OF_THE_PROVIDER, *CUSTOMERS)}
        Follower(books.database).catch_up()
        with ExitStack() as closing:
            yield cls._serving(books, Settings(store=url), secrets, closing)

    @classmethod
    def _serving(cls, books: Books, settings: Settings, secrets: dict[str, str], closing: ExitStack) -> Desk:
        house = House(settings, books.database, books.ledger, books.ledger.vault, Follower(books.database))
        woken: list[None] = []
        part = Serving(create_app(house, recorded=lambda: woken.append(None)), listening("127.0.0.1:0"))
        stop, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=part.run, args=(stop, ready.set), daemon=True)
        thread.start()
        assert ready.wait(20)
        closing.callback(thread.join, 20)
        closing.callback(stop.set)
        http = closing.enter_context(Client(base_url=part.address, timeout=30))
        return cls(books, house, http, secrets, closing, woken)

    def another_process(self) -> Desk:
        """Another process at the same store."""
        return self._serving(self.books.another_process(), self.house.settings, self.secrets, self.closing)

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
    yield from _open(urls.get(request.param) or request.getfixturevalue("pg_url"))


@pytest.fixture
def quick_desk() -> Iterator[Desk]:
    """The same in memory, for what does not depend on the kind of store."""
    yield from _open("sqlite:///:memory:")


def _open(url: str) -> Iterator[Desk]:
    books = Books.open(url)
    with Desk.on(books, url) as desk:
        yield desk
    books.close()
