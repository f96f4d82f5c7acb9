"""What the measure points count: one record for each backend, read as a snapshot. Nothing here calls out.

Counting must cost little: the agent has a millisecond for a whole exchange. So an event takes one lock for a few
additions, and everything else is left to whoever reads.
"""

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from agent.telemetry.observer import FinishedExchange

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds, in seconds, of the latencies' buckets; one more bucket has what is longer."""

_RECENT: Final = 1000
_MAX_WHY: Final = 300


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counts of one backend at one moment. Ages are in seconds, and None for what has not happened yet."""

    backend_id: str
    in_flight: int
    finished: dict[tuple[int, str], int]
    """How many exchanges ended with a status and a reason; the reason is empty when all went well."""
    latencies: tuple[int, ...]
    """How many exchanges fell into each bucket of `BOUNDS`, and above."""
    latency_sum: float
    recent: tuple[float, ...]
    """Seconds that each of the last exchanges took, sorted."""
    response_bytes: int
    fetches_failed: int
    polls_answered: int
    polls_failed: int
    answered_age: float | None
    """Since the proxy last answered a poll."""
    unanswered_age: float | None
    """Since the first poll that was begun after that and has not been answered; None while none is."""
    poll_failure: str
    """Why the last poll failed; empty once one was answered."""
    version: int
    """Of the protocol, as the proxy speaks it; 0 as long as it has not answered."""
    retries: int
    shim_open: int
    shim_opened: int
    tunnels_open: int
    tunnels_opened: int
    unhealthy: str
    """Why the backend is not healthy; empty while it is."""
    is_draining: bool

    @property
    def exchanges(self) -> int:
        return sum(self.latencies)

    def quantile(self, share: float) -> float | None:
        """The latency, in seconds, that `share` (0 to 1) of the last exchanges did not exceed; None without any."""
        if not self.recent:
            return None
        return self.recent[min(len(self.recent) - 1, int(share * len(self.recent)))]


class BackendRecord:
    """The observer of one backend, which counts."""

    def __init__(self, backend_id: str, *, now: Callable[[], float]) -> None:
        self.backend_id = backend_id
        self._now = now
        self._lock = threading.Lock()  # guards everything below
        self._in_flight = 0
        self._finished: Counter[tuple[int, str]] = Counter()
        self._latencies = [0] * (len(BOUNDS) + 1)
        self._latency_sum = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._response_bytes = 0
        self._fetches_failed = 0
        self._polls_answered = 0
        self._polls_failed = 0
        self._answered_at: float | None = None
        self._unanswered_since: float | None = None
        self._poll_failure = ""
        self._version = 0
        self._retries = 0
        self._shim_open = 0
        self._shim_opened = 0
        self._tunnels_open = 0
        self._tunnels_opened = 0
        self._unhealthy = ""
        self._is_draining = False

    def exchange_began(self) -> None:
        with self._lock:
            self._in_flight += 1

    def exchange_ended(self, finished: FinishedExchange) -> None:
        seconds = finished.seconds
        bucket = bisect_left(BOUNDS, seconds)
        key = (finished.status, finished.reason)
        with self._lock:
            self._in_flight -= 1
            self._finished[key] += 1
            self._latencies[bucket] += 1
            self._latency_sum += seconds
            self._recent.append(seconds)
            self._response_bytes += finished.size

    def fetch_failed(self) -> None:
        with self._lock:
            self._fetches_failed += 1

    def poll_began(self) -> None:
        now = self._now()
        with self._lock:
            if self._unanswered_since is None:
                self._unanswered_since = now

    def poll_answered(self) -> None:
        now = self._now()
        with self._lock:
            self._polls_answered += 1
            self._answered_at = now
            self._unanswered_since = None
            self._poll_failure = ""

    def poll_failed(self, why: str) -> None:
        with self._lock:
            self._polls_failed += 1
            self._poll_failure = why[:_MAX_WHY] or "for no reason that is known"

    def version_found(self, version: int) -> None:
        with self._lock:
            self._version = version

    @property
    def version(self) -> int:
        """See `Snapshot`."""
        return self._version

    def call_retried(self) -> None:
        with self._lock:
            self._retries += 1

    def shim_session_opened(self) -> None:
        with self._lock:
            self._shim_open += 1
            self._shim_opened += 1

    def shim_session_closed(self) -> None:
        with self._lock:
            self._shim_open -= 1

    def tunnel_opened(self) -> None:
        with self._lock:
            self._tunnels_open += 1
            self._tunnels_opened += 1

    def tunnel_closed(self) -> None:
        with self._lock:
            self._tunnels_open -= 1

    def health_changed(self, why_not: str) -> None:
        with self._lock:
            self._unhealthy = why_not[:_MAX_WHY]

    def draining_began(self) -> None:
        with self._lock:
            self._is_draining = True

    def statuses(self) -> dict[int, int]:
        """How many exchanges ended with each status."""
        with self._lock:
            finished = list(self._finished.items())
        counts: Counter[int] = Counter()
        for (status, _), count in finished:
            counts[status] += count
        return counts

    def snapshot(self) -> Snapshot:
        now = self._now()
        with self._lock:
            recent = list(self._recent)
            snapshot = Snapshot(
                backend_id=self.backend_id,
                in_flight=self._in_flight,
                finished=dict(self._finished),
                latencies=tuple(self._latencies),
                latency_sum=self._latency_sum,
                recent=(),
                response_bytes=self._response_bytes,
                fetches_failed=self._fetches_failed,
                polls_answered=self._polls_answered,
                polls_failed=self._polls_failed,
                answered_age=_age(self._answered_at, now),
                unanswered_age=_age(self._unanswered_since, now),
                poll_failure=self._poll_failure,
                version=self._version,
                retries=self._retries,
                shim_open=self._shim_open,
                shim_opened=self._shim_opened,
                tunnels_open=self._tunnels_open,
                tunnels_opened=self._tunnels_opened,
                unhealthy=self._unhealthy,
                is_draining=self._is_draining,
            )
        # Sorted here: the lock is not held for a thousand numbers.
        return replace(snapshot, recent=tuple(sorted(recent)))


class Counts(Protocol):
    """The counts of one backend: those of a `BackendRecord`, or of several in as many processes."""

    @property
    def backend_id(self) -> str: ...

    def snapshot(self) -> Snapshot:
        """All of them, at one moment."""

    def statuses(self) -> Mapping[int, int]:
        """How many exchanges ended with each status."""


@dataclass(frozen=True, slots=True)
class ServedBackend:
    """One backend as an operator is told of it."""

    record: Counts
    host: str
    """URL of the backend, without a user."""
    is_working: Callable[[], bool]
    """False when it is no longer asked for requests though nobody stopped that."""


def _age(then: float | None, now: float) -> float | None:
    return None if then is None else max(0.0, now - then)
