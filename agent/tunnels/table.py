"""The tunnels that are open: how many, and their end when the agent stops."""

import threading
from typing import Final

from agent.telemetry.observer import UNOBSERVED, Observer
from agent.tunnels.splice import Tunnel

MOST_TUNNELS: Final = 10_000


class TooManyTunnels(Exception):
    """There is no room for another one."""


class Tunnels:
    """At most `most` at a time, those included that are being opened. Safe for several threads."""

    def __init__(self, *, most: int = MOST_TUNNELS, observer: Observer = UNOBSERVED) -> None:
        self._most = most
        self._observer = observer
        self._lock = threading.Lock()  # guards all below
        self._open: set[Tunnel] = set()
        self._reserved = 0
        self._is_stopping = False

    def __len__(self) -> int:
        with self._lock:
            return len(self._open)

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    def reserve(self) -> None:
        """A place for one that is being opened; `give_back` follows. Raises `TooManyTunnels`."""
        with self._lock:
            if len(self._open) + self._reserved >= self._most:
                raise TooManyTunnels
            self._reserved += 1

    def give_back(self) -> None:
        """The reserved place is needed no more: taken by `add`, or not at all."""
        with self._lock:
            self._reserved -= 1

    def add(self, tunnel: Tunnel) -> None:
        """One that begins."""
        with self._lock:
            self._open.add(tunnel)
            is_stopping = self._is_stopping
        self._observer.tunnel_opened()
        tunnel.start()
        if is_stopping:
            # `stop` may have looked before this one was there.
            tunnel.stop()

    def remove(self, tunnel: Tunnel) -> None:
        """One that has ended."""
        with self._lock:
            self._open.discard(tunnel)
        self._observer.tunnel_closed()

    def stop(self) -> None:
        """End all, each in order; takes no time."""
        with self._lock:
            self._is_stopping = True
            tunnels = list(self._open)
        for tunnel in tunnels:
            tunnel.stop()

    @property
    def is_stopped(self) -> bool:
        """True once, after `stop`, all have ended."""
        return self._is_stopping and not len(self)
