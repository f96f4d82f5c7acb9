"""What serves one backend, started and ended as one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.health.watch import HealthWatch
from agent.poller import Poller
from agent.telemetry.record import ServedBackend


@dataclass(frozen=True, slots=True)
class Reports:
    """What a service reports; called from any thread."""

    drained: Callable[[], None]
    """Nothing runs any more, after `stop`."""
    died: Callable[[], None]
    """A loop ended by an error, so that only a new process helps."""
    unhealthy: Callable[[], None]
    """The backend was healthy and is no more."""


class Part(Protocol):
    """What works beside the poller and ends with it."""

    def stop(self) -> None:
        """Begin to end, at once, so that no request waits for it any more."""

    @property
    def is_stopped(self) -> bool:
        """True once, after `stop`, nothing of it is on its way any more."""


class Service:
    """A poller, and what goes with it.

    `watch` has it pause while the backend is not healthy; None without health checks. `parts` are stopped after the
    poller: that ends the waits that would otherwise keep its requests running.
    """

    def __init__(
        self,
        poller: Poller,
        *,
        served: ServedBackend,
        watch: HealthWatch | None,
        parts: Sequence[Part],
    ) -> None:
        self.served = served
        self._poller = poller
        self._watch = watch
        self._parts = parts

    def start(self) -> None:
        if self._watch is not None:
            self._watch.start()
        self._poller.start()

    def stop(self) -> int:
        """Ask for no more, at once; the number of requests that still run."""
        if self._watch is not None:
            self._watch.stop()
        running = self._poller.stop()
        for part in self._parts:
            part.stop()
        return running

    @property
    def are_parts_stopped(self) -> bool:
        """True once, after `stop`, the parts have ended what they began; that requests have, `Reports.drained` says."""
        return all(part.is_stopped for part in self._parts)
