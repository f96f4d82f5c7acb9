import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable

import pytest

from standalone.connections.outflow import Outflow
from tests.fakes.event_loop import run_at_once

TIME = 0.25


class FakeTransport:
    """Holds what is written until it is taken. It is its own socket, of a system that does not tell what lies there."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.is_aborted = False
        self.options: list[int] = []

    def write(self, data: bytes) -> None:
        self.held += data

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def take(self, size: int) -> None:
        del self.held[:size]

    def get_write_buffer_size(self) -> int:
        return len(self.held)

    def get_extra_info(self, name: str) -> "FakeTransport":
        return self

    def fileno(self) -> int:
        raise OSError

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        self.options.append(option)

    def abort(self) -> None:
        self.is_aborted = True


class FullSocket(FakeTransport):
    """Takes nothing more, and has bytes in the kernel that the peer may still read."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection

    def fileno(self) -> int:
        return self._connection.fileno()


def run(scenario: Callable[[FakeTransport], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(FakeTransport()), 5)

    run_at_once(main())


def an_outflow(transport: FakeTransport, *, rate: int) -> Outflow:
    return Outflow(transport, time=TIME, rate=rate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "taken", "is_aborted"), [(400, 99, True), (400, 100, False), (0, 0, True), (0, 1, False)]
)
def test_a_client_has_to_take_so_many_bytes_in_a_while(rate: int, taken: int, is_aborted: bool) -> None:
    async def scenario(transport: FakeTransport) -> None:
        out = an_outflow(transport, rate=rate)
        out.write(bytes(1000))
        transport.take(taken)
        await asyncio.sleep(TIME * 1.5)

        assert transport.is_aborted == is_aborted
        assert transport.options == ([socket.SO_LINGER] if is_aborted else [])
        out.stop()

    run(scenario)


def test_a_client_that_goes_on_reading_is_left_in_peace_until_it_stops() -> None:
    async def scenario(transport: FakeTransport) -> None:
        out = an_outflow(transport, rate=0)
        out.writelines([bytes(4), bytes(4)])
        for _ in range(6):
            transport.take(1)
            await asyncio.sleep(TIME / 2)
        was_aborted = transport.is_aborted
        await asyncio.sleep(TIME * 3)

        assert (was_aborted, transport.is_aborted) == (False, True)

    run(scenario)


def test_what_was_taken_to_the_last_byte_is_enough_however_little_it_was() -> None:
    async def scenario(transport: FakeTransport) -> None:
        out = an_outflow(transport, rate=400)
        out.write(bytes(10))
        transport.take(10)
        out.write(bytes(20))
        await asyncio.sleep(TIME * 1.5)

        assert (transport.is_aborted, out.waiting) == (False, 20)
        out.stop()

    run(scenario)


@pytest.mark.loopback
@pytest.mark.parametrize("is_read", [True, False])
def test_what_a_client_takes_out_of_the_kernel_counts(is_read: bool) -> None:
    async def scenario(_: FakeTransport) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.send(bytes(50_000))
            transport = FullSocket(ours)
            out = an_outflow(transport, rate=400)
            out.write(bytes(10))
            if is_read:
                theirs.recv(50_000)
            await asyncio.sleep(TIME * 1.5)
            out.stop()

        assert transport.is_aborted != is_read

    run(scenario)


def test_nobody_is_looked_after_when_it_is_over() -> None:
    async def scenario(transport: FakeTransport) -> None:
        out = an_outflow(transport, rate=0)
        out.write(b"x")
        out.stop()
        await asyncio.sleep(TIME * 1.5)

        assert not transport.is_aborted

    run(scenario)
