"""What all calls of the Datastore API have in common: each has an end, and fails with an error of the broker."""

import math
import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import grpc

from broker.errors import StoreUnavailable

TIMEOUT: Final = 4.0
"""Seconds for one call."""

ATTEMPTS: Final = 6

Code = grpc.StatusCode

CONTENDED: Final = frozenset({Code.ABORTED, Code.UNKNOWN})
"""The change was not made. The emulator says UNKNOWN for it (googleapis/google-cloud-datastore issue 201)."""

INTERRUPTED: Final = CONTENDED | {Code.UNAVAILABLE, Code.INTERNAL}
"""After these, what does no harm twice is tried again."""

UNCLEAR: Final = INTERRUPTED | {Code.DEADLINE_EXCEEDED}
"""After these nobody knows whether a change was made."""

T = TypeVar("T")


class CallFailed(StoreUnavailable):
    """A call that failed, and how."""

    def __init__(self, error: Any) -> None:
        self.code: grpc.StatusCode = error.code()
        super().__init__(f"Datastore: {self.code.name}: {error.details()}")


def repeat(act: Callable[[], T], *, after: frozenset[grpc.StatusCode], within: float = math.inf) -> T:
    """Act, and act again after a call that failed so, `within` so many seconds. Raises `CallFailed`."""
    began = time.monotonic()
    for attempt in range(ATTEMPTS - 1):
        try:
            return act()
        except CallFailed as failed:
            if failed.code not in after or time.monotonic() - began >= within:
                raise
        pause(attempt)
    return act()


def pause(attempt: int) -> None:
    """Let others finish: a random time, longer after each attempt, at most 160 ms."""
    time.sleep(random.uniform(0, 0.005 * 2 ** min(attempt, 5)))
