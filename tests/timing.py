"""The unit of every wait in tests: a slow machine is one number (`TEST_TIME_SCALE=3 make test`), not thirty edits."""

import os
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

MS: Final = 0.001 * float(os.environ.get("TEST_TIME_SCALE", "1"))
"""One millisecond, in seconds, stretched by `TEST_TIME_SCALE`: for limits and pauses, never for what is measured."""

SECOND: Final = 1000 * MS


def wait_until(find: Callable[[], T], *, within: float, what: str, every: float = 20 * MS) -> T:
    """The first true result of `find`, asked again and again. Raises `TimeoutError` that says `what` did not come."""
    deadline = time.monotonic() + within
    while not (found := find()):
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {within:.1f} s: {what}")
        time.sleep(every)
    return found
