"""Durations in Go's spelling."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commandline.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("0s", 0.0), ("10ms", 0.01), ("1m30s", 90.0), ("12h", 43200.0), ("1.5h", 5400.0),
        ("+0", 0.0), ("+5s", 5.0), (".5s", 0.5),
        ("2h45m30.5s", 9930.5), ("5us", 0.000005), ("5µs", 0.000005), ("1000ns", 0.000001),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "-1s", "1d", "s", "1 s", "1s ", "1e3s", "٣s", "9999999h", "."])
def test_what_is_not_a_duration_of_at_most_a_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (60, "1m"), (90, "1m30s"), (43200, "12h"), (0.5, "0.5s")])
def test_a_duration_is_written_short(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@given(st.integers(min_value=0, max_value=31_000_000))
def test_what_is_written_is_read_again(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration
