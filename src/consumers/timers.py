"""Timers: do what falls due because time has passed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from consumers.part import BackOff, reason_of
from ledger.application.due_work import do_due_work
from ledger.application.ledger import Ledger
from ledger.store.database import Conflict, Unavailable
from ledger.store.reading.store import clock_is_set, is_sandbox

EVERY_SECONDS = 1.0
"""How often it is looked for: one indexed look is cheaper than keeping count of what else may fall due meanwhile."""

FAILING_REST_SECONDS = 300.0
"""How long an account whose assessment fails is passed over; it stays due, and `makegood status` says how long."""

SNAPSHOT_EVENTS = 1_000
"""Snapshots are made of so many events each time, of one account at least: some tenth of a second of a core."""

log = structlog.get_logger("makegood.timers")


class Timers:
    """The part that lets time do its work. A sandbox's clock, once set, stands still: then only `advance` does it.

    What else has time to wait it does as well: snapshots of the long accounts that this process has opened.
    """

    name = "timers"

    def __init__(
        self,
        ledger: Ledger,
        *,
        every: float = EVERY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._every = every
        self._monotonic = monotonic
        self._recorded = recorded
        self._failing: dict[str, Exception] = {}
        self._try_again_at = 0.0

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        back_off = BackOff()
        ready()
        while not stop.is_set():
            wait = self._every
            try:
                self.step()
                self.make_snapshots()
            except (Unavailable, Conflict) as error:
                wait = back_off.next()
                log.warning("timers_wait", reason=str(error), seconds=round(wait, 3), failures=back_off.failures)
            else:
                back_off.reset()
            stop.wait(wait)

    def step(self) -> int:
        """Do all that is due by now; how many accounts that were."""
        with self._ledger.database.reading() as transaction:
            if is_sandbox(transaction) and clock_is_set(transaction):
                return 0
            now = self._ledger.clock_in(transaction)()
        if self._monotonic() >= self._try_again_at:
            self._failing.clear()
        before = set(self._failing)
        done = do_due_work(self._ledger, now, self._failing)
        for account in sorted(self._failing.keys() - before):
            self._try_again_at = self._monotonic() + FAILING_REST_SECONDS
            log.error("due_work_failed", account=account, reason=reason_of(self._failing[account]))
        if done:
            log.info("due_work_done", accounts=done)
            self._recorded()
        return done

    def make_snapshots(self) -> int:
        """Make snapshots that were noted as wanted, of a limited number of events; how many."""
        snapshots = self._ledger.account_snapshots
        made, left = 0, SNAPSHOT_EVENTS
        while left > 0 and (account := snapshots.next_wanted()) is not None:
            try:
                left -= snapshots.make(self._ledger.database, account)
                made += 1
            except (Unavailable, Conflict):
                raise
            except Exception as error:  # whatever it is, the account goes on without one
                log.error("snapshot_not_made", account=account, reason=reason_of(error))  # noqa: TRY400
        return made
