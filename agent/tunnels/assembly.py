"""The tunnels of one backend, put together."""

from dataclasses import dataclass
from typing import Final

from agent.pipeline import Handler, Wrapper
from agent.shim.loop import Loop
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.tunnels.handler import Change, Open, Upgrades
from agent.tunnels.table import MOST_TUNNELS, Tunnels

HANDSHAKE_SECONDS: Final = 20.0
"""For the backend to answer the handshake."""

_TICK: Final = 5.0
"""Seconds: hardly anything is ever due, and thousands of tunnels are looked at for it."""


@dataclass(frozen=True, slots=True)
class AssembledTunnels:
    """`handler` answers; the others are its owner's to ask and to end."""

    handler: Upgrades
    tunnels: Tunnels
    loop: Loop

    def stop(self) -> None:
        """The agent stops: see `Tunnels.stop`."""
        self.tunnels.stop()

    @property
    def is_stopped(self) -> bool:
        """See `Tunnels`."""
        return self.tunnels.is_stopped


def assemble_tunnels(
    inner: Handler,
    *,
    around: Wrapper,
    change: Change,
    open_tunnel: Open,
    most: int = MOST_TUNNELS,
    observer: Observer = UNOBSERVED,
) -> AssembledTunnels:
    """A thread begins with the first tunnel."""
    loop = Loop(tick=_TICK, name="tunnels")
    tunnels = Tunnels(most=most, observer=observer)
    handler = Upgrades(inner, around=around, change=change, open_tunnel=open_tunnel, tunnels=tunnels, wake=loop.wake)
    return AssembledTunnels(handler, tunnels, loop)
