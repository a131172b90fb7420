"""Acts on a complaint: open, resolve and reopen it, note something, and say what it has to do with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from makegood.acts import complaints
from makegood.acts.complaints import LinkComplaint, NoteComplaint, OpenComplaint, ReopenComplaint, ResolveComplaint
from makegood.api.act_request import ANSWERS, Asked, acting
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

COMPLAINTS = "/accounts/{account_id}/complaints"

router = APIRouter(tags=["Complaints"], route_class=Guarded)

ComplaintId = Annotated[PathId, Path(description="The complaint.")]

REOPEN = ReopenComplaint()
"""A body that says nothing: there need be none."""


@router.post(COMPLAINTS, summary="Open a complaint", responses=ANSWERS)
def open_complaint(act: Annotated[Asked, acting("complaint.open")], asked: OpenComplaint) -> Response:
    """The complaint stays open until support resolves it."""
    return act.answer(complaints.open_complaint(asked))


@router.post(f"{COMPLAINTS}/{{complaint_id}}/resolve", summary="Resolve a complaint", responses=ANSWERS)
def resolve_complaint(
    complaint_id: ComplaintId, act: Annotated[Asked, acting("complaint.resolve")], asked: ResolveComplaint
) -> Response:
    """A note can be added with it."""
    return act.answer(complaints.resolve_complaint(complaint_id, asked))


@router.post(f"{COMPLAINTS}/{{complaint_id}}/reopen", summary="Reopen a complaint", responses=ANSWERS)
def reopen_complaint(
    complaint_id: ComplaintId,
    act: Annotated[Asked, acting("complaint.reopen")],
    asked: Annotated[ReopenComplaint, Body()] = REOPEN,
) -> Response:
    """The complaint is open again and keeps its history."""
    return act.answer(complaints.reopen_complaint(complaint_id, asked))


@router.post(f"{COMPLAINTS}/{{complaint_id}}/notes", summary="Add a note to a complaint", responses=ANSWERS)
def note_complaint(
    complaint_id: ComplaintId, act: Annotated[Asked, acting("complaint.note")], asked: NoteComplaint
) -> Response:
    """Notes are visible to the provider's staff only, and are kept in the vault."""
    return act.answer(complaints.note_complaint(complaint_id, asked))


@router.post(f"{COMPLAINTS}/{{complaint_id}}/links", summary="Link a complaint", responses=ANSWERS)
def link_complaint(
    complaint_id: ComplaintId, act: Annotated[Asked, acting("complaint.link")], asked: LinkComplaint
) -> Response:
    """Links it to an outage, a dispute or a goodwill credit of the same account."""
    return act.answer(complaints.link_complaint(complaint_id, asked))
