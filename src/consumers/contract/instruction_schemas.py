"""The JSON Schemas of instructions to other systems, as CloudEvents in structured mode (contract §1a)."""

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
        "End a subscription on a date; a later instruction replaces the date of an earlier one.",
        {"subscription_id": IDENTIFIER_SCHEMA, "effective_on": _DATE},
    ),
    "cancellation.withdrawn": (
        "Continue a subscription: its scheduled end no longer applies.",
        {"subscription_id": IDENTIFIER_SCHEMA},
    ),
    "credit.applied": (
        (
            "Pay an invoice from credit, in part or in full. Confirm with voip.payment.captured, "
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
            "Reduce an invoice. net, tax and total are the whole reduction for one claim; change_net, change_tax and "
            "change_total are the difference from the previous instruction, negative where the reduction shrinks."
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
            "invoice_total": {**_AMOUNT, "description": "The reduction of the invoice for all claims together."},
            "asks_for": {**_AMOUNT, "description": "The amount still due on the invoice."},
        },
    ),
}

_NOT_ALWAYS: dict[Kind, frozenset[str]] = {
    "invoice.reduced": frozenset({"invoice_total", "asks_for"}),
    "credit.applied": frozenset({"claim_id"}),
}
"""The optional fields of an instruction: older decisions lack the first two, credits for an excess the last."""


def instruction_schemas() -> dict[Kind, SchemaFile]:
    """The schema of every kind of instruction."""
    return {kind: _of_kind(kind) for kind in KINDS}


def _of_kind(kind: Kind) -> SchemaFile:
    said, data = _DATA[kind]
    type_ = f"makegood.{kind}.v1"
    properties: Schema = {
        "specversion": {"const": "1.0"},
        "id": {**_ID, "description": "The instruction's id, which the answer names. It is the same in every repeat."},
        "source": {"const": "/makegood"},
        "type": {"const": type_},
        "subject": {**IDENTIFIER_SCHEMA, "description": "The account id."},
        "time": {"type": "string", "format": "date-time", "description": "The instant of the decision."},
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
