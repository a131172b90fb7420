"""What the bodies of acts have in common: their rules, and the kinds of field that several of them have.

The fields are those of the messages that acts become (`consumers.upstream`), by the same rules (contract §3a).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from consumers.upstream.fields import FreeText, Identifier, Instant, NewIdentifier
from ledger.values import MADE_ID_PREFIX

WORDS = "Free text; kept in the vault."

At = Annotated[
    Instant | None,
    Field(
        description="The instant; by default now. Not allowed for customers, whose requests count from their arrival."
    ),
]
MadeIfAbsent = Annotated[
    NewIdentifier | None,
    Field(
        description="An unused id of your choice; by default one is created, always the same for one "
        f"Idempotency-Key, and beginning with {MADE_ID_PREFIX}. Not allowed for customers."
    ),
]
ComplaintBehind = Annotated[
    Identifier | None,
    Field(description="A complaint of the account to link this to."),
]
ChargeId = Annotated[Identifier, Field(description="The id of a charge or a cycle.")]
Words = Annotated[FreeText, Field(description=WORDS)]
WordsIfAny = Annotated[FreeText | None, Field(description=WORDS)]


def like(**example: object) -> ConfigDict:
    """The rules of every body, with an example of it."""
    schema: dict[str, Any] = {"examples": [example]}
    return ConfigDict(frozen=True, strict=True, extra="forbid", json_schema_extra=schema)
