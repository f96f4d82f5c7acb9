"""The wait before a retry."""

from datetime import timedelta

import pytest

from agent.backoff import Backoff

BACKOFF = Backoff(timedelta(seconds=0.5), timedelta(seconds=30))


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 0.5), (1, 1), (2, 2), (5, 16), (6, 30), (1_000_000, 30)])
def test_the_delay_doubles_up_to_the_longest(attempt: int, seconds: float) -> None:
    assert BACKOFF.delay(attempt, jitter=1.0) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 0.0), (0.25, 0.5), (1.0, 2.0)])
def test_the_jitter_takes_a_share_of_the_whole_delay(jitter: float, seconds: float) -> None:
    assert BACKOFF.delay(2, jitter=jitter) == timedelta(seconds=seconds)
