from dataclasses import replace

import pytest

from benchmarks.cost import (
    EGRESS,
    HOURS,
    INSTANCE,
    ORIGINAL,
    SYSTEMS,
    Entities,
    Usage,
    agents_instances,
    as_measured,
    bill,
    page,
    parts_beyond,
    proxy_instances,
    report,
)
from benchmarks.loads import LONG
from benchmarks.measured import HINTS, request

NOTHING = Entities(0, 0, 0)
OURS = as_measured(HINTS)
ONE = Usage(backends=1, agents=1, requests=0, request_bytes=0, answer_bytes=0)


def test_the_page_shows_what_the_program_prints() -> None:
    assert page().kept == report(), "run: python -m benchmarks.cost --keep"


def test_a_system_without_requests_pays_for_instances_beyond_the_free_hours() -> None:
    assert bill(replace(OURS, idle=NOTHING), ONE).total == ((1 + 1) * HOURS - 28 * 30) * INSTANCE.value


def test_what_is_written_beyond_the_free_amount_is_paid_for_each_entity() -> None:
    usage = replace(ONE, requests=10_000_000)
    writing = replace(OURS, small=Entities(0, 1, 0), idle=NOTHING)
    assert bill(writing, usage).datastore == pytest.approx((10_000_000 - 600_000) / 100_000 * 0.09)


def test_both_directions_leave_app_engine() -> None:
    usage = replace(ONE, requests=1024, request_bytes=2**20, answer_bytes=2**20 * 99)
    assert bill(OURS, usage).egress == pytest.approx((100 - 30) * EGRESS.value)


@pytest.mark.parametrize(("size", "parts"), [(0, 0), (1_000_000, 0), (1_000_001, 1), (5_000_000, 4)])
def test_megabytes_count_beyond_the_first(size: int, parts: int) -> None:
    assert parts_beyond(size) == parts


def test_polls_that_wait_fill_instances() -> None:
    assert agents_instances(OURS, replace(ONE, backends=80)) == 1
    assert agents_instances(OURS, replace(ONE, backends=41, agents=2)) == 2


def test_requests_need_instances_by_their_rate_and_none_where_there_are_none() -> None:
    assert proxy_instances(ONE) == 0
    assert proxy_instances(replace(ONE, requests=20 * 30 * 24 * 3600)) == 1
    assert proxy_instances(replace(ONE, requests=21 * 30 * 24 * 3600)) == 2


def test_agents_instances_are_busy_with_requests_too() -> None:
    assert agents_instances(OURS, replace(ONE, requests=21 * 30 * 24 * 3600)) == 2


def test_a_long_answer_takes_as_many_entities_as_were_measured() -> None:
    long = request(HINTS, LONG.title)
    each = OURS.small.plus(parts_beyond(LONG.receives), OURS.megabyte)
    assert each == pytest.approx((long.read, long.written, long.deleted))


def test_hints_cost_less_than_polling_alone_and_that_less_than_the_original() -> None:
    usage = replace(ONE, backends=100, requests=10_000_000)
    original, hinted, polling = (bill(system, usage).total for system in SYSTEMS)
    assert hinted < polling < original
    assert bill(ORIGINAL, usage).total > 5 * hinted
