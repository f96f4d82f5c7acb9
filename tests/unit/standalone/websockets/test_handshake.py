"""Websockets through the application, without a server: who gets one, and what becomes of its exchange."""

from typing import Any

import pytest

from tests.factories import BACKEND, a_backend, seconds
from tests.unit.standalone.connections.test_splice import FakeTransport
from tests.unit.standalone.scripted import AGENT_FIELDS, OK, Bench, Passes, Peer, run, turns
from wire.protocol import RequestId

KEY = ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
HANDSHAKE = (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), KEY)
POLL = (*AGENT_FIELDS, ("X-Inverting-Proxy-Capabilities", "x, tunnel"))
TUNNEL = (
    *AGENT_FIELDS,
    ("X-Inverting-Proxy-Request-ID", "request-1"),
    ("Connection", "Upgrade"),
    ("Upgrade", "inverting-proxy-tunnel"),
)
SWITCHED = b"HTTP/1.1 101 \r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-App: 2\r\nX-Inverting-Proxy-User-ID: root\r\n\r\n"


class Changing:
    """A connection that changes, or one that is gone."""

    def __init__(self, *, is_gone: bool = False) -> None:
        self.head = b""
        self.transport = FakeTransport()
        self.end: Any = None
        self._is_gone = is_gone

    def take_over(self, head: bytes, end: Any) -> bool:
        if self._is_gone:
            return False
        self.head, self.end = head, end
        end.connection_made(self.transport)
        return True


def begin(bench: Bench, target: str, *fields: tuple[str, str], changing: Changing | None = None) -> Peer:
    """A GET on a connection that can change if one is given."""
    return bench.start("GET", target, *fields, take_over=changing.take_over if changing else None)


async def poll(bench: Bench) -> Peer:
    return await begin(bench, "/agent/pending", *POLL).done()


async def know(bench: Bench) -> None:
    """An agent that takes upgrades has polled."""
    waiting = begin(bench, "/agent/pending", *POLL)
    await turns()
    waiting.task.cancel()
    await turns()


async def ask(bench: Bench, user: Changing | None = None) -> Peer:
    """A user asks for a websocket, and there is an agent that takes upgrades."""
    await know(bench)
    asking = begin(bench, "/ws", *HANDSHAKE, changing=user or Changing())
    await turns()
    return asking


async def ask_and_fetch(bench: Bench, user: Changing | None = None) -> Peer:
    """A user asks for a websocket, and an agent has fetched that request."""
    asking = await ask(bench, user)
    await poll(bench)
    await bench.fetch("request-1").done()
    return asking


