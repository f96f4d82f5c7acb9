"""A connection that speaks HTTP/2 (RFC 9113): many calls at a time from as many threads.

h2 is the protocol; this is its input and output. A reader thread takes in what comes and never waits for anything else;
a writer thread sends, so that a peer that is slow in reading holds up neither what comes nor the other streams. What is
kept is bounded: a stream takes in `STREAM_BYTES` that nobody has read, and senders wait while `_OUTPUT_BYTES` wait.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error, StreamClosedError, TooManyStreamsError

from agent.transport.connection import Connection
from agent.transport.errors import Broken, NothingReceived, NotHttp2, NotProcessed, TimedOut, TransportError
from agent.transport.http2_fields import Fields
from agent.transport.http2_protocol import MAX_STREAMS, open_protocol
from agent.transport.http2_stream import Stream
from wire.errors import WireError

logger = logging.getLogger(__name__)

SILENCE: Final = 310.0
"""Seconds without a byte after which a PING asks whether the peer still lives, and an idle connection is closed. gRPC's
servers give up those who ask more often than every 300 s (`GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS`).
"""

# What may wait to be sent before senders of bodies wait too; and in all: a peer that has us answer (PING, SETTINGS) and
# does not read the answers is left.
_OUTPUT_BYTES: Final = 256 * 1024
_FLOOD_BYTES: Final = 4 * _OUTPUT_BYTES

_FRAME_HEADER_BYTES: Final = 9
_SETTINGS: Final = 4  # the type of the frame that a server must send first (RFC 9113 section 3.4)


class Http2Connection:
    """Takes streams once `wait_until_greeted` has returned; ends by itself when it is idle or its peer leaves.

    `on_change` is called, from any thread and without a lock of ours, when `capacity` may have changed.
    `silence` and `ping_limit` are in seconds.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        on_change: Callable[[], None],
        silence: float = SILENCE,
        ping_limit: float = 20.0,
    ) -> None:
        self._connection = connection
        self._on_change = on_change
        self._silence = silence
        self._ping_limit = ping_limit
        self._lock = threading.RLock()  # guards all below, and the state of every stream
        self._has_output = threading.Condition(self._lock)
        self._can_send = threading.Condition(self._lock)
        self._greeting = threading.Condition(self._lock)
        self._protocol = open_protocol()
        self._streams: dict[int, Stream] = {}
        self._output = bytearray(self._protocol.data_to_send())
        self._beginning = bytearray()
        self._is_greeted = False
        self._is_leaving = False
        self._is_pinging = False
        self._error: TransportError | None = None
        self._writer = threading.Thread(target=self._write, name="http2-writer", daemon=True)
        self._reader = threading.Thread(target=self._read, name="http2-reader", daemon=True)
        self._writer.start()
        self._reader.start()

    # By those who make calls.

    def wait_until_greeted(self, limit: float) -> None:
        """Return when the peer has said that it speaks HTTP/2. Raises `NotHttp2`."""
        with self._lock:
            self._greeting.wait_for(lambda: self._is_greeted or self._error is not None, limit)
            if self._error is not None:
                raise self._error
            if not self._is_greeted:
                raise NotHttp2(f"the server said nothing in HTTP/2 within {limit:g} s")

    @property
    def capacity(self) -> int:
        """How many streams there may be at a time; 0 for good when the connection takes no more."""
        with self._lock:
            if self._is_leaving or self._error is not None:
                return 0
            return min(MAX_STREAMS, self._protocol.remote_settings.max_concurrent_streams)

    @property
    def is_over(self) -> bool:
        """True when no further stream will ever be opened."""
        with self._lock:
            return self._is_leaving or self._error is not None

    def open_stream(self, fields: Fields, *, method: str, is_end: bool) -> Stream:
        """Send the head of a request. Raises `NotProcessed` if the connection cannot take it."""
        with self._lock:
            if self.is_over:
                raise NotProcessed("the connection takes no more requests")
            try:
                stream_id = self._protocol.get_next_available_stream_id()
                self._protocol.send_headers(stream_id, fields, end_stream=is_end)
            except TooManyStreamsError as exc:
                raise NotProcessed("the connection has too many streams") from exc
            except H2Error as exc:
                # All stream IDs are used up.
                self._leave()
                raise NotProcessed(f"not sent: {type(exc).__name__}") from exc
            stream = Stream(self, stream_id, method=method, lock=self._lock)
            stream.has_sent_end = is_end
            self._streams[stream_id] = stream
            self._flush()
            return stream

    def close(self) -> None:
        """End it under whoever uses it, and wait for its threads."""
        self._fail(Broken("the connection was closed"))
        self._connection.abort()
        self._reader.join()

    # By streams: `http2_stream.Carrier`.

    def acknowledge(self, stream: Stream, count: int) -> None:
        with self._lock:
            self._open_window(count, stream.id)
            self._flush()

    def send_data(self, stream: Stream, data: bytes, *, limit: float | None) -> None:
        view = memoryview(data)
        deadline = None if limit is None else time.monotonic() + limit
        with self._lock:
            while view:
                if stream.error is not None:
                    raise stream.error
                size = min(
                    len(view),
                    self._protocol.local_flow_control_window(stream.id),
                    self._protocol.max_outbound_frame_size,
                )
                if size <= 0 or len(self._output) >= _OUTPUT_BYTES:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        raise TimedOut(f"took nothing for {limit:g} s")
                    self._can_send.wait(left)
                    continue
                self._protocol.send_data(stream.id, bytes(view[:size]))
                self._flush()
                view = view[size:]
                deadline = None if limit is None else time.monotonic() + limit

    def send_end(self, stream: Stream, trailers: Fields) -> None:
        with self._lock:
            if stream.error is not None:
                raise stream.error
            if trailers:
                self._protocol.send_headers(stream.id, trailers, end_stream=True)
            else:
                self._protocol.end_stream(stream.id)
            stream.has_sent_end = True
            self._flush()
            self._forget_if_over(stream)

    def reset(self, stream: Stream, error: TransportError, code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        with self._lock:
            if self._streams.pop(stream.id, None) is not None:
                # h2 may know already that the stream is closed, by what came behind what is dealt with now.
                with suppress(StreamClosedError):
                    self._protocol.reset_stream(stream.id, code)
            self._open_window(stream.drop(error), stream.id)
            self._stream_ended()
            self._flush()

    # By the two threads.

    def _write(self) -> None:
        try:
            while True:
                with self._lock:
                    while not self._output:
                        if self._error is not None:
                            return
                        self._has_output.wait()
                    data = bytes(self._output)
                    self._output.clear()
                    self._can_send.notify_all()
                self._connection.send(data, timeout=self._silence)
        except TransportError as exc:
            self._fail(exc)
            self._connection.abort()

    def _read(self) -> None:
        try:
            while self._error is None:
                self._receive()
                self._on_change()
        except TransportError as exc:
            self._fail(exc)
        except H2Error as exc:
            # Its text may quote a field.
            self._fail(Broken(f"not HTTP/2 as it should be: {type(exc).__name__}"))
        except Exception as exc:
            logger.exception("a connection failed")
            self._fail(Broken(type(exc).__name__))
        finally:
            # What explains the end (GOAWAY) may still be going out.
            self._writer.join(1.0)
            self._connection.abort()
            self._writer.join()
            self._connection.close()
            self._on_change()

    def _receive(self) -> None:
        try:
            data = self._connection.receive(timeout=self._ping_limit if self._is_pinging else self._silence)
        except TimedOut:
            self._ask_whether_alive()
            return
        with self._lock:
            self._is_pinging = False
            if not data:
                self._fail(Broken("the connection was closed"))
                return
            if not self._is_greeted and not (data := self._greeted_by(data)):
                return
            for event in self._protocol.receive_data(data):
                self._take(event)
            self._flush()
            # Windows may have opened, and settings changed.
            self._can_send.notify_all()
            if len(self._output) > _FLOOD_BYTES:
                raise Broken("the peer asks for answers and does not read them")

    def _greeted_by(self, data: bytes) -> bytes:
        """What a peer has said that speaks HTTP/2, once that is clear; nothing until then. Raises `NotHttp2`."""
        self._beginning += data
        if len(self._beginning) < _FRAME_HEADER_BYTES:
            return b""
        if self._beginning[3] != _SETTINGS:
            is_http1 = self._beginning.startswith(b"HTTP/1")
            raise NotHttp2("the server answers in HTTP/1" if is_http1 else "the server answers in something else")
        self._is_greeted = True
        self._greeting.notify_all()
        return bytes(self._beginning)

    def _ask_whether_alive(self) -> None:
        with self._lock:
            if self._is_pinging:
                raise TimedOut(f"silent for {self._ping_limit:g} s after a PING")
            if not self._streams:
                self._fail(Broken("the connection was idle"))
                return
            self._protocol.ping(b"alive?  ")
            self._is_pinging = True
            self._flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self._take_goaway(event.last_stream_id or 0)
            return
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            if isinstance(event, DataReceived):
                self._open_window(event.flow_controlled_length, event.stream_id)
            return
        try:
            self._take_of(stream, event)
        except WireError as exc:
            self.reset(stream, Broken(f"not a whole HTTP answer: {exc}"), ErrorCodes.PROTOCOL_ERROR)

    def _take_of(self, stream: Stream, event: Event) -> None:
        """Raises `WireError`."""
        if isinstance(event, ResponseReceived):
            stream.take_head(event.headers, is_end=event.stream_ended is not None)
        elif isinstance(event, InformationalResponseReceived):
            stream.take_interim(event.headers)
        elif isinstance(event, DataReceived):
            if event.data:
                stream.take_data(event.data, window=event.flow_controlled_length)
            elif event.flow_controlled_length:
                self._open_window(event.flow_controlled_length, stream.id)
        elif isinstance(event, TrailersReceived):
            stream.take_trailers(event.headers)
        elif isinstance(event, StreamReset):
            self._take_reset(stream, event)
            return
        if isinstance(event, ResponseReceived | DataReceived | TrailersReceived) and event.stream_ended is not None:
            stream.take_end()
            self._forget_if_over(stream)

    def _take_reset(self, stream: Stream, event: StreamReset) -> None:
        self._streams.pop(stream.id)
        error: TransportError = Broken("the peer reset the stream")
        if event.error_code == ErrorCodes.REFUSED_STREAM and not stream.has_received:
            error = NotProcessed("the peer refused the stream")
        elif isinstance(event.error_code, ErrorCodes):
            error = Broken(f"the peer reset the stream: {event.error_code.name}")
        stream.fail(error)
        self._stream_ended()

    def _take_goaway(self, last_stream_id: int) -> None:
        for stream_id in [stream_id for stream_id in self._streams if stream_id > last_stream_id]:
            self._streams.pop(stream_id).fail(NotProcessed("the peer went away before this request"))
        self._can_send.notify_all()
        self._leave()

    # With the lock held.

    def _leave(self) -> None:
        """Open no more streams, and end when those that run are over."""
        self._is_leaving = True
        if not self._streams:
            self._fail(Broken("the peer went away"))
            self._connection.abort()

    def _forget_if_over(self, stream: Stream) -> None:
        if stream.has_sent_end and stream.is_received:
            self._streams.pop(stream.id, None)
            self._stream_ended()

    def _stream_ended(self) -> None:
        self._can_send.notify_all()
        if self._is_leaving and not self._streams:
            self._leave()

    def _open_window(self, count: int, stream_id: int) -> None:
        if count and self._error is None:
            self._protocol.acknowledge_received_data(count, stream_id)

    def _flush(self) -> None:
        """Hand what h2 wants to say to the writer."""
        if data := self._protocol.data_to_send():
            self._output += data
            self._has_output.notify()

    def _fail(self, error: TransportError) -> None:
        with self._lock:
            if self._error is not None:
                return
            if not self._is_greeted and not isinstance(error, NotHttp2):
                error = NotHttp2(f"the server ended the connection before it said anything in HTTP/2: {error}")
            self._flush()
            self._error = error
            for stream in self._streams.values():
                lost = error
                if not isinstance(error, TimedOut):
                    lost = Broken(str(error)) if stream.has_received else NothingReceived(str(error))
                stream.fail(lost)
            self._streams.clear()
            for waiting in (self._has_output, self._can_send, self._greeting):
                waiting.notify_all()
