"""Certificates: real handshakes with the program, and what changes while it runs."""

import re
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.certificates import Authority
from tests.standalone.by_hand import Agent, a_chunk
from tests.standalone.conftest import Start, introduce
from tests.standalone.test_process import run
from tests.system.processes import Process
from tests.system.rawhttp import Connection, Disconnected, get, request_bytes
from tests.timing import SECOND, wait_until

TLS = 'users = "127.0.0.1:0"'


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trust(authority: Authority) -> ssl.SSLContext:
    """A client that knows the authority, and no other."""
    return ssl.create_default_context(cafile=authority.file)


Serve = Callable[..., tuple[Process, list[str]]]


@pytest.fixture
def serve(start: Start, authority: Authority, tmp_path: Path) -> Serve:
    """Starts a proxy for 127.0.0.1 with this [listen]: the process and its addresses."""
    authority.issue("127.0.0.1", is_split=True)

    def start_one(listen: str = TLS) -> tuple[Process, list[str]]:
        process, _ = start(f"--config={write(tmp_path, listen)}")
        wait_until(lambda: "Listening" in process.printed(), within=10 * SECOND, what="listening")
        return process, re.findall(r"Listening on (\S+)", process.printed())

    return start_one


def write(folder: Path, listen: str = TLS) -> Path:
    path = folder / "proxy.toml"
    pair = f"certificate = '{folder}/127.0.0.1.pem'\nkey = '{folder}/127.0.0.1.key'"
    path.write_text(f"[listen]\n{listen}\n[tls]\n{pair}\n")
    return path


def serial(url: str, trust: ssl.SSLContext) -> object:
    """Which certificate is shown."""
    host, port = url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), 10 * SECOND) as raw,
        trust.wrap_socket(raw, server_hostname=host) as end,
    ):
        certificate = end.getpeercert()
    assert certificate
    return certificate["serialNumber"]


def test_a_request_over_tls_reaches_its_backend_as_https(serve: Serve, trust: ssl.SSLContext) -> None:
    _, [url, agents] = serve('users = "127.0.0.1:0"\nagents = "http://127.0.0.1:0"')
    assert (url.partition(":")[0], agents.partition(":")[0]) == ("https", "http")
    agent = Agent(agents)
    introduce(agent)

    with Connection(url, tls=trust) as user:
        user.send(request_bytes("POST", "/", host=user.host, body=b"x" * 1_000_000))
        request_id, request = agent.take()
        agent.post(request_id, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"y" * 1_000_000)
        reply = user.read_reply()
    assert b"\r\nX-Forwarded-Proto: https\r\n" in request
    assert request.endswith(b"x" * 1_000_000)
    assert (reply.status, reply.is_whole, len(reply.body)) == (200, True, 1_000_000)


def test_several_requests_go_over_one_connection(serve: Serve, trust: ssl.SSLContext) -> None:
    _, [url] = serve()

    with Connection(url, tls=trust) as user:
        for _ in range(3):
            user.send(request_bytes("GET", "/", host=user.host))
            assert user.read_reply().status == 404


def test_an_answer_that_breaks_off_is_seen_to_be_broken(serve: Serve, trust: ssl.SSLContext) -> None:
    _, [url, agents] = serve('users = "127.0.0.1:0"\nagents = "http://127.0.0.1:0"')
    agent = Agent(agents)
    introduce(agent)

    with Connection(url, tls=trust) as user:
        user.send(request_bytes("GET", "/", host=user.host))
        request_id, _ = agent.take()
        with agent.open_post(request_id) as post:
            post.send(a_chunk(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
            user.read_at_least(40)
        assert not user.read_reply().is_whole


def test_a_refusal_that_ends_the_connection_can_be_read(serve: Serve, trust: ssl.SSLContext) -> None:
    _, [url] = serve()

    with Connection(url, tls=trust) as user:
        user.send_as_far_as_taken(b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + b"x" * 1_000_000)
        reply = user.read_reply()
        assert (reply.status, reply.reason) == (431, "too-large")
        assert user.read_to_end() == b""


def test_who_speaks_no_tls_is_not_answered(serve: Serve) -> None:
    _, [url] = serve()

    with Connection(url) as user, pytest.raises(Disconnected):
        user.send(request_bytes("GET", "/", host=user.host))
        user.read_reply()


@pytest.mark.parametrize("how", ["by a signal", "by itself"])
def test_a_new_certificate_is_taken_while_it_runs(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, how: str
) -> None:
    process, [url] = serve()
    before = serial(url, trust)
    with Connection(url, tls=trust) as old:
        authority.issue("127.0.0.1", is_split=True)
        if how == "by a signal":
            process.send(signal.SIGHUP)
        wait_until(lambda: serial(url, trust) != before, within=10 * SECOND, what="the new certificate")
        old.send(request_bytes("GET", "/", host=old.host))
        assert old.read_reply().status == 404
    assert "the certificate was read again" in process.printed()


def test_a_bad_new_certificate_is_logged_and_the_old_one_stays(
    serve: Serve, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    process, [url] = serve()
    before = serial(url, trust)
    (tmp_path / "127.0.0.1.pem").write_text("nonsense")
    process.send(signal.SIGHUP)
    wait_until(lambda: "ERROR" in process.printed(), within=10 * SECOND, what="a line in the log")

    assert serial(url, trust) == before
    line = next(line for line in process.printed().splitlines() if "ERROR" in line)
    assert line.endswith("127.0.0.1.pem has no certificate in it, but must (PEM)")


def test_a_bad_certificate_at_the_start_is_one_clear_line(authority: Authority, tmp_path: Path) -> None:
    authority.issue("127.0.0.1", is_split=True)
    (tmp_path / "127.0.0.1.key").write_text("nonsense")

    for flags in ([], ["--check-config"]):
        ended = run("--open", f"--config={write(tmp_path)}", *flags)
        assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
        assert ended.stderr.startswith(f"proxy.toml: tls.key: {tmp_path}/127.0.0.1.key has no key that can be used")


def test_an_address_without_tls_can_send_clients_to_the_one_with_it(serve: Serve, trust: ssl.SSLContext) -> None:
    _, [url, plain] = serve('users = "127.0.0.1:0"\nredirect = "127.0.0.1:0"')

    reply = get(plain, "/a?b")
    assert (reply.status, reply.get("Location")) == (308, f"{url}/a?b")
    with Connection(url, tls=trust) as user:
        user.send(request_bytes("GET", "/a?b", host=user.host))
        assert user.read_reply().status == 404


def test_it_stops_with_connections_open(serve: Serve, trust: ssl.SSLContext) -> None:
    process, [url] = serve()

    with Connection(url, tls=trust) as user:
        user.send(request_bytes("GET", "/", host=user.host))
        user.read_reply()
        process.send(signal.SIGTERM)
        assert process.wait(10 * SECOND) == 0
    assert "Traceback" not in process.printed()
