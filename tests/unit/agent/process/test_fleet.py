"""The services of one process."""

import threading

import pytest

from agent.process.fleet import Fleet
from agent.service import Reports, Service
from agent.telemetry.record import BackendRecord, ServedBackend


class FakeService:
    """As much of a service as a fleet uses; its reports are the test's to make."""

    def __init__(self, reports: Reports, name: str, running: int, notes: list[str]) -> None:
        self.reports = reports
        self.served = ServedBackend(BackendRecord(name, now=lambda: 0.0), "http://x", lambda: True)
        self.are_parts_stopped = False
        self._name = name
        self._running = running
        self._notes = notes

    def start(self) -> None:
        self._notes.append(f"start {self._name}")

    def stop(self) -> int:
        self._notes.append(f"stop {self._name}")
        return self._running


class Scene:
    """A fleet of so many services, and what it reports."""

    def __init__(self, count: int) -> None:
        self.said: list[str] = []
        self.notes: list[str] = []
        self.services: list[FakeService] = []
        reports = Reports(
            drained=lambda: self.said.append("drained"),
            died=lambda: self.said.append("died"),
            unhealthy=lambda: self.said.append("unhealthy"),
        )
        self.fleet = Fleet([lambda given, number=number: self.build(given, number) for number in range(count)], reports)  # type: ignore[misc]

    def build(self, reports: Reports, number: int) -> Service:
        service = FakeService(reports, f"backend-{number}", number + 1, self.notes)
        self.services.append(service)
        return service  # type: ignore[return-value]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_have_drained_when_the_last_one_has_and_that_is_said_once(count: int) -> None:
    scene = Scene(count)
    said = []
    for service in reversed(scene.services):
        said.append(list(scene.said))
        service.reports.drained()
    assert (said, scene.said) == ([[]] * count, ["drained"])


def test_services_that_drain_at_the_same_time_are_all_counted() -> None:
    for _ in range(20):
        scene = Scene(8)
        barrier = threading.Barrier(8)

        def drain(service: FakeService, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            service.reports.drained()

        threads = [threading.Thread(target=drain, args=(service,)) for service in scene.services]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert scene.said == ["drained"]


@pytest.mark.parametrize("what", ["died", "unhealthy"])
def test_what_one_service_reports_is_passed_on_at_once(what: str) -> None:
    scene = Scene(3)
    getattr(scene.services[1].reports, what)()
    assert scene.said == [what]


def test_all_are_started_and_stopped_and_what_runs_is_counted() -> None:
    scene = Scene(3)
    scene.fleet.start()
    started = list(scene.notes)
    assert scene.fleet.stop() == 6
    assert started == ["start backend-0", "start backend-1", "start backend-2"]
    assert scene.notes[3:] == ["stop backend-0", "stop backend-1", "stop backend-2"]


def test_an_operator_is_told_of_each() -> None:
    assert [served.record.backend_id for served in Scene(2).fleet.served] == ["backend-0", "backend-1"]


def test_parts_are_stopped_when_those_of_all_are() -> None:
    scene = Scene(2)
    seen = [scene.fleet.are_parts_stopped]
    for service in scene.services:
        service.are_parts_stopped = True
        seen.append(scene.fleet.are_parts_stopped)
    assert seen == [False, False, True]
