"""How Makegood works: its parts and how far they are behind, what waits for people, alarms, facts that wait, and
e-mails to customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, get_args
from urllib.parse import quote

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from consumers.lag import Lag
from ledger.application.acts import By
from ledger.application.notice_delivery import NotForPeople, discard, resend
from ledger.store.reading import notice_queue
from ledger.store.reading import waiting as waiting_
from ledger.store.reading.notice_queue import NoticeStatus, find_notice
from makegood.access.permissions import Action
from makegood.answers import notices as mails
from makegood.answers import owed
from makegood.answers.lag_history import HOURS, LagHistory, Point, lags_by_part
from makegood.answers.status import KINDS, WORDS, Status, look_around, number_of, seconds_since
from makegood.answers.waiting import waiting as facts_waiting
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.pages.charts import line
from makegood.pages.console import messages, rebuilding
from makegood.pages.forms import Form
from makegood.pages.instants import instant_in_words
from makegood.pages.lists import ACCOUNT, LIVE_ROWS, asked_list, choice, shown_list
from makegood.pages.live import live_of
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, page
from makegood.pages.visitor import TurnedAway, Visitor, go_to, house_of, not_there, submits, visits
from projections import alarms as alarms_

router = APIRouter(include_in_schema=False, route_class=PageRoute)

OPERATIONS = "/console/operations"
WAITING, ALARMS, NOTICES = f"{OPERATIONS}/waiting", f"{OPERATIONS}/alarms", f"{OPERATIONS}/notices"

ENTRIES = (
    Entry("operations", "Status", f"{OPERATIONS}/status", "status.read"),
    *messages.ENTRIES,
    Entry("operations", "Waiting facts", WAITING, "waiting.read"),
    Entry("operations", "Alarms", ALARMS, "alarm.read"),
    Entry("operations", "E-mails", NOTICES, "notice.read"),
    *rebuilding.ENTRIES,
)

_SHOWN_AT: dict[str, tuple[str, Action]] = {
    "dead letters": (messages.DEAD_LETTERS.path, "dead_letter.read"),
    "set aside": (messages.ASIDE.path, "aside.read"),
    "waiting": (WAITING, "waiting.read"),
    "e-mails": (NOTICES, "notice.read"),
    "alarms": (ALARMS, "alarm.read"),
    "approved refunds": ("/console/refunds?status=approved", "refund.read"),
    "unanswered refunds": ("/console/refunds?status=submitted", "refund.read"),
    "goodwill": ("/console/approvals", "refund.read"),
}
"""Where what is left for people is shown, and to whom."""


@dataclass(frozen=True, slots=True)
class PartRow:
    """How far a part is behind in one of its sequences."""

    part: str
    of: str
    position: int | None
    behind: int
    seconds: int | None
    verdict: str


@dataclass(frozen=True, slots=True)
class LeftRow:
    """What is left for people of one kind: how much, how old the oldest is, and where it is shown."""

    name: str
    count: int
    seconds: int | None
    href: str | None
    command: str


def history_of(request: Request) -> LagHistory:
    """The samples of this server."""
    history: LagHistory = request.app.state.lag_history
    return history


@router.get(OPERATIONS)
def first(visitor: Annotated[Visitor, visits("status.read", "operations")]) -> Response:
    """Leads to the status."""
    return go_to(visitor, ENTRIES[0].path)


@router.get(ENTRIES[0].path)
def status(request: Request, visitor: Annotated[Visitor, visits("status.read", "operations")]) -> Response:
    """How everything stands: what is broken and late first."""
    mark = live_of(request).mark()
    found, history = look_around(house_of(request)), history_of(request)
    history.add(found)
    parts = sorted(lags_by_part(found))
    asked = asked_list(
        request,
        (
            choice("part", "Part", parts),
            choice("hours", "Hours", [str(n) for n in HOURS], {str(n): f"the last {n}" for n in HOURS}),
        ),
        {},
    )
    part = asked.one_of("part") or _slowest(found, parts)
    hours = int(asked.one_of("hours") or HOURS[0])
    asked.given |= {"hours": str(hours), **({"part": part} if part is not None else {})}
    points = history.points(part, hours, found.system_now) if part is not None else []
    return page(
        visitor.frame,
        "console/operations.html",
        title="Status",
        live=mark,
        asked=asked,
        standing=found,
        word=WORDS[found.code()],
        late=found.late(),
        parts=_part_rows(found),
        left=_left_rows(found, visitor),
        part=part,
        hours=hours,
        points=points,
        chart=_chart(visitor, part, hours, points) if part is not None and len(points) > 1 else None,
        watched_since=history.since,
        age_of_checkpoint=lambda at: seconds_since(found.system_now, at),
    )


def _slowest(found: Status, parts: Sequence[str]) -> str | None:
    """The part that is shown unless another is asked for: the one whose work has waited longest."""
    lags = lags_by_part(found)
    return max(parts, key=lambda part: (lags[part].seconds, lags[part].behind, part == "projector"), default=None)


def _part_rows(found: Status) -> list[PartRow]:
    """Each part by what it works on; the projector's rows once for each shard, by the slowest projection."""
    rows: list[PartRow] = []
    slowest: dict[int, Lag] = {}
    for lag in found.lags:
        if lag.part != "projector":
            seconds = found.age_of(lag)
            rows.append(
                PartRow(
                    lag.part,
                    f"{lag.of}, {number_of(lag)}",
                    lag.position,
                    lag.behind,
                    seconds,
                    _verdict(found, lag.behind, seconds),
                )
            )
        elif lag.number not in slowest or lag.position < slowest[lag.number].position:
            slowest[lag.number] = lag
    for number, lag in sorted(slowest.items()):
        seconds = found.age_of(lag)
        of = f"all projections, shard {number}" if not lag.behind else f"{lag.of} and others, shard {number}"
        rows.append(PartRow("projector", of, lag.position, lag.behind, seconds, _verdict(found, lag.behind, seconds)))
    if found.due is not None:
        behind, seconds = found.due.count, found.overdue()
        rows.append(
            PartRow("timers", "accounts that are due", None, behind, seconds, _verdict(found, behind, seconds))
        )
    if found.unsent is not None:
        behind, seconds = found.unsent.count, found.unsent_for()
        rows.append(PartRow("notices", "e-mails to send", None, behind, seconds, _verdict(found, behind, seconds)))
    return rows


