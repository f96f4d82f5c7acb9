"""Files that are read again when they change."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

Look = tuple[tuple[int, int, int] | None, ...]


class WatchedFiles:
    """Some files, read together: `read` is called when they have changed and are at rest.

    At rest means that two looks see the same: who replaces a certificate and its key writes one after the other.
    """

    def __init__(self, paths: Iterable[Path], read: Callable[[], None]) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._is_read = self._seen = self._stat()

    def look(self) -> None:
        """To be called every second or so."""
        seen, self._seen = self._seen, self._stat()
        if self._seen == seen != self._is_read:
            self.reload()

    def reload(self) -> None:
        """Read them now, changed or not."""
        self._is_read = self._seen = self._stat()
        self._read()

    def _stat(self) -> Look:
        return tuple(_stat(path) for path in self._paths)


def _stat(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file, also with what a link leads to; None for one that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
