"""The websocket shim against real websocket servers, called as the agent calls it."""

import asyncio
import base64
import json
import os
import queue
import random
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as ServerRequest
from websockets.http11 import Response as ServerResponse

from agent.messages import Request, Response
from agent.pipeline import Handler
from agent.shim.assembly import AssembledShim, assemble_shim
from agent.shim.connection import Limits
from agent.shim.handler import ShimOptions
from agent.shim.handshake import Endpoint
from tests.timing import SECOND, wait_until
from wire.headers import Headers, without_hop_by_hop
from wire.http1 import RequestHead
from wire.protocol import RequestId

Serve = Callable[[ServerConnection], Awaitable[None]]


class Backend:
    """A websocket server in a thread of its own."""

    def __init__(self, handle: Serve, **options: Any) -> None:
        self.handshakes: list[ServerRequest] = []
        self.closed: queue.Queue[tuple[int | None, str | None]] = queue.Queue()
        self._handle = handle
        self._options = options
        self._started: queue.Queue[int] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._thread.start()
        self.port = self._started.get(timeout=10 * SECOND)

    async def _run(self) -> None:
        async def handle(websocket: ServerConnection) -> None:
            assert websocket.request is not None
            self.handshakes.append(websocket.request)
            with suppress(ConnectionClosed):
                await self._handle(websocket)
            await websocket.wait_closed()
            self.closed.put((websocket.close_code, websocket.close_reason))

        options: dict[str, Any] = {"max_size": 1 << 25, "compression": None, **self._options}
        server = await serve(handle, "127.0.0.1", 0, close_timeout=1, **options)
        self._started.put(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        await server.wait_closed()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10 * SECOND)

    def handshake(self) -> ServerRequest:
        """The first one; the server's own code runs a moment after the page has its answer."""
        wait_until(lambda: self.handshakes, within=10 * SECOND, what="a handshake")
        return self.handshakes[0]

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20 * SECOND)
            self._loop.close()


@contextmanager
def a_backend(handle: Serve, **options: Any) -> Iterator[Backend]:
    backend = Backend(handle, **options)
    try:
        yield backend
    finally:
        backend.stop()


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Headers

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def read(response: Response) -> Answer:
    body = b"".join(event for event in response.events if isinstance(event, bytes))
    response.close()
    return Answer(response.head.status, body, response.head.headers)


def around(handler: Handler) -> Handler:
    """What stands for hygiene here: end-to-end fields, no credentials, and the user."""

    def handle(request: Request) -> Response:
        kept = without_hop_by_hop(request.head.headers).without("Authorization", "X-Inverting-Proxy-User-ID")
        headers = kept.adding(("X-Inverting-Proxy-User-ID", request.user_id))
        return handler(replace(request, head=replace(request.head, headers=headers)))

    return handle


def behind(request: Request) -> Response:
    raise AssertionError("nothing here goes to the backend")


class Page:
    """One page of one user, with the shim before it."""

    def __init__(self, assembled: AssembledShim, *, user: str = "user@example.com", **fields: str) -> None:
        self.assembled = assembled
        self.user = user
        self.fields = {"Host": "proxy.example", "Origin": "https://proxy.example", "X-Websocket-Shim-Version": "1"}
        self.fields |= {name.replace("_", "-"): value for name, value in fields.items()}

    def post(self, call: str, body: object, **fields: str) -> Answer:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        given = self.fields | {name.replace("_", "-"): value for name, value in fields.items()}
        head = RequestHead("POST", f"/shim/{call}", Headers(list(given.items())), len(raw))
        return read(self.assembled.shim(Request(RequestId("id"), self.user, head, raw)))

    def open(self, url: str = "ws://proxy.example/socket?a=1", **fields: str) -> "Socket":
        answer = self.post("open", url, **fields)
        assert answer.status == 200, answer
        return Socket(self, answer.json)


