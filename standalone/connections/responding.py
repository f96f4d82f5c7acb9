"""One request and its answer on a connection: how a body is handed on, how an answer is written, and how one that
breaks off is made to look broken.

A request/response cycle in uvicorn's sense. It hands on the body in the pieces in which the parser gives it. It keeps
the case of names in answers, frames for HTTP/1.0 too, lets 304 have a Content-Length, reads and writes trailers, and
breaks off visibly. An application breaks its answer off by returning before its end.
"""

from collections.abc import Callable
from typing import Any, Final

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveEvent,
    ASGISendEvent,
    HTTPRequestEvent,
    HTTPResponseStartEvent,
)
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

from standalone.calls import TOGETHER, TRAILERS
from standalone.connections.outflow import Outflow, reset
from wire.http1 import chunk_around

Fields = list[tuple[bytes, bytes]]

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_MANY: Final = 1000
"""Pieces of a body: small ones take more memory than their bytes."""

_SHORT: Final = 1 << 14
"""Bytes: a record of TLS holds no more."""


class ProxyCycle(RequestResponseCycle):
    """One request and its answer on a connection.

    `hang_up` ends the connection when the answer is written; its argument says whether the client may still be sending.
    `resume_reading` reads on where that was paused.
    """

    def __init__(
        self,
        *,
        hang_up: Callable[[bool], None],
        resume_reading: Callable[[], None],
        out: Outflow,
        **uvicorn: Any,
    ) -> None:
        super().__init__(**uvicorn)
        self._hang_up = hang_up
        self._resume_reading = resume_reading
        self._out = out
        self._is_delimited_by_close = False
        self._has_trailers = False
        self._pieces: list[bytes] = []
        self._unwritten: list[bytes] = []
        self.unread_bytes = 0
        """Of the body, that have come and were not received yet."""
        self.trailers: Fields = []
        """Of the request; handed on with the end of its body."""

    def take(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self._pieces.append(piece)
        if len(self._pieces) == _MANY:
            self._pieces = [b"".join(self._pieces)]
        self.unread_bytes += len(piece)
        self.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """What has come of the body since the last call, as soon as there is something or its end."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.waiting_for_100_continue = False
            self._out.write(_CONTINUE)
        if not self.disconnected and not self.response_complete:
            self._resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.unread_bytes = 0
        message: HTTPRequestEvent = {"type": "http.request", "body": body, "more_body": self.more_body}
        if self.trailers and not self.more_body:
            message[TRAILERS] = self.trailers  # type: ignore[typeddict-unknown-key]  # an extension of ours
        return message

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Serve the request. An application logs its own errors; one that has not answered to the end breaks off."""
        try:
            await app(self.scope, self.receive, self.send)
        finally:
            if not self.response_complete and not self.disconnected:
                self.break_off()
            self.on_response = lambda: None

    def break_off(self) -> None:
        """End the connection so that the client sees that the answer is not whole (RFC 9112 section 8)."""
        self.disconnected = True
        if self._is_delimited_by_close:
            # An orderly end would look like the end of the answer.
            reset(self.transport)
        else:
            self._hang_up(False)

    async def send(self, message: ASGISendEvent) -> None:
        """Write a part of the answer, when the client has read enough of the former ones."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._start(message)
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._write(message.get("body", b""))
            if not message.get("more_body", False) and not self._has_trailers:
                self._end([])
        elif message["type"] == "http.response.trailers" and self._has_trailers and not self.response_complete:
            self._end(list(message["headers"]))
        else:
            raise RuntimeError(f"an application sent {message['type']} out of turn")
        if not message.get(TOGETHER):
            self._flush()

    def _start(self, message: HTTPResponseStartEvent) -> None:
        status = message["status"]
        fields = list(message.get("headers", ()))
        self.response_started = True
        self.waiting_for_100_continue = False
        self._choose_framing(status, fields)
        self._has_trailers = message.get("trailers", False)
        if self.more_body:
            # The rest of the request may never come, so the next one cannot be found (RFC 9112 section 9.3).
            self.keep_alive = False
        if not self.keep_alive:
            fields.append((b"Connection", b"close"))
        status_line = STATUS_LINE.get(status) or b"HTTP/1.1 %d \r\n" % status
        self._unwritten.append(b"".join((status_line, *_lines(fields), b"\r\n")))

    def _choose_framing(self, status: int, fields: Fields) -> None:
        """How the body is delimited (RFC 9112 section 6.3); adds the field that says so if the application did not."""
        lengths = [int(value) for name, value in fields if name.lower() == b"content-length"]
        self.chunked_encoding = False
        if self.scope["method"] == "HEAD" or status in (204, 304):
            self.expected_content_length = 0
        elif lengths:
            self.expected_content_length = lengths[0]
        elif self.scope["http_version"] == "1.1":
            self.chunked_encoding = True
            fields.append((b"Transfer-Encoding", b"chunked"))
        else:
            self._is_delimited_by_close = True
            self.keep_alive = False

    def _write(self, body: bytes) -> None:
        if not body:
            return
        if self.chunked_encoding:
            self._unwritten += chunk_around(body)
        elif self._is_delimited_by_close:
            self._unwritten.append(body)
        elif self.scope["method"] != "HEAD":
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("an application sent more than its Content-Length")
            self._unwritten.append(body)

    def _end(self, trailers: Fields) -> None:
        if self.expected_content_length:
            raise RuntimeError("an application sent less than its Content-Length")
        if self.chunked_encoding:
            self._unwritten.append(b"".join((b"0\r\n", *_lines(trailers), b"\r\n")))
        self._flush()
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self._hang_up(self.more_body)
        self.on_response()

    def _flush(self) -> None:
        """Write what there is, copying only what is short: a write costs more than its bytes."""
        pieces, self._unwritten = self._unwritten, []
        if len(pieces) == 1 or sum(map(len, pieces)) <= _SHORT:
            pieces = [b"".join(pieces)]
        if len(pieces) > 1:
            self._out.writelines(pieces)
        elif pieces[0]:
            self._out.write(pieces[0])


def _lines(fields: Fields) -> list[bytes]:
    names, values = b"".join([name for name, _ in fields]), b"".join([value for _, value in fields])
    if HEADER_RE.search(names) or HEADER_VALUE_RE.search(values):
        raise RuntimeError("an application sent a header field that cannot be written")
    return [b"%b: %b\r\n" % field for field in fields]
