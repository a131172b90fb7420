"""The erasure of what is known of a customer in words: a stream of one event in the account's history."""

from __future__ import annotations

from ledger.aggregates.recording import LedgerAggregate
from ledger.events import LedgerEvent
from ledger.values import stream_name


class Erasure(LedgerAggregate):
    """Records that an account's personal data was erased; an account is erased once."""

    def __init__(self, account: str) -> None:
        super().__init__(stream_name("erasure", account), account)

    def when(self, event: LedgerEvent) -> None:
        """What was erased changes nothing of what is owed."""
