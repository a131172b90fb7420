"""Export of the contract: the machine-readable documents, written into a folder."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from consumers import contract
from consumers.contract.json_schema import as_json
from makegood.answers.done import DocumentExported
from makegood.api.app import document
from makegood.exports.contract import document as exports
from makegood.house.stop import Stop
from makegood.program.views_document import document as views


def documents() -> dict[str, bytes]:
    """Every document of the contract by its path, the same bytes for the same program."""
    ours = {"openapi.json": document(), "exports.json": exports(), "finance-views.json": views()}
    found = {**contract.documents(version("makegood")), **{path: as_json(told) for path, told in ours.items()}}
    return dict(sorted(found.items()))


def export(folder: Path) -> list[DocumentExported]:
    """Write the documents that are missing or out of date. Raises Stop."""
    answer: list[DocumentExported] = []
    for path, content in documents().items():
        file = folder / path
        there = _content(file)
        if there != content:
            _write(file, content)
        answer.append({"path": path, "status": "unchanged" if there == content else "written"})
    return answer


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise Stop(f"{file} is a folder where a file must go: move it away, or name another DIR") from None


def _write(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        in_the_way = next(place for place in (file.parent, *file.parent.parents) if place.is_file())
        raise Stop(f"{in_the_way} is a file where a folder must go: move it away, or name another DIR") from None
    file.write_bytes(content)
