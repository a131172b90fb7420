"""Refund requests as they stand on their topic: CloudEvents in structured mode (contract §3b)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from consumers.ahead import Carried
from consumers.kafka.records import Headers, Outgoing, Record
from ledger.events import RefundSubmitted, RequestFound
from ledger.refund_requests import RefundRequest, request_of
from ledger.store.positions import event_sequence
from ledger.store.reading.events import StoredEnvelope
from ledger.values import instant_to_text

TYPE = "makegood.refund.requested.v1"


def as_record(request: RefundRequest, topic: str, place: Headers) -> Outgoing:
    """The record that asks for a refund; `place` are the headers that say where it was submitted."""
    headers = (("content-type", b"application/cloudevents+json"), *place)
    return Outgoing(topic, request.account_id.encode(), to_json(cloud_event(request)), headers)


def cloud_event(request: RefundRequest) -> Mapping[str, Any]:
    """What a record says. Its id and its data are the same whenever it is made."""
    return {
        "specversion": "1.0",
        "id": request.request_id,
        "source": "/makegood",
        "type": TYPE,
        "subject": request.account_id,
        "time": instant_to_text(request.submitted_at),
        "datacontenttype": "application/json",
        "data": {
            "account_id": request.account_id,
            "refund_id": request.refund_id,
            "attempt": request.attempt,
            "claim_id": request.claim_id,
            "amount": str(request.amount),
            "currency": request.currency,
            "approved_by": request.approved_by,
            "returns": [
                {
                    "return_id": each.return_id,
                    "payment_id": each.payment_id,
                    "method": each.method,
                    "amount": str(each.amount),
                }
                for each in request.returns
            ],
        },
    }


def said_in(record: Record) -> Mapping[str, Any] | None:
    """The data of a record of ours; None where somebody else wrote it."""
    try:
        said = json.loads(record.value or b"")
    except ValueError:
        return None
    data = said.get("data") if isinstance(said, dict) and said.get("type") == TYPE else None
    return data if isinstance(data, dict) else None


def key_in(record: Record) -> tuple[str, str, int] | None:
    """By what the request in a record is known: account, refund and attempt; None where it is none of ours."""
    found = request_in(record)
    return (found.account_id, found.refund_id, found.attempt) if found is not None else None


def request_in(record: Record) -> RequestFound | None:
    """The refund that a record of ours asks for; None where it is none of ours."""
    said = said_in(record) or {}
    try:
        return RequestFound.model_validate_json(to_json({name: said[name] for name in RequestFound.model_fields}))
    except (ValueError, KeyError, TypeError):
        return None


def requests_carried(topic: str) -> Carried:
    """The topic of refund requests, each of which follows from one event."""
    return Carried(topic, event_sequence, divided=False, stands_for=_stands_for)


def _stands_for(record: Record, stored: StoredEnvelope) -> bool:
    """Whether a record is the request that follows from an event."""
    if stored.type != RefundSubmitted.stored_as:
        return False
    event = stored.event()
    return isinstance(event, RefundSubmitted) and said_in(record) == cloud_event(request_of(event))["data"]
