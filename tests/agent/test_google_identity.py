"""Google's credentials and the VM's identity, from a metadata server of the tests and from gcloud's folder."""

import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.identity.google import GoogleCredentials
from agent.identity.vm import VmIdentity
from agent.proxy.errors import CredentialsError
from agent.settings import GoogleEnvironment
from tests.agent.peers import Received, Wire, an_answer, answering, peer, proxy_peer
from tests.timing import SECOND, wait_until

ROOT = Path(__file__).parents[2]
GOOGLE = "Metadata-Flavor: Google\r\n"


def a_jwt(life: int = 1000, name: str = "vm") -> bytes:
    claims = base64.urlsafe_b64encode(json.dumps({"iat": 5000, "exp": 5000 + life, "sub": name}).encode())
    return b"e30." + claims.rstrip(b"=") + b".c2ln"


def identity_of(url: str, now: list[float]) -> VmIdentity:
    return VmIdentity(url.removeprefix("http://"), audience="https://proxy.example.com/x", now=lambda: now[0])


def test_the_vm_shows_its_identity_token_for_this_proxy() -> None:
    seen: list[Received] = []
    with peer(answering(an_answer(a_jwt(), fields=GOOGLE), record=seen)) as metadata:
        fields = identity_of(metadata.url, [0.0]).fields()
    assert fields == (("X-Inverting-Proxy-VM-ID", a_jwt().decode()),)
    assert seen[0].target.endswith("/identity?audience=https%3A%2F%2Fproxy.example.com%2Fx&format=full")
    assert seen[0].get_all("Metadata-Flavor") == ["Google"]


def test_the_token_is_fetched_again_after_four_fifths_of_its_life() -> None:
    now, seen = [0.0], list[Received]()
    answers = [an_answer(a_jwt(name=name), fields=GOOGLE) for name in ("first", "second")]
    with peer(answering(*answers, record=seen)) as metadata:
        identity = identity_of(metadata.url, now)
        found = []
        for now[0] in (0.0, 799.0, 801.0):
            found.append(identity.fields()[0][1])
    first, second = a_jwt(name="first").decode(), a_jwt(name="second").decode()
    assert (found, len(seen)) == ([first, first, second], 2)


def test_a_token_is_kept_until_it_ends_when_there_is_no_newer_one() -> None:
    now = [0.0]
    with peer(answering(an_answer(a_jwt(), fields=GOOGLE), an_answer(status=500))) as metadata:
        identity = identity_of(metadata.url, now)
        found = []
        for now[0] in (0.0, 900.0, 1000.0):
            found.append(len(identity.fields()))
    assert found == [1, 1, 0]


@pytest.mark.parametrize(
    "raw",
    [
        an_answer(a_jwt()),
        an_answer(b"not a token", fields=GOOGLE),
        an_answer(b"a.b.c", fields=GOOGLE),
        an_answer(b"e30.e30.c2ln", fields=GOOGLE),
        an_answer(b"x" * 20_000, fields=GOOGLE),
        an_answer(status=404, fields=GOOGLE),
        b"garbage\r\n\r\n",
    ],
)
def test_where_there_is_no_metadata_server_there_is_no_field_and_it_is_left_alone(raw: bytes) -> None:
    seen: list[Received] = []
    with peer(answering(raw, raw, record=seen)) as metadata:
        identity = identity_of(metadata.url, [0.0])
        assert (identity.fields(), identity.fields(), len(seen)) == ((), (), 1)


def test_a_refused_identity_is_fetched_again() -> None:
    answers = [an_answer(a_jwt(name=name), fields=GOOGLE) for name in ("first", "second")]
    with peer(answering(*answers)) as metadata:
        identity = identity_of(metadata.url, [0.0])
        identity.fields()
        identity.refresh()
        assert identity.fields()[0][1] == a_jwt(name="second").decode()


def metadata_server(wire: Wire) -> None:
    """What google.auth and the agent ask a metadata server for."""
    while True:
        call = wire.read_message()
        if "/identity" in call.target:
            body = a_jwt()
        elif call.target.partition("?")[0].endswith("/token"):
            body = b'{"access_token": "metadata-token", "expires_in": 3600, "token_type": "Bearer"}'
        elif "recursive=true" in call.target:
            body = b'{"email": "vm@example.com", "scopes": ["all"], "aliases": ["default"]}'
        elif call.target.endswith("universe-domain") or call.target.endswith("universe_domain"):
            body = b"googleapis.com"
        elif call.target.endswith("project-id"):
            body = b"a-project"
        else:
            body = b""
        kind = "application/json" if body.startswith(b"{") else "text/plain"
        wire.send(an_answer(body, fields=f"{GOOGLE}Content-Type: {kind}\r\n"))


