"""How many requests of one backend run, and how many more may; and how one that only waits yields its slot."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST_YIELDED: Final = 1000
"""Requests that wait without a slot, for one backend: each has a thread all the same."""

_current = threading.local()
"""`slots`: of which the request that runs in this thread has one."""


class Slots:
    """Whoever looks at the numbers or changes them holds `changed`, and notifies it when a slot becomes free."""

    def __init__(self, concurrency: int) -> None:
        self.changed = threading.Condition()
        self._concurrency = concurrency
        self.running = 0
        self._waiting = 0  # those that run and have yielded their slots
        self._promised = 0  # to polls, for what they may bring

    @property
    def free(self) -> int:
        """How many more requests may be asked for; not more than none when those that waited go on."""
        return self._concurrency - self.running + self._waiting - self._promised

    def promise(self, count: int) -> None:
        """Keep slots for what a poll brings; a negative number when that is here, or nothing is."""
        self._promised += count

    def begin_waiting(self) -> bool:
        """A request that runs gives its slot back; False when too many have done so. See `yielding`."""
        with self.changed:
            if self._waiting >= MOST_YIELDED:
                return False
            self._waiting += 1
            self.changed.notify_all()
            return True

    def end_waiting(self) -> None:
        """The request goes on."""
        with self.changed:
            self._waiting -= 1


def run_in(slots: Slots) -> None:
    """From now on the requests that run in this thread have slots of these."""
    _current.slots = slots


@contextmanager
def yielding() -> Iterator[None]:
    """Give the slot of the request that runs in this thread back while it only waits, as a long poll does.

    The slot is taken again at the end without waiting: what comes then is short, and nobody has to wait for a request
    that has waited. Beyond `MOST_YIELDED` requests keep their slots. In threads without slots nothing happens.
    """
    slots: Slots | None = getattr(_current, "slots", None)
    if slots is None or not slots.begin_waiting():
        yield
        return
    try:
        yield
    finally:
        slots.end_waiting()
