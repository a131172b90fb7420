"""Months are closed once, exactly up to a position, while others go on recording, and can be worked out again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from itertools import count
from typing import Any

import pytest

from ledger.application.acts import By
from ledger.application.periods import AlreadyClosed, NotEnded, close
from ledger.application.requests import KeyReused, Request
from ledger.audit import leaf_hash
from ledger.events import PeriodClosed, PeriodFigures, UnknownStoredType
from ledger.store.positions import Reached, reached_from_text
from ledger.store.reading.periods import closed_periods
from ledger.values import Month
from projections import periods
from projections.follower import Follower
from projections.movements import MOVEMENTS
from projections.period_figures import Figures, figures_of, late_movements
from projections.rebuild import Rebuild
from tests.ledger.books import Books
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream

JANUARY, FEBRUARY, MARCH = (Month(2026, number) for number in (1, 2, 3))
FELIX = By("felix", "http")


@dataclass
class Finance:
    """Somebody in finance who closes months in a zone, and does something while figures are worked out."""

    books: Books
    zone: str = "UTC"
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    worked_out: list[tuple[Reached, list[str]]] = field(default_factory=list)
    """Each time up to which position, and with which months closed before."""

    def close(self, month: Month, by: By = FELIX, request: Request | None = None) -> PeriodClosed:
        def compute(position: Reached, closed: Sequence[PeriodClosed]) -> PeriodFigures:
            self.worked_out.append((position, [each.data.period for each in closed]))
            found = figures_of(self.books.database, month, position, closed, self.zone)
            if self.meanwhile:
                self.meanwhile.pop(0)()
            return found.recorded

        return close(self.books.ledger, month, self.zone, MOVEMENTS.version, compute, by, request)

    def again(self, month: Month, on_row: Callable[[bytes], object] = lambda line: None) -> Figures:
        """A closed month, worked out anew."""
        closed = self.closed()
        number = [each.data.period for each in closed].index(str(month))
        data = closed[number].data
        position = reached_from_text(data.position)
        return figures_of(self.books.database, month, position, closed[:number], data.time_zone, on_row=on_row)

    def closed(self) -> list[PeriodClosed]:
        with self.books.database.reading() as transaction:
            return closed_periods(transaction)

    def granted(self, month: Month) -> str:
        """What was granted in a closed month, net."""
        data = next(each.data for each in self.closed() if each.data.period == str(month))
        return ", ".join(str(total.net) for total in data.figures.totals if total.kind == "granted")


def january(account: str = "acct-1", **other: Any) -> list[Message]:
    """A customer whose paid January had an outage of two days: 2.07 of 31.00."""
    upstream = Upstream(account, source=f"/upstream/{account}", begins="2026-01-01T09:00:00Z", **other)
    return [
        upstream.account_registered(),
        upstream.subscription_registered(),
        upstream.cycle_started(starts_on="2026-01-01", ends_on="2026-02-01"),
        upstream.payment_captured(),
        upstream.outage_reported(began_at="2026-01-10T00:00:00Z"),
        upstream.outage_resolved(resolved_at="2026-01-12T00:00:00Z"),
    ]


def overcharge(account: str, amount: str, time: str) -> Message:
    upstream = Upstream(account, source=f"/billing/{account}/{time}")
    return upstream.overcharge_confirmed(f"dis-{time}", amount=amount, time=time)


@pytest.fixture
def finance(books: Books) -> Finance:
    return Finance(books)


def test_a_closing_says_what_the_month_comes_to_and_what_it_covers(finance: Finance) -> None:
    finance.books.take([*january("acct-1"), *january("acct-2")])
    covered = finance.books.envelopes()
    closed = finance.close(JANUARY)
    assert (closed.data.period, closed.data.time_zone) == ("2026-01", "UTC")
    assert closed.data.position == f"0:{len(covered)}"
    assert (closed.account, closed.actor, closed.channel) == ("system", "felix", "http")
    assert [
        (total.currency, total.clause, total.kind, total.settlement, total.count, str(total.net), str(total.tax))
        for total in closed.data.figures.totals
    ] == [
        ("EUR", "service_disruption", "credited", "credit", 4, "4.14", "0.00"),
        ("EUR", "service_disruption", "granted", None, 4, "4.14", "0.00"),
    ]
    assert closed.data.figures.late == ()
    assert closed.data.figures.manifest.accounts == 3
    assert closed.data.figures.manifest.events == len(covered)
    finance.books.check_positions()


def test_the_manifest_has_a_row_for_each_account_by_code_point_and_its_hash_is_recorded(finance: Finance) -> None:
    names = ["acct-2", "Zoe", "acct-É", "acct-10", "ACCT-2"]
    finance.books.take([message for name in names for message in january(name)])
    closed = finance.close(JANUARY)
    finance.books.take(january("later"))
    lines: list[bytes] = []
    assert finance.again(JANUARY, lines.append).recorded == closed.data.figures
    assert sha256(b"".join(lines)).hexdigest() == closed.data.figures.manifest.sha256
    rows = [json.loads(line) for line in lines]
    assert [row["account_id"] for row in rows] == sorted([*names, "system"])
    for row in rows:
        stored = [each for each in finance.books.envelopes() if each.account == row["account_id"]]
        if row["account_id"] == "system":
            stored.pop()  # the closing itself is not covered
        assert (row["version"], row["events"]) == (len(stored), len(stored))
        assert row["leaf_hash"] == leaf_hash(stored[-1].envelope)
    assert [(each["kind"], each["net"]) for each in rows[0]["totals"]] == [("credited", "2.07"), ("granted", "2.07")]


def test_a_month_is_closed_once_and_who_comes_second_is_told_when_and_by_whom(finance: Finance) -> None:
    finance.books.clock.at = datetime(2035, 2, 3, 8, 30, tzinfo=UTC)
    finance.close(JANUARY)
    with pytest.raises(AlreadyClosed, match=r"^2026-01 was closed at 2035-02-03T08:30:00Z by felix; .* open month$"):
        finance.close(JANUARY, By("ada", "http"))
    assert len(finance.worked_out) == 1
    assert [each.data.period for each in finance.closed()] == ["2026-01"]


@pytest.mark.parametrize(
    ("zone", "ends"),
    [
        ("UTC", "2026-02-01T00:00:00Z"),
        ("Europe/Berlin", "2026-01-31T23:00:00Z"),
        ("America/New_York", "2026-02-01T05:00:00Z"),
    ],
)
def test_a_month_is_closed_when_it_has_ended_where_the_provider_is(open_books: Opener, zone: str, ends: str) -> None:
    finance = Finance(open_books(), zone)
    end = datetime.fromisoformat(ends)
    finance.books.clock.at = end.replace(microsecond=0) - (end.resolution)
    with pytest.raises(NotEnded, match=f"^2026-01 ends at {ends}, at midnight in {zone}"):
        finance.close(JANUARY)
    assert not finance.worked_out
    finance.books.clock.at = end
    assert finance.close(JANUARY).data.time_zone == zone


def test_what_is_recorded_while_a_month_is_worked_out_is_not_in_it_and_in_the_next(finance: Finance) -> None:
    """Nobody waits for the figures: another process records while they are worked out."""
    finance.books.take(january("acct-1"))
    other = finance.books.another_process()
    finance.meanwhile.append(lambda: other.take(january("acct-2")))
    end = len(finance.books.envelopes())
    closed = finance.close(JANUARY)
    assert closed.data.position == f"0:{end}"
    assert finance.granted(JANUARY) == "2.07"
    assert finance.again(JANUARY).recorded == closed.data.figures
    finance.close(FEBRUARY)
    assert finance.granted(FEBRUARY) == "2.07"
    assert finance.closed()[1].data.figures.late == finance.closed()[1].data.figures.totals
    finance.books.check_positions()


def test_a_month_that_another_was_closed_before_is_worked_out_anew(finance: Finance) -> None:
    """February is worked out when January is closed: what became known of January since is February's then."""
    books = finance.books
    books.take(january("acct-1"))
    other = Finance(books.another_process())

    def january_is_closed() -> None:
        other.close(JANUARY)
        books.take(january("acct-2"))

    finance.meanwhile.append(january_is_closed)
    finance.close(FEBRUARY)
    assert [closed for _, closed in finance.worked_out] == [[], ["2026-01"]]
    assert (finance.granted(JANUARY), finance.granted(FEBRUARY)) == ("2.07", "2.07")
    assert len({str(position) for position, _ in finance.worked_out}) == 2