def test_a_websocket_is_a_tunnel_with_the_backends_head_at_its_beginning() -> None:
    async def scenario(bench: Bench) -> None:
        user, agent = Changing(), Changing()
        asking = await ask(bench, user)
        listed = await poll(bench)
        fetched = await bench.fetch("request-1").done()
        await begin(bench, "/agent/tunnel", *TUNNEL, changing=agent).done()
        agent.end.data_received(SWITCHED + b"frames")
        await asking.done()
        user.end.data_received(b"back")

        assert (listed.body, fetched.fields["X-Inverting-Proxy-Upgrade"]) == (b'["request-1"]', "websocket")
        assert b"Upgrade" not in fetched.body
        assert b"Sec-WebSocket-Version: 13\r\n" in fetched.body
        assert agent.head.endswith(b"\r\nConnection: Upgrade\r\nUpgrade: inverting-proxy-tunnel\r\n\r\n")
        assert user.head == (
            b"HTTP/1.1 101 Switching Protocols\r\nX-App: 2\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert (user.transport.written, agent.transport.written) == (b"frames", b"back")
        assert not bench.store.has_exchange(BACKEND, RequestId("request-1"))

    run(scenario)


@pytest.mark.parametrize(("shows_newer", "lives"), [(False, False), (True, True)])
def test_a_websocket_ends_with_the_right_of_its_agent_and_outlives_a_token_that_is_replaced(
    shows_newer: bool, lives: bool
) -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        user, agent = Changing(), Changing()
        asking = await ask_and_fetch(bench, user)
        await begin(bench, "/agent/tunnel", *TUNNEL, changing=agent).done()
        agent.end.data_received(SWITCHED)
        await asking.done()
        passes.good.remove("")
        bench.app.keep_house()
        newer = begin(bench, "/agent/pending", *POLL, ("Authorization", "newer" if shows_newer else ""))
        await turns()
        bench.clock.advance(seconds(4.9))
        bench.app.keep_house()
        still = [*user.transport.done, *agent.transport.done]
        bench.clock.advance(seconds(0.1))
        bench.app.keep_house()

        assert "abort" not in still
        assert ("abort" in user.transport.done, "abort" in agent.transport.done) == (not lives, not lives)
        newer.task.cancel()

    run(scenario, access=passes.access)


def test_a_websocket_ends_when_its_backend_is_registered_for_another_user() -> None:
    async def scenario(bench: Bench) -> None:
        user, agent = Changing(), Changing()
        asking = await ask_and_fetch(bench, user)
        await begin(bench, "/agent/tunnel", *TUNNEL, changing=agent).done()
        agent.end.data_received(SWITCHED)
        await asking.done()
        bench.app.keep_house()
        before = list(user.transport.done)
        bench.store.put_backend(a_backend(end_user="another@example.org"))
        bench.app.keep_house()

        assert ("abort" in before, "abort" in user.transport.done) == (False, True)

    run(scenario)


def test_a_backend_that_refuses_answers_like_any_other() -> None:
    async def scenario(bench: Bench) -> None:
        asking = await ask_and_fetch(bench)
        posting = bench.post("request-1", b"HTTP/1.1 4", b"03 Forbidden\r\nContent-Length: 3\r\n\r\n", b"no!")
        await posting.done()
        await asking.done()

        assert (asking.status, asking.body, asking.is_whole) == (403, b"no!", True)

    run(scenario)


def test_only_an_agent_that_takes_upgrades_is_offered_one() -> None:
    async def scenario(bench: Bench) -> None:
        asking = await ask(bench)
        other = bench.poll()
        await turns()
        was_listed = other.task.done()
        other.task.cancel()

        assert not was_listed
        assert (await poll(bench)).body == b'["request-1"]'
        asking.task.cancel()

    run(scenario)


def test_a_batch_has_the_upgrade_beside_the_request() -> None:
    async def scenario(bench: Bench) -> None:
        asking = await ask(bench)
        batch = ("Accept", "multipart/mixed, application/json;q=0.5")
        polled = await begin(
            bench,
            "/agent/pending",
            *POLL,
            batch,
            ("X-Inverting-Proxy-Poll-ID", "p"),
            ("X-Inverting-Proxy-Capacity", "1"),
        ).done()

        assert b"\r\nX-Inverting-Proxy-Upgrade: websocket\r\n" in polled.body
        assert b"\r\n\r\nGET /ws HTTP/1.1\r\n" in polled.body
        asking.task.cancel()

    run(scenario)


def test_without_such_an_agent_it_is_refused_at_once() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        asking = await begin(bench, "/ws", *HANDSHAKE, changing=Changing()).done()

        assert (asking.status, asking.fields["X-Inverting-Proxy-Error"]) == (501, "upgrade-not-supported")

    run(scenario)


@pytest.mark.parametrize(
    ("fields", "can_change", "refusal"),
    [
        (HANDSHAKE, False, (400, "malformed-request")),
        ((*HANDSHAKE[:2], KEY), True, (426, "websocket-version")),
        ((*HANDSHAKE[:2], ("Sec-WebSocket-Version", "8"), KEY), True, (426, "websocket-version")),
        (HANDSHAKE[:3], True, (400, "malformed-request")),
        ((*HANDSHAKE[:3], (KEY[0], "AAAA")), True, (400, "malformed-request")),
        ((*HANDSHAKE, KEY), True, (400, "malformed-request")),
    ],
)
def test_a_handshake_that_is_none_is_refused(
    fields: tuple[tuple[str, str], ...], can_change: bool, refusal: tuple[int, str]
) -> None:
    async def scenario(bench: Bench) -> None:
        await know(bench)
        asking = await begin(bench, "/ws", *fields, changing=Changing() if can_change else None).done()

        assert (asking.status, asking.fields["X-Inverting-Proxy-Error"]) == refusal

    run(scenario)


def test_a_handshake_has_its_place_among_the_websockets_from_its_beginning_to_its_end() -> None:
    async def scenario(bench: Bench) -> None:
        first = await ask_and_fetch(bench)
        second = await begin(bench, "/ws", *HANDSHAKE, changing=Changing()).done()
        await bench.post("request-1", OK).done()
        await first.done()
        third = begin(bench, "/ws", *HANDSHAKE, changing=Changing())
        await turns()

        assert (second.status, second.fields["X-Inverting-Proxy-Error"]) == (503, "overloaded")
        assert (first.status, third.task.done()) == (200, False)
        third.task.cancel()

    run(scenario, websockets=1)


def test_a_101_without_a_tunnel_is_a_broken_answer() -> None:
    async def scenario(bench: Bench) -> None:
        asking = await ask_and_fetch(bench)
        await bench.post("request-1", SWITCHED).done()
        await asking.done()

        assert (asking.status, asking.fields["X-Inverting-Proxy-Error"]) == (502, "broken-answer")

    run(scenario)


@pytest.mark.parametrize("posted", [b"HTTP/1.1 101 X\r\nA", b"nonsense\r\n"])
def test_a_post_that_is_no_answer_is_a_broken_answer(posted: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        asking = await ask_and_fetch(bench)
        bench.post("request-1", posted)
        await asking.done()

        assert (asking.status, asking.fields["X-Inverting-Proxy-Error"]) == (502, "broken-answer")

    run(scenario)


def test_a_tunnel_that_breaks_off_within_its_head_is_told_to_the_user() -> None:
    async def scenario(bench: Bench) -> None:
        agent = Changing()
        asking = await ask_and_fetch(bench)
        await begin(bench, "/agent/tunnel", *TUNNEL, changing=agent).done()
        agent.end.connection_lost(ConnectionResetError())
        await asking.done()

        assert (asking.status, asking.fields["X-Inverting-Proxy-Error"]) == (502, "tunnel-broke")

    run(scenario)


def test_a_user_who_goes_away_takes_the_tunnel_with_him() -> None:
    async def scenario(bench: Bench) -> None:
        agent = Changing()
        asking = await ask_and_fetch(bench, Changing(is_gone=True))
        await begin(bench, "/agent/tunnel", *TUNNEL, changing=agent).done()
        agent.end.data_received(SWITCHED)
        await asking.done()

        assert agent.transport.done[-1] == "abort"
        assert not bench.store.has_exchange(BACKEND, RequestId("request-1"))

    run(scenario)


async def call_tunnel(bench: Bench, *fields: tuple[str, str], changing: Changing | None) -> tuple[int, str]:
    reply = await begin(bench, "/agent/tunnel", *fields, changing=changing).done()
    return reply.status, reply.fields["X-Inverting-Proxy-Error"]


def test_a_tunnel_is_for_the_agent_that_has_the_request_and_for_one_that_wants_to_upgrade() -> None:
    async def scenario(bench: Bench) -> None:
        await know(bench)
        plain = begin(bench, "/plain")
        await turns()
        unknown = await call_tunnel(bench, *TUNNEL[:1], *TUNNEL[2:], changing=Changing())
        queued = await call_tunnel(bench, *TUNNEL, changing=Changing())
        await poll(bench)
        await bench.fetch("request-1").done()
        no_upgrade = await call_tunnel(bench, *TUNNEL, changing=Changing())
        no_change = await call_tunnel(bench, *TUNNEL, changing=None)
        other = await call_tunnel(bench, *TUNNEL[:4], ("Upgrade", "websocket"), changing=Changing())

        assert (unknown, queued) == ((409, "claimed-elsewhere"), (409, "claimed-elsewhere"))
        assert no_upgrade == no_change == other == (400, "no-upgrade")
        plain.task.cancel()

    run(scenario)


def test_a_request_that_is_answered_or_gone_gets_no_tunnel() -> None:
    async def scenario(bench: Bench) -> None:
        await know(bench)
        gone = await call_tunnel(bench, *TUNNEL, changing=Changing())
        asking = begin(bench, "/ws", *HANDSHAKE, changing=Changing())
        await turns()
        await poll(bench)
        await bench.fetch("request-1").done()
        request_id, now = RequestId("request-1"), bench.clock.now()
        bench.store.append_answer(BACKEND, request_id, 0, b"HTTP/1.1 1", agent_id="agent-1", last=False, now=now)
        begun = await call_tunnel(bench, *TUNNEL, changing=Changing())

        assert (gone, begun) == ((404, "unknown-request"), (409, "claimed-elsewhere"))
        asking.task.cancel()

    run(scenario)


def test_an_upgrade_whose_agent_vanished_goes_to_the_next() -> None:
    async def scenario(bench: Bench) -> None:
        asking = await ask_and_fetch(bench)
        await know(bench)
        bench.clock.advance(seconds(5))
        bench.app.keep_house()

        assert (await poll(bench)).body == b'["request-1"]'
        asking.task.cancel()

    run(scenario)
