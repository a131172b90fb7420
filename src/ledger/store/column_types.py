"""Columns that hold what no program of ours wrote there: SQLite keeps a value of any type in a column of any type.

Whoever reads a column by the type that it must have asks here, and stops with words that say what happened.
"""

from __future__ import annotations

from ledger.store.database import StoreError


class ColumnChanged(StoreError):
    """A column of the store holds a value of another type than is written there: somebody changed it."""

    def __init__(self, what: str, type_: str) -> None:
        super().__init__(
            f"{what} is not stored as {type_}: it was changed from outside; stop all writers, see what else was with "
            "`makegood audit verify`, and restore the store from a backup"
        )
        self._said = what, type_

    def __reduce__(self) -> tuple[type[ColumnChanged], tuple[str, str]]:
        """It is told to another process, too: those of `audit verify` and `audit reperform`."""
        return type(self), self._said


def as_bytes(value: object, what: str) -> bytes:
    """Bytes as they are stored; `what` they are, for the message. Raises ColumnChanged."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, memoryview):
        return bytes(value)
    raise ColumnChanged(what, "bytes")


def as_integer(value: object, what: str) -> int:
    """A whole number as it is stored. Raises ColumnChanged."""
    if isinstance(value, int):
        return value
    raise ColumnChanged(what, "a whole number")


def as_text(value: object, what: str) -> str:
    """Text as it is stored. Raises ColumnChanged."""
    if isinstance(value, str):
        return value
    raise ColumnChanged(what, "text")
