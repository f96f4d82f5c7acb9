"""Who may do what, as one value: what the application asks at its doors."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from edge.identity import Caller
from standalone.identity.gate import Gate, open_gate
from standalone.identity.reception import PublicReception, Reception
from standalone.process.watched import WatchedFile

Admin = Callable[[Caller], Awaitable[str]]
"""The account of an administrator; raises `NotAllowed` for anybody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What stands at each door."""

    gate: Gate
    reception: Reception
    admin: Admin | None = None
    """None where there are no administrators."""
    files: tuple[WatchedFile[Any], ...] = ()
    """Secrets, and hashes of some, that may change while the proxy runs."""
    is_open: bool = False
    """True where nobody is asked for anything."""

    def look(self) -> None:
        """Read the files that have changed."""
        for file in self.files:
            file.look()

    def read_again(self) -> None:
        """Read all files."""
        for file in self.files:
            file.read_again()


OPEN: Final = Access(gate=open_gate, reception=PublicReception(), is_open=True)
"""Everybody is a user, everybody an agent."""