def _verdict(found: Status, behind: int, seconds: int | None) -> str:
    if (seconds or 0) > found.max_age:
        return "late"
    return "behind" if behind else "ok"


def _left_rows(found: Status, visitor: Visitor) -> list[LeftRow]:
    rows = []
    for kind in KINDS:
        left = found.left.get(kind.name)
        if left is None:
            continue
        path, action = _SHOWN_AT.get(kind.name, ("", "status.read"))
        rows.append(
            LeftRow(
                kind.name,
                left.count,
                seconds_since(found.now, left.since) if left.count else None,
                path if path and visitor.may(action) else None,
                kind.command,
            )
        )
    return sorted(rows, key=lambda row: row.count == 0)


def _chart(visitor: Visitor, part: str, hours: int, points: Sequence[Point]) -> Markup:
    labels = [_clock(visitor, point.at) for point in points]
    title = f"Lag of {part} in the last {'hour' if hours == 1 else f'{hours} hours'}, in seconds"
    return line(title, [(label, point.seconds) for label, point in zip(labels, points, strict=True)], "s")


def _clock(visitor: Visitor, at: datetime) -> str:
    """The time of day in their zone."""
    return instant_in_words(at.replace(second=0, microsecond=0), visitor.zone, visitor.frame.locale).split(", ")[-1]


# --- lists ----------------------------------------------------------------------------------------------------------


