"""The lists and views of the API: those of the command line, with the same filters and answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.responses import JSONResponse, Response

from ledger.events import KeptAs
from ledger.events.billing_account import Clause, Outcome
from ledger.instructions import Kind
from ledger.store.instants import to_microseconds
from ledger.store.notice_queue import NoticeStatus, QueuedNotice
from ledger.store.positions import PATTERN, KnownAt
from ledger.values import instant_from_text, is_identifier
from makegood.access.caller import Caller
from makegood.answers import account as answering
from makegood.answers import agreements as published
from makegood.answers import notices as mails
from makegood.answers import status as standing
from makegood.answers.complaint import complaint as told
from makegood.answers.explanation import Unexplained, explain
from makegood.answers.kept_messages import with_body
from makegood.answers.moments import AS_OF, KNOWN_AT, as_of_from_text, known_at_from_text
from makegood.api import shapes
from makegood.api.guard import Guarded, TheHouse, allowed
from makegood.api.paging import LIMIT, After, Limit, Listing
from makegood.api.paths import AccountId, PathId
from makegood.api.problems import not_found
from makegood.api.versions import IF_NONE_MATCH, STILL_THE_SAME, TELLS_VERSION, answer_version
from makegood.house.opening import House
from projections import access, alarms, kept, queries

finance = APIRouter(tags=["Claims and payments"], route_class=Guarded)
accounts = APIRouter(tags=["Accounts"], route_class=Guarded)
messages = APIRouter(tags=["Messages"], route_class=Guarded)
machinery = APIRouter(tags=["Machinery"], route_class=Guarded)

ROUTERS = (finance, accounts, messages, machinery)


# --- what is asked ------------------------------------------------------------------------------------------------


def _identifier(text: str) -> str:
    if not is_identifier(text):
        raise PydanticCustomError("identifier", "an id must have 1 to 128 printable characters without spaces")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("printable", "the value contains unprintable characters")
    return text


def _as_of(text: str) -> date:
    try:
        return as_of_from_text(text)
    except ValueError as error:
        raise PydanticCustomError("as_of", AS_OF) from error


def _known_at(text: str) -> KnownAt:
    try:
        return known_at_from_text(text)
    except ValueError as error:
        raise PydanticCustomError("known_at", KNOWN_AT) from error


_AN_INSTANT = {"type": "string", "format": "date-time"}


Identifier = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_identifier)]
Printable = Annotated[str, Field(max_length=1_024), AfterValidator(_printable)]
AsOf = Annotated[
    Any, PlainValidator(_as_of), WithJsonSchema({"anyOf": [_AN_INSTANT, {"type": "string", "format": "date"}]})
]
KnownAtMoment = Annotated[
    Any,
    PlainValidator(_known_at),
    WithJsonSchema({"anyOf": [_AN_INSTANT, {"type": "string", "pattern": PATTERN}]}),
]

OfAccount = Annotated[Identifier | None, Query(description="Only this account.")]
OfSource = Annotated[Printable | None, Query(description="Only messages from this source.")]
CLOSED_TOO = "Include replayed and discarded messages."
KeptPosition = Annotated[int, Path(ge=1, lt=2**63, description="The message's number in the list.")]


def answers(model: Any) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for the description of the API."""
    return {200: {"model": model, "description": "The result"}}


# --- what is owed -------------------------------------------------------------------------------------------------

CLAIMS = Listing(lambda row: (row["account_id"], row["claim_id"]), (str, str))
REFUNDS = Listing(lambda row: (row["account_id"], row["refund_id"]), (str, str))
CREDITS = Listing(lambda row: (row["account_id"], row["credit_id"]), (str, str))
DISPUTES = Listing(lambda row: (row["account_id"], row["claim_id"]), (str, str))
COMPLAINTS = Listing(
    lambda row: (int(row["status"] != "open"), row["opened_at"], row["account_id"], row["complaint_id"]),
    (int, str, str, str),
)
GOODWILL = Listing(lambda row: (row["account_id"], row["credit_id"]), (str, str))
ALARMS = Listing(lambda row: (row["account_id"], alarms.identity_of(row)), (str, str))


