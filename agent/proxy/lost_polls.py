"""Polls whose answers did not arrive whole: what the proxy is told of them, so that it hands out again what was lost.

`docs/protocol.md`, "Polls that are lost", says why and for how long.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from wire.negotiation import MAX_NAMES_LENGTH, encode_names
from wire.protocol import LOST_POLL, RECEIVED, RequestId

_TOLD_FOR: Final = 40.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class _Loss:
    poll_id: str
    received: tuple[RequestId, ...]
    lost_at: float


class LostPolls:
    """Those of the last seconds; safe for several threads. `now` gives seconds."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._losses: deque[_Loss] = deque()
        self._lock = threading.Lock()  # guards _losses

    def add(self, poll_id: str, received: Sequence[RequestId]) -> None:
        """A poll is lost, but for the requests that arrived whole."""
        with self._lock:
            self._losses.append(_Loss(poll_id, tuple(received), self._now()))

    def fields(self) -> list[tuple[str, str]]:
        """What to say with the next call; of the oldest polls nothing, where that would be too long."""
        if not self._losses:
            return []
        with self._lock:
            while self._losses and (self._now() - self._losses[0].lost_at > _TOLD_FOR or self._is_too_long()):
                self._losses.popleft()
            lost, received = self._names()
        return [(name, value) for name, value in ((LOST_POLL, lost), (RECEIVED, received)) if value]

    def _is_too_long(self) -> bool:
        return any(len(names) > MAX_NAMES_LENGTH for names in self._names())

    def _names(self) -> tuple[str, str]:
        lost = encode_names(loss.poll_id for loss in self._losses)
        return lost, encode_names(request_id for loss in self._losses for request_id in loss.received)
