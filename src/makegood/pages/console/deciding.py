"""What people decide about money, one thing at a time: with the explanation beside the buttons, exactly as they saw
it, and never what came from their own act (policy §7).

Each button is a form of its own address, which needs the permission of its own action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from makegood.access.permissions import Action
from makegood.acts.acting import Acting, ActRequest, Say, spelt
from makegood.acts.goodwill import RejectGoodwill, approve_goodwill, reject_goodwill
from makegood.acts.refunds import (
    ApproveRefund,
    DecideOverpaid,
    RejectRefund,
    approve_refund,
    recover_overpaid,
    refund_credit,
    reject_refund,
    retry_refund,
    turn_refund_into_credit,
    write_off_overpaid,
)
from makegood.acts.refused import ActRefused
from makegood.answers import owed
from makegood.answers.explanation import Unexplained, explain
from makegood.answers.explanation_types import Explanation
from makegood.answers.unknown import Unknown
from makegood.pages.acting import wait_until_shown
from makegood.pages.console.explanations import explained
from makegood.pages.forms import Form, sent_form
from makegood.pages.route import PageRoute
from makegood.pages.shell import page
from makegood.pages.visitor import TurnedAway, Visitor, go_to, house_of, not_there, submits, visits
from projections import credits as credits_
from projections import refunds as refunds_

router = APIRouter(include_in_schema=False, route_class=PageRoute)

APPROVALS, OVERPAID, CREDITS = "/console/approvals", "/console/overpaid", "/console/credits"

_FIELDS = ("reason",)


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be decided: its button, what it says, and how it is told afterwards."""

    name: str
    label: str
    action: Action
    say: Callable[[str, Form], Say]
    done: str
    takes_reason: bool = False
    look: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """What is decided about, as it stands: with the choices that there are now, or a sentence why there is none."""

    id: str
    title: str
    amount: str
    currency: str
    explained_by: str
    choices: Sequence[Choice] = ()
    stands: str = ""
    seen: str | None = None


def _reason(form: Form) -> str:
    return form.values.get("reason", "")


