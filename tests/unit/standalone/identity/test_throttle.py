"""`standalone.identity.throttle`: who gets things wrong again and again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.identity.throttle import BURST, REFILL, Throttle
from tests.fakes.clock import NOON

PEER = "192.0.2.1"


def exhausted(peer: str = PEER) -> Throttle:
    throttle = Throttle()
    for _ in range(BURST):
        assert not throttle.is_over(peer, now=NOON)
        throttle.count(peer, now=NOON)
    return throttle


def test_an_address_may_get_some_wrong_and_no_more() -> None:
    assert exhausted().is_over(PEER, now=NOON)


def test_it_may_try_again_after_a_while() -> None:
    throttle = exhausted()

    assert throttle.is_over(PEER, now=NOON + REFILL * 0.9)
    assert not throttle.is_over(PEER, now=NOON + REFILL)


def test_others_are_not_held_up() -> None:
    assert not exhausted().is_over("192.0.2.2", now=NOON)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "", True),
        ("unix", "unix", True),
    ],
)
def test_the_addresses_that_one_machine_has_count_together(one: str, other: str, same: bool) -> None:
    assert exhausted(one).is_over(other, now=NOON) is same


def test_it_remembers_so_many_addresses_and_no_more() -> None:
    throttle = Throttle(burst=1, capacity=2)
    for peer in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        throttle.count(peer, now=NOON)

    assert [throttle.is_over(f"192.0.2.{last}", now=NOON) for last in (1, 2, 3)] == [False, True, True]


@given(st.lists(st.integers(0, 60), max_size=200))
def test_over_any_time_no_more_pass_than_the_burst_and_what_came_back(pauses: list[int]) -> None:
    throttle, now, passed = Throttle(), NOON, 0
    for pause in pauses:
        now += timedelta(seconds=pause)
        if not throttle.is_over(PEER, now=now):
            throttle.count(PEER, now=now)
            passed += 1

    assert passed <= BURST + (now - NOON) / REFILL + 1e-6
