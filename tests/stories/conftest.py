"""Stories are told at the command line, on each kind of store."""

from tests.door.conftest import door, lines, sandbox, store

__all__ = ["door", "lines", "sandbox", "store"]
