"""The request IDs that this agent has taken lately: a bounded memory, least recently used first out."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.backoff import POLLING
from wire.protocol import RequestId


@dataclass(slots=True)
class _Memory:
    """`free_at` is when an ID that was given back may be taken again; None while it is taken."""

    free_at: float | None = None
    returns: int = 0


_TAKEN: Final = None


class SeenIds:
    """The last `capacity` request IDs; safe for several threads. `now` gives seconds."""

    def __init__(self, capacity: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._now = now
        self._memories: OrderedDict[RequestId, _Memory] = OrderedDict()
        self._lock = threading.Lock()  # guards _memories

    def add(self, request_id: RequestId) -> bool:
        """Take an ID; False if it is taken already, or was given back so lately that it is too early."""
        with self._lock:
            memory = self._memories.setdefault(request_id, _Memory(free_at=float("-inf")))
            self._memories.move_to_end(request_id)
            if len(self._memories) > self._capacity:
                self._memories.popitem(last=False)
            if memory.free_at is None or self._now() < memory.free_at:
                return False
            memory.free_at = _TAKEN
            return True

    def discard(self, request_id: RequestId) -> None:
        """Give an ID back, so that the proxy may offer it to this agent again: the first time at once, then each time
        after a longer pause.

        The original's proxy goes on listing what cannot be fetched any more: without pauses that would be a busy loop.
        """
        with self._lock:
            memory = self._memories.get(request_id)
            if memory is not None and memory.free_at is _TAKEN:
                pause = POLLING.delay(memory.returns - 1, jitter=1.0).total_seconds() if memory.returns else 0.0
                memory.free_at = self._now() + pause
                memory.returns += 1
