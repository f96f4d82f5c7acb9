"""How many files and sockets the process may have open: each websocket takes two."""

import resource
from contextlib import suppress


def allow_all() -> None:
    """As many as the machine lets it have without a privilege; the usual 1,024 are a default for `select`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name no limit, and yet do not take it.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
