"""One thread that moves the bytes of all websockets: hundreds of them cost no thread and one descriptor each."""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

logger = logging.getLogger(__name__)

TICK: Final = 1.0
"""Seconds between two looks at the time."""

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE


class Channel(Protocol):
    """A non-blocking socket and what shall happen on it. The loop's thread alone calls these; none may block."""

    def fileno(self) -> int: ...
    def wanted(self) -> int:
        """What to wait for: `READ`, `WRITE`, both or neither; -1 when the channel is over."""

    def run(self, *, now: float) -> None:
        """Send and receive what can be."""

    def tick(self, *, now: float) -> None:
        """Do what is due."""

    def fail(self) -> None:
        """`run` or `tick` raised."""

    def release(self) -> None:
        """The loop has let go of the socket, which is to be closed."""


class Loop:
    """Starts its thread with the first channel; `on_tick` is called about every `tick` seconds from then on."""

    def __init__(
        self, *, on_tick: Callable[[], None] = lambda: None, tick: float = TICK, name: str = "websockets"
    ) -> None:
        self.on_tick = on_tick
        self._tick_seconds = tick
        self._name = name
        self._lock = threading.Lock()  # guards the four below
        self._woken: set[Channel] = set()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._channels: dict[Channel, int] = {}  # the loop's thread alone: what each is registered for, 0 for nothing
        self._selector: selectors.BaseSelector | None = None

    def wake(self, channel: Channel) -> None:
        """Look at the channel, which may be new; from any thread, never waits."""
        with self._lock:
            is_rung = bool(self._woken)
            self._woken.add(channel)
            if self._thread is None:
                self._bell = socket.socketpair()
                for end in self._bell:
                    end.setblocking(False)
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            if not is_rung:
                self._ring()

    def close(self, *, timeout: float) -> None:
        """End the thread; channels that are still there are released. For the end of a process, and for tests."""
        with self._lock:
            self._is_closing = True
            thread = self._thread
            if thread is not None:
                self._ring()
        if thread is not None:
            thread.join(timeout)

    def _ring(self) -> None:
        if self._bell is not None:
            try:
                self._bell[1].send(b"!")
            except OSError:
                return  # It rings already, or nobody is there to hear it.

    def _run(self) -> None:
        assert self._bell is not None
        with selectors.DefaultSelector() as self._selector, self._bell[0], self._bell[1]:
            self._selector.register(self._bell[0], READ)
            next_tick = time.monotonic() + self._tick_seconds
            while not self._is_closing:
                events = self._selector.select(max(0.0, next_tick - time.monotonic()))
                ready = {key.data for key, _ in events if key.data is not None} | self._take_woken()
                now = time.monotonic()
                for channel in ready:
                    self._guard(channel, lambda channel=channel, now=now: channel.run(now=now))  # type: ignore[misc]
                if now >= next_tick:
                    self._tick(now)
                    next_tick = now + self._tick_seconds
            for channel in list(self._channels):
                self._drop(channel)

    def _take_woken(self) -> set[Channel]:
        assert self._bell is not None
        with self._lock:
            with suppress(BlockingIOError):
                self._bell[0].recv(64)
            woken, self._woken = self._woken, set()
        return woken

    def _tick(self, now: float) -> None:
        for channel in list(self._channels):
            self._guard(channel, lambda channel=channel: channel.tick(now=now))  # type: ignore[misc]
        try:
            self.on_tick()
        except Exception:
            logger.exception("looking after the websockets failed")

    def _guard(self, channel: Channel, step: Callable[[], None]) -> None:
        """One step of a channel, and what it then waits for; nothing that goes wrong in one touches the others."""
        try:
            if channel.wanted() >= 0:
                step()
        except Exception:
            logger.exception("a websocket failed")
            channel.fail()
        self._register(channel, channel.wanted())

    def _register(self, channel: Channel, wanted: int) -> None:
        assert self._selector is not None
        known = self._channels.get(channel)
        if wanted < 0:
            if known is not None:
                self._drop(channel)
            else:
                channel.release()
            return
        if known:
            if wanted:
                if wanted != known:
                    self._selector.modify(channel, wanted, channel)
            else:
                self._selector.unregister(channel)
        elif wanted:
            self._selector.register(channel, wanted, channel)
        self._channels[channel] = wanted

    def _drop(self, channel: Channel) -> None:
        assert self._selector is not None
        if self._channels.pop(channel, 0):
            self._selector.unregister(channel)
        channel.release()
