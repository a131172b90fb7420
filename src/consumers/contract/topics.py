"""All topics for the AsyncAPI document: their direction, key and records.

A new topic in `TOPICS` needs its entry in `topic_contracts` below; a test fails until it has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from consumers.checkpoints.topic import CONTENT_TYPE as CHECKPOINT_TYPE
from consumers.contract.checkpoint_schema import checkpoint_schema
from consumers.contract.instruction_schemas import instruction_schemas
from consumers.contract.json_schema import Schema, SchemaFile
from consumers.contract.message_schemas import message_schemas
from consumers.contract.request_schema import request_schema
from consumers.contract.stored import dead_letter_schema, stored_schemas
from consumers.kafka.topics import CHECKPOINTS, DEAD_LETTERS, EVENTS, INSTRUCTIONS, REFUND_REQUESTS, UPSTREAM, Topic
from consumers.payouts.requests import TYPE
from consumers.upstream.fields import IDENTIFIER_SCHEMA


@dataclass(frozen=True, slots=True)
class Common:
    """The key, headers and media type that all records of one kind share."""

    name: str
    content_type: str
    key: Schema
    headers: Schema


@dataclass(frozen=True, slots=True)
class RecordForm:
    """One form of a topic's records. `type_header` is the header that identifies it; `within` is the part of the
    schema that describes the value, as JSON Pointer.
    """

    name: str
    summary: str
    common: Common
    payload: SchemaFile
    type_header: str | None = None
    within: str = ""


@dataclass(frozen=True, slots=True)
class TopicContract:
    """A topic, with the action of Makegood on it and the name of the operation."""

    topic: Topic
    action: Literal["receive", "send"]
    operation: str
    title: str
    description: str
    records: tuple[RecordForm, ...]


def topic_contracts() -> tuple[TopicContract, ...]:
    """One for each topic that Makegood reads or writes (contract §1, §1a)."""
    return (_upstream(), _events(), _instructions(), _refund_requests(), _dead_letters(), _checkpoints())


# --- What comes in ------------------------------------------------------------------------------------------------


def _upstream() -> TopicContract:
    key = {
        **IDENTIFIER_SCHEMA,
        "description": "The account id, as in subject, so that an account's messages stay in order. "
        "The key is optional; a key that differs from the subject is refused.",
    }
    media_type = {"type": "string", "pattern": r"^application/cloudevents\+json"}
    structured = Common("structured", "application/cloudevents+json", key, _headers({"content-type": media_type}))
    schemas = message_schemas()
    binary = Common("binary", "application/json", key, _as_headers(next(iter(schemas.values())).schema))
    records = []
    for type_, file in schemas.items():
        said = _first_sentence(file)
        records.append(RecordForm(type_, f"{said} The value is the whole event.", structured, file))
        in_headers = f"{said} The value is the data; the attributes are headers."
        records.append(RecordForm(f"{type_}.binary", in_headers, binary, file, "ce_type", "/properties/data"))
    return TopicContract(
        topic=UPSTREAM,
        action="receive",
        operation="recordFacts",
        title="Upstream messages",
        description=(
            "Facts from upstream systems, as CloudEvents 1.0 in JSON, in structured or binary mode. A record in "
            "structured mode has the header content-type: application/cloudevents+json and the whole event as its "
            "value; a JSON object without headers is read as structured. A record in binary mode has "
            "the attributes in ce_ headers and the data as its value. Messages may arrive late, repeatedly and in "
            "any order. A message that breaks its schema becomes a dead letter; all others are processed."
        ),
        records=tuple(records),
    )


def _as_headers(event: Schema) -> Schema:
    """The attributes of a CloudEvent as the headers of a record in binary mode, of whichever type it is."""
    attributes = {name: schema for name, schema in event["properties"].items() if name != "data"}
    attributes["type"] = {}
    return _headers(
        # A header is left out, and never null.
        {_header(name): {**schema, "type": "string"} for name, schema in attributes.items()},
        [_header(name) for name in event["required"] if name != "data"],
    )


def _header(attribute: str) -> str:
    return "content-type" if attribute == "datacontenttype" else f"ce_{attribute}"


# --- What goes out ------------------------------------------------------------------------------------------------


_STORE: Schema = {"description": "The id of the store that published it.", "type": "string"}


_GENERATION: Schema = {
    "description": (
        "The generation of the position. A ledger that was restored from a backup begins a new one: what an earlier "
        "generation has at its first position or beyond is given up. Absent, it is 1."
    ),
    "type": "string",
    "pattern": "^[1-9][0-9]*$",
}


def _position(description: str) -> Schema:
    return {"description": description, "type": "string", "pattern": "^[0-9]+:[1-9][0-9]*$"}


def _events() -> TopicContract:
    headers: dict[str, Schema] = {
        "store": _STORE,
        "position": _position(
            "The event's position in its shard, as shard:position. Positions have no gaps: "
            "a reader skips positions it has seen, and a gap means that an event is still to come."
        ),
        "generation": _GENERATION,
        "type": {"description": "The stored type.", "type": "string"},
        "account-version": {
            "description": "The event's number among the account's events, from 1.",
            "type": "string",
            "pattern": "^[1-9][0-9]*$",
        },
    }
    key = {"description": "The account id.", "type": "string"}
    event = Common("event", "application/json", key, _headers(headers, _without_generation(headers)))
    return TopicContract(
        topic=EVENTS,
        action="send",
        operation="publishEvents",
        title="The ledger's events",
        description=(
            "All stored events, byte for byte as stored and hashed, in the order of their positions. "
            "Each partition is a shard. After a crash an event may be published again, with the same position."
        ),
        records=tuple(
            RecordForm(type_, _first_sentence(file), event, file, "type") for type_, file in stored_schemas().items()
        ),
    )


def _dead_letters() -> TopicContract:
    file = dead_letter_schema()
    key = {"description": "The account id, if the message has a valid one; otherwise no key.", "type": "string"}
    letter = Common(
        "deadLetter",
        "application/json",
        key,
        _headers(
            {
                "content-type": {"const": "application/json"},
                "store": _STORE,
                "position": _position("The dead letter's number in its shard, as shard:position."),
                "generation": _GENERATION,
            },
            ["content-type"],
        ),
    )
    return TopicContract(
        topic=DEAD_LETTERS,
        action="send",
        operation="publishDeadLetters",
        title="Dead letters",
        description="All refused messages, with the reason and without the body, which is kept in the vault.",
        records=(RecordForm("dead-letter", _first_sentence(file), letter, file),),
    )


def _instructions() -> TopicContract:
    key = {"description": "The account id.", "type": "string"}
    headers: dict[str, Schema] = {
        "content-type": {"const": "application/cloudevents+json"},
        "store": _STORE,
        "position": _position("The position of the event that led to the instruction, as shard:position."),
        "generation": _GENERATION,
    }
    required = _without_generation(headers)
    instruction = Common("instruction", "application/cloudevents+json", key, _headers(headers, required))
    return TopicContract(
        topic=INSTRUCTIONS,
        action="send",
        operation="publishInstructions",
        title="Instructions",
        description=(
            "Instructions to billing and provisioning, in the order of the decisions. Each is delivered at least "
            "once; a repeat has the same id and content. Answer on the upstream topic, for the same "
            "account, with voip.instruction.carried_out.v1 or voip.instruction.refused.v1."
        ),
        records=tuple(
            RecordForm(str(file.schema["title"]), _first_sentence(file), instruction, file)
            for file in instruction_schemas().values()
        ),
    )


def _refund_requests() -> TopicContract:
    file = request_schema()
    key = {"description": "The account id.", "type": "string"}
    headers: dict[str, Schema] = {
        "content-type": {"const": "application/cloudevents+json"},
        "store": _STORE,
        "position": _position("The position of the submission, as shard:position."),
        "generation": _GENERATION,
    }
    request = Common("refundRequest", "application/cloudevents+json", key, _headers(headers, list(headers)))
    return TopicContract(
        topic=REFUND_REQUESTS,
        action="send",
        operation="requestRefunds",
        title="Refund requests",
        description=(
            "Requests to a payment processor, one for each attempt of each refund. A request is known by account_id, "
            "refund_id and attempt, and its id follows from these; it is sent once. A refund that failed is "
            "requested again as the next attempt. Answer on the upstream topic, for the same account, with "
            "voip.refund.succeeded.v1 or voip.refund.failed.v1, whose refund_id is the refund's or a return's."
        ),
        records=(RecordForm(TYPE, _first_sentence(file), request, file),),
    )


def _checkpoints() -> TopicContract:
    file = checkpoint_schema()
    key = {"description": "The log's origin: the first line of the checkpoint.", "type": "string"}
    media_type = {"const": CHECKPOINT_TYPE.decode()}
    checkpoint = Common(
        "checkpoint", CHECKPOINT_TYPE.decode(), key, _headers({"content-type": media_type}, ["content-type"])
    )
    return TopicContract(
        topic=CHECKPOINTS,
        action="send",
        operation="publishCheckpoints",
        title="Checkpoints",
        description=(
            "Signed checkpoints of the Merkle trees over the ledger's events, each log's in the order of its sizes. "
            "A checkpoint comes again once witnesses have cosigned it, with their signatures, and may come again "
            "after a crash."
        ),
        records=(RecordForm("checkpoint", _first_sentence(file), checkpoint, file),),
    )


def _without_generation(headers: Schema) -> list[str]:
    """The headers that every record has: those of older versions have no generation."""
    return [name for name in headers if name != "generation"]


def _headers(properties: Schema, required: list[str] | None = None) -> Schema:
    headers: Schema = {"type": "object", "properties": properties}
    return {**headers, "required": required} if required else headers


def _first_sentence(file: SchemaFile) -> str:
    """The first sentence of a schema's description."""
    first_line = str(file.schema["description"]).splitlines()[0]
    return first_line.partition(". ")[0].removesuffix(".") + "."
