"""What is measured: ways from a user to the same nginx, each a function that starts one."""

import os
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import nginx, ssh
from benchmarks.link import Link
from benchmarks.loads import GET, is_answered
from benchmarks.programs import Missing
from tests.system.processes import Process, free_port, interpreter
from tests.timing import SECOND, wait_until

BACKEND: Final = "backend"
SERVER: Final = "server"
"""What users connect to: a proxy or the server of a tunnel."""
AGENT: Final = "agent"
"""What connects from the backend's side."""

Parts = dict[str, Process]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system is started: the backend's port, a folder for files, and how the far side is reached."""

    backend: int
    folder: Path
    reach: Callable[[int], int]
    """The port at which the agent's side finds a port of the server's side: the same, or that of a slow link."""
    fields: tuple[str, ...] = ()
    """Header fields that every request carries."""


Start = Callable[[Place], tuple[int, Parts]]
"""Starts the processes of a system, and says which port users connect to. Raises `Missing`."""


@dataclass(frozen=True, slots=True)
class System:
    """A system that runs."""

    name: str
    port: int
    parts: Mapping[str, Process]
    links: Sequence[Link]
    """Between its far side and its near one, if that is asked for."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def direct(place: Place) -> tuple[int, Parts]:
    """The backend itself."""
    return place.reach(place.backend), {}


def one_hop(place: Place) -> tuple[int, Parts]:
    """nginx before nginx: what a proxy costs that can reach its backend."""
    process, port = nginx.start_one_hop(place.folder, backend=place.reach(place.backend))
    return port, {SERVER: process}


def ssh_tunnel(place: Place) -> tuple[int, Parts]:
    """`ssh -R`."""
    sshd, control = ssh.start_sshd(place.folder)
    _wait_for_port(control, sshd)
    port = free_port()
    client = ssh.start_client(place.folder, sshd=place.reach(control), port=port, backend=place.backend)
    return port, {SERVER: sshd, AGENT: client}


def ours(place: Place, *, workers: int | None = None) -> tuple[int, Parts]:
    """`python -m standalone` and `python -m agent`, with their defaults."""
    port = free_port()
    command = [interpreter("standalone"), "-m", "standalone", "--open", "--port", str(port)]
    proxy = Process(SERVER, command, log=place.folder / f"proxy-{port}.log")
    proxy.wait_for_url()
    command = [interpreter("agent"), "-m", "agent", "--credentials=none", "--backend=bench"]
    command += [f"--proxy=http://127.0.0.1:{place.reach(port)}", f"--host=127.0.0.1:{place.backend}"]
    command += [f"--workers={workers}"] if workers else []
    return port, {SERVER: proxy, AGENT: Process(AGENT, command, log=place.folder / f"agent-{port}.log")}


def from_template(place: Place, *, commands: tuple[str, str]) -> tuple[int, Parts]:
    """Any other: the commands of its server and its agent (empty for none), with placeholders in braces."""
    port, control = free_port(), free_port()
    server, agent = commands
    values = {"port": port, "control": control, "backend": place.backend, "folder": place.folder}
    is_apart = "{control}" in server

    def start(part: str, command: str) -> Process:
        argv = [word.format_map(values) for word in shlex.split(command)]
        return Process(part, argv, log=place.folder / f"{part}-{port}.log")

    parts = {SERVER: start(SERVER, server)}
    _wait_for_port(control if is_apart else port, parts[SERVER])
    values["link"] = place.reach(control if is_apart else port)
    if agent:
        parts[AGENT] = start(AGENT, agent)
    return port, parts


@dataclass(frozen=True, slots=True)
class Choice:
    """The systems to measure by name, and what was left out, with reasons."""

    starts: dict[str, Start]
    left_out: list[str] = field(default_factory=list)


def choose(names: Sequence[str], *, templates: Sequence[str], workers: Sequence[int]) -> Choice:
    """The systems of the command line. Raises `ValueError` for a name or a template that cannot be used."""
    known: dict[str, Start] = {"direct": direct, "nginx, one hop": one_hop, "ssh -R": ssh_tunnel}
    counts: Sequence[int | None] = workers if _agent_knows_workers() else [None]
    for count in counts:
        known["ours" if count is None else f"ours, {count} worker{'s' * (count > 1)}"] = partial(ours, workers=count)
    unknown = [name for name in names if not any(each.startswith(name) for each in known)]
    if unknown:
        raise ValueError(f"no system begins with {unknown[0]!r}: there are {', '.join(known)}")
    chosen = {each: start for each, start in known.items() if not names or any(each.startswith(n) for n in names)}
    return Choice(chosen | dict(map(parse_template, templates)))


def parse_template(text: str) -> tuple[str, Start]:
    """A system from `NAME = SERVER COMMAND ;; AGENT COMMAND`. Raises `ValueError`."""
    name, _, commands = text.partition("=")
    server, _, agent = commands.partition(";;")
    if not (name.strip() and server.strip()):
        raise ValueError(f"{text!r}: must be NAME = SERVER COMMAND ;; AGENT COMMAND")
    return name.strip(), partial(from_template, commands=(server, agent.strip()))


@contextmanager
def running(
    choice: Choice, folder: Path, *, fields: tuple[str, ...] = (), round_trip: float | None = None
) -> Iterator[tuple[Process, list[System]]]:
    """The backend, and every chosen system before it; what this machine has no program for is noted as left out.

    With a `round_trip` (seconds), the far side of each is behind a `Link`.
    """
    with ExitStack() as stack:
        backend, port = nginx.start_backend(folder)
        stack.callback(backend.kill)
        _wait_for_port(port, backend)
        systems = []
        for name, start in choice.starts.items():
            links: list[Link] = []
            reach = _itself if round_trip is None else partial(_link, links, stack, round_trip)
            try:
                systems.append(_start(name, start, Place(port, folder, reach, fields), links, stack))
            except Missing as exc:
                choice.left_out.append(f"{name}: {exc}")
        yield backend, systems


def _itself(port: int) -> int:
    return port


def _link(links: list[Link], stack: ExitStack, round_trip: float, port: int) -> int:
    links.append(Link(port, round_trip=round_trip))
    stack.callback(links[-1].close)
    return links[-1].port


def _start(name: str, start: Start, place: Place, links: Sequence[Link], stack: ExitStack) -> System:
    port, parts = start(place)
    for process in parts.values():
        stack.callback(process.kill)

    def is_ready() -> bool:
        for process in parts.values():
            process.require_running()
        return is_answered(f"127.0.0.1:{port}", GET, place.fields)

    wait_until(is_ready, within=20 * SECOND, what=f"{name} answering")
    return System(name, port, parts, links)


def _wait_for_port(port: int, process: Process) -> None:
    def is_open() -> bool:
        process.require_running()
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    wait_until(is_open, within=20 * SECOND, what=f"{process.name} listening on {port}")


def _agent_knows_workers() -> bool:
    root = Path(__file__).parents[1]
    command = [interpreter("agent"), "-m", "agent", "--help"]
    return "--workers" in subprocess.run(command, capture_output=True, text=True, cwd=root, check=True).stdout


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))
