"""`make run` and `make run-appengine` as their users meet them: what is printed, what answers, what is left behind."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.backends import Httpbin
from tests.system.processes import Process, free_port, interpreter
from tests.system.rawhttp import get
from tests.timing import SECOND, wait_until

STARTING = 90 * SECOND
STOPPING = 30 * SECOND


@contextmanager
def command(folder: Path, module: str, *flags: str, python: str = sys.executable) -> Iterator[Process]:
    """A script of `make`, running."""
    process = Process(module, [python, "-m", module, *flags], log=folder / f"{module}.log")
    try:
        yield process
    finally:
        process.stop(within=STOPPING)


def wait_for_address(process: Process) -> str:
    """The first URL that it prints."""

    def find() -> str:
        process.require_running()
        match = re.search(r"http://127\.0\.0\.1:\d+", process.printed())
        return match[0] if match else ""

    return wait_until(find, within=STARTING, what=f"{process.name} saying where it is")


def descendants(process: Process) -> dict[int, str]:
    """What it started, and what those started: command lines by process ID."""
    table = subprocess.run(["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [(int(pid), int(parent), args) for pid, parent, args in (line.split(None, 2) for line in table.splitlines())]
    found = {process.pid}
    while more := {pid for pid, parent, _ in rows if parent in found} - found:
        found |= more
    return {pid: args for pid, _, args in rows if pid in found - {process.pid}}


def left_behind(started: dict[int, str]) -> list[str]:
    """The command lines of those that still run, when the kernel has had a moment to end what was killed."""
    deadline = time.monotonic() + 5 * SECOND
    while (running := [args for pid, args in started.items() if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return running


def is_running(pid: int) -> bool:
    """False also for a process that has ended and that nobody has asked about (state Z)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_line_names_a_page_that_is_there_and_a_signal_ends_everything(
    tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    with command(tmp_path, "scripts.run", f"--port={port}") as run:
        reply = get(wait_for_address(run), "/")
        assert (reply.status, b"It arrived." in reply.body) == (200, True)
        started = descendants(run)
        assert len(started) == 3
        run.send(number)
        assert run.wait(STOPPING) == 0
        assert run.printed() == f"Open http://127.0.0.1:{port}/ (Ctrl-C stops)\n"
    assert left_behind(started) == []


def test_a_child_that_dies_takes_the_others_with_it_and_is_named(tmp_path: Path) -> None:
    with command(tmp_path, "scripts.run", f"--port={free_port()}") as run:
        wait_for_address(run)
        started = descendants(run)
        (agent,) = [pid for pid, args in started.items() if "-m agent" in args]
        subprocess.run(["kill", "-KILL", str(agent)], check=True)
        assert run.wait(STOPPING) == 1
        assert "The agent was ended by SIGKILL. Its last lines:\n" in run.printed()
    assert left_behind(started) == []


def test_a_port_in_use_is_said_in_one_line_before_anything_starts(tmp_path: Path) -> None:
    with command(tmp_path, "scripts.run", f"--port={free_port()}") as first:
        port = wait_for_address(first).rpartition(":")[2]
        with command(tmp_path.parent, "scripts.run", f"--port={port}") as second:
            assert second.wait(STOPPING) == 1
            (line,) = second.printed().splitlines()
    assert line.startswith(f"Port {port} cannot be used")
    assert line.endswith(f"make run PORT={int(port) + 1}")


def test_a_server_of_ones_own_stands_behind_the_proxy(tmp_path: Path, httpbin: Httpbin) -> None:
    with command(tmp_path, "scripts.run", f"--port={free_port()}", f"--backend-url={httpbin.url}") as run:
        assert get(wait_for_address(run), "/status/418").status == 418


def test_a_server_of_ones_own_that_does_not_run_yet_is_waited_for(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with command(tmp_path, "scripts.run", f"--port={free_port()}", f"--backend-url={nowhere}") as run:
        wait_until(lambda: "Open http://" in run.printed(), within=STARTING, what="the line with the address")
        assert f"Nothing answers at http://{nowhere} yet: start it.\n" in run.printed()


def test_the_app_engine_shape_starts_from_the_yaml_files_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port(in_a_row=3)
    with command(tmp_path, "scripts.run_appengine", f"--port={port}", python=interpreter("appengine")) as run:
        reply = get(wait_for_address(run), "/")
        assert (reply.status, b"user@example.com" in reply.body) == (200, True)
        started = descendants(run)
        assert sum("gunicorn" in args for args in started.values()) >= 3
        run.send(signal.SIGINT)
        assert run.wait(STOPPING) == 0
        assert re.findall(r"http://127\.0\.0\.1:(\d+)", run.printed()) == [str(port + number) for number in range(3)]
    assert left_behind(started) == []
