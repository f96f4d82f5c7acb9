"""Only the right agent, and credentials that stay where they belong (rows 28 and 29 of the table of promises)."""

import http.server
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.system.backends import Peer
from tests.system.protected import ACCOUNT, BACKEND, Protected, make_token, revoke_tokens
from tests.system.rawhttp import Connection, Reply, call, get, request_bytes
from tests.system.websocket_backend import a_backend
from tests.timing import SECOND, wait_until

PUBLIC = {"sign-in": "public"}
PATHS = [
    ("GET", "/agent/pending"),
    ("DELETE", "/agent/pending"),
    ("GET", "/agent/request"),
    ("POST", "/agent/response"),
]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, peer: Peer) -> Iterator[Protected]:
    """A proxy with an agent that has a token."""
    proxy = Protected(tmp_path_factory.mktemp("access"), {"users": PUBLIC})
    proxy.start_agent(peer.url)
    proxy.wait_until_online()
    yield proxy
    proxy.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Protected]:
    """A proxy of a test's own."""
    proxy = Protected(tmp_path, {"users": PUBLIC})
    yield proxy
    proxy.stop()


def call_as(
    proxy: Protected, token: str | None, method: str = "GET", path: str = "/agent/request", backend: str = BACKEND
) -> Reply:
    fields = [
        ("X-Inverting-Proxy-Backend-ID", backend),
        ("X-Inverting-Proxy-Request-ID", "unknown"),
        ("X-Inverting-Proxy-Agent-ID", "agent-1"),
    ]
    fields += [("Authorization", f"Bearer {token}")] if token is not None else []
    return call(proxy.url, method, path, fields=fields, body=b"" if method == "POST" else None)


def test_an_agent_with_its_token_serves(proxy: Protected) -> None:
    reply = get(proxy.url, "/who")

    assert reply.status == 200
    assert "authorization" not in {name.lower() for name, _ in json.loads(reply.body)["fields"]}


def read_again(proxy: Protected) -> None:
    """Return when the proxy has read what stands in its file now. To try tokens meanwhile would count as guessing."""
    before = proxy.logged().count("agents.tokens: read again")
    proxy.process.send(signal.SIGHUP)
    wait_until(
        lambda: proxy.logged().count("agents.tokens: read again") > before, within=10 * SECOND, what="the new tokens"
    )


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_a_token_or_with_another_nothing_is_told(method: str, path: str, own: Protected) -> None:
    others = make_token(own.tokens, "other")
    over = make_token(own.tokens, ACCOUNT, "--expires=2001-01-01", "--name=over")
    read_again(own)
    refused = [call_as(own, token, method, path) for token in (None, "", "ipx_guess", over, own.token[:-1])]
    allowed = [call_as(own, others, method, path), call_as(own, own.token, method, path, backend="nothing")]

    assert {(reply.status, reply.reason) for reply in refused} == {(401, "not-authenticated")}
    assert {(reply.status, reply.reason) for reply in allowed} == {(403, "not-allowed")}
    assert {reply.get("WWW-Authenticate") for reply in refused} == {"Bearer"}


def test_who_guesses_is_held_up_and_nobody_else(own: Protected) -> None:
    statuses = [call_as(own, f"ipx_{number}").status for number in range(40)]

    assert statuses[:10] == [401] * 10
    assert set(statuses[12:]) <= {429, 401}
    assert statuses.count(429) > 20
    assert call_as(own, own.token).status == 404
    assert own.logged().count("audit: GET /agent/request refused=not-authenticated") == statuses.count(401)


def test_tokens_are_changed_without_a_restart_and_without_a_gap(own: Protected, peer: Peer) -> None:
    own.start_agent(peer.url)
    own.wait_until_online()
    newer = make_token(own.tokens, ACCOUNT, "--name=newer")
    wait_until(lambda: call_as(own, newer).status == 404, within=10 * SECOND, what="the new token")
    still = call_as(own, own.token).status
    own.start_agent(peer.url, token=newer)
    revoke_tokens(own.tokens, ACCOUNT)
    last = make_token(own.tokens, ACCOUNT)
    wait_until(lambda: call_as(own, own.token).status == 401, within=10 * SECOND, what="the end of the old token")

    assert still == 404
    assert call_as(own, last).status == 404


@pytest.fixture
def brisk(tmp_path: Path) -> Iterator[Protected]:
    """A proxy of a test's own that says soon that nobody takes a request."""
    proxy = Protected(tmp_path, {"users": PUBLIC, "timeouts": {"fetch": "2s"}})
    yield proxy
    proxy.stop()


def test_an_agent_whose_token_is_taken_back_is_given_nothing_more(brisk: Protected, peer: Peer) -> None:
    brisk.start_agent(peer.url)
    brisk.wait_until_online()
    revoke_tokens(brisk.tokens, ACCOUNT)
    read_again(brisk)

    assert get(brisk.url, "/seen", ("X-Test-Id", "revoked")).reason == "no-agent"
    assert peer.notes_of("revoked") == []


def test_what_an_agent_holds_whose_token_is_taken_back_fails_within_seconds_and_says_why(
    brisk: Protected, peer: Peer
) -> None:
    brisk.start_agent(peer.url)
    brisk.wait_until_online()
    with Connection(brisk.url) as user:
        fields = [("X-Test-Id", "held"), ("Content-Length", "0")]
        user.send(request_bytes("POST", "/sleep?ms=60000", host=user.host, fields=fields))
        wait_until(lambda: peer.notes_of("held"), within=10 * SECOND, what="the request at the backend")
        revoke_tokens(brisk.tokens, ACCOUNT)
        began = time.monotonic()
        reply = user.read_reply()

    assert (reply.status, reply.reason) == (502, "agent-lost")
    assert time.monotonic() - began < 15 * SECOND
    assert "may not serve notebook any more" in brisk.logged()


