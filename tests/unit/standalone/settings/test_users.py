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
    front = {"sign_in": "header", "header": "X-User"}
    assert users(**front).allowed == ()
    assert users(**front, allowed=["Ada@Example.org", "@Example.com"]).allowed == ("ada@example.org", "@example.com")


def test_nobody_is_kept_out_where_nobody_is_asked() -> None:
    with pytest.raises(SettingsError, match="^users.allowed: goes with users.sign-in that asks who users are"):
        users(sign_in="public", allowed=["ada@example.org"])


@pytest.mark.parametrize("allowed", ["ada", "@", "example.org", "@a@b", "*", "@a b"])
def test_somebody_who_may_come_in_has_an_address_or_a_domain(allowed: str) -> None:
    with pytest.raises(SettingsError, match="^users.allowed: is '.*', but must be an e-mail address, a domain like"):
        users(allowed=[allowed])


def test_a_field_goes_with_its_way_of_signing_in() -> None:
    assert users(sign_in="header", header="X-Auth-Request-Email").header == "X-Auth-Request-Email"
    with pytest.raises(SettingsError, match='^users.header: is not set, but must be, with users.sign-in = "header"$'):
        users(sign_in="header")
    for name in ("header", "header_prefix"):
        with pytest.raises(
            SettingsError, match=f'^users.{name}: goes with users.sign-in = "header" alone$'.replace("_", "-")
        ):
            users(sign_in="public", **{name: "X-User"})


@pytest.mark.parametrize(
    "name",
    ["X User", "X_User", "Cookie", "authorization", "Host", ":path", "-X", "Upgrade"]
    + ["X-Forwarded-For", "X-Inverting-Proxy-User-ID"],
)
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
def test_what_signing_in_needs_has_to_be_said(name: str) -> None:
    key = name.replace("_", "-")
    with pytest.raises(SettingsError, match=f'^users.{key}: is not set, but must be, with users.sign-in = "oidc"$'):
        users(**{given: value for given, value in OIDC.items() if given != name})


@pytest.mark.parametrize("sign_in", ["", "public", "header"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("public-urls", "https://proxy.example.org"),
        ("oidc-issuer", "https://id.example.org"),
        ("oidc-client-id", "proxy"),
        ("oidc-scopes", "openid profile"),
        ("oidc-trusts-addresses", "true"),
        ("oidc-signs-out", "false"),
        ("session-lifetime", "1h"),
        ("session-idle", "1m"),
        ("allowed-origins", "https://app.example.org"),
    ],
)
def test_what_is_about_signing_in_goes_with_nothing_else(key: str, value: str, sign_in: str) -> None:
    way = {"sign_in": sign_in} | ({"header": "X-User"} if sign_in == "header" else {})
    with pytest.raises(SettingsError, match=f'^users.{key}: goes with users.sign-in = "oidc" alone$'):
        users(**way, **{key: value})


def test_an_id_token_has_to_be_asked_for() -> None:
    assert users(**OIDC | {"oidc_scopes": "profile openid"}).oidc_scopes == "profile openid"
    with pytest.raises(
        SettingsError, match="^users.oidc-scopes: is 'email', but must be words .*, one of them openid$"
    ):
        users(**OIDC | {"oidc_scopes": "email"})


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
    with pytest.raises(
        SettingsError, match="^users.session-idle: is '11m', but must be at most users.session-lifetime"
    ):
        users(**OIDC | {"session_lifetime": "10m", "session_idle": "11m"})


def test_its_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("short\n\n")
    with pytest.raises(SettingsError, match="^users.session-keys: .*/f: line 1: a key of at least 32 characters"):
        users(**OIDC | {"session_keys": str(tmp_path / "f")})
    (tmp_path / "f").write_text(" \n")
    with pytest.raises(SettingsError, match="^users.oidc-client-secret: .*/f: one line with the secret was expected"):
        users(**OIDC | {"oidc_client_secret": str(tmp_path / "f")})
