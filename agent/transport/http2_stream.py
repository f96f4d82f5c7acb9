"""One request and its answer on a connection of HTTP/2, as the threads see it that wait for them."""

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from agent.transport.errors import Broken, TimedOut, TransportError
from agent.transport.http2_fields import Fields, has_no_body, response_head, response_trailers
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import End, ResponseHead

NOTHING: Final = Headers()


class Carrier(Protocol):
    """What a stream asks of its connection: see `Http2Connection`."""

    def acknowledge(self, stream: "Stream", count: int) -> None: ...
    def send_data(self, stream: "Stream", data: bytes, *, limit: float | None) -> None: ...
    def send_end(self, stream: "Stream", trailers: Fields) -> None: ...
    def reset(self, stream: "Stream", error: TransportError) -> None: ...


class Stream:
    """One thread reads, another may send; `abort` is for any.

    What stands under "by the connection" is called with its lock held, the same that all streams wait on.
    """

    def __init__(self, carrier: Carrier, stream_id: int, *, method: str, lock: threading.RLock) -> None:
        self.id = stream_id
        self.error: TransportError | None = None
        self.has_sent_end = False
        self._carrier = carrier
        self._method = method
        self._changed = threading.Condition(lock)
        self._head: ResponseHead | None = None
        self._body = bytearray()
        self._unacknowledged = 0
        self._missing: int | None = None
        self._trailers = NOTHING
        self._end: End | None = None

    def wait_for_head(self, time_left: Callable[[], float | None]) -> ResponseHead:
        """`time_left`, in seconds, is asked again whenever something has changed. Raises `TransportError`."""
        with self._changed:
            self._wait_for(lambda: self._head is not None, time_left)
            if self._head is None:
                raise self.error or Broken("no answer")
            return self._head

    def next_event(self, limit: float | None) -> bytes | End:
        """What has come of the body, as soon as there is some; then the end. Raises `TransportError`."""
        deadline = None if limit is None else time.monotonic() + limit
        with self._changed:
            self._wait_for(
                lambda: bool(self._body) or self._end is not None,
                lambda: None if deadline is None else deadline - time.monotonic(),
            )
            if self._body:
                data, count = bytes(self._body), self._unacknowledged
                self._body.clear()
                self._unacknowledged = 0
                self._carrier.acknowledge(self, count)
                return data
            if self._end is None:
                raise self.error or Broken("no end")
            return self._end

    def _wait_for(self, is_ready: Callable[[], bool], time_left: Callable[[], float | None]) -> None:
        while not is_ready() and self.error is None:
            left = time_left()
            if left is not None and left <= 0:
                raise TimedOut("silent for longer than its limit")
            self._changed.wait(left)

    def wake(self) -> None:
        """Have `wait_for_head` ask for its time again."""
        with self._changed:
            self._changed.notify_all()

    def send(self, data: bytes, *, limit: float | None) -> None:
        """A piece of the request's body; waits while the peer takes no more. Raises `TransportError`."""
        self._carrier.send_data(self, data, limit=limit)

    def send_end(self, trailers: Fields) -> None:
        """The end of the request. Raises `TransportError`."""
        self._carrier.send_end(self, trailers)

    def abort(self) -> None:
        """Give up what has not been sent and what has not come; harmless once both are over."""
        self._carrier.reset(self, Broken("the call was given up"))

    # By the connection.

    @property
    def has_received(self) -> bool:
        """True once the head of an answer has come."""
        return self._head is not None

    @property
    def is_received(self) -> bool:
        """True once the answer has come to its end."""
        return self._end is not None

    def take_head(self, fields: Fields, *, is_end: bool) -> None:
        """Raises `WireError`."""
        self._head = response_head(fields, method=self._method, is_end=is_end)
        if self._head is None:
            raise MalformedMessage("an interim answer for a final one")
        self._missing = self._head.length if isinstance(self._head.length, int) else None
        if has_no_body(self._head.status, method=self._method):
            self._missing = 0
        self._changed.notify_all()

    def take_interim(self, fields: Fields) -> None:
        """Raises `WireError`."""
        response_head(fields, method=self._method, is_end=False)

    def take_data(self, data: bytes, *, window: int) -> None:
        """`window` is how much of the flow control's window the data took, padding included. Raises `WireError`."""
        if self._missing is not None:
            self._missing -= len(data)
            if self._missing < 0:
                raise MalformedMessage("an answer longer than it says")
        self._body += data
        self._unacknowledged += window
        self._changed.notify_all()

    def take_trailers(self, fields: Fields) -> None:
        """Raises `WireError`."""
        self._trailers = response_trailers(fields)

    def take_end(self) -> None:
        """Raises `WireError`."""
        if self._missing:
            raise MalformedMessage("an answer shorter than it says")
        self._end = End(self._trailers)
        self._changed.notify_all()

    def fail(self, error: TransportError) -> None:
        """Nothing more comes or goes. What has come can still be read."""
        self.error = error
        self._changed.notify_all()

    def drop(self, error: TransportError) -> int:
        """Likewise, and nobody reads what has come; the window that it took."""
        self.error = self.error or error
        if self._body:
            # Without its body an answer has no end either.
            self._body.clear()
            self._end = None
        count, self._unacknowledged = self._unacknowledged, 0
        self._changed.notify_all()
        return count
