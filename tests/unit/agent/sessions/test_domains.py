"""Hosts and paths of cookies."""

import pytest

from agent.sessions.domains import default_path, domain_matches, host_of, is_public_suffix, path_matches, path_of


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com:8443", "example.com"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8443", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
    ],
)
def test_the_port_is_no_part_of_the_host(authority: str, host: str) -> None:
    assert host_of(authority) == host


@pytest.mark.parametrize(
    ("host", "domain", "matches"),
    [
        ("example.com", "example.com", True),
        ("a.example.com", "example.com", True),
        ("badexample.com", "example.com", False),
        ("example.com", "a.example.com", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.1", False),
        ("[::1]", "[::1]", True),
    ],
)
def test_a_domain_matches_itself_and_names_below_it(host: str, domain: str, matches: bool) -> None:
    assert domain_matches(host, domain) is matches


@pytest.mark.parametrize("domain", ["com", "co.uk", "github.io", "appspot.com", "localhost", "x.ck", "a..com", "com."])
def test_public_suffixes(domain: str) -> None:
    assert is_public_suffix(domain)


@pytest.mark.parametrize("domain", ["example.com", "example.co.uk", "me.github.io", "www.ck", "intra.corp"])
def test_what_somebody_owns_is_no_public_suffix(domain: str) -> None:
    assert not is_public_suffix(domain)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a/%2e%2e/b?c=/d", "/a/%2e%2e/b"),
        ("//x", "//x"),
        ("http://example.com/a?b", "/a"),
        ("http://example.com", "/"),
        ("http://example.com?a/b", "/"),
        ("*", "/"),
    ],
)
def test_the_path_is_taken_as_it_was_sent(target: str, path: str) -> None:
    assert path_of(target) == path


@pytest.mark.parametrize(
    ("path", "default"), [("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("/a/b/", "/a/b"), ("//", "/")]
)
def test_the_default_path_is_the_folder(path: str, default: str) -> None:
    assert default_path(path) == default


@pytest.mark.parametrize(
    ("path", "cookie_path", "matches"),
    [
        ("/", "/", True),
        ("/a", "/", True),
        ("/a", "/a", True),
        ("/a/b", "/a", True),
        ("/a/b", "/a/", True),
        ("/a", "/a/", False),
        ("/ab", "/a", False),
        ("/A", "/a", False),
    ],
)
def test_a_path_matches_what_lies_below_it(path: str, cookie_path: str, matches: bool) -> None:
    assert path_matches(path, cookie_path) is matches
