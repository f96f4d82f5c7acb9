"""open, data, poll and close, as a `Handler`; whatever else is asked for goes to the handler behind it."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from agent.failures import failure_of
from agent.messages import Request, Response, whole_body
from agent.pipeline import Handler
from agent.shim import protocol
from agent.shim.connection import Connection
from agent.shim.handshake import handshake_request
from agent.shim.mailbox import Finished, Taken
from agent.shim.message_headers import with_headers
from agent.shim.protocol import LOST, BadRequest, Closing, Message
from agent.shim.sessions import Session, Sessions, TooManySessions
from agent.transport.errors import SourceBroke, TransportError
from wire.errors import WireError
from wire.headers import Headers
from wire.http1 import End, ResponseHead

logger = logging.getLogger(__name__)

LONGEST_POLL: Final = timedelta(seconds=20)
"""As in the original: below the 30 s for which a proxy on App Engine waits."""
_SEND_SECONDS: Final = 20.0
_LATE_SECONDS: Final = 2.0
"""For messages that `close` has overtaken: their requests were made before it."""
_HELD_SECONDS: Final = 10.0
_MOST_HELD: Final = 100

_IDLE: Final = Closing(1001, "nobody has used this websocket for a while", clean=True)
_STOPPING: Final = Closing(1001, "the agent stops", clean=True)

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Dial = Callable[[Request, Sequence[str]], tuple[ResponseHead, Connection | None]]
"""See `Dialer.dial`."""


@dataclass(frozen=True, slots=True)
class ShimOptions:
    shim_path: str
    idle_limit: timedelta
    """--websocket-shim-timeout."""
    adds_headers: bool
    """--enable-websockets-injection."""


class _TooLarge(Exception):
    """A body over its limit."""


class _Opening:
    """The handshake of one open, as the innermost `Handler`."""

    def __init__(self, dial: Dial, subprotocols: Sequence[str]) -> None:
        self._dial = dial
        self._subprotocols = subprotocols
        self.connection: Connection | None = None

    def __call__(self, request: Request) -> Response:
        head, self.connection = self._dial(request, self._subprotocols)
        return Response(head, whole_body(b""))


class Shim:
    """A `Handler` around `inner`.

    `around` puts sessions and hygiene around a handler, as they are for any other request; it is called for each open,
    so what it makes has to be cheap. `yielding()` gives a slot of the agent back for as long as its `with` block waits.
    `now` is a monotonic clock. `sweep` is to be called about each second, `stop` when the agent stops.
    """

    def __init__(
        self,
        inner: Handler,
        *,
        options: ShimOptions,
        sessions: Sessions,
        dial: Dial,
        around: Callable[[Handler], Handler],
        yielding: Callable[[], AbstractContextManager[None]],
        now: Callable[[], float],
    ) -> None:
        """Raises `ValueError` for a path that cannot be used."""
        self._inner = inner
        self._prefix = protocol.shim_prefix(options.shim_path)
        self._adds_headers = options.adds_headers
        self._poll_seconds = min(LONGEST_POLL, options.idle_limit / 2).total_seconds()
        self._sessions = sessions
        self._dial = dial
        self._around = around
        self._yielding = yielding
        self._now = now
        self._stopping = threading.Event()
        self._holding = threading.BoundedSemaphore(_MOST_HELD)
        self._calls: dict[str, tuple[int, Callable[[Request, bytes], Response]]] = {
            "open": (protocol.MAX_CONTROL_BYTES, self._open),
            "data": (protocol.MAX_DATA_BYTES, self._data),
            "poll": (protocol.MAX_CONTROL_BYTES, self._poll),
            "close": (protocol.MAX_CONTROL_BYTES, self._close),
        }

    def __call__(self, request: Request) -> Response:
        """Raises `SourceBroke` for a body that broke off, and what `inner` raises."""
        path = request.head.target.partition("?")[0]
        if not path.startswith(self._prefix):
            return self._inner(request)
        call = self._calls.get(path.removeprefix(self._prefix))
        if call is None:
            # The page's script is below this path too, and is served by who puts it into pages.
            return self._inner(request)
        if request.head.method != "POST":
            return _error(405, "only POST is allowed here", fields=[("Allow", "POST")])
        if not is_same_origin(request.head.headers):
            return _error(403, "only pages of the same origin may use websockets through this agent")
        limit, answer = call
        try:
            return answer(request, _read(request, limit))
        except BadRequest as exc:
            return _error(400, str(exc))
        except _TooLarge:
            return _error(413, f"the body is over {limit} bytes")

    def sweep(self) -> None:
        """Close what has been idle for too long."""
        for session in self._sessions.sweep(now=self._now()):
            logger.info("a websocket to %s is closed: idle", _path(session.target))
            session.websocket.close(1001, _IDLE.reason, told=_IDLE)

    def stop(self) -> None:
        """Close all websockets with 1001, end all polls at once, open no more. Does not wait: see `is_stopped`."""
        self._stopping.set()
        for session in self._sessions.everything():
            session.websocket.close(1001, _STOPPING.reason, told=_STOPPING)

    @property
    def is_stopped(self) -> bool:
        """True once, after `stop`, all closing handshakes are over: each has some seconds."""
        return self._stopping.is_set() and all(each.websocket.is_over for each in self._sessions.everything())

    def _open(self, request: Request, body: bytes) -> Response:
        target = protocol.parse_target(body)
        version = protocol.parse_version(request.head.headers.get(protocol.VERSION_FIELD))
        subprotocols = protocol.parse_protocols(request.head.headers.get(protocol.PROTOCOLS_FIELD))
        if self._stopping.is_set():
            return _error(503, "the agent stops")
        try:
            self._sessions.reserve(request.user_id)
        except TooManySessions as exc:
            return _error(429, str(exc))
        opening = _Opening(self._dial, subprotocols)
        try:
            answer = self._around(opening)(handshake_request(request, target))
            # Cookies that the backend sets with the handshake are the browser's, as with a websocket of its own.
            cookies = [("Set-Cookie", value) for value in answer.head.headers.get_all("Set-Cookie")]
            answer.close()
        except (TransportError, SourceBroke) as exc:
            self._sessions.give_back(request.user_id)
            failure = failure_of(exc)
            logger.warning("%.8s websocket %s: %s: %s", request.request_id, _path(target), failure.reason, exc)
            return _error(failure.status, failure.text.replace("\n", " "), failure=failure.reason)
        except BaseException:
            self._sessions.give_back(request.user_id)
            if opening.connection is not None:
                opening.connection.abort()
            raise
        if opening.connection is None:
            self._sessions.give_back(request.user_id)
            return _refused(answer.head.status, cookies)
        session = self._sessions.add(
            opening.connection, user_id=request.user_id, version=version, target=target, now=self._now()
        )
        if self._stopping.is_set():
            # `stop` may have looked before this one was in the table.
            opening.connection.close(1001, _STOPPING.reason, told=_STOPPING)
        opened = protocol.encode_opened(
            session.session_id, target=target, version=version, protocol=opening.connection.subprotocol
        )
        return _answer(200, opened, "application/json", fields=cookies)

    def _data(self, request: Request, body: bytes) -> Response:
        batch = protocol.parse_data(body)
        if not batch.items:
            return _ok()
        session = self._find(batch.session_id, request)
        if session is None:
            return _unknown()
        messages = protocol.decode_messages(batch.items, version=session.version)
        if self._adds_headers:
            fields = self._fields_for(session, request)
            messages = [with_headers(message, fields) for message in messages]
        if not session.sending.acquire(timeout=0):
            with self._yielding():
                has_turn = session.sending.acquire(timeout=_SEND_SECONDS)
            if not has_turn:
                return _error(503, "other messages of this websocket are still being sent", taken=session.taken)
        try:
            return self._send(session, messages, session.taken if batch.first is None else batch.first)
        finally:
            session.sending.release()

    def _send(self, session: Session, messages: list[Message], first: int) -> Response:
        """Send those messages that were not taken already; `first` is the number of the first one."""
        if first > session.taken:
            return _error(409, f"message {session.taken} is missing", taken=session.taken)
        new = messages[session.taken - first :]
        try:
            sent = session.websocket.send(new, timeout=0)
            if sent < len(new):
                with self._yielding():
                    sent += session.websocket.send(new[sent:], timeout=_SEND_SECONDS)
        except Finished as exc:
            return _ended(exc.closing)
        session.take(sent)
        if sent < len(new):
            return _error(503, "the backend does not read what this websocket sends", taken=session.taken)
        return _ok()

    def _fields_for(self, session: Session, request: Request) -> list[tuple[str, str]]:
        """The fields that the backend gets with a request for the websocket's target: its cookies, none of ours."""
        seen: list[tuple[str, str]] = []

        def look(cleaned: Request) -> Response:
            seen.extend(cleaned.head.headers.without("Host"))
            return Response(ResponseHead(204, Headers(), None), whole_body(b""))

        self._around(look)(handshake_request(request, session.target)).close()
        return seen

    def _poll(self, request: Request, body: bytes) -> Response:
        asked = protocol.parse_poll(body)
        session = self._find(asked.session_id, request)
        if session is None:
            return self._held(_unknown(), is_told=asked.ack is None)
        self._sessions.begin_poll(session)
        try:
            mailbox = session.websocket.mailbox
            with self._yielding():
                taken = mailbox.take(asked.ack, timeout=0 if self._stopping.is_set() else self._poll_seconds)
        except Finished as exc:
            was_told, session.is_told = session.is_told, True
            return self._held(_ended(exc.closing), is_told=was_told and asked.ack is None)
        finally:
            self._sessions.end_poll(session, now=self._now())
        if taken is None:
            return _answer(408, b"", "text/plain")
        return _delivery(taken, version=session.version)

    def _held(self, answer: Response, *, is_told: bool) -> Response:
        """Keep a page that does not know that its websocket is closed from asking again without a pause."""
        if is_told and self._holding.acquire(blocking=False):
            try:
                with self._yielding():
                    self._stopping.wait(_HELD_SECONDS)
            finally:
                self._holding.release()
        return answer

    def _close(self, request: Request, body: bytes) -> Response:
        asked = protocol.parse_close(body)
        session = self._find(asked.session_id, request)
        if session is None:
            return _unknown()
        closing = session.websocket.mailbox.closing
        if closing is not None:
            return _ended(closing)
        if asked.count is not None and asked.count > session.taken:
            with self._yielding():
                session.wait_until_taken(asked.count, timeout=_LATE_SECONDS)
        session.websocket.close(asked.code, asked.reason)
        return _ok()

    def _find(self, session_id: str, request: Request) -> Session | None:
        return self._sessions.find(session_id, request.user_id, now=self._now())


