"""The counts of several workers as those of one."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent.telemetry.condition import why_not_ready
from agent.telemetry.record import Counts, Snapshot


class SummedCounts:
    """The counts of one backend: its own worker's, and what others report. None is forgotten when its worker ends."""

    def __init__(self, own: Counts) -> None:
        self._own = own
        self._lock = threading.Lock()  # guards the two below
        self._ended: Snapshot | None = None
        self._others: dict[int, Snapshot] = {}

    @property
    def backend_id(self) -> str:
        return self._own.backend_id

    def report(self, worker: int, snapshot: Snapshot) -> None:
        """The newest counts of another worker."""
        with self._lock:
            self._others[worker] = snapshot

    def end(self, worker: int) -> None:
        """Another worker has ended: what it has counted stays, what ran there runs no more."""
        with self._lock:
            last = self._others.pop(worker, None)
            if last is not None:
                last = replace(last, in_flight=0, shim_open=0, tunnels_open=0, recent=())
                self._ended = last if self._ended is None else add([self._ended, last], condition=last)

    def snapshot(self) -> Snapshot:
        own = self._own.snapshot()
        with self._lock:
            others, ended = list(self._others.values()), [self._ended] if self._ended is not None else []
        # Requests are answered if one worker can.
        best = min([own, *others], key=lambda each: (each.is_draining, bool(why_not_ready(each))))
        return add([own, *others, *ended], condition=best)

    def statuses(self) -> Mapping[int, int]:
        counts: Counter[int] = Counter()
        for (status, _), count in self.snapshot().finished.items():
            counts[status] += count
        return counts


def add(snapshots: Sequence[Snapshot], *, condition: Snapshot) -> Snapshot:
    """Counts added up; what cannot be added is that of `condition`."""

    def total(read: Callable[[Snapshot], int]) -> int:
        return sum(map(read, snapshots))

    finished: Counter[tuple[int, str]] = Counter()
    for each in snapshots:
        finished.update(each.finished)
    return replace(
        condition,
        in_flight=total(lambda each: each.in_flight),
        finished=dict(finished),
        latencies=tuple(map(sum, zip(*(each.latencies for each in snapshots), strict=True))),
        latency_sum=sum(each.latency_sum for each in snapshots),
        recent=tuple(sorted(seconds for each in snapshots for seconds in each.recent)),
        response_bytes=total(lambda each: each.response_bytes),
        fetches_failed=total(lambda each: each.fetches_failed),
        polls_answered=total(lambda each: each.polls_answered),
        polls_failed=total(lambda each: each.polls_failed),
        retries=total(lambda each: each.retries),
        shim_open=total(lambda each: each.shim_open),
        shim_opened=total(lambda each: each.shim_opened),
        tunnels_open=total(lambda each: each.tunnels_open),
        tunnels_opened=total(lambda each: each.tunnels_opened),
    )
