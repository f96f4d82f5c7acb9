"""What programs set in the module `logging` for their whole process, and tests of several programs share one."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SETTINGS: Final = ("_srcfile", "logThreads", "logMultiprocessing", "logProcesses")


@contextmanager
def kept() -> Iterator[None]:
    """Put back at the end."""
    before = {name: getattr(logging, name) for name in _SETTINGS}
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(logging, name, value)
