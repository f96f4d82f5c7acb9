"""The table of open websockets: each belongs to one end user, is known by a random ID, and lives while it is used."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from agent.shim.mailbox import Mailbox
from agent.shim.protocol import Closing, Message
from agent.telemetry.observer import UNOBSERVED, Observer

_ENDED_FOR: Final = 60.0
"""Seconds for which an ended websocket is known, so that its page learns how it ended."""


class Websocket(Protocol):
    """What is used of a `Connection`."""

    @property
    def mailbox(self) -> Mailbox: ...
    @property
    def is_over(self) -> bool: ...
    def send(self, messages: list[Message], *, timeout: float) -> int: ...
    def close(self, code: int | None, reason: str, *, told: Closing | None = None) -> None: ...


class TooManySessions(Exception):
    """There is no room for another websocket; the text says whose limit is reached."""


@dataclass(eq=False, slots=True)
class Session:
    """One websocket of one page."""

    session_id: str
    user_id: str
    version: int
    target: str
    websocket: Websocket
    used_at: float
    ended_at: float | None = None
    """When it was first seen that it had ended."""
    polls: int = 0
    """Those that wait now: their page is there."""
    taken: int = 0
    """Messages from the page so far, in all; changed by `take` alone, while `sending` is held."""
    arrived: threading.Condition = field(default_factory=threading.Condition)
    """Told when `taken` grows."""
    sending: threading.Lock = field(default_factory=threading.Lock)
    """Held while messages are sent, so that those of two requests do not mix."""
    is_told: bool = False
    """The page has been told that it has ended."""

    @property
    def is_open(self) -> bool:
        return self.websocket.mailbox.closing is None

    def take(self, count: int) -> None:
        """So many more messages have come from the page."""
        with self.arrived:
            self.taken += count
            self.arrived.notify_all()

    def wait_until_taken(self, count: int, *, timeout: float) -> None:
        """Return when so many messages have come in all, or after `timeout` seconds."""
        with self.arrived:
            self.arrived.wait_for(lambda: self.taken >= count, timeout=timeout)


class Sessions:
    """At most `most` at a time, and `most_each` for one known user. A user knows his own sessions, nobody else does."""

    def __init__(
        self,
        *,
        most: int,
        most_each: int,
        idle_limit: timedelta,
        make_id: Callable[[], str] = secrets.token_urlsafe,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._most = most
        self._most_each = most_each
        self._idle_seconds = idle_limit.total_seconds()
        self._make_id = make_id
        self._observer = observer
        self._lock = threading.Lock()  # guards all below, and the times in sessions
        self._sessions: dict[str, Session] = {}
        self._reserved: dict[str, int] = {}  # places by user

    def __len__(self) -> int:
        """Open ones: an operator's figure."""
        with self._lock:
            return sum(session.is_open for session in self._sessions.values())

    def reserve(self, user_id: str) -> None:
        """A place for a websocket that is being opened; `add` or `give_back` follows. Raises `TooManySessions`."""
        with self._lock:
            users = [session.user_id for session in self._sessions.values() if session.is_open]
            if len(users) + sum(self._reserved.values()) >= self._most:
                raise TooManySessions(f"this agent has {self._most} websockets open")
            # Behind a proxy without users all are one and the same: only the limit for all can be meant for them.
            if user_id and users.count(user_id) + self._reserved.get(user_id, 0) >= self._most_each:
                raise TooManySessions(f"you have {self._most_each} websockets open")
            self._reserved[user_id] = self._reserved.get(user_id, 0) + 1

    def give_back(self, user_id: str) -> None:
        """The reserved place is not needed."""
        with self._lock:
            self._give_back(user_id)

    def _give_back(self, user_id: str) -> None:
        self._reserved[user_id] -= 1
        if not self._reserved[user_id]:
            del self._reserved[user_id]

    def add(self, websocket: Websocket, *, user_id: str, version: int, target: str, now: float) -> Session:
        """A new session, in the place that was reserved."""
        session = Session(self._make_id(), user_id, version, target, websocket, now)
        with self._lock:
            self._give_back(user_id)
            self._sessions[session.session_id] = session
            self._forget_over(4 * self._most)
        self._observer.shim_session_opened()
        websocket.mailbox.when_finished(self._observer.shim_session_closed)
        return session

    def _forget_over(self, limit: int) -> None:
        """However fast websockets are opened and closed, the table has an end."""
        ended = (each for each in self._sessions.values() if not each.is_open)
        for session in list(ended)[: max(0, len(self._sessions) - limit)]:
            del self._sessions[session.session_id]

    def find(self, session_id: str, user_id: str, *, now: float) -> Session | None:
        """The user's session of this ID, which is used now; None for one that is unknown, or somebody else's."""
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None or session.user_id != user_id:
                return None
            session.used_at = max(session.used_at, now)
            return session

    def begin_poll(self, session: Session) -> None:
        """A poll waits: the session is in use until `end_poll`."""
        with self._lock:
            session.polls += 1

    def end_poll(self, session: Session, *, now: float) -> None:
        with self._lock:
            session.polls -= 1
            session.used_at = max(session.used_at, now)

    def sweep(self, *, now: float) -> list[Session]:
        """Forget what ended long ago; the sessions that nobody has used for the idle limit, which are to be closed."""
        with self._lock:
            for session in list(self._sessions.values()):
                if session.ended_at is None and not session.is_open:
                    session.ended_at = now
                if session.ended_at is not None and now - session.ended_at >= _ENDED_FOR and not session.polls:
                    del self._sessions[session.session_id]
            return [
                session
                for session in self._sessions.values()
                if session.ended_at is None and not session.polls and now - session.used_at >= self._idle_seconds
            ]

    def everything(self) -> list[Session]:
        """All that are known, ended ones too."""
        with self._lock:
            return list(self._sessions.values())
