from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.units import format_size, format_time, parse_size, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("2.5m", 150), ("1h", 3600), ("0.000001s", 0.000001)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_time(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "0s", "0.0h", "30", "-1s", "+1s", "1 s", "1d", "1S", "1e3s", "1m30s", "١s", "1s\n"]
)
def test_what_is_no_time_above_zero_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("7", 7), ("7B", 7), ("32MB", 32_000_000), ("1MiB", 1 << 20), ("64KiB", 65536), ("2kB", 2000)]
    + [("2KB", 2000), ("1GiB", 1 << 30), ("1GB", 10**9)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1e9", "-1", "1.5MB", "1 MB", "1mb", "1M", "MB", "1TB", "٣", "1\n"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


@given(st.integers(min_value=1, max_value=10**9))
def test_a_time_is_written_as_it_is_read(milliseconds: int) -> None:
    time = timedelta(milliseconds=milliseconds)

    assert parse_time(format_time(time)) == time


@given(st.integers(min_value=0, max_value=10**12))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_what_is_written_is_short() -> None:
    assert [format_size(size) for size in (32_000_000, 65536, 1 << 20, 1000, 7)] == [
        "32MB",
        "64KiB",
        "1MiB",
        "1kB",
        "7",
    ]
    assert [format_time(timedelta(seconds=s)) for s in (30, 0.5, 90, 7200)] == ["30s", "500ms", "90s", "2h"]
