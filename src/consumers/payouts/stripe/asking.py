"""Stripe is asked for returns, from a queue, until it says what became of each.

A request for a refund puts its returns into the queue, in one transaction, and that is all it waits for. From there
each return is claimed, asked for under its own id as idempotency key, and its outcome recorded as a message, which
the inbox knows. Who dies in between leaves a claim that runs out: then the same is asked under the same key. What
Stripe cannot answer now waits for its next attempt by itself, and keeps no other return waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from consumers.part import BackOff, reason_of
from consumers.payouts.processor import ProcessorUnavailable
from consumers.payouts.stripe.amounts import NotStatable, in_minor_units
from consumers.payouts.stripe.client import Asked, Passing, Refused, StripeClient, takes
from consumers.payouts.stripe.words import StripeRefund, Unknown, refusal, word
from ledger.application.ledger import Ledger
from ledger.application.record import take
from ledger.application.statement import Refusal, Statement
from ledger.refund_requests import RefundRequest
from ledger.store.asked_returns import (
    claim_returns,
    count_as_answered,
    keep_under_way,
    put_back,
    queue_returns,
)
from ledger.store.database import Conflict, Transaction, Unavailable
from ledger.store.reading.asked_returns import AskedReturn, returns_due

T = TypeVar("T")

AT_ONCE = 8
"""So many returns are asked for at the same time; Stripe answers some 100 requests a second."""
LEASE_SECONDS = 300.0
"""How long whoever claimed a return may take; far longer than Stripe may."""
RETRY_FIRST, RETRY_MOST = 2.0, 3600.0
"""Seconds until a return that Stripe could not answer is asked for again: at first, and in the end."""
REST_FIRST, REST_MOST = 1.0, 60.0
"""Seconds that all returns wait where Stripe cannot be asked at all."""
LOOK_AGAIN_SECONDS = 6 * 3600.0
"""After so long Stripe is asked what became of a refund that was under way: a webhook may have been lost."""
IDLE_SECONDS = 1.0

log = structlog.get_logger("makegood.stripe")


class StripeReturns:
    """The processor Stripe, and the part that asks it. Several may run on one store.

    `clock` is the world's time, by which the queue waits, whatever a sandbox's clock says.
    """

    name = "stripe"
    at_once = 100
    settles_within = 0.0
    """Nothing is sent by `request`, which only writes to the store: what is sent later is known by its key."""

    def __init__(
        self,
        ledger: Ledger,
        client: StripeClient,
        *,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        lease: float = LEASE_SECONDS,
        retry_first: float = RETRY_FIRST,
        rest_first: float = REST_FIRST,
        look_again: float = LOOK_AGAIN_SECONDS,
        idle: float = IDLE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._clock = clock
        self._jitter = jitter
        self._lease = timedelta(seconds=lease)
        self._retry_first = retry_first
        self._look_again = timedelta(seconds=look_again)
        self._idle = idle
        self._monotonic = monotonic
        self._recorded = recorded
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._rest = BackOff(rest_first, REST_MOST, jitter)
        self._rests_until = 0.0

    # --- being asked ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Whatever Stripe was asked for, it is found there again (`StripeClient.find`)."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def unasked(self, requests: Sequence[RefundRequest]) -> Sequence[RefundRequest]:
        """All of them: the queue knows a return that is already in it."""
        return requests

    def request(self, requests: Sequence[RefundRequest]) -> None:
        """Put the returns of requests into the queue. Raises ProcessorUnavailable, after which to ask again."""
        now = self._clock()
        returns = [
            AskedReturn(
                return_id=each.return_id,
                account=request.account_id,
                refund_id=request.refund_id,
                payment_id=each.payment_id,
                amount=each.amount,
                currency=request.currency,
                queued_at=now,
            )
            for request in requests
            for each in request.returns
        ]
        try:
            with self._ledger.database.writing() as transaction:
                new = queue_returns(transaction, returns)
        except (Unavailable, Conflict) as error:
            raise ProcessorUnavailable(str(error)) from None
        if new:
            log.info("returns_queued", returns=new)
            self._woken.set()

    # --- asking --------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Ask for what is in the queue until `stop` is set."""
        back_off = BackOff()
        self._stop = stop
        ready()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=self.name) as threads:
            while not stop.is_set():
                try:
                    done = self.ask(threads)
                except (Unavailable, Conflict) as error:
                    wait = back_off.next()
                    log.warning("stripe_waits", reason=str(error), seconds=round(wait, 3), failures=back_off.failures)
                    stop.wait(wait)
                    continue
                back_off.reset()
                if not done:
                    self._woken.wait(self._idle)
                    self._woken.clear()

    def ask(self, threads: ThreadPoolExecutor) -> int:
        """Ask for the returns whose time has come, several at once; how many those were.

        Raises Unavailable and Conflict where the store could not be used; what was claimed is then asked for again.
        """
        if self._monotonic() < self._rests_until:
            return 0
        now = self._clock()
        with self._ledger.database.reading() as transaction:
            if not returns_due(transaction, now, 1):
                return 0
        with self._ledger.database.writing() as transaction:
            claimed = claim_returns(transaction, now, now + self._lease, AT_ONCE)
        served = list(threads.map(self._serve, claimed))
        if served and not any(served):
            wait = self._rest.next()
            self._rests_until = self._monotonic() + wait
            log.warning("stripe_cannot_be_asked", seconds=round(wait, 3), failures=self._rest.failures)
        elif served:
            self._rest.reset()
        return len(claimed)

    def _serve(self, claimed: AskedReturn) -> bool:
        """See to one return; whether Stripe could be asked at all."""
        try:
            outcome = self._outcome(claimed)
            if isinstance(outcome, StripeRefund):
                self._keep_under_way(claimed, outcome)
            else:
                self._record(claimed, outcome)
        except (Unavailable, Conflict):
            raise
        except _Stopping:
            self._put_back(claimed, claimed.last_error, wait=0.0)
            return True
        except Passing as passing:
            self._put_back(claimed, passing.code)
            log.warning("return_not_taken", **_said_of(claimed), code=passing.code)
            return not passing.everybody
        except Exception as error:
            # A defect, or an answer of an unknown form: this return waits, and no other does.
            log.error("return_fails", **_said_of(claimed), reason=reason_of(error))  # noqa: TRY400
            self._put_back(claimed, "unknown_answer" if isinstance(error, Unknown) else "failed")
        return True

    def _outcome(self, claimed: AskedReturn) -> Statement | Refusal | StripeRefund:
        """A message that says what became of a return, or its refund under way. Raises what `_serve` catches."""
        try:
            if claimed.reference is not None:
                return self._said(claimed, self._look_at(claimed.reference), self._clock())
            asked = self._asked(claimed)
            self._go_on()
            found = self._client.find(asked)
            self._go_on()
            refund = found or self._client.create(asked)
            return self._said(claimed, refund, refund.created)
        except (NotStatable, Refused) as error:
            log.warning("return_refused", **_said_of(claimed))
            return refusal(claimed.account, claimed.return_id, str(error), self._clock())

    def _look_at(self, reference: str) -> StripeRefund:
        """A refund that Stripe had under way. Raises Unknown where it has none any more, which says nothing of it."""
        try:
            return self._client.look_at(reference)
        except Refused:
            raise Unknown(f"Stripe does not find {reference}: see whether the key is of the same account") from None

    def _go_on(self) -> None:
        """Raises _Stopping where the part is to end: it could not wait for one more answer."""
        if self._stop.is_set():
            raise _Stopping

    def _asked(self, claimed: AskedReturn) -> Asked:
        """What Stripe is asked for. Raises NotStatable and Refused where there is nothing to ask for, and Passing."""
        if not takes(claimed.payment_id):
            raise Refused(
                f"payment {claimed.payment_id} is none of Stripe's, whose ids begin with pi_, ch_ or py_: return the "
                "money by the way it came, and report it, or turn the refund into credit"
            )
        amount = in_minor_units(claimed.amount, claimed.currency)
        currency = self._client.currency_of(claimed.payment_id)
        if currency != claimed.currency:
            raise Refused(
                f"payment {claimed.payment_id} is in {currency} at Stripe, and {claimed.currency} is to be returned: "
                "check what was reported of the payment"
            )
        return Asked(
            claimed.return_id, claimed.account, claimed.refund_id, claimed.payment_id, amount, claimed.currency
        )

    def _said(self, claimed: AskedReturn, refund: StripeRefund, at: datetime) -> Statement | Refusal | StripeRefund:
        ours = replace(refund, account=claimed.account, return_id=claimed.return_id)
        return word(ours, at) or ours

    # --- writing down --------------------------------------------------------------------------------------------

    def _record(self, claimed: AskedReturn, item: Statement | Refusal) -> None:
        taken = self._kept(lambda: take(self._ledger, [item]))
        self._change(lambda transaction: count_as_answered(transaction, claimed.return_id))
        if taken.refused:
            log.error("return_unrecorded", **_said_of(claimed), reason=taken.refused[0].reason)
        else:
            log.info("return_answered", **_said_of(claimed), outcome=taken.each[0])
        self._recorded()

    def _keep_under_way(self, claimed: AskedReturn, refund: StripeRefund) -> None:
        later = self._clock() + self._look_again
        self._change(lambda transaction: keep_under_way(transaction, claimed, refund.reference, later))
        log.info("return_under_way", **_said_of(claimed), reference=refund.reference)

    def _put_back(self, claimed: AskedReturn, code: str | None, wait: float | None = None) -> None:
        if wait is None:
            back_off = BackOff(self._retry_first, RETRY_MOST, self._jitter)
            back_off.failures = claimed.attempts - 1
            wait = back_off.next()
        later = self._clock() + timedelta(seconds=wait)
        self._change(lambda transaction: put_back(transaction, claimed, later, code))

    def _change(self, change: Callable[[Transaction], None]) -> None:
        def write() -> None:
            with self._ledger.database.writing() as transaction:
                change(transaction)

        self._kept(write)

    def _kept(self, write: Callable[[], T]) -> T:
        """Write what is known of a return that is ours, and do not give up while it is: it happened."""
        back_off = BackOff()
        give_up_at = self._monotonic() + self._lease.total_seconds() / 2
        while True:
            last = self._stop.is_set() or self._monotonic() >= give_up_at
            try:
                return write()
            except (Unavailable, Conflict):
                if last:
                    raise
                self._stop.wait(back_off.next())


class _Stopping(Exception):
    """The part is told to end."""


def _said_of(claimed: AskedReturn) -> dict[str, object]:
    """What a log line says of a return."""
    return {"return_id": claimed.return_id, "account": claimed.account, "attempt": claimed.attempts}
