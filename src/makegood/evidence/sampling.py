"""A sample of a month's movements, drawn so that anybody can draw it again from the population and the seed.

By row each movement has the same chance, by money each minor unit: amounts are taken without their sign, those of
different currencies one after the other. No random number generator is asked, whose next version may give others:
everything follows from SHA-256.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from itertools import accumulate, count
from pathlib import Path
from typing import Any, Literal

from ledger.store.amounts import to_minor_units
from ledger.store.positions import reached_from_text
from ledger.store.reading.periods import closed_periods
from ledger.values import SYSTEM_ACCOUNT, Month
from makegood.evidence.pack import EvidenceWritten, Wanted, write_pack
from makegood.evidence.proven import Proofs
from makegood.exports.comma_separated import harmless
from makegood.house.opening import House
from makegood.house.stop import Stop
from projections.follower import Progress
from projections.period_figures import BookedMovement, booked_movements

By = Literal["row", "money"]


@dataclass(frozen=True, slots=True)
class Row:
    """A movement of the population, with its account. `units` is its amount in minor units, without its sign."""

    account: str
    movement: BookedMovement

    @property
    def units(self) -> int:
        gross = self.movement.net + self.movement.tax
        return abs(to_minor_units(gross, self.movement.currency))

    @property
    def name(self) -> str:
        """By which a row is told from all others."""
        return f"{self.movement.event_id}:{self.movement.number}"


def drawn_by_row(population: Sequence[Row], size: int, seed: str) -> list[Row]:
    """So many rows, each with the same chance: those with the smallest SHA-256 of seed and name; all where there are
    no more than that."""
    rank = {row.name: sha256(f"{seed}:{row.name}".encode()).digest() for row in population}
    drawn = set(sorted(rank, key=lambda name: rank[name])[:size])
    return [row for row in population if row.name in drawn]


def drawn_by_money(population: Sequence[Row], size: int, seed: str) -> list[Row]:
    """The rows that so many minor units belong to, each unit with the same chance; fewer rows where one was hit
    several times, and all that have an amount where there are no more units than that."""
    ends = list(accumulate(row.units for row in population))
    total = ends[-1] if ends else 0
    units: set[int] = set()
    for number in count(1):
        if len(units) >= min(size, total):
            break
        units.add(int.from_bytes(sha256(f"{seed}:{number}".encode()).digest(), "big") % total)
    hit = {bisect_right(ends, unit) for unit in units}
    return [row for number, row in enumerate(population) if number in hit]


def write_sample(
    house: House,
    file: Path,
    month: Month,
    size: int,
    seed: str,
    by: By = "row",
    progress: Progress = lambda done, of: None,
) -> EvidenceWritten:
    """Write the pack of a sample: the whole population, what was drawn, and each account that it is of.

    A closed month is taken as it was closed, an open one as far as the last checkpoint covers it. Raises Stop where
    nothing can be drawn, and what `write_pack` raises.
    """
    with house.database.reading() as transaction:
        covered = Proofs(transaction).covered
        closed = closed_periods(transaction)
    number = next((n for n, each in enumerate(closed) if each.data.period == str(month)), None)
    if number is None:
        position, before, zone = covered, closed, house.settings.time_zone
    else:
        data = closed[number].data
        position, before, zone = reached_from_text(data.position), closed[:number], data.time_zone
        if not covered.covers(position):
            raise Stop(
                f"the last checkpoint covers events up to {covered}, and {month} was closed at {position}: sign one "
                "with `makegood audit checkpoint`"
            )
    population = [
        Row(account, movement)
        for account, movement in booked_movements(house.database, month, position, before, zone, progress)
    ]
    drawn = (drawn_by_money if by == "money" else drawn_by_row)(population, size, seed)
    if not drawn:
        raise Stop(f"nothing moved in {month}: there is nothing to draw from")
    claims: dict[str, set[str]] = {}
    for row in drawn:
        claims.setdefault(row.account, set()).update(filter(None, [row.movement.claim_id]))
    wanted = [Wanted(account, sorted(of)) for account, of in sorted(claims.items()) if account != SYSTEM_ACCOUNT]
    more = {"population.csv": _csv(population), "sample.csv": _csv(drawn)}
    said = {
        "population": {"position": str(position), "rows": len(population), "sums": _sums(population)},
        "sample": {"rows": len(drawn), "sums": _sums(drawn)},
    }
    asked = {"period": str(month), "size": size, "seed": seed, "by": by}
    written = write_pack(house, file, "sample", asked, wanted, month, more, said, progress)
    house.looked("evidence", None, written["events"])
    return written


COLUMNS = (
    "account_id",
    "event_id",
    "number",
    "position",
    "currency",
    "clause",
    "kind",
    "settlement",
    "claim_id",
    "net",
    "tax",
    "minor_units",
)


def _csv(rows: Sequence[Row]) -> str:
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        of = row.movement
        cells = (row.account, of.event_id, of.number, of.at, of.currency, of.clause, of.kind, of.settlement)
        money = (of.net, of.tax, row.units)
        writer.writerow([*(_cell(cell) for cell in (*cells, of.claim_id)), *money])
    return out.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, int) else harmless(str(value))


def _sums(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Counts and exact sums by currency, clause, kind and way of settling, as a closing has them."""
    sums: dict[tuple[str, str, str, str], list[Any]] = {}
    for row in rows:
        of = row.movement
        key = (of.currency, of.clause or "", of.kind, of.settlement or "")
        found = sums.setdefault(key, [0, 0, 0])
        found[0], found[1], found[2] = found[0] + 1, found[1] + of.net, found[2] + of.tax
    return [
        {
            "currency": currency,
            "clause": clause or None,
            "kind": kind,
            "settlement": settlement or None,
            "count": count_,
            "net": str(net),
            "tax": str(tax),
        }
        for (currency, clause, kind, settlement), (count_, net, tax) in sorted(sums.items())
    ]
