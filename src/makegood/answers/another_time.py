"""A house of another time: the questions about what is owed, asked of accounts as they were then (contract §3).

Known at K, an account is what its events up to K make of it. As of T it is assessed anew from the facts that had
become true by then, of all that were recorded or of those recorded by K. Nothing is stored of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from ledger.events import AgreementPublished
from ledger.store.database import Database
from ledger.store.positions import Reached
from ledger.store.reading.events import StoredEnvelope, events_of_types, read_accounts, recorded_by
from ledger.store.reading.heads import accounts_by_code_point, how_many_heads
from ledger.store.reading.kept_messages import set_aside_by
from ledger.store.reading.page import Listed, Page, merged
from ledger.values import END, SYSTEM_ACCOUNT
from makegood.access.sight import Sight
from makegood.answers.moments import Moment
from makegood.house.one_state import OneState, StandingHouse
from makegood.house.opening import House
from projections import owed
from projections.follower import Progress
from projections.projection import Unrecorded
from projections.rows_then import AccountThen, rows_then

if TYPE_CHECKING:
    from ledger.application.as_of import AssessedAnew

T = TypeVar("T")

AT_ONCE = 50
"""The events of so many accounts are in memory together."""
ACCOUNTS_A_PAGE = 500
"""A page of a list looks at no more accounts of another time than these, so that no request takes long."""


def no_progress(done: int, of: int) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Looked:
    """An account at a moment: its events that were known, and what they come to where it is assessed anew."""

    account: str
    known: list[StoredEnvelope]
    anew: AssessedAnew | None


def accounts_then(
    house: House, at: Moment, accounts: Iterable[Sequence[str]], on_progress: Progress = no_progress
) -> Iterator[list[Looked]]:
    """Accounts at a moment, some at a time; the ledger's own account is none of them."""
    with house.database.reading() as transaction:
        published = events_of_types(transaction, SYSTEM_ACCOUNT, [AgreementPublished.stored_as])
        of = how_many_heads(transaction)
    published = recorded_by(published, at.known_at)
    done = 0
    for some in accounts:
        with house.database.reading() as transaction:
            recorded = read_accounts(transaction, [account for account in some if account != SYSTEM_ACCOUNT])
        looked = []
        for account in sorted(recorded):
            known = recorded_by(recorded.pop(account), at.known_at)
            looked.append(Looked(account, known, _assessed(account, known, published, at.as_of)))
        yield looked
        done += len(some)
        on_progress(done, max(done, of))


def _assessed(
    account: str, known: list[StoredEnvelope], published: list[StoredEnvelope], as_of: date | None
) -> AssessedAnew | None:
    if as_of is None:
        return None
    from ledger.application.as_of import assess_as_of  # only here: whoever asks for rows needs no policy

    return assess_as_of(account, known, published, as_of)


def all_accounts(house: House, among: frozenset[str] | None) -> Iterator[list[str]]:
    """The accounts that are asked about, some at a time, by the code points of their ids."""
    if among is not None:
        named = sorted(among)
        yield from (named[start : start + AT_ONCE] for start in range(0, len(named), AT_ONCE))
        return
    last = ""
    while True:
        with house.database.reading() as transaction:
            page = accounts_by_code_point(transaction, last, AT_ONCE)
        if not page:
            return
        yield page
        last = page[-1]


class HouseThen(StandingHouse):
    """A house of which every question sees accounts as they were at a moment.

    `reached` is the last position of each shard that was looked at, or the one by which events were known.
    """

    def __init__(self, house: House, database: Database, now: datetime, reached: Reached) -> None:
        super().__init__(house, database, now)
        self.reached = reached


@contextmanager
def house_then(
    house: House,
    sight: Sight,
    at: Moment,
    account: str | None = None,
    on_progress: Progress = no_progress,
) -> Iterator[HouseThen]:
    """The house at a moment, for questions about one account or about all that somebody may ask for."""
    among, known_by = sight.among(account), instant_known(house, at)
    with ExitStack() as until_the_end:
        first, *others = [
            until_the_end.enter_context(
                _house_of(
                    each, at, all_accounts(each, among), known_by, in_memory=among is not None, told=on_progress
                )
            )
            for each in house.every
        ]
        if others:
            now = max(then.now() for then in (first, *others))
            first, *others = [then.at(now) for then in (first, *others)]
            first.reached = Reached.of_shards(then.reached for then in (first, *others))
        yield first.with_others(others)


