"""Who asks: keys and tokens that stand open the door, and whatever is wrong with one, the answer is the same."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from ledger.application import access
from ledger.events import Grant
from makegood.access.authentication import issuer_of
from makegood.house.settings import Settings
from makegood.house.stop import Stop
from tests.api.conftest import BY, Api
from tests.door.conftest import Door, with_an_agreement
from tests.parts.stores import Stores


@pytest.fixture
def store(stores: Stores, tmp_path: Path) -> str:
    """Who somebody is does not depend on the kind of store; the other tests of the API ask on both."""
    return stores.new("sqlite", tmp_path, with_an_agreement)


ISSUER = "https://id.example"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "ec"}, private=True)
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"}, private=True)
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
PUBLIC = json.dumps(KeySet([RSA, EC, ED]).as_dict(private=False))
OIDC = {"oidc_issuer": ISSUER, "oidc_keys": PUBLIC}


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": "makegood", "sub": "auth0|7f", "iat": now - 5, "exp": now + 60, **changed}
    return {name: value for name, value in said.items() if value is not None}


def token(alg: str = "RS256", key: Any = RSA, header: dict[str, Any] | None = None, **changed: Any) -> str:
    return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, claims(**changed), key, algorithms=[alg])


@pytest.fixture
def oidc(sandbox: Door, serve: Callable[..., Api]) -> Api:
    """An API that accepts tokens of an issuer, whose `auth0|7f` is an auditor."""
    api = serve(sandbox.store, **OIDC)
    access.grant(api.house.ledger, Grant(principal="auth0|7f", role="auditor", account_id=None), BY)
    api.house.projections.catch_up()
    return api


def refused(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    return answer.json()


def test_without_credentials_nobody_is_known_to_ask(api: Api) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        answer = api.http.get("/claims", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in answer.json()["detail"]


def test_a_key_opens_the_door_until_it_is_revoked(api: Api) -> None:
    key = api.key("auditor")
    assert api.ask(key, "/claims").status_code == 200
    access.revoke_key(api.house.ledger, key.split("_")[1], BY)
    api.house.projections.catch_up()
    refused(api.ask(key, "/claims"))


@pytest.mark.parametrize("name", ["/makegood/cli/root", "zoe@provider.example"])
def test_an_older_key_of_a_name_that_nobody_may_have_opens_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as before_the_rule:
        before_the_rule.setattr("ledger.application.access.check_name", lambda _: None)
        access.grant(api.house.ledger, Grant(principal=name, role="auditor", account_id=None), BY)
        key = access.issue_key(api.house.ledger, name, BY).text
    api.house.projections.catch_up()
    refused(api.ask(key, "/claims"))


def test_roles_are_asked_at_every_request(api: Api) -> None:
    key = api.key("auditor")
    assert api.ask(key, "/claims").status_code == 200
    access.revoke(api.house.ledger, Grant(principal="auditor", role="auditor", account_id=None), BY)
    api.house.projections.catch_up()
    assert api.ask(key, "/claims").status_code == 403


def test_a_key_that_is_not_quite_one_opens_nothing(api: Api) -> None:
    key = api.key("auditor")
    _, key_id, secret = key.split("_")
    wrong = [
        f"mg_{key_id}_{secret[:-1]}{'0' if secret[-1] != '0' else '1'}",
        f"mg_{'0' * 16}_{secret}",
        f"mg_{key_id}_",
        f"mg_{key_id}_{secret}0",
        key.upper(),
        secret,
    ]
    documents = {json.dumps(refused(api.ask(each, "/claims"))) for each in wrong}
    assert len(documents) == 1


@pytest.mark.parametrize(("alg", "key"), [("RS256", RSA), ("PS256", RSA), ("ES256", EC), ("EdDSA", ED)])
def test_a_token_of_the_issuer_opens_the_door(oidc: Api, alg: str, key: Any) -> None:
    assert oidc.json(token(alg, key), "/claims") == []
    assert oidc.json(token(alg, key, aud=["billing", "makegood"]), "/claims") == []


def test_a_tokens_subject_has_the_roles_that_were_granted_and_no_others(oidc: Api) -> None:
    told = token(sub="auth0|8a", roles=["auditor"], scope="account.read", groups=["admin"])
    assert oidc.ask(told, "/claims").status_code == 403


NOW = int(time.time())
WRONG: dict[str, Callable[[], str]] = {
    "expired": lambda: token(exp=NOW - 3_600, iat=NOW - 7_200),
    "never expires": lambda: token(exp=None),
    "not valid yet": lambda: token(nbf=NOW + 3_600),
    "issued in the future": lambda: token(iat=NOW + 3_600),
    "issued nobody knows when": lambda: token(iat=None),
    "of another issuer": lambda: token(iss="https://id.example.evil"),
    "of no issuer": lambda: token(iss=None),
    "for another audience": lambda: token(aud="billing"),
    "for an audience that begins alike": lambda: token(aud="makegood-test"),
    "for nobody": lambda: token(aud=None),
    "about nobody": lambda: token(sub=None),
    "about a subject that nobody can be": lambda: token(sub="a b"),
    "about one of our own actors": lambda: token(sub="/makegood/cli/root"),
    "about an e-mail address": lambda: token(sub="zoe@provider.example"),
    "about an object": lambda: token(sub={"a": 1}),
    "expires at a text": lambda: token(exp=str(NOW + 60)),
    "signed by a stranger": lambda: token(key=STRANGER),
    "signed by an unknown key": lambda: token(header={"kid": "other"}),
    "signed by nobody": lambda: unsigned({"alg": "none"}),
    "signed by nobody, in capitals": lambda: unsigned({"alg": "NONE", "kid": "rsa"}),
    "signed with the public key as a secret": lambda: with_public_key_as_secret(RSA.as_pem(private=False)),
    "signed with the public key's document as a secret": lambda: with_public_key_as_secret(PUBLIC.encode()),
    "signed by an algorithm of the same key": lambda: token("RS512"),
    "changed after it was signed": lambda: changed(token()),
    "cut short": lambda: token()[:-10],
    "no token at all": lambda: "a.b.c",
    "nested far too deeply": lambda: signed({"alg": "RS256", "kid": "rsa"}, b"[" * 3_000),
    "far too long": lambda: token(more="x" * 20_000),
    "demands what is unknown": lambda: signed({"alg": "RS256", "kid": "rsa", "crit": ["urgent"], "urgent": True}),
}


def encoded(part: Any) -> str:
    said = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()


def unsigned(header: dict[str, Any]) -> str:
    return f"{encoded(header)}.{encoded(claims())}."


def with_public_key_as_secret(secret: bytes) -> str:
    said = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(claims())}"
    return f"{said}.{encoded(hmac.digest(secret, said.encode(), 'sha256'))}"


def signed(header: dict[str, Any], content: bytes | None = None) -> str:
    """A header, or a content, that the library itself would not sign."""
    said = f"{encoded(header)}.{encoded(content if content is not None else claims())}"
    return f"{said}.{encoded(RSA.private_key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def changed(whole: str) -> str:
    head, _, signature = whole.split(".")
    return f"{head}.{encoded(claims(sub='root'))}.{signature}"


def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(oidc: Api) -> None:
    for good in (token(), signed({"alg": "RS256", "kid": "rsa"})):
        assert oidc.ask(good, "/claims").status_code == 200
    documents = {}
    for what, make in WRONG.items():
        answer = oidc.ask(make(), "/claims")
        assert answer.status_code == 401, what
        documents[json.dumps(refused(answer))] = what
    assert len(documents) == 1


def test_clocks_may_be_a_little_apart(oidc: Api) -> None:
    now = int(time.time())
    assert oidc.ask(token(exp=now - 10, iat=now - 60), "/claims").status_code == 200
    assert oidc.ask(token(iat=now + 10), "/claims").status_code == 200


def test_without_an_issuer_no_token_is_accepted(api: Api) -> None:
    refused(api.ask(token(), "/claims"))


def test_settings_that_make_no_sense_stop_the_start() -> None:
    private = json.dumps(KeySet([RSA]).as_dict(private=True))
    secret = json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]})
    for keys, said in [("", "OIDC_KEYS_FILE"), ("{}", "jwks_uri"), ("[]", "jwks_uri"), (private, "public keys only")]:
        with pytest.raises(Stop, match=said):
            issuer_of(Settings(oidc_issuer=ISSUER, oidc_keys=keys))
    with pytest.raises(Stop, match="public keys only"):
        issuer_of(Settings(oidc_issuer=ISSUER, oidc_keys=secret))
    assert issuer_of(Settings()) is None
