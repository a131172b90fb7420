"""A real mail server over TLS, as customers have one, and an authority that signs certificates for it."""

from __future__ import annotations

import email
import email.policy
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "makegood@ruf.example", "p@ss:word/1"


@dataclass(frozen=True)
class Authority:
    """Signs certificates; `file` holds its own, which has to be trusted."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, folder: Path) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for tests")])
        built = _certificate(name, name, key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
        authority = cls(folder, key, built.sign(key, hashes.SHA256()))
        authority.file.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    @property
    def file(self) -> Path:
        return self.folder / "authority.pem"

    def context_for(self, *names: str) -> ssl.SSLContext:
        """What a server needs to show that it has these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        built = _certificate(
            subject,
            self.certificate.subject,
            key.public_key(),
            x509.BasicConstraints(ca=False, path_length=None),
        ).add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        path = self.folder / f"{names[0]}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: Any, constraints: x509.BasicConstraints
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(constraints, critical=True)
    )


@dataclass
class Received:
    """One e-mail that a mail server took over."""

    to: list[str]
    sender: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        found = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def text(self) -> str:
        """What it says, with its lines joined."""
        body = self.message.get_body(("plain",))
        assert body is not None
        return " ".join(str(body.get_content()).split())

    @property
    def html(self) -> str:
        body = self.message.get_body(("html",))
        assert body is not None
        return str(body.get_content())


@dataclass
class Postbox:
    """Takes over what it is sent, unless it was told to answer otherwise."""

    received: list[Received] = field(default_factory=list)
    senders: deque[str] = field(default_factory=deque)
    """What is answered next to a sender."""
    recipients: deque[str] = field(default_factory=deque)
    """What is answered next to a recipient."""
    contents: deque[str] = field(default_factory=deque)
    """What is answered next to a message; `lost` takes it over and breaks the connection."""
    sessions: list[Any] = field(default_factory=list)
    on_content: Callable[[], None] = lambda: None
    port: int = 0

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        answer = self.senders.popleft() if self.senders else "250 fine"
        if answer.startswith("250"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.sessions.append(session)
        if self.recipients:
            answer = self.recipients.popleft()
            if answer != "250":
                return answer
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.contents.popleft() if self.contents else "250 taken"
        if answer.startswith("250") or answer == "lost":
            content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
            self.received.append(Received(list(envelope.rcpt_tos), str(envelope.mail_from), content))
            self.on_content()
        if answer == "lost":
            server.transport.abort()
            return "421 gone"
        return answer

    def url(self, scheme: str = "smtp", user: str = "", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{user}{host}:{self.port}"


@contextmanager
def serving(
    context: ssl.SSLContext | None, *, from_start: bool = False, login: bool = False, port: int = 0
) -> Iterator[Postbox]:
    """A mail server on this machine, with STARTTLS required, TLS from the start, or no TLS at all."""
    box = Postbox()
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": port or _free_port()}
    if from_start:
        options["ssl_context"] = context
    elif context is not None:
        options |= {"tls_context": context, "require_starttls": True}
    if login:
        options |= {"authenticator": _known, "auth_required": True}
    controller = Controller(box, **options)
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()


def _known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=known)


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
