from datetime import timedelta

import pytest

from broker.policy import Policy
from broker.waiting import PendingKey, Wait
from tests.factories import BACKEND, seconds
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.waiter import PollingWaiter, ScriptedWaiter
from wire.protocol import BackendId


def wait_of(seconds: float) -> Wait:
    return Wait(PendingKey(BackendId("b")), timedelta(seconds=seconds), timedelta())


def test_a_wait_without_events_lasts_until_its_timeout() -> None:
    clock = FakeClock()

    ScriptedWaiter(clock).wait(wait_of(30), ticket=0)

    assert clock.now() == NOON + timedelta(seconds=30)


def test_an_event_ends_the_wait_at_its_time() -> None:
    clock = FakeClock()
    seen = []
    waiter = ScriptedWaiter(clock, [(timedelta(seconds=12), lambda: seen.append(clock.now()))])

    waiter.wait(wait_of(30), ticket=0)

    assert seen == [clock.now()] == [NOON + timedelta(seconds=12)]


def test_an_event_behind_the_timeout_stays_for_a_later_wait() -> None:
    clock = FakeClock()
    seen: list[str] = []
    waiter = ScriptedWaiter(clock, [(timedelta(seconds=12), lambda: seen.append("happened"))])

    waiter.wait(wait_of(10), ticket=0)

    assert (seen, clock.now()) == ([], NOON + timedelta(seconds=10))
    waiter.wait(wait_of(10), ticket=0)
    assert (seen, clock.now()) == (["happened"], NOON + timedelta(seconds=12))


def test_events_happen_in_the_order_of_their_times() -> None:
    seen: list[str] = []
    script = [(timedelta(seconds=2), lambda: seen.append("late")), (timedelta(seconds=1), lambda: seen.append("early"))]
    waiter = ScriptedWaiter(FakeClock(), script)

    waiter.wait(wait_of(30), ticket=0)
    waiter.wait(wait_of(30), ticket=0)

    assert seen == ["early", "late"]


def test_an_event_whose_time_has_passed_meanwhile_happens_at_once() -> None:
    clock = FakeClock()
    seen = []
    waiter = ScriptedWaiter(clock, [(timedelta(seconds=1), lambda: seen.append(clock.now()))])
    clock.advance(timedelta(seconds=5))

    waiter.wait(wait_of(30), ticket=0)

    assert seen == [NOON + timedelta(seconds=5)]


def test_what_was_asked_for_is_kept() -> None:
    waiter = ScriptedWaiter(FakeClock())

    waiter.wait(wait_of(3), ticket=waiter.ticket())

    assert waiter.waits == [wait_of(3)]


def test_a_loop_that_never_ends_is_an_error() -> None:
    waiter = ScriptedWaiter(FakeClock())

    with pytest.raises(AssertionError, match="never ends"):
        while True:
            waiter.wait(wait_of(0), ticket=0)


@pytest.mark.parametrize(
    ("timeout", "waited", "pause"),
    [(30, 0, 0.015), (30, 0.08, 0.04), (30, 0.2, 0.1), (30, 20, 0.5), (0.1, 29.9, 0.1), (0, 30, 0)],
)
def test_a_polling_waiter_sleeps_longer_with_the_wait_and_never_past_its_end(
    timeout: float, waited: float, pause: float
) -> None:
    slept: list[float] = []
    waiter = PollingWaiter(Policy(), sleep=slept.append)

    waiter.wait(Wait(PendingKey(BACKEND), seconds(timeout), seconds(waited)), ticket=waiter.ticket())

    assert slept == [pytest.approx(pause)]
