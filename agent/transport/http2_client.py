"""Calls over HTTP/2 to one origin: a few connections that all threads share, the same interface as `client`.

A request that the server has not begun with is sent again, whatever it is; one that got no answer on a connection that
had been used before, if it is idempotent: the same promises as over HTTP/1.1.
"""

import logging
import threading
import time
from collections.abc import Iterator
from typing import Final

from agent.transport.client import Interrupt
from agent.transport.connections import ConnectionPool
from agent.transport.errors import (
    Broken,
    NothingReceived,
    NotHttp2,
    NotProcessed,
    SourceBroke,
    TimedOut,
    TransportError,
    Unreachable,
)
from agent.transport.http2_connection import Http2Connection
from agent.transport.http2_fields import request_fields, trailer_fields
from agent.transport.http2_stream import Stream
from agent.transport.upload import Body, Upload
from wire.errors import WireError
from wire.http1 import End, RequestHead
from wire.protocol import IDEMPOTENT_METHODS

logger = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 8

_ATTEMPTS: Final = 3

_GREETING_SECONDS: Final = 10.0

_SMALL_BYTES: Final = 64 * 1024
"""Bodies up to this are sent by the thread that calls; most servers take as much without having read any of it."""


def _upload(stream: Stream, body: Body, limit: float | None) -> Upload:
    def send(event: bytes | End) -> None:
        if isinstance(event, End):
            stream.send_end(trailer_fields(event.trailers))
        else:
            stream.send(event, limit=limit)

    return Upload(body, send=send, abort=stream.abort, on_finished=stream.wake)


class Http2Reply:
    """An answer as it comes; whoever gets one closes it."""

    def __init__(self, seat: "_Seat", stream: Stream, upload: Upload | None, limit: float | None) -> None:
        self._seat = seat
        self._stream = stream
        self._upload = upload
        self._limit = limit
        self._sent_at = time.monotonic()
        try:
            self.head = stream.wait_for_head(self._head_time_left)
        except TransportError as exc:
            self.close()
            raise self._explain(exc) from exc

    def _head_time_left(self) -> float | None:
        """Seconds until the head has to be here: the limit counts from when the request had been sent whole."""
        if self._limit is None:
            return None
        sent_at = self._upload.finished_at if self._upload else self._sent_at
        return None if sent_at is None else sent_at + self._limit - time.monotonic()

    def arrives(self, within: float) -> bool:
        """True: over HTTP/2 a body of known length is waited for, however long it takes."""
        return True

    def events(self) -> Iterator[bytes | End]:
        """The pieces of the body as they come, then one `End`. Raises `TransportError`."""
        while True:
            try:
                event = self._stream.next_event(self._limit)
            except TransportError as exc:
                self.close()
                raise self._explain(exc) from exc
            if isinstance(event, End):
                # While the request is still being sent it is left as it is: ending that may take time.
                if self._upload is None or self._upload.has_completed():
                    self._seat.leave()
                yield event
                return
            yield event

    def _explain(self, exc: TransportError) -> Exception:
        """What an error means to the caller: a broken source first, because all else follows from it."""
        if self._upload is not None and self._upload.source_error is not None:
            return SourceBroke(str(self._upload.source_error))
        return exc

    def abort(self) -> None:
        """Make a waiting read end, from any thread; harmless once the answer has ended."""
        self._stream.abort()

    def close(self) -> None:
        """Give up what has not come yet; harmless once the answer has ended."""
        self._stream.abort()
        if self._upload is not None:
            self._upload.stop()
        self._seat.leave()


class _Seat:
    """The right to one stream on a connection."""

    def __init__(self, client: "Http2Client", connection: Http2Connection, *, is_fresh: bool) -> None:
        self.connection = connection
        self.is_fresh = is_fresh
        self._client = client
        self._lock = threading.Lock()  # guards _is_left
        self._is_left = False

    def leave(self) -> None:
        """Harmless if repeated."""
        with self._lock:
            is_left, self._is_left = self._is_left, True
        if not is_left:
            self._client.give_back(self.connection)


class _Opening:
    """A connection that is being made; all who need one wait for it, and share its failure."""

    def __init__(self) -> None:
        self.is_done = False
        self.error: TransportError | None = None


