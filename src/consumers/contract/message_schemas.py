"""The JSON Schema of each upstream message, as a whole CloudEvent in structured mode (contract §1).

A schema never refuses an accepted message. Rules that a schema cannot express are in its description.
"""

from __future__ import annotations

from typing import Any

from consumers.contract.examples import example_of
from consumers.contract.json_schema import DEFINITIONS, Schema, SchemaFile, published, running_text, schema_of
from consumers.upstream.cloudevents import EXTENSION_NAME, MESSAGE_BYTES_MAX, Attributes
from consumers.upstream.fields import AMOUNT_PATTERN
from consumers.upstream.messages import MESSAGES, MessageData
from ledger.values import CURRENCY_SCALES

_USUAL_DECIMALS = 2
_NOT_DATA = "^([^d]|d($|[^a])|da($|[^t])|dat($|[^a])|data.)"
"""Every name but `data`, as every dialect of regular expressions reads it."""

_NOT_SAID = (
    "Rules beyond this schema: a message has at most {bytes} bytes of JSON in UTF-8, no object repeats a field "
    "name, and a repeat under the same source and id has the same content. Fields marked x-private hold personal "
    "data, free text or a reference to a secret, and are stored in the vault only."
)

_ATTRIBUTES = {
    "id": "An identifier that is unique for its source: together they identify the message.",
    "source": "The sending system; an identifier, such as /provisioning/eu-1.",
    "time": "The instant at which upstream recorded it, in RFC 3339 with its offset.",
    "dataschema": "Accepted and ignored.",
}


def message_schemas() -> dict[str, SchemaFile]:
    """The schema of every message that upstream may publish, by its CloudEvents type."""
    return {type_: _of_message(model) for type_, model in sorted(MESSAGES.items())}


def _of_message(model: type[MessageData]) -> SchemaFile:
    data = schema_of(model, "validation")
    definitions = data.pop(DEFINITIONS, {})
    said = running_text(data.pop("description"))
    data["description"] = "The content of the message."
    example = example_of(data, definitions)
    for name in model.private:
        data["properties"][name] = {**_beside_others(data["properties"][name]), "x-private": True}
    if by_currency := _decimals_by_currency(data["properties"], always="currency" in data["required"]):
        data["allOf"] = by_currency
    limits = _NOT_SAID.format(bytes=f"{MESSAGE_BYTES_MAX:,}")
    return cloud_event(
        model.message_type,
        "schemas",
        description=f"{said} It becomes the fact {model.becomes.__name__}.\n\n{limits}",
        data=data,
        definitions=definitions,
        example=example,
    )


def cloud_event(
    type_: str, folder: str, *, description: str, data: Schema, definitions: Schema, example: dict[str, Any]
) -> SchemaFile:
    """The schema of a CloudEvent of one type; `example` is of its data."""
    attributes = schema_of(Attributes, "validation")
    properties = attributes["properties"]
    for name, text in _ATTRIBUTES.items():
        properties[name]["description"] = text
    properties["type"] = {"const": type_}
    schema: Schema = {
        "title": type_,
        "description": description,
        "type": "object",
        "properties": {**properties, "data": data},
        "required": [*attributes["required"], "data"],
        "propertyNames": {"pattern": f"^{EXTENSION_NAME}$"},
        # As `additionalProperties` it would have generators make a mere map of the message.
        "patternProperties": {
            _NOT_DATA: {
                "description": "An extension attribute: accepted, and ignored when messages are compared.",
                "type": ["string", "number", "boolean", "null"],
            }
        },
        "examples": [
            {
                "specversion": "1.0",
                "id": "evt-1",
                "source": "/provisioning/eu-1",
                "type": type_,
                "subject": "acct-1",
                "time": "2026-03-10T09:30:00Z",
                "datacontenttype": "application/json",
                "data": example,
            }
        ],
    }
    if definitions:
        schema[DEFINITIONS] = definitions
    return published(type_, folder, schema)


def _beside_others(schema: Schema) -> Schema:
    """A schema that keywords may be added to: some readers see nothing that stands beside a reference."""
    return {"allOf": [schema]} if "$ref" in schema else schema


def _decimals_by_currency(properties: Schema, *, always: bool) -> list[Schema]:
    """That no amount has more decimals than the message's currency, where a message has amounts.

    Where not `always` is there a currency, this is said of messages that name one.
    """
    amounts = sorted(name for name, schema in properties.items() if schema.get("pattern") == AMOUNT_PATTERN)
    unusual = {code: scale for code, scale in sorted(CURRENCY_SCALES.items()) if scale != _USUAL_DECIMALS}
    currencies: dict[int, Schema] = {
        scale: {"enum": [code for code, its in unusual.items() if its == scale]} for scale in unusual.values()
    }
    currencies[_USUAL_DECIMALS] = {"not": {"enum": list(unusual)}}
    return [
        {
            "if": {"properties": {"currency": currencies[scale]}} if always else _named(currencies[scale]),
            "then": {"properties": {name: {"pattern": _decimals(scale)} for name in amounts}},
        }
        for scale in sorted(currencies)
        if amounts
    ]


def _named(currency: Schema) -> Schema:
    return {"properties": {"currency": {"type": "string", **currency}}, "required": ["currency"]}


def _decimals(most: int) -> str:
    return rf"^[0-9]+(\.[0-9]{{1,{most}}})?$" if most else "^[0-9]+$"
