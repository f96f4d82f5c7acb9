"""Who is signed in, and for how long: what the session cookie says. Pure: the time is given."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from standalone.identity.sealing import MOST_SEALED, seal, unseal
from standalone.identity.session_keys import Keys

_PURPOSE: Final = "session"
_REFRESHED: Final = 10
"""The cookie is written again when a tenth of the idle time has gone: not with every answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in."""

    user: str
    session_id: str
    host: str
    """The host that he has signed in at; a cookie of one opens no other."""
    began: datetime
    seen: datetime


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lasts: at most, and without being used."""

    absolute: timedelta
    idle: timedelta

    def ends(self, session: Session) -> datetime:
        """When it is over if nobody uses it any more."""
        return min(session.began + self.absolute, session.seen + self.idle)

    def is_over(self, session: Session, *, now: datetime) -> bool:
        """True from its end on, and for one from the future."""
        return now >= self.ends(session) or session.began > now + timedelta(minutes=5)

    def is_due(self, session: Session, *, now: datetime) -> bool:
        """True when it should be written down that it was used."""
        return now - session.seen >= self.idle / _REFRESHED


def seen_at(session: Session, *, now: datetime) -> Session:
    """The session, used now."""
    return replace(session, seen=now)


def seal_session(session: Session, keys: Keys) -> str:
    """The value of its cookie."""
    value = {
        "user": session.user,
        "id": session.session_id,
        "host": session.host,
        "began": _seconds(session.began),
        "seen": _seconds(session.seen),
    }
    return seal(_PURPOSE, value, keys)


def unseal_session(cookie: str, keys: Keys) -> Session | None:
    """The session that a cookie holds, whether it is over or not; None for a cookie that we have not made."""
    return _unseal(cookie, keys) if len(cookie) <= MOST_SEALED else None


@lru_cache(maxsize=1024)
def _unseal(cookie: str, keys: Keys) -> Session | None:
    """Remembered, because each request of a session brings the same."""
    value = unseal(_PURPOSE, cookie, keys)
    return _session_of(value) if value is not None else None


def _session_of(value: Mapping[str, object]) -> Session | None:
    match value:
        case {"user": str(user), "id": str(session_id), "host": str(host), "began": int(began), "seen": int(seen)}:
            return Session(user=user, session_id=session_id, host=host, began=_moment(began), seen=_moment(seen))
    return None


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
