"""An example of each message's data: every field filled, by what it is called and what its schema asks for."""

from __future__ import annotations

from typing import Any

from consumers.contract.json_schema import Schema
from ledger.values import IDENTIFIER_LENGTH_MAX

_BY_NAME = {
    "agreement": "standard",
    "amount": "10.00",
    "began_at": "2026-03-10T09:00:00+01:00",
    "category": "call_quality",
    "channel": "phone",
    "claimed": "10.00",
    "currency": "EUR",
    "description": "the line drops every few minutes",
    "email": "zoe@example.com",
    "ends_on": "2026-04-01",
    "locale": "de-DE",
    "monthly_price": "29.95",
    "name": "Zoë Quux",
    "numbers": ["+493023125000"],
    "plan": "business voip",
    "price": "29.95",
    "processor_reference": "psp-77",
    "reason": "as the customer or the system put it",
    "resolution": "the router was exchanged",
    "secret_ref": "https://secrets.example.com/once/7f3a",
    "source": "/provisioning/eu-1",
    "server": "sip.example.com",
    "starts_on": "2026-03-01",
    "tax": "5.69",
    "time_zone": "Europe/Berlin",
    "username": "zoe.quux",
}
_AN_INSTANT = "2026-03-10T09:15:00Z"


def example_of(schema: Schema, definitions: Schema) -> dict[str, Any]:
    """An object with a value for each property of its schema."""
    return {name: _value(name, each, definitions) for name, each in schema["properties"].items()}


def _value(name: str, schema: Schema, definitions: Schema) -> Any:
    for choice in schema.get("anyOf", [schema]):
        if "$ref" in choice:
            return example_of(definitions[choice["$ref"].rpartition("/")[2]], definitions)
    if name in _BY_NAME and _BY_NAME[name] in schema.get("enum", _BY_NAME.values()):
        return _BY_NAME[name]
    if "enum" in schema:
        return schema["enum"][0]
    if "boolean" in schema["type"]:
        return True
    if schema.get("format") == "date-time":
        return _AN_INSTANT
    if name.endswith("_id"):
        return f"{name.removesuffix('_id')}-1"
    return name.replace("_", " ") if schema.get("maxLength", 0) > IDENTIFIER_LENGTH_MAX else f"{name}-1"
