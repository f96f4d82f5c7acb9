"""One `Set-Cookie` field."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sessions.set_cookie import SetCookie, accepted_domain, parse_set_cookie

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1601, 1, 1, tzinfo=UTC)


def parsed(text: str) -> SetCookie:
    cookie = parse_set_cookie(text, now=NOW)
    assert cookie is not None
    return cookie


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("a=b", "a", "b"),
        (" a = b c\t;x", "a", "b c"),
        ("a=b=c", "a", "b=c"),
        ('a="b; c"', "a", '"b'),  # quotes mean nothing
        ("a=", "a", ""),
        ("=b", "", "b"),
        ("b", "", "b"),
        ("a=\xe4\xff", "a", "\xe4\xff"),
        ("a,b=c,d", "a,b", "c,d"),
        ("a=b\tc", "a", "b\tc"),
    ],
)
def test_name_and_value(text: str, name: str, value: str) -> None:
    assert parsed(text) == SetCookie(name, value)


@pytest.mark.parametrize(
    "text",
    ["", "=", " = ;a=b", "=a=b", ";a=b", "a=b\x00", "a=b\r", "a=b\x7f", "a=b; x=\x01", "a=" + 4096 * "b"],
)
def test_what_browsers_ignore(text: str) -> None:
    assert parse_set_cookie(text, now=NOW) is None


def test_the_longest_cookie() -> None:
    assert len(parsed("a=" + 4095 * "b").value) == 4095


@pytest.mark.parametrize(
    ("attributes", "expires"),
    [
        ("", None),
        ("max-age=60", NOW + timedelta(seconds=60)),
        ("MAX-AGE = 60", NOW + timedelta(seconds=60)),
        ("max-age=0", LONG_AGO),
        ("max-age=-1", LONG_AGO),
        ("max-age=+1", None),
        ("max-age=1.5", None),
        ("max-age=\xb2", None),
        ("max-age=60; max-age=x", NOW + timedelta(seconds=60)),
        ("max-age=60; max-age=0", LONG_AGO),
        ("max-age=" + 1000 * "9", NOW + timedelta(days=400)),
        ("max-age=" + 1025 * "9", None),
        ("expires=Sat, 02 Jan 2027 00:00:00 GMT", NOW + timedelta(days=1)),
        ("expires=Sat, 02 Jan 2027 00:00:00 GMT; max-age=60", NOW + timedelta(seconds=60)),
        ("max-age=60; expires=Sat, 02 Jan 2027 00:00:00 GMT", NOW + timedelta(seconds=60)),
        ("expires=Sat, 02 Jan 2027 00:00:00 GMT; max-age=x", NOW + timedelta(days=1)),
        ("expires=Sat, 02 Jan 2027 00:00:00 GMT; expires=x", NOW + timedelta(days=1)),
        ("expires=Fri, 31 Dec 9999 23:59:59 GMT", NOW + timedelta(days=400)),
        ("expires=0", None),
    ],
)
def test_the_end_of_a_cookie(attributes: str, expires: datetime | None) -> None:
    assert parsed(f"a=b; {attributes}").expires == expires


@pytest.mark.parametrize(
    ("attributes", "path"),
    [("path=/a", "/a"), ("path=a", ""), ("path=", ""), ("path", ""), ("path=/a; path=/b", "/b"), ("path=/a;path=", "")],
)
def test_the_path(attributes: str, path: str) -> None:
    assert parsed(f"a=b; {attributes}").path == path


@pytest.mark.parametrize(
    ("text", "same_site"),
    [
        ("a=b; SameSite=STRICT", "strict"),
        ("a=b; samesite=Lax", "lax"),
        ("a=b; samesite=None; secure", "none"),
        ("a=b; samesite=x", ""),
    ],
)
def test_same_site(text: str, same_site: str) -> None:
    assert parsed(text).same_site == same_site


@pytest.mark.parametrize(
    "text",
    [
        "__Secure-a=b",
        "__secure-a=b",
        "__Host-a=b; path=/",
        "__Host-a=b; secure",
        "__Host-a=b; secure; path=/a",
        "__HOST-a=b; secure; path=/; domain=example.com",
        "=__Host-a=b; secure; path=/",
        "__Secure-a; secure",
        "a=b; samesite=none",
        "a=b; partitioned",
    ],
)
def test_a_cookie_that_does_not_keep_its_promises_is_ignored(text: str) -> None:
    assert parse_set_cookie(text, now=NOW) is None


@pytest.mark.parametrize(
    "text",
    ["__Secure-a=b; secure; path=/x", "__Host-a=b; secure; path=/", "__Hosta=b", "a=b; partitioned; secure"],
)
def test_a_cookie_that_keeps_its_promises(text: str) -> None:
    assert parse_set_cookie(text, now=NOW) is not None


@pytest.mark.parametrize(
    ("attribute", "host", "domain"),
    [
        ("", "a.example.com", ""),
        ("domain=", "a.example.com", ""),
        ("domain=.", "a.example.com", ""),
        ("domain=example.com", "a.example.com", "example.com"),
        ("domain=.Example.COM", "a.example.com", "example.com"),
        ("domain=a.example.com", "a.example.com", "a.example.com"),
        ("domain=b.example.com", "a.example.com", None),
        ("domain=a.example.com", "example.com", None),
        ("domain=com", "example.com", None),
        ("domain=github.io", "me.github.io", None),
        ("domain=github.io", "github.io", ""),
        ("domain=localhost", "localhost", ""),
        ("domain=ex\xe4mple.com", "ex\xe4mple.com", None),
        ("domain=0.0.1", "127.0.0.1", None),
    ],
)
def test_the_domain_that_a_host_may_set(attribute: str, host: str, domain: str | None) -> None:
    assert accepted_domain(parsed(f"a=b; {attribute}"), host) == domain


@given(st.text(st.characters(max_codepoint=255)))
def test_no_field_raises(text: str) -> None:
    cookie = parse_set_cookie(text, now=NOW)
    if cookie is not None:
        accepted_domain(cookie, "example.com")
