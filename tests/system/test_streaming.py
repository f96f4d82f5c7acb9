"""Bodies pass as they come, both ways, through the stand-alone proxy and an agent: at once, held back, broken off."""

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.streaming import MEMORY, download, download_in_chunks, upload
from tests.system.backend_by_hand import BackendByHand, Taken, receive_until
from tests.system.conftest import Serve
from tests.system.processes import Process, interpreter
from tests.system.rawhttp import Connection, chunked
from tests.system.shapes import Site, Standalone
from tests.timing import MS, SECOND

LATE = 200 * MS
"""How much later than it was sent a piece may come."""

GONE = 3 * SECOND
"""Within this the backend has to see that its client has gone."""

SIZE = 2 << 30

MIB = 1 << 20

BUFFERED = 100 * MIB
"""More than lies in all the buffers of three connections; most of it is the kernel's."""


@pytest.fixture(scope="module")
def shape_name() -> str:
    """On App Engine nothing streams."""
    return "standalone"


@pytest.fixture(scope="module")
def shape(folder: Path) -> Iterator[Standalone]:
    """A proxy that takes bodies of that size."""
    standalone = Standalone(folder, f"--max-body-bytes={SIZE}")
    yield standalone
    standalone.stop()


@pytest.fixture(scope="module")
def backend() -> Iterator[BackendByHand]:
    backend = BackendByHand()
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def site(serve: Serve, backend: BackendByHand) -> Site:
    return serve(backend.url)


def ask(site: Site, backend: BackendByHand, head: bytes = b"GET /x HTTP/1.1\r\n") -> tuple[Connection, Taken]:
    """A request under way: its client, and what the backend has of it."""
    client = Connection(site.url)
    client.send(head + b"Host: h\r\n\r\n")
    return client, backend.take()


def frame(framing: bytes, piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if b"chunked" in framing else piece


FRAMINGS = {
    "with a small length": b"Content-Length: 10000\r\n",
    "with a length": b"Content-Length: 1000000\r\n",
    "in chunks": b"Transfer-Encoding: chunked\r\n",
    "to the end of the connection": b"",
}
IN_EACH_FRAMING = pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
IN_EACH_VERSION = pytest.mark.parametrize("version", [b"1.0", b"1.1"], ids=["HTTP/1.0", "HTTP/1.1"])


@IN_EACH_FRAMING
@IN_EACH_VERSION
def test_each_piece_of_an_answer_comes_at_once_whatever_its_type(
    site: Site, backend: BackendByHand, framing: bytes, version: bytes
) -> None:
    client, taken = ask(site, backend, b"GET /x HTTP/%b\r\n" % version)
    with client, taken:
        taken.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        delays = []
        for number in range(10):
            piece = b"piece-%d." % number
            sent = time.monotonic()
            taken.send(frame(framing, piece))
            assert piece in receive_until(client, piece)
            delays.append(time.monotonic() - sent)

    assert max(delays) < LATE


def test_each_event_comes_at_once_after_a_pause_too(site: Site, backend: BackendByHand) -> None:
    client, taken = ask(site, backend)
    with client, taken:
        taken.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        delays = []
        for number in range(4):
            time.sleep(0.5)
            event = b"data: %d\n\n" % number
            sent = time.monotonic()
            taken.send(event)
            assert event in receive_until(client, event)
            delays.append(time.monotonic() - sent)

    assert max(delays) < LATE


@pytest.mark.parametrize("framing", list(FRAMINGS.values())[:3], ids=list(FRAMINGS)[:3])
def test_each_piece_of_a_request_comes_at_once(site: Site, backend: BackendByHand, framing: bytes) -> None:
    client, taken = ask(site, backend, b"POST /x HTTP/1.1\r\n" + framing)
    with client, taken:
        delays = []
        for number in range(10):
            piece = b"piece-%d." % number
            sent = time.monotonic()
            client.send(frame(framing, piece))
            assert piece in taken.receive_until(piece)
            delays.append(time.monotonic() - sent)

    assert max(delays) < LATE


def test_trailers_pass_both_ways(site: Site, backend: BackendByHand) -> None:
    client, taken = ask(site, backend, b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n")
    with client, taken:
        client.send(chunked(b"ask", trailers="Sum: 1\r\n"))
        request = taken.receive_until(b"\r\n0\r\nSum: 1\r\n\r\n")
        taken.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"say", trailers="Total: 2\r\n"))
        reply = client.read_reply("POST")

    assert request.endswith(b"ask\r\n0\r\nSum: 1\r\n\r\n")
    assert (reply.body, reply.trailers) == (b"say", [("Total", "2")])


