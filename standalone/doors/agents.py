"""The door of agents: the calls of the protocol (`docs/protocol.md`, both versions)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Final

from broker.answers import post_answer
from broker.batches import Postbox
from broker.errors import ClaimedElsewhere, NotAllowed, UnknownRequest
from broker.exchange import require_holder
from broker.model import Exchange, Part, Poll, State
from broker.policy import Policy
from broker.waiting import Clock, wait_for_handout, wait_for_pending, wait_for_request
from edge.agent_batches import RECEIPT_FIELDS, batch_of, lost_polls_of, poll_of
from edge.agent_calls import agent_id_of, backend_id_of, named_agent_of, request_fields, request_id_of, takes_upgrades
from edge.departures import Departures
from edge.errors import Refusal, method_not_allowed
from edge.upgrades import NO_TUNNEL_WANTED
from standalone.abandoned import Abandoned
from standalone.calls import Call
from standalone.identity.gate import Gate
from standalone.presence import AgentName, Presence
from standalone.registration import OpenRegistration
from standalone.rights import Fetched, Fetches, Right, Rights
from standalone.waiting import AsyncioWaiter, drive
from standalone.websockets.tunnels import AGENT_LOST_REASON, Tunnels
from stores.memory.store import MemoryStore
from wire.batches import ANSWERS, BatchParser
from wire.headers import Headers
from wire.http1 import CHUNKED, End, Length, ResponseHead
from wire.negotiation import boundary_of, encode_receipt
from wire.protocol import (
    ERROR,
    GONE,
    PENDING_PATH,
    POLLS,
    REQUEST_PATH,
    RESPONSE_PATH,
    TUNNEL_PATH,
    TUNNEL_PROTOCOL,
    RequestId,
    encode_pending,
    trace_of,
)
from wire.upgrades import upgrade_fields, wanted_protocols

logger = logging.getLogger(__name__)

TUNNEL_BROKE: Final = "tunnel-broke"

_WELCOME: Final = ((POLLS, "16"),)
"""Polls of one agent that wait cost hardly anything here, and one whose agent has gone is noticed."""

Door = Callable[[Call, AgentName, Right], Awaitable[None]]


class Agents:
    """Serves the calls of agents, and notices those that vanish."""

    def __init__(
        self,
        *,
        store: MemoryStore,
        waiter: AsyncioWaiter,
        clock: Clock,
        policy: Policy,
        presence: Presence,
        gate: Gate,
        rights: Rights,
        registration: OpenRegistration | None,
        abandoned: Abandoned,
        tunnels: Tunnels,
    ) -> None:
        self._store = store
        self._waiter = waiter
        self._clock = clock
        self._policy = policy
        self._presence = presence
        self._gate = gate
        self._rights = rights
        self._fetches = Fetches(store.has_exchange)
        self._registration = registration
        self._abandoned = abandoned
        self._tunnels = tunnels
        self._departures = Departures()
        self._doors: Final[Mapping[str, Mapping[str, Door]]] = {
            PENDING_PATH: {"GET": self._answer_poll, "DELETE": self._let_go},
            REQUEST_PATH: {"GET": self._send_request},
            RESPONSE_PATH: {"POST": self._take_response},
            TUNNEL_PATH: {"GET": self._open_tunnel},
        }

    def serves(self, target: str) -> bool:
        """True for the targets of the protocol, and none that only looks like one."""
        return target in self._doors

    async def serve(self, call: Call) -> None:
        """Answer a call to one of the three paths. Raises `BrokerError`, `WireError` and `Refusal`."""
        doors = self._doors[call.head.target]
        door = doors.get(call.head.method)
        if door is None:
            raise Refusal(method_not_allowed(*doors))
        agent = AgentName(backend_id_of(call.head.headers), agent_id_of(call.head.headers))
        call.backend = agent.backend_id
        account, right = await self._gate(call.caller, agent.backend_id)
        with self._present(agent, account):
            call.when_left(partial(self._hang_up, agent))
            self._rights.show(agent, right)
            await door(call, agent, right)

    def _hang_up(self, agent: AgentName) -> None:
        self._presence.has_hung_up(agent, now=self._clock.now())

    def release_lost(self) -> None:
        """Take back what agents had in their hands that have vanished, or may not serve any more; a backend without any
        agent is offline at once."""
        now = self._clock.now()
        without = self._presence.take_left(now)
        for backend_id, agent_id in (*self._presence.take_lost(now), *self._take_unentitled(now)):
            without.add(backend_id)
            if agent_id:
                self._store.release_agent(backend_id, agent_id=agent_id)
        for fetched in self._fetches.take_ended(now):
            logger.warning("an agent may not serve %s any more: request %.8s is taken from it", *fetched)
            self._store.release_exchange(*fetched, agent_id="")
        for backend_id in without:
            if not self._presence.has_agents(backend_id):
                self._store.forget_polls(backend_id)

    def _take_unentitled(self, now: datetime) -> Iterator[AgentName]:
        for agent in self._rights.take_ended(now):
            logger.warning("agent %.8s may not serve %s any more: what it had is taken from it", *reversed(agent))
            self._presence.has_lost_its_right(agent)
            yield agent

    async def _answer_poll(self, call: Call, agent: AgentName, right: Right) -> None:
        has_left = self._departures.watch(*agent)

        def is_over() -> bool:
            return has_left() or not right()

        self._presence.has_polled(agent, takes_upgrades=takes_upgrades(call.head.headers))
        if self._registration is not None:
            self._registration.register(agent.backend_id)
        self._store.touch_backend(agent.backend_id, polled=self._clock.now())
        self._take_back_lost(call, agent)
        poll = poll_of(call.head.headers, self._policy)
        if poll is None:
            await self._list_pending(call, agent, is_over)
        else:
            self._abandoned.listen(agent)
            await self._hand_out(call, agent, poll, is_over)

    async def _list_pending(self, call: Call, agent: AgentName, is_over: Callable[[], bool]) -> None:
        backend_id, agent_id = agent
        listing = wait_for_pending(
            self._store,
            self._clock,
            self._policy,
            backend_id,
            agent_id=agent_id,
            is_over=is_over,
            takes_upgrades=takes_upgrades(call.head.headers),
        )
        claimed = await drive(listing, self._waiter)
        try:
            await call.answer(200, Headers([("Content-Type", "application/json")]), encode_pending(claimed))
        except asyncio.CancelledError:
            self._store.withdraw_offers(backend_id, claimed, agent_id=agent_id)
            raise

    async def _hand_out(self, call: Call, agent: AgentName, poll: Poll, is_over: Callable[[], bool]) -> None:
        backend_id = agent.backend_id
        waiting = wait_for_handout(
            self._store,
            self._clock,
            self._policy,
            backend_id,
            poll,
            is_over=is_over,
            has_news=lambda: self._abandoned.has(agent),
        )
        handed = await drive(waiting, self._waiter)
        gone = self._abandoned.take(agent)
        told = [*_WELCOME, *(((GONE, " ".join(gone)),) if gone else ())]
        if not handed:
            await call.answer(204, Headers(told), b"")
            return
        fields, body = batch_of(handed)
        try:
            await call.send(ResponseHead(200, fields.adding(*told), len(body)), body, End())
        except asyncio.CancelledError:
            # Nothing has been written: sending waits first, and then writes all of it.
            self._store.take_back(backend_id, poll.as_lost, agent_id=poll.agent_id, now=self._clock.now())
            raise

    def _take_back_lost(self, call: Call, agent: AgentName) -> None:
        lost = lost_polls_of(call.head.headers)
        if lost.poll_ids:
            self._store.take_back(agent.backend_id, lost, agent_id=agent.agent_id, now=self._clock.now())

    async def _let_go(self, call: Call, agent: AgentName, _: Right) -> None:
        backend_id, agent_id = agent.backend_id, named_agent_of(call.head.headers)
        self._departures.note(backend_id, agent_id)
        self._take_back_lost(call, agent)
        self._presence.has_left(agent, now=self._clock.now())
        self._store.release_offers(backend_id, agent_id=agent_id)
        await call.answer(204, Headers(), b"")

    async def _send_request(self, call: Call, agent: AgentName, right: Right) -> None:
        backend_id, agent_id = agent
        request_id = request_id_of(call.head.headers)
        call.trace = trace_of(request_id)
        exchange = self._store.fetch_exchange(backend_id, request_id, agent_id=agent_id, now=self._clock.now())
        self._note_right(agent, right, request_id)
        part = await self._read_request(exchange, 0)
        length: Length = len(part.data) if part.last else CHUNKED
        head = ResponseHead(200, request_fields(exchange), length)
        if part.last:
            await call.send(head, part.data, End())
            return
        await call.send(head, part.data)
        while not part.last:
            part = await self._read_request(exchange, part.end)
            self._require_right(agent, right, request_id)
            await call.send(part.data)
        await call.send(End())

    async def _read_request(self, exchange: Exchange, offset: int) -> Part:
        reading = wait_for_request(
            self._store, self._clock, self._policy, exchange.backend_id, exchange.request_id, offset
        )
        return await drive(reading, self._waiter)

    async def _take_response(self, call: Call, agent: AgentName, right: Right) -> None:
        boundary = boundary_of(call.head.headers.get("Content-Type"))
        if boundary is None:
            await self._take_answer(call, agent, right)
        else:
            await self._take_batch(call, agent, right, BatchParser(boundary, ANSWERS))

    async def _take_batch(self, call: Call, agent: AgentName, right: Right, parser: BatchParser) -> None:
        postbox = Postbox(self._store, self._clock, self._policy, agent.backend_id, agent_id=agent.agent_id)
        last = False
        while not last:
            data, last = await call.read(self._policy.idle_wait)
            self._require_right(agent, right)
            for entry in parser.feed(data):
                postbox.take(entry)
        parser.close()
        await _let_users_go_first()
        await call.answer(200, RECEIPT_FIELDS, encode_receipt(postbox.receipt()))

    async def _take_answer(self, call: Call, agent: AgentName, right: Right) -> None:
        backend_id, agent_id = agent
        request_id = request_id_of(call.head.headers)
        call.trace = trace_of(request_id)
        self._note_right(agent, right, request_id)
        error = call.head.headers.get(ERROR)

        def require_wanted() -> None:
            self._require_right(agent, right, request_id)
            if not self._store.has_exchange(backend_id, request_id):
                raise UnknownRequest(request_id)

        # An agent may open its post before its backend has said anything.
        offset, last, patience = 0, False, max(self._policy.response_wait, self._policy.idle_wait)
        while not last:
            data, last = await call.read(patience, meanwhile=require_wanted)
            self._require_right(agent, right, request_id)
            part = Part(offset, data, last)
            posting = post_answer(
                self._store, self._clock, self._policy, backend_id, request_id, part, agent_id=agent_id, error=error
            )
            await drive(posting, self._waiter)
            offset, patience = part.end, self._policy.idle_wait
        await _let_users_go_first()
        await call.answer(200, Headers(), b"")

    async def _open_tunnel(self, call: Call, agent: AgentName, right: Right) -> None:
        backend_id, agent_id = agent
        request_id = request_id_of(call.head.headers)
        call.trace = trace_of(request_id)
        if not call.can_change or TUNNEL_PROTOCOL not in wanted_protocols(call.head.headers):
            raise Refusal(NO_TUNNEL_WANTED)
        self._require_upgrade(agent, request_id)

        def answer(head: bytes) -> None:
            now = self._clock.now()
            self._store.append_answer(backend_id, request_id, 0, head, agent_id=agent_id, last=True, now=now)

        def give_up() -> None:
            self._store.fail_exchange(backend_id, request_id, agent_id=agent_id, reason=TUNNEL_BROKE)

        end = self._tunnels.open_for(request_id, answer, give_up, partial(self._may_stay, agent, right))
        call.change(Headers(upgrade_fields(TUNNEL_PROTOCOL)), end)

    def _note_right(self, agent: AgentName, right: Right, request_id: RequestId) -> None:
        if not agent.agent_id:
            self._fetches.show(Fetched(agent.backend_id, request_id), right)

    def _may_stay(self, agent: AgentName, right: Right) -> bool:
        """True while the right of a call counts, or a better one that its agent has shown since."""
        return self._rights.has(agent) or right()

    def _require_right(self, agent: AgentName, right: Right, *held: RequestId) -> None:
        """Asked while bytes pass. Raises `NotAllowed` once they may not; what the call is about has failed then."""
        if self._may_stay(agent, right):
            return
        for request_id in held:
            self._store.fail_exchange(agent.backend_id, request_id, agent_id=agent.agent_id, reason=AGENT_LOST_REASON)
        raise NotAllowed("the right to serve this backend has ended meanwhile", authenticated=True)

    def _require_upgrade(self, agent: AgentName, request_id: RequestId) -> None:
        exchange = self._store.read_answer(agent.backend_id, request_id, 0).exchange
        require_holder(exchange, agent.agent_id)
        if not exchange.upgrade:
            raise Refusal(NO_TUNNEL_WANTED)
        if exchange.state is not State.FETCHED:
            raise ClaimedElsewhere("this exchange has an answer already, or has failed")

    @contextmanager
    def _present(self, agent: AgentName, account: str) -> Iterator[None]:
        """The agent is there for as long as it calls, and for a while after."""
        broke_off = False
        self._presence.call_opened(agent, account=account)
        try:
            yield
        except asyncio.CancelledError:
            broke_off = True
            raise
        finally:
            self._presence.call_closed(agent, now=self._clock.now(), broke_off=broke_off)


async def _let_users_go_first() -> None:
    """What has been posted is on its way before the agent hears that it has arrived: it is users who wait."""
    await asyncio.sleep(0)
