"""Answers over very many accounts, each as the application gives it, without a network: an account's pages, and the
first and the thousandth page of every list, against the marks.

The thousandth page is begun by the cursor that stands there, which is found by walking over the list. Beside the wall
time stands the CPU time of this process; the database's is a process of its own on PostgreSQL, and in it on SQLite.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from fastapi import FastAPI
from tests.pages.clients import BY, Pages

from bench.many_accounts import OLDEST, account
from bench.report import Section
from ledger.application.access import issue_key
from makegood.access.rate import RequestRate
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.program.http import application

MARK_ACCOUNT, MARK_LIST = 10, 20
"""The marks in milliseconds, for the 99th percentile: of an account's answers, and of a list's two pages."""
THOUSAND = 1_000
UNLIMITED = 10**9
API_ROWS, CONSOLE_ROWS, WALKED_AT_ONCE = 100, 50, 1_000
STAFF = ("finance", "auditor", "support", "operator")


@dataclass(frozen=True, slots=True)
class Asked:
    """A list: its question over HTTP with its filters, and its page of the console, where it has one."""

    question: str
    page: str | None = None
    rows: int = CONSOLE_ROWS
    """The rows of one page of the console."""


_MARCH = "from=2026-03-01&to=2026-03-31"
LISTS = (
    Asked("/refunds", "/console/refunds"),
    Asked("/refunds?status=due", "/console/refunds?status=due", 20),
    Asked("/refunds?status=failed", "/console/refunds?status=failed"),
    Asked("/refunds?status=succeeded&currency=EUR", "/console/refunds?status=succeeded&currency=EUR"),
    Asked("/refunds?clause=billing_error", "/console/refunds?clause=billing_error"),
    Asked("/refunds?clause=service_disruption", "/console/refunds?clause=service_disruption"),
    Asked("/refunds?currency=USD", "/console/refunds?currency=USD"),
    Asked("/refunds?plan=team-voip", "/console/refunds?plan=team-voip"),
    Asked("/refunds?agreement=standard", "/console/refunds?agreement=standard"),
    Asked("/refunds?agreement=unheard-of", "/console/refunds?agreement=unheard-of"),
    Asked(f"/refunds?{_MARCH}", f"/console/refunds?{_MARCH}"),
    Asked("/refunds?from=2030-01-01", "/console/refunds?from=2030-01-01"),
    Asked("/refunds?min=11&currency=EUR", "/console/refunds?min=11&currency=EUR"),
    Asked("/refunds?min=9000&currency=EUR", "/console/refunds?min=9000&currency=EUR"),
    Asked("/credits", "/console/credits"),
    Asked("/credits?status=open", "/console/credits?status=open"),
    Asked("/credits?status=used", "/console/credits?status=used"),
    Asked("/credits?clause=complaint", "/console/credits?clause=complaint"),
    Asked("/credits?from=2030-01-01", "/console/credits?from=2030-01-01"),
    Asked("/credits/dormant"),
    Asked("/claims", "/console/claims"),
    Asked("/claims?outcome=pending", "/console/claims?outcome=pending", 20),
    Asked("/claims?outcome=granted&clause=billing_error", "/console/claims?outcome=granted&clause=billing_error"),
    Asked("/claims?outcome=withdrawn", "/console/claims?outcome=withdrawn"),
    Asked("/claims?clause=complaint", "/console/claims?clause=complaint"),
    Asked("/claims?plan=team-voip", "/console/claims?plan=team-voip"),
    Asked(f"/claims?{_MARCH}", f"/console/claims?{_MARCH}"),
    Asked("/claims?from=2030-01-01", "/console/claims?from=2030-01-01"),
    Asked("/movements?totals=false", "/console/movements"),
    Asked("/movements?totals=false&kind=granted&currency=EUR", "/console/movements?kind=granted&currency=EUR"),
    Asked("/movements?totals=false&kind=written_off", "/console/movements?kind=written_off"),
    Asked(f"/movements?totals=false&{_MARCH}", f"/console/movements?{_MARCH}"),
    Asked("/movements?totals=false&by_occurrence=true"),
    Asked("/movements?totals=false&settlement=credit"),
    Asked("/movements?totals=false&plan=team-voip", "/console/movements?plan=team-voip"),
    Asked("/owed/items", "/console/owed"),
    Asked("/owed/items?counted_as=credits_left", "/console/owed?counted_as=credits_left"),
    Asked("/owed/items?counted_as=overpaid", "/console/owed?counted_as=overpaid"),
    Asked("/owed/items?age=0-7&currency=EUR", "/console/owed?age=0-7&currency=EUR"),
    Asked("/owed/items?age=over-60", "/console/owed?age=over-60"),
    Asked("/owed/items?clause=complaint", "/console/owed?clause=complaint"),
    Asked("/overpaid", "/console/overpaid"),
    Asked("/disputes"),
    Asked("/disputes?overdue=true", "/console/disputes?overdue=yes"),
    Asked("/disputes?age=over-60", "/console/disputes"),
    Asked("/disputes?age=0-7", "/console/disputes?age=0-7"),
    Asked("/complaints", "/console/complaints?all=yes"),
    Asked("/complaints?open=true", "/console/complaints"),
    Asked("/complaints?age=0-7", "/console/complaints?age=0-7"),
    Asked("/complaints?age=over-60", "/console/complaints?age=over-60"),
    Asked("/outages", "/console/outages?all=yes"),
    Asked("/outages?open=true", "/console/outages"),
    Asked("/outages?subscription=nobodys", "/console/outages?subscription=nobodys"),
    Asked("/goodwill"),
    Asked("/goodwill?open=true"),
    Asked("/alarms", "/console/operations/alarms", 20),
    Asked("/waiting", "/console/operations/waiting", 20),
    Asked("/dead-letters", "/console/operations/dead-letters"),
    Asked("/dead-letters?all=true", "/console/operations/dead-letters?all=yes"),
    Asked("/dead-letters?source=/upstream/3", "/console/operations/dead-letters?source=/upstream/3"),
    Asked("/dead-letters?source=/nobody", "/console/operations/dead-letters?source=/nobody"),
    Asked("/dead-letters?field=data.amount", "/console/operations/dead-letters?field=data.amount"),
    Asked("/aside", "/console/operations/aside"),
    Asked("/aside?source=/nobody", "/console/operations/aside?source=/nobody"),
    Asked("/lost"),
    Asked("/instructions"),
    Asked("/instructions?open=true"),
    Asked("/instructions?kind=invoice.reduced"),
    Asked("/instructions?kind=credit.applied&open=true"),
    Asked("/notices", "/console/operations/notices", 20),
    Asked("/notices?status=sent", "/console/operations/notices?status=sent", 20),
    Asked("/notices?status=failed", "/console/operations/notices?status=failed", 20),
    Asked("/discrepancies", "/console/reconciliation"),
    Asked("/discrepancies?all=true", "/console/reconciliation?all=yes"),
    Asked("/agreements"),
    Asked("/access/grants"),
    Asked("/access/keys"),
    Asked("/periods"),
)
"""Every list of the door, with the filters that look at other columns than those of its order."""
BOARDS = (
    "/movements",
    "/console/claims?sums=yes",
    "/console/refunds?sums=yes",
    "/console/movements?sums=yes",
    "/console/owed?sums=yes",
    "/console/disputes?sums=yes",
    "/console/months/2026-05",
    "/console/approvals",
    "/console/operations/status",
    "/owed",
    "/owed?by=clause,age",
    "/movements?by=clause",
    f"/movements?by=clause&{_MARCH}",
    "/rollforward?from=2026-03-01&to=2026-03-31",
    "/complaints/ages",
    "/disputes/ages",
    "/status",
    "/metrics",
    "/readyz",
)
"""What adds up or counts over all accounts: no list, and measured beside them."""


def of_account(name: str, claim: str) -> dict[str, str]:
    """The addresses of one account's answers, by what they are called, without those of its customer."""
    path, at = quote(name, safe=""), f"?id={quote(claim, safe='')}&account={quote(name, safe='')}"
    narrowed = urlencode({"account": name})
    return {
        "account": f"/accounts/{path}",
        "account page": f"/console/accounts/{path}",
        "timeline page": f"/console/accounts/{path}/timeline",
        "history": f"/accounts/{path}/history",
        "history page": f"/console/accounts/{path}/history",
        "replay": f"/accounts/{path}/replay",
        "replay page": f"/console/accounts/{path}/replay?after=5",
        "explanation": f"/explanations{at}",
        "explanation page": f"/console/explanations{at}",
        "search by id": f"/search?text={path}",
        "search page by name": f"/console/search?text={quote(f'Zoë of {name}')}",
        **{
            f"{what} of the account": f"/{what}?{narrowed}"
            for what in ("refunds", "claims", "credits", "movements", "complaints", "disputes", "outages", "goodwill")
        },
    }


