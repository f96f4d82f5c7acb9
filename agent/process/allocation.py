"""Freed memory goes back to the system, where the C library is glibc (mallopt(3), malloc_trim(3)).

With its defaults an agent that has carried many bodies at a time stays twice as large: each thread has a heap of its
own, and what is free in one is neither given back nor used for another.
"""

import ctypes
from typing import Final, Protocol

_M_ARENA_MAX: Final = -8
"""malloc.h"""

_HEAPS: Final = 1
"""Threads allocate while they hold the interpreter's lock, so that they hardly ever wait for one another here."""

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


def share_one_heap(library: CLibrary) -> bool:
    """For all threads that will begin; False where there is no such setting."""
    return library.mallopt(_M_ARENA_MAX, _HEAPS) == 1


class GivingBack:
    """What is free in the heap goes back to the system now and then."""

    def __init__(self, library: CLibrary) -> None:
        self._library = library
        self._looks = 0

    def look(self) -> None:
        """To be called every second."""
        self._looks += 1
        if self._looks % _LOOKS == 0:
            self._library.malloc_trim(0)
