"""What billing and provisioning were told to do, for whoever may see it."""

from __future__ import annotations

from ledger.store.reading.page import Listed, Page
from makegood.access.sight import Sight
from makegood.answers.of_all_shards import of_all_shards
from makegood.house.opening import House
from projections import instructions as instructions_
from projections.instructions import AgedInstruction


@of_all_shards
def instructions(
    house: House,
    sight: Sight,
    *,
    account: str | None = None,
    kind: str | None = None,
    still_open: bool = False,
    page: Page | None = None,
) -> Listed[AgedInstruction]:
    """The instructions, those first that wait longest for an answer; `still_open` leaves out what was answered."""
    found = instructions_.listed(
        house.database,
        house.now(),
        accounts=sight.among(account),
        kind=kind,
        still_open=still_open,
        page=page,
    )
    return sight.rows(AgedInstruction, found)
