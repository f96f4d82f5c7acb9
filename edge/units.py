"""Times and sizes as people write them in settings: `30s`, `32MB`. Every `parse_…` raises `ValueError`."""

import re
from datetime import timedelta
from typing import Final

TIME: Final = "a time above zero, like 30s, 500ms or 2m"
"""What `parse_time` expects, for error texts."""

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)", re.ASCII)
_TIMES: Final = {
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}

_SIZE = re.compile(r"(\d{1,15})(B|kB|KB|MB|GB|KiB|MiB|GiB)?", re.ASCII)
_BYTES: Final = {
    "GiB": 1 << 30,
    "GB": 10**9,
    "MiB": 1 << 20,
    "MB": 10**6,
    "KiB": 1 << 10,
    "kB": 10**3,
    "KB": 10**3,
    "B": 1,
}


def parse_time(text: str) -> timedelta:
    """A time above zero like `500ms`, `30s`, `2.5m` or `1h`."""
    match = _DURATION.fullmatch(text)
    time = float(match[1]) * _TIMES[match[2]] if match else timedelta()
    if not time:
        raise ValueError("not a time above zero")
    return time


def format_time(time: timedelta) -> str:
    """A time of whole milliseconds as `parse_time` reads it, in the largest unit that needs no fraction."""
    unit = next(unit for unit, length in _TIMES.items() if not time % length)
    return f"{time // _TIMES[unit]}{unit}"


def parse_size(text: str) -> int:
    """Bytes: `1048576`, `1MiB` (1024 × 1024) or `32MB` (32 × 1000 × 1000)."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("not a size")
    return int(match[1]) * _BYTES[match[2] or "B"]


def format_size(size: int) -> str:
    """Bytes as `parse_size` reads them, in the largest unit that needs no fraction."""
    unit = next(unit for unit, length in _BYTES.items() if size and not size % length or unit == "B")
    return f"{size // _BYTES[unit]}{unit}" if size and unit != "B" else str(size)
