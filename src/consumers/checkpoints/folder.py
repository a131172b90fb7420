"""A folder for checkpoints: each is a file of its own, so that a Git repository or an object lock can keep all."""

from __future__ import annotations

import os
import re
from pathlib import Path

from consumers.checkpoints.comparing import PlaceUnusable
from consumers.synced_folder import sync_folder
from ledger.audit import Checkpoint, Note, Unproven

SUFFIX = ".checkpoint"


class Folder:
    """A folder. Files are written whole or not at all, and never removed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = f"the folder {folder}"

    def last(self, origin: str) -> Note | None:
        pattern = re.compile(rf"{re.escape(_prefix(origin))}-([0-9]+){re.escape(SUFFIX)}")
        try:
            names = [name for name in os.listdir(self._folder) if pattern.fullmatch(name)]
        except OSError as error:
            raise self._unusable(error) from None
        if not names:
            return None
        newest = max(names, key=lambda name: int(pattern.fullmatch(name)[1]))  # type: ignore[index]
        try:
            note = Note.parse((self._folder / newest).read_text(encoding="utf-8"))
            found = Checkpoint.parse(note.text)
        except OSError as error:
            raise self._unusable(error) from None
        except (Unproven, ValueError):
            raise PlaceUnusable(
                f"{self._folder / newest} is not a signed checkpoint: put the file back as it was, or move it away"
            ) from None
        return note if found.origin == origin else None

    def publish(self, note: Note) -> None:
        self.put(note)

    def put(self, note: Note) -> Path:
        """Write a signed checkpoint; the file that has it. Raises PlaceUnusable."""
        checkpoint = Checkpoint.parse(note.text)
        target = self._folder / f"{_prefix(checkpoint.origin)}-{checkpoint.size:012d}{SUFFIX}"
        beside = self._folder / f".{target.name}.{os.getpid()}"
        try:
            with beside.open("w", encoding="utf-8", newline="\n") as file:
                file.write(str(note))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
            sync_folder(self._folder)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise self._unusable(error) from None
        return target

    def close(self) -> None:
        pass

    def _unusable(self, error: OSError) -> PlaceUnusable:
        return PlaceUnusable(
            f"{self._folder} cannot be used for checkpoints ({error.strerror}): create the folder, and give the user "
            "who runs makegood the right to write to it"
        )


def _prefix(origin: str) -> str:
    """What the names of a log's files begin with. Two logs may share it: the file itself says whose it is."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", origin)
