"""The answers on their way to the proxy: who has one posts all that wait, and a lone one is posted at once."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.crew import Crew
from agent.proxy.errors import ProxyError
from agent.proxy.replay import WHOLE_BYTES
from wire.protocol import MAX_BATCH_BYTES, MAX_ENTRIES, MAX_HEAD_BYTES, RequestId

logger = logging.getLogger(__name__)

_MOST_TOGETHER: Final = min(MAX_ENTRIES, MAX_BATCH_BYTES // (WHOLE_BYTES + MAX_HEAD_BYTES))
"""Answers in a batch; so many never have too many bytes, however long each is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A small answer, whole."""

    request_id: RequestId
    data: bytes
    """The raw HTTP/1.1 response."""
    failure: str
    """Why the agent made it itself; empty for a backend's answer."""
    told: Callable[[Exception | None], None]
    """Called once: with None when the proxy has it, else with the `ProxyError` or `TransportError` that kept it."""


Post = Callable[[list[Answer], Callable[[], None]], None]
"""Posts answers, and tells each what has become of it. The second argument is to be called when that takes longer."""


class Outbox:
    """Posts answers, up to `width` calls at a time."""

    def __init__(self, post: Post, *, width: Callable[[], int], crew: Crew) -> None:
        self._post = post
        self._width = width
        self._crew = crew
        self._lock = threading.Lock()  # guards the two below
        self._waiting: deque[Answer] = deque()
        self._posting = 0

    def put(self, *answers: Answer) -> None:
        """Have answers posted: in this thread, together with others that wait, or by a thread that posts already."""
        with self._lock:
            self._waiting.extend(answers)
            if self._posting >= self._width():
                return
            self._posting += 1
        self._post_waiting()

    def _post_waiting(self) -> None:
        while answers := self._take():
            turn = _Turn(self._give_up)
            try:
                self._post(answers, turn.give_up)
            except Exception:
                logger.exception("answers could not be posted")
                for answer in answers:
                    answer.told(ProxyError("the agent failed"))
            if turn.is_given_up:
                return

    def _take(self) -> list[Answer]:
        """What waits; nothing ends this turn."""
        with self._lock:
            answers = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_TOGETHER))]
            if not answers:
                self._posting -= 1
            return answers

    def _give_up(self) -> None:
        """A call has to be repeated: what waits must not wait for that."""
        with self._lock:
            if not self._waiting:
                self._posting -= 1
                return
        self._crew.run(self._post_waiting)


class _Turn:
    """One call's place among those on their way."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self.is_given_up = False

    def give_up(self) -> None:
        if not self.is_given_up:
            self.is_given_up = True
            self._give_up()
