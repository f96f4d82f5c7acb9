"""The three calls of the protocol to the proxy: list, fetch, respond; retried, and checked whole.

Credentials go to the configured origin alone: no redirect is followed, whatever it is.
"""

import itertools
import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar
from urllib.parse import urlsplit

from agent.backoff import CALLING
from agent.identity.credentials import Credentials
from agent.identity.errors import CredentialsError
from agent.messages import Request, Response
from agent.proxy.errors import (
    ProxyError,
    ProxyUnavailable,
    Unauthorized,
    Unidentified,
    require_no_page,
    require_success,
)
from agent.proxy.inner_request import read_request
from agent.proxy.outbound import outbound_fields
from agent.proxy.replay import Replay, encode_response, inner_head, is_small, whole
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.transport.client import HttpClient, Interrupt, Reply
from agent.transport.errors import Broken, SourceBroke, TimedOut, TransportError
from agent.transport.upload import Body
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import CHUNKED, Length, RequestHead, ResponseHead
from wire.protocol import (
    AGENT_ID,
    BACKEND_ID,
    ERROR,
    FORWARDED,
    FORWARDED_SET,
    MAX_PENDING_BYTES,
    PENDING_PATH,
    REQUEST_ID,
    REQUEST_PATH,
    RESPONSE_MEDIA_TYPE,
    RESPONSE_PATH,
    USER_ID,
    RequestId,
    decode_pending,
)

logger = logging.getLogger(__name__)

_SILENCE: Final = 30.0
"""Seconds that the proxy may be silent in a fetch or a post."""

_FETCH_RETRIES: Final = timedelta(seconds=10)
_RESPOND_RETRIES: Final = timedelta(seconds=30)
_LIST_RETRIES: Final = timedelta()  # The poller has a pace of its own.

_LEAVING: Final = 2.0
"""Seconds that the proxy may take to hear that the agent asks no more: nobody waits longer at its end."""

_NO_REQUEST: Final = "-"
"""A Request-ID that no request has."""

_ANSWER_BYTES: Final = 64 * 1024
"""The longest answer to a post that is read: it says nothing, but its end makes the connection free."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Who calls: on every call to the proxy."""

    backend_id: str
    agent_id: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """A request to answer; it is closed when that is done, because its body may still be coming until then."""

    request: Request
    close: Callable[[], None]


