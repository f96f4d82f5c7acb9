import asyncio
import socket
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from standalone.calls import TOGETHER, TRAILERS
from standalone.connections.outflow import Outflow
from standalone.connections.responding import ProxyCycle
from tests.fakes.event_loop import run_at_once


class FakeTransport:
    """Keeps what is written, and how it ended."""

    def __init__(self) -> None:
        self.written = b""
        self.writes = 0
        self.is_aborted = False
        self.options: list[int] = []

    def write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def get_extra_info(self, name: str) -> "FakeTransport":
        return self

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        self.options.append(option)


class FakeFlow:
    """A connection that is read at once, or never."""

    def __init__(self) -> None:
        self.write_paused = False
        self.resumed = 0

    def resume_reading(self) -> None:
        self.resumed += 1

    async def drain(self) -> None:
        await asyncio.get_running_loop().create_future()


class Bench:
    def __init__(self, *, method: str = "GET", version: str = "1.1", is_read: bool = True) -> None:
        self.transport = FakeTransport()
        self.flow = FakeFlow()
        self.hung_up: list[bool] = []
        self.completed = 0
        self.cycle = ProxyCycle(
            hang_up=self.hung_up.append,
            resume_reading=self.flow.resume_reading,
            out=Outflow(self.transport, time=1, rate=0),  # type: ignore[arg-type]
            scope={"method": method, "http_version": version},
            transport=self.transport,
            flow=self.flow,
            logger=None,
            access_logger=None,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=version == "1.1",
            on_response=self.on_response,
        )
        self.cycle.more_body = not is_read

    def on_response(self) -> None:
        self.completed += 1

    async def start(self, status: int = 200, *fields: tuple[bytes, bytes], trailers: bool = False) -> None:
        await self.send(type="http.response.start", status=status, headers=list(fields), trailers=trailers)

    async def write(self, body: bytes, *, more: bool) -> None:
        await self.send(type="http.response.body", body=body, more_body=more)

    async def send(self, **message: Any) -> None:
        await self.cycle.send(message)  # type: ignore[arg-type]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(), 5)

    run_at_once(main())


def test_what_has_come_of_a_body_is_received_together_and_a_lone_piece_is_not_copied() -> None:
    async def scenario() -> None:
        bench = Bench(is_read=False)
        piece = bytes(1000)
        bench.cycle.take(piece)
        alone = await bench.cycle.receive()
        bench.cycle.take(b"a")
        bench.cycle.take(b"b")
        bench.cycle.more_body = False
        unread = bench.cycle.unread_bytes
        together = await bench.cycle.receive()

        assert alone["body"] is piece
        assert (unread, together) == (2, {"type": "http.request", "body": b"ab", "more_body": False})
        assert (bench.cycle.unread_bytes, bench.flow.resumed) == (0, 2)

    run(scenario)


def test_a_body_in_many_small_pieces_takes_little_more_than_its_bytes() -> None:
    async def scenario() -> None:
        bench = Bench(is_read=False)
        tracemalloc.start()
        for number in range(1 << 16):
            bench.cycle.take(b"%04x" % number)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        received = await bench.cycle.receive()

        assert received["body"] == b"".join(b"%04x" % number for number in range(1 << 16))
        assert peak < 1 << 20

    run(scenario)


LENGTH_2 = (b"Content-Length", b"2")


