"""What the measure points count."""

from collections.abc import Callable

import pytest

from agent.telemetry.observer import UNOBSERVED, FinishedExchange, Observer
from agent.telemetry.record import BOUNDS, BackendRecord


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_record(clock: Callable[[], float] = lambda: 0.0) -> BackendRecord:
    return BackendRecord("notebook", now=clock)


def finished(*, status: int = 200, size: int = 0, seconds: float = 0.1, reason: str = "") -> FinishedExchange:
    return FinishedExchange("0123456789", "GET", "/", status, size, seconds, reason)


def test_an_exchange_is_in_flight_until_it_ended() -> None:
    record = a_record()
    record.exchange_began()
    record.exchange_began()
    record.exchange_ended(finished())
    assert record.snapshot().in_flight == 1


def test_exchanges_are_counted_by_status_and_reason() -> None:
    record = a_record()
    for each in (finished(size=5), finished(size=6), finished(reason="client-gone"), finished(status=502, reason="x")):
        record.exchange_ended(each)
    snapshot = record.snapshot()
    assert snapshot.finished == {(200, ""): 2, (200, "client-gone"): 1, (502, "x"): 1}
    assert (snapshot.exchanges, snapshot.response_bytes, record.statuses()) == (4, 11, {200: 3, 502: 1})


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.005, 0), (0.0051, 1), (60.0, 12), (61.0, 13)])
def test_a_latency_falls_into_the_bucket_whose_bound_it_does_not_exceed(seconds: float, bucket: int) -> None:
    record = a_record()
    record.exchange_ended(finished(seconds=seconds))
    assert [index for index, count in enumerate(record.snapshot().latencies) if count] == [bucket]
    assert len(record.snapshot().latencies) == len(BOUNDS) + 1


def test_quantiles_are_of_the_last_thousand() -> None:
    record = a_record()
    assert record.snapshot().quantile(0.5) is None
    for number in range(3000):
        record.exchange_ended(finished(seconds=float(number)))
    snapshot = record.snapshot()
    assert [snapshot.quantile(share) for share in (0.0, 0.5, 0.95, 1.0)] == [2000.0, 2500.0, 2950.0, 2999.0]


def test_polls_age() -> None:
    clock = Clock()
    record = a_record(clock)
    assert (record.snapshot().answered_age, record.snapshot().unanswered_age) == (None, None)
    record.poll_began()
    clock.now += 10
    assert (record.snapshot().answered_age, record.snapshot().unanswered_age) == (None, 10.0)
    record.poll_answered()
    clock.now += 5
    assert (record.snapshot().answered_age, record.snapshot().unanswered_age) == (5.0, None)


def test_a_poll_that_ran_out_of_time_leaves_the_proxy_silent_since_the_first_one() -> None:
    clock = Clock()
    record = a_record(clock)
    for _ in range(3):
        record.poll_began()
        clock.now += 60
    assert record.snapshot().unanswered_age == 180.0


def test_a_failed_poll_says_why_until_one_is_answered() -> None:
    record = a_record()
    record.poll_failed("x" * 1000)
    failed = record.snapshot()
    record.poll_answered()
    answered = record.snapshot()
    assert (failed.polls_failed, failed.poll_failure) == (1, "x" * 300)
    assert (answered.polls_answered, answered.poll_failure) == (1, "")


def test_everything_else_is_counted() -> None:
    record = a_record()
    record.fetch_failed()
    record.call_retried()
    record.shim_session_opened()
    record.shim_session_opened()
    record.shim_session_closed()
    record.health_changed("status 503")
    record.draining_began()
    snapshot = record.snapshot()
    assert (snapshot.fetches_failed, snapshot.retries, snapshot.shim_open, snapshot.shim_opened) == (1, 1, 1, 2)
    assert (snapshot.unhealthy, snapshot.is_draining) == ("status 503", True)


def test_a_backend_may_be_healthy_again() -> None:
    record = a_record()
    record.health_changed("status 503")
    record.health_changed("")
    assert record.snapshot().unhealthy == ""


def test_nobody_needs_to_observe() -> None:
    observers: list[Observer] = [UNOBSERVED, a_record()]
    assert all(observer.exchange_ended(finished()) is None for observer in observers)  # type: ignore[func-returns-value]
