"""An export as a file to be sent: made whole before its first byte, so that a failure is never half a file, and a
reader who is slow holds no transaction."""

from __future__ import annotations

import base64
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from makegood.access.sight import Sight
from makegood.answers.another_time import house_then
from makegood.answers.moments import NOW, Moment
from makegood.exports.exporting import export
from makegood.exports.history import CSV
from makegood.exports.lists import Format, What
from makegood.house.opening import House

AT_ONCE_MAX = 2
"""So many exports are made at the same time; each keeps a core busy and a connection to the database."""
_TURNS = threading.BoundedSemaphore(AT_ONCE_MAX)
CHUNK = 262_144

MEDIA_TYPES: dict[Format, str] = {
    "csv": CSV,
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "hledger": "text/plain; charset=utf-8",
    "beancount": "text/plain; charset=utf-8",
}
ROWS, DIGEST = "Makegood-Rows", "Repr-Digest"
"""The headers that say how many rows a file has, and its SHA-256 (RFC 9530)."""


class ExportsBusy(Exception):
    """As many exports are being made as may be at once."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was made: its content, which is read once, and what is said of it."""

    media_type: str
    headers: Mapping[str, str]
    content: BinaryIO

    def chunks(self) -> Iterator[bytes]:
        """The content, a part at a time."""
        with self.content as content:
            while chunk := content.read(CHUNK):
                yield chunk


def download(
    house: House, sight: Sight, what: What, format_: Format, filters: Mapping[str, Any], at: Moment = NOW
) -> Download:
    """A list as a file with the list's filters, as of a moment. Raises ExportsBusy, and MissingExtra where this
    installation cannot write the format."""
    with ExitStack() as until_made:
        until_made.enter_context(taking_turns())
        folder = until_made.enter_context(tempfile.TemporaryDirectory(prefix="makegood-"))
        account = filters.get("account")
        then = until_made.enter_context(house_then(house, sight, at, account)) if at else house
        file = Path(folder, f"{what}.{format_}")
        done = export(then, sight, what, format_, file, filters, at=at)
        size, content = file.stat().st_size, file.open("rb")  # the open file outlives its name
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{what}.{format_}"',
        ROWS: str(done["rows"]),
        DIGEST: f"sha-256=:{base64.b64encode(bytes.fromhex(done['sha256'])).decode('ascii')}:",
    }
    return Download(MEDIA_TYPES[format_], headers, content)


@contextmanager
def taking_turns() -> Iterator[None]:
    """A turn at making an export. Raises ExportsBusy where as many as may are being made."""
    if not _TURNS.acquire(blocking=False):
        raise ExportsBusy
    try:
        yield
    finally:
        _TURNS.release()
