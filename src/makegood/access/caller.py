"""The caller of a request, and the accounts that their permission covers."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.events import Role
from ledger.values import SYSTEM_ACCOUNT, is_identifier
from makegood.access.permissions import Action, Scope, may
from projections.queries import UnknownAccount


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller with all their roles, and the accounts that their permission covers."""

    principal: str
    roles: tuple[tuple[Role, str | None], ...]
    scope: Scope

    @property
    def of_accounts(self) -> frozenset[str] | None:
        """The accounts that the caller is limited to here; None for all."""
        return self.scope.accounts

    def may_also(self, action: Action, account: str | None = None) -> bool:
        """Whether another action is permitted too: at all, or for an account."""
        scope = may(action, self.roles)
        return scope is not None and (account is None or scope.covers(account))

    def check(self, account: str) -> str:
        """The account, if the caller has access to it. Raises UnknownAccount, as for one that does not exist."""
        if not self.scope.covers(account) or not is_identifier(account):
            raise UnknownAccount("it is not the caller's")
        if account == SYSTEM_ACCOUNT and not self.may_also("access.read"):
            raise UnknownAccount("what the provider did is not for the caller")
        return account

    def limited_to(self, account: str | None) -> frozenset[str] | None:
        """The accounts that a list may show, with one as filter or without; None for all."""
        if account is None:
            return self.of_accounts
        return frozenset({account}) if self.scope.covers(account) else frozenset()
