"""The databases that projections are kept in, each fresh and with the ledger's tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store.connecting import connect
from ledger.store.database import Database
from tests.projections.stories import created


@pytest.fixture(params=["memory", "file", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """One and the same test against each kind of store."""
    urls = {"memory": "sqlite:///:memory:", "file": f"sqlite:///{tmp_path}/store.db"}
    opened = connect(urls.get(request.param) or request.getfixturevalue("pg_store"))
    yield created(opened)
    opened.close()


@pytest.fixture
def memory() -> Iterator[Database]:
    """A store in memory, for what does not depend on the kind of store."""
    opened = connect("sqlite:///:memory:")
    yield created(opened)
    opened.close()
