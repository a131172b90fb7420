"""Recorded decisions performed again, account by account: `makegood audit reperform` (contract §3c).

Neither the vault nor a projection is asked: what is compared follows from the stored events alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Annotated, Any

from pydantic import Field, ValidationError
from typing_extensions import TypedDict

from ledger.agreement import read_agreement
from ledger.application.reperforming import Differing, Publication, Reperformed, reperform
from ledger.events import AgreementPublished, LedgerEvent
from ledger.store.connecting import connect
from ledger.store.database import Database, StoreError
from ledger.store.reading.events import account_pages, events_of_types, read_accounts
from ledger.values import SYSTEM_ACCOUNT, Month, month_of
from makegood.answers.unknown import check_account
from makegood.house.opening import House
from projections.follower import Progress
from projections.shown_values import Position

AT_ONCE = 50
"""So many accounts share a snapshot: their events are in memory together."""
ALONE_MAX = 200
"""So many accounts are faster performed by one process than by several, which have to start."""


class DecisionDiffers(TypedDict):
    """A recorded decision that does not follow from the facts, or one that follows and was not recorded.

    `recorded` and `recomputed` hold the fields that differ, by their paths; one of them is null where there is no
    such decision at all. `position` is then that of the event that it should have come with.
    """

    position: Position
    account_id: str
    type: str
    claim_id: str | None
    recorded: dict[str, Any] | None
    recomputed: dict[str, Any] | None


class Reperformance(TypedDict):
    """The result of performing decisions again."""

    decisions: Annotated[int, Field(description="The decisions that were recorded, as far as they were asked for.")]
    not_reperformable: Annotated[
        int, Field(description="How many of them were made by rules that this version does not have.")
    ]
    differing: list[DecisionDiffers]
    accounts: int


def reperformed(
    house: House,
    *,
    month: Month | None = None,
    account: str | None = None,
    progress: Progress = lambda done, of: None,
    processes: int | None = None,
) -> Reperformance:
    """Perform all decisions again, those of one account, or those that were recorded in a month of the provider's
    time zone.

    A large store is shared out among so many `processes`, by default one for each core. Raises UnknownAccount, and
    StoreError where an event cannot be read.
    """
    if account is not None:
        check_account(house.database, account)
        pages = [[account]] if account != SYSTEM_ACCOUNT else []
    else:
        pages = [[each for each in page if each != SYSTEM_ACCOUNT] for page in account_pages(house.database, AT_ONCE)]
    accounts = sum(map(len, pages))
    performing = _Performing(house.settings.store, str(month) if month else None, house.settings.time_zone)
    found, done = Reperformed(), 0
    for page, of_page in zip(pages, _performed(house, performing, pages, accounts, processes), strict=True):
        found.decisions += of_page.decisions
        found.not_reperformable += of_page.not_reperformable
        found.differing += of_page.differing
        done += len(page)
        progress(done, accounts)
    found.differing.sort(key=lambda each: (each.position.shard, each.position.position))
    return {
        "decisions": found.decisions,
        "not_reperformable": found.not_reperformable,
        "differing": [_told(each) for each in found.differing],
        "accounts": accounts,
    }


def _told(differing: Differing) -> DecisionDiffers:
    return {
        "position": str(differing.position),
        "account_id": differing.account,
        "type": differing.type,
        "claim_id": differing.claim_id,
        "recorded": dict(differing.recorded) if differing.recorded is not None else None,
        "recomputed": dict(differing.recomputed) if differing.recomputed is not None else None,
    }


# --- by one process, or by several ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Performing:
    """What a process is to perform: of which store, of which month, in whose time zone."""

    store: str
    month: str | None
    time_zone: str

    def asked(self, event: LedgerEvent) -> bool:
        return self.month is None or str(month_of(event.recorded_at, self.time_zone)) == self.month


def _performed(
    house: House, performing: _Performing, pages: Sequence[list[str]], accounts: int, processes: int | None
) -> Iterator[Reperformed]:
    """The results for each page, in their order."""
    processes = processes or (os.cpu_count() or 1 if accounts > ALONE_MAX else 1)
    in_memory = performing.store.endswith(":memory:")
    if processes == 1 or in_memory:
        published = _published(house.database)
        yield from (_page(house.database, published, performing, page) for page in pages)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as others:
        yield from others.map(partial(_page_elsewhere, performing), pages)


_opened: tuple[str, Database, list[Publication]] | None = None
"""What this process has opened, where it performs for another."""


def _page_elsewhere(performing: _Performing, accounts: list[str]) -> Reperformed:
    global _opened
    if _opened is None or _opened[0] != performing.store:
        database = connect(performing.store)
        _opened = performing.store, database, _published(database)
    return _page(*_opened[1:], performing, accounts)


def _page(
    database: Database, published: Sequence[Publication], performing: _Performing, accounts: Sequence[str]
) -> Reperformed:
    with database.reading() as transaction:
        events = read_accounts(transaction, accounts)
    found = Reperformed()
    for account, of_account in events.items():
        try:
            of = reperform(account, of_account, published, performing.asked)
        except ValidationError:
            raise StoreError(
                f"an event of account {account} cannot be read, because the store is damaged: "
                "`makegood audit verify` names it"
            ) from None
        found.decisions += of.decisions
        found.not_reperformable += of.not_reperformable
        found.differing += of.differing
    return found


def _published(database: Database) -> list[Publication]:
    with database.reading() as transaction:
        stored = events_of_types(transaction, SYSTEM_ACCOUNT, [AgreementPublished.stored_as])
    published = []
    for each in stored:
        event = each.event()
        assert isinstance(event, AgreementPublished)
        published.append(Publication(each.at, read_agreement(event.data.text)))
    return published
