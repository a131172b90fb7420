"""A notice to a customer: what became of it, one event after the other."""

from __future__ import annotations

from ledger.aggregates.recording import LedgerAggregate
from ledger.events import LedgerEvent
from ledger.values import stream_name


class Notice(LedgerAggregate):
    """Records what became of one notice. What may become of it next is said by its row in the queue."""

    def __init__(self, account: str, notice_id: str, version: int = 0) -> None:
        super().__init__(stream_name("notice", account, notice_id), account)
        self.version = version

    def when(self, event: LedgerEvent) -> None:
        """What was sent changes nothing that the account's decisions need to know."""
