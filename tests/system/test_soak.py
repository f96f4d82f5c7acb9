"""A minute of all that users do, with restarts around the agent: it must not grow. `make soak` takes ten minutes."""

import pytest

from benchmarks.soak import FEWEST_ROUNDS, Limits, Plateau, Soaked, complaints, growth, soak
from tests.timing import SECOND


@pytest.mark.timeout(300 * SECOND)
def test_an_agent_that_works_for_a_while_does_not_grow() -> None:
    rows: list[str] = []

    soaked = soak(60, rounds=FEWEST_ROUNDS, tell=rows.append)

    assert complaints(soaked, Limits.within(minutes=1)) == [], "\n".join(rows)
    assert all(soaked.done[act] > 5 for act in ("get", "post", "upload", "give_up", "use_websocket", "leave_websocket"))


def plateaus(*heights: int) -> list[Plateau]:
    return [Plateau(height, height, height) for height in heights]


def test_growth_is_between_the_lowest_plateaus_of_the_second_and_the_last_third() -> None:
    assert growth(plateaus(1, 2, 10, 12, 15, 11)) == Plateau(1, 1, 1)


def test_what_grows_what_fails_and_what_is_logged_is_complained_about() -> None:
    steady = plateaus(*[100] * 6)
    limits = Limits(memory_kib=5, descriptors=50, threads=50)

    assert complaints(Soaked(steady, {}, {}, ""), limits) == []
    assert complaints(Soaked(plateaus(0, 0, 0, 0, 10, 10), {}, {}, ""), limits) == [
        "memory (KiB) grew by 10, more than 5"
    ]
    assert complaints(Soaked(steady, {}, {"get: 502": 3}, ""), limits) == ["undisturbed, and yet: get: 502, 3 times"]
    assert complaints(Soaked(steady, {}, {}, "Traceback"), limits) == ["the agent's log:\nTraceback"]