class ProxyClient:
    """The proxy at `url`, with or without a path. Every call raises `ProxyError` and `TransportError`."""

    def __init__(
        self,
        client: HttpClient,
        *,
        url: str,
        identity: AgentIdentity,
        credentials: Credentials,
        poll_limit: timedelta | None,
        jitter: Callable[[], float],
        sleep: Callable[[float], object],
        observer: Observer = UNOBSERVED,
        outbound: str | None = None,
    ) -> None:
        """`outbound` is the URL of an HTTP proxy on the way that `client` connects to; None for none."""
        parts = urlsplit(url)
        is_relayed = outbound is not None and parts.scheme == "http"
        self._client = client
        self._prefix = (f"http://{parts.netloc}" if is_relayed else "") + parts.path.rstrip("/")
        self._fields = (
            ("Host", parts.netloc),
            ("User-Agent", identity.user_agent),
            (BACKEND_ID, identity.backend_id),
            (AGENT_ID, identity.agent_id),
            *(outbound_fields(outbound) if outbound and is_relayed else ()),
        )
        self._credentials = credentials
        self._poll_limit = poll_limit.total_seconds() if poll_limit is not None else None
        self._jitter = jitter
        self._sleep = sleep
        self._observer = observer

    def list_pending(self, interrupt: Interrupt) -> list[RequestId]:
        """The exchanges that wait for this agent: one long poll, which `interrupt` may end with a `TransportError`.

        None when the poll's own time runs out. Raises `WireError` for an answer that is not a list.
        """

        def attempt() -> list[RequestId]:
            head = self._head("GET", PENDING_PATH)
            try:
                reply = self._client.call(head, limit=self._poll_limit, interrupt=interrupt)
            except TimedOut:
                return []
            with closing(reply):
                require_success(reply.head, target=head.target)
                body = reply.read(MAX_PENDING_BYTES)
                require_no_page(reply.head, body)
                pending = decode_pending(body)
            # Here and not in the poller: a poll that ran out of time says nothing about the proxy.
            self._observer.poll_answered()
            return pending

        return self._retried(attempt, within=_LIST_RETRIES)

    def leave(self) -> bool:
        """Say that this agent asks for nothing until it does again: what is on offer to it goes to others at once.

        True if the proxy has understood that; a proxy that does not know of it is left in peace, whatever it answers.
        """
        # The original tells calls apart by whether they name a request, whatever their method and path are: without
        # a name this would be a poll to it, whose list nobody reads. With this one it answers 404.
        try:
            head = self._head("DELETE", PENDING_PATH, (REQUEST_ID, _NO_REQUEST))
            with closing(self._client.call(head, limit=_LEAVING)) as reply:
                return reply.head.status == 204
        except (ProxyError, TransportError) as exc:
            logger.debug("the proxy could not be told that this agent asks no more: %s", exc)
            return False

    def fetch(self, request_id: RequestId) -> Fetched:
        """A pending request. Raises `Gone` when there is no such exchange, or another agent has it; `WireError` for
        a request that is not HTTP."""

        def attempt() -> Fetched:
            head = self._head("GET", REQUEST_PATH, (REQUEST_ID, request_id))
            reply = self._client.call(head, limit=_SILENCE)
            try:
                require_success(reply.head, target=head.target)
                inner, body = self._read_request(reply)
            except BaseException:
                reply.close()
                raise
            user_id = reply.head.headers.get(USER_ID) or ""
            is_forwarded_set = reply.head.headers.get(FORWARDED) == FORWARDED_SET
            return Fetched(Request(request_id, user_id, inner, body, is_forwarded_set), close=reply.close)

        return self._retried(attempt, within=_FETCH_RETRIES)

    def _read_request(self, reply: Reply) -> tuple[RequestHead, bytes | Body]:
        try:
            return read_request(reply)
        except Broken as exc:
            if REQUEST_ID in reply.head.headers:
                raise
            # The original's stand-alone proxy, which does not name the request, reads it from the user as it is
            # fetched: a second attempt would get the rest of the body, and take it for the whole.
            raise MalformedMessage(f"the request broke off, and this proxy gives it only once: {exc}") from exc

    def respond(self, request_id: RequestId, response: Response, *, method: str) -> None:
        """Post the answer to a request made with `method`.

        Raises `Gone` when nobody waits for it any more; `SourceBroke` when the answer itself broke off: the proxy
        has then seen no end of it, and takes another answer to say so.
        """
        inner = inner_head(response.head, method=method)
        if not is_small(inner):
            self._respond_streaming(request_id, response, inner)
            return
        try:
            data = whole(response, inner)
        except TransportError as exc:
            raise SourceBroke(str(exc)) from exc
        self._retried(lambda: self._post(request_id, response, data), within=_RESPOND_RETRIES)

    def _respond_streaming(self, request_id: RequestId, response: Response, inner: ResponseHead) -> None:
        replay = Replay(encode_response(inner, response.events))

        def attempt() -> None:
            # A post that is given up for another one leaves the backend alone: `replay` keeps what it reads.
            self._post(request_id, response, Body(replay.events(), abandon=lambda: None))

        self._retried(attempt, within=_RESPOND_RETRIES, may_repeat=lambda: replay.is_complete)

    def _post(self, request_id: RequestId, response: Response, body: bytes | Body) -> None:
        fields = [(REQUEST_ID, request_id), ("Content-Type", RESPONSE_MEDIA_TYPE)]
        if response.failure:
            fields.append((ERROR, response.failure))
        head = self._head("POST", RESPONSE_PATH, *fields, length=len(body) if isinstance(body, bytes) else CHUNKED)
        with closing(self._client.call(head, body, limit=_SILENCE)) as reply:
            try:
                require_success(reply.head, target=head.target)
            except (ProxyUnavailable, Unauthorized):
                raise
            except ProxyError:
                response.abort()
                raise
            # The proxy has answered: if there is still something to read at the backend, nobody wants it.
            response.abort()
            reply.read(_ANSWER_BYTES)

    def _head(self, method: str, path: str, *fields: tuple[str, str], length: Length = None) -> RequestHead:
        try:
            headers = Headers([*self._fields, *fields, *self._credentials.fields()])
        except CredentialsError as exc:
            raise Unidentified(str(exc)) from exc
        return RequestHead(method, self._prefix + path, headers, length)

    def _retried(
        self, attempt: Callable[[], T], *, within: timedelta, may_repeat: Callable[[], bool] = lambda: True
    ) -> T:
        """Attempt again, with growing pauses, what may work later; once more with a new token what is unauthorized."""
        give_up_at = time.monotonic() + within.total_seconds()
        is_refreshed = False
        for number in itertools.count():
            try:
                return attempt()
            except Unauthorized:
                if is_refreshed or not may_repeat():
                    raise
                is_refreshed = True
                self._credentials.refresh()
                continue
            except (TransportError, ProxyUnavailable) as exc:
                delay = CALLING.delay(number, jitter=self._jitter()).total_seconds()
                if not may_repeat() or time.monotonic() + delay >= give_up_at:
                    raise
                logger.debug("trying again in %.1f s: %s", delay, exc)
                self._observer.call_retried()
            self._sleep(delay)
        raise AssertionError("unreachable: the loop ends by returning or raising")
