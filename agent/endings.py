"""What ends the agent, out of one pipe: signals, and the word that nothing runs any more.

A pipe, because a handler in Python runs only when the main thread comes to its next bytecode: a signal in the moment
before it begins to wait would wake nobody. The interpreter writes to the pipe from its own handler, in whichever thread
the signal arrives (`signal.set_wakeup_fd`).
"""

import os
import select
import signal
from types import FrameType
from typing import Final

DRAINED: Final = 0
"""Nothing runs any more; every other number is that of a signal."""


class Endings:
    """Reports SIGTERM and SIGINT from now on; made and waited on in the main thread, one for each process."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        signal.set_wakeup_fd(self._writing)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _do_nothing_here)

    def report_drained(self) -> None:
        """From any thread."""
        os.write(self._writing, bytes([DRAINED]))

    def wait(self, timeout: float | None = None) -> int | None:
        """The next ending, in the order in which they came; None when there is none within `timeout` seconds."""
        readable, _, _ = select.select([self._reading], [], [], timeout)
        return os.read(self._reading, 1)[0] if readable else None


def _do_nothing_here(number: int, frame: FrameType | None) -> None:
    """The number stands in the pipe already; without a handler there would be none."""
