"""An act by a form: its fields, what it will mean before it is recorded, and the page that shows it afterwards.

A form is sent twice with the same idempotency key: for the preview, which records nothing, and to confirm it. Sent a
third time, by a reload or a second click, it has the same answer and no further effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from ledger.store.positions import reached_from_text
from makegood.acts.acting import Acting, ActRequest, Channel, Say, spelt
from makegood.acts.recorded import Recorded
from makegood.acts.refused import KEY, ActRefused
from makegood.answers.caught_up import caught_up
from makegood.pages.forms import Form, sent_form
from makegood.pages.visitor import TurnedAway, Visitor, go_to, house_of, not_there

B = TypeVar("B", bound=BaseModel)

STEP, CONFIRM, CHANGE = "step", "confirm", "change"
"""The field that says what a form is sent for, and its values: to record it, or to go back to the fields; anything
else, such as `preview`, to see what it will mean."""


@dataclass(frozen=True, slots=True)
class Described(Generic[B]):
    """An act as a form asks for it."""

    path: str
    """The address that the form is sent to."""
    body: type[B]
    """What is asked for, by the rules of the API's body of the same act."""
    say: Callable[[B], Say]
    values: Callable[[Form], Mapping[str, Any]]
    """The body's fields out of the form's. Raises ValueError with (field, reason) for what cannot be read."""
    show: Callable[[Form], Response]
    """The page with the form, empty or as it was filled in, its errors marked."""
    previewed: Callable[[Form, Any], Response]
    """The page that says what the act will mean, with the form's values in hidden fields."""
    recorded: Callable[[Recorded], tuple[str, str]]
    """The address to go to once it is recorded, and the sentence that is shown there."""
    fields: Sequence[str] = field(default=())
    """The names of the form's fields, at which errors are shown."""


class WrongValue(ValueError):
    """A field of a form cannot be read."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason


def answer_act(
    request: Request, visitor: Visitor, account: str, channel: Channel, described: Described[B]
) -> Response:
    """The answer to a form: its fields with what is wrong, what it will mean, or the way to where it was recorded."""
    form = sent_form(visitor.form)
    if form.values.get(STEP) == CHANGE:
        return described.show(form)
    asked = _read(form, described)
    if asked is None:
        return described.show(form)
    try:
        acting = Acting(house_of(request), visitor.caller, account, channel, request.app.state.recorded)
        said = spelt("POST", described.path, asked.model_dump(mode="json", warnings=False))
        act = ActRequest(form.key, said)
        if form.values.get(STEP) != CONFIRM:
            return described.previewed(form, acting.preview(described.say(asked), act))
        recorded = acting.carry_out(described.say(asked), act)
        wait_until_shown(request, recorded.position)
        path, sentence = described.recorded(recorded)
    except ActRefused as refused:
        if refused.why == "not_found":
            raise TurnedAway(not_there(visitor.frame)) from None
        if any(wrong.field == KEY for wrong in refused.errors):
            # What was recorded under this key is another form: this one gets a new key, and is asked for once more.
            form.values.pop("key", None)
            form.wrong[""] = "you changed the form after it was recorded: check it, and send it again"
        else:
            form.refuse_by(refused, described.fields)
        return described.show(form)
    return go_to(visitor, path, sentence)


def wait_until_shown(request: Request, position: str) -> None:
    """Wait, as far as patience goes, until pages show what was recorded up to a position."""
    caught_up(house_of(request), reached_from_text(position))


def _read(form: Form, described: Described[B]) -> B | None:
    """What a form asks for; None with what is wrong marked in it."""
    try:
        values = described.values(form)
    except WrongValue as wrong:
        form.refuse([(wrong.name, wrong.reason)], described.fields)
        return None
    try:
        return described.body.model_validate_json(
            to_json({name: value for name, value in values.items() if value is not None})
        )
    except ValidationError as error:
        form.refuse_by(error, described.fields)
        return None
