"""The contract of a waiter (`broker.waiting.Waiter`): it never waits past the timeout, and sleeps through nothing."""

import time
from datetime import timedelta
from typing import Final

import pytest

from broker.waiting import ExchangeKey, PendingKey, Wait, Waiter
from tests.factories import BACKEND, REQUEST, seconds

SOON: Final = seconds(0.05)
SLACK: Final = 5.0
"""What a busy machine may add to a wait, in seconds."""


def a_wait(timeout: timedelta, *, waited: timedelta = timedelta()) -> Wait:
    """A wish to be woken for an exchange."""
    return Wait(ExchangeKey(REQUEST), timeout, waited)


class WaiterContract:
    """A wait has an end, and a change after the ticket ends it."""

    @pytest.mark.parametrize("waited", [seconds(0), seconds(3), seconds(3000)])
    def test_a_wait_ends_at_its_timeout(self, waiter: Waiter, waited: timedelta) -> None:
        began = time.monotonic()
        waiter.wait(a_wait(SOON, waited=waited), ticket=waiter.ticket())
        assert time.monotonic() - began < SOON.total_seconds() + SLACK

    def test_a_wait_without_time_ends_at_once(self, waiter: Waiter) -> None:
        began = time.monotonic()
        for _ in range(100):
            waiter.wait(a_wait(timedelta()), ticket=waiter.ticket())
        assert time.monotonic() - began < SLACK

    def test_every_key_may_be_waited_for(self, waiter: Waiter) -> None:
        began = time.monotonic()
        for key in (PendingKey(BACKEND), ExchangeKey(REQUEST)):
            waiter.wait(Wait(key, seconds(0.001), timedelta()), ticket=waiter.ticket())
        assert time.monotonic() - began < SLACK

    def test_tickets_do_not_run_backwards(self, waiter: Waiter) -> None:
        assert waiter.ticket() <= waiter.ticket()
