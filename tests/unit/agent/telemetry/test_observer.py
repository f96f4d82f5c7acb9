"""The measure points."""

import inspect

import pytest

from agent.telemetry.observer import Observer, Unobserved
from agent.telemetry.record import BackendRecord

POINTS = {name: method for name, method in vars(Observer).items() if not name.startswith("_") and callable(method)}


@pytest.mark.parametrize("observer", [Unobserved, BackendRecord])
def test_every_observer_has_every_measure_point(observer: type) -> None:
    own = {name: inspect.signature(getattr(observer, name)) for name in POINTS}
    assert own == {name: inspect.signature(method) for name, method in POINTS.items()}
    assert len(POINTS) > 5


def test_nobody_watches_and_nothing_happens() -> None:
    for name, method in POINTS.items():
        arguments = [None] * (len(inspect.signature(method).parameters) - 1)
        assert getattr(Unobserved(), name)(*arguments) is None
