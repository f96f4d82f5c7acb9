import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings.addresses import Address
from standalone.settings.load import LISTS, TABLES, Settings, load_settings
from standalone.settings.table import Table


def load(*arguments: str, **environ: str) -> Settings:
    return load_settings(["--open", *arguments], environ)


def test_the_defaults_are_this_machine_alone() -> None:
    settings = load()

    assert settings.listen.users == (Address("", "127.0.0.1", 8080),)
    assert (settings.timeouts.response, settings.timeouts.idle) == (timedelta(seconds=30), timedelta(seconds=30))
    assert (settings.limits.body_bytes, settings.timeouts.shutdown) == (100 << 30, timedelta(seconds=8))
    assert (settings.log.format, settings.log.least) == ("text", 20)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text('[timeouts]\nresponse = "1s"\nidle = "1s"\nhead = "1s"\n[limits]\nconnections = 5\n')

    settings = load(
        f"--config={path}",
        "--response-timeout=3s",
        INVERTING_PROXY_TIMEOUTS_RESPONSE="2s",
        INVERTING_PROXY_TIMEOUTS_IDLE="2s",
    )

    timeouts = settings.timeouts
    assert [time.total_seconds() for time in (timeouts.response, timeouts.idle, timeouts.head)] == [3, 2, 1]
    assert settings.limits.connections == 5


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text('[log]\nformat = "json"\n')

    assert load(INVERTING_PROXY_CONFIG=str(path)).log.format == "json"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--response-timeout=0s"], "--response-timeout"),
        (["--idle-timeout=30"], "--idle-timeout"),
        (["--max-body-bytes=1e9"], "--max-body-bytes"),
        (["--graceful-shutdown-timeout=soon"], "--graceful-shutdown-timeout"),
        (["--host=a b"], "--host"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named(arguments: list[str], name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: is '.*', but must be "):
        load(*arguments)


def test_a_variable_that_cannot_be_used_is_named() -> None:
    with pytest.raises(SettingsError, match="^INVERTING_PROXY_LOG_FORMAT: is 'xml', but must be one of text, json$"):
        load(INVERTING_PROXY_LOG_FORMAT="xml")


def test_without_open_it_has_to_be_said_how_agents_and_users_are_known(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="^agents.tokens: is not set, and neither is agents.oidc-issuer"):
        load_settings([], {})
    (tmp_path / "tokens").touch()
    tokens = {"INVERTING_PROXY_AGENTS_TOKENS": str(tmp_path / "tokens")}
    with pytest.raises(SettingsError, match="^users.sign-in: is not set, but must be one of public, header, oidc"):
        load_settings([], tokens)
    assert not load_settings([], {**tokens, "INVERTING_PROXY_USERS_SIGN_IN": "public"}).is_open


def test_a_field_of_a_proxy_in_front_needs_to_know_that_proxy(tmp_path: Path) -> None:
    (tmp_path / "tokens").touch()
    environ = {
        "INVERTING_PROXY_AGENTS_TOKENS": str(tmp_path / "tokens"),
        "INVERTING_PROXY_USERS_SIGN_IN": "header",
        "INVERTING_PROXY_USERS_HEADER": "X-User",
    }
    with pytest.raises(SettingsError, match="^listen.trusted-peers: is empty"):
        load_settings([], environ)
    load_settings([], {**environ, "INVERTING_PROXY_LISTEN_TRUSTED_PEERS": "unix"})


@pytest.mark.parametrize(
    "environ",
    [
        {"INVERTING_PROXY_USERS_SIGN_IN": "public"},
        {"INVERTING_PROXY_AGENTS_OIDC_ISSUER": "https://id", "INVERTING_PROXY_AGENTS_OIDC_AUDIENCE": "a"},
    ],
)
def test_an_open_proxy_cannot_be_told_whom_to_ask(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="^--open: contradicts"):
        load(**environ)


def listen(**keys: str) -> Settings:
    return load(**{f"INVERTING_PROXY_LISTEN_{name.upper()}": text for name, text in keys.items()})


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"users": ","}, "INVERTING_PROXY_LISTEN_USERS: is empty"),
        ({"users": "https://a:1"}, "tls.certificate: is missing, but must be a file for listen.users: https://a:1"),
        ({"api": "https://a:1"}, "tls.certificate: is missing, but must be a file for listen.api: https://a:1"),
        ({"redirect": "a:1"}, "INVERTING_PROXY_LISTEN_REDIRECT: leads nowhere"),
        ({"redirect": "https://a:1"}, "INVERTING_PROXY_LISTEN_REDIRECT: speaks TLS itself"),
        (
            {"forwarded": "Forwarded,X-Forwarded-For"},
            "INVERTING_PROXY_LISTEN_FORWARDED: Forwarded says all that the others say",
        ),
        (
            {"agents_host": "a.example", "api_host": "A.example"},
            "INVERTING_PROXY_LISTEN_API_HOST: is that of the agents",
        ),
        ({"acme_folder": "/"}, "listen.redirect: is empty, but must be an address (port 80) for listen.acme-folder"),
        ({"proxy_protocol": "users"}, "listen.trusted-peers: is empty, but must name those who speak the PROXY"),
        (
            {"forwarded": "X-Forwarded-For"},
            "listen.trusted-peers: is empty, but must name those who set listen.forwarded",
        ),
        (
            {"proxy_protocol": "redirect", "trusted_peers": "10.0.0.1"},
            "INVERTING_PROXY_LISTEN_PROXY_PROTOCOL: names redirect, but there are no addresses in listen.redirect",
        ),
        ({"socket_mode": "432"}, "INVERTING_PROXY_LISTEN_SOCKET_MODE: is '432', but must be three octal digits"),
        ({"agents_host": "a b"}, "INVERTING_PROXY_LISTEN_AGENTS_HOST: is 'a b', but must be a host name"),
        ({"socket_mode": "999"}, "INVERTING_PROXY_LISTEN_SOCKET_MODE: is '999', but must be three octal digits"),
        (
            {"trusted_peers": "10.0.0.1/8"},
            "INVERTING_PROXY_LISTEN_TRUSTED_PEERS: is '10.0.0.1/8', but must be a network",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(keys: dict[str, str], error: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(error)}"):
        listen(**keys)


@pytest.mark.parametrize(
    ("keys", "key", "second", "one", "first"),
    [
        ({"users": "127.0.0.1:1,127.0.0.1:1"}, "users", "127.0.0.1:1", "users", "127.0.0.1:1"),
        ({"users": "0.0.0.0:1", "agents": "127.0.0.1:1"}, "agents", "127.0.0.1:1", "users", "0.0.0.0:1"),
        ({"users": "[::]:1", "api": "[::1]:1"}, "api", "[::1]:1", "users", "[::]:1"),
        ({"users": "a:1", "agents": "http://a:1"}, "agents", "http://a:1", "users", "a:1"),
        ({"users": "unix:///a", "agents": "unix:///a,unix:///a"}, "agents", "unix:///a", "users", "unix:///a"),
        ({"users": "a:1", "redirect": "a:1"}, "redirect", "a:1", "users", "a:1"),
        ({"users": "a:1", "redirect": "b:1,b:1"}, "redirect", "b:1", "redirect", "b:1"),
    ],
)
def test_two_addresses_in_one_place_are_named(
    keys: dict[str, str], key: str, second: str, one: str, first: str
) -> None:
    with pytest.raises(
        SettingsError, match=re.escape(f"_{key.upper()}: {second} takes the place of {first} in listen.")
    ):
        listen(**keys)


def test_doors_may_share_an_address() -> None:
    shared = "127.0.0.1:1,unix:///a,127.0.0.1:0"

    assert listen(users=shared, agents=shared, api=shared).listen.agents == listen(users=shared).listen.users


def oidc(**environ: str) -> Settings:
    known = {
        "AGENTS_OIDC_ISSUER": "https://id.example",
        "AGENTS_OIDC_AUDIENCE": "proxy",
        "USERS_SIGN_IN": "oidc",
        "USERS_PUBLIC_URLS": "https://proxy.example,https://*.proxy.example",
        "USERS_OIDC_ISSUER": "https://id.example",
        "USERS_OIDC_CLIENT_ID": "proxy",
        "USERS_ALLOWED": "allUsers",
    }
    return load_settings([], {f"INVERTING_PROXY_{name}": value for name, value in (known | environ).items()})


@pytest.mark.parametrize("door", ["agents", "api"])
def test_users_are_not_sent_to_the_name_of_another_door(door: str) -> None:
    assert oidc(LISTEN_AGENTS_HOST="agents.proxy.example").listen.agents_host
    with pytest.raises(
        SettingsError,
        match=f"^INVERTING_PROXY_LISTEN_{door.upper()}_HOST: is a host of users.public-urls, where users would",
    ):
        oidc(**{f"LISTEN_{door.upper()}_HOST": "proxy.example"})


def test_secrets_of_two_kinds_are_not_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "tokens").touch()
    (tmp_path / "link").symlink_to(tmp_path / "tokens")
    files = {"AGENTS_TOKENS": f"{tmp_path}/tokens", "ADMINISTRATORS_TOKENS": f"{tmp_path}/link"}

    with pytest.raises(
        SettingsError, match="_ADMINISTRATORS_TOKENS: is the file of agents.tokens, but must be another$"
    ):
        oidc(**files)


