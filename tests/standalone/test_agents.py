"""The three calls of the protocol, version 1, as any agent may make them."""

import json
import time

import pytest

from tests.standalone.by_hand import OK, Agent, a_chunk, ask
from tests.standalone.conftest import IDLE_TIMEOUT, introduce
from tests.system.rawhttp import Connection, chunked, request_bytes
from tests.timing import MS, SECOND

NAME = "X-Inverting-Proxy-Request-ID"


def receive_up_to(user: Connection, mark: bytes) -> None:
    received = b""
    while mark not in received:
        received += user.receive()


def test_a_request_is_listed_as_soon_as_it_is_there(agent: Agent) -> None:
    with agent.open_call("GET", "/agent/pending") as poll, ask(agent.url):
        asked = time.monotonic()
        reply = poll.read_reply()

        assert (reply.status, reply.get("Content-Type"), len(json.loads(reply.body))) == (200, "application/json", 1)
        assert time.monotonic() - asked < 200 * MS


def test_a_fetched_request_says_whose_it_is_and_since_when(agent: Agent) -> None:
    with ask(agent.url):
        [request_id] = agent.poll()
        fetched = agent.fetch(request_id)

    assert [name for name, _ in fetched.fields] == [
        "Content-Type",
        "X-Inverting-Proxy-Request-ID",
        "X-Inverting-Proxy-Request-Start-Time",
        "X-Inverting-Proxy-Forwarded",
        "Content-Length",
    ]
    assert (fetched.get("Content-Type"), fetched.get(NAME)) == ("application/http; msgtype=request", request_id)


def test_an_agent_like_the_originals_is_served(proxy: str) -> None:
    """No agent ID, a connection for each call, chunked outside and inside, the post opened before the answer."""
    agent = Agent(proxy, agent_id="", backend_id="old")
    introduce(agent)
    with ask(proxy) as user:
        with agent.open_call("GET", "/agent/pending", ("Connection", "close")) as poll:
            [request_id] = json.loads(poll.read_reply().body)
            assert poll.read_to_end() == b""
        agent.fetch(request_id)
        inner = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", trailers="T: 1\r\n")
        with agent.open_post(request_id, ("Content-Type", "text/plain"), ("Connection", "close")) as post:
            post.send(b"".join(a_chunk(inner[at : at + 7]) for at in range(0, len(inner), 7)) + b"0\r\n\r\n")
            posted = post.read_reply()
        reply = user.read_reply()

    assert (posted.status, posted.body) == (200, b"")
    assert (reply.body, reply.is_whole, reply.trailers) == (b"hello", True, [("T", "1")])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/agent/pending", "GET, DELETE"),
        ("HEAD", "/agent/pending", "GET, DELETE"),
        ("POST", "/agent/request", "GET"),
        ("GET", "/agent/response", "POST"),
        ("PUT", "/agent/response", "POST"),
    ],
)
def test_another_method_is_refused_with_the_right_one(agent: Agent, method: str, path: str, allowed: str) -> None:
    reply = agent.call(method, path)

    assert (reply.status, reply.get("Allow")) == (405, allowed)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "/agent/pending", []),
        ("GET", "/agent/pending", [("X-Inverting-Proxy-Backend-ID", "no name")]),
        ("GET", "/agent/pending", [("X-Inverting-Proxy-Backend-ID", "../x")]),
        ("GET", "/agent/request", [("X-Inverting-Proxy-Backend-ID", "b")]),
        ("POST", "/agent/response", [("X-Inverting-Proxy-Backend-ID", "b"), (NAME, "no name")]),
        ("GET", "/agent/pending", [("X-Inverting-Proxy-Backend-ID", "b"), ("X-Inverting-Proxy-Agent-ID", "a b")]),
    ],
)
def test_a_call_that_does_not_name_things_properly_is_refused(
    proxy: str, method: str, path: str, fields: list[tuple[str, str]]
) -> None:
    with Connection(proxy) as connection:
        connection.send(request_bytes(method, path, host=connection.host, fields=fields))
        reply = connection.read_reply()

    assert (reply.status, reply.reason) == (400, "malformed-request")


