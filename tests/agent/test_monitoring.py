"""Counts to Cloud Monitoring, which is a gRPC server here."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.telemetry.assembly import Telemetry
from agent.telemetry.monitoring import CloudWriter, Counts, NotWritten, Reporter, Target, make_target
from agent.telemetry.observer import FinishedExchange
from agent.telemetry.record import BackendRecord, ServedBackend
from tests.timing import SECOND, wait_until

grpc = pytest.importorskip("grpc", reason="the optional extra is not installed")
monitoring_v3 = pytest.importorskip("google.cloud.monitoring_v3", reason="the optional extra is not installed")

ROOT = Path(__file__).parents[2]

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
END = START + timedelta(minutes=1)


class CloudMonitoring:
    """Implements CreateTimeSeries: keeps what it takes, refuses what the API would, and what it is told to."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.failures: list[Any] = []
        self.ends: dict[str, datetime] = {}

    def create_time_series(self, request: Any, context: Any) -> Any:
        from google.protobuf.empty_pb2 import Empty

        if self.failures:
            context.abort(self.failures.pop(0), "told to fail")
        assert len(request.time_series) <= 200
        for series in request.time_series:
            [point] = series.points
            key = series.metric.labels["response_code"]
            if not point.interval.start_time < point.interval.end_time:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an interval without a length")
            if series.metric_kind != monitoring_v3.types.metric.metric_pb2.MetricDescriptor.MetricKind.CUMULATIVE:
                if key in self.ends and point.interval.start_time <= self.ends[key]:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "overlaps")
                self.ends[key] = point.interval.end_time
        self.requests.append(request)
        return Empty()

    def points(self) -> list[tuple[str, int]]:
        return [
            (series.metric.labels["response_code"], series.points[0].value.int64_value)
            for request in self.requests
            for series in request.time_series
        ]


