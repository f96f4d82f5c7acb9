"""Counts by status code to Google's Cloud Monitoring, each minute: what the original's `agent/metrics` sends.

Metric `DOMAIN/instance/proxy_agent/response_count`, labels `response_code` ("200") and `response_code_class` ("2XX"),
whole numbers, for a monitored resource, by default `gce_instance` with the labels `instance_id` and `zone`.

The original leaves the metric's kind out, because the descriptor that it writes to exists and is of kind DELTA: each
point counts what came since the one before. So do we, with intervals that follow each other without overlapping. In the
domains where anybody may create metrics DELTA is not to be had, so the kind is CUMULATIVE: points share their start.
https://cloud.google.com/monitoring/api/ref_v3/rest/v3/TimeSeries,
https://cloud.google.com/monitoring/api/ref_v3/rest/v3/TimeInterval

A failure is logged and never in the way of requests: what was not taken is counted in with the next minute's.
"""

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from agent.commandline.parsing import is_loopback

logger = logging.getLogger(__name__)

PERIOD: Final = timedelta(minutes=1)

_CALL_SECONDS: Final = 10.0
_SERIES_IN_A_CALL: Final = 200  # the API's limit
_BETWEEN: Final = timedelta(milliseconds=1)
"""The API wants at least as much between the end of an interval and the start of the next."""

_LONGEST: Final = timedelta(hours=24)
"""Of an interval: the API takes nothing that began more than 25 hours ago."""

_FREE_DOMAINS: Final = frozenset({"custom.googleapis.com", "external.googleapis.com", "workload.googleapis.com"})
"""Domains where a metric that does not exist is created when it is written."""

_GCE_LABELS: Final = {"instance-id": "instance_id", "instance-zone": "zone"}
"""The resource's labels as the flag calls them, and as the API does."""

_INSTALL: Final = "pip install google-cloud-monitoring"


class MonitoringError(ValueError):
    """Cloud Monitoring cannot be used as it is set up: one line for the operator."""


class NotWritten(Exception):
    """The counts were not taken."""

    def __init__(self, text: str, *, is_final: bool) -> None:
        super().__init__(text)
        self.is_final = is_final
        """True if the same counts must not be sent again: some may have been taken."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many answers had each status, from `start` to `end`."""

    start: datetime
    end: datetime
    by_status: dict[int, int]


class Writer(Protocol):
    """Where counts go."""

    def write(self, counts: Counts) -> None:
        """Raises `NotWritten`."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is written to."""

    project_id: str
    endpoint: str
    """`HOST:PORT`; without TLS and credentials where the host is this machine, for tests and emulators."""
    domain: str
    resource_type: str
    resource_labels: tuple[tuple[str, str], ...]

    @property
    def metric_type(self) -> str:
        return f"{self.domain}/instance/proxy_agent/response_count"

    @property
    def is_cumulative(self) -> bool:
        return self.domain.partition("/")[0] in _FREE_DOMAINS


def make_target(
    *,
    project_id: str,
    endpoint: str,
    domain: str,
    resource_type: str,
    resource_labels: Sequence[tuple[str, str]],
) -> Target:
    """The target that the flags name. Raises `MonitoringError`, also when the optional extra is not installed.

    For `gce_instance` the labels are `instance-id` and `instance-zone`, and others are ignored as the original does;
    for another type they are the resource's own.
    """
    labels = dict(resource_labels)
    if resource_type == "gce_instance":
        missing = [name for name in _GCE_LABELS if not labels.get(name)]
        if missing:
            raise MonitoringError(f"--monitoring-resource-labels has no {' and no '.join(missing)}")
        labels = {theirs: labels[ours] for ours, theirs in _GCE_LABELS.items()}
    if not domain:
        raise MonitoringError("--metric-domain is missing: expected a domain such as custom.googleapis.com")
    if not is_installed():
        raise MonitoringError(f"--monitoring-project-id needs a package that is not installed: {_INSTALL}")
    return Target(project_id, endpoint, domain, resource_type, tuple(labels.items()))


def is_installed() -> bool:
    """True if the optional extra is there; it is not imported for that, it takes more than a second."""
    try:
        return importlib.util.find_spec("google.cloud.monitoring_v3") is not None
    except ModuleNotFoundError:
        return False


class Window:
    """Which counts are to be sent next, and since when they count."""

    def __init__(self, start: datetime, *, is_cumulative: bool) -> None:
        self._start = start
        self._is_cumulative = is_cumulative
        self._base: Mapping[int, int] = {}
        self._sent: Mapping[int, int] = {}

    def counts(self, totals: Mapping[int, int], now: datetime) -> Counts | None:
        """What to send at `now` out of all counts since the agent began; None if there is nothing."""
        if now <= self._start - _BETWEEN:
            # The clock was put back: begin again, with what has not been sent.
            self._start = now
            self._base = self._sent
        if now <= self._start:
            return None
        by_status = {
            status: total - self._base.get(status, 0)
            for status, total in sorted(totals.items())
            if total > self._base.get(status, 0)
        }
        return Counts(self._start, now, by_status) if by_status else None

    def settle(self, totals: Mapping[int, int], end: datetime) -> None:
        """What was made of `totals` need not be sent again: it was taken, or is given up."""
        self._sent = totals
        if not self._is_cumulative:
            self._base = totals
            self._start = end + _BETWEEN

    def is_too_long(self, now: datetime) -> bool:
        return not self._is_cumulative and now - self._start > _LONGEST


