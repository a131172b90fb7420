"""Every projection there is. A new one is a file and a line here; it catches up by itself."""

from __future__ import annotations

from projections.access import ACCESS
from projections.accounts import ACCOUNTS
from projections.alarms import ALARMS
from projections.audit_trail import AUDIT_TRAIL
from projections.claims import CLAIMS
from projections.complaints import COMPLAINTS
from projections.credits import CREDITS
from projections.goodwill import GOODWILL
from projections.instructions import INSTRUCTIONS
from projections.movements import MOVEMENTS
from projections.outages import OUTAGES
from projections.overpaid import OVERPAID
from projections.periods import PERIODS
from projections.projection import Projection
from projections.reconciliation import RECONCILIATION
from projections.refunds import REFUNDS
from projections.retractions import RETRACTIONS

CATALOG: tuple[Projection, ...] = (
    ACCESS,
    ACCOUNTS,
    ALARMS,
    AUDIT_TRAIL,
    CLAIMS,
    COMPLAINTS,
    CREDITS,
    GOODWILL,
    INSTRUCTIONS,
    MOVEMENTS,
    OUTAGES,
    OVERPAID,
    PERIODS,
    RECONCILIATION,
    REFUNDS,
    RETRACTIONS,
)
