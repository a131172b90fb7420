"""Stories are told at the command line, on each kind of store, with a payment processor that reads its topic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consumers.kafka.cluster import Cluster
from consumers.kafka.in_process import InProcessBroker
from consumers.kafka.topics import REFUND_REQUESTS, TOPICS
from consumers.payouts.asking import Payouts
from consumers.payouts.request_topic import RequestTopic
from makegood.house.logs import configure_logs
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import Door, door, lines, sandbox, store
from tests.ledger.messages import Message, Upstream

__all__ = ["door", "lines", "sandbox", "store"]

Lines = Callable[..., str]


class Finance:
    """A provider's finance department at work on one customer's account, `acct-1`, by commands."""

    def __init__(self, door: Door, lines: Lines, cluster: Cluster) -> None:
        self.door = door
        self.customer = Upstream()
        self._lines = lines
        self._cluster = cluster
        self._known: set[str] = set()

    def hears(self, *messages: Message) -> None:
        """Upstream publishes messages."""
        assert self.door.json("ingest", self._lines(*messages))["refused"] == []

    def waits_until(self, instant: str) -> None:
        self.door("advance", instant)

    def refunds(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.door.json("refunds")
        return found

    def refund(self, refund_id: str) -> dict[str, Any]:
        return next(row for row in self.refunds() if row["refund_id"] == refund_id)

    def statuses(self) -> dict[str, tuple[str, str]]:
        """Each refund's status and total."""
        return {row["refund_id"]: (row["status"], row["total"]) for row in self.refunds()}

    def credits(self) -> dict[str, str]:
        """What is left of each credit."""
        return {row["credit_id"]: row["left"] for row in self.door.json("credits")}

    def approves(self, refund_id: str, *, seen: str | None = None, exits: int = 0) -> None:
        seen = seen or self.refund(refund_id)["proposal"]
        self.door("refund", "approve", refund_id, "--as", "anna", "--seen", seen, exits=exits)

    def pays_out(self) -> list[dict[str, Any]]:
        """The part `payouts` does its work; the requests that the payment processor has not seen before."""
        configure_logs("error")
        with open_house(Settings(store=self.door.store)) as house:
            part = Payouts(house.ledger, RequestTopic(house.database, self._cluster))
            try:
                while part.step():
                    pass
            finally:
                part.forget()
            house.projections.catch_up()
        new = []
        for record in self._cluster.last_records(REFUND_REQUESTS.name, 100):
            event = json.loads(record.value or b"")
            if event["id"] not in self._known:
                self._known.add(event["id"])
                new.append(event["data"])
        return new

    def is_in_order(self) -> None:
        """The books keep their laws, and what is owed foots."""
        assert self.door.json("check")["broken"] == []
        self.door("rebuild", "--compare-only")


@pytest.fixture
def finance(sandbox: Door, lines: Lines) -> Iterator[Finance]:
    with InProcessBroker() as broker:
        cluster = broker.cluster()
        cluster.create_topics(TOPICS)
        sandbox("advance", "2026-04-01T09:00:00Z")
        yield Finance(sandbox, lines, cluster)