class Socket:
    """What our page's script does, without back-off."""

    def __init__(self, page: Page, opened: dict[str, Any]) -> None:
        self.page = page
        self.opened = opened
        self.id = opened["id"]
        self.sent = 0
        self.received: list[str | bytes] = []

    def send(self, *messages: str | bytes) -> Answer:
        encoded = [each if isinstance(each, str) else [base64.b64encode(each).decode()] for each in messages]
        batch = [{"id": self.id, "msg": each, "n": self.sent + number} for number, each in enumerate(encoded)]
        answer = self.page.post("data", batch)
        self.sent += len(messages) if answer.status == 200 else 0
        return answer

    def poll(self) -> Answer:
        answer = self.page.post("poll", {"id": self.id, "ack": len(self.received)})
        if answer.status == 200:
            self.received += [each if isinstance(each, str) else base64.b64decode(each[0]) for each in answer.json]
        return answer

    def receive(self, count: int) -> list[str | bytes]:
        """The next messages, exactly so many."""
        begin = len(self.received)
        while len(self.received) < begin + count:
            answer = self.poll()
            assert answer.status == 200, answer
        assert len(self.received) == begin + count
        return self.received[begin:]

    def close(self, **fields: object) -> Answer:
        return self.page.post("close", {"id": self.id, **fields})

    def ending(self) -> tuple[int, str, bool]:
        while (answer := self.poll()).status in (200, 408):
            pass
        assert answer.status == 400
        return answer.json["code"], answer.json["reason"], answer.json["clean"]


OPTIONS = ShimOptions(shim_path="shim", idle_limit=timedelta(minutes=60), adds_headers=False)


@contextmanager
def a_shim(
    backend: Backend,
    *,
    options: ShimOptions = OPTIONS,
    endpoint: Endpoint | None = None,
    clock: Clock | None = None,
    **more: Any,
) -> Iterator[AssembledShim]:
    assembled = assemble_shim(
        behind,
        options=options,
        endpoint_of=lambda target: endpoint or Endpoint("backend.internal:8080", backend.connect),
        around=around,
        yielding=nullcontext,
        now=clock or Clock(),
        **more,
    )
    try:
        yield assembled
    finally:
        assembled.loop.close(timeout=20 * SECOND)


@contextmanager
def a_page(handle: Serve, **more: Any) -> Iterator[Page]:
    with a_backend(handle) as backend, a_shim(backend, **more) as assembled:
        yield Page(assembled)


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


def test_messages_come_back_in_their_own_kind() -> None:
    messages = ["text", b"binary", "", b"", "ünïcode 😀\x00", bytes(range(256)), '{"id":1}']
    with a_page(echo) as page:
        connected = page.open()
        assert connected.send(*messages).status == 200
        assert connected.receive(len(messages)) == messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_binary_messages_pass_bit_by_bit(size: int) -> None:
    message = random.Random(size).randbytes(size)
    with a_page(echo) as page:
        connected = page.open()
        connected.send(message)
        assert connected.receive(1) == [message]


def test_a_thousand_messages_keep_their_order() -> None:
    messages: list[str | bytes] = [f"{number}" if number % 3 else b"%d" % number for number in range(1000)]
    with a_page(echo) as page:
        connected = page.open()
        for begin in range(0, 1000, 100):
            assert connected.send(*messages[begin : begin + 100]).status == 200
        assert connected.receive(1000) == messages


def test_much_in_both_directions_at_once_does_not_stop() -> None:
    messages: list[str | bytes] = [random.Random(number).randbytes(1 << 20) for number in range(24)]
    with a_page(echo) as page:
        connected = page.open()
        received: list[str | bytes] = []
        reader = threading.Thread(target=lambda: received.extend(connected.receive(len(messages))), daemon=True)
        reader.start()
        for message in messages:
            assert connected.send(message).status == 200
        reader.join(60 * SECOND)
        assert received == messages


