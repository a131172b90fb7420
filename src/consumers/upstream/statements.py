"""Reading upstream's messages: bytes in, a statement for the ledger or a refusal out (contract §1).

Only what one message shows by itself is judged here. Whatever the bytes are, nothing is raised; and no reason and no
field of a refusal quotes a value of the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError
from pydantic_core import to_json

from consumers.upstream.cloudevents import (
    Attributes,
    Headers,
    Received,
    binary,
    binary_as_one,
    content_mode,
    record_in,
    structured,
)
from consumers.upstream.findings import SENTENCES, Finding, Unreadable, findings
from consumers.upstream.messages import MESSAGES, MessageData
from ledger.application.statement import Refusal, Statement
from ledger.events import Message, unchecked
from ledger.values import instant_from_text, instant_to_text, is_own_name, value

_message = unchecked(Message)

_UNKNOWN_TYPE = Finding("type", "unknown message type: send a type that the contract lists, with its version")
_RESERVED_SOURCE = Finding("source", SENTENCES["reserved_source"])
_OTHER_KEY = Finding(
    "key", "the record's key differs from the message's subject: send the account id as both, or no key"
)


def read_structured(
    body: bytes, *, origin: str, channel: str, key: bytes | None = None, line: int | None = None
) -> Statement | Refusal:
    """Read a CloudEvent in structured mode: a line of a file, a request's body, a Kafka record's value."""
    return _read(lambda: structured(body), lambda: body, origin=origin, channel=channel, key=key, line=line)


def read_binary(
    headers: Headers, value: bytes | None, *, origin: str, channel: str, key: bytes | None = None
) -> Statement | Refusal:
    """Read a CloudEvent in binary mode, by the Kafka protocol binding: attributes in `ce_` headers, data as value.
    What came by the HTTP protocol binding is read so too (`cloudevents.headers_over_http`).

    The body of a refusal is the whole record as one JSON object: `headers`, `key` and `value`.
    """
    return _read(
        lambda: binary(headers, value),
        lambda: binary_as_one(headers, key, value),
        origin=origin,
        channel=channel,
        key=key,
    )


def read_kafka(headers: Headers | None, key: bytes | None, value: bytes | None, origin: str) -> Statement | Refusal:
    """Read a Kafka record in the content mode that it is written in."""
    headers = headers or ()
    try:
        mode = content_mode(headers, value)
    except Unreadable as unreadable:
        finding = unreadable.finding
        return Refusal(origin, finding.reason, finding.field, value or b"", channel="kafka")
    if mode == "binary" or value is None:
        return read_binary(headers, value, origin=origin, channel="kafka", key=key)
    return read_structured(value, origin=origin, channel="kafka", key=key)


def read_damaged(key: bytes | None, value: bytes | None, reason: str, origin: str) -> Refusal:
    """Refuse a Kafka record whose headers could not be read. What its value says by itself names the message."""
    item = read_kafka((), key, value, origin)
    if isinstance(item, Statement):
        message = item.message
        return Refusal(origin, reason, "headers", item.body(), message.id, message.source, item.account, "kafka")
    return replace(item, reason=reason, field="headers", body=binary_as_one((), key, value))


def read_act(
    body: bytes, *, actor: str, channel: str, origin: str, known: Mapping[str, type[MessageData]]
) -> Statement | Refusal:
    """Read the message that an act became, in structured mode; `actor` is who acts, proven at the door.

    `known` are the types it may be of: those of upstream and the door's own.
    """
    item = _read(lambda: structured(body), lambda: body, origin=origin, channel=channel, known=known)
    return replace(item, actor=actor) if isinstance(item, Statement) else item


def read_kept(body: bytes, *, origin: str, channel: str) -> Statement | Refusal:
    """Read what was kept of a message, in whichever content mode it came: the body of a refusal or statement."""
    record = record_in(body)
    if record is None:
        return read_structured(body, origin=origin, channel=channel)
    headers, key, value = record
    return read_binary(headers, value, origin=origin, channel=channel, key=key)


@value
class KeptContent:
    """What a kept body shows by itself: its message's type and time where they can be read, and all its errors."""

    type: str | None = None
    time: datetime | None = None
    errors: tuple[Finding, ...] = ()