@contextmanager
def cloud_monitoring() -> Iterator[tuple[CloudMonitoring, str]]:
    service = CloudMonitoring()
    handler = grpc.unary_unary_rpc_method_handler(
        service.create_time_series,
        request_deserializer=monitoring_v3.CreateTimeSeriesRequest.deserialize,
        response_serializer=lambda empty: empty.SerializeToString(),
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("google.monitoring.v3.MetricService", {"CreateTimeSeries": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield service, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(10 * SECOND)


def a_target(endpoint: str, domain: str = "notebooks.googleapis.com") -> Target:
    return make_target(
        project_id="my-project",
        endpoint=endpoint,
        domain=domain,
        resource_type="gce_instance",
        resource_labels=[("instance-id", "1234"), ("instance-zone", "europe-west3-a"), ("other", "ignored")],
    )


def test_counts_are_written_as_the_original_writes_them() -> None:
    with cloud_monitoring() as (service, endpoint):
        CloudWriter(a_target(endpoint)).write(Counts(START, END, {200: 7, 404: 1}))
    [request] = service.requests
    first, second = request.time_series
    assert request.name == "projects/my-project"
    assert first.metric.type == "notebooks.googleapis.com/instance/proxy_agent/response_count"
    assert dict(first.metric.labels) == {"response_code": "200", "response_code_class": "2XX"}
    assert dict(second.metric.labels) == {"response_code": "404", "response_code_class": "4XX"}
    assert first.resource.type == "gce_instance"
    assert dict(first.resource.labels) == {"instance_id": "1234", "zone": "europe-west3-a"}
    assert [point.value.int64_value for point in first.points] == [7]
    interval = first.points[0].interval
    assert (interval.start_time, interval.end_time) == (START, END)
    assert (int(first.metric_kind), int(first.value_type)) == (0, 0)


@pytest.mark.parametrize(
    ("domain", "kind"), [("notebooks.googleapis.com", 0), ("custom.googleapis.com", 3), ("custom.googleapis.com/a", 3)]
)
def test_a_metric_that_the_api_creates_is_cumulative(domain: str, kind: int) -> None:
    with cloud_monitoring() as (service, endpoint):
        CloudWriter(a_target(endpoint, domain)).write(Counts(START, END, {200: 7}))
    assert [int(series.metric_kind) for series in service.requests[0].time_series] == [kind]


def test_more_than_the_api_takes_at_once_goes_in_several_calls() -> None:
    with cloud_monitoring() as (service, endpoint):
        CloudWriter(a_target(endpoint)).write(Counts(START, END, dict.fromkeys(range(200, 650), 1)))
    assert [len(request.time_series) for request in service.requests] == [200, 200, 50]


@pytest.mark.parametrize(
    ("code", "is_final"), [("UNAVAILABLE", False), ("PERMISSION_DENIED", False), ("INVALID_ARGUMENT", True)]
)
def test_a_refusal_says_whether_the_counts_may_be_sent_again(code: str, is_final: bool) -> None:
    with cloud_monitoring() as (service, endpoint):
        service.failures = [grpc.StatusCode[code]]
        with pytest.raises(NotWritten, match="told to fail") as caught:
            CloudWriter(a_target(endpoint)).write(Counts(START, END, {200: 7}))
    assert caught.value.is_final == is_final


def test_a_service_that_is_not_there_is_no_more_than_a_failure() -> None:
    with cloud_monitoring() as (_, endpoint):
        pass
    with pytest.raises(NotWritten) as caught:
        CloudWriter(a_target(endpoint)).write(Counts(START, END, {200: 7}))
    assert not caught.value.is_final


class Clock:
    """A wall clock that goes on a little at each look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@contextmanager
def a_reporter(
    endpoint: str, totals: dict[int, int], domain: str = "notebooks.googleapis.com", *, period: float = 0.05 * SECOND
) -> Iterator[Reporter]:
    target = a_target(endpoint, domain)
    reporter = Reporter(
        lambda: totals,
        lambda: CloudWriter(target),
        is_cumulative=target.is_cumulative,
        clock=Clock(),
        period=timedelta(seconds=period),
    )
    reporter.start()
    try:
        yield reporter
    finally:
        reporter.stop(within=timedelta(seconds=20 * SECOND))


def wait_for_points(service: CloudMonitoring, expected: list[tuple[str, int]]) -> None:
    wait_until(lambda: service.points() == expected, within=20 * SECOND, what=f"{expected}, not {service.points()}")


def test_each_count_is_sent_once() -> None:
    totals = {200: 3}
    with cloud_monitoring() as (service, endpoint), a_reporter(endpoint, totals):
        wait_for_points(service, [("200", 3)])
        totals.update({200: 5, 502: 1})
        wait_for_points(service, [("200", 3), ("200", 2), ("502", 1)])


def test_what_was_refused_for_now_is_counted_in_with_the_next(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with cloud_monitoring() as (service, endpoint):
        service.failures = [grpc.StatusCode.UNAVAILABLE] * 3
        with a_reporter(endpoint, {200: 3}):
            wait_for_points(service, [("200", 3)])
            wait_until(
                lambda: "Cloud Monitoring takes the counts again" in caplog.messages,
                within=10 * SECOND,
                what="the good news",
            )
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_what_was_refused_for_good_is_not_sent_again() -> None:
    totals = {200: 3}
    with cloud_monitoring() as (service, endpoint):
        service.failures = [grpc.StatusCode.INVALID_ARGUMENT]
        with a_reporter(endpoint, totals):
            wait_until(lambda: not service.failures, within=20 * SECOND, what="the refusal")
            time.sleep(0.2 * SECOND)
            totals.update({200: 5})
            wait_for_points(service, [("200", 2)])


def test_what_is_left_is_sent_at_the_end() -> None:
    with cloud_monitoring() as (service, endpoint):
        with a_reporter(endpoint, {200: 3}, period=3600.0):
            pass
        assert service.points() == [("200", 3)]


def test_a_service_that_hangs_holds_up_the_end_only_so_long(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    class Hanging:
        def write(self, counts: Counts) -> None:
            release.wait(20 * SECOND)

    reporter = Reporter(lambda: {200: 1}, Hanging, is_cumulative=False, clock=Clock(), period=timedelta(hours=1))
    reporter.start()
    began = time.monotonic()
    reporter.stop(within=timedelta(seconds=0.1 * SECOND))
    took = time.monotonic() - began
    release.set()
    assert took < 10 * SECOND
    assert "did not get to Cloud Monitoring in time" in caplog.text


def test_the_counts_of_all_backends_are_one_metric() -> None:
    backends = []
    for backend_id in ("a", "b"):
        record = BackendRecord(backend_id, now=time.monotonic)
        record.exchange_ended(FinishedExchange("id", "GET", "/", 200, 0, 0.1, ""))
        backends.append(ServedBackend(record, "http://localhost:8888", lambda: True))
    with cloud_monitoring() as (service, endpoint):
        telemetry = Telemetry(backends, version="1", status_address=None, monitoring=a_target(endpoint), clock=Clock())
        telemetry.start()
        telemetry.stop()
        assert service.points() == [("200", 2)]


def test_who_asks_for_nothing_imports_nothing() -> None:
    code = (
        "import sys, datetime; from agent.telemetry.assembly import Telemetry; import agent.composition;"
        "Telemetry([], version='1', status_address=None, monitoring=None, clock=datetime.datetime.now).start();"
        "print([name for name in ('prometheus_client', 'http.server', 'grpc', 'google.cloud.monitoring_v3')"
        " if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("[]\n", 0), ran.stderr
