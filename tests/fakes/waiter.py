"""Waiting in simulated time."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from broker.policy import Policy, polling_interval
from broker.waiting import Wait
from tests.fakes.clock import FakeClock

Action = Callable[[], object]

_MOST_WAITS: Final = 10_000


class ScriptedWaiter:
    """A `broker.waiting.Waiter`: each wait moves the clock to the next scripted event and runs it, or to its timeout.

    `script` pairs the time since now at which something happens with what happens; `waits` is what was asked for.
    """

    def __init__(self, clock: FakeClock, script: Iterable[tuple[timedelta, Action]] = ()) -> None:
        self.waits: list[Wait] = []
        self._clock = clock
        began = clock.now()
        self._events = sorted(((began + after, action) for after, action in script), key=lambda event: event[0])

    def ticket(self) -> int:
        """Nothing happens between two calls here."""
        return 0

    def wait(self, wait: Wait, *, ticket: int) -> None:
        """Let time pass up to the next event or the timeout. Raises `AssertionError` for a loop that never ends."""
        self.waits.append(wait)
        assert len(self.waits) <= _MOST_WAITS, "a loop that never ends"
        now = self._clock.now()
        if self._events and self._events[0][0] <= now + wait.timeout:
            moment, action = self._events.pop(0)
            self._clock.advance(max(moment - now, timedelta()))
            action()
        else:
            self._clock.advance(wait.timeout)


class PollingWaiter:
    """A `broker.waiting.Waiter` that nobody can wake: sleeps a little, longer the longer the wait has lasted."""

    def __init__(self, policy: Policy, *, sleep: Callable[[float], None]) -> None:
        self._policy = policy
        self._sleep = sleep

    def ticket(self) -> int:
        """Nothing is missed by a waiter that always looks again."""
        return 0

    def wait(self, wait: Wait, *, ticket: int) -> None:
        """Sleep until it is worth looking again, never past the timeout."""
        self._sleep(min(polling_interval(wait.waited, self._policy), wait.timeout).total_seconds())
