"""What serves one backend, started and ended as one."""

from collections.abc import Callable, Sequence

from agent.poller import Poller


class Service:
    """A poller, and `stops`: what ends the waits that would otherwise keep its requests running."""

    def __init__(self, poller: Poller, *, stops: Sequence[Callable[[], None]]) -> None:
        self._poller = poller
        self._stops = stops

    def start(self) -> None:
        self._poller.start()

    def stop(self) -> int:
        """Ask for no more, at once; the number of requests that still run."""
        running = self._poller.stop()
        for stop in self._stops:
            stop()
        return running
