"""Settings come from the environment, or from files that it names (`MAKEGOOD_STORE_FILE`, for secrets)."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ledger.store.database import beside, redacted
from ledger.values import is_time_zone
from makegood.house.stop import Stop

PREFIX = "MAKEGOOD_"

_OF_OTHERS = re.compile(
    # those of the tests and of the compose file
    r"MAKEGOOD_(TEST_.*|FAULTS_.*|FAILPOINT|POSTGRES_PORT|POSTGRES_PASSWORD|KAFKA_PORT"
    # those that Kubernetes sets in every container for a service of this name
    r"|(.+_)?SERVICE_HOST|(.+_)?SERVICE_PORT(_.+)?|(.+_)?PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://")


class Settings(BaseSettings):
    """The settings. In the environment each name has the prefix `MAKEGOOD_`; an empty value is none.

    Raises Stop for a wrong value, for a file that cannot be read, and for a name in the environment that is no
    setting.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    store: str = "sqlite:///makegood.db"
    vault: str = ""
    shard_map: str = ""
    shard: str = ""
    time_zone: str = "UTC"
    kafka: str = ""
    kafka_member: str = ""
    kafka_group: str = ""
    kafka_security: str = "PLAINTEXT"
    kafka_ca: str = ""
    kafka_certificate: str = ""
    kafka_key: str = ""
    kafka_key_password: SecretStr = SecretStr("")
    kafka_sasl: str = ""
    kafka_user: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_token_url: str = ""
    kafka_token_ca: str = ""
    kafka_token_scope: str = ""
    http: str = "127.0.0.1:8700"
    probes: str = ""
    public_url: str = ""
    proxies: str = ""
    request_rate: int = 50
    request_burst: int = 100
    oidc_issuer: str = ""
    oidc_audience: str = "makegood"
    oidc_keys: str = ""
    oidc_client: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    smtp: str = ""
    smtp_ca: str = ""
    mail_from: str = ""
    secret_hosts: str = ""
    stripe_key: SecretStr = SecretStr("")
    stripe_webhook_secret: SecretStr = SecretStr("")
    stripe_url: str = ""
    audit_key: str = ""
    audit_policy: str = ""
    audit_folder: str = ""
    audit_events: int = 10_000
    audit_seconds: int = 300
    log: str = "info"
    max_age: int = 300

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: dict[str, object]) -> dict[str, object]:
        """Read settings from files that `MAKEGOOD_<NAME>_FILE` names, which keeps secrets out of process lists."""
        refuse_unknown_names(os.environ, cls.model_fields)
        for name in cls.model_fields:
            path = os.environ.get(f"{PREFIX}{name.upper()}_FILE")
            if path and name not in values:
                values[name] = _content(f"{PREFIX}{name.upper()}_FILE", path)
        for name, value in values.items():
            if isinstance(value, str):
                _check(name, value)
        return values

    @model_validator(mode="after")
    def _place_keys(self) -> Self:
        """Place the vault's keys and those that sign beside the store where no other place is set."""
        if not self.vault:
            object.__setattr__(self, "vault", beside(self.store, "vault"))
        if not self.audit_key:
            object.__setattr__(self, "audit_key", _audit_key_beside(self.store))
        return self


# --- what is wrong with them ----------------------------------------------------------------------------------------


def refuse_unknown_names(environment: Mapping[str, str], settings: Collection[str]) -> None:
    """Raise Stop for the first name in an environment that begins like a setting and is none."""
    known = [f"{PREFIX}{name.upper()}{file}" for name in settings for file in ("", "_FILE")]
    for name, value in sorted(environment.items()):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in known or _OF_OTHERS.fullmatch(upper):
            continue
        if upper.endswith("_PORT") and _KUBERNETES_PORT.match(value):
            continue
        nearest = max(known, key=lambda each: difflib.SequenceMatcher(None, upper, each).ratio())
        raise Stop(f"{name} is not a setting; the nearest is {nearest}: correct the name, or remove it")


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Stop(f"{name} names {path}, which cannot be read ({error.strerror}): correct the path") from None
    except ValueError:
        raise Stop(f"{name} names {path}, which is not text in UTF-8: write the value into it as text") from None


