"""The topic of refund requests as a payment processor: whoever pays reads it (contract §3b)."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from consumers.ahead import LOOKED_AT, check_topic
from consumers.kafka.records import Record, RecordsAtEnd, Sender
from consumers.kafka.topics import REFUND_REQUESTS, Topic
from consumers.payouts.processor import Processor
from consumers.payouts.requests import as_record, key_in, requests_carried
from consumers.places import Place, is_of, place_headers, place_of
from ledger.refund_requests import RefundRequest
from ledger.store.database import Database
from ledger.store.positions import event_sequence
from ledger.store.reading.events import places_of
from ledger.store.reading.generations import generations_of
from ledger.store.reading.store import store_id

CONFIRMED_WITHIN = 5.0
"""Seconds in which the broker must confirm what is sent; the client sends nothing later than that."""
ON_ITS_WAY = 3.0
"""Seconds that what was sent last may take to the topic's end."""


class RequestCluster(RecordsAtEnd, Protocol):
    """What has to be asked of a Kafka cluster."""

    def sender(self, purpose: str, gives_up_after: float) -> Sender:
        """A new sender, whose client gives up on a record after so many seconds."""


class RequestTopic(Processor):
    """Publishes each request; what the topic has already is read at its ends."""

    at_once = LOOKED_AT // 2
    settles_within = CONFIRMED_WITHIN + ON_ITS_WAY

    def __init__(self, database: Database, cluster: RequestCluster, topic: Topic = REFUND_REQUESTS) -> None:
        self.name = topic.name
        self._database = database
        self._cluster = cluster
        self._sender: Sender | None = None

    def check(self) -> None:
        check_topic(self._database, self._cluster, requests_carried(self.name))

    def unasked(self, requests: Sequence[RefundRequest]) -> Sequence[RefundRequest]:
        store, places = self._places(requests)
        asked = self._asked_since(min(places.values()), store)
        return [request for request in requests if request.key not in asked]

    def request(self, requests: Sequence[RefundRequest]) -> None:
        deadline = time.monotonic() + CONFIRMED_WITHIN  # before all else: it may be stopped at any line
        store, places = self._places(requests)
        records = []
        for request in requests:
            place = places[request.event_id]
            headers = place_headers(store, place.at, place.generation)
            records.append(as_record(request, self.name, headers))
        if self._sender is None:
            self._sender = self._cluster.sender("payouts", CONFIRMED_WITHIN)
        self._sender.send(records, deadline)

    def close(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def _places(self, requests: Sequence[RefundRequest]) -> tuple[bytes, dict[str, Place]]:
        """Of which store the requests are, and where each was submitted, by the event's id."""
        with self._database.reading() as transaction:
            places = places_of(transaction, [request.event_id for request in requests])
            generations = {
                shard: generations_of(transaction, event_sequence(shard))
                for shard in {at.shard for at in places.values()}
            }
            store = store_id(transaction).encode()
        return store, {
            event_id: Place(generations[at.shard].of(at.position), at.shard, at.position)
            for event_id, at in places.items()
        }

    def _asked_since(self, first: Place, store: bytes) -> set[tuple[str, str, int]]:
        """What the topic has from a place on, and what of an earlier history is among it.

        Of each partition as much is read as shows a record from before that place, or all that we wrote.
        """
        limit = LOOKED_AT
        while True:
            ends: dict[int, list[Record]] = defaultdict(list)
            for record in self._cluster.last_records(self.name, limit, only=partial(is_of, store)):
                ends[record.partition.number].append(record)
            if all(len(end) < limit or any(_is_before(r, first) for r in end) for end in ends.values()):
                return {key for end in ends.values() for record in end if (key := key_in(record)) is not None}
            limit *= 8


def _is_before(record: Record, first: Place) -> bool:
    place = place_of(record)
    return place is not None and place.shard == first.shard and place < first
