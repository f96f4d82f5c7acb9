"""Bodies of every size survive both ways; one over the limit is refused at once, by a message that names the limit."""

import time
from hashlib import sha256
from typing import Final

import pytest

from tests.system.peers import pattern
from tests.system.rawhttp import Connection, Reply, call, chunked, get, request_bytes
from tests.system.shapes import BODY_LIMIT, Site
from tests.timing import SECOND

SIZES: Final = [0, 1, 1_000_000, 1_000_001, 5_000_000, 31_000_000]
MEGABYTE: Final = 1_000_000

UNSIZED = ("Transfer-Encoding", "chunked")


@pytest.mark.parametrize("size", SIZES)
def test_a_body_survives_both_ways(size: int, site: Site) -> None:
    body = pattern(size)

    reply = call(site.url, "POST", "/echo", body=body)

    assert (reply.status, reply.is_whole, len(reply.body)) == (200, True, size)
    assert sha256(reply.body).digest() == sha256(body).digest()


@pytest.mark.parametrize("size", SIZES)
def test_a_body_without_a_length_survives_both_ways(size: int, site: Site) -> None:
    body = pattern(size)
    pieces = [body[start : start + 70_000] for start in range(0, size, 70_000)]

    sent = call(site.url, "POST", "/echo", fields=[UNSIZED], body=chunked(*pieces))
    got = get(site.url, f"/big?n={size}&chunked")

    assert (sent.status, sent.is_whole, sent.body == body) == (200, True, True)
    assert (got.status, got.is_whole, got.body == body) == (200, True, True)


def ask_too_much(site: Site, head: bytes, body: bytes = b"") -> tuple[Reply, float]:
    with Connection(site.url) as connection:
        connection.send(head)
        connection.send_as_far_as_taken(body)
        began = time.monotonic()
        return connection.read_reply("POST"), time.monotonic() - began


def require_refusal(reply: Reply) -> None:
    assert (reply.status, reply.reason) == (413, "too-large")
    assert str(BODY_LIMIT) in reply.body.decode()


def test_a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent(site: Site) -> None:
    fields = [("Content-Length", str(BODY_LIMIT + 1))]

    reply, took = ask_too_much(site, request_bytes("POST", "/echo", host="any", fields=fields))

    require_refusal(reply)
    assert took < 1 * SECOND


def test_a_body_that_turns_out_too_large_is_refused_when_it_does(site: Site) -> None:
    piece = b"%x\r\n%b\r\n" % (MEGABYTE, bytes(MEGABYTE))

    reply, took = ask_too_much(site, request_bytes("POST", "/echo", host="any", fields=[UNSIZED]), piece * 34)

    require_refusal(reply)
    assert took < 5 * SECOND


def test_a_body_that_is_refused_is_not_waited_for(site: Site) -> None:
    """gunicorn asks for every body that a client announces so, before the service sees the request."""
    fields = [("Content-Length", str(BODY_LIMIT + 1)), ("Expect", "100-continue")]
    with Connection(site.url) as connection:
        connection.send(request_bytes("POST", "/echo", host="any", fields=fields))
        connection.read_at_least(1)
        was_asked = connection.peek().startswith(b"HTTP/1.1 100")

        require_refusal(connection.read_reply("POST"))

    assert was_asked == (site.shape.name == "appengine")


def test_a_body_that_the_client_will_send_when_asked_is_asked_for(site: Site) -> None:
    fields = [("Content-Length", "5"), ("Expect", "100-continue")]
    with Connection(site.url) as connection:
        connection.send(request_bytes("POST", "/echo", host="any", fields=fields))
        asked = connection.receive()
        connection.send(b"hello")

        reply = connection.read_reply("POST")

    assert asked.startswith(b"HTTP/1.1 100")
    assert (reply.status, reply.body) == (200, b"hello")
