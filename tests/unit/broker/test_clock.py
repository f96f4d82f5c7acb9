from datetime import UTC, datetime, timedelta

import pytest

from broker.clock import PollingWaiter, SystemClock
from broker.policy import Policy
from broker.waiting import PendingKey, Wait
from tests.factories import BACKEND, seconds


def test_the_time_of_the_machine_is_aware_and_in_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert timedelta() <= now - before < seconds(60)


@pytest.mark.parametrize(
    ("timeout", "waited", "pause"), [(30, 0, 0.015), (30, 0.2, 0.1), (30, 20, 0.5), (0.1, 29.9, 0.1), (0, 30, 0)]
)
def test_a_polling_waiter_sleeps_longer_with_the_wait_and_never_past_its_end(
    timeout: float, waited: float, pause: float
) -> None:
    slept: list[float] = []
    waiter = PollingWaiter(Policy(), sleep=slept.append)

    waiter.wait(Wait(PendingKey(BACKEND), seconds(timeout), seconds(waited)), ticket=waiter.ticket())

    assert slept == [pytest.approx(pause)]
