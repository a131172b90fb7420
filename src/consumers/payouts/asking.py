"""The part `payouts`: submits what may go out, and asks a payment processor for each attempt once (decision 0036)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from consumers.carrying import LEASE_SECONDS, Batch, Carrier, Lane
from consumers.payouts.processor import Processor, ProcessorUnavailable
from ledger.application.ledger import Ledger
from ledger.application.payouts import submit_approved
from ledger.events import RefundSubmitted
from ledger.refund_requests import RefundRequest, request_of
from ledger.store.database import Transaction
from ledger.store.positions import numbered
from ledger.store.reading.events import read_shard
from ledger.store.reading.found_requests import requests_found

BATCH_MAX = 1_000
"""So many events are looked at together."""
AGAIN_AFTER, AGAIN_BY_ITSELF_AFTER = 1.0, 10.0
"""Seconds between two looks at what is approved: where anything was recorded meanwhile, and where nothing was."""


class RequestLane(Lane[RefundRequest]):
    """The requests that follow from the events of one shard, without those of a history that was given up: whatever
    is submitted now under the same name, its money is on its way, and the answer says how much it was.
    """

    rests = 0.25

    def __init__(self, name: str, shard: int, at_once: int) -> None:
        super().__init__(name, shard)
        self._at_once = at_once

    def after(self, transaction: Transaction, position: int, limit: int) -> Batch[RefundRequest]:
        requests: list[RefundRequest] = []
        last = position
        for stored in read_shard(transaction, self.shard, position, limit):
            if stored.type == RefundSubmitted.stored_as:
                if len(requests) == self._at_once:
                    break
                event = stored.event()
                assert isinstance(event, RefundSubmitted)
                requests.append(request_of(event))
            last = stored.position
        found = requests_found(transaction) if requests else {}
        return Batch([request for request in requests if request.key not in found], last)


class Payouts(Carrier[RequestLane, RefundRequest]):
    """The part that has refunds paid. Of several processes one works, and the others stand by.

    `recorded` is called when refunds were submitted.
    """

    name = "payouts"
    passing = (*Carrier.passing, ProcessorUnavailable)

    def __init__(
        self,
        ledger: Ledger,
        processor: Processor,
        *,
        recorded: Callable[[], None] = lambda: None,
        stands_by: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # Longer than whoever takes over has to wait by itself, or two would take over from each other for ever.
        patience = 3 * (LEASE_SECONDS + processor.settles_within) if stands_by is None else stands_by
        super().__init__(
            ledger.database,
            batch=BATCH_MAX,
            stands_by=patience,
            settles=processor.settles_within,
            monotonic=monotonic,
        )
        self._ledger = ledger
        self._processor = processor
        self._recorded = recorded
        self._looked_at: float | None = None
        """When it was looked last for what is approved; none where that is to be done at once."""
        self._went_on = False

    def step(self) -> int:
        """Ask for what was submitted, then submit what may go out: nothing is submitted that cannot be asked for."""
        went_on = super().step()
        self._went_on = self._went_on or went_on > 0
        if not self.holds_all or not self._is_time():
            return went_on
        self._looked_at, self._went_on = self._monotonic(), False
        submitted = submit_approved(self._ledger)
        if submitted:
            self._looked_at = None
            self._log.info("refunds_submitted", refunds=submitted)
            self._recorded()
        return max(went_on, submitted)

    def _is_time(self) -> bool:
        """Whether to look for what is approved: what waits is looked at in vain."""
        if self._looked_at is None:
            return True
        return self._monotonic() >= self._looked_at + (AGAIN_AFTER if self._went_on else AGAIN_BY_ITSELF_AFTER)

    def _lanes_of(self, shard: int) -> Sequence[RequestLane]:
        return (RequestLane(self._processor.name, shard, self._processor.at_once),)

    def _readers(self, lanes: Sequence[RequestLane]) -> Mapping[RequestLane, str]:
        return {lane: reader_of(lane.shard) for lane in lanes}

    def _check(self, lane: RequestLane) -> None:
        self._processor.check()

    def _missing(self, records: Sequence[RefundRequest]) -> Sequence[RefundRequest]:
        return self._processor.unasked(records)

    def _hand_over(self, records: Sequence[RefundRequest]) -> None:
        self._processor.request(records)

    def _let_go(self) -> None:
        self._processor.close()


def reader_of(shard: int) -> str:
    """Under what name the position is stored up to which a processor was asked for a shard's refunds.

    It is the same for whatever processor and whichever topic: who comes after another is asked for nothing again.
    """
    return numbered("payouts", shard, between="/")
