"""Which session a request belongs to, and the cookies that say so. Pure but for what it remembers of those who left."""

from dataclasses import dataclass, field
from datetime import datetime

from standalone.identity.cookies import (
    find_cookie,
    read_cookies,
    remove_cookie,
    session_cookie,
    set_cookie,
    sign_in_cookie,
)
from standalone.identity.origins import Origin
from standalone.identity.sealing import seal, unseal
from standalone.identity.session_keys import Keys
from standalone.identity.sessions import Lifetimes, Session, seal_session, seen_at, unseal_session
from standalone.identity.sign_in import LIVES, MOST_AT_ONCE, SignIn, mark_of, seal_sign_in, unseal_sign_in
from standalone.identity.signed_out import SignedOut
from wire.headers import Headers

Field = tuple[str, str]

_SIGN_OUT = "sign-out"


@dataclass(frozen=True, slots=True)
class GuestBook:
    """Reads and writes the cookies of sessions and of sign-ins."""

    lifetimes: Lifetimes
    signed_out: SignedOut = field(default_factory=SignedOut)

    def session_of(self, headers: Headers, origin: Origin, keys: Keys, *, now: datetime) -> Session | None:
        """The session of a request, if it has one that is not over."""
        for cookie in find_cookie(headers, session_cookie(is_secure=origin.is_secure)):
            session = unseal_session(cookie, keys)
            if session is not None and session.host == str(origin) and self._is_alive(session, now):
                return session
        return None

    def _is_alive(self, session: Session, now: datetime) -> bool:
        return not self.lifetimes.is_over(session, now=now) and not self.is_ended(session)

    def is_ended(self, session: Session) -> bool:
        """True for one that was ended before its time."""
        return session.session_id in self.signed_out

    def write(self, session: Session, origin: Origin, keys: Keys, *, now: datetime) -> Field:
        """The field that makes a browser keep a session, used now."""
        used = seen_at(session, now=now)
        name = session_cookie(is_secure=origin.is_secure)
        lives = self.lifetimes.ends(used) - now
        return set_cookie(name, seal_session(used, keys), is_secure=origin.is_secure, lives=lives)

    async def end(self, session: Session, origin: Origin, *, now: datetime) -> Field:
        """A session is over: the field that makes its browser forget it; a copy of its cookie opens nothing more."""
        await self.signed_out.add(session.session_id, ends=session.began + self.lifetimes.absolute, now=now)
        return remove_cookie(session_cookie(is_secure=origin.is_secure), is_secure=origin.is_secure)


def write_sign_in(sign_in: SignIn, headers: Headers, keys: Keys, *, is_secure: bool) -> list[Field]:
    """The fields that make a browser keep an attempt, and forget those that are too many: the oldest.

    Raises `TooLong`."""
    prefix = sign_in_cookie("", is_secure=is_secure)
    others = [(name, unseal_sign_in(value, keys)) for name, value in read_cookies(headers) if name.startswith(prefix)]
    oldest_first = sorted(others, key=lambda other: other[1].began.timestamp() if other[1] else 0)
    too_many = [name for name, _ in oldest_first[: max(0, len(others) - MOST_AT_ONCE + 1)]]
    name = sign_in_cookie(mark_of(sign_in.state), is_secure=is_secure)
    kept = set_cookie(name, seal_sign_in(sign_in, keys), is_secure=is_secure, lives=LIVES)
    return [kept, *(remove_cookie(name, is_secure=is_secure) for name in too_many)]


def find_sign_in(state: str, headers: Headers, keys: Keys, *, is_secure: bool) -> SignIn | None:
    """The attempt of a state, if this browser has made it."""
    cookies = find_cookie(headers, sign_in_cookie(mark_of(state), is_secure=is_secure))
    return next((found for cookie in cookies if (found := unseal_sign_in(cookie, keys))), None)


def forget_sign_in(state: str, *, is_secure: bool) -> Field:
    """The field that makes a browser forget an attempt."""
    return remove_cookie(sign_in_cookie(mark_of(state), is_secure=is_secure), is_secure=is_secure)


def sign_out_token(session: Session, keys: Keys) -> str:
    """What the form for signing out has to bring back, so that no other page can send it."""
    return seal(_SIGN_OUT, {"id": session.session_id}, keys)


def may_sign_out(token: str, session: Session, keys: Keys) -> bool:
    """True for the token of this very session."""
    return unseal(_SIGN_OUT, token, keys) == {"id": session.session_id}
