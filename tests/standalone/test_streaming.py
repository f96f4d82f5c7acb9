"""Bodies of any length pass in bounded memory, and each part at once."""

import hashlib
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.standalone.by_hand import Agent, a_chunk, ask
from tests.standalone.conftest import IDLE_TIMEOUT, Start
from tests.system.processes import Process
from tests.system.rawhttp import Connection
from tests.timing import MS

TOTAL = 200_000_000
PIECE = bytes(range(256)) * 1000
NAME = "X-Inverting-Proxy-Request-ID"


def resident_bytes(process: Process) -> int:
    """The most memory that a process has had at a time."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def pieces() -> Iterator[bytes]:
    for _ in range(0, TOTAL, len(PIECE)):
        yield PIECE


def digest_of(connection: Connection, first: bytes = b"") -> tuple[int, str]:
    """How much came until the end of the connection, and its hash."""
    digest, total = hashlib.sha256(first), len(first)
    while data := connection.receive(1 << 18):
        digest.update(data)
        total += len(data)
    return total, digest.hexdigest()


def expected() -> tuple[int, str]:
    digest, total = hashlib.sha256(), 0
    for piece in pieces():
        digest.update(piece)
        total += len(piece)
    return total, digest.hexdigest()


def test_a_long_answer_passes_in_bounded_memory(start: Start) -> None:
    process, url = start()
    agent = Agent(url)
    poll = agent.open_call("GET", "/agent/pending")
    before = resident_bytes(process)

    def answer() -> None:
        with agent.open_post(request_id) as post:
            post.send(a_chunk(b"HTTP/1.1 200 OK\r\n\r\n"))
            for piece in pieces():
                post.send(a_chunk(piece))
            post.send(b"0\r\n\r\n")
            post.read_reply()

    time.sleep(100 * MS)
    with Connection(url) as user, poll:
        user.send(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
        [request_id] = poll.read_reply().body.decode().strip('[]"').split('","')
        agent.fetch(request_id)
        answering = threading.Thread(target=answer)
        answering.start()
        head = b""
        while b"\r\n\r\n" not in head:
            head += user.receive()
        received = digest_of(user, head.partition(b"\r\n\r\n")[2])
        answering.join()

    assert received == expected()
    assert resident_bytes(process) - before < 20_000_000


def test_a_long_request_passes_in_bounded_memory(start: Start) -> None:
    process, url = start(f"--max-body-bytes={TOTAL * 2}")
    agent = Agent(url)
    poll = agent.open_call("GET", "/agent/pending")
    before = resident_bytes(process)
    total, digest = expected()

    def upload() -> None:
        user.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % total)
        for piece in pieces():
            user.send(piece)

    time.sleep(100 * MS)
    with Connection(url) as user, poll:
        uploading = threading.Thread(target=upload)
        uploading.start()
        [request_id] = poll.read_reply().body.decode().strip('[]"').split('","')
        fetched = agent.fetch(request_id)
        uploading.join()

    assert (fetched.is_whole, fetched.framing) == (True, "chunked")
    assert hashlib.sha256(fetched.body.partition(b"\r\n\r\n")[2]).hexdigest() == digest
    assert resident_bytes(process) - before < 20_000_000


def test_each_event_of_a_stream_passes_at_once(agent: Agent) -> None:
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        with agent.open_post(request_id) as post:
            post.send(a_chunk(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"))
            delays = []
            for number in range(5):
                event = b"data: %d\n\n" % number
                sent = time.monotonic()
                post.send(a_chunk(event))
                received = b""
                while event not in received:
                    received += user.receive()
                delays.append(time.monotonic() - sent)

    assert max(delays) < 100 * MS


def test_each_part_of_a_request_passes_at_once(agent: Agent) -> None:
    with Connection(agent.url) as user:
        user.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + a_chunk(b"first"))
        [request_id] = agent.poll()
        with agent.open_call("GET", "/agent/request", (NAME, request_id)) as fetching:
            received, delays = b"", []
            for number in range(5):
                part = b"part-%d" % number
                sent = time.monotonic()
                user.send(a_chunk(part))
                while part not in received:
                    received += fetching.receive()
                delays.append(time.monotonic() - sent)

    assert max(delays) < 100 * MS


def test_a_client_that_does_not_read_holds_its_agent_back_and_loses_the_answer_in_the_end(agent: Agent) -> None:
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        with agent.open_post(request_id) as post:
            post.send(a_chunk(b"HTTP/1.1 200 OK\r\n\r\n"))
            began = time.monotonic()
            sent = 0
            while not select.select([post._socket], [], [], 0)[0]:
                post.send(a_chunk(PIECE))
                sent += len(PIECE)

            assert sent < 20_000_000
            assert time.monotonic() - began > IDLE_TIMEOUT - 1
            assert post.read_reply().status == 404
        assert user.read_to_end()
