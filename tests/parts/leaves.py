"""A log's tree in memory, which proofs are made from."""

from __future__ import annotations

from ledger.audit import root_of


class Leaves:
    """A tree of these leaves; it keeps nothing, and hashes anew what it is asked for."""

    def __init__(self, digests: list[bytes]) -> None:
        self._digests = digests
        self.size = len(digests)

    def nodes(self, level: int, first: int, count: int) -> list[bytes]:
        return [root_of(self._digests[at << level : (at + 1) << level]) for at in range(first, first + count)]
