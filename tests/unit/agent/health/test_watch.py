"""The loop of health checks."""

import logging
import queue
import threading
from collections.abc import Iterator

import pytest

from agent.health.check import CheckFailed
from agent.health.watch import HealthWatch
from tests.timing import SECOND

LIMIT = 10 * SECOND


class Scene:
    """A watch whose checks end as a test says, and what it does: one word after the other."""

    def __init__(self, *, interval: float = 30.0) -> None:
        self.turns: queue.Queue[Exception | None] = queue.Queue()
        self.waits: queue.Queue[float] = queue.Queue()
        self.done: list[str] = []
        self.died = threading.Event()
        self.watch = HealthWatch(
            self._check,
            self,
            interval=interval,
            threshold=2,
            report=lambda why_not: self.done.append(why_not or "well"),
            on_unhealthy=lambda: self.done.append("unhealthy"),
            on_death=self.died.set,
            wait=self.waits.put,
        )

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def _check(self) -> None:
        turn = self.turns.get(timeout=LIMIT)
        if turn is not None:
            raise turn

    def checked(self, *turns: Exception | None) -> list[str]:
        """What was done in these checks."""
        self.done.clear()
        for turn in turns:
            self.turns.put(turn)
            self.waits.get(timeout=LIMIT)
        return self.done


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    scene.watch.start()
    yield scene
    scene.watch.stop()
    scene.turns.put(None)
    scene.watch._thread.join(LIMIT)


DOWN = CheckFailed("down")


def test_nothing_is_asked_for_before_the_first_success(scene: Scene) -> None:
    assert scene.done == ["pause", "it has not been healthy yet"]
    assert scene.checked(DOWN, DOWN, DOWN) == ["down"] * 3
    assert scene.checked(None, None) == ["well", "resume"]


def test_an_unhealthy_backend_pauses_asking_until_it_is_healthy(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    assert scene.checked(None, DOWN, None, DOWN) == ["well", "resume"]
    assert scene.checked(DOWN, DOWN, DOWN) == ["down", "pause", "unhealthy", "down", "down"]
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1
    assert scene.checked(None) == ["well", "resume"]


def test_until_the_first_success_checks_are_frequent() -> None:
    scene = Scene()
    scene.watch.start()
    waits = []
    for turn in (DOWN, None, DOWN):
        scene.turns.put(turn)
        waits.append(scene.waits.get(timeout=LIMIT))
    scene.watch.stop()
    scene.turns.put(None)
    assert waits == [1.0, 30.0, 30.0]


def test_after_the_stop_nothing_changes() -> None:
    scene = Scene()
    scene.watch.start()
    scene.watch.stop()
    scene.turns.put(None)
    scene.watch._thread.join(LIMIT)
    assert scene.done == ["pause", "it has not been healthy yet"]


def test_a_loop_that_dies_says_so(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.watch.start()
    scene.turns.put(ZeroDivisionError())
    assert scene.died.wait(LIMIT)
    assert "the backend's health cannot be checked any more" in caplog.messages
