"""The services of one process, one for each backend, started and ended together."""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from agent.service import Reports, Service
from agent.telemetry.record import ServedBackend


class Fleet:
    """Each of `builds` makes one service. `reports` are made for all: that everything has drained is said once."""

    def __init__(self, builds: Iterable[Callable[[Reports], Service]], reports: Reports) -> None:
        self._report_drained = reports.drained
        self._lock = threading.Lock()  # guards _undrained
        each = replace(reports, drained=self._count_drained)
        self._services = [build(each) for build in builds]
        self._undrained = len(self._services)

    @property
    def served(self) -> Sequence[ServedBackend]:
        """What an operator is told of."""
        return [service.served for service in self._services]

    def start(self) -> None:
        for service in self._services:
            service.start()

    def stop(self) -> int:
        """Ask no more, at once; the number of requests that still run."""
        return sum([service.stop() for service in self._services])

    @property
    def are_parts_stopped(self) -> bool:
        """See `Service`."""
        return all(service.are_parts_stopped for service in self._services)

    def processes(self) -> Sequence[int]:
        """The processes that serve: this one."""
        return [os.getpid()]

    @property
    def has_failed(self) -> bool:
        """Never: what is unfinished is seen by who waits."""
        return False

    def _count_drained(self) -> None:
        with self._lock:
            self._undrained -= 1
            is_last = not self._undrained
        if is_last:
            self._report_drained()
