"""Every topic as the AsyncAPI document tells of it: which way it goes, by what key, and what its records say.

A topic that is added to `TOPICS` gets its line in `topic_contracts` below; a test misses it until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from consumers.contract.instruction_schemas import instruction_schemas
from consumers.contract.json_schema import Schema, SchemaFile
from consumers.contract.message_schemas import message_schemas
from consumers.contract.stored import dead_letter_schema, stored_schemas
from consumers.kafka.topics import DEAD_LETTERS, EVENTS, INSTRUCTIONS, UPSTREAM, Topic
from consumers.upstream.fields import IDENTIFIER_SCHEMA


@dataclass(frozen=True, slots=True)
class Common:
    """What records of one kind have in common, whatever they say: their key, their headers, their media type."""

    name: str
    content_type: str
    key: Schema
    headers: Schema


@dataclass(frozen=True, slots=True)
class RecordForm:
    """One form that a topic's records have. `type_header` is the header that tells it, and `within` the part of the
    schema that the value is, as JSON Pointer.
    """

    name: str
    summary: str
    common: Common
    payload: SchemaFile
    type_header: str | None = None
    within: str = ""


@dataclass(frozen=True, slots=True)
class TopicContract:
    """A topic, and what Makegood does with it: `receive` or `send`, under the name of an operation."""

    topic: Topic
    action: Literal["receive", "send"]
    operation: str
    title: str
    description: str
    records: tuple[RecordForm, ...]


def topic_contracts() -> tuple[TopicContract, ...]:
    """One for each topic that Makegood reads or writes (contract §1, §1a)."""
    return (_upstream(), _events(), _instructions(), _dead_letters())


# --- What comes in ------------------------------------------------------------------------------------------------


def _upstream() -> TopicContract:
    key = {
        **IDENTIFIER_SCHEMA,
        "description": "The account id, as in subject, so that an account's messages stay in order. "
        "A record may have no key; one that is not the subject is refused.",
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
            "What upstream systems say happened, as CloudEvents 1.0 in JSON, in either content mode. A record in "
            "structured mode has the header content-type: application/cloudevents+json and the whole event as its "
            "value; without any header it is taken as structured if it is a JSON object. A record in binary mode has "
            "the attributes in ce_ headers and the data as its value. Messages may come late, twice and in any "
            "order. One that breaks its schema becomes a dead letter, and those around it go on."
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


_STORE: Schema = {"description": "Which store it is from.", "type": "string"}


def _position(description: str) -> Schema:
    return {"description": description, "type": "string", "pattern": "^[0-9]+:[1-9][0-9]*$"}


def _events() -> TopicContract:
    headers: dict[str, Schema] = {
        "store": _STORE,
        "position": _position(
            "Where it stands among the events of its shard, shard:position. Positions have no holes: "
            "what a reader has seen it skips, and a jump means that something is still to come."
        ),
        "type": {"description": "The stored type.", "type": "string"},
        "account-version": {
            "description": "Its number among the account's events, from 1.",
            "type": "string",
            "pattern": "^[1-9][0-9]*$",
        },
    }
    key = {"description": "The account.", "type": "string"}
    event = Common("event", "application/json", key, _headers(headers, list(headers)))
    return TopicContract(
        topic=EVENTS,
        action="send",
        operation="publishEvents",
        title="The ledger's events",
        description=(
            "Every stored event, byte for byte as it is stored and hashed, in the order of the positions. "
            "A partition is a shard. An event may be sent again after a crash, with the same position."
        ),
        records=tuple(
            RecordForm(type_, _first_sentence(file), event, file, "type") for type_, file in stored_schemas().items()
        ),
    )


def _dead_letters() -> TopicContract:
    file = dead_letter_schema()
    key = {"description": "The account, where the message names one; else there is no key.", "type": "string"}
    letter = Common(
        "deadLetter",
        "application/json",
        key,
        _headers({"content-type": {"const": "application/json"}}, ["content-type"]),
    )
    return TopicContract(
        topic=DEAD_LETTERS,
        action="send",
        operation="publishDeadLetters",
        title="Dead letters",
        description="Every message that was refused, with the reason and without its body, which stays in the vault.",
        records=(RecordForm("dead-letter", _first_sentence(file), letter, file),),
    )


def _instructions() -> TopicContract:
    key = {"description": "The account.", "type": "string"}
    headers: dict[str, Schema] = {
        "content-type": {"const": "application/cloudevents+json"},
        "store": _STORE,
        "position": _position("Where the event stands that it follows from, shard:position."),
    }
    instruction = Common("instruction", "application/cloudevents+json", key, _headers(headers, list(headers)))
    return TopicContract(
        topic=INSTRUCTIONS,
        action="send",
        operation="publishInstructions",
        title="Instructions",
        description=(
            "What billing and provisioning must carry out, in the order of the decisions. Each comes at least once: "
            "one that comes again has the same id and content. Answer it on the upstream topic, under the same "
            "account, with voip.instruction.carried_out.v1 or voip.instruction.refused.v1."
        ),
        records=tuple(
            RecordForm(str(file.schema["title"]), _first_sentence(file), instruction, file)
            for file in instruction_schemas().values()
        ),
    )


def _headers(properties: Schema, required: list[str] | None = None) -> Schema:
    headers: Schema = {"type": "object", "properties": properties}
    return {**headers, "required": required} if required else headers


def _first_sentence(file: SchemaFile) -> str:
    """What a record says, without how."""
    first_line = str(file.schema["description"]).splitlines()[0]
    return first_line.partition(". ")[0].removesuffix(".") + "."
