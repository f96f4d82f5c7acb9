"""Limits are exact, and say which they are; whatever is beyond them ends cleanly."""

from collections.abc import Callable
from itertools import pairwise

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


MAX_HEAD, MAX_URL, MAX_FIELDS = 60 << 10, 16 << 10, 100

_START, _HOST = b"GET / HTTP/1.1\r\n", b"Host: h\r\n"
_SHORT, _PADDED = b"A:\r\n", b"A: \t%b\t \r\n"


def one_field(size: int) -> bytes:
    return _START + _HOST + b"A: " + b"a" * (size - len(_START + _HOST) - 7) + b"\r\n\r\n"


def many_fields(size: int) -> bytes:
    """The fields that the proxy lengthens most on their way: they have no space behind their colons."""
    return _START + _SHORT * 98 + one_field(size - 98 * len(_SHORT))[len(_START) :]


def white_space(size: int) -> bytes:
    return one_field(size - 1000)[:-4] + b" " * 1000 + b"\r\n\r\n"


def old(size: int) -> bytes:
    """Of HTTP/1.0, to which the proxy adds a host."""
    return one_field(size + len(_HOST)).replace(b"/1.1", b"/1.0").replace(_HOST, b"")


def answered(agent: Agent, request: bytes, status: int, *, cuts: tuple[int, ...] = ()) -> Reply:
    """The answer to a request, which is sent in pieces and reaches its backend where it is 200."""
    with Connection(agent.url) as client:
        for start, end in pairwise((0, *cuts, None)):
            client.send_as_far_as_taken(request[start:end])
        if status == 200:
            request_id, _ = agent.take()
            agent.post(request_id, OK)
        return client.read_reply()


@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD - 1, 200), (MAX_HEAD, 200), (MAX_HEAD + 1, 431)])
@pytest.mark.parametrize("head", [one_field, many_fields, white_space, old])
@pytest.mark.parametrize("cuts", [(), (-3,), (10, -2)])
def test_a_head_may_have_as_many_bytes_as_the_limit_says(
    agent: Agent, head: Callable[[int], bytes], size: int, status: int, cuts: tuple[int, ...]
) -> None:
    reply = answered(agent, head(size), status, cuts=cuts)

    assert (reply.status, reply.is_whole) == (status, True)
    assert (f"over {MAX_HEAD} bytes" in reply.body.decode()) == (status == 431)


_POST = b"POST /agent/pending HTTP/1.1\r\nHost: h\r\n"


@pytest.mark.parametrize(
    "before",
    [
        _POST + b"Content-Length: 2\r\n\r\nhi",
        _POST + b"Content-Length: 6\r\n\r\na\r\n\r\nb",
        _POST + b"Transfer-Encoding: chunked\r\n\r\n4;x\r\n\r\n\r\n\r\n0\r\nB: b\r\n\r\n",
        _START + _HOST + b"\r\n",
    ],
)
def test_a_head_behind_another_request_is_counted_by_itself(agent: Agent, before: bytes) -> None:
    with Connection(agent.url) as client:
        client.send(before + one_field(MAX_HEAD) + one_field(MAX_HEAD + 1))
        for _ in range(before.count(b"GET") + 1):
            request_id, _ = agent.take()
            agent.post(request_id, OK)

        # What is wrong with a request that was sent ahead is not said behind the answers to others.
        assert [client.read_reply().status for _ in range(2)] == [200 if b"GET" in before else 405, 200]
        assert client.read_to_end() == b""


@pytest.mark.parametrize(
    ("count", "status"), [(MAX_FIELDS - 1, 200), (MAX_FIELDS, 200), (MAX_FIELDS + 1, 431), (2 * MAX_FIELDS + 1, 431)]
)
def test_the_number_of_fields_has_a_limit(agent: Agent, count: int, status: int) -> None:
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(count - 1))
    reply = answered(agent, _START + _HOST + fields + b"\r\n", status)

    assert (reply.status, reply.is_whole) == (status, True)
    assert ("over 100 fields" in reply.body.decode()) == (status == 431)


@pytest.mark.parametrize(
    ("size", "status"), [(MAX_URL - 1, 200), (MAX_URL, 200), (MAX_URL + 1, 414), (MAX_HEAD + 1, 414), (200_000, 414)]
)
@pytest.mark.parametrize("start", [b"/", b"http://h/?"])
def test_a_url_that_alone_is_too_long_is_told_so(agent: Agent, start: bytes, size: int, status: int) -> None:
    reply = answered(agent, b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % start.ljust(size, b"a"), status)

    assert (reply.status, reply.is_whole) == (status, True)
    assert (f"over {MAX_URL} bytes" in reply.body.decode()) == (status == 414)


@pytest.mark.parametrize(("length", "status"), [(60_000, 200), (66_000, 502)])
def test_a_head_of_an_answer_is_limited_too(agent: Agent, length: int, status: int) -> None:
    with Connection(agent.url) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        request_id, _ = agent.take()
        agent.post(request_id, b"HTTP/1.1 200 OK\r\nA: %b\r\nContent-Length: 0\r\n\r\n" % (b"a" * length))
        reply = client.read_reply()

        assert (reply.status, reply.is_whole) == (status, True)
        assert reply.reason == (None if status == 200 else "broken-answer")
