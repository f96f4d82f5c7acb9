"""The ASGI application: which door a request goes to, what happens to its errors, the log, and housekeeping."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Final

from broker.errors import BrokerError, NotAllowed
from broker.policy import Policy
from broker.routing import path_of
from broker.waiting import Clock
from edge.audit import log_refusal
from edge.errors import INTERNAL, NO_SUCH_PATH, Refusal, describe
from edge.logs import access_line, log_access
from standalone.abandoned import Abandoned
from standalone.calls import Asgi, Call, Receive, Scope, Send
from standalone.doors.administrators import Administrators
from standalone.doors.agents import Agents
from standalone.doors.dispatch import Door, Entrance
from standalone.doors.request_body import BODY_RATE, FIRST_BYTES
from standalone.doors.users import Users
from standalone.identity.access import OPEN, Access
from standalone.peers import Peers
from standalone.presence import Presence
from standalone.registration import OpenRegistration
from standalone.rights import Rights
from standalone.waiting import STOPPING, AsyncioWaiter
from standalone.websockets.handshake import Websockets
from standalone.websockets.tunnels import IDLE, LIMIT, Tunnels
from stores.memory.store import MemoryStore
from wire.errors import WireError
from wire.protocol import RequestId

logger = logging.getLogger(__name__)

HOUSEKEEPING: Final = timedelta(seconds=1)
"""How often abandoned exchanges and vanished agents are looked for."""

CLIENT_GONE: Final = "client-gone"
SLOW_READER: Final = "slow-reader"

_FAREWELL: Final = 1.0
"""Seconds in which the ends of tunnels may be written when the proxy stops."""


ANYWHERE: Final = Entrance(doors=frozenset({Door.USERS, Door.AGENTS}))
"""Users and agents, on one port."""


class StandaloneApp:
    """What is behind the doors. Made in the event loop that serves it."""

    def __init__(
        self,
        *,
        store: MemoryStore,
        waiter: AsyncioWaiter,
        clock: Clock,
        users: Users,
        agents: Agents,
        access: Access,
        peers: Peers,
        api: Administrators | None,
        chores: Iterable[Callable[[], None]],
        tunnels: Tunnels,
    ) -> None:
        self._store = store
        self._waiter = waiter
        self._clock = clock
        self._users = users
        self._agents = agents
        self._peers = peers
        self._api = api
        self._access = access
        self._chores = tuple(chores)
        self._tunnels = tunnels
        self._is_stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._serve(ANYWHERE, scope, receive, send)

    def at(self, entrance: Entrance) -> Asgi:
        """The application as it is reached through one listener."""
        return partial(self._serve, entrance)

    async def _serve(self, entrance: Entrance, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send, clock=self._clock)
        call.client = self._peers.client_of(call.client, call.head.headers)
        door = entrance.door_of(call.head, asked_for=call.client.host)
        if door is Door.AGENTS:
            await self._guard(call, self._serve_agent)
            # Two calls for each exchange, and a poll every half minute, would hide what is worth reading.
            level = logging.DEBUG if call.reason in ("", CLIENT_GONE) else logging.INFO
            if logger.isEnabledFor(level):
                logger.log(level, "agent: %s", access_line(call.access()))
        elif door is Door.API and self._api is not None:
            await self._guard(call, self._api.serve)
            if call.reason:
                # All others are in the log of the API itself.
                log_access(logger, call.access())
        else:
            await self._guard(call, self._serve_user if door is Door.USERS else _refuse_path)
            if not call.is_taken_over:
                log_access(logger, call.access())

    def keep_house(self) -> None:
        """Look for what vanished agents and users have left behind, and do what else is to be done now and then."""
        self._access.look()
        self._agents.release_lost()
        self._store.sweep(now=self._clock.now())
        self._tunnels.sweep()
        for chore in self._chores:
            chore()

    def read_again(self) -> None:
        """Read the files again that say who may do what."""
        self._access.read_again()

    async def stop(self, patience: timedelta) -> None:
        """Take no more of users' requests, give those under way some time, and end whatever still waits then.

        Agents are served meanwhile: without them nothing could be finished. Tunnels, which never finish by themselves,
        live until then.
        """
        self._is_stopping = True
        loop = asyncio.get_running_loop()
        ends = loop.time() + patience.total_seconds()
        while self._users.running and loop.time() < ends:
            await asyncio.sleep(0.05)
        self._tunnels.close()
        ends = loop.time() + _FAREWELL
        while self._tunnels and loop.time() < ends:
            await asyncio.sleep(0.05)
        self._tunnels.abort()
        self._waiter.close()

    async def _serve_agent(self, call: Call) -> None:
        if not self._agents.serves(call.head.target):
            raise Refusal(NO_SUCH_PATH)
        await self._agents.serve(call)

    async def _serve_user(self, call: Call) -> None:
        if self._is_stopping:
            raise Refusal(STOPPING)
        await self._users.serve(call)

    async def _guard(self, call: Call, serve: Callable[[Call], Awaitable[None]]) -> None:
        try:
            await serve(call)
        except (BrokerError, WireError, Refusal) as exc:
            if isinstance(exc, NotAllowed):
                log_refusal(f"{call.head.method} {path_of(call.head.target)}", exc, peer=call.caller.peer)
            await call.fail(describe(exc))
        except asyncio.CancelledError:
            call.reason = SLOW_READER if call.is_cut_off() else CLIENT_GONE
        except Exception:
            logger.exception("%s failed", call.trace or "-")
            await call.fail(INTERNAL)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        housekeeping = asyncio.create_task(self._keep_house_forever())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        housekeeping.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _keep_house_forever(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING.total_seconds())
            try:
                self.keep_house()
            except Exception:
                logger.exception("housekeeping failed; trying again")


async def _refuse_path(call: Call) -> None:
    raise Refusal(NO_SUCH_PATH)


def create_asgi(
    *,
    store: MemoryStore,
    clock: Clock,
    policy: Policy,
    new_id: Callable[[], RequestId],
    access: Access = OPEN,
    presence: Presence | None = None,
    peers: Peers | None = None,
    api: Administrators | None = None,
    body_rate: int = BODY_RATE,
    first_bytes: int = FIRST_BYTES,
    chores: Iterable[Callable[[], None]] = (),
    websocket_idle: timedelta = IDLE,
    websockets: int = LIMIT,
) -> StandaloneApp:
    """The application over a store; `api` is what answers administrators, `chores` are done every second.

    To be called in the event loop that will serve it.
    """
    waiter = AsyncioWaiter()
    store.subscribe(waiter.wake)
    presence = presence or Presence(policy)
    tunnels = Tunnels(now=clock.now, idle=websocket_idle, limit=websockets)
    abandoned = Abandoned(waiter.wake)
    rights = Rights(waiter.wake)
    agents = Agents(
        store=store,
        waiter=waiter,
        clock=clock,
        policy=policy,
        presence=presence,
        gate=access.gate,
        rights=rights,
        registration=OpenRegistration(store, clock, policy) if access.is_open else None,
        tunnels=tunnels,
        abandoned=abandoned,
    )
    opening = Websockets(
        store=store, waiter=waiter, clock=clock, policy=policy, presence=presence, tunnels=tunnels, new_id=new_id
    )
    users = Users(
        store=store,
        waiter=waiter,
        clock=clock,
        policy=policy,
        reception=access.reception,
        new_id=new_id,
        websockets=opening,
        abandoned=abandoned,
        body_rate=body_rate,
        first_bytes=first_bytes,
    )
    return StandaloneApp(
        store=store,
        waiter=waiter,
        clock=clock,
        users=users,
        agents=agents,
        access=access,
        tunnels=tunnels,
        peers=peers or Peers(),
        api=api,
        chores=chores,
    )
