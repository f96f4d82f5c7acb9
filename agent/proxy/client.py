"""The proxy to a client: its polls, and the calls for one exchange, fetch and respond; retried, and checked whole."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agent.identity.credentials import Credentials
from agent.messages import Request, Response
from agent.proxy.calls import SILENCE, Calls
from agent.proxy.calls import AgentIdentity as AgentIdentity
from agent.proxy.errors import ProxyError, ProxyUnavailable, Unauthorized, require_success
from agent.proxy.inner_request import read_request, request_beside
from agent.proxy.polls import Polls
from agent.proxy.replay import Replay, comes_whole, encode_response, inner_head, read_whole
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.transport.client import HttpClient, Reply
from agent.transport.errors import Broken
from agent.transport.upgrading import Changed
from agent.transport.upload import Body
from agent.tunnels.opening import open_tunnel
from wire.errors import MalformedMessage
from wire.http1 import CHUNKED, RequestHead, ResponseHead
from wire.protocol import (
    ERROR,
    REQUEST_ID,
    REQUEST_PATH,
    RESPONSE_MEDIA_TYPE,
    RESPONSE_PATH,
    TUNNEL_PATH,
    TUNNEL_PROTOCOL,
    RequestId,
)
from wire.upgrades import upgrade_fields

_FETCH_RETRIES: Final = timedelta(seconds=10)
RESPOND_RETRIES: Final = timedelta(seconds=30)
_ANSWER_BYTES: Final = 64 * 1024
"""The longest answer to a post that is read: it says nothing, but its end makes the connection free."""
_UNREAD: Final = 900.0
"""Seconds for which a proxy may be silent to an answer that is posted as it comes: its user reads slowly, and it is up
to the proxy to end that. An agent whose user has gone hears so in a poll."""


def _nothing() -> None:
    """Nobody has to be told."""


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
        change: Callable[..., Reply | Changed] | None = None,
    ) -> None:
        """`change` is `call_upgrading` over the connections of `client`; without it the agent takes no upgrades.
        `outbound` is the URL of an HTTP proxy on the way that `client` connects to; None for none."""
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
        limit = poll_limit.total_seconds() if poll_limit is not None else None
        self.polls = Polls(
            self.calls, limit=limit, takes_upgrades=change is not None, observer=observer, now=time.monotonic
        )
        self._change = change

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
            return Fetched(request_beside(reply.head.headers, request_id, inner, body), close=reply.close)

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

    def open_tunnel(self, request_id: RequestId) -> Changed:
        """A connection on which the client of this exchange is reached. Raises `Gone` when nobody waits for it."""
        assert self._change is not None
        fields = ((REQUEST_ID, request_id), *upgrade_fields(TUNNEL_PROTOCOL))
        return open_tunnel(self.calls.head("GET", TUNNEL_PATH, *fields), self._change)

    def respond(self, request_id: RequestId, response: Response, *, method: str) -> None:
        """Post the answer to a request made with `method`.

        Raises `Gone` when nobody waits for it any more; `SourceBroke` when the answer itself broke off: the proxy
        has then seen no end of it, and takes another answer to say so.
        """
        inner = inner_head(response.head, method=method)
        if comes_whole(response, inner):
            self.post(request_id, read_whole(response, inner), failure=response.failure)
        else:
            self.post_streaming(request_id, response, inner)

    def post(
        self, request_id: RequestId, data: bytes, *, failure: str, before_pause: Callable[[], None] = _nothing
    ) -> None:
        """Post a small answer, the bytes of a raw HTTP/1.1 response; `failure` says why the agent made it itself.

        `before_pause` is called before each pause between attempts. Raises `Gone` when nobody waits for it any more.
        """

        def attempt() -> None:
            began = time.monotonic()
            with closing(self._send(request_id, data, failure=failure)) as reply:
                self.calls.round_trip.observe(time.monotonic() - began)
                require_success(reply.head, target=RESPONSE_PATH)
                reply.read(_ANSWER_BYTES)

        self.calls.retried(attempt, within=RESPOND_RETRIES, before_pause=before_pause)

    def post_streaming(self, request_id: RequestId, response: Response, inner: ResponseHead) -> None:
        """Post an answer, framed by `inner`, as it comes; raises what `respond` raises."""
        replay = Replay(encode_response(inner, response.events))

        def attempt() -> None:
            # A post that is given up for another one leaves the backend alone: `replay` keeps what it reads.
            body = Body(replay.events(), abandon=_nothing)
            with closing(self._send(request_id, body, failure=response.failure, limit=_UNREAD)) as reply:
                try:
                    require_success(reply.head, target=RESPONSE_PATH)
                except (ProxyUnavailable, Unauthorized):
                    raise
                except ProxyError:
                    response.abort()
                    raise
                # The proxy has answered: if there is still something to read at the backend, nobody wants it.
                response.abort()
                reply.read(_ANSWER_BYTES)

        self.calls.retried(attempt, within=RESPOND_RETRIES, may_repeat=lambda: replay.is_complete)

    def _send(self, request_id: RequestId, body: bytes | Body, *, failure: str, limit: float = SILENCE) -> Reply:
        fields = [(REQUEST_ID, request_id), ("Content-Type", RESPONSE_MEDIA_TYPE)]
        if failure:
            fields.append((ERROR, failure))
        head = self.calls.head("POST", RESPONSE_PATH, *fields, length=len(body) if isinstance(body, bytes) else CHUNKED)
        return self.calls.call(head, body, limit=limit)
