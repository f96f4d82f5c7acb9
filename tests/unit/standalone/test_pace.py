from standalone.pace import Pace


def kept(pace: Pace, *turns: tuple[int, float]) -> list[bool]:
    return [pace.keeps_up(size, seconds) for size, seconds in turns]


def test_a_byte_now_and_then_is_too_slow_when_the_window_is_over() -> None:
    assert kept(Pace(rate=10, window=3), *[(1, 1.0)] * 3) == [True, True, False]


def test_a_body_that_comes_fast_enough_on_the_whole_may_pause() -> None:
    assert kept(Pace(rate=10, window=3), (30, 0.1), (0, 2.9), (0, 2.9), (30, 0.1)) == [True] * 4


def test_what_came_long_ago_does_not_count_for_later() -> None:
    assert kept(Pace(rate=10, window=3), (1000, 3.0), (1, 2.0), (1, 1.0)) == [True, True, False]


def test_no_rate_is_no_limit() -> None:
    assert kept(Pace(rate=0, window=3), (0, 100.0)) == [True]