@contextmanager
def _house_of(
    house: House,
    at: Moment,
    accounts: Iterable[Sequence[str]],
    known_by: datetime,
    *,
    in_memory: bool,
    told: Progress = no_progress,
) -> Iterator[HouseThen]:
    now, reached = at.as_of if isinstance(at.as_of, datetime) else None, Reached({})
    numbers = count(1)
    with rows_then(known_by, in_memory=in_memory) as rows:
        for some in accounts_then(house, at, accounts, told):
            aside = set_aside_then(house, at, [looked.account for looked in some], known_by)
            rows.add([_told(looked, aside.get(looked.account, 0), numbers) for looked in some])
            for looked in some:
                if looked.anew is not None:  # a date ends at different instants: the last of them is now
                    now = max(now or looked.anew.as_of, looked.anew.as_of)
                if looked.known and not reached.covers(looked.known[-1].at):
                    reached = reached.moved(looked.known[-1].at)
        with rows.database.reading() as transaction:
            known = at.known_at if isinstance(at.known_at, Reached) else reached
            yield HouseThen(house, OneState(rows.database, transaction), now or known_by, known)


def _told(looked: Looked, set_aside: int, numbers: Iterator[int]) -> AccountThen:
    if looked.anew is None:
        return AccountThen(looked.account, looked.known, looked.known, False, set_aside)
    events = [Unrecorded(event, next(numbers)) for event in looked.anew.events]
    dated = owed.as_it_became_true(looked.anew.events)
    moved = [Unrecorded(event, then.position) for event, then in zip(dated, events, strict=True)]
    return AccountThen(looked.account, events, moved, True)


def instant_known(house: House, at: Moment) -> datetime:
    """The instant by which events were known, by which ages are told where nothing is assessed anew."""
    found: list[datetime] = []
    for each in house.every:
        with each.database.reading() as transaction:
            instant = owed.instant_of(transaction, at.known_at)
        found += [instant] if instant is not None else []
    return max(found) if found else house.now()


def set_aside_then(house: House, at: Moment, accounts: Sequence[str], known_by: datetime) -> dict[str, int]:
    """How many messages of some accounts were set aside; what is not recorded in any event goes by its instant."""
    with house.database.reading() as transaction:
        return set_aside_by(transaction, accounts, known_by if at.known_at is not None else END)


def listed_then(
    house: House,
    sight: Sight,
    at: Moment,
    account: str | None,
    page: Page,
    question: Callable[[House, Page], Listed[T]],
) -> Listed[T]:
    """A page of a list by account at a moment; of now where none is named.

    A page looks at `ACCOUNTS_A_PAGE` accounts at most: where these have no more rows, the next one follows.
    """
    if not at:
        return question(house, page)
    if sight.among(account) is not None:
        with house_then(house, sight, at, account) as then:
            return question(then, page)
    known_by = instant_known(house, at)
    return merged([_some_listed(each, at, known_by, page, question) for each in house.every], page)


def _some_listed(
    house: House, at: Moment, known_by: datetime, page: Page, question: Callable[[House, Page], Listed[T]]
) -> Listed[T]:
    first = [str(page.after[0])] if page.after is not None else []
    with house.database.reading() as transaction:
        accounts = first + accounts_by_code_point(transaction, first[0] if first else "", ACCOUNTS_A_PAGE + 1)
    now, later = accounts[:ACCOUNTS_A_PAGE], accounts[ACCOUNTS_A_PAGE:]
    some: Iterable[Any] = (now[start : start + AT_ONCE] for start in range(0, len(now), AT_ONCE))
    with _house_of(house, at, some, known_by, in_memory=True) as then:
        found = question(then, page)
    if found.next is None and later:
        found.next = (later[0], "")
    return found
