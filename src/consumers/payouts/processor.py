"""The port to a payment processor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from consumers.part import Explained
from ledger.refund_requests import RefundRequest


class ProcessorUnavailable(Explained):
    """The processor cannot be reached, or did not confirm that it has what was requested: try again."""


class Processor(Protocol):
    """Whoever pays refunds back: it is asked for each attempt once, and answers by `voip.refund.*` messages."""

    name: str
    """By what logs call it."""
    at_once: int = 10
    """So many requests are handed over together at most."""
    settles_within: float = 10.0
    """Seconds after `request` was called after which nothing is sent any more, nor still on its way: also where the
    process was stopped meanwhile, and goes on later."""

    def check(self) -> None:
        """Raises AheadOfLedger where it was asked for what the ledger does not know, and what is passing."""

    def unasked(self, requests: Sequence[RefundRequest]) -> Sequence[RefundRequest]:
        """Those of some requests that it does not have; asked where some of them may have been sent before.

        Raises a passing error (ProcessorUnavailable, BrokerUnavailable), after which it is asked anew. By default it
        has none of them: then it must know by itself a return that it is asked for again.
        """
        return requests

    def request(self, requests: Sequence[RefundRequest]) -> None:
        """Ask for refunds, in order; it has all of them when this returns.

        Raises a passing error (ProcessorUnavailable, BrokerUnavailable), after which the same are sent again, without
        those that it has. Nothing may be sent later than `settles_within` after it was called.
        """

    def close(self) -> None:
        """Let go of connections; what was not confirmed by then is not sent any more."""
