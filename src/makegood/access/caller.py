"""Who asks, and for which accounts they may do what they ask for."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.events import Role
from makegood.access.permissions import Action, Scope, may
from makegood.access.sight import Sight


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, with all their roles, and for which accounts they may do what they ask for."""

    principal: str
    roles: tuple[tuple[Role, str | None], ...]
    scope: Scope

    @property
    def sight(self) -> Sight:
        """What they may see of what they may ask for here."""
        return Sight(
            self.scope.accounts,
            goodwill=self.may_also("goodwill.read"),
            words=self.may_also("complaint.read_words"),
            system=self.may_also("access.read"),
        )

    def may_also(self, action: Action, account: str | None = None) -> bool:
        """Whether they may do something else as well: at all, or with an account."""
        scope = may(action, self.roles)
        return scope is not None and (account is None or scope.covers(account))
