"""A proxy of version 2 as it looks from an agent, on a real socket: hands out what is put in, keeps what is posted."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.agent.peers import Ended, Peer, Received, Wire, an_answer
from tests.timing import SECOND
from wire.batches import ANSWERS, BatchParser, Entry, encode_end, encode_entry
from wire.headers import Headers
from wire.negotiation import Receipt, batch_media_type, boundary_of, encode_receipt
from wire.protocol import (
    ERROR,
    LOST_POLL,
    POLL_ID,
    POLLS,
    RECEIVED,
    REQUEST_ID,
    REQUEST_MEDIA_TYPE,
    TO_FETCH_MEDIA_TYPE,
    RequestId,
)


class Cut(bytes):
    """An answer behind which the connection ends."""


NOTHING = b"HTTP/1.1 204 No Content\r\nX-Inverting-Proxy-Polls: 16\r\n\r\n"


def an_entry(request_id: str, raw: bytes, *fields: tuple[str, str], to_fetch: bool = False) -> Entry:
    kind = TO_FETCH_MEDIA_TYPE if to_fetch else REQUEST_MEDIA_TYPE
    return Entry(Headers([("Content-Type", kind), (REQUEST_ID, request_id), *fields]), b"" if to_fetch else raw)


def a_batch(*entries: Entry, fields: str = "") -> bytes:
    """An answer to a poll, or to a fetch of several."""
    body = b"".join(encode_entry("b", entry) for entry in entries) + encode_end("b")
    return an_answer(body, fields=f"Content-Type: {batch_media_type('b')}\r\n{POLLS}: 16\r\n{fields}")


@dataclass
class BatchProxy:
    """Answers each poll with the next of `polls`, or 204 after a while; takes every answer but what `receipt` says."""

    polls: "queue.Queue[bytes]" = field(default_factory=queue.Queue)
    poll_seconds: float = 10 * SECOND
    requests: dict[str, bytes] = field(default_factory=dict)
    """What has to be fetched."""
    gives_instead: bytes = b""
    """The answer to each fetch of several, in the place of the right one."""
    calls: list[Received] = field(default_factory=list)
    posts: list[list[str]] = field(default_factory=list)
    """The IDs of the answers that came together, for each post."""
    receipt: Callable[[Sequence[RequestId]], Receipt] = lambda ids: Receipt(delivered=tuple(ids))
    refuses_batches: int = 0
    """The status of the answer to each batch; 0 where they are taken."""
    fails: list[int] = field(default_factory=list)
    """The statuses of the answers to the next batches, which are taken all the same."""
    before_post: Callable[[], None] = lambda: None
    url: str = ""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self.answers: dict[str, bytes] = {}
        self.failures: dict[str, str] = {}
        self.polling = 0

    def hand_out(self, *entries: Entry) -> None:
        """All in one poll."""
        self.polls.put(a_batch(*entries))

    def answer_to(self, request_id: str) -> bytes:
        with self._changed:
            assert self._changed.wait_for(lambda: request_id in self.answers, timeout=20 * SECOND)
            return self.answers[request_id]

    def named(self, method: str, path: str) -> list[Received]:
        return [call for call in list(self.calls) if call.start.startswith(f"{method} {path} ")]

    def lost(self) -> list[tuple[list[str], list[str]]]:
        """What each poll and farewell said of lost polls."""
        calls = [*self.named("GET", "/agent/pending"), *self.named("DELETE", "/agent/pending")]
        return [(call.get_all(LOST_POLL), call.get_all(RECEIVED)) for call in calls]

    def poll_ids(self) -> list[str]:
        return [call.get_all(POLL_ID)[0] for call in self.named("GET", "/agent/pending")]

    def serve(self, wire: Wire) -> None:
        while True:
            call = wire.read_message()
            self.calls.append(call)
            method, path, _ = call.start.split(" ")
            if method == "DELETE":
                for _ in range(self.polling):
                    self.polls.put(NOTHING)
                wire.send(NOTHING)
            elif path == "/agent/pending":
                self._poll(wire)
            elif path == "/agent/request" and call.get_all("Accept"):
                self._give_together(wire, call.get_all(REQUEST_ID)[0].split(" "))
            elif path == "/agent/request":
                [request_id] = call.get_all(REQUEST_ID)
                wire.send(an_answer(self.requests[request_id], fields=f"{REQUEST_ID}: {request_id}\r\n"))
            else:
                self._receive(wire, call)

    def _poll(self, wire: Wire) -> None:
        self.polling += 1
        try:
            answer = self.polls.get(timeout=self.poll_seconds)
        except queue.Empty:
            answer = NOTHING
        finally:
            self.polling -= 1
        wire.send(answer)
        if isinstance(answer, Cut):
            raise Ended

    def _give_together(self, wire: Wire, request_ids: list[str]) -> None:
        entries = [an_entry(name, self.requests[name]) for name in request_ids if name in self.requests]
        wire.send(self.gives_instead or (a_batch(*entries) if entries else NOTHING))
        if isinstance(self.gives_instead, Cut):
            raise Ended

    def _receive(self, wire: Wire, call: Received) -> None:
        self.before_post()
        boundary = boundary_of((call.get_all("Content-Type") or [""])[0])
        if boundary is None:
            [request_id] = call.get_all(REQUEST_ID)
            self._keep([(request_id, bytes(call.body), (call.get_all(ERROR) or [""])[0])])
            wire.send(an_answer())
            return
        assert call.get_all(REQUEST_ID) == ["-"]
        if self.refuses_batches:
            wire.send(an_answer(status=self.refuses_batches))
            return
        parser = BatchParser(boundary, ANSWERS)
        entries = parser.feed(bytes(call.body))
        parser.close()
        receipt = self.receipt([entry.request_id for entry in entries])
        named = [
            (str(each.request_id), each.message, each.headers.get("X-Inverting-Proxy-Error") or "") for each in entries
        ]
        self._keep([each for each in named if each[0] in receipt.delivered], together=[each[0] for each in named])
        if self.fails:
            wire.send(an_answer(status=self.fails.pop(0)))
            return
        wire.send(an_answer(encode_receipt(receipt), fields="Content-Type: application/json\r\n"))

    def _keep(self, answers: list[tuple[str, bytes, str]], *, together: list[str] | None = None) -> None:
        with self._changed:
            self.posts.append([each[0] for each in answers] if together is None else together)
            for request_id, raw, failure in answers:
                assert self.answers.setdefault(request_id, raw) == raw
                self.failures[request_id] = failure
            self._changed.notify_all()


@contextmanager
def batch_proxy(proxy: BatchProxy | None = None) -> Iterator[BatchProxy]:
    proxy = proxy or BatchProxy()
    running = Peer(proxy.serve)
    proxy.url = running.url
    try:
        yield proxy
    finally:
        for _ in range(proxy.polling):
            proxy.polls.put(NOTHING)
        running.close()
    assert running.failures == []
