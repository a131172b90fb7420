"""Which facts count for nothing, told to folds: those that were retracted, and those that contradict another.

A projection whose lists are narrowed by how something stands keeps of each account what that is told by, because a
fold sees no rows of other projections (projections/retractions.py, projections/alarms.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.events import AlarmCleared, AlarmRaised, FactRetracted, LedgerEvent, retracted
from projections import alarms, retractions
from projections.first_message import LeftOut
from projections.projection import Rows, Table


@dataclass(frozen=True, slots=True, eq=False)
class LeavingOut:
    """The tables of one projection that say which facts count for nothing."""

    said: Table
    """Retractions."""
    contradicted: Table | None
    """Alarms that name a fact which another one outweighs; None where no alarm is about the projection's facts."""

    @classmethod
    def of(cls, name: str, reads: tuple[type[LedgerEvent], ...], *, alarmed: bool) -> LeavingOut:
        """Such tables for a projection of this name, whose fold looks at them with these events."""
        columns, key = retractions.SAID.columns, retractions.SAID.key
        said = Table(f"{name}_retractions", columns, key, reads, finding=True)
        if not alarmed:
            return cls(said, None)
        of = {"account": "TEXT", "identity": "TEXT", "left_out": "TEXT"}
        return cls(said, Table(f"{name}_contradicted", of, ("account", "identity"), reads, finding=True))  # type: ignore[arg-type]

    @property
    def tables(self) -> tuple[Table, ...]:
        """What the projection has to have among its tables."""
        return (self.said,) if self.contradicted is None else (self.said, self.contradicted)

    def fold(self, rows: Rows, event: FactRetracted | AlarmRaised | AlarmCleared) -> bool:
        """Whether other facts may count now."""
        if isinstance(event, FactRetracted):
            rows.put(self.said, retractions.said(event))
            return True
        if self.contradicted is None or event.data.alarm not in alarms.LEAVING_OUT:
            return False
        identity = alarms.identity(event.data)
        if isinstance(event, AlarmCleared):
            rows.delete(self.contradicted, event.account, identity)
        else:
            left_out = event.data.about[1]
            rows.put(self.contradicted, {"account": event.account, "identity": identity, "left_out": left_out})
        return True

    def left_out(self, rows: Rows, account: str) -> LeftOut:
        """The facts of an account that count for nothing."""
        gone = retracted(map(retractions.retraction, rows.of_account(self.said, account)))
        left_out = {(account, f"{source} {id_}") for source, id_ in gone}
        if self.contradicted is not None:
            left_out |= {(account, row["left_out"]) for row in rows.of_account(self.contradicted, account)}
        return left_out
