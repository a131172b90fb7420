"""`makegood doctor`: what it finds broken around Makegood, and what it says to do about it."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.store.connecting import connect
from ledger.store.instants import to_microseconds
from makegood.answers import doctor
from makegood.cli import run
from makegood.house.settings import Settings
from tests.consumers.conftest import authority, pem, postbox
from tests.consumers.postbox import Postbox
from tests.door.conftest import Door
from tests.parts.process import free_ports
from tests.parts.stripe import KEY, Stripe, in_front_of, stripe_mock

__all__ = ["authority", "pem", "postbox"]

CHECKS = ["settings", "store", "vault", "broker", "topics", "mail", "sign_in", "stripe", "signing", "disk", "clock"]


def rows(door: Door, *options: str, exits: int = 0) -> dict[str, tuple[str, str, str | None]]:
    """Each check's verdict, what was found, and what to do next."""
    found = door.json("doctor", *options, exits=exits)
    assert [check["check"] for check in found["checks"]] == CHECKS
    assert found["verdict"] == ("broken" if exits else "well")
    return {check["check"]: (check["verdict"], check["found"], check["next"]) for check in found["checks"]}


def test_a_store_that_works_is_well_and_what_is_not_configured_is_unchecked(twenty_accounts: Door) -> None:
    found = rows(twenty_accounts)
    on_a_server = twenty_accounts.store.startswith("postgresql")
    assert {check: verdict for check, (verdict, _, _) in found.items()} == {
        "settings": "well",
        "store": "well",
        "vault": "well",
        "broker": "unchecked",
        "topics": "unchecked",
        "mail": "unchecked",
        "sign_in": "unchecked",
        "stripe": "unchecked",
        "signing": "unchecked",
        "disk": "unchecked" if on_a_server else "well",
        "clock": "well",
    }
    assert all(what_next is None for _, _, what_next in found.values())
    said = twenty_accounts("doctor")
    assert [line.split()[0] for line in said.splitlines()] == CHECKS


def test_no_store_is_broken_and_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "no makegood store at sqlite:///makegood.db" in said
    assert "next: create one with `makegood init`" in said
    assert list(tmp_path.iterdir()) == []


def test_a_vault_that_is_missing_or_empty_is_broken(sandbox: Door) -> None:
    if sandbox.store.startswith("sqlite"):
        file = Path(Settings(store=sandbox.store).vault.removeprefix("sqlite:///"))
        file.rename(file.with_suffix(".away"))
        verdict, _, what_next = rows(sandbox, exits=1)["vault"]
        assert verdict == "broken"
        assert str(what_next).startswith("restore the newest backup of the key database, or correct MAKEGOOD_VAULT")
        assert not file.exists()
    with closing(connect(Settings(store=sandbox.store).vault)) as keys, keys.writing() as transaction:
        transaction.run("DROP TABLE IF EXISTS vault_keys", ())
    assert rows(sandbox, exits=1)["vault"][0] == "broken"