class Reporter:
    """Sends the counts each minute, in a thread of its own, and the last of them when it is stopped."""

    def __init__(
        self,
        totals: Callable[[], Mapping[int, int]],
        open_writer: Callable[[], Writer],
        *,
        is_cumulative: bool,
        clock: Callable[[], datetime],
        period: timedelta = PERIOD,
    ) -> None:
        """`totals` gives all counts since the agent began; `open_writer` is called in the thread, until it works, and
        raises `NotWritten`."""
        self._totals = totals
        self._open_writer = open_writer
        self._writer: Writer | None = None
        self._window = Window(clock(), is_cumulative=is_cumulative)
        self._clock = clock
        self._period = period.total_seconds()
        self._failures = 0
        self._stopping = threading.Event()
        # It must never keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="monitoring", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, within: timedelta = timedelta(seconds=5)) -> None:
        """Send what is left, and return when that is done or `within` is over; after `start`."""
        self._stopping.set()
        self._thread.join(within.total_seconds())
        if self._thread.is_alive():
            logger.warning("the last counts did not get to Cloud Monitoring in time")

    def _run(self) -> None:
        while not self._stopping.wait(self._period):
            self._report_or_log()
        self._report_or_log()

    def _report_or_log(self) -> None:
        try:
            self._report()
        except Exception:
            logger.exception("reporting to Cloud Monitoring failed")

    def _report(self) -> None:
        totals = dict(self._totals())
        now = self._clock()
        counts = self._window.counts(totals, now)
        if counts is None:
            return
        try:
            if self._writer is None:
                self._writer = self._open_writer()
            self._writer.write(counts)
        except NotWritten as exc:
            self._log_failure(exc)
            if exc.is_final or self._window.is_too_long(now):
                self._window.settle(totals, now)
            return
        self._window.settle(totals, now)
        if self._failures:
            logger.info("Cloud Monitoring takes the counts again")
        self._failures = 0

    def _log_failure(self, exc: NotWritten) -> None:
        """Once when it begins to fail; what comes after is for those who look for it."""
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        logger.log(level, "Cloud Monitoring does not take the counts (%d in a row): %.500s", self._failures, exc)


class CloudWriter:
    """Cloud Monitoring by gRPC."""

    def __init__(self, target: Target) -> None:
        """Imports what that needs: more than a second. Raises `NotWritten` where there are no credentials."""
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import monitoring_v3

        self._target = target
        self._api = monitoring_v3
        try:
            self._client = _connect(target.endpoint)
        except GoogleAuthError as exc:
            raise NotWritten(f"no credentials: {exc}", is_final=False) from exc

    def write(self, counts: Counts) -> None:
        from google.api_core.exceptions import BadRequest, GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        series = list(self._series(counts))
        for begin in range(0, len(series), _SERIES_IN_A_CALL):
            request = self._api.CreateTimeSeriesRequest(
                name=f"projects/{self._target.project_id}", time_series=series[begin : begin + _SERIES_IN_A_CALL]
            )
            try:
                # Not retried here: the next minute does.
                self._client.create_time_series(request=request, timeout=_CALL_SECONDS, retry=None)
            except BadRequest as exc:
                raise NotWritten(str(exc), is_final=True) from exc
            except (GoogleAPIError, GoogleAuthError) as exc:
                raise NotWritten(str(exc), is_final=begin > 0) from exc

    def _series(self, counts: Counts) -> Iterator[Any]:
        kind = {"metric_kind": "CUMULATIVE"} if self._target.is_cumulative else {}
        for status, count in counts.by_status.items():
            yield self._api.TimeSeries(
                metric={
                    "type": self._target.metric_type,
                    "labels": {"response_code": str(status), "response_code_class": f"{status // 100}XX"},
                },
                resource={"type": self._target.resource_type, "labels": dict(self._target.resource_labels)},
                points=[
                    {
                        "interval": {"start_time": counts.start, "end_time": counts.end},
                        "value": {"int64_value": count},
                    }
                ],
                **kind,
            )


def _connect(endpoint: str) -> Any:
    from google.cloud.monitoring_v3 import MetricServiceClient
    from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

    if not is_loopback(endpoint.rpartition(":")[0].strip("[]")):
        # Application default credentials, as the original.
        return MetricServiceClient(client_options={"api_endpoint": endpoint})
    import grpc

    channel = grpc.insecure_channel(endpoint, options=[("grpc.enable_http_proxy", 0)])
    return MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
