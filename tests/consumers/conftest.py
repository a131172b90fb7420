"""Stores as the ledger's stories have them, and a mail server with a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consumers.postbox import Authority, Postbox, serving
from tests.ledger.conftest import open_books

__all__ = ["open_books"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signed the mail server's certificate."""
    return Authority.new(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def postbox(authority: Authority) -> Iterator[Postbox]:
    """A mail server that requires STARTTLS."""
    with serving(authority.context_for("127.0.0.1", "localhost")) as box:
        yield box


@pytest.fixture
def pem(authority: Authority) -> Path:
    """The certificate to trust."""
    return authority.file
