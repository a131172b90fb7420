"""`makegood contract export`: what is committed is what it writes, and it takes nothing away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from makegood.cli import run
from makegood.program.exporting import documents

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "contract"


def test_the_published_contract_is_what_the_program_says_today() -> None:
    there = {str(path.relative_to(PUBLISHED)): path.read_bytes() for path in PUBLISHED.rglob("*") if path.is_file()}
    today = documents()
    differing = sorted(path for path in there.keys() | today.keys() if there.get(path) != today.get(path))
    assert differing == [], "run `makegood contract export docs/contract`, and delete what it no longer writes"


def test_export_writes_the_same_once_and_leaves_everything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "contract"
    assert run(["contract", "export", str(folder), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert {file["status"] for file in first} == {"written"}
    assert {file["path"] for file in first} == documents().keys()
    (folder / "notes.txt").write_text("ours")
    (folder / "asyncapi.json").write_text("{}")

    assert run(["contract", "export", str(folder)]) == 0
    said = capsys.readouterr().err
    assert f"written: {folder / 'asyncapi.json'}" in said
    assert f"1 files written to {folder}" in said
    for path, content in documents().items():
        assert (folder / path).read_bytes() == content
    assert (folder / "notes.txt").read_text() == "ours"


@pytest.mark.parametrize("in_the_way", ["contract", "contract/schemas", "contract/asyncapi.json/"])
def test_what_is_in_the_way_is_named_with_what_to_do(
    in_the_way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / in_the_way
    if in_the_way.endswith("/"):
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("mine")
    assert run(["contract", "export", str(tmp_path / "contract")]) == 1
    said = capsys.readouterr().err
    assert str(place) in said
    assert "move it away, or name another DIR" in said
    assert place.is_dir() or place.read_text() == "mine"
