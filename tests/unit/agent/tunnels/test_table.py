"""The tunnels that are open: their number, and their end."""

import socket
from collections.abc import Callable, Iterator

import pytest

from agent.telemetry.record import BackendRecord
from agent.tunnels.splice import Tunnel
from agent.tunnels.table import TooManyTunnels, Tunnels

Make = Callable[[], Tunnel]


@pytest.fixture
def a_tunnel() -> Iterator[Make]:
    """Makes tunnels that no loop looks at."""
    made: list[socket.socket] = []

    def make() -> Tunnel:
        near, far = socket.socketpair()
        made.extend((near, far))
        return Tunnel(near, far, to_proxy=b"", to_backend=b"", wake=lambda _: None, on_end=lambda _: None)

    yield make
    for sock in made:
        sock.close()


def test_a_place_is_reserved_and_taken_or_given_back(a_tunnel: Make) -> None:
    tunnels = Tunnels(most=2)
    tunnels.reserve()
    tunnels.add(a_tunnel())
    tunnels.give_back()
    tunnels.reserve()

    with pytest.raises(TooManyTunnels):
        tunnels.reserve()
    tunnels.give_back()
    tunnels.reserve()


def test_each_is_counted_while_it_is_open(a_tunnel: Make) -> None:
    record = BackendRecord("b", now=lambda: 0.0)
    tunnels, first, second = Tunnels(observer=record), a_tunnel(), a_tunnel()
    tunnels.add(first)
    tunnels.add(second)
    tunnels.remove(first)

    snapshot = record.snapshot()
    assert (len(tunnels), snapshot.tunnels_open, snapshot.tunnels_opened) == (1, 1, 2)


def test_stopping_ends_those_that_are_open_and_those_that_come_later(a_tunnel: Make) -> None:
    tunnels, first, late = Tunnels(), a_tunnel(), a_tunnel()
    tunnels.add(first)
    was_ending = first.is_ending
    tunnels.stop()
    tunnels.add(late)

    assert (was_ending, first.is_ending, late.is_ending, tunnels.is_stopping) == (False, True, True, True)
    tunnels.remove(first)
    assert not tunnels.is_stopped
    tunnels.remove(late)
    assert tunnels.is_stopped
