"""`standalone.identity.fronts`: a header field is believed from the proxy in front, and from nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import NotAllowed
from edge.errors import describe
from edge.identity import Caller
from standalone.identity.fronts import Front, is_user
from wire.errors import MalformedMessage
from wire.headers import Headers, normalise

FRONT = Front("X-Auth-Request-Email")


def user_of(*fields: tuple[str, str], front: Front = FRONT, is_trusted: bool = True) -> str:
    return front.user_of(Caller(Headers(fields), "127.0.0.1"), is_trusted=is_trusted)


def test_the_user_is_whom_the_proxy_in_front_names() -> None:
    assert user_of(("x-auth-request-email", "ada@example.org")) == "ada@example.org"


@pytest.mark.parametrize(
    ("named", "user"),
    [("Ada@Example.ORG", "ada@example.org"), ("Ada", "Ada"), ("google-oauth2|aB", "google-oauth2|aB")],
)
def test_an_address_is_one_user_in_whatever_spelling_and_another_name_is_left_alone(named: str, user: str) -> None:
    assert user_of((FRONT.field, named)) == user


@pytest.mark.parametrize(("field", "is_trusted"), [("X-Auth-Request-Email", False), ("X-Other", True)])
def test_nobody_else_is_believed_nor_asked_for_what_he_cannot_show(field: str, is_trusted: bool) -> None:
    with pytest.raises(NotAllowed) as caught:
        user_of((field, "ada@example.org"), is_trusted=is_trusted)
    assert not caught.value.authenticated
    failure = describe(caught.value)
    assert (failure.status, failure.reason, failure.headers) == (403, "not-authenticated", ())


def test_what_stands_before_the_name_is_taken_off_and_has_to_be_there() -> None:
    front = Front("X-Goog-Authenticated-User-Email", prefix="accounts.google.com:")

    assert user_of((front.field, "accounts.google.com:ada@example.org"), front=front) == "ada@example.org"
    with pytest.raises(NotAllowed):
        user_of((front.field, "ada@example.org"), front=front)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("X-Auth-Request-Email", "")],
        [("X-Auth-Request-Email", "allUsers")],
        [("X-Auth-Request-Email", "@example.org")],
        [("X-Auth-Request-Email", "ada@example.org, eve@example.org")],
        [("X-Auth-Request-Email", "ad\xe4@example.org")],
        [("X_Auth_Request_Email", "ada@example.org")],
        [("X-Auth_Request-Email", "ada@example.org")],
    ],
)
def test_without_the_field_in_its_spelling_and_a_user_in_it_nobody_is_known(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(NotAllowed) as caught:
        user_of(*fields)
    assert not caught.value.authenticated


def test_a_second_copy_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        user_of(("X-Auth-Request-Email", "ada@example.org"), ("x-auth-request-email", "ada@example.org"))


@pytest.mark.parametrize("named", ["X-Auth-Request-Email", "close, x-auth-request-email", "X_Auth_Request_Email"])
def test_a_field_that_connection_names_is_refused(named: str) -> None:
    with pytest.raises(MalformedMessage):
        user_of(("X-Auth-Request-Email", "ada@example.org"), ("Connection", named))


@given(st.lists(st.sampled_from(["X-Auth-Request-Email", "x_auth_request_email", "X-AUTH_request-email", "X-Other"])))
def test_no_spelling_of_the_field_goes_any_further(names: list[str]) -> None:
    kept = FRONT.without(Headers((name, "v") for name in names))

    assert [name for name, _ in kept] == [name for name in names if normalise(name) == "x-other"]


@pytest.mark.parametrize("user", ["ada@example.org", "ada", "google-oauth2|1234", "a" * 256])
def test_a_user_has_an_address_or_another_name(user: str) -> None:
    assert is_user(user)


@pytest.mark.parametrize("user", ["", "a b", "@x.org", "a@", "a@b@c", "allUsers", "ALLUSERS", "a\n", "\xe4", "a" * 257])
def test_what_could_be_taken_for_others_is_no_user(user: str) -> None:
    assert not is_user(user)
