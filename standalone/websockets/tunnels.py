"""The tunnels of websockets: agents' ends that have come, users' ends that wait for them, and all that are open.

No frame is read here (`standalone.connections.splice`), so none can be added either: a tunnel that is ended from here,
because it was idle, is not allowed any more, or because the proxy stops, ends without a close frame.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.errors import BrokerError, Overloaded
from edge.logs import Access, log_access
from standalone.connections.splice import End, Splice
from standalone.rights import Right, always
from wire.errors import WireError
from wire.protocol import RequestId
from wire.upgrades import Switched, read_outcome

logger = logging.getLogger(__name__)

IDLE: Final = timedelta(minutes=60)
LIMIT: Final = 5_000
HEAD_SECONDS: Final = 10.0
"""For an agent to send the head of its backend's 101, once it has its tunnel."""

IDLE_REASON: Final = "websocket-idle"
AGENT_LOST_REASON: Final = "agent-lost"
NOT_ALLOWED_REASON: Final = "not-allowed"
STOPPING_REASON: Final = "stopping"


class AgentEnd(End):
    """The agent's side, which begins with the head of the backend's 101.

    `on_head` is called once with the bytes of that head, or with an error when they are none, or do not come.
    """

    __slots__ = ("_alarm", "_on_head", "may_stay", "rest")

    def __init__(self, on_head: Callable[["AgentEnd", bytes, Exception | None], None], may_stay: Right) -> None:
        super().__init__()
        self.may_stay = may_stay
        """False once its agent may not serve any more."""
        self._on_head: Callable[[AgentEnd, bytes, Exception | None], None] | None = on_head
        self._alarm: asyncio.TimerHandle | None = None
        self.rest = b""
        """What came behind the head, with it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as asyncio has it
        super().connection_made(transport)
        self._alarm = asyncio.get_running_loop().call_later(
            HEAD_SECONDS, self._report, b"", TimeoutError("no head of a 101 in time")
        )

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._on_head is not None:
            self._look_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._report(b"", ConnectionError("the agent's tunnel broke off"))
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        self._report(b"", ConnectionError("the agent's tunnel ended within its head"))
        return super().eof_received()

    def _look_for_head(self) -> None:
        data = self.take_early()
        try:
            outcome = read_outcome(data)
        except WireError as exc:
            self._report(b"", exc)
            return
        if outcome is None:
            self._early = data
        elif isinstance(outcome, Switched):
            self._early = outcome.rest
            self._report(data[: len(data) - len(outcome.rest)], None)
        else:
            self._report(b"", ConnectionError("the agent's tunnel begins with an answer that is no 101"))

    def _report(self, head: bytes, error: Exception | None) -> None:
        on_head, self._on_head = self._on_head, None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if on_head is not None:
            on_head(self, head, error)


@dataclass(slots=True)
class _Opened:
    access: Access
    began: datetime
    is_served: Right
    is_allowed: Right
    reason: str = ""

    def why_over(self) -> str:
        """Why it has to end: its agent may not serve it any more, or its user have it; empty while both may."""
        if not self.is_served():
            return AGENT_LOST_REASON
        return "" if self.is_allowed() else NOT_ALLOWED_REASON


class Tunnels:
    """At most `limit` at a time, each ended after `idle` without a byte. Lives in one event loop."""

    def __init__(self, *, now: Callable[[], datetime], idle: timedelta = IDLE, limit: int = LIMIT) -> None:
        self._now = now
        self._idle = idle.total_seconds()
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._arrived: dict[RequestId, AgentEnd] = {}
        self._opening = 0
        self._open: dict[Splice, _Opened] = {}
        self._tasks: dict[asyncio.Task[None], Right] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open) + len(self._tasks)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A handshake, which counts like what is open. Raises `Overloaded` where there are too many."""
        if len(self) + self._opening >= self._limit:
            raise Overloaded(f"{self._limit} websockets are open already")
        self._opening += 1
        try:
            yield
        finally:
            self._opening -= 1

    def open_for(
        self,
        request_id: RequestId,
        answer: Callable[[bytes], None],
        give_up: Callable[[], None],
        may_stay: Right,
    ) -> AgentEnd:
        """The end of an agent that brings the tunnel of a request, for as long as it `may_stay`.

        The head that it sends is given to `answer`, which may raise `BrokerError` when nobody wants it; `give_up` is
        called instead when none comes.
        """

        def on_head(end: AgentEnd, head: bytes, error: Exception | None) -> None:
            try:
                if error is not None:
                    logger.info("%.8s no tunnel: %s", request_id, error)
                    end.abort()
                    give_up()
                else:
                    self._arrived[request_id] = end
                    answer(head)
            except BrokerError as exc:
                logger.info("%.8s no tunnel: %s", request_id, exc)
                self.discard(request_id)

        return AgentEnd(on_head, may_stay)

    def take(self, request_id: RequestId) -> AgentEnd | None:
        """The agent's end, whose head was given; it is the caller's."""
        return self._arrived.pop(request_id, None)

    def discard(self, request_id: RequestId) -> None:
        """Nobody wants the tunnel of this request any more."""
        end = self._arrived.pop(request_id, None)
        if end is not None:
            end.abort()

    def join(self, user: End, agent: AgentEnd, access: Access, is_allowed: Right) -> None:
        """Begin a tunnel, for as long as its user may have it; its line stands in the log when it has ended."""
        splice = Splice(user, agent, time=self._loop.time, on_end=self._has_ended)
        self._open[splice] = _Opened(access, self._now(), agent.may_stay, is_allowed)
        splice.join(from_user=user.take_early(), from_agent=agent.take_early())

    def keep(self, task: "asyncio.Task[None]", is_allowed: Right) -> None:
        """A websocket that is served by a task, which ends it when it is cancelled."""
        self._tasks[task] = is_allowed
        task.add_done_callback(self._tasks.pop)

    @staticmethod
    def log(access: Access) -> None:
        """Write the line of a websocket that has ended."""
        log_access(logger, access)

    def sweep(self) -> None:
        """End what has been idle for too long, and what is not allowed any more."""
        late = self._loop.time() - self._idle
        for splice, opened in list(self._open.items()):
            reason = IDLE_REASON if splice.moved_at <= late else opened.why_over()
            if reason:
                opened.reason = reason
                # Not in order where something waits to be written: who has not read for so long never will.
                splice.abort()
        for task in [task for task, is_allowed in self._tasks.items() if not is_allowed()]:
            self._tasks[task] = always  # once: the agent is to hear of it
            task.cancel()

    def close(self) -> None:
        """End all, in order."""
        for splice, opened in list(self._open.items()):
            opened.reason = STOPPING_REASON
            splice.close()
        for task in list(self._tasks):
            task.cancel()

    def abort(self) -> None:
        """End all at once."""
        for splice in list(self._open):
            splice.abort()

    def _has_ended(self, splice: Splice) -> None:
        opened = self._open.pop(splice)
        total = opened.access.total + (self._now() - opened.began)
        received, sent = splice.user.received, splice.agent.received
        self.log(opened.access._replace(received=received, sent=sent, total=total, reason=opened.reason))
