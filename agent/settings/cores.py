"""How many cores this process may keep busy."""

import os
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
"""Of a container: `QUOTA PERIOD` in microseconds, or `max PERIOD` (Linux, Documentation/admin-guide/cgroup-v2.rst)."""


def usable_cores(*, quota: Path = _QUOTA) -> int:
    """The cores that this process may run on, or as much of them as its container is given, at least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        given, period = quota.read_text("ascii").split()
        return max(1, min(allowed, int(given) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return allowed
