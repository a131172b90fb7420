"""Roles are granted and revoked, API keys issued and revoked, each by an act of the account `system`.

What a role permits is no matter of the ledger: the door says it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from pydantic import BaseModel

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.events import ApiKeyIssued, ApiKeyRevoked, Grant, LedgerEvent, RoleGranted, RoleRevoked
from ledger.store.reading.events import events_of_stream
from ledger.values import SYSTEM_ACCOUNT, is_identifier, is_own_name, stream_name

_ADDRESS = re.compile(r"[^@]@[^@]")

KEY_ID_BYTES, SECRET_BYTES = 8, 32

CUSTOMER_PREFIX = "customer/"
"""Begins the names of customers who signed in by a link to their address; `customer/ACCOUNT` is nobody else's."""


class AccessRefused(ValueError):
    """An invalid grant or key; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key. `text` is the key whole, and it is nowhere else: it can be shown now or never."""

    key_id: str
    text: str


def grant(ledger: Ledger, asked: Grant, by: By) -> bool:
    """Give a principal a role; False where they have it already. Raises AccessRefused, Conflict, Unavailable."""
    check_name(asked.principal)
    _check(asked)
    return _record(ledger, _roles(asked), lambda held: None if _stands(held, asked) else (RoleGranted, asked), by)


def revoke(ledger: Ledger, asked: Grant, by: By) -> bool:
    """Take a role from a principal; False where they have it not. Raises AccessRefused, Conflict, Unavailable.

    The name is not checked: names that were granted roles before a rule of names was made can lose them.
    """
    _check(asked)
    return _record(ledger, _roles(asked), lambda held: (RoleRevoked, asked) if _stands(held, asked) else None, by)


def issue_key(ledger: Ledger, principal: str, by: By, randomness: Callable[[int], bytes] = os.urandom) -> IssuedKey:
    """A new key by which a machine shows that it is the principal. Raises AccessRefused, Conflict, Unavailable."""
    check_name(principal)
    key_id, secret = randomness(KEY_ID_BYTES).hex(), randomness(SECRET_BYTES).hex()
    data = ApiKeyIssued.Data(key_id=key_id, principal=principal, secret_sha256=secret_digest(secret))
    _record(ledger, _key(key_id), lambda _: (ApiKeyIssued, data), by)
    return IssuedKey(key_id, f"mg_{key_id}_{secret}")


def revoke_key(ledger: Ledger, key_id: str, by: By) -> bool:
    """Have a key open nothing any more; False where it was revoked before.

    Raises AccessRefused where no key has the id, Conflict, and Unavailable.
    """

    def decide(past: list[LedgerEvent]) -> tuple[type[ApiKeyRevoked], BaseModel] | None:
        if not past:
            raise AccessRefused(f"API key {key_id} not found; see `makegood access key list`")
        issued = past[0].data
        revoked = ApiKeyRevoked.Data(key_id=issued.key_id, principal=issued.principal)
        return None if len(past) > 1 else (ApiKeyRevoked, revoked)

    return _record(ledger, _key(key_id), decide, by)


def secret_digest(secret: str) -> str:
    """What is kept of a key's secret. It has 256 random bits, so nothing slower or salted could make it safer."""
    return sha256(secret.encode()).hexdigest()


def check_name(name: str, called: str = "the name of a principal") -> None:
    """Refuse a name that a principal cannot have, so that an event's actor says whether it was proven.

    Names that begin like those of Makegood's own actors, or of customers who signed in, would pass for them. E-mail
    addresses are personal data, which no event may contain. Raises AccessRefused.
    """
    if not is_identifier(name):
        raise AccessRefused(f"{called} must have 1 to 128 printable characters without spaces")
    if is_own_name(name):
        raise AccessRefused(
            f"{called} must not begin with /makegood, as those of Makegood's own actors do: choose another"
        )
    if unicodedata.normalize("NFKC", name).casefold().startswith(CUSTOMER_PREFIX):
        raise AccessRefused(
            f"{called} must not begin with {CUSTOMER_PREFIX}, as those of customers who signed in by e-mail do: "
            "choose another"
        )
    if _ADDRESS.search(unicodedata.normalize("NFKC", name)):
        raise AccessRefused(
            f"{called} must not contain an e-mail address, because it stands in events for ever: use the subject of "
            "the person's OIDC token, or a machine's name"
        )


def _check(asked: Grant) -> None:
    if asked.role == "customer" and asked.account_id is None:
        raise AccessRefused("the role customer is for one account: give it with --account")
    if asked.role != "customer" and asked.account_id is not None:
        raise AccessRefused(
            f"the role {asked.role} is not limited to an account: leave --account out, or grant the role customer"
        )
    if asked.account_id is not None and (not is_identifier(asked.account_id) or asked.account_id == SYSTEM_ACCOUNT):
        raise AccessRefused("invalid account id: give the id of a customer's account")


def _roles(asked: Grant) -> str:
    return stream_name("roles", asked.principal)


def _key(key_id: str) -> str:
    return stream_name("api-key", key_id)


def _stands(past: list[LedgerEvent], asked: Grant) -> bool:
    about = [event for event in past if event.data == asked]
    return bool(about) and isinstance(about[-1], RoleGranted)


Decide = Callable[[list[LedgerEvent]], tuple[type[LedgerEvent], BaseModel] | None]


def _record(ledger: Ledger, stream: str, decide: Decide, by: By) -> bool:
    """Record the act that a stream's past asks for, if any; whether it did."""

    def record(act: Act) -> bool:
        past = [envelope.event() for envelope in events_of_stream(act.transaction, stream)]
        wanted = decide(past)
        if wanted is not None:
            act.record(SystemRecord.empty(stream, len(past)), *wanted, by)
        return wanted is not None

    return perform(ledger, {SYSTEM_ACCOUNT}, record)
