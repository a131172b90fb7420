"""The lists and views of the API: those of the command line, with the same filters and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from ledger.events import KeptAs, RefundStatus
from ledger.events.billing_account import Outcome
from ledger.instructions import Kind
from ledger.store.reading import kept_messages as kept
from ledger.store.reading import lost as lost_
from ledger.store.reading import notice_queue as queue
from ledger.store.reading import waiting as waiting_
from ledger.store.reading.notice_queue import NoticeStatus
from ledger.store.reading.page import Listed, Page
from makegood.access.caller import Caller
from makegood.answers import account as answering
from makegood.answers import agreements as published
from makegood.answers import history as historical
from makegood.answers import kept_messages, lost_ranges, owed
from makegood.answers import search as search_
from makegood.answers import status as standing
from makegood.answers.another_time import listed_then
from makegood.answers.check import Checked
from makegood.answers.check import check as checked
from makegood.answers.complaint_in_full import ComplaintInFull
from makegood.answers.complaint_in_full import complaint as told
from makegood.answers.explanation import explain
from makegood.answers.explanation_types import Explanation
from makegood.answers.history import HistoryEntry
from makegood.answers.instructions import instructions as instructed
from makegood.answers.notices import Notice
from makegood.answers.notices import notices as queued
from makegood.answers.search import Found
from makegood.answers.waiting import Waiting
from makegood.answers.waiting import waiting as waiting_for
from makegood.api.asked import AskedMoment, AsOf, Identifier, KnownAtMoment, OfAccount, Printable, check_as_of
from makegood.api.filters import AskedFiltersAndPeriod, FirstDay, LastDay, OfCreditStatus, OfOpenAge
from makegood.api.guard import Guarded, OneShard, TheHouse, allowed
from makegood.api.paging import answer_page, pages
from makegood.api.paths import AccountId, PathId
from makegood.api.problems import not_found
from makegood.api.versions import IF_NONE_MATCH, STILL_THE_SAME, TELLS_VERSION, answer_version
from makegood.exports.history import CSV, history_csv
from makegood.house.opening import House
from projections import access, alarms, audit_trail, linked_goodwill
from projections import claims as claims_
from projections import complaints as complaints_
from projections import credits as credits_
from projections import disputes as disputes_
from projections import instructions as instructions_
from projections import outages as outages_
from projections import overpaid as overpaid_
from projections import refunds as refunds_
from projections import replay as replaying

finance = APIRouter(tags=["Claims and payments"], route_class=Guarded)
accounts = APIRouter(tags=["Accounts"], route_class=Guarded)
messages = APIRouter(tags=["Messages"], route_class=Guarded)
machinery = APIRouter(tags=["Machinery"], route_class=Guarded)

ROUTERS = (finance, accounts, messages, machinery)


# --- what is asked ------------------------------------------------------------------------------------------------


OfSource = Annotated[Printable | None, Query(description="Only messages from this source.")]
SOUGHT = (
    "An id of an account, a subscription, a claim, a refund or a credit, or an e-mail address, a name or a telephone "
    "number. It stands in the address of the request: have proxies log no queries of this path."
)
CLOSED_TOO = "Include closed ones."
KeptPosition = Annotated[int, Path(ge=1, lt=2**63, description="The message's number in the list.")]


def answers(model: Any) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for the description of the API."""
    return {200: {"model": model, "description": "The result"}}


# --- what is owed -------------------------------------------------------------------------------------------------


@accounts.get("/search", summary="Find customers", responses=answers(list[Found]))
def find(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("customer.search")],
    page: Annotated[Page, pages(search_.ORDER)],
    text: Annotated[Printable, Query(min_length=1, pattern="[^ ]", description=SOUGHT)],
) -> Response:
    """Accounts by an id, or by their customer's e-mail address, name or telephone number, by account.

    A name is found by its words in any order, without accents and capitals; a number in any spelling, with its
    country code or without. Names and addresses are shown to those who may read people's words.
    """
    return answer_page(request, search_.search(house, caller.sight, text, page=page))


