"""The application of an address that only sends clients to https; and that shows a certificate authority that the name
is ours (ACME, RFC 8555 section 8.3), for which it has to answer without TLS."""

import logging
import re
from pathlib import Path
from typing import Final

from broker.forwarding import in_origin_form
from broker.waiting import Clock
from edge.errors import NO_SUCH_PATH, Refusal, describe
from edge.logs import log_access
from standalone.calls import Asgi, Call, Receive, Scope, Send
from standalone.doors.dispatch import requested_host
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import RequestHead

logger = logging.getLogger(__name__)


_CHALLENGE: Final = re.compile(r"(/\.well-known/acme-challenge/[A-Za-z0-9_-]{1,128})", re.ASCII)
_MAX_CHALLENGE: Final = 4096


def redirect_to_https(clock: Clock, *, port: int, challenges: Path | None = None) -> Asgi:
    """An application that names the same address at https, on this port.

    `challenges` is the folder in which an ACME client puts its answers, as it would for any web server.
    """

    async def redirect(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send, clock=clock)
        challenge = _CHALLENGE.fullmatch(call.head.target) if challenges else None
        try:
            if challenges and challenge:
                text = read_challenge(challenges / challenge[1].removeprefix("/"))
                await call.answer(200, Headers([("Content-Type", "application/octet-stream")]), text)
            else:
                # 308: a POST stays a POST (RFC 9110 section 15.4.9).
                await call.answer(308, Headers([("Location", https_url(call.head, port=port))]), b"")
        except (MalformedMessage, Refusal) as exc:
            await call.fail(describe(exc))
        log_access(logger, call.access())

    return redirect


def read_challenge(path: Path) -> bytes:
    """What stands in this small file. Raises `Refusal` where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_CHALLENGE)
    except OSError as exc:
        raise Refusal(NO_SUCH_PATH) from exc


def https_url(head: RequestHead, *, port: int) -> str:
    """Where a request should have gone. Raises `MalformedMessage` where it does not say to which host it goes."""
    host = requested_host(head)
    if not host or head.target == "*":
        raise MalformedMessage("Host: names none, so that there is no address at https")
    return f"https://{host}{'' if port == 443 else f':{port}'}{in_origin_form(head).target}"
