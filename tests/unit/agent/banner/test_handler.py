"""Which requests get the frame, and what changes for the page in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from agent.banner.handler import showing_banner
from agent.messages import Request, Response
from wire.headers import Headers
from wire.http1 import End, RequestHead, ResponseHead
from wire.protocol import RequestId

HTML = ("Content-Type", "text/html")
TOP = ("Sec-Fetch-Dest", "document")
INNER = ("Sec-Fetch-Dest", "iframe")
ACCEPT = ("Accept", "text/html,*/*;q=0.8")
VARY = ("Vary", "Sec-Fetch-Dest, Accept")
BANNER = "<b>the banner</b>"


@dataclass
class Backend:
    """Gives one answer, and keeps what it was asked and whether the answer was closed."""

    fields: list[tuple[str, str]] = field(default_factory=lambda: [HTML])
    status: int = 200
    failure: str = ""
    asked: list[Request] = field(default_factory=list)
    closed: int = 0

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        head = ResponseHead(self.status, Headers(self.fields), 4)
        return Response(head, self._events(), self.failure, close=self._close)

    def _events(self) -> Iterator[bytes | End]:
        yield b"page"
        yield End()

    def _close(self) -> None:
        self.closed += 1


def ask(backend: Backend, *fields: tuple[str, str], method: str = "GET") -> Response:
    head = RequestHead(method, "/path", Headers([("Host", "site.example"), *fields]), None)
    handler = showing_banner(backend, banner=BANNER, height="40px", favicon_url="")
    return handler(Request(RequestId("id"), "", head, b""))


def body_of(response: Response) -> bytes:
    return b"".join(event for event in response.events if isinstance(event, bytes))


def is_framed(backend: Backend, *fields: tuple[str, str], method: str = "GET") -> bool:
    response = ask(backend, *fields, method=method)
    body = body_of(response)
    assert (body == b"page") != (BANNER.encode() in body)
    assert response.head.length == len(body)
    return body != b"page"


@pytest.mark.parametrize("fields", [[TOP], [TOP, ("Sec-Fetch-Mode", "navigate"), ACCEPT], [ACCEPT]])
@pytest.mark.parametrize("media_type", ["text/html", "application/xhtml+xml; charset=utf-8"])
def test_a_page_in_a_tab_gets_the_frame(fields: list[tuple[str, str]], media_type: str) -> None:
    assert is_framed(Backend(fields=[("Content-Type", media_type)]), *fields)


REQUESTS = [
    ([INNER], "GET"),
    ([("Sec-Fetch-Dest", "empty"), ACCEPT], "GET"),
    ([TOP], "POST"),
    ([TOP], "HEAD"),
    ([("Accept", "*/*")], "GET"),
    ([ACCEPT, ("Referer", "https://SITE.example/other")], "GET"),
    ([ACCEPT, ("Cookie", "a=b; inverting-proxy-framed=1")], "GET"),
]


@pytest.mark.parametrize(("fields", "method"), REQUESTS)
def test_every_other_request_gets_its_answer(fields: list[tuple[str, str]], method: str) -> None:
    assert not is_framed(Backend(), *fields, method=method)


ANSWERS = [
    Backend(status=404),
    Backend(status=201),
    Backend(fields=[("Content-Type", "application/pdf")]),
    Backend(fields=[]),
    Backend(fields=[HTML, ("Content-Disposition", "attachment; filename=a.html")]),
    Backend(failure="agent-failed"),
]


@pytest.mark.parametrize("backend", ANSWERS)
def test_every_other_answer_passes(backend: Backend) -> None:
    assert not is_framed(backend, TOP)
    assert backend.closed == 0


@pytest.mark.parametrize("referer", ["https://other.example/path", "http://[", "site.example", ""])
def test_who_comes_from_elsewhere_gets_the_frame(referer: str) -> None:
    assert is_framed(Backend(), ACCEPT, ("Referer", referer))


def test_who_says_that_it_is_a_tab_is_believed_wherever_it_comes_from() -> None:
    fields = [TOP, ("Referer", "https://site.example/"), ("Cookie", "inverting-proxy-framed=1")]
    assert is_framed(Backend(), *fields)
    assert "Set-Cookie" not in ask(Backend(), *fields).head.headers


def test_the_first_answer_is_closed_unread_and_was_asked_for_whole() -> None:
    backend = Backend()
    conditions = [("If-None-Match", '"a"'), ("If-Modified-Since", "x"), ("Range", "bytes=0-"), ("If-Range", "x")]
    ask(backend, TOP, *conditions, ("Cookie", "a"))
    assert list(backend.asked[0].head.headers) == [("Host", "site.example"), TOP, ("Cookie", "a")]
    assert backend.closed == 1


def test_the_frame_is_not_cached_and_has_only_what_the_browser_keeps_of_the_page() -> None:
    kept = [
        ("Set-Cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("Strict-Transport-Security", "x"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),
    ]
    others = [
        ("ETag", '"a"'),
        ("Content-Security-Policy", "x"),
        ("Content-Encoding", "br"),
        ("Link", "x"),
        ("Refresh", "1"),
    ]
    response = ask(Backend(fields=[HTML, *others, *kept, ("Cache-Control", "max-age=9")]), TOP)
    assert list(response.head.headers) == [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        *kept,
        VARY,
    ]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [200, 304, 404])
def test_the_page_in_the_frame_may_be_shown_there(method: str, status: int) -> None:
    backend = Backend(
        fields=[HTML, ("X-Frame-Options", "DENY"), ("Content-Security-Policy", "frame-ancestors 'none'")], status=status
    )
    headers = ask(backend, INNER, method=method).head.headers
    assert [headers.get(name) for name in ("X-Frame-Options", "Content-Security-Policy")] == [
        "SAMEORIGIN",
        "frame-ancestors 'self'",
    ]


def test_a_page_in_a_tab_of_its_own_may_be_framed_by_nobody_new() -> None:
    backend = Backend(fields=[HTML, ("X-Frame-Options", "DENY")], status=404)
    assert ask(backend, TOP).head.headers.get("X-Frame-Options") == "DENY"


def test_the_page_in_the_frame_stays_cacheable_but_is_not_taken_for_the_frame() -> None:
    backend = Backend(fields=[HTML, ("Cache-Control", "max-age=9")])
    assert list(ask(backend, INNER).head.headers) == [*backend.fields, VARY]
    assert ask(backend, ACCEPT, ("Referer", "http://site.example/")).head.headers.get_all("Vary") == [
        "Sec-Fetch-Dest, Accept, Referer"
    ]


@pytest.mark.parametrize(("cookie", "left"), [
    ("inverting-proxy-framed=1", []),
    ("a=b; inverting-proxy-framed=1; c=d", ["a=b; c=d"]),
    ("inverting-proxy-framed=1; c=d", ["c=d"]),
    ("x-inverting-proxy-framed=1", ["x-inverting-proxy-framed=1"]),
])  # fmt: skip
def test_the_frames_own_cookie_is_used_up_and_never_reaches_the_backend(cookie: str, left: list[str]) -> None:
    backend = Backend()
    response = ask(backend, ACCEPT, ("Cookie", cookie))
    assert backend.asked[0].head.headers.get_all("Cookie") == left
    is_ours = left != [cookie]
    assert response.head.headers.get_all("Set-Cookie") == ["inverting-proxy-framed=; Path=/; Max-Age=0"] * is_ours


@pytest.mark.parametrize("fields", [[INNER], [ACCEPT, ("Referer", "https://site.example/")]])
def test_a_redirect_to_another_site_leads_out_of_the_frame(fields: list[tuple[str, str]]) -> None:
    backend = Backend(fields=[("Location", "https://login.example/"), ("Set-Cookie", "a=b")], status=302)
    response = ask(backend, *fields)
    assert (response.head.status, response.head.headers.get("Location"), backend.closed) == (200, None, 1)
    assert response.head.headers.get_all("Set-Cookie") == ["a=b"]
    assert b'href="https://login.example/"' in body_of(response)


def test_a_redirect_in_a_tab_and_one_within_the_site_stay() -> None:
    away = Backend(fields=[("Location", "https://login.example/")], status=302)
    home = Backend(fields=[("Location", "/login")], status=302)
    assert [ask(away, TOP).head.status, ask(home, INNER).head.status] == [302, 302]
