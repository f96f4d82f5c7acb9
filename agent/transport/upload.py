"""A body on its way to a peer, over whichever version of HTTP."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.transport.errors import SourceBroke, TransportError
from wire.errors import WireError
from wire.http1 import End

logger = logging.getLogger(__name__)

_OVERTAKING: Final = 0.05
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is sent as it comes."""

    events: Iterator[bytes | End]
    """Pieces, then one `End`; raises `TransportError` or `WireError` when the rest does not come."""
    abandon: Callable[[], None]
    """Called, from another thread, when nobody will read the rest: makes a waiting read end, if that is wanted."""


def _nothing() -> None:
    """Nobody has to be told."""


class Upload:
    """A body on its way. It has a thread, because the peer may answer, and want to be read, before the body ends.

    `send` raises `TransportError`. `abort` ends the sending, from any thread, so that the peer sees that the body is
    not whole; harmless once it has ended. `on_finished` is called when nothing more will be sent.
    """

    def __init__(
        self,
        body: Body,
        *,
        send: Callable[[bytes | End], None],
        abort: Callable[[], None],
        on_finished: Callable[[], None] = _nothing,
    ) -> None:
        self._body = body
        self._send = send
        self._abort = abort
        self._on_finished = on_finished
        self._is_stopped = False
        self._is_complete = False
        self.finished_at: float | None = None
        self.source_error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._send_all()
        except TransportError:
            # The peer ended this while it was sent to: whoever receives finds its answer, or that there is none.
            return
        except Exception as exc:
            if not isinstance(exc, SourceBroke):
                logger.exception("an upload failed")
            self.source_error = exc
            # Never a clean end: the peer must see that the body is not whole.
            self._abort()
        finally:
            self.finished_at = time.monotonic()
            self._on_finished()

    def _send_all(self) -> None:
        while not self._is_stopped:
            event = self._next_event()
            if not self._is_stopped:
                self._send(event)
            if isinstance(event, End):
                self._is_complete = not self._is_stopped
                return

    def _next_event(self) -> bytes | End:
        try:
            return next(self._body.events)
        except (TransportError, WireError, StopIteration) as exc:
            raise SourceBroke(str(exc)) from exc

    def has_completed(self) -> bool:
        """True if all was sent. An answer may overtake the end of this thread by a moment, so that is waited for."""
        self._thread.join(_OVERTAKING)
        return self._is_complete

    def stop(self) -> None:
        """Send no more, and wait until the body is no longer being read."""
        self._is_stopped = True
        self._abort()
        if not self._is_complete:
            self._body.abandon()
        self._thread.join()
