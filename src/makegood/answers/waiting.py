"""Facts that wait for another, with what they wait for and their age (contract §3, `makegood waiting`)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.store.reading.page import Listed, Page
from ledger.store.reading.waiting import WaitingFact, waiting_facts
from ledger.values import instant_to_text
from makegood.access.sight import Sight
from makegood.answers.of_all_shards import of_all_shards
from makegood.house.opening import House
from projections.shown_values import Instant


class Waiting(TypedDict):
    """A fact that waits for another fact."""

    account_id: str
    type: Annotated[str, Field(examples=["outage-reported.v1"])]
    source: str
    id: str
    waits_for: Annotated[str, Field(examples=["subscription sub-9999"])]
    since: Instant
    age_seconds: int
    event_id: str


@of_all_shards
def waiting(house: House, sight: Sight, *, account: str | None = None, page: Page | None = None) -> Listed[Waiting]:
    """The facts that wait, by account, those first that have waited longest."""
    with house.database.reading() as transaction:
        found = waiting_facts(transaction, sight.among(account), page)
    now = house.now()
    return sight.rows(Waiting, found.told(_shown(fact, now) for fact in found))


def _shown(fact: WaitingFact, now: datetime) -> Waiting:
    return {
        "account_id": fact.account,
        "type": fact.type,
        "source": fact.source,
        "id": fact.id,
        "waits_for": fact.waits_for,
        "since": instant_to_text(fact.since),
        "age_seconds": int((now - fact.since).total_seconds()),
        "event_id": fact.event_id,
    }