def has_ended(connection: socket.socket, within: float) -> bool:
    """True once a connection has been ended by the other side; what still comes on it before is dropped."""
    deadline = time.monotonic() + within
    while (left := deadline - time.monotonic()) > 0:
        if select.select([connection], [], [], left)[0]:
            try:
                if not connection.recv(1 << 16):
                    return True
            except ConnectionResetError:
                return True
    return False


def test_a_client_that_goes_while_its_answer_is_awaited_is_gone_for_the_backend_too(
    site: Site, backend: BackendByHand
) -> None:
    client, taken = ask(site, backend)
    with taken:
        client.close()

        assert has_ended(taken.socket, GONE)


def test_of_requests_that_run_together_only_the_one_whose_client_goes_is_ended(
    site: Site, backend: BackendByHand
) -> None:
    several = [ask(site, backend, b"GET /%d HTTP/1.1\r\n" % number) for number in range(5)]
    gone, ended = several.pop(2)
    gone.close()

    assert has_ended(ended.socket, GONE)
    for client, taken in several:
        with client, taken:
            taken.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert client.read_reply().body == b"ok"
    ended.socket.close()


def test_a_client_that_goes_while_its_answer_comes_is_gone_for_the_backend_too(
    site: Site, backend: BackendByHand
) -> None:
    client, taken = ask(site, backend)
    with taken:
        taken.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        receive_until(client, b"hello")
        client.close()

        assert has_ended(taken.socket, GONE)


def test_a_client_that_goes_while_it_sends_is_gone_for_the_backend_too(site: Site, backend: BackendByHand) -> None:
    client, taken = ask(site, backend, b"POST /x HTTP/1.1\r\nContent-Length: 1000000\r\n")
    with taken:
        client.send(b"some")
        taken.receive_until(b"some")
        client.close()

        assert has_ended(taken.socket, GONE)


@IN_EACH_FRAMING
@IN_EACH_VERSION
def test_an_answer_that_its_backend_breaks_off_is_broken_for_the_client(
    site: Site, backend: BackendByHand, framing: bytes, version: bytes
) -> None:
    client, taken = ask(site, backend, b"GET /x HTTP/%b\r\n" % version)
    with client:
        taken.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + frame(framing, b"hello"))
        head = receive_until(client, b"hello")
        # A reset, because an end in order would be the end of an answer that has no other.
        taken.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        taken.socket.close()

        is_delimited_by_close = b"chunked" not in head and b"Content-Length" not in head
        if is_delimited_by_close:
            with pytest.raises(ConnectionResetError):
                client._socket.recv(1)
        else:
            assert client.read_to_end() in (b"", b"\r\n")


def fill(send: socket.socket, piece: bytes, *, until_blocked_for: float) -> int:
    """Send until nothing is taken for a while; how many bytes were."""
    send.setblocking(False)
    sent, blocked_since = 0, time.monotonic()
    while time.monotonic() - blocked_since < until_blocked_for:
        if select.select([], [send], [], 0.05)[1]:
            try:
                sent += send.send(piece)
                blocked_since = time.monotonic()
            except BlockingIOError:
                continue
    return sent


def largest(shape: Standalone, site: Site) -> int:
    """The most memory that proxy or agent has had."""
    return max(shape.process.peak_memory, site.agents[0].peak_memory)


def test_a_client_that_does_not_read_holds_the_backend_back(
    site: Site, backend: BackendByHand, shape: Standalone
) -> None:
    client, taken = ask(site, backend)
    with client, taken:
        taken.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")

        sent = fill(taken.socket, bytes(MIB), until_blocked_for=1)

    assert sent < BUFFERED
    assert largest(shape, site) < MEMORY


def test_a_backend_that_does_not_read_holds_the_client_back(
    site: Site, backend: BackendByHand, shape: Standalone
) -> None:
    client, taken = ask(site, backend, b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n")
    with client, taken:
        piece = b"100000\r\n" + bytes(MIB) + b"\r\n"

        sent = fill(client._socket, piece, until_blocked_for=1)

    assert sent < BUFFERED
    assert largest(shape, site) < MEMORY


@pytest.fixture(scope="module")
def faucet(folder: Path) -> Iterator[Process]:
    faucet = Process("faucet", [interpreter("peers"), "-m", "tests.system.faucet"], log=folder / "faucet.log")
    yield faucet
    faucet.stop()


@pytest.mark.parametrize("move", [download, download_in_chunks, upload], ids=["down", "down, in chunks", "up"])
def test_a_body_of_any_length_passes_in_little_memory(
    serve: Serve, faucet: Process, shape: Standalone, move: Callable[[str, int], bool]
) -> None:
    site = serve(faucet.wait_for_url())

    assert move(site.url, SIZE)
    assert largest(shape, site) < MEMORY
