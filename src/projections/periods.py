"""The months that were closed, and what each came to (contract §3b, `makegood periods`).

What a closing says never changes. Whether it still follows from the events `projections/period_figures.py` works out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import Clause, PeriodClosed
from ledger.events import PeriodTotal as RecordedTotal
from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Order, Page, Where
from ledger.values import SYSTEM_ACCOUNT, instant_to_text
from projections.asking import added_up, rows_listed
from projections.movement_kinds import MovementKind, Settlement
from projections.projection import Place, Projection, Row, Rows, Table
from projections.shown_values import Amount, Currency, Hash, Instant, Reached, shown_instant

NO_CLAUSE = ""
"""Stands in a key for the clause of what belongs to no claim: columns of a key are never null."""

ROWS = Table(
    "periods",
    {
        "account": "TEXT",
        "period": "TEXT",
        "time_zone": "TEXT",
        "closed_at": "INSTANT",
        "closed_by": "TEXT",
        "position": "TEXT",
        "accounts": "BIGINT",
        "events": "BIGINT",
        "sha256": "TEXT",
    },
    key=("account", "period"),
    appends=True,
)
TOTALS = Table(
    "period_totals",
    {
        "account": "TEXT",
        "period": "TEXT",
        "counted": "TEXT",
        "currency": "TEXT",
        "clause": "TEXT",
        "kind": "TEXT",
        "settlement": "TEXT",
        "movements": "BIGINT",
        "net": "TEXT",
        "tax": "TEXT",
    },
    key=("account", "period", "counted", "currency", "clause", "kind"),
    appends=True,
)
"""`counted` says whether a row counts all movements of its kind, or those that became known late."""


def fold(rows: Rows, _: Place, event: PeriodClosed) -> None:
    """A month is closed once, and stays as it was closed."""
    figures = event.data.figures
    rows.put(
        ROWS,
        {
            "account": event.account,
            "period": event.data.period,
            "time_zone": event.data.time_zone,
            "closed_at": to_microseconds(event.recorded_at),
            "closed_by": event.actor,
            "position": event.data.position,
            "accounts": figures.manifest.accounts,
            "events": figures.manifest.events,
            "sha256": figures.manifest.sha256,
        },
    )
    for counted, totals in (("all", figures.totals), ("late", figures.late)):
        for total in totals:
            rows.put(
                TOTALS,
                {
                    "account": event.account,
                    "period": event.data.period,
                    "counted": counted,
                    "currency": total.currency,
                    "clause": total.clause or NO_CLAUSE,
                    "kind": total.kind,
                    "settlement": total.settlement,
                    "movements": total.count,
                    "net": str(total.net),
                    "tax": str(total.tax),
                },
            )


PERIODS = Projection("periods", 1, (ROWS, TOTALS), (PeriodClosed,), fold)


class PeriodTotal(TypedDict):
    """The sum of movements of one currency, clause, kind and way of settling."""

    currency: Currency
    clause: Annotated[Clause | None, Field(description="Null for an excess payment on an invoice.")]
    kind: MovementKind
    settlement: Settlement | None
    count: int
    net: Amount
    tax: Amount


class Period(TypedDict):
    """A month with what it comes to: as it was closed, or as it stands."""

    period: Annotated[str, Field(examples=["2026-01"])]
    status: Literal["open", "closed"]
    time_zone: Annotated[str, Field(description="The provider's, by which a movement has its day.")]
    closed_at: Instant | None
    closed_by: str | None
    position: Annotated[Reached, Field(description="The last position that the figures cover.")]
    totals: list[PeriodTotal]
    late: Annotated[
        list[PeriodTotal],
        Field(description="Those of the totals that became known when the month of their day was closed."),
    ]
    accounts: Annotated[int, Field(description="The rows of the manifest.")]
    events: Annotated[int, Field(description="The events covered, of all accounts.")]
    sha256: Annotated[Hash, Field(description="The SHA-256 of the manifest; of several shards, that of theirs.")]
    recomputed: Annotated[
        bool | None,
        Field(description="True if the figures follow from the events; null if they were not recomputed."),
    ]


ORDER: Order = {"period": str}


def totals_together(of_each: Iterable[Iterable[PeriodTotal]]) -> list[PeriodTotal]:
    """The totals of a month in several stores together, by currency, clause and kind."""
    found = added_up(chain.from_iterable(of_each), ("currency", "clause", "kind", "settlement"))
    return cast(
        list[PeriodTotal],
        sorted(found, key=lambda each: (each["currency"], each["clause"] or NO_CLAUSE, each["kind"])),
    )


def listed(database: Database, *, page: Page | None = None) -> Listed[Period]:
    """The months that were closed, in their order."""
    where = Where().equal(account=SYSTEM_ACCOUNT)
    with database.reading() as transaction:
        found = rows_listed(transaction, PERIODS, ROWS, where, page, ORDER)
        totals: dict[tuple[str, str], list[PeriodTotal]] = defaultdict(list)
        of_them = Where().equal(account=SYSTEM_ACCOUNT).among("period", [row["period"] for row in found])
        for row in rows_listed(transaction, PERIODS, TOTALS, of_them):
            totals[row["period"], row["counted"]].append(_total(row))
    shown: list[Period] = [
        {
            "period": row["period"],
            "status": "closed",
            "time_zone": row["time_zone"],
            "closed_at": shown_instant(row["closed_at"]),
            "closed_by": row["closed_by"],
            "position": row["position"],
            "totals": totals[row["period"], "all"],
            "late": totals[row["period"], "late"],
            "accounts": row["accounts"],
            "events": row["events"],
            "sha256": row["sha256"],
            "recomputed": None,
        }
        for row in found
    ]
    return found.told(shown)


def _total(row: Row) -> PeriodTotal:
    return {
        "currency": row["currency"],
        "clause": row["clause"] or None,
        "kind": row["kind"],
        "settlement": row["settlement"],
        "count": row["movements"],
        "net": row["net"],
        "tax": row["tax"],
    }


def shown_total(total: RecordedTotal) -> PeriodTotal:
    """A total of a closing as it is shown."""
    return {
        "currency": total.currency,
        "clause": total.clause,
        "kind": cast(MovementKind, total.kind),
        "settlement": cast(Settlement | None, total.settlement),
        "count": total.count,
        "net": str(total.net),
        "tax": str(total.tax),
    }


def shown_closing(closed: PeriodClosed, *, recomputed: bool) -> Period:
    """A closing as its event has it."""
    figures = closed.data.figures
    return {
        "period": closed.data.period,
        "status": "closed",
        "time_zone": closed.data.time_zone,
        "closed_at": instant_to_text(closed.recorded_at),
        "closed_by": closed.actor,
        "position": closed.data.position,
        "totals": [shown_total(total) for total in figures.totals],
        "late": [shown_total(total) for total in figures.late],
        "accounts": figures.manifest.accounts,
        "events": figures.manifest.events,
        "sha256": figures.manifest.sha256,
        "recomputed": recomputed,
    }
