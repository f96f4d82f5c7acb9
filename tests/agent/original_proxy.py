"""The proxies of google/inverting-proxy as they look from an agent, on a real socket.

Written from their behaviour (`server/server.go`, `app/proxy/proxy.go`), which is older than ours and differs: see
`OriginalProxy`.
"""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.agent.peers import Ended, Peer, Received, Wire
from tests.timing import SECOND

BACKEND = "X-Inverting-Proxy-Backend-ID"
REQUEST = "X-Inverting-Proxy-Request-ID"


@dataclass
class OriginalProxy:
    """One of two.

    The stand-alone one tells calls apart by header fields and method alone, whatever the path; lists an ID once, and
    `null` when there is none; says of a request only when it began; takes its body from the user as it is fetched, so
    that a second fetch finds none; chunks its answers.

    The one of App Engine (`is_app_engine`) has paths, joined to its URL by string; lists an ID at every poll until it
    has been answered, at once; keeps requests, and says whose they are; gives lengths.
    """

    is_app_engine: bool = False
    start_time: str = "2026-11-22T22:54:53.123456789Z"
    null: bytes = b"null"
    poll_seconds: float = 0.2 * SECOND
    calls: list[Received] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    """The inner message that was posted, by ID."""
    listed_in_vain: list[str] = field(default_factory=list)
    """IDs that are listed, but not there any more when they are fetched."""
    breaks_after: int | None = None
    """A fetch ends after so many bytes, once."""
    refusals: list[tuple[int, bytes]] = field(default_factory=list)
    """Status and text of the answers to the next calls, whatever they are."""
    fails_once: dict[str, int] = field(default_factory=dict)
    """The status of the answer to the next call of a kind."""
    url: str = ""

    def __post_init__(self) -> None:
        self._lock = threading.Condition()
        self._requests: dict[str, bytes] = {}
        self._unlisted: queue.Queue[str] = queue.Queue()

    def add(self, raw: bytes, request_id: str = "id-1") -> None:
        with self._lock:
            self._requests[request_id] = raw
            self._lock.notify_all()
        self._unlisted.put(request_id)

    def kinds(self, kind: str) -> list[Received]:
        """The calls of a kind: `list`, `fetch` or `respond`; farewells, which neither proxy knows, are none."""
        calls = [call for call in list(self.calls) if not call.start.startswith("DELETE ")]
        return [call for call in calls if _kind(call) == kind]

    def answer_to(self, request_id: str = "id-1") -> bytes:
        with self._lock:
            assert self._lock.wait_for(lambda: request_id in self.answers, timeout=20 * SECOND)
            return self.answers[request_id]

    def serve(self, wire: Wire) -> None:
        while True:
            call = wire.read_message()
            self.calls.append(call)
            if not call.get_all(BACKEND):
                raise AssertionError(f"not an agent's call: {call}")
            if self.refusals:
                refused, text = self.refusals.pop(0)
                self._send(wire, text, status=refused)
                continue
            if status := self.fails_once.pop(_kind(call), 0):
                self._send(wire, b"no\n", status=status)
                continue
            kind = _PATHS[call.target.rpartition("/")[2]] if self.is_app_engine else _kind(call)
            {"list": self._list, "fetch": self._fetch, "respond": self._receive}[kind](wire, call)

    def _send(self, wire: Wire, body: bytes, *, status: int = 200, fields: str = "") -> None:
        phrase = {200: "OK", 400: "Bad Request", 404: "Not Found"}.get(status, "Whatever")
        head = f"HTTP/1.1 {status} {phrase}\r\n{fields}Date: Sun, 22 Nov 2026 22:54:53 GMT\r\nX-Odd: 1\r\nX-Odd: 2\r\n"
        if self.is_app_engine:
            framed = f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        else:
            pieces = [body[: len(body) // 2], body[len(body) // 2 :], b""]
            framed = b"Transfer-Encoding: chunked\r\n\r\n"
            framed += b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
        wire.send(head.encode() + framed)

    def _list(self, wire: Wire, call: Received) -> None:
        ids = self._unanswered() if self.is_app_engine else self._popped()
        body = json.dumps(ids).encode() if ids else self.null
        self._send(wire, body, fields="Content-Type: text/plain; charset=utf-8\r\n")

    def _unanswered(self) -> list[str]:
        def waiting() -> list[str]:
            return [each for each in self._requests if each not in self.answers] + self.listed_in_vain

        with self._lock:
            return self._lock.wait_for(waiting, timeout=self.poll_seconds) or []

    def _popped(self) -> list[str]:
        try:
            return [self._unlisted.get(timeout=self.poll_seconds)]
        except queue.Empty:
            return []

    def _fetch(self, wire: Wire, call: Received) -> None:
        [request_id] = call.get_all(REQUEST)
        with self._lock:
            raw = self._requests.get(request_id)
            if raw is not None and not self.is_app_engine:
                # What the user sent has been read: the next one to ask gets the head alone.
                self._requests[request_id] = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        if raw is None:
            self._send(wire, b"404 page not found\n", status=404)
            return
        fields = f"X-Inverting-Proxy-Request-Start-Time: {self.start_time}\r\n"
        if self.is_app_engine:
            fields += f"{REQUEST}: {request_id}\r\nX-Inverting-Proxy-User-ID: user@example.com\r\n"
        if self.breaks_after is not None:
            kept, self.breaks_after = self.breaks_after, None
            part = raw[:kept]
            wire.send(f"HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n".encode())
            wire.send(b"%x\r\n%b\r\n" % (len(part), part))
            raise Ended
        self._send(wire, raw, fields=fields)

    def _receive(self, wire: Wire, call: Received) -> None:
        [request_id] = call.get_all(REQUEST)
        with self._lock:
            is_known = request_id in self._requests
            if is_known:
                self.answers[request_id] = bytes(call.body)
                self._lock.notify_all()
        self._send(wire, b"" if is_known else b"404 page not found\n", status=200 if is_known else 404)


_PATHS = {"pending": "list", "request": "fetch", "response": "respond"}


def _kind(call: Received) -> str:
    if not call.get_all(REQUEST):
        return "list"
    return "respond" if call.start.startswith("POST ") else "fetch"


@contextmanager
def original_proxy(proxy: OriginalProxy) -> Iterator[OriginalProxy]:
    """Run it; `url` is given to the agent as its operators do, with the slash that the original needs."""
    running = Peer(proxy.serve)
    proxy.url = f"{running.url}/base/" if proxy.is_app_engine else f"{running.url}/"
    try:
        yield proxy
    finally:
        running.close()
    assert running.failures == []