class Asker:
    """Asks the application as one of its servers would, on one event loop."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """Give up the loop."""
        self._runner.close()

    def ask(self, path: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of an answer."""
        return self._runner.run(self._answer(path, headers))

    async def _answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        parts = urlsplit(path)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in {"host": "127.0.0.1", **headers}.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8700),
            "state": {},
        }
        told: dict[str, Any] = {}
        body: list[bytes] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                told.update(message)
            else:
                body.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return told["status"], {k.decode(): v.decode() for k, v in told["headers"]}, b"".join(body)


@dataclass(slots=True)
class Timing:
    """What was taken by each of several answers, in milliseconds."""

    wall: list[float]
    cpu: list[float]

    @property
    def p99(self) -> float:
        """The 99th percentile of the wall time."""
        return statistics.quantiles(self.wall, n=100, method="inclusive")[98] if len(self.wall) > 1 else self.wall[0]


class Reading:
    """Asks a house over and over, and keeps what it took."""

    def __init__(self, section: Section, house: House, store: str) -> None:
        app = application(house, clock=system_clock)
        app.state.rate = RequestRate(UNLIMITED, UNLIMITED)
        self._section, self._store = section, store
        self._asker, self._house = Asker(app), house
        pages = self._pages = Pages(house, app, system_clock)
        self._staff = _cookie(pages.staff(*STAFF))
        secret = issue_key(house.ledger, f"sandbox/{'-'.join(STAFF)}", BY).text
        house.projections.catch_up()
        self._program = {"authorization": f"Bearer {secret}"}

    def close(self) -> None:
        """Give up what it asks with."""
        self._asker.close()

    def customer(self, name: str) -> dict[str, str]:
        """What the customer of an account is known by."""
        return _cookie(self._pages.customer(name))

    def of(self, path: str) -> Mapping[str, str]:
        """Who asks for an address: a program, or somebody of the staff."""
        return self._staff if path.startswith("/console") else self._program

    def ask(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of an answer, which must be one."""
        status, told, body = self._asker.ask(path, headers or self.of(path))
        if status not in (200, 303):
            raise RuntimeError(f"{path} is answered {status}: {body[:500]!r}")
        return told, body

    def timed(self, paths: Sequence[str], rounds: int, headers: Callable[[str], Mapping[str, str]]) -> Timing:
        """Ask for each of some addresses in turn, so often in all, after one answer that is not counted.

        What takes very long is asked for a few times only.
        """
        timing = Timing([], [])
        self.ask(paths[0], headers(paths[0]))
        for number in range(rounds):
            path = paths[number % len(paths)]
            given = headers(path)
            cpu, began = time.process_time(), time.perf_counter()
            self.ask(path, given)
            timing.wall.append(1e3 * (time.perf_counter() - began))
            timing.cpu.append(1e3 * (time.process_time() - cpu))
            if number >= 2 and sum(timing.wall) > 1e3 * SECONDS_EACH:
                break
        return timing

    def keep(self, name: str, timing: Timing, mark: float | None) -> None:
        """Put it into the report, with what it misses."""
        note = f"p99 {timing.p99:.1f}"
        if mark is not None and timing.p99 > mark:
            note += f", over the mark of {mark:.0f}"
        self._section.add(f"{self._store} {name}", timing.wall, "ms", cpu=timing.cpu, note=note)

    def cursors(self, question: str, rows: Sequence[int]) -> dict[int, tuple[str, int]]:
        """Where a list goes on after so many rows, or where its last page begins, with how many rows that is."""
        found: dict[int, tuple[str, int]] = {}
        path, seen, last = _with(question, limit=str(WALKED_AT_ONCE)), 0, ("", 0)
        while True:
            told, _ = self.ask(path)
            link = re.match("<(.*)>", told.get("link", ""))
            if link is None:
                break
            seen += WALKED_AT_ONCE
            cursor = re.search("after=([^&]+)", link[1])
            last = (unquote(cursor[1]) if cursor else "", seen)
            found |= {each: last for each in rows if each == seen}
            if seen >= max(rows):
                break
            path = link[1]
        return {each: found.get(each, last) for each in rows}


SECONDS_EACH = 1.5
"""So long each address is asked for at most; what is quick is asked for as often as is wanted."""


def _cookie(client: Any) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


def _with(path: str, **more: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(more)}"


def measure(section: Section, house: House, store: str, recorded: int, rounds: int) -> None:
    """Ask for everything, `rounds` times each, and keep what it took in milliseconds."""
    reading = Reading(section, house, store)
    try:
        _measure_accounts(reading, recorded, rounds)
        _measure_lists(reading, rounds)
        for path in BOARDS:
            reading.keep(f"{path}, of all accounts", reading.timed([path], rounds, reading.of), None)
    finally:
        reading.close()


def _measure_accounts(reading: Reading, recorded: int, rounds: int) -> None:
    """Accounts all over the store, each with a claim; and the largest there is."""
    lives = [life for life in range(3, recorded, max(1, recorded // (4 * rounds))) if life % 20 < 4 or life % 20 == 5]
    names = [account(life) for life in lives]
    ordinary = [of_account(name, f"billing-error/{name}-d") for name in names]
    for what in ordinary[0]:
        reading.keep(
            f"{what}: ordinary", reading.timed([each[what] for each in ordinary], rounds, reading.of), MARK_ACCOUNT
        )
    largest = of_account(OLDEST, _a_claim(reading, OLDEST))
    for what, path in largest.items():
        reading.keep(f"{what}: ten years", reading.timed([path], rounds, reading.of), MARK_ACCOUNT)
    for name, claim in ((names[0], f"billing-error/{names[0]}-d"), (OLDEST, _a_claim(reading, OLDEST))):
        known, of = reading.customer(name), "ten years" if name == OLDEST else "ordinary"
        for path in (f"/portal/{name}", f"/portal/{name}/why?id={quote(claim, safe='')}"):
            timing = reading.timed([path], rounds, lambda _: known)  # noqa: B023
            reading.keep(f"{path.split('?')[0].replace(name, '…')}: {of}", timing, MARK_ACCOUNT)


def _a_claim(reading: Reading, name: str) -> str:
    _, body = reading.ask(f"/claims?account={name}&limit=1")
    claim: str = json.loads(body)[0]["claim_id"]
    return claim


def _measure_lists(reading: Reading, rounds: int) -> None:
    for asked in LISTS:
        sizes = {asked.question: API_ROWS, **({asked.page: asked.rows} if asked.page else {})}
        cursors = reading.cursors(asked.question, sorted({size * THOUSAND for size in sizes.values()}))
        for path, size in sizes.items():
            reading.keep(f"{path}: first page", reading.timed([path], rounds, reading.of), MARK_LIST)
            cursor, rows = cursors[size * THOUSAND]
            if rows:
                named = "thousandth page" if rows == size * THOUSAND else f"page after {rows:,} rows"
                timing = reading.timed([_with(path, after=cursor)], rounds, reading.of)
                reading.keep(f"{path}: {named}", timing, MARK_LIST)
