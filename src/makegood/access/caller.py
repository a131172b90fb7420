"""Who asks, and for which accounts they may do what they ask for."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.events import Role
from ledger.values import SYSTEM_ACCOUNT, is_identifier
from makegood.access.permissions import Action, Scope, may
from projections.queries import UnknownAccount


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, with all their roles, and for which accounts they may do what they ask for."""

    principal: str
    roles: tuple[tuple[Role, str | None], ...]
    scope: Scope

    @property
    def of_accounts(self) -> frozenset[str] | None:
        """The accounts that they are limited to here; None where they are not."""
        return self.scope.accounts

    def may_also(self, action: Action, account: str | None = None) -> bool:
        """Whether they may do something else as well: at all, or with an account."""
        scope = may(action, self.roles)
        return scope is not None and (account is None or scope.covers(account))

    def check(self, account: str) -> str:
        """The account, which they may ask for here. Raises UnknownAccount, as for one that does not exist."""
        if not self.scope.covers(account) or not is_identifier(account):
            raise UnknownAccount("it is not the caller's")
        if account == SYSTEM_ACCOUNT and not self.may_also("access.read"):
            raise UnknownAccount("what the provider did is not for the caller")
        return account

    def limited_to(self, account: str | None) -> frozenset[str] | None:
        """The accounts that a list may show, where one may be asked for; None for all."""
        if account is None:
            return self.of_accounts
        return frozenset({account}) if self.scope.covers(account) else frozenset()