def test_a_page_of_the_original_is_served() -> None:
    """Version 0, and 1 without the numbers: what its script sends and expects."""
    with a_page(echo) as page:
        del page.fields["X-Websocket-Shim-Version"]
        opened = page.post("open", "wss://proxy.example/socket").json
        assert ("v" in opened, opened["msg"]) == (False, "ws://backend/socket")
        sent = page.post("data", [{"id": opened["id"], "msg": "a"}, {"id": opened["id"], "msg": ["ü"]}])
        assert (sent.status, sent.body) == (200, b"ok")
        received: list[object] = []
        while len(received) < 2:
            received += page.post("poll", {"id": opened["id"]}).json
        assert received == ["a", ["ü"]]
        assert page.post("close", {"id": opened["id"]}).body == b"ok"


def test_the_handshake_is_that_of_a_browsers_websocket() -> None:
    fields = {
        "Cookie": "a=b", "Authorization": "Bearer x", "Content_Type": "text/plain", "Accept": "*/*",
        "Accept_Encoding": "gzip", "User_Agent": "Browser", "Sec_WebSocket_Key": "forged",
        "Sec_WebSocket_Version": "99", "X_Inverting_Proxy_User_ID": "root", "X_Custom": "1",
        "Sec_Fetch_Site": "same-origin",
    }  # fmt: skip
    with a_backend(echo) as backend, a_shim(backend) as assembled:
        Page(assembled, **fields).open("wss://proxy.example//a/../b%2f?x=%20&")
        request = backend.handshake()
    names = ["Host", "Origin", "Cookie", "User-Agent", "X-Custom", "X-Inverting-Proxy-User-ID"]
    assert request.path == "//a/../b%2f?x=%20&"
    assert [name for name, _ in request.headers.raw_items() if name in names] == names
    assert [request.headers.get_all(name) for name in names] == [
        ["backend.internal:8080"], ["https://proxy.example"], ["a=b"], ["Browser"], ["1"], ["user@example.com"]
    ]  # fmt: skip
    assert not {"Authorization", "Content-Type", "Accept", "Accept-Encoding"} & set(request.headers)
    assert (request.headers["Sec-WebSocket-Version"], request.headers["Sec-WebSocket-Key"] != "forged") == ("13", True)
    assert "Sec-WebSocket-Extensions" not in request.headers


def test_the_original_host_is_kept_when_that_is_asked_for() -> None:
    with a_backend(echo) as backend:
        endpoint = Endpoint("backend.internal", backend.connect, rewrites_host=True)
        with a_shim(backend, endpoint=endpoint) as assembled:
            Page(assembled).open()
        assert backend.handshake().headers["Host"] == "proxy.example"


def test_a_subprotocol_is_agreed_on() -> None:
    def select(websocket: ServerConnection, offered: Sequence[str]) -> Any:
        return "chat.v2" if "chat.v2" in offered else None

    with a_backend(echo, select_subprotocol=select) as backend, a_shim(backend) as assembled:
        page = Page(assembled)
        chosen = page.open(X_Websocket_Shim_Protocols="chat.v1, chat.v2").opened
        none = page.open(X_Websocket_Shim_Protocols="").opened
    assert (chosen["s"], "s" in none) == ("chat.v2", False)
    assert backend.handshake().headers["Sec-WebSocket-Protocol"] == "chat.v1, chat.v2"


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1000, "done"), (1001, "bye"), (1011, "ü"), (3000, "x" * 123), (4999, "Grund ß")]
)
def test_the_backends_close_reaches_the_page_after_its_messages(code: int, reason: str) -> None:
    async def handle(websocket: ServerConnection) -> None:
        await websocket.send("last")
        await websocket.close(code, reason)

    with a_page(handle) as page:
        connected = page.open()
        assert connected.ending() == (code, reason, True)
        assert connected.received == ["last"]
        assert connected.send("late").json["code"] == code
        assert connected.close().json["code"] == code


