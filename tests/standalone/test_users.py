"""What passes between a user and an agent, both ways, and what a user is told when it does not."""

import json
import threading

import pytest

from tests.standalone.by_hand import OK, Agent, a_chunk, ask
from tests.standalone.conftest import Start, introduce
from tests.system.rawhttp import Connection, Reply, call, chunked, get
from tests.timing import SECOND

TARGETS = [
    "/",
    "/?",
    "/a?b=%22&c",
    "//a//b/",
    "/./a/../b",
    "/%2F%2e%2e%41",
    "/;p=1/'\"<>|",
    "/agent/pending?x",
    "/agent/pending/",
    "//agent/pending",
]

METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "REPORT",
    "M-SEARCH",
    "PURGE",
]


def exchange(agent: Agent, request: bytes, answer: bytes, method: str = "GET") -> tuple[bytes, Reply]:
    """The request as the agent gets it, and the answer as the client does."""
    with Connection(agent.url) as client:
        client.send(request)
        request_id, message = agent.take()
        assert agent.post(request_id, answer).status == 200
        return message, client.read_reply(method)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_passes_byte_for_byte(agent: Agent, target: str) -> None:
    message, _ = exchange(agent, f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode(), OK)

    assert message.split(b"\r\n")[0] == f"GET {target} HTTP/1.1".encode()


def test_an_absolute_url_arrives_as_its_path_at_the_host_that_it_names(agent: Agent) -> None:
    message, _ = exchange(agent, b"GET http://other.example/absolute?x HTTP/1.1\r\nHost: h\r\n\r\n", OK)

    assert message.startswith(b"GET /absolute?x HTTP/1.1\r\nHost: other.example\r\n")


@pytest.mark.parametrize("method", METHODS)
def test_a_method_passes(agent: Agent, method: str) -> None:
    message, _ = exchange(agent, f"{method} /x HTTP/1.1\r\nHost: h\r\n\r\n".encode(), OK, method)

    assert message.startswith(f"{method} /x ".encode())


