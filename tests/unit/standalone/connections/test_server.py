"""Limits and times, which real connections take long to reach; the rest is in `tests/standalone/test_framing.py`."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
from uvicorn.server import ServerState

from standalone.calls import REQUEST_EXTENSION, Receive, Scope, Send
from standalone.connections.crowd import Crowd
from standalone.connections.lifecycle import configure
from standalone.connections.limits import Limits
from standalone.connections.server import ProxyProtocol
from standalone.connections.splice import End
from tests.fakes.event_loop import run_at_once
from wire.headers import Headers
from wire.http1 import RequestHead


class FakeTransport:
    """Keeps what is written, and how the connection ended; with `is_read` false all that is written waits.

    It is its own socket, too.
    """

    family = socket.AF_UNIX

    def __init__(self, address: str = "", *, is_read: bool = True) -> None:
        self.written = b""
        self.ends: list[str] = []
        self.protocols: list[object] = []
        self.reading: list[str] = []
        self._address = address
        self.is_read = is_read

    def get_write_buffer_size(self) -> int:
        return 0 if self.is_read else len(self.written)

    def write(self, data: bytes) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ends.append("half")

    def close(self) -> None:
        self.ends.append("closed")

    def abort(self) -> None:
        self.ends.append("aborted")

    def set_protocol(self, protocol: object) -> None:
        self.protocols.append(protocol)

    def pause_reading(self) -> None:
        self.reading.append("paused")

    def resume_reading(self) -> None:
        self.reading.append("resumed")

    def is_closing(self) -> bool:
        return bool(self.ends)

    def get_extra_info(self, name: str) -> object:
        return self if name == "socket" else None

    def fileno(self) -> int:
        raise OSError

    def getsockname(self) -> tuple[str, int]:
        return "192.0.2.254", 80

    def getpeername(self) -> tuple[str, int]:
        return self._address, 1

    def setsockopt(self, *option: object) -> None:
        """To reset a connection takes one."""


class Quick(ProxyProtocol):
    limits = Limits(head_time=0.02, linger_time=0.02, write_time=0.02, connections=2, requests=3)


class Shared(ProxyProtocol):
    limits = Limits(connections_per_address=10)
    crowd = Crowd()


class OneAhead(ProxyProtocol):
    limits = Limits(pipeline=1)


class Bench:
    """A server without sockets, whose application answers when it is told to."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.cancelled = self.left = 0
        self.watches = True
        self.answers = asyncio.Event()
        self.config: uvicorn.Config = configure(self.app, Quick)
        self.config.load()
        self.state = ServerState()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        watch = scope["extensions"][REQUEST_EXTENSION].get("when_left")
        if watch is not None and self.watches:
            watch(self.leave)
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"0")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def leave(self) -> None:
        self.left += 1

    def connect(
        self, address: str = "", *, is_read: bool = True, of: type[ProxyProtocol] = Quick
    ) -> tuple[ProxyProtocol, FakeTransport]:
        protocol, transport = of(self.config, self.state, {}), FakeTransport(address, is_read=is_read)
        protocol.connection_made(transport)  # type: ignore[arg-type]
        return protocol, transport


def run(scenario: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(Bench()), 5)

    run_at_once(main())


def test_the_head_is_handed_on_as_it_was_sent() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, _ = bench.connect()
        protocol.data_received(b"GET http://h/a%20b? HTTP/1.1\r\nhOST: h\r\nX: 1\r\n\r\n")
        await asyncio.sleep(0)
        [scope] = bench.scopes
        protocol.connection_lost(None)

        head = scope["extensions"][REQUEST_EXTENSION]["head"]
        assert head == RequestHead("GET", "http://h/a%20b?", Headers([("hOST", "h"), ("X", "1")]), None)
        assert scope["headers"] == [(b"host", b"h"), (b"x", b"1")]

    run(scenario)


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        await asyncio.sleep(0.03)

        assert (transport.written, transport.ends) == (b"", ["closed"])
        protocol.connection_lost(None)

    run(scenario)


