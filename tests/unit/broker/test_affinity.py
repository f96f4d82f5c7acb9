"""What keeps a browser with one agent."""

import pytest

from broker.affinity import COOKIE, affinity_of, is_tag, set_cookie, tag_of
from broker.forwarding import Client, forwarded_request, forwarded_response
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead

TAG = tag_of("agent-1")


def of(*cookies: str, user: str = "") -> str:
    return affinity_of(Headers([("Cookie", cookie) for cookie in cookies]), user)


def test_the_cookie_names_the_agent() -> None:
    assert of(f"a=b; {COOKIE}={TAG}; c=d") == of("a=b", f"{COOKIE}={TAG}", user="me@x") == TAG


def test_without_it_the_user_counts_if_there_is_one() -> None:
    assert (of(user="me@x"), of("a=b", user="me@x"), of()) == ("me@x", "me@x", "")


@pytest.mark.parametrize("value", ["", "x", TAG.upper(), TAG + "0", f'"{TAG}"'])
def test_what_is_no_tag_of_ours_does_not_count(value: str) -> None:
    assert of(f"{COOKIE}={value}", user="me@x") == "me@x"


def test_agents_have_different_tags_that_do_not_say_what_they_are_called() -> None:
    assert tag_of("agent-1") != tag_of("agent-2")
    assert "agent" not in TAG
    assert is_tag(TAG)
    assert not is_tag("me@example.com")


@pytest.mark.parametrize(("is_secure", "end"), [(True, "; Secure"), (False, "")])
def test_the_cookie_is_for_the_browser_alone_and_for_this_site(is_secure: bool, end: str) -> None:
    assert set_cookie("agent-1", is_secure=is_secure) == (
        "Set-Cookie",
        f"{COOKIE}={TAG}; Path=/; HttpOnly; SameSite=Lax{end}",
    )


def test_the_cookie_neither_reaches_a_backend_nor_comes_from_one() -> None:
    asked = RequestHead("GET", "/", Headers([("Host", "h"), ("Cookie", f"{COOKIE}={TAG}; a=b")]), None)
    answered = ResponseHead(200, Headers([("Set-Cookie", f"{COOKIE}={TAG}"), ("Set-Cookie", "a=b")]), 0)

    assert forwarded_request(asked, Client("", "")).headers.get_all("Cookie") == ["a=b"]
    assert forwarded_response(answered).headers.get_all("Set-Cookie") == ["a=b"]
