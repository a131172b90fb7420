"""Files of messages in the forms in which people have them: read whole or refused whole, never torn into lines."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from tests.door.conftest import Door
from tests.ledger.messages import Upstream


def messages() -> list[dict[str, object]]:
    """Four messages; the third is refused for its price."""
    upstream = Upstream("acct-9", source="/billing")
    return [
        upstream.account_registered(),
        upstream.subscription_registered(),
        upstream.charge_posted(price="-1"),
        upstream.cycle_started(),
    ]


FORMS = {
    "lines.jsonl": lambda said: "".join(f"{json.dumps(each)}\n" for each in said).encode(),
    "mark.jsonl": lambda said: b"\xef\xbb\xbf" + FORMS["lines.jsonl"](said),
    "packed.jsonl.gz": lambda said: gzip.compress(FORMS["lines.jsonl"](said)),
    "array.json": lambda said: json.dumps(said).encode(),
    "pretty.json": lambda said: json.dumps(said, indent=2).encode(),
    "documents.json": lambda said: "\n".join(json.dumps(each, indent=2) for each in said).encode(),
}


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_recorded_and_checked_alike(sandbox: Door, tmp_path: Path, name: str) -> None:
    said = messages()
    file = tmp_path / name
    file.write_bytes(FORMS[name](said))
    text = FORMS[name](said).decode() if name.endswith(".json") else ""
    checked = sandbox.json("contract", "check", str(file), exits=3)
    assert [(row["id"], row["field"]) for row in checked] == [(said[2]["id"], "data.price")]
    found = sandbox.json("ingest", str(file), exits=3)
    assert (found["read"], found["accepted"], len(found["refused"])) == (4, 3, 1)
    assert (found["refused"][0]["id"], found["refused"][0]["field"]) == (said[2]["id"], "data.price")
    expected = _line_of_third(text) if name in ("pretty.json", "documents.json") else 3
    assert found["refused"][0]["line"] == checked[0]["line"] == expected
    again = sandbox.json("ingest", str(file), exits=3)
    assert (again["accepted"], again["duplicates"]) == (0, 3)


def _line_of_third(text: str) -> int:
    """The line of the brace that begins the third message."""
    begins = [number for number, line in enumerate(text.splitlines(), 1) if line in ("{", "  {")]
    return begins[2]


def test_a_pipe_may_have_each_form_too(sandbox: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(FORMS["pretty.json"](messages()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    found = sandbox.json("ingest", "-", exits=3)
    assert (found["read"], found["accepted"]) == (4, 3)


@pytest.mark.parametrize("name", ["array.json", "pretty.json"])
@pytest.mark.parametrize("command", ["ingest", "preview", "contract check"])
def test_what_breaks_off_is_refused_as_one_file(sandbox: Door, tmp_path: Path, name: str, command: str) -> None:
    file = tmp_path / name
    file.write_bytes(FORMS[name](messages())[:-5])
    sandbox(*command.split(), str(file), exits=1)
    (told,) = sandbox.errors.splitlines()
    assert told.startswith(f"makegood: {file} cannot be read as messages: it is no whole JSON from line ")
    assert "jq -c ." in told
    assert sandbox.json("dead-letters", "list") == []
    assert sandbox.json("waiting") == []


def test_a_packed_file_that_is_cut_short_is_told(sandbox: Door, tmp_path: Path) -> None:
    file = tmp_path / "packed.jsonl.gz"
    file.write_bytes(FORMS["packed.jsonl.gz"](messages())[:-30])
    sandbox("ingest", str(file), exits=1)
    (told,) = sandbox.errors.splitlines()
    assert "damaged or cut short" in told
    assert sandbox.json("dead-letters", "list") == []
