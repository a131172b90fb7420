"""What happens to a complaint. It never moves money by itself (policy §8)."""

from __future__ import annotations

from typing import Literal

from ledger.events.envelope import Fact, FactData

LinkedKind = Literal["outage", "dispute", "goodwill"]
"""What a complaint may have led to."""


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
    """Support resolved a complaint. The resolution lies in the vault, because people write sentences there; where it
    is a code it is `resolution_code` as well.
    """

    stored_as = "complaint-resolved.v2"

    class Data(ComplaintFactData):
        resolution_code: str | None

    data: Data


class ComplaintResolvedV1(ComplaintFact):
    """Support resolved a complaint, as it was recorded before resolutions had codes."""

    stored_as = "complaint-resolved.v1"
    data: ComplaintFactData


class ComplaintReopened(ComplaintFact):
    """The complaint was not resolved after all; the reason lies in the vault."""

    stored_as = "complaint-reopened.v1"
    data: ComplaintFactData


class ComplaintNoted(ComplaintFact):
    """Somebody noted something about a complaint; the note lies in the vault."""

    stored_as = "complaint-noted.v1"
    data: ComplaintFactData


class ComplaintLinked(ComplaintFact):
    """A complaint has to do with an outage, a dispute or a goodwill credit: `linked_id` is its business id."""

    stored_as = "complaint-linked.v1"

    class Data(ComplaintFactData):
        kind: LinkedKind
        linked_id: str

    data: Data