def examine_kept(body: bytes) -> KeptContent:
    """Examine what was kept of a message, in whichever content mode it came. Nothing is raised."""
    record = record_in(body)
    try:
        received = structured(body) if record is None else binary(record[0], record[2])
    except Unreadable as unreadable:
        return KeptContent(errors=(unreadable.finding,))
    examined = examine(received, record[1] if record is not None else None)
    time = received.attributes.get("time")
    try:
        instant = instant_from_text(time) if isinstance(time, str) else None
    except ValueError:
        instant = None
    return KeptContent(received.identifier("type"), instant, tuple(examined) if isinstance(examined, list) else ())


def _read(
    receive: Callable[[], Received],
    body: Callable[[], bytes],
    *,
    origin: str,
    channel: str,
    key: bytes | None = None,
    line: int | None = None,
    known: Mapping[str, type[MessageData]] = MESSAGES,
) -> Statement | Refusal:
    received: Received | None = None
    try:
        received = receive()
    except Unreadable as unreadable:
        first = unreadable.finding
    else:
        examined = examine(received, key, known)
        if isinstance(examined, tuple):
            return statement(received, *examined, origin=origin, channel=channel, body=body, line=line)
        first = examined[0]
    return Refusal(
        origin=origin,
        reason=first.reason,
        field=first.field,
        body=body(),
        message_id=received.identifier("id") if received else None,
        source=received.identifier("source") if received else None,
        account=received.account if received else None,
        channel=channel,
        line=line,
    )


def examine(
    received: Received, key: bytes | None = None, known: Mapping[str, type[MessageData]] = MESSAGES
) -> tuple[Attributes, MessageData] | list[Finding]:
    """Judge a message by itself: what it says, or everything that is wrong with it, most telling first."""
    found = list(received.findings())
    attributes: Attributes | None = None
    data: MessageData | None = None
    try:
        attributes = Attributes.model_validate(received.attributes)
    except ValidationError as error:
        found.extend(findings(error))
    if key is not None and (subject := received.identifier("subject")) is not None and key != subject.encode():
        found.append(_OTHER_KEY)
    if known is MESSAGES and (source := received.identifier("source")) is not None and is_own_name(source):
        found.append(_RESERVED_SOURCE)
    kind = received.attributes.get("type")
    model = known.get(kind) if isinstance(kind, str) else None
    if isinstance(kind, str) and model is None:
        found.append(_UNKNOWN_TYPE)
    if received.data_finding is None:
        try:
            data = (model or MessageData).model_validate(received.data)
        except ValidationError as error:
            # Of a message whose type nobody knows only this can be said: whether its data is an object at all.
            found.extend(f for f in findings(error, "data") if model is not None or f.field == "data")
    if attributes is not None and data is not None:
        found.extend(data.misplaced(attributes.source, attributes.id))
    if found or attributes is None or data is None:
        return found
    return attributes, data


def statement(
    received: Received,
    attributes: Attributes,
    data: MessageData,
    *,
    origin: str,
    channel: str,
    body: Callable[[], bytes],
    line: int | None = None,
) -> Statement:
    """What the ledger takes of a message that is well-formed."""
    return Statement(
        account=attributes.subject,
        message=_message(source=attributes.source, id=attributes.id, time=attributes.time),
        fact=data.becomes,
        data=data.for_fact(),
        private=data.for_vault(),
        content=content(attributes, data),
        occurred_at=data.occurred_at(attributes.time),
        actor=attributes.source,
        channel=channel,
        origin=origin,
        body=body,
        correlation_id=received.correlation_id,
        traceparent=received.traceparent,
        line=line,
    )


def content(attributes: Attributes, data: MessageData) -> bytes:
    """By what a repetition is told from a conflict: canonical JSON of type, subject, time and what the data says.

    It is made from values, not from the bytes that came, so both content modes and all spellings of one amount or
    instant are equal. Names are sorted, and every value is a string, a truth value, or a list or an object of them:
    its digests are kept for ever, and of such values there is one compact JSON, whoever writes it (a test holds it to
    that).
    """
    return to_json(
        {
            "data": data.stated(),
            "subject": attributes.subject,
            "time": instant_to_text(attributes.time),
            "type": data.message_type,
        }
    )
