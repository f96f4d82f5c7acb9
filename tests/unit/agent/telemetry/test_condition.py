"""Whether a backend is served, and if not, why."""

from collections.abc import Callable

import pytest

from agent.telemetry.condition import STALE, why_not_connected, why_not_ready
from agent.telemetry.record import BackendRecord


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def after(*events: Callable[[BackendRecord], None] | float) -> tuple[str, str]:
    """Why it is not connected and not ready, after events and seconds."""
    clock = Clock()
    record = BackendRecord("notebook", now=clock)
    for event in events:
        if isinstance(event, float):
            clock.now += event
        else:
            event(record)
    return why_not_connected(record.snapshot()), why_not_ready(record.snapshot())


BEGAN, ANSWERED, DRAINING = BackendRecord.poll_began, BackendRecord.poll_answered, BackendRecord.draining_began


def failed(record: BackendRecord) -> None:
    record.poll_failed("refused")


def unhealthy(record: BackendRecord) -> None:
    record.health_changed("status 503")


def test_it_is_not_connected_before_the_first_answer() -> None:
    why = "the proxy has not answered a poll yet"
    assert after() == after(BEGAN) == after(BEGAN, 1.0) == (why, why)


def test_it_is_connected_after_an_answer() -> None:
    assert after(BEGAN, ANSWERED) == after(BEGAN, failed, BEGAN, ANSWERED) == ("", "")


def test_a_long_poll_is_no_silence() -> None:
    assert after(BEGAN, ANSWERED, BEGAN, 31.0) == ("", "")


def test_who_has_no_room_for_more_and_does_not_poll_is_still_connected() -> None:
    assert after(BEGAN, ANSWERED, 10 * STALE) == after(BEGAN, ANSWERED, 10 * STALE, BEGAN) == ("", "")


def test_a_proxy_that_is_silent_for_long_is_not_connected() -> None:
    assert after(BEGAN, ANSWERED, BEGAN, 60.0, BEGAN, 60.0)[0] == "the proxy has not answered a poll for 120 s"


def test_a_failed_poll_says_so() -> None:
    assert after(BEGAN, ANSWERED, BEGAN, failed, BEGAN)[0] == "the last poll failed: refused"


@pytest.mark.parametrize(
    ("event", "why"), [(unhealthy, "the backend is not healthy: status 503"), (DRAINING, "the agent is stopping")]
)
def test_who_is_connected_may_not_be_ready(event: Callable[[BackendRecord], None], why: str) -> None:
    assert after(BEGAN, ANSWERED, event) == ("", why)


def test_a_backend_that_was_never_healthy_is_why_nothing_was_asked() -> None:
    assert after(unhealthy, 36.0) == (
        "the proxy is asked for nothing while the backend is not healthy",
        "the backend is not healthy: status 503",
    )