class Http2Client:
    """Calls to one origin; `scheme` is that of its URL. The pool's connections are for HTTP/2, and not given back."""

    def __init__(self, pool: ConnectionPool, *, scheme: str) -> None:
        self._pool = pool
        self._scheme = scheme
        self._changed = threading.Condition()  # guards all below
        self._taken: dict[Http2Connection, int] = {}
        self._opening: _Opening | None = None

    def call(
        self, head: RequestHead, body: bytes | Body = b"", *, limit: float | None, interrupt: Interrupt | None = None
    ) -> Http2Reply:
        """Send a request; its answer once the head has come, unless `interrupt` ends the wait for it.

        `limit` bounds, in seconds, the wait for a free stream, the time from the request's end to the whole head of the
        answer, and then each wait for a piece. Raises `TransportError`, and `SourceBroke` for a body that broke off.
        """
        interrupt = interrupt or Interrupt()
        may_repeat = head.method in IDEMPOTENT_METHODS and isinstance(body, bytes)
        attempts = _ATTEMPTS if isinstance(body, bytes) else 1
        while True:
            seat = self._take_seat(limit)
            attempts -= 1
            try:
                stream = self._open_stream(seat, head, is_end=body == b"")
                with interrupt.over(stream):
                    return self._send(seat, stream, body, limit)
            except NotProcessed:
                if attempts <= 0:
                    raise
            except NothingReceived:
                if attempts <= 0 or not may_repeat or seat.is_fresh:
                    raise

    def _open_stream(self, seat: _Seat, head: RequestHead, *, is_end: bool) -> Stream:
        try:
            fields = request_fields(head, scheme=self._scheme)
            return seat.connection.open_stream(fields, method=head.method, is_end=is_end)
        except WireError as exc:
            seat.leave()
            raise Broken(f"cannot be said in HTTP/2: {exc}") from exc
        except TransportError:
            seat.leave()
            raise

    def _send(self, seat: _Seat, stream: Stream, body: bytes | Body, limit: float | None) -> Http2Reply:
        upload = None
        if isinstance(body, Body):
            upload = _upload(stream, body, limit)
        elif len(body) > _SMALL_BYTES:
            upload = _upload(stream, Body(iter([body, End()]), abandon=lambda: None), limit)
        elif body:
            try:
                stream.send(body, limit=limit)
                stream.send_end([])
            except TimedOut:
                stream.abort()
                seat.leave()
                raise
            except TransportError as exc:
                # The peer may have answered first: what is received decides.
                logger.debug("a request was not sent whole: %s", exc)
        return Http2Reply(seat, stream, upload, limit)

    # Seats.

    def _take_seat(self, limit: float | None) -> _Seat:
        """A place for one stream; on a new connection if the others are full. Raises `TransportError`."""
        deadline = None if limit is None else time.monotonic() + limit
        with self._changed:
            while True:
                for connection, taken in self._taken.items():
                    if taken < connection.capacity:
                        self._taken[connection] += 1
                        return _Seat(self, connection, is_fresh=False)
                self._taken = {known: taken for known, taken in self._taken.items() if taken or not known.is_over}
                if self._opening is None and sum(not known.is_over for known in self._taken) < MAX_CONNECTIONS:
                    self._opening = _Opening()
                    break
                self._wait(deadline)
        return _Seat(self, self._open(self._opening), is_fresh=True)

    def _wait(self, deadline: float | None) -> None:
        opening = self._opening
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimedOut("no free stream on any connection")
        self._changed.wait(left)
        if opening is not None and opening.error is not None:
            raise type(opening.error)(*opening.error.args) from opening.error

    def _open(self, opening: _Opening) -> Http2Connection:
        """A new connection, one seat of it taken."""
        try:
            connection = self._connect()
        except TransportError as exc:
            opening.error = exc
            raise
        else:
            with self._changed:
                self._taken[connection] = 1
            return connection
        finally:
            with self._changed:
                self._opening = None
                self._changed.notify_all()

    def _connect(self) -> Http2Connection:
        try:
            plain = self._pool.take()
        except Unreachable as exc:
            if "no application protocol" in str(exc):
                raise NotHttp2("the server does not offer HTTP/2 in its TLS handshake") from exc
            raise
        if self._scheme == "https" and plain.application_protocol != "h2":
            plain.close()
            raise NotHttp2("the server does not offer HTTP/2 in its TLS handshake")
        connection = Http2Connection(plain, on_change=self._notify)
        try:
            connection.wait_until_greeted(_GREETING_SECONDS)
        except TransportError:
            connection.close()
            raise
        return connection

    def give_back(self, connection: Http2Connection) -> None:
        with self._changed:
            if connection in self._taken:
                self._taken[connection] -= 1
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End all connections under whoever uses them."""
        with self._changed:
            connections = list(self._taken)
        for connection in connections:
            connection.close()