def test_websockets_end_within_seconds_when_the_token_of_their_agent_is_taken_back(brisk: Protected) -> None:
    with a_backend() as backend:
        brisk.start_agent(backend.url)
        brisk.wait_until_online()
        with connect(f"{brisk.url.replace('http', 'ws', 1)}/echo", ping_interval=None) as websocket:
            websocket.send("hello")
            before = websocket.recv()
            revoke_tokens(brisk.tokens, ACCOUNT)
            with pytest.raises(ConnectionClosedError):
                websocket.recv(timeout=15 * SECOND)

    assert before == "hello"
    assert "reason=agent-lost" in brisk.logged()


def test_a_request_outlives_a_token_that_their_agent_has_replaced(brisk: Protected, peer: Peer) -> None:
    brisk.start_agent(peer.url)
    brisk.wait_until_online()
    newer = make_token(brisk.tokens, ACCOUNT, "--name=newer")
    with Connection(brisk.url) as user:
        fields = [("X-Test-Id", "long"), ("Content-Length", "0")]
        user.send(request_bytes("POST", "/sleep?ms=9000", host=user.host, fields=fields))
        wait_until(lambda: peer.notes_of("long"), within=10 * SECOND, what="the request at the backend")
        (brisk.folder / "token-0").write_text(f"{newer}\n")
        older, _, replacing = brisk.tokens.read_text().partition("\n")
        assert "name=newer" in replacing and "name=newer" not in older
        brisk.tokens.write_text(replacing)
        reply = user.read_reply()

    assert reply.status == 200


def test_a_file_that_cannot_be_used_locks_nobody_out(own: Protected) -> None:
    own.tokens.write_text(f"{ACCOUNT} {own.token}\n")
    own.process.send(signal.SIGHUP)
    wait_until(lambda: "what was read before stays in force" in own.logged(), within=10 * SECOND, what="a complaint")

    assert call_as(own, own.token).status == 404
    assert own.token not in own.logged()


def test_an_open_registration_is_none(own: Protected) -> None:
    assert call_as(own, own.token, path="/agent/pending", backend="another").status == 403
    assert get(own.url, "/").reason == "no-agent"


def test_no_credential_is_in_any_log(proxy: Protected) -> None:
    call_as(proxy, "ipx_wrong-but-somebodys")
    get(proxy.url, "/who?token=in-the-query", ("Authorization", "Bearer a-users-own"), ("Cookie", "a=a-cookie"))
    secrets = [proxy.token, "ipx_wrong-but-somebodys", "in-the-query", "a-users-own", "a-cookie"]
    printed = [program.printed() for program in (proxy.process, *proxy.agents)]
    commands = [Path(f"/proc/{program.pid}/cmdline").read_text() for program in (proxy.process, *proxy.agents)]

    assert [secret for secret in secrets for text in (*printed, *commands) if secret in text] == []


# Agents by ID tokens of an OpenID provider

KEY: Final = RSAKey.generate_key(2048, {"kid": "key"})
AUDIENCE: Final = "https://proxy.example.org"


class Issuer(http.server.BaseHTTPRequestHandler):
    """Somebody who signs tokens: his description and his keys."""

    server: http.server.ThreadingHTTPServer

    def do_GET(self) -> None:
        url = f"http://127.0.0.1:{self.server.server_port}"
        served: dict[str, object] = {
            "/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/keys"},
            "/keys": {"keys": [{**KEY.as_dict(private=False), "kid": KEY.kid}]},
        }
        body = json.dumps(served[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def issuer() -> Iterator[str]:
    """The URL of one."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def id_token(issuer: str, **changes: object) -> str:
    now = int(time.time())
    claims = {"iss": issuer, "aud": AUDIENCE, "sub": ACCOUNT, "iat": now, "exp": now + 600} | changes
    return jws.serialize_compact({"alg": "RS256", "kid": KEY.kid}, json.dumps(claims), KEY)


def test_an_agent_may_show_an_id_token(issuer: str, tmp_path: Path, peer: Peer) -> None:
    agents = {"tokens": str(tmp_path / "agents.tokens"), "oidc-issuer": issuer, "oidc-audience": AUDIENCE}
    proxy = Protected(tmp_path, {"users": PUBLIC, "agents": agents})
    try:
        proxy.start_agent(peer.url, token=id_token(issuer))
        proxy.wait_until_online()
        served = get(proxy.url, "/who").status
        statuses = {
            name: call_as(proxy, id_token(issuer, **claims)).status
            for name, claims in {
                "another audience": {"aud": "https://evil.org"},
                "another issuer": {"iss": "https://evil.org"},
                "over": {"exp": 1},
                "another account": {"sub": "build-8"},
                "an address that nobody has verified": {"email": "ada@example.org"},
                "a subject that looks like an address": {"sub": "ada@example.org"},
            }.items()
        }
    finally:
        proxy.stop()

    assert served == 200
    assert statuses == {
        "another audience": 401,
        "another issuer": 401,
        "over": 401,
        "another account": 403,
        "an address that nobody has verified": 403,
        "a subject that looks like an address": 403,
    }
