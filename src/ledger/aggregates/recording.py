"""How an aggregate records: facts as they came, decisions with what caused them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self, TypeVar

from eventsourcing.domain import BaseAggregate
from pydantic import BaseModel

from ledger.events import FactData, LedgerEvent
from ledger.events.envelope import made_of
from ledger.events.event_ids import event_id_of, fact_event_id
from ledger.values import BEGINNING, value

E = TypeVar("E", bound=LedgerEvent)


@value
class Cause:
    """Why something is recorded: by whom, through which channel, about which instant, after which event.

    `now` is the instant that an assessment takes for the present; it is recorded with every decision.
    """

    actor: str
    channel: str
    occurred_at: datetime
    recorded_at: datetime
    now: datetime
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None

    def of(self, event: LedgerEvent) -> Cause:
        """Why what follows from an event is recorded, where the event was recorded for this cause."""
        return Cause(
            self.actor,
            self.channel,
            self.occurred_at,
            self.recorded_at,
            self.now,
            event.correlation_id,
            event.event_id,
            self.traceparent,
        )


class LedgerAggregate(BaseAggregate[str]):
    """An aggregate whose stream may begin with any fact: it exists, empty, at version 0 (facts come in any order)."""

    @classmethod
    def empty(cls, *identity: Any) -> Self:
        """The aggregate before its first event. The library's metaclass would ask for a created-event instead."""
        aggregate = object.__new__(cls)
        aggregate.__init__(*identity)  # type: ignore[misc]
        return aggregate

    def __init__(self, stream: str, account: str) -> None:
        self.__base_init__(stream, 0, BEGINNING)
        self.account = account

    def record(self, event_class: type[E], data: BaseModel, cause: Cause) -> E:
        """Trigger an event: it takes the stream's next version, is applied, and waits to be collected."""
        stream, version = self.id, self.version + 1
        event_id = fact_event_id(data) if isinstance(data, FactData) else _decision_id(stream, version)
        event = made_of(
            event_class,
            {
                "type": event_class.stored_as,
                "account": self.account,
                "stream": stream,
                "stream_version": version,
                "event_id": event_id,
                "correlation_id": cause.correlation_id or cause.causation_id or event_id,
                "causation_id": cause.causation_id,
                "actor": cause.actor,
                "channel": cause.channel,
                "traceparent": cause.traceparent,
                "occurred_at": cause.occurred_at,
                "recorded_at": cause.recorded_at,
                "previous": None,
                "data": data,
            },
        )
        self.when(event)
        self.version = version
        self.pending_events.append(event)  # type: ignore[arg-type]
        return event

    @property
    def next_decision_id(self) -> str:
        """The event id of the stream's next event, if it is a decision."""
        return _decision_id(self.id, self.version + 1)

    def collect_events(self) -> Sequence[Any]:
        """The events that were recorded since this was asked last."""
        events = [*self.pending_events]
        self.pending_events.clear()
        return events

    def when(self, event: Any) -> None:
        """What an event means to this aggregate."""
        raise NotImplementedError


def _decision_id(stream: str, version: int) -> str:
    return event_id_of("decision", stream, str(version))
