"""`POST /events`: upstream's messages over HTTP, one in either content mode, or many, each judged by itself.

They come in as from Kafka: the same reader, the same inbox, a dead letter for each that is refused; and what keeps
failing is set aside, so that it stops nothing else. Whatever was answered, a request may be sent again as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from consumers.apart import take_apart
from consumers.upstream import Unreadable, read_binary, read_structured
from consumers.upstream.cloudevents import BATCH, STRUCTURED, headers_over_http, media_type_of, split_batch
from ledger.application.statement import Became, Refusal, Statement, Taken
from ledger.store.reading.shards import shard_ends
from makegood.access.caller import Caller
from makegood.api.guard import CHANNEL, Guarded, TheHouse, allowed
from makegood.api.problems import INVALID, MEDIA, TOO_LARGE, UNREADABLE, Refused, WrongField, problem
from makegood.api.waiting import POSITION
from makegood.house.opening import House

MESSAGES_MAX = 1_000

events = APIRouter(tags=["Messages"], route_class=Guarded)


class Outcome(BaseModel):
    """What became of one message."""

    index: int = Field(description="Its place among those that were sent, from 0.")
    id: str | None = Field(description="Null where it has none that is an identifier.")
    outcome: Literal["accepted", "duplicate", "refused", "set aside"]
    reason: str | None = Field(description="Why it was refused.")
    field: str | None = Field(description="The field that is wrong, as a dotted path.")


class Outcomes(BaseModel):
    """What became of the messages."""

    read: int
    accepted: int
    duplicates: int
    refused: int
    set_aside: int
    outcomes: list[Outcome] = Field(description="One for each message, in order.")


_POSITION = {
    POSITION: {
        "description": "All of it stands before this position or at it; a read that sends it as Makegood-Wait-For "
        "shows what was written.",
        "schema": {"type": "string"},
    }
}
_CLOUD_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "maxLength": 128},
        "source": {"type": "string", "maxLength": 128},
        "type": {"type": "string"},
        "subject": {"type": "string", "maxLength": 128, "description": "The account."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string"},
        "data": {"type": "object"},
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
_BODIES = {
    "requestBody": {
        "required": True,
        "description": "One CloudEvent in structured mode; up to 1,000 in batch mode; or, with `ce-` headers, the "
        "data of one in binary mode.",
        "content": {
            STRUCTURED: {"schema": _CLOUD_EVENT},
            BATCH: {"schema": {"type": "array", "maxItems": MESSAGES_MAX, "items": _CLOUD_EVENT}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


async def _body(request: Request) -> bytes:
    return await request.body()


@events.post(
    "/events",
    summary="Send upstream's messages",
    openapi_extra=_BODIES,
    responses={200: {"model": Outcomes, "description": "What became of each message.", "headers": _POSITION}},
)
def publish(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("events.publish")],
    body: Annotated[bytes, Depends(_body)],
) -> Response:
    """Each is judged by itself: accepted, a duplicate, or refused and kept as a dead letter; the others go on. One
    that Makegood itself fails at is set aside, to be taken in when what failed is mended: it need not be sent again.

    Where one message is sent alone and refused, the answer is a problem of 422 with its `outcome` in it.

    After an answer of 5xx it may be sent again as it is: what was recorded is then a duplicate.
    """
    items = [_said_by(caller, item) for item in _read(request, body, f"http:{caller.principal}")]
    taken = Taken()
    take_apart(house.ledger, items, taken)
    request.app.state.recorded()
    outcomes = [
        _outcome(index, item, became) for index, (item, became) in enumerate(zip(items, taken.each, strict=True))
    ]
    return _answer(request, outcomes, taken, _media_type(request) == BATCH, _position(house))


def _read(request: Request, body: bytes, origin: str) -> Sequence[Statement | Refusal]:
    """The messages of a request in the mode that it is in. Raises Refused where it is in none."""
    media_type = _media_type(request)
    if media_type == STRUCTURED:
        return [read_structured(body, origin=origin, channel=CHANNEL)]
    if media_type == BATCH:
        return [read_structured(each, origin=origin, channel=CHANNEL) for each in _members(body)]
    headers = headers_over_http(request.headers.raw)
    if not headers or media_type.startswith("application/cloudevents"):
        raise Refused(
            MEDIA,
            f"send {STRUCTURED} for one message, {BATCH} for many, or ce- headers with the data in JSON as the body",
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
        raise Refused(TOO_LARGE, f"send at most {MESSAGES_MAX} messages at once")
    return members


def _said_by(caller: Caller, item: Statement | Refusal) -> Statement | Refusal:
    """Who sent it is proven here; which system it speaks for stays in the message."""
    return replace(item, actor=caller.principal) if isinstance(item, Statement) else item


def _outcome(index: int, item: Statement | Refusal, became: Became) -> Outcome:
    if isinstance(became, Refusal):
        return Outcome(index=index, id=became.message_id, outcome="refused", reason=became.reason, field=became.field)
    message_id = item.message.id if isinstance(item, Statement) else item.message_id
    return Outcome(index=index, id=message_id, outcome=became, reason=None, field=None)


def _position(house: House) -> str:
    with house.database.reading() as transaction:
        return str(shard_ends(transaction))


def _answer(request: Request, outcomes: list[Outcome], taken: Taken, batch: bool, position: str) -> Response:
    headers = {POSITION: position}
    if not batch and taken.refused:
        [outcome] = outcomes
        wrong = [WrongField(field=outcome.field or "body", reason=outcome.reason or "")]
        detail = "the message is refused, and kept as a dead letter: correct what `errors` names, and send it anew"
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
