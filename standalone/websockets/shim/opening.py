"""Who gets a websocket by requests: whom the agent's shim opens one for."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.errors import BrokenAnswer
from broker.model import Exchange
from edge.logs import Access
from standalone.calls import Call
from standalone.websockets.shim.calls import ShimAnswer, ShimCalls
from standalone.websockets.shim.messages import PROTOCOLS, VERSION, BadShim, parse_opened
from standalone.websockets.shim.page import Page
from standalone.websockets.shim.session import Session
from wire.headers import Headers, without_prefixed
from wire.http1 import RequestHead, RequestParser
from wire.upgrades import WEBSOCKET, upgrade_fields

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""

_OF_HANDSHAKE: Final = "sec-websocket-"


@dataclass(frozen=True, slots=True)
class Opening:
    """The handshake of a user, as `intake` has it: the head that an agent would get."""

    call: Call
    exchange: Exchange
    head: bytes

    async def open(
        self, calls: ShimCalls, *, log: Callable[[Access], None], now: Callable[[], datetime]
    ) -> "asyncio.Task[None] | None":
        """Open a websocket by `calls`; the task that serves it until it has ended, which then gives its line to `log`.

        None where the user has got an answer instead: the backend's refusal, or an agent's without a shim. Raises
        `BrokerError`.
        """
        [head, *_] = RequestParser().feed(self.head)
        assert isinstance(head, RequestHead)
        answer = await calls.call("open", _open_fields(head), _url_of(head).encode("ascii"))
        if answer.status != 200:
            await self._refuse(answer)
            return None
        try:
            opened = parse_opened(answer.body)
        except BadShim as exc:
            raise BrokenAnswer(str(exc)) from exc
        page = Page()
        self.call.change(_accepted(head, answer, opened.subprotocol), page)
        session = Session(page, calls, opened, _call_fields(head))
        access, began = self.call.access(), now()

        async def serve() -> None:
            try:
                await session.run()
            finally:
                total = access.total + (now() - began)
                log(access._replace(received=page.bytes_in, sent=page.bytes_out, total=total))

        return asyncio.ensure_future(serve())

    async def _refuse(self, answer: ShimAnswer) -> None:
        await self.call.answer(answer.status, answer.headers.without("Transfer-Encoding"), answer.body)


def _url_of(head: RequestHead) -> str:
    return f"ws://{head.headers.get('Host')}{head.target}"


def _call_fields(head: RequestHead) -> Headers:
    return without_prefixed(head.headers, _OF_HANDSHAKE).adding(("Content-Type", "application/json"))


def _open_fields(head: RequestHead) -> Headers:
    offered = head.headers.get_all("Sec-WebSocket-Protocol")
    protocols = ((PROTOCOLS, ", ".join(offered)),) if offered else ()
    return without_prefixed(head.headers, _OF_HANDSHAKE).adding(("Content-Type", "text/plain"), VERSION, *protocols)


def _accepted(head: RequestHead, answer: ShimAnswer, subprotocol: str) -> Headers:
    """The fields of a 101 (RFC 6455 section 4.2.2); cookies that the backend set with its handshake are the user's."""
    key = (head.headers.get("Sec-WebSocket-Key") or "").encode("ascii")
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode("ascii")
    cookies = (("Set-Cookie", value) for value in answer.headers.get_all("Set-Cookie"))
    chosen = (("Sec-WebSocket-Protocol", subprotocol),) if subprotocol else ()
    return Headers([*cookies, ("Sec-WebSocket-Accept", accept), *chosen, *upgrade_fields(WEBSOCKET)])
