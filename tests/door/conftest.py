import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

from makegood.cli import run
from makegood.house.actor import actor_of
from tests.parts.stores import Beginning, Stores, nothing

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "deploy" / "sample"
USER = actor_of("")
"""The actor of whoever runs the tests."""


class Door:
    """The command line as a user meets it, on a store of its own, which the environment names as for production."""

    def __init__(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = store
        self._capsys = capsys

    def __call__(self, *arguments: str, exits: int = 0) -> str:
        """Run a command; its standard output. The exit code is checked."""
        with patch.dict(os.environ, MAKEGOOD_STORE=self.store):
            code = run(list(arguments))
        said = self._capsys.readouterr()
        assert code == exits, f"makegood {' '.join(arguments)} exited with {code}: {said.err}"
        self.errors = said.err
        return said.out

    def json(self, *arguments: str, exits: int = 0):
        return json.loads(self(*arguments, "--json", exits=exits))


def with_an_agreement(store: str, *init: str) -> None:
    """A sandbox with the standard agreement, which `init` may say more about."""
    commands(
        store, ("init", "--sandbox", *init), ("agreement", "publish", str(SAMPLE / "agreements" / "standard.toml"))
    )


def with_twenty_accounts(store: str) -> None:
    """A sandbox with all that the sample says of its first twenty accounts; two messages of theirs are refused."""
    with_an_agreement(store)
    subjects = {f"acct-{n:04}" for n in range(1, 21)}
    said = [line for line in (SAMPLE / "events.jsonl").read_text().splitlines() if _subject(line) in subjects]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("\n".join(said))
        file.flush()
        commands(store, ("ingest", file.name), exits=3)


def with_twenty_accounts_in_july(store: str) -> None:
    """The same at the end of the sample's months."""
    with_twenty_accounts(store)
    commands(store, ("advance", "2026-07-01T00:00:00Z"))


BEGINNINGS: dict[str, Beginning] = {
    "twenty_accounts_in_july": with_twenty_accounts_in_july,
    "twenty_accounts": with_twenty_accounts,
    "sandbox": with_an_agreement,
}
"""What is in the store of a test that asks for a fixture of that name."""


def commands(store: str, *run_in_turn: tuple[str, ...], exits: int = 0) -> None:
    """Run commands on a store, one after the other, without what they say."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said:
        for command in run_in_turn:
            assert run([*command, "--store", store]) == exits, said.getvalue()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, stores: Stores, tmp_path: Path) -> Iterator[str]:
    """A new store of each kind: empty, unless the test asks for a fixture that says how it begins."""
    asked = (beginning for name, beginning in BEGINNINGS.items() if name in request.fixturenames)
    url = stores.new(request.param, tmp_path, next(asked, nothing))
    yield url
    stores.give_back(url)


@pytest.fixture
def door(store: str, capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(store, capsys)


@pytest.fixture
def sandbox(door: Door) -> Door:
    """A sandbox with the standard agreement."""
    return door


@pytest.fixture
def twenty_accounts(door: Door) -> Door:
    """A sandbox with all that the sample says of its first twenty accounts; two messages of theirs are refused."""
    return door


@pytest.fixture
def twenty_accounts_in_july(door: Door) -> Door:
    """The same at the end of the sample's months."""
    return door


def _subject(line: str) -> str | None:
    try:
        return str(json.loads(line)["subject"])
    except (ValueError, KeyError, TypeError):
        return None


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., str]:
    """Write messages to a file, one a line; its path."""

    def write(*messages: object) -> str:
        path = tmp_path / "messages.jsonl"
        path.write_text("".join(f"{m if isinstance(m, str) else json.dumps(m)}\n" for m in messages))
        return str(path)

    return write
