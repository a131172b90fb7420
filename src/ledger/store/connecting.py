"""Opens the database that an address names. Only the client library of that one is loaded."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from ledger.store.database import Database, StoreError, redacted

CONNECTIONS = 16
"""So many connections to a server a process has at most for a database, unless it is told another number."""


def connect(url: str, connections: int = CONNECTIONS) -> Database:
    """Open `sqlite:///FILE`, `sqlite:///:memory:` or `postgresql://…`, the last one with so many connections at most.

    Raises StoreError for anything else.
    """
    if url.startswith("sqlite:///"):
        from ledger.store.sqlite import SQLite

        return SQLite(unquote(url.removeprefix("sqlite:///")))
    if urlsplit(url).scheme in ("postgresql", "postgres"):
        from ledger.store.postgresql import PostgreSQL

        return PostgreSQL(url, connections)
    raise StoreError(
        f"the store {redacted(url)!r} is neither sqlite:///FILE nor postgresql://USER@HOST/NAME; "
        "set --store or MAKEGOOD_STORE"
    )


def create_if_missing(url: str, beside: str) -> None:
    """Have a database exist, and the schema that an address names: on PostgreSQL by way of `beside`; SQLite makes its
    file by itself."""
    if url.startswith("postgres") and beside.startswith("postgres"):
        from ledger.store.postgresql import create_database

        create_database(url, beside, schema_of(url))


def schema_of(url: str) -> str | None:
    """The schema in which an address of PostgreSQL's has names looked for; None where it names none."""
    found = re.search(r"-c *search_path=(\w+)", dict(parse_qsl(urlsplit(url).query)).get("options", ""))
    return found[1] if found is not None else None


def lacks_database(database: Database, url: str) -> bool:
    """Whether there is no database at an address on the same PostgreSQL server; False where that cannot be told."""
    here, there = urlsplit(database.url), urlsplit(url)
    if database.dialect != "postgresql" or (here.hostname, here.port) != (there.hostname, there.port):
        return False
    with database.reading() as transaction:
        name = unquote(there.path).lstrip("/")
        return not transaction.rows("SELECT 1 FROM pg_database WHERE datname = ?", (name,))
