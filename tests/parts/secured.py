"""A Kafka that asks who comes, over TLS: its certificates, its users, and who issues tokens."""

import datetime
import ipaddress
import json
import shutil
import ssl
import threading
import time
from base64 import b64decode
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jwk, jwt

from consumers.kafka.security import Security
from tests.parts.kafka import (
    LOCAL_ONLY,
    QUICK_START,
    SINGLE_NODE,
    Kafka,
    broker_command,
    find_distribution,
    find_java,
    format_storage,
    write_settings,
)
from tests.parts.process import Server, answers, free_ports, new_folder

USER, PASSWORD = "makegood", "a pass word; with signs"
CLIENT, SECRET = "makegood", "s3cret"


class Authority:
    """Signs certificates; what it makes lies in a folder, as PEM."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.ca = folder / f"{name}.pem"
        signed = self._signed(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0), ())
        self.ca.write_bytes(signed)

    def issue(self, name: str, *usages: x509.ObjectIdentifier) -> tuple[Path, Path]:
        """A certificate and its key, as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        plain = x509.BasicConstraints(ca=False, path_length=None)
        certificate.write_bytes(self._signed(subject, key.public_key(), plain, usages))
        form, no_password = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, no_password))
        return certificate, key_file

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        constraints: x509.BasicConstraints,
        usages: Sequence[x509.ObjectIdentifier],
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(constraints, critical=True)
            .add_extension(x509.SubjectAlternativeName(here), critical=False)
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Issuer:
    """Issues tokens to whoever shows the client's secret, over HTTPS; its keys lie in a file."""

    def __init__(self, authority: Authority) -> None:
        key = jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.keys = authority.folder / "jwks.json"
        self.keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
        self.asked = 0
        issuer = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                issuer.asked += 1
                scheme, _, shown = self.headers.get("Authorization", "").partition(" ")
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                known = scheme == "Basic" and b64decode(shown).decode() == f"{CLIENT}:{SECRET}"
                now = int(time.time())
                claims = {"sub": CLIENT, "iat": now, "exp": now + 300, "aud": "kafka", "iss": "tests"}
                token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
                answer = {"access_token": token, "token_type": "Bearer", "expires_in": 300}
                if not known or form.get("grant_type") != ["client_credentials"]:
                    answer = {"error": "invalid_client"}
                body = json.dumps(answer).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("issuer", ExtendedKeyUsageOID.SERVER_AUTH))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class SecuredKafka(Kafka):
    """One as a Java process here, with a listener for SASL over TLS and one for client certificates."""

    mutual: str
    """host:port of the listener that asks for a client's certificate."""

    def __init__(self) -> None:
        self.folder = new_folder("makegood-secured-")
        self.authority = Authority(self.folder, "authority")
        self.stranger = Authority(self.folder, "stranger")
        self.issuer = Issuer(self.authority)
        java = find_java()
        distribution = find_distribution(java)
        self.origin = f"Apache Kafka {distribution.version}, local process, with TLS and SASL"
        sasl, mutual, controller = free_ports(3)
        self.bootstrap, self.mutual = f"127.0.0.1:{sasl}", f"127.0.0.1:{mutual}"
        certificate, key = self.authority.issue(
            "broker", ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
        )
        (self.folder / "broker.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        bearer = "org.apache.kafka.common.security.oauthbearer"
        settings = {
            **SINGLE_NODE,
            **LOCAL_ONLY,
            "log.dirs": str(self.folder / "data"),
            "listeners": f"SASL://{self.bootstrap},MUTUAL://{self.mutual},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"SASL://{self.bootstrap},MUTUAL://{self.mutual}",
            "listener.security.protocol.map": "SASL:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "MUTUAL",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.ca),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.sasl.oauthbearer.sasl.jaas.config": f"{bearer}.OAuthBearerLoginModule required;",
            "listener.name.sasl.oauthbearer.sasl.server.callback.handler.class": (
                f"{bearer}.OAuthBearerValidatorCallbackHandler"
            ),
            "listener.name.sasl.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": self.issuer.keys.as_uri(),
            "listener.name.sasl.oauthbearer.sasl.oauthbearer.expected.audience": "kafka",
            "listener.name.sasl.oauthbearer.sasl.oauthbearer.expected.issuer": "tests",
        }
        write_settings(self.folder / "server.properties", settings)
        users = [f"{mechanism}=[name={USER},password={PASSWORD}]" for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
        try:
            format_storage(distribution.class_path, java, self.folder, self.folder / "server.properties", users)
            allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.issuer.keys.as_uri()}"
            command = broker_command(distribution, java, self.folder, [*QUICK_START, allowed])
            self._server = Server("kafka", command, self.folder)
            self._server.start(lambda: answers("127.0.0.1", sasl), 60)
        except BaseException:
            self.close()
            raise

    @property
    def ca(self) -> str:
        """Who signed the broker's certificate."""
        return str(self.authority.ca)

    def scram(self, mechanism: str, password: str = PASSWORD) -> Security:
        return Security("SASL_SSL", ca=self.ca, mechanism=mechanism, user=USER, password=password)

    def bearer(self, secret: str = SECRET) -> Security:
        return Security(
            "SASL_SSL",
            ca=self.ca,
            mechanism="OAUTHBEARER",
            user=CLIENT,
            password=secret,
            token_url=self.issuer.url,
            token_ca=self.ca,
        )

    def certified(self) -> Security:
        certificate, key = self.authority.issue("client", ExtendedKeyUsageOID.CLIENT_AUTH)
        return Security("SSL", ca=self.ca, certificate=str(certificate), key=str(key))

    def close(self) -> None:
        if hasattr(self, "_server"):
            self._server.kill()
        self.issuer.close()
        shutil.rmtree(self.folder, ignore_errors=True)
