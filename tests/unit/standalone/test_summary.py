from pathlib import Path

from standalone.doors.dispatch import Door, Entrance
from standalone.settings.load import Settings, load_settings
from standalone.summary import behind, summary_of


def settings(**listen: str) -> Settings:
    return load_settings(["--open"], {f"INVERTING_PROXY_LISTEN_{name.upper()}": text for name, text in listen.items()})


def test_it_says_where_the_proxy_listens_for_whom_and_that_it_is_open() -> None:
    told = settings(users="127.0.0.1:81,unix:///run/proxy.sock", agents="127.0.0.1:82")

    assert summary_of(told).splitlines() == [
        "127.0.0.1:81 - users",
        "unix:///run/proxy.sock - users",
        "127.0.0.1:82 - agents",
        "OPEN: no passwords, for users or agents",
    ]


def test_it_says_whom_the_proxy_believes() -> None:
    told = settings(trusted_peers="10.0.0.0/8,unix", forwarded="X-Forwarded-For")

    assert "believed what they say of their clients in X-Forwarded-For: 10.0.0.0/8, unix" in summary_of(told)


def test_names_are_told_where_they_decide() -> None:
    names = {"agents_host": "agents.example", "api_host": "api.example"}

    assert behind(Entrance(doors=frozenset(Door), **names)) == (
        "users, agents (as agents.example), administrators (as api.example)"
    )
    assert behind(Entrance(doors=frozenset({Door.AGENTS}), **names)) == "agents"


def test_it_names_the_backends_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text('[[backends]]\nid = "notebook"\nend-user = "allUsers"\nbackend-user = "agent@example.com"\n')

    assert "backend notebook for allUsers, served by agent@example.com" in summary_of(
        load_settings(["--open", f"--config={path}"], {})
    )


def test_it_says_who_may_do_what(tmp_path: Path) -> None:
    (tmp_path / "tokens").touch()
    environ = {
        "AGENTS_TOKENS": str(tmp_path / "tokens"),
        "ADMINISTRATORS_OIDC_ISSUER": "https://id.example.org",
        "ADMINISTRATORS_OIDC_AUDIENCE": "api",
        "ADMINISTRATORS_ACCOUNTS": "boss@example.org",
        "USERS_SIGN_IN": "header",
        "USERS_HEADER": "X-User",
        "USERS_ALLOWED": "@example.org",
        "LISTEN_TRUSTED_PEERS": "unix",
    }
    told = load_settings([], {f"INVERTING_PROXY_{name}": value for name, value in environ.items()})

    assert summary_of(told).splitlines()[-3:] == [
        "users: named by X-User, which trusted peers set; of them @example.org",
        f"agents: tokens of {tmp_path}/tokens",
        "administrators: ID tokens of https://id.example.org for api",
    ]
