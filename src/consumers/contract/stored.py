"""The JSON Schemas of what is published on Kafka: all stored events, as stored, and dead letters (contract §1a)."""

from __future__ import annotations

from consumers.contract.json_schema import Schema, SchemaFile, published, running_text, schema_of
from consumers.upstream.fields import IDENTIFIER_SCHEMA
from ledger.events import STORED_TYPES, LedgerEvent

_TEXT_OR_NULL = ["string", "null"]

_ENVELOPE: dict[str, Schema] = {
    "type": {"description": "The stored type: the name of the event and the version of its schema."},
    "account": {"description": "The account id; `system` for events that belong to no account."},
    "stream": {"description": "The stream of the aggregate that recorded the event."},
    "stream_version": {"description": "The event's number in the stream, from 1.", "minimum": 1},
    "event_id": {"description": "The event's id, derived from its content or its message."},
    "correlation_id": {"description": "The id shared by all events that one message led to."},
    "causation_id": {"description": "The event that led to this one; null where no recorded event did."},
    "actor": {"description": "The person or system that sent or decided it."},
    "channel": {"description": "The channel through which it came in."},
    "traceparent": {"description": "The message's trace, in the format of W3C Trace Context."},
    "occurred_at": {"description": "The instant at which it became true."},
    "recorded_at": {"description": "The instant at which the ledger recorded it."},
    "previous": {
        "description": "The RFC 6962 leaf hash of the account's previous event; null for its first.",
        "pattern": "^[0-9a-f]{64}$",
    },
    "data": {},
}
"""The descriptions of the envelope's fields."""


def stored_schemas() -> dict[str, SchemaFile]:
    """The schema of every event as it is stored and published, by its stored type."""
    return {type_: _of_event(event) for type_, event in sorted(STORED_TYPES.items())}


def _of_event(event: type[LedgerEvent]) -> SchemaFile:
    schema = schema_of(event, "serialization")
    for name, said in _ENVELOPE.items():
        schema["properties"][name].update(said)
    schema["properties"]["type"]["const"] = event.stored_as
    schema["description"] = running_text(event.__doc__ or "")
    return published(event.stored_as, "schemas/stored", {"title": event.stored_as, **schema})


def dead_letter_schema() -> SchemaFile:
    """The schema of a published dead letter: everything but the body, which may hold personal data."""
    properties: dict[str, Schema] = {
        "dead_letter_id": {"description": "The dead letter's id.", "type": "string"},
        "id": _identifier_or_null("The message's id; null where it is not a valid identifier."),
        "source": _identifier_or_null("The message's source; null where it is not a valid identifier."),
        "account": _identifier_or_null("The message's subject; null where it is not a valid account id."),
        "reason": {"description": "The reason for the refusal; it quotes nothing of the message.", "type": "string"},
        "field": {
            "description": "The invalid field, as a dotted path; null for the whole message.",
            "type": _TEXT_OR_NULL,
        },
        "origin": {"description": "The origin of the message: a topic's record, a file's line.", "type": "string"},
        "refused_at": {"description": "The instant of the refusal.", "type": "string", "format": "date-time"},
    }
    return published(
        "dead-letter",
        "schemas",
        {
            "title": "dead-letter",
            "description": "A refused upstream message, without its body. The body is kept in the "
            "vault: `makegood dead-letters show` shows it, and `makegood dead-letters replay` submits it again.",
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    )


def _identifier_or_null(description: str) -> Schema:
    return {**IDENTIFIER_SCHEMA, "type": _TEXT_OR_NULL, "description": description}
