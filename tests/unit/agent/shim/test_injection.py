"""The handler that puts a script into pages: what the backend is asked for, and what becomes of its answer."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.html.policies import hash_source
from agent.messages import Request, Response
from agent.shim.injection import injecting
from wire.headers import Headers
from wire.http1 import CHUNKED, End, Length, RequestHead, ResponseHead
from wire.protocol import RequestId

SCRIPT = b'window.WebSocket = "x"'
INSERT = b"<script>" + SCRIPT + b"</script>"
PAGE = b"<!doctype html><html><head><title>t</title></head><body></body></html>"
WITH_SCRIPT = PAGE.replace(b"<head>", b"<head>" + INSERT)
HTML = ("Content-Type", "text/html; charset=utf-8")
NAVIGATION = ("Sec-Fetch-Dest", "document")
VARY = ("Vary", "Sec-Fetch-Dest, Accept")


@dataclass
class Backend:
    """Gives one answer, and keeps what it was asked."""

    fields: list[tuple[str, str]] = field(default_factory=lambda: [HTML])
    pieces: list[bytes] = field(default_factory=lambda: [PAGE])
    status: int = 200
    length: Length = None
    failure: str = ""
    asked: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        return Response(ResponseHead(self.status, Headers(self.fields), self.length), self._events(), self.failure)

    def _events(self) -> Iterator[bytes | End]:
        yield from self.pieces
        yield End()


def ask(backend: Backend, *fields: tuple[str, str], method: str = "GET") -> Response:
    head = RequestHead(method, "/", Headers([("Host", "x"), *fields]), None)
    return injecting(backend, script=SCRIPT)(Request(RequestId("id"), "", head, b""))


def body_of(response: Response) -> bytes:
    return b"".join(event for event in response.events if isinstance(event, bytes))


def fields_for(backend: Backend, *fields: tuple[str, str], method: str = "GET") -> Headers:
    return ask(backend, *fields, method=method).head.headers


def asked_by(*fields: tuple[str, str], method: str = "GET") -> list[tuple[str, str]]:
    backend = Backend()
    ask(backend, *fields, method=method)
    return list(backend.asked[0].head.headers)[1:]


@pytest.mark.parametrize("status", [200, 203, 403, 404, 500])
@pytest.mark.parametrize("fields", [NAVIGATION, ("Sec-Fetch-Dest", "iframe"), ("Accept", "text/html,*/*;q=0.8")])
def test_a_page_gets_the_script(status: int, fields: tuple[str, str]) -> None:
    response = ask(Backend(status=status, length=len(PAGE)), fields)
    assert (response.head.status, response.head.length, body_of(response)) == (status, CHUNKED, WITH_SCRIPT)
    assert list(response.head.headers) == [HTML, VARY]


OTHERS = [
    Backend(fields=[("Content-Type", "application/json")], length=5),
    Backend(fields=[("Content-Type", "application/xhtml+xml")]),
    Backend(fields=[]),
    Backend(fields=[HTML, ("Content-Disposition", "attachment")]),
    Backend(status=206),
    Backend(status=302),
    Backend(failure="backend-broke"),
]


@pytest.mark.parametrize("backend", OTHERS)
def test_what_is_no_page_passes_as_it_is(backend: Backend) -> None:
    response = ask(backend, NAVIGATION)
    assert (list(response.head.headers), response.head.length) == (backend.fields, backend.length)
    assert body_of(response) == PAGE


@pytest.mark.parametrize("fields", [("Content-Encoding", "br"), ("Content-Type", "text/html; charset=utf-16")])
def test_a_page_that_cannot_be_read_passes_and_the_log_says_why(
    fields: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    backend = Backend(fields=[fields, HTML, ("ETag", '"a"')], length=len(PAGE))
    response = ask(backend, NAVIGATION)
    assert list(response.head.headers) == [*backend.fields, VARY]
    assert (body_of(response), response.head.length) == (PAGE, len(PAGE))
    assert "no script in this page" in caplog.text


def test_what_a_script_fetches_passes_but_is_not_taken_for_a_page() -> None:
    response = ask(Backend(), ("Sec-Fetch-Dest", "empty"))
    assert (list(response.head.headers), body_of(response)) == ([HTML, VARY], PAGE)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_answer_to_another_method_passes(method: str) -> None:
    response = ask(Backend(), NAVIGATION, method=method)
    assert (list(response.head.headers), body_of(response)) == ([HTML], PAGE)


def test_a_page_is_asked_for_whole_and_without_a_coding() -> None:
    conditions = [("Range", "bytes=1-"), ("If-Range", '"a"'), ("If-None-Match", '"a"'), ("If-Modified-Since", "x")]
    asked = asked_by(NAVIGATION, ("Accept-Encoding", "gzip, br"), *conditions, ("Cookie", "c"))
    assert asked == [NAVIGATION, ("Cookie", "c"), ("Accept-Encoding", "identity")]


def test_all_else_is_asked_for_as_it_was() -> None:
    fields = [
        ("Accept-Encoding", "gzip, br"),
        ("Range", "bytes=1-"),
        ("If-None-Match", '"a"'),
        ("If-Modified-Since", "x"),
    ]
    assert asked_by(*fields) == fields
    assert asked_by(NAVIGATION, *fields, method="POST") == [NAVIGATION, *fields]


def test_a_compressed_page_is_decoded() -> None:
    backend = Backend(fields=[HTML, ("Content-Encoding", "gzip")], pieces=[gzip.compress(PAGE)])
    response = ask(backend, NAVIGATION)
    assert (list(response.head.headers), body_of(response)) == ([HTML, VARY], WITH_SCRIPT)


def test_what_speaks_of_the_old_bytes_is_left_out() -> None:
    stale = ["Accept-Ranges", "Content-MD5", "Digest", "Repr-Digest", "Content-Digest"]
    kept = [("Cache-Control", "max-age=60"), ("Last-Modified", "x"), ("Set-Cookie", "a=b")]
    backend = Backend(fields=[HTML, *((name, "x") for name in stale), *kept])
    assert list(fields_for(backend, NAVIGATION)) == [HTML, *kept, VARY]


def test_head_says_what_get_says() -> None:
    backend = Backend(fields=[HTML, ("ETag", '"a"'), ("Accept-Ranges", "bytes")], pieces=[], length=500)
    response = ask(backend, NAVIGATION, method="HEAD")
    assert list(response.head.headers) == list(fields_for(backend, NAVIGATION))
    assert (response.head.length, body_of(response)) == (None, b"")


def test_a_cached_page_is_asked_for_by_the_backends_own_tag_and_stays_right() -> None:
    policy = ("Content-Security-Policy", "script-src 'self'")
    first = fields_for(Backend(fields=[HTML, ("ETag", 'W/"a"'), policy]), NAVIGATION)
    tag = first.get("ETag") or ""
    unchanged = Backend(fields=[("ETag", 'W/"a"'), policy], status=304, pieces=[])
    again = ask(unchanged, NAVIGATION, ("If-None-Match", tag))
    assert unchanged.asked[0].head.headers.get_all("If-None-Match") == ['W/"a"']
    assert tag not in ('W/"a"', "")
    assert again.head.status == 304
    assert [again.head.headers.get(name) for name in ("ETag", policy[0])] == [tag, first.get(policy[0])]


def test_what_is_not_changed_without_a_question_about_a_page_of_ours_passes() -> None:
    unchanged = Backend(fields=[("ETag", '"a"')], status=304, pieces=[])
    assert list(ask(unchanged, NAVIGATION, ("If-None-Match", '"a"')).head.headers) == unchanged.fields


def test_a_page_with_another_script_is_not_the_same() -> None:
    tags = set()
    for script in (b"1", b"2"):
        head = RequestHead("GET", "/", Headers([("Host", "x"), NAVIGATION]), None)
        backend = Backend(fields=[HTML, ("ETag", '"a"')])
        tags.add(injecting(backend, script=script)(Request(RequestId("id"), "", head, b"")).head.headers.get("ETag"))
    assert len(tags) == 2


def test_a_page_may_be_written_back_under_the_tag_it_was_read_with() -> None:
    tag = fields_for(Backend(fields=[HTML, ("ETag", '"a"')]), NAVIGATION).get("ETag") or ""
    assert asked_by(("If-Match", tag), method="PUT") == [("If-Match", '"a"')]


def test_every_policy_lets_the_script_run_and_call_home() -> None:
    source = hash_source(SCRIPT)
    backend = Backend(
        fields=[
            HTML,
            ("Content-Security-Policy", "script-src 'none'"),
            ("content-security-policy-report-only", "default-src 'none'"),
            ("Content-Security-Policy", "script-src 'unsafe-inline'; connect-src wss:"),
        ]
    )
    assert list(fields_for(backend, NAVIGATION))[1:-1] == [
        ("Content-Security-Policy", f"script-src {source}"),
        ("content-security-policy-report-only", f"default-src 'none'; script-src {source}; connect-src 'self'"),
        ("Content-Security-Policy", "script-src 'unsafe-inline'; connect-src wss: 'self'"),
    ]


def test_closing_and_aborting_reach_the_backends_answer() -> None:
    done: list[str] = []

    def backend(request: Request) -> Response:
        head = ResponseHead(200, Headers([HTML]), None)
        return Response(head, iter([End()]), abort=lambda: done.append("aborted"), close=lambda: done.append("closed"))

    head = RequestHead("GET", "/", Headers([("Host", "x"), NAVIGATION]), None)
    response = injecting(backend, script=SCRIPT)(Request(RequestId("id"), "", head, b""))
    response.abort()
    response.close()
    assert done == ["aborted", "closed"]


@given(st.lists(st.integers(0, len(PAGE)), max_size=6), st.booleans())
def test_the_page_is_the_same_however_it_comes(cuts: list[int], is_packed: bool) -> None:
    data = gzip.compress(PAGE) if is_packed else PAGE
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in zip(places, places[1:], strict=False) if a < b]
    fields = [HTML, *([("Content-Encoding", "gzip")] if is_packed else [])]
    assert body_of(ask(Backend(fields=fields, pieces=pieces), NAVIGATION)) == WITH_SCRIPT


@pytest.mark.parametrize("script", [b"a</ScRipt", b"<!--", b"a\r\nb", "ä".encode(), b"a\0"])
def test_a_script_that_cannot_stand_in_a_page_is_refused(script: bytes) -> None:
    with pytest.raises(ValueError, match="script"):
        injecting(Backend(), script=script)
