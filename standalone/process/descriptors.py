"""How many files and sockets the process may have open: each websocket takes two."""

import resource
import sys
from contextlib import suppress


def allow_all() -> int:
    """As many as the machine lets it have without a privilege, which are returned; the usual 1,024 are a default for
    `select`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name no limit, and yet do not take it.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
