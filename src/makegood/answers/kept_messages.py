"""Messages that are kept, and what became of each: dead letters, and messages set aside (contract §3)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import KeptAs
from ledger.store.reading import kept_messages as kept
from ledger.store.reading.kept_messages import KeptMessage, KeptStatus, Wanted
from ledger.store.reading.page import Listed, Page
from ledger.store.reading.vault import opened_body
from ledger.values import instant_to_text
from ledger.vault import Gone, kept_subject
from makegood.house.opening import House
from projections.shown_values import Instant


class KeptRow(TypedDict):
    """A kept message with its status."""

    position: int
    origin: str
    reason: str
    channel: str
    status: KeptStatus
    closed_by: str | None
    closed_at: Instant | None


class DeadLetter(KeptRow):
    """A dead letter (refused message), without its body."""

    dead_letter_id: str
    field: str | None
    source: str | None
    id: str | None
    account_id: str | None
    refused_at: Instant


class SetAside(KeptRow):
    """A message set aside after repeated failures, without its body."""

    set_aside_id: str
    source: str
    id: str
    account_id: str
    set_aside_at: Instant


class WithBody(TypedDict):
    """What a kept message said."""

    body: Annotated[str | None, Field(description="The body; null if it cannot be read.")]
    unreadable: Annotated[str | None, Field(description="The cause if the body cannot be read.")]


class MessageError(TypedDict):
    """One error of a message; `field` is null for the whole message."""

    field: str | None
    reason: str


class DeadLetterWithBody(DeadLetter, WithBody):
    """A dead letter (refused message) with its body and all errors of it."""

    type: Annotated[str | None, Field(description="The message's type; null where it cannot be read.")]
    time: Annotated[Instant | None, Field(description="The message's time; null where it cannot be read.")]
    errors: Annotated[
        list[MessageError],
        Field(description="All errors of the message; the first is the one for which it was refused."),
    ]


class SetAsideWithBody(SetAside, WithBody):
    """A message set aside after repeated failures, with its body."""


def dead_letters(
    house: House, wanted: Wanted, *, closed: bool = True, page: Page | None = None
) -> Listed[DeadLetter]:
    """The refused messages, the newest last; those replayed or discarded too, unless told otherwise."""
    with house.database.reading() as transaction:
        found = kept.kept_messages(transaction, "dead-letter", wanted, closed=closed, page=page)
    return found.told(map(_dead_letter, found))


def set_aside(house: House, wanted: Wanted, *, closed: bool = True, page: Page | None = None) -> Listed[SetAside]:
    """The messages that kept failing, the newest last; those replayed too, unless told otherwise."""
    with house.database.reading() as transaction:
        found = kept.kept_messages(transaction, "set-aside", wanted, closed=closed, page=page)
    return found.told(map(_set_aside, found))


def with_body(house: House, of: KeptAs, message: KeptMessage) -> DeadLetterWithBody | SetAsideWithBody:
    """A kept message with what it said."""
    from consumers.upstream import KeptContent, examine_kept  # only here: a list of kept messages reads none

    body, cause = None, None
    try:
        body = opened_body(house.database, house.vault, kept_subject(of, message.kept_id))
    except Gone as gone:
        cause = str(gone)
    if body is not None:
        house.looked("kept_message", message.account)
    said: WithBody = {
        "body": body.decode(errors="backslashreplace") if body is not None else None,
        "unreadable": cause,
    }
    if of == "set-aside":
        return {**_set_aside(message), **said}
    content = examine_kept(body) if body is not None else KeptContent()
    first: MessageError = {"field": message.field, "reason": message.reason}
    found: list[MessageError] = [{"field": error.field, "reason": error.reason} for error in content.errors]
    return {
        **_dead_letter(message),
        "type": content.type,
        "time": instant_to_text(content.time) if content.time is not None else None,
        "errors": [first, *(error for error in found if error != first)],
        **said,
    }


def at(house: House, of: KeptAs, position: int) -> DeadLetterWithBody | SetAsideWithBody | None:
    """The kept message at a position with what it said, if there is one."""
    with house.database.reading() as transaction:
        found = kept.kept_at(transaction, of, position)
    return with_body(house, of, found) if found is not None else None


def _dead_letter(message: KeptMessage) -> DeadLetter:
    return {
        "position": message.position,
        "dead_letter_id": message.kept_id,
        "origin": message.origin,
        "reason": message.reason,
        "field": message.field,
        "source": message.source,
        "id": message.message_id,
        "account_id": message.account,
        "channel": message.channel,
        "refused_at": instant_to_text(message.kept_at),
        "status": message.status,
        "closed_by": message.closed_by,
        "closed_at": instant_to_text(message.closed_at) if message.closed_at is not None else None,
    }


def _set_aside(message: KeptMessage) -> SetAside:
    assert message.source is not None, "what is set aside is well-formed"
    assert message.message_id is not None, "what is set aside is well-formed"
    assert message.account is not None, "what is set aside is well-formed"
    return {
        "position": message.position,
        "set_aside_id": message.kept_id,
        "origin": message.origin,
        "reason": message.reason,
        "source": message.source,
        "id": message.message_id,
        "account_id": message.account,
        "channel": message.channel,
        "set_aside_at": instant_to_text(message.kept_at),
        "status": message.status,
        "closed_by": message.closed_by,
        "closed_at": instant_to_text(message.closed_at) if message.closed_at is not None else None,
    }
