"""What is noted while a simulation runs, and what it comes to."""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from benchmarks.simulation.datastore import Datastore
from benchmarks.simulation.inputs import Size


class Gauge:
    """How many there are of something, and the most there were."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    def add(self, change: int) -> None:
        """So many more, or fewer."""
        self.now += change
        self.most = max(self.most, self.now)


@dataclass(slots=True)
class Measures:
    """Counts since `reset`; gauges go on."""

    latencies: list[float] = field(default_factory=list)
    """Of requests that were answered, seconds."""
    failures: Counter[str] = field(default_factory=Counter)
    arrived: int = 0
    users: Gauge = field(default_factory=Gauge)
    """Requests of users under way: each occupies a thread."""
    agent_calls: Gauge = field(default_factory=Gauge)
    """Polls, fetches and posts under way: likewise."""
    queued: Gauge = field(default_factory=Gauge)
    """Requests that no agent has taken."""
    lost_claims: int = 0
    """Of exchanges that another agent had claimed meanwhile."""

    def reset(self) -> None:
        """Begin anew, once all has found its pace."""
        self.latencies.clear()
        self.failures.clear()
        self.arrived = self.lost_claims = 0
        for gauge in (self.users, self.agent_calls, self.queued):
            gauge.most = gauge.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one simulation came to."""

    size: Size
    seconds: float
    """Simulated, after the start."""
    offered: float
    """Requests a second that came, which chance varies."""
    carried: float
    """Answered requests a second."""
    p50: float
    p99: float
    """Seconds, of those that were answered; 0 where none was."""
    failed: float
    """The share of requests that ended with an error."""
    calls: float
    """To Datastore for each answered request, those of idle agents included."""
    calls_a_second: float
    hot_key: str
    """Where writes waited for the longest; empty where none waited."""
    hot_wait: float
    queued: int
    """The most requests that waited for an agent at a time."""
    users: int
    """The most requests under way at a time."""
    agent_calls: int
    lost_claims: int

    @property
    def is_broken(self) -> bool:
        """True where it no longer carries what comes: one request in a hundred fails, one in ten is left behind, or the
        slowest in a hundred takes five seconds."""
        return self.failed > 0.01 or self.carried < 0.9 * self.offered or self.p99 > 5


def outcome_of(size: Size, measures: Measures, datastore: Datastore, seconds: float) -> Outcome:
    """Sum up."""
    latencies = sorted(measures.latencies)
    ended = len(latencies) + measures.failures.total()
    total = sum(count for method, count in datastore.calls.items() if method != "hint")
    key, wait = _hottest(datastore)
    return Outcome(
        size=size,
        seconds=seconds,
        offered=measures.arrived / seconds,
        carried=len(latencies) / seconds,
        p50=_quantile(latencies, 0.5),
        p99=_quantile(latencies, 0.99),
        failed=measures.failures.total() / ended if ended else 0.0,
        calls=total / len(latencies) if latencies else 0.0,
        calls_a_second=total / seconds,
        hot_key=key,
        hot_wait=wait,
        queued=measures.queued.most,
        users=measures.users.most,
        agent_calls=measures.agent_calls.most,
        lost_claims=measures.lost_claims,
    )


def _hottest(datastore: Datastore) -> tuple[str, float]:
    waits: dict[Hashable, float] = {key: spot.longest_wait for key, spot in datastore.spots().items()}
    key = max(waits, key=lambda each: waits[each], default=None)
    if key is None or not waits[key]:
        return "", 0.0
    return (str(key[0]) if isinstance(key, tuple) else str(key)), waits[key]


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
