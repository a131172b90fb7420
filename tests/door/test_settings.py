"""Settings and options that are wrong: one sentence that names them and what is expected, and never a traceback."""

from pathlib import Path

import pytest

from ledger.audit import SignatureType, SigningKey
from makegood.cli import run
from makegood.house.settings import Settings
from makegood.house.stop import Stop
from tests.door.conftest import Door


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MAX_AGE", "five", "a whole number of seconds"),
        ("MAX_AGE", "300.0", "a whole number of seconds"),
        ("MAX_AGE", "-1", "a whole number of seconds"),
        ("STORE", "mysql://db/books", "sqlite:///FILE or postgresql://"),
        ("STORE", "postgresql://[db/books", "sqlite:///FILE or postgresql://"),
        ("VAULT", "vault.db", "sqlite:///FILE or postgresql://"),
        ("KAFKA", "localhost", "HOST:PORT"),
        ("KAFKA", "a:9092,b:port", "HOST:PORT"),
        ("HTTP", "8700", "HOST:PORT with a port from 0 to 65535"),
        ("HTTP", "127.0.0.1:87000", "HOST:PORT with a port from 0 to 65535"),
        ("PUBLIC_URL", "my.example.com", "https://my.example.com"),
        ("PROXIES", "10.0.0.1/8", "IP addresses or networks"),
        ("PROXIES", "proxy.example.com", "IP addresses or networks"),
        ("SECRET_HOSTS", "https://vault.example.com", "HOST or HOST:PORT"),
        ("STRIPE_URL", "api.stripe.com", "https://api.stripe.com"),
        ("TIME_ZONE", "Berlin", "the name of a time zone in the IANA database, such as Europe/Berlin"),
        ("AUDIT_EVENTS", "0", "a whole number of events of at least 1, such as 10000"),
        ("AUDIT_SECONDS", "soon", "a whole number of seconds"),
        ("LOG", "loud", "one of debug, info, warning, error, critical"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_setting(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"MAKEGOOD_{name}", value)
    assert run(["config"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"makegood: MAKEGOOD_{name} ")
    assert f"must be {expected}" in said or expected in said
    assert said.endswith(f"not {value!r}")


def test_a_signing_key_in_place_of_its_file_is_quoted_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = SigningKey("makegood/1/0", SignatureType.ED25519, bytes(32)).secret_text()
    (tmp_path / "audit.key").write_text(f"{key}\n")
    monkeypatch.setenv("MAKEGOOD_AUDIT_KEY_FILE", str(tmp_path / "audit.key"))
    assert run(["config"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("makegood: MAKEGOOD_AUDIT_KEY is a signing key")
    assert "AAAA" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORE", "sqlite:////var/lib/makegood.db"),
        ("STORE", "postgresql:///books?host=/run/postgresql"),
        ("KAFKA", "a:9092, [::1]:9093"),
        ("HTTP", "[::]:0"),
        ("HTTP", "localhost:8700"),
        ("PROXIES", "10.0.0.7, fd00::/8"),
        ("SECRET_HOSTS", "vault.example.com,10.0.0.7:8200"),
        ("TIME_ZONE", "Europe/Berlin"),
        ("TIME_ZONE", ""),
        ("LOG", "WARNING"),
        ("MAX_AGE", "0"),
        ("MAX_AGE", ""),
        ("STORE", ""),
    ],
)
def test_right_values_are_taken_and_an_empty_one_is_none(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MAKEGOOD_{name}", value)
    field = name.lower()
    default = Settings.model_fields[field].default
    assert str(getattr(Settings(), field)) == (value or str(default))


def test_a_wrong_value_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEGOOD_STORE", "mysql://books:secret@db/books")
    with pytest.raises(Stop) as error:
        Settings()
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("MAKEGOOD_MAXAGE", "MAKEGOOD_MAX_AGE"),
        ("MAKEGOOD_KAKFA", "MAKEGOOD_KAFKA"),
        ("MAKEGOOD_STORE_FLIE", "MAKEGOOD_STORE_FILE"),
        ("makegood_stor", "MAKEGOOD_STORE"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_known_one(
    name: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(Stop, match=rf"^{name} is not a setting; the nearest is {nearest}: "):
        Settings()


def test_names_that_kubernetes_sets_for_a_service_of_this_name_are_no_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAKEGOOD_SERVICE_HOST", "10.0.0.11")
    monkeypatch.setenv("MAKEGOOD_SERVICE_PORT_HTTP", "8700")
    monkeypatch.setenv("MAKEGOOD_PORT", "tcp://10.0.0.11:8700")
    monkeypatch.setenv("MAKEGOOD_PORT_8700_TCP_ADDR", "10.0.0.11")
    Settings()
    monkeypatch.setenv("MAKEGOOD_PORT", "8700")
    with pytest.raises(Stop, match=r"^MAKEGOOD_PORT is not a setting"):
        Settings()


def test_a_file_that_cannot_be_read_is_named_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEGOOD_STORE_FILE", "missing")
    with pytest.raises(Stop, match=r"^MAKEGOOD_STORE_FILE names missing, which cannot be read"):
        Settings()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("MAKEGOOD_STORE_FILE", "binary")
    with pytest.raises(Stop, match=r"^MAKEGOOD_STORE_FILE names binary, which is not text"):
        Settings()
    (tmp_path / "age").write_text("soon\n")
    monkeypatch.setenv("MAKEGOOD_STORE_FILE", "")
    monkeypatch.setenv("MAKEGOOD_MAX_AGE_FILE", "age")
    with pytest.raises(Stop, match=r"^MAKEGOOD_MAX_AGE .*'soon'"):
        Settings()


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "makegood 0.1.0\n"


class TestOptions:
    @pytest.mark.parametrize(
        ("command", "option", "known"),
        [
            ("claims", "--outcome", "granted, declined, withdrawn, pending"),
            ("claims", "--clause", "service_disruption, billing_error, unused_period, complaint"),
            ("refunds", "--status", "due, approved, submitted, succeeded, failed, rejected"),
            ("notices", "--status", "queued, sending, sent, failed, in_doubt, discarded"),
            ("instructions", "--kind", "cancellation.scheduled"),
        ],
    )
    def test_a_wrong_value_is_wrong_usage_and_the_known_ones_are_listed(
        self, command: str, option: str, known: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run([command, option, "grantd"]) == 64
        said = " ".join(capsys.readouterr().err.split())
        assert f"Invalid value for '{option}': 'grantd' is none of the " in said
        assert known in said

    def test_a_right_value_limits_the_list(self, twenty_accounts_in_july: Door) -> None:
        books = twenty_accounts_in_july
        every = books.json("refunds")
        for status in ("due", "failed", "succeeded"):
            assert books.json("refunds", "--status", status) == [row for row in every if row["status"] == status]
        assert {row["clause"] for row in books.json("claims", "--clause", "unused_period")} == {"unused_period"}

    @pytest.mark.parametrize(
        "command",
        [
            ("claims",),
            ("refunds",),
            ("credits",),
            ("disputes",),
            ("complaints",),
            ("outages",),
            ("goodwill",),
            ("instructions",),
            ("alarms",),
            ("waiting",),
            ("notices",),
            ("dead-letters", "list"),
            ("dead-letters", "replay", "--every"),
            ("aside", "list"),
            ("aside", "replay", "--every"),
        ],
    )
    def test_an_account_that_does_not_exist_is_an_error(self, sandbox: Door, command: tuple[str, ...]) -> None:
        assert sandbox(*command, "--account", "acct-nobody", exits=1) == ""
        assert "account acct-nobody not found" in sandbox.errors

    def test_an_account_of_which_only_a_refused_message_is_known_exists(self, twenty_accounts: Door) -> None:
        letters = twenty_accounts.json("dead-letters", "list")
        for account in {letter["account_id"] for letter in letters} - {None}:
            twenty_accounts("claims", "--account", account)

    def test_a_field_that_no_message_has_is_an_error_with_those_of_refused_messages(
        self, twenty_accounts: Door
    ) -> None:
        books = twenty_accounts
        refused = sorted({letter["field"] for letter in books.json("dead-letters", "list")} - {None})
        assert refused
        assert books("dead-letters", "list", "--field", "data.prise", exits=1) == ""
        assert f"field data.prise not found: the fields of refused messages are {', '.join(refused)}" in books.errors
        books("dead-letters", "replay", "--every", "--field", "data.prise", exits=1)
        assert books.json("dead-letters", "list", "--field", "data.refund_id") == []
        assert books.json("dead-letters", "list", "--field", "data.customer.email") == []
        for field in refused:
            assert books.json("dead-letters", "list", "--field", field)
