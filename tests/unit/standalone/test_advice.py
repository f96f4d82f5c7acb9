"""`standalone.advice`: what is said before the proxy serves."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from standalone.advice import EVERYWHERE, warnings_of
from standalone.settings.load import load_settings
from standalone.tokens import add

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SIGNING_IN = {
    "USERS_SIGN_IN": "oidc",
    "USERS_ALLOWED": "allUsers",
    "USERS_PUBLIC_URLS": "https://proxy.example,https://*.proxy.example",
    "USERS_OIDC_ISSUER": "https://id.example",
    "USERS_OIDC_CLIENT_ID": "proxy",
}


@pytest.fixture
def protected(tmp_path: Path) -> dict[str, str]:
    """What a proxy with nothing to be said of it is told, by the names of variables."""
    (tmp_path / "agents").touch(0o640)
    database = f"{tmp_path}/proxy.sqlite3"
    return {"AGENTS_TOKENS": f"{tmp_path}/agents", "USERS_SIGN_IN": "public", "STORAGE_DATABASE": database}


def advice(*arguments: str, descriptors: int = 1 << 20, **environ: str) -> list[str]:
    names = {f"INVERTING_PROXY_{name}": text for name, text in environ.items()}
    return list(warnings_of(load_settings(arguments, names), now=NOW, descriptors=descriptors))


def a_file(folder: Path, *backends: str) -> str:
    """A file with a backend for each text."""
    tables = (f'[[backends]]\nid = "b{number}"\n{backend}\n' for number, backend in enumerate(backends))
    (folder / "proxy.toml").write_text("".join(tables))
    return f"--config={folder}/proxy.toml"


def a_backend(*, end_user: str = "allUsers", backend_user: str = "ci", hosts: tuple[str, ...] = ()) -> str:
    return f'end-user = "{end_user}"\nbackend-user = "{backend_user}"\nhosts = {list(hosts)}'


def secret(path: Path, text: str = "x" * 32, *, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ({}, []),
        ({"USERS": "0.0.0.0:80"}, [EVERYWHERE]),
        ({"AGENTS": "[::]:80"}, [EVERYWHERE]),
        ({"USERS": "unix:///x"}, []),
    ],
)
def test_an_open_proxy_that_others_can_reach_is_told_of(listen: dict[str, str], said: list[str]) -> None:
    assert advice("--open", **{f"LISTEN_{name}": text for name, text in listen.items()}) == said


@pytest.mark.parametrize(
    ("listen", "where"),
    [
        ({"USERS": "0.0.0.0:80"}, "0.0.0.0:80"),
        ({"USERS": "127.0.0.1:80", "AGENTS": "0.0.0.0:81"}, "0.0.0.0:81"),
        ({"USERS": "127.0.0.1:80"}, ""),
        ({"USERS": "0.0.0.0:80", "TRUSTED_PEERS": "10.0.0.0/8"}, ""),
        ({"USERS": "0.0.0.0:443", "certificate": "yes"}, ""),
        ({"USERS": "0.0.0.0:443,http://0.0.0.0:80", "certificate": "yes"}, "http://0.0.0.0:80"),
    ],
)
def test_secrets_that_travel_in_the_clear_are_told_of(
    listen: dict[str, str], where: str, protected: dict[str, str], tmp_path: Path
) -> None:
    if listen.pop("certificate", ""):
        protected["TLS_CERTIFICATE"] = secret(tmp_path / "pem")
    said = advice(**protected, **{f"LISTEN_{name}": text for name, text in listen.items()})

    assert [line.partition(": ")[0] for line in said] == (
        [f"tokens, cookies and what pages say travel in the clear at {where}"] if where else []
    )


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"LISTEN_API": "127.0.0.1:81"}, "nobody is an administrator, so that there is no API"),
        ({"LISTEN_API_HOST": "api.example"}, "nobody is an administrator, so that there is no API"),
        (
            {"LISTEN_AGENTS": "127.0.0.1:81", "LISTEN_AGENTS_HOST": "agents.example"},
            "listen.agents-host: decides nothing, because no other door is at the addresses of listen.agents",
        ),
        (
            {"LISTEN_TRUSTED_PEERS": "10.0.0.1,::/0"},
            "listen.trusted-peers: everybody is in ::/0, and is believed whatever he says of himself",
        ),
    ],
)
def test_what_is_set_and_helps_nobody_is_told_of(environ: dict[str, str], said: str, protected: dict[str, str]) -> None:
    [line] = advice(**protected, **environ)
    assert line.startswith(said)


def test_a_name_for_a_door_that_shares_its_address_is_as_it_should_be(protected: dict[str, str]) -> None:
    shared = {"LISTEN_USERS": "127.0.0.1:80", "LISTEN_AGENTS": "127.0.0.1:80"}
    for listen in ({}, shared):
        assert advice(**protected, LISTEN_AGENTS_HOST="agents.example", **listen) == []


@pytest.mark.parametrize(
    ("users", "trusted", "closed"),
    [
        ("127.0.0.1:80,[::1]:80,10.0.0.1:80,unix:///x", "127.0.0.0/8", ["unix:///x"]),
        ("127.0.0.1:80,10.0.0.1:80", "10.0.0.0/8", ["127.0.0.1:80"]),
        ("127.0.0.1:80,unix:///x", "unix", ["127.0.0.1:80"]),
        ("localhost:80,unix:///x", "::1,unix", []),
        ("127.0.0.1:80", "127.0.0.2", []),
        ("127.0.0.1:80", "127.0.0.64/26", []),
        ("127.0.0.1:80", "128.0.0.1,::2", ["127.0.0.1:80"]),
    ],
)
def test_an_address_where_nobody_is_trusted_is_told_of_if_others_cannot_come_in(
    users: str, trusted: str, closed: list[str], protected: dict[str, str]
) -> None:
    listen = {"LISTEN_USERS": users, "LISTEN_TRUSTED_PEERS": trusted}
    said = [
        f"listen.trusted-peers: none of them can connect at {each}, so that no user comes in there" for each in closed
    ]
    behind_a_balancer = advice("--open", LISTEN_PROXY_PROTOCOL="users", **listen)

    assert advice(**protected, **listen) == []
    assert advice(**protected | {"USERS_SIGN_IN": "header", "USERS_HEADER": "X-User"}, **listen) == said
    assert [line for line in behind_a_balancer if line != EVERYWHERE] == said


def test_a_certificate_that_nobody_is_shown_is_told_of(protected: dict[str, str], tmp_path: Path) -> None:
    protected |= {"TLS_CERTIFICATE": secret(tmp_path / "pem"), "LISTEN_USERS": "unix:///x"}

    assert advice(**protected) == ["tls.certificate: is not shown to anybody: no address speaks TLS"]


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_secret_that_everybody_can_read_is_told_of(
    mode: int, is_told: bool, protected: dict[str, str], tmp_path: Path
) -> None:
    certificate = secret(tmp_path / "certificate", mode=0o644)
    key = secret(tmp_path / "key", mode=mode)
    said = f"everybody on this machine can read {key}: chmod o-rwx {key}"

    assert advice(**protected, TLS_CERTIFICATE=certificate, TLS_KEY=key) == ([f"tls.key: {said}"] if is_told else [])
    assert advice(**protected, TLS_CERTIFICATE=key) == ([f"tls.key: {said}"] if is_told else [])
    for name, table in (("session-keys", "SESSION_KEYS"), ("oidc-client-secret", "OIDC_CLIENT_SECRET")):
        told = advice(**protected | SIGNING_IN | {f"USERS_{table}": key})
        assert told == ([f"users.{name}: {said}"] if is_told else [])


@pytest.mark.parametrize(("mode", "is_told"), [(0o644, False), (0o646, True)])
def test_a_list_of_tokens_holds_hashes_alone_but_not_everybody_may_add_one(
    mode: int, is_told: bool, protected: dict[str, str]
) -> None:
    path = protected["AGENTS_TOKENS"]
    os.chmod(path, mode)

    told = [f"agents.tokens: everybody on this machine can write {path}: chmod o-rwx {path}"]
    assert advice(**protected) == (told if is_told else [])


def test_a_backend_that_no_user_can_reach_is_told_of(protected: dict[str, str], tmp_path: Path) -> None:
    add(tmp_path / "agents", "ci")
    file = a_file(tmp_path, *(a_backend(end_user=who) for who in ("allUsers", "ada@a.org", "@b.org", "@c.org")))
    front = {"USERS_SIGN_IN": "header", "USERS_HEADER": "X-User", "LISTEN_TRUSTED_PEERS": "127.0.0.1"}

    assert advice(file, **protected) == [
        "backends.end-user: b1 is for ada@a.org, but nobody is asked who he is",
        "backends.end-user: b2 is for @b.org, but nobody is asked who he is",
        "backends.end-user: b3 is for @c.org, but nobody is asked who he is",
    ]
    assert advice(file, **protected | front) == []
    assert advice(file, **protected | front, USERS_ALLOWED="allUsers") == []
    assert advice(file, **protected | front, USERS_ALLOWED="@a.org,bob@B.org") == [
        "backends.end-user: b3 is for @c.org, whom users.allowed does not let in"
    ]


def test_a_proxy_that_can_have_no_backend_is_told_of(protected: dict[str, str], tmp_path: Path) -> None:
    del protected["STORAGE_DATABASE"]

    assert advice(**protected) == ["there are no [[backends]], and nobody is an administrator, who could register one"]
    assert advice(**protected, ADMINISTRATORS_TOKENS=secret(tmp_path / "administrators", "")) == []
    add(tmp_path / "agents", "ci")
    assert advice(a_file(tmp_path, a_backend()), **protected) == []


def test_a_host_that_leads_elsewhere_is_told_of(protected: dict[str, str], tmp_path: Path) -> None:
    add(tmp_path / "agents", "ci")
    hosts = ("Agents.example", "proxy.example", "a.proxy.example", "other.example", "*.example")
    told = protected | SIGNING_IN | {"LISTEN_AGENTS_HOST": "agents.example"}

    assert advice(a_file(tmp_path, a_backend(hosts=hosts)), **told) == [
        "backends.hosts: b0 is for agents.example, which is listen.agents-host: no user gets there",
        "backends.hosts: b0 is for other.example, which is none of users.public-urls",
    ]
    assert advice(a_file(tmp_path, a_backend(hosts=hosts[1:])), **protected) == []


def test_a_backend_that_no_agent_can_serve_is_told_of(protected: dict[str, str], tmp_path: Path) -> None:
    add(tmp_path / "agents", "ci")
    add(tmp_path / "agents", "old", expires=NOW)
    file = a_file(
        tmp_path, *(a_backend(backend_user=who, hosts=(f"{who.lower()}.org",)) for who in ("CI", "old", "nobody"))
    )
    issuer = {"AGENTS_OIDC_ISSUER": "https://id.example", "AGENTS_OIDC_AUDIENCE": "proxy"}

    assert advice(file, **protected) == [
        "backends.backend-user: old of b1 has no token in agents.tokens that is good",
        "backends.backend-user: nobody of b2 has no token in agents.tokens that is good",
    ]
    assert advice(file, **protected, **issuer) == []
    assert advice("--open", file) == []


def test_a_token_of_agents_and_of_administrators_is_told_of(protected: dict[str, str], tmp_path: Path) -> None:
    for account in ("ci", "boss"):
        add(tmp_path / "agents", account)
    administrators = secret(tmp_path / "administrators", (tmp_path / "agents").read_text().splitlines()[1])

    assert advice(**protected, ADMINISTRATORS_TOKENS=administrators) == [
        "administrators.tokens: a token of boss is in agents.tokens, too: it opens both doors"
    ]


def test_backends_between_which_chance_decides_are_named(tmp_path: Path, protected: dict[str, str]) -> None:
    one, other = a_backend(hosts=("a.org", "b.org")), a_backend(hosts=("B.org",))
    (said,) = (text for text in advice(a_file(tmp_path, one, other), **protected) if text.startswith("backends: "))

    assert said == "backends: b0 and b1 are for the same user, host and path: the one that polled last is asked"


def test_backends_of_different_users_hosts_or_paths_are_not_taken_for_one(
    tmp_path: Path, protected: dict[str, str]
) -> None:
    backends = (
        *(a_backend(), a_backend(hosts=("a.org",)), a_backend(end_user="me@a.org")),
        a_backend() + '\npath-prefixes = ["/a"]',
    )

    assert not any(text.startswith("backends: ") for text in advice(a_file(tmp_path, *backends), **protected))


def test_limits_for_which_the_process_may_not_open_enough_are_told_of(protected: dict[str, str]) -> None:
    limits = {"LIMITS_CONNECTIONS": "2000", "LIMITS_WEBSOCKETS": "1000"}

    assert advice(**protected, **limits, descriptors=4000) == []
    assert advice(**protected, **limits, descriptors=3999) == [
        "limits.connections: with 2000 of them, and 1000 websockets of two each, 4000 descriptors are needed, but this "
        "process may have 3999: raise that (LimitNOFILE=, ulimit -Hn), or lower limits.connections or limits.websockets"
    ]
