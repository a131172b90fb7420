"""Forms: their fields as they came, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import uuid4

from pydantic import ValidationError
from starlette.datastructures import FormData

from consumers.upstream.findings import findings
from makegood.acts.refused import ActRefused


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

    def refuse_by(self, error: ActRefused | ValidationError, fields: Iterable[str]) -> None:
        """Mark what an act or the rules of its body say is wrong."""
        if isinstance(error, ValidationError):
            self.refuse(((finding.field or "", finding.reason) for finding in findings(error)), fields)
        else:
            errors = [(wrong.field, wrong.reason) for wrong in error.errors]
            self.refuse(errors or [("", error.detail)], fields)


def sent_form(fields: FormData) -> Form:
    """The fields of a form that was sent, each once, without its CSRF token."""
    return Form({name: str(value).strip() for name, value in fields.items() if name != "csrf"})
