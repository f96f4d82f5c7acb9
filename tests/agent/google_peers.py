"""Google's token services as one real HTTP server, and the places where a machine keeps its Google accounts."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

from tests.agent.peers import Wire, an_answer, peer

FLAVOR = "Metadata-Flavor: Google\r\n"

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEY_PEM = _KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC_PEM = (
    _KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)


def an_id_token(audience: str, *, email: str = "agent@example.com", life: int = 3600) -> str:
    """A signed ID token, as Google's."""
    now = int(time.time())
    claims = {
        "iss": "https://accounts.google.com",
        "aud": audience,
        "email": email,
        "email_verified": True,
        "iat": now,
        "exp": now + life,
    }
    signer = crypt.RSASigner.from_string(KEY_PEM, key_id="key-1")
    token: bytes = jwt.encode(signer, claims)
    return token.decode()


@dataclass
class GoogleServer:
    """Answers as the token endpoint, STS, IAM and the metadata server; remembers what it was asked and what it gave."""

    url: str = ""
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """Path, and the form, JSON or query."""
    given: list[str] = field(default_factory=list)
    """Every token."""
    failure: bytes = b""
    """Answered instead, while it is set."""
    life: int = 3600
    user_audience: str = "gcloud-client"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def serve(self, wire: Wire) -> None:
        while True:
            call = wire.read_message()
            path, _, query = call.target.partition("?")
            with self._lock:
                wire.send(self.failure or self._answer(path, query, bytes(call.body), call.get_all("Authorization")))

    def _answer(self, path: str, query: str, body: bytes, authorization: list[str]) -> bytes:
        if path.startswith("/computeMetadata/") or path == "/":
            asked: dict[str, Any] = {name: values[0] for name, values in parse_qs(query).items()}
            self.asked.append((path, asked))
            return self._as_metadata_server(path, asked)
        if body.startswith(b"{"):
            asked = {**json.loads(body), "authorization": authorization}
        else:
            asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.asked.append((path, asked))
        return _json(self._issue(path, asked))

    def _issue(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        if path.endswith(":generateAccessToken"):
            end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.life))
            return {"accessToken": self._token("impersonated"), "expireTime": end}
        if path.endswith(":generateIdToken"):
            return {"token": self._id_token(asked["audience"])}
        if path == "/sts":
            token = self._token("federated")
            kind = "urn:ietf:params:oauth:token-type:access_token"
            return {"access_token": token, "expires_in": self.life, "token_type": "Bearer", "issued_token_type": kind}
        if asked.get("grant_type") == "refresh_token":
            token = self._token("user")
            return {"access_token": token, "expires_in": self.life, "id_token": self._id_token(self.user_audience)}
        # An assertion that this key did not sign is refused, as there.
        audiences = [f"{self.url}/token", "https://oauth2.googleapis.com/token"]
        claims = jwt.decode(asked["assertion"], certs={"key-1": PUBLIC_PEM}, audience=audiences)
        if "target_audience" in claims:
            return {"id_token": self._id_token(claims["target_audience"], email=claims["iss"])}
        return {"access_token": self._token("service"), "expires_in": self.life}

    def _as_metadata_server(self, path: str, asked: Mapping[str, Any]) -> bytes:
        if path.endswith("/token"):
            body = {"access_token": self._token("metadata"), "expires_in": self.life, "token_type": "Bearer"}
            return _json(body, FLAVOR)
        if path.endswith("/identity"):
            return an_answer(self._id_token(asked["audience"]).encode(), fields=FLAVOR)
        return an_answer(b"computeMetadata/\n", fields=FLAVOR)

    def _token(self, kind: str) -> str:
        self.given.append(f"ya29.{kind}-token-{len(self.given)}")
        return self.given[-1]

    def _id_token(self, audience: str, *, email: str = "agent@example.com") -> str:
        self.given.append(an_id_token(audience, email=email, life=self.life))
        return self.given[-1]


def _json(body: object, fields: str = "") -> bytes:
    return an_answer(json.dumps(body).encode(), fields=f"Content-Type: application/json\r\n{fields}")


@contextmanager
def google_server() -> Iterator[GoogleServer]:
    server = GoogleServer()
    with peer(server.serve) as running:
        server.url = running.url
        yield server


def a_user() -> dict[str, Any]:
    return {
        "type": "authorized_user",
        "client_id": "client-id",
        "client_secret": "client-SECRET",
        "refresh_token": "refresh-SECRET",
        "token_uri": "https://elsewhere.example.com/token",
    }


def a_service_account(server: GoogleServer, *, email: str = "agent@example.com") -> dict[str, Any]:
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "key-1",
        "private_key": KEY_PEM,
        "client_email": email,
        "client_id": "1",
        "token_uri": f"{server.url}/token",
    }


def an_external_account(server: GoogleServer, subject: Path) -> dict[str, Any]:
    subject.write_text("subject-SECRET")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.url}/sts",
        "credential_source": {"file": str(subject)},
    }


def write_gcloud_folder(
    folder: Path, stored: Mapping[str, Any] | None, *, account: str = "user@example.com", properties: str = ""
) -> None:
    """A configuration whose account is `account`, and what the CLI stores for it."""
    (folder / "configurations").mkdir(parents=True)
    (folder / "configurations" / "config_default").write_text(f"[core]\naccount = {account}\n{properties}")
    with closing(sqlite3.connect(folder / "credentials.db")) as connection, connection:
        connection.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
        if stored is not None:
            connection.execute("INSERT INTO credentials VALUES (?, ?)", (account, json.dumps(stored)))
