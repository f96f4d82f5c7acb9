"""`edge.identity`: who may, by what they send."""

import pytest

from broker.errors import NotAllowed
from edge.identity import (
    Caller,
    DevIdentity,
    bearer_token,
    is_account,
    is_email,
    require_admin,
    require_agent,
)
from tests.factories import a_backend
from wire.headers import Headers


def fields(*values: str) -> Headers:
    return Headers(("Authorization", value) for value in values)


def caller(*values: str) -> Caller:
    return Caller(fields(*values))


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER  abc "])
def test_a_bearer_token_is_read(value: str) -> None:
    assert bearer_token(fields(value)) == "abc"


@pytest.mark.parametrize("values", [(), ("",), ("Bearer",), ("Bearer ",), ("Basic abc",), ("Bearer a", "Bearer b")])
def test_anything_but_one_bearer_token_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(NotAllowed) as caught:
        bearer_token(fields(*values))
    assert not caught.value.authenticated


def test_a_developers_token_names_its_bearer() -> None:
    assert DevIdentity(end_user="", admins=()).backend_account(caller("Bearer dev:a@b.c")) == "a@b.c"


@pytest.mark.parametrize("token", ["dev:", "a@b.c", "prod:a@b.c"])
def test_another_token_is_none_of_a_developers(token: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        DevIdentity(end_user="", admins=()).backend_account(caller(f"Bearer {token}"))
    assert not caught.value.authenticated
    assert token.removeprefix("dev:") == "" or token not in str(caught.value)


def test_every_browser_of_a_developer_is_the_same_user() -> None:
    assert DevIdentity(end_user="me@b.c", admins=()).end_user(caller()) == "me@b.c"


def test_administrators_are_listed_and_compared_without_case() -> None:
    identity = DevIdentity(end_user="", admins=["Boss@B.C"])

    assert identity.admin(caller("Bearer dev:bOSS@b.c")) == "bOSS@b.c"
    with pytest.raises(NotAllowed) as caught:
        identity.admin(caller("Bearer dev:other@b.c"))
    assert caught.value.authenticated


def test_nobody_is_an_administrator_of_an_empty_list() -> None:
    with pytest.raises(NotAllowed):
        require_admin("a@b.c", frozenset())


def test_an_agent_may_serve_what_its_account_is_registered_for() -> None:
    backend = a_backend(backend_user="Agent@example.com")
    require_agent(backend, "agent@Example.com")
    refusals = []
    for registered in (backend, None):
        with pytest.raises(NotAllowed) as caught:
            require_agent(registered, "other@example.com")
        refusals.append((str(caught.value), caught.value.authenticated))

    assert refusals[0] == refusals[1]
    assert refusals[0][1]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a@b", True),
        ("x.y+z@example.com", True),
        ("", False),
        ("a", False),
        ("@b", False),
        ("a@", False),
        ("a@b@c", False),
        ("a b@c", False),
        ("a@b\n", False),
    ],
)
def test_an_account_has_an_address(text: str, is_one: bool) -> None:
    assert is_email(text) is is_one


@pytest.mark.parametrize("text", ["a@b.c", "ci", "build-7", "users:ada", "1"])
def test_a_name_that_is_no_address_may_be_an_account(text: str) -> None:
    assert is_account(text)


@pytest.mark.parametrize("text", ["", " ", "a b", "-x", "allUsers", "a@b@c d", "a\nb", "x" * 257])
def test_what_could_not_stand_in_a_file_of_tokens_is_no_account(text: str) -> None:
    assert not is_account(text)
