"""Users whom a proxy in front names: a real nginx with `auth_request`, as the recipe has it, and all that is forged."""

import http.server
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.system.backends import Peer
from tests.system.processes import ROOT, Process, free_port
from tests.system.protected import Protected
from tests.system.rawhttp import Connection, Fields, Reply, call, chunked, get, request_bytes
from tests.system.websocket_backend import a_backend
from tests.timing import SECOND, wait_until
from wire.headers import normalise

RECIPE: Final = ROOT / "docs" / "recipes" / "authenticating-proxy.md"
FIELD: Final = "X-Auth-Request-Email"
USER, FORGED = "ada@example.org", "mallory@example.org"
HEADER: Final = {"sign-in": "header", "header": FIELD}

SPELLINGS: Final = [
    "x-auth-request-email",
    "X-AUTH-REQUEST-EMAIL",
    "X_Auth_Request_Email",
    "x_auth-request_email",
    "X-Auth_Request-Email",
]


def behind(folder: Path, backend_url: str, **users: Any) -> Protected:
    """A proxy that believes connections from 127.0.0.1, and from no other address of loopback."""
    proxy = Protected(folder, {"users": HEADER | users}, listen={"trusted-peers": ["127.0.0.1"]})
    proxy.start_agent(backend_url)
    proxy.wait_until_online((FIELD, USER))
    return proxy


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, peer: Peer) -> Iterator[Protected]:
    proxy = behind(tmp_path_factory.mktemp("front"), peer.url)
    yield proxy
    proxy.stop()


def require_true_user(reply: Reply, user: str = USER) -> None:
    """The backend has heard of one user, and of no field of the proxy in front."""
    assert reply.status == 200, reply
    fields = [(normalise(name), value) for name, value in json.loads(reply.body)["fields"]]
    assert [value for name, value in fields if name == "x-inverting-proxy-user-id"] == [user]
    assert [name for name, _ in fields if name == normalise(FIELD)] == []
    assert FORGED not in reply.body.decode()


def test_the_user_is_whom_the_proxy_in_front_names(proxy: Protected) -> None:
    require_true_user(get(proxy.url, "/who", (FIELD, USER)))


def test_nobody_else_may_say_who_he_is(proxy: Protected) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), source_address=("127.0.0.2", 0)) as stranger:
        stranger.sendall(
            request_bytes("GET", "/who", host="proxy", fields=[(FIELD, USER), ("X-Forwarded-For", "127.0.0.1")])
        )
        answer = stranger.recv(1 << 16)

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"X-Inverting-Proxy-Error: not-authenticated" in answer


@pytest.mark.parametrize("name", [name for name in SPELLINGS if "_" in name])
def test_another_spelling_goes_no_further(name: str, proxy: Protected) -> None:
    require_true_user(get(proxy.url, "/who", (name, FORGED), (FIELD, USER), (name, FORGED)))
    alone = get(proxy.url, "/who", (name, FORGED))

    assert (alone.status, alone.reason) == (403, "not-authenticated")


@pytest.mark.parametrize("name", [name for name in SPELLINGS if "_" not in name])
def test_a_copy_beside_it_is_refused(name: str, proxy: Protected) -> None:
    for fields in ([(name, FORGED), (FIELD, USER)], [(FIELD, USER), (name, FORGED)]):
        assert get(proxy.url, "/who", *fields).status == 400


@pytest.mark.parametrize("named", [FIELD, f"close, {FIELD.lower()}", "X_Auth_Request_Email"])
def test_it_cannot_be_taken_out_by_connection(named: str, proxy: Protected) -> None:
    assert get(proxy.url, "/who", (FIELD, USER), ("Connection", named)).status == 400


@pytest.mark.parametrize("value", ["", "allUsers", "@example.org", f"{USER}, {FORGED}", "a b"])
def test_what_is_no_user_is_nobody(value: str, proxy: Protected) -> None:
    assert get(proxy.url, "/who", (FIELD, value)).status == 403


def test_a_copy_in_trailers_goes_no_further(proxy: Protected) -> None:
    fields: Fields = [(FIELD, USER), ("Transfer-Encoding", "chunked")]
    trailers = "".join(f"{name}: {FORGED}\r\n" for name in SPELLINGS)
    with Connection(proxy.url) as connection:
        connection.send(request_bytes("POST", "/who", host=connection.host, fields=fields))
        connection.send(chunked(b"abc", trailers=trailers))
        require_true_user(connection.read_reply())


def test_only_some_may_come_in_and_each_to_his_own_backend(tmp_path: Path, peer: Peer) -> None:
    proxy = behind(tmp_path, peer.url, allowed=["@example.org"])
    try:
        require_true_user(get(proxy.url, "/who", (FIELD, USER)))
        refused = get(proxy.url, "/who", (FIELD, "eve@example.com"))
        assert (refused.status, refused.reason) == (403, "not-allowed")
        assert 'refused=not-allowed peer=127.0.0.1 because="eve@example.com is not among' in proxy.logged()
    finally:
        proxy.stop()


