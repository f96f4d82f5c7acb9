"""Debian's memcached as a process, for tests and benchmarks."""

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.programs import Missing, find_program
from tests.system.processes import Process, free_port
from tests.timing import SECOND, wait_until


def find_memcached() -> str:
    """The path of the program. Raises `Missing`."""
    return find_program("memcached", package="memcached")


def require_memcached() -> None:
    """Skip a test where there is none, unless REQUIRE_MEMCACHED=1 says that there must be."""
    try:
        find_memcached()
    except Missing as exc:
        if os.environ.get("REQUIRE_MEMCACHED") == "1":
            raise
        pytest.skip(f"NOT TESTED with a memcached: {exc}")


def start_memcached(log: Path) -> tuple[Process, int]:
    """An empty one, and its port on loopback. Raises `Missing`."""
    port = free_port()
    process = Process(
        "memcached", [find_memcached(), "-u", "nobody", "-l", "127.0.0.1", "-p", f"{port}", "-U", "0"], log=log
    )

    def is_there() -> bool:
        process.require_running()
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    wait_until(is_there, within=20 * SECOND, what="memcached")
    return process, port
