"""Backends that are not plain HTTP at one address: TLS, unix sockets, HTTP/2, paths of several; and what they are told.

The agent's side alone is in question, so one shape of the proxy is enough.
"""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.agent.certificates import Authority
from tests.agent.http2_peer import Call, Http2Wire, serving
from tests.agent.peers import Peer as Server
from tests.agent.peers import Wire
from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.rawhttp import Fields, call, get
from tests.system.shapes import Site


@pytest.fixture(scope="module")
def shape_name() -> str:
    return "standalone"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def answering_with_what_arrived(name: str, wire: Wire) -> None:
    """JSON of each request, until the agent closes."""
    while True:
        message = wire.read_message()
        body = json.dumps({"name": name, "start": message.start, "fields": message.fields}).encode()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@contextmanager
def a_server(name: str, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    server = Server(lambda wire: answering_with_what_arrived(name, wire), tls)
    try:
        yield server.url
    finally:
        server.close()


def tls_server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def seen(site: Site, target: str = "/x", *fields: tuple[str, str]) -> dict[str, Any]:
    reply = get(site.url, target, *fields)
    assert reply.status == 200, reply
    arrived: dict[str, Any] = json.loads(reply.body)
    return arrived


def values_seen(site: Site, name: str, *fields: tuple[str, str]) -> list[str]:
    arrived: Fields = seen(site, "/x", *fields)["fields"]
    return [value for key, value in arrived if key.lower() == name.lower()]


# Where it is


def test_a_backend_over_tls_with_all_the_trimmings(serve_fresh: Serve, authority: Authority) -> None:
    context = tls_server(authority.issue("backend.test"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    own = authority.issue("agent.test", is_split=True)
    with a_server("tls", context) as url:
        site = serve_fresh(
            url,
            f"--backend-ca-file={authority.file}",
            "--backend-server-name=backend.test",
            f"--backend-client-certificate={own}",
            f"--backend-client-key={own.with_suffix('.key')}",
        )
        assert seen(site)["name"] == "tls"


def test_a_certificate_that_nobody_vouches_for_is_told_from_a_backend_that_is_not_there(
    serve_fresh: Serve, authority: Authority
) -> None:
    with a_server("tls", tls_server(authority.issue("127.0.0.1"))) as url:
        reply = get(serve_fresh(url).url, "/x")
    assert (reply.status, reply.reason) == (502, "backend-tls")


def test_verification_may_be_turned_off_and_the_log_says_so_once(serve_fresh: Serve, authority: Authority) -> None:
    with a_server("tls", tls_server(authority.issue("elsewhere.test"))) as url:
        site = serve_fresh(url, "--backend-insecure-skip-verify")
        assert [seen(site)["name"] for _ in range(3)] == ["tls"] * 3
        assert site.agents[0].printed().count("not verified") == 1


def test_a_backend_at_a_unix_socket(serve_fresh: Serve, tmp_path: Path) -> None:
    path = tmp_path / "a backend.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def accept() -> None:
            while True:
                try:
                    wire = Wire(listener.accept()[0])
                except OSError:
                    return
                threading.Thread(target=run, args=(wire,), daemon=True).start()

        def run(wire: Wire) -> None:
            with wire.socket:
                try:
                    answering_with_what_arrived("unix", wire)
                except Exception:
                    return

        threading.Thread(target=accept, daemon=True).start()
        site = serve_fresh(f"unix://{str(path).replace(' ', '%20')}")
        assert seen(site)["name"] == "unix"
        listener.shutdown(socket.SHUT_RDWR)


def test_paths_lead_to_several_backends_and_arrive_whole(serve_fresh: Serve) -> None:
    with a_server("main") as main, a_server("api") as api, a_server("deep") as deep:
        site = serve_fresh(main, f"--path-map=/api={api}", f"--path-map=/api/v2={deep}")
        arrived = {
            target: seen(site, target) for target in ["/", "/api/x?y=1", "/apis", "/api/v2/z", "/api/v2", "/%61pi"]
        }
    assert {target: message["name"] for target, message in arrived.items()} == {
        "/": "main",
        "/api/x?y=1": "api",
        "/apis": "main",
        "/api/v2/z": "deep",
        "/api/v2": "deep",
        "/%61pi": "main",
    }
    assert [message["start"] for message in arrived.values()] == [f"GET {target} HTTP/1.1" for target in arrived]


# How it is spoken to


def test_http2_in_clear_carries_bodies_and_trailers_both_ways(serve_fresh: Serve) -> None:
    calls: list[Call] = []

    def handle(http2: Http2Wire, call: Call) -> None:
        calls.append(call)
        http2.head(call, ("content-type", "text/plain"))
        http2.data(call, bytes(call.body))
        http2.trailers(call, ("x-sum", "1"))

    server = Server(serving(handle))
    try:
        site = serve_fresh(server.url, "--force-http2")
        body = bytes(range(256)) * 4096
        reply = call(site.url, "POST", "/a%2fb?c", body=body)
    finally:
        server.close()
    assert (reply.status, reply.body, reply.get("Content-Type")) == (200, body, "text/plain")
    assert [(name.lower(), value) for name, value in reply.trailers] == [("x-sum", "1")]
    assert (calls[-1].get(":path"), calls[-1].get(":authority")) == ("/a%2fb?c", site.url.partition("//")[2])
    assert calls[-1].get("content-length") == str(len(body))


# What it is told


@pytest.mark.parametrize("choice", ["keep", "backend", "app.internal:8443"])
def test_the_host(choice: str, serve_fresh: Serve, peer: Peer) -> None:
    site = serve_fresh(peer.url, f"--host-header={choice}")
    own = {"keep": "users.example", "backend": peer.url.partition("//")[2]}
    assert values_seen(site, "Host", ("Host", "users.example")) == [own.get(choice, choice)]
    assert values_seen(site, "X-Forwarded-Host", ("Host", "users.example")) == ["users.example"]


def test_fields_that_every_request_gets(serve_fresh: Serve, peer: Peer) -> None:
    site = serve_fresh(
        peer.url,
        "--request-header=X-Env: prod",
        "--request-header=Authorization: Basic b3Vycw==",
        "--strip-credentials",
    )
    forged = [("X-Env", "forged"), ("Authorization", "Bearer theirs")]
    assert values_seen(site, "X-Env", *forged) == ["prod"]
    assert values_seen(site, "Authorization", *forged) == ["Basic b3Vycw=="]
    assert "b3Vycw" not in site.agents[0].printed()


@pytest.mark.parametrize(("choice", "values"), [("auto", ["127.0.0.1"]), ("keep", ["127.0.0.1"]), ("drop", [])])
def test_forwarded_fields_are_the_proxys(choice: str, values: list[str], serve_fresh: Serve, peer: Peer) -> None:
    site = serve_fresh(peer.url, f"--forwarded-headers={choice}")
    assert values_seen(site, "X-Forwarded-For", ("X-Forwarded-For", "6.6.6.6")) == values
