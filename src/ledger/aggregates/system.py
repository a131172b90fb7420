"""What no account did: the streams of the account `system` (design rule 13)."""

from __future__ import annotations

from ledger.aggregates.recording import LedgerAggregate
from ledger.events import LedgerEvent
from ledger.values import SYSTEM_ACCOUNT


class SystemRecord(LedgerAggregate):
    """A stream of acts that follow from nothing but each other: an agreement's publications, a message's closing."""

    def __init__(self, stream: str, version: int = 0) -> None:
        super().__init__(stream, SYSTEM_ACCOUNT)
        self.version = version

    def when(self, event: LedgerEvent) -> None:
        """An act changes nothing that the next one needs to know."""
