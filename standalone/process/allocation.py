"""Freed memory is kept for the next piece of a body, and given back now and then, where the C library is glibc
(mallopt(3), malloc_trim(3))."""

import ctypes
from typing import Final, Protocol

# malloc.h
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_KEPT: Final = 16 << 20
_ONE_BY_ONE: Final = 4 << 20
"""Blocks from this size on are the system's, and go back to it at once."""

_LOOKS: Final = 20
"""Nothing else is done while memory is given back, which takes 2 ms for each 10 MiB: so not each time."""


class CLibrary(Protocol):
    """What of it is used here."""

    def mallopt(self, parameter: int, value: int) -> int: ...

    def malloc_trim(self, padding: int) -> int: ...


class OtherLibrary:
    """Any but glibc: it does as it likes."""

    def mallopt(self, parameter: int, value: int) -> int:
        return 0

    def malloc_trim(self, padding: int) -> int:
        return 0


def c_library() -> CLibrary:
    """That of this process."""
    try:
        library = ctypes.CDLL(None)
    except OSError:
        return OtherLibrary()
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else OtherLibrary()


def keep_freed_memory(library: CLibrary) -> bool:
    """Keep up to 16 MiB that are free at the end of the heap; False where there is no such setting.

    By default blocks of a quarter megabyte, of which a body is made on its way, go back to the system each time, and
    each comes back as 64 page faults: half of the processor time of a download on a busy machine.
    """
    return all([library.mallopt(_M_TRIM_THRESHOLD, _KEPT), library.mallopt(_M_MMAP_THRESHOLD, _ONE_BY_ONE)])


class GivingBack:
    """What is free anywhere in the heap goes back to the system now and then.

    By itself the C library looks at the end of the heap alone: after many bodies at a time, whatever has come behind
    them would keep the process at twice its size.
    """

    def __init__(self, library: CLibrary) -> None:
        self._library = library
        self._looks = 0

    def look(self) -> None:
        """To be called every second."""
        self._looks += 1
        if self._looks % _LOOKS == 0:
            self._library.malloc_trim(0)
