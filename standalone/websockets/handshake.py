"""Websockets of users: the handshake is an exchange like any other, and what follows it is a tunnel.

Whether the backend grants it, only its answer tells: a 101 that an agent brings as the beginning of a tunnel
(`.tunnels`), or an answer that is posted and delivered like every other one. Where no agent of the backend takes
upgrades, and its options say where their shim is, the websocket goes by requests (`.shim`).
"""

from collections.abc import Awaitable, Callable

from broker.errors import BrokenAnswer, UnknownRequest
from broker.forwarding import forwarded_response
from broker.intake import Intake
from broker.model import Exchange, Part
from broker.policy import Policy
from broker.store import Store
from broker.waiting import Clock, wait_for_answer
from edge.errors import Refusal
from edge.upgrades import NO_WEBSOCKETS
from standalone.calls import Call
from standalone.connections.splice import End
from standalone.presence import Presence
from standalone.rights import Right
from standalone.waiting import AsyncioWaiter, drive
from standalone.websockets.tunnels import Tunnels
from wire.errors import WireError
from wire.headers import Headers
from wire.http1 import ResponseHead
from wire.protocol import RequestId
from wire.upgrades import WEBSOCKET, Answered, Switched, read_outcome, upgrade_fields

Deliver = Callable[[Call, Exchange, Part], Awaitable[None]]
"""Passes an answer on to its end; the part is what has been read of it."""


class Websockets:
    """Opens websockets through agents that take upgrades."""

    def __init__(
        self,
        *,
        store: Store,
        waiter: AsyncioWaiter,
        clock: Clock,
        policy: Policy,
        presence: Presence,
        tunnels: Tunnels,
        new_id: Callable[[], RequestId],
    ) -> None:
        self._store = store
        self._waiter = waiter
        self._clock = clock
        self._policy = policy
        self._presence = presence
        self._tunnels = tunnels
        self._new_id = new_id

    async def serve(self, call: Call, intake: Intake, deliver: Deliver, is_allowed: Right) -> None:
        """Have the handshake answered, and leave the connection to its tunnel if that is a 101, for as long as its user
        `is_allowed`.

        Raises `BrokerError`, and `Refusal` (501) where no agent of the backend takes upgrades, nor has a shim.
        """
        exchange = intake.exchange._replace(upgrade=WEBSOCKET)
        with self._tunnels.place():
            if self._presence.takes_upgrades(exchange.backend_id):
                await self._open_by_tunnel(call, exchange, intake, deliver, is_allowed)
            else:
                await self._open_by_requests(call, intake, is_allowed)

    async def _open_by_tunnel(
        self, call: Call, exchange: Exchange, intake: Intake, deliver: Deliver, is_allowed: Right
    ) -> None:
        self._store.add_exchange(exchange, intake.head, last=True)
        try:
            await self._answer(call, exchange, deliver, is_allowed)
        except UnknownRequest as exc:
            raise BrokenAnswer("the backend was removed meanwhile") from exc
        finally:
            self._tunnels.discard(exchange.request_id)
            self._store.delete_exchange(exchange.backend_id, exchange.request_id)

    async def _open_by_requests(self, call: Call, intake: Intake, is_allowed: Right) -> None:
        path = self._store.get_backend(intake.exchange.backend_id).options.shim_path.strip("/")
        if not path:
            raise Refusal(NO_WEBSOCKETS)
        # Imported when used: it takes the library websockets.
        from standalone.websockets.shim.calls import ShimCalls
        from standalone.websockets.shim.opening import Opening

        calls = ShimCalls(
            store=self._store,
            waiter=self._waiter,
            clock=self._clock,
            policy=self._policy,
            new_id=self._new_id,
            exchange=intake.exchange,
            path=path,
        )
        opening = Opening(call, intake.exchange, intake.head)
        task = await opening.open(calls, log=self._tunnels.log, now=self._clock.now)
        if task is not None:
            self._tunnels.keep(task, is_allowed)

    async def _answer(self, call: Call, exchange: Exchange, deliver: Deliver, is_allowed: Right) -> None:
        part = await self._read(exchange, 0)
        while (outcome := _outcome_of(part)) is None:
            more = await self._read(exchange, part.end)
            part = Part(0, part.data + more.data, more.last)
        if isinstance(outcome, Switched):
            self._change(call, exchange, outcome.headers, is_allowed)
        else:
            await deliver(call, exchange, part)

    async def _read(self, exchange: Exchange, offset: int) -> Part:
        waiting = wait_for_answer(self._store, self._clock, self._policy, exchange, offset)
        return await drive(waiting, self._waiter)

    def _change(self, call: Call, exchange: Exchange, headers: Headers, is_allowed: Right) -> None:
        agent = self._tunnels.take(exchange.request_id)
        if agent is None or agent.is_lost:
            raise BrokenAnswer("a 101 without a tunnel")
        forwarded = forwarded_response(ResponseHead(101, headers, None)).headers
        user = End()
        try:
            call.change(forwarded.adding(*upgrade_fields(WEBSOCKET)), user)
        except BaseException:
            agent.abort()
            raise
        self._tunnels.join(user, agent, call.access(), is_allowed)


def _outcome_of(part: Part) -> Switched | Answered | None:
    try:
        outcome = read_outcome(part.data)
    except WireError as exc:
        raise BrokenAnswer(f"not an HTTP answer: {exc}") from exc
    if outcome is None and part.last:
        raise BrokenAnswer("an answer that ends within its head")
    return outcome
