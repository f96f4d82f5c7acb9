"""One request and its answer over ASGI, in the words of `wire`; and what is known of it for the log."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from broker.forwarding import Client
from broker.waiting import Clock
from edge.errors import Failure, Form, Refusal, choose_form, render
from edge.identity import Caller
from edge.logs import Access
from standalone.connections.splice import End as TunnelEnd
from standalone.pace import Pace
from wire.headers import Headers
from wire.http1 import CHUNKED, End, Event, RequestHead, ResponseHead
from wire.upgrades import serialize_switch_head

# ASGI's own types: dictionaries, whose keys the specification names.
Scope = Mapping[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_EXTENSION: Final = "inverting_proxy.request"
"""In `scope["extensions"]`: `{"head": RequestHead}`, the head as it was sent. ASGI itself has lost the case of
names, and of the target a lone `?` and the absolute form. With `take_over` (`ProxyProtocol.take_over`) where the
connection can change to another protocol; with `has_come`, a function that says whether there is something to receive
without waiting; with `when_left` on a connection that was kept for this request: a function that takes what is to be
called where the client ends the connection behind the answer, with no request since. With `is_cut_off`, a function that
says whether the connection was ended because the client read too slowly."""

TRAILERS: Final = "inverting_proxy.trailers"
"""In the last `http.request` of a body: its trailer fields as they were sent, where there are any; ASGI has no place
for them."""

TOGETHER: Final = "inverting_proxy.together"
"""In a message of an answer: true where the next one is there already, so that both are written at once."""

_BODY: Final = "http.response.body"

_LOOK_UP: Final = 1.0

CLIENT_SILENT: Final = Failure(
    status=408,
    reason="client-silent",
    party="client",
    text="The client stopped sending its request: send it again.",
)

CLIENT_SLOW: Final = Failure(
    status=408,
    reason="client-slow",
    party="client",
    text="The client sent its request too slowly: send it again over a faster connection.",
)


class Call:
    """One request, read and answered step by step.

    When the client goes away, the task that serves the call is cancelled.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, clock: Clock) -> None:
        extension = scope["extensions"][REQUEST_EXTENSION]
        self.head: RequestHead = extension["head"]
        self._has_come: Callable[[], bool] = extension.get("has_come", lambda: False)
        self.is_cut_off: Callable[[], bool] = extension.get("is_cut_off", lambda: False)
        """Says whether the connection was ended because the client read its answer too slowly."""
        self._take_over: Callable[[bytes, TunnelEnd], bool] | None = extension.get("take_over")
        self._when_left: Callable[[Callable[[], None]], None] | None = extension.get("when_left")
        address, _ = scope["client"] or ("", 0)
        self.client = Client(address, scope["scheme"])
        self.peer = address
        """The address at the other end of the connection, which may be that of a proxy in front."""
        self.trace = ""
        """What names the exchange in the log and on error pages."""
        self.backend = ""
        self.reason = ""
        """Why it failed, if it did."""
        self.form: Form | None = None
        """How errors are told; None: as the client wants it."""
        self.trailers = Headers()
        """Of the request, once its body is read to the end."""
        self._receive = receive
        self._send = send
        self._clock = clock
        self._began = clock.now()
        self._first_byte: datetime | None = None
        self._received = self._sent = 0
        self._answer: ResponseHead | None = None
        self.fields: list[tuple[str, str]] = []
        """Of the proxy's own, for the head of the answer."""
        self._is_answered = False
        self.is_taken_over = False
        """True once the connection is another protocol's: then whoever has it writes the line for the log."""

    @property
    def can_change(self) -> bool:
        """True for a request of HTTP/1.1 that offers to change to another protocol."""
        return self._take_over is not None

    @property
    def caller(self) -> Caller:
        """Who calls, for an identity to tell."""
        return Caller(self.head.headers, self.client.address)

    @property
    def has_begun(self) -> bool:
        """True once the head of the answer is sent: from then on a failure can only be shown by breaking off."""
        return self._answer is not None

    @property
    def is_answered(self) -> bool:
        """True once the answer is sent to its end."""
        return self._is_answered

    async def read(
        self, patience: timedelta, *, pace: Pace | None = None, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[bytes, bool]:
        """The next bytes of the body, and whether they are the last.

        `meanwhile` is called while the client is silent, every second; it may raise. Raises `Refusal` (408) when the
        client is silent for longer than `patience`, or does not keep up with `pace`.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        ends = began + patience.total_seconds()
        while (message := await self._receive_until(ends)) is None:
            if loop.time() >= ends:
                raise Refusal(CLIENT_SILENT)
            meanwhile()
        data, is_last = self._taken(message)
        if not is_last and pace is not None and not pace.keeps_up(len(data), loop.time() - began):
            raise Refusal(CLIENT_SLOW)
        return data, is_last

    async def read_before(self, ends: float) -> tuple[bytes, bool] | None:
        """The same, None where nothing comes before a time of the event loop's clock, at most a second from now."""
        message = await self._receive_until(ends)
        return None if message is None else self._taken(message)

    def _taken(self, message: Message) -> tuple[bytes, bool]:
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError("the client has gone")
        data: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        self._received += len(data)
        if is_last:
            self.trailers = Headers(_decoded(message.get(TRAILERS, ())))
        return data, is_last

    def when_left(self, tell: Callable[[], None]) -> None:
        """`tell` is called where the client, which keeps its connections, ends this one behind the answer, with no
        request since; never where it has not kept it before, or the proxy ends it."""
        if self._when_left is not None:
            self._when_left(tell)

    def add_fields(self, *fields: tuple[str, str]) -> None:
        """Fields of the proxy's own, for the head of the answer, whatever it will be."""
        self.fields += fields

    async def send(self, *events: Event) -> None:
        """Send the head of the answer, bytes of its body, or its end; returns when there is room for more.

        What is sent together is written together: one system call, and one awakening of whoever reads it.
        """
        for message in self._messages(events):
            await self._send(message)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        head = ResponseHead(status, headers, len(body))
        if body and self.head.method != "HEAD":
            await self.send(head, body, End())
        else:
            await self.send(head, End())

    def change(self, headers: Headers, end: TunnelEnd) -> None:
        """Answer 101 with these fields, and give the connection to `end`. Raises `CancelledError` when the client has
        gone."""
        assert self._take_over is not None
        self._answer = ResponseHead(101, headers, None)
        self._first_byte = self._clock.now()
        if not self._take_over(serialize_switch_head(headers), end):
            raise asyncio.CancelledError("the client has gone")
        self._is_answered = self.is_taken_over = True

    async def fail(self, failure: Failure) -> None:
        """Tell the client what went wrong, if nothing is sent yet; otherwise the answer stays without its end, and the
        server breaks the connection off."""
        self.reason = failure.reason
        if not self.has_begun:
            form = self.form or choose_form(self.head.headers.get("Accept"))
            await self.answer(*render(failure, form=form, trace=self.trace))

    def access(self) -> Access:
        """The line for the log, now that the call is over."""
        return Access(
            trace=self.trace,
            method=self.head.method,
            target=self.head.target,
            status=self._answer.status if self._answer else 0,
            received=self._received,
            sent=self._sent,
            total=self._clock.now() - self._began,
            first_byte=None if self._first_byte is None else self._first_byte - self._began,
            backend=self.backend,
            reason=self.reason,
        )

    async def _receive_until(self, ends: float) -> Message | None:
        """The next message, or None after a second or at the end of patience."""
        if self._has_come():
            return await self._receive()  # at once: no alarm is needed
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(ends, loop.time() + _LOOK_UP)):
                return await self._receive()
        except TimeoutError:
            return None

    def _messages(self, events: Iterable[Event]) -> list[Message]:
        messages: list[Message] = []
        for event in events:
            if isinstance(event, bytes):
                self._sent += len(event)
                messages.append({"type": _BODY, "body": event, "more_body": True})
            elif isinstance(event, ResponseHead):
                if self.fields:
                    event = replace(event, headers=event.headers.adding(*self.fields))
                self._answer = event
                self._first_byte = self._clock.now()
                messages.append(_start_message(event))
            elif isinstance(event, End):
                self._is_answered = True
                if not messages or messages[-1]["type"] != _BODY:
                    messages.append({"type": _BODY, "body": b""})
                messages[-1]["more_body"] = False
                if self._has_trailers:
                    messages.append({"type": "http.response.trailers", "headers": _encoded(event.trailers)})
        for message in messages[:-1]:
            message[TOGETHER] = True
        return messages

    @property
    def _has_trailers(self) -> bool:
        return self._answer is not None and self._answer.length == CHUNKED


def _start_message(head: ResponseHead) -> Message:
    fields = _encoded(head.headers)
    # RFC 9110 section 8.6: no Content-Length with 204.
    if isinstance(head.length, int) and head.status != 204:
        fields.append((b"Content-Length", b"%d" % head.length))
    return {
        "type": "http.response.start",
        "status": head.status,
        "headers": fields,
        "trailers": head.length == CHUNKED,
    }


def _decoded(fields: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
