"""Two sockets made one, on pairs of sockets served by a real loop."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from agent.shim.loop import Loop
from agent.tunnels.splice import Tunnel
from tests.timing import SECOND, wait_until


class Bench:
    """A tunnel between two pairs of sockets: `proxy` and `backend` are its peers."""

    def __init__(self, loop: Loop, *, to_proxy: bytes = b"", to_backend: bytes = b"") -> None:
        self.proxy, proxy = socket.socketpair()
        self.backend, backend = socket.socketpair()
        for peer in (self.proxy, self.backend):
            peer.settimeout(10 * SECOND)
        self.ended = threading.Event()
        self.tunnel = Tunnel(
            proxy,
            backend,
            to_proxy=to_proxy,
            to_backend=to_backend,
            wake=loop.wake,
            on_end=lambda _: self.ended.set(),
        )
        self.tunnel.start()

    def close(self) -> None:
        self.proxy.close()
        self.backend.close()


def read_exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(1 << 20)
        assert piece, f"the end after {len(data)} bytes"
        data += piece
    return bytes(data)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop(tick=0.05)
    yield loop
    loop.close(timeout=10 * SECOND)


@pytest.fixture
def bench(loop: Loop) -> Iterator[Bench]:
    bench = Bench(loop)
    yield bench
    bench.close()


def test_bytes_pass_both_ways_and_are_counted(bench: Bench) -> None:
    bench.proxy.sendall(b"from the user")
    bench.backend.sendall(b"to the user")

    assert read_exactly(bench.backend, 13) == b"from the user"
    assert read_exactly(bench.proxy, 11) == b"to the user"
    # What has been sent is counted a moment later.
    wait_until(
        lambda: (bench.tunnel.received, bench.tunnel.sent_back) == (13, 11), within=10 * SECOND, what="the counts"
    )


def test_what_has_come_before_is_sent_first(loop: Loop) -> None:
    bench = Bench(loop, to_proxy=b"head", to_backend=b"frame")

    assert (read_exactly(bench.proxy, 4), read_exactly(bench.backend, 5)) == (b"head", b"frame")
    bench.close()


def test_megabytes_pass_whole_in_both_directions_at_once(bench: Bench) -> None:
    data = bytes(range(256)) * 16384
    senders = [threading.Thread(target=peer.sendall, args=(data,)) for peer in (bench.proxy, bench.backend)]
    got: dict[str, bytes] = {}
    readers = [
        threading.Thread(target=lambda name=name, peer=peer: got.update({name: read_exactly(peer, len(data))}))  # type: ignore[misc]
        for name, peer in (("proxy", bench.proxy), ("backend", bench.backend))
    ]
    for thread in [*senders, *readers]:
        thread.start()
    for thread in [*senders, *readers]:
        thread.join(20 * SECOND)

    assert got == {"proxy": data, "backend": data}


def test_a_peer_that_does_not_read_stops_the_other_one_and_little_is_held(bench: Bench) -> None:
    bench.backend.settimeout(0.3 * SECOND)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += bench.backend.send(b"x" * 65536)

    assert sent < 4 << 20
    bench.backend.settimeout(10 * SECOND)
    assert len(read_exactly(bench.proxy, sent)) == sent
    bench.backend.sendall(b"more")
    assert read_exactly(bench.proxy, 4) == b"more"


def test_the_end_of_one_direction_is_passed_on_and_the_other_goes_on(bench: Bench) -> None:
    bench.backend.sendall(b"last")
    bench.backend.shutdown(socket.SHUT_WR)
    last, end = read_exactly(bench.proxy, 4), bench.proxy.recv(1)
    bench.proxy.sendall(b"still")

    assert (last, end, read_exactly(bench.backend, 5)) == (b"last", b"", b"still")
    assert not bench.ended.is_set()
    bench.proxy.shutdown(socket.SHUT_WR)
    assert bench.backend.recv(1) == b""
    assert bench.ended.wait(10 * SECOND)


def test_a_peer_that_is_gone_ends_the_tunnel(bench: Bench) -> None:
    bench.backend.close()

    assert bench.proxy.recv(1) == b""
    bench.proxy.close()
    assert bench.ended.wait(10 * SECOND)


def test_a_peer_that_is_gone_without_reading_ends_the_tunnel_by_itself_after_a_while(bench: Bench) -> None:
    bench.backend.close()
    assert bench.proxy.recv(1) == b""
    give_up_at = time.monotonic() + 10 * SECOND
    while not bench.ended.is_set() and time.monotonic() < give_up_at:
        try:
            bench.proxy.sendall(b"to nobody")
        except OSError:
            break

    assert bench.ended.wait(10 * SECOND)


def test_a_tunnel_that_is_stopped_sends_what_it_has_and_ends(loop: Loop) -> None:
    bench = Bench(loop, to_proxy=b"head")
    bench.tunnel.stop()

    assert (bench.proxy.recv(10), bench.proxy.recv(10), bench.backend.recv(10)) == (b"head", b"", b"")
    assert bench.ended.wait(10 * SECOND)
    bench.tunnel.stop()
    bench.close()


def test_a_loop_that_ends_takes_its_tunnels_with_it() -> None:
    loop = Loop()
    bench = Bench(loop)
    bench.proxy.sendall(b"x")
    read_exactly(bench.backend, 1)
    loop.close(timeout=10 * SECOND)

    wait_until(bench.ended.is_set, within=10 * SECOND, what="both sides released")
    bench.close()
