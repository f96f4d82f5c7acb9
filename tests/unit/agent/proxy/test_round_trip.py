"""How long a small call takes, and how many calls that makes."""

import pytest

from agent.proxy.round_trip import RoundTrip


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_shortest_counts_and_is_forgotten_after_a_while() -> None:
    clock = Clock()
    trip = RoundTrip(now=clock)
    for seconds in (0.03, 0.02, 0.05):
        trip.observe(seconds)
    assert trip.seconds == 0.02
    clock.seconds = 11.0
    trip.observe(0.03)
    assert trip.seconds == 0.02
    clock.seconds = 22.0
    trip.observe(0.04)
    assert trip.seconds == 0.03
    clock.seconds = 50.0
    trip.observe(0.05)
    assert trip.seconds == 0.05


@pytest.mark.parametrize(("seconds", "width"), [(None, 1), (0.001, 1), (0.02, 11), (0.5, 16)])
def test_the_longer_the_link_the_more_calls_at_a_time(seconds: float | None, width: int) -> None:
    trip = RoundTrip(now=Clock())
    if seconds is not None:
        trip.observe(seconds)
    assert trip.width == width
