"""An event loop that does not wait for time to pass, for code whose only other peers are in the same thread."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Impatient(selectors.DefaultSelector):
    """Where nothing is ready, the time that it would have waited has passed at once."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select()  # no alarm is set: only another thread can go on
        ready = super().select(0)
        if not ready:
            self.passed += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its time stands still while something is to be done, and jumps to the next alarm when nothing is.

    So alarms go off in their order however slow the machine is. Nothing in it may wait for threads or sockets under an
    alarm, which would go off first.
    """

    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        return self._impatient.passed


def run_at_once(scenario: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, in time that takes none."""

    async def to_the_end() -> T:
        try:
            return await scenario
        finally:
            # Here, because from Python 3.12 on the runner waits for threads under an alarm.
            await asyncio.get_running_loop().shutdown_default_executor()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(to_the_end())
