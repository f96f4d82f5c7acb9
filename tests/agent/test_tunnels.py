"""Websockets through the whole agent: a proxy that opens tunnels on one side, a backend that changes on the other."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.composition import build_service
from agent.service import Reports
from agent.settings.load import load_settings
from tests.agent.certificates import Authority
from tests.agent.peers import ProxyPeer, Received, Wire, an_answer, answering, peer, proxy_peer
from tests.agent.test_agent import an_agent, parse
from tests.agent.tunnels import Tunnel, write_certificate
from tests.timing import SECOND, wait_until

HANDSHAKE = (
    b"GET /ws?a=1 HTTP/1.1\r\nHost: users.example\r\nOrigin: https://users.example\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: a=1\r\nX-Inverting-Proxy-User-ID: forged\r\n"
    b"Connection: X-Hop\r\nX-Hop: 1\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"
    b"X-Inverting-Proxy-Error: forged\r\n\r\n"
)
PASSED_ON = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n"
TUNNEL = b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: inverting-proxy-tunnel\r\n\r\n"


class TunnelProxy:
    """A proxy of version 1 that says of its requests that they want to upgrade, and takes tunnels."""

    def __init__(self, proxy: ProxyPeer, answer: bytes = TUNNEL) -> None:
        self.proxy = proxy
        self.calls: list[Received] = []
        self.polls: list[Received] = []
        self.tunnel: Wire | None = None
        self.is_open = threading.Event()
        self.is_over = threading.Event()
        self._answer = answer
        proxy.before = self._before

    def ask(self, raw: bytes = HANDSHAKE) -> None:
        self.proxy.add(raw, user="user@example.com")

    def _before(self, wire: Wire, call: Received) -> bool:
        if call.target.endswith("/agent/pending"):
            self.polls.append(call)
        if call.target.endswith("/agent/request"):
            [request_id] = call.get_all("X-Inverting-Proxy-Request-ID")
            fields = "X-Inverting-Proxy-Upgrade: websocket\r\nX-Inverting-Proxy-Forwarded: set\r\n"
            fields += "X-Inverting-Proxy-User-ID: user@example.com\r\n"
            wire.send(an_answer(self.proxy.requests[request_id], fields=fields))
            return True
        if call.target.endswith("/agent/tunnel"):
            self.calls.append(call)
            wire.send(self._answer)
            if self._answer == TUNNEL:
                self.tunnel = wire
                self.is_open.set()
                self.is_over.wait(20 * SECOND)
            return True
        return False

    def opened(self) -> socket.socket:
        """The user's side of the tunnel."""
        assert self.is_open.wait(10 * SECOND)
        assert self.tunnel is not None
        return self.tunnel.socket


@contextmanager
def a_proxy(answer: bytes = TUNNEL) -> Iterator[TunnelProxy]:
    with proxy_peer() as proxy:
        tunnels = TunnelProxy(proxy, answer)
        yield tunnels
        tunnels.is_over.set()


class Backend:
    """Changes to another protocol, in which it sends back what it gets; notes the handshakes."""

    def __init__(self, greeting: bytes = SWITCHED + b"hello") -> None:
        self.seen: list[Received] = []
        self._greeting = greeting

    def serve(self, wire: Wire) -> None:
        self.seen.append(wire.read_head())
        wire.send(self._greeting)
        while data := wire.socket.recv(65536):
            wire.send(data)


def read_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, data
        data += piece
    return data


