"""What the bodies of acts have in common: their rules, and the kinds of field that several of them have.

The fields are those of the messages that acts become (`consumers.upstream`), by the same rules (contract §3a).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from consumers.upstream.fields import FreeText, Identifier, Instant

WORDS = "In your words; they are kept in the vault."

At = Annotated[
    Instant | None,
    Field(
        description="When; now where it is left out. A customer leaves it out: what they ask counts from when it "
        "arrives."
    ),
]
MadeIfAbsent = Annotated[
    Identifier | None,
    Field(description="Made where it is left out, and always the same for one Idempotency-Key."),
]
ComplaintBehind = Annotated[
    Identifier | None,
    Field(description="A complaint of the account that this belongs to; the link is recorded with it."),
]
ChargeId = Annotated[Identifier, Field(description="The id of a charge or of a cycle.")]
Words = Annotated[FreeText, Field(description=WORDS)]
WordsIfAny = Annotated[FreeText | None, Field(description=WORDS)]


def like(**example: object) -> ConfigDict:
    """The rules of every body, with an example of it."""
    schema: dict[str, Any] = {"examples": [example]}
    return ConfigDict(frozen=True, strict=True, extra="forbid", json_schema_extra=schema)
