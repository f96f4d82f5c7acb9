"""The end of a process that serves: ask for no more, finish what runs, as long as there is time."""

import logging
import time
from datetime import timedelta
from typing import Final, Protocol

from agent.process.endings import DRAINED, Endings

logger = logging.getLogger(__name__)

_FAREWELLS: Final = timedelta(seconds=1)
"""How long the backends' websockets may take to answer that they are closed, once nothing else runs."""


class Serving(Protocol):
    """What is drained: see `Fleet`."""

    def stop(self) -> int: ...

    @property
    def are_parts_stopped(self) -> bool: ...


def drain(serving: Serving, endings: Endings, *, limit: timedelta) -> bool:
    """Ask for no more, finish what runs; False if that took too long, or another signal came."""
    running = serving.stop()
    logger.info("stopping: %d requests run, they have %g s", running, limit.total_seconds())
    if endings.wait(limit.total_seconds()) != DRAINED:
        return False
    give_up_at = time.monotonic() + _FAREWELLS.total_seconds()
    while not serving.are_parts_stopped and time.monotonic() < give_up_at:
        endings.wait(0.02)
    return True
