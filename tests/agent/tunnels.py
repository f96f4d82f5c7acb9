"""An outbound HTTP proxy of the tests: takes CONNECT, and is itself what is at the other end."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.agent.peers import Ended, Received, Wire, an_answer


def write_certificate(path: Path, name: str) -> None:
    """A certificate for a host, signed by itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(pem) + secret)


@dataclass
class Tunnel:
    """Its `serve` answers CONNECT, then serves `inner` over TLS."""

    certificate: Path
    inner: Callable[[Wire], None]
    authorization: str = ""
    """What has to stand in `Proxy-Authorization`; empty for anything."""
    asked: list[Received] = field(default_factory=list)

    def serve(self, wire: Wire) -> None:
        call = wire.read_head()
        self.asked.append(call)
        if self.authorization and call.get_all("Proxy-Authorization") != [self.authorization]:
            wire.send(an_answer(status=407))
            raise Ended
        wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        wire.socket = context.wrap_socket(wire.socket, server_side=True)
        self.inner(wire)