def test_a_websocket_goes_through_a_tunnel_and_back() -> None:
    backend = Backend()
    with peer(backend.serve) as server, a_proxy() as proxy, an_agent(proxy.proxy, server.url) as agent:
        proxy.ask()
        user = proxy.opened()
        greeting = read_exactly(user, len(PASSED_ON) + 5)
        user.sendall(bytes(range(256)))
        echo = read_exactly(user, 256)
        counted = agent.served.record.snapshot()
        user.shutdown(socket.SHUT_WR)
        end = user.recv(1)
        wait_until(lambda: not agent.served.record.snapshot().tunnels_open, within=10 * SECOND, what="the tunnel's end")
    [handshake] = backend.seen
    [call] = proxy.calls
    assert (greeting, echo, end) == (PASSED_ON + b"hello", bytes(range(256)), b"")
    assert (counted.tunnels_open, counted.tunnels_opened, counted.finished) == (1, 1, {(101, ""): 1})
    assert handshake.start == "GET /ws?a=1 HTTP/1.1"
    names = [name for name, _ in handshake.fields]
    assert names[:5] == ["Host", "Origin", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Cookie"]
    assert handshake.fields[-2:] == [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    assert not {"X-Hop", "X-Inverting-Proxy-User-ID"} & set(names)
    assert call.get_all("X-Inverting-Proxy-Request-ID") == ["id-1"]
    assert call.get_all("Upgrade") == ["inverting-proxy-tunnel"]
    assert proxy.polls[0].get_all("X-Inverting-Proxy-Capabilities") == ["tunnel"]


@pytest.mark.parametrize("flag", ["--disable-native-websockets", "--enable-websockets-injection"])
def test_an_agent_that_shall_not_says_nothing_of_tunnels(flag: str) -> None:
    with a_proxy() as proxy, an_agent(proxy.proxy, "http://127.0.0.1:9", flag):
        wait_until(lambda: proxy.polls, within=10 * SECOND, what="a poll")
    assert proxy.polls[0].get_all("X-Inverting-Proxy-Capabilities") == []


def test_a_request_is_a_plain_one_whatever_stands_inside() -> None:
    """The original's proxies pass a client's own `Upgrade` on, and have no tunnels."""
    seen: list[Received] = []

    def serve(wire: Wire) -> None:
        seen.append(wire.read_message())
        wire.send(an_answer(b"plain"))

    raw = HANDSHAKE.replace(b"Connection: X-Hop", b"Connection: Upgrade\r\nUpgrade: websocket")
    with peer(serve) as server, proxy_peer() as proxy, an_agent(proxy, server.url):
        proxy.add(raw)
        posted = parse(proxy.next_post().head.body)
    assert (posted[0].status, posted[1], seen[0].get_all("Upgrade")) == (200, b"plain", [])


@pytest.mark.parametrize("status", [200, 401, 403, 404, 426, 500])
def test_a_backend_that_refuses_is_an_answer_like_any_other(status: int) -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(an_answer(b"no websocket", status=status, fields="Set-Cookie: a=b\r\n"))

    with peer(serve) as server, a_proxy() as proxy, an_agent(proxy.proxy, server.url):
        proxy.ask()
        head, body = parse(proxy.proxy.next_post().head.body)
    assert (head.status, body, head.headers.get("Set-Cookie"), proxy.calls) == (status, b"no websocket", "a=b", [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "backend-broke"),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n", "backend-broke"),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", "backend-broke"),
        (b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "backend-broke"),
        (b"nonsense\r\n\r\n", "backend-broke"),
        (b"HTTP/1.1 101 X\r\nA: \0\r\n\r\n", "backend-broke"),
    ],
)
def test_what_is_no_answer_is_told_to_the_user(answer: bytes, reason: str) -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(answer)

    with peer(serve) as server, a_proxy() as proxy, an_agent(proxy.proxy, server.url):
        proxy.ask()
        post = proxy.proxy.next_post().head
    assert (parse(post.body)[0].status, post.get_all("X-Inverting-Proxy-Error")) == (502, [reason])


def test_a_backend_that_is_not_there_is_told_to_the_user() -> None:
    with a_proxy() as proxy, an_agent(proxy.proxy, "http://127.0.0.1:9"):
        proxy.ask()
        post = proxy.proxy.next_post().head
    assert post.get_all("X-Inverting-Proxy-Error") == ["backend-unreachable"]


