from dataclasses import replace

import pytest

from benchmarks.simulation.inputs import DESIGNS, HINTED, POLLING, Design, Size
from benchmarks.simulation.measures import Outcome
from benchmarks.simulation.runs import find_limit, simulate

SMALL = Size(backends=1, rate=20)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_a_seed_gives_the_same_figures_each_time(design: Design) -> None:
    assert simulate(design, SMALL, seconds=4) == simulate(design, SMALL, seconds=4)


def test_another_seed_gives_others() -> None:
    assert simulate(POLLING, SMALL, seed=1, seconds=4).p50 != simulate(POLLING, SMALL, seed=2, seconds=4).p50


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_what_is_far_below_the_limits_is_carried_without_a_failure(design: Design) -> None:
    outcome = simulate(design, SMALL, seconds=8)
    assert outcome.failed == 0
    assert not outcome.is_broken


def test_the_calls_are_about_those_that_were_measured() -> None:
    """On the emulator, one client: 4.3 and 8.8 (benchmarks/README.md)."""
    assert simulate(HINTED, SMALL, seconds=10).calls == pytest.approx(4.3, rel=0.25)
    assert simulate(POLLING, SMALL, seconds=10).calls == pytest.approx(8.8, rel=0.25)


def test_one_backend_breaks_at_its_index_and_many_with_the_same_load_do_not() -> None:
    broken = simulate(HINTED, Size(backends=1, rate=330), seconds=4)
    assert broken.is_broken
    assert broken.hot_key == "the index of a backend"
    assert not simulate(HINTED, Size(backends=20, rate=330), seconds=4).is_broken


def test_agents_of_one_backend_never_get_a_request_twice() -> None:
    outcome = simulate(HINTED, Size(backends=1, rate=200), seconds=4)
    assert outcome.failed == 0


def attempt(size: Size) -> Outcome:
    """Carried are up to 180 requests a second."""
    return replace(TRIED, size=size, failed=float(size.rate > 180))


TRIED = simulate(HINTED, SMALL, seconds=4)


def test_a_limit_is_sought_between_what_is_carried_and_what_is_not() -> None:
    some = [attempt(Size(backends=1, rate=rate)) for rate in (10, 100, 1_000, 10_000)]
    best, worst = find_limit(some, attempt)
    assert best is not None
    assert worst is not None
    assert 133 <= best.size.rate <= 180 < worst.size.rate <= 240


def test_where_all_is_carried_or_nothing_no_limit_is_sought() -> None:
    carried, broken = (attempt(Size(backends=1, rate=rate)) for rate in (100, 200))
    assert find_limit([carried], attempt) == (carried, None)
    assert find_limit([broken], attempt) == (None, broken)
