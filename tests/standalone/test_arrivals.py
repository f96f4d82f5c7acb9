"""Connections that do not speak HTTP yet: a trusted peer passes them on (the PROXY protocol), or they shake hands."""

import re
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.agent.certificates import Authority
from tests.standalone.by_hand import OK, Agent
from tests.standalone.conftest import Start, introduce
from tests.system.processes import Process
from tests.system.rawhttp import Connection, Disconnected, get, request_bytes
from tests.timing import SECOND, wait_until

HEADER = b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
UNIX = b"\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + bytes(216)
TRUSTED = 'trusted-peers = "127.0.0.1"'

Serve = Callable[..., tuple[Process, str, str]]


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Serve:
    """Starts a proxy whose users come through a load balancer: the process, their address, and that of agents."""

    def start_one(trusted: str = TRUSTED, more: str = "") -> tuple[Process, str, str]:
        listen = 'users = "127.0.0.1:0"\nagents = "http://127.0.0.1:0"\nproxy-protocol = "users"'
        (tmp_path / "proxy.toml").write_text(f"[listen]\n{listen}\n{trusted}\n{more}\n")
        process, _ = start(f"--config={tmp_path / 'proxy.toml'}")
        users, agents = re.findall(r"Listening on (\S+)", process.printed())
        return process, users, agents

    return start_one


def forwarded(users: str, agents: str, header: bytes, *fields: tuple[str, str]) -> list[bytes]:
    """What a backend is told of its client."""
    agent = Agent(agents)
    introduce(agent)
    with Connection(users) as user:
        user.send(header + request_bytes("GET", "/", host=user.host, fields=fields))
        request_id, request = agent.take()
        agent.post(request_id, OK)
        assert user.read_reply().body == b"ok"
    return re.findall(rb"X-Forwarded-(?:For|Proto): (\S+)\r\n", request)


def test_the_client_is_the_one_that_the_header_names_whatever_its_fields_say(serve: Serve) -> None:
    _, users, agents = serve()

    told = forwarded(users, agents, HEADER, ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"))
    assert told == [b"198.51.100.7", b"http"]


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", UNIX, LOCAL])
def test_a_client_whom_the_header_does_not_name_is_unknown_and_not_believed(serve: Serve, header: bytes) -> None:
    _, users, agents = serve()

    told = forwarded(users, agents, header, ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"))
    assert told == [b"unknown", b"http"]


def test_a_header_that_comes_in_pieces_is_read(serve: Serve) -> None:
    _, users, _ = serve()

    with Connection(users) as user:
        for byte in HEADER:
            user.send(bytes((byte,)))
        user.send(request_bytes("GET", "/", host=user.host))
        assert user.read_reply().status == 404


def test_a_connection_without_a_header_is_closed_and_the_next_is_served(serve: Serve) -> None:
    process, users, _ = serve()

    with Connection(users) as user, pytest.raises(Disconnected):
        user.send(request_bytes("GET", "/", host=user.host))
        user.read_reply()
    with Connection(users) as user:
        user.send(HEADER + request_bytes("GET", "/", host=user.host))
        assert user.read_reply().status == 404
    assert "a connection from 127.0.0.1 has no PROXY header: begins with something else" in process.printed()


def test_who_is_not_trusted_is_not_listened_to(serve: Serve) -> None:
    process, users, agents = serve('trusted-peers = "10.0.0.0/8"')

    with Connection(users) as user, pytest.raises(Disconnected):
        user.send_as_far_as_taken(HEADER + request_bytes("GET", "/", host=user.host))
        user.read_reply()
    assert "a connection from 127.0.0.1 was closed" in process.printed()
    assert get(agents, "/").status == 404


def test_the_header_stands_before_tls(serve: Serve, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    path = authority.issue("127.0.0.1")
    _, users, agents = serve(more=f"[tls]\ncertificate = '{path}'")
    agent = Agent(agents)
    introduce(agent)
    trust = ssl.create_default_context(cafile=authority.file)

    with Connection(users, before_tls=HEADER, tls=trust) as user:
        user.send(request_bytes("GET", "/", host=user.host))
        request_id, request = agent.take()
        agent.post(request_id, OK)
        assert user.read_reply().body == b"ok"
    assert re.findall(rb"X-Forwarded-(?:For|Proto): (\S+)\r\n", request) == [b"198.51.100.7", b"https"]


def test_connections_without_a_handshake_count_and_do_not_keep_others_out_for_long(
    start: Start, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    tls = f"[tls]\ncertificate = '{authority.issue('127.0.0.1')}'"
    (tmp_path / "proxy.toml").write_text(f"[listen]\nusers = '127.0.0.1:0'\n[limits]\nconnections = 10\n{tls}\n")
    process, url = start(f"--config={tmp_path / 'proxy.toml'}")
    trust = ssl.create_default_context(cafile=authority.file)
    place = urlsplit(url)
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection((place.hostname, place.port))) for _ in range(30)]
        wait_until(lambda: len(ended(silent)) == 19, within=5 * SECOND, what="19 that are too many")
        assert not is_served(url, trust)

    wait_until(lambda: is_served(url, trust), within=5 * SECOND, what="room for a client")
    assert process.stop() == 0


def ended(connections: list[socket.socket]) -> list[socket.socket]:
    """Those that the other side has ended."""
    return select.select(connections, [], [], 0)[0]


def is_served(url: str, trust: ssl.SSLContext) -> bool:
    try:
        with Connection(url, tls=trust) as user:
            user.send(request_bytes("GET", "/", host=user.host))
            return user.read_reply().status == 404
    except (Disconnected, OSError):
        return False


def test_it_stops_while_a_connection_has_not_said_whose_it_is(serve: Serve) -> None:
    process, users, _ = serve()

    with Connection(users) as silent, Connection(users) as user:
        silent.send(b"PROXY ")
        user.send(HEADER + request_bytes("GET", "/", host=user.host))
        user.read_reply()
        assert process.stop() == 0
    wait_until(lambda: "Traceback" not in process.printed(), within=SECOND, what="a quiet end")
