"""What a backend has sent to one page and the page has not yet confirmed: numbered, in order, bounded. No I/O.

One thread puts, any thread takes; one taker at a time gets something, the newest.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.shim.protocol import BadRequest, Closing, Message

ANSWER_BYTES: Final = 4 << 20
"""One answer carries no further message once it has this much."""


class Finished(Exception):
    """The websocket has ended, and all that came before its end has been taken."""

    def __init__(self, closing: Closing) -> None:
        super().__init__(f"the websocket is closed: {closing.code}")
        self.closing = closing


def _nothing() -> None:
    """Messages that stay until they are confirmed by number need no settling."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Messages on their way to the page."""

    messages: tuple[Message, ...]
    handed_on: Callable[[], None] = _nothing
    """The answer has been read to its end: what cannot be confirmed by number counts as received."""
    given_up: Callable[[], None] = _nothing
    """The answer will not be read any further; harmless after `handed_on`."""


class Mailbox:
    """`on_room` is called, from any thread, when the mailbox was full and is not any more."""

    def __init__(self, *, max_messages: int, max_bytes: int, on_room: Callable[[], None]) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._on_room = on_room
        self._changed = threading.Condition()  # guards all below
        self._kept: deque[Message] = deque()
        self._kept_bytes = 0
        self._first = 0  # the number of the first one kept
        self._lent = 0  # how many of the kept ones are in an answer that nobody can confirm
        self._turn = 0
        self._is_shut = False
        self._closing: Closing | None = None
        self._on_finished: list[Callable[[], None]] = []

    @property
    def is_full(self) -> bool:
        """True when no more should be read. A message that comes all the same is kept: it has been read already."""
        with self._changed:
            return self._is_full()

    def _is_full(self) -> bool:
        return len(self._kept) >= self._max_messages or self._kept_bytes >= self._max_bytes

    @property
    def closing(self) -> Closing | None:
        """How the websocket ended; None while it lives."""
        with self._changed:
            return self._closing

    def put(self, message: Message) -> None:
        """One more message, unless nobody will take any more."""
        with self._changed:
            if self._is_shut or self._closing is not None:
                return
            self._kept.append(message)
            self._kept_bytes += _size(message)
            self._changed.notify_all()

    def finish(self, closing: Closing) -> None:
        """The websocket has ended; what was put can still be taken. Only the first call counts."""
        with self._changed:
            if self._closing is None:
                self._closing = closing
            callbacks, self._on_finished = self._on_finished, []
            self._changed.notify_all()
        for callback in callbacks:
            callback()

    def when_finished(self, callback: Callable[[], None]) -> None:
        """Call it once the websocket has ended: now if it has, otherwise from the thread that ends it."""
        with self._changed:
            is_finished = self._closing is not None
            if not is_finished:
                self._on_finished.append(callback)
        if is_finished:
            callback()

    def shut(self) -> None:
        """The page closes: it wants nothing more but how that ends (WHATWG: no message events once it is closing)."""
        with self._changed:
            self._is_shut = True
            was_full = self._is_full()
            self._first += len(self._kept)
            self._kept.clear()
            self._kept_bytes = self._lent = 0
            self._changed.notify_all()
        if was_full:
            self._on_room()

    def interrupt(self) -> None:
        """End the waiting of whoever waits, with nothing."""
        with self._changed:
            self._turn += 1
            self._changed.notify_all()

    def take(self, ack: int | None, *, timeout: float) -> Taken | None:
        """The messages from number `ack` on, as soon as there are some; None when none came in `timeout` seconds, or a
        newer call came.

        Without `ack`: what has not been handed on yet. Raises `Finished`; `BadRequest` for a number that never was.
        """
        with self._changed:
            self._turn += 1
            turn = self._turn
            self._changed.notify_all()
            was_full = self._is_full()
            if ack is not None:
                self._confirm(ack)
            has_room = was_full and not self._is_full()
        if has_room:
            self._on_room()
        give_up_at = time.monotonic() + timeout
        with self._changed:
            self._changed.wait_for(
                lambda: turn != self._turn or (not self._lent and (self._kept or self._closing is not None)),
                timeout=max(0.0, give_up_at - time.monotonic()),
            )
            if turn != self._turn or self._lent:
                return None
            if self._kept:
                return self._lend(by_number=ack is not None)
            if self._closing is not None:
                raise Finished(self._closing)
            return None

    def _confirm(self, ack: int) -> None:
        if ack > self._first + len(self._kept):
            raise BadRequest(f"ack: only {self._first + len(self._kept)} messages have been sent")
        self._lent = 0
        self._drop(ack - self._first)

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._kept_bytes -= _size(self._kept.popleft())
            self._first += 1

    def _lend(self, *, by_number: bool) -> Taken:
        messages: list[Message] = []
        size = 0
        for message in self._kept:
            size += _size(message)
            if messages and size > ANSWER_BYTES:
                break
            messages.append(message)
        if by_number:
            return Taken(tuple(messages))
        self._lent = len(messages)
        number = self._first
        return Taken(tuple(messages), lambda: self._settle(number, received=True), lambda: self._settle(number))

    def _settle(self, number: int, *, received: bool = False) -> None:
        """What was lent from `number` on is the page's, or goes back."""
        with self._changed:
            if not self._lent or number != self._first:
                return
            was_full = self._is_full()
            if received:
                self._drop(self._lent)
            self._lent = 0
            has_room = was_full and not self._is_full()
            self._changed.notify_all()
        if has_room:
            self._on_room()


def _size(message: Message) -> int:
    """Bytes, about: what a text takes beyond one byte a character is not counted, but what any message costs is."""
    return len(message) + 64
