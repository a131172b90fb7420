"""The caller of a request, and the accounts that their permission covers."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.events import Role
from makegood.access.permissions import Action, Scope, may
from makegood.access.sight import Sight


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller with all their roles, and the accounts that their permission covers."""

    principal: str
    roles: tuple[tuple[Role, str | None], ...]
    scope: Scope

    @property
    def sight(self) -> Sight:
        """What they may see of what they may ask for here."""
        return Sight(
            self.scope.accounts,
            goodwill=self.may_also("goodwill.read"),
            words=self.scope.accounts is None and self.may_also("complaint.read_words"),
            system=self.may_also("access.read"),
        )

    def may_also(self, action: Action, account: str | None = None) -> bool:
        """Whether another action is permitted too: at all, or for an account."""
        scope = may(action, self.roles)
        return scope is not None and (account is None or scope.covers(account))
