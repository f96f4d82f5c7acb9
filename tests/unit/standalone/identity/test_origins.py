"""`standalone.identity.origins`: where browsers reach the proxy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.identity.origins import Origins, is_safe_url, parse_origin

ORIGINS = Origins(
    parse_origin(text)
    for text in (
        "https://proxy.example.org",
        "https://*.apps.example.org:8443",
        "http://localhost:8080",
        "https://[::1]",
    )
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://proxy.example.org", "https://proxy.example.org"),
        ("HTTPS://Proxy.Example.org/", "https://proxy.example.org"),
        ("https://proxy.example.org:443", "https://proxy.example.org"),
        ("https://proxy.example.org:8443", "https://proxy.example.org:8443"),
        ("https://*.example.org", "https://*.example.org"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://[0:0::1]", "https://[::1]"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
    ],
)
def test_an_origin_has_one_spelling(text: str, expected: str) -> None:
    assert str(parse_origin(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proxy.example.org",
        "http://proxy.example.org",
        "https://",
        "https://:8443",
        "https://proxy.example.org/path",
        "https://user@proxy.example.org",
        "https://proxy.example.org:0",
        "https://proxy.example.org:x",
        "https://proxy.example.org:",
        "https://*",
        "https://a.*.org",
        "ftp://proxy.example.org",
        "https://proxy example.org",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_origin(text)


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("proxy.example.org", "https://proxy.example.org"),
        ("PROXY.example.org.", "https://proxy.example.org"),
        ("proxy.example.org:443", "https://proxy.example.org"),
        ("a.apps.example.org:8443", "https://a.apps.example.org:8443"),
        ("a.b.apps.example.org:8443", "https://a.b.apps.example.org:8443"),
        ("localhost:8080", "http://localhost:8080"),
        ("[::1]", "https://[::1]"),
        ("[::1]:443", "https://[::1]"),
        ("proxy.example.org:80", None),
        ("proxy.example.org:8443", None),
        ("apps.example.org:8443", None),
        ("a.apps.example.org", None),
        ("localhost", None),
        ("evil.org", None),
        ("proxy.example.org.evil.org", None),
        ("proxy.example.org@evil.org", None),
        ("", None),
        ("a." * 200 + "apps.example.org:8443", None),
    ],
)
def test_a_request_is_for_one_of_ours_or_for_none(authority: str, expected: str | None) -> None:
    found = ORIGINS.find(authority)

    assert (found and str(found)) == expected


def test_an_exact_origin_comes_before_a_wildcard() -> None:
    origins = Origins([parse_origin("https://*.example.org"), parse_origin("https://a.example.org")])

    assert str(origins.find("a.example.org")) == "https://a.example.org"


@given(st.text())
def test_whatever_is_asked_for_is_one_of_ours_or_none(authority: str) -> None:
    found = ORIGINS.find(authority)

    assert found is None or ORIGINS.find(found.host + (f":{found.port}" if found.port else "")) == found


@pytest.mark.parametrize(
    "url", ["https://id.example.org", "https://id/realms/x?y", "http://127.0.0.1:8080/x", "http://[::1]/"]
)
def test_a_provider_is_reached_by_tls_or_on_this_machine(url: str) -> None:
    assert is_safe_url(url)


@pytest.mark.parametrize(
    "url", ["", "http://id.example.org", "https://", "file:///x", "https://a b", "https://[", None, "//id"]
)
def test_another_url_is_not_used(url: object) -> None:
    assert not is_safe_url(url)
