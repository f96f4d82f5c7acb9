"""A file that is read again when it changes, so that a secret can be changed without a restart."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


class WatchedFile(Generic[T]):
    """What a file says, as `parse` understands it; `parse` raises `ValueError` with the reason."""

    def __init__(self, path: Path, parse: Callable[[str], T], *, max_bytes: int) -> None:
        """Reads the file. Raises `OSError`, and `ValueError` with its path before the reason."""
        self.path = path
        self._parse = parse
        self._max_bytes = max_bytes
        self._complaint = ""
        self._stamp = self._look()
        self.value = self._read()

    def look(self) -> None:
        """Read it again if it is not the one that was read. What cannot be used changes nothing, and is logged."""
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self.value = self._read()
        except (OSError, ValueError) as exc:
            self._complain(_reason(exc, self.path))
        else:
            self._complaint = ""
            logger.info("%s: read again", self.path)

    def read_again(self) -> None:
        """The same, whether it has changed or not."""
        self._stamp = (0, 0, 0)
        self.look()

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            logger.error("%s (what was read before stays in force)", reason)
        self._complaint = reason

    def _look(self) -> _Stamp:
        status = os.stat(self.path)
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _read(self) -> T:
        with self.path.open("rb") as file:
            data = file.read(self._max_bytes + 1)
        try:
            if len(data) > self._max_bytes:
                raise ValueError(f"longer than {self._max_bytes} bytes")
            return self._parse(data.decode())
        except ValueError as exc:
            reason = "not UTF-8" if isinstance(exc, UnicodeDecodeError) else str(exc)
            raise ValueError(f"{self.path}: {reason}") from None


def _reason(exc: Exception, path: Path) -> str:
    return f"{path}: {exc.strerror}" if isinstance(exc, OSError) and exc.strerror else str(exc)