def test_what_nobody_waits_for_is_not_found(agent: Agent) -> None:
    assert (agent.fetch("unknown").status, agent.post("unknown", OK).status) == (404, 404)


def test_another_backends_request_is_not_found(agent: Agent) -> None:
    with ask(agent.url):
        [request_id] = agent.poll()
        other = Agent(agent.url, backend_id="other")

        assert (other.fetch(request_id).status, other.post(request_id, OK).status) == (404, 404)


def test_another_agents_request_is_not_to_be_had(agent: Agent) -> None:
    second = Agent(agent.url, agent_id="agent-2", backend_id=agent.backend_id)
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        refused = [second.fetch(request_id).status, second.post(request_id, OK).status]
        again = agent.fetch(request_id).status
        agent.post(request_id, OK)

        assert (refused, again, user.read_reply().body) == ([409, 409], 200, b"ok")


def test_an_empty_post_is_refused_and_the_user_learns_at_once(agent: Agent) -> None:
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        posted = agent.post(request_id, b"")
        reply = user.read_reply()

    assert (posted.status, reply.status, reply.reason) == (400, 502, "empty-answer")


def test_an_agents_own_answer_reaches_the_user_with_its_reason(agent: Agent) -> None:
    own = b"HTTP/1.1 502 Bad Gateway\r\nX-Inverting-Proxy-Error: backend-unreachable\r\nContent-Length: 4\r\n\r\ndown"
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        posted = agent.post(request_id, own, ("X-Inverting-Proxy-Error", "backend-unreachable"))
        reply = user.read_reply()

    assert (posted.status, reply.status, reply.reason, reply.body) == (200, 502, "backend-unreachable", b"down")


def test_a_post_that_broke_off_may_be_sent_again_cut_otherwise(agent: Agent) -> None:
    body = bytes(range(256)) * 400
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        with agent.open_post(request_id) as post:
            post.send(a_chunk(answer[:50_000]))
            head = user.receive()  # the proxy has it
        again = agent.post(request_id, answer)
        rest = user._take(len(answer) - len(head))

    assert (again.status, (head + rest)[-len(body) :]) == (200, body)


def test_a_retry_with_other_bytes_is_refused_and_never_spliced(agent: Agent) -> None:
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        with agent.open_post(request_id) as post:
            post.send(a_chunk(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"))
            receive_up_to(user, b"first")
        other = agent.post(request_id, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsecond....")

        assert (other.status, user.read_to_end()) == (409, b"")


def test_a_post_that_broke_off_and_does_not_come_again_is_not_waited_for_longer_than_idle(agent: Agent) -> None:
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        with agent.open_post(request_id) as post:
            post.send(a_chunk(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"))
            receive_up_to(user, b"first")
        began = time.monotonic()
        user.read_to_end()

        assert time.monotonic() - began < IDLE_TIMEOUT + 1 * SECOND


def test_a_poll_that_breaks_off_takes_nothing_with_it(agent: Agent) -> None:
    agent.open_call("GET", "/agent/pending").close()
    with ask(agent.url) as user:
        request_id, _ = agent.take()
        agent.post(request_id, OK)

        assert user.read_reply().body == b"ok"


def test_a_user_who_goes_away_takes_the_request_back(agent: Agent) -> None:
    user = ask(agent.url)
    request_id, _ = agent.take()
    user.close()
    time.sleep(100 * MS)

    assert agent.post(request_id, OK).status == 404


def test_an_open_post_learns_soon_that_its_user_has_gone(agent: Agent) -> None:
    user = ask(agent.url)
    request_id, _ = agent.take()
    with agent.open_post(request_id) as post:
        time.sleep(100 * MS)
        user.close()
        began = time.monotonic()
        reply = post.read_reply()

        assert (reply.status, time.monotonic() - began < 2 * SECOND) == (404, True)


def test_a_request_that_is_not_fetched_is_withdrawn_when_its_user_goes(agent: Agent) -> None:
    ask(agent.url, target="/gone").close()
    time.sleep(100 * MS)
    with ask(agent.url, target="/here"):
        _, message = agent.take()

        assert message.startswith(b"GET /here ")
