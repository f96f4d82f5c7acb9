"""The whole shim of one backend, put together. This imports websockets: only those pay for it who want a shim."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agent.pipeline import Handler
from agent.shim.connection import Limits
from agent.shim.handler import Shim, ShimOptions
from agent.shim.handshake import Dialer, Endpoint
from agent.shim.loop import Loop
from agent.shim.sessions import Sessions
from agent.telemetry.observer import UNOBSERVED, Observer

MOST_SESSIONS: Final = 1000
MOST_SESSIONS_EACH: Final = 200
HANDSHAKE_LIMIT: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class AssembledShim:
    """`shim` is the handler; the others are its owner's to ask and to end."""

    shim: Shim
    sessions: Sessions
    """`len()` of it: the open websockets."""
    loop: Loop

    def stop(self) -> None:
        """The agent stops: see `Shim.stop`."""
        self.shim.stop()

    @property
    def is_stopped(self) -> bool:
        """True once, after `stop`, all closing handshakes are over."""
        return self.shim.is_stopped


def assemble_shim(
    inner: Handler,
    *,
    options: ShimOptions,
    endpoint_of: Callable[[str], Endpoint],
    around: Callable[[Handler], Handler],
    yielding: Callable[[], AbstractContextManager[None]],
    limits: Limits | None = None,
    most_sessions: int = MOST_SESSIONS,
    most_sessions_each: int = MOST_SESSIONS_EACH,
    now: Callable[[], float] = time.monotonic,
    observer: Observer = UNOBSERVED,
) -> AssembledShim:
    """`endpoint_of` a target is where its websockets are opened.

    Raises `ValueError` for a path that cannot be used. Threads begin with the first websocket."""
    loop = Loop()
    sessions = Sessions(
        most=most_sessions, most_each=most_sessions_each, idle_limit=options.idle_limit, observer=observer
    )
    dialer = Dialer(endpoint_of, wake=loop.wake, limits=limits or Limits(), timeout=HANDSHAKE_LIMIT)
    shim = Shim(inner, options=options, sessions=sessions, dial=dialer.dial, around=around, yielding=yielding, now=now)
    loop.on_tick = shim.sweep
    return AssembledShim(shim, sessions, loop)