def test_a_head_that_comes_too_slowly_is_cut_off() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        for byte in b"GET / HTTP/1.1\r\n":
            protocol.data_received(bytes([byte]))
            await asyncio.sleep(0.002)

        assert transport.written.startswith(b"HTTP/1.1 408 ")
        assert transport.ends[0] == "half"
        protocol.connection_lost(None)

    run(scenario)


def test_a_client_that_goes_on_after_the_end_is_cut_off() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        protocol.data_received(b"nonsense\r\n\r\n")
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(0.03)

        assert (transport.ends, bench.scopes) == (["half", "aborted"], [])
        protocol.connection_lost(None)

    run(scenario)


@pytest.mark.parametrize(
    ("request_bytes", "line"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 501 Not Implemented\r\n"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 102, b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
    ],
)
def test_a_refusal_says_in_its_first_line_what_its_status_means(request_bytes: bytes, line: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        protocol.data_received(request_bytes)

        assert transport.written.startswith(line)
        protocol.connection_lost(None)

    run(scenario)


@pytest.mark.parametrize("size", [1, 100])
def test_a_client_that_speaks_http_2_is_told_so(size: int) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        for start in range(0, len(preface), size):
            protocol.data_received(preface[start : start + size])

        assert transport.written.startswith(b"HTTP/1.1 400 ")
        assert b"HTTP/2 is not spoken here: use HTTP/1.1" in transport.written
        protocol.connection_lost(None)

    run(scenario)


def test_a_connection_too_many_is_turned_away() -> None:
    async def scenario(bench: Bench) -> None:
        connections = [bench.connect() for _ in range(3)]

        assert [transport.written[:12] for _, transport in connections] == [b"", b"", b"HTTP/1.1 503"]
        for protocol, _ in connections:
            protocol.connection_lost(None)

    run(scenario)


def test_far_too_many_connections_are_ended_without_a_word() -> None:
    async def scenario(bench: Bench) -> None:
        connections = [bench.connect() for _ in range(4)]
        _, last = connections[-1]

        assert (last.written, last.ends) == (b"", ["aborted"])
        for protocol, _ in connections:
            protocol.connection_lost(None)

    run(scenario)


def test_one_address_has_a_share_of_the_connections_and_gets_it_back() -> None:
    async def scenario(bench: Bench) -> None:
        connections = [bench.connect("192.0.2.1", of=Shared) for _ in range(12)]
        elsewhere, elsewheres = bench.connect("192.0.2.2", of=Shared)
        for protocol, _ in connections:
            protocol.connection_lost(None)
        again, accepted = bench.connect("192.0.2.1", of=Shared)

        assert [transport.written[:12] for _, transport in connections[9:]] == [b"", b"HTTP/1.1 429", b""]
        assert connections[-1][1].ends[0] == "aborted"
        assert (elsewheres.ends, accepted.ends) == ([], [])
        elsewhere.connection_lost(None)
        again.connection_lost(None)

    run(scenario)


def test_a_connection_ends_with_the_answer_to_its_last_request() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        bench.answers.set()
        for _ in range(3):
            protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await asyncio.sleep(0.01)

        assert transport.written.count(b"200 OK") == 3
        assert (transport.written.count(b"Connection: close"), transport.ends) == (1, ["closed"])
        protocol.connection_lost(None)

    run(scenario)


def test_a_client_that_does_not_read_an_answer_that_is_over_loses_its_connection() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect(is_read=False)
        bench.answers.set()
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(0.05)

        assert transport.written.startswith(b"HTTP/1.1 200 OK")
        assert transport.ends == ["aborted"]
        assert bench.scopes[-1]["extensions"][REQUEST_EXTENSION]["is_cut_off"]()
        protocol.connection_lost(None)

    run(scenario)


def test_trailers_are_handed_on() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, _ = bench.connect()
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSum: 1\r\n\r\n")

        assert protocol.cycle.trailers == [(b"Sum", b"1")]
        protocol.connection_lost(None)

    run(scenario)


def test_the_task_of_a_client_that_has_gone_is_cancelled() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, _ = bench.connect()
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        await asyncio.sleep(0)

        assert bench.cancelled == 1

    run(scenario)


REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n"


@pytest.mark.parametrize(
    ("requests", "told"),
    [
        ([REQUEST + b"\r\n"] * 2, 1),
        ([REQUEST + b"\r\n"], 0),
        ([REQUEST + b"\r\n", REQUEST + b"Connection: close\r\n\r\n"], 0),
        ([REQUEST + b"\r\n", REQUEST + b"\r\n", b"?"], 0),
    ],
    ids=["kept before", "never kept", "announced", "ended by the proxy"],
)
def test_an_application_is_told_of_a_client_that_ends_a_connection_it_kept(requests: list[bytes], told: int) -> None:
    async def scenario(bench: Bench) -> None:
        bench.answers.set()
        protocol, _ = bench.connect()
        for request in requests:
            protocol.data_received(request)
            await asyncio.sleep(0)
        protocol.connection_lost(None)

        assert bench.left == told

    run(scenario)


def test_an_application_is_told_of_the_end_behind_its_own_answer_alone() -> None:
    async def scenario(bench: Bench) -> None:
        bench.answers.set()
        protocol, _ = bench.connect()
        for watches in (True, True, False):
            bench.watches = watches
            protocol.data_received(REQUEST + b"\r\n")
            await asyncio.sleep(0)
        protocol.connection_lost(None)

        assert (len(bench.scopes), bench.left) == (3, 0)

    run(scenario)


def test_a_client_that_goes_before_its_answer_has_not_left_behind_it() -> None:
    async def scenario(bench: Bench) -> None:
        bench.answers.set()
        protocol, _ = bench.connect()
        protocol.data_received(REQUEST + b"\r\n")
        await asyncio.sleep(0)
        bench.answers.clear()
        protocol.data_received(REQUEST + b"\r\n")
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        await asyncio.sleep(0)

        assert (bench.left, bench.cancelled) == (0, 1)

    run(scenario)


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_connection_that_has_ended_leaves_nothing_for_the_garbage_collector(is_answered: bool) -> None:
    async def scenario(bench: Bench) -> None:
        protocol, _ = bench.connect()
        kept = weakref.ref(protocol)
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        if is_answered:
            bench.answers.set()
        await asyncio.sleep(0.01)
        protocol.connection_lost(None)
        await asyncio.sleep(0.01)
        bench.scopes.clear()

        del protocol
        assert kept() is None

    gc.disable()
    try:
        run(scenario)
    finally:
        gc.enable()


def test_a_body_that_turns_out_to_be_none_is_refused_and_its_task_cancelled() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(0)
        protocol.data_received(b"nonsense\r\n")
        await asyncio.sleep(0)

        assert (transport.written[:12], bench.cancelled) == (b"HTTP/1.1 400", 1)
        protocol.connection_lost(None)

    run(scenario)


def test_an_application_is_told_whether_something_has_come() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, _ = bench.connect()
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
        await asyncio.sleep(0)
        has_come = bench.scopes[-1]["extensions"][REQUEST_EXTENSION]["has_come"]
        before = has_come()
        protocol.data_received(b"ok")

        assert (before, has_come()) == (False, True)
        protocol.connection_lost(None)

    run(scenario)


def test_a_connection_stays_open_between_requests() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        bench.answers.set()
        for _ in range(2):
            protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await asyncio.sleep(0.03)

        assert (transport.written.count(b"HTTP/1.1 200 OK"), transport.ends) == (2, [])
        protocol.connection_lost(None)

    run(scenario)


def test_what_is_sent_too_far_ahead_is_not_read_before_there_is_room() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect(of=OneAhead)
        protocol.data_received(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(4)))
        protocol.data_received(b"GET /4 HTTP/1.1\r\n")
        protocol.data_received(b"Host: h\r\n\r\n")
        await asyncio.sleep(0.01)
        before = [scope["path"] for scope in bench.scopes], transport.reading[-1]
        bench.answers.set()
        await asyncio.sleep(0.01)

        assert before == (["/0"], "paused")
        assert [scope["path"] for scope in bench.scopes] == ["/0", "/1", "/2", "/3", "/4"]
        assert (transport.written.count(b"200 OK"), transport.reading[-1]) == (5, "resumed")
        protocol.connection_lost(None)

    run(scenario)