def is_same_origin(headers: Headers) -> bool:
    """True if no page of another origin can have made this request with its user's cookies.

    Browsers say where a POST comes from: in Sec-Fetch-Site, which no page can set, or the older ones in Origin, which
    is compared with Host. Who sends neither is no browser.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS[parts.scheme]
        host = urlsplit(f"//{headers.get('Host')}")
        return (parts.hostname, parts.port or default) == (host.hostname, host.port or default)
    except (KeyError, ValueError):
        return False


def _read(request: Request, limit: int) -> bytes:
    if isinstance(request.body, bytes):
        if len(request.body) > limit:
            raise _TooLarge
        return request.body
    body = bytearray()
    try:
        for event in request.body.events:
            if isinstance(event, End):
                break
            body += event
            if len(body) > limit:
                request.body.abandon()
                raise _TooLarge
    except (TransportError, WireError) as exc:
        raise SourceBroke(str(exc)) from exc
    return bytes(body)


def _delivery(taken: Taken, *, version: int) -> Response:
    """The messages as an answer that says whether it was read."""
    body = protocol.encode_messages(taken.messages, version=version)
    head = _head(200, body, "application/json", ())

    def events() -> Iterator[bytes | End]:
        yield body
        taken.handed_on()
        yield End()

    return Response(head, events(), close=taken.given_up)


def _refused(status: int, cookies: list[tuple[str, str]]) -> Response:
    text = f"the backend refused the websocket: {status} {_phrase(status)}".rstrip()
    return _error(status if 400 <= status < 500 else 502, text, status=status, fields=cookies)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""


def _ended(closing: Closing) -> Response:
    text = f"the websocket is closed: {closing.code}{f' {closing.reason}' if closing.reason else ''}"
    return _error(400, text, closing=closing)


def _unknown() -> Response:
    return _error(400, "no such websocket: closed long ago, or opened at another agent", closing=LOST)


def _ok() -> Response:
    return _answer(200, b"ok", "text/plain")


def _error(
    answer: int,
    text: str,
    *,
    closing: Closing | None = None,
    status: int | None = None,
    taken: int | None = None,
    fields: Sequence[tuple[str, str]] = (),
    failure: str = "",
) -> Response:
    """An answer of status `answer` with the error object."""
    body = protocol.encode_error(text, closing=closing, status=status, taken=taken)
    return _answer(answer, body, "application/json", fields=fields, failure=failure)


def _answer(
    status: int, body: bytes, media_type: str, *, fields: Sequence[tuple[str, str]] = (), failure: str = ""
) -> Response:
    return Response(_head(status, body, media_type, fields), whole_body(body), failure=failure)


def _head(status: int, body: bytes, media_type: str, fields: Sequence[tuple[str, str]]) -> ResponseHead:
    own = [("Content-Type", media_type), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    return ResponseHead(status, Headers([*own, *fields]), len(body))


def _path(target: str) -> str:
    """What of a target may stand in a log."""
    return target.partition("?")[0][:1024]
