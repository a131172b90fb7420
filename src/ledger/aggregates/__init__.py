"""What remembers: the aggregates whose streams hold an account's events."""

from ledger.aggregates.billing_account import BillingAccount, RecordedClaim
from ledger.aggregates.complaint import Complaint
from ledger.aggregates.recording import Cause, LedgerAggregate, stream_name
from ledger.aggregates.subscription import Subscription

__all__ = [
    "BillingAccount",
    "Cause",
    "Complaint",
    "LedgerAggregate",
    "RecordedClaim",
    "Subscription",
    "stream_name",
]
