"""An agent as the original's, which has never heard of ours: protocol version 1 from a socket.

After google/inverting-proxy, `agent/agent.go` and `agent/utils/utils.go`: no agent ID; it lists, skips the IDs it has
seen, fetches each, and opens the post of the answer before the backend has said anything. The answer is chunked inside,
the post chunked outside, and its type is text/plain.
"""

import contextlib
import json
import threading
from collections import OrderedDict
from typing import Final

from tests.system.rawhttp import Connection, Reply, request_bytes

_SEEN_LIMIT: Final = 1000
_HOP_BY_HOP: Final = ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")


class OldAgent:
    """Serves one backend from `start` to `stop`."""

    def __init__(self, proxy_url: str, *, backend_id: str, backend_url: str, token: str = "") -> None:
        self._proxy_url = proxy_url
        self._backend_url = backend_url
        self._fields = [
            ("User-Agent", "Go-http-client/1.1"),
            ("X-Inverting-Proxy-Backend-ID", backend_id),
            ("Accept-Encoding", "gzip"),
        ]
        if token:
            self._fields.append(("Authorization", f"Bearer {token}"))
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._poll: Connection | None = None
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.posts: list[int] = []
        """The statuses of the posts of answers."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopped.set()
        if self._poll:
            self._poll.interrupt()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            with contextlib.suppress(ConnectionError, TimeoutError):
                for request_id in self._list():
                    threading.Thread(target=self._serve, args=(request_id,), daemon=True).start()

    def _list(self) -> list[str]:
        """The IDs that were not seen before."""
        with Connection(self._proxy_url) as self._poll:
            reply = self._ask(self._poll, "GET", "/agent/pending")
        pending: list[str] = json.loads(reply.body) or [] if reply.status == 200 else []
        fresh = [request_id for request_id in pending if request_id not in self._seen]
        for request_id in fresh:
            self._seen[request_id] = None
        while len(self._seen) > _SEEN_LIMIT:
            self._seen.popitem(last=False)
        if reply.status != 200:
            self._is_stopped.wait(0.1)
        return fresh

    def _ask(self, connection: Connection, method: str, target: str, *fields: tuple[str, str]) -> Reply:
        connection.send(request_bytes(method, target, host=connection.host, fields=[*self._fields, *fields]))
        return connection.read_reply(method)

    def _serve(self, request_id: str) -> None:
        name = ("X-Inverting-Proxy-Request-ID", request_id)
        with Connection(self._proxy_url) as fetching:
            fetched = self._ask(fetching, "GET", "/agent/request", name)
        if fetched.status != 200:
            return
        fields = [*self._fields, name, ("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")]
        with Connection(self._proxy_url) as posting:
            posting.send(request_bytes("POST", "/agent/response", host=posting.host, fields=fields))
            for piece in self.answer(fetched.body):
                posting.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            posting.send(b"0\r\n\r\n")
            self.posts.append(posting.read_reply("POST").status)

    def answer(self, request: bytes) -> list[bytes]:
        """What is posted for a request, in pieces."""
        return _as_answer(self._call_backend(request))

    def _call_backend(self, request: bytes) -> Reply:
        """The request as it came, but on a connection of its own."""
        head, _, body = request.partition(b"\r\n\r\n")
        method = head.partition(b" ")[0].decode()
        with Connection(self._backend_url) as connection:
            connection.send(head + b"\r\nConnection: close\r\n\r\n" + body)
            return connection.read_reply(method)


def _as_answer(reply: Reply) -> list[bytes]:
    """The pieces in which `http.Response.Write` gives an answer of unknown length to the post."""
    fields = [(name, value) for name, value in reply.fields if name.lower() not in _HOP_BY_HOP]
    lines = [f"HTTP/1.1 {reply.status} OK", *(f"{name}: {value}" for name, value in fields)]
    head = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode("latin-1")
    chunks = [b"%x\r\n%b\r\n" % (len(reply.body), reply.body)] if reply.body else []
    return [head, *chunks, b"0\r\n\r\n"]
