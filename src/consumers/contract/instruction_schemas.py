"""The JSON Schemas of what other systems are told to carry out, as CloudEvents in structured mode (contract §1a)."""

from __future__ import annotations

from consumers.contract.json_schema import Schema, SchemaFile, published
from consumers.upstream.fields import IDENTIFIER_SCHEMA
from ledger.instructions import KINDS, Kind

_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_AMOUNT: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,4})?$"}
_CHANGE: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,4})?$"}
_TEXT: Schema = {"type": "string"}
_CURRENCY: Schema = {"type": "string", "pattern": "^[A-Z]{3}$"}
_DATE: Schema = {"type": "string", "format": "date"}

_DATA: dict[Kind, tuple[str, dict[str, Schema]]] = {
    "cancellation.scheduled": (
        "A subscription is to end on a date, or on another one than was said before.",
        {"subscription_id": IDENTIFIER_SCHEMA, "effective_on": _DATE},
    ),
    "cancellation.withdrawn": (
        "A subscription goes on: what was said of its end no longer holds.",
        {"subscription_id": IDENTIFIER_SCHEMA},
    ),
    "credit.applied": (
        (
            "An invoice is paid in part or whole from credit. Confirm it by voip.payment.captured with "
            "method balance and the instruction's id as payment_id."
        ),
        {
            "credit_id": _TEXT,
            "claim_id": _TEXT,
            "charge_id": IDENTIFIER_SCHEMA,
            "invoice_id": IDENTIFIER_SCHEMA,
            "amount": _AMOUNT,
            "currency": _CURRENCY,
        },
    ),
    "invoice.reduced": (
        (
            "An invoice is to ask for less. net, tax and total say by how much one claim reduces it in all, the "
            "changes by how much that differs from what was said before; a change below zero takes part of it back."
        ),
        {
            "invoice_id": IDENTIFIER_SCHEMA,
            "claim_id": _TEXT,
            "net": _AMOUNT,
            "tax": _AMOUNT,
            "total": _AMOUNT,
            "change_net": _CHANGE,
            "change_tax": _CHANGE,
            "change_total": _CHANGE,
            "currency": _CURRENCY,
            "invoice_total": {**_AMOUNT, "description": "By so much all claims together reduce the invoice now."},
            "asks_for": {**_AMOUNT, "description": "So much the invoice asks for now."},
        },
    ),
}

_NOT_ALWAYS: dict[Kind, frozenset[str]] = {
    "invoice.reduced": frozenset({"invoice_total", "asks_for"}),
    "credit.applied": frozenset({"claim_id"}),
}
"""What an instruction says only in some cases: of decisions of today, of credits for a claim."""


def instruction_schemas() -> dict[Kind, SchemaFile]:
    """The schema of every kind of instruction."""
    return {kind: _of_kind(kind) for kind in KINDS}


def _of_kind(kind: Kind) -> SchemaFile:
    said, data = _DATA[kind]
    type_ = f"makegood.{kind}.v1"
    properties: Schema = {
        "specversion": {"const": "1.0"},
        "id": {**_ID, "description": "The instruction's id, the same however often it is sent: answer by it."},
        "source": {"const": "/makegood"},
        "type": {"const": type_},
        "subject": {**IDENTIFIER_SCHEMA, "description": "The account."},
        "time": {"type": "string", "format": "date-time", "description": "When it was decided."},
        "datacontenttype": {"const": "application/json"},
        "data": {
            "type": "object",
            "properties": data,
            "required": [name for name in data if name not in _NOT_ALWAYS.get(kind, ())],
            "additionalProperties": False,
        },
    }
    return published(
        type_,
        "schemas",
        {
            "title": type_,
            "description": said,
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    )
