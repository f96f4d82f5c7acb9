"""Calls over TLS: certificates are verified, and both directions may be busy at once."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.transport.client import Body, HttpClient, Reply
from agent.transport.connections import ConnectionPool
from agent.transport.errors import Unreachable
from agent.transport.tls import Tls
from tests.agent.peers import Wire, an_answer, answering, peer
from tests.timing import SECOND
from wire.headers import Headers
from wire.http1 import End, RequestHead


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(made.public_bytes(pem) + secret)
    return path


@pytest.fixture
def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def call(url: str, ca_bundle: Path | None, body: bytes | Body = b"") -> Reply:
    pool = ConnectionPool(
        url, size=1, connect_timeout=5 * SECOND, tls=Tls(ca_file=str(ca_bundle) if ca_bundle is not None else None)
    )
    length = None if isinstance(body, bytes) else "chunked"
    head = RequestHead("POST", "/", Headers([("Host", "x")]), length)
    return HttpClient(pool).call(head, body, limit=10 * SECOND)


def test_a_trusted_certificate_is_accepted(server_side: ssl.SSLContext, certificate: Path) -> None:
    with peer(answering(an_answer(b"hello")), server_side) as server:
        assert call(server.url, certificate).read(100) == b"hello"


def test_an_unknown_certificate_is_refused(server_side: ssl.SSLContext) -> None:
    with peer(answering(an_answer()), server_side) as server, pytest.raises(Unreachable, match="certificate"):
        call(server.url, None)


def test_both_directions_may_be_busy_at_once(server_side: ssl.SSLContext, certificate: Path) -> None:
    piece = b"x" * 65536

    def echo(wire: Wire) -> None:
        message = wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in wire.read_pieces(message):
            wire.send(b"%x\r\n%b\r\n" % (len(part), part))
        wire.send(b"0\r\n\r\n")

    body = Body(iter([*[piece] * 200, End()]), abandon=lambda: None)
    with peer(echo, server_side) as server:
        assert len(call(server.url, certificate, body).read(1 << 24)) == 200 * 65536
