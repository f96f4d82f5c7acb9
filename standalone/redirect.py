"""The application of an address that only sends clients to https."""

import logging

from broker.forwarding import in_origin_form
from broker.waiting import Clock
from edge.errors import Refusal, describe
from edge.logs import log_access
from standalone.calls import Asgi, Call, Receive, Scope, Send
from standalone.doors import requested_host
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import RequestHead

logger = logging.getLogger(__name__)


def redirect_to_https(clock: Clock, *, port: int) -> Asgi:
    """An application that names the same address at https, on this port."""

    async def redirect(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send, clock=clock)
        try:
            # 308: a POST stays a POST (RFC 9110 section 15.4.9).
            await call.answer(308, Headers([("Location", https_url(call.head, port=port))]), b"")
        except (MalformedMessage, Refusal) as exc:
            await call.fail(describe(exc))
        log_access(logger, call.access())

    return redirect


def https_url(head: RequestHead, *, port: int) -> str:
    """Where a request should have gone. Raises `MalformedMessage` where it does not say to which host it goes."""
    host = requested_host(head)
    if not host or head.target == "*":
        raise MalformedMessage("Host: names none, so that there is no address at https")
    return f"https://{host}{'' if port == 443 else f':{port}'}{in_origin_form(head).target}"
