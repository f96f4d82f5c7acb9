"""Which counts go to Cloud Monitoring, and what the flags must say for it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.telemetry.monitoring import Counts, MonitoringError, Window, make_target

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MS = timedelta(milliseconds=1)


def test_points_of_a_delta_count_since_the_one_before_and_do_not_overlap() -> None:
    window = Window(START, is_cumulative=False)
    assert window.counts({200: 3}, START + MINUTE) == Counts(START, START + MINUTE, {200: 3})
    window.settle({200: 3}, START + MINUTE)
    assert window.counts({200: 5, 404: 1}, START + 2 * MINUTE) == Counts(
        START + MINUTE + MS, START + 2 * MINUTE, {200: 2, 404: 1}
    )


def test_points_of_a_cumulative_metric_share_their_start() -> None:
    window = Window(START, is_cumulative=True)
    window.settle({200: 3}, START + MINUTE)
    assert window.counts({200: 5}, START + 2 * MINUTE) == Counts(START, START + 2 * MINUTE, {200: 5})


def test_what_was_not_taken_is_counted_in_with_the_next() -> None:
    window = Window(START, is_cumulative=False)
    window.counts({200: 3}, START + MINUTE)
    assert window.counts({200: 5}, START + 2 * MINUTE) == Counts(START, START + 2 * MINUTE, {200: 5})


@pytest.mark.parametrize("is_cumulative", [True, False])
def test_nothing_is_sent_of_nothing(is_cumulative: bool) -> None:
    assert Window(START, is_cumulative=is_cumulative).counts({}, START + MINUTE) is None


def test_nothing_is_sent_of_no_time() -> None:
    assert Window(START, is_cumulative=False).counts({200: 1}, START) is None


@pytest.mark.parametrize("is_cumulative", [True, False])
def test_a_clock_that_is_put_back_begins_a_new_interval(is_cumulative: bool) -> None:
    window = Window(START, is_cumulative=is_cumulative)
    window.settle({200: 3}, START + MINUTE)
    back = START - 60 * MINUTE
    assert window.counts({200: 4}, back) is None
    assert window.counts({200: 5}, back + MINUTE) == Counts(back, back + MINUTE, {200: 2})


def test_an_interval_is_given_up_before_the_api_refuses_it_for_its_age() -> None:
    window = Window(START, is_cumulative=False)
    assert [window.is_too_long(START + timedelta(hours=hours)) for hours in (1, 23, 25)] == [False, False, True]


@given(
    steps=st.lists(
        st.tuples(st.dictionaries(st.integers(200, 204), st.integers(0, 5)), st.integers(1, 100), st.booleans()),
        max_size=20,
    )
)
def test_whatever_is_refused_the_points_of_a_delta_add_up_to_the_totals(
    steps: list[tuple[dict[int, int], int, bool]],
) -> None:
    window, now, last_end = Window(START, is_cumulative=False), START, START - MS
    totals: dict[int, int] = {}
    taken: dict[int, int] = {}
    for more, seconds, is_taken in [*steps, ({}, 1, True)]:
        totals = {status: totals.get(status, 0) + more.get(status, 0) for status in totals | more}
        now += timedelta(seconds=seconds)
        counts = window.counts(totals, now)
        if counts is None or not is_taken:
            continue
        assert last_end < counts.start < counts.end == now
        last_end = counts.end
        window.settle(totals, now)
        for status, count in counts.by_status.items():
            taken[status] = taken.get(status, 0) + count
    assert taken == {status: total for status, total in totals.items() if total}


@pytest.mark.parametrize(
    ("labels", "missing"),
    [((), "no instance-id and no instance-zone"), ((("instance-id", "1"), ("instance-zone", "")), "no instance-zone")],
)
def test_a_label_that_is_missing_is_named(labels: tuple[tuple[str, str], ...], missing: str) -> None:
    with pytest.raises(MonitoringError, match=missing):
        make_target(
            project_id="p",
            endpoint="monitoring.googleapis.com:443",
            domain="custom.googleapis.com",
            resource_type="gce_instance",
            resource_labels=labels,
        )


def test_another_type_of_resource_has_its_own_labels() -> None:
    target = make_target(
        project_id="p",
        endpoint="monitoring.googleapis.com:443",
        domain="custom.googleapis.com",
        resource_type="generic_node",
        resource_labels=[("node_id", "1")],
    )
    assert target.resource_labels == (("node_id", "1"),)
