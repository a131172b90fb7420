"""Other writers were faster: a batch is split until each account is alone, and that one waits for its turn.

Everybody who decides about accounts goes through here, so that nobody is told to try again before that (design
rule 9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Generic, TypeVar

from ledger.application.gathering import GiveUp
from ledger.application.ledger import Ledger
from ledger.retries import Passing, attempts
from ledger.store.database import CommitUnknown, Conflict, Unavailable
from ledger.store.writing import ReaderFenced

ATTEMPTS_MAX = 12
"""How often an account alone is decided about anew, and how often it is asked what became of a commit, before the
caller hears of it."""

PARTS = 8
"""Into so many parts a batch is split. Halves would mostly meet the other writer again, and each level is decided
about in vain."""

_MS = timedelta(milliseconds=1)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Share(Generic[T]):
    """What of a batch belongs to an account and is decided in its order; more accounts where one hangs on another."""

    accounts: frozenset[str]
    items: tuple[T, ...]


Attempt = Callable[[Sequence[Share[T]], bool], None]
"""Decide about shares and write it, all or nothing. Where told so their accounts' heads are held before anything is
read. Raises Conflict, CommitUnknown, and what it likes."""


def decide_in_parts(
    ledger: Ledger, shares: Sequence[Share[T]], attempt: Attempt[T], give_up: GiveUp[T] | None = None
) -> None:
    """Decide about shares together; where others are faster in parts, and in the end each share alone.

    A share alone takes its turn among this process's threads, and once it has lost, in the store too. With `give_up`
    shares that fail otherwise are taken by halves, until the item that fails is alone and given up; else its error
    is raised. What was written before stays.

    Raises ReaderFenced, Conflict where even that was in vain, and Unavailable.
    """
    _Deciding(ledger, attempt, give_up).decide(shares, has_lost=False)


@dataclass(frozen=True, slots=True)
class _Deciding(Generic[T]):
    ledger: Ledger
    attempt: Attempt[T]
    give_up: GiveUp[T] | None

    def decide(self, shares: Sequence[Share[T]], *, has_lost: bool) -> None:
        alone = len(shares) <= 1
        try:
            if alone:
                self._in_turn(shares, has_lost)
            else:
                self._try(shares, alone=False, has_lost=False)
        except (ReaderFenced, Unavailable):
            raise
        except Conflict:
            if alone:
                raise
            parts, has_lost = _split(shares, PARTS), True
        except Exception as error:
            if self.give_up is None:
                raise
            parts = _split(shares, 2) if len(shares) > 1 else [[half] for half in _halves(*shares)]
            if not parts:
                [[item]] = [share.items for share in shares]
                self.give_up(item, error)
        else:
            return
        for part in parts:
            self.decide(part, has_lost=has_lost)

    def _in_turn(self, shares: Sequence[Share[T]], has_lost: bool) -> None:
        with self.ledger.turn(account for share in shares for account in share.accounts):
            self._try(shares, alone=True, has_lost=has_lost)

    def _try(self, shares: Sequence[Share[T]], *, alone: bool, has_lost: bool) -> None:
        """Whoever is not alone is split when they lose; what became of a commit, everybody has to find out."""

        def passing(error: Exception) -> bool:
            nonlocal has_lost
            if isinstance(error, ReaderFenced) or not isinstance(error, Conflict | CommitUnknown):
                return False
            has_lost = has_lost or isinstance(error, Conflict)
            return alone or not has_lost

        for again in try_again(passing):
            with again:
                self.attempt(shares, alone and has_lost)


def try_again(passing: Passing) -> Iterator[AbstractContextManager[object]]:
    """ATTEMPTS_MAX attempts, with pauses of up to 256 ms, in which two who met do not meet again."""
    return attempts(passing, most=ATTEMPTS_MAX, pause=2 * _MS, pause_max=256 * _MS, jitter=50 * _MS)


def _split(shares: Sequence[Share[T]], parts: int) -> list[Sequence[Share[T]]]:
    size = -(-len(shares) // parts)
    return [shares[start : start + size] for start in range(0, len(shares), size)]


def _halves(share: Share[T]) -> Iterable[Share[T]]:
    middle = len(share.items) // 2
    halves = (share.items[:middle], share.items[middle:]) if middle else ()
    return [replace(share, items=half) for half in halves]
