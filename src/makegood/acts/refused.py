"""Acts that are refused: why, and which fields are wrong, for each door to tell in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

Why = Literal["invalid", "conflict", "not_found", "changed"]
"""Fields are wrong; it does not fit what is recorded; what it names is not there, or not theirs to see; the account
is no longer as they saw it."""

KEY = "Idempotency-Key"
"""The field that is wrong where the key was used for another request."""

NO_SUCH_ACCOUNT = "this account does not exist, or you have no access to it; account ids are case-sensitive"


class WrongField(BaseModel):
    """An invalid field."""

    field: str = Field(description="The field as a dotted path, or the name of a header or parameter.")
    reason: str = Field(description="The reason; it never quotes the value.")


class ActRefused(Exception):
    """An act that was refused: nothing of it is recorded, and its key is not used up.

    `detail` says to programs what to do. A page shows that of a conflict, and for the rest what it has itself: the
    fields with their `errors`, its page for what is not there, or the account as it is now.
    """

    def __init__(self, why: Why, detail: str, errors: Sequence[WrongField] = ()) -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail
        self.errors = tuple(errors)


def invalid(field: str, reason: str) -> ActRefused:
    """One field is wrong."""
    return ActRefused("invalid", "correct the field listed in `errors`", [WrongField(field=field, reason=reason)])


def key_reused() -> ActRefused:
    """The key was used for something else: pages recognise it by the field KEY."""
    return invalid(KEY, "this key was used for another request: choose a new key for every request")


def not_found(detail: str) -> ActRefused:
    """What the act names is not there, or the caller has no access to it."""
    return ActRefused("not_found", detail)
