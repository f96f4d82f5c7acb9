"""One connection, on a pair of sockets; over TLS it is tested in `tests/agent/test_tls.py`."""

import socket
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from agent.transport.connection import Connection
from agent.transport.errors import Broken, TimedOut
from tests.timing import MS, SECOND

pytestmark = pytest.mark.loopback

LONG: Final = 1 << 20


class Pooled:
    """urllib3's connection, as far as it is used."""

    timeout: float | None = None

    def __init__(self, connected: socket.socket) -> None:
        self.sock: socket.socket | None = connected

    def connect(self) -> None:
        raise AssertionError("it is connected")

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()


class Ends:
    """Both ends of a connection; `kept` has it once it is given back."""

    def __init__(self) -> None:
        near, self.far = socket.socketpair()
        self.pooled = Pooled(near)
        self.kept: list[Connection] = []
        self.near = Connection(self.pooled, keep=self.kept.append)


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.near.close()
    ends.far.close()


def test_what_the_peer_sends_comes_and_then_its_end(ends: Ends) -> None:
    ends.far.send(b"hello")
    assert ends.near.receive(timeout=10 * SECOND) == b"hello"
    assert ends.near.receive_now() is None
    assert not ends.near.wait(1 * MS)

    ends.far.close()

    assert ends.near.wait(10 * SECOND)
    assert (ends.near.receive(timeout=None), ends.near.receive_now()) == (b"", b"")


def test_a_peer_that_says_nothing_is_waited_for_no_longer_than_the_limit(ends: Ends) -> None:
    with pytest.raises(TimedOut, match=r"silent for 0\.02 s"):
        ends.near.receive(timeout=0.02)


def test_a_peer_that_takes_nothing_is_waited_for_no_longer_than_the_limit(ends: Ends) -> None:
    with pytest.raises(TimedOut):
        ends.near.send(bytes(16 * LONG), timeout=0.02)


def test_long_pieces_arrive_behind_one_another(ends: Ends) -> None:
    pieces = [b"a" * LONG, b"-", b"b" * LONG]
    sending = threading.Thread(target=ends.near.send_together, args=(pieces,), kwargs={"timeout": 10 * SECOND})
    sending.start()
    received = bytearray()
    while len(received) < 2 * LONG + 1:
        received += ends.far.recv(LONG)
    sending.join()

    assert received == b"".join(pieces)


def test_what_is_pushed_back_comes_first(ends: Ends) -> None:
    ends.far.send(b"later")
    ends.near.push_back(b"second")
    ends.near.push_back(b"first, ")

    assert [ends.near.receive(timeout=10 * SECOND) for _ in range(2)] == [b"first, second", b"later"]


def test_only_a_quiet_connection_can_carry_another_call(ends: Ends) -> None:
    was_quiet = ends.near.is_quiet
    ends.far.send(b"unasked")

    assert (was_quiet, ends.near.is_quiet) == (True, False)


def test_a_connection_that_its_peer_has_ended_is_not_quiet(ends: Ends) -> None:
    ends.far.close()

    assert not ends.near.is_quiet


def test_an_abort_ends_a_wait(ends: Ends) -> None:
    received: list[bytes] = []
    waiting = threading.Thread(target=lambda: received.append(ends.near.receive(timeout=10 * SECOND)))
    waiting.start()
    ends.near.abort()
    waiting.join()

    assert received == [b""]
    with pytest.raises(Broken):
        ends.near.send(b"x", timeout=10 * SECOND)
    ends.near.abort()


def test_a_connection_that_is_given_back_is_used_again(ends: Ends) -> None:
    was_reused = ends.near.is_reused
    ends.near.release()

    assert (was_reused, ends.near.is_reused, ends.kept) == (False, True, [ends.near])


def test_a_socket_that_is_taken_out_outlives_its_connection(ends: Ends) -> None:
    with ends.near.detach() as taken:
        ends.near.close()
        ends.far.send(b"hello")

        assert (taken.recv(10), taken.gettimeout()) == (b"hello", 0.0)
