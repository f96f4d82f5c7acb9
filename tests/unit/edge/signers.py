"""Somebody who signs tokens, for tests: own keys, certificates served by a real server on loopback."""

import datetime
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

AUDIENCE = "https://proxy.example.com"


class Signer:
    """One key, and tokens by it."""

    def __init__(self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, key_id: str) -> None:
        self._key = key
        self.key_id = key_id
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        kind = crypt.RSASigner if isinstance(key, rsa.RSAPrivateKey) else crypt.ES256Signer
        self._signer = kind.from_string(pem, key_id)

    @classmethod
    def rs256(cls, key_id: str = "rsa-1") -> "Signer":
        return cls(rsa.generate_private_key(65537, 2048), key_id)

    @classmethod
    def es256(cls, key_id: str = "ec-1") -> "Signer":
        return cls(ec.generate_private_key(ec.SECP256R1()), key_id)

    def named(self, key_id: str) -> "Signer":
        """The same key under another name."""
        return Signer(self._key, key_id)

    def token(self, **claims: Any) -> str:
        """A token that is good now, but for what a test says otherwise; a claim of None is left out."""
        now = int(time.time())
        payload = {"aud": AUDIENCE, "iat": now - 1, "exp": now + 60} | claims
        payload = {name: value for name, value in payload.items() if value is not None}
        encoded: bytes = jwt.encode(self._signer, payload)  # type: ignore[no-untyped-call]
        return encoded.decode()

    @property
    def public_key(self) -> str:
        """PEM, as IAP publishes it."""
        public = self._key.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def certificate(self) -> str:
        """PEM of a certificate that it signed itself, as Google publishes it."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        built = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class CertificateServer:
    """Serves whatever `body` holds, with `status`, and counts."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/certs"
        self.body = b"{}"
        self.status = 200
        self.location = ""
        self.asked = 0

    def publish(self, **keys: str) -> None:
        self.body = json.dumps(keys).encode()


@contextmanager
def serving() -> Iterator[CertificateServer]:
    """A server of certificates, while it is needed."""
    published: list[CertificateServer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served = published[0]
            served.asked += 1
            self.send_response(served.status)
            if served.location:
                self.send_header("Location", served.location)
            self.send_header("Content-Length", str(len(served.body)))
            self.end_headers()
            self.wfile.write(served.body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        published.append(CertificateServer(server.server_port))
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield published[0]
        server.shutdown()
        thread.join()
