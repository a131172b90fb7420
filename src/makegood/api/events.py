"""`POST /events`: upstream's messages over HTTP, one in either content mode, or many, each judged by itself.

They come in as from Kafka: the same reader, the same inbox, a dead letter for each that is refused; and what keeps
failing is set aside, so that it stops nothing else. Whatever was answered, a request may be sent again as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from consumers.apart import take_apart
from consumers.upstream import Unreadable, read_binary, read_structured
from consumers.upstream.cloudevents import BATCH, STRUCTURED, headers_over_http, media_type_of, split_batch
from ledger.application.shards import Shards
from ledger.application.statement import Became, Refusal, Statement, Taken
from makegood.access.caller import Caller
from makegood.acts.refused import WrongField
from makegood.answers.caught_up import end_of
from makegood.api.guard import CHANNEL, Guarded, TheHouse, allowed
from makegood.api.problems import INVALID, MEDIA, TOO_LARGE, UNREADABLE, Refused, problem
from makegood.api.wait_for import POSITION
from makegood.house.opening import House

MESSAGES_MAX = 1_000

events = APIRouter(tags=["Messages"], route_class=Guarded)


class Outcome(BaseModel):
    """The outcome of one message."""

    index: int = Field(description="The position of the message in the request, from 0.")
    id: str | None = Field(description="The message's id; null where it has no valid one.")
    outcome: Literal["accepted", "duplicate", "refused", "set aside"]
    reason: str | None = Field(description="The reason for a refusal.")
    field: str | None = Field(description="The invalid field, as a dotted path.")


class Outcomes(BaseModel):
    """The outcomes of all messages of a request."""

    read: int
    accepted: int
    duplicates: int
    refused: int
    set_aside: int
    outcomes: list[Outcome] = Field(description="One outcome for each message, in order.")


_POSITION = {
    POSITION: {
        "description": "A position not before the last event written; a read that sends it in Makegood-Wait-For "
        "includes this write.",
        "schema": {"type": "string"},
    }
}
_CLOUD_EVENT = {
    "description": "A CloudEvent in structured mode; docs/contract/schemas has a schema for each type.",
    "type": "object",
    "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "maxLength": 128},
        "source": {"type": "string", "maxLength": 128},
        "type": {"type": "string"},
        "subject": {"type": "string", "maxLength": 128, "description": "The account id."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string"},
        "data": {"$ref": "#/components/schemas/CloudEventData"},
    },
    "examples": [
        {
            "specversion": "1.0",
            "id": "4711",
            "source": "/billing/eu-1",
            "type": "voip.payment.captured.v1",
            "subject": "acct-0006",
            "time": "2026-03-01T09:30:00Z",
            "data": {
                "payment_id": "pay-1",
                "invoice_id": "inv-1",
                "amount": "36.89",
                "currency": "EUR",
                "method": "card",
            },
        }
    ],
}
SCHEMAS = {
    "CloudEvent": _CLOUD_EVENT,
    "CloudEventBatch": {
        "description": "CloudEvents in batch mode.",
        "type": "array",
        "maxItems": MESSAGES_MAX,
        "items": {"$ref": "#/components/schemas/CloudEvent"},
    },
    "CloudEventData": {
        "description": "The data of a CloudEvent: in binary mode the whole body.",
        "type": "object",
        "additionalProperties": True,
    },
}
"""The bodies by the names that the API's description gives them: generators make a class of each."""

_ATTRIBUTES = {
    "specversion": "In binary mode: 1.0.",
    "id": "In binary mode: the id of the message.",
    "source": "In binary mode: the sending system.",
    "type": "In binary mode: the type of the message.",
    "subject": "In binary mode: the account id.",
    "time": "In binary mode: the instant at which upstream recorded the message, in RFC 3339.",
}
_ONE: dict[str, Any] = {
    "parameters": [
        {"name": f"ce-{name}", "in": "header", "required": False, "description": said, "schema": {"type": "string"}}
        for name, said in _ATTRIBUTES.items()
    ],
    "requestBody": {
        "required": True,
        "description": "One CloudEvent in structured mode, or the data of one in binary mode, with `ce-` headers. "
        f"Several in batch mode ({BATCH}) are taken here too.",
        "content": {
            STRUCTURED: {"schema": {"$ref": "#/components/schemas/CloudEvent"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/CloudEventData"}},
        },
    },
}
_MANY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"Up to {MESSAGES_MAX:,} CloudEvents in batch mode.",
        "content": {BATCH: {"schema": {"$ref": "#/components/schemas/CloudEventBatch"}}},
    }
}


async def _body(request: Request) -> bytes:
    return await request.body()


