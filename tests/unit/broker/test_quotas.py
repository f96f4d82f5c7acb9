"""Who may queue one more request."""

from collections.abc import Iterable
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokerError, Overloaded, TooManyRequests
from broker.model import Options, Sharing
from broker.policy import Policy
from broker.quotas import Load, require_room, retry_after_of
from tests.factories import seconds

POLICY = Policy(backend_exchanges=20, max_queue=10, user_exchanges=5, fetch_wait=seconds(15))
ADA = "ada@example.com"


def load(*, exchanges: int = 0, waiting: int = 0, oldest_wait: float = 0, of_user: int = 0) -> Load:
    return Load(exchanges=exchanges, waiting=waiting, oldest_wait=seconds(oldest_wait), of_user=of_user)


def refusal(load: Load, options: Options = Options(), *, user: str = ADA, waiting: Iterable[str] = ()) -> str:  # noqa: B008
    """Why a request is refused; empty where it is let in."""
    try:
        require_room(load, options, POLICY, user=user, waiting_users=waiting)
    except (Overloaded, TooManyRequests) as exc:
        return f"{exc.reason}: {exc}"
    return ""


def nobody_counts() -> Iterable[NoReturn]:
    raise AssertionError("counted")
    yield


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (load(), ""),
        (load(exchanges=19), ""),
        (load(exchanges=20), "overloaded: the backend has 20 requests under way"),
        (load(waiting=9), ""),
        (load(waiting=10), "overloaded: 10 requests wait for the backend"),
        (load(oldest_wait=7.5), ""),
        (load(oldest_wait=7.6), "overloaded: requests wait for the backend for 8 seconds"),
        (load(of_user=4), ""),
        (load(of_user=5), "too-many-requests: you have 5 requests under way"),
    ],
)
def test_each_bound_is_one_that_may_be_reached_and_not_passed(there: Load, said: str) -> None:
    assert refusal(there) == said


def test_a_registration_has_its_own_bounds() -> None:
    options = Options(max_exchanges=30, max_queue=3)

    assert refusal(load(exchanges=29), options) == ""
    assert refusal(load(exchanges=30), options) != ""
    assert refusal(load(waiting=3), options) != ""


def test_where_requests_stay_with_their_agents_one_that_waits_says_nothing_of_the_others() -> None:
    assert refusal(load(oldest_wait=9), Options(agents=Sharing.STICKY)) == ""


@pytest.mark.parametrize(("hers", "refused"), [(4, False), (5, True)])
def test_one_user_alone_gets_half_of_a_queue(hers: int, refused: bool) -> None:
    assert bool(refusal(load(waiting=hers), waiting=[ADA] * hers)) == refused


def test_where_others_wait_too_the_share_is_smaller_and_whoever_comes_next_gets_in() -> None:
    waiting = [ADA] * 4 + ["bob@example.com"] * 3

    assert refusal(load(waiting=7), waiting=waiting).startswith("too-many-requests: your requests have their share")
    assert refusal(load(waiting=7), waiting=waiting, user="eve@example.com") == ""


def test_nobody_in_particular_has_no_share_and_no_bound_of_his_own() -> None:
    assert refusal(load(waiting=9, of_user=0), user="", waiting=[""] * 9) == ""


def test_shares_are_not_counted_where_they_cannot_matter() -> None:
    assert refusal(load(waiting=4), waiting=nobody_counts()) == ""


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 12))
def test_of_a_queue_that_only_fills_nobody_gets_more_than_half_and_its_bound_holds(users: str, queue: int) -> None:
    waiting: list[str] = []
    for user in users:
        if not refusal(load(waiting=len(waiting)), Options(max_queue=queue), user=user, waiting=waiting):
            waiting.append(user)

    assert len(waiting) <= queue
    assert all(waiting.count(user) <= (queue + 1) // 2 for user in "abc")
    assert not users or waiting


@pytest.mark.parametrize(("waited", "after"), [(0, 1), (0.2, 1), (1.1, 2), (7, 7), (300, 30)])
def test_to_come_again_takes_as_long_as_the_first_has_waited_within_bounds(waited: float, after: int) -> None:
    assert retry_after_of(load(oldest_wait=waited)) == after


@pytest.mark.parametrize("there", [load(exchanges=20, oldest_wait=3), load(of_user=5, oldest_wait=3)])
def test_a_refusal_says_when_to_come_again(there: Load) -> None:
    with pytest.raises(BrokerError) as caught:
        require_room(there, Options(), POLICY, user=ADA, waiting_users=[])
    assert isinstance(caught.value, Overloaded | TooManyRequests)
    assert caught.value.retry_after == 3