def test_a_request_for_its_body_does_not_make_room_for_what_is_sent_too_far_ahead() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect(of=OneAhead)
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
        await protocol.cycle.receive()

        assert transport.reading == ["paused"]
        protocol.connection_lost(None)

    run(scenario)


UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


class KeptEnd(End):
    """Keeps what comes."""


def taken_over(bench: Bench, protocol: Quick) -> tuple[bool, KeptEnd]:
    extension, end = bench.scopes[-1]["extensions"][REQUEST_EXTENSION], KeptEnd()
    return extension["take_over"](b"HTTP/1.1 101 X\r\n\r\n", end), end


def test_a_connection_is_handed_over_with_what_stands_behind_the_request() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        protocol.data_received(UPGRADE + b"first")
        protocol.data_received(b" second")
        await asyncio.sleep(0)
        is_taken, end = taken_over(bench, protocol)

        assert (is_taken, end.take_early(), transport.written) == (True, b"first second", b"HTTP/1.1 101 X\r\n\r\n")
        assert transport.protocols == [end]
        assert protocol not in bench.state.connections
        bench.answers.set()
        await asyncio.sleep(0.05)
        assert (transport.ends, transport.written) == ([], b"HTTP/1.1 101 X\r\n\r\n")

    run(scenario)


def test_a_connection_that_is_gone_is_not_handed_over() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        protocol.data_received(UPGRADE)
        await asyncio.sleep(0)
        transport.close()

        assert not taken_over(bench, protocol)[0]

    run(scenario)


