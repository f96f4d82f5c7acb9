"""Freed memory is kept for the next piece of a body, where the C library is glibc (mallopt(3))."""

import ctypes
from typing import Final, Protocol

# malloc.h
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_KEPT: Final = 16 << 20
_ONE_BY_ONE: Final = 4 << 20
"""Blocks from this size on are the system's, and go back to it at once."""


class _Library(Protocol):
    def mallopt(self, parameter: int, value: int) -> int: ...


def keep_freed_memory(library: _Library | None = None) -> bool:
    """Keep up to 16 MiB that are free at the end of the heap; False where there is no such setting.

    By default blocks of a quarter megabyte, of which a body is made on its way, go back to the system each time, and
    each comes back as 64 page faults: half of the processor time of a download on a busy machine.
    """
    try:
        mallopt = (library or ctypes.CDLL(None)).mallopt
    except (OSError, AttributeError):
        return False
    return all([mallopt(_M_TRIM_THRESHOLD, _KEPT), mallopt(_M_MMAP_THRESHOLD, _ONE_BY_ONE)])
