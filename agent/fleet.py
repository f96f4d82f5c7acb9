"""The pollers of one process, one for each backend, started and ended together."""

import threading
from collections.abc import Callable, Iterable

from agent.poller import Poller


class Fleet:
    """`build` makes the poller of one backend, which calls what it is given when it has drained.

    `on_drained` is called once, after `stop`, when nothing runs in any of them; from any thread.
    """

    def __init__(
        self, builds: Iterable[Callable[[Callable[[], None]], Poller]], *, on_drained: Callable[[], None]
    ) -> None:
        self._on_drained = on_drained
        self._lock = threading.Lock()  # guards _undrained
        self._pollers = [build(self._count_drained) for build in builds]
        self._undrained = len(self._pollers)

    def start(self) -> None:
        for poller in self._pollers:
            poller.start()

    def stop(self) -> int:
        """Ask no more, at once; the number of requests that still run."""
        return sum([poller.stop() for poller in self._pollers])

    def _count_drained(self) -> None:
        with self._lock:
            self._undrained -= 1
            is_last = not self._undrained
        if is_last:
            self._on_drained()