@router.get(WAITING)
def waiting(request: Request, visitor: Annotated[Visitor, visits("waiting.read", "operations")]) -> Response:
    """Facts that wait for another one."""
    mark = live_of(request).mark()
    asked = asked_list(request, (ACCOUNT,), waiting_.ORDER, LIVE_ROWS)
    rows = facts_waiting(house_of(request), visitor.caller.sight, account=asked.one_of("account"), page=asked.page)
    return page(
        visitor.frame,
        "console/waiting.html",
        title="Waiting facts",
        lead="They count as soon as what they wait for is recorded.",
        live=mark,
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=None,
    )


@router.get(ALARMS)
def alarms(request: Request, visitor: Annotated[Visitor, visits("alarm.read", "operations")]) -> Response:
    """Alarms that stand, for a person to check."""
    mark = live_of(request).mark()
    asked = asked_list(request, (ACCOUNT,), alarms_.ORDER, LIVE_ROWS)
    rows = owed.alarms(house_of(request), visitor.caller.sight, account=asked.one_of("account"), page=asked.page)
    return page(
        visitor.frame,
        "console/alarms.html",
        title="Alarms",
        lead="What two messages contradict each other in, or what cannot be right: for a person to check.",
        live=mark,
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=None,
    )


@router.get(NOTICES)
def notices(request: Request, visitor: Annotated[Visitor, visits("notice.read", "operations")]) -> Response:
    """The queue of e-mails to customers."""
    mark, house = live_of(request).mark(), house_of(request)
    fields = (ACCOUNT, choice("status", "Status", get_args(NoticeStatus)))
    asked = asked_list(request, fields, notice_queue.ORDER, LIVE_ROWS)
    status = asked.one_of("status")
    rows = mails.notices(
        house, account=asked.one_of("account"), statuses=[status] if status else None, page=asked.page
    )
    return page(
        visitor.frame,
        "console/notices.html",
        title="E-mails to customers",
        lead=None if house.settings.smtp else "No mail server is set: e-mails are queued until MAKEGOOD_SMTP is.",
        live=mark,
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=None,
        address_of=_address_of,
    )


@router.get(NOTICES + "/{notice}")
def notice(
    request: Request, visitor: Annotated[Visitor, visits("notice.read", "operations")], notice: str
) -> Response:
    """One e-mail, to send again or discard."""
    return _notice_page(request, visitor, notice, Form())


@router.post(NOTICES + "/{notice}")
def decide_notice(
    request: Request, visitor: Annotated[Visitor, submits("notice.decide", "operations")], notice: str
) -> Response:
    """Has an e-mail sent again, or discards it."""
    form = Form({name: str(visitor.form.get(name, "")).strip() for name in ("decision", "reason")})
    (house, _), by = _found(request, visitor, notice), By(visitor.caller.principal, "console")
    try:
        match form.get("decision"):
            case "resend":
                resend(house.ledger, notice, by, system_clock())
                said = f"E-mail {notice} is queued again."
            case "discard":
                discard(house.ledger, notice, by, form.get("reason"))
                said = f"E-mail {notice} is discarded."
            case _:
                form.wrong[""] = "say whether it is to be sent again or discarded"
                return _notice_page(request, visitor, notice, form)
    except NotForPeople as error:
        form.wrong[""] = str(error)
        return _notice_page(request, visitor, notice, form)
    request.app.state.recorded()
    return go_to(visitor, NOTICES, said)


def _notice_page(request: Request, visitor: Visitor, notice_id: str, form: Form) -> Response:
    _, found = _found(request, visitor, notice_id)
    return page(
        visitor.frame,
        "console/notice.html",
        title=f"E-mail {notice_id}",
        status=422 if form.wrong else 200,
        notice=found,
        form=form,
        action=_address_of(notice_id),
        back=NOTICES,
    )


def _found(request: Request, visitor: Visitor, notice_id: str) -> tuple[House, mails.Notice]:
    """The e-mail, and the house of the shard that it is in."""
    for house in house_of(request).every:
        with house.database.reading() as transaction:
            queued = find_notice(transaction, notice_id)
        if queued is not None:
            return house, mails.notice(house, queued)
    raise TurnedAway(not_there(visitor.frame))


def _address_of(notice_id: str) -> str:
    return f"{NOTICES}/{quote(notice_id, safe='')}"
