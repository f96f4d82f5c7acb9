"""`standalone.settings.users`."""

from datetime import timedelta
from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings.keys import Given
from standalone.settings.users import UserSettings


def users(**keys: str | list[str]) -> UserSettings:
    given = {name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in keys.items()}
    return UserSettings.of({name: Given(tuple(values), f"users.{name}") for name, values in given.items()})


def test_how_users_sign_in_is_one_of_some_ways() -> None:
    assert users(sign_in="public").sign_in == "public"
    with pytest.raises(SettingsError, match="^users.sign-in: is 'x', but must be one of public, header, oidc"):
        users(sign_in="x")


def test_all_that_are_known_may_come_in_unless_some_are_named() -> None:
    assert users().allowed == ()
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


OIDC: dict[str, str | list[str]] = {
    "sign_in": "oidc",
    "allowed": "allUsers",
    "public_urls": ["https://Proxy.example.org/", "https://*.example.org"],
    "oidc_issuer": "https://id.example.org",
    "oidc_client_id": "proxy",
}


def test_signing_in_needs_a_provider_and_to_know_where_it_is_reached() -> None:
    settings = users(**OIDC)

    assert [str(origin) for origin in settings.public_urls] == ["https://proxy.example.org", "https://*.example.org"]
    assert (settings.oidc_scopes, settings.session_lifetime, settings.session_idle) == (
        "openid email",
        timedelta(hours=12),
        timedelta(hours=1),
    )


@pytest.mark.parametrize("name", ["public_urls", "oidc_issuer", "oidc_client_id"])
def test_what_signing_in_needs_goes_with_it_and_with_nothing_else(name: str) -> None:
    key = name.replace("_", "-")
    with pytest.raises(SettingsError, match=f"^users.{key}: goes with users.sign-in"):
        users(**{given: value for given, value in OIDC.items() if given != name})
    with pytest.raises(SettingsError, match=f"^users.{key}: goes with users.sign-in"):
        users(sign_in="public", **{name: OIDC[name]})


def test_who_may_sign_in_has_to_be_said_because_a_provider_may_know_the_whole_world() -> None:
    with pytest.raises(SettingsError, match="^users.allowed: is not set, but must be"):
        users(**{name: value for name, value in OIDC.items() if name != "allowed"})


@pytest.mark.parametrize("url", ["http://proxy.example.org", "proxy.example.org", "https://proxy.example.org/path"])
def test_a_proxy_is_reached_by_browsers_over_tls(url: str) -> None:
    with pytest.raises(SettingsError, match="^users.public-urls: is '.*', but must be an origin"):
        users(**OIDC | {"public_urls": [url]})


@pytest.mark.parametrize("origin", ["*", "https://*.example.org", "null", ""])
def test_an_origin_that_may_change_something_is_one(origin: str) -> None:
    assert users(**OIDC | {"allowed_origins": ["https://App.org"]}).allowed_origins == ("https://app.org",)
    with pytest.raises(SettingsError, match="^users.allowed-origins: is '.*', but must be an origin"):
        users(**OIDC | {"allowed_origins": [origin]})


def test_nobody_can_be_idle_for_longer_than_a_session_lasts() -> None:
    with pytest.raises(SettingsError, match="^users.session-idle: is longer than users.session-lifetime"):
        users(**OIDC | {"session_lifetime": "10m"})


def test_its_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("short\n\n")
    with pytest.raises(SettingsError, match="^users.session-keys: .*/f: line 1: a key of at least 32 characters"):
        users(**OIDC | {"session_keys": str(tmp_path / "f")})
    (tmp_path / "f").write_text(" \n")
    with pytest.raises(SettingsError, match="^users.oidc-client-secret: .*/f: one line with the secret was expected"):
        users(**OIDC | {"oidc_client_secret": str(tmp_path / "f")})