def test_all_options_pass(agent: Agent) -> None:
    message, _ = exchange(agent, b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", OK)

    assert message.startswith(b"OPTIONS * ")


def test_fields_keep_their_case_their_order_their_repetitions_and_their_bytes(agent: Agent) -> None:
    fields = b"x-Lower-UPPER: 1\r\nCookie: a=1\r\nCookie: b=2\r\nEmpty:\r\nX: \xe9\xff\r\nx-lower-upper: 2\r\n"
    message, _ = exchange(agent, b"GET / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n", OK)

    sent = fields.replace(b"Empty:\r\n", b"Empty: \r\n")
    assert message.startswith(b"GET / HTTP/1.1\r\nHost: h\r\n" + sent)


def test_fields_of_the_answer_keep_their_case_their_order_and_their_repetitions(agent: Agent) -> None:
    fields = (
        b"x-Lower-UPPER: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: backend/1\r\nDate: never\r\nX: \xe9\r\n"
    )
    _, reply = exchange(
        agent, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n"
    )

    assert reply.fields == [
        ("x-Lower-UPPER", "1"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Server", "backend/1"),
        ("Date", "never"),
        ("X", "\xe9"),
        ("Content-Length", "0"),
    ]


def test_the_proxy_says_what_it_knows_of_the_client_and_nobody_else_does(agent: Agent) -> None:
    forged = b"X-Forwarded-For: 1.1.1.1\r\nX_Forwarded_Proto: https\r\nx-inverting-proxy-user-id: root\r\n"
    message, _ = exchange(agent, b"GET / HTTP/1.1\r\nHost: h\r\n" + forged + b"\r\n", OK)

    assert message.split(b"\r\n")[1:-2] == [
        b"Host: h",
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: h",
    ]


@pytest.mark.parametrize(
    ("method", "answer", "status", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 200, "1000"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, None),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n", 304, "1000"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304, None),
        ("GET", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "0"),
        ("GET", b"HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n", 299, "0"),
        ("GET", b"HTTP/1.1 799 Odder\r\nContent-Length: 0\r\n\r\n", 799, "0"),
    ],
)
def test_an_answer_without_a_body_leaves_the_connection_open(
    agent: Agent, method: str, answer: bytes, status: int, length: str | None
) -> None:
    with Connection(agent.url) as client:
        for _ in range(2):
            client.send(f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            request_id, _ = agent.take()
            agent.post(request_id, answer)
            reply = client.read_reply(method)

            assert (reply.status, reply.get("Content-Length"), reply.get("Transfer-Encoding")) == (status, length, None)


def test_an_answer_in_chunks_comes_in_chunks_with_its_trailers(agent: Agent) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ab", b"c", trailers="Sum: 1\r\n")
    _, reply = exchange(agent, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", answer)

    assert (reply.body, reply.framing, reply.is_whole, reply.trailers) == (b"abc", "chunked", True, [("Sum", "1")])


def test_an_answer_that_ends_with_its_connection_is_whole(agent: Agent) -> None:
    _, reply = exchange(agent, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nto the end")

    assert (reply.body, reply.is_whole) == (b"to the end", True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, too long",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"not HTTP at all",
    ],
    ids=repr,
)
def test_an_answer_that_is_not_whole_or_not_http_is_a_bad_gateway(agent: Agent, answer: bytes) -> None:
    _, reply = exchange(agent, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", answer)

    assert (reply.status, reply.reason, reply.is_whole) == (502, "broken-answer", True)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "head", [b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"\r\nhello"]
)
def test_an_answer_that_breaks_off_later_is_seen_to_be_broken(agent: Agent, version: str, head: bytes) -> None:
    with Connection(agent.url) as client:
        client.send(f"GET / HTTP/{version}\r\nHost: h\r\n\r\n".encode())
        request_id, _ = agent.take()
        with agent.open_post(request_id) as post:
            post.send(a_chunk(b"HTTP/1.1 200 OK\r\n" + head))
            first = b""
            while b"hello" not in first:
                first += client.receive()
        agent.post(request_id, b"HTTP/1.1 502 Bad Gateway\r\n\r\n", ("X-Inverting-Proxy-Error", "backend-broke-off"))

        if b"chunked" in first or b"Content-Length" in first:
            assert client.read_to_end() in (b"", b"\r\n")
        else:
            with pytest.raises(ConnectionResetError):
                client._socket.recv(1)


def test_no_backend_no_agent_and_no_answer_are_told_apart(start: Start) -> None:
    _, url = start("--response-timeout=1s")
    nobody = get(url, "/")
    agent = Agent(url)
    poll = agent.open_call("GET", "/agent/pending")
    with ask(url) as slow, poll:
        [request_id] = json.loads(poll.read_reply().body)
        agent.fetch(request_id)
        late = slow.read_reply()
    unfetched = get(url, "/")

    assert [(reply.status, reply.reason) for reply in (nobody, late, unfetched)] == [
        (404, "no-backend"),
        (504, "timeout"),
        (503, "no-agent"),
    ]
    assert unfetched.get("Retry-After")


def test_a_client_that_stops_sending_is_told_so(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe")
        [request_id] = agent.poll()
        with agent.open_call("GET", "/agent/request", ("X-Inverting-Proxy-Request-ID", request_id)) as fetching:
            reply = client.read_reply()

            assert (reply.status, reply.reason) == (408, "client-silent")
            assert not fetching.read_reply().is_whole


def test_a_client_that_closes_its_sending_side_has_gone(agent: Agent) -> None:
    with ask(agent.url) as client:
        request_id, _ = agent.take()
        client.half_close()

        assert client.read_to_end() == b""
        assert agent.post(request_id, OK).reason == "unknown-request"


def test_a_backend_may_answer_before_it_has_read_all(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1000)
        [request_id] = agent.poll()
        with agent.open_call("GET", "/agent/request", ("X-Inverting-Proxy-Request-ID", request_id)):
            agent.post(request_id, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            reply = client.read_reply()

        assert (reply.status, reply.body, reply.get("Connection")) == (403, b"no", "close")


def test_errors_come_in_the_form_that_the_client_reads(agent: Agent) -> None:
    forms = [
        call(agent.url, "POST", "/", fields=[("Accept", accept), ("Content-Length", "9000000")]).get("Content-Type")
        for accept in ("text/html,*/*;q=0.8", "application/json", "*/*")
    ]

    assert forms == ["text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"]


def test_many_users_at_once_get_each_their_own_answer(start: Start) -> None:
    total, agent = 64, Agent(start()[1])  # of a proxy whose times are not short: one agent answers them one by one
    introduce(agent)
    bodies: dict[int, bytes] = {}

    def use(number: int) -> None:
        bodies[number] = get(agent.url, f"/{number}").body

    users = [threading.Thread(target=use, args=(number,)) for number in range(total)]
    for user in users:
        user.start()
    answered = 0
    while answered < total:
        for request_id in agent.poll():
            target = agent.fetch(request_id).body.split(b" ")[1]
            agent.post(request_id, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))
            answered += 1
    for user in users:
        user.join(10 * SECOND)

    assert bodies == {number: b"/%d" % number for number in range(total)}
