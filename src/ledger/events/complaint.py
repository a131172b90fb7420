"""Events of a complaint. It never moves money by itself (policy §8)."""

from __future__ import annotations

from typing import Literal

from ledger.events.envelope import Fact, FactData, codes_only

LinkedKind = Literal["outage", "dispute", "goodwill"]
"""The kinds of object that a complaint can be linked to."""


class ComplaintFactData(FactData):
    """Every fact of a complaint names it."""

    complaint_id: str


class ComplaintFact(Fact):
    """A fact of one complaint, recorded in that complaint's stream."""

    data: ComplaintFactData


class ComplaintOpened(ComplaintFact):
    """A customer complained; the description is in the vault, and so is a channel or category in free text. Where it
    is a code it is here.
    """

    stored_as = "complaint-opened.v2"

    class Data(ComplaintFactData):
        subscription_id: str | None
        channel: str | None
        category: str | None

    data: Data

    @property
    def content(self) -> dict[str, object]:
        """The content of the fact, codes only."""
        return codes_only(super().content, "channel", "category")


class ComplaintOpenedV1(ComplaintOpened):
    """A customer complained: the older form, in which channel and category may be free text."""

    stored_as = "complaint-opened.v1"

    class Data(ComplaintOpened.Data):
        channel: str
        category: str

    data: Data


class ComplaintResolved(ComplaintFact):
    """Support resolved a complaint. The resolution is in the vault, because it may be free text; where it
    is a code it is `resolution_code` as well.
    """

    stored_as = "complaint-resolved.v2"

    class Data(ComplaintFactData):
        resolution_code: str | None

    data: Data


class ComplaintResolvedV1(ComplaintFact):
    """Support resolved a complaint: the older form, without a resolution code."""

    stored_as = "complaint-resolved.v1"
    data: ComplaintFactData


class ComplaintReopened(ComplaintFact):
    """A complaint was reopened: it had not been resolved. The reason is in the vault."""

    stored_as = "complaint-reopened.v1"
    data: ComplaintFactData


class ComplaintNoted(ComplaintFact):
    """A note was added to a complaint; the note is in the vault."""

    stored_as = "complaint-noted.v1"
    data: ComplaintFactData


class ComplaintLinked(ComplaintFact):
    """A complaint was linked to an outage, a dispute or a goodwill credit; `linked_id` is its business id."""

    stored_as = "complaint-linked.v1"

    class Data(ComplaintFactData):
        kind: LinkedKind
        linked_id: str

    data: Data
