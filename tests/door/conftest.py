import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from makegood.cli import run
from tests.parts.postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "deploy" / "sample"


class Door:
    """The command line as a user meets it, on a store of its own."""

    def __init__(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = store
        self._capsys = capsys

    def __call__(self, *arguments: str, exits: int = 0) -> str:
        """Run a command; its standard output. The exit code is checked."""
        code = run([*arguments, "--store", self.store])
        said = self._capsys.readouterr()
        assert code == exits, f"makegood {' '.join(arguments)} exited with {code}: {said.err}"
        self.errors = said.err
        return said.out

    def json(self, *arguments: str, exits: int = 0):
        return json.loads(self(*arguments, "--json", exits=exits))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/books.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def door(store: str, capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(store, capsys)


@pytest.fixture
def sandbox(door: Door) -> Door:
    """A sandbox with the standard agreement."""
    door("init", "--sandbox")
    door("agreement", "publish", str(SAMPLE / "agreements" / "standard.toml"))
    return door


@pytest.fixture
def twenty_accounts(sandbox: Door, tmp_path: Path) -> Door:
    """A sandbox with all that the sample says of its first twenty accounts; two messages of theirs are refused."""
    subjects = {f"acct-{n:04}" for n in range(1, 21)}
    said = [line for line in (SAMPLE / "events.jsonl").read_text().splitlines() if _subject(line) in subjects]
    (tmp_path / "twenty.jsonl").write_text("\n".join(said))
    sandbox("ingest", str(tmp_path / "twenty.jsonl"), exits=3)
    return sandbox


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
