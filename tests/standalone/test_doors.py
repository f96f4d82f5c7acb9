"""Several addresses, names and paths; and what proxies in front say of their clients."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.standalone.by_hand import OK, Agent, ask
from tests.standalone.conftest import Start, introduce
from tests.system.rawhttp import Connection, get, request_bytes

Listening = Callable[[str], list[str]]


@pytest.fixture
def listening(start: Start, tmp_path: Path) -> Listening:
    """The addresses of a proxy that has this [listen]."""

    def start_one(listen: str) -> list[str]:
        (tmp_path / "proxy.toml").write_text(f"[listen]\n{listen}\n")
        process, _ = start(f"--config={tmp_path / 'proxy.toml'}")
        return re.findall(r"Listening on (\S+)", process.printed())

    return start_one


def test_agents_have_an_address_of_their_own(listening: Listening) -> None:
    users, agents = listening('users = "127.0.0.1:0"\nagents = "127.0.0.1:0"')
    agent = Agent(agents)
    introduce(agent)

    with ask(users, "GET", "/agent/pending") as user:
        request_id, request = agent.take()
        agent.post(request_id, OK)
        assert user.read_reply().body == b"ok"
    assert request.startswith(b"GET /agent/pending HTTP/1.1\r\n")
    elsewhere = get(agents, "/")
    assert (elsewhere.status, elsewhere.reason) == (404, "no-such-path")


def test_agents_have_a_name_of_their_own(listening: Listening) -> None:
    [url] = listening('users = "127.0.0.1:0"\nagents-host = "agents.example"')

    def status(target: str, host: str) -> tuple[int, str | None]:
        with Connection(url) as connection:
            connection.send(request_bytes("GET", target, host=host))
            reply = connection.read_reply()
            return reply.status, reply.reason

    assert status("/agent/request", "proxy.example") == (404, "no-backend")
    assert status("/agent/request", "Agents.example:80") == (400, "malformed-request")
    assert status("/", "agents.example") == (404, "no-such-path")


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        ("127.0.0.0/8", [b"198.51.100.7", b"https", b"site.example"]),
        ("10.0.0.0/8", [b"127.0.0.1", b"http", b"proxy.example"]),
    ],
)
def test_what_a_proxy_in_front_says_of_its_client_reaches_the_backend_if_it_is_trusted(
    listening: Listening, trusted: str, expected: list[bytes]
) -> None:
    [url] = listening(f'users = "127.0.0.1:0"\ntrusted-peers = "{trusted}"')
    agent = Agent(url)
    introduce(agent)
    fields = [
        ("X-Forwarded-For", "1.2.3.4, 198.51.100.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "site.example"),
    ]

    with Connection(url) as user:
        user.send(request_bytes("GET", "/", host="proxy.example", fields=fields))
        request_id, request = agent.take()
        agent.post(request_id, OK)
        user.read_reply()
    assert re.findall(rb"X-Forwarded-(?:For|Proto|Host): (\S+)\r\n", request) == expected
