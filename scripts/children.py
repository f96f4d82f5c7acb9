"""Child processes: started in order, watched, and stopped in the reverse order, whatever happens.

Each child leads a process group of its own, so that Ctrl-C in a terminal reaches this process alone, which then ends
the children one by one. Their output is kept for the day they die; only warnings and errors are passed on.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parent.parent

_KEPT_LINES: Final = 30
_POLL: Final = 0.05

_NOTABLE = re.compile(
    r"\b(?:WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b|^Traceback |^\[\S+ \S+ \S+\] \[\d+\] \[(?:WARN|ERR|CRIT)"
)

# What a child may know of this process's environment: an agent, say, is configured by names such as PORT or PROXY.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


class Stopped(Exception):
    """Somebody asked this process to end."""


class ChildDied(Exception):
    """A child ended although nobody asked it to; the text says which, how, and its last lines."""


class Child:
    """A running process, and the last lines that it wrote."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._is_muted = False
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**_inherited(), "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        in_traceback = False
        with self._process.stdout as output:
            for line in output:
                self._lines.append(line.rstrip())
                if not self._is_muted and (in_traceback or _NOTABLE.search(line)):
                    print(f"[{self.name}] {line.rstrip()}", file=sys.stderr, flush=True)
                # The line behind the indented ones says what was raised.
                in_traceback = line.startswith("Traceback ") or (in_traceback and line.startswith(" "))

    def find_line(self, pattern: str) -> re.Match[str] | None:
        """The match of a pattern in one of the last lines."""
        return next((match for line in tuple(self._lines) if (match := re.search(pattern, line))), None)

    def raise_if_dead(self) -> None:
        """Raises `ChildDied`."""
        code = self._process.poll()
        if code is not None:
            self._reader.join(timeout=1)
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise ChildDied("\n".join([f"The {self.name} {how}. Its last lines:", *(f"    {x}" for x in self._lines)]))

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Pass nothing on meanwhile: a child whose neighbours are not all there has reason to complain."""
        self._is_muted = True
        yield
        self._is_muted = False

    def stop(self, *, grace: float) -> None:
        """SIGTERM, and SIGKILL for it and all it started when `grace` seconds are over."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(timeout=1)


class Children:
    """The children of this process, in a `with` block at whose end none of them runs.

    Inside the block SIGINT, SIGTERM and SIGHUP are only noted; the next wait raises `Stopped`.
    """

    def __init__(self, *, grace: float = 6.0) -> None:
        self._grace = grace
        self._children: list[Child] = []
        self._asked_to_stop = threading.Event()

    def __enter__(self) -> Self:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._note)
        return self

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self._asked_to_stop.is_set():
            self._grace = 0  # asked twice: whoever waits has lost patience
        self._asked_to_stop.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop all children, the last one first."""
        with ExitStack() as silence:
            for child in self._children:
                silence.enter_context(child.muted())
            while self._children:
                self._children.pop().stop(grace=self._grace)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        """Start a child in the root of the repository, with a nearly empty environment and what is given."""
        child = Child(name, command, environment or {})
        self._children.append(child)
        return child

    def wait_until(self, is_ready: Callable[[], bool], *, what: str, timeout: float) -> None:
        """Return when `is_ready`. Raises `Stopped`, `ChildDied`, or `TimeoutError` after `timeout` seconds."""
        for _ in range(int(timeout / _POLL)):
            if is_ready():
                return
            self._pause()
        raise TimeoutError(f"{what} is not there after {timeout:g} seconds")

    def wait_for_line(self, child: Child, pattern: str, *, timeout: float = 30.0) -> re.Match[str]:
        """The match of a pattern in what a child writes. Raises as `wait_until` does."""
        self.wait_until(lambda: child.find_line(pattern) is not None, what=f"the {child.name}", timeout=timeout)
        match = child.find_line(pattern)
        assert match is not None
        return match

    def watch(self) -> None:
        """Wait until asked to stop, and return. Raises `ChildDied`."""
        with suppress(Stopped):
            while True:
                self._pause()

    def _pause(self) -> None:
        if self._asked_to_stop.wait(_POLL):
            raise Stopped
        for child in self._children:
            child.raise_if_dead()


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}
