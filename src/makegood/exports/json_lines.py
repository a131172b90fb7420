"""JSON Lines: each row as `--json` has it, on a line of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from makegood.house.control_characters import visible_json

if TYPE_CHECKING:
    from makegood.exports.exporting import Export


def write(export: Export, file: Path) -> None:
    """Write the rows."""
    with file.open("x", encoding="utf-8", newline="") as out:
        for rows in export.pages:
            out.writelines(f"{visible_json(json.dumps(row, ensure_ascii=False))}\n" for row in rows)
