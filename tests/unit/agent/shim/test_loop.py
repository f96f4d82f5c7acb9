"""The one thread that serves all websockets, on pairs of sockets."""

import socket
import threading
from collections.abc import Iterator

import pytest

from agent.shim.loop import READ, Loop
from tests.timing import SECOND, wait_until


class EchoChannel:
    """Sends back what it gets; `bad` makes it fail, an end makes it over."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.settimeout(10 * SECOND)
        self.is_over = False
        self.mask = READ
        self.failures = 0
        self.released = threading.Event()
        self.ticked = threading.Event()

    def fileno(self) -> int:
        return self.near.fileno()

    def wanted(self) -> int:
        return -1 if self.is_over else self.mask

    def run(self, *, now: float) -> None:
        try:
            data = self.near.recv(100)
        except BlockingIOError:
            return
        if data == b"bad":
            raise ZeroDivisionError
        self.is_over = not data
        self.near.send(data)

    def tick(self, *, now: float) -> None:
        self.ticked.set()

    def fail(self) -> None:
        self.failures += 1
        self.is_over = True

    def release(self) -> None:
        self.near.close()
        self.released.set()

    def ask(self, data: bytes) -> bytes:
        self.far.send(data)
        return self.far.recv(100)


def pass_turns(channel: EchoChannel) -> None:
    """Return when the loop has done all that it was woken for: a turn may have begun before that, and the next serves
    its channels in any order."""
    for _ in range(3):
        channel.ask(b"x")


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close(timeout=10 * SECOND)


@pytest.fixture
def channels(loop: Loop) -> Iterator[list[EchoChannel]]:
    channels = [EchoChannel() for _ in range(3)]
    for channel in channels:
        loop.wake(channel)
    yield channels
    loop.close(timeout=10 * SECOND)
    for channel in channels:
        channel.far.close()
        assert channel.released.is_set()


def test_every_channel_is_served_by_one_thread(channels: list[EchoChannel]) -> None:
    before = set(threading.enumerate())
    assert [channel.ask(b"x") for channel in channels] == [b"x"] * 3
    assert set(threading.enumerate()) <= before


def test_one_that_fails_does_not_touch_the_others(
    channels: list[EchoChannel], caplog: pytest.LogCaptureFixture
) -> None:
    assert channels[0].ask(b"bad") == b""
    assert (channels[0].failures, channels[1].ask(b"x")) == (1, b"x")
    assert "a websocket failed" in caplog.messages


def test_one_that_is_over_is_released(channels: list[EchoChannel]) -> None:
    channels[0].far.shutdown(socket.SHUT_WR)
    assert channels[0].released.wait(10 * SECOND)
    assert channels[1].ask(b"x") == b"x"


def test_one_that_wants_nothing_is_left_alone_until_it_is_woken(loop: Loop, channels: list[EchoChannel]) -> None:
    first, other = channels[:2]
    first.mask = 0
    loop.wake(first)
    pass_turns(other)
    first.far.send(b"x")
    pass_turns(other)
    first.far.setblocking(False)
    with pytest.raises(BlockingIOError):
        first.far.recv(100)
    first.far.settimeout(10 * SECOND)
    first.mask = READ
    loop.wake(first)
    assert first.far.recv(100) == b"x"


def test_one_that_is_woken_after_its_end_is_released_again(loop: Loop, channels: list[EchoChannel]) -> None:
    channels[0].is_over = True
    loop.wake(channels[0])
    assert channels[0].released.wait(10 * SECOND)
    channels[0].released.clear()
    loop.wake(channels[0])
    assert channels[0].released.wait(10 * SECOND)


def test_time_passes_for_all_of_them(loop: Loop, channels: list[EchoChannel]) -> None:
    ticks: list[None] = []

    def fail() -> None:
        ticks.append(None)
        raise ZeroDivisionError

    loop.on_tick = fail
    assert all(channel.ticked.wait(10 * SECOND) for channel in channels)
    wait_until(lambda: len(ticks) >= 2, within=10 * SECOND, what="two ticks, the first of which failed")
