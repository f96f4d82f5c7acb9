"""What serves one backend, started and ended as one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


class Service:
    """A poller, and what goes with it.

    `watch` has it pause while the backend is not healthy; None without health checks. `stops` are called after the
    poller has been stopped: they end the waits that would otherwise keep its requests running.
    """

    def __init__(
        self,
        poller: Poller,
        *,
        served: ServedBackend,
        watch: HealthWatch | None,
        stops: Sequence[Callable[[], None]],
    ) -> None:
        self.served = served
        self._poller = poller
        self._watch = watch
        self._stops = stops

    def start(self) -> None:
        if self._watch is not None:
            self._watch.start()
        self._poller.start()

    def stop(self) -> int:
        """Ask for no more, at once; the number of requests that still run."""
        if self._watch is not None:
            self._watch.stop()
        running = self._poller.stop()
        for stop in self._stops:
            stop()
        return running