def test_two_close_months_while_intake_records_and_every_movement_is_in_one(finance: Finance) -> None:
    books, stop = finance.books, threading.Event()
    books.take(january("acct-0"))
    intake, other = books.another_process(), Finance(books.another_process())

    def record() -> int:
        for number in count(1):
            intake.take(january(f"acct-{number}"))
            if stop.is_set():
                return number
        raise AssertionError("it counts for ever")

    with ThreadPoolExecutor(3) as pool:
        recording = pool.submit(record)
        closing = [pool.submit(each.close, month) for each, month in ((finance, FEBRUARY), (other, JANUARY))]
        for each in closing:
            each.result(60)
        stop.set()
        accounts = 1 + recording.result(60)
    finance.close(MARCH)
    closed = finance.closed()
    assert sorted(each.data.period for each in closed) == ["2026-01", "2026-02", "2026-03"]
    granted = [total for each in closed for total in each.data.figures.totals if total.kind == "granted"]
    assert sum(total.net for total in granted) == accounts * Decimal("2.07")
    for month in (JANUARY, FEBRUARY, MARCH):
        assert finance.again(month).recorded == next(e.data.figures for e in closed if e.data.period == str(month))
    books.check_positions()


def test_months_close_in_any_order_and_each_fact_is_in_one(finance: Finance) -> None:
    books = finance.books
    books.take(january("acct-1"))
    finance.close(FEBRUARY)
    assert finance.granted(FEBRUARY) == ""
    books.take([overcharge("acct-1", "5.00", "2026-02-10T00:00:00Z")])
    books.take([overcharge("acct-1", "1.00", "2026-01-20T00:00:00Z")])
    finance.close(JANUARY)
    assert finance.granted(JANUARY) == "1.00, 2.01"  # the outage is of what the charge costs without the overcharge
    finance.close(MARCH)
    assert finance.granted(MARCH) == "5.00, -0.34"
    for month in (FEBRUARY, JANUARY, MARCH):
        closing = next(each for each in finance.closed() if each.data.period == str(month))
        assert finance.again(month).recorded == closing.data.figures


