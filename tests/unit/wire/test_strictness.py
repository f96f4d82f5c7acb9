import pytest

from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.strictness import require_fields, require_request, require_strict_head, require_version

HOST = Headers([("Host", "example.com")])


def head(*fields: bytes) -> bytes:
    return b"\r\n".join([b"GET / HTTP/1.1", *fields, b"", b""])


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [b"Content-Length: 5"],
        [b"content-length:0005\t"],
        [b"Transfer-Encoding: CHUNKED "],
        [b"X-Content-Length: 5", b"Content-Length-X: x"],
        [b"X-Latin: \x80\xff", b"X-Tab: a\tb"],
    ],
)
def test_a_head_that_says_once_where_it_stops_passes(fields: list[bytes]) -> None:
    require_strict_head(head(*fields))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([b"A: b\nC: d"], r"forbidden byte b'\n' in the message head"),
        ([b"A: b\rC: d"], r"forbidden byte b'\r' in the message head"),
        ([b"A: b\x00"], r"forbidden byte b'\x00' in the message head"),
        ([b"A: b\x7f"], r"forbidden byte b'\x7f' in the message head"),
        ([b"A: b", b" c"], "a folded line in the message head"),
        ([b"A: b", b"\tc"], "a folded line in the message head"),
        ([b"Content-Length: 5", b"Content-Length: 5"], "more than one Content-Length or Transfer-Encoding"),
        ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], "more than one Content-Length or Transfer-Encoding"),
        ([b"Content-Length: 5,5"], "Content-Length: not a number"),
        ([b"Content-Length: 12345678901234567890"], "Content-Length: not a number"),
        ([b"Transfer-Encoding: gzip, chunked"], "Transfer-Encoding: only chunked is understood"),
    ],
)
def test_any_other_head_is_refused(fields: list[bytes], text: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        require_strict_head(head(*fields))

    assert str(caught.value) == text


@pytest.mark.parametrize("first", [b"HTTP/1.1 101", b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.0 101 x"])
def test_a_switch_of_protocols_is_refused(first: bytes) -> None:
    with pytest.raises(MalformedMessage, match="^status 101: an answer cannot switch protocols$"):
        require_strict_head(first + b"\r\n\r\n")


@pytest.mark.parametrize(("version", "is_chunked"), [("1.0", False), ("1.1", False), ("1.1", True)])
def test_http_1_passes(version: str, is_chunked: bool) -> None:
    require_version(version, is_chunked=is_chunked)


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("0.9", "HTTP version: neither 1.1 nor 1.0"),
        ("1.2", "HTTP version: neither 1.1 nor 1.0"),
        ("2.0", "HTTP version: neither 1.1 nor 1.0"),
        ("1.0", "Transfer-Encoding in a message of HTTP/1.0"),
    ],
)
def test_another_version_or_chunks_in_an_old_one_are_refused(version: str, text: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        require_version(version, is_chunked=True)

    assert str(caught.value) == text


@pytest.mark.parametrize("method", ["GET", "get", "M-SEARCH", "X" * 64, "!#$%&'*+.^_`|~"])
def test_any_token_is_a_method(method: str) -> None:
    require_request(method, "/", HOST)


@pytest.mark.parametrize("method", ["", "G T", "GET/", "G\r\n", "\xc4", "X" * 65])
def test_anything_else_is_no_method(method: str) -> None:
    with pytest.raises(MalformedMessage, match="^method: not a token of at most 64 characters$"):
        require_request(method, "/", HOST)


@pytest.mark.parametrize("target", ["/", "//", "*", "/?a#b", "/%2F", "http://example.com/a", "urn-x+1.0://y"])
def test_a_path_an_absolute_url_and_the_asterisk_are_targets(target: str) -> None:
    require_request("GET", target, HOST)


@pytest.mark.parametrize(
    "target", ["", "a", "@evil.example/", ":80", "?a", "#a", "**", "http:/x", "://x", "/a b", "/\xf6", "/\x7f", "/\n"]
)
def test_anything_else_is_no_target(target: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        require_request("GET", target, HOST)

    assert str(caught.value) == "target: neither a path, nor an absolute URL, nor *; in visible ASCII"


@pytest.mark.parametrize(
    "host", ["", "a:", "a_b.example:80", "1.2.3.4", "[::1]", "[fe80::1%25eth0]:80", "xn--bcher-kva.example", "%41"]
)
def test_a_host_with_or_without_a_port_passes(host: str) -> None:
    require_request("GET", "/", Headers([("host", host)]))


@pytest.mark.parametrize("host", ["a/b", "a@b", "a b", "a?b", "a#b", "a\\b", "a\tb", "b\xfccher.example", 'a"b', "a,b"])
@pytest.mark.parametrize("port", ["", ":80"])
def test_anything_else_is_no_host(host: str, port: str) -> None:
    with pytest.raises(MalformedMessage, match="^Host: not a host with an optional port$"):
        require_request("GET", "/", Headers([("Host", host + port)]))


@pytest.mark.parametrize("host", ["a:b", "a:1:2", "::1", "[::1", "::1]", "[::1]a", "a[b]", "[]"])
def test_a_colon_is_before_a_port_or_within_brackets(host: str) -> None:
    with pytest.raises(MalformedMessage, match="^Host: not a host with an optional port$"):
        require_request("GET", "/", Headers([("Host", host)]))


@pytest.mark.parametrize("count", [0, 2, 3])
def test_there_is_one_host(count: int) -> None:
    with pytest.raises(MalformedMessage, match=f"^Host: {count} of them, not one$"):
        require_request("GET", "/", Headers([("Host", "a")] * count))


def test_tokens_with_any_visible_or_latin_1_value_are_fields() -> None:
    require_fields(Headers([("X-A", ""), ("x_b", "a\tb c"), ("!#$%&'*+.^_`|~", "\x80\xff")]))


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "\xf6", "a(b)"])
def test_anything_but_a_token_is_no_name(name: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        require_fields(Headers([("X-Fine", "a"), (name, "a")]))

    assert str(caught.value) == f"header field name {name!r}: not a token"


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "\x00", "\x7f", "\u0100"])
def test_a_value_that_would_not_fit_a_line_is_refused_and_not_quoted(value: str) -> None:
    with pytest.raises(MalformedMessage, match="^header field Cookie: a forbidden character in its value$"):
        require_fields(Headers([("Cookie", value)]))
