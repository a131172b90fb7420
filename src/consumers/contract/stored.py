"""The JSON Schemas of what goes out on Kafka: every stored event as it is stored, and dead letters (contract §1a)."""

from __future__ import annotations

from consumers.contract.json_schema import Schema, SchemaFile, published, running_text, schema_of
from consumers.upstream.fields import IDENTIFIER_SCHEMA
from ledger.events import STORED_TYPES, LedgerEvent

_TEXT_OR_NULL = ["string", "null"]

_ENVELOPE: dict[str, Schema] = {
    "type": {"description": "The stored type: what happened, and the version of its shape."},
    "account": {"description": "The account that it concerns; what no account did is in `system`."},
    "stream": {"description": "The stream of the aggregate that recorded it."},
    "stream_version": {"description": "Its number in the stream, from 1.", "minimum": 1},
    "event_id": {"description": "What it is known by; it follows from what it stands for."},
    "correlation_id": {"description": "What all that one message led to has in common."},
    "causation_id": {"description": "The event that led to this decision; null for what nothing recorded led to."},
    "actor": {"description": "Who said or decided it."},
    "channel": {"description": "By which way it came in."},
    "traceparent": {"description": "The trace that its message belonged to, in the form of W3C Trace Context."},
    "occurred_at": {"description": "When it became true."},
    "recorded_at": {"description": "When the ledger knew."},
    "previous": {
        "description": "The RFC 6962 leaf hash of the account's previous event; null for its first.",
        "pattern": "^[0-9a-f]{64}$",
    },
    "data": {},
}
"""What is to be said of the envelope's fields beside their types."""


def stored_schemas() -> dict[str, SchemaFile]:
    """The schema of every event in the form in which it is stored and published, by its stored type."""
    return {type_: _of_event(event) for type_, event in sorted(STORED_TYPES.items())}


def _of_event(event: type[LedgerEvent]) -> SchemaFile:
    schema = schema_of(event, "serialization")
    for name, said in _ENVELOPE.items():
        schema["properties"][name].update(said)
    schema["properties"]["type"]["const"] = event.stored_as
    schema["description"] = running_text(event.__doc__ or "")
    return published(event.stored_as, "schemas/stored", {"title": event.stored_as, **schema})


def dead_letter_schema() -> SchemaFile:
    """The schema of what is told of a refused message: everything but its body, which may hold personal data."""
    properties: dict[str, Schema] = {
        "dead_letter_id": {"description": "What the dead letter is known by.", "type": "string"},
        "id": _identifier_or_null("The message's id; null where it is no identifier."),
        "source": _identifier_or_null("The message's source; null where it is no identifier."),
        "account": _identifier_or_null("The message's subject; null where it can be no account."),
        "reason": {"description": "Why it was refused, in plain words that quote nothing of it.", "type": "string"},
        "field": {
            "description": "Which field the reason is about, as a dotted path; null for the whole message.",
            "type": _TEXT_OR_NULL,
        },
        "origin": {"description": "Where it came in: a record of a topic, a line of a file.", "type": "string"},
        "refused_at": {"description": "When it was refused.", "type": "string", "format": "date-time"},
    }
    return published(
        "dead-letter",
        "schemas",
        {
            "title": "dead-letter",
            "description": "A message of upstream's that was refused, without its body. The body is kept in the "
            "vault: `makegood dead-letters show` shows it, and `makegood dead-letters replay` takes it in again.",
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    )


def _identifier_or_null(description: str) -> Schema:
    return {**IDENTIFIER_SCHEMA, "type": _TEXT_OR_NULL, "description": description}
