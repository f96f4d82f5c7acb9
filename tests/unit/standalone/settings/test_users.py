"""`standalone.settings.users`."""

import pytest

from edge.settings import SettingsError
from standalone.settings.keys import Given
from standalone.settings.users import UserSettings


def users(**keys: str | list[str]) -> UserSettings:
    given = {name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in keys.items()}
    return UserSettings.of({name: Given(tuple(values), f"users.{name}") for name, values in given.items()})


def test_how_users_sign_in_is_one_of_some_ways() -> None:
    assert users(sign_in="public").sign_in == "public"
    with pytest.raises(SettingsError, match="^users.sign-in: is 'x', but must be one of public, header"):
        users(sign_in="x")


def test_all_that_are_known_may_come_in_unless_some_are_named() -> None:
    assert users().allowed == ("allUsers",)
    assert users(allowed=["Ada@Example.org", "@Example.com"]).allowed == ("ada@example.org", "@example.com")


@pytest.mark.parametrize("allowed", ["ada", "@", "example.org", "@a@b", "*", "@a b"])
def test_somebody_who_may_come_in_has_an_address_or_a_domain(allowed: str) -> None:
    with pytest.raises(SettingsError, match="^users.allowed: is '.*', but must be an e-mail address, a domain like"):
        users(allowed=[allowed])


def test_a_field_goes_with_its_way_of_signing_in() -> None:
    assert users(sign_in="header", header="X-Auth-Request-Email").header == "X-Auth-Request-Email"
    for keys in ({"sign_in": "header"}, {"sign_in": "public", "header": "X-User"}):
        with pytest.raises(SettingsError, match="^users.header: goes with users.sign-in"):
            users(**keys)


@pytest.mark.parametrize("name", ["X User", "X_User", "Cookie", "authorization", "Host", ":path", "-X"])
def test_a_field_that_could_be_another_is_not_taken(name: str) -> None:
    with pytest.raises(SettingsError, match="^users.header: is '.*', but must be the name of a header field"):
        users(sign_in="header", header=name)