def _check(name: str, value: str) -> None:
    if name == "audit_key" and "PRIVATE+KEY+" in value:
        raise Stop(
            f"{PREFIX}AUDIT_KEY is a signing key, and must be the path of the file that has it: name that file, and "
            f"do not set {PREFIX}AUDIT_KEY_FILE"
        )
    form = _FORMS.get(name)
    if form is None or (not value and Settings.model_fields[name].default == "") or form.fits(value):
        return
    option = f" (--{name.replace('_', '-')})" if name in ("store", "kafka", "http", "max_age") else ""
    raise Stop(f"{PREFIX}{name.upper()}{option} must be {form.expected}, not {redacted(value)!r}")


def _audit_key_beside(store: str) -> str:
    """The file of the signing key: `makegood.db` → `makegood-audit.key`; of a database `books` it is
    `books-audit.key` in the folder where the program runs.
    """
    if store.startswith("sqlite:///"):
        return str(Path(store.removeprefix("sqlite:///")).with_suffix("")) + "-audit.key"
    return f"{urlsplit(store).path.rpartition('/')[2] or 'makegood'}-audit.key"


class _Form(NamedTuple):
    """What a setting must look like, in words and as a test."""

    expected: str
    fits: Callable[[str], bool]


def _is_database(text: str) -> bool:
    if text.startswith("sqlite:///"):
        return text != "sqlite:///"
    return _is_url(text, "postgresql", "postgres")


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and port != 0


def _is_address(text: str, first_port: int = 1) -> bool:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:/@,\[\]]+):([0-9]{1,5})", text, re.ASCII)
    return found is not None and first_port <= int(found[2]) <= 65_535


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _all(fits: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: all(fits(each.strip()) for each in text.split(","))


def _is_web_address(text: str) -> bool:
    return _is_url(text, "http", "https") and bool(urlsplit(text).hostname) and not re.search(r"[?#\s]", text)


_DATABASE = _Form("sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME", _is_database)
_LISTENING = _Form("HOST:PORT with a port from 0 to 65535", lambda text: _is_address(text, 0))
_LEVELS = ("debug", "info", "warning", "error", "critical")

_FORMS: Mapping[str, _Form] = {
    "store": _DATABASE,
    "vault": _DATABASE,
    "shard": _Form("the number of a shard, from 0", lambda text: re.fullmatch("[0-9]{1,2}", text) is not None),
    "kafka": _Form("HOST:PORT, or several with commas between them", _all(_is_address)),
    "http": _LISTENING,
    "probes": _LISTENING,
    "public_url": _Form("the address of a website, such as https://my.example.com", _is_web_address),
    "proxies": _Form(
        "IP addresses or networks with commas between them, such as 10.0.0.7,192.168.0.0/16", _all(_is_network)
    ),
    "secret_hosts": _Form(
        "HOST or HOST:PORT, or several with commas between them",
        _all(lambda text: _is_address(text if re.search(r":[0-9]+$", text) else f"{text}:443")),
    ),
    "stripe_url": _Form("the address of a website, such as https://api.stripe.com", _is_web_address),
    "log": _Form(f"one of {', '.join(_LEVELS)}", lambda text: text.lower() in _LEVELS),
    "time_zone": _Form("the name of a time zone in the IANA database, such as Europe/Berlin", is_time_zone),
    "audit_events": _Form(
        "a whole number of events of at least 1, such as 10000",
        lambda text: re.fullmatch("[1-9][0-9]{0,8}", text) is not None,
    ),
    "audit_seconds": _Form(
        "a whole number of seconds, such as 300", lambda text: re.fullmatch("[0-9]{1,9}", text) is not None
    ),
    "max_age": _Form(
        "a whole number of seconds, such as 300", lambda text: re.fullmatch("[0-9]{1,9}", text) is not None
    ),
}