@finance.get("/claims", summary="List claims", responses=answers(list[claims_.Claim]))
def claims(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("claim.read")],
    page: Annotated[Page, pages(claims_.ORDER)],
    filters: AskedFiltersAndPeriod,
    at: AskedMoment,
    outcome: Annotated[Outcome | None, Query(description="Only this outcome.")] = None,
) -> Response:
    """Claims granted, declined, pending or withdrawn, by account and id; a period is that of their last change."""
    check_as_of(caller.sight, at.as_of, filters.account)

    def question(then: House, page: Page) -> Listed[claims_.Claim]:
        return owed.claims(then, caller.sight, outcome=outcome, page=page, **filters.asked())

    return answer_page(request, listed_then(house, caller.sight, at, filters.account, page, question))


@finance.get("/refunds", summary="List refunds", responses=answers(list[refunds_.Refund]))
def refunds(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("refund.read")],
    page: Annotated[Page, pages(refunds_.ORDER)],
    filters: AskedFiltersAndPeriod,
    at: AskedMoment,
    status: Annotated[RefundStatus | None, Query(description="Only this status.")] = None,
) -> Response:
    """Refunds due, approved, submitted, paid out, failed and rejected, by account and id; a period is that in which
    they became due."""
    check_as_of(caller.sight, at.as_of, filters.account)

    def question(then: House, page: Page) -> Listed[refunds_.Refund]:
        return owed.refunds(then, caller.sight, status=status, page=page, **filters.asked())

    return answer_page(request, listed_then(house, caller.sight, at, filters.account, page, question))


@finance.get("/credits", summary="List credits", responses=answers(list[credits_.Credit]))
def credits(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("credit.read")],
    page: Annotated[Page, pages(credits_.ORDER)],
    filters: AskedFiltersAndPeriod,
    at: AskedMoment,
    status: OfCreditStatus = None,
) -> Response:
    """Credits for accounts' next charges, with the amounts used and left, by account and id; a period is that in
    which they were granted."""
    check_as_of(caller.sight, at.as_of, filters.account)

    def question(then: House, page: Page) -> Listed[credits_.Credit]:
        return owed.credits(then, caller.sight, status=status, page=page, **filters.asked())

    return answer_page(request, listed_then(house, caller.sight, at, filters.account, page, question))


@finance.get("/credits/dormant", summary="List dormant credits", responses=answers(list[credits_.Credit]))
def dormant_credits(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("credit.read")],
    page: Annotated[Page, pages(credits_.DORMANT_ORDER)],
    filters: AskedFiltersAndPeriod,
) -> Response:
    """Credits with something left after the account's last subscription has ended, the longest dormant first; a
    period is that in which they were granted."""
    return answer_page(request, owed.credits(house, caller.sight, dormant=True, page=page, **filters.asked()))


@finance.get("/overpaid", summary="List overpaid claims", responses=answers(list[overpaid_.Overpaid]))
def overpaid(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("overpaid.read")],
    page: Annotated[Page, pages(overpaid_.ORDER)],
    account: OfAccount = None,
) -> Response:
    """Claims for which too much went out, with what went out for them, the longest overpaid first."""
    return answer_page(request, owed.overpaid(house, caller.sight, account=account, page=page))


@finance.get("/disputes", summary="List disputes", responses=answers(list[disputes_.Dispute]))
def disputes(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("dispute.read")],
    page: Annotated[Page, pages(disputes_.ORDER)],
    account: OfAccount = None,
    overdue: Annotated[bool, Query(description="Only overdue investigations.")] = False,
    age: OfOpenAge = None,
) -> Response:
    """Disputed charges, under investigation with a deadline, confirmed or rejected, by account and id."""
    found = owed.disputes(house, caller.sight, account=account, overdue=overdue, age=age, page=page)
    return answer_page(request, found)


@finance.get("/complaints", summary="List complaints", responses=answers(list[complaints_.Complaint]))
def complaints(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("complaint.read")],
    page: Annotated[Page, pages(complaints_.ORDER)],
    account: OfAccount = None,
    still_open: Annotated[bool, Query(alias="open", description="Only open complaints.")] = False,
    age: OfOpenAge = None,
) -> Response:
    """Customers' complaints, the longest open first."""
    found = owed.complaints(house, caller.sight, account=account, still_open=still_open, age=age, page=page)
    return answer_page(request, found)