def test_a_wrong_setting_is_a_row_and_nothing_else_can_be_checked(
    sandbox: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEGOOD_MAX_AGE", "soon")
    found = rows(sandbox, exits=1)
    assert found["settings"][:2] == (
        "broken",
        "MAKEGOOD_MAX_AGE (--max-age) must be a whole number of seconds, such as 300, not 'soon'",
    )
    assert {found[check][0] for check in CHECKS[1:]} == {"unchecked"}


def test_a_broker_that_does_not_answer_is_broken(sandbox: Door) -> None:
    (port,) = free_ports(1)
    found = rows(sandbox, "--kafka", f"127.0.0.1:{port}", exits=1)
    assert found["broker"][0] == "broken"
    assert "MAKEGOOD_KAFKA" in str(found["broker"][2])
    assert found["topics"][0] == "unchecked"


def test_security_that_makes_no_sense_is_broken(sandbox: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("MAKEGOOD_KAFKA_SECURITY", "SSLED")
    verdict, found, what_next = rows(sandbox, "--kafka", f"127.0.0.1:{port}", exits=1)["broker"]
    assert (verdict, "MAKEGOOD_KAFKA_SECURITY" in found) == ("broken", True)
    assert what_next is not None


def test_a_sign_in_that_is_half_configured_or_does_not_answer_is_broken(
    sandbox: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("MAKEGOOD_OIDC_CLIENT", "makegood")
    verdict, found, what_next = rows(sandbox, exits=1)["sign_in"]
    assert verdict == "broken"
    assert "MAKEGOOD_OIDC_ISSUER" in found
    assert "README.md" in str(what_next)
    monkeypatch.setenv("MAKEGOOD_OIDC_ISSUER", f"http://127.0.0.1:{port}")
    verdict, found, what_next = rows(sandbox, exits=1)["sign_in"]
    assert verdict == "broken"
    assert "cannot be used" in found
    assert "MAKEGOOD_OIDC_ISSUER" in str(what_next)


def test_a_mail_server_is_connected_to_and_gets_nothing(
    sandbox: Door, postbox: Postbox, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEGOOD_SMTP", postbox.url())
    monkeypatch.setenv("MAKEGOOD_MAIL_FROM", "Example Telephony <service@example.com>")
    verdict, found, what_next = rows(sandbox, exits=1)["mail"]
    assert (verdict, what_next is not None) == ("broken", True)
    assert "certificate_not_trusted" in found

    monkeypatch.setenv("MAKEGOOD_SMTP_CA", str(pem))
    assert rows(sandbox)["mail"][0] == "well"
    assert postbox.received == []

    monkeypatch.setenv("MAKEGOOD_MAIL_FROM", "")
    assert "MAKEGOOD_MAIL_FROM" in rows(sandbox, exits=1)["mail"][1]


class TestStripe:
    @pytest.fixture
    def stripe(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stripe]:
        with stripe_mock() as port, in_front_of(port) as stripe:
            monkeypatch.setenv("MAKEGOOD_STRIPE_URL", stripe.address)
            yield stripe

    def test_a_key_that_stripe_takes_is_well_and_webhooks_are_asked_for(
        self, sandbox: Door, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAKEGOOD_STRIPE_KEY", KEY)
        verdict, found, what_next = rows(sandbox, exits=1)["stripe"]
        assert (verdict, "no webhooks are awaited" in found) == ("broken", True)
        assert "MAKEGOOD_STRIPE_WEBHOOK_SECRET" in str(what_next)
        monkeypatch.setenv("MAKEGOOD_STRIPE_WEBHOOK_SECRET", "whsec_1,whsec_2")
        assert rows(sandbox)["stripe"] == ("well", "Stripe takes the key, which is for its test mode", None)
        assert {request.method for request in stripe.requests} == {"GET"}

    def test_a_key_that_stripe_refuses_is_broken_and_is_not_shown(
        self, sandbox: Door, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAKEGOOD_STRIPE_KEY", "sk_test_Another")
        verdict, found, what_next = rows(sandbox, exits=1)["stripe"]
        assert (verdict, found) == ("broken", "Stripe cannot be asked: stripe_key_refused")
        assert "MAKEGOOD_STRIPE_KEY" in str(what_next)
        assert "sk_test_Another" not in sandbox("doctor", exits=1)

    def test_a_stripe_that_is_not_there_is_broken(self, sandbox: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        (port,) = free_ports(1)
        monkeypatch.setenv("MAKEGOOD_STRIPE_KEY", KEY)
        monkeypatch.setenv("MAKEGOOD_STRIPE_URL", f"http://127.0.0.1:{port}")
        assert rows(sandbox, exits=1)["stripe"] == (
            "broken",
            "Stripe cannot be asked: stripe_unreachable",
            "check the network and MAKEGOOD_STRIPE_URL",
        )

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("STRIPE_KEY", "pk_live_s3cret", "begins with sk_ or rk_"),
            ("STRIPE_KEY", "sk_live s3cret", "begins with sk_ or rk_"),
            ("STRIPE_WEBHOOK_SECRET", "s3cret", "begins with whsec_"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_s3cret,", "begins with whsec_"),
        ],
    )
    def test_a_setting_of_another_form_is_named_and_never_shown(
        self, sandbox: Door, name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"MAKEGOOD_{name}", value)
        verdict, found, _ = rows(sandbox, exits=1)["stripe"]
        assert (verdict, expected in found, f"MAKEGOOD_{name}" in found) == ("broken", True, True)
        assert "s3cret" not in sandbox("doctor", exits=1) + sandbox.errors + sandbox("config", "--json")


def test_a_full_disk_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    monkeypatch.setattr(doctor, "FREE_BYTES_MIN", free * 2)
    assert run(["init"]) == 0
    assert run(["doctor"]) == 1
    assert "disk     broken    only " in capsys.readouterr().out


def test_a_clock_before_the_last_recorded_event_is_broken_but_a_sandboxs_may_be_anywhere(sandbox: Door) -> None:
    future = to_microseconds(datetime.now(UTC) + timedelta(hours=1))
    with closing(connect(sandbox.store)) as database, database.writing() as transaction:
        assert transaction.run("UPDATE heads SET recorded_at = ?", (future,))
    assert rows(sandbox)["clock"][0] == "well"
    with closing(connect(sandbox.store)) as database, database.writing() as transaction:
        transaction.run("UPDATE store SET value = 'no' WHERE name = 'sandbox'", ())
    verdict, found, what_next = rows(sandbox, exits=1)["clock"]
    assert (verdict, what_next) == ("broken", "set this machine's clock by NTP")
    assert "before the last recorded event" in found