@events.post(
    "/events",
    summary="Send upstream messages",
    openapi_extra=_ONE,
    responses={200: {"model": Outcomes, "description": "The outcome of each message", "headers": _POSITION}},
)
def publish(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("events.publish")],
    body: Annotated[bytes, Depends(_body)],
) -> Response:
    """Each message is accepted, recognised as a duplicate, or refused and kept as a dead letter, independently of the
    others. A message that fails because of an error in Makegood is set aside and replayed after the repair; do not
    send it again.

    A single message that is refused is answered with a problem of status 422, with its `outcome`.

    After a 5xx answer, send the same request again: messages already recorded are duplicates.
    """
    return _taken(request, house, caller, body)


# Generators of clients cannot tell an array from an object where one operation takes either.
@events.post(
    "/events/batch",
    summary="Send upstream messages in batch mode",
    openapi_extra=_MANY,
    responses={200: {"model": Outcomes, "description": "The outcome of each message", "headers": _POSITION}},
)
def publish_batch(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("events.publish")],
    body: Annotated[bytes, Depends(_body)],
) -> Response:
    """Takes several messages, each with an outcome of its own, as `POST /events` does in batch mode."""
    if _media_type(request) != BATCH:
        raise Refused(MEDIA, f"send an array of messages as {BATCH}")
    return _taken(request, house, caller, body)


def _taken(request: Request, house: House, caller: Caller, body: bytes) -> Response:
    items = [_said_by(caller, item) for item in _read(request, body, f"http:{caller.principal}")]
    taken, every = Taken(), house.every
    written = take_apart(Shards([each.ledger for each in every]), items, taken)
    request.app.state.recorded()
    outcomes = [
        _outcome(index, item, became) for index, (item, became) in enumerate(zip(items, taken.each, strict=True))
    ]
    return _answer(
        request, outcomes, taken, _media_type(request) == BATCH, str(end_of(every[number] for number in written))
    )


def _read(request: Request, body: bytes, origin: str) -> Sequence[Statement | Refusal]:
    """The messages of a request, in its content mode. Raises Refused for an unknown one."""
    media_type = _media_type(request)
    if media_type == STRUCTURED:
        return [read_structured(body, origin=origin, channel=CHANNEL)]
    if media_type == BATCH:
        return [read_structured(each, origin=origin, channel=CHANNEL) for each in _members(body)]
    headers = headers_over_http(request.headers.raw)
    if not headers or media_type.startswith("application/cloudevents"):
        raise Refused(
            MEDIA,
            f"send {STRUCTURED} for one message, {BATCH} for several, or ce- headers with JSON data as the body",
        )
    return [read_binary(headers, body, origin=origin, channel=CHANNEL)]


def _media_type(request: Request) -> str:
    return media_type_of(request.headers.get("content-type", "").encode("latin-1"))


def _members(body: bytes) -> list[bytes]:
    try:
        members = split_batch(body)
    except Unreadable as unreadable:
        raise Refused(UNREADABLE, unreadable.finding.reason) from None
    if len(members) > MESSAGES_MAX:
        raise Refused(TOO_LARGE, f"send at most {MESSAGES_MAX} messages in one request")
    return members


def _said_by(caller: Caller, item: Statement | Refusal) -> Statement | Refusal:
    """The message with its proven sender as actor; its source, the system it speaks for, stays as sent."""
    return replace(item, actor=caller.principal) if isinstance(item, Statement) else item


def _outcome(index: int, item: Statement | Refusal, became: Became) -> Outcome:
    if isinstance(became, Refusal):
        return Outcome(index=index, id=became.message_id, outcome="refused", reason=became.reason, field=became.field)
    message_id = item.message.id if isinstance(item, Statement) else item.message_id
    return Outcome(index=index, id=message_id, outcome=became, reason=None, field=None)


def _answer(request: Request, outcomes: list[Outcome], taken: Taken, batch: bool, position: str) -> Response:
    headers = {POSITION: position}
    if not batch and taken.refused:
        [outcome] = outcomes
        wrong = [WrongField(field=outcome.field or "body", reason=outcome.reason or "")]
        detail = "the message was refused and kept as a dead letter: correct the field in `errors`, and send it again"
        return problem(request.url.path, Refused(INVALID, detail, wrong, headers), {"outcome": outcome.model_dump()})
    content = Outcomes(
        read=taken.read,
        accepted=taken.accepted,
        duplicates=taken.duplicates,
        refused=len(taken.refused),
        set_aside=taken.set_aside,
        outcomes=outcomes,
    )
    return JSONResponse(content.model_dump(), headers=headers)
