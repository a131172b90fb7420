"""Kept messages: dead letters and messages set aside, each with what is wrong marked in it; repaired, tried and
replayed, or discarded."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from consumers.replaying import NothingKept, Replayed, replay
from consumers.upstream import examine_kept
from ledger.application.kept_messages import AlreadyClosed, Closing, Kept, discard
from ledger.events import KeptAs
from ledger.store.reading import kept_messages as reading
from ledger.store.reading.kept_messages import KeptMessage, kept_at
from makegood.access.permissions import Action
from makegood.answers import kept_messages as kept
from makegood.answers import preview as previewing
from makegood.answers.kept_messages import DeadLetter, MessageError, SetAside
from makegood.house.opening import House
from makegood.pages.forms import Form
from makegood.pages.lists import ACCOUNT, LIVE_ROWS, FilterField, ShownList, asked_list, choice, shown_list
from makegood.pages.live import live_of
from makegood.pages.marked_json import laid_out, marked
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, page
from makegood.pages.visitor import TurnedAway, Visitor, go_to, house_of, not_there, one_shard, submits, visits

router = APIRouter(include_in_schema=False, route_class=PageRoute)

EDITED_MAX = 100_000
"""So many characters of a body can be repaired on a page; a larger one by the command line."""
TRY, REPLAY, DISCARD = "try", "replay", "discard"


@dataclass(frozen=True, slots=True)
class Kind:
    """Dead letters or messages set aside: where they are shown, how they are called, and who may do what."""

    of: KeptAs
    path: str
    name: str
    title: str
    command: str
    read: Action
    read_body: Action
    fields: tuple[FilterField, ...]


_SOURCE, _FIELD = FilterField("source", "Source"), FilterField("field", "Field")
_ALL = choice("all", "Also closed ones", ("yes",))
DEAD_LETTERS = Kind(
    "dead-letter",
    "/console/operations/dead-letters",
    "Dead letter",
    "Dead letters",
    "dead-letters",
    "dead_letter.read",
    "dead_letter.read_body",
    (ACCOUNT, _SOURCE, _FIELD, _ALL),
)
ASIDE = Kind(
    "set-aside",
    "/console/operations/aside",
    "Message set aside",
    "Messages set aside",
    "aside",
    "aside.read",
    "aside.read_body",
    (ACCOUNT, _SOURCE, _ALL),
)
ENTRIES = tuple(Entry("operations", kind.title, kind.path, kind.read) for kind in (DEAD_LETTERS, ASIDE))


@router.get(DEAD_LETTERS.path)
def dead_letters(request: Request, visitor: Annotated[Visitor, visits("dead_letter.read", "operations")]) -> Response:
    """Refused messages."""
    return _list(request, visitor, DEAD_LETTERS)


@router.get(ASIDE.path)
def aside(request: Request, visitor: Annotated[Visitor, visits("aside.read", "operations")]) -> Response:
    """Messages that kept failing."""
    return _list(request, visitor, ASIDE)


@router.get(DEAD_LETTERS.path + "/{position}")
def dead_letter(
    request: Request, visitor: Annotated[Visitor, visits("dead_letter.read", "operations")], position: int
) -> Response:
    """One dead letter, with its body for whoever may read it."""
    return _message_page(request, visitor, DEAD_LETTERS, _found(request, visitor, DEAD_LETTERS, position), Form())


@router.get(ASIDE.path + "/{position}")
def aside_message(
    request: Request, visitor: Annotated[Visitor, visits("aside.read", "operations")], position: int
) -> Response:
    """One message set aside, likewise."""
    return _message_page(request, visitor, ASIDE, _found(request, visitor, ASIDE, position), Form())


@router.post(DEAD_LETTERS.path + "/{position}")
def close_dead_letter(
    request: Request, visitor: Annotated[Visitor, submits("dead_letter.replay", "operations")], position: int
) -> Response:
    """Tries a dead letter, replays it, as it is or repaired, or discards it."""
    return _close(request, visitor, DEAD_LETTERS, position)


@router.post(ASIDE.path + "/{position}")
def close_aside(
    request: Request, visitor: Annotated[Visitor, submits("aside.replay", "operations")], position: int
) -> Response:
    """Tries a message set aside, replays it, as it is or repaired, or discards it."""
    return _close(request, visitor, ASIDE, position)


def _list(request: Request, visitor: Visitor, kind: Kind) -> Response:
    mark, shard = live_of(request).mark(), one_shard(request)
    asked = asked_list(request, kind.fields, reading.ORDER, LIVE_ROWS)
    asked.stays = {"shard": str(shard.number)} if shard.query else {}
    wanted: reading.Wanted = {"account": asked.one_of("account"), "source": asked.one_of("source")}
    closed = asked.one_of("all") is not None
    shown: ShownList[DeadLetter] | ShownList[SetAside]
    if kind.of == "dead-letter":
        wanted["field"] = asked.one_of("field")
        shown = shown_list(request, asked, kept.dead_letters(shard.house, wanted, closed=closed, page=asked.page))
    else:
        shown = shown_list(request, asked, kept.set_aside(shard.house, wanted, closed=closed, page=asked.page))
    return page(
        visitor.frame,
        "console/messages.html",
        title=kind.title,
        lead="Messages that were refused: nothing of them counts until they are repaired and replayed."
        if kind.of == "dead-letter"
        else "Messages that kept failing: the payouts of their accounts are on hold until they are replayed.",
        live=mark,
        asked=asked,
        shown=shown,
        totals=None,
        kind=kind,
        shard=shard,
        open_in=[_open_in(house, kind) for house in house_of(request).every],
    )


def _open_in(house: House, kind: Kind) -> int:
    with house.database.reading() as transaction:
        return reading.kept_left(transaction, kind.of).count


def _found(request: Request, visitor: Visitor, kind: Kind, position: int) -> KeptMessage:
    if not 0 < position < 2**63:
        raise TurnedAway(not_there(visitor.frame))
    with one_shard(request).house.database.reading() as transaction:
        found = kept_at(transaction, kind.of, position)
    if found is None:
        raise TurnedAway(not_there(visitor.frame))
    return found


def _message_page(
    request: Request, visitor: Visitor, kind: Kind, message: KeptMessage, form: Form, tried: Replayed | None = None
) -> Response:
    """A kept message. Its body is shown to whoever may read it, which is recorded as a look; a body that is being
    repaired is shown as it was sent, with its own errors."""
    reads = visitor.may(kind.read_body)
    told = kept.with_body(one_shard(request).house, kind.of, message) if reads else None
    body = told["body"] if told is not None else None
    first: MessageError = {"field": message.field, "reason": message.reason}
    errors: list[MessageError] = [first, *(each for each in _errors_in(body) if each != first)]
    edited = form.values.get("body", laid_out(body) if body is not None else "")
    shown = body
    if body is not None and not _is_unchanged(edited, body):
        shown = edited
        errors = _errors_in(edited) or _of_replay(tried)
    form.values.setdefault("body", edited)
    form.values["tried"] = _digest(edited) if tried is not None else ""
    return page(
        visitor.frame,
        "console/message.html",
        title=f"{kind.name} {message.position}",
        status=422 if form.wrong else 200,
        kind=kind,
        message=message,
        told=told,
        reads=reads,
        body=marked(shown, [error["field"] for error in errors if error["field"]]) if shown is not None else None,
        edits=body is not None and len(edited) <= EDITED_MAX,
        errors=errors,
        form=form,
        tried=tried,
        previewed=previewing.answer(tried.previewed) if tried is not None and tried.previewed is not None else None,
        sees_claims=visitor.may("claim.read"),
        can_close=visitor.may("dead_letter.replay" if kind.of == "dead-letter" else "aside.replay"),
        action=f"{kind.path}/{message.position}{one_shard(request).query}",
        shard=one_shard(request),
    )


def _errors_in(body: str | None) -> list[MessageError]:
    found = examine_kept(_bytes(body)).errors if body is not None else ()
    return [{"field": error.field, "reason": error.reason} for error in found]


def _of_replay(tried: Replayed | None) -> list[MessageError]:
    return [{"field": tried.field, "reason": tried.reason}] if tried is not None and tried.reason is not None else []


# --- what a person does about one -----------------------------------------------------------------------------------


def _close(request: Request, visitor: Visitor, kind: Kind, position: int) -> Response:
    message = _found(request, visitor, kind, position)
    names = ("step", "body", "reason", "tried")
    form = Form({name: str(visitor.form[name]).strip() for name in names if name in visitor.form})
    step, what = form.values.get("step"), f"{kind.name} {position}"
    if step not in (TRY, REPLAY, DISCARD):
        form.wrong[""] = "say whether it is to be tried, replayed or discarded"
        return _message_page(request, visitor, kind, message, form)
    if "body" in form.values and not visitor.may(kind.read_body):
        form.wrong[""] = "only who may read the body may repair it"
        form.values.pop("body")
        return _message_page(request, visitor, kind, message, form)
    try:
        if step == DISCARD:
            return _discard(request, visitor, kind, message, form, what)
        return _replay(request, visitor, kind, message, form, what, for_good=step == REPLAY)
    except AlreadyClosed as closed:
        return go_to(
            visitor, kind.path + one_shard(request).query, f"{str(closed).capitalize()}; nothing more was done."
        )
    except NothingKept:
        form.wrong[""] = (
            f"the body of this message is not in the vault any more: replay another body with `makegood "
            f"{kind.command} replay {position} --body FILE`, or discard it"
        )
        return _message_page(request, visitor, kind, message, form)


def _discard(request: Request, visitor: Visitor, kind: Kind, message: KeptMessage, form: Form, what: str) -> Response:
    if not form.get("reason"):
        form.wrong["reason"] = "say why it is discarded"
        return _message_page(request, visitor, kind, message, form)
    discard(one_shard(request).house.ledger, _closing(visitor, kind, message, form, repaired=False))
    request.app.state.recorded()
    return go_to(visitor, kind.path + one_shard(request).query, f"{what} is discarded.")


def _replay(
    request: Request,
    visitor: Visitor,
    kind: Kind,
    message: KeptMessage,
    form: Form,
    what: str,
    *,
    for_good: bool,
) -> Response:
    """Try or replay it. What is replayed is what was tried: a body that was changed since is tried again."""
    house = one_shard(request).house
    repaired = _repaired(request, kind, message, form)
    if for_good and form.values.get("tried") != _digest(form.values.get("body", "")):
        form.wrong[""] = "the message was changed since it was tried, and is not replayed: this is what would happen"
        for_good = False
    became = replay(
        house.ledger,
        _closing(visitor, kind, message, form, repaired=repaired is not None),
        repaired=repaired,
        dry_run=not for_good,
    )
    if not for_good:
        return _message_page(request, visitor, kind, message, form, became)
    request.app.state.recorded()
    now = _found(request, visitor, kind, message.position)
    if became.outcome == "refused" and now.status == "open":
        form.wrong[""] = "it is refused again, and still open"
        return _message_page(request, visitor, kind, message, form, became)
    if became.outcome == "refused":
        return go_to(
            visitor, DEAD_LETTERS.path + one_shard(request).query, f"{what} is refused, and is a dead letter now."
        )
    how = "recorded" if became.outcome == "accepted" else "closed: its message was recorded before"
    return go_to(
        visitor,
        kind.path + one_shard(request).query,
        f"{what} is {'repaired and ' if repaired is not None else ''}{how}.",
    )


def _closing(visitor: Visitor, kind: Kind, message: KeptMessage, form: Form, *, repaired: bool) -> Closing:
    of = Kept(kind.of, message.kept_id, message.origin)
    return Closing(of, visitor.caller.principal, "console", form.get("reason"), repaired=repaired)


def _repaired(request: Request, kind: Kind, message: KeptMessage, form: Form) -> bytes | None:
    """The body that takes the kept one's place; None where it is replayed as it came."""
    edited = form.values.get("body")
    if edited is None:
        return None
    house = one_shard(request).house
    kept_body = kept.with_body(house, kind.of, message)["body"]
    if kept_body is not None and _is_unchanged(edited, kept_body):
        return None
    return _bytes(edited)


def _is_unchanged(edited: str, body: str) -> bool:
    """Whether a body came back from its form as it went out; browsers end lines in their own way."""
    return _in_lines(edited) in (_in_lines(laid_out(body)), _in_lines(body))


def _in_lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _bytes(edited: str) -> bytes:
    return _in_lines(edited).encode(errors="surrogatepass")


def _digest(edited: str) -> str:
    return sha256(_bytes(edited)).hexdigest()
