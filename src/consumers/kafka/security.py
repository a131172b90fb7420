"""How clients show who they are to Kafka, and know that it is the one they mean: TLS and SASL."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from consumers.part import Explained

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class WrongSecurity(Explained):
    """The settings for TLS and SASL do not go together; the message names the setting."""


@dataclass(frozen=True, slots=True)
class Security:
    """By Kafka's own names for them; files are of PEM. Whatever is empty is not said to the client."""

    protocol: str = "PLAINTEXT"
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: str = field(default="", repr=False)
    mechanism: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    token_url: str = ""
    """Where a token is fetched, by the client-credentials grant of OAuth 2, with `user` and `password`."""
    token_ca: str = ""
    scope: str = ""

    def settings(self) -> dict[str, str]:
        """As the client wants it. Raises WrongSecurity."""
        protocol, mechanism = self.protocol.upper() or "PLAINTEXT", self.mechanism.upper()
        self._check(protocol, mechanism)
        told = {"security.protocol": protocol}
        if protocol.endswith("SSL"):
            told["ssl.ca.location"] = self.ca
            told["ssl.certificate.location"] = self.certificate
            told["ssl.key.location"] = self.key
            told["ssl.key.password"] = self.key_password
        if protocol.startswith("SASL"):
            told["sasl.mechanism"] = mechanism
            if mechanism == "OAUTHBEARER":
                told["sasl.oauthbearer.method"] = "oidc"
                told["sasl.oauthbearer.token.endpoint.url"] = self.token_url
                told["sasl.oauthbearer.client.id"] = self.user
                told["sasl.oauthbearer.client.secret"] = self.password
                told["sasl.oauthbearer.scope"] = self.scope
                told["https.ca.location"] = self.token_ca
            else:
                told["sasl.username"] = self.user
                told["sasl.password"] = self.password
        return {name: value for name, value in told.items() if value}

    def _check(self, protocol: str, mechanism: str) -> None:
        if protocol not in get_args(Protocol):
            raise WrongSecurity(f"MAKEGOOD_KAFKA_SECURITY must be one of {', '.join(get_args(Protocol))}")
        if not protocol.endswith("SSL") and (self.ca or self.certificate or self.key):
            raise WrongSecurity("certificates are for TLS: set MAKEGOOD_KAFKA_SECURITY to SSL or SASL_SSL")
        if bool(self.certificate) != bool(self.key):
            raise WrongSecurity("MAKEGOOD_KAFKA_CERTIFICATE and MAKEGOOD_KAFKA_KEY belong together: set both or none")
        for name, file in (("CA", self.ca), ("CERTIFICATE", self.certificate), ("KEY", self.key)):
            if file and not os.access(file, os.R_OK):
                raise WrongSecurity(f"the file that MAKEGOOD_KAFKA_{name} names cannot be read")
        if not protocol.startswith("SASL"):
            if mechanism or self.user or self.password:
                raise WrongSecurity("a user is for SASL: set MAKEGOOD_KAFKA_SECURITY to SASL_SSL")
            return
        if mechanism not in get_args(Mechanism):
            raise WrongSecurity(f"MAKEGOOD_KAFKA_SASL must be one of {', '.join(get_args(Mechanism))}")
        if not (self.user and self.password):
            raise WrongSecurity("SASL needs MAKEGOOD_KAFKA_USER and MAKEGOOD_KAFKA_PASSWORD, or its _FILE")
        if mechanism == "OAUTHBEARER" and urlsplit(self.token_url).scheme not in ("https", "http"):
            raise WrongSecurity("OAUTHBEARER needs MAKEGOOD_KAFKA_TOKEN_URL, where tokens are fetched")


PLAINTEXT = Security()
"""For a broker on this machine, or on a network that nobody else is on."""
