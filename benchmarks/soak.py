"""`python -m benchmarks.soak [--minutes 10]`: does an agent that works for long grow?

Rounds of three parts each. Users do all they can do, undisturbed: nothing may go wrong. Then the same while backend,
websocket server or proxy are started again: anything may go wrong but a hang. Then all rest until the websockets that
were left have been closed, every thread and connection is used once, and memory, file descriptors and threads of the
agent are noted: a plateau. The first third of the plateaus is warming up; those of the second third and those of the
last one must be equally high, within `Limits`.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.soak_traffic import SHIM, Users
from tests.system.backends import Peer
from tests.system.processes import Process, free_port
from tests.system.shapes import Site, Standalone
from tests.timing import wait_until

ROUNDS: Final = 12
FEWEST_ROUNDS: Final = 6

CONCURRENCY: Final = 8
"""Few, so that every thread and connection there may be is soon there."""

USERS: Final = 12

_IDLE: Final = 2
"""Seconds after which the agent closes a websocket that its page has left."""

_REST: Final = 30.0
"""The longest that closing all of them, and what users gave up, may take."""


_SETTLING: Final = 5
"""Minutes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """By how much the lowest plateau of the last third may be above that of the second one.

    Within a few minutes memory still settles: pools fill, and each thread's part of the heap finds its size.
    """

    memory_kib: int = 6 * 1024
    descriptors: int = CONCURRENCY
    """So many idle connections may have been closed by the other side, or not."""
    threads: int = 4

    @classmethod
    def within(cls, minutes: float) -> "Limits":
        return cls() if minutes >= _SETTLING else cls(memory_kib=24 * 1024)


@dataclass(frozen=True, slots=True)
class Plateau:
    """An agent at rest: resident memory, open file descriptors, threads."""

    memory_kib: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, process: Process) -> "Plateau":
        folder = Path(f"/proc/{process.pid}")
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        memory, threads = (int(fields[name].split()[0]) for name in ("VmRSS", "Threads"))
        return cls(memory, len(list((folder / "fd").iterdir())), threads)


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was seen: plateaus in order, what users did, and what went wrong though nothing was disturbed."""

    plateaus: Sequence[Plateau]
    done: dict[str, int]
    trouble: dict[str, int]
    last_words: str
    """What the agent wrote of itself going wrong."""


class Programs:
    """Proxy, agent, backend and websocket server; all but the agent can be started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = free_port(), free_port()
        self._shape = Standalone(folder)
        self._peer, self._echo = self._start_peer(), self._start_echo()
        self._site = Site(self._shape, self._peer.url, backend_id="soak", folder=folder)
        self.url = self._site.url
        self.agent = self._site.start_agent(
            f"--path-map=/ws/={self._echo.wait_for_url()}",
            f"--shim-path={SHIM}",
            "--shim-websockets",
            f"--websocket-shim-timeout={_IDLE}s",
            "--session-cookie-name=soak",
            "--session-cookie-cache-limit=100",
            "--disable-ssl-for-test",
            f"--concurrency={CONCURRENCY}",
            f"--status-port={free_port()}",
        )
        self._site.wait_until_online()

    def _start_peer(self) -> Peer:
        return Peer(self._folder, port=self._ports[0])

    def _start_echo(self) -> Process:
        argv = [sys.executable, "-m", "benchmarks.websocket_echo", str(self._ports[1])]
        return Process("websockets", argv, log=self._folder / "websockets.log")

    def restart_backend(self) -> None:
        self._peer.process.kill()
        self._peer = self._start_peer()

    def restart_websockets(self) -> None:
        self._echo.kill()
        self._echo = self._start_echo()
        self._echo.wait_for_url()

    def restart_proxy(self) -> None:
        self._shape.restart()

    def wait_until_online(self) -> None:
        self._site.wait_until_online()

    def stop(self) -> None:
        self._site.close()
        self._shape.stop()
        self._peer.stop()
        self._echo.kill()


@contextmanager
def running(folder: Path) -> Iterator[Programs]:
    programs = Programs(folder)
    try:
        yield programs
    finally:
        programs.stop()


