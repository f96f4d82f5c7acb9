"""One connection of a client or an agent: the protocol class under uvicorn, over httptools.

httptools (llhttp) is strict about the grammar and refuses what requests are smuggled with: bare line ends, folded
fields, repeated or signed lengths, a length beside a coding, control bytes. uvicorn adds keep-alive, pipelining and
flow control. This class adds what both leave open:

- the head as it was sent, for `standalone.calls`: raw target, case and order of names, checked by `.heads`;
- limits: bytes of a target, of a head and of trailers, fields, time for a head, connections in all and from one
  address, requests in one pipeline and on one connection, time and least rate for reading an answer (`.outflow`);
- errors as answers in our form, each of which ends the connection, and an end that lets the client read them;
- cancelling the task of a request whose client has gone, and telling of one that goes behind an answer;
- handing a connection over to whoever speaks another protocol on it, when an application wants that.

What it does not do: llhttp knows a fixed list of methods, those in common use, and others get 501; a client that closes
its sending side counts as gone. How fast a body has to come is the business of `standalone.calls`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Final, NoReturn
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from edge.errors import Failure, Refusal, describe, render
from standalone.calls import REQUEST_EXTENSION
from standalone.connections.crowd import Crowd
from standalone.connections.cutting import Cutter
from standalone.connections.heads import checked_head
from standalone.connections.limits import Limits
from standalone.connections.outflow import Outflow
from standalone.connections.proxy_protocol import Origin
from standalone.connections.responding import ProxyCycle
from standalone.connections.splice import EARLY_BYTES, End
from wire.errors import MalformedMessage, WireError
from wire.http1 import RequestHead, serialize_fields

HEAD_TOO_SLOW: Final = Failure(
    status=408, reason="client-silent", party="client", text="The client did not send its request in time: try again."
)
_HTTP2: Final = "Pause on PRI/Upgrade"
"""What the parser says of the first bytes of HTTP/2 (RFC 9113 section 3.4)."""

UNKNOWN_METHOD: Final = Failure(
    status=501, reason="unknown-method", party="client", text="The proxy does not know this method: use a common one."
)


class ProxyProtocol(HttpToolsProtocol):
    """Reads requests and starts their tasks; `limits` and `crowd` are there for a subclass to change."""

    cycle: ProxyCycle
    limits: ClassVar[Limits] = Limits()
    crowd: ClassVar[Crowd] = Crowd()
    origin: Origin | None = None
    """Whose connection it is, where a proxy in front has said so before it began."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the parent has it
        """Accept a connection, or turn it away where there are too many."""
        super().connection_made(transport)
        if self.origin is not None:
            self.client = self.origin.address, self.origin.port
            self.scheme = "https" if self.origin.is_tls else self.scheme
        self._out = Outflow(transport, time=self.limits.write_time, rate=self.limits.read_rate)
        self._running: tuple[RequestResponseCycle, asyncio.Task[None]] | None = None
        self._on_left: Callable[[], None] | None = None  # to be called where the client leaves behind the answer
        self._alarm: asyncio.TimerHandle | None = None
        self._failure: Failure | None = None
        self._is_deaf = False  # what still comes is dropped
        self._is_ended = False  # nothing more is written
        self._is_in_head = False
        self._cutter = Cutter()
        self._held = b""  # what has come and waits until there is room for another request
        self._unparsed_bytes = 0
        self._early: bytes | None = None  # of the other protocol, once one is wanted
        self._trailers: list[tuple[bytes, bytes]] = []
        self._requests = 0
        self._address = self.client[0] if self.client else ""
        self._admit(len(self.connections), self.crowd.enter(self._address))

    def _admit(self, connections: int, from_there: int) -> None:
        """Serve the connection, or turn it away; where there are far too many, without a word, which costs memory."""
        if not self.limits.has_room(connections, from_there):
            self._is_deaf = True
            self.transport.abort()
        elif failure := self.limits.refusal(connections, from_there):
            self._refuse(failure)
        else:
            self._set_alarm(self.limits.head_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is being done for this client: nobody is there to read it."""
        super().connection_lost(exc)
        self.crowd.leave(self._address)
        self._stop_alarm()
        self._out.stop()
        if self._running is not None:
            cycle, task = self._running
            if not cycle.response_complete:
                cycle.disconnected = True
                task.cancel()
            elif self._on_left is not None and not self._is_ended:
                self._on_left()
        self._forget()

    def _forget(self) -> None:
        """Let go of what refers to this object: it would be left to the garbage collector, which takes thousands at a
        time, while everybody waits."""
        self._running = self._on_left = None
        self.parser = self.cycle = self.scope = None  # type: ignore[assignment]  # as the parent begins and ends
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse what came; what comes behind the last request of a connection is dropped."""
        if self._is_deaf:
            self._keep_early(data)
            return
        self._held += data
        self._read_on()

    def _read_on(self) -> None:
        """Parse what has come, as far as there is room for its requests; the rest waits, and nothing more is read."""
        self._unset_keepalive_if_required()
        data, self._held = self._held, b""
        start = 0
        while start < len(data) and not self._is_deaf:
            if len(self.pipeline) >= self.limits.pipeline and not self.cycle.more_body:
                self._held = data[start:]
                self.flow.pause_reading()
                return
            end = self._cutter.end_of(data, start)
            self._parse(data[start:end])
            start = end
        if self._is_deaf:
            self._keep_early(data[start:])
        elif self._alarm is None and self._is_idle:
            self._set_alarm(self.limits.head_time)

    def _parse(self, piece: bytes) -> None:
        self._unparsed_bytes += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._is_deaf = True  # whatever the other protocol is, it is not spoken here
            self._early = b""
        except httptools.HttpParserInvalidMethodError:
            self._refuse(UNKNOWN_METHOD)
        except httptools.HttpParserError as exc:
            text = "HTTP/2 is not spoken here: use HTTP/1.1" if str(exc) == _HTTP2 else str(exc)
            self._refuse(self._failure or describe(MalformedMessage(text)))
        else:
            if self._unparsed_bytes > self.limits.head_bytes:
                self._refuse(describe(self.limits.too_long("head")))

    def on_response_complete(self) -> None:
        """An answer is written: start the next request of the pipeline, or wait for one."""
        if not self._is_ended:
            super().on_response_complete()
            if self._held:
                self._read_on()

    def _resume_reading(self) -> None:
        """Read on, if that is not for what is held."""
        if not self._held:
            self.flow.resume_reading()

    # Callbacks of the parser. `feed_data` turns their exceptions into one of its own.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self.limits.url_bytes:
            self._fail(self.limits.url_too_long())

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head or of the trailers, kept as it is."""
        fields = self.headers if self._is_in_head else self._trailers
        fields.append((name, value))
        if len(fields) > self.limits.head_fields:
            self._fail(self.limits.too_many_fields())

    def on_headers_complete(self) -> None:
        """The head is whole: serve it, or queue it behind the one that is being served."""
        self._stop_alarm()
        self._is_in_head = False
        if self._unparsed_bytes > self.limits.head_bytes:
            self._fail(self.limits.too_long("head"))
        self._unparsed_bytes = 0
        version = self.parser.get_http_version()
        wants_upgrade = self.parser.should_upgrade()
        try:
            head = checked_head(
                self.parser.get_method(),
                self.url,
                self.headers,
                version=version,
                server=self.server,
                wants_upgrade=wants_upgrade,
            )
        except (WireError, Refusal) as exc:
            self._fail(exc)
        self._cutter.body_left = head.length if isinstance(head.length, int) else 0
        come = asyncio.Event()
        self._requests += 1
        self._on_left = None
        self._fill_scope(head, version, come, can_change=wants_upgrade and version == "1.1")
        is_last = self._requests >= self.limits.requests
        keep_alive = version == "1.1" and self.parser.should_keep_alive() and not wants_upgrade and not is_last
        previous, self.cycle = self.cycle, self._new_cycle(head, come, keep_alive=keep_alive)
        if previous is None or previous.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        if not self.cycle.response_complete:
            self.cycle.take(body)
            if self.cycle.unread_bytes > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        self._unparsed_bytes = 0
        if sum(len(name) + len(value) + 4 for name, value in self._trailers) > self.limits.head_bytes:
            self._fail(self.limits.too_long("trailers"))
        self.cycle.trailers, self._trailers = self._trailers, []
        super().on_message_complete()

    # What a request becomes

    def _fill_scope(self, head: RequestHead, version: str, come: asyncio.Event, *, can_change: bool) -> None:
        raw_path, _, query = self.url.partition(b"?")
        self.scope["method"] = head.method
        self.scope["http_version"] = version
        self.scope["path"] = unquote(raw_path.decode("ascii"))
        self.scope["raw_path"] = raw_path
        self.scope["query_string"] = query
        self.scope["headers"] = [(name.lower(), value) for name, value in self.headers]
        extension: dict[object, object] = {"head": head, "has_come": come.is_set, "is_cut_off": self._out.is_cut_off}
        if can_change:
            extension["take_over"] = self.take_over
        if self._requests > 1:
            extension["when_left"] = self._note_on_left
        self.scope["extensions"] = {REQUEST_EXTENSION: extension}

    def _note_on_left(self, tell: Callable[[], None]) -> None:
        self._on_left = tell

    def _new_cycle(self, head: RequestHead, come: asyncio.Event, *, keep_alive: bool) -> ProxyCycle:
        return ProxyCycle(
            hang_up=self._hang_up,
            resume_reading=self._resume_reading,
            out=self._out,
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=come,
            expect_100_continue=(head.headers.get("Expect") or "").lower() == "100-continue",
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        self._running = cycle, task

    # Another protocol

    def take_over(self, head: bytes, end: End) -> bool:
        """Send a 101 and give the connection to `end`, with what has come behind the request; False if it has ended.

        To be called by the application, in the task of the request, before it has answered anything.
        """
        if self.transport.is_closing() or self._is_ended:
            return False
        self._stop_alarm()
        self._out.stop()
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        # It still counts as one from its address.
        end.on_lost = partial(self.crowd.leave, self._address)
        self.cycle.disconnected = True  # nothing more is written to it as an answer
        self.transport.write(head)
        self.transport.set_protocol(end)
        end.connection_made(self.transport)
        self.flow.resume_reading()
        early, self._early = self._early, None
        if early:
            end.data_received(early)
        self._forget()
        return True

    def _keep_early(self, data: bytes) -> None:
        if self._early is not None and not self._is_ended:
            self._early += data
            if len(self._early) >= EARLY_BYTES:
                self.flow.pause_reading()

    # Limits

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _fail(self, exc: WireError | Refusal) -> NoReturn:
        """To be called by callbacks of the parser: end the parsing, for this reason."""
        self._failure = describe(exc)
        raise exc

    def _set_alarm(self, seconds: float) -> None:
        self._stop_alarm()
        self._alarm = self.loop.call_later(seconds, self._on_alarm)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _on_alarm(self) -> None:
        self._alarm = None
        if self._is_ended and self._out.waiting:
            self._set_alarm(self.limits.linger_time)  # it still reads, and `_out` sees to it that it does
        elif self._is_ended:
            self.transport.abort()
        elif self._is_in_head:
            self._refuse(HEAD_TOO_SLOW)
        else:
            self._hang_up(False)

    # Ends

    def _refuse(self, failure: Failure) -> None:
        """Read no more, and tell the client why, if that cannot be taken for another answer.

        Requests that came whole before are answered first, without a word about what followed them.
        """
        self._is_deaf = True
        if self._is_idle:
            self._write_failure(failure)
        elif not self.cycle.more_body:
            self.cycle.keep_alive = False
        elif self._running and self._running[0] is self.cycle and not self.cycle.response_started:
            self.cycle.disconnected = True
            self._running[1].cancel()
            self._write_failure(failure)
        else:
            self.transport.abort()

    def _write_failure(self, failure: Failure) -> None:
        status, headers, body = render(failure, form="text", trace="")
        head = serialize_fields(headers.adding(("Content-Length", str(len(body))), ("Connection", "close")))
        self._out.write(b"".join((STATUS_LINE[status], head, b"\r\n", body)))
        self._hang_up(True)

    def _hang_up(self, client_may_send: bool) -> None:
        """End the connection when all is written.

        Closing while the client still sends would reset the connection, and the client might never read its answer
        (RFC 9112 section 9.6): so only our side is closed at first. TLS does so by itself: it tells the other
        side and waits for its word.
        """
        self._is_deaf = self._is_ended = True
        if client_may_send and self.transport.can_write_eof():
            self.flow.resume_reading()
            self.transport.write_eof()
            self._set_alarm(self.limits.linger_time)
        else:
            self.transport.close()