@finance.get("/claims", summary="List claims", responses=answers(list[shapes.Claim]))
def claims(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("claim.read")],
    account: OfAccount = None,
    clause: Annotated[Clause | None, Query(description="Only this clause of the policy.")] = None,
    outcome: Annotated[Outcome | None, Query(description="Only this outcome.")] = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Claims granted, declined, pending or withdrawn, by account and id."""
    page = CLAIMS.asked(limit, after)
    scope = caller.limited_to(account)
    rows = queries.claims(
        house.database,
        clause=clause,
        outcome=outcome,
        goodwill_in_full=_sees_goodwill(caller),
        accounts=scope,
        page=page,
    )
    return CLAIMS.answer(request, rows, page)


@finance.get("/refunds", summary="List refunds", responses=answers(list[shapes.Refund]))
def refunds(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("refund.read")],
    account: OfAccount = None,
    status: Annotated[shapes.RefundStatus | None, Query(description="Only this status.")] = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Refunds due, failed and paid out, by account and id."""
    page = REFUNDS.asked(limit, after)
    rows = queries.refunds(house.database, status=status, accounts=caller.limited_to(account), page=page)
    return REFUNDS.answer(request, rows, page)


@finance.get("/credits", summary="List credits", responses=answers(list[shapes.Credit]))
def credits(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("credit.read")],
    account: OfAccount = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Credits for accounts' next charges, with the amounts used and left, by account and id."""
    page = CREDITS.asked(limit, after)
    rows = queries.credits(house.database, accounts=caller.limited_to(account), page=page)
    return CREDITS.answer(request, rows, page)


@finance.get("/disputes", summary="List disputes", responses=answers(list[shapes.Dispute]))
def disputes(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("dispute.read")],
    account: OfAccount = None,
    overdue: Annotated[bool, Query(description="Only overdue investigations.")] = False,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Disputed charges, under investigation with a deadline, confirmed or rejected, by account and id."""
    page = DISPUTES.asked(limit, after)
    scope = caller.limited_to(account)
    rows = queries.disputes(house.database, house.ledger.now(), overdue=overdue, accounts=scope)
    return DISPUTES.answer(request, rows, page)


@finance.get("/complaints", summary="List complaints", responses=answers(list[shapes.Complaint]))
def complaints(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("complaint.read")],
    account: OfAccount = None,
    still_open: Annotated[bool, Query(alias="open", description="Only open complaints.")] = False,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Customers' complaints, the longest open first."""
    page = COMPLAINTS.asked(limit, after)
    scope = caller.limited_to(account)
    rows = queries.complaints(house.database, house.ledger.now(), still_open=still_open, accounts=scope)
    shown = rows if _sees_goodwill(caller) else [_without_goodwill(row) for row in rows]
    return COMPLAINTS.answer(request, shown, page)


@finance.get("/goodwill", summary="List goodwill credits", responses=answers(list[shapes.GoodwillLinked]))
def goodwill(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("goodwill.read")],
    account: OfAccount = None,
    still_open: Annotated[bool, Query(alias="open", description="Only undecided proposals.")] = False,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Goodwill credits with their complaint, proposer and decision, by account and id."""
    page = GOODWILL.asked(limit, after)
    rows = queries.goodwill(house.database, still_open=still_open, accounts=caller.limited_to(account))
    return GOODWILL.answer(request, rows, page)


@finance.get("/alarms", summary="List active alarms", responses=answers(list[shapes.Alarm]))
def standing_alarms(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("alarm.read")],
    account: OfAccount = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Active alarms, for a person to check, by account."""
    page = ALARMS.asked(limit, after)
    rows = queries.alarms(house.database, accounts=caller.limited_to(account), page=page)
    return ALARMS.answer(request, rows, page)


