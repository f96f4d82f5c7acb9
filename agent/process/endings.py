"""What ends the agent, out of one pipe: signals, the word that nothing runs any more, and failures beyond mending.

A pipe, because a handler in Python runs only when the main thread comes to its next bytecode: a signal in the moment
before it begins to wait would wake nobody. The interpreter writes to the pipe from its own handler, in whichever thread
the signal arrives (`signal.set_wakeup_fd`).
"""

import logging
import os
import select
import signal
import threading
import traceback
from collections.abc import Iterable
from types import FrameType
from typing import Final

logger = logging.getLogger(__name__)

DRAINED: Final = 0
"""Nothing runs any more."""

FAILED: Final = 255
"""Something has ended that the agent cannot do without: a supervisor has to start it anew. The log says what."""

UNHEALTHY: Final = 254
"""The backend was healthy and is no more. Every number but these three is that of a signal."""


class Endings:
    """Reports `signals` from now on; made and waited on in the main thread, one for each process."""

    def __init__(self, *, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT)) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        signal.set_wakeup_fd(self._writing)
        for number in signals:
            signal.signal(number, _do_nothing_here)

    def report(self, ending: int) -> None:
        """From any thread."""
        os.write(self._writing, bytes([ending]))

    def wait(self, timeout: float | None = None) -> int | None:
        """The next ending, in the order in which they came; None when there is none within `timeout` seconds."""
        readable, _, _ = select.select([self._reading], [], [], timeout)
        return os.read(self._reading, 1)[0] if readable else None


def log_deaths() -> None:
    """From now on a thread that ends by an exception says so in the log, and not on standard error alone.

    It does not end the process: a thread that everything depends on says so itself (`on_death` of poller and health),
    and another one may have died of what some user sent.
    """
    threading.excepthook = _log_death


def _log_death(death: threading.ExceptHookArgs) -> None:
    if death.exc_type is SystemExit:
        return
    name = death.thread.name if death.thread is not None else "?"
    # Without the exception's own text: nobody knows what it holds.
    trace = "".join(traceback.format_tb(death.exc_traceback))
    logger.critical("the thread %s died of %s\n%s", name, death.exc_type.__name__, trace)


def _do_nothing_here(number: int, frame: FrameType | None) -> None:
    """The number stands in the pipe already; without a handler there would be none."""
