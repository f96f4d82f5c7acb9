"""The loop of health checks: at intervals, in a thread of its own; and whom it tells."""

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from agent.health.check import CheckFailed
from agent.health.tracker import Health, Tracker

logger = logging.getLogger(__name__)

_STARTING: Final = 1.0
"""Seconds between checks at most, until the backend has been healthy once: somebody waits for its start."""


class Asking(Protocol):
    """What asks the proxy for requests: see `Poller`."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class HealthWatch:
    """Has requests asked for only while the backend is healthy. `check` raises `CheckFailed`; `interval` is in seconds.

    `report` is told why the backend is not healthy, nothing while it is. `on_unhealthy` is called when a backend that
    was healthy is no more. `on_death` is called when the loop ends by an error: nobody would resume asking then.
    """

    def __init__(
        self,
        check: Callable[[], None],
        asking: Asking,
        *,
        interval: float,
        threshold: int,
        report: Callable[[str], None] = lambda why_not: None,
        on_unhealthy: Callable[[], None] = lambda: None,
        on_death: Callable[[], None] = lambda: None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._check = check
        self._asking = asking
        self._interval = interval
        self._report = report
        self._on_unhealthy = on_unhealthy
        self._on_death = on_death
        self._is_stopped = threading.Event()
        self._wait = wait or self._is_stopped.wait
        self._tracker = Tracker(threshold)
        self._thread = threading.Thread(target=self._live, name="health", daemon=True)

    def start(self) -> None:
        """Check from now on; to be called before anything is asked for, and nothing is until the first success."""
        self._asking.pause()
        self._report("it has not been healthy yet")
        self._thread.start()

    def stop(self) -> None:
        """Check no more, and change nothing any more; a check that runs is not waited for."""
        self._is_stopped.set()

    def _live(self) -> None:
        try:
            while not self._is_stopped.is_set():
                self._turn()
                is_starting = self._tracker.health is Health.UNKNOWN
                self._wait(min(self._interval, _STARTING) if is_starting else self._interval)
        except Exception:
            logger.critical("the backend's health cannot be checked any more", exc_info=True)
            self._on_death()

    def _turn(self) -> None:
        before = self._tracker
        why_not = ""
        try:
            self._check()
            self._tracker = before.succeeded()
        except CheckFailed as exc:
            why_not = str(exc)
            self._tracker = before.failed()
        if not self._is_stopped.is_set():
            self._tell(before, self._tracker, why_not)

    def _tell(self, before: Tracker, after: Tracker, why_not: str) -> None:
        if after.health is Health.HEALTHY:
            if before.health is not Health.HEALTHY:
                logger.info("the backend is healthy: asking for requests")
                self._report("")
                self._asking.resume()
            elif after.failures:
                logger.debug("a health check failed: %s", why_not)
            return
        self._report(why_not)
        if after.health is Health.UNKNOWN and after.failures == 1:
            logger.warning("waiting until the backend is healthy: %s", why_not)
        if before.health is Health.HEALTHY:
            logger.error(
                "the backend is not healthy, and until it is nothing is asked for: %d checks failed in a row: %s",
                after.failures,
                why_not,
            )
            self._asking.pause()
            self._on_unhealthy()
