"""Recorded decisions performed again, account by account: `makegood audit reperform` (contract §3c).

Neither the vault nor a projection is asked: what is compared follows from the stored events alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from ledger.agreement import read_agreement
from ledger.application.reperforming import (
    Basis,
    Differing,
    Publication,
    Reperformed,
    WhyNotJudged,
    reperform,
    says_rules,
)
from ledger.events import AgreementPublished, LedgerEvent
from ledger.store import positions
from ledger.store.connecting import connect
from ledger.store.database import Database, Transaction
from ledger.store.reading.events import (
    account_pages,
    event_at,
    events_of_types,
    first_of_types,
    read_accounts,
)
from ledger.store.reading.shards import shard_ends
from ledger.store.reading.store import clock_in, clock_is_set, is_sandbox
from ledger.values import SYSTEM_ACCOUNT, Month, instant_to_text, month_of
from makegood.answers.audit.closings import closings_performed
from makegood.answers.audit.processes import Processes
from makegood.answers.unknown import check_account
from makegood.house.clock import system_clock
from makegood.house.opening import House
from projections.follower import Progress
from projections.shown_values import Instant, Position

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


class DecisionsNotJudged(TypedDict):
    """Decisions that are not judged for one reason.

    `older rules`: an earlier revision of the rules made them, before the store was brought up to date. `rests on
    rows`: they say that projections differed from the events, or no longer do.
    """

    why: WhyNotJudged
    decisions: int
    accounts: int
    first_recorded_at: Instant
    last_recorded_at: Instant


class Reperformance(TypedDict):
    """The result of performing decisions again."""

    decisions: Annotated[int, Field(description="The decisions that were recorded, as far as they were asked for.")]
    not_reperformable: Annotated[
        int, Field(description="How many of them are not judged; `not_judged` says why, and from when they are.")
    ]
    not_judged: list[DecisionsNotJudged]
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
    performing = _performing(house, month)
    found, done = Reperformed(), 0
    for page, of_page in zip(pages, _performed(house, performing, pages, accounts, processes), strict=True):
        found.take(of_page)
        done += len(page)
        progress(done, accounts)
    if account in (None, SYSTEM_ACCOUNT):
        found.take(_closings(house, performing))
    found.differing.sort(key=lambda each: (each.position.shard, each.position.position))
    return {
        "decisions": found.decisions,
        "not_reperformable": found.not_reperformable,
        "not_judged": [
            {
                "why": why,
                "decisions": each.decisions,
                "accounts": len(each.accounts),
                "first_recorded_at": instant_to_text(each.first),
                "last_recorded_at": instant_to_text(each.last),
            }
            for why, each in sorted(found.not_judged.items())
        ],
        "differing": [_told(each) for each in found.differing],
        "accounts": accounts,
    }


def _closings(house: House, performing: _Performing) -> Reperformed:
    found = Reperformed()
    for closing in closings_performed(house, performing.asked):
        found.decisions += 1
        if closing.differing:
            recorded, recomputed = ({what: values[n] for what, values in closing.differing.items()} for n in (0, 1))
            found.differing.append(Differing(closing.at, SYSTEM_ACCOUNT, closing.type, None, recorded, recomputed))
    return found


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
    """What a process is to perform: of which store, of which month, in whose time zone; and see `Basis`."""

    store: str
    month: str | None
    time_zone: str
    rules_said_from: dict[int, int]
    until: datetime | None

    def asked(self, event: LedgerEvent) -> bool:
        return self.month is None or str(month_of(event.recorded_at, self.time_zone)) == self.month


def _performing(house: House, month: Month | None) -> _Performing:
    settings = house.settings
    with house.database.reading() as transaction:
        said_from = first_of_types(transaction, says_rules())
        until = _time_came_to(transaction, timedelta(seconds=settings.max_age))
    return _Performing(settings.store, str(month) if month else None, settings.time_zone, said_from, until)


def _time_came_to(transaction: Transaction, may_be_late: timedelta) -> datetime | None:
    """By when everything that fell due is done: by the last recorded instant, where timers may be somewhat late; in a
    sandbox whose clock is set, by its clock. None where nothing was recorded."""
    if is_sandbox(transaction) and clock_is_set(transaction):
        return clock_in(transaction, system_clock)()
    ends = [positions.Position(shard, end) for shard, end in shard_ends(transaction).items()]
    last = [found.event().recorded_at for end in ends if (found := event_at(transaction, end)) is not None]
    return max(last) - may_be_late if last else None


def _performed(
    house: House, performing: _Performing, pages: Sequence[list[str]], accounts: int, processes: int | None
) -> Iterator[Reperformed]:
    """The results for each page, in their order."""
    processes = processes or (os.cpu_count() or 1 if accounts > ALONE_MAX else 1)
    in_memory = performing.store.endswith(":memory:")
    if processes == 1 or in_memory:
        basis = _basis(house.database, performing)
        yield from (_page(house.database, basis, performing, page) for page in pages)
        return
    with Processes(processes) as others:
        yield from others.each(partial(_page_elsewhere, performing), pages)


_opened: tuple[_Performing, Database, Basis] | None = None
"""What this process has opened, where it performs for another."""


def _page_elsewhere(performing: _Performing, accounts: list[str]) -> Reperformed:
    global _opened
    if _opened is None or _opened[0] != performing:
        database = connect(performing.store)
        _opened = performing, database, _basis(database, performing)
    return _page(*_opened[1:], performing, accounts)


def _page(database: Database, basis: Basis, performing: _Performing, accounts: Sequence[str]) -> Reperformed:
    with database.reading() as transaction:
        events = read_accounts(transaction, accounts)
    found = Reperformed()
    for account, of_account in events.items():
        found.take(reperform(account, of_account, basis, performing.asked))
    return found


def _basis(database: Database, performing: _Performing) -> Basis:
    return Basis(_published(database), performing.rules_said_from, performing.until)


def _published(database: Database) -> list[Publication]:
    with database.reading() as transaction:
        stored = events_of_types(transaction, SYSTEM_ACCOUNT, [AgreementPublished.stored_as])
    published = []
    for each in stored:
        event = each.event()
        assert isinstance(event, AgreementPublished)
        published.append(Publication(each.at, read_agreement(event.data.text)))
    return published
