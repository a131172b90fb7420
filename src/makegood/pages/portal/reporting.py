"""What a customer reports: an outage, a billing error, a complaint; and the answer to a complaint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from makegood.acts.acting import Say
from makegood.acts.complaints import OpenComplaint, ReopenComplaint, open_complaint, reopen_complaint
from makegood.acts.disputes import OpenDispute, open_dispute
from makegood.acts.outages import ReportOutage, report_outage
from makegood.acts.recorded import Recorded
from makegood.answers.complaint_in_full import complaint as complaint_in_full
from makegood.answers.preview import Previewed
from makegood.pages.acting import WrongValue
from makegood.pages.forms import Form
from makegood.pages.instants import instant_from_form
from makegood.pages.portal.forms import act, amount_of, changes_told, confirm_page
from makegood.pages.portal.here import PORTAL, Here, here
from makegood.pages.portal.words.texts import CATEGORIES
from makegood.pages.route import PageRoute
from makegood.pages.visitor import Visitor, submits, visits

router = APIRouter(include_in_schema=False, route_class=PageRoute)

B = TypeVar("B", bound=BaseModel)

OUTAGE, ERROR, COMPLAIN, COMPLAINT = "/outages/report", "/errors/report", "/complaints/open", "/complaints"


def _options(at: Here, options: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("", at.words.choose), *options]


def _subscriptions(at: Here) -> list[tuple[str, str]]:
    return [
        (each["subscription_id"], f"{each['plan']} ({each['subscription_id']})") for each in at.told["subscriptions"]
    ]


def _report(
    at: Here,
    below: str,
    title: str,
    body: type[B],
    say: Any,
    fields: Sequence[str],
    values: Any,
    show: Any,
    means: str,
    recorded: str,
) -> Response:
    """The answer to a form that reports something: it is previewed, confirmed, and stands in the overview."""

    def previewed(form: Form, told: Previewed) -> Response:
        changes = changes_told(at, told)
        return confirm_page(
            at,
            form,
            title=title,
            action=at.path(below),
            means=(means,) if changes else (means, at.words.nothing_changes),
            told=changes,
            confirm=at.words.confirm,
        )

    return act(at, at.path(below), body, say, fields, values, show, previewed, lambda done: (at.path(), recorded))


# --- an outage ------------------------------------------------------------------------------------------------------


@router.get(PORTAL + OUTAGE)
def ask_outage(request: Request, visitor: Annotated[Visitor, visits("outage.report")], account: str) -> Response:
    """What a report of an outage needs."""
    at = here(request, visitor, account)
    return _outage_form(at, Form({"subscription_id": request.query_params.get("subscription", "")}))


def _outage_form(at: Here, form: Form) -> Response:
    if not at.told["subscriptions"]:
        return at.page("nothing_to_do", title=at.words.report_outage, told=at.words.no_subscription)
    return at.page(
        "outage",
        title=at.words.report_outage,
        status=422 if form.wrong else 200,
        form=form,
        action=at.path(OUTAGE),
        subscriptions=_options(at, _subscriptions(at)),
        severities=list(at.words.severities.items()),
    )


@router.post(PORTAL + OUTAGE)
def outage(request: Request, visitor: Annotated[Visitor, submits("outage.report")], account: str) -> Response:
    """The outage is recorded as reported now."""
    at = here(request, visitor, account)

    def values(form: Form) -> Mapping[str, Any]:
        if not form.get("began_at"):
            raise WrongValue("began_at", "began_at")
        try:
            began_at = instant_from_form(form.values["began_at"], at.frame.zone)
        except ValueError as error:
            raise WrongValue("began_at", "time_changes" if "clocks" in str(error) else "began_at") from None
        return {
            "subscription_id": form.get("subscription_id"),
            "began_at": began_at,
            "severity": form.get("severity"),
        }

    words, fields = at.words, ("subscription_id", "began_at", "severity")
    return _report(
        at,
        OUTAGE,
        words.report_outage,
        ReportOutage,
        report_outage,
        fields,
        values,
        lambda form: _outage_form(at, form),
        words.outage_means,
        words.outage_recorded,
    )


# --- a billing error ------------------------------------------------------------------------------------------------


@router.get(PORTAL + ERROR)
def ask_error(request: Request, visitor: Annotated[Visitor, visits("dispute.open")], account: str) -> Response:
    """What a report of a billing error needs."""
    at = here(request, visitor, account)
    return _error_form(at, Form({"charge_id": request.query_params.get("charge", "")}))


def _error_form(at: Here, form: Form) -> Response:
    if not at.told["charges"]:
        return at.page("nothing_to_do", title=at.words.report_error, told=at.words.no_charge)
    charges = [
        (charge["charge_id"], f"{at.cycle(charge)}, {at.money(charge['price'], charge['currency'])}")
        for charge in sorted(at.told["charges"], key=lambda charge: charge["starts_on"] or "", reverse=True)
    ]
    return at.page(
        "error",
        title=at.words.report_error,
        status=422 if form.wrong else 200,
        form=form,
        action=at.path(ERROR),
        charges=_options(at, charges),
        currency=at.told["currency"] or at.told["charges"][0]["currency"],
    )


@router.post(PORTAL + ERROR)
def error(request: Request, visitor: Annotated[Visitor, submits("dispute.open")], account: str) -> Response:
    """The billing error is recorded, and investigated."""
    at = here(request, visitor, account)

    def values(form: Form) -> Mapping[str, Any]:
        charge = at.charge(form.get("charge_id"))
        if charge is None:
            raise WrongValue("charge_id", "charge_id")
        return {
            "charge_id": charge["charge_id"],
            "currency": charge["currency"],
            "claimed": amount_of(form.get("claimed")),
            "description": form.get("description"),
        }

    words, fields = at.words, ("charge_id", "claimed", "description")
    return _report(
        at,
        ERROR,
        words.report_error,
        OpenDispute,
        open_dispute,
        fields,
        values,
        lambda form: _error_form(at, form),
        words.error_means,
        words.error_recorded,
    )


# --- a complaint ----------------------------------------------------------------------------------------------------


@router.get(PORTAL + COMPLAIN)
def ask_complaint(request: Request, visitor: Annotated[Visitor, visits("complaint.open")], account: str) -> Response:
    """What a complaint needs."""
    return _complaint_form(here(request, visitor, account), Form())


def _complaint_form(at: Here, form: Form) -> Response:
    return at.page(
        "complain",
        title=at.words.complain,
        status=422 if form.wrong else 200,
        form=form,
        action=at.path(COMPLAIN),
        categories=_options(at, [(category, at.words.categories[category]) for category in CATEGORIES]),
        subscriptions=_options(at, _subscriptions(at)),
    )


@router.post(PORTAL + COMPLAIN)
def complain(request: Request, visitor: Annotated[Visitor, submits("complaint.open")], account: str) -> Response:
    """The complaint is recorded, and open until it is answered."""
    at = here(request, visitor, account)

    def values(form: Form) -> Mapping[str, Any]:
        if form.get("category") not in CATEGORIES:
            raise WrongValue("category", "category")
        return {name: form.get(name) for name in ("category", "subscription_id", "description")}

    words, fields = at.words, ("category", "subscription_id", "description")
    return _report(
        at,
        COMPLAIN,
        words.complain,
        OpenComplaint,
        open_complaint,
        fields,
        values,
        lambda form: _complaint_form(at, form),
        words.complaint_means,
        words.complaint_recorded,
    )


@router.get(PORTAL + COMPLAINT)
def complaint(
    request: Request, visitor: Annotated[Visitor, visits("complaint.read_words")], account: str, id: str = ""
) -> Response:
    """A complaint, what the customer wrote, and what they were answered."""
    return _complaint(here(request, visitor, account), id, Form())


def _complaint(at: Here, id_: str, form: Form) -> Response:
    found = complaint_in_full(at.house, at.visitor.caller.sight, id_, at.account)
    return at.page(
        "complaint",
        title=at.words.complaint_of.format(day=at.day_of(found["opened_at"])),
        status=422 if form.wrong else 200,
        complaint=found,
        steps=[step for step in found["steps"] if step["step"] in ("opened", "resolved", "reopened")],
        form=form,
        action=at.path(COMPLAINT, id=id_),
    )


@router.post(PORTAL + COMPLAINT)
def reopen(
    request: Request, visitor: Annotated[Visitor, submits("complaint.reopen")], account: str, id: str = ""
) -> Response:
    """The complaint is open again."""
    at = here(request, visitor, account)

    def say(asked: ReopenComplaint) -> Say:
        return reopen_complaint(id, asked)

    def previewed(form: Form, told: Previewed) -> Response:
        return _complaint(at, id, form)

    def recorded(done: Recorded) -> tuple[str, str]:
        return at.path(), at.words.reopened

    return act(
        at,
        at.path(COMPLAINT, id=id),
        ReopenComplaint,
        say,
        ("reason",),
        lambda form: {"reason": form.get("reason")},
        lambda form: _complaint(at, id, form),
        previewed,
        recorded,
    )
