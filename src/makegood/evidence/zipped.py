"""A zip file whose bytes depend on nothing but what is in it.

Files are stored and not compressed, because compressors differ between versions; they all bear one date, and stand in
the order in which they were added.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can say."""
_UNIX, _READABLE = 3, 0o100644 << 16


class Zipped:
    """A zip file that is being written; `digests` has the SHA-256 of each file in it, by its path."""

    def __init__(self, out: zipfile.ZipFile) -> None:
        self._out = out
        self.digests: dict[str, str] = {}

    def add(self, path: str, content: bytes | str) -> None:
        """Add a file."""
        written = content.encode() if isinstance(content, str) else content
        info = zipfile.ZipInfo(path, _DATE)
        info.create_system, info.external_attr = _UNIX, _READABLE
        self._out.writestr(info, written)
        self.digests[path] = sha256(written).hexdigest()


@contextmanager
def zipped(file: Path) -> Iterator[Zipped]:
    """Write a zip file."""
    with zipfile.ZipFile(file, "x", zipfile.ZIP_STORED) as out:
        yield Zipped(out)
