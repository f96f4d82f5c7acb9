"""The tunnels of a proxy: those that arrive, those that are open, their limits and their lines in the log."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from broker.errors import Overloaded, UnknownRequest
from edge.logs import Access
from standalone.connections.splice import End
from standalone.websockets.tunnels import AgentEnd, Tunnels
from tests.factories import REQUEST
from tests.fakes.clock import FakeClock
from tests.fakes.event_loop import run_at_once
from tests.unit.standalone.connections.test_splice import FakeTransport

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n"
ACCESS = Access(
    trace="trace", method="GET", target="/ws?q", status=101, received=0, sent=0, total=timedelta(seconds=1), backend="b"
)


class Bench:
    """Tunnels, and what agents' heads came to."""

    def __init__(self, *, idle: timedelta = timedelta(hours=1), limit: int = 10) -> None:
        self.clock = FakeClock()
        self.tunnels = Tunnels(now=self.clock.now, idle=idle, limit=limit)
        self.heads: list[bytes] = []
        self.given_up = 0
        self.is_wanted = self.may_stay = self.is_allowed = True

    def arrive(self, data: bytes = HEAD) -> tuple[AgentEnd, FakeTransport]:
        """An agent's end on which this has come."""

        def answer(head: bytes) -> None:
            if not self.is_wanted:
                raise UnknownRequest(REQUEST)
            self.heads.append(head)

        def give_up() -> None:
            self.given_up += 1

        end, transport = self.tunnels.open_for(REQUEST, answer, give_up, lambda: self.may_stay), FakeTransport()
        end.connection_made(transport)  # type: ignore[arg-type]
        if data:
            end.data_received(data)
        return end, transport

    def join(self) -> tuple[End, FakeTransport, AgentEnd, FakeTransport]:
        """A tunnel that is open."""
        agent, to_agent = self.arrive()
        user, to_user = End(), FakeTransport()
        user.connection_made(to_user)  # type: ignore[arg-type]
        taken = self.tunnels.take(REQUEST)
        assert taken is agent
        self.tunnels.join(user, agent, ACCESS, lambda: self.is_allowed)
        return user, to_user, agent, to_agent


def run(scenario: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(Bench()), 5)

    run_at_once(main())


def test_a_head_is_given_once_however_it_is_cut_and_what_follows_waits_for_the_user() -> None:
    async def scenario(bench: Bench) -> None:
        agent, _ = bench.arrive(b"")
        for at in range(len(HEAD)):
            agent.data_received(HEAD[at : at + 1])
        agent.data_received(b"first")
        agent.data_received(b" frames")

        assert (bench.heads, agent.take_early()) == ([HEAD], b"first frames")

    run(scenario)


