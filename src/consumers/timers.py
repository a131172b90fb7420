"""Timers: do what falls due because time has passed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from consumers.part import BackOff
from ledger.application.due_work import do_due_work
from ledger.application.ledger import Ledger
from ledger.store.database import Conflict, Unavailable

EVERY_SECONDS = 1.0
"""How often it is looked for: one indexed look is cheaper than keeping count of what else may fall due meanwhile."""

log = structlog.get_logger("makegood.timers")


class Timers:
    """The part that lets time do its work. A sandbox's clock, once set, stands still: then only `advance` does it."""

    name = "timers"

    def __init__(
        self, ledger: Ledger, *, every: float = EVERY_SECONDS, recorded: Callable[[], None] = lambda: None
    ) -> None:
        self._ledger = ledger
        self._every = every
        self._recorded = recorded

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        back_off = BackOff()
        ready()
        while not stop.is_set():
            wait = self._every
            try:
                self.step()
            except (Unavailable, Conflict) as error:
                wait = back_off.next()
                log.warning("timers_wait", reason=str(error), seconds=round(wait, 3), failures=back_off.failures)
            else:
                back_off.reset()
            stop.wait(wait)

    def step(self) -> int:
        """Do all that is due by now; how many accounts that were."""
        with self._ledger.database.reading() as transaction:
            if self._ledger.is_sandbox(transaction) and transaction.rows("SELECT 1 FROM store WHERE name = 'clock'"):
                return 0
            now = self._ledger.clock_in(transaction)()
        done = do_due_work(self._ledger, now)
        if done:
            log.info("due_work_done", accounts=done)
            self._recorded()
        return done
