"""Settings come from the environment, or from files that it names (`MAKEGOOD_STORE_FILE`, for secrets)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ledger.store.database import beside


class Settings(BaseSettings):
    """The settings. In the environment each name has the prefix `MAKEGOOD_`."""

    model_config = SettingsConfigDict(env_prefix="MAKEGOOD_", frozen=True)

    store: str = "sqlite:///makegood.db"
    vault: str = ""
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
    public_url: str = ""
    proxies: str = ""
    request_rate: int = 50
    request_burst: int = 100
    oidc_issuer: str = ""
    oidc_audience: str = "makegood"
    oidc_keys: str = ""
    smtp: str = ""
    smtp_ca: str = ""
    mail_from: str = ""
    secret_hosts: str = ""
    log: str = "info"
    max_age: int = 300

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, values: dict[str, object]) -> dict[str, object]:
        """Read settings from files that `MAKEGOOD_<NAME>_FILE` names, which keeps secrets out of process lists."""
        for name in cls.model_fields:
            path = os.environ.get(f"MAKEGOOD_{name.upper()}_FILE")
            if path and name not in values:
                values[name] = Path(path).read_text().strip()
        return values

    @model_validator(mode="after")
    def _place_vault(self) -> Self:
        """Place the vault's keys beside the store where no other place is set."""
        if not self.vault:
            object.__setattr__(self, "vault", beside(self.store, "vault"))
        return self
