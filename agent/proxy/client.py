"""The three calls of the protocol to the proxy: list, fetch, respond; retried, and checked whole.

Credentials go to the configured origin alone: no redirect is followed, whatever it is.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agent.identity.credentials import Credentials
from agent.messages import Request, Response
from agent.proxy.calls import AgentIdentity as AgentIdentity
from agent.proxy.calls import Calls
from agent.proxy.errors import ProxyError, ProxyUnavailable, Unauthorized, require_no_page, require_success
from agent.proxy.inner_request import read_request
from agent.proxy.replay import Replay, encode_response, inner_head, is_small, whole
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.transport.client import HttpClient, Interrupt, Reply
from agent.transport.errors import Broken, SourceBroke, TimedOut, TransportError
from agent.transport.upload import Body
from wire.errors import MalformedMessage
from wire.http1 import CHUNKED, RequestHead, ResponseHead
from wire.protocol import (
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

_FETCH_RETRIES: Final = timedelta(seconds=10)
RESPOND_RETRIES: Final = timedelta(seconds=30)
_LIST_RETRIES: Final = timedelta()  # The poller has a pace of its own.

_LEAVING: Final = 2.0
"""Seconds that the proxy may take to hear that the agent asks no more: nobody waits longer at its end."""

_NO_REQUEST: Final = "-"
"""A Request-ID that no request has."""

_ANSWER_BYTES: Final = 64 * 1024
"""The longest answer to a post that is read: it says nothing, but its end makes the connection free."""


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
        self.calls = Calls(
            client,
            url=url,
            identity=identity,
            credentials=credentials,
            jitter=jitter,
            sleep=sleep,
            observer=observer,
            outbound=outbound,
        )
        self.poll_limit = poll_limit.total_seconds() if poll_limit is not None else None
        self._observer = observer

    def list_pending(self, interrupt: Interrupt) -> list[RequestId]:
        """The exchanges that wait for this agent: one long poll, which `interrupt` may end with a `TransportError`.

        None when the poll's own time runs out. Raises `WireError` for an answer that is not a list.
        """

        def attempt() -> list[RequestId]:
            head = self.calls.head("GET", PENDING_PATH)
            try:
                reply = self.calls.call(head, limit=self.poll_limit, interrupt=interrupt)
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

        return self.calls.retried(attempt, within=_LIST_RETRIES)

    def leave(self) -> bool:
        """Say that this agent asks for nothing until it does again: what is on offer to it goes to others at once.

        True if the proxy has understood that; a proxy that does not know of it is left in peace, whatever it answers.
        """
        # The original tells calls apart by whether they name a request, whatever their method and path are: without
        # a name this would be a poll to it, whose list nobody reads. With this one it answers 404.
        try:
            head = self.calls.head("DELETE", PENDING_PATH, (REQUEST_ID, _NO_REQUEST))
            with closing(self.calls.call(head, limit=_LEAVING)) as reply:
                return reply.head.status == 204
        except (ProxyError, TransportError) as exc:
            logger.debug("the proxy could not be told that this agent asks no more: %s", exc)
            return False

    def fetch(self, request_id: RequestId) -> Fetched:
        """A pending request. Raises `Gone` when there is no such exchange, or another agent has it; `WireError` for
        a request that is not HTTP."""

        def attempt() -> Fetched:
            head = self.calls.head("GET", REQUEST_PATH, (REQUEST_ID, request_id))
            reply = self.calls.call(head)
            try:
                require_success(reply.head, target=head.target)
                inner, body = self._read_request(reply)
            except BaseException:
                reply.close()
                raise
            user_id = reply.head.headers.get(USER_ID) or ""
            is_forwarded_set = reply.head.headers.get(FORWARDED) == FORWARDED_SET
            return Fetched(Request(request_id, user_id, inner, body, is_forwarded_set), close=reply.close)

        return self.calls.retried(attempt, within=_FETCH_RETRIES)

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
        self.calls.retried(lambda: self._post(request_id, response, data), within=RESPOND_RETRIES)

    def _respond_streaming(self, request_id: RequestId, response: Response, inner: ResponseHead) -> None:
        replay = Replay(encode_response(inner, response.events))

        def attempt() -> None:
            # A post that is given up for another one leaves the backend alone: `replay` keeps what it reads.
            self._post(request_id, response, Body(replay.events(), abandon=lambda: None))

        self.calls.retried(attempt, within=RESPOND_RETRIES, may_repeat=lambda: replay.is_complete)

    def _post(self, request_id: RequestId, response: Response, body: bytes | Body) -> None:
        fields = [(REQUEST_ID, request_id), ("Content-Type", RESPONSE_MEDIA_TYPE)]
        if response.failure:
            fields.append((ERROR, response.failure))
        head = self.calls.head("POST", RESPONSE_PATH, *fields, length=len(body) if isinstance(body, bytes) else CHUNKED)
        with closing(self.calls.call(head, body)) as reply:
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
