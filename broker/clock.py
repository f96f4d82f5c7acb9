"""The only real time in the package: imported by composition roots, and by no rule."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from broker.policy import Policy, polling_interval
from broker.waiting import Wait


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.now(UTC)


class PollingWaiter:
    """The waiter over a store that cannot wake anybody: sleeps a little, longer the longer the wait has lasted."""

    def __init__(self, policy: Policy, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._policy = policy
        self._sleep = sleep

    def ticket(self) -> int:
        """Nothing is missed by a waiter that always looks again."""
        return 0

    def wait(self, wait: Wait, *, ticket: int) -> None:
        """Sleep until it is worth looking again, never past the timeout."""
        self._sleep(min(polling_interval(wait.waited, self._policy), wait.timeout).total_seconds())
