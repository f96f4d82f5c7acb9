"""HTTP/1.1 calls to one origin, byte for byte what the caller gives; answers parsed as strictly as `wire.http1` does.

By construction nothing is followed (redirects), kept (cookies), decoded (content codings), read from the environment
(proxies, `.netrc`) or added (User-Agent, Accept); interim answers are skipped; there is no limit of 100 fields.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol, overload

from agent.transport.connection import Connection
from agent.transport.connections import ConnectionPool
from agent.transport.errors import Broken, NothingReceived, SourceBroke, TimedOut, TransportError
from agent.transport.upload import Body, Upload
from wire.errors import WireError
from wire.http1 import (
    CHUNKED,
    End,
    RequestHead,
    ResponseHead,
    ResponseParser,
    chunk_around,
    encode_end,
    serialize_request_head,
)
from wire.protocol import IDEMPOTENT_METHODS

logger = logging.getLogger(__name__)

AHEAD_BYTES: Final = 256 * 1024
"""Of a body that are taken before somebody reads them; with the last piece it may be as much again."""


class _Abortable(Protocol):
    def abort(self) -> None: ...


class Interrupt:
    """Cuts a call short from another thread: the one that runs, and each that begins later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._connection: _Abortable | None = None
        self._is_triggered = False

    def attach(self, connection: _Abortable | None) -> None:
        """The connection, or the answer, that `trigger` shall abort; None when the call is over."""
        with self._lock:
            self._connection = connection
            if self._is_triggered and connection is not None:
                connection.abort()

    @contextmanager
    def over(self, call: _Abortable) -> Iterator[None]:
        """As long as this lasts, `trigger` aborts the call."""
        self.attach(call)
        try:
            yield
        finally:
            self.attach(None)

    @property
    def is_triggered(self) -> bool:
        """True once somebody has."""
        return self._is_triggered

    def trigger(self) -> None:
        with self._lock:
            self._is_triggered = True
            if self._connection is not None:
                self._connection.abort()


def _upload(connection: Connection, body: Body, head: RequestHead, limit: float | None) -> Upload:
    def send(event: bytes | End) -> None:
        if isinstance(event, End):
            connection.send(encode_end(event, head.length), timeout=limit)
        elif head.length == CHUNKED and event:
            connection.send_together(chunk_around(event), timeout=limit)
        else:
            connection.send(event, timeout=limit)

    return Upload(body, send=send, abort=connection.abort)