def soak(seconds: float, *, rounds: int, tell: Callable[[str], None]) -> Soaked:
    """Soak an agent for about so long."""
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as programs:
        users, disturbed = Users(programs.url), Users(programs.url)
        plateaus: list[Plateau] = []
        disturbances = (programs.restart_backend, programs.restart_proxy, programs.restart_websockets)
        # About five seconds of each round are rest.
        busy = max(2.0, seconds / rounds - 5)
        for number in range(rounds):
            users.act(busy * 2 / 3, users=USERS, seed=number * 100)
            _disturb(programs, disturbed, disturbances[number % len(disturbances)], busy / 3)
            plateaus.append(_rest(programs, users))
            tell(f"| {number + 1} | {_cells(plateaus[-1])} | {users.done.total() + disturbed.done.total()} |")
        done = users.done + disturbed.done
        failures = [line for line in programs.agent.printed().splitlines() if _is_failure(line)]
        programs.agent.require_running()
        return Soaked(plateaus, dict(done), dict(users.trouble), "\n".join(failures[:20]))


def _disturb(programs: Programs, users: Users, restart: Callable[[], None], seconds: float) -> None:
    acting = threading.Thread(target=users.act, args=(seconds,), kwargs={"users": USERS, "seed": 1})
    acting.start()
    restart()
    acting.join()
    programs.wait_until_online()


def _rest(programs: Programs, users: Users) -> Plateau:
    """The plateau once the number of descriptors is what it was half a second before."""
    previous = [0]

    def is_quiet() -> bool:
        users.rush(CONCURRENCY)
        before, now = previous[0], Plateau.of(programs.agent).descriptors
        previous[0] = now
        return now == before

    # What was left is closed after the idle limit and the sweep behind it, at the earliest.
    threading.Event().wait(_IDLE + 1)
    wait_until(is_quiet, within=_REST, what="an agent at rest", every=0.5)
    return Plateau.of(programs.agent)


def _is_failure(line: str) -> bool:
    return " ERROR " in line or line.startswith("Traceback")


def _cells(plateau: Plateau) -> str:
    return f"{plateau.memory_kib / 1024:.1f} MiB | {plateau.descriptors} | {plateau.threads}"


def growth(plateaus: Sequence[Plateau]) -> Plateau:
    """By how much the lowest of the last third are above the lowest of the second third."""
    third = len(plateaus) // 3
    second, last = plateaus[third : 2 * third], plateaus[2 * third :]

    def grown(height: Callable[[Plateau], int]) -> int:
        return min(map(height, last)) - min(map(height, second))

    return Plateau(
        grown(lambda each: each.memory_kib), grown(lambda each: each.descriptors), grown(lambda each: each.threads)
    )


def complaints(soaked: Soaked, limits: Limits) -> list[str]:
    """What is wrong with an agent that was soaked; nothing for a good one."""
    grown = growth(soaked.plateaus)
    found = [
        f"{what} grew by {by}, more than {limit}"
        for what, by, limit in (
            ("memory (KiB)", grown.memory_kib, limits.memory_kib),
            ("file descriptors", grown.descriptors, limits.descriptors),
            ("threads", grown.threads, limits.threads),
        )
        if by > limit
    ]
    found += [f"undisturbed, and yet: {what}, {count} times" for what, count in sorted(soaked.trouble.items())]
    return found + ([f"the agent's log:\n{soaked.last_words}"] if soaked.last_words else [])


def main() -> int:
    """Soak, print a table, and say what is wrong; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    print("| round | memory | file descriptors | threads | requests so far |\n|---|---|---|---|---|", flush=True)
    rounds = max(FEWEST_ROUNDS, min(ROUNDS, int(minutes * 60 / 10)))
    soaked = soak(minutes * 60, rounds=rounds, tell=lambda row: print(row, flush=True))
    print("\n" + ", ".join(f"{name} {count}" for name, count in sorted(soaked.done.items())))
    print(f"growth between plateaus: {_cells(growth(soaked.plateaus)).replace(' |', ',')}")
    wrong = complaints(soaked, Limits.within(minutes))
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
