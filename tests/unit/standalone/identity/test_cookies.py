"""`standalone.identity.cookies`: the names and the form of our cookies."""

from datetime import timedelta

import pytest

from standalone.identity.cookies import (
    find_cookie,
    read_cookies,
    remove_cookie,
    session_cookie,
    set_cookie,
    sign_in_cookie,
)
from wire.headers import Headers


def sent(*fields: str) -> Headers:
    return Headers(("cookie", field) for field in fields)


def test_over_tls_a_cookie_can_only_come_from_this_host() -> None:
    assert (session_cookie(is_secure=True), sign_in_cookie("m", is_secure=True)) == (
        "__Host-inverting-proxy-session",
        "__Host-inverting-proxy-sign-in-m",
    )
    assert session_cookie(is_secure=False) == "inverting-proxy-session"


def test_a_cookie_is_kept_from_scripts_and_from_other_sites() -> None:
    assert set_cookie("n", "v", is_secure=True, lives=timedelta(minutes=1)) == (
        "Set-Cookie",
        "n=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure",
    )


def test_a_cookie_is_removed_by_one_that_is_over() -> None:
    assert remove_cookie("n", is_secure=False)[1] == "n=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"


def test_cookies_are_read_from_every_field() -> None:
    assert list(read_cookies(sent("a=1; b=2=3", "c=;d"))) == [("a", "1"), ("b", "2=3"), ("c", "")]


@pytest.mark.parametrize(
    ("field", "found"),
    [("n=1; n=2", ["1", "2"]), ("N=1", []), ("xn=1; n =1; =n=1", []), ("x=n=1", []), ('n="1"', ['"1"'])],
)
def test_a_cookie_is_found_by_its_very_name(field: str, found: list[str]) -> None:
    assert find_cookie(sent(field), "n") == found