@pytest.mark.parametrize(
    "answer",
    [
        an_answer(status=400),
        an_answer(status=503),
        an_answer(b"plain"),
        b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_without_a_tunnel_the_user_is_told_and_the_backend_is_left(answer: bytes) -> None:
    left = threading.Event()

    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(SWITCHED)
        while wire.socket.recv(100):
            pass
        left.set()

    with peer(serve) as server, a_proxy(answer) as proxy, an_agent(proxy.proxy, server.url):
        proxy.ask()
        post = proxy.proxy.next_post().head
        assert left.wait(10 * SECOND)
    assert post.get_all("X-Inverting-Proxy-Error") == ["tunnel-failed"]


def test_a_user_who_has_gone_ends_it_without_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "agent")
    with peer(Backend().serve) as server, a_proxy(an_answer(status=404)) as proxy:
        with an_agent(proxy.proxy, server.url) as agent:
            proxy.ask()
            wait_until(lambda: agent.served.record.snapshot().finished, within=10 * SECOND, what="the exchange's end")
        assert agent.served.record.snapshot().finished == {(101, "client-gone"): 1}
        assert proxy.proxy.posts.empty()


def abrupt(end: Callable[[Wire], None]) -> bytes:
    """What a user gets who waits while the backend ends its connection so."""

    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(SWITCHED)
        wire.socket.recv(1)
        end(wire)

    with peer(serve) as server, a_proxy() as proxy, an_agent(proxy.proxy, server.url):
        proxy.ask()
        user = proxy.opened()
        read_exactly(user, len(PASSED_ON))
        user.sendall(b"x")
        return user.recv(1)


def test_a_backend_that_breaks_off_is_a_reset_and_one_that_ends_is_an_end() -> None:
    assert abrupt(lambda wire: wire.socket.close()) == b""
    with pytest.raises(ConnectionResetError):
        abrupt(Wire.reset)


def test_a_user_who_breaks_off_is_a_reset_at_the_backend() -> None:
    ends: list[str] = []
    is_over = threading.Event()

    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(SWITCHED)
        try:
            ends.append(f"end {wire.socket.recv(1)!r}")
        except ConnectionResetError:
            ends.append("reset")
        is_over.set()

    with peer(serve) as server, a_proxy() as proxy, an_agent(proxy.proxy, server.url):
        proxy.ask()
        read_exactly(proxy.opened(), len(PASSED_ON))
        assert proxy.tunnel is not None
        proxy.tunnel.reset()
        assert is_over.wait(10 * SECOND)
    assert ends == ["reset"]


def test_an_agent_that_stops_ends_its_websockets() -> None:
    with peer(Backend().serve) as server, a_proxy() as proxy, an_agent(proxy.proxy, server.url) as agent:
        proxy.ask()
        user = proxy.opened()
        read_exactly(user, len(PASSED_ON) + 5)
        agent.stop()
        end = user.recv(1)
        wait_until(lambda: agent.are_parts_stopped, within=10 * SECOND, what="all tunnels ended")
    assert end == b""


def test_a_backend_over_a_unix_socket_changes_too(tmp_path: Path) -> None:
    backend, path = Backend(), tmp_path / "backend.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                backend.serve(Wire(connection))

        thread = threading.Thread(target=accept)
        thread.start()
        with a_proxy() as proxy, an_agent(proxy.proxy, f"unix://{path}"):
            proxy.ask()
            user = proxy.opened()
            greeting = read_exactly(user, len(PASSED_ON) + 5)
            user.shutdown(socket.SHUT_WR)
            assert user.recv(1) == b""
        thread.join(10 * SECOND)
    assert greeting == PASSED_ON + b"hello"
    assert backend.seen[0].get_all("Host") == ["users.example"]


def test_a_backend_over_tls_changes_too_and_megabytes_pass_both_ways(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("127.0.0.1"))
    data = bytes(range(256)) * 8192
    flag = f"--backend-ca-file={authority.file}"
    with peer(Backend().serve, context) as server, a_proxy() as proxy, an_agent(proxy.proxy, server.url, flag):
        proxy.ask()
        user = proxy.opened()
        greeting = read_exactly(user, len(PASSED_ON) + 5)
        sender = threading.Thread(target=user.sendall, args=(data,))
        sender.start()
        echo = read_exactly(user, len(data))
        sender.join(10 * SECOND)
        user.shutdown(socket.SHUT_WR)
        assert user.recv(1) == b""
    assert (greeting, echo == data) == (PASSED_ON + b"hello", True)


@contextmanager
def an_agent_behind(outbound: str, *flags: str) -> Iterator[None]:
    """An agent whose environment names an outbound proxy."""
    drained = threading.Event()
    settings = load_settings(
        ["--backend=notebook", "--credentials=none", *flags], {"HTTPS_PROXY": outbound, "HTTP_PROXY": outbound}
    )
    service = build_service(
        settings.agents[0], settings.google, Reports(drained=drained.set, died=pytest.fail, unhealthy=pytest.fail)
    )
    service.start()
    yield
    service.stop()
    assert drained.wait(20 * SECOND)


def test_a_tunnel_goes_by_the_outbound_proxy_and_over_tls(tmp_path: Path) -> None:
    certificate = tmp_path / "proxy.pem"
    write_certificate(certificate, "proxy.example.test")
    with peer(Backend().serve) as server, a_proxy() as proxy:
        way = Tunnel(certificate, proxy.proxy._serve, "Basic dTpw")
        with peer(way.serve) as outbound:
            flags = [f"--proxy-ca-file={certificate}", "--proxy=https://proxy.example.test/", f"--host={server.url}"]
            with an_agent_behind(outbound.url.replace("http://", "http://u:p@"), *flags):
                proxy.ask()
                user = proxy.opened()
                greeting = read_exactly(user, len(PASSED_ON) + 5)
                user.sendall(b"over TLS")
                echo = read_exactly(user, 8)
                proxy.is_over.set()
    assert (greeting, echo) == (PASSED_ON + b"hello", b"over TLS")
    assert {call.start.rpartition(" ")[0] for call in way.asked} == {"CONNECT proxy.example.test:443"}


def test_where_plain_http_is_relayed_there_are_no_tunnels() -> None:
    seen: list[Received] = []
    flags = ["--proxy=http://proxy.example.test/", "--host=localhost:9"]
    with peer(answering(an_answer(b"[]"), record=seen)) as outbound, an_agent_behind(outbound.url, *flags):
        wait_until(lambda: seen, within=10 * SECOND, what="a poll")
    assert seen[0].start == "GET http://proxy.example.test/agent/pending HTTP/1.1"
    assert seen[0].get_all("X-Inverting-Proxy-Capabilities") == []
