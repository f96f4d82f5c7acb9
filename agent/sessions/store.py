"""The sessions: random names for jars of cookies, each bound to the end user who had it first.

A name counts only together with its user, and only if it was made here: a name that a client brings along, or somebody
else's, is as good as none. There is no session before there is a cookie to keep in it.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from agent.sessions.jar import Jar, Place
from agent.sessions.set_cookie import SetCookie

_RENEWALS: Final = 10
"""How often, within its time, the browser's cookie is renewed at most: not with every answer, because an answer that
sets a cookie is nothing for shared caches."""

Names = Sequence[str]
"""The names of sessions that a client brought along, as it sent them; mostly one."""


@dataclass(slots=True)
class _Session:
    used: datetime
    told: datetime
    """When the browser was given its cookie last."""
    jar: Jar = field(default_factory=Jar)


class SessionStore:
    """At most `capacity` sessions, each until nobody has used it for `timeout`. Safe for several threads.

    Of too many, the least recently used of the user who has most goes: whoever collects sessions, and all who are
    nobody are one, pushes out his own.
    """

    def __init__(self, *, timeout: timedelta, capacity: int, now: Callable[[], datetime]) -> None:
        self._timeout = timeout
        self._capacity = capacity
        self._now = now
        self._lock = threading.Lock()  # guards the two below and all they hold
        self._users: dict[str, OrderedDict[str, _Session]] = {}
        self._count = 0

    def __len__(self) -> int:
        with self._lock:
            return self._count

    def cookies_for(
        self, names: Names, *, user_id: str, place: Place, is_cross_site: bool = False
    ) -> list[tuple[str, str]]:
        """The cookies of a session that a request gets."""
        now = self._now()
        with self._lock:
            name = self._known(names, user_id, now)
            session = self._users[user_id][name] if name else None
            return session.jar.cookies_for(place, is_cross_site=is_cross_site, now=now) if session else []

    def keep(self, names: Names, cookies: Sequence[SetCookie], *, user_id: str, place: Place) -> str | None:
        """Keep what an answer has set; the name that the browser is to be told, None when it need not be told."""
        now = self._now()
        with self._lock:
            name = self._known(names, user_id, now)
            session = self._users[user_id][name] if name else _Session(now, now)
            for cookie in cookies:
                session.jar.put(cookie, at=place, now=now)
            if name is None:
                return self._add(session, user_id, now) if len(session.jar) else None
            if not len(session.jar):
                self._remove(user_id, name)
                return None
            if now < session.told + self._timeout / _RENEWALS:
                return None
            session.told = now
            return name

    # Called with the lock held

    def _known(self, names: Names, user_id: str, now: datetime) -> str | None:
        """The first name that is one of this user's sessions, which counts as used."""
        own = self._users.get(user_id) or OrderedDict[str, _Session]()
        for name in names:
            session = own.get(name)
            if session is None:
                continue
            if session.used + self._timeout <= now:
                self._remove(user_id, name)
                continue
            session.used = now
            own.move_to_end(name)
            return name
        return None

    def _add(self, session: _Session, user_id: str, now: datetime) -> str:
        name = secrets.token_urlsafe(32)
        self._users.setdefault(user_id, OrderedDict())[name] = session
        self._count += 1
        if self._count > self._capacity:
            self._make_room(now)
        return name

    def _make_room(self, now: datetime) -> None:
        """Remove what has expired, and if that is nothing, one session."""
        for user_id, own in list(self._users.items()):
            # The least recently used come first.
            for name in [name for name, session in own.items() if session.used + self._timeout <= now]:
                self._remove(user_id, name)
        if self._count > self._capacity:
            user_id = max(self._users, key=self._share)
            self._remove(user_id, next(iter(self._users[user_id])))

    def _share(self, user_id: str) -> tuple[int, float]:
        """How many sessions a user has, and how long ago the oldest of them was used: the largest gives way."""
        own = self._users[user_id]
        return len(own), -next(iter(own.values())).used.timestamp()

    def _remove(self, user_id: str, name: str) -> None:
        own = self._users[user_id]
        del own[name]
        self._count -= 1
        if not own:
            del self._users[user_id]
