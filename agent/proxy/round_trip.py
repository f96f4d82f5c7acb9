"""How long the proxy takes to answer a small call, and so how many calls at a time keep its link busy."""

import threading
from collections.abc import Callable
from typing import Final

_WINDOW: Final = 10.0
"""Seconds after which what was measured is forgotten, at the latest after two of them."""

_STEP: Final = 0.002
"""Seconds: what may wait behind another call."""

_WIDEST: Final = 16


class RoundTrip:
    """The shortest of the last seconds: what took longer was waiting for something else. Safe for several threads;
    `now` gives seconds."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()  # guards the three below
        self._since = now()
        self._shortest: float | None = None
        self._shortest_before: float | None = None

    def observe(self, seconds: float) -> None:
        """A small call took so long."""
        with self._lock:
            self._turn()
            if self._shortest is None or seconds < self._shortest:
                self._shortest = seconds

    def _turn(self) -> None:
        age = self._now() - self._since
        if age >= _WINDOW:
            self._shortest_before = self._shortest if age < 2 * _WINDOW else None
            self._shortest = None
            self._since = self._now()

    @property
    def seconds(self) -> float:
        """Nothing, as long as nothing is known."""
        known = [each for each in (self._shortest, self._shortest_before) if each is not None]
        return min(known, default=0.0)

    @property
    def width(self) -> int:
        """How many calls should be on their way, so that one ends every few milliseconds."""
        return min(1 + int(self.seconds / _STEP), _WIDEST)
