"""Staff sign in at an OpenID provider that others wrote; what a forged, foreign or repeated answer does not do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import SecretStr

from makegood.access.openid import Attempt, NoProvider, NotProven, OpenId, half_configured, may_be_asked
from makegood.house.clock import system_clock
from makegood.house.settings import Settings
from makegood.house.stop import Stop
from makegood.pages.sign_in import sign_in_pages
from tests.pages.clients import ADDRESS, Client, Pages
from tests.parts.openid_provider import CLIENT, PUBLIC_CLIENT, SECRET, provider

COMES_BACK_TO = f"{ADDRESS}/sign-in/oidc/return"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with provider(COMES_BACK_TO) as address:
        yield address


def at_the_provider(address: str, name: str) -> str:
    """Sign in there as a browser would, under a name; where it leads back to."""
    with httpx.Client(timeout=20) as browser:
        answer = browser.get(address)
        for _ in range(10):
            if answer.is_redirect:
                leads_to = str(answer.next_request.url) if answer.next_request else ""
                if leads_to.startswith(ADDRESS):
                    return leads_to
                answer = browser.get(leads_to)
                continue
            assert answer.status_code == 200, answer.text
            found = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            assert found is not None, answer.text
            prompt = "login" if 'name="login"' in answer.text else "consent"
            answer = browser.post(found[1], data={"prompt": prompt, "login": name, "password": "any"})
        raise AssertionError("the provider leads nowhere")


def asked_for(client: Client, path: str = "/console/test") -> str:
    answer = client.get(f"/sign-in/oidc?next={path}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@pytest.mark.parametrize(
    "who", [{"oidc_client": CLIENT, "oidc_client_secret": SecretStr(SECRET)}, {"oidc_client": PUBLIC_CLIENT}]
)
def test_staff_sign_in_at_the_provider(who: dict[str, Any], issuer: str, open_pages: Callable[..., Pages]) -> None:
    at = open_pages(oidc_issuer=issuer, **who)
    at.clock.now = system_clock()
    client, other = at.client(), at.client()
    assert 'href="/sign-in/oidc?next=/"' in client.get("/sign-in").text
    address = asked_for(client, "/console/owed?currency=EUR".replace("?", "%3F"))
    asked = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid"
    back = at_the_provider(address, "lee-4711").removeprefix(ADDRESS)
    stolen = other.get(back)
    assert stolen.status_code == 403, "the answer is of use in the browser that asked only"
    asked_for(other)
    assert other.get(back).status_code == 403
    answer = client.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/owed?currency=EUR")
    assert "lee-4711" in client.get("/sign-out").text
    again = client.get(back)
    assert again.status_code == 403, "an answer is used once"
    assert "lee-4711" in client.get("/sign-out").text


def test_a_code_is_of_no_use_without_its_verifier(issuer: str) -> None:
    there = OpenId(Settings(oidc_issuer=issuer, oidc_client=PUBLIC_CLIENT))
    back = at_the_provider(there.address(Attempt("one"), COMES_BACK_TO), "lee-4711")
    answer = {name: value[0] for name, value in parse_qs(urlsplit(back).query).items()}
    other = Attempt("another")
    with pytest.raises(NotProven, match="no ID token"):
        there.principal(other, {**answer, "state": other.derived("state")}, COMES_BACK_TO, system_clock())


# --- a provider that says what a test wants -------------------------------------------------------------------------

ISSUER = "https://id.example"
NOW = datetime(2026, 11, 29, 9, tzinfo=UTC)
KEY, FOREIGN = ECKey.generate_key("P-256", {"kid": "one"}), ECKey.generate_key("P-256", {"kid": "one"})
ATTEMPT = Attempt("the browser's secret")
ANSWER = {"state": ATTEMPT.derived("state"), "code": "a-code"}


def claims(**other: Any) -> dict[str, Any]:
    at = int(NOW.timestamp())
    said = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "lee-4711",
        "nonce": ATTEMPT.derived("nonce"),
        "iat": at,
        "exp": at + 60,
        **other,
    }
    return {name: value for name, value in said.items() if value is not None}


def provider_that_says(token: str, **other: Any) -> Callable[..., Any]:
    def ask(address: str, form: Mapping[str, str] | None, headers: Mapping[str, str]) -> Any:
        if form is not None:
            return {"id_token": token, "token_type": "Bearer"}
        if address.endswith("/jwks"):
            return {"keys": [KEY.as_dict(private=False)]}
        return {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            **other,
        }

    return ask


def signed_in(said: dict[str, Any], key: ECKey = KEY, answer: Mapping[str, str] = ANSWER, **other: Any) -> str:
    token = jwt.encode({"alg": "ES256", "kid": "one"}, said, key)
    there = OpenId(
        Settings(oidc_issuer=ISSUER, oidc_client=CLIENT, oidc_client_secret=SecretStr("s")),
        provider_that_says(token, **other),
    )
    return there.principal(ATTEMPT, answer, COMES_BACK_TO, NOW)


def test_the_subject_of_a_valid_id_token_is_the_principal() -> None:
    assert signed_in(claims()) == "lee-4711"
    assert signed_in(claims(aud=[CLIENT])) == "lee-4711"
    assert signed_in(claims(aud=[CLIENT, "other"], azp=CLIENT)) == "lee-4711"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"aud": [CLIENT, "other"]},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"nonce": None},
        {"nonce": Attempt("another").derived("nonce")},
        {"nonce": 7},
        {"exp": int((NOW - timedelta(seconds=31)).timestamp())},
        {"iat": int((NOW + timedelta(seconds=31)).timestamp())},
        {"sub": None},
        {"sub": "lee@provider.example"},
        {"sub": "customer/acct-1"},
        {"sub": "/makegood/cli/root"},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_for_this_sign_in_proves_nobody(wrong: dict[str, Any]) -> None:
    with pytest.raises(NotProven):
        signed_in(claims(**wrong))


def test_a_forged_id_token_proves_nobody() -> None:
    with pytest.raises(NotProven):
        signed_in(claims(), FOREIGN)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"code": "a-code"},
        {"code": "a-code", "state": ""},
        {"code": "a-code", "state": Attempt("").derived("state")},
        {"state": ATTEMPT.derived("state"), "error": "access_denied"},
        {**ANSWER, "iss": "https://other.example"},
    ],
    ids=str,
)
def test_an_answer_that_is_not_this_browsers_proves_nobody(answer: dict[str, str]) -> None:
    with pytest.raises(NotProven):
        signed_in(claims(), answer=answer)


def test_no_secret_in_the_cookie_is_no_secret() -> None:
    there = OpenId(Settings(oidc_issuer=ISSUER, oidc_client=CLIENT), provider_that_says(""))
    nobody = Attempt("")
    with pytest.raises(NotProven, match="under way"):
        there.principal(nobody, {"state": nobody.derived("state"), "code": "c"}, COMES_BACK_TO, NOW)


def test_a_provider_that_says_it_names_itself_must(issuer: str) -> None:
    names = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(NotProven, match="another provider"):
        signed_in(claims(), **names)
    assert signed_in(claims(), answer={**ANSWER, "iss": ISSUER}, **names) == "lee-4711"


@pytest.mark.parametrize(
    "other",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://id.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
    ],
    ids=str,
)
def test_a_provider_whose_document_is_not_its_own_is_not_used(other: dict[str, Any]) -> None:
    with pytest.raises(NoProvider):
        signed_in(claims(), **other)


def test_a_key_that_came_new_is_asked_for_and_a_failure_rests() -> None:
    keys = [FOREIGN.as_dict(private=False)]
    token = jwt.encode({"alg": "ES256", "kid": "one"}, claims(), KEY)
    says, asked = provider_that_says(token), []

    def ask(address: str, form: Mapping[str, str] | None, headers: Mapping[str, str]) -> Any:
        asked.append(address)
        if address.endswith("/jwks"):
            return {"keys": [keys[0]]}
        return says(address, form, headers)

    there = OpenId(Settings(oidc_issuer=ISSUER, oidc_client=CLIENT), ask)
    there.address(ATTEMPT, COMES_BACK_TO)
    keys[0] = KEY.as_dict(private=False)
    assert there.principal(ATTEMPT, ANSWER, COMES_BACK_TO, NOW) == "lee-4711"
    assert asked.count(f"{ISSUER}/jwks") == 2

    def fails(address: str, *_: Any) -> Any:
        asked.append(address)
        raise NoProvider("away")

    asked.clear()
    away = OpenId(Settings(oidc_issuer=ISSUER, oidc_client=CLIENT), fails, monotonic=lambda: 5.0)
    for _ in range(3):
        with pytest.raises(NoProvider):
            away.address(ATTEMPT, COMES_BACK_TO)
    assert len(asked) == 1


def test_settings_that_are_half_there_say_what_is_missing(open_pages: Callable[..., Pages]) -> None:
    half = {
        "OIDC_ISSUER: set the address": Settings(oidc_client="makegood"),
        "OIDC_CLIENT: set": Settings(oidc_client_secret=SecretStr("s")),
        "https": Settings(oidc_client="makegood", oidc_issuer="http://id.example"),
    }
    for said, settings in half.items():
        assert said in (half_configured(settings) or "")
        with pytest.raises(Stop, match=re.escape(said)):
            sign_in_pages(type("House", (), {"settings": settings, "database": None})())  # type: ignore[arg-type]
    assert half_configured(Settings()) is None
    assert may_be_asked("http://127.0.0.1:8080") is True
    assert json.dumps(half_configured(Settings(oidc_issuer=ISSUER, oidc_client="m"))) == "null"