def test_what_comes_before_the_connection_is_handed_over_is_kept_up_to_a_limit() -> None:
    async def scenario(bench: Bench) -> None:
        protocol, transport = bench.connect()
        protocol.data_received(UPGRADE + b"x" * 65535)
        before = list(transport.reading)
        protocol.data_received(b"x")
        await asyncio.sleep(0)
        _, end = taken_over(bench, protocol)

        assert (before, transport.reading[:2]) == ([], ["paused", "resumed"])
        assert len(end.take_early()) == 65536

    run(scenario)


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.0\r\n", b"GET / HTTP/1.1\r\n"])
def test_only_an_upgrade_of_http_1_1_can_be_handed_over(request_line: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        protocol, _ = bench.connect()
        rest = UPGRADE.partition(b"\r\n")[2]
        is_old = b"1.0" in request_line
        protocol.data_received(request_line + (rest if is_old else b"Host: h\r\n\r\n"))
        await asyncio.sleep(0)

        assert "take_over" not in bench.scopes[-1]["extensions"][REQUEST_EXTENSION]

    run(scenario)


def test_a_connection_that_was_handed_over_counts_for_its_address_until_it_ends() -> None:
    async def scenario(bench: Bench) -> None:
        protocol = Shared(bench.config, bench.state, {})
        protocol.connection_made(FakeTransport("192.0.2.7"))  # type: ignore[arg-type]
        protocol.data_received(UPGRADE)
        await asyncio.sleep(0)
        _, end = taken_over(bench, protocol)  # type: ignore[arg-type]
        counted = Shared.crowd.enter("192.0.2.7")
        end.connection_lost(None)
        Shared.crowd.leave("192.0.2.7")

        assert (counted, Shared.crowd.enter("192.0.2.7")) == (2, 1)
        Shared.crowd.leave("192.0.2.7")

    run(scenario)