@finance.get("/outages", summary="List outages", responses=answers(list[outages_.Outage]))
def outages(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("outage.read")],
    page: Annotated[Page, pages(outages_.ORDER)],
    account: OfAccount = None,
    subscription: Annotated[Identifier | None, Query(description="Only this subscription.")] = None,
    still_open: Annotated[bool, Query(alias="open", description="Only unresolved outages.")] = False,
) -> Response:
    """Reported outages with the claims decided with them, by account and beginning."""
    return answer_page(
        request,
        owed.outages(
            house, caller.sight, account=account, subscription=subscription, still_open=still_open, page=page
        ),
    )


@finance.get("/goodwill", summary="List goodwill credits", responses=answers(list[linked_goodwill.GoodwillLinked]))
def goodwill(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("goodwill.read")],
    page: Annotated[Page, pages(linked_goodwill.ORDER)],
    account: OfAccount = None,
    still_open: Annotated[bool, Query(alias="open", description="Only undecided proposals.")] = False,
) -> Response:
    """Goodwill credits with their complaint, proposer and decision, by account and id."""
    return answer_page(request, owed.goodwill(house, caller.sight, account=account, still_open=still_open, page=page))


@finance.get("/alarms", summary="List active alarms", responses=answers(list[alarms.Alarm]))
def standing_alarms(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("alarm.read")],
    page: Annotated[Page, pages(alarms.ORDER)],
    account: OfAccount = None,
) -> Response:
    """Active alarms, for a person to check, by account."""
    return answer_page(request, owed.alarms(house, caller.sight, account=account, page=page))


@finance.get("/explanations", summary="Explain a claim, refund or credit", responses=answers(Explanation))
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
    return JSONResponse(explain(house, caller.sight, id, account))


# --- one account --------------------------------------------------------------------------------------------------


@accounts.get(
    "/accounts/{account_id}",
    summary="Get an account",
    responses={200: {**answers(answering.Account)[200], **TELLS_VERSION}, 304: STILL_THE_SAME},
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
    return answer_version(request, answering.account(house, caller.sight, account_id, as_of, known_at))


_JSON_OR_CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "model": list[HistoryEntry],
        "description": "The result",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


@accounts.get("/accounts/{account_id}/history", summary="Get an account's history", responses=_JSON_OR_CSV)
def history(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("history.read")],
    page: Annotated[Page, pages(audit_trail.ORDER)],
    account_id: AccountId,
    first: FirstDay = None,
    to: LastDay = None,
    by_occurrence: Annotated[
        bool, Query(description="Take the days on which events became true, not those on which they were recorded.")
    ] = False,
    kind: Annotated[audit_trail.Kind | None, Query(description="Only this kind.")] = None,
    type_: Annotated[
        Printable | None,
        Query(alias="type", description="Only this type, such as `claim-assessed.v2`, or `claim-assessed` for all."),
    ] = None,
    claim: Annotated[Printable | None, Query(description="Only events about this claim.")] = None,
    by: Annotated[Printable | None, Query(description="Only events of this actor.")] = None,
    format_: Annotated[
        Literal["json", "csv"], Query(alias="format", description="JSON, or CSV with a heading on each page.")
    ] = "json",
) -> Response:
    """All facts and decisions in order, each in a sentence, with actor, cause, both times, the claims concerned, and
    the amounts owed after it."""
    rows = historical.history(
        house,
        caller.sight,
        account_id,
        claim=claim,
        kind=kind,
        type_=type_,
        actor=by,
        from_=first,
        to=to,
        by_occurrence=by_occurrence,
        page=page,
    )
    as_csv = Response(history_csv(rows), media_type=CSV) if format_ == "csv" else None
    return answer_page(request, rows, response=as_csv)


