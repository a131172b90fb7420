"""A complaint: open until support resolves it, and open again when it is reopened (policy §8)."""

from __future__ import annotations

from ledger.aggregates.recording import LedgerAggregate
from ledger.events import (
    ComplaintOpened,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintResolvedV1,
    LedgerEvent,
)
from ledger.values import stream_name


class Complaint(LedgerAggregate):
    """Records the course of one complaint."""

    def __init__(self, account: str, complaint_id: str) -> None:
        super().__init__(stream_name("complaint", account, complaint_id), account)
        self.open = True

    def when(self, event: LedgerEvent) -> None:
        match event:
            case ComplaintResolved() | ComplaintResolvedV1():
                self.open = False
            case ComplaintOpened() | ComplaintReopened():
                self.open = True
