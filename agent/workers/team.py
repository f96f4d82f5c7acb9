"""The first worker with its helpers: drained as one, counted as one."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent.process.fleet import Fleet
from agent.service import Reports
from agent.settings.load import Settings
from agent.telemetry.record import ServedBackend
from agent.workers.command import command
from agent.workers.demand import Demand
from agent.workers.helpers import Helpers
from agent.workers.summing import SummedCounts


class Team:
    """Serves as a `Fleet` does, in several processes."""

    def __init__(
        self,
        build_fleet: Callable[[Reports], Fleet],
        settings: Settings,
        reports: Reports,
        *,
        environment: Mapping[str, str],
    ) -> None:
        """`build_fleet` gives what serves in this process; `environment` is also that of the others."""
        self._report_drained = reports.drained
        self._lock = threading.Lock()  # guards _undrained
        self._undrained = 2
        self._fleet = build_fleet(replace(reports, drained=self._count_drained))
        counts = [SummedCounts(served.record) for served in self._fleet.served]
        self.served: Sequence[ServedBackend] = [
            replace(served, record=summed) for served, summed in zip(self._fleet.served, counts, strict=True)
        ]
        self._demand = Demand() if settings.running.workers is None else None
        self._helpers = Helpers(
            command(),
            settings,
            count=settings.workers - 1,
            counts=counts,
            are_useful=self._are_helpers_useful,
            on_stopped=self._count_drained,
            on_unhealthy=reports.unhealthy,
            environment=environment,
        )

    def start(self) -> None:
        self._fleet.start()
        self._helpers.start()

    def stop(self) -> int:
        """Ask no more, at once; the number of requests that still run in this process."""
        self._helpers.stop()
        return self._fleet.stop()

    @property
    def are_parts_stopped(self) -> bool:
        """See `Service`."""
        return self._fleet.are_parts_stopped

    def processes(self) -> Sequence[int]:
        """The processes that serve."""
        return [*self._fleet.processes(), *self._helpers.processes()]

    @property
    def has_failed(self) -> bool:
        """True if a helper left something unfinished."""
        return self._helpers.has_failed

    def _are_helpers_useful(self) -> bool:
        """Only where each proxy gives a request to one of those that ask; and if the number is up to us, in need."""
        is_shared = all(served.record.snapshot().version == 2 for served in self._fleet.served)
        return is_shared and (self._demand is None or self._demand.is_high())

    def _count_drained(self) -> None:
        with self._lock:
            self._undrained -= 1
            is_last = not self._undrained
        if is_last:
            self._report_drained()
