"""No bytes make two requests of one, at any of the three doors (row 20 of the table of promises).

What is not HTTP is refused, or arrives as one clean message; a request that hides in another never reaches the backend.
"""

import re
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

import pytest

from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.old_agent import OldAgent
from tests.system.peers import VECTORS
from tests.system.rawhttp import Connection, Disconnected, Reply, get
from tests.system.shapes import Site
from tests.timing import SECOND
from tests.vectors.reading import Vector, read_vectors

HIDDEN: Final = "GET /hidden HTTP/1.1\r\nHost: any\r\nX-Test-Id: hidden\r\n\r\n"
CHUNK: Final = "5\r\nhello\r\n0\r\n\r\n"

HEADS: Final = {
    "length, then chunked": f"Content-Length: {len(CHUNK) + len(HIDDEN)}\r\nTransfer-Encoding: chunked",
    "chunked, then length": f"Transfer-Encoding: chunked\r\nContent-Length: {len(CHUNK) + len(HIDDEN)}",
    "length 0 and chunked": "Content-Length: 0\r\nTransfer-Encoding: chunked",
    "two lengths": f"Content-Length: {len(CHUNK)}\r\nContent-Length: {len(CHUNK) + len(HIDDEN)}",
    "two lengths in a list": f"Content-Length: {len(CHUNK)}, {len(CHUNK) + len(HIDDEN)}",
    "length with a plus": f"Content-Length: +{len(CHUNK) + len(HIDDEN)}",
    "length with a letter": f"Content-Length: {len(CHUNK) + len(HIDDEN)}x",
    "length in hex": f"Content-Length: 0x{len(CHUNK) + len(HIDDEN):x}",
    "length empty": "Content-Length:",
    "length with a space before the colon": f"Content-Length : {len(CHUNK) + len(HIDDEN)}",
    "length behind a bare LF": f"X: y\nContent-Length: {len(CHUNK) + len(HIDDEN)}",
    "length behind a bare CR": f"X: y\rContent-Length: {len(CHUNK) + len(HIDDEN)}",
    "length folded": f"Content-Length:\r\n {len(CHUNK) + len(HIDDEN)}",
    "chunked, identity": "Transfer-Encoding: chunked, identity",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunked behind a vertical tab": "Transfer-Encoding: \x0bchunked",
    "chunked in quotes": 'Transfer-Encoding: "chunked"',
    "chunked with a parameter": "Transfer-Encoding: chunked;a=b",
    "chunked misspelt, and a length": f"Transfer-Encoding: xchunked\r\nContent-Length: {len(CHUNK) + len(HIDDEN)}",
    "chunked with a space before the colon": "Transfer-Encoding : chunked",
    "chunked with an underscore": f"Transfer_Encoding: chunked\r\nContent-Length: {len(CHUNK) + len(HIDDEN)}",
    "chunked folded": "Transfer-Encoding:\r\n chunked",
    "chunked behind an empty name": f": x\r\nTransfer-Encoding: chunked\r\nContent-Length: {len(CHUNK) + len(HIDDEN)}",
    "gzip, chunked": "Transfer-Encoding: gzip, chunked",
    "chunked, named in Connection": f"Connection: Transfer-Encoding\r\nContent-Length: {len(CHUNK)}\r\n"
    "Transfer-Encoding: chunked",
    "length, named in Connection": f"Connection: Content-Length\r\nContent-Length: {len(CHUNK) + len(HIDDEN)}",
}
"""Fields that two servers may read in two ways: behind them come a chunk, the end, and a request that hides."""

CHUNKS: Final = {
    "a chunk size that overflows": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a negative chunk size": "-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with a plus": "+5\r\nhello\r\n0\r\n\r\n",
    "a chunk size in hex notation": "0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size that ends with a bare LF": "5\nhello\r\n0\r\n\r\n",
    "an extension with a bare LF": "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than its size": "2\r\nhello\r\n0\r\n\r\n",
    "a chunk shorter than its size": "9\r\nhello\r\n0\r\n\r\n",
    "an empty chunk size": "\r\nhello\r\n0\r\n\r\n",
}


