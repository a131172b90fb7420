"""Authentication: only an API key or a token of the configured issuer proves a principal.

Whatever is wrong with a key or a token, the answer is the same: it helps nobody to guess.
"""

from __future__ import annotations

import hmac
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from ledger.application.access import AccessRefused, check_name, secret_digest
from ledger.store.database import Database
from makegood.house.settings import Settings
from makegood.house.stop import Stop
from projections.access import standing_key

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""Asymmetric signatures only, which the public key cannot forge."""
LEEWAY_SECONDS = 30
"""The tolerated difference between the issuer's clock and ours."""
TOKEN_LENGTH_MAX = 8_192

# An issuer may still call Ed25519 by its older name; that is no news to whoever reads our standard error.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")

_KEY = re.compile(r"mg_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)
_NO_DIGEST = secret_digest("")


class Unproven(Exception):
    """The credentials are missing, invalid or expired."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The accepted issuer: its name, the required audience, and its public keys."""

    name: str
    audience: str
    keys: KeySet

    def principal(self, token: str, now: datetime) -> str:
        """The subject of a token that this issuer signed for us and that is valid now. Raises Unproven."""
        return str(self.claims(token, now)["sub"])

    def claims(self, token: str, now: datetime) -> dict[str, Any]:
        """All that such a token says; its subject is a text. Raises Unproven."""
        if len(token) > TOKEN_LENGTH_MAX:
            raise Unproven
        claims = JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self.name},
            aud={"essential": True, "value": self.audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            found = jwt.decode(token, self.keys, registry=JWSRegistry(algorithms=list(ALGORITHMS)))
            claims.validate(found.claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Unproven from error
        if not isinstance(found.claims["sub"], str):
            raise Unproven
        return found.claims


def issuer_of(settings: Settings) -> Issuer | None:
    """The configured issuer of tokens, if any; without its keys none is, where staff sign in to the pages only.

    Raises Stop for an issuer without usable keys.
    """
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_keys:
        if settings.oidc_client:
            return None
        raise Stop(
            "MAKEGOOD_OIDC_ISSUER is set, but the issuer's keys are missing: save its JSON Web Key Set to a file, "
            "and set MAKEGOOD_OIDC_KEYS_FILE to its path"
        )
    return Issuer(settings.oidc_issuer, settings.oidc_audience, public_keys(settings.oidc_keys))


def public_keys(text: str) -> KeySet:
    """The keys of a JSON Web Key Set. Raises Stop for a text that is none, and for keys that must not be known."""
    try:
        keys = KeySet.import_key_set(json.loads(text))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise Stop(
            "MAKEGOOD_OIDC_KEYS is not a JSON Web Key Set: use the document at the issuer's jwks_uri"
        ) from None
    if any(key.key_type == "oct" or key.is_private for key in keys.keys):
        raise Stop(
            "MAKEGOOD_OIDC_KEYS contains a private or symmetric key, with which tokens could be forged: put "
            "public keys only into it, and replace the exposed key at the issuer"
        )
    return keys


def principal_of(credentials: str, database: Database, issuer: Issuer | None, now: Callable[[], datetime]) -> str:
    """The principal of these credentials. Raises Unproven."""
    key = _KEY.fullmatch(credentials)
    if key is not None:
        principal = _of_key(database, key[1], key[2])
    elif issuer is not None:
        principal = issuer.principal(credentials, now())
    else:
        raise Unproven
    try:
        check_name(principal)
    except AccessRefused as refused:
        raise Unproven from refused
    return principal


def _of_key(database: Database, key_id: str, secret: str) -> str:
    standing = standing_key(database, key_id)
    digest = standing.secret_sha256 if standing is not None else _NO_DIGEST
    if not hmac.compare_digest(digest, secret_digest(secret)) or standing is None:
        raise Unproven
    return standing.principal