@pytest.mark.parametrize(("flag", "tokens"), [("", [a_jwt().decode()]), ("--disable-gce-vm-header", [])])
def test_on_a_vm_the_agent_is_its_service_account_and_shows_the_vm(
    flag: str, tokens: list[str], tmp_path: Path
) -> None:
    with proxy_peer() as proxy, peer(metadata_server) as metadata:
        host = metadata.url.removeprefix("http://")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "GCE_METADATA_HOST": host,
            "GCE_METADATA_IP": host,
        }
        arguments = [f"--proxy={proxy.url}", "--backend=b", "--credentials=google", *([flag] if flag else [])]
        process = subprocess.Popen([sys.executable, "-m", "agent", *arguments], cwd=ROOT, env=environment)
        try:
            wait_until(lambda: proxy.calls, within=20 * SECOND, what="the first poll")
            process.send_signal(signal.SIGTERM)
            assert process.wait(5 * SECOND) == 0
        finally:
            process.kill()
            process.wait()
    [call] = proxy.calls[:1]
    assert call.get_all("Authorization") == ["Bearer metadata-token"]
    assert call.get_all("X-Inverting-Proxy-VM-ID") == tokens


class TokenServer:
    """Google's token server, as a transport of google.auth: the first token has run out when it comes."""

    def __init__(self, status: int = 200) -> None:
        self.bodies: list[bytes] = []
        self._status = status

    def __call__(self, url: str, method: str = "GET", body: bytes | None = None, **_: Any) -> "TokenServer":
        self.bodies.append(body or b"")
        return self

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> dict[str, str]:
        return {}

    @property
    def data(self) -> bytes:
        if self._status != 200:
            return b'{"error": "invalid_grant", "error_description": "secret"}'
        life = 3600 if len(self.bodies) > 1 else 60
        return json.dumps({"access_token": f"token-{len(self.bodies)}", "expires_in": life}).encode()


def a_gcloud_folder(folder: Path, account: str = "user@example.com") -> GoogleEnvironment:
    (folder / "configurations").mkdir()
    (folder / "configurations" / "config_default").write_text(f"[core]\naccount = {account}\n")
    stored = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    connection = sqlite3.connect(folder / "credentials.db")
    connection.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
    connection.execute("INSERT INTO credentials VALUES (?, ?)", ("user@example.com", json.dumps(stored)))
    connection.commit()
    connection.close()
    return GoogleEnvironment(folder, "", "127.0.0.1:1")


def test_the_active_account_of_gcloud_comes_first(tmp_path: Path) -> None:
    server = TokenServer()
    credentials = GoogleCredentials(a_gcloud_folder(tmp_path), transport=server)  # type: ignore[arg-type]
    assert credentials.fields() == (("Authorization", "Bearer token-1"),)
    assert b"refresh_token=r" in server.bodies[0]


def test_a_token_is_renewed_before_it_ends_and_then_kept(tmp_path: Path) -> None:
    server = TokenServer()
    credentials = GoogleCredentials(a_gcloud_folder(tmp_path), transport=server)  # type: ignore[arg-type]
    found = [credentials.fields()[0][1] for _ in range(3)]
    assert found == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_a_refused_token_is_renewed(tmp_path: Path) -> None:
    credentials = GoogleCredentials(a_gcloud_folder(tmp_path), transport=TokenServer())  # type: ignore[arg-type]
    found = []
    for _ in range(3):
        found.append(credentials.fields()[0][1])
        credentials.refresh()
    assert found == ["Bearer token-1", "Bearer token-2", "Bearer token-3"]


def test_no_token_is_an_error_without_secrets(tmp_path: Path) -> None:
    credentials = GoogleCredentials(a_gcloud_folder(tmp_path), transport=TokenServer(400))  # type: ignore[arg-type]
    with pytest.raises(CredentialsError) as caught:
        credentials.fields()
    assert ("invalid_grant" in str(caught.value), "{" in str(caught.value)) == (True, False)


def test_a_database_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    environment = a_gcloud_folder(tmp_path)
    (tmp_path / "credentials.db").write_bytes(b"not a database, but long enough to be taken for one" * 20)
    with pytest.raises(CredentialsError, match="DatabaseError"):
        GoogleCredentials(environment, transport=TokenServer()).fields()  # type: ignore[arg-type]