def test_the_cut_off_report_names_both_dates_and_both_months(finance: Finance) -> None:
    books = finance.books
    books.take(january("acct-1"))
    finance.close(JANUARY)
    books.clock.at = datetime(2035, 2, 1, tzinfo=UTC)
    books.take([overcharge("acct-1", "31.00", "2026-01-20T10:00:00Z")])
    end = Reached({0: len(books.envelopes())})
    found = list(late_movements(books.database, JANUARY, end, finance.closed(), "UTC"))
    assert [(row["claim_id"], row["kind"], row["net"]) for row in found if row["clause"] == "billing_error"] == [
        ("billing-error/dis-2026-01-20T10:00:00Z", "granted", "31.00"),
        ("billing-error/dis-2026-01-20T10:00:00Z", "refund_due", "31.00"),
    ]
    assert {(row["occurred_in"], row["booked_in"], row["occurred_at"], row["recorded_at"]) for row in found} == {
        ("2026-01", "2026-02", "2026-01-20T10:00:00Z", "2035-02-01T00:00:00Z")
    }
    ids = {each.event().event_id for each in books.envelopes()}
    assert {row["event_id"] for row in found} <= ids
    assert found == list(late_movements(books.database, FEBRUARY, end, finance.closed(), "UTC"))
    assert found == figures_of(books.database, FEBRUARY, end, finance.closed(), "UTC").late
    assert not list(late_movements(books.database, MARCH, end, finance.closed(), "UTC"))


def test_one_request_closes_a_month_once_and_is_answered_alike(finance: Finance) -> None:
    asked = Request("felix", "key-1", finance.books.ledger.vault.digest_to_keep(b"close 2026-01"))
    first = finance.close(JANUARY, request=asked)
    assert finance.close(JANUARY, request=asked) == first
    other = Request("felix", "key-1", finance.books.ledger.vault.digest_to_keep(b"close 2026-02"))
    with pytest.raises(KeyReused):
        finance.close(FEBRUARY, request=other)
    with pytest.raises(AlreadyClosed):
        finance.close(JANUARY, request=Request("felix", "key-2", asked.digest))
    assert len(finance.closed()) == 1


def test_figures_that_events_no_longer_make_are_found(finance: Finance) -> None:
    finance.books.take(january("acct-1"))
    closed = finance.close(JANUARY)
    finance.books.database.tamper(
        "UPDATE events SET envelope = CAST(REPLACE(CAST(envelope AS TEXT), '\"2.07\"', '\"1.07\"') AS BLOB)"
        if finance.books.database.dialect == "sqlite"
        else "UPDATE events SET envelope = "
        "convert_to(replace(convert_from(envelope, 'UTF8'), '\"2.07\"', '\"1.07\"'), 'UTF8')"
    )
    found = finance.again(JANUARY).recorded
    assert found.totals != closed.data.figures.totals
    assert found.manifest.sha256 != closed.data.figures.manifest.sha256
    assert found.manifest.events == closed.data.figures.manifest.events


def test_an_event_of_a_newer_program_is_not_passed_over(finance: Finance) -> None:
    finance.books.take(january("acct-1"))
    finance.books.database.tamper("UPDATE events SET type = 'refund-submitted.v99' WHERE position = 3")
    with pytest.raises(UnknownStoredType):
        finance.close(JANUARY)


def test_closed_months_are_listed_as_they_were_closed_and_a_rebuild_says_the_same(finance: Finance) -> None:
    books = finance.books
    books.take(january("acct-1"))
    follower = Follower(books.database)
    follower.create()
    finance.close(FEBRUARY)
    finance.close(JANUARY)
    books.take([overcharge("acct-1", "5.00", "2026-01-10T00:00:00Z")])
    finance.close(MARCH)
    follower.catch_up()
    listed = periods.listed(books.database)
    closed = {each.data.period: each for each in finance.closed()}
    assert [row["period"] for row in listed] == ["2026-01", "2026-02", "2026-03"]
    for row in listed:
        assert row == {**periods.shown_closing(closed[row["period"]], recomputed=True), "recomputed": None}
    assert listed[2]["late"] == listed[2]["totals"] != []
    rebuilding = Rebuild(books.database, [periods.PERIODS])
    rebuilding.begin()
    rebuilding.build()
    assert rebuilding.put_in_place().differences == []