def test_messages_that_the_pages_close_has_overtaken_reach_the_backend_before_it() -> None:
    received: list[object] = []

    async def handle(websocket: ServerConnection) -> None:
        async for message in websocket:
            received.append(message)

    with a_backend(handle) as backend, a_shim(backend) as assembled, ThreadPoolExecutor(1) as pool:
        connected = Page(assembled).open()
        closing = pool.submit(connected.close, code=1001, n=2)
        time.sleep(0.1)
        assert connected.send("a", "b").status == 200
        assert closing.result(20 * SECOND).body == b"ok"
        assert backend.closed.get(timeout=10 * SECOND) == (1001, "")
    assert received == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({}, (1005, "")),
        ({"code": 1000}, (1000, "")),
        ({"code": 3000, "reason": "ü" * 61}, (3000, "ü" * 61)),
        ({"code": 4999, "reason": "done"}, (4999, "done")),
    ],
)
def test_the_pages_close_reaches_the_backend_after_its_messages(
    fields: dict[str, object], seen: tuple[int, str]
) -> None:
    received: list[object] = []

    async def handle(websocket: ServerConnection) -> None:
        async for message in websocket:
            received.append(message)

    with a_backend(handle) as backend, a_shim(backend) as assembled:
        connected = Page(assembled).open()
        connected.send(*[str(number) for number in range(100)])
        assert connected.close(**fields).body == b"ok"
        assert connected.ending() == (*seen, True)
        assert backend.closed.get(timeout=10 * SECOND) == seen
    assert received == [str(number) for number in range(100)]


@pytest.mark.parametrize(("status", "answered"), [(401, 401), (403, 403), (404, 404), (302, 502), (500, 502)])
def test_a_refused_handshake_says_what_the_backend_said(status: int, answered: int) -> None:
    def refuse(websocket: ServerConnection, request: ServerRequest) -> ServerResponse:
        answer = websocket.respond(HTTPStatus(status), "internal details")
        answer.headers["Set-Cookie"] = "a=b"
        return answer

    with a_backend(echo, process_request=refuse) as backend, a_shim(backend) as assembled:
        answer = Page(assembled).post("open", "/socket")
        assert len(assembled.sessions) == 0
    assert (answer.status, answer.json["status"], str(status) in answer.json["error"]) == (answered, status, True)
    assert (answer.headers.get_all("Set-Cookie"), b"internal" in answer.body) == (["a=b"], False)


def test_cookies_of_the_handshake_reach_the_browser() -> None:
    def add(websocket: ServerConnection, request: ServerRequest, response: ServerResponse) -> None:
        response.headers["Set-Cookie"] = "a=b; Path=/"

    with a_backend(echo, process_response=add) as backend, a_shim(backend) as assembled:
        answer = Page(assembled).post("open", "/socket")
    assert (answer.status, answer.headers.get_all("Set-Cookie")) == (200, ["a=b; Path=/"])


def test_a_backend_that_is_down_is_named_without_its_address() -> None:
    with a_backend(echo) as backend, a_shim(backend) as assembled:
        backend.stop()
        answer = Page(assembled).post("open", "/socket")
    assert (answer.status, "127.0.0.1" in answer.json["error"], "backend" in answer.json["error"]) == (502, False, True)


