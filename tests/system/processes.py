"""Programs as processes: each from the environment of its own requirements, none left behind.

A process dies with the test run, also when that is killed: the kernel sends it SIGKILL (prctl PR_SET_PDEATHSIG).
"""

import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from tests.timing import SECOND, wait_until

ROOT: Final = Path(__file__).resolve().parents[2]
STARTUP: Final = 30 * SECOND

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LISTENING: Final = re.compile(r"Listening (?:on|at):? (https?://[^\s]+:\d+)")

# What a program may see of the tests' own environment; all else is given by name.
_INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME")


def environment(name: str) -> Path:
    """The folder of a virtual environment: `agent`, `standalone`, `appengine` or `peers`."""
    return ROOT / ".venv" / name


def interpreter(name: str) -> str:
    """The Python of an environment."""
    return str(environment(name) / "bin" / "python")


class Process:
    """A running program; what it prints goes to a file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        lives_while_open: bool = False,
    ) -> None:
        """With `lives_while_open` it has a standard input, which ends when it shall end, or when the test run does."""
        self.name = name
        self.log = log
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        with log.open("ab") as output:
            self._starts_at = output.tell()
            self._popen = subprocess.Popen(
                list(argv),
                cwd=ROOT,
                env={**inherited, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
                stdin=subprocess.PIPE if lives_while_open else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=None if lives_while_open else _die_with_parent,
                start_new_session=True,
            )
        _running.append(self)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    @property
    def memory(self) -> int:
        """What is resident, in bytes."""
        return self._status("VmRSS")

    @property
    def peak_memory(self) -> int:
        """The most that has been resident, in bytes."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        """A size from `/proc/PID/status` (proc(5))."""
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return int(fields[name].split()[0]) * 1024

    def printed(self) -> str:
        """All that this run of the program has printed."""
        with self.log.open("rb") as output:
            output.seek(self._starts_at)
            return output.read().decode("utf-8", "replace")

    def wait_for_url(self) -> str:
        """The address in its line `Listening on http://…`."""
        return wait_until(self._find_url, within=STARTUP, what=f"{self.name} listening")

    def _find_url(self) -> str:
        self.require_running()
        match = _LISTENING.search(self.printed())
        return match[1] if match else ""

    def require_running(self) -> None:
        """Raises `RuntimeError` with what it printed when the program has ended."""
        if not self.is_running:
            raise RuntimeError(f"{self.name} ended with {self._popen.returncode}:\n{self.printed()}")

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, within: float) -> int:
        """Its exit status; negative for the signal that ended it. Raises `subprocess.TimeoutExpired`."""
        return self._popen.wait(within)

    def kill(self) -> None:
        """SIGKILL to it and to the workers that it has started, and wait."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._end()

    def stop(self, within: float = 10 * SECOND) -> int:
        """Ask it to end, by SIGTERM or by the end of its input; then SIGKILL when it has not `within` seconds.

        Its exit status.
        """
        if self._popen.stdin:
            self._popen.stdin.close()
        else:
            self._popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(within)
        self.kill()
        return self._popen.returncode

    def _end(self) -> None:
        self._popen.wait()
        if self in _running:
            _running.remove(self)


_running: Final[list[Process]] = []
"""The processes that were started and not stopped: their output is shown when a test fails."""


def running() -> Iterator[Process]:
    """The processes that have been started and not stopped yet."""
    return iter(list(_running))


def start_entrypoint(name: str, command: str, *, environment_name: str, log: Path, env: Mapping[str, str]) -> Process:
    """The `entrypoint:` line of a yaml file, run as App Engine runs it: by a shell, its own programs first."""
    path = f"{environment(environment_name) / 'bin'}:{os.environ['PATH']}"
    return Process(name, ["/bin/sh", "-c", f"exec {command}"], log=log, env={**env, "PATH": path})


def free_port(*, in_a_row: int = 1) -> int:
    """The first of some ports of loopback that nobody has just now.

    Below those that Linux gives to connections (`ip_local_port_range`): the next one that anybody opens takes none.
    """
    while True:
        first = random.randrange(10_000, 32_000)
        with suppress(OSError), ExitStack() as stack:
            for port in range(first, first + in_a_row):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
