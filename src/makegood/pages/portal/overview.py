"""The customer's overview: what comes back, what they have, what is open and what was decided; and why."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.events import Clause
from ledger.values import date_from_text
from makegood.answers import owed
from makegood.answers.account import Account
from makegood.answers.activations import Activation, activations
from makegood.answers.explanation import SeveralHaveIt, Unexplained, explain
from makegood.house.clock import system_clock
from makegood.pages.lists import Slice, slice_of
from makegood.pages.portal.here import PORTAL, Here, here
from makegood.pages.portal.in_words import answer_of, facts_told, formula_in, parts_told, told_of
from makegood.pages.portal.words import LANGUAGES
from makegood.pages.route import PageRoute
from makegood.pages.visitor import TurnedAway, Visitor, go_to, not_there, sessions_of, submits, visits
from projections.account_state import ClaimOfAccount
from projections.accounts import Charge, Subscription
from projections.refunds import Refund

router = APIRouter(include_in_schema=False, route_class=PageRoute)

WHY = PORTAL + "/why"

Reading = Annotated[Visitor, visits("account.read")]


@dataclass(frozen=True, slots=True)
class SubscriptionShown:
    """A subscription with its cycles, the newest first, and the one that runs today."""

    subscription: Subscription
    cycles: Slice[Charge]
    current: Charge | None
    activation: Activation | None
    """None where it is not due yet."""


@router.get(PORTAL)
def overview(request: Request, visitor: Reading, account: str) -> Response:
    """Everything of the account on one page."""
    at = here(request, visitor, account)
    told, sight = at.told, visitor.caller.sight
    disputes = owed.disputes(at.house, sight, account=account)
    outages = owed.outages(at.house, sight, account=account)
    return at.page(
        "overview",
        title=at.words.overview,
        lead=at.words.account_named.format(account=account),
        balances=told["balances"],
        coming=[refund for refund in told["refunds"] if refund["status"] not in ("succeeded", "rejected")],
        settled=slice_of(
            request, "settled-refunds", [r for r in told["refunds"] if r["status"] in ("succeeded", "rejected")]
        ),
        when=lambda refund: when(at, refund),
        credits=[credit for credit in told["credits"] if Decimal(credit["left"])],
        subscriptions=_subscriptions(at),
        ended_outages=slice_of(request, "ended-outages", [each for each in outages if each["resolved_at"]][::-1]),
        open_outages=[outage for outage in outages if outage["status"] == "open"],
        open_disputes=[dispute for dispute in disputes if dispute["status"] == "investigating"],
        answered=slice_of(
            request, "answered", [each for each in told["complaints"] if each["status"] == "resolved"][::-1]
        ),
        open_complaints=[complaint for complaint in told["complaints"] if complaint["status"] == "open"],
        decisions=slice_of(request, "decisions", _newest_first(told)),
    )


def _newest_first(told: Account) -> list[ClaimOfAccount]:
    """The decisions by the day on which what they are about began, and those about no charge last."""
    began = {charge["charge_id"]: charge["starts_on"] or "" for charge in told["charges"]}
    return sorted(
        told["claims"],
        key=lambda claim: (began.get(claim["charge_id"] or "", ""), claim["claim_id"]),
        reverse=True,
    )


def when(at: Here, refund: Refund) -> str:
    """When a refund comes, in a sentence."""
    last = next(
        refund[name]
        for name in ("settled_at", "submitted_at", "approved_at", "due_at")  # the latest that there is
        if refund[name] is not None
    )
    return at.words.refund_when[refund["status"]].format(day=at.day_of(str(last)))


def _subscriptions(at: Here) -> list[SubscriptionShown]:
    today = at.today
    access = activations(at.house, at.visitor.caller.sight, at.account, system_clock())
    found = []
    for number, subscription in enumerate(at.told["subscriptions"], 1):
        cycles = [
            charge
            for charge in at.told["charges"]
            if charge["kind"] == "cycle" and charge["subscription_id"] == subscription["subscription_id"]
        ]
        cycles.sort(key=lambda charge: charge["starts_on"] or "", reverse=True)
        current = next((cycle for cycle in cycles if _runs_on(cycle, today)), None)
        shown = slice_of(at.request, f"cycles-{number}", cycles)
        found.append(SubscriptionShown(subscription, shown, current, access.get(subscription["subscription_id"])))
    return found


def _runs_on(cycle: Charge, day: Any) -> bool:
    starts_on, ends_on = cycle["starts_on"], cycle["ends_on"]
    return (
        starts_on is not None and ends_on is not None and date_from_text(starts_on) <= day < date_from_text(ends_on)
    )


@router.get(WHY)
def why(
    request: Request,
    visitor: Annotated[Visitor, visits("explanation.read")],
    account: str,
    id: str = "",
) -> Response:
    """What a claim, refund or credit is for, in plain words."""
    at = here(request, visitor, account)
    try:
        found = explain(at.house, visitor.caller.sight, id, account)
    except (Unexplained, SeveralHaveIt):
        return _goodwill(at, id)
    clause: Clause | Literal["excess"] = found["clause"] or "excess"
    told = told_of(at, clause, found["currency"], found["claim"], found["inputs"], found["formula"])
    return at.page(
        "why",
        title=at.words.why_title,
        clause=at.words.clauses[clause],
        about=at.charge_named(found["charge_id"]),
        told=told if found["claim"] is not None or clause != "excess" else None,
        excess=_excess(at, id) if clause == "excess" else None,
        formula=formula_in(at.words, found["formula"]),
        answer=answer_of(found),
        facts=slice_of(request, "facts", facts_told(at.words, found["facts"])),
        more_facts=found["facts_count"] - len(found["facts"]),
        parts=parts_told(at, found["claim"]["settled"], found["currency"]) if found["claim"] is not None else [],
        refunds=[
            refund
            for refund in at.told["refunds"]
            if refund["refund_id"] in {course["refund_id"] for course in found["refunds"]}
        ],
        when=lambda refund: when(at, refund),
        used=[
            at.words.used_for.format(
                amount=at.money(use["amount"], found["currency"]),
                invoice=use["invoice_id"],
                day=at.day_of(use["recorded_at"]),
            )
            for use in found["applied"]
        ],
        charge_id=found["charge_id"],
    )


def _excess(at: Here, id_: str) -> str:
    credit = next((credit for credit in at.told["credits"] if id_ == credit["credit_id"]), None)
    if credit is None:
        return at.words.clauses["excess"]
    return at.words.granted["excess"].format(amount=at.money(credit["total"], credit["currency"]))


def _goodwill(at: Here, id_: str) -> Response:
    """A goodwill credit that was granted: two people decided about it, and their words are not the customer's."""
    claim = next((each for each in at.told["claims"] if each["clause"] == "complaint" and _is_of(id_, each)), None)
    if claim is None:
        raise TurnedAway(not_there(at.frame))
    total = str(Decimal(claim["amount"]) + Decimal(claim["tax"]))
    money = at.money(total, claim["currency"])
    return at.page(
        "why",
        title=at.words.why_title,
        clause=at.words.clauses["complaint"],
        about="",
        told=None,
        excess=at.words.granted["complaint"].format(amount=money),
        formula=None,
        answer=None,
        facts=None,
        more_facts=0,
        parts=[(at.words.into["credit"].format(amount=money), "")],
        refunds=[],
        when=None,
        used=[],
        charge_id=None,
    )


def _is_of(id_: str, claim: Any) -> bool:
    return bool(id_ == claim["claim_id"] or id_.startswith(f"credit/{claim['claim_id']}/"))


@router.post(PORTAL + "/language")
def language(request: Request, visitor: Annotated[Visitor, submits("account.read")], account: str) -> Response:
    """The session goes on in another language."""
    chosen = str(visitor.form.get("language", ""))
    if chosen in LANGUAGES:
        sessions_of(request).speak(visitor.presence, chosen)
    return go_to(visitor, here(request, visitor, account).path())
