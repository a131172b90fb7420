"""Cancelling at any time: the effective date, the amount and its formula are shown for both ways, to stop now or to
use the service to the end of the cycle, before anything is recorded; and taking it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from makegood.acts.acting import Acting, ActRequest
from makegood.acts.recorded import Recorded
from makegood.acts.refused import ActRefused
from makegood.acts.subscriptions import Cancel, WithdrawCancellation, cancel, withdraw_cancellation
from makegood.answers.preview import Previewed
from makegood.pages.acting import CONFIRM, STEP, WrongValue
from makegood.pages.forms import Form
from makegood.pages.portal.forms import act, changes_told, confirm_page
from makegood.pages.portal.here import PORTAL, Here, here
from makegood.pages.portal.in_words import Told
from makegood.pages.route import PageRoute
from makegood.pages.visitor import TurnedAway, Visitor, not_there, submits, visits
from projections.accounts import Subscription

router = APIRouter(include_in_schema=False, route_class=PageRoute)

CANCEL, WITHDRAW = "/cancel", "/withdraw"
KEEP, GIVE_BACK = "keep", "now"

Cancelling = Annotated[Visitor, visits("subscription.cancel")]
Withdrawing = Annotated[Visitor, visits("subscription.withdraw_cancellation")]


@dataclass(frozen=True, slots=True)
class Way:
    """One of the two ways to cancel, and what it means."""

    keep: bool
    effective: str
    """When the subscription ends, in a sentence."""
    comes_back: str
    """The amounts that change, together, in a sentence."""
    told: list[Told]


@router.get(PORTAL + CANCEL)
def ask(request: Request, visitor: Cancelling, account: str, subscription: str = "") -> Response:
    """Both ways to cancel with what comes back, to choose from."""
    at = here(request, visitor, account)
    return _ask(at, _subscription(at, subscription), Form({"keep_service": GIVE_BACK}))


@router.post(PORTAL + CANCEL)
def carry_out(
    request: Request,
    visitor: Annotated[Visitor, submits("subscription.cancel")],
    account: str,
    subscription: str = "",
) -> Response:
    """The chosen way, to confirm; confirmed, it is recorded."""
    at = here(request, visitor, account)
    found = _subscription(at, subscription)
    if _ended(found) and visitor.form.get(STEP) != CONFIRM:
        return _ask(at, found, Form())

    def values(form: Form) -> Mapping[str, Any]:
        if form.get("keep_service") not in (KEEP, GIVE_BACK):
            raise WrongValue("keep_service", "keep_service")
        return {"reason": form.get("reason"), "keep_service": form.get("keep_service") == KEEP}

    def previewed(form: Form, told: Previewed) -> Response:
        way = _way(at, found, told, keep=form.get("keep_service") == KEEP)
        return confirm_page(
            at,
            form,
            title=at.words.cancel_title.format(plan=found["plan"]),
            action=at.path(CANCEL, subscription=subscription),
            means=(way.effective, way.comes_back, at.words.receipt),
            told=way.told,
            confirm=at.words.cancel_confirm,
        )

    def recorded(done: Recorded) -> tuple[str, str]:
        decided = next((each for each in done.decided if each.status is not None and each.refund_id is None), None)
        if decided is None or decided.effective_on is None or decided.status == "cancelled":
            return at.path(), at.words.cancelled_at_once
        return at.path(), at.words.cancel_recorded.format(day=at.on(decided.effective_on))

    return act(
        at,
        at.path(CANCEL, subscription=subscription),
        Cancel,
        lambda asked: cancel(subscription, asked),
        ("keep_service", "reason"),
        values,
        lambda form: _ask(at, found, form),
        previewed,
        recorded,
    )


def _ask(at: Here, subscription: Subscription, form: Form) -> Response:
    title = at.words.cancel_title.format(plan=subscription["plan"])
    if _ended(subscription):
        return at.page("nothing_to_do", title=title, told=at.words.cannot_cancel)
    return at.page(
        "cancel",
        title=title,
        status=422 if form.wrong else 200,
        form=form,
        action=at.path(CANCEL, subscription=subscription["subscription_id"]),
        ways=[_previewed(at, subscription, keep=keep) for keep in (False, True)],
    )


def _ended(subscription: Subscription) -> bool:
    return subscription["status"] in ("cancelling", "cancelled", "terminated")


def _previewed(at: Here, subscription: Subscription, *, keep: bool) -> Way:
    acting = Acting(at.house, at.visitor.caller, at.account, "portal", lambda: None)
    said = cancel(subscription["subscription_id"], Cancel(keep_service=keep))
    try:
        return _way(at, subscription, acting.preview(said, ActRequest(None, b"")), keep=keep)
    except ActRefused:
        raise TurnedAway(not_there(at.frame)) from None


def _way(at: Here, subscription: Subscription, previewed: Previewed, *, keep: bool) -> Way:
    """What a way to cancel means: when it ends, and what changes of the claims of unused time."""
    words, told = at.words, changes_told(at, previewed)
    status = next(
        (
            each
            for each in reversed(previewed["subscriptions"])
            if each["subscription_id"] == subscription["subscription_id"]
        ),
        None,
    )
    ends_on = status["effective_on"] if status is not None else None
    at_once = status is None or status["after"] != "cancelling" or ends_on is None
    sums: dict[str, Decimal] = {}
    for change in previewed["changes"]:
        after, before = change["after"], change["before"]
        for state, sign in ((after, 1), (before, -1)):
            if state is not None:
                gross = Decimal(state["amount"]) + Decimal(state["tax"])
                sums[change["currency"] or ""] = sums.get(change["currency"] or "", Decimal(0)) + sign * gross
    amounts = [at.money(str(amount), currency) for currency, amount in sums.items() if amount > 0]
    return Way(
        keep,
        words.effective_at_once if at_once or ends_on is None else words.effective.format(day=at.on(ends_on)),
        words.comes_back_amount.format(amount=" + ".join(amounts)) if amounts else words.comes_back_nothing,
        told,
    )


@router.get(PORTAL + WITHDRAW)
def ask_back(request: Request, visitor: Withdrawing, account: str, subscription: str = "") -> Response:
    """A cancellation, to be taken back."""
    at = here(request, visitor, account)
    return _ask_back(at, _subscription(at, subscription), Form())


@router.post(PORTAL + WITHDRAW)
def take_back(
    request: Request,
    visitor: Annotated[Visitor, submits("subscription.withdraw_cancellation")],
    account: str,
    subscription: str = "",
) -> Response:
    """The cancellation is taken back: the button is on the page that says what it means."""
    at = here(request, visitor, account)
    found = _subscription(at, subscription)
    if visitor.form.get(STEP) != CONFIRM or (found["status"] == "cancelling" and not _takes_back(at, found)):
        return _ask_back(at, found, Form())

    def previewed(form: Form, told: Previewed) -> Response:
        return _ask_back(at, found, form)

    return act(
        at,
        at.path(WITHDRAW, subscription=subscription),
        WithdrawCancellation,
        lambda asked: withdraw_cancellation(subscription, asked),
        (),
        lambda form: {},
        lambda form: _ask_back(at, found, form),
        previewed,
        lambda done: (at.path(), at.words.withdraw_recorded),
    )


def _ask_back(at: Here, subscription: Subscription, form: Form) -> Response:
    title = at.words.withdraw_title.format(plan=subscription["plan"])
    ends_on = subscription["effective_on"]
    if subscription["status"] != "cancelling" or ends_on is None:
        return at.page("nothing_to_do", title=title, told=at.words.cannot_withdraw)
    if not _takes_back(at, subscription):
        return at.page("nothing_to_do", title=title, told=at.words.withdraw_too_soon)
    return at.page(
        "withdraw",
        title=title,
        status=422 if form.wrong else 200,
        form=form,
        action=at.path(WITHDRAW, subscription=subscription["subscription_id"]),
        lead_text=at.words.withdraw_lead.format(day=at.on(ends_on)),
    )


def _takes_back(at: Here, subscription: Subscription) -> bool:
    """Whether taking it back now has an effect: it has none at the very instant of the request (policy §5)."""
    acting = Acting(at.house, at.visitor.caller, at.account, "portal", lambda: None)
    said = withdraw_cancellation(subscription["subscription_id"], WithdrawCancellation())
    try:
        return bool(acting.preview(said, ActRequest(None, b""))["subscriptions"])
    except ActRefused:
        raise TurnedAway(not_there(at.frame)) from None


def _subscription(at: Here, subscription_id: str) -> Subscription:
    found = at.subscription(subscription_id)
    if found is None:
        raise TurnedAway(not_there(at.frame))
    return found
