"""Sessions around a handler: what the backend sees, and what the browser sees."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from agent.messages import Request, Response, whole_body
from agent.sessions.handler import SessionCookie, Sessions
from agent.sessions.store import SessionStore
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead
from wire.protocol import RequestId


@dataclass
class Scene:
    """A browser without cleverness, the agent, and a backend that says what a test tells it."""

    is_secure: bool = True
    answers: list[tuple[str, str]] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    now: datetime = datetime(2027, 1, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        timeout = timedelta(hours=12)
        store = SessionStore(timeout=timeout, capacity=10, now=lambda: self.now)
        cookie = SessionCookie("session", timeout, is_secure=self.is_secure)
        sessions = Sessions(cookie, store, passthrough=["_xsrf", "session"], now=lambda: self.now)
        self.handler = sessions.around(self._backend)

    def _backend(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(ResponseHead(200, Headers(self.answers), 0), whole_body(b""))

    def ask(
        self, cookie: str = "", *answers: tuple[str, str], target: str = "/", user: str = "u", site: str = "none"
    ) -> list[tuple[str, str]]:
        """The fields of the answer."""
        self.answers = list(answers)
        fields = [("Host", "app.example.com"), ("Sec-Fetch-Site", site), *([("Cookie", cookie)] if cookie else [])]
        head = RequestHead("GET", target, Headers(fields), None)
        return list(self.handler(Request(RequestId("id"), user, head, b"")).head.headers)

    def begin(self, *cookies: str, user: str = "u") -> str:
        """A session with these cookies; the pair that the browser sends."""
        fields = self.ask("", *(("Set-Cookie", text) for text in cookies), user=user)
        return dict(fields)["Set-Cookie"].partition(";")[0]

    @property
    def cookies(self) -> list[str]:
        """What the backend got last."""
        return self.seen[-1].head.headers.get_all("Cookie")


def test_the_browser_gets_one_cookie_and_the_backend_its_own() -> None:
    scene = Scene()
    fields = scene.ask("", ("Set-Cookie", "a=1; Path=/"), ("X", "y"), ("set-cookie", "b=2; HttpOnly"))
    (_, text), cache = fields[1:]
    pair, _, attributes = text.partition("; ")
    assert fields[0] == ("X", "y")
    assert cache == ("Cache-Control", "private")
    assert attributes == "Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure"
    assert scene.ask(f"{pair}; page=3") == []
    assert scene.cookies == ["a=1; b=2; page=3"]


def test_without_tls_the_cookie_is_not_secure() -> None:
    fields = Scene(is_secure=False).ask("", ("Set-Cookie", "a=1"))
    assert dict(fields)["Set-Cookie"].endswith("SameSite=Lax")


def test_a_value_that_the_client_chose_is_never_taken() -> None:
    scene = Scene()
    fields = scene.ask("session=chosen", ("Set-Cookie", "a=1"))
    assert "chosen" not in dict(fields)["Set-Cookie"]
    scene.ask("session=chosen")
    assert scene.cookies == []


def test_without_cookies_nothing_changes() -> None:
    scene = Scene()
    assert scene.ask("page=1", ("Cache-Control", "public")) == [("Cache-Control", "public")]
    assert scene.cookies == ["page=1"]


def test_the_session_of_another_user_brings_nothing() -> None:
    scene = Scene()
    pair = scene.begin("a=1", user="alice")
    scene.ask(pair, user="bob")
    assert scene.cookies == []


def test_a_stored_cookie_wins_over_one_that_the_page_has_set() -> None:
    scene = Scene()
    pair = scene.begin("a=1")
    scene.ask(f"a=forged; {pair}; b=2")
    assert scene.cookies == ["a=1; b=2"]


@pytest.mark.parametrize(("target", "cookies"), [("/app/ws?a=/", ["a=1"]), ("http://x/app", ["a=1"]), ("/shim", [])])
def test_the_target_decides_which_cookies_go(target: str, cookies: list[str]) -> None:
    scene = Scene()
    pair = scene.begin("a=1; Path=/app")
    scene.ask(pair, target=target)
    assert scene.cookies == cookies


def test_a_strict_cookie_stays_when_a_link_of_another_site_is_followed() -> None:
    scene = Scene()
    pair = scene.begin("a=1; SameSite=Strict", "b=2")
    scene.ask(pair, site="cross-site")
    assert scene.cookies == ["b=2"]


def test_cookies_on_the_list_go_to_the_page_and_come_from_it() -> None:
    scene = Scene()
    fields = scene.ask("", ("Set-Cookie", "_xsrf=1; Path=/"), ("Set-Cookie", "_xsrf2=1"))
    passed, session = [text for name, text in fields if name == "Set-Cookie"]
    assert passed == "_xsrf=1; Path=/"
    scene.ask(f"_xsrf=1; {session.partition(';')[0]}")
    assert scene.cookies == ["_xsrf2=1; _xsrf=1"]


def test_a_cookie_of_the_backend_by_the_name_of_the_session_stays_here() -> None:
    scene = Scene()
    pair = scene.begin("session=the-backends")
    assert "the-backends" not in pair
    scene.ask(pair)
    assert scene.cookies == ["session=the-backends"]


def test_removing_a_cookie_that_the_page_has_set_removes_it_there() -> None:
    gone = ("Set-Cookie", "page=; Max-Age=0")
    scene = Scene()
    assert scene.ask("page=1", gone) == [gone, ("Cache-Control", "private")]
    assert scene.ask("other=1", gone) == [("Cache-Control", "private")]


def test_a_cookie_that_browsers_would_not_keep_reaches_nobody() -> None:
    scene = Scene()
    refused = [("Set-Cookie", "a=1; Domain=com"), ("Set-Cookie", "__Host-a=1"), ("Set-Cookie", "a\x01=1")]
    assert scene.ask("", *refused) == [("Cache-Control", "private")]


def test_a_session_in_use_is_renewed_and_only_then_is_its_answer_private() -> None:
    scene = Scene()
    pair = scene.begin("a=1")
    public = ("Cache-Control", "public, max-age=60")
    scene.now += timedelta(hours=1)
    assert scene.ask(pair, public) == [public]
    scene.now += timedelta(minutes=12)
    (_, cookie), cache = scene.ask(pair, public)
    assert cookie.startswith(f"{pair}; ")
    assert cache == ("Cache-Control", "max-age=60, private")
