"""Whether one process is enough: how busy it keeps its core."""

import time
from collections.abc import Callable
from typing import Final

_BUSY: Final = 0.8
"""The share of one core from which on another worker helps."""


class Demand:
    """High from the first time on that this process was busy between two questions."""

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, used: Callable[[], float] = time.process_time
    ) -> None:
        """`used` gives the processor time of this process, in seconds."""
        self._now = now
        self._used = used
        self._asked_at, self._used_then = now(), used()
        self._was_high = False

    def is_high(self) -> bool:
        """To be asked every second or so."""
        now, used = self._now(), self._used()
        if now > self._asked_at:
            self._was_high = self._was_high or (used - self._used_then) / (now - self._asked_at) >= _BUSY
        self._asked_at, self._used_then = now, used
        return self._was_high