def test_an_address_speaks_tls_where_there_is_a_certificate_and_nothing_against_it(tmp_path: Path) -> None:
    (tmp_path / "pem").touch()
    certificate = {"INVERTING_PROXY_TLS_CERTIFICATE": str(tmp_path / "pem")}
    users = {"INVERTING_PROXY_LISTEN_USERS": "a:1,http://a:2,https://a:3,unix:///a"}

    assert [*map((told := load(**certificate, **users)).speaks_tls, told.listen.users)] == [True, False, True, False]
    assert not load().speaks_tls(Address("", "a", 1))


def test_a_key_without_a_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pem").touch()

    with pytest.raises(SettingsError, match="^tls.certificate: is missing"):
        load(INVERTING_PROXY_TLS_KEY=str(tmp_path / "pem"))


@pytest.mark.parametrize("table", [*TABLES, *LISTS], ids=lambda table: table.NAME)
def test_each_key_has_its_field_and_a_default_that_it_takes(table: type[Table]) -> None:
    assert [key.field for key in table.KEYS] == [field.name for field in fields(table)]  # type: ignore[arg-type]
    for key in table.KEYS:
        key.value_of(None)


def test_each_table_is_a_field_of_the_whole() -> None:
    assert {table.NAME for table in (*TABLES, *LISTS)} <= {field.name for field in fields(Settings)}