@finance.get("/explanations", summary="Explain a claim, refund or credit", responses=answers(shapes.Explanation))
def explanation(
    house: TheHouse,
    caller: Annotated[Caller, allowed("explanation.read")],
    id: Annotated[
        Printable,
        Query(
            min_length=1, description="The id of a claim, refund or credit.", examples=["unused/cyc-0006-2026-04-02"]
        ),
    ],
    account: OfAccount = None,
) -> Response:
    """Clause, agreement, formula with its numbers, the facts used, and all recorded steps of a claim.

    Texts about goodwill credits are included for callers with permission to read people's texts about complaints.
    """
    if account is not None:
        caller.check(account)
    words = caller.may_also("complaint.read_words")
    found = explain(house, id, account, caller.of_accounts, words=words)
    if found["clause"] == "complaint" and not _sees_goodwill(caller):
        raise Unexplained("goodwill proposals are not visible to you")
    return JSONResponse(found if caller.of_accounts is None else _without_people(found))


def _without_people(explained: dict[str, Any]) -> dict[str, Any]:
    """An explanation for a customer: what was decided and why, without who of the provider's people did it.

    A message that somebody instructed is named after them, so messages are not named either.
    """

    def without(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
        return [{name: said for name, said in row.items() if name not in names} for row in rows]

    steps, facts = without(explained["steps"], "actor"), without(explained["facts"], "source", "id")
    retracted = [
        {**fact, "retracted_by": by}
        for fact, by in zip(
            without(explained["retracted"], "source", "id"),
            without([fact["retracted_by"] for fact in explained["retracted"]], "source", "id"),
            strict=True,
        )
    ]
    return {**explained, "steps": steps, "facts": facts, "retracted": retracted}


def _sees_goodwill(caller: Caller) -> bool:
    """Whether they may know of goodwill credits more than those that were granted."""
    return caller.may_also("goodwill.read")


def _without_goodwill(complaint: dict[str, Any]) -> dict[str, Any]:
    return {**complaint, "links": [link for link in complaint["links"] if link["kind"] != "goodwill"]}


# --- one account --------------------------------------------------------------------------------------------------

HISTORY = Listing(lambda row: (row["version"],), (int,))
NOT_FOR_CUSTOMERS = ("goodwill", "alarms", "instructions")
"""What an account shows that is the provider's own work: what was proposed and not granted, and what went wrong."""


@accounts.get(
    "/accounts/{account_id}",
    summary="Get an account",
    responses={200: {**answers(shapes.Account)[200], **TELLS_VERSION}, 304: STILL_THE_SAME},
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
def account(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("account.read")],
    account_id: AccountId,
    as_of: Annotated[
        AsOf | None, Query(description="Assess the account anew from the facts that were true by then.")
    ] = None,
    known_at: Annotated[KnownAtMoment | None, Query(description="Use only events recorded by then.")] = None,
) -> Response:
    """Balances, subscriptions, charges, payments, claims, refunds, credits, complaints and the number of messages set
    aside; for the provider's staff also goodwill, alarms and open instructions.

    With `as_of` the account is assessed anew from the facts that were true by then; a date means its end in the
    account's time zone. With `known_at` alone it is shown as recorded by then. With both it is assessed anew from the
    facts that were recorded by the one and true by the other.

    The ETag is the version of the account as it stands now: send it in If-Match when you change the account, and in
    If-None-Match when you read it again.
    """
    found = answering.account(house, caller.check(account_id), as_of, known_at)
    if caller.of_accounts is not None:
        shown = {name: part for name, part in found.answer.items() if name not in NOT_FOR_CUSTOMERS}
        shown["claims"] = [claim for claim in shown["claims"] if not queries.is_goodwill_not_granted(claim)]
        shown["complaints"] = [_without_goodwill(complaint) for complaint in shown["complaints"]]
        found = replace(found, answer=shown)
    return answer_version(request, found)


@accounts.get(
    "/accounts/{account_id}/history", summary="Get an account's audit trail", responses=answers(list[shapes.Entry])
)
def history(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("history.read")],
    account_id: AccountId,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """All facts and decisions in order, with actor, cause and both times."""
    page = HISTORY.asked(limit, after)
    return HISTORY.answer(request, queries.history(house.database, caller.check(account_id), page=page), page)


@accounts.get(
    "/accounts/{account_id}/replay", summary="Replay an account's events", responses=answers(list[shapes.ReplayStep])
)
def replay(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("history.read")],
    account_id: AccountId,
    to: Annotated[int | None, Query(ge=0, lt=2**63, description="Only this many events, from the first.")] = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """The changes of each of an account's events, in order."""
    page = HISTORY.asked(limit, after)
    return HISTORY.answer(request, list(queries.replay(house.database, caller.check(account_id), to=to)), page)


@accounts.get(
    "/accounts/{account_id}/complaints/{complaint_id}",
    summary="Get a complaint with its history",
    responses=answers(shapes.ComplaintInFull),
)
def complaint(
    house: TheHouse,
    caller: Annotated[Caller, allowed("complaint.read_words")],
    account_id: AccountId,
    complaint_id: Annotated[PathId, Path(examples=["complaint-1"])],
) -> Response:
    """All steps with their actors and notes, the links, and the goodwill credits proposed for it."""
    return JSONResponse(told(house, complaint_id, caller.check(account_id)))


# --- messages -----------------------------------------------------------------------------------------------------

WAITING = Listing(
    lambda row: (row["account_id"], to_microseconds(instant_from_text(row["since"])), row["id"], row["source"]),
    (str, int, str, str),
)
KEPT = Listing(lambda row: (row["position"],), (int,))


@messages.get("/waiting", summary="List waiting facts", responses=answers(list[shapes.Waiting]))
def waiting(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("waiting.read")],
    account: OfAccount = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Facts that wait for another fact, with its name and their age, by account and age."""
    page = WAITING.asked(limit, after)
    rows = queries.waiting(house.database, house.ledger.now(), accounts=caller.limited_to(account))
    return WAITING.answer(request, rows, page)


@messages.get("/dead-letters", summary="List dead letters", responses=answers(list[shapes.DeadLetter]))
def dead_letters(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("dead_letter.read")],
    account: OfAccount = None,
    source: OfSource = None,
    field: Annotated[Printable | None, Query(description="Only messages refused because of this field.")] = None,
    everything: Annotated[bool, Query(alias="all", description=CLOSED_TOO)] = False,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Open dead letters: refused messages, neither replayed nor discarded, without their bodies."""
    page = KEPT.asked(limit, after)
    wanted = {"account": account, "source": source, "field": field}
    return KEPT.answer(request, kept.dead_letters(house.database, page, closed=everything, **wanted), page)


@messages.get("/dead-letters/{position}", summary="Get a dead letter", responses=answers(shapes.DeadLetterWithBody))
def dead_letter(
    house: TheHouse, _: Annotated[Caller, allowed("dead_letter.read_body")], position: KeptPosition
) -> Response:
    """One dead letter with its body, from the vault."""
    return _kept_message(house, "dead-letter", position)


@messages.get("/aside", summary="List messages set aside", responses=answers(list[shapes.SetAside]))
def aside(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("aside.read")],
    account: OfAccount = None,
    source: OfSource = None,
    everything: Annotated[bool, Query(alias="all", description=CLOSED_TOO)] = False,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Messages set aside after repeated failures, until the cause is fixed, without their bodies."""
    page = KEPT.asked(limit, after)
    wanted = {"account": account, "source": source}
    return KEPT.answer(request, kept.set_aside(house.database, page, closed=everything, **wanted), page)


@messages.get("/aside/{position}", summary="Get a message set aside", responses=answers(shapes.SetAsideWithBody))
def aside_message(
    house: TheHouse, _: Annotated[Caller, allowed("aside.read_body")], position: KeptPosition
) -> Response:
    """One message set aside, with its body, from the vault."""
    return _kept_message(house, "set-aside", position)


def _kept_message(house: House, of: KeptAs, position: int) -> Response:
    row = kept.at(house.database, of, position)
    if row is None:
        raise not_found("no message has this number; see the list with `all=true`")
    return JSONResponse(with_body(house, of, row))


# --- what goes out ------------------------------------------------------------------------------------------------

INSTRUCTIONS = Listing(
    lambda row: (
        int(row["status"] != "open"),
        to_microseconds(instant_from_text(row["issued_at"])),
        row["account_id"],
        row["instruction_id"],
    ),
    (int, int, str, str),
)


def _notices(queued: Iterable[QueuedNotice] = ()) -> Listing:
    """E-mails in the order of the queue, by the position of their events, which no answer shows."""
    places = {each.notice_id: (to_microseconds(each.queued_at), each.position) for each in queued}
    return Listing(lambda row: (*places[row["notice_id"]], row["notice_id"]), (int, int, str))


@messages.get(
    "/instructions", summary="List instructions to other systems", responses=answers(list[shapes.AgedInstruction])
)
def instructions(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("instruction.read")],
    account: OfAccount = None,
    kind: Annotated[Kind | None, Query(description="Only this kind.")] = None,
    still_open: Annotated[bool, Query(alias="open", description="Only instructions without an answer.")] = False,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """Instructions to billing and provisioning, the longest open first."""
    page = INSTRUCTIONS.asked(limit, after)
    scope, now = caller.limited_to(account), house.ledger.now()
    rows = queries.instructions(house.database, now, kind=kind, still_open=still_open, accounts=scope)
    return INSTRUCTIONS.answer(request, rows, page)


@messages.get("/notices", summary="List e-mails to customers", responses=answers(list[shapes.Notice]))
def notices(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("notice.read")],
    account: OfAccount = None,
    status: Annotated[
        NoticeStatus | None, Query(description="Only this status; by default those neither sent nor discarded.")
    ] = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """The queue of e-mails, oldest first, with the next step of each."""
    page = _notices().asked(limit, after)
    queued = mails.in_queue(house, account, [status] if status is not None else None)
    return _notices(queued).answer(request, [mails.notice(house, each) for each in queued], page)


# --- machinery ----------------------------------------------------------------------------------------------------

AGREEMENTS = Listing(lambda row: (row["name"], row["version"]), (str, int))
GRANTS = Listing(lambda row: (row["principal"], row["role"], row["account_id"] or ""), (str, str, str))
KEYS = Listing(
    lambda row: (row["principal"], to_microseconds(instant_from_text(row["issued_at"])), row["key_id"]),
    (str, int, str),
)


@machinery.get("/agreements", summary="List service agreements", responses=answers(list[shapes.Agreement]))
def agreements(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("agreement.read")],
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """The published versions, by name and version."""
    page = AGREEMENTS.asked(limit, after)
    return AGREEMENTS.answer(request, published.agreements(house), page)


@machinery.get("/agreements/{name}", summary="Get an agreement's text", responses=answers(shapes.AgreementText))
def agreement(
    house: TheHouse,
    _: Annotated[Caller, allowed("agreement.read")],
    name: Annotated[PathId, Path(examples=["standard"])],
    version: Annotated[int | None, Query(description="The version; by default the latest.")] = None,
) -> Response:
    """The published text of a version."""
    return JSONResponse(published.agreement(house, name, version))


@machinery.get("/status", summary="Get the status", responses=answers(shapes.StatusFound))
def status(
    house: TheHouse,
    _: Annotated[Caller, allowed("status.read")],
    max_age: Annotated[
        int | None, Query(ge=0, lt=2**31, description="The age in seconds from which unprocessed work is late.")
    ] = None,
) -> Response:
    """The lag of each part, and the open work for people."""
    return JSONResponse(standing.answer(standing.look_around(house, max_age)))


@machinery.get("/access/grants", summary="List roles granted", responses=answers(list[shapes.Granted]))
def grants(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("access.read")],
    principal: Annotated[Identifier | None, Query(description="Only this principal.")] = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """The roles granted, by principal."""
    page = GRANTS.asked(limit, after)
    return GRANTS.answer(request, access.grants(house.database, principal), page)


@machinery.get("/access/keys", summary="List valid API keys", responses=answers(list[shapes.ApiKey]))
def keys(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("access.read")],
    principal: Annotated[Identifier | None, Query(description="Only this principal.")] = None,
    limit: Limit = LIMIT,
    after: After = None,
) -> Response:
    """The valid API keys, by principal and age, without their secrets."""
    page = KEYS.asked(limit, after)
    return KEYS.answer(request, access.keys(house.database, principal), page)
