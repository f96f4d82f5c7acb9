"""`python -m tests.system.unreliable_memcached PORT SEED`: a relay before a memcached, that fails as caches do.

What a client asks for is evicted at a time, its messages are late, by more than it waits for, too, and connections
break off: at random, but always alike for one seed as far as messages come alike.
"""

import asyncio
import os
import random
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final

from tests.memcached import start_memcached
from tests.system.processes import Process
from tests.timing import MS

EVICTED: Final = 0.03
LATE: Final = 0.1
TOO_LATE: Final = 0.002
BROKEN: Final = 0.002
"""How many of a client's messages. After each of the last two kinds a process leaves the cache alone for a second."""

_MOST: Final = 65_536


def start_unreliable_memcached(folder: Path, *, seed: int | None = None) -> tuple[list[Process], str]:
    """Its processes, and `HOST:PORT`. Raises `Missing`. `CACHE_SEED` makes it fail as it did when it printed that."""
    memcached, port = start_memcached(folder / "memcached.log")
    seed = seed or int(os.environ.get("CACHE_SEED") or random.randrange(10**6))
    command = [sys.executable, "-m", "tests.system.unreliable_memcached", f"{port}", f"{seed}"]
    relay = Process("memcached relay", command, log=folder / "memcached-relay.log")
    return [relay, memcached], relay.wait_for_url().removeprefix("http://")


async def serve(chance: random.Random, target: int, near: StreamReader, back: StreamWriter) -> None:
    """One connection, to its end."""
    far, there = await asyncio.open_connection("127.0.0.1", target)
    with closing(back), closing(there), suppress(ConnectionError):
        answering = asyncio.create_task(answer(far, back))
        while (message := await near.read(_MOST)) and chance.random() >= BROKEN:
            if chance.random() < LATE:
                await asyncio.sleep(chance.uniform(0, 50 * MS))
            if chance.random() < TOO_LATE:
                await asyncio.sleep(400 * MS)
            if chance.random() < EVICTED:
                await evict(message, target)
            there.write(message)
            await there.drain()
        answering.cancel()


async def answer(far: StreamReader, back: StreamWriter) -> None:
    """What memcached says, as it says it."""
    with suppress(ConnectionError):
        while message := await far.read(_MOST):
            back.write(message)
            await back.drain()


async def evict(message: bytes, target: int) -> None:
    """Remove what a message asks for, before it does."""
    verb, *names = message.split()
    if verb == b"get":
        reader, writer = await asyncio.open_connection("127.0.0.1", target)
        with closing(writer):
            for name in names:
                writer.write(b"delete " + name + b"\r\n")
                await reader.readline()


async def main(arguments: Sequence[str]) -> None:
    """Serve for ever."""
    port, seed = map(int, arguments)
    server = await asyncio.start_server(partial(serve, random.Random(seed), port), "127.0.0.1", 0)
    print(
        f"CACHE_SEED={seed} makes it fail as it does\nListening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
