"""The cookies of one session."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sessions.jar import Jar, Place
from agent.sessions.set_cookie import parse_set_cookie

NOW = datetime(2027, 1, 1, tzinfo=UTC)
HOME = Place("a.example.com", "/dir/page")


def put(jar: Jar, *texts: str, at: Place = HOME, now: datetime = NOW) -> Jar:
    for text in texts:
        cookie = parse_set_cookie(text, now=now)
        assert cookie is not None
        jar.put(cookie, at=at, now=now)
    return jar


def sent(jar: Jar, at: Place = HOME, *, is_cross_site: bool = False, now: datetime = NOW) -> str:
    cookies = jar.cookies_for(at, is_cross_site=is_cross_site, now=now)
    return "; ".join(f"{name}={value}" for name, value in cookies)


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("a.example.com", "/dir/page", "folder=1; all=4; root=2; site=3"),
        ("a.example.com", "/dir", "folder=1; all=4; root=2; site=3"),
        ("a.example.com", "/directory", "root=2; site=3"),
        ("a.example.com", "/", "root=2; site=3"),
        ("b.a.example.com", "/dir/", "all=4; site=3"),
        ("example.com", "/dir/", "all=4; site=3"),
        ("other.com", "/dir/", ""),
    ],
)
def test_host_and_path_decide(host: str, path: str, expected: str) -> None:
    jar = put(Jar(), "folder=1", "root=2; path=/", "site=3; path=/; domain=example.com", "all=4; domain=example.com")
    assert sent(jar, Place(host, path)) == expected


def test_longer_paths_come_first_and_then_the_older_ones() -> None:
    jar = put(Jar(), "a=1; path=/", "b=1; path=/", "c=1; path=/dir", "a=2; path=/")
    assert sent(jar) == "c=1; a=2; b=1"


def test_the_same_name_is_kept_for_each_path_and_domain() -> None:
    jar = put(Jar(), "a=1; path=/", "a=2; path=/dir", "a=3; path=/; domain=a.example.com")
    assert sent(jar) == "a=2; a=1; a=3"


def test_an_expired_cookie_removes_its_predecessor_alone() -> None:
    jar = put(Jar(), "a=1; path=/", "b=1; path=/", "a=; path=/; max-age=0", "b=; path=/dir; max-age=0")
    assert sent(jar) == "b=1"


def test_a_cookie_ends_at_its_time() -> None:
    jar = put(Jar(), "a=1; max-age=60", "b=1; max-age=61", "c=1")
    assert sent(jar, now=NOW + timedelta(seconds=60)) == "b=1; c=1"
    assert len(jar) == 2


def test_what_a_host_may_not_set_is_refused() -> None:
    assert len(put(Jar(), "a=1; domain=com", "a=1; domain=other.com")) == 0


def test_a_strict_cookie_is_not_sent_when_another_site_asks() -> None:
    jar = put(Jar(), "a=1; samesite=strict", "b=1; samesite=lax", "c=1; samesite=none; secure", "d=1")
    assert sent(jar, is_cross_site=True) == "b=1; c=1; d=1"


def test_of_too_many_cookies_the_least_recently_sent_goes() -> None:
    jar = put(Jar(max_cookies=2), "a=1; path=/x", "b=1; path=/y")
    sent(jar, Place("a.example.com", "/x"))
    put(jar, "c=1; path=/x")
    assert sent(jar, Place("a.example.com", "/x")) == "a=1; c=1"
    assert sent(jar, Place("a.example.com", "/y")) == ""


def test_of_too_many_cookies_those_that_have_expired_go_first() -> None:
    jar = put(Jar(max_cookies=2), "a=1", "b=1; max-age=9")
    put(jar, "c=1", now=NOW + timedelta(seconds=9))
    assert sent(jar, now=NOW + timedelta(seconds=9)) == "a=1; c=1"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.booleans())))
def test_the_bounds_hold_whatever_is_set(turns: list[tuple[str, int, bool]]) -> None:
    jar = Jar(max_cookies=2, max_bytes=20)
    for name, size, is_gone in turns:
        put(jar, f"{name}={size * 'x'}{'; max-age=0' if is_gone else ''}")
        text = sent(jar)
        assert len(jar) <= 2 and len(text) <= 20
        if not is_gone and size <= 10:
            assert f"{name}={size * 'x'}" in text.split("; ")
