"""What the rules about a subscription's cycles go by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger.agreement import Agreement
from ledger.policy.ending import Ending
from ledger.policy.facts import SubscriptionFacts
from ledger.policy.facts.outage import Outage
from ledger.policy.merging import Merged
from ledger.values import value


@value
class Context:
    """A subscription as every rule sees it: its facts, its terms, how it ends, its outages, and the instant."""

    subscription: SubscriptionFacts
    terms: Agreement
    how: Ending
    time_zone: str
    now: datetime
    outages: Sequence[Outage]
    """Every outage that may count in one of the cycles that are looked at, in order."""
    merged: Sequence[Merged]
    """Those of them that are eligible."""
