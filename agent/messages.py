"""A request from the proxy and its answer, as handlers see them: a head, and a body that may still be coming."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from agent.transport.client import Interrupt
from agent.transport.upload import Body
from wire.http1 import End, RequestHead, ResponseHead
from wire.protocol import RequestId


@dataclass(frozen=True, slots=True)
class Request:
    """What an end user asks of the backend."""

    request_id: RequestId
    user_id: str
    """Who asks, as the proxy verified it; empty for somebody unknown."""
    head: RequestHead
    body: bytes | Body
    is_forwarded_set: bool = False
    """True if the proxy says that it, and not the client, has set `X-Forwarded-*`."""
    upgrade: str = ""
    """The protocol that the client wants to change to, as the proxy says; empty for a request that wants an answer."""

    interrupt: Interrupt = field(default_factory=Interrupt, compare=False)
    """Triggered when nobody waits for the answer any more: it ends the call to the backend."""

    def with_head(self, head: RequestHead) -> "Request":
        """The same with another head; `replace` would do it at ten times the price."""
        return Request(
            self.request_id, self.user_id, head, self.body, self.is_forwarded_set, self.upgrade, self.interrupt
        )


Listed = RequestId | Request
"""What a poll brings: the ID of a request that has to be fetched, or the request."""


def id_of(listed: Listed) -> RequestId:
    """Which exchange it is."""
    return listed.request_id if isinstance(listed, Request) else listed


def _nothing() -> None:
    """An answer that is there already needs no closing."""


def _at_once(within: float) -> bool:
    """An answer that is there already is not waited for."""
    return True


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; whoever gets one closes it."""

    head: ResponseHead
    events: Iterator[bytes | End]
    """The pieces of the body as they come, then one `End`; raises `TransportError` when the rest does not come."""
    failure: str = ""
    """Why the agent made this answer itself; empty for a backend's answer."""
    abort: Callable[[], None] = _nothing
    """Makes a waiting read of `events` end at once, from any thread."""
    is_delivered: bool = False
    """True where the client has it already, so that nothing is posted: the 101 at the beginning of a tunnel."""
    close: Callable[[], None] = _nothing
    """Gives up what has not come yet; harmless once all has come."""
    arrives: Callable[[float], bool] = _at_once
    """Waits until the whole body is there, at most so many seconds; True if it is. To be asked before `events`; raises
    `TransportError` when it breaks off meanwhile."""

    def with_head(self, head: ResponseHead) -> "Response":
        """The same with another head."""
        return Response(head, self.events, self.failure, self.abort, self.is_delivered, self.close, self.arrives)

    def with_events(self, events: Iterator[bytes | End]) -> "Response":
        """The same with another body."""
        return Response(self.head, events, self.failure, self.abort, self.is_delivered, self.close, self.arrives)


def whole_body(data: bytes) -> Iterator[bytes | End]:
    """The events of a body that is there already."""
    return iter([data, End()] if data else [End()])
