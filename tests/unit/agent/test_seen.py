"""The memory of request IDs."""

from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.seen import SeenIds
from wire.protocol import RequestId

A, B, C = RequestId("a"), RequestId("b"), RequestId("c")


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_id_is_taken_once(clock: Clock) -> None:
    seen = SeenIds(10, now=clock)
    assert [seen.add(A), seen.add(A), seen.add(B)] == [True, False, True]


def test_the_least_recently_used_is_forgotten_first(clock: Clock) -> None:
    seen = SeenIds(2, now=clock)
    for request_id in (A, B, A, C):
        seen.add(request_id)
    assert [seen.add(A), seen.add(B)] == [False, True]


def test_an_id_that_was_given_back_is_taken_again_at_once_and_then_after_a_pause(clock: Clock) -> None:
    seen = SeenIds(10, now=clock)
    seen.add(A)
    seen.discard(A)
    assert seen.add(A)
    seen.discard(A)
    early = seen.add(A)
    clock.seconds += 0.5
    assert (early, seen.add(A), seen.add(A)) == (False, True, False)


def test_the_pause_grows_up_to_a_limit(clock: Clock) -> None:
    seen = SeenIds(10, now=clock)
    pauses = []
    seen.add(A)
    for _ in range(9):
        seen.discard(A)
        start = clock.seconds
        while not seen.add(A):
            clock.seconds += 0.5
        pauses.append(clock.seconds - start)
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_giving_back_what_is_not_taken_changes_nothing(clock: Clock) -> None:
    seen = SeenIds(10, now=clock)
    seen.discard(A)
    assert seen.add(A)
    seen.discard(A)
    seen.discard(A)
    assert seen.add(A)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([RequestId(f"{n}") for n in range(6)]))), st.integers(1, 4))
def test_it_is_never_larger_than_its_capacity_and_never_gives_an_id_twice(
    steps: list[tuple[bool, RequestId]], capacity: int
) -> None:
    seen, recent = SeenIds(capacity, now=Clock()), OrderedDict[RequestId, str]()
    for is_added, request_id in steps:
        if not is_added:
            seen.discard(request_id)
            if recent.get(request_id) in ("taken", "taken again"):
                recent[request_id] = "back" if recent[request_id] == "taken" else "back again"
            continue
        # The clock stands still: what was given back twice is too early.
        state = recent.get(request_id)
        recent[request_id] = {None: "taken", "back": "taken again"}.get(state, state or "")
        recent.move_to_end(request_id)
        while len(recent) > capacity:
            recent.popitem(last=False)
        assert seen.add(request_id) is (state in (None, "back"))
        assert len(seen._memories) <= capacity
