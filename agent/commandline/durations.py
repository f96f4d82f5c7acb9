"""Durations as Go's `time.ParseDuration` writes them, because the original's command lines must work unchanged."""

import re
from datetime import timedelta
from typing import Final

_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_LONGEST: Final = timedelta(days=365)


def parse_duration(text: str) -> timedelta:
    """`10ms`, `1m30s`, `12h` or `0` as a duration of at most a year. Raises `ValueError`, also for negative ones."""
    if text in ("0", "+0"):
        return timedelta()
    text = text.removeprefix("+")
    if re.fullmatch(f"(?:{_PART})+", text, re.ASCII) is None:
        raise ValueError("not a duration")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text, re.ASCII))
    if seconds > _LONGEST.total_seconds():
        raise ValueError("longer than a year")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """A duration as short as `parse_duration` reads it: `1m30s`, `0s`."""
    minutes, seconds = divmod(duration.total_seconds(), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{seconds:g}s" if seconds else ""]
    return "".join(parts) or "0s"
