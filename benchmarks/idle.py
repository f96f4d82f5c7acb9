"""What it costs to wait: systems with nothing to do, and thousands of agents that wait at one proxy."""

import resource
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.systems import SERVER, System
from benchmarks.usage import processor_seconds, resident_kib
from tests.system.processes import Process, free_port, interpreter
from tests.timing import SECOND, wait_until

_POLL: Final = (
    "GET /agent/pending HTTP/1.1\r\nHost: proxy\r\n"
    "X-Inverting-Proxy-Backend-ID: bench\r\nX-Inverting-Proxy-Agent-ID: agent-{number:015}\r\n\r\n"
)

_SETTLED: Final = 0.02
"""Seconds of processor time in half a second, below which a proxy has taken in all that came."""


@dataclass(frozen=True, slots=True)
class Idle:
    """A minute of nothing: milliseconds of processor time and resident KiB of each part, and what the far side said."""

    milliseconds: Mapping[str, float]
    resident: Mapping[str, int]
    messages: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proxy's resident KiB before and with so many long polls, of which some were answered though nothing came."""

    polls: int
    before: int
    after: int
    answered: int


def rest(systems: Sequence[System], *, seconds: float) -> dict[str, Idle]:
    """Let all systems rest at the same time; a minute is reckoned from so many seconds."""
    parts = {(system.name, part): process.pid for system in systems for part, process in system.parts.items()}
    used = {key: processor_seconds(pid) for key, pid in parts.items()}
    said = {system.name: _messages(system) for system in systems}
    time.sleep(seconds)  # noqa: TID251  # nothing happens, and that is measured
    minutes = seconds / 60
    return {
        system.name: Idle(
            milliseconds={
                part: (processor_seconds(process.pid) - used[system.name, part]) * 1000 / minutes
                for part, process in system.parts.items()
            },
            resident={part: resident_kib(process.pid)[1] for part, process in system.parts.items()},
            messages=(_messages(system) - said[system.name]) / minutes,
        )
        for system in systems
        if system.parts
    }


def _messages(system: System) -> int:
    return sum(link.messages for link in system.links)


def hold_polls(count: int, folder: Path) -> Waiting:
    """Open so many long polls at a proxy of ours, each of another agent."""
    _allow_files(count + 1000)
    port = free_port()
    command = [interpreter("standalone"), "-m", "standalone", "--open", "--port", str(port)]
    proxy = Process(SERVER, command, log=folder / f"proxy-{port}.log")
    with ExitStack() as stack:
        stack.callback(proxy.kill)
        proxy.wait_for_url()
        before = resident_kib(proxy.pid)[1]
        polls = [stack.enter_context(_poll(port, number)) for number in range(count)]
        wait_until(lambda: _is_settled(proxy), within=20 * SECOND, what="all polls taken in")
        return Waiting(count, before, resident_kib(proxy.pid)[1], sum(map(_has_heard, polls)))


def _poll(port: int, number: int) -> socket.socket:
    poll = socket.create_connection(("127.0.0.1", port), timeout=10)
    poll.sendall(_POLL.format(number=number).encode())
    return poll


def _has_heard(poll: socket.socket) -> bool:
    """True when something has come, or the end."""
    poll.setblocking(False)
    try:
        poll.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _is_settled(process: Process) -> bool:
    before = processor_seconds(process.pid)
    time.sleep(0.5)  # noqa: TID251  # measures what another process does meanwhile
    return processor_seconds(process.pid) - before <= _SETTLED


def _allow_files(count: int) -> None:
    """Let this process, and what it starts, have so many open files, as far as the machine does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
