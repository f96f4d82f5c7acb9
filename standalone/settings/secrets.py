"""Files with secrets, or with hashes of some, that settings name: read when settings are, so that a bad one is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from edge.settings import SettingsError
from standalone.process.watched import WatchedFile

T = TypeVar("T")

MAX_SECRET_BYTES: Final = 4096


def require_file(where: str, path: Path | None, parse: Callable[[str], object], *, max_bytes: int) -> None:
    """Raises `SettingsError`, which begins with `where`, for a file that cannot be read, or that `parse` refuses."""
    if path is not None:
        watch(where, path, parse, max_bytes=max_bytes)


def watch(where: str, path: Path, parse: Callable[[str], T], *, max_bytes: int) -> WatchedFile[T]:
    """A file that is read now, and again when it changes. Raises `SettingsError`."""
    try:
        return WatchedFile(path, parse, max_bytes=max_bytes)
    except OSError as exc:
        raise SettingsError(f"{where}: {path}: cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise SettingsError(f"{where}: {exc}") from exc


def parse_secret(text: str) -> str:
    """A secret that is alone in its file. Raises `ValueError`, without saying it."""
    secret = text.strip()
    if not secret or not secret.isprintable() or not secret.isascii():
        raise ValueError("one line with the secret was expected")
    return secret
