"""A real application behind the proxy answers as it does when it is called directly: status, fields, body."""

from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.system.backends import Httpbin
from tests.system.conftest import Serve
from tests.system.rawhttp import Fields, Reply, call
from tests.system.shapes import Site

# What may differ: fields of one hop, and what each server says of itself.
OF_ONE_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
TEXT = ("Content-Type", "text/plain")
UPLOAD = ("Content-Type", "multipart/form-data; boundary=edge")
FILE = (
    b'--edge\r\nContent-Disposition: form-data; name="a"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
    b'alpha\r\n--edge\r\nContent-Disposition: form-data; name="b"\r\n\r\nbeta\r\n--edge--\r\n'
)
ANY_ENCODING = ("Accept-Encoding", "gzip, deflate, br, zstd")
BASIC = ("Authorization", "Basic dXNlcjpwYXNz")


@dataclass(frozen=True)
class Case:
    method: str
    target: str
    fields: Fields = field(default_factory=list)
    body: bytes | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


def gets(*targets: str) -> list[Case]:
    return [Case("GET", target) for target in targets]


CASES: Final = [
    *gets("/get", "/get?a=1&a=2&b=%22%20%2F+", "/headers", "/ip", "/user-agent", "/html", "/json", "/xml"),
    *gets("/encoding/utf8", "/forms/post", "/links/3/1", "/robots.txt", "/deny", "/base64/aGVsbG8=", "/no-such-page"),
    *gets("/anything", "/anything/a%2Fb/c%20d;p=1?q=%27", "/anything/%E2%82%AC?x=%E2%82%AC"),
    Case("HEAD", "/get"),
    Case("HEAD", "/bytes/1000?seed=1"),
    Case("OPTIONS", "/get"),
    Case("DELETE", "/delete"),
    Case("DELETE", "/delete", [TEXT], b"with a body"),
    Case("PUT", "/put", [JSON], b'{"a": [1, 2]}'),
    Case("PATCH", "/patch", [JSON], b'{"a": null}'),
    Case("POST", "/post", [JSON], b'{"a": "\xe2\x82\xac"}'),
    Case("POST", "/post", [FORM], b"a=1&b=2&a=3"),
    Case("POST", "/post", [UPLOAD], FILE),
    Case("POST", "/post", [TEXT], b""),
    Case("POST", "/post", [("Content-Type", "application/octet-stream")], bytes(range(256))),
    Case("POST", "/anything", [TEXT], b"0123456789abcdef" * 65536),
    Case("TRACE", "/anything"),
    Case("GET", "/post"),
    *[Case("GET", f"/status/{code}") for code in (200, 201, 202, 204, 205, 301, 302, 303, 304, 307, 308)],
    *[Case("GET", f"/status/{code}") for code in (400, 401, 402, 403, 404, 406, 410, 418, 429, 500, 502, 503, 504)],
    *[Case(method, "/status/204") for method in ("POST", "PUT", "DELETE", "PATCH")],
    Case("GET", "/headers", [("X-One", "1"), ("x-two", ""), ("X-Utf-8", "\xe2\x82\xac"), ("Accept", "*/*")]),
    Case("GET", "/headers", [("User-Agent", "tests/1"), ("Accept-Language", "de, en;q=0.5"), ("DNT", "1")]),
    Case("GET", "/headers", [("Cookie", "a=1; b=2"), ("Referer", "http://example.com/?x"), ("Origin", "null")]),
    *gets("/response-headers?X-A=1&X-A=2&X-B=3", "/response-headers?Content-Type=text/plain%3B%20charset%3Dlatin-1"),
    *gets("/response-headers?ETag=%22x%22&Cache-Control=max-age%3D60&Vary=Accept"),
    Case("GET", "/cookies", [("Cookie", "a=1; b=two")]),
    *gets("/cookies/set?a=1&b=2", "/cookies/set/c/3", "/cookies/delete?a"),
    *gets("/redirect/3", "/relative-redirect/2", "/absolute-redirect/2", "/redirect-to?url=http%3A%2F%2Fexample.com"),
    Case("POST", "/redirect-to?url=%2Fpost&status_code=307", [FORM], b"a=1"),
    *[Case("GET", f"/{coding}", [ANY_ENCODING]) for coding in ("gzip", "deflate", "brotli")],
    *gets("/gzip", "/deflate", "/brotli"),
    *gets("/stream/5", "/stream-bytes/50000?seed=1&chunk_size=1000", "/bytes/102400?seed=7", "/bytes/0"),
    *gets("/range/1024", "/drip?duration=0.3&numbytes=5&code=200", "/delay/1"),
    Case("GET", "/range/1024", [("Range", "bytes=10-99")]),
    Case("GET", "/range/1024", [("Range", "bytes=5000-")]),
    *gets("/etag/one", "/cache/60"),
    Case("GET", "/etag/one", [("If-None-Match", '"one"')]),
    Case("GET", "/etag/one", [("If-Match", '"two"')]),
    Case("GET", "/cache", [("If-None-Match", "any")]),
    *gets("/image/png", "/image/jpeg", "/image/svg"),
    Case("GET", "/image", [("Accept", "image/webp")]),
    *gets("/basic-auth/user/pass", "/bearer"),
    Case("GET", "/basic-auth/user/pass", [BASIC]),
    Case("GET", "/hidden-basic-auth/user/pass", [BASIC]),
    Case("GET", "/bearer", [("Authorization", "Bearer opaque")]),
]


@pytest.fixture(scope="module")
def site(serve: Serve, httpbin: Httpbin) -> Site:
    return serve(httpbin.url)


def said(reply: Reply) -> tuple[int, Fields, bytes, bool]:
    fields = [(name.lower(), value) for name, value in reply.fields if name.lower() not in OF_ONE_HOP]
    return reply.status, sorted(fields), without_time_of_gzip(reply.body), reply.is_whole


def without_time_of_gzip(body: bytes) -> bytes:
    """The body; of one in gzip not MTIME (RFC 1952 section 2.3), because httpbin compresses anew each second."""
    return body[:4] + bytes(4) + body[8:] if body.startswith(b"\x1f\x8b") else body


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_is_that_of_a_direct_call(case: Case, site: Site, httpbin: Httpbin) -> None:
    host = site.url.removeprefix("http://")
    # The only fields that the proxy adds.
    added = [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", host)]
    direct_fields = [("Host", host), *case.fields, *added]
    direct = call(httpbin.url, case.method, case.target, fields=direct_fields, body=case.body)

    reply = call(site.url, case.method, case.target, fields=case.fields, body=case.body)

    assert said(reply) == said(direct)


@pytest.mark.parametrize("target", ["/get", "/status/304", "/stream/2", "/gzip"])
def test_an_answer_says_once_when_it_was_made(target: str, site: Site) -> None:
    reply = call(site.url, "GET", target)

    assert len(reply.get_all("Date")) == 1