class Reply:
    """An answer as it comes; whoever gets one closes it.

    It has its head from the beginning, unless it is made with `is_awaited=False`: then `advance` and `wait_for_head`
    get it.
    """

    def __init__(
        self,
        connection: Connection,
        method: str,
        upload: Upload | None,
        limit: float | None,
        *,
        is_awaited: bool = True,
    ) -> None:
        self._connection: Connection | None = connection
        self._was_kept = connection.is_reused
        self._parser = ResponseParser(method)
        self._upload = upload
        self._limit = limit
        self._lock = threading.Lock()  # guards _connection: an abort must never hit a connection given back
        self._sent_at = time.monotonic()
        self._has_received = False
        self._pending: deque[bytes | End] = deque()
        self._pending_bytes = 0
        self._head: ResponseHead | None = None
        if is_awaited:
            self.wait_for_head()

    @property
    def head(self) -> ResponseHead:
        assert self._head is not None
        return self._head

    def wait_for_head(self) -> None:
        """Return when the head is here. Raises `TransportError`."""
        while self._head is None:
            self._add(self._receive(self._wait_for_head))

    def advance(self) -> bool:
        """Take what has come, without waiting; True when that is all, or as much as is taken ahead. Raises
        `TransportError`."""
        while not self.is_whole and self._pending_bytes <= AHEAD_BYTES:
            events = self._receive(lambda connection: connection.receive_now())
            if events is None:
                return False
            self._add(events)
        return True

    @property
    def is_whole(self) -> bool:
        """True if everything is here, and `events` will not wait."""
        return bool(self._pending) and isinstance(self._pending[-1], End)

    def fileno(self) -> int:
        """For those who wait for several answers that are not whole."""
        if self._connection is None:
            raise Broken("the answer was closed before its end")
        return self._connection.fileno()

    def _add(self, events: list[Any]) -> None:
        if events and self._head is None:
            self._head, *events = events
        self._pending += events
        self._pending_bytes += sum(len(event) for event in events if isinstance(event, bytes))

    def arrives(self, within: float) -> bool:
        """Wait for the whole body, at most so many seconds; True if it has come, which one over `AHEAD_BYTES` does not.
        `events` gives it all the same. Raises `TransportError` for a body that breaks off meanwhile."""
        give_up_at = time.monotonic() + within
        while not self.advance():
            left = give_up_at - time.monotonic()
            if self._connection is None or left <= 0 or not self._connection.wait(left):
                return False
        return self.is_whole

    def events(self) -> Iterator[bytes | End]:
        """The pieces of the body as they come, then one `End`. Raises `TransportError`."""
        while True:
            while self._pending:
                event = self._pending.popleft()
                self._pending_bytes -= len(event) if isinstance(event, bytes) else 0
                yield event
                if isinstance(event, End):
                    return
            self._add(self._receive(self._wait_for_piece))

    def read(self, limit: int) -> bytes:
        """The whole body. Raises `Broken` when it is longer than `limit` bytes, or not whole."""
        body = bytearray()
        for event in self.events():
            if isinstance(event, End):
                break
            body += event
            if len(body) > limit:
                self.close()
                raise Broken(f"an answer over {limit} bytes")
        return bytes(body)

    @overload
    def _receive(self, wait: Callable[[Connection], bytes]) -> list[Any]: ...
    @overload
    def _receive(self, wait: Callable[[Connection], bytes | None]) -> list[Any] | None: ...
    def _receive(self, wait: Callable[[Connection], bytes | None]) -> list[Any] | None:
        """The next events, perhaps none; the connection is closed on every error and settled at the `End`. None where
        `wait` has not waited, and nothing has come."""
        if self._connection is None:
            raise Broken("the answer was closed before its end")
        try:
            data = wait(self._connection)
            if data is None:
                return None
            self._has_received = self._has_received or bool(data)
            events = self._parser.feed(data) if data else self._parser.close()
        except (WireError, TransportError) as exc:
            self.close()
            raise self._explain(exc) from exc
        if events and isinstance(events[-1], End):
            self._settle(is_closed=not data)
        return events

    def _explain(self, exc: Exception) -> Exception:
        """What an error means to the caller: a broken source first, because all else follows from it."""
        if self._upload is not None and self._upload.source_error is not None:
            return SourceBroke(str(self._upload.source_error))
        if isinstance(exc, TimedOut):
            return exc
        if not self._has_received:
            return NothingReceived("the connection was closed without an answer", was_kept=self._was_kept)
        return Broken(f"not a whole HTTP answer: {exc}")

    def _wait_for_head(self, connection: Connection) -> bytes:
        # The first wait may be as long as all: without an upload it begins with it.
        timeout = self._head_time_left() if self._has_received else self._limit
        while True:
            try:
                return connection.receive(timeout=timeout)
            except TimedOut:
                if not (timeout := self._head_time_left()):
                    raise

    def _head_time_left(self) -> float | None:
        """Seconds until the head has to be here: the limit counts from when the request had been sent whole."""
        if self._limit is None:
            return None
        sent_at = self._upload.finished_at if self._upload else self._sent_at
        return self._limit if sent_at is None else max(0.0, sent_at + self._limit - time.monotonic())

    def _wait_for_piece(self, connection: Connection) -> bytes:
        return connection.receive(timeout=self._limit)

    def _settle(self, *, is_closed: bool) -> None:
        """The answer has ended: keep its connection if nothing more will come or go on it.

        While the request may still be being sent it is left as it is: ending that may take time, so `close` does it.
        """
        is_kept = self._parser.is_reusable and not is_closed
        if self._upload is not None and not (is_kept and self._upload.has_completed()):
            return
        if not is_kept:
            self.close()
            return
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def abort(self) -> None:
        """Make a waiting read end, from any thread; harmless once the answer has ended."""
        with self._lock:
            if self._connection is not None:
                self._connection.abort()

    def close(self) -> None:
        """Give up what has not come yet; harmless once the answer has ended."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._upload is not None:
            self._upload.stop()
        connection.close()


class HttpClient:
    """Calls to one origin."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def call(
        self,
        head: RequestHead,
        body: bytes | Body = b"",
        *,
        limit: float | None,
        interrupt: Interrupt | None = None,
        may_repeat: bool = True,
    ) -> Reply:
        """Send a request; its answer once the head has come.

        `limit` bounds, in seconds, the time from the request's end to the whole head of the answer, and then each wait
        for a piece. A kept connection that turns out to be closed is replaced once, if the request is idempotent and
        can be sent again, unless the caller says that it may not. Raises `TransportError`, and `SourceBroke` for a body
        that broke off.
        """
        raw = serialize_request_head(head)
        interrupt = interrupt or Interrupt()
        may_repeat = may_repeat and head.method in IDEMPOTENT_METHODS and isinstance(body, bytes)
        while True:
            connection = self._pool.take()
            try:
                return self._attempt(connection, head, raw, body, limit, interrupt)
            except NothingReceived as exc:
                # Each turn uses up one kept connection; the first new one decides.
                if not may_repeat or not exc.was_kept:
                    raise

    def begin(self, head: RequestHead, body: bytes, *, limit: float | None) -> Reply | None:
        """Send a small request, and do not wait for its answer: None, and nothing is sent, where no connection is idle.

        Raises `TimedOut`. Where the answer turns out to be `NothingReceived`, repeating the call is up to the caller.
        """
        connection = self._pool.take_idle()
        if connection is None:
            return None
        try:
            with suppress(Broken):
                connection.send(serialize_request_head(head) + body, timeout=limit)
        except BaseException:
            connection.close()
            raise
        return Reply(connection, head.method, None, limit, is_awaited=False)

    def _attempt(
        self,
        connection: Connection,
        head: RequestHead,
        raw: bytes,
        body: bytes | Body,
        limit: float | None,
        interrupt: Interrupt,
    ) -> Reply:
        try:
            with interrupt.over(connection):
                # A peer that closes while it is sent to may have answered first: what is received decides.
                with suppress(Broken):
                    connection.send(raw + body if isinstance(body, bytes) else raw, timeout=limit)
                upload = None if isinstance(body, bytes) else _upload(connection, body, head, limit)
                return Reply(connection, head.method, upload, limit)
        except TimedOut:
            connection.close()
            raise
