"""The text of `/metrics`. The only module that imports prometheus_client, and it is imported when first asked for.

The metrics are made from snapshots, at each call, in a registry of their own: the agent counts for itself.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from agent.telemetry.condition import why_not_connected, why_not_ready
from agent.telemetry.record import BOUNDS, Snapshot

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

_PREFIX: Final = "inverting_proxy_agent_"
_BACKEND: Final = ("backend",)

_COUNTERS: Final[tuple[tuple[str, str, Callable[[Snapshot], float]], ...]] = (
    ("response_bytes", "Bytes of answers' bodies.", lambda each: each.response_bytes),
    ("fetch_failures", "Requests that were listed and could not be fetched.", lambda each: each.fetches_failed),
    ("proxy_retries", "Calls to the proxy that were made once more.", lambda each: each.retries),
    ("tunnels", "Websockets that were opened through tunnels.", lambda each: each.tunnels_opened),
    ("shim_sessions", "Websocket sessions that were opened.", lambda each: each.shim_opened),
)
_GAUGES: Final[tuple[tuple[str, str, Callable[[Snapshot], float]], ...]] = (
    ("exchanges_in_flight", "Requests that are being answered.", lambda each: each.in_flight),
    ("tunnels_open", "Websockets that are open through tunnels.", lambda each: each.tunnels_open),
    ("shim_sessions_open", "Websocket sessions that are open.", lambda each: each.shim_open),
    (
        "protocol_version",
        "The version that the proxy speaks; 0 if not known.",
        lambda each: each.version,
    ),
    ("connected", "1 if the proxy answers polls.", lambda each: not why_not_connected(each)),
    ("backend_healthy", "1 if the backend is healthy.", lambda each: not each.unhealthy),
    ("ready", "1 if requests can be answered.", lambda each: not why_not_ready(each)),
)


class Exposition:
    """The metrics of all backends, and of the processes that serve them, as text."""

    def __init__(
        self,
        snapshots: Callable[[], Sequence[Snapshot]],
        *,
        version: str,
        processes: Callable[[], Sequence[int]] = lambda: [os.getpid()],
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Metrics(snapshots, version))
        self._registry.register(_Processes(processes))

    def render(self) -> bytes:
        return generate_latest(self._registry)


class _Metrics(Collector):
    def __init__(self, snapshots: Callable[[], Sequence[Snapshot]], version: str) -> None:
        self._snapshots = snapshots
        self._version = version

    def collect(self) -> Iterator[Metric]:
        snapshots = self._snapshots()
        build = GaugeMetricFamily(f"{_PREFIX}build_info", "What runs here.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build
        yield _exchanges(snapshots)
        yield _latencies(snapshots)
        yield _polls(snapshots)
        yield _poll_ages(snapshots)
        for name, text, read in _COUNTERS:
            counter = CounterMetricFamily(_PREFIX + name, text, labels=_BACKEND)
            for each in snapshots:
                counter.add_metric((each.backend_id,), read(each))
            yield counter
        for name, text, read in _GAUGES:
            gauge = GaugeMetricFamily(_PREFIX + name, text, labels=_BACKEND)
            for each in snapshots:
                gauge.add_metric((each.backend_id,), float(read(each)))
            yield gauge


class _Processes(Collector):
    """What several processes use together. The oldest start counts, and of limits that of each is the same."""

    def __init__(self, processes: Callable[[], Sequence[int]]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        used: dict[str, list[Metric]] = {}
        for pid in self._processes():
            for metric in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                used.setdefault(metric.name, []).append(metric)
        for metrics in used.values():
            choose = _TOGETHER.get(metrics[0].name, sum)
            value = choose([sample.value for metric in metrics for sample in metric.samples])
            metrics[0].samples = [metrics[0].samples[0]._replace(value=value)]
            yield metrics[0]


_TOGETHER: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "process_start_time_seconds": min,
    "process_max_fds": max,
}


def _exchanges(snapshots: Sequence[Snapshot]) -> Metric:
    family = CounterMetricFamily(
        f"{_PREFIX}exchanges",
        "Requests that are over, by status; the reason is empty when all went well.",
        labels=(*_BACKEND, "code", "reason"),
    )
    for each in snapshots:
        for (status, reason), count in sorted(each.finished.items()):
            family.add_metric((each.backend_id, str(status), reason), count)
    return family


def _latencies(snapshots: Sequence[Snapshot]) -> Metric:
    family = HistogramMetricFamily(
        f"{_PREFIX}exchange_duration_seconds", "From the fetched request to the posted answer.", labels=_BACKEND
    )
    names = [*(str(bound) for bound in BOUNDS), "+Inf"]
    for each in snapshots:
        buckets = list(zip(names, accumulate(each.latencies), strict=True))
        family.add_metric((each.backend_id,), buckets, sum_value=each.latency_sum)
    return family


def _polls(snapshots: Sequence[Snapshot]) -> Metric:
    family = CounterMetricFamily(f"{_PREFIX}polls", "Polls of the proxy, by outcome.", labels=(*_BACKEND, "outcome"))
    for each in snapshots:
        family.add_metric((each.backend_id, "answered"), each.polls_answered)
        family.add_metric((each.backend_id, "failed"), each.polls_failed)
    return family


def _poll_ages(snapshots: Sequence[Snapshot]) -> Metric:
    family = GaugeMetricFamily(
        f"{_PREFIX}poll_answer_age_seconds", "Since the proxy last answered a poll.", labels=_BACKEND
    )
    for each in snapshots:
        if each.answered_age is not None:
            family.add_metric((each.backend_id,), each.answered_age)
    return family
