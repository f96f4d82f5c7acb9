"""Requests that want to upgrade: the handshake, and what comes of it."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.messages import Request, Response, whole_body
from agent.pipeline import Handler
from agent.proxy.errors import Gone, NotAProxy
from agent.transport.errors import Broken, Unreachable
from agent.transport.upgrading import Changed
from agent.tunnels.assembly import AssembledTunnels, assemble_tunnels
from tests.timing import SECOND
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead
from wire.protocol import TUNNEL_PROTOCOL, RequestId
from wire.upgrades import upgrade_fields

PLAIN = Request(RequestId("id-1"), "", RequestHead("GET", "/ws?secret", Headers([("Host", "h")]), None), b"")
UPGRADE = replace(PLAIN, upgrade="websocket")
ACCEPTED = Headers([*upgrade_fields("WebSocket"), ("Sec-WebSocket-Accept", "x")])


class Bench:
    """The handler between a backend and a proxy that are ends of sockets."""

    def __init__(self, *, most: int = 10) -> None:
        self.backend, self._backend = socket.socketpair()
        self.proxy, self._proxy = socket.socketpair()
        for peer in (self.backend, self.proxy):
            peer.settimeout(10 * SECOND)
        self.outcome: Response | Changed | Exception = Changed(ACCEPTED, self._backend, b"first")
        self.tunnel: Exception | None = None
        self.assembled: AssembledTunnels = assemble_tunnels(
            lambda request: Response(ResponseHead(204, Headers(), None), whole_body(b"")),
            around=self._around,
            change=self._change,
            open_tunnel=self._open,
            most=most,
        )

    def _around(self, inner: Handler) -> Handler:
        """As sessions and hygiene would, it takes something out of the answer."""

        def handle(request: Request) -> Response:
            response = inner(request)
            headers = response.head.headers.without("Connection", "Upgrade").adding(("Set-Cookie", "ours"))
            return replace(response, head=replace(response.head, headers=headers))

        return handle

    def _change(self, request: Request) -> Response | Changed:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def _open(self, request_id: RequestId) -> Changed:
        if self.tunnel is not None:
            raise self.tunnel
        return Changed(Headers(upgrade_fields(TUNNEL_PROTOCOL)), self._proxy, b"early")

    def ask(self, request: Request = UPGRADE) -> Response:
        return self.assembled.handler(request)

    def is_backend_left(self) -> bool:
        """True if the backend's connection has been closed."""
        return self._backend.fileno() == -1

    def close(self) -> None:
        self.assembled.loop.close(timeout=10 * SECOND)
        for sock in (self.backend, self._backend, self.proxy, self._proxy):
            sock.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_a_request_that_wants_no_upgrade_goes_on() -> None:
    bench = Bench()

    assert bench.ask(PLAIN).head.status == 204
    bench.close()


def test_a_websocket_is_a_tunnel_that_begins_with_the_head_as_it_travels_on(bench: Bench) -> None:
    response = bench.ask()
    head = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nSet-Cookie: ours\r\n\r\n"

    assert (response.head.status, response.is_delivered, response.failure) == (101, True, "")
    assert bench.proxy.recv(1000) == head + b"first"
    assert bench.backend.recv(1000) == b"early"
    assert len(bench.assembled.tunnels) == 1


def test_a_backend_that_refuses_answers_like_any_other(bench: Bench) -> None:
    bench.outcome = Response(ResponseHead(403, Headers(), 3), whole_body(b"no!"))
    response = bench.ask()

    assert (response.head.status, response.is_delivered, list(response.events)[0]) == (403, False, b"no!")


def test_a_backend_that_fails_fails(bench: Bench) -> None:
    bench.outcome = Unreachable("no connection")

    with pytest.raises(Unreachable):
        bench.ask()


def test_a_101_to_another_protocol_is_no_answer(bench: Bench) -> None:
    bench.outcome = Changed(Headers(upgrade_fields("h2c")), bench._backend, b"")

    with pytest.raises(Broken, match="another protocol"):
        bench.ask()
    assert bench.is_backend_left()


def test_a_101_that_cannot_be_passed_on_is_no_answer(bench: Bench) -> None:
    bench.outcome = Changed(ACCEPTED.adding(("Bad", "a\rb")), bench._backend, b"")

    with pytest.raises(Broken, match="passed on"):
        bench.ask()
    assert bench.is_backend_left()


def test_a_user_who_has_gone_is_no_failure(bench: Bench) -> None:
    bench.tunnel = Gone("404")
    response = bench.ask()

    assert (response.is_delivered, response.failure, bench.is_backend_left()) == (True, "client-gone", True)


def test_without_a_tunnel_the_user_is_told(bench: Bench) -> None:
    bench.tunnel = NotAProxy("a server in between")
    response = bench.ask()

    assert (response.head.status, response.failure, bench.is_backend_left()) == (502, "tunnel-failed", True)
    assert not response.is_delivered


def test_there_is_a_limit_and_a_place_is_free_again_after_a_failure() -> None:
    bench = Bench(most=1)
    bench.outcome = Unreachable("no connection")
    for _ in range(3):
        with pytest.raises(Unreachable):
            bench.ask()
    bench.outcome = Changed(ACCEPTED, bench._backend, b"")
    first, second = bench.ask(), bench.ask()

    assert (first.head.status, second.head.status, second.failure) == (101, 503, "too-many-websockets")
    bench.close()


def test_an_agent_that_stops_ends_its_websockets_and_opens_no_more(bench: Bench) -> None:
    bench.ask()
    bench.assembled.stop()
    late = bench.ask()
    while bench.proxy.recv(1000):
        pass

    assert bench.backend.recv(1000) in (b"early", b"")
    assert (late.head.status, late.failure) == (503, "agent-stopping")
