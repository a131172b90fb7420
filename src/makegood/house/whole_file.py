"""Files that are written whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consumers.synced_folder import sync_folder
from makegood.house.stop import Stop


@contextmanager
def whole_file(target: Path, *, force: bool = False) -> Iterator[Path]:
    """The path of a file to write, which takes its place when the block ends without an error.

    Raises Stop where a file is there already, unless `force` lets it be replaced, and where the folder is missing.
    """
    if not target.parent.is_dir():
        raise Stop(f"the folder {target.parent} does not exist; create it, or name another file")
    if target.is_dir() or (target.exists() and not target.is_file()):
        raise Stop(f"{target} is not a file; name another")
    if target.exists() and not force:
        raise _there(target)
    folder = Path(tempfile.mkdtemp(prefix=".makegood-", dir=target.parent))  # mode 0700
    try:
        file = folder / target.name
        yield file
        file.chmod(0o600)
        with file.open("rb") as written:
            os.fsync(written.fileno())
        _put(file, target, force=force)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(file: Path, target: Path, *, force: bool) -> None:
    if force:
        file.replace(target)
    else:
        try:
            os.link(file, target)
        except FileExistsError:
            raise _there(target) from None
        except OSError:  # a file system without hard links
            if target.exists():
                raise _there(target) from None
            file.rename(target)
    sync_folder(target.parent)


def _there(target: Path) -> Stop:
    return Stop(f"{target} already exists: name another file, or replace it with --force")
