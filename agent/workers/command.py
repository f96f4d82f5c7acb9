"""How this program is started once more, whichever way it was started: as a module, or as one file."""

import sys
from collections.abc import Sequence
from typing import Final

WORKER: Final = "INVERTING_PROXY_AGENT_WORKER"
"""The variable that tells a process that it is a helper: the number of the socket that it has inherited."""


def command(
    original: Sequence[str] = sys.orig_argv, *, arguments: Sequence[str] = sys.argv, executable: str = sys.executable
) -> list[str]:
    """The command of this process without the program's own arguments: they may hold secrets, and are known."""
    return [executable, *original[1 : len(original) - len(arguments) + 1]]
