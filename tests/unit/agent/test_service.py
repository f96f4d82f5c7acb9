"""What serves one backend."""

from collections.abc import Sequence
from typing import Any

import pytest

from agent.service import Part, Service
from agent.telemetry.record import BackendRecord, ServedBackend

SERVED = ServedBackend(BackendRecord("notebook", now=lambda: 0.0), "http://localhost:8888", lambda: True)


class Noted:
    """Poller, health watch and part in one: notes by name what it is told."""

    def __init__(self, name: str, notes: list[str], *, running: int = 0, is_stopped: bool = True) -> None:
        self._name = name
        self._notes = notes
        self._running = running
        self.is_stopped = is_stopped

    def start(self) -> None:
        self._notes.append(f"start {self._name}")

    def stop(self) -> Any:
        self._notes.append(f"stop {self._name}")
        return self._running


def a_service(poller: Noted, watch: Noted | None = None, parts: Sequence[Part] = ()) -> Service:
    return Service(poller, served=SERVED, watch=watch, parts=parts)  # type: ignore[arg-type]  # as much as is used


def test_a_service_is_started_and_stopped_as_one() -> None:
    notes: list[str] = []
    parts = [Noted("shim", notes), Noted("other", notes)]
    service = a_service(Noted("poller", notes, running=3), Noted("watch", notes), parts)
    service.start()
    assert notes == ["start watch", "start poller"]
    notes.clear()
    # The watch first: it would have the poller go on. The parts last: a request that comes before must not wait.
    assert (service.stop(), notes) == (3, ["stop watch", "stop poller", "stop shim", "stop other"])


def test_health_checks_and_parts_may_be_missing() -> None:
    notes: list[str] = []
    service = a_service(Noted("poller", notes, running=1))
    service.start()
    assert (service.stop(), notes) == (1, ["start poller", "stop poller"])
    assert service.are_parts_stopped


@pytest.mark.parametrize(("states", "expected"), [([True, True], True), ([True, False], False)])
def test_its_parts_are_stopped_when_each_is(states: list[bool], expected: bool) -> None:
    parts = [Noted(f"{number}", [], is_stopped=state) for number, state in enumerate(states)]
    assert a_service(Noted("poller", []), parts=parts).are_parts_stopped is expected


def test_an_operator_is_told_of_it() -> None:
    assert a_service(Noted("poller", [])).served is SERVED
