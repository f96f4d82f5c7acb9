"""An agent that does nothing by itself: each call of the protocol, made by hand."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tests.system.rawhttp import Connection, Reply, request_bytes

Field = tuple[str, str]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Agent:
    """An agent of a backend; one without a name is like the original's."""

    url: str
    agent_id: str = "agent-1"
    backend_id: str = "notebook"

    @property
    def fields(self) -> list[Field]:
        """What each of its calls carries."""
        own = [("X-Inverting-Proxy-Agent-ID", self.agent_id)] if self.agent_id else []
        return [("X-Inverting-Proxy-Backend-ID", self.backend_id), *own]

    def open_call(self, method: str, path: str, *fields: Field, body: bytes | None = None) -> Connection:
        """A connection with a call on it whose answer is still to be read."""
        connection = Connection(self.url)
        connection.send(request_bytes(method, path, host=connection.host, fields=[*self.fields, *fields], body=body))
        return connection

    def call(self, method: str, path: str, *fields: Field, body: bytes | None = None) -> Reply:
        with self.open_call(method, path, *fields, body=body) as connection:
            return connection.read_reply(method)

    def poll(self) -> list[str]:
        """The IDs of waiting requests, as soon as there are any."""
        reply = self.call("GET", "/agent/pending")
        assert reply.status == 200, reply
        pending: list[str] = json.loads(reply.body)
        return pending

    def fetch(self, request_id: str) -> Reply:
        return self.call("GET", "/agent/request", _named(request_id))

    def take(self) -> tuple[str, bytes]:
        """The next request: its ID, and the bytes of its message."""
        [request_id] = self.poll()
        fetched = self.fetch(request_id)
        assert fetched.status == 200, fetched
        return request_id, fetched.body

    def post(self, request_id: str, answer: bytes, *fields: Field) -> Reply:
        return self.call("POST", "/agent/response", _named(request_id), *fields, body=answer)

    def open_post(self, request_id: str, *fields: Field) -> Connection:
        """A connection on which the answer can be sent in chunks."""
        return self.open_call("POST", "/agent/response", _named(request_id), ("Transfer-Encoding", "chunked"), *fields)


def ask(url: str, method: str = "GET", target: str = "/", *, fields: Iterable[Field] = ()) -> Connection:
    """A user's request, whose answer is still to be read."""
    connection = Connection(url)
    connection.send(request_bytes(method, target, host=connection.host, fields=fields))
    return connection


def a_chunk(data: bytes) -> bytes:
    """Bytes in chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _named(request_id: str) -> Field:
    return ("X-Inverting-Proxy-Request-ID", request_id)
