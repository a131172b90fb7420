"""Forms: their fields as they came, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from fastapi import Request
from starlette.datastructures import UploadFile


@dataclass(slots=True)
class Form:
    """A form as it came, or empty; what is wrong with it, by field, and with all of it under an empty name."""

    values: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The idempotency key: made with the form, and the same in its preview and its confirmation."""
        return self.values.setdefault("key", uuid4().hex)

    def get(self, name: str) -> str | None:
        """What a field says; None where it was left empty."""
        return self.values.get(name) or None

    def refuse(self, errors: Iterable[tuple[str, str]], fields: Iterable[str]) -> None:
        """Mark what is wrong, each at its field; what belongs to none is said of the whole form."""
        known = set(fields)
        for name, reason in errors:
            at = name if name in known else ""
            self.wrong[at] = f"{self.wrong[at]}; {reason}" if at in self.wrong else reason

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong, by field, for the summary above the form."""
        return self.wrong


async def form_in(request: Request) -> Form:
    """The fields of a request's form, each once, without its CSRF token. Files are not taken."""
    found = await request.form(max_files=0, max_fields=100)
    given = {name: value for name, value in found.items() if not isinstance(value, UploadFile)}
    return Form({name: value.strip() for name, value in given.items() if name != "csrf"})
