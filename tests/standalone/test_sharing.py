"""Several agents of one backend: one that stands by, requests that stay with one, and bounds."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.standalone.by_hand import OK, Agent
from tests.standalone.conftest import Start, introduce
from tests.system.rawhttp import Connection, Reply, request_bytes
from tests.timing import SECOND

BACKENDS = """
[timeouts]
offer = "1s"
[[backends]]
id = "standby"
end-user = "allUsers"
backend-user = "robot"
hosts = ["standby.example"]
agents = "standby"
[[backends]]
id = "sticky"
end-user = "allUsers"
backend-user = "robot"
hosts = ["sticky.example"]
agents = "sticky"
[[backends]]
id = "small"
end-user = "allUsers"
backend-user = "robot"
hosts = ["small.example"]
max-queue = 3
max-exchanges = 5
"""


@pytest.fixture
def url(start: Start, tmp_path: Path) -> str:
    """A proxy that has a backend of each kind, each at a host of its own."""
    path = tmp_path / "proxy.toml"
    path.write_text(f'[listen]\nusers = "127.0.0.1:0"\n{BACKENDS}')
    _, url = start(f"--config={path}")
    return url


@pytest.fixture
def polls() -> Iterator[ExitStack]:
    """Ends what is open."""
    with ExitStack() as stack:
        yield stack


def agent(url: str, backend_id: str, agent_id: str) -> Agent:
    return Agent(url, backend_id=backend_id, agent_id=agent_id)


def polling(polls: ExitStack, *agents: Agent) -> list[Connection]:
    """A poll of each, in this order, all of them with the proxy."""
    opened = []
    for each in agents:
        introduce(each)
        opened.append(polls.enter_context(each.open_call("GET", "/agent/pending")))
        assert each.fetch("none").status == 404
    return opened


def ask(url: str, backend_id: str, cookie: str = "") -> Connection:
    connection = Connection(url)
    fields = [("Cookie", cookie)] if cookie else []
    connection.send(request_bytes("GET", "/", host=f"{backend_id}.example", fields=fields))
    return connection


def serve(each: Agent, poll: Connection) -> str:
    """Answer what a poll brings, and poll no more: the ID of the request."""
    [request_id] = re.findall(rb'"([^"]+)"', poll.read_reply().body)
    name = request_id.decode()
    assert each.fetch(name).status == 200
    each.post(name, OK)
    return name


def served(each: Agent, poll: Connection, user: Connection) -> Reply:
    serve(each, poll)
    return user.read_reply()


def test_the_agent_that_stands_by_gets_nothing_until_the_other_has_gone(url: str, polls: ExitStack) -> None:
    first, second = agent(url, "standby", "first"), agent(url, "standby", "second")
    [poll, waiting] = polling(polls, first, second)
    for _ in range(3):
        with ask(url, "standby") as user:
            assert served(first, poll, user).body == b"ok"
        [poll] = polling(polls, first)

    with ask(url, "standby") as user:
        poll.close()
        began = time.monotonic()
        assert served(second, waiting, user).body == b"ok"
    assert time.monotonic() - began < 9 * SECOND


def test_an_agent_that_says_that_it_leaves_is_followed_at_once_and_comes_back_in_second_place(
    url: str, polls: ExitStack
) -> None:
    first, second = agent(url, "standby", "first"), agent(url, "standby", "second")
    [_, waiting] = polling(polls, first, second)
    first.call("DELETE", "/agent/pending")
    with ask(url, "standby") as user:
        assert served(second, waiting, user).body == b"ok"

    [waiting, back] = polling(polls, second, first)

    with ask(url, "standby") as user:
        assert served(second, waiting, user).body == b"ok"
    back.close()


def test_a_browser_stays_with_the_agent_that_answered_it_first(url: str, polls: ExitStack) -> None:
    agents = [agent(url, "sticky", "first"), agent(url, "sticky", "second")]
    cookies = []
    for each in agents:
        [poll] = polling(polls, each)
        with ask(url, "sticky") as user:
            reply = served(each, poll, user)
        [cookie] = reply.get_all("Set-Cookie")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")
        cookies.append(cookie.partition(";")[0])

    for number in (1, 0, 0, 1, 1):
        both = polling(polls, *agents)
        with ask(url, "sticky", cookie=cookies[number]) as user:
            reply = served(agents[number], both[number], user)
        assert (reply.body, reply.get("Set-Cookie")) == (b"ok", None)
        for poll in both:
            poll.close()


def test_a_browser_whose_agent_has_gone_gets_another_and_its_cookie(url: str, polls: ExitStack) -> None:
    first, second = agent(url, "sticky", "first"), agent(url, "sticky", "second")
    [poll] = polling(polls, first)
    with ask(url, "sticky") as user:
        old = served(first, poll, user).get_all("Set-Cookie")[0].partition(";")[0]
    first.call("DELETE", "/agent/pending")
    [poll] = polling(polls, second)

    with ask(url, "sticky", cookie=old) as user:
        reply = served(second, poll, user)

    [new] = reply.get_all("Set-Cookie")
    assert (reply.body, new.partition(";")[0] != old) == (b"ok", True)


def test_a_full_queue_is_told_at_once_with_when_to_come_again_and_is_free_again(url: str, polls: ExitStack) -> None:
    each = agent(url, "small", "agent-1")
    introduce(each)
    waiting = [polls.enter_context(ask(url, "small")) for _ in range(3)]
    assert each.fetch("none").status == 404
    began = time.monotonic()
    with ask(url, "small") as user:
        refused = user.read_reply()
    took = time.monotonic() - began
    assert (refused.status, refused.reason, refused.get("Retry-After")) == (503, "overloaded", "1")
    assert took < SECOND

    for request_id in each.poll():
        assert each.fetch(request_id).status == 200
        each.post(request_id, OK)

    assert [user.read_reply().body for user in waiting] == [b"ok"] * 3
    with ThreadPoolExecutor(1) as pool, ask(url, "small") as user:
        reply = pool.submit(user.read_reply)
        request_id, _ = each.take()
        each.post(request_id, OK)
        assert reply.result().status == 200
