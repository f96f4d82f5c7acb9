"""Waiting in asyncio: the loops of `broker.waiting`, driven by futures that changes of the store resolve."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Final, NamedTuple

from broker.waiting import Key, PendingKey, T, Wait, Waiting
from edge.errors import Failure, Refusal

STOPPING: Final = Failure(
    status=503,
    reason="stopping",
    party="proxy",
    text="The proxy is being restarted: try again soon.",
    headers=(("Retry-After", "5"),),
)


_NOBODY: Final[Mapping[asyncio.Future["Change | None"], int]] = {}


class Change(NamedTuple):
    """A change of what polls wait for. It came before the wait of the number `before`, and after those with lesser
    ones."""

    key: Key
    before: int


class AsyncioWaiter:
    """Wakes whoever waits for a key: of polls one for each change, because one takes what there is; of others all.

    Holds one future for each waiting task, and nothing for anybody else. Made, and waited on, in one event loop; woken
    from any thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._sleepers: dict[Key, dict[asyncio.Future[Change | None], int]] = {}
        """The longest first, each with its number."""
        self._count = 0
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(len(sleepers) for sleepers in self._sleepers.values())

    async def wait(self, wait: Wait) -> Change | None:
        """Return when the key may have changed, at the latest after the timeout. Raises `Refusal` once closed.

        A change that comes back is for one alone: who has no use for it passes it on.
        """
        if self._is_closed:
            raise Refusal(STOPPING)
        sleeper: asyncio.Future[Change | None] = self._loop.create_future()
        self._sleepers.setdefault(wait.key, {})[sleeper] = self._count
        self._count += 1
        alarm = self._loop.call_later(wait.timeout.total_seconds(), _resolve, sleeper)
        try:
            return await sleeper
        except asyncio.CancelledError:
            if sleeper.done() and not sleeper.cancelled():
                self.pass_on(sleeper.result())
            raise
        finally:
            alarm.cancel()
            self._forget(wait.key, sleeper)

    def wake(self, key: Key) -> None:
        """Something about the key has changed; the listener for `MemoryStore.subscribe`."""
        if threading.get_ident() == self._thread:
            self._wake(key)
        else:
            self._loop.call_soon_threadsafe(self._wake, key)

    def pass_on(self, change: Change | None) -> None:
        """Wake the next that was waiting when this change came, if there is one."""
        if change is None:
            return
        for sleeper, number in self._sleepers.get(change.key, _NOBODY).items():
            if not sleeper.done():
                if number < change.before:
                    sleeper.set_result(change)
                return

    def close(self) -> None:
        """End every wait, now and from now on: the proxy stops."""
        self._is_closed = True
        for key in list(self._sleepers):
            self._resolve_all(key)

    def _wake(self, key: Key) -> None:
        if isinstance(key, PendingKey):
            self.pass_on(Change(key, self._count))
        else:
            self._resolve_all(key)

    def _resolve_all(self, key: Key) -> None:
        for sleeper in self._sleepers.get(key, ()):
            _resolve(sleeper)

    def _forget(self, key: Key, sleeper: asyncio.Future[Change | None]) -> None:
        sleepers = self._sleepers[key]
        del sleepers[sleeper]
        if not sleepers:
            del self._sleepers[key]


async def drive(waiting: Waiting[T], waiter: AsyncioWaiter) -> T:
    """Run a loop in this task, to its result. One that has no use for a change, because it comes back for more or with
    nothing, passes it on.

    No ticket is needed: between the loop's look at the store and its sleep, nothing else runs in this thread, and a
    change by another thread is told to this one's event loop, behind both.
    """
    change: Change | None = None
    while True:
        try:
            wait = next(waiting)
        except StopIteration as stop:
            result: T = stop.value
            if not result:
                waiter.pass_on(change)
            return result
        waiter.pass_on(change)
        change = await waiter.wait(wait)


def _resolve(sleeper: asyncio.Future[Change | None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
