"""Who the agent is to the proxy: the header fields that say so, on every call to it and to nobody else."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from agent.identity.errors import CredentialsError


class Credentials(Protocol):
    """A source of header fields; safe for several threads. Values are never logged."""

    def fields(self) -> Sequence[tuple[str, str]]:
        """The fields to send now. Raises `CredentialsError`."""
        ...

    def refresh(self) -> None:
        """The proxy refused what `fields` gave: do not give it again if there is anything newer."""
        ...


class NoCredentials:
    """Nobody in particular: for proxies that ask for nothing."""

    def fields(self) -> Sequence[tuple[str, str]]:
        return ()

    def refresh(self) -> None:
        """There is nothing newer."""


class TokenFile:
    """A bearer token in a file, read again whenever the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # guards the two below
        self._read_at: tuple[int, int, int] | None = None
        self._token = ""

    def fields(self) -> Sequence[tuple[str, str]]:
        with self._lock:
            try:
                self._read_if_changed()
            except (OSError, UnicodeDecodeError) as exc:
                raise CredentialsError(f"the token file {self._path} cannot be read: {type(exc).__name__}") from exc
            if not is_bearer_token(self._token):
                raise CredentialsError(f"the token file {self._path} does not hold a token: one line, no spaces")
            return (bearer(self._token),)

    def _read_if_changed(self) -> None:
        status = self._path.stat()
        # A file that is replaced within one tick of the clock has another inode.
        state = (status.st_mtime_ns, status.st_ino, status.st_size)
        if state != self._read_at:
            self._token = self._path.read_text(encoding="ascii").strip()
            self._read_at = state

    def refresh(self) -> None:
        with self._lock:
            self._read_at = None


class Combined:
    """Several credentials side by side."""

    def __init__(self, *parts: Credentials) -> None:
        self._parts = parts

    def fields(self) -> Sequence[tuple[str, str]]:
        return [field for part in self._parts for field in part.fields()]

    def refresh(self) -> None:
        for part in self._parts:
            part.refresh()


def is_bearer_token(text: str) -> bool:
    """True for what can stand behind `Bearer`: visible ASCII, at least one character."""
    return bool(text) and all("!" <= character <= "~" for character in text)


def bearer(token: str) -> tuple[str, str]:
    """The field that shows a token (RFC 6750 section 2.1)."""
    return ("Authorization", f"Bearer {token}")
