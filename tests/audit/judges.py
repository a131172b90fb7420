"""Other people's libraries in Go, which judge checkpoints, proofs and tiles (`tests/audit/verifiers`)."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.parts import PartFailed
from tests.parts.go_programs import built

SOURCES = Path(__file__).parent / "verifiers"


class Refused(Exception):
    """The library refused; its message says why."""


class Judges:
    """The libraries, each asked by its name."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def judge(self, library: str, **what: Any) -> None:
        """Have a library judge something. Raises Refused."""
        asked = {"with": library} | {word: _json(value) for word, value in what.items()}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise PartFailed(f"{SOURCES.name} ended while it was asked")
        if "error" in (answer := json.loads(line)):
            raise Refused(answer["error"])


@contextmanager
def judges() -> Iterator[Judges]:
    """The libraries in one process."""
    with subprocess.Popen([built(SOURCES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Judges(process)


def _json(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case list() | tuple():
            return [_json(each) for each in value]
        case Path():
            return str(value)
        case _:
            return value
