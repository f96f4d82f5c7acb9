"""What an operator asked for, put together and started: the status port, the counts to Cloud Monitoring, or neither.

Their modules are imported when they are asked for: who asks for nothing does not wait for them.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from agent.telemetry.record import ServedBackend

if TYPE_CHECKING:
    from agent.telemetry.monitoring import Reporter, Target
    from agent.telemetry.status_server import StatusServer


class Telemetry:
    """What tells of `backends` as long as the process runs."""

    def __init__(
        self,
        backends: Sequence[ServedBackend],
        *,
        version: str,
        status_address: tuple[str, int] | None,
        monitoring: "Target | None",
        clock: Callable[[], datetime],
        processes: Callable[[], Sequence[int]] = lambda: [os.getpid()],
    ) -> None:
        """`processes` are those that serve, this one included; `clock` gives aware times. Raises `OSError` for a status
        address that cannot be listened at."""
        self._server = _server(backends, status_address, version, processes) if status_address else None
        self._reporter = _reporter(backends, monitoring, clock) if monitoring else None

    @property
    def status_port(self) -> int | None:
        """Where the status port is; None if there is none."""
        return self._server.port if self._server is not None else None

    def start(self) -> None:
        if self._server is not None:
            self._server.start()
        if self._reporter is not None:
            self._reporter.start()

    def stop(self) -> None:
        """Send the last counts, within a few seconds, and listen no more; after `start`, when nothing runs any more."""
        if self._reporter is not None:
            self._reporter.stop()
        if self._server is not None:
            self._server.stop()


def _server(
    backends: Sequence[ServedBackend],
    address: tuple[str, int],
    version: str,
    processes: Callable[[], Sequence[int]],
) -> "StatusServer":
    from agent.telemetry.status_server import Answers, StatusServer

    return StatusServer(*address, Answers(backends, version=version, now=time.monotonic, processes=processes))


def _reporter(backends: Sequence[ServedBackend], target: "Target", clock: Callable[[], datetime]) -> "Reporter":
    from agent.telemetry.monitoring import CloudWriter, Reporter

    def totals() -> Counter[int]:
        """Of all backends: the metric, which is the original's, tells them not apart."""
        counts: Counter[int] = Counter()
        for each in backends:
            counts.update(each.record.statuses())
        return counts

    return Reporter(totals, lambda: CloudWriter(target), is_cumulative=target.is_cumulative, clock=clock)
