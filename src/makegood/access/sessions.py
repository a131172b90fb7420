"""Sessions: who a browser is signed in as, for how long, and what proves that a form is one of our own.

The browser has a random token in a cookie; the store has its SHA-256. Every sign-in begins a session with a token of
its own, so that nobody can have chosen it before. Roles are asked for at each request, so that what was revoked is
gone at the next one.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from ledger.application.access import CUSTOMER_PREFIX
from ledger.events import Role
from ledger.store.database import Database, Transaction
from ledger.store.reading.erasures import erased_accounts
from ledger.store.sessions import (
    Session,
    SignedIn,
    add_session,
    change_language,
    delete_run_out,
    end_session,
    end_sessions_of,
    find_session,
    note_seen,
)
from projections.access import roles_in

IDLE = timedelta(minutes=30)
"""A session ends when it was not used for so long."""
ABSOLUTE = timedelta(hours=12)
"""A session ends so long after the sign-in, however much it is used."""
NOTED_EVERY = timedelta(minutes=1)
"""How often a session's use is written down at most."""
LINKS_KEPT = timedelta(days=1)
"""How long a link is kept after it expired, so that whoever opens it is told so."""

TOKEN_BYTES = 32


def digest_of(token: str) -> str:
    """What is stored of a token. It has 256 random bits, so nothing slower or salted could make it safer."""
    return sha256(token.encode()).hexdigest()


def new_token() -> str:
    """A token that nobody can guess, in characters that stand in an address and a cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


@dataclass(frozen=True, slots=True)
class Presence:
    """Somebody who is signed in: their session with its token, and their roles as they are now."""

    token: str
    session: Session
    roles: tuple[tuple[Role, str | None], ...]

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that somebody is here for as their customer, in order."""
        return tuple(account for role, account in self.roles if role == "customer" and account is not None)

    def principal(self, account: str | None = None) -> str:
        """As whom they act: a customer as `customer/ACCOUNT`, of the account in question or else of their first."""
        who = self.session.who
        if who.principal is not None:
            return who.principal
        own = self.accounts or who.accounts
        return customer(account if account in own and account is not None else own[0])

    @property
    def csrf(self) -> str:
        """The token that each form of this session sends back."""
        return self.mark("csrf")

    def mark(self, purpose: str) -> str:
        """A mark that only who has the session's token can make, another for each purpose."""
        return hmac.new(self.token.encode(), purpose.encode(), sha256).hexdigest()

    def sent_back(self, token: str) -> bool:
        """Whether a form's token is this session's."""
        return hmac.compare_digest(self.csrf.encode(), token.encode())


def customer(account: str) -> str:
    """The principal of an account's customer, who was signed in by a link to their address."""
    return CUSTOMER_PREFIX + account


def begin(transaction: Transaction, who: SignedIn, now: datetime, before: str | None) -> str:
    """Sign somebody in: the token of a new session. The browser's session of before ends, by its token."""
    token = new_token()
    delete_run_out(transaction, now - IDLE, now, now - LINKS_KEPT)
    if before is not None:
        end_session(transaction, digest_of(before))
    add_session(transaction, Session(digest_of(token), who, now, now, now + ABSOLUTE))
    return token


class Sessions:
    """The sessions in a store. `clock` is the world's time, whatever a sandbox's clock says."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self.clock = clock

    def begin(self, who: SignedIn, before: str | None = None) -> str:
        """Sign somebody in who has proven who they are: the token of a new session."""
        with self._database.writing() as transaction:
            return begin(transaction, who, self.clock(), before)

    def presence(self, token: str) -> Presence | None:
        """Who a token's session is of, and what they may now; None where it has ended. Its use is noted.

        A customer's session is of those of their accounts that are not erased, and ends with the last of them.
        """
        digest, now = digest_of(token), self.clock()
        with self._database.reading() as transaction:
            session = find_session(transaction, digest)
            if session is None or now >= min(session.ends_at, session.seen_at + IDLE):
                return None
            roles = tuple(_roles_of(transaction, session.who))
        if session.who.principal is None and not roles:
            self.end(token)
            return None
        if now - session.seen_at >= NOTED_EVERY:
            with self._database.writing() as transaction:
                note_seen(transaction, digest, now)
                delete_run_out(transaction, now - IDLE, now, now - LINKS_KEPT)
        return Presence(token, session, roles)

    def speak(self, presence: Presence, language: str) -> None:
        """Somebody's session goes on in another language."""
        with self._database.writing() as transaction:
            change_language(transaction, presence.session.digest, language)

    def end(self, token: str) -> None:
        """Sign out: the session ends."""
        with self._database.writing() as transaction:
            end_session(transaction, digest_of(token))

    def end_all(self, presence: Presence) -> int:
        """Sign out everywhere: every session of the same principal ends, or of any of the customer's accounts."""
        with self._database.writing() as transaction:
            return end_sessions_of(transaction, presence.session.who)


def _roles_of(transaction: Transaction, who: SignedIn) -> Iterator[tuple[Role, str | None]]:
    """What somebody may now: what their principal was granted, or a customer's accounts that are not erased."""
    if who.principal is not None:
        yield from roles_in(transaction, who.principal)
    else:
        erased = erased_accounts(transaction, who.accounts)
        yield from (("customer", account) for account in who.accounts if account not in erased)