@accounts.get(
    "/accounts/{account_id}/replay",
    summary="Replay an account's events",
    responses=answers(list[replaying.ReplayStep]),
)
def replay(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("history.read")],
    page: Annotated[Page, pages(replaying.ORDER)],
    account_id: AccountId,
    to: Annotated[int | None, Query(ge=0, lt=2**63, description="Only this many events, from the first.")] = None,
) -> Response:
    """The changes of each of an account's events, in order."""
    return answer_page(request, answering.replayed(house, caller.sight, account_id, to, page=page))


@accounts.get(
    "/accounts/{account_id}/complaints/{complaint_id}",
    summary="Get a complaint with its history",
    responses=answers(ComplaintInFull),
)
def complaint(
    house: TheHouse,
    caller: Annotated[Caller, allowed("complaint.read_words")],
    account_id: AccountId,
    complaint_id: Annotated[PathId, Path(examples=["complaint-1"])],
) -> Response:
    """All steps with their actors and notes, the links, and the goodwill credits proposed for it."""
    return JSONResponse(told(house, caller.sight, complaint_id, account_id))


# --- messages -----------------------------------------------------------------------------------------------------


@finance.get("/check", summary="Check the laws of the books", responses=answers(Checked))
def check(house: TheHouse, caller: Annotated[Caller, allowed("check.read")], account: OfAccount = None) -> Response:
    """The laws that the books of an account, or of all accounts, do not keep. No alarm is raised or cleared."""
    return JSONResponse(checked(house, account=account))


@messages.get("/waiting", summary="List waiting facts", responses=answers(list[Waiting]))
def waiting(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("waiting.read")],
    page: Annotated[Page, pages(waiting_.ORDER)],
    account: OfAccount = None,
) -> Response:
    """Facts that wait for another fact, with its name and their age, by account and age."""
    return answer_page(request, waiting_for(house, caller.sight, account=account, page=page))


@messages.get("/dead-letters", summary="List dead letters", responses=answers(list[kept_messages.DeadLetter]))
def dead_letters(
    request: Request,
    house: OneShard,
    _: Annotated[Caller, allowed("dead_letter.read")],
    page: Annotated[Page, pages(kept.ORDER)],
    account: OfAccount = None,
    source: OfSource = None,
    field: Annotated[Printable | None, Query(description="Only messages refused because of this field.")] = None,
    everything: Annotated[bool, Query(alias="all", description=CLOSED_TOO)] = False,
) -> Response:
    """Open dead letters: refused messages, neither replayed nor discarded, without their bodies."""
    wanted: kept.Wanted = {"account": account, "source": source, "field": field}
    rows = kept_messages.dead_letters(house, wanted, closed=everything, page=page)
    return answer_page(request, rows)


@messages.get(
    "/dead-letters/{position}", summary="Get a dead letter", responses=answers(kept_messages.DeadLetterWithBody)
)
def dead_letter(
    house: OneShard, _: Annotated[Caller, allowed("dead_letter.read_body")], position: KeptPosition
) -> Response:
    """One dead letter with its body, from the vault."""
    return _kept_message(house, "dead-letter", position)


@messages.get("/lost", summary="List lost messages", responses=answers(list[lost_ranges.LostRange]))
def lost(
    request: Request,
    house: OneShard,
    _: Annotated[Caller, allowed("lost_range.read")],
    page: Annotated[Page, pages(lost_.ORDER)],
    everything: Annotated[bool, Query(alias="all", description=CLOSED_TOO)] = False,
) -> Response:
    """Open ranges of messages that were lost before they were read."""
    return answer_page(request, lost_ranges.lost_ranges(house, closed=everything, page=page))


@messages.get("/aside", summary="List messages set aside", responses=answers(list[kept_messages.SetAside]))
def aside(
    request: Request,
    house: OneShard,
    _: Annotated[Caller, allowed("aside.read")],
    page: Annotated[Page, pages(kept.ORDER)],
    account: OfAccount = None,
    source: OfSource = None,
    everything: Annotated[bool, Query(alias="all", description=CLOSED_TOO)] = False,
) -> Response:
    """Messages set aside after repeated failures, until the cause is fixed, without their bodies."""
    rows = kept_messages.set_aside(house, {"account": account, "source": source}, closed=everything, page=page)
    return answer_page(request, rows)


