"""Two connections made one, without sockets."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from standalone.connections.splice import EARLY_BYTES, End, Splice
from tests.fakes.event_loop import run_at_once


class FakeTransport:
    """Keeps what is written, and what was done to the connection, in order."""

    def __init__(self, *, half_closes: bool = True) -> None:
        self.written = b""
        self.done: list[str] = []
        self._half_closes = half_closes
        self.options: list[tuple[Any, ...]] = []
        self.family = socket.AF_INET

    def can_write_eof(self) -> bool:
        return self._half_closes

    def is_closing(self) -> bool:
        return "close" in self.done or "abort" in self.done

    def write(self, data: bytes) -> None:
        self.written += data

    def get_extra_info(self, name: str) -> "FakeTransport":
        assert name == "socket"
        return self

    def setsockopt(self, *option: Any) -> None:
        self.options.append(option)

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)


class Bench:
    """A splice of two fakes; `now` is its clock."""

    def __init__(self, *, user_tls: bool = False, agent_tls: bool = False) -> None:
        self.now = 0.0
        self.ended = 0
        self.to_user = FakeTransport(half_closes=not user_tls)
        self.to_agent = FakeTransport(half_closes=not agent_tls)
        self.user, self.agent = End(), End()
        self.user.connection_made(self.to_user)  # type: ignore[arg-type]
        self.agent.connection_made(self.to_agent)  # type: ignore[arg-type]
        self.splice = Splice(self.user, self.agent, time=lambda: self.now, on_end=self._end, linger=0.01)

    def _end(self, splice: Splice) -> None:
        assert splice is self.splice
        self.ended += 1

    def joined(self) -> "Bench":
        """Itself, with what came early passed on."""
        self.splice.join(from_user=self.user.take_early(), from_agent=self.agent.take_early())
        for transport in (self.to_user, self.to_agent):
            transport.done.clear()
        return self


def test_what_comes_on_either_is_written_to_the_other_and_counted() -> None:
    bench = Bench().joined()
    bench.now = 7.0
    bench.user.data_received(b"from user")
    bench.agent.data_received(b"back")

    assert (bench.to_agent.written, bench.to_user.written) == (b"from user", b"back")
    assert (bench.user.received, bench.agent.received, bench.splice.moved_at) == (9, 4, 7.0)


def test_what_comes_before_the_splice_is_passed_on_first() -> None:
    bench = Bench()
    bench.agent.data_received(b"early ")
    bench.joined().agent.data_received(b"late")

    assert bench.to_user.written == b"early late"


def test_an_end_that_waits_is_read_up_to_a_limit_and_goes_on_when_it_is_spliced() -> None:
    bench = Bench()
    bench.user.data_received(b"x" * (EARLY_BYTES - 1))
    before = list(bench.to_user.done)
    bench.user.data_received(b"x")
    bench.splice.join(from_user=bench.user.take_early())

    assert (before, bench.to_user.done) == ([], ["pause_reading", "resume_reading"])
    assert len(bench.to_agent.written) == EARLY_BYTES


def test_a_connection_that_does_not_take_more_stops_the_reading_of_the_other() -> None:
    bench = Bench().joined()
    bench.user.pause_writing()
    paused = list(bench.to_agent.done)
    bench.now = 3.0
    bench.user.resume_writing()

    assert (paused, bench.to_agent.done, bench.to_user.done) == (
        ["pause_reading"],
        ["pause_reading", "resume_reading"],
        [],
    )
    assert bench.splice.moved_at == 3.0


def test_the_end_of_one_direction_is_passed_on_and_the_other_goes_on() -> None:
    bench = Bench().joined()
    stays = bench.user.eof_received()
    bench.agent.data_received(b"still")

    assert (stays, bench.to_agent.done, bench.to_user.written, bench.to_user.done) == (
        True,
        ["write_eof"],
        b"still",
        [],
    )


def test_when_both_have_ended_both_are_closed_and_that_is_told_once() -> None:
    bench = Bench().joined()
    bench.user.eof_received()
    bench.agent.eof_received()
    before = bench.ended
    bench.user.connection_lost(None)
    bench.agent.connection_lost(None)

    assert (bench.to_user.done[0], bench.to_agent.done[:2]) == ("close", ["write_eof", "close"])
    assert (before, bench.ended) == (0, 1)


def test_an_end_over_tls_is_the_end_of_both() -> None:
    bench = Bench(agent_tls=True).joined()
    bench.user.eof_received()

    assert (bench.to_agent.done, bench.to_user.done) == (["close"], ["close"])
    assert not bench.agent.eof_received()


def test_an_end_before_the_splice_is_passed_on_behind_what_came() -> None:
    bench = Bench()
    bench.agent.data_received(b"bye")
    bench.agent.eof_received()
    bench.splice.join(from_agent=bench.agent.take_early())

    assert (bench.to_user.written, bench.to_user.done) == (b"bye", ["resume_reading", "write_eof"])


def test_a_connection_that_was_lost_before_the_splice_ends_it() -> None:
    bench = Bench()
    bench.agent.connection_lost(None)
    bench.splice.join()
    bench.user.connection_lost(None)

    assert ("close" in bench.to_user.done, bench.ended) == (True, 1)


def test_a_connection_that_breaks_is_passed_on_as_a_reset() -> None:
    bench = Bench().joined()
    bench.user.connection_lost(ConnectionResetError())

    assert bench.to_agent.done == ["abort"]
    assert (socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0") in bench.to_agent.options


def test_what_is_written_to_a_connection_that_has_ended_is_lost() -> None:
    bench = Bench().joined()
    bench.user.connection_lost(None)
    bench.agent.data_received(b"to nobody")
    bench.agent.eof_received()

    assert (bench.to_user.written, bench.to_user.done) == (b"", [])


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(), 5)

    run_at_once(main())


def test_one_that_breaks_after_its_end_leaves_the_other_time_to_read_what_came_before() -> None:
    async def scenario() -> None:
        bench = Bench().joined()
        bench.agent.data_received(b"last words")
        bench.agent.eof_received()
        bench.agent.connection_lost(BrokenPipeError())
        at_first = list(bench.to_user.done)
        await asyncio.sleep(0.05)

        assert (at_first, bench.to_user.done) == (["write_eof"], ["write_eof", "abort"])

    run(scenario)


def test_the_kernel_looks_after_a_silent_peer() -> None:
    bench = Bench()

    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in bench.to_user.options
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60) in bench.to_agent.options


def test_a_unix_socket_has_no_such_option() -> None:
    transport = FakeTransport()
    transport.family = socket.AF_UNIX
    End().connection_made(transport)  # type: ignore[arg-type]

    assert transport.options == []


def test_closing_and_aborting_are_done_to_both() -> None:
    bench = Bench().joined()
    bench.splice.close()
    bench.splice.abort()

    assert bench.to_user.done == bench.to_agent.done == ["close", "abort"]
