from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.clock import NOON, FakeClock


def test_the_time_stands_still_until_told() -> None:
    clock = FakeClock()

    assert clock.now() == clock.now() == NOON


def test_the_time_begins_where_it_is_told() -> None:
    new_year = datetime(2026, 1, 1, tzinfo=UTC)

    assert FakeClock(new_year).now() == new_year


def test_advancing_moves_the_time_by_that_much() -> None:
    clock = FakeClock()

    clock.advance(timedelta(seconds=42))

    assert clock.now() == NOON + timedelta(seconds=42)


def test_sleeping_moves_the_time_and_takes_none() -> None:
    clock = FakeClock()

    clock.sleep(0.25)

    assert clock.now() == NOON + timedelta(milliseconds=250)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(timedelta(seconds=-1))
