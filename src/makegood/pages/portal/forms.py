"""What the portal's forms have in common: their errors in the customer's words, their preview, and their fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from starlette.responses import Response

from makegood.acts.acting import Say
from makegood.acts.recorded import Recorded
from makegood.answers.preview import Previewed
from makegood.pages.acting import Described, answer_act
from makegood.pages.forms import Form
from makegood.pages.portal.here import Here
from makegood.pages.portal.in_words import Told, told_of
from makegood.pages.portal.words.texts import Wrong

B = TypeVar("B", bound=BaseModel)

_KEY_USED = "you changed the form"


def wrong_in_words(here: Here, form: Form) -> None:
    """Say what is wrong with each field in the customer's words, whatever the rules said of it."""
    for name, reason in list(form.wrong.items()):
        code = reason if reason in here.words.wrong else name
        if name == "":
            code = "key" if reason.startswith(_KEY_USED) else "form"
        form.wrong[name] = here.words.wrong[cast(Wrong, code)]


def act(
    here: Here,
    path: str,
    body: type[B],
    say: Callable[[B], Say],
    fields: Sequence[str],
    values: Callable[[Form], Mapping[str, Any]],
    show: Callable[[Form], Response],
    previewed: Callable[[Form, Previewed], Response],
    recorded: Callable[[Recorded], tuple[str, str]],
) -> Response:
    """The answer to one of the portal's forms."""

    def shown(form: Form) -> Response:
        wrong_in_words(here, form)
        return show(form)

    described = Described(path, body, say, values, shown, previewed, recorded, fields)
    return answer_act(here.request, here.visitor, here.account, "portal", described)


def confirm_page(
    here: Here, form: Form, *, title: str, action: str, means: Sequence[str], confirm: str, told: Sequence[Told] = ()
) -> Response:
    """What a form will mean, to be confirmed."""
    return here.page(
        "confirm", title=title, form=form, action=action, means=means, confirm=confirm, changes=told, back=here.path()
    )


def changes_told(here: Here, previewed: Previewed) -> list[Told]:
    """The claims that a form would change, in sentences."""
    return [
        told_of(
            here, change["clause"], change["currency"] or "", change["after"], change["inputs"], change["formula"]
        )
        for change in previewed["changes"]
    ]


def amount_of(text: str | None) -> str | None:
    """An amount as customers write it, `4,00` or `4.00`, as the contract does; what is none stays as it is."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)(?:[.,](\d+))?", text.replace(" ", ""))
    return text if found is None else found[1] + (f".{found[2]}" if found[2] else "")
