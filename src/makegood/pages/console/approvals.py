"""The approval queue: refunds and goodwill credits that wait for a second person, with the explanation beside the
buttons. A person approves exactly what they saw, and never what they proposed themselves (policy §7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from consumers.upstream.findings import findings
from makegood.access.sight import Sight
from makegood.acts.acting import Acting, ActRequest, Say, spelt
from makegood.acts.goodwill import RejectGoodwill, approve_goodwill, reject_goodwill
from makegood.acts.refunds import ApproveRefund, RejectRefund, approve_refund, reject_refund
from makegood.acts.refused import ActRefused
from makegood.answers import owed
from makegood.answers.explanation import Unexplained, explain
from makegood.answers.explanation_types import Explanation
from makegood.answers.unknown import Unknown
from makegood.pages.acting import wait_until_shown
from makegood.pages.forms import Form
from makegood.pages.lists import asked_list, shown_list
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, page
from makegood.pages.visitor import TurnedAway, Visitor, go_to, house_of, not_there, submits, visits
from projections import refunds as refunds_

router = APIRouter(include_in_schema=False, route_class=PageRoute)

APPROVALS = "/console/approvals"
REFUND, GOODWILL = APPROVALS + "/{account}/refund", APPROVALS + "/{account}/goodwill"

ENTRIES = (Entry("finance", "Approvals", APPROVALS, "refund.read"),)

_FIELDS = ("reason",)


@router.get(APPROVALS)
def approvals(request: Request, visitor: Annotated[Visitor, visits("refund.read", "finance")]) -> Response:
    """What waits for a second person."""
    house, sight = house_of(request), visitor.caller.sight
    asked = asked_list(request, (), refunds_.ORDER)
    waiting = owed.refunds(house, sight, status="due", page=asked.page)
    return page(
        visitor.frame,
        "console/approvals.html",
        title="Approvals",
        shown=shown_list(request, asked, waiting),
        goodwill=owed.goodwill(house, sight, still_open=True) if visitor.may("goodwill.read") else [],
    )


@router.get(REFUND)
def refund(request: Request, visitor: Annotated[Visitor, visits("refund.read", "finance")], account: str) -> Response:
    """A refund with its explanation, to approve or reject."""
    return _refund_page(request, visitor, account, Form())


@router.post(REFUND)
def decide_refund(
    request: Request, visitor: Annotated[Visitor, submits("refund.decide", "finance")], account: str
) -> Response:
    """A person approves exactly the amount that they saw, or rejects it."""
    form, id_ = _form_of(visitor), request.query_params.get("id", "")

    def say() -> Say:
        if form.values.get("decision") == "approve":
            return approve_refund(id_, ApproveRefund(seen=form.values.get("seen", "")))
        return reject_refund(id_, RejectRefund(reason=_reason(form), seen=form.get("seen")))

    return _decide(
        request, visitor, account, form, say, f"Refund {id_}", lambda: _refund_page(request, visitor, account, form)
    )


def _refund_page(request: Request, visitor: Visitor, account: str, form: Form) -> Response:
    house, sight, id_ = house_of(request), visitor.caller.sight, request.query_params.get("id", "")
    found = refunds_.find(house.database, id_, account)
    if found is None:
        raise TurnedAway(not_there(visitor.frame))
    return page(
        visitor.frame,
        "console/decide.html",
        title=f"Refund {id_}",
        status=422 if form.wrong else 200,
        account=account,
        amount=found["total"],
        currency=found["currency"],
        decided=None if found["status"] == "due" else _decided(found),
        seen=found.get("proposal"),
        action=_address(REFUND, account, id_),
        may_decide="refund.decide",
        form=form,
        why=_why(request, visitor, sight, id_, account),
    )


def _decided(refund: refunds_.Refund) -> str:
    approved_by = refund.get("approved_by")
    by = f", approved by {approved_by}" if approved_by is not None else ""
    return f"It is {refund['status']}{by}: there is nothing to decide."


@router.get(GOODWILL)
def goodwill(
    request: Request, visitor: Annotated[Visitor, visits("goodwill.read", "finance")], account: str
) -> Response:
    """A goodwill credit that was proposed, to approve or reject."""
    return _goodwill_page(request, visitor, account, Form())


@router.post(GOODWILL)
def decide_goodwill(
    request: Request, visitor: Annotated[Visitor, submits("goodwill.decide", "finance")], account: str
) -> Response:
    """Somebody else than the proposer approves or rejects it."""
    form, id_ = _form_of(visitor), request.query_params.get("id", "")

    def say() -> Say:
        if form.values.get("decision") == "approve":
            return approve_goodwill(id_)
        return reject_goodwill(id_, RejectGoodwill(reason=_reason(form)))

    return _decide(
        request,
        visitor,
        account,
        form,
        say,
        f"Goodwill credit {id_}",
        lambda: _goodwill_page(request, visitor, account, form),
    )


def _goodwill_page(request: Request, visitor: Visitor, account: str, form: Form) -> Response:
    house, sight, id_ = house_of(request), visitor.caller.sight, request.query_params.get("id", "")
    proposals = owed.goodwill(house, sight, account=account)
    found = next((each for each in proposals if each["credit_id"] == id_), None)
    if found is None:
        raise TurnedAway(not_there(visitor.frame))
    return page(
        visitor.frame,
        "console/decide.html",
        title=f"Goodwill credit {id_}",
        status=422 if form.wrong else 200,
        account=account,
        amount=found["amount"],
        currency=found["currency"],
        decided=None if found["status"] == "proposed" else f"It is {found['status']}, by {found['decided_by']}.",
        seen=None,
        action=_address(GOODWILL, account, id_),
        may_decide="goodwill.decide",
        form=form,
        why=_why(request, visitor, sight, found["claim_id"], account),
    )


def _why(request: Request, visitor: Visitor, sight: Sight, id_: str, account: str) -> Explanation | None:
    if not visitor.may("explanation.read"):
        return None
    try:
        return explain(house_of(request), sight, id_, account)
    except (Unexplained, Unknown):
        return None


def _form_of(visitor: Visitor) -> Form:
    return Form({name: str(value).strip() for name, value in visitor.form.items() if name != "csrf"})


def _reason(form: Form) -> str:
    return form.values.get("reason", "")


def _address(path: str, account: str, id_: str) -> str:
    return f"{path.replace('{account}', quote(account, safe=''))}?id={quote(id_, safe='')}"


def _decide(
    request: Request,
    visitor: Visitor,
    account: str,
    form: Form,
    say: Callable[[], Say],
    what: str,
    again: Callable[[], Response],
) -> Response:
    """Record a decision, or show the page again with what is wrong."""
    approves = form.values.get("decision") == "approve"
    if not approves and not form.get("reason"):
        form.wrong["reason"] = "say why it is rejected"
        return again()
    try:
        acting = Acting(house_of(request), visitor.caller, account, "console", request.app.state.recorded)
        said = {name: form.values.get(name, "") for name in ("decision", "reason", "seen")}
        request_ = ActRequest(form.key, spelt("POST", f"{request.url.path}?{request.url.query}", said))
        wait_until_shown(request, acting.carry_out(say(), request_).position)
    except ValidationError as error:
        form.refuse(((finding.field or "", finding.reason) for finding in findings(error)), _FIELDS)
        return again()
    except ActRefused as refused:
        if refused.why == "not_found":
            raise TurnedAway(not_there(visitor.frame)) from None
        form.refuse([(wrong.field, wrong.reason) for wrong in refused.errors] or [("", refused.detail)], _FIELDS)
        form.values.pop("key", None)
        return again()
    return go_to(visitor, APPROVALS, f"{what} is {'approved' if approves else 'rejected'}.")
