"""The JSON Schema of a refund request, as a CloudEvent in structured mode (contract §3b)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

from consumers.contract.json_schema import Schema, SchemaFile, published
from consumers.payouts.requests import TYPE, cloud_event
from consumers.upstream.fields import IDENTIFIER_SCHEMA
from ledger.events import PaidBy
from ledger.refund_requests import RefundRequest, RequestedReturn

_AMOUNT: Schema = {
    "type": "string",
    "pattern": r"^[0-9]+(\.[0-9]{1,4})?$",
    "description": "Tax included, in major units.",
}
_RETURN: Schema = {
    "type": "object",
    "properties": {
        "return_id": {
            "type": "string",
            "pattern": "^ret-[0-9a-f]{32}$",
            "description": (
                "ret- and the first 32 hexadecimal digits of SHA-256 over account_id, refund_id, attempt and "
                "payment_id, joined by newlines. Answers may name it instead of the refund."
            ),
        },
        "payment_id": {**IDENTIFIER_SCHEMA, "description": "The payment that the money goes back to."},
        "method": {"type": "string", "enum": list(get_args(PaidBy))},
        "amount": _AMOUNT,
    },
}
_RETURN |= {"required": list(_RETURN["properties"]), "additionalProperties": False}

_DATA: dict[str, Schema] = {
    "account_id": IDENTIFIER_SCHEMA,
    "refund_id": {"type": "string", "minLength": 1, "maxLength": 512},
    "attempt": {"type": "integer", "minimum": 1, "description": "Counts the submissions of this refund from 1."},
    "claim_id": {
        "type": ["string", "null"],
        "description": "The claim that is paid; null for the credit of an invoice's excess.",
    },
    "amount": {**_AMOUNT, "description": "The sum of the returns, tax included, in major units."},
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "approved_by": {
        "type": "string",
        "description": "The person who approved it, or the agreement: agreement NAME vN.",
    },
    "returns": {"type": "array", "minItems": 1, "items": _RETURN},
}

_EXAMPLE = RefundRequest(
    event_id="",
    account_id="acct-1",
    refund_id="refund/billing-error/dis-1/1",
    attempt=1,
    claim_id="billing-error/dis-1",
    amount=Decimal("11.90"),
    currency="EUR",
    approved_by="agreement standard v1",
    returns=(
        RequestedReturn("ret-8d6dbb2a4bfb49d2f6f2d0b5d9e7f1a0", "pay-1", "card", Decimal("7.00")),
        RequestedReturn("ret-1f0a9c3e5d7b4a6280c4e6f8a1b3d5c7", "pay-2", "bank", Decimal("4.90")),
    ),
    submitted_at=datetime(2026, 3, 10, 9, 15, tzinfo=UTC),
)


def request_schema() -> SchemaFile:
    """The schema of a refund request."""
    properties: Schema = {
        "specversion": {"const": "1.0"},
        "id": {
            "type": "string",
            "pattern": "^req-[0-9a-f]{32}$",
            "description": "It follows from account_id, refund_id and attempt.",
        },
        "source": {"const": "/makegood"},
        "type": {"const": TYPE},
        "subject": {**IDENTIFIER_SCHEMA, "description": "The account id."},
        "time": {"type": "string", "format": "date-time", "description": "The instant of the submission."},
        "datacontenttype": {"const": "application/json"},
        "data": {
            "type": "object",
            "properties": _DATA,
            "required": list(_DATA),
            "additionalProperties": False,
        },
    }
    return published(
        TYPE,
        "schemas",
        {
            "title": TYPE,
            "description": (
                "Pay a refund: return each amount to its payment. Answer with voip.refund.succeeded.v1 or "
                "voip.refund.failed.v1, for the whole refund or for one return."
            ),
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
            "examples": [cloud_event(_EXAMPLE)],
        },
    )
