"""How the values in answers are shown, with what the API's description says of each (contract §3)."""

from __future__ import annotations

from typing import Annotated, overload

from pydantic import Field

from ledger.store.instants import from_microseconds
from ledger.store.positions import EXAMPLE, PATTERN
from ledger.values import instant_to_text

Amount = Annotated[
    str,
    Field(
        pattern=r"^-?[0-9]+(\.[0-9]+)?$",
        description="In major units, at the scale of its currency.",
        examples=["11.20"],
    ),
]
Instant = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$",
        description="RFC 3339, in UTC.",
        examples=["2026-04-24T12:16:09Z"],
    ),
]
LocalDate = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="In the account's zone.", examples=["2026-05-02"])
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["EUR"])]
Position = Annotated[str, Field(pattern=r"^[0-9]+:[0-9]+$", description="`shard:position`.", examples=[str(EXAMPLE)])]
Reached = Annotated[
    str,
    Field(
        pattern=PATTERN,
        description="`shard:position`; of several shards with commas between them.",
        examples=[str(EXAMPLE)],
    ),
]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256.")]


@overload
def shown_instant(microseconds: int) -> str: ...


@overload
def shown_instant(microseconds: int | None) -> str | None: ...


def shown_instant(microseconds: int | None) -> str | None:
    """A column's instant as it is shown."""
    return None if microseconds is None else instant_to_text(from_microseconds(microseconds))
