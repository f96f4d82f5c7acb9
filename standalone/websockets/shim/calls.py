"""One call to an agent's shim: a request of the proxy's own, in the name of the websocket's user."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broker.answers import AnswerReader
from broker.errors import BrokenAnswer
from broker.model import Exchange, Part
from broker.policy import Policy
from broker.store import Store
from broker.waiting import Clock, append_all_of_request, wait_for_answer
from standalone.waiting import AsyncioWaiter, drive
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead, serialize_request_head
from wire.protocol import RequestId

_MOST_BYTES: Final = 64 << 20
"""Of an answer: more than an agent of ours ever lets wait."""

_WINDOW: Final = 512 << 10
"""So much of a call is stored at once; a store takes it at any time."""


@dataclass(frozen=True, slots=True)
class ShimAnswer:
    status: int
    headers: Headers
    body: bytes


class ShimCalls:
    """Calls below the path of one agent's shim."""

    def __init__(
        self,
        *,
        store: Store,
        waiter: AsyncioWaiter,
        clock: Clock,
        policy: Policy,
        new_id: Callable[[], RequestId],
        exchange: Exchange,
        path: str,
    ) -> None:
        """`exchange` is what all of them are like: the same backend, the same user."""
        self._store = store
        self._waiter = waiter
        self._clock = clock
        self._policy = policy
        self._new_id = new_id
        self._exchange = exchange
        self._path = path

    async def call(self, name: str, headers: Headers, body: bytes) -> ShimAnswer:
        """Post to `open`, `data`, `poll` or `close`. Raises `BrokerError`, `Refusal` when the proxy stops."""
        now = self._clock.now()
        exchange = self._exchange._replace(
            request_id=self._new_id(),
            method="POST",
            upgrade="",
            started=now,
            expires=now + self._policy.exchange_ttl,
        )
        head = RequestHead("POST", f"/{self._path}/{name}", headers, len(body))
        raw = serialize_request_head(head) + body
        self._store.add_exchange(exchange, raw[:_WINDOW], last=len(raw) <= _WINDOW)
        try:
            await self._send_rest(exchange, raw)
            return await self._read(exchange)
        finally:
            self._store.delete_exchange(exchange.backend_id, exchange.request_id)

    async def _send_rest(self, exchange: Exchange, raw: bytes) -> None:
        for at in range(_WINDOW, len(raw), _WINDOW):
            part = Part(at, raw[at : at + _WINDOW], at + _WINDOW >= len(raw))
            appending = append_all_of_request(
                self._store, self._clock, self._policy, exchange.backend_id, exchange.request_id, part
            )
            await drive(appending, self._waiter)

    async def _read(self, exchange: Exchange) -> ShimAnswer:
        reader, head, body, offset, last = AnswerReader(exchange), None, bytearray(), 0, False
        while not last:
            waiting = wait_for_answer(self._store, self._clock, self._policy, exchange, offset)
            part = await drive(waiting, self._waiter)
            for event in reader.read(part):
                if isinstance(event, ResponseHead):
                    head = event
                elif isinstance(event, bytes):
                    body += event
            if len(body) > _MOST_BYTES:
                raise BrokenAnswer("the shim's answer is too long")
            offset, last = part.end, part.last
        assert head is not None
        return ShimAnswer(head.status, head.headers, bytes(body))
