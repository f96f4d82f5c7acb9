"""The door of end users: each request becomes an exchange, and its answer comes back as the agent posts it.

Both bodies pass in parts through a window of the store, so neither is ever held whole. A request whose body does not
come with its head is sent on while its answer is awaited: a backend may answer before it has read all.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from broker.affinity import set_cookie, tag_of
from broker.answers import AnswerReader
from broker.errors import BrokenAnswer, NoAnswer, NotAllowed, UnknownBackend, UnknownRequest
from broker.intake import admit_request
from broker.model import Exchange, Part
from broker.policy import Policy
from broker.routing import end_users_serving
from broker.waiting import Clock, append_all_of_request, wait_for_answer
from edge.upgrades import refuse_connect, require_handshake, wants_websocket
from standalone.abandoned import Abandoned
from standalone.calls import Call
from standalone.doors.request_body import BODY_RATE, FIRST_BYTES, RequestBody
from standalone.identity.reception import Reception
from standalone.presence import AgentName
from standalone.rights import Right
from standalone.waiting import AsyncioWaiter, drive
from standalone.websockets.handshake import Websockets
from stores.memory.store import MemoryStore
from wire.http1 import Event, ResponseHead
from wire.protocol import RequestId, trace_of


class Users:
    """Serves the calls of end users."""

    def __init__(
        self,
        *,
        store: MemoryStore,
        waiter: AsyncioWaiter,
        clock: Clock,
        policy: Policy,
        reception: Reception,
        new_id: Callable[[], RequestId],
        websockets: Websockets,
        abandoned: Abandoned,
        body_rate: int = BODY_RATE,
        first_bytes: int = FIRST_BYTES,
    ) -> None:
        self._store = store
        self._waiter = waiter
        self._clock = clock
        self._policy = policy
        self._reception = reception
        self._new_id = new_id
        self._body_rate = body_rate
        self._websockets = websockets
        self._abandoned = abandoned
        self._first_bytes = first_bytes
        self._running = 0

    @property
    def running(self) -> int:
        """How many calls are being served now."""
        return self._running

    async def serve(self, call: Call) -> None:
        """Answer a call through an agent. Raises `BrokerError`, `WireError` and `Refusal`.

        However it ends, also when the client goes away, the exchange is gone then, and its agent learns so when it
        posts.
        """
        self._running += 1
        try:
            await self._serve(call)
        finally:
            self._running -= 1

    async def _serve(self, call: Call) -> None:
        request_id = self._new_id()
        call.trace = trace_of(request_id)
        guest = await self._reception.admit(call)
        if guest is None:
            return
        refuse_connect(guest.head)
        is_websocket = wants_websocket(guest.head)
        if is_websocket:
            require_handshake(guest.head, can_change=call.can_change)
        intake = admit_request(
            self._store,
            self._clock,
            self._policy,
            guest.head,
            end_user=guest.user,
            client=call.client,
            new_id=lambda: request_id,
            named=self._store.named_hosts,
        )
        exchange = intake.exchange
        call.backend = exchange.backend_id
        is_allowed = self._right_to(exchange, guest.may_stay)
        if is_websocket:
            await self._websockets.serve(call, intake, partial(self._deliver_rest, is_allowed), is_allowed)
            return
        body = RequestBody(call, self._policy, rate=self._body_rate, first_bytes=self._first_bytes, hidden=guest.hidden)
        first = intake.head + await body.first()
        self._store.add_exchange(exchange, first, last=body.is_ended)
        try:
            if body.is_ended:
                await self._deliver(call, exchange, body, is_allowed)
            else:
                await self._deliver_meanwhile(call, exchange, body, is_allowed, sent=len(first))
        except UnknownRequest as exc:
            raise BrokenAnswer("the backend was removed meanwhile") from exc
        finally:
            self._give_up(exchange)

    def _right_to(self, exchange: Exchange, may_stay: Right) -> Right:
        """True for as long as a user `may_stay` and the backend of his exchange is registered for him."""
        end_users = end_users_serving(exchange.end_user)

        def is_allowed() -> bool:
            try:
                return may_stay() and self._store.get_backend(exchange.backend_id).end_user in end_users
            except UnknownBackend:
                return False

        return is_allowed

    def _give_up(self, exchange: Exchange) -> None:
        """Nobody waits for it any more; an agent that still works on it is told."""
        holder = self._store.holder_of(exchange.backend_id, exchange.request_id)
        self._store.delete_exchange(exchange.backend_id, exchange.request_id)
        if holder:
            self._abandoned.note(AgentName(exchange.backend_id, holder), exchange.request_id)

    async def _deliver(self, call: Call, exchange: Exchange, body: RequestBody, is_allowed: Right) -> None:
        """Pass the answer on, to the end of what its agent posts."""
        await self._pass_on(call, exchange, Part(0, b"", last=False), is_allowed, lambda: body.is_ended)

    async def _deliver_rest(self, is_allowed: Right, call: Call, exchange: Exchange, begun: Part) -> None:
        await self._pass_on(call, exchange, begun, is_allowed, lambda: True)

    async def _pass_on(
        self, call: Call, exchange: Exchange, part: Part, is_allowed: Right, is_sent: Callable[[], bool]
    ) -> None:
        """Pass an answer on to its end, from the part on that has been read of it. Raises `NotAllowed` for bytes that
        come when its user may not have it any more."""
        reader = AnswerReader(exchange)
        while True:
            _require(is_allowed)
            await call.send(*(self._kept(call, exchange, event) for event in reader.read(part)))
            if part.last:
                return
            waiting = wait_for_answer(self._store, self._clock, self._policy, exchange, part.end, is_sent=is_sent)
            part = await drive(waiting, self._waiter)

    def _kept(self, call: Call, exchange: Exchange, event: Event) -> Event:
        """An event of an answer; a head with a cookie that keeps the browser with the agent that answers, where it
        shall stay with one and does not name it yet."""
        if exchange.affinity is None or not isinstance(event, ResponseHead):
            return event
        agent_id = self._store.agent_of(exchange.request_id)
        if not agent_id or exchange.affinity == tag_of(agent_id):
            return event
        cookie = set_cookie(agent_id, is_secure=call.client.scheme == "https")
        return ResponseHead(event.status, event.headers.adding(cookie), event.length)

    async def _deliver_meanwhile(
        self, call: Call, exchange: Exchange, body: RequestBody, is_allowed: Right, *, sent: int
    ) -> None:
        """Deliver while the rest of the request is still being sent."""
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send_rest(call, exchange, body, is_allowed, sent))
                await self._deliver(call, exchange, body, is_allowed)
                sending.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _send_rest(
        self, call: Call, exchange: Exchange, body: RequestBody, is_allowed: Right, offset: int
    ) -> None:
        while not body.is_ended:
            data = await body.next(meanwhile=partial(_require, is_allowed))
            _require(is_allowed)
            part = Part(offset, data, body.is_ended)
            appending = append_all_of_request(
                self._store, self._clock, self._policy, exchange.backend_id, exchange.request_id, part
            )
            try:
                await drive(appending, self._waiter)
            except NoAnswer:
                if call.has_begun:
                    return  # the backend answers without reading the rest, as it may
                raise
            offset = part.end


def _require(is_allowed: Right) -> None:
    if not is_allowed():
        raise NotAllowed("this exchange is not for its user any more", authenticated=True)
