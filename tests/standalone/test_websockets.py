"""Websockets, both ends made of sockets by hand: what the proxy lets through, and how a tunnel ends."""

import socket
import struct
import time
from pathlib import Path

import pytest

from tests.standalone.by_hand import Agent
from tests.standalone.conftest import Start
from tests.system.processes import Process
from tests.system.rawhttp import Connection, Reply, request_bytes
from tests.timing import SECOND, wait_until

HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
]
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "inverting-proxy-tunnel")]
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n"
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
CAPABLE = ("X-Inverting-Proxy-Capabilities", "tunnel")


class Tunnelling(Agent):
    """An agent that takes upgrades."""

    @property
    def fields(self) -> list[tuple[str, str]]:
        return [*super().fields, CAPABLE]

    def open_tunnel(self, request_id: str) -> Connection:
        """A tunnel for which the proxy has answered 101."""
        name = ("X-Inverting-Proxy-Request-ID", request_id)
        tunnel = self.open_call("GET", "/agent/tunnel", name, *UPGRADE)
        assert read_head(tunnel).startswith(b"HTTP/1.1 101 ")
        return tunnel


def read_head(connection: Connection) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.receive(1)
        assert byte, head
        head += byte
    return head


def read(connection: Connection, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.receive(size - len(data))):
        data += piece
    return data


def ask(url: str, *fields: tuple[str, str], behind: bytes = b"") -> Connection:
    """A user's handshake, with bytes behind it."""
    user = Connection(url)
    user.send(request_bytes("GET", "/ws", host="h", fields=[*HANDSHAKE, *fields]) + behind)
    return user


@pytest.fixture
def capable(proxy: str, request: pytest.FixtureRequest) -> Tunnelling:
    """An agent of a backend of the test's own, the one polled last."""
    agent = Tunnelling(proxy, backend_id=f"ws-{abs(hash(request.node.name))}")
    poll = agent.open_call("GET", "/agent/pending")
    time.sleep(0.2)
    poll.close()
    return agent


def opened(agent: Tunnelling, *, behind: bytes = b"", first: bytes = b"") -> tuple[Connection, Connection]:
    """Both ends of a tunnel."""
    user = ask(agent.url, behind=behind)
    request_id, _ = agent.take()
    tunnel = agent.open_tunnel(request_id)
    tunnel.send(SWITCHED + first)
    assert read_head(user) == ANSWER
    return user, tunnel


def test_bytes_pass_both_ways_also_those_that_came_early(capable: Tunnelling) -> None:
    user, tunnel = opened(capable, behind=b"early", first=b"first")
    with user, tunnel:
        assert (read(tunnel, 5), read(user, 5)) == (b"early", b"first")
        user.send(bytes(range(256)))
        tunnel.send(bytes(range(255, -1, -1)))

        assert (read(tunnel, 256), read(user, 256)) == (bytes(range(256)), bytes(range(255, -1, -1)))


def test_the_end_of_one_direction_is_passed_on_and_the_other_goes_on(capable: Tunnelling) -> None:
    user, tunnel = opened(capable)
    with user, tunnel:
        tunnel.send(b"last")
        tunnel.half_close()
        heard = user.read_to_end()
        user.send(b"still")
        still = read(tunnel, 5)
        user.half_close()

        assert (heard, still, tunnel.read_to_end()) == (b"last", b"still", b"")


@pytest.mark.parametrize("is_users", [True, False])
def test_a_reset_is_passed_on_as_a_reset(capable: Tunnelling, is_users: bool) -> None:
    broken, other = opened(capable) if is_users else opened(capable)[::-1]
    broken._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    broken.close()
    with other, pytest.raises(ConnectionResetError):
        other._socket.recv(1)


def test_megabytes_wait_for_who_does_not_read_and_little_is_held(capable: Tunnelling) -> None:
    user, tunnel = opened(capable)
    with user, tunnel:
        tunnel._socket.settimeout(0.5 * SECOND)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 << 20:
                sent += tunnel._socket.send(bytes(65536))
        assert sent < 16 << 20
        assert len(read(user, sent)) == sent


def test_a_user_who_goes_before_the_backend_has_answered_gets_no_tunnel(capable: Tunnelling) -> None:
    user = ask(capable.url)
    request_id, _ = capable.take()
    user.close()

    def refused() -> Reply | None:
        name = ("X-Inverting-Proxy-Request-ID", request_id)
        with capable.open_call("GET", "/agent/tunnel", name, *UPGRADE) as call:
            reply = call.read_reply()
            return reply if reply.status == 404 else None

    assert wait_until(refused, within=10 * SECOND, what="the user's end noticed")


def test_a_tunnel_that_says_nothing_is_told_to_the_user(capable: Tunnelling) -> None:
    with ask(capable.url) as user:
        request_id, _ = capable.take()
        capable.open_tunnel(request_id).close()
        reply = user.read_reply()

    assert (reply.status, reply.reason) == (502, "tunnel-broke")


def test_a_second_tunnel_for_a_request_is_refused(capable: Tunnelling) -> None:
    with ask(capable.url) as user:
        request_id, _ = capable.take()
        first = capable.open_tunnel(request_id)
        first.send(SWITCHED)
        read_head(user)
        name = ("X-Inverting-Proxy-Request-ID", request_id)

        assert capable.call("GET", "/agent/tunnel", name, *UPGRADE).status == 404
        first.close()


def last_line(process: Process) -> str:
    return next(line for line in reversed(process.printed().splitlines()) if " /ws 101 " in line)


def test_a_websocket_without_a_byte_is_ended_and_there_is_a_limit_to_their_number(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "proxy.toml"
    config.write_text('[timeouts]\nwebsocket-idle = "1s"\n[limits]\nwebsockets = 1\n')
    process, url = start(f"--config={config}")
    agent = Tunnelling(url)
    poll = agent.open_call("GET", "/agent/pending")
    time.sleep(0.2)
    poll.close()
    user, tunnel = opened(agent)
    with user, tunnel:
        with ask(url) as second:
            refused = second.read_reply()
        for _ in range(4):
            time.sleep(0.4)
            user.send(b"x")
        assert read(tunnel, 4) == b"xxxx"
        began = time.monotonic()
        assert (user.read_to_end(), tunnel.read_to_end()) == (b"", b"")

    assert (refused.status, refused.reason) == (503, "overloaded")
    assert time.monotonic() - began < 4 * SECOND
    wait_until(lambda: " /ws 101 " in process.printed(), within=5 * SECOND, what="its line")
    assert " 4>0B " in last_line(process) and last_line(process).endswith("reason=websocket-idle")
