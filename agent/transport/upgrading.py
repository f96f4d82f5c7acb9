"""A request that offers its connection to another protocol: on a new one, which is the caller's if the peer agrees."""

import socket
import time
from dataclasses import dataclass

from agent.transport.client import Reply
from agent.transport.connection import Connection
from agent.transport.connections import ConnectionPool
from agent.transport.errors import Broken, NothingReceived, TimedOut
from wire.errors import WireError
from wire.headers import Headers
from wire.http1 import RequestHead, serialize_request_head
from wire.upgrades import Answered, Switched, read_outcome


@dataclass(frozen=True, slots=True)
class Changed:
    """The peer has answered 101; `sock`, which does not block, is the caller's, and `rest` has come on it already."""

    headers: Headers
    sock: socket.socket
    rest: bytes


def call_upgrading(pool: ConnectionPool, head: RequestHead, *, limit: float | None) -> Reply | Changed:
    """Send a request without a body that offers to change; what the peer makes of it.

    `limit` bounds, in seconds, the time to the head of the answer, and then, for one that is no 101, each wait for a
    piece of it. Raises `TransportError`.
    """
    raw = serialize_request_head(head)
    connection = pool.open()
    try:
        connection.send(raw, timeout=limit)
        outcome = _receive_outcome(connection, limit)
    except BaseException:
        connection.close()
        raise
    if isinstance(outcome, Switched):
        return Changed(outcome.headers, connection.detach(), outcome.rest)
    connection.push_back(outcome.data)
    return Reply(connection, head.method, None, limit)


def _receive_outcome(connection: Connection, limit: float | None) -> Switched | Answered:
    give_up_at = None if limit is None else time.monotonic() + limit
    data = b""
    try:
        while (outcome := read_outcome(data)) is None:
            left = None if give_up_at is None else give_up_at - time.monotonic()
            if left is not None and left <= 0:
                raise TimedOut(f"no answer for {limit:g} s")
            more = connection.receive(timeout=left)
            if not more:
                raise Broken("the connection ended within a head") if data else NothingReceived("no answer")
            data += more
    except WireError as exc:
        raise Broken(f"not a whole HTTP answer: {exc}") from exc
    return outcome
