"""Personal data over HTTP: exported and erased by whoever has the role for it, and by nobody else; once for a key."""

from __future__ import annotations

from tests.api.conftest import Api
from tests.door.conftest import Door
from tests.door.test_commands import ACCOUNT, SUBSCRIPTION

EMAIL = ACCOUNT["data"]["customer"]["email"]


def test_a_customer_is_erased_once_and_a_running_process_shows_nothing_of_them(
    api: Api, sandbox: Door, lines
) -> None:
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION))
    key = api.key("privacy")
    address = "/accounts/acct-1"
    assert EMAIL in api.ask(key, f"{address}/personal-data").text
    would = api.ask(key, f"{address}/erase?preview=true", "POST", json={"basis": "a letter"}).json()
    assert (would["outcome"], would["entries"]) == ("would be erased", 1)
    asked = {"method": "POST", "json": {"basis": "a letter"}, "headers": {"Idempotency-Key": "erase-1"}}
    done = api.ask(key, f"{address}/erase", **asked)
    assert (done.status_code, done.json()["outcome"], done.json()["entries"]) == (200, "erased", 1)
    assert api.ask(key, f"{address}/erase", **asked).json() == done.json(), "sent again, it has the same answer"
    other = asked | {"json": {"basis": "another letter"}}
    assert api.ask(key, f"{address}/erase", **other).status_code == 422, "the key was used"
    again = api.ask(key, f"{address}/erase", **(other | {"headers": {"Idempotency-Key": "erase-2"}}))
    assert again.json() == done.json() | {"outcome": "erased before"}
    held = api.ask(key, f"{address}/personal-data")
    assert (held.json()["erased_at"], EMAIL in held.text) == (done.json()["erased_at"], False)
    unknown = api.ask(key, "/accounts/acct-9/erase", "POST", json={"basis": "x"}, headers={"Idempotency-Key": "e-3"})
    assert unknown.status_code == 404
    assert api.ask(key, f"{address}/erase", "POST", json={"basis": "x"}).status_code == 400, "without a key"
    assert api.ask(api.key("support"), f"{address}/personal-data").status_code == 403
