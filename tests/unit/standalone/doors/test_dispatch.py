import pytest

from standalone.doors.dispatch import AGENT_PATHS, Door, Entrance, requested_host
from wire.headers import Headers
from wire.http1 import RequestHead

ALL = frozenset(Door)
AGENTS_AND_API = frozenset({Door.AGENTS, Door.API})
NAMED = Entrance(doors=ALL, agents_host="agents.example", api_host="api.example")


def request(target: str, host: str = "proxy.example") -> RequestHead:
    return RequestHead("GET", target, Headers([("Host", host)]), None)


@pytest.mark.parametrize(
    ("target", "door"),
    [
        ("/", Door.USERS),
        ("/agent/pending", Door.AGENTS),
        ("/agent/request", Door.AGENTS),
        ("/agent/response", Door.AGENTS),
        ("/agent/pending/", Door.USERS),
        ("/agent/pending?x", Door.USERS),
        ("/agent/", Door.USERS),
        ("//agent/pending", Door.USERS),
        ("/agent/%70ending", Door.USERS),
        ("http://proxy.example/agent/pending", Door.USERS),
        ("*", Door.USERS),
        ("/api/backends", Door.API),
        ("/api/backends?x", Door.API),
        ("/api/backends/notebook", Door.API),
        ("/api/backendsX", Door.USERS),
        ("/api/contents", Door.USERS),
        ("/API/backends", Door.USERS),
        ("/api", Door.USERS),
    ],
)
def test_on_a_shared_address_the_exact_path_decides(target: str, door: Door) -> None:
    assert Entrance(doors=ALL).door_of(request(target)) is door


@pytest.mark.parametrize("target", ["/", *sorted(AGENT_PATHS), "/api/backends", "*"])
@pytest.mark.parametrize("door", Door)
def test_an_address_with_one_door_has_no_other(target: str, door: Door) -> None:
    assert Entrance(doors=frozenset({door})).door_of(request(target)) is door


def test_a_door_that_is_not_there_takes_no_path_from_users() -> None:
    entrance = Entrance(doors=frozenset({Door.USERS, Door.AGENTS}))

    assert entrance.door_of(request("/api/backends")) is Door.USERS
    assert Entrance(doors=frozenset({Door.USERS, Door.API})).door_of(request("/agent/pending")) is Door.USERS


@pytest.mark.parametrize(
    ("target", "host", "door"),
    [
        ("/", "proxy.example", Door.USERS),
        ("/agent/pending", "proxy.example", Door.USERS),
        ("/api/backends", "proxy.example", Door.USERS),
        ("/agent/pending", "agents.example", Door.AGENTS),
        ("/", "agents.example", Door.AGENTS),
        ("/", "AGENTS.example.:8443", Door.AGENTS),
        ("/", "api.example:1", Door.API),
        ("/", "x.api.example", Door.USERS),
        ("/", "", Door.USERS),
        ("http://api.example/", "proxy.example", Door.API),
        ("http://proxy.example/", "api.example", Door.USERS),
    ],
)
def test_a_door_with_a_name_is_reached_by_its_name_alone(target: str, host: str, door: Door) -> None:
    assert NAMED.door_of(request(target, host)) is door


def test_one_door_may_have_a_name_and_the_other_a_path() -> None:
    entrance = Entrance(doors=ALL, agents_host="agents.example")

    assert entrance.door_of(request("/agent/pending")) is Door.USERS
    assert entrance.door_of(request("/api/backends")) is Door.API
    assert entrance.door_of(request("/api/backends", "agents.example")) is Door.AGENTS


def test_what_a_trusted_peer_says_was_asked_for_wins() -> None:
    assert NAMED.door_of(request("/", "10.0.0.1:80"), asked_for="api.example:443") is Door.API
    assert NAMED.door_of(request("/", "api.example"), asked_for="proxy.example") is Door.USERS


def test_without_users_what_is_neither_agents_nor_administrators_has_no_door() -> None:
    entrance = Entrance(doors=AGENTS_AND_API)

    assert entrance.door_of(request("/")) is None
    assert entrance.door_of(request("/agent/pending")) is Door.AGENTS
    assert entrance.door_of(request("/api/backends")) is Door.API


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/", "a.example"),
        ("/http://b.example/", "a.example"),
        ("http://b.example/", "b.example"),
        ("http://b.example:80", "b.example"),
        ("http://b.example?c://d", "b.example"),
        ("*", "a.example"),
    ],
)
def test_a_url_in_the_request_line_wins_over_the_field(target: str, host: str) -> None:
    assert requested_host(request(target, "A.example:1")) == host


def test_a_request_without_host_is_for_none() -> None:
    assert requested_host(RequestHead("GET", "/", Headers(), None)) == ""
