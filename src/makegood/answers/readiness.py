"""Whether this process can do its work: the checks behind `/readyz`.

Anybody may ask, so the answer quotes no address and no error, and the databases are asked at most once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.store.database import StoreError
from ledger.store.reading.store import store_exists
from makegood.house.opening import House, check_vault, needs_migration

KEPT_SECONDS = 1.0

CheckName = Literal["store", "version", "vault", "draining"]


class ReadinessCheck(TypedDict):
    """One check, and what to do where it failed."""

    check: CheckName
    passed: bool
    next: Annotated[str | None, Field(description="The next step; null for a check that passed.")]


class Ready(TypedDict):
    """The process can do its work: all checks passed."""

    ready: Literal[True]
    checks: list[ReadinessCheck]


class Readiness:
    """Looks at the store and the vault of a house, and whether the process was told to stop."""

    def __init__(self, draining: Callable[[], bool], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._draining = draining
        self._monotonic = monotonic
        self._kept: tuple[float, list[ReadinessCheck]] | None = None

    def checks(self, house: House) -> list[ReadinessCheck]:
        """All checks, each with its result."""
        return [
            *self._databases(house),
            _check("draining", not self._draining(), "send requests to another instance: this one is shutting down"),
        ]

    def _databases(self, house: House) -> list[ReadinessCheck]:
        now = self._monotonic()
        if self._kept is None or now - self._kept[0] >= KEPT_SECONDS:
            self._kept = now, _look(house)
        return self._kept[1]


def _look(house: House) -> list[ReadinessCheck]:
    # Of several shards the first one counts, which says who may do what: where another is away, the others go on.
    reachable = _succeeds(lambda: store_exists(house.database))
    return [
        _check("store", reachable, "start the store's database, or check MAKEGOOD_STORE"),
        _check("version", reachable and _succeeds(lambda: not needs_migration(house)), "run `makegood migrate`"),
        _check(
            "vault",
            reachable and _succeeds(lambda: _has_its_vault(house)),
            "restore the vault's database as `makegood status` says",
        ),
    ]


def _has_its_vault(house: House) -> bool:
    check_vault(house)
    return True


def _check(name: CheckName, passed: bool, what_next: str) -> ReadinessCheck:
    return {"check": name, "passed": passed, "next": None if passed else what_next}


def _succeeds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except StoreError:
        return False
