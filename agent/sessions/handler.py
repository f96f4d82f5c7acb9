"""Sessions around a handler: cookies of the session into the request, cookies that the answer sets out of it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from agent.messages import Request, Response
from agent.sessions.domains import host_of, path_of
from agent.sessions.fields import made_private, split_cookies, with_cookies
from agent.sessions.jar import Place
from agent.sessions.set_cookie import SetCookie, parse_set_cookie
from agent.sessions.store import SessionStore
from wire.headers import Headers

Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """What the browser gets."""

    name: str
    timeout: timedelta
    is_secure: bool = True

    def field(self, session: str) -> tuple[str, str]:
        """The field that sets it. Not for scripts, not from other sites; for the whole of this host, no other."""
        secure = "; Secure" if self.is_secure else ""
        # Seconds, and no date: a browser's clock may be wrong.
        age = max(1, int(self.timeout.total_seconds()))
        return ("Set-Cookie", f"{self.name}={session}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")


@dataclass(slots=True)
class _Sorted:
    """The `Set-Cookie` fields of an answer."""

    kept: list[SetCookie] = field(default_factory=list)
    """Those for the session."""
    passed: list[tuple[str, str]] = field(default_factory=list)
    """Those for the browser."""
    count: int = 0


class Sessions:
    """Put `around` a handler. `passthrough` names the backend's cookies that go to the page, and come from it."""

    def __init__(
        self,
        cookie: SessionCookie,
        store: SessionStore,
        *,
        passthrough: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._cookie = cookie
        self._store = store
        self._passthrough = frozenset(passthrough) - {cookie.name}
        self._now = now

    def around(self, handler: Handler) -> Handler:
        """The handler, with sessions.

        Its answer may be one to a websocket's handshake: whoever makes another answer out of that one takes its
        `Set-Cookie` and `Cache-Control` fields along.
        """

        def handle(request: Request) -> Response:
            sent = split_cookies(request.head.headers)
            names = [text.partition("=")[2].strip() for name, text in sent if name == self._cookie.name]
            place = Place(host_of(request.head.headers.get("Host") or ""), path_of(request.head.target))
            cookies = self._store.cookies_for(
                names,
                user_id=request.user_id,
                place=place,
                # The browser's own cookie goes along when a link from another site is followed; a strict one does not.
                is_cross_site=request.head.headers.get("Sec-Fetch-Site") == "cross-site",
            )
            headers = with_cookies(request.head.headers, cookies, dropped=self._cookie.name)
            response = handler(replace(request, head=replace(request.head, headers=headers)))
            found = self._sort(response.head.headers, sent={name for name, _ in sent})
            told = self._store.keep(names, found.kept, user_id=request.user_id, place=place)
            return self._answer(response, found, told)

        return handle

    def _sort(self, headers: Headers, *, sent: Collection[str]) -> _Sorted:
        now = self._now()
        found = _Sorted()
        for text in headers.get_all("Set-Cookie"):
            found.count += 1
            cookie = parse_set_cookie(text, now=now)
            if cookie is None:
                continue
            if cookie.name in self._passthrough:
                found.passed.append(("Set-Cookie", text))
                continue
            found.kept.append(cookie)
            is_gone = cookie.expires is not None and cookie.expires <= now
            if is_gone and cookie.name in sent and cookie.name != self._cookie.name:
                # A script of the page has set it, so the browser has it: there it must be removed, too.
                found.passed.append(("Set-Cookie", text))
        return found

    def _answer(self, response: Response, found: _Sorted, told: str | None) -> Response:
        if told is None and not found.count:
            return response
        fields = [*found.passed, *([self._cookie.field(told)] if told else [])]
        # Also where a cookie was only taken out: caches that keep off answers with cookies cannot see it any more.
        headers = made_private(response.head.headers.without("Set-Cookie").adding(*fields))
        return replace(response, head=replace(response.head, headers=headers))
