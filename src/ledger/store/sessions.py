"""Sessions of people who are signed in, and the one-time links that sign them in: how their rows may change.

Nothing that opens a door is stored: a row is found by the SHA-256 of its token. These rows go by the world's time,
whatever a sandbox's clock says, and say nothing that must be kept: they are deleted as they run out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ledger.store.database import Row, Transaction
from ledger.store.instants import from_microseconds, to_microseconds


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in, or will be by a link: a principal, or a customer by the accounts that their address is of."""

    principal: str | None
    accounts: tuple[str, ...] = ()
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Session:
    """A session: whose it is, when it was last used, and when it ends at the latest."""

    digest: str
    who: SignedIn
    created_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A link that signs somebody in once."""

    digest: str
    who: SignedIn
    expires_at: datetime
    used_at: datetime | None


def add_session(transaction: Transaction, session: Session) -> None:
    """Begin a session."""
    transaction.run(
        "INSERT INTO sessions (digest, principal, language, created_at, seen_at, ends_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            session.digest,
            session.who.principal,
            session.who.language,
            to_microseconds(session.created_at),
            to_microseconds(session.seen_at),
            to_microseconds(session.ends_at),
        ),
    )
    _add_accounts(transaction, session.digest, session.who.accounts)


def find_session(transaction: Transaction, digest: str) -> Session | None:
    """The session with a digest, whether it has run out or not."""
    rows = transaction.rows(
        "SELECT principal, language, created_at, seen_at, ends_at FROM sessions WHERE digest = ?", (digest,)
    )
    if not rows:
        return None
    principal, language, *instants = rows[0]
    who = SignedIn(principal, _accounts_of(transaction, digest), language)
    return Session(digest, who, *map(from_microseconds, instants))


def note_seen(transaction: Transaction, digest: str, now: datetime) -> None:
    """A session was used now."""
    at = to_microseconds(now)
    transaction.run("UPDATE sessions SET seen_at = ? WHERE digest = ? AND seen_at < ?", (at, digest, at))


def change_language(transaction: Transaction, digest: str, language: str) -> None:
    """A session goes on in another language."""
    transaction.run("UPDATE sessions SET language = ? WHERE digest = ?", (language, digest))


def end_session(transaction: Transaction, digest: str) -> None:
    """End one session."""
    _delete(transaction, "sessions", [(digest,)])


def end_sessions_of(transaction: Transaction, who: SignedIn) -> int:
    """End all sessions of a principal, or all that are of any of a customer's accounts; how many those were."""
    if who.principal is not None:
        found = transaction.rows("SELECT digest FROM sessions WHERE principal = ?", (who.principal,))
    else:
        found = transaction.rows_in(
            "SELECT DISTINCT s.digest FROM sessions AS s JOIN sign_in_accounts AS a ON a.digest = s.digest "
            "WHERE a.account IN (?*)",
            who.accounts,
        )
    return _delete(transaction, "sessions", found)


def add_link(transaction: Transaction, link: SignInLink) -> None:
    """Have a link sign somebody in."""
    transaction.run(
        "INSERT INTO sign_in_links (digest, principal, language, expires_at, used_at) VALUES (?, ?, ?, ?, NULL)",
        (link.digest, link.who.principal, link.who.language, to_microseconds(link.expires_at)),
    )
    _add_accounts(transaction, link.digest, link.who.accounts)


def find_link(transaction: Transaction, digest: str) -> SignInLink | None:
    """The link with a digest, used or expired ones too as long as they are kept."""
    rows = transaction.rows(
        "SELECT principal, language, expires_at, used_at FROM sign_in_links WHERE digest = ?", (digest,)
    )
    if not rows:
        return None
    principal, language, expires_at, used_at = rows[0]
    who = SignedIn(principal, _accounts_of(transaction, digest), language)
    used = None if used_at is None else from_microseconds(used_at)
    return SignInLink(digest, who, from_microseconds(expires_at), used)


def use_link(transaction: Transaction, digest: str, now: datetime) -> bool:
    """Use a link up; False where it was used already or has expired. Of two who do so at once, one is told True."""
    at = to_microseconds(now)
    return bool(
        transaction.run(
            "UPDATE sign_in_links SET used_at = ? WHERE digest = ? AND used_at IS NULL AND expires_at > ?",
            (at, digest, at),
        )
    )


def delete_run_out(transaction: Transaction, seen_before: datetime, now: datetime, expired_before: datetime) -> int:
    """Delete sessions that were not used since an instant or have ended by now, and links that expired before another
    instant; how many sessions those were."""
    ended = transaction.rows(
        "SELECT digest FROM sessions WHERE seen_at <= ? OR ends_at <= ?",
        (to_microseconds(seen_before), to_microseconds(now)),
    )
    expired = transaction.rows(
        "SELECT digest FROM sign_in_links WHERE expires_at <= ?", (to_microseconds(expired_before),)
    )
    _delete(transaction, "sign_in_links", expired)
    return _delete(transaction, "sessions", ended)


def _add_accounts(transaction: Transaction, digest: str, accounts: Iterable[str]) -> None:
    rows = [(digest, account) for account in dict.fromkeys(accounts)]
    transaction.insert("sign_in_accounts", ("digest", "account"), rows)


def _accounts_of(transaction: Transaction, digest: str) -> tuple[str, ...]:
    rows = transaction.rows(
        'SELECT account FROM sign_in_accounts WHERE digest = ? ORDER BY account COLLATE "C"', (digest,)
    )
    return tuple(account for (account,) in rows)


def _delete(transaction: Transaction, table: str, digests: Iterable[Row]) -> int:
    found = list(digests)
    transaction.delete("sign_in_accounts", ("digest",), found)
    return transaction.delete(table, ("digest",), found)
