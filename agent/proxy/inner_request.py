"""The raw HTTP/1.1 request inside the proxy's answer, to a fetch or to a poll: its head, and its body as it comes; and
what the proxy says of it beside."""

from collections.abc import Iterator
from typing import Final

from agent.messages import Request
from agent.transport.client import Reply
from agent.transport.errors import Broken
from agent.transport.upload import Body
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import CHUNKED, End, Event, RequestHead, RequestParser
from wire.protocol import FORWARDED, FORWARDED_SET, UPGRADE, USER_ID, RequestId

SMALL_BYTES: Final = 64 * 1024
"""Bodies of a known length up to this are read whole, if they come soon: they need no thread to send, and can be sent
again."""

_SOON: Final = 0.05
"""Seconds."""


def request_beside(fields: Headers, request_id: RequestId, head: RequestHead, body: bytes | Body) -> Request:
    """A request with what the proxy's own fields beside it say."""
    is_forwarded_set = fields.get(FORWARDED) == FORWARDED_SET
    upgrade = (fields.get(UPGRADE) or "").lower()
    return Request(request_id, fields.get(USER_ID) or "", head, body, is_forwarded_set, upgrade)


def read_request(reply: Reply) -> tuple[RequestHead, bytes | Body]:
    """The head, and the body: whole where it is small and there soon, else as it comes.

    Raises `TransportError` and `WireError`, as reading the body does; the caller closes `reply`.
    """
    events = _inner_events(reply)
    head = next(events)
    if not isinstance(head, RequestHead):
        raise MalformedMessage("a request without a head")
    body = _body(events)
    is_small = isinstance(head.length, int) and head.length <= SMALL_BYTES and reply.arrives(_SOON)
    if head.length is None or is_small:
        return head, b"".join(event for event in body if isinstance(event, bytes))
    return head, Body(body, abandon=reply.abort)


def read_entry(message: bytes) -> tuple[RequestHead, bytes | Body]:
    """The head and the body of a request that is here. Raises `WireError`."""
    parser = RequestParser()
    head, *rest = [*parser.feed(message), *parser.close()]
    if not isinstance(head, RequestHead):
        raise MalformedMessage("a request without a head")
    if head.length == CHUNKED or len(message) > SMALL_BYTES:
        return head, Body(_body(iter(rest)), abandon=_nothing)
    return head, b"".join(event for event in rest if isinstance(event, bytes))


def _nothing() -> None:
    """Nobody waits for what is here."""


def _inner_events(reply: Reply) -> Iterator[Event]:
    """The events of the request; its `End` only when the answer around it has ended too, and so is whole."""
    parser = RequestParser()
    held: list[Event] = []
    for outer in reply.events():
        events = parser.feed(outer) if isinstance(outer, bytes) else [*held, *parser.close()]
        for event in events:
            if isinstance(event, End) and isinstance(outer, bytes):
                held.append(event)
            else:
                yield event


def _body(events: Iterator[Event]) -> Iterator[bytes | End]:
    for event in events:
        if not isinstance(event, bytes | End):
            raise Broken("a second head within one request")
        yield event