class Watch:
    """What reached the backend since it began."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._before = len(peer.notes())

    def whole_requests(self) -> int:
        return sum(note.method != "BROKEN" for note in self._peer.notes()[self._before :])

    def hidden(self) -> int:
        return sum("hidden" in note.target for note in self._peer.notes()[self._before :])


def send_raw(site: Site, raw: bytes) -> Reply | None:
    """The first answer to these bytes, which are all there is; None when the connection just ends."""
    with Connection(site.url, timeout=15 * SECOND) as connection:
        connection.send_as_far_as_taken(raw)
        connection.half_close()
        try:
            return connection.read_reply()
        except Disconnected:
            return None


def is_refusal(reply: Reply | None) -> bool:
    """True where no request can have reached the backend.

    None is no answer at all: to the stand-alone proxy a client that has half closed is gone, and whether it sees that
    before an agent has the request is chance.
    """
    return reply is not None and reply.status in (400, 405, 408, 411, 413, 414, 417, 426, 431, 501, 505)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_request_does_not_hide_behind_doubtful_framing(head: str, site: Site, peer: Peer) -> None:
    watch = Watch(peer)
    raw = f"POST /outer HTTP/1.1\r\nHost: any\r\n{head}\r\n\r\n{CHUNK}{HIDDEN}"

    reply = send_raw(site, raw.encode("latin-1"))

    assert reply is None or is_refusal(reply) or reply.status == 200
    assert watch.whole_requests() in ([0, 1] if reply is None else [0] if is_refusal(reply) else [1])
    assert watch.hidden() == 0


def test_a_coding_that_says_nothing_is_refused(site: Site) -> None:
    """gunicorn reads `identity` as nothing, which it says; the service behind it refuses the request all the same."""
    raw = f"POST /outer HTTP/1.1\r\nHost: any\r\nTransfer-Encoding: identity, chunked\r\n\r\n{CHUNK}"

    assert is_refusal(send_raw(site, raw.encode()))


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_a_request_does_not_hide_behind_doubtful_chunks(chunks: str, site: Site, peer: Peer) -> None:
    watch = Watch(peer)
    raw = f"POST /outer HTTP/1.1\r\nHost: any\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}"

    reply = send_raw(site, raw.encode())

    assert reply is None or is_refusal(reply) or reply.status in (200, 502)
    assert watch.hidden() == 0


REQUESTS: Final = [vector for vector in read_vectors("bad") if vector.expected["of"] == "request"]
RESPONSES: Final = [vector for vector in read_vectors("bad") if vector.expected["of"] == "response"]


@pytest.mark.parametrize("vector", REQUESTS, ids=str)
def test_a_bad_request_is_refused_or_arrives_as_one(vector: Vector, site: Site, peer: Peer) -> None:
    watch = Watch(peer)

    reply = send_raw(site, vector.raw)

    assert reply is None or is_refusal(reply) or reply.status in (200, 502)
    # Behind a request that ends by itself stands the next one, by any reading.
    allowed = 2 if vector.name.startswith("request-behind") else 1
    assert watch.whole_requests() <= (0 if is_refusal(reply) else allowed)


def require_told_or_cut(site: Site, vector: Vector) -> None:
    mark = uuid4().hex
    try:
        reply = get(site.url, f"/vector?name={vector.name}", timeout=15 * SECOND)
    except Disconnected:
        reply = None

    after = get(site.url, f"/{mark}")

    assert reply is None or not reply.is_whole or is_told(reply) or is_clean(reply, vector), reply
    assert (after.status, mark in after.body.decode()) == (200, True)


def is_told(reply: Reply) -> bool:
    return reply.status == 502 and reply.reason is not None


def is_clean(reply: Reply, vector: Vector) -> bool:
    """An answer that a reader may forgive, without what stood behind its end."""
    return reply.body in vector.raw and not any("\n" in value or "\r" in value for _, value in reply.fields)


@pytest.mark.parametrize("vector", RESPONSES, ids=str)
def test_a_bad_answer_of_a_backend_is_told_or_cut_and_the_next_one_is_clean(vector: Vector, site: Site) -> None:
    require_told_or_cut(site, vector)


class RawAgent(OldAgent):
    """Posts the bytes of a vector as they are."""

    def answer(self, request: bytes) -> list[bytes]:
        if match := re.match(rb"GET /vector\?name=([a-z0-9.-]+) ", request):
            return [(VECTORS / f"{match[1].decode()}.http").read_bytes()]
        return super().answer(request)


@pytest.fixture(scope="module")
def raw_site(serve: Serve, peer: Peer) -> Iterator[Site]:
    """A site whose agent is not to be trusted."""
    site = serve(peer.url, agents=0)
    agent = RawAgent(site.shape.agent_url, backend_id=site.backend_id, backend_url=peer.url, token=site.shape.token)
    agent.start()
    site.wait_until_online()
    yield site
    agent.stop()


@pytest.mark.parametrize("vector", [vector for vector in RESPONSES if vector.raw], ids=str)
def test_a_bad_answer_of_an_agent_is_told_or_cut_and_the_next_one_is_clean(vector: Vector, raw_site: Site) -> None:
    require_told_or_cut(raw_site, vector)