@messages.get(
    "/aside/{position}", summary="Get a message set aside", responses=answers(kept_messages.SetAsideWithBody)
)
def aside_message(
    house: OneShard, _: Annotated[Caller, allowed("aside.read_body")], position: KeptPosition
) -> Response:
    """One message set aside, with its body, from the vault."""
    return _kept_message(house, "set-aside", position)


def _kept_message(house: House, of: KeptAs, position: int) -> Response:
    found = kept_messages.at(house, of, position)
    if found is None:
        raise not_found("no message has this number; see the list with `all=true`")
    return JSONResponse(found)


# --- what goes out ------------------------------------------------------------------------------------------------


@messages.get(
    "/instructions",
    summary="List instructions to other systems",
    responses=answers(list[instructions_.AgedInstruction]),
)
def instructions(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("instruction.read")],
    page: Annotated[Page, pages(instructions_.ORDER)],
    account: OfAccount = None,
    kind: Annotated[Kind | None, Query(description="Only this kind.")] = None,
    still_open: Annotated[bool, Query(alias="open", description="Only instructions without an answer.")] = False,
) -> Response:
    """Instructions to billing and provisioning, the longest open first."""
    rows = instructed(house, caller.sight, account=account, kind=kind, still_open=still_open, page=page)
    return answer_page(request, rows)


@messages.get("/notices", summary="List e-mails to customers", responses=answers(list[Notice]))
def notices(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("notice.read")],
    page: Annotated[Page, pages(queue.ORDER)],
    account: OfAccount = None,
    status: Annotated[
        NoticeStatus | None, Query(description="Only this status; by default those neither sent nor discarded.")
    ] = None,
) -> Response:
    """The queue of e-mails, oldest first, with the next step of each."""
    return answer_page(
        request, queued(house, account=account, statuses=[status] if status is not None else None, page=page)
    )


# --- machinery ----------------------------------------------------------------------------------------------------


@machinery.get("/agreements", summary="List service agreements", responses=answers(list[published.Agreement]))
def agreements(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("agreement.read")],
    page: Annotated[Page, pages(published.ORDER)],
) -> Response:
    """The published versions, by name and version."""
    return answer_page(request, published.agreements(house, page))


@machinery.get("/agreements/{name}", summary="Get an agreement's text", responses=answers(published.AgreementText))
def agreement(
    house: TheHouse,
    _: Annotated[Caller, allowed("agreement.read")],
    name: Annotated[PathId, Path(examples=["standard"])],
    version: Annotated[int | None, Query(description="The version; by default the latest.")] = None,
) -> Response:
    """The published text of a version."""
    return JSONResponse(published.agreement(house, name, version))


@machinery.get("/status", summary="Get the status", responses=answers(standing.StatusFound))
def status(
    house: TheHouse,
    _: Annotated[Caller, allowed("status.read")],
    max_age: Annotated[
        int | None, Query(ge=0, lt=2**31, description="The age in seconds from which unprocessed work is late.")
    ] = None,
) -> Response:
    """The lag of each part, and the open work for people."""
    return JSONResponse(standing.answer(standing.look_around(house, max_age)))


@machinery.get("/access/grants", summary="List roles granted", responses=answers(list[access.Granted]))
def grants(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("access.read")],
    page: Annotated[Page, pages(access.GRANTS_ORDER)],
    principal: Annotated[Identifier | None, Query(description="Only this principal.")] = None,
) -> Response:
    """The roles granted, by principal."""
    return answer_page(request, access.grants(house.database, principal, page=page))


@machinery.get("/access/keys", summary="List valid API keys", responses=answers(list[access.ApiKey]))
def keys(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("access.read")],
    page: Annotated[Page, pages(access.KEYS_ORDER)],
    principal: Annotated[Identifier | None, Query(description="Only this principal.")] = None,
) -> Response:
    """The valid API keys, by principal and age, without their secrets."""
    return answer_page(request, access.keys(house.database, principal, page=page))