@pytest.mark.parametrize(
    ("method", "version", "status", "field", "written"),
    [
        ("GET", "1.1", 200, LENGTH_2, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", "1.1", 200, None, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("GET", "1.0", 200, None, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"),
        ("HEAD", "1.1", 200, LENGTH_2, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        ("GET", "1.1", 799, LENGTH_2, b"HTTP/1.1 799 \r\nContent-Length: 2\r\n\r\nok"),
    ],
)
def test_an_answer_is_framed_for_its_client(
    method: str, version: str, status: int, field: tuple[bytes, bytes] | None, written: bytes
) -> None:
    async def scenario() -> None:
        bench = Bench(method=method, version=version)
        await bench.start(status, *([field] if field else []))
        await bench.write(b"ok", more=True)
        await bench.write(b"", more=False)

        assert (bench.transport.written, bench.completed) == (written, 1)
        assert bench.hung_up == ([] if version == "1.1" else [False])

    run(scenario)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_is_whole_with_its_head(status: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.start(status, (b"Content-Length", b"1000"))
        await bench.write(b"", more=False)

        assert (bench.cycle.response_complete, bench.transport.written[-4:]) == (True, b"\r\n\r\n")

    run(scenario)


def test_trailers_stand_behind_the_last_chunk() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.start(trailers=True)
        await bench.write(b"ok", more=False)
        await bench.send(type="http.response.trailers", headers=[(b"Sum", b"1")])

        assert bench.transport.written.endswith(b"2\r\nok\r\n0\r\nSum: 1\r\n\r\n")

    run(scenario)


@pytest.mark.parametrize("size", [2, 100_000])
def test_what_is_there_together_is_written_together(size: int) -> None:
    async def scenario() -> None:
        bench, body = Bench(), bytes(size)
        await bench.send(type="http.response.start", status=200, headers=[], **{TOGETHER: True})
        before = bench.transport.writes
        await bench.write(body, more=False)

        assert (before, bench.transport.writes) == (0, 1)
        assert bench.transport.written.endswith(b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body))

    run(scenario)


def test_a_head_whose_body_is_not_there_yet_is_written_at_once() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.start()

        assert bench.transport.written.endswith(b"\r\n\r\n")

    run(scenario)


def test_an_answer_before_the_end_of_its_request_ends_the_connection() -> None:
    async def scenario() -> None:
        bench = Bench(is_read=False)
        await bench.start(413, (b"Content-Length", b"0"))
        await bench.write(b"", more=False)

        assert b"Connection: close\r\n" in bench.transport.written
        assert bench.hung_up == [True]

    run(scenario)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_application_that_stops_early_breaks_the_answer_off(version: str) -> None:
    async def scenario() -> None:
        bench = Bench(version=version)

        async def app(scope: object, receive: object, send: object) -> None:
            await bench.start()
            await bench.write(b"o", more=True)

        await bench.cycle.run_asgi(app)

        reset = (bench.transport.is_aborted, bench.transport.options) == (True, [socket.SO_LINGER])
        assert (reset, bench.hung_up, bench.completed) == (version == "1.0", [] if version == "1.0" else [False], 0)

    run(scenario)


def test_nothing_is_written_while_the_client_does_not_read() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.start()
        bench.flow.write_paused = True
        writing = asyncio.ensure_future(bench.write(b"late", more=True))
        await asyncio.sleep(0)

        assert (b"late" in bench.transport.written, writing.done()) == (False, False)
        writing.cancel()

    run(scenario)


def test_trailers_of_the_request_come_with_its_end() -> None:
    async def scenario() -> None:
        bench = Bench(is_read=False)
        bench.cycle.trailers = [(b"Sum", b"1")]
        bench.cycle.take(b"a")
        first = await bench.cycle.receive()
        bench.cycle.more_body = False
        bench.cycle.message_event.set()
        last = await bench.cycle.receive()

        assert (TRAILERS in first, last.get(TRAILERS)) == (False, [(b"Sum", b"1")])

    run(scenario)


def test_nothing_is_written_for_a_client_that_has_gone() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.cycle.disconnected = True
        await bench.start()

        assert bench.transport.written == b""

    run(scenario)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.trailers", "headers": []},
        {"type": "http.response.body", "body": b"more than two", "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
    ],
)
def test_an_application_that_breaks_its_own_word_is_told_so(message: dict[str, Any]) -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.start(200, LENGTH_2)

        with pytest.raises(RuntimeError, match="an application sent"):
            await bench.send(**message)

    run(scenario)


@pytest.mark.parametrize("field", [(b"A", b"b\r\nC: d"), (b"A b", b"c"), (b"A", b"b\x00")])
def test_a_field_that_would_be_read_as_something_else_is_never_written(field: tuple[bytes, bytes]) -> None:
    async def scenario() -> None:
        with pytest.raises(RuntimeError, match="cannot be written"):
            await Bench().start(200, field)

    run(scenario)
