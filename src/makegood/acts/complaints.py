"""Acts on a complaint: open, resolve and reopen it, note something, and say what it has to do with."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from consumers.upstream.door_messages import ComplaintLinkedV1, ComplaintNotedV1
from consumers.upstream.fields import CodeOrWords, CodeOrWordsIfAny, FreeText, Identifier
from consumers.upstream.messages import ComplaintOpenedV1, ComplaintReopenedV1, ComplaintResolvedV1, MessageData
from ledger.events import LinkedKind
from ledger.values import CODE_PATTERN, is_code
from makegood.acts.acting import Known, Say
from makegood.acts.bodies import WORDS, MadeIfAbsent, WordsIfAny, like
from makegood.acts.refused import invalid


def _code(text: str) -> str:
    if not is_code(text):
        raise PydanticCustomError(
            "code", "a code must have 1 to 64 of the characters a-z, 0-9 and _, beginning with a letter"
        )
    return text


ResolutionCode = Annotated[
    str, AfterValidator(_code), WithJsonSchema({"type": "string", "pattern": f"^{CODE_PATTERN}$"})
]


class OpenComplaint(BaseModel):
    """Open a complaint. It moves no money by itself."""

    model_config = like(subscription_id="sub-1", category="call_quality", description="it crackles")

    complaint_id: MadeIfAbsent = None
    subscription_id: Identifier | None = None
    category: CodeOrWords
    description: WordsIfAny = None
    channel: Annotated[
        CodeOrWordsIfAny,
        Field(
            description="The channel of the complaint, a code or free text, which is stored in the vault only. "
            "Not allowed for customers, whose channel is the portal."
        ),
    ] = None


class ResolveComplaint(BaseModel):
    """Resolve a complaint."""

    model_config = like(
        resolution="explained", answer="The second line is your fax.", note="walked through the bill together"
    )

    resolution: Annotated[
        ResolutionCode, Field(description="A code of letters, digits and _, beginning with a letter.")
    ]
    answer: Annotated[
        FreeText | None, Field(description=f"{WORDS} It is the answer to the customer, who reads it in the portal.")
    ] = None
    note: Annotated[FreeText | None, Field(description=f"{WORDS} It is added to the complaint's notes.")] = None


class ReopenComplaint(BaseModel):
    """Reopen a complaint."""

    model_config = like(reason="it crackles again")

    reason: WordsIfAny = None


class NoteComplaint(BaseModel):
    """Add a note to a complaint."""

    model_config = like(note="called back, nobody answered")

    note: Annotated[FreeText, Field(min_length=1, description=WORDS)]


class LinkComplaint(BaseModel):
    """Link a complaint to an outage, a dispute or a goodwill credit."""

    model_config = like(kind="outage", linked_id="out-1")

    kind: LinkedKind
    linked_id: Identifier


def open_complaint(asked: OpenComplaint) -> Say:
    """The complaint stays open until support resolves it."""

    def say(known: Known) -> list[MessageData]:
        if asked.subscription_id is not None:
            known.in_body("subscription", asked.subscription_id, "subscription_id")
        if known.by_customer and asked.channel not in (None, known.came_by):
            raise invalid("channel", "leave this out: the channel of customers is the portal")
        return [
            ComplaintOpenedV1(
                complaint_id=known.new("complaint", asked.complaint_id, "complaint_id"),
                subscription_id=asked.subscription_id,
                channel=asked.channel if asked.channel is not None else known.came_by,
                category=asked.category,
                description=asked.description,
            )
        ]

    return say


def resolve_complaint(complaint_id: str, asked: ResolveComplaint) -> Say:
    """A note can be added with it."""

    def say(known: Known) -> list[MessageData]:
        of = known.in_path("complaint", complaint_id)
        said: list[MessageData] = [
            ComplaintResolvedV1(complaint_id=of, resolution=asked.resolution, answer=asked.answer)
        ]
        if asked.note is not None:
            said.append(ComplaintNotedV1(complaint_id=of, note=asked.note))
        return said

    return say


def reopen_complaint(complaint_id: str, asked: ReopenComplaint) -> Say:
    """The complaint is open again and keeps its history."""
    return lambda known: [
        ComplaintReopenedV1(complaint_id=known.in_path("complaint", complaint_id), reason=asked.reason)
    ]


def note_complaint(complaint_id: str, asked: NoteComplaint) -> Say:
    """Notes are for the provider's staff."""
    return lambda known: [ComplaintNotedV1(complaint_id=known.in_path("complaint", complaint_id), note=asked.note)]


def link_complaint(complaint_id: str, asked: LinkComplaint) -> Say:
    """Links it to an outage, a dispute or a goodwill credit of the same account."""
    return lambda known: [
        ComplaintLinkedV1(
            complaint_id=known.in_path("complaint", complaint_id),
            kind=asked.kind,
            linked_id=known.in_body(asked.kind, asked.linked_id, "linked_id"),
        )
    ]
