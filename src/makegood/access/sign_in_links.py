"""One-time links that sign somebody in: a customer by a link to their address, anybody in a sandbox.

To open a link uses nothing up, because programs that scan mail open links too; to press its button does, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ledger.application.access import grant
from ledger.application.acts import By
from ledger.events import ROLES, Grant, Role
from ledger.store.database import Database
from ledger.store.sessions import SignedIn, SignInLink, add_link, find_link, use_link
from makegood.access.sessions import begin, digest_of, new_token
from makegood.house.opening import House

VALID_FOR = timedelta(minutes=15)
IN_A_SANDBOX_FOR = timedelta(hours=12)

SANDBOX_PREFIX = "sandbox/"

Why = Literal["wrong", "used", "expired"]
"""Why a link signs nobody in."""


class NotSignedIn(Exception):
    """The link signs nobody in; `why` says what they are to be told, `language` in which language."""

    def __init__(self, why: Why, language: str | None = None) -> None:
        super().__init__(why)
        self.why: Why = why
        self.language = language


class SignInLinks:
    """The links in a store. `clock` is the world's time, whatever a sandbox's clock says."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def make(self, who: SignedIn, valid_for: timedelta = VALID_FOR) -> str:
        """The token of a new link that signs somebody in once."""
        token = new_token()
        with self._database.writing() as transaction:
            add_link(transaction, SignInLink(digest_of(token), who, self._clock() + valid_for, None))
        return token

    def look(self, token: str) -> SignedIn:
        """Whom a link would sign in; nothing is used up. Raises NotSignedIn."""
        with self._database.reading() as transaction:
            link = find_link(transaction, digest_of(token))
        return self._valid(link).who

    def use(self, token: str, before: str | None = None) -> tuple[str, SignedIn]:
        """Use a link: the token of the session that it begins, and whose that is. Raises NotSignedIn.

        The browser's session of before ends. Of two browsers that use one link at once, one is signed in.
        """
        now = self._clock()
        with self._database.writing() as transaction:
            used = use_link(transaction, digest_of(token), now)
            link = find_link(transaction, digest_of(token))
            if not used:
                self._valid(link)
                raise NotSignedIn("used")
            assert link is not None
            return begin(transaction, link.who, now, before), link.who

    def _valid(self, link: SignInLink | None) -> SignInLink:
        if link is None:
            raise NotSignedIn("wrong")
        if link.used_at is not None:
            raise NotSignedIn("used", link.who.language)
        if self._clock() >= link.expires_at:
            raise NotSignedIn("expired", link.who.language)
        return link


@dataclass(frozen=True, slots=True)
class SandboxLink:
    """A link by which anybody can sign in to a sandbox, and as what."""

    role: Role
    principal: str
    token: str


def sandbox_links(house: House, clock: Callable[[], datetime], by: By, account: str | None) -> list[SandboxLink]:
    """A link for each role, whose principals are granted theirs where they do not have them yet, and one for the
    customer of an account, if one is named. Whoever calls knows that the store is a sandbox."""
    links = SignInLinks(house.database, clock)
    found: list[SandboxLink] = []
    for role in ROLES:
        if role != "customer":
            principal = SANDBOX_PREFIX + role
            grant(house.ledger, Grant(principal=principal, role=role, account_id=None), by)
            found.append(SandboxLink(role, principal, links.make(SignedIn(principal), IN_A_SANDBOX_FOR)))
    if account is not None:
        token = links.make(SignedIn(None, (account,)), IN_A_SANDBOX_FOR)
        found.append(SandboxLink("customer", account, token))
    house.projections.catch_up()
    return found
