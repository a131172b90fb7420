"""Staff sign in at their organisation's OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0, RFC
7636, RFC 9207).

What binds the answer to the browser that asked is one secret in a short-lived cookie: state, nonce and code verifier
are derived from it, so that an answer is of use in no other browser and no second time.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from ledger.application.access import AccessRefused, check_name
from makegood.access.authentication import Issuer, Unproven, public_keys
from makegood.house.settings import Settings
from makegood.house.stop import Stop

VALID_FOR = timedelta(minutes=10)
"""How long somebody may take to sign in at the provider."""
PATIENCE_SECONDS = 5.0
ANSWER_BYTES_MAX = 262_144
DISCOVERED_FOR_SECONDS = 3600.0
"""How long the provider's addresses and keys are taken as they were; keys that are not known are asked for anew."""
REST_SECONDS = 10.0
"""After a failure the provider is left alone for so long."""


class NoProvider(Exception):
    """The provider does not answer, or not as it must; `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotProven(Exception):
    """The provider's answer proves nobody; `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way, known by the secret in the browser's cookie."""

    secret: str

    def derived(self, purpose: str) -> str:
        """What is derived from the secret for a purpose: 64 hexadecimal digits."""
        return hmac.new(self.secret.encode(), purpose.encode(), sha256).hexdigest()

    @property
    def challenge(self) -> str:
        """The code verifier's S256 challenge."""
        digest = sha256(self.derived("verifier").encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Discovered:
    """What the provider says of itself."""

    authorization: str
    token: str
    methods: tuple[str, ...]
    names_itself: bool
    issuer: Issuer


Ask = Callable[[str, Mapping[str, str] | None, Mapping[str, str]], Any]
"""Asks an address, with a form or without, and headers; the JSON of the answer. Raises NoProvider."""


class OpenId:
    """The provider at which staff sign in. Its addresses and keys are asked for on first use, and kept for a time."""

    def __init__(
        self, settings: Settings, ask: Ask | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = settings.oidc_issuer
        self._client = settings.oidc_client
        self._secret = settings.oidc_client_secret.get_secret_value()
        self._keys = public_keys(settings.oidc_keys) if settings.oidc_keys else None
        self._ask = ask or asked
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._discovered: Discovered | None = None
        self._until = 0.0
        self._failed: NoProvider | None = None

    def address(self, attempt: Attempt, comes_back_to: str) -> str:
        """Where the browser is led to sign in. Raises NoProvider."""
        found = self.discovered()
        query = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": comes_back_to,
            "scope": "openid",
            "state": attempt.derived("state"),
            "nonce": attempt.derived("nonce"),
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{found.authorization}{'&' if '?' in found.authorization else '?'}{urlencode(query)}"

    def principal(self, attempt: Attempt, answer: Mapping[str, str], comes_back_to: str, now: datetime) -> str:
        """Who signed in, by the answer that the browser came back with. Raises NotProven and NoProvider."""
        state = answer.get("state", "")
        if not attempt.secret or not hmac.compare_digest(state.encode(), attempt.derived("state").encode()):
            raise NotProven("no such sign-in is under way in this browser")
        found = self.discovered()
        if answer.get("iss", self._issuer) != self._issuer or (found.names_itself and "iss" not in answer):
            raise NotProven("the answer is another provider's")
        if "code" not in answer:
            raise NotProven("the provider refused")
        return self._proven(self._id_token(found, attempt, answer["code"], comes_back_to), attempt, found, now)

    def discovered(self) -> Discovered:
        """What the provider says of itself, asked for where it was not, or is too long ago. Raises NoProvider."""
        with self._turn:
            if self._monotonic() >= self._until:
                try:
                    self._discovered, self._failed = self._discover(), None
                except NoProvider as error:
                    self._discovered, self._failed = None, error
                self._until = self._monotonic() + (REST_SECONDS if self._failed else DISCOVERED_FOR_SECONDS)
            if self._discovered is None:
                raise self._failed or NoProvider("not asked")
            return self._discovered

    def _discover(self) -> Discovered:
        said = self._ask(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration", None, {})
        if not isinstance(said, dict) or said.get("issuer") != self._issuer:
            raise NoProvider("the discovery document is another issuer's")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not may_be_asked(said.get(name)):
                raise NoProvider(f"the discovery document has no https address as {name}")
        keys = self._keys
        if keys is None:
            try:
                keys = public_keys(json.dumps(self._ask(said["jwks_uri"], None, {})))
            except Stop:
                raise NoProvider("the keys at jwks_uri cannot be used") from None
        return Discovered(
            said["authorization_endpoint"],
            said["token_endpoint"],
            tuple(said.get("token_endpoint_auth_methods_supported") or ("client_secret_basic",)),
            said.get("authorization_response_iss_parameter_supported") is True,
            Issuer(self._issuer, self._client, keys),
        )

    def _id_token(self, found: Discovered, attempt: Attempt, code: str, comes_back_to: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": comes_back_to,
            "code_verifier": attempt.derived("verifier"),
        }
        headers: dict[str, str] = {}
        if not self._secret:
            form["client_id"] = self._client
        elif "client_secret_basic" in found.methods:
            pair = f"{quote_plus(self._client)}:{quote_plus(self._secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self._client, "client_secret": self._secret}
        said = self._ask(found.token, form, headers)
        token = said.get("id_token") if isinstance(said, dict) else None
        if not isinstance(token, str):
            raise NotProven("the provider gave no ID token for the code")
        return token

    def _proven(self, token: str, attempt: Attempt, found: Discovered, now: datetime) -> str:
        try:
            claims = found.issuer.claims(token, now)
        except Unproven:
            claims = self._with_new_keys(token, found, now)
        nonce, party = claims.get("nonce"), claims.get("azp", self._client)
        if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), attempt.derived("nonce").encode()):
            raise NotProven("the ID token is another sign-in's")
        for_several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
        if party != self._client or for_several:
            raise NotProven("the ID token is for another client")
        try:
            check_name(claims["sub"])
        except AccessRefused:
            raise NotProven("the subject is no name that a principal can have") from None
        return str(claims["sub"])

    def _with_new_keys(self, token: str, found: Discovered, now: datetime) -> dict[str, Any]:
        """The claims of a token that the keys did not verify, with the keys as they are now: they may be new ones."""
        if self._keys is None:
            with self._turn:
                if self._discovered is found:
                    self._until = 0.0
            found = self.discovered()
        try:
            return found.issuer.claims(token, now)
        except Unproven:
            raise NotProven("the ID token is not valid") from None


def openid_of(settings: Settings) -> OpenId | None:
    """The provider at which staff sign in; None where none is configured. Raises Stop where it is half configured."""
    if why := half_configured(settings):
        raise Stop(why)
    return OpenId(settings) if settings.oidc_client else None


def half_configured(settings: Settings) -> str | None:
    """What is missing of the settings by which staff sign in to the pages; None where nothing is."""
    if settings.oidc_client and not settings.oidc_issuer:
        return "MAKEGOOD_OIDC_CLIENT is set without MAKEGOOD_OIDC_ISSUER: set the address of the OpenID provider"
    if settings.oidc_client_secret.get_secret_value() and not settings.oidc_client:
        return "MAKEGOOD_OIDC_CLIENT_SECRET is set without MAKEGOOD_OIDC_CLIENT: set the client's id too"
    if settings.oidc_client and not may_be_asked(settings.oidc_issuer):
        return "MAKEGOOD_OIDC_ISSUER must be the https address of the OpenID provider for staff to sign in there"
    return None


def may_be_asked(address: Any) -> bool:
    """Whether an address is one that is asked: over TLS, or on this machine."""
    if not isinstance(address, str):
        return False
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http" and parts.hostname == "localhost"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def asked(address: str, form: Mapping[str, str] | None, headers: Mapping[str, str]) -> Any:
    """The JSON that an address answers with; no redirect is followed. Raises NoProvider."""
    body = urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(address, body, {"Accept": "application/json", **headers})
    try:
        with _OPENER.open(request, timeout=PATIENCE_SECONDS) as answer:
            return json.loads(answer.read(ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as error:
        if form is not None and 400 <= error.code < 500:
            return {}
        raise NoProvider(f"it answered with status {error.code}") from None
    except (OSError, ValueError) as error:
        raise NoProvider(f"it could not be asked ({type(error).__name__})") from None
