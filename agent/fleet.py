"""The services of one process, one for each backend, started and ended together."""

import threading
from collections.abc import Callable, Iterable

from agent.service import Service


class Fleet:
    """Each of `builds` makes one, which calls what it is given when nothing runs in it any more, after its `stop`.

    `on_drained` is called once, after `stop`, when nothing runs in any of them; from any thread.
    """

    def __init__(
        self, builds: Iterable[Callable[[Callable[[], None]], Service]], *, on_drained: Callable[[], None]
    ) -> None:
        self._on_drained = on_drained
        self._lock = threading.Lock()  # guards _undrained
        self._services = [build(self._count_drained) for build in builds]
        self._undrained = len(self._services)

    def start(self) -> None:
        for service in self._services:
            service.start()

    def stop(self) -> int:
        """Ask no more, at once; the number of requests that still run."""
        return sum([service.stop() for service in self._services])

    def _count_drained(self) -> None:
        with self._lock:
            self._undrained -= 1
            is_last = not self._undrained
        if is_last:
            self._on_drained()
