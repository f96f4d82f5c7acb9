"""Simulated time: a process is a generator that yields the seconds for which it waits."""

import heapq
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

T = TypeVar("T")

Process = Generator[float, None, T]
"""What runs in simulated time and at last returns a `T`."""

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Engine:
    """Runs processes in the order of their times; at equal times, in the order in which they began to wait."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._turn = 0
        self._waiting: list[tuple[float, int, Process[None]]] = []

    def now(self) -> datetime:
        """The simulated time, for rules: a `broker.waiting.Clock`."""
        return EPOCH + timedelta(seconds=self.seconds)

    def spawn(self, process: Process[None], *, after: float = 0.0) -> None:
        """Start a process. Raises `ValueError` for a time that has passed."""
        if after < 0:
            raise ValueError(f"time does not run backwards: {after}")
        self._turn += 1
        heapq.heappush(self._waiting, (self.seconds + after, self._turn, process))

    def run(self, *, until: float) -> None:
        """Let time pass up to `until`; what waits beyond it stays as it is."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= until:
            self.seconds, _, process = heapq.heappop(waiting)
            for wait in process:
                self._turn += 1
                heapq.heappush(waiting, (self.seconds + wait, self._turn, process))
                break
        self.seconds = until
