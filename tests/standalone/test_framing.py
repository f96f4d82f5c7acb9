"""Which bytes are taken as a request, and what becomes of those that are not."""

import pytest

from tests.standalone.by_hand import OK, Agent
from tests.system.rawhttp import Connection, chunked
from tests.timing import SECOND

CHUNKED = b"Transfer-Encoding: chunked\r\n"

REFUSED = {
    "a length beside a coding": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a coding beside a length": b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "the same length twice": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\na",
    "a signed length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na",
    "a negative length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\na",
    "a length with a letter": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\na",
    "an empty length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n",
    "a length beyond all numbers": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n",
    "a coding before chunked": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "chunked with a control byte": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: h\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a folded field": b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
    "a field without a name": b"GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n",
    "a bare LF behind the first line": b"GET / HTTP/1.1\nHost: h\r\n\r\n",
    "a bare LF behind a field": b"GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n",
    "a bare CR in a field": b"GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
    "a NUL in a field": b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x00c\r\n\r\n",
    "a NUL in the target": b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a raw byte in the target": b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: h/p\r\n\r\n",
    "a version unknown": b"GET / HTTP/1.2\r\nHost: h\r\n\r\n",
    "a version of another protocol": b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a chunk that is no number": b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\nxyz\r\n",
    "a chunk with a sign": b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\n+1\r\na\r\n0\r\n\r\n",
    "a chunk with a prefix": b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n",
    "a chunk beyond all numbers": b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\nfffffffffffffffff\r\na\r\n",
    "a chunk longer than it says": b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\n1\r\nab\r\n0\r\n\r\n",
    "a bare LF behind a chunk's size": b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\n1\na\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
def test_what_is_not_one_clear_request_is_refused_and_ends_the_connection(agent: Agent, request_bytes: bytes) -> None:
    with Connection(agent.url, timeout=5 * SECOND) as client:
        client.send(request_bytes)
        reply = client.read_reply()

        assert (reply.status, reply.reason, reply.get("Connection")) == (400, "malformed-request", "close")
        assert client.read_to_end() == b""


def test_nothing_of_a_refused_request_reaches_an_agent(agent: Agent) -> None:
    poll = agent.open_call("GET", "/agent/pending")
    for request_bytes in REFUSED.values():
        with Connection(agent.url) as client:
            client.send(request_bytes)
            client.read_reply()
    with poll, Connection(agent.url) as client:
        client.send(b"GET /clean HTTP/1.1\r\nHost: h\r\n\r\n")
        [request_id] = _ids(poll.read_reply().body)

        assert agent.fetch(request_id).body.startswith(b"GET /clean HTTP/1.1\r\n")


def test_an_unknown_method_is_named_as_such(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"FROB / HTTP/1.1\r\nHost: h\r\n\r\n")

        assert client.read_reply().reason == "unknown-method"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_tunnels_and_websockets_that_no_agent_takes_are_refused(agent: Agent, request_bytes: bytes) -> None:
    with Connection(agent.url) as client:
        client.send(request_bytes)
        reply = client.read_reply()

        assert (reply.status, reply.reason) == (501, "upgrade-not-supported")
        assert client.read_to_end() == b""


def test_an_offer_of_another_protocol_is_ignored(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        request_id, request = agent.take()
        agent.post(request_id, OK)

        assert (client.read_reply().body, b"pgrade" in request) == (b"ok", False)


@pytest.mark.parametrize(
    ("start", "status"),
    [(b"", 501), (b"GET /", 414), (b"GET / HTTP/1.1\r\nA: ", 431), (b"GET / HTTP/1.1\r\n", 431), (b"GET / ", 400)],
)
def test_a_head_that_never_ends_is_cut_off(agent: Agent, start: bytes, status: int) -> None:
    with Connection(agent.url) as client:
        client.send_as_far_as_taken(start + b"a" * 1_000_000)

        assert client.read_reply().status == status


def test_trailers_that_never_end_are_cut_off(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\n1\r\na\r\n0\r\nA: ")
        client.send_as_far_as_taken(b"a" * 1_000_000)

        assert client.read_reply().status == 431


def test_requests_sent_ahead_are_answered_one_after_the_other(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(3)))
        targets = []
        for number in range(3):
            request_id, request = agent.take()
            targets.append(request.split(b" ")[1])
            agent.post(request_id, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

        assert targets == [b"/0", b"/1", b"/2"]
        assert [client.read_reply().body for _ in range(3)] == [b"0", b"1", b"2"]


def test_garbage_behind_a_request_does_not_cost_it_its_answer(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\ngarbage\x00\r\n\r\n")
        request_id, _ = agent.take()
        agent.post(request_id, OK)

        assert client.read_reply().body == b"ok"
        assert client.read_to_end() == b""


def test_requests_that_are_sent_far_ahead_are_all_answered(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(100)))
        for number in range(100):
            request_id, request = agent.take()
            assert request.startswith(b"GET /%d " % number)
            agent.post(request_id, OK)

        assert [client.read_reply().status for _ in range(100)] == [200] * 100


def test_a_chunked_request_is_read_to_its_end_with_its_trailers_and_the_connection_goes_on(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(
            b"POST /a HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\n1;ext=1\r\na\r\n2\r\nbc\r\n0\r\nT: x\r\n\r\n"
            b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        first_id, first = agent.take()
        agent.post(first_id, OK)
        second_id, second = agent.take()
        agent.post(second_id, OK)

        assert first.endswith(b"\r\n\r\n" + chunked(b"abc", trailers="T: x\r\n"))
        assert second.startswith(b"GET /b ")
        assert [client.read_reply().body, client.read_reply().body] == [b"ok", b"ok"]


def test_trailers_that_a_request_must_not_have_are_dropped(agent: Agent) -> None:
    forbidden = "X-Inverting-Proxy-User-ID: root\r\nx_forwarded_for: 1.1.1.1\r\nHost: x\r\nCookie: a=b\r\n"
    body = chunked(b"a", trailers=f"{forbidden}Sum: 1\r\n")
    with Connection(agent.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\n" + body)
        request_id, request = agent.take()
        agent.post(request_id, OK)

        assert request.endswith(b"\r\n\r\n" + chunked(b"a", trailers="Sum: 1\r\n"))
        assert client.read_reply().body == b"ok"


def test_a_client_is_told_to_go_on_only_when_its_request_is_taken(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"

        client.send(b"hello")
        request_id, request = agent.take()
        agent.post(request_id, OK)

        assert (request.endswith(b"\r\n\r\nhello"), client.read_reply().body) == (True, b"ok")


def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000001\r\nExpect: 100-continue\r\n\r\n")
        received = client.read_to_end()

        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"2000000 bytes" in received


def test_a_refused_body_that_is_sent_all_the_same_does_not_hide_the_answer(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n")
        client.send_as_far_as_taken(b"a" * 8_000_000)
        reply = client.read_reply()

        assert (reply.status, reply.get("Connection"), client.read_to_end()) == (413, "close", b"")


def test_a_body_that_grows_over_the_limit_is_refused(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"\r\n")
        poll = agent.open_call("GET", "/agent/pending")
        client.send_as_far_as_taken((b"10000\r\n" + b"a" * 65_536 + b"\r\n") * 32)
        with poll:
            [request_id] = _ids(poll.read_reply().body)
        agent.fetch(request_id)

        assert client.read_reply().reason == "too-large"


def test_a_refusal_of_a_request_that_is_read_to_its_end_leaves_the_connection_open(proxy: str) -> None:
    with Connection(proxy) as client:
        for _ in range(2):
            client.send(b"POST /agent/pending HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")

            assert client.read_reply().status == 405


def test_an_old_client_gets_an_answer_without_chunks_and_its_connection_ends(agent: Agent) -> None:
    with Connection(agent.url) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
        request_id, _ = agent.take()
        agent.post(request_id, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"a", b"b"))
        reply = client.read_reply()

        assert (reply.framing, reply.body, reply.get("Connection")) == ("close", b"ab", "close")


@pytest.mark.parametrize(
    ("line", "host"), [(b"GET /a HTTP/1.0", None), (b"GET http://app.example/a HTTP/1.0", b"app.example")]
)
def test_an_old_client_need_not_say_which_host_it_wants(agent: Agent, line: bytes, host: bytes | None) -> None:
    with Connection(agent.url) as client:
        client.send(line + b"\r\n\r\n")
        request_id, message = agent.take()
        agent.post(request_id, OK)

        assert client.read_reply().body == b"ok"
        assert message.startswith(b"GET /a HTTP/1.1\r\nHost: %b\r\n" % (host or client.host.encode()))


def _ids(body: bytes) -> list[str]:
    return [text for text in body.decode().strip('[]"').split('","') if text]
