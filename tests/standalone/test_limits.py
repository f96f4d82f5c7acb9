"""Limits are exact, and say which they are; whatever is beyond them ends cleanly."""

import pytest

from tests.standalone.by_hand import OK, Agent
from tests.standalone.conftest import MAX_BODY, Start
from tests.system.rawhttp import Connection, Reply, chunked

HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"


def sent(agent: Agent, head: bytes, body: bytes) -> tuple[Connection, bytes]:
    """A request whose agent has got it."""
    client = Connection(agent.url)
    client.send(HEAD + head + b"\r\n")
    poll = agent.open_call("GET", "/agent/pending")
    client.send_as_far_as_taken(body)
    with poll:
        request_id = poll.read_reply().body.decode().strip('[]"')
    request = agent.fetch(request_id)
    agent.post(request_id, OK)
    return client, request.body


@pytest.mark.parametrize("size", [MAX_BODY - 1, MAX_BODY])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_up_to_the_limit_passes(agent: Agent, size: int, is_chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked\r\n" if is_chunked else b"Content-Length: %d\r\n" % size
    body = chunked(bytes(size)) if is_chunked else bytes(size)
    client, request = sent(agent, framing, body)
    with client:
        assert client.read_reply().body == b"ok"
        assert request.count(b"\x00") == size


def refused(agent: Agent, request: bytes, body: bytes = b"") -> tuple[bytes, Reply, bytes]:
    """What came before the answer, the answer, and what came after it."""
    with Connection(agent.url) as client:
        client.send_as_far_as_taken(request + body)
        client.read_at_least(1)
        first = client.peek()
        return first, client.read_reply("POST"), client.read_to_end()


@pytest.mark.parametrize("field", [b"", b"Expect: 100-continue\r\n"])
def test_a_body_announced_one_byte_over_the_limit_is_refused_and_not_asked_for(agent: Agent, field: bytes) -> None:
    announced = HEAD + b"Content-Length: %d\r\n" % (MAX_BODY + 1) + field + b"\r\n"
    first, reply, rest = refused(agent, announced)

    assert (first[:12], reply.status, reply.reason, rest) == (b"HTTP/1.1 413", 413, "too-large", b"")
    assert str(MAX_BODY) in reply.body.decode()


def test_a_body_that_turns_out_one_byte_over_the_limit_is_refused(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        poll = agent.open_call("GET", "/agent/pending")
        client.send_as_far_as_taken(chunked(bytes(MAX_BODY + 1)))
        with poll:
            request_id = poll.read_reply().body.decode().strip('[]"')
        fetched = agent.fetch(request_id)

        assert client.read_reply().reason == "too-large"
        assert not fetched.is_whole


def test_a_body_is_not_asked_for_where_nobody_would_read_it(start: Start) -> None:
    _, url = start()
    with Connection(url) as client:
        client.send(HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        client.read_at_least(1)

        assert client.peek().startswith(b"HTTP/1.1 404")
        assert client.read_reply().reason == "no-backend"


def test_a_body_shorter_than_announced_is_no_request(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(HEAD + b"Content-Length: 10\r\n\r\nfour")
        [request_id] = agent.poll()
        fetching = agent.open_call("GET", "/agent/request", ("X-Inverting-Proxy-Request-ID", request_id))
        fetching.read_at_least(200)
        client.half_close()

        with fetching:
            assert not fetching.read_reply().is_whole


@pytest.mark.parametrize("count", [100, 101, 1000])
def test_the_number_of_fields_has_no_limit_but_their_bytes(agent: Agent, count: int) -> None:
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(count))
    client, request = sent(agent, fields + b"Content-Length: 0\r\n", b"")
    with client:
        assert client.read_reply().body == b"ok"
        assert request.count(b": y\r\n") == count


@pytest.mark.parametrize(("length", "status"), [(60_000, 200), (66_000, 431)])
def test_a_target_is_limited_with_its_head(agent: Agent, length: int, status: int) -> None:
    with Connection(agent.url) as client:
        client.send_as_far_as_taken(b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * length))
        if status == 200:
            request_id, _ = agent.take()
            agent.post(request_id, OK)

        assert client.read_reply().status == status


@pytest.mark.parametrize(("length", "status"), [(60_000, 200), (66_000, 502)])
def test_a_head_of_an_answer_is_limited_too(agent: Agent, length: int, status: int) -> None:
    with Connection(agent.url) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        request_id, _ = agent.take()
        agent.post(request_id, b"HTTP/1.1 200 OK\r\nA: %b\r\nContent-Length: 0\r\n\r\n" % (b"a" * length))
        reply = client.read_reply()

        assert (reply.status, reply.is_whole) == (status, True)
        assert reply.reason == (None if status == 200 else "broken-answer")
