from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.policy import Policy, hint_interval, idle_interval, polling_interval
from tests.factories import seconds


@pytest.mark.parametrize(
    ("waited", "pause"), [(0, 0.015), (0.03, 0.015), (0.08, 0.04), (0.1, 0.05), (0.4, 0.2), (1, 0.5), (30, 0.5)]
)
def test_the_pause_is_half_of_the_wait_within_bounds(waited: float, pause: float) -> None:
    assert polling_interval(seconds(waited), Policy()) == seconds(pause)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(minutes=5)))
def test_nothing_is_seen_later_than_after_half_its_wait_again_or_half_a_second(waited: timedelta) -> None:
    policy = Policy()

    assert policy.poll_fastest <= polling_interval(waited, policy) <= max(waited / 2, policy.poll_fastest)
    assert polling_interval(waited, policy) <= policy.poll_slowest


def test_the_agents_of_a_backend_that_nobody_uses_look_less_than_once_a_second() -> None:
    assert seconds(1) < idle_interval(seconds(3600), Policy()) < seconds(2)


def test_while_a_backend_takes_two_seconds_its_agent_looks_nine_times() -> None:
    looks, quiet = 0, timedelta()
    while quiet < seconds(2):
        quiet += idle_interval(quiet, Policy())
        looks += 1

    assert looks == 9


def test_soon_after_a_request_the_next_is_looked_for_at_once() -> None:
    assert idle_interval(seconds(0), Policy()) == Policy().poll_fastest


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(minutes=5)))
def test_hints_are_looked_at_more_often_than_the_store_and_a_bounded_number_of_times(waited: timedelta) -> None:
    policy = Policy()

    assert policy.hint_fastest <= hint_interval(waited, policy) <= policy.hint_slowest
    assert hint_interval(waited, policy) < polling_interval(waited, policy)


def test_an_empty_poll_costs_a_bounded_number_of_look_ups() -> None:
    policy, waited, looks = Policy(), timedelta(), 0
    while waited < policy.list_wait:
        waited += polling_interval(waited, policy)
        looks += 1

    assert looks <= 100


@pytest.mark.parametrize(("response", "idle", "kept"), [(30, 30, 150), (600, 30, 720), (30, 90, 210)])
def test_an_exchange_is_kept_for_every_deadline_and_two_minutes(response: float, idle: float, kept: float) -> None:
    assert Policy(response_wait=seconds(response), idle_wait=seconds(idle)).exchange_ttl == seconds(kept)


def test_a_request_is_not_waited_for_to_be_fetched_for_longer_than_to_be_answered() -> None:
    assert Policy(response_wait=seconds(3)).fetch_wait == seconds(3)
    assert Policy(response_wait=seconds(30)).fetch_wait == seconds(15)


def test_an_agent_that_polls_stays_online_between_two_polls() -> None:
    policy = Policy()

    assert policy.list_wait + policy.touch_spacing + policy.backends_age < policy.backend_online


def test_a_writer_waits_longer_for_room_than_a_silent_reader_is_given() -> None:
    assert Policy(idle_wait=seconds(10), offer_lease=seconds(2)).room_wait == seconds(12)
