"""What happens to a complaint. It never moves money by itself (policy §8)."""

from __future__ import annotations

from ledger.events.envelope import Fact, FactData


class ComplaintFactData(FactData):
    """Every fact of a complaint names it."""

    complaint_id: str


class ComplaintFact(Fact):
    """A fact of one complaint, recorded in that complaint's stream."""

    data: ComplaintFactData


class ComplaintOpened(ComplaintFact):
    """A customer is dissatisfied; their words lie in the vault."""

    stored_as = "complaint-opened.v1"

    class Data(ComplaintFactData):
        subscription_id: str | None
        channel: str
        category: str

    data: Data


class ComplaintResolved(ComplaintFact):
    """Support resolved a complaint; the resolution lies in the vault, because people write sentences there."""

    stored_as = "complaint-resolved.v1"
    data: ComplaintFactData


class ComplaintReopened(ComplaintFact):
    """The complaint was not resolved after all; the reason lies in the vault."""

    stored_as = "complaint-reopened.v1"
    data: ComplaintFactData