APPROVE = Choice(
    "approve",
    "Approve",
    "refund.decide",
    lambda id_, form: approve_refund(id_, ApproveRefund(seen=form.values.get("seen", ""))),
    "is approved",
    look="main",
)
REJECT = Choice(
    "reject",
    "Reject",
    "refund.decide",
    lambda id_, form: reject_refund(id_, RejectRefund(reason=_reason(form), seen=form.get("seen"))),
    "is rejected",
    takes_reason=True,
    look="danger",
)
RETRY = Choice("retry", "Retry", "refund.retry", lambda id_, _: retry_refund(id_), "is submitted again", look="main")
TO_CREDIT = Choice(
    "to-credit",
    "Turn into a credit of",
    "refund.to_credit",
    lambda id_, _: turn_refund_into_credit(id_),
    "is a credit now",
)
APPROVE_GOODWILL = Choice(
    "approve", "Approve", "goodwill.decide", lambda id_, _: approve_goodwill(id_), "is approved", look="main"
)
REJECT_GOODWILL = Choice(
    "reject",
    "Reject",
    "goodwill.decide",
    lambda id_, form: reject_goodwill(id_, RejectGoodwill(reason=_reason(form))),
    "is rejected",
    takes_reason=True,
    look="danger",
)
REFUND_REST = Choice(
    "refund", "Refund what is left,", "credit.refund", lambda id_, _: refund_credit(id_), "is to be refunded"
)
WRITE_OFF = Choice(
    "write-off",
    "Write off",
    "overpaid.decide",
    lambda id_, form: write_off_overpaid(id_, DecideOverpaid(reason=_reason(form))),
    "is written off",
    takes_reason=True,
)
RECOVER = Choice(
    "recover",
    "Recover from the next credits",
    "overpaid.decide",
    lambda id_, form: recover_overpaid(id_, DecideOverpaid(reason=_reason(form))),
    "is recovered from the account's next credits",
    takes_reason=True,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of item: the address of its page, where it leads back to, and how one is found."""

    path: str
    back: str
    back_label: str
    read: Action
    find: Callable[[Request, Visitor, str, str], Item | None]
    choices: Sequence[Choice]

    def address(self, account: str, id_: str, choice: str = "") -> str:
        """The address of an item's page, or of one of its buttons."""
        at = self.path.replace("{account}", quote(account, safe=""))
        return f"{at}{f'/{choice}' if choice else ''}?id={quote(id_)}"


def _refund(request: Request, _: Visitor, account: str, id_: str) -> Item | None:
    found = refunds_.find(house_of(request).database, id_, account)
    if found is None:
        return None
    choices = {"due": (APPROVE, REJECT), "failed": (RETRY, TO_CREDIT)}.get(found["status"], ())
    approved_by = found.get("approved_by")
    by = f", approved by {approved_by}" if approved_by is not None else ""
    stands = "" if choices else f"It is {found['status']}{by}: there is nothing to decide."
    title = f"Refund {id_}"
    return Item(id_, title, found["total"], found["currency"], id_, choices, stands, found.get("proposal"))


def _goodwill(request: Request, visitor: Visitor, account: str, id_: str) -> Item | None:
    proposals = owed.goodwill(house_of(request), visitor.caller.sight, account=account)
    found = next((each for each in proposals if each["credit_id"] == id_), None)
    if found is None:
        return None
    open_ = found["status"] == "proposed"
    stands = (
        f"It was proposed by {found['proposed_by']}."
        if open_
        else f"It is {found['status']}, by {found['decided_by']}."
    )
    choices = (APPROVE_GOODWILL, REJECT_GOODWILL) if open_ else ()
    return Item(id_, f"Goodwill credit {id_}", found["amount"], found["currency"], found["claim_id"], choices, stands)


def _credit(request: Request, _: Visitor, account: str, id_: str) -> Item | None:
    found = credits_.find(house_of(request).database, id_, account)
    if found is None:
        return None
    dormant = found["dormant_since"] is not None
    stands = (
        "" if dormant else "What is left of a credit can be refunded once the account's last subscription has ended."
    )
    return Item(
        id_, f"Credit {id_}", found["left"], found["currency"], id_, (REFUND_REST,) if dormant else (), stands
    )


def _overpaid(request: Request, visitor: Visitor, account: str, id_: str) -> Item | None:
    rows = owed.overpaid(house_of(request), visitor.caller.sight, account=account)
    found = next((each for each in rows if each["claim_id"] == id_), None)
    if found is None:
        return None
    ordered_by = found["recovery_ordered_by"]
    stands = "" if ordered_by is None else f"{ordered_by} ordered it recovered from the account's next credits."
    title = f"Overpaid for {id_}"
    return Item(id_, title, found["overpaid"], found["currency"], id_, (RECOVER, WRITE_OFF), stands)


KINDS = (
    REFUND := Kind(
        APPROVALS + "/{account}/refund",
        APPROVALS,
        "Approvals",
        "refund.read",
        _refund,
        (APPROVE, REJECT, RETRY, TO_CREDIT),
    ),
    GOODWILL := Kind(
        APPROVALS + "/{account}/goodwill",
        APPROVALS,
        "Approvals",
        "goodwill.read",
        _goodwill,
        (APPROVE_GOODWILL, REJECT_GOODWILL),
    ),
    CREDIT := Kind(CREDITS + "/{account}/decide", CREDITS, "Credits", "credit.read", _credit, (REFUND_REST,)),
    CLAIM := Kind(
        OVERPAID + "/{account}/decide", OVERPAID, "Overpaid", "overpaid.read", _overpaid, (RECOVER, WRITE_OFF)
    ),
)


def _look_at(kind: Kind) -> Callable[..., Response]:
    permitted: Visitor = visits(kind.read, "finance")

    def look(request: Request, account: str, visitor: Visitor = permitted) -> Response:
        return _item_page(kind, request, visitor, account, Form())

    return look


def _decide(kind: Kind, choice: Choice) -> Callable[..., Response]:
    permitted: Visitor = submits(choice.action, "finance")

    def decide(request: Request, account: str, visitor: Visitor = permitted) -> Response:
        return _decided(kind, choice, request, visitor, account)

    return decide


for _kind in KINDS:
    router.get(_kind.path)(_look_at(_kind))
    for _choice in _kind.choices:
        router.post(f"{_kind.path}/{_choice.name}")(_decide(_kind, _choice))


def _found(kind: Kind, request: Request, visitor: Visitor, account: str) -> Item:
    found = kind.find(request, visitor, account, request.query_params.get("id", ""))
    if found is None:
        raise TurnedAway(not_there(visitor.frame))
    return found


def _item_page(kind: Kind, request: Request, visitor: Visitor, account: str, form: Form) -> Response:
    item = _found(kind, request, visitor, account)
    return page(
        visitor.frame,
        "console/decide.html",
        title=item.title,
        status=422 if form.wrong else 200,
        kind=kind,
        item=item,
        account=account,
        choices=[each for each in item.choices if visitor.may(each.action)],
        form=form,
        **explained(request, _why(request, visitor, item.explained_by, account)),
    )


def _why(request: Request, visitor: Visitor, id_: str, account: str) -> Explanation | None:
    if not visitor.may("explanation.read"):
        return None
    try:
        return explain(house_of(request), visitor.caller.sight, id_, account)
    except (Unexplained, Unknown):
        return None


def _decided(kind: Kind, choice: Choice, request: Request, visitor: Visitor, account: str) -> Response:
    """Record a decision, or show the page again with what is wrong."""
    form = sent_form(visitor.form)
    item = _found(kind, request, visitor, account)
    if choice.takes_reason and not form.get("reason"):
        form.wrong["reason"] = "say why: the reason is kept with the decision"
        return _item_page(kind, request, visitor, account, form)
    said: dict[str, Any] = {name: form.values.get(name, "") for name in ("reason", "seen")}
    try:
        acting = Acting(house_of(request), visitor.caller, account, "console", request.app.state.recorded)
        act = ActRequest(form.key, spelt("POST", kind.address(account, item.id, choice.name), said))
        wait_until_shown(request, acting.carry_out(choice.say(item.id, form), act).position)
    except ValidationError as error:
        form.refuse_by(error, _FIELDS)
    except ActRefused as refused:
        if refused.why == "not_found":
            raise TurnedAway(not_there(visitor.frame)) from None
        form.refuse_by(refused, _FIELDS)
        form.values.pop("key", None)
    else:
        return go_to(visitor, kind.back, f"{item.title} {choice.done}.")
    return _item_page(kind, request, visitor, account, form)
