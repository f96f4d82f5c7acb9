"""Exchanges that are over leave the store off the path of requests, many in one call."""

import logging
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from typing import Final

from broker.errors import StoreUnavailable
from broker.model import Exchange
from wire.protocol import trace_of

logger = logging.getLogger(__name__)

_GATHERING: Final = 0.25
"""Seconds that the first one waits for others."""

_ENOUGH: Final = 100
"""That many do not wait for more."""

_MOST: Final = 1_000
"""Beyond that whoever brings one removes it."""


class Removals:
    """A thread gathers and removes, and ends when nothing comes any more. What the store fails to take is tried once
    more when it has taken something again. What is left then, or by a process that is killed, is for the sweep."""

    def __init__(self, remove: Callable[[Sequence[Exchange]], None], *, gathering: float = _GATHERING) -> None:
        """`remove` raises `StoreUnavailable`; `gathering` is in seconds."""
        self._remove = remove
        self._gathering = gathering
        self._changed = Condition()  # guards the two below
        self._waiting: list[Exchange] = []
        self._is_running = False
        self._failed: list[Exchange] = []  # the thread's alone

    def add(self, exchange: Exchange) -> None:
        """Have an exchange removed, soon."""
        with self._changed:
            is_taken = len(self._waiting) < _MOST
            if is_taken:
                self._waiting.append(exchange)
                self._changed.notify()
                if not self._is_running:
                    Thread(target=self._run, name="removals").start()  # raises where there is no thread left
                    self._is_running = True
        if not is_taken:
            self._try([exchange])

    def _run(self) -> None:
        while gone := self._gather():
            if not self._try(gone):
                self._failed = [*self._failed, *gone][-_MOST:]
            elif self._failed:
                again, self._failed = self._failed, []
                self._try(again)

    def _gather(self) -> list[Exchange]:
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= _ENOUGH, timeout=self._gathering)
            gone, self._waiting = self._waiting, []
            self._is_running = bool(gone)
            return gone

    def _try(self, gone: Sequence[Exchange]) -> bool:
        """False when the store did not answer."""
        try:
            self._remove(gone)
        except StoreUnavailable as exc:
            logger.warning("%s and %d more not removed: %s", trace_of(gone[0].request_id), len(gone) - 1, exc)
            return False
        except Exception:
            logger.exception("%s and %d more not removed", trace_of(gone[0].request_id), len(gone) - 1)
        return True
