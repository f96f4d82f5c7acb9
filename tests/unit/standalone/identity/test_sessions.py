"""`standalone.identity.sessions`: who is signed in, and for how long."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.identity.sealing import seal
from standalone.identity.sessions import Lifetimes, Session, seal_session, seen_at, unseal_session
from tests.fakes.clock import NOON

KEYS = (b"k" * 32,)
LIVES = Lifetimes(absolute=timedelta(hours=12), idle=timedelta(hours=1))
SESSION = Session(user="ada@example.org", session_id="s", host="proxy", began=NOON, seen=NOON)


def test_a_session_comes_back_from_its_cookie() -> None:
    assert unseal_session(seal_session(SESSION, KEYS), KEYS) == SESSION


@pytest.mark.parametrize("changes", [{"user": None}, {"began": "noon"}, {"host": 1}])
def test_a_cookie_that_says_something_else_is_none(changes: dict[str, object]) -> None:
    value = {"user": "ada", "id": "s", "host": "proxy", "began": 0, "seen": 0} | changes

    assert unseal_session(seal("session", value, KEYS), KEYS) is None


def test_a_cookie_longer_than_ours_is_not_looked_at() -> None:
    assert unseal_session("a" * 4001, KEYS) is None


def test_a_sign_in_under_way_is_no_session() -> None:
    value = {"user": "ada", "id": "s", "host": "proxy", "began": 0, "seen": 0}

    assert unseal_session(seal("sign-in", value, KEYS), KEYS) is None
    assert unseal_session(seal("session", value, KEYS), KEYS) is not None


def test_it_ends_when_it_is_not_used() -> None:
    assert not LIVES.is_over(SESSION, now=NOON + timedelta(minutes=59))
    assert LIVES.is_over(SESSION, now=NOON + timedelta(hours=1))


def test_it_ends_however_much_it_is_used() -> None:
    used = seen_at(SESSION, now=NOON + timedelta(hours=11, minutes=59))

    assert not LIVES.is_over(used, now=NOON + timedelta(hours=11, minutes=59, seconds=59))
    assert LIVES.is_over(used, now=NOON + timedelta(hours=12))


def test_one_from_the_future_is_over() -> None:
    assert LIVES.is_over(replace(SESSION, began=NOON + timedelta(hours=1), seen=NOON + timedelta(hours=1)), now=NOON)


@given(st.lists(st.integers(1, 7200), max_size=100))
def test_no_pause_below_the_idle_time_ends_it_if_it_is_written_down_when_due(pauses: list[int]) -> None:
    session, now = SESSION, NOON
    for pause in pauses:
        now += timedelta(seconds=pause)
        alive = not LIVES.is_over(session, now=now)
        if pause < 3600 * 0.9 and now < NOON + LIVES.absolute:
            assert alive
        if not alive:
            return
        if LIVES.is_due(session, now=now):
            session = seen_at(session, now=now)


def test_its_use_is_not_written_down_with_every_answer() -> None:
    assert not LIVES.is_due(SESSION, now=NOON + timedelta(minutes=5))
    assert LIVES.is_due(SESSION, now=NOON + timedelta(minutes=6))
