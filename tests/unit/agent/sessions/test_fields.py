"""The fields `Cookie` and `Cache-Control`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sessions.fields import made_private, split_cookies, with_cookies
from wire.headers import Headers


def merged(*sent: str, ours: list[tuple[str, str]]) -> list[str]:
    headers = Headers([("Host", "x"), *(("cookie", value) for value in sent)])
    return with_cookies(headers, ours, dropped="session").get_all("Cookie")


@pytest.mark.parametrize(
    ("sent", "ours", "expected"),
    [
        ([], [], []),
        (["session=1"], [], []),
        (["a=1; session=2; b=3"], [], ["a=1; b=3"]),
        (["session=1; session=2"], [("a", "1")], ["a=1"]),
        (["session=1; a=page; b=2"], [("a", "1")], ["a=1; b=2"]),
        (["session=1", "b=2"], [("a", "1"), ("a", "0")], ["a=1; a=0; b=2"]),
        (["session=1; b"], [("", "x")], ["x"]),
        (['session=1; b="2, 3" ;; c = 4'], [("a", "1")], ['a=1; b="2, 3"; c = 4']),
        (["session=theirs"], [("session", "the backend's")], ["session=the backend's"]),
        (["Session=1"], [("a", "1")], ["a=1; Session=1"]),
    ],
)
def test_the_stored_ones_win_and_the_session_stays_here(
    sent: list[str], ours: list[tuple[str, str]], expected: list[str]
) -> None:
    assert merged(*sent, ours=ours) == expected


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20), max_size=3))
def test_fields_without_a_session_are_left_as_they_are(sent: list[str]) -> None:
    headers = Headers(("Cookie", value) for value in sent)
    if all(name != "session" for name, _ in split_cookies(headers)):
        assert with_cookies(headers, [], dropped="session") == headers


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20), max_size=3))
def test_whatever_is_sent_the_session_does_not_get_through(sent: list[str]) -> None:
    headers = Headers(("Cookie", value) for value in (*sent, "session=secret"))
    cookies = split_cookies(with_cookies(headers, [("a", "1")], dropped="session"))
    assert "session" not in [name for name, _ in cookies]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([], "private"),
        (["public, max-age=60"], "max-age=60, private"),
        (["Public", "S-Maxage=60, max-age=1"], "max-age=1, private"),
        (["private, max-age=60"], "private, max-age=60"),
        (["no-store"], "no-store"),
        (["no-cache"], "no-cache, private"),
        (['private="X, Y", max-age=1'], "max-age=1, private"),
        (['no-cache="Set-Cookie, private", max-age=1'], 'no-cache="Set-Cookie, private", max-age=1, private'),
    ],
)
def test_an_answer_for_one_user_is_not_for_shared_caches(sent: list[str], expected: str) -> None:
    headers = Headers([*(("cache-control", value) for value in sent), ("CDN-Cache-Control", "max-age=9"), ("X", "y")])
    assert list(made_private(headers)) == [("X", "y"), ("Cache-Control", expected)]