def test_bytes_behind_a_head_in_the_same_piece_are_the_first_of_the_tunnel() -> None:
    async def scenario(bench: Bench) -> None:
        agent, _ = bench.arrive(HEAD + b"frames")

        assert (bench.heads, agent.take_early()) == ([HEAD], b"frames")

    run(scenario)


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 101 \r\nA : b\r\n\r\n"])
def test_a_tunnel_that_begins_with_anything_else_is_given_up(data: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        _, transport = bench.arrive(data)

        assert (bench.heads, bench.given_up, transport.done) == ([], 1, ["abort"])

    run(scenario)


def test_a_tunnel_that_ends_or_breaks_within_its_head_is_given_up() -> None:
    async def scenario(bench: Bench) -> None:
        ended, _ = bench.arrive(HEAD[:9])
        ended.eof_received()
        broken, _ = bench.arrive(HEAD[:9])
        broken.connection_lost(ConnectionResetError())

        assert (bench.heads, bench.given_up, bench.tunnels.take(REQUEST)) == ([], 2, None)

    run(scenario)


def test_a_tunnel_that_nobody_wants_is_ended() -> None:
    async def scenario(bench: Bench) -> None:
        bench.is_wanted = False
        _, unwanted = bench.arrive()
        bench.is_wanted = True
        _, discarded = bench.arrive()
        bench.tunnels.discard(REQUEST)
        bench.tunnels.discard(REQUEST)

        assert (unwanted.done, discarded.done, bench.given_up) == (["abort"], ["abort"], 0)

    run(scenario)


def test_the_line_of_a_tunnel_is_written_when_it_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scenario(bench: Bench) -> None:
        user, _, agent, _ = bench.join()
        user.data_received(b"12345")
        agent.data_received(b"123")
        bench.clock.advance(timedelta(seconds=60))
        user.connection_lost(None)
        was_open = len(bench.tunnels)
        agent.connection_lost(None)

        assert (was_open, len(bench.tunnels)) == (1, 0)

    run(scenario)
    assert caplog.messages == ["trace GET /ws 101 5>3B -/61000ms backend=b"]


def test_one_without_a_byte_for_too_long_is_ended_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scenario(bench: Bench) -> None:
        bench.tunnels = Tunnels(now=bench.clock.now, idle=timedelta(seconds=0.05))
        user, to_user, agent, to_agent = bench.join()
        bench.tunnels.sweep()
        before = [*to_user.done, *to_agent.done].count("abort")
        await asyncio.sleep(0.1)
        bench.tunnels.sweep()
        after = to_user.done[-1], to_agent.done[-1]
        user.connection_lost(None)
        agent.connection_lost(None)

        assert (before, after) == (0, ("abort", "abort"))

    run(scenario)
    assert caplog.messages[-1].endswith("reason=websocket-idle")


@pytest.mark.parametrize(("whose", "reason"), [("may_stay", "agent-lost"), ("is_allowed", "not-allowed")])
def test_one_that_is_not_allowed_any_more_is_ended_and_the_log_says_whose_fault_it_is(
    whose: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def scenario(bench: Bench) -> None:
        user, to_user, agent, to_agent = bench.join()
        bench.tunnels.sweep()
        before = [*to_user.done, *to_agent.done].count("abort")
        setattr(bench, whose, False)
        bench.tunnels.sweep()
        after = to_user.done[-1], to_agent.done[-1]
        user.connection_lost(None)
        agent.connection_lost(None)

        assert (before, after) == (0, ("abort", "abort"))

    run(scenario)
    assert caplog.messages[-1].endswith(f"reason={reason}")


def test_one_that_a_task_serves_is_cancelled_once_when_it_is_not_allowed_any_more() -> None:
    async def scenario(bench: Bench) -> None:
        cancelled = 0

        async def serve() -> None:
            nonlocal cancelled
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled += 1
            await asyncio.sleep(0.01)  # what it says at its end

        task = asyncio.ensure_future(serve())
        bench.tunnels.keep(task, lambda: bench.is_allowed)
        await asyncio.sleep(0)
        bench.tunnels.sweep()
        before = task.cancelling()
        bench.is_allowed = False
        for _ in range(3):
            bench.tunnels.sweep()
            await asyncio.sleep(0)
        await task

        assert (before, cancelled, task.cancelling(), len(bench.tunnels)) == (0, 1, 1, 0)

    run(scenario)


def test_all_are_ended_when_the_proxy_stops(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scenario(bench: Bench) -> None:
        user, to_user, agent, to_agent = bench.join()
        bench.tunnels.close()
        bench.tunnels.abort()
        done = to_user.done[-2:], to_agent.done[-2:]
        user.connection_lost(None)
        agent.connection_lost(None)

        assert done == (["close", "abort"], ["close", "abort"])

    run(scenario)
    assert caplog.messages[-1].endswith("reason=stopping")


def test_there_is_a_limit_and_a_place_is_taken_before_it_is_known_whether_the_backend_agrees() -> None:
    async def scenario(bench: Bench) -> None:
        bench.tunnels = Tunnels(now=bench.clock.now, limit=2)
        with suppress(UnknownRequest), bench.tunnels.place():
            raise UnknownRequest("a handshake that fails")
        with bench.tunnels.place():
            bench.join()
        with bench.tunnels.place(), pytest.raises(Overloaded, match="2 websockets"), bench.tunnels.place():
            pass

    run(scenario)
