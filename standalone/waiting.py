"""Waiting in asyncio: the loops of `broker.waiting`, driven by futures that changes of the store resolve."""

import asyncio
import threading
from typing import Final

from broker.waiting import Key, T, Wait, Waiting
from edge.errors import Failure, Refusal

STOPPING: Final = Failure(
    status=503,
    reason="stopping",
    party="proxy",
    text="The proxy is being restarted: try again soon.",
    headers=(("Retry-After", "5"),),
)


class AsyncioWaiter:
    """Wakes whoever waits for a key. Holds one future for each waiting task, and nothing for anybody else.

    Made, and waited on, in one event loop; woken from any thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._sleepers: dict[Key, set[asyncio.Future[None]]] = {}
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(len(sleepers) for sleepers in self._sleepers.values())

    async def wait(self, wait: Wait) -> None:
        """Return when the key may have changed, at the latest after the timeout. Raises `Refusal` once closed."""
        if self._is_closed:
            raise Refusal(STOPPING)
        sleeper = self._loop.create_future()
        self._sleepers.setdefault(wait.key, set()).add(sleeper)
        alarm = self._loop.call_later(wait.timeout.total_seconds(), _resolve, sleeper)
        try:
            await sleeper
        finally:
            alarm.cancel()
            self._forget(wait.key, sleeper)

    def wake(self, key: Key) -> None:
        """Something about the key has changed; the listener for `MemoryStore.subscribe`."""
        if threading.get_ident() == self._thread:
            self._resolve_all(key)
        else:
            self._loop.call_soon_threadsafe(self._resolve_all, key)

    def close(self) -> None:
        """End every wait, now and from now on: the proxy stops."""
        self._is_closed = True
        for key in list(self._sleepers):
            self._resolve_all(key)

    def _resolve_all(self, key: Key) -> None:
        for sleeper in self._sleepers.get(key, ()):
            _resolve(sleeper)

    def _forget(self, key: Key, sleeper: asyncio.Future[None]) -> None:
        sleepers = self._sleepers[key]
        sleepers.remove(sleeper)
        if not sleepers:
            del self._sleepers[key]


async def drive(waiting: Waiting[T], waiter: AsyncioWaiter) -> T:
    """Run a loop in this task, to its result.

    No ticket is needed: between the loop's look at the store and its sleep, nothing else runs in this thread, and a
    change by another thread is told to this one's event loop, behind both.
    """
    while True:
        try:
            wait = next(waiting)
        except StopIteration as stop:
            result: T = stop.value
            return result
        await waiter.wait(wait)


def _resolve(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