class Gatekeeper(http.server.BaseHTTPRequestHandler):
    """In the place of oauth2-proxy: the cookie `pass=NAME` is NAME@example.org."""

    def do_GET(self) -> None:
        found = re.search(r"\bpass=(\w+)", self.headers.get("Cookie", ""))
        self.send_response(202 if found else 401)
        if found:
            self.send_header(FIELD, f"{found[1]}@example.org")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def gatekeeper() -> Iterator[int]:
    """The port of one."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gatekeeper) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, proxy: Protected, gatekeeper: int) -> Iterator[str]:
    """nginx with the recipe's file, but for addresses and certificates; its URL."""
    with an_nginx(tmp_path_factory.mktemp("nginx"), proxy=proxy.port, gatekeeper=gatekeeper) as url:
        yield url


@contextmanager
def an_nginx(folder: Path, *, proxy: int, gatekeeper: int) -> Iterator[str]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        missing = "nginx is not installed: apt-get install nginx-light"
        if os.environ.get("REQUIRE_NGINX") == "1":
            pytest.fail(f"REQUIRE_NGINX=1, but: {missing}", pytrace=False)
        pytest.skip(f"NOT TESTED behind nginx: {missing}")
    port = free_port()
    (folder / "nginx.conf").write_text(_configuration(folder, port=port, proxy=proxy, gatekeeper=gatekeeper))
    argv = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = Process("nginx", argv, log=folder / "nginx.log")
    wait_until(lambda: _answers(process, port), within=10 * SECOND, what="nginx listening")
    yield f"http://127.0.0.1:{port}"
    process.stop()


def _answers(process: Process, port: int) -> bool:
    process.require_running()
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _configuration(folder: Path, *, port: int, proxy: int, gatekeeper: int) -> str:
    found = re.search(r"^```nginx\n(.+?)^```", RECIPE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    server = re.sub(r"(?m)^ *ssl_certificate.*\n", "", found[1])
    for written, here in (("443 ssl", f"127.0.0.1:{port}"), (":8080", f":{proxy}"), (":4180", f":{gatekeeper}")):
        assert written in server
        server = server.replace(written, here)
    paths = "\n".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; master_process off; error_log {folder}/error.log; pid {folder}/pid;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}\n{server}\n}}\n"
    )


def passing(name: str = "ada") -> tuple[str, str]:
    return "Cookie", f"pass={name}; theirs=1"


def test_behind_nginx_the_user_is_whom_it_has_asked(nginx: str) -> None:
    require_true_user(get(nginx, "/who", passing()))
    require_true_user(get(nginx, "/who", passing("grace")), "grace@example.org")


def test_behind_nginx_nobody_comes_in_unasked(nginx: str) -> None:
    opened = get(nginx, "/who?a=b", ("Accept", "text/html"), (FIELD, FORGED))

    assert get(nginx, "/who", (FIELD, FORGED)).status == 401
    assert (opened.status, (opened.get("Location") or "").endswith("/oauth2/start?rd=/who?a=b")) == (302, True)


@pytest.mark.parametrize("name", SPELLINGS)
def test_behind_nginx_no_copy_of_the_field_survives(name: str, nginx: str) -> None:
    require_true_user(get(nginx, "/who", (name, FORGED), passing(), (name, FORGED)))
    require_true_user(get(nginx, "/who", passing(), (name, FORGED), ("Connection", name)))


def test_behind_nginx_bodies_pass(nginx: str) -> None:
    body = bytes(range(256)) * 4096
    reply = call(nginx, "POST", "/echo", fields=[passing()], body=body)

    assert (reply.status, reply.body) == (200, body)


def test_behind_nginx_agents_have_their_tokens(nginx: str, proxy: Protected) -> None:
    fields = [("X-Inverting-Proxy-Backend-ID", "notebook"), ("X-Inverting-Proxy-Request-ID", "none")]

    assert get(nginx, "/agent/request", *fields).status == 401
    assert get(nginx, "/agent/request", *fields, ("Authorization", f"Bearer {proxy.token}")).status == 404


def test_behind_nginx_websockets_pass_for_those_it_has_asked(tmp_path: Path, gatekeeper: int) -> None:
    with a_backend() as backend:
        proxy = behind(tmp_path, backend.url)
        try:
            with an_nginx(tmp_path, proxy=proxy.port, gatekeeper=gatekeeper) as url:
                address = f"{url.replace('http', 'ws', 1)}/fields"
                forged = {"X-Auth-Request-Email": FORGED, "X_Auth_Request_Email": FORGED}
                with connect(address, additional_headers={"Cookie": "pass=ada", **forged}) as websocket:
                    told = websocket.recv(20 * SECOND)
                with pytest.raises(InvalidStatus) as caught:
                    connect(address, additional_headers=forged)
        finally:
            proxy.stop()

    assert USER in str(told)
    assert FORGED not in str(told)
    assert caught.value.response.status_code == 401
