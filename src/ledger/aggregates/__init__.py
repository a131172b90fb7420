"""What remembers: the aggregates whose streams hold an account's events."""

from ledger.aggregates.billing_account import BillingAccount, RecordedClaim
from ledger.aggregates.complaint import Complaint
from ledger.aggregates.erasure import Erasure
from ledger.aggregates.notice import Notice
from ledger.aggregates.owed_refunds import OwedRefunds
from ledger.aggregates.recording import Cause, LedgerAggregate
from ledger.aggregates.refund import Refund
from ledger.aggregates.subscription import Subscription
from ledger.aggregates.system import SystemRecord

__all__ = [
    "BillingAccount",
    "Cause",
    "Complaint",
    "Erasure",
    "LedgerAggregate",
    "Notice",
    "OwedRefunds",
    "RecordedClaim",
    "Refund",
    "Subscription",
    "SystemRecord",
]