@pytest.mark.parametrize("said", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n"])
def test_a_backend_that_is_no_websocket_server_is_a_502(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_once() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.recv(65536)
                accepted.sendall(said)

        server = threading.Thread(target=answer_once, daemon=True)
        server.start()
        endpoint = Endpoint("x", lambda: socket.create_connection(listener.getsockname()))
        with a_backend(echo) as backend, a_shim(backend, endpoint=endpoint) as assembled:
            answer = Page(assembled).post("open", "/socket")
        server.join(10 * SECOND)
    assert answer.status == 502


def test_a_connection_that_breaks_is_1006() -> None:
    async def handle(websocket: ServerConnection) -> None:
        await websocket.send("last")
        websocket.transport.abort()

    with a_page(handle) as page:
        connected = page.open()
        assert connected.ending() == (1006, "", False)


def test_a_message_over_the_limit_ends_the_websocket_with_1009() -> None:
    async def handle(websocket: ServerConnection) -> None:
        await websocket.send("x" * 2000)
        await websocket.wait_closed()

    with a_backend(handle) as backend, a_shim(backend, limits=Limits(message_bytes=1000)) as assembled:
        code, _, clean = Page(assembled).open().ending()
        assert (code, clean, backend.closed.get(timeout=10 * SECOND)[0]) == (1009, False, 1009)


def test_an_answer_that_is_lost_is_sent_again() -> None:
    with a_page(echo) as page:
        connected = page.open()
        connected.send("a", "b")
        lost = {"id": connected.id, "ack": 0}
        wait_until(lambda: page.post("poll", lost).json == ["a", "b"], within=10 * SECOND, what="both in one answer")
        assert connected.receive(2) == ["a", "b"]
        connected.send("c")
        assert connected.receive(1) == ["c"]


def test_messages_that_are_sent_again_are_taken_once() -> None:
    with a_page(echo) as page:
        connected = page.open()
        connected.send("a", "b")
        connected.sent = 1
        connected.send("b", "c")
        connected.sent = 5
        gap = connected.send("f")
        assert (gap.status, gap.json["taken"], connected.receive(3)) == (409, 3, ["a", "b", "c"])


def test_a_page_that_does_not_poll_stops_its_backend() -> None:
    sent = [0]
    stopped = threading.Event()

    async def handle(websocket: ServerConnection) -> None:
        for number in range(2000):
            try:
                await asyncio.wait_for(websocket.send(number.to_bytes(4, "big") * 16384), 1 * SECOND)
            except TimeoutError:
                stopped.set()
                await websocket.send(number.to_bytes(4, "big") * 16384)
            sent[0] = number + 1
        await websocket.close()

    with a_page(handle) as page:
        connected = page.open()
        assert stopped.wait(30 * SECOND)
        assert sent[0] < 1000
        assert connected.ending() == (1000, "", True)
        numbers = [int.from_bytes(message[:4], "big") for message in connected.received if isinstance(message, bytes)]
    assert list(dict.fromkeys(numbers)) == list(range(2000))


def test_a_backend_that_does_not_read_makes_data_fail_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.shim.handler._SEND_SECONDS", 0.5 * SECOND)
    proceed = threading.Event()

    async def handle(websocket: ServerConnection) -> None:
        websocket.transport.pause_reading()
        await asyncio.get_running_loop().run_in_executor(None, proceed.wait, 60 * SECOND)
        websocket.transport.resume_reading()
        received = [message async for message in websocket]
        assert received == messages

    messages = [str(number) * 300_000 for number in range(10)] * 5
    with a_backend(handle) as backend, a_shim(backend) as assembled:
        connected = Page(assembled).open()
        refused = connected.send(*messages)
        assert (refused.status, 0 < refused.json["taken"] < 50) == (503, True)
        proceed.set()
        wait_until(lambda: connected.send(*messages).status == 200, within=30 * SECOND, what="the rest")
        connected.close(code=3001)
        assert backend.closed.get(timeout=20 * SECOND) == (3001, "")


def test_an_unused_websocket_is_closed_and_a_used_one_is_not() -> None:
    clock = Clock()
    with a_backend(echo) as backend, a_shim(backend, clock=clock) as assembled:
        page = Page(assembled)
        idle, used = page.open(), page.open()
        clock.seconds += 3599
        used.send("x")
        clock.seconds += 1
        assert backend.closed.get(timeout=10 * SECOND)[0] == 1001
        assert idle.ending()[0] == 1001
        assert (used.receive(1), len(assembled.sessions)) == (["x"], 1)


def test_when_the_agent_stops_polls_return_and_the_backend_gets_1001() -> None:
    with a_backend(echo) as backend, a_shim(backend) as assembled:
        connected = Page(assembled).open()
        endings: list[object] = []
        waiting = threading.Thread(target=lambda: endings.append(connected.ending()), daemon=True)
        waiting.start()
        wait_until(lambda: assembled.sessions.everything()[0].polls, within=10 * SECOND, what="a poll")
        assembled.stop()
        waiting.join(10 * SECOND)
        assert endings == [(1001, "the agent stops", True)]
        assert backend.closed.get(timeout=10 * SECOND) == (1001, "the agent stops")
        wait_until(lambda: assembled.shim.is_stopped, within=10 * SECOND, what="the end")
        assert Page(assembled).post("open", "/").status == 503


def test_a_session_is_unknown_to_everybody_else() -> None:
    with a_backend(echo) as backend, a_shim(backend) as assembled:
        connected = Page(assembled).open()
        stranger = Socket(Page(assembled, user="other@example.com"), connected.opened)
        answers = [stranger.send("x"), stranger.poll(), stranger.close()]
        assert [(answer.status, answer.json["code"]) for answer in answers] == [(400, 1006)] * 3
        connected.send("mine")
        assert connected.receive(1) == ["mine"]


def test_a_newer_poll_ends_an_older_one() -> None:
    with a_backend(echo) as backend, a_shim(backend) as assembled:
        connected = Page(assembled).open()
        older: list[int] = []
        waiting = threading.Thread(target=lambda: older.append(connected.poll().status), daemon=True)
        waiting.start()
        wait_until(lambda: assembled.sessions.everything()[0].polls, within=10 * SECOND, what="a poll")
        connected.send("x")
        waiting.join(10 * SECOND)
        waiting = threading.Thread(target=lambda: older.append(connected.poll().status), daemon=True)
        waiting.start()
        wait_until(lambda: assembled.sessions.everything()[0].polls, within=10 * SECOND, what="a poll")
        newer = threading.Thread(target=lambda: older.append(connected.poll().status), daemon=True)
        newer.start()
        waiting.join(10 * SECOND)
        assert older == [200, 408]
        connected.send("y")
        newer.join(10 * SECOND)
        assert (older, connected.received) == ([200, 408, 200], ["x", "y"])


def test_headers_are_added_to_messages_when_that_is_asked_for() -> None:
    options = replace(OPTIONS, adds_headers=True)
    with a_page(echo, options=options) as page:
        page.fields |= {"X-Custom": "1", "Authorization": "Bearer secret"}
        connected = page.open()
        connected.send('{"resource": {"headers": {"Host": "x"}}}', "plain")
        [changed, plain] = connected.receive(2)
    added = json.loads(changed)["resource"]["headers"]
    assert (added["X-Custom"], added["Host"], plain) == ("1", "x", "plain")
    assert added["X-Inverting-Proxy-User-Id"] == "user@example.com"
    assert "Authorization" not in added


def test_hundreds_of_websockets_leave_nothing_behind() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    with a_backend(echo) as backend, a_shim(backend) as assembled:
        page = Page(assembled, user="")
        page.open().close()
        wait_until(lambda: not len(assembled.sessions), within=10 * SECOND, what="the end of the first one")
        backend.closed.get(timeout=10 * SECOND)
        before, threads = descriptors(), threading.active_count()
        opened = [page.open() for _ in range(300)]
        assert (threading.active_count(), len(assembled.sessions)) == (threads, 300)
        # One end is the shim's, the other the server's.
        assert descriptors() - before <= 2 * 300 + 10
        for connected in opened:
            connected.send("x")
        assert [connected.receive(1) for connected in opened] == [["x"]] * 300
        for number, connected in enumerate(opened):
            if number % 2:
                connected.close(code=1000)
            else:
                assembled.sessions.find(connected.id, "", now=0.0).websocket.abort()  # type: ignore[union-attr]
        wait_until(lambda: not len(assembled.sessions), within=60 * SECOND, what="the end of all")
        for _ in range(300):
            backend.closed.get(timeout=10 * SECOND)
        wait_until(lambda: descriptors() <= before, within=20 * SECOND, what="the descriptors back")
        assert threading.active_count() == threads
