"""The helpers as the first worker has them: started when they are of use, again when they die, and stopped with it."""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection, Pipe, wait
from typing import Final

from agent.backoff import Backoff
from agent.settings.load import Settings
from agent.workers.command import WORKER
from agent.workers.messages import Counts, Serve, Stop, Unhealthy
from agent.workers.summing import SummedCounts

logger = logging.getLogger(__name__)

_LOOKING: Final = 1.0
"""Seconds after which it is looked again whether helpers are of use."""

_RESTARTS: Final = Backoff(timedelta(seconds=1), timedelta(seconds=60))
_PROVEN: Final = 60.0
"""Seconds: a helper that has lived so long starts again as if it were the first time."""

_UNSHARED: Final = 60.0
"""Seconds for which there are none, once a proxy has spoken version 1: perhaps several versions answer in turn."""

_ENDING: Final = 5.0
"""Seconds that a helper may take from the end of its socket to its own."""


class Helpers:
    """Up to `count` further processes.

    They run while `are_useful`, asked every second, is true. `on_stopped` is called once, after `stop`, when none is
    left; `on_unhealthy` when one of them says that a backend was healthy and is no more.
    """

    def __init__(
        self,
        command: Sequence[str],
        settings: Settings,
        *,
        count: int,
        counts: Sequence[SummedCounts],
        are_useful: Callable[[], bool],
        on_stopped: Callable[[], None],
        on_unhealthy: Callable[[], None],
        environment: Mapping[str, str],
    ) -> None:
        """`counts` has one for each backend of the settings."""
        self._command = command
        self._settings = settings
        self._counts = counts
        self._are_useful = are_useful
        self._on_stopped = on_stopped
        self._on_unhealthy = on_unhealthy
        self._environment = environment
        self._places = [_Place(number) for number in range(2, count + 2)]
        self._not_before = 0.0
        self._waking, self._wake = Pipe(duplex=False)
        self._is_stopping = False
        self.has_failed = False
        """True if one of them left something unfinished when it was stopped."""
        self._thread = threading.Thread(target=self._live, name="workers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let them ask for no more, at once, finish what runs, and end."""
        self._is_stopping = True
        self._wake.send(None)

    def processes(self) -> list[int]:
        """The processes that run."""
        return [process.pid for place in self._places if (process := place.process) is not None]

    def _live(self) -> None:
        # What is started in this thread inherits that: signals are for the first worker alone.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        while not self._is_stopping:
            try:
                self._start_or_stop()
            except OSError as exc:
                logger.error("no further worker can be started: %s", exc.strerror)
                self._not_before = time.monotonic() + _UNSHARED
            self._listen(_LOOKING)
        for place in self._running():
            place.stop()
        while self._running():
            self._listen(None)
        self._on_stopped()

    def _running(self) -> list["_Place"]:
        return [place for place in self._places if place.connection is not None]

    def _start_or_stop(self) -> None:
        now = time.monotonic()
        if not self._are_useful():
            for place in self._running():
                place.stop()
                self._not_before = now + _UNSHARED
            return
        for place in self._places:
            if place.connection is None and now >= max(place.not_before, self._not_before):
                place.start(self._command, self._settings, self._environment, now=now)

    def _listen(self, timeout: float | None) -> None:
        """Hear what helpers say, and see which have ended."""
        running = self._running()
        ready = wait([self._waking, *(place.connection for place in running if place.connection)], timeout)
        if self._waking in ready:
            self._waking.recv()
        for place in running:
            if place.connection in ready:
                self._hear(place)

    def _hear(self, place: "_Place") -> None:
        message = place.receive()
        if isinstance(message, Counts):
            for counts, snapshot in zip(self._counts, message.snapshots, strict=True):
                counts.report(place.number, snapshot)
        elif isinstance(message, Unhealthy):
            self._on_unhealthy()
        elif message is None:
            status = place.end(now=time.monotonic())
            for counts in self._counts:
                counts.end(place.number)
            self.has_failed = self.has_failed or (self._is_stopping and status != 0)
            if not place.is_stopped:
                delay = place.not_before - time.monotonic()
                logger.error("worker %d ended with status %d: it starts again in %.0f s", place.number, status, delay)


class _Place:
    """Where one helper runs, and after it the next."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.connection: Connection[object, object] | None = None
        self.not_before = 0.0
        self.is_stopped = False
        self.process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._deaths = 0

    def start(self, command: Sequence[str], settings: Settings, environment: Mapping[str, str], *, now: float) -> None:
        """Raises `OSError`."""
        ours, theirs = Pipe()
        try:
            self.process = subprocess.Popen(
                command,
                env={**environment, WORKER: str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        logger.info("worker %d starts: process %d", self.number, self.process.pid)
        self.connection, self._began, self.is_stopped = ours, now, False
        self._send(Serve(settings))

    def _send(self, message: object) -> None:
        try:
            if self.connection is not None:
                self.connection.send(message)
        except OSError as exc:
            logger.debug("worker %d hears nothing any more: %s", self.number, exc)

    def stop(self) -> None:
        if not self.is_stopped:
            self.is_stopped = True
            self._send(Stop())

    def receive(self) -> object:
        """The next message; None when there will be none."""
        try:
            return self.connection.recv() if self.connection is not None else None
        except (EOFError, OSError):
            return None

    def end(self, *, now: float) -> int:
        """Its exit status; and when the next one may start."""
        assert self.process is not None and self.connection is not None
        self.connection.close()
        self.connection = None
        try:
            status = self.process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = None
        self._deaths = 0 if self.is_stopped or now - self._began > _PROVEN else self._deaths + 1
        self.not_before = now + (_RESTARTS.delay(self._deaths - 1, jitter=1.0).total_seconds() if self._deaths else 0.0)
        return status
